//! Every request of ours and every answer of the fake against the vendor's own two documents (`tests/specs/`).
//!
//! The documents are `OpenAPI` 3.1, so that their schemas are JSON Schema 2020-12.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use minuted::testing::{
    config::SourceApi,
    sources::{
        Availability, Source as _,
        meetingbaas::{BotJoin, BotSchedule, MeetingBaas},
    },
};
use serde_json::{Map, Value, json};

use crate::{
    meetingbaas::{Account, BOTH},
    support::meetingbaas::{Bot, Call, Exchange, KEY_HEADER},
};

const V1: &str = include_str!("../specs/meetingbaas-v1.openapi.json");
const V2: &str = include_str!("../specs/meetingbaas-v2.openapi.json");

/// One of the documents.
struct Document {
    root: Value,
}

/// An operation of it, and what stands in the places of its path.
struct Operation<'a> {
    name: String,
    described: &'a Value,
    places: BTreeMap<&'a str, &'a str>,
}

impl Document {
    fn of(api: SourceApi) -> Self {
        let text = match api {
            SourceApi::V1 => V1,
            SourceApi::V2 => V2,
        };
        let mut root = serde_json::from_str(text).expect("JSON");
        without_ids(&mut root);
        Self { root }
    }

    /// The operation of a call; of two that fit, the one with fewer places.
    fn operation<'a>(&'a self, method: &str, path: &'a str) -> Option<Operation<'a>> {
        let paths = self.root["paths"].as_object().expect("paths").iter();
        let fit = paths.filter_map(|(template, methods)| {
            let described = methods.get(method.to_lowercase())?;
            Some(Operation {
                name: format!("{method} {template}"),
                described,
                places: places(template, path)?,
            })
        });
        fit.min_by_key(|operation| operation.places.len())
    }

    /// What a value breaks of a schema.
    fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut named = Map::new();
        self.collect(schema, &mut named);
        let whole = json!({ "allOf": [schema], "components": { "schemas": named } });
        let options = jsonschema::options()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true);
        let validator = options.build(&whole).expect("a schema of the document");
        validator
            .iter_errors(value)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect()
    }

    /// The schemas that a schema refers to.
    fn collect(&self, schema: &Value, named: &mut Map<String, Value>) {
        match schema {
            Value::Object(fields) => {
                if let Some(name) = fields.get("$ref").and_then(Value::as_str) {
                    let name = name
                        .strip_prefix("#/components/schemas/")
                        .expect("a schema of this document");
                    if !named.contains_key(name) {
                        let found = self.schema(name).clone();
                        named.insert(name.to_owned(), found.clone());
                        self.collect(&found, named);
                    }
                }
                fields.values().for_each(|field| self.collect(field, named));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, named)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    fn schema(&self, name: &str) -> &Value {
        self.root["components"]["schemas"].get(name).unwrap_or_else(|| panic!("no schema {name}"))
    }

    /// The keys that a schema of an object knows.
    fn keys<'a>(&'a self, schema: &'a Value, keys: &mut BTreeSet<&'a str>) {
        if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
            self.keys(self.schema(name.rsplit('/').next().expect("a name")), keys);
        }
        keys.extend(
            schema
                .get("properties")
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(Map::keys)
                .map(String::as_str),
        );
        schema
            .get("allOf")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .for_each(|part| self.keys(part, keys));
    }

    /// Everything in which an exchange is not the document's.
    fn broken(&self, exchange: &Exchange) -> Vec<String> {
        let (path, query) = exchange.target.split_once('?').unwrap_or((&exchange.target, ""));
        let Some(operation) = self.operation(&exchange.method, path) else {
            return vec![format!("no operation {} {path}", exchange.method)];
        };
        let mut broken = self.broken_parameters(&operation, query);
        if !exchange.headers.iter().any(|(name, value)| name == KEY_HEADER && !value.is_empty()) {
            broken.push("no key".to_owned());
        }
        broken.extend(self.broken_body(&operation, exchange));
        broken.extend(self.broken_answer(&operation, exchange));
        broken.into_iter().map(|fault| format!("{}: {fault}", operation.name)).collect()
    }

    fn broken_parameters(&self, operation: &Operation<'_>, query: &str) -> Vec<String> {
        let described = operation
            .described
            .get("parameters")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let given: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let is_in = |parameter: &&Value, place: &str| parameter["in"] == place;
        let mut broken = Vec::new();
        for parameter in described.iter().filter(|parameter| is_in(parameter, "query")) {
            let name = parameter["name"].as_str().expect("a name");
            let found = given.iter().find(|(known, _)| known == name);
            if found.is_none() && parameter["required"] == true {
                broken.push(format!("`{name}` is missing in the query"));
            }
            broken.extend(found.and_then(|(_, value)| self.broken_text(parameter, value)));
        }
        for parameter in described.iter().filter(|parameter| is_in(parameter, "path")) {
            let name = parameter["name"].as_str().expect("a name");
            broken.extend(self.broken_text(parameter, operation.places[name]));
        }
        let known = |name: &str| {
            described
                .iter()
                .any(|parameter| is_in(&parameter, "query") && parameter["name"] == name)
        };
        broken.extend(
            given
                .iter()
                .filter(|(name, _)| !known(name))
                .map(|(name, _)| format!("unknown `{name}`")),
        );
        broken
    }

    /// A parameter is a text that may mean a number or a flag.
    fn broken_text(&self, parameter: &Value, text: &str) -> Option<String> {
        let readings = [Some(json!(text)), serde_json::from_str(text).ok()];
        let mut faults =
            readings.into_iter().flatten().map(|value| self.faults(&parameter["schema"], &value));
        let all_broken = faults.all(|faults| !faults.is_empty());
        all_broken.then(|| format!("`{}` is `{text}`", parameter["name"]))
    }

    fn broken_body(&self, operation: &Operation<'_>, exchange: &Exchange) -> Vec<String> {
        let schema = operation.described.pointer("/requestBody/content/application~1json/schema");
        match (schema, &exchange.body) {
            (None, None) => Vec::new(),
            (None, Some(_)) => vec!["a body that nobody expects".to_owned()],
            (Some(_), None) => vec!["no body".to_owned()],
            (Some(schema), Some(body)) => {
                let mut broken = self.faults(schema, body);
                let mut keys = BTreeSet::new();
                self.keys(schema, &mut keys);
                let own = body.as_object().into_iter().flat_map(Map::keys);
                broken.extend(
                    own.filter(|key| !keys.contains(key.as_str()))
                        .map(|key| format!("unknown `{key}`")),
                );
                let kind = exchange.headers.iter().find(|(name, _)| name == "content-type");
                if kind.is_none_or(|(_, kind)| kind != "application/json") {
                    broken.push(format!("{kind:?}"));
                }
                broken
            }
        }
    }

    fn broken_answer(&self, operation: &Operation<'_>, exchange: &Exchange) -> Vec<String> {
        let status = exchange.status.to_string();
        let Some(described) = operation.described["responses"].get(&status) else {
            return vec![format!("an answer of {status}")];
        };
        let schema = described.pointer("/content/application~1json/schema");
        match (schema, &exchange.answer) {
            (Some(schema), Some(answer)) => self.faults(schema, answer),
            (Some(_) | None, _) => Vec::new(),
        }
    }
}

/// Takes out what names a schema another way than by where it stands: as ids, theirs are no addresses.
fn without_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for name in ["$id", "$schema"] {
                if fields.get(name).is_some_and(Value::is_string) {
                    fields.remove(name);
                }
            }
            fields.values_mut().for_each(without_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(without_ids),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What stands in the places of a template; `None` for another path.
fn places<'a>(template: &'a str, path: &'a str) -> Option<BTreeMap<&'a str, &'a str>> {
    let (template, path): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    let mut places = BTreeMap::new();
    for (wanted, found) in template.iter().zip(&path) {
        match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => drop(places.insert(name, *found)),
            None if wanted == found => {}
            None => return None,
        }
    }
    (template.len() == path.len()).then_some(places)
}

/// Makes every call of ours in every form.
fn exercise(account: &Account) {
    let (vendor, client): (_, &MeetingBaas) = (&account.vendor, &account.client);
    let now = minuted::testing::clock::now();
    let (day, calendar) = (Duration::from_secs(86_400), vendor.add_calendar("ann@example.com"));
    let bot = Bot::ended("weekly");
    let people = [("ann@example.com", Some("Ann Lee")), ("bo@example.com", None)];
    let past =
        vendor.add_event(&calendar, "Weekly", "weekly", bot.joined.expect("it joined"), &people);
    let id = vendor.add(Bot { event: Some(past), ..bot });
    vendor.add(Bot { deleted: true, extra: json!({"a": {"b": 1}}), ..Bot::ended("gone") });
    let failed = vendor.add(Bot::failed("nobody"));
    let to_come = vendor.add_event(&calendar, "Board", "board", now + day, &people);
    vendor.state().page_max = 2;

    account.wait(client.check_access()).expect("a profile");
    let page = account.wait(client.list_ended(now - day, None)).expect("a page");
    account.wait(client.list_ended(now - day, page.next.as_deref())).expect("another");
    let ready = account.wait(client.get_recording(&id)).expect("a recording");
    assert!(
        matches!(ready.availability, Availability::Ready(_)) && ready.details.attendees.is_some(),
        "{ready:?}"
    );
    account.wait(client.get_recording(&failed)).expect("a recording");
    account.wait(client.delete_recording(&id)).expect("deleted");
    // After a restart nobody here knows of the five a minute any more; the vendor does.
    let restarted = account.another();
    let deleted: Vec<_> =
        (0..5).map(|_| account.wait(restarted.delete_recording(&id)).is_ok()).collect();
    assert_eq!(deleted, [true, true, true, true, false]);

    let url = |name: &str| format!("https://meet.example/{name}?pwd=1#x").parse().expect("a URL");
    let (first, second) = (url("now"), url("later"));
    let join = BotJoin { meeting_url: &first, at: None, name: "Notes", transcribe: false };
    let joined = account.wait(client.send_bot(&join)).expect("a bot");
    let later = BotJoin { meeting_url: &second, at: Some(now + day), transcribe: true, ..join };
    let planned = account.wait(client.send_bot(&later)).expect("a bot");
    assert!(account.wait(client.list_bots()).expect("bots").len() > 1);
    account.wait(client.recall_bot(&joined)).expect("it leaves");
    account.wait(client.recall_bot(&planned)).expect("it never joins");
    account.wait(client.list_calendars()).expect("calendars");
    assert_eq!(account.wait(client.list_events(None)).expect("events").len(), 1);
    for whole_series in [false, true] {
        let plan = BotSchedule { name: "Notes", transcribe: whole_series, whole_series };
        account.wait(client.schedule_bot(&to_come, &plan)).expect("planned");
        account.wait(client.unschedule_bot(&to_come, whole_series)).expect("not planned");
    }
    if account.api == SourceApi::V1 {
        account.wait(client.request_transcription(&id)).expect("transcribed again");
    } else {
        drop(account.wait(client.get_recording("6b0c3f1e-0000-4000-8000-00000000ffff")));
        drop(account.wait(client.recall_bot(&joined)));
    }
}

#[test]
fn every_request_and_every_answer_is_as_the_vendors_document_has_it() {
    for api in BOTH {
        let (account, document) = (Account::new(api), Document::of(api));
        exercise(&account);
        let state = account.vendor.state();
        let broken: Vec<_> =
            state.exchanges.iter().flat_map(|exchange| document.broken(exchange)).collect();
        assert_eq!(broken, Vec::<String>::new(), "{api:?}");
        let lacks = if api == SourceApi::V1 { Call::Planned } else { Call::Retranscribe };
        let all = [
            Call::List,
            Call::Recording,
            Call::Delete,
            Call::Join,
            Call::Planned,
            Call::Leave,
            Call::Retranscribe,
            Call::Calendars,
            Call::Events,
            Call::Event,
            Call::Schedule,
            Call::Unschedule,
        ];
        let never: Vec<_> = all.into_iter().filter(|call| !state.calls.contains(call)).collect();
        assert_eq!(never, [lacks], "{api:?}: what was never called proves nothing");
        assert!(state.exchanges.iter().all(|exchange| exchange.answer.is_some()));
    }
}

#[test]
fn the_transcript_of_the_fake_is_the_documents() {
    let document = Document::of(SourceApi::V2);
    let schema = document.schema("OutputTranscription");
    let bot = Bot { id: "6b0c3f1e-0000-4000-8000-000000000001".into(), ..Bot::ended("weekly") };
    assert_eq!(document.faults(schema, &bot.transcript()), Vec::<String>::new());
    assert_ne!(document.faults(schema, &json!({ "bot_id": bot.id })), Vec::<String>::new());
}

/// A rule that sees nothing would never fail.
#[test]
fn what_breaks_a_document_is_seen() {
    for api in BOTH {
        let (account, document) = (Account::new(api), Document::of(api));
        exercise(&account);
        let state = account.vendor.state();
        let with = |breaks: &dyn Fn(&mut Exchange)| {
            let seen = state.exchanges.iter().map(|exchange| {
                let mut exchange = exchange.clone();
                breaks(&mut exchange);
                !document.broken(&exchange).is_empty()
            });
            seen.collect::<Vec<_>>()
        };
        let all = |breaks: &dyn Fn(&mut Exchange)| with(breaks).into_iter().all(|seen| seen);
        let any = |breaks: &dyn Fn(&mut Exchange)| with(breaks).into_iter().any(|seen| seen);
        assert!(all(&|exchange| exchange.headers.clear()), "no key");
        assert!(
            all(&|exchange| exchange.target +=
                if exchange.target.contains('?') { "&x=1" } else { "?x=1" }),
            "query"
        );
        assert!(all(&|exchange| exchange.status = 418), "an answer that is not documented");
        assert!(all(&|exchange| exchange.method = "PUT".into()), "a method");
        assert!(
            any(&|exchange| exchange.target = exchange.target.replace("limit=", "limit=x")),
            "a number"
        );
        assert!(any(&|exchange| exchange.body = None), "no body");
        assert!(any(&|exchange| exchange.answer = Some(json!({}))), "an empty answer");
        assert!(
            any(&|exchange| {
                if let Some(body) = &mut exchange.body {
                    body["novelty"] = json!(1);
                }
            }),
            "a key"
        );
        assert!(
            any(&|exchange| {
                if let Some(name) = exchange.body.as_mut().and_then(|body| body.get_mut("bot_name"))
                {
                    *name = json!(7);
                }
            }),
            "a type"
        );
    }
}

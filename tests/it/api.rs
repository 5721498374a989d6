//! The API over HTTP: who may use it, that it does what its own document says, and that nothing but problems come of
//! requests that are wrong.

use std::{collections::BTreeSet, fs, io::Read as _, os::unix::fs::PermissionsExt as _};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{
    house::{House, recording, until},
    meetingbaas::{Baas, Bot},
    page::{Page, PageAnswer, free_port, http_table, multipart},
    rows::each,
};

/// A house whose daemon serves the API.
struct Api<'h> {
    page: Page<'h>,
    token: String,
    document: Value,
    /// The operations that have answered as the document says.
    seen: BTreeSet<String>,
}

fn house_with_api() -> (House, u16) {
    let (house, port) = (House::new(), free_port());
    house.configure_all("", "", &http_table(port));
    (house, port)
}

impl<'h> Api<'h> {
    /// Waits until the API is served, and reads its token and its document.
    fn enter(house: &'h House, port: u16) -> Self {
        let page = Page { house, port, cookie: String::new() };
        until("the API is served", || page.try_ask("GET", "/healthz", &[], b""));
        let token =
            house.json(&["page", "--api-token"])["token"].as_str().expect("a token").to_owned();
        let document = page.ask("GET", "/api/v1/openapi.json", &[], b"");
        assert_eq!(document.header("content-type"), Some("application/json"));
        let document = serde_json::from_str(&document.body).expect("JSON");
        Self { page, token, document, seen: BTreeSet::new() }
    }

    fn ask(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> PageAnswer {
        let token = format!("Bearer {}", self.token);
        let headers = [("authorization", token.as_str()), ("content-type", kind)];
        self.page.ask(method, &format!("/api/v1{path}"), &headers, body)
    }

    /// Copies the queue, and counts the jobs of the copy.
    fn queue_copy(&self, house: &House) -> usize {
        let token = format!("Bearer {}", self.token);
        let headers = [("authorization", token.as_str())];
        let mut stream =
            self.page.connect("GET", "/api/v1/backup", &headers, 0).expect("connected");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an answer");
        let head = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
        let copy = house.dir.path().join("copy.db");
        fs::write(&copy, &answer[head..]).expect("written");
        let copy = rusqlite::Connection::open(copy).expect("opened");
        let count = copy.query_row("SELECT count(*) FROM job", [], |row| row.get::<_, i64>(0));
        usize::try_from(count.expect("a whole copy")).expect("a count")
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> PageAnswer {
        self.ask(method, path, "application/json", body.to_string().as_bytes())
    }

    /// Calls an operation, and holds its answer against the document.
    fn call(&mut self, id: &str, places: &[&str], query: &str, body: Option<&Value>) -> Value {
        let (method, template) = self.find(id);
        let mut path = template.clone();
        for place in places {
            let (before, after) = path.split_once('{').expect("a place");
            let after = after.split_once('}').expect("its end").1;
            path = format!("{before}{place}{after}");
        }
        let described = self.document["paths"][&template][&method].clone();
        let answer = match body {
            Some(body) => self.json(&method.to_uppercase(), &format!("{path}{query}"), body),
            None if described["requestBody"]["content"]["multipart/form-data"].is_object() => {
                let form = multipart("added.mp3", &recording("added.mp3"));
                self.ask("POST", &path, "multipart/form-data; boundary=XX", &form)
            }
            None => self.ask(&method.to_uppercase(), &format!("{path}{query}"), "text/plain", b""),
        };
        self.check(&described, &answer);
        self.seen.insert(id.to_owned());
        serde_json::from_str(&answer.body).unwrap_or(Value::String(answer.body))
    }

    fn find(&self, id: &str) -> (String, String) {
        let paths = self.document["paths"].as_object().expect("paths");
        let mut all = paths.iter().flat_map(|(path, methods)| {
            methods.as_object().expect("methods").iter().map(move |(method, it)| (method, path, it))
        });
        let found = all.find(|(_, _, it)| it["operationId"] == id);
        let (method, path, _) = found.unwrap_or_else(|| panic!("no operation {id}"));
        (method.clone(), path.clone())
    }

    /// Holds an answer against what the document says of its operation.
    fn check(&self, described: &Value, answer: &PageAnswer) {
        let code = answer.code.to_string();
        let response = described["responses"].get(&code).unwrap_or_else(|| {
            assert!(answer.code >= 400, "{answer:?}");
            &self.document["components"]["responses"]["Problem"]
        });
        let kind = answer.header("content-type").expect("a type");
        let kind = kind.split(';').next().expect("a type");
        let content = response["content"].get(kind).unwrap_or_else(|| panic!("{kind}: {answer:?}"));
        if kind.ends_with("json") {
            let schema = json!({
                "allOf": [content["schema"]], "components": self.document["components"],
            });
            let value: Value = serde_json::from_str(&answer.body).expect("JSON");
            let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
            let validator = options.should_validate_formats(true).build(&schema).expect("a schema");
            let faults: Vec<_> = validator
                .iter_errors(&value)
                .map(|error| format!("{}: {error}", error.instance_path()))
                .collect();
            assert!(faults.is_empty(), "{faults:#?}\n{value:#}");
        }
    }
}

#[test]
fn nothing_is_answered_without_the_token_and_another_one_ends_the_first() {
    let (house, port) = house_with_api();
    let _daemon = house.start();
    let mut api = Api::enter(&house, port);
    let file = house.state_dir().join("api.token");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let signed_in = Page::enter(&house, port);
    let cookie = signed_in.cookie.as_str();
    let bearer = format!("Bearer {}", api.token);
    let basic = format!("Basic {}", api.token);
    let refused: [&[(&str, &str)]; 6] = [
        &[],
        &[("authorization", "Bearer ")],
        &[("authorization", "Bearer x")],
        &[("authorization", &basic)],
        &[("authorization", &api.token)],
        &[("cookie", cookie)],
    ];
    for headers in refused {
        for path in ["/api/v1/status", "/api/v1/jobs", "/api/v1/none", "/api/v1"] {
            let answer = api.page.ask("GET", path, headers, b"");
            assert_eq!(answer.code, 401, "{path} {headers:?}");
            assert_eq!(answer.header("content-type"), Some("application/problem+json"));
            assert_eq!(answer.header("www-authenticate"), Some("Bearer realm=\"minuted\""));
            let body = answer.body;
            assert!(body.contains("minuted page --api-token") && !body.contains("sales"), "{body}");
        }
    }
    let elsewhere = [("authorization", bearer.as_str()), ("host", "evil.example")];
    assert_eq!(api.page.ask("GET", "/api/v1/status", &elsewhere, b"").code, 421);
    let page = api.page.ask("GET", "/", &[("authorization", &bearer)], b"");
    assert_eq!(page.code, 401, "the page wants a session");
    assert_eq!(api.call("status", &[], "", None)["daemon"], true);
    let other = house.json(&["page", "--api-token", "--new-token"])["token"].clone();
    assert_eq!(api.ask("GET", "/status", "text/plain", b"").code, 401);
    other.as_str().expect("a token").clone_into(&mut api.token);
    api.call("status", &[], "", None);
    assert_eq!(signed_in.get("/").code, 200, "sessions have nothing to do with it");
}

#[test]
fn every_operation_does_what_its_command_does_and_answers_as_the_document_says() {
    let (house, port, vendor) = (House::new(), free_port(), Baas::start());
    vendor.give_key(house.dir.path());
    let source = vendor.source("v1", "sales", "name = \"calls\"");
    house.configure_all("", "", &format!("{source}{}", http_table(port)));
    let _daemon = house.start();
    let mut api = Api::enter(&house, port);
    let id = work_on_a_recording(&house, &mut api);
    work_on_folders(&house, &mut api, &id);
    work_on_a_service(&house, &mut api);
    work_on_a_source(&vendor, &mut api);
    work_on_calendars(&vendor, &mut api);
    work_on_the_machine(&house, &mut api);
    assert_eq!(api.seen, operations(&api.document), "every operation of the document has answered");
}

/// Calls the operations of jobs, and holds what they do against the commands; returns the number of a job.
fn work_on_a_recording(house: &House, api: &mut Api<'_>) -> String {
    house.standin.stall_analysis(true);
    let added = api.call("add", &["sales"], "", None);
    let id = added["recordings"][0]["id"].as_i64().expect("a job").to_string();
    house.wait_until_waits("added.mp3", "analysis");
    let problem = api.call("notes", &[&id], "", None);
    assert!(problem["detail"].as_str().expect("text").contains("no notes yet"), "{problem}");
    api.call("cancel", &[&id], "", None);
    assert_eq!(house.job("added.mp3")["state"], "cancelled");
    house.standin.stall_analysis(false);
    api.call("retry", &[&id], "", None);
    house.wait_for("added.mp3", "done");
    assert_eq!(api.call("job", &[&id], "", None)["hash"], house.job("added.mp3")["hash"]);
    let jobs = api.call("jobs", &[], "?state=done&folder=sales", None);
    assert_eq!(jobs[0]["id"].to_string(), id);
    assert_eq!(api.call("jobs", &[], "?state=failed", None), json!([]));
    assert_eq!(api.call("notes", &[&id], "", None)["recording"], "added.mp3");
    for (format, begin) in [("md", "---\n"), ("vtt", "WEBVTT"), ("txt", "added"), ("srt", "1\n")] {
        let notes = api.call("notes", &[&id], &format!("?format={format}"), None);
        assert!(notes.as_str().expect("text").starts_with(begin), "{format}: {notes}");
    }
    let speakers = api.call("speakers", &[&id], "", None);
    let label = speakers["speakers"][0]["label"].as_str().expect("a label").to_owned();
    let names = json!({ "names": { label: "Ann Lee" } });
    let named = api.call("name_speakers", &[&id], "", Some(&names));
    assert_eq!(named["speakers"][0]["name"], "Ann Lee");
    let more = json!({ "analyses": ["sentiment"], "mail": false });
    api.call("analyse", &[&id], "", Some(&more));
    house.wait_for("added.mp3", "done");
    let again = api.call("redo", &[&id], "", None);
    assert_ne!(again["id"].to_string(), id);
    until("it is made again", || house.path("added.notes.2.md").exists().then_some(()));
    assert_eq!(api.call("retry_failed", &[], "", None)["ids"], json!([]));
    id
}

fn work_on_folders(house: &House, api: &mut Api<'_>, id: &str) {
    let path = house.path("added.mp3").to_str().expect("UTF-8").to_owned();
    let why = api.call("why", &[], &format!("?path={path}"), None);
    assert_ne!(why["job"]["id"].to_string(), id, "the job that made it again has the file");
    api.call("pause", &["sales"], "", None);
    let trouble = house.json(&["status"])["folders"][0]["trouble"].to_string();
    assert!(trouble.contains("a person paused it"), "{trouble}");
    api.call("resume", &["sales"], "", None);
    assert_eq!(house.json(&["status"])["folders"][0]["trouble"], Value::Null);
    assert_eq!(api.call("scan", &[], "", None)["folders"], 1);
    assert_eq!(api.call("scan", &[], "?dry_run=true", None), json!([]));
    assert_eq!(api.call("backlog", &["sales"], "", None), json!([]));
    api.call("decide_backlog", &["sales"], "", Some(&json!({ "process": true })));
}

/// Lists the meetings of the service, signs out of it and in again.
fn work_on_a_service(house: &House, api: &mut Api<'_>) {
    assert_eq!(api.call("whoami", &["paxs"], "", None)["service"], "paxs");
    let meetings = api.call("meetings", &["paxs"], "?page=1", None);
    let meeting = meetings[0]["id"].as_str().expect("an id").to_owned();
    api.call("meeting", &["paxs", &meeting], "", None);
    assert_eq!(api.call("sign_in", &["paxs"], "", None)["state"], "none");
    let out = api.call("sign_out", &["paxs"], "", None);
    assert_eq!(out["message"], "signed out of `paxs`");
    assert_eq!(house.run(&["whoami"]).status.code(), Some(1));
    let begun = api.call("begin_sign_in", &["paxs"], "", None);
    assert_eq!(begun["state"], "waiting");
    assert!(begun["link"].as_str().is_some_and(|link| link.starts_with("http")), "{begun}");
    // The service's own page would ask a person: here it approves at once.
    until("somebody has signed in", || {
        (api.call("sign_in", &["paxs"], "", None)["state"] == "done").then_some(())
    });
    assert_eq!(house.json(&["whoami"])["service"], "paxs");
    assert_eq!(api.call("begin_sign_in", &["none"], "", None)["status"], 404);
}

/// Fetches a recording, and sends, recalls and asks of bots.
fn work_on_a_source(vendor: &Baas, api: &mut Api<'_>) {
    let ended = vendor.add(Bot::ended("weekly"));
    let fetched = api.call("fetch", &["calls", &ended], "", None);
    assert_eq!(fetched["id"], ended.as_str(), "{fetched}");
    assert_eq!(api.call("source", &["calls"], "", None)[0]["state"], "placed");
    let link = "https://meet.example/board";
    let order = json!({ "url": link, "name": "Notes", "at": "2099-01-01T09:00:00Z" });
    let sent = api.call("send_bot", &["calls"], "", Some(&order));
    assert_eq!((&sent["meeting_url"], &sent["source"]), (&json!(link), &json!("calls")));
    let bot = sent["bot"].as_str().expect("an id").to_owned();
    let listed = api.call("bots", &["calls"], "", None);
    assert!(
        listed.as_array().expect("a list").iter().any(|row| row["name"] == "Notes"),
        "{listed}"
    );
    api.call("recall_bot", &["calls", &bot], "", None);
    assert!(vendor.state().bot(&bot).is_none_or(|bot| bot.ended.is_some()));
    api.call("retranscribe", &["calls", &ended], "", None);
    assert_eq!(vendor.state().retranscribed, [ended]);
    let bad = api.call("send_bot", &["calls"], "", Some(&json!({ "url": "http://meet.example" })));
    assert_eq!(bad["status"], 409, "{bad}");
    assert_eq!(api.call("bots", &["none"], "", None)["status"], 404);
}

/// Plans a bot for an event of a source's calendar, and takes it away.
fn work_on_calendars(vendor: &Baas, api: &mut Api<'_>) {
    let calendar = vendor.add_calendar("ann@example.com");
    let starts = minuted::testing::clock::now() + std::time::Duration::from_secs(86_400);
    let event = vendor.add_event(&calendar, "Board", "board", starts, &[]);
    assert_eq!(api.call("calendars", &["calls"], "", None)[0]["email"], "ann@example.com");
    let query = format!("?calendar={calendar}");
    assert_eq!(api.call("events", &["calls"], &query, None)[0]["title"], "Board");
    let plan = json!({ "name": "Notes", "series": false });
    api.call("schedule_bot", &["calls", &event], "", Some(&plan));
    assert_eq!(vendor.state().events[0].bot.clone().expect("a bot").0, "Notes");
    assert_eq!(api.call("events", &["calls"], "", None)[0]["bot"], true);
    api.call("unschedule_bot", &["calls", &event], "", Some(&json!({})));
    assert_eq!(vendor.state().events[0].bot, None);
}

/// Checks everything, and copies the queue.
fn work_on_the_machine(house: &House, api: &mut Api<'_>) {
    let same = |findings: &Value| {
        let rows = findings.as_array().expect("findings").iter();
        rows.map(|row| (row["subject"].clone(), row["level"].clone())).collect::<Vec<_>>()
    };
    let checked = same(&api.call("check", &[], "", None));
    assert!(checked.contains(&(json!("folder sales"), json!("ok"))), "{checked:?}");
    let output = house.run(&["check", "--json"]);
    assert_eq!(checked, same(&serde_json::from_slice(&output.stdout).expect("JSON")));
    let copied = api.call("backup", &[], "", None);
    assert!(copied.as_str().expect("bytes").starts_with("SQLite format 3"));
    assert_eq!(api.queue_copy(house), house.json(&["jobs"]).as_array().expect("jobs").len());
    api.call("status", &[], "", None);
}

fn operations(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().expect("paths").values();
    let methods = paths.flat_map(|methods| methods.as_object().expect("methods").values());
    methods.map(|it| it["operationId"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_request_that_is_wrong_gets_a_problem_with_the_code_that_programs_expect() {
    let (house, port) = house_with_api();
    let _daemon = house.start();
    let api = Api::enter(&house, port);
    let form = "multipart/form-data; boundary=XX";
    let (json, text) = ("application/json", "text/plain");
    let large = vec![b' '; 70 * 1024];
    let hidden = multipart(".hidden.mp3", b"x");
    let rows: [(&str, &str, &str, &[u8], u16); 21] = [
        ("GET", "/none", text, b"", 404),
        ("GET", "/jobs/7", text, b"", 404),
        ("GET", "/jobs/7/notes", text, b"", 404),
        ("GET", "/jobs/x", text, b"", 404),
        ("POST", "/jobs/7/retry", text, b"", 404),
        ("GET", "/jobs?state=lost", text, b"", 400),
        ("GET", "/jobs?folder=none", text, b"", 404),
        ("POST", "/status", text, b"", 405),
        ("DELETE", "/jobs/7", text, b"", 405),
        ("GET", "/why", text, b"", 400),
        ("GET", "/services/paxs/meetings?page=0", text, b"", 400),
        ("GET", "/why?path=talk.mp3", text, b"", 400),
        ("POST", "/folders/none/pause", text, b"", 404),
        ("POST", "/folders/sales/backlog", text, b"{}", 415),
        ("POST", "/folders/sales/backlog", json, b"{", 400),
        ("POST", "/folders/sales/backlog", json, b"{\"process\": 1}", 422),
        ("POST", "/folders/sales/backlog", json, b"{\"process\": true, \"all\": 1}", 422),
        ("POST", "/folders/sales/backlog", json, &large, 413),
        ("POST", "/folders/sales/recordings", text, b"x", 400),
        ("POST", "/folders/sales/recordings", form, b"--XX--\r\n", 400),
        ("POST", "/folders/sales/recordings", form, &hidden, 409),
    ];
    for (method, path, kind, body, code) in rows {
        let answer = api.ask(method, path, kind, body);
        assert_eq!(answer.code, code, "{method} {path}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{answer:?}");
        let problem: Value = serde_json::from_str(&answer.body).expect("JSON");
        assert_eq!(problem["status"], code, "{problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    }
    assert_eq!(house.json(&["jobs"]), json!([]));
}

#[test]
fn whatever_is_asked_the_answer_is_json_or_a_problem_and_the_daemon_goes_on() {
    let (house, port) = house_with_api();
    let daemon = house.start();
    let api = Api::enter(&house, port);
    let paths = api.document["paths"].as_object().expect("paths");
    let paths: Vec<String> = paths.keys().cloned().collect();
    let word = prop_oneof!["[a-z0-9%._-]{0,12}", Just("1".to_owned()), Just("sales".to_owned())];
    let body = prop_oneof![
        "\\PC{0,60}",
        "\\{\"(process|names|analyses|mail)\": ?[\\[\\]{}a-z0-9\"]{0,20}\\}"
    ];
    let method = prop_oneof![Just("GET"), Just("POST")];
    let request = (0..paths.len(), word.clone(), word, body, method);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases: 150,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let outcome = runner.run(&request, |(at, place, query, body, method)| {
        let path = paths[at].replace("{name}", &place).replace("{id}", &place);
        let path = format!("{path}?path={query}&page={query}&state={query}&dry_run={query}");
        let answer = api.ask(method, &path, "application/json", body.as_bytes());
        prop_assert!(answer.code < 500, "{method} {path} {body}: {answer:?}");
        let kind = answer.header("content-type").unwrap_or_default();
        let is_problem = kind == "application/problem+json";
        prop_assert!((answer.code >= 400) == is_problem, "{method} {path} {body}: {answer:?}");
        Ok(())
    });
    outcome.expect("no such request");
    assert_eq!(api.ask("GET", "/status", "text/plain", b"").code, 200);
    assert!(daemon.stop().success());
}

#[test]
fn a_page_lists_every_operation() {
    let (house, port) = house_with_api();
    let _daemon = house.start();
    let api = Api::enter(&house, port);
    let page = Page::enter(&house, port).get("/api");
    assert_eq!(page.code, 200);
    for (path, methods) in api.document["paths"].as_object().expect("paths") {
        for method in methods.as_object().expect("methods").keys() {
            let shown = format!("{} {path}<", method.to_uppercase());
            assert!(page.body.contains(&shown), "{shown}: {}", page.body);
        }
    }
}

#[test]
fn a_death_around_the_token_leaves_an_api_that_answers() {
    each(["SaveSecret:before", "SaveSecret:after"], |point| {
        let (house, port) = house_with_api();
        let mut daemon = house.listening(house.spawn(&[("MINUTED_DIE", point)]));
        assert!(!house.run(&["page", "--api-token"]).status.success());
        until("it dies there", || daemon.was_killed().then_some(()));
        let _daemon = house.start();
        let mut api = Api::enter(&house, port);
        api.call("status", &[], "", None);
        house.json(&["page", "--api-token", "--new-token"]);
        let left: Vec<_> = fs::read_dir(house.state_dir())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name.to_string_lossy().starts_with(".api.token-"))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    });
}

/// The value of a sample of `/metrics`.
fn sample(text: &str, name: &str) -> Option<f64> {
    let line = text
        .lines()
        .find(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn metrics_tell_of_work_that_ended_and_name_no_recording() {
    let (house, port) = house_with_api();
    let daemon = house.start();
    let api = Api::enter(&house, port);
    let metrics = || {
        let answer = api.page.ask("GET", "/metrics", &[], b"");
        let kind = answer.header("content-type").expect("a type");
        assert!(
            answer.code == 200 && kind.starts_with("application/openmetrics-text"),
            "{answer:?}"
        );
        assert!(answer.body.ends_with("# EOF\n"));
        answer.body
    };
    let before = metrics();
    assert_eq!(sample(&before, "minuted_config_last_reload_successful"), Some(1.0));
    let version = format!("minuted_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(sample(&before, &version), Some(1.0));
    house.drop_recording("secret merger.mp3");
    house.wait_for("secret merger.mp3", "done");
    let done = "minuted_jobs_finished_total{folder=\"sales\",outcome=\"done\"}";
    let after = metrics();
    assert_eq!(sample(&after, done), Some(1.0), "{after}");
    assert_eq!(sample(&metrics(), done), Some(1.0), "what was counted is not counted again");
    for name in [
        "minuted_jobs{folder=\"sales\",state=\"done\"}",
        "minuted_stage_duration_seconds_count{stage=\"upload\",service=\"paxs\"}",
        "minuted_stage_duration_seconds_count{stage=\"analyse\",service=\"paxs\"}",
        "minuted_service_calls_total{service=\"paxs\",call=\"upload\",outcome=\"succeeded\"}",
        "minuted_deliveries{kind=\"notes\",state=\"done\"}",
    ] {
        assert_eq!(sample(&after, name), Some(1.0), "{name}: {after}");
    }
    let seconds = "minuted_recording_seconds_total{folder=\"sales\",service=\"paxs\"}";
    for name in [
        seconds,
        "minuted_signin_expires_timestamp_seconds{service=\"paxs\"}",
        "minuted_scan_last_success_timestamp_seconds{folder=\"sales\"}",
        "minuted_queue_commit_seconds_count",
    ] {
        assert!(sample(&after, name).is_some_and(|value| value > 0.0), "{name}: {after}");
    }
    assert!(!after.contains("secret") && !after.contains("merger"), "{after}");
    assert!(house.run(&["pause", "sales"]).status.success());
    house.drop_recording("next.mp3");
    house.wait_until_waits("next.mp3", "folder");
    let held = metrics();
    assert_eq!(
        sample(&held, "minuted_held{scope=\"folder\",name=\"sales\",reason=\"paused\"}"),
        Some(1.0),
        "{held}"
    );
    assert!(
        sample(&held, "minuted_oldest_unfinished_timestamp_seconds{folder=\"sales\"}").is_some(),
        "{held}"
    );
    fs::write(house.config(), "not a configuration").expect("written");
    daemon.signal(rustix::process::Signal::HUP);
    let refused =
        || (sample(&metrics(), "minuted_config_last_reload_successful") == Some(0.0)).then_some(());
    until("the configuration was refused", refused);
}

#[test]
fn metrics_need_the_token_where_others_than_this_machine_reach_the_port() {
    let (house, port) = (House::new(), free_port());
    let table =
        format!("{}url = \"http://localhost:{port}\"\nbehind_proxy = true\n", http_table(port));
    house.configure_all("", "", &table);
    let _daemon = house.start();
    let api = Api::enter(&house, port);
    let answer = api.page.ask("GET", "/metrics", &[], b"");
    assert_eq!(
        (answer.code, answer.header("content-type")),
        (401, Some("application/problem+json"))
    );
    let bearer = format!("Bearer {}", api.token);
    assert_eq!(api.page.ask("GET", "/metrics", &[("authorization", &bearer)], b"").code, 200);
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_numbers_that_are_there() {
    let (house, port) = house_with_api();
    let _daemon = house.start();
    let api = Api::enter(&house, port);
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    assert!(house.run(&["pause", "sales"]).status.success());
    house.drop_recording("next.mp3");
    house.wait_until_waits("next.mp3", "folder");
    let text = api.page.ask("GET", "/metrics", &[], b"").body;
    let families: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut asked = BTreeSet::new();
    for name in ["grafana-dashboard.json", "prometheus-alerts.yml"] {
        let text = fs::read_to_string(root.join(name)).expect("read");
        let words = text.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
        let names = words.filter(|word| word.starts_with("minuted_")).map(|word| {
            let endings = ["_total", "_bucket", "_count", "_sum"];
            endings.iter().find_map(|ending| word.strip_suffix(ending)).unwrap_or(word).to_owned()
        });
        asked.extend(names);
    }
    assert!(asked.len() >= 10, "{asked:?}");
    let missing: Vec<_> = asked.iter().filter(|name| !families.contains(name.as_str())).collect();
    assert!(missing.is_empty(), "{missing:?}: {families:?}");
    let alerts = fs::read_to_string(root.join("prometheus-alerts.yml")).expect("read");
    assert_eq!(alerts.matches("- alert: ").count(), 5);
    serde_json::from_str::<Value>(
        &fs::read_to_string(root.join("grafana-dashboard.json")).expect("read"),
    )
    .expect("JSON");
}

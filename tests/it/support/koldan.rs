//! Koldan with state: files, their transcriptions and the summaries of those, templates, limits, rights. It does what its
//! documents say, counts what it was asked to do, and fails where it is told to.

use std::{collections::BTreeSet, sync::MutexGuard};

use serde_json::{Value, json};

use super::{
    openai::{Sent, taken_apart},
    server::{Answer, Request, Server, header},
};

/// The key that it takes.
pub(crate) const KEY: &str = "kk-canary-77c1";

/// The calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Files,
    Transcriptions,
    Transcription,
    Upload,
    Templates,
    Summaries,
    Summarise,
    Summary,
    Result,
    Cancel,
    Delete,
    Quotas,
}

/// What happens instead of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// This status with this body; nothing is done.
    Status(u16, Value),
    /// This status, with so many seconds to wait; nothing is done.
    RetryAfter(u16, u32),
    /// The work is done, and the connection closed without a word.
    Lost,
    /// Status 200 with this body; nothing is done.
    Says(String),
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Rights {
    #[default]
    Full,
    /// Reading alone.
    Viewer,
    /// A key without scopes.
    Nothing,
}

/// A file of the account.
#[derive(Debug, Clone)]
pub(crate) struct File {
    pub(crate) id: String,
    pub(crate) sha256: String,
    pub(crate) sent: Sent,
}

/// A transcription or a summary.
#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) id: String,
    /// The file of a transcription, the transcription of a summary.
    pub(crate) of: String,
    /// The template of a summary.
    pub(crate) template: String,
    /// Looks that it takes until it is done.
    pub(crate) left: u32,
    /// Whether it fails in the end.
    pub(crate) fails: bool,
    /// Whether it was cancelled before its end.
    pub(crate) cancelled: bool,
    /// Deleted, and whether it was purged.
    pub(crate) gone: Option<bool>,
}

impl Work {
    fn status(&self) -> &'static str {
        match (self.left, self.fails) {
            _ if self.cancelled => "CANCELLED",
            (0, true) => "FAILED",
            (0, false) => "COMPLETED",
            (1, _) => "IN_PROGRESS",
            _ => "PENDING",
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.status() == "COMPLETED"
    }
}

/// What the server is and has seen.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) key: String,
    pub(crate) rights: Rights,
    pub(crate) files: Vec<File>,
    pub(crate) transcriptions: Vec<Work>,
    pub(crate) summaries: Vec<Work>,
    /// Id and name, and whether it is assigned.
    pub(crate) templates: Vec<(String, String, bool)>,
    /// What is left of the minutes; `None` tells no limits.
    pub(crate) minutes_left: Option<i64>,
    /// Looks that each new work takes.
    pub(crate) looks: u32,
    /// Looks that a summary takes, where that is another number.
    pub(crate) summary_looks: Option<u32>,
    /// The next so many transcriptions and summaries fail.
    pub(crate) bad_transcriptions: u32,
    pub(crate) bad_summaries: u32,
    /// What is heard in every recording, and what every summary says.
    pub(crate) heard: Value,
    pub(crate) says: String,
    /// Lists take no notice of filters, and tell nothing but ids and what they belong to.
    pub(crate) ignores_filters: bool,
    /// Lists of summaries are without their texts.
    pub(crate) lists_no_texts: bool,
    pub(crate) calls: Vec<Call>,
    /// All keys that came.
    pub(crate) keys: BTreeSet<String>,
    once: Vec<(Call, Fault)>,
    always: Vec<(Call, Fault)>,
}

/// The server; it ends with this value.
pub(crate) struct Koldan(Server<State>);

impl Koldan {
    /// Starts a server with two templates that hears three sentences in every recording.
    pub(crate) fn start() -> Self {
        let state = State {
            key: KEY.to_owned(),
            templates: vec![
                ("5a1c".to_owned(), "Protocol".to_owned(), true),
                ("77".to_owned(), "Action items".to_owned(), false),
            ],
            looks: 2,
            heard: json!({"text": "Good morning.\n\nWe decided to ship on Friday.\n\nAnn will tell Bo."}),
            says: "Decisions\n- ship on *Friday*\n\nAnn tells Bo.".to_owned(),
            ..State::default()
        };
        Self(Server::start(state, answer))
    }

    /// Its address.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.0.address())
    }

    /// What it is and has seen.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.state()
    }

    /// The next call of this kind fails so.
    pub(crate) fn fail_next(&self, call: Call, fault: Fault) {
        self.state().once.push((call, fault));
    }

    /// Every call of this kind fails so.
    pub(crate) fn fail_always(&self, call: Call, fault: Fault) {
        self.state().always.push((call, fault));
    }

    /// Nothing fails any more.
    pub(crate) fn clear_faults(&self) {
        self.state().always.clear();
    }

    /// How often a call was made.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.state().calls.iter().filter(|made| **made == call).count()
    }

    /// How many files, transcriptions and summaries there are or were.
    pub(crate) fn made(&self) -> (usize, usize, usize) {
        let state = self.state();
        (state.files.len(), state.transcriptions.len(), state.summaries.len())
    }
}

fn says(status: u16, body: &Value) -> Answer {
    Answer::json(status, String::new(), body.to_string())
}

fn refusal(status: u16, code: &str) -> Answer {
    says(status, &json!({"code": code, "message": format!("refused: {code}")}))
}

/// A call as it is routed: its kind, the id in its path, its query.
struct Routed {
    call: Call,
    id: String,
    query: Vec<(String, String)>,
}

impl Routed {
    fn of(line: &str) -> Option<Self> {
        let (method, rest) = line.rsplit_once(' ')?.0.split_once(' ')?;
        let address = url::Url::parse(&format!("http://x{rest}")).ok()?;
        let segments: Vec<&str> = address.path_segments()?.collect();
        let (call, id) = match (method, segments.as_slice()) {
            ("GET", ["api", "v1", "quotas"]) => (Call::Quotas, ""),
            ("GET", ["api", "v1", "session-history", "summary-prompt-templates"]) => {
                (Call::Templates, "")
            }
            ("GET", ["api", "v1", "session-history", "summary-prompt-templates", "assigned"]) => {
                (Call::Templates, "assigned")
            }
            ("GET", ["api", "v1", "speech-services", "files"]) => (Call::Files, ""),
            ("GET", ["api", "v1", "speech-services", "transcriptions"]) => {
                (Call::Transcriptions, "")
            }
            ("POST", ["api", "v1", "speech-services", "transcriptions", "upload"]) => {
                (Call::Upload, "")
            }
            ("GET", ["api", "v1", "speech-services", "transcriptions", id]) => {
                (Call::Transcription, *id)
            }
            ("GET", ["api", "v1", "speech-services", "summaries"]) => (Call::Summaries, ""),
            ("POST", ["api", "v1", "speech-services", "summaries"]) => (Call::Summarise, ""),
            ("GET", ["api", "v1", "speech-services", "summaries", id]) => (Call::Summary, *id),
            ("GET", ["api", "v1", "speech-services", "summaries", id, "result"]) => {
                (Call::Result, *id)
            }
            ("POST", ["api", "v1", "speech-services", "summaries", id, "cancel"]) => {
                (Call::Cancel, *id)
            }
            ("DELETE", ["api", "v1", "speech-services", "transcriptions" | "summaries", id]) => {
                (Call::Delete, *id)
            }
            _ => return None,
        };
        let id = id.to_owned();
        Some(Self { call, id, query: address.query_pairs().into_owned().collect() })
    }

    fn filter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn changes_something(&self) -> bool {
        matches!(self.call, Call::Upload | Call::Summarise | Call::Cancel | Call::Delete)
    }
}

/// Does the work, and says what is answered; `None` where the answer is lost.
fn answer(state: &mut State, (line, headers, body): &Request) -> Option<Answer> {
    let key = header(headers, "x-api-key").unwrap_or_default().to_owned();
    assert_eq!(header(headers, "authorization"), None, "the key has one header");
    state.keys.insert(key.clone());
    let Some(routed) = Routed::of(line) else { return Some(refusal(404, "NO_SUCH_PLACE")) };
    state.calls.push(routed.call);
    if key != state.key {
        // Some servers say back what they refuse.
        return Some(refusal(401, &format!("INVALID_KEY {key}")));
    }
    if state.rights == Rights::Nothing
        || state.rights == Rights::Viewer && routed.changes_something()
    {
        return Some(refusal(403, "ACCESS_DENIED"));
    }
    let once =
        state.once.iter().position(|(of, _)| *of == routed.call).map(|at| state.once.remove(at).1);
    let always =
        || state.always.iter().find(|(of, _)| *of == routed.call).map(|(_, fault)| fault.clone());
    match once.or_else(always) {
        Some(Fault::Status(status, body)) => Some(says(status, &body)),
        Some(Fault::RetryAfter(status, wait)) => Some(Answer::json(
            status,
            format!("Retry-After: {wait}\r\n"),
            json!({"message": "rate limited"}).to_string(),
        )),
        Some(Fault::Says(body)) => Some(Answer::json(200, String::new(), body)),
        Some(Fault::Lost) => {
            do_it(state, &routed, headers, body);
            None
        }
        None => Some(do_it(state, &routed, headers, body)),
    }
}

fn do_it(state: &mut State, routed: &Routed, headers: &[(String, String)], body: &[u8]) -> Answer {
    match routed.call {
        Call::Quotas => match state.minutes_left {
            Some(left) => says(
                200,
                &json!({"transcriptionMinutes": {"limit": 600, "used": 600 - left, "available": left},
                "users": {"limit": 1, "used": 1, "available": 0}}),
            ),
            None => refusal(404, "NOT_FOUND"),
        },
        Call::Templates => templates(state, routed),
        Call::Files => files(state, routed),
        Call::Transcriptions => {
            listed(&state.transcriptions, "fileId", state.ignores_filters, routed, &Value::Null)
        }
        Call::Summaries => {
            let result =
                if state.lists_no_texts { Value::Null } else { json!({ "text": state.says }) };
            look(&mut state.summaries, routed.filter("transcriptionId"));
            listed(&state.summaries, "transcriptionId", state.ignores_filters, routed, &result)
        }
        Call::Upload => upload(state, headers, body),
        Call::Summarise => summarise(state, body),
        Call::Transcription => {
            let result = state.heard.clone();
            one(&mut state.transcriptions, routed, "fileId", &result)
        }
        Call::Summary => {
            let result = json!({"text": state.says, "usage": {"totalTokens": 7}});
            one(&mut state.summaries, routed, "transcriptionId", &result)
        }
        Call::Result => refusal(404, "NOT_FOUND"),
        Call::Cancel => cancel(state, routed),
        Call::Delete => delete(state, routed),
    }
}

fn templates(state: &State, routed: &Routed) -> Answer {
    let wanted = |assigned: bool| routed.id.is_empty() || assigned;
    let all = state.templates.iter().filter(|(_, _, assigned)| wanted(*assigned));
    let page = routed.filter("page").unwrap_or("0") == "0";
    let shown: Vec<Value> =
        all.filter(|_| page).map(|(id, name, _)| json!({"uuid": id, "name": name})).collect();
    // One list is bare, the other is in an envelope.
    says(
        200,
        &if routed.id.is_empty() {
            json!({"content": shown, "totalElements": shown.len()})
        } else {
            json!(shown)
        },
    )
}

fn files(state: &State, routed: &Routed) -> Answer {
    let wanted = routed.filter("sha256").expect("a hash");
    assert_eq!(wanted.len(), 64);
    let shown =
        state.files.iter().filter(|file| state.ignores_filters || file.sha256 == wanted).map(
            |file| {
                let tags: Value =
                    serde_json::from_str(file.sent.field("tags").unwrap_or("[]")).expect("JSON");
                let mut entry = json!({"id": file.id, "name": file.sent.name, "tags": tags});
                if !state.ignores_filters {
                    entry["sha256"] = json!(file.sha256);
                }
                entry
            },
        );
    says(200, &json!({ "content": shown.collect::<Vec<_>>() }))
}

/// Each look at a work brings it on.
fn look(works: &mut [Work], of: Option<&str>) {
    for work in works.iter_mut().filter(|work| of.is_none_or(|of| work.of == of)) {
        work.left = work.left.saturating_sub(1);
    }
}

fn shown(work: &Work, parent: &str, result: &Value) -> Value {
    let mut shown = json!({"id": work.id, "status": work.status(), parent: work.of});
    if !work.template.is_empty() {
        shown["promptTemplateId"] = json!(work.template);
    }
    if work.status() == "FAILED" {
        shown["errorCode"] = json!("SUMMARIZATION_FAILED");
        shown["errors"] = json!([{"code": "SUMMARIZATION_FAILED", "message": "the model gave up", "timestamp": "t"}]);
    } else if work.is_done() && !result.is_null() {
        shown["result"] = result.clone();
    }
    shown
}

fn listed(works: &[Work], parent: &str, ignores: bool, routed: &Routed, result: &Value) -> Answer {
    let is_it = |work: &&Work| {
        ignores
            || routed.filter(parent).is_none_or(|of| work.of == of)
                && routed
                    .filter("promptTemplateId")
                    .is_none_or(|template| work.template == template)
    };
    let there = works.iter().filter(|work| work.gone.is_none()).filter(is_it);
    let shown: Vec<Value> = there.map(|work| shown(work, parent, result)).collect();
    says(200, &json!({"items": shown}))
}

fn one(works: &mut [Work], routed: &Routed, parent: &str, result: &Value) -> Answer {
    let Some(work) = works.iter_mut().find(|work| work.id == routed.id) else {
        return refusal(404, "NOT_FOUND");
    };
    match work.gone {
        Some(true) => return refusal(410, "PURGED"),
        Some(false) => return refusal(404, "NOT_FOUND"),
        None => {}
    }
    work.left = work.left.saturating_sub(1);
    says(200, &shown(work, parent, result))
}

fn upload(state: &mut State, headers: &[(String, String)], body: &[u8]) -> Answer {
    let kind = header(headers, "content-type").expect("a content type");
    let sent = taken_apart(kind.split_once("boundary=").expect("multipart").1, body);
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &sent.bytes);
    let sha256 = hash.as_ref().iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    let file = format!("file {}", state.files.len());
    let fails = state.bad_transcriptions > 0;
    state.bad_transcriptions = state.bad_transcriptions.saturating_sub(1);
    let id = format!("tr-{}", state.transcriptions.len());
    let (left, template, of) = (state.looks, String::new(), file.clone());
    state.transcriptions.push(Work {
        id: id.clone(),
        of,
        template,
        left,
        fails,
        cancelled: false,
        gone: None,
    });
    state.files.push(File { id: file.clone(), sha256, sent });
    says(201, &json!({"file": {"id": file}, "transcription": {"id": id, "status": "PENDING"}}))
}

fn summarise(state: &mut State, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let Some(of) = body["transcriptionId"].as_str() else { return refusal(400, "VALIDATION") };
    let template = body["promptTemplateId"].as_str().expect("a template");
    let transcription =
        state.transcriptions.iter().find(|work| work.id == of && work.gone.is_none());
    match transcription {
        None => return refusal(404, "TRANSCRIPTION_NOT_FOUND"),
        Some(work) if !work.is_done() => return refusal(400, "TRANSCRIPTION_NOT_COMPLETED"),
        Some(_) => {}
    }
    if !state.templates.iter().any(|(id, _, _)| id == template) {
        return refusal(404, "PROMPT_TEMPLATE_NOT_FOUND");
    }
    let fails = state.bad_summaries > 0;
    state.bad_summaries = state.bad_summaries.saturating_sub(1);
    let id = format!("su-{}", state.summaries.len());
    let (of, template) = (of.to_owned(), template.to_owned());
    state.summaries.push(Work {
        id: id.clone(),
        of,
        template,
        left: state.summary_looks.unwrap_or(state.looks),
        fails,
        cancelled: false,
        gone: None,
    });
    says(201, &json!({"id": id, "status": "PENDING"}))
}

fn cancel(state: &mut State, routed: &Routed) -> Answer {
    let Some(work) = state.summaries.iter_mut().find(|work| work.id == routed.id) else {
        return refusal(404, "NOT_FOUND");
    };
    if work.left == 0 || work.cancelled {
        return refusal(409, "NOT_IN_PROGRESS");
    }
    work.cancelled = true;
    Answer::json(204, String::new(), String::new())
}

fn delete(state: &mut State, routed: &Routed) -> Answer {
    let works = state.transcriptions.iter_mut().chain(&mut state.summaries);
    let Some(work) = works.into_iter().find(|work| work.id == routed.id) else {
        return refusal(404, "NOT_FOUND");
    };
    if work.gone.is_some() {
        return refusal(404, "NOT_FOUND");
    }
    if work.left > 0 {
        return refusal(409, "IN_PROGRESS");
    }
    work.gone = Some(routed.filter("purge") == Some("true"));
    Answer::json(204, String::new(), String::new())
}

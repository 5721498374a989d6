//! A SaLED with state and its quirks: jobs live in its memory and are gone when it restarts, a job that it does not know
//! is 200 `not_found` here and 404 there, an address without its slash is 307, what is not audio is 400.

use std::sync::MutexGuard;

use serde_json::{Value, json};

use super::{
    openai::{Sent, taken_apart},
    server::{Answer, Request, Server, header},
};

/// What happens instead of the answer to a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// This status with this `detail`.
    Status(u16, &'static str),
    /// The work is done, and the connection closed without a word.
    Lost,
    /// This body with status 200.
    Body(String),
}

/// What is done in a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    Transcription,
    Summary,
}

/// A job in the server's memory.
#[derive(Debug, Clone)]
struct Job {
    id: String,
    work: Work,
    name: String,
    progress: u64,
    /// Why it fails.
    fails: Option<String>,
}

/// What the server is and has seen.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The result of every transcription.
    pub(crate) transcription: Value,
    /// The result of every summary.
    pub(crate) summary: Value,
    /// What the chat says.
    pub(crate) says: Value,
    /// The answer about models that transcribe.
    pub(crate) models: Value,
    /// The answer about models that chat.
    pub(crate) chat_models: Value,
    /// Jobs of this kind get no further than to 40.
    pub(crate) held: Option<Work>,
    /// How much further each look finds a job.
    pub(crate) step: u64,
    /// New jobs of this kind fail, and say so.
    pub(crate) fails: Option<(Work, String)>,
    /// Whether its list tells the names of files.
    pub(crate) lists_names: bool,
    /// What every id begins with.
    pub(crate) id_prefix: String,
    /// All recordings that came whole.
    pub(crate) sent: Vec<Sent>,
    /// All summaries that were asked for.
    pub(crate) summaries: Vec<Value>,
    /// All questions to the chat.
    pub(crate) chats: Vec<Value>,
    /// The calls that were made: method and path.
    pub(crate) calls: Vec<String>,
    jobs: Vec<Job>,
    last: u32,
    once: Vec<(String, Fault)>,
    always: Vec<(String, Fault)>,
}

/// The server; it ends with this value.
pub(crate) struct Saled(Server<State>);

impl Saled {
    /// Starts a server that hears two people in every recording.
    pub(crate) fn start() -> Self {
        let state = State {
            transcription: transcription(&[
                "Good morning.",
                "We decided to ship on Friday.",
                "Ann will tell Bo.",
            ]),
            summary: json!({"summary": "They ship on Friday.", "topics": ["Shipping"], "length": 4, "model_used": "m"}),
            says: json!({"message": {"role": "assistant", "content": "- the otters ship"}, "model_used": "m", "usage": {}}),
            models: json!({"models": [
                {"name": "tiny.en", "full_name": "Tiny", "is_downloaded": true, "size_mb": 75, "description": "small"},
                {"name": "base", "full_name": "Base", "is_downloaded": false, "size_mb": 150, "description": "larger"},
            ]}),
            chat_models: json!({"models": [{"name": "cold", "is_downloaded": false}, {"name": "talker"}]}),
            lists_names: true,
            step: 40,
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

    /// The next call whose method and path begin so fails so.
    pub(crate) fn fail_next(&self, call: &str, fault: Fault) {
        self.state().once.push((call.to_owned(), fault));
    }

    /// Every call whose method and path begin so fails so.
    pub(crate) fn fail_always(&self, call: &str, fault: Fault) {
        self.state().always.push((call.to_owned(), fault));
    }

    /// Nothing fails any more.
    pub(crate) fn clear_faults(&self) {
        self.state().always.clear();
    }

    /// Its memory is lost.
    pub(crate) fn restart(&self) {
        self.state().jobs.clear();
    }

    /// How many calls began so.
    pub(crate) fn count(&self, call: &str) -> usize {
        self.state().calls.iter().filter(|made| made.starts_with(call)).count()
    }
}

/// A transcription of these sentences, two seconds each, by two people in turn.
pub(crate) fn transcription(sentences: &[&str]) -> Value {
    let segment = |(n, text): (usize, &&str)| {
        json!({"start": 2 * n, "end": 2 * n + 2, "text": text, "speaker": format!("Speaker {}", n % 2 + 1),
            "speaker_confidence": 0.9, "start_display": "x", "end_display": "y"})
    };
    let segments: Vec<Value> = sentences.iter().enumerate().map(segment).collect();
    json!({"segments": segments, "text": sentences.join(" "), "language": "en", "audio_duration": 2 * sentences.len()})
}

fn said(status: u16, body: &Value) -> Answer {
    Answer::json(status, String::new(), body.to_string())
}

fn answer(state: &mut State, (line, headers, body): &Request) -> Option<Answer> {
    let call = line.rsplit_once(' ').expect("a request line").0;
    state.calls.push(call.to_owned());
    let once = state
        .once
        .iter()
        .position(|(of, _)| call.starts_with(of))
        .map(|at| state.once.remove(at).1);
    let always =
        || state.always.iter().find(|(of, _)| call.starts_with(of)).map(|(_, fault)| fault.clone());
    match once.or_else(always) {
        Some(Fault::Status(status, detail)) => Some(said(status, &json!({"detail": detail}))),
        Some(Fault::Body(body)) => Some(Answer::json(200, String::new(), body)),
        Some(Fault::Lost) => {
            work(state, call, headers, body);
            None
        }
        None => Some(work(state, call, headers, body)),
    }
}

fn work(state: &mut State, call: &str, headers: &[(String, String)], body: &[u8]) -> Answer {
    let (method, path) = call.split_once(' ').expect("a method");
    let parts: Vec<String> = path.trim_start_matches('/').split('/').map(decoded).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match (method, parts.as_slice()) {
        ("GET", ["health"]) => {
            said(200, &json!({"status": "healthy", "timestamp": "2026-01-01T00:00:00"}))
        }
        ("GET", ["api", "transcribe", "models"]) => said(200, &state.models),
        ("GET", ["api", "chat", "models"]) => said(200, &state.chat_models),
        ("POST", ["api", "transcribe" | "summary" | "chat"]) => {
            Answer::json(307, format!("Location: {path}/\r\n"), String::new())
        }
        ("POST", ["api", "transcribe", ""]) => transcribe(state, headers, body),
        ("GET", ["api", "transcribe", "jobs"]) => listed(state),
        ("GET", ["api", "transcribe", "status", id]) => {
            let unknown = json!({"job_id": id, "status": "not_found", "message": "Job not found", "progress": 0});
            status(state, Work::Transcription, id).unwrap_or_else(|| said(200, &unknown))
        }
        ("GET", ["api", "transcribe", "result", id]) => match known(state, Work::Transcription, id)
        {
            Some(job) if job.progress == 100 => said(200, &state.transcription),
            Some(_) => said(400, &json!({"detail": "not completed"})),
            None => said(404, &json!({"detail": "Job not found"})),
        },
        ("POST", ["api", "summary", ""]) => {
            state.summaries.push(serde_json::from_slice(body).expect("JSON"));
            submitted(state, Work::Summary, "")
        }
        ("GET", ["api", "summary", "status", id]) => {
            status(state, Work::Summary, id).unwrap_or_else(not_there)
        }
        ("GET", ["api", "summary", id]) => match known(state, Work::Summary, id) {
            Some(job) if job.progress == 100 => said(200, &state.summary),
            Some(_) | None => not_there(),
        },
        ("POST", ["api", "chat", ""]) => {
            state.chats.push(serde_json::from_slice(body).expect("JSON"));
            said(200, &state.says)
        }
        _ => said(404, &json!({"detail": "Not Found"})),
    }
}

fn not_there() -> Answer {
    said(404, &json!({"detail": "Summary job not found"}))
}

fn transcribe(state: &mut State, headers: &[(String, String)], body: &[u8]) -> Answer {
    let kind = header(headers, "content-type").expect("a content type");
    let sent = taken_apart(kind.split_once("boundary=").expect("multipart").1, body);
    if !sent.mime.starts_with("audio/") && !sent.mime.starts_with("video/") {
        return said(400, &json!({"detail": "File must be an audio file"}));
    }
    let name = sent.name.clone();
    state.sent.push(sent);
    submitted(state, Work::Transcription, &name)
}

fn submitted(state: &mut State, work: Work, name: &str) -> Answer {
    state.last += 1;
    let id = format!("{}{}", state.id_prefix, state.last);
    let fails = state.fails.as_ref().filter(|(of, _)| *of == work).map(|(_, why)| why.clone());
    state.jobs.push(Job { id: id.clone(), work, name: name.to_owned(), progress: 0, fails });
    said(200, &json!({"job_id": id, "status": "processing", "message": "started"}))
}

fn listed(state: &State) -> Answer {
    let jobs = state.jobs.iter().filter(|job| job.work == Work::Transcription);
    let entry = |job: &Job| {
        let mut entry = json!({"job_id": job.id, "status": word(job), "progress": job.progress});
        if state.lists_names {
            entry["filename"] = job.name.clone().into();
        }
        entry
    };
    let jobs: Vec<Value> = jobs.map(entry).collect();
    said(200, &json!({"count": jobs.len(), "jobs": jobs}))
}

fn word(job: &Job) -> &'static str {
    match job.progress {
        100 if job.fails.is_some() => "failed",
        100 => "completed",
        _ => "processing",
    }
}

fn known<'a>(state: &'a State, work: Work, id: &str) -> Option<&'a Job> {
    state.jobs.iter().find(|job| job.work == work && job.id == id)
}

/// Each look finds a job further.
fn status(state: &mut State, work: Work, id: &str) -> Option<Answer> {
    let most = if state.held == Some(work) { 40 } else { 100 };
    let job = state.jobs.iter_mut().find(|job| job.work == work && job.id == id)?;
    job.progress = job.progress.max((job.progress + state.step).min(most));
    let message =
        job.fails.clone().filter(|_| job.progress == 100).unwrap_or_else(|| "working".to_owned());
    Some(said(
        200,
        &json!({"job_id": id, "status": word(job), "message": message, "progress": job.progress}),
    ))
}

/// A segment of a path without its percent signs.
fn decoded(segment: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), segment.as_bytes());
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'%' {
            let (hex, more) = more.split_at(2);
            bytes.push(
                u8::from_str_radix(std::str::from_utf8(hex).expect("ASCII"), 16).expect("hex"),
            );
            rest = more;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).expect("UTF-8")
}

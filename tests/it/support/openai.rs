//! A server of OpenAI's shape with state: it takes recordings apart as they were sent, transcribes all of them alike,
//! answers as a model would, keeps what it was asked, and fails where it is told to. It may be as rude as real ones are: any
//! status for a wrong key, an unknown model and a damaged file, limits of calls, and a proxy before it with pages of HTML.

use std::{
    sync::MutexGuard,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::server::{Answer, Request, Server, header};

/// The three calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Models,
    Transcribe,
    Chat,
}

/// What happens instead of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// This status with this body, after the whole request was read.
    Status(u16, String),
    /// This status, with so many seconds to wait.
    RetryAfter(u16, u32),
    /// The work is done, and the connection closed without a word.
    Lost,
    /// A page with status 200.
    Page,
    /// The page of a proxy with this status.
    Proxy(u16),
}

/// So many calls in so long a time, and what is answered to more.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) calls: usize,
    pub(crate) within: Duration,
    pub(crate) answer: Fault,
    /// When the calls of now were made.
    pub(crate) made: Vec<Instant>,
}

/// What marks a recording as damaged: [`super::house::recording`] puts the name of each into its bytes.
const DAMAGED: &[u8] = b"minuted test damaged";

/// A recording as it was sent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Sent {
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) name: String,
    pub(crate) mime: String,
    pub(crate) bytes: Vec<u8>,
}

impl Sent {
    /// A form field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A question as it was put to the model.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) model: String,
    pub(crate) system: String,
    pub(crate) user: String,
    /// The whole question.
    pub(crate) body: Value,
}

/// The programs behind the interface, each with its own words.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Shape {
    /// A server that transcribes and chats.
    #[default]
    Both,
    /// Ollama: it only chats.
    Ollama,
    /// `llama-server` of llama.cpp: it only chats, with whatever model it was started with.
    Llama,
}

/// What a model does with a question for items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It names what was said and where.
    #[default]
    Honest,
    /// It names what was said, and other lines.
    WrongLines,
    /// It adds items, owners, dates and numbers that nobody said.
    Invents,
    /// It says one item again and again.
    Loops,
    /// It talks before and behind the JSON.
    Prose,
    /// Its answer ends in the middle.
    CutOff,
    /// It writes Markdown, whatever it was asked.
    Markdown,
    /// It spends its limit on reasoning.
    Reasons,
}

impl Asked {
    /// Whether it asks for items.
    pub(crate) fn is_for_items(&self) -> bool {
        self.system.contains("\"decisions\"")
    }

    /// Whether it asks for the merged summary.
    pub(crate) fn is_for_summary(&self) -> bool {
        self.system.contains("{\"summary\"")
    }

    /// The lines of a transcript in it.
    pub(crate) fn transcript(&self) -> Vec<&str> {
        let framed = self
            .user
            .split_once("<transcript>\n")
            .and_then(|(_, rest)| rest.split_once("\n</transcript>"));
        framed.map(|(lines, _)| lines.lines().collect()).unwrap_or_default()
    }
}

/// What the server is and has seen.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The key that it asks for.
    pub(crate) key: Option<String>,
    /// The models that it lists; `None` knows no list.
    pub(crate) models: Option<Vec<String>>,
    /// The transcription of every recording.
    pub(crate) transcription: Value,
    /// Refuses words to expect with this status.
    pub(crate) refuses_prompt: Option<u16>,
    /// Refuses `verbose_json` with this status.
    pub(crate) refuses_times: Option<u16>,
    /// What a wrong key is answered; 401 with a message unless said.
    pub(crate) wrong_key: Option<Fault>,
    /// Whether the list of models asks for the key too.
    pub(crate) lists_for_all: bool,
    /// What a model that is not listed is answered.
    pub(crate) unknown_model: Option<Fault>,
    /// What a damaged recording is answered: see [`super::house::recording`] and `DAMAGED`.
    pub(crate) damaged: Option<Fault>,
    /// The calls that are allowed.
    pub(crate) limit: Option<Limit>,
    /// Longer questions do not fit its window.
    pub(crate) window_bytes: Option<usize>,
    /// What the model says; `None` tells which lines it was given.
    pub(crate) says: Option<Value>,
    /// What it does with a question for items.
    pub(crate) manner: Manner,
    /// The program that it is.
    pub(crate) shape: Shape,
    /// The fields of a question that it refuses, with the status.
    pub(crate) refuses_fields: Vec<(&'static str, u16)>,
    /// All recordings that came whole.
    pub(crate) sent: Vec<Sent>,
    /// All questions that fit.
    pub(crate) asked: Vec<Asked>,
    /// The calls that were made.
    pub(crate) calls: Vec<Call>,
    once: Vec<(Call, Fault)>,
    always: Vec<(Call, Fault)>,
}

/// The server; it ends with this value.
pub(crate) struct OpenAi(Server<State>);

impl OpenAi {
    /// Starts a server that hears three sentences in every recording.
    pub(crate) fn start() -> Self {
        let state = State {
            models: Some(vec!["whisper-1".into(), "writer".into()]),
            transcription: transcription(&[
                "Good morning.",
                "We decided to ship on Friday.",
                "Ann will tell Bo.",
            ]),
            ..State::default()
        };
        Self(Server::start(state, answer))
    }

    /// Its address, as most people write it.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.0.address())
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
}

/// A transcription of these sentences, two seconds each.
pub(crate) fn transcription(sentences: &[&str]) -> Value {
    let segments = sentences
        .iter()
        .zip(0..)
        .map(|(text, n)| json!({"start": 2 * n, "end": 2 * n + 2, "text": text}));
    json!({"task": "transcribe", "text": sentences.join(" "), "segments": segments.collect::<Vec<_>>()})
}

fn json_answer(status: u16, body: &Value) -> Answer {
    Answer::json(status, String::new(), body.to_string())
}

fn refusal(status: u16, message: &str) -> Answer {
    json_answer(status, &json!({"error": {"message": message}}))
}

/// Does the work, and says what is answered; `None` where the answer is lost.
fn answer(state: &mut State, (line, headers, body): &Request) -> Option<Answer> {
    let call = match line.rsplit_once(' ').expect("a request line").0 {
        "GET /v1/models" if state.models.is_some() => Call::Models,
        "POST /v1/audio/transcriptions" => Call::Transcribe,
        "POST /v1/chat/completions" => Call::Chat,
        _ => return Some(refusal(404, "no such place")),
    };
    state.calls.push(call);
    let bearer = header(headers, "authorization").and_then(|value| value.strip_prefix("Bearer "));
    let is_asked_for = state.key.is_some() && !(state.lists_for_all && call == Call::Models);
    if is_asked_for && state.key.as_deref() != bearer {
        if let Some(fault) = state.wrong_key.clone() {
            return refused(&fault);
        }
        // Some servers say back what they refuse.
        return Some(refusal(
            401,
            &format!("Incorrect API key provided: {}", bearer.unwrap_or("none")),
        ));
    }
    let once = state.once.iter().position(|(of, _)| *of == call).map(|at| state.once.remove(at).1);
    let always = || state.always.iter().find(|(of, _)| *of == call).map(|(_, fault)| fault.clone());
    let fault = once.or_else(always);
    if let Some(fault) = fault.as_ref().filter(|fault| **fault != Fault::Lost) {
        return refused(fault);
    }
    if let Some(limit) = &mut state.limit {
        limit.made.retain(|made| made.elapsed() < limit.within);
        if limit.made.len() >= limit.calls {
            return refused(&limit.answer);
        }
        limit.made.push(Instant::now());
    }
    if call == Call::Transcribe && state.shape != Shape::Both {
        return Some(match state.shape {
            Shape::Llama => {
                let error =
                    json!({"code": 404, "message": "File Not Found", "type": "not_found_error"});
                json_answer(404, &json!({ "error": error }))
            }
            Shape::Ollama | Shape::Both => {
                let body = "404 page not found".to_owned();
                Answer { status: 404, more: String::new(), kind: "text/plain", body }
            }
        });
    }
    if call == Call::Transcribe
        && !header(headers, "content-type").is_some_and(|kind| kind.contains("boundary="))
    {
        return Some(refusal(422, "file: field required"));
    }
    let answered = match call {
        Call::Models => {
            let models = state.models.iter().flatten().map(|id| json!({"id": id}));
            json_answer(200, &json!({"object": "list", "data": models.collect::<Vec<_>>()}))
        }
        Call::Transcribe => transcribe(state, headers, body)?,
        Call::Chat => chat(state, body),
    };
    fault.is_none().then_some(answered)
}

/// What a fault answers; `None` is an answer that is lost.
fn refused(fault: &Fault) -> Option<Answer> {
    match fault {
        Fault::Status(status, body) => Some(Answer::json(*status, String::new(), body.clone())),
        Fault::RetryAfter(status, wait) => {
            Some(Answer::json(*status, format!("Retry-After: {wait}\r\n"), "{}".into()))
        }
        Fault::Page => {
            let (more, body) = (String::new(), "<h1>Welcome</h1>".into());
            Some(Answer { status: 200, more, kind: "text/html", body })
        }
        Fault::Proxy(status) => {
            let said = match status {
                502 => "502 Bad Gateway",
                503 => "503 Service Temporarily Unavailable",
                504 => "504 Gateway Time-out",
                _ => "An Error",
            };
            let body = format!(
                "<html>\r\n<head><title>{said}</title></head>\r\n<body>\r\n<center><h1>{said}</h1></center>\r\n\
                 <hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n"
            );
            Some(Answer { status: *status, more: String::new(), kind: "text/html", body })
        }
        Fault::Lost => None,
    }
}

fn transcribe(state: &mut State, headers: &[(String, String)], body: &[u8]) -> Option<Answer> {
    let kind = header(headers, "content-type").expect("a content type");
    let sent = taken_apart(kind.split_once("boundary=").expect("multipart").1, body);
    let with_times = sent.field("response_format") == Some("verbose_json");
    let has_prompt = sent.field("prompt").is_some();
    let is_damaged = sent.bytes.windows(DAMAGED.len()).any(|window| window == DAMAGED);
    let is_unknown =
        !state.models.iter().flatten().any(|model| Some(model.as_str()) == sent.field("model"));
    state.sent.push(sent);
    if let Some(fault) = state.unknown_model.as_ref().filter(|_| is_unknown) {
        return refused(fault);
    }
    if let Some(fault) = state.damaged.as_ref().filter(|_| is_damaged) {
        return refused(fault);
    }
    if let Some(status) = state.refuses_prompt.filter(|_| has_prompt) {
        return Some(refusal(status, "prompt is not supported by this model"));
    }
    Some(match state.refuses_times.filter(|_| with_times) {
        Some(status) => {
            refusal(status, "response_format 'verbose_json' is not compatible with this model")
        }
        None if with_times => json_answer(200, &state.transcription),
        None => json_answer(200, &json!({"text": state.transcription["text"]})),
    })
}

/// Takes a multipart body apart (RFC 7578).
pub(crate) fn taken_apart(boundary: &str, body: &[u8]) -> Sent {
    let delimiter = format!("\r\n--{boundary}");
    let body = [b"\r\n", body].concat();
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) =
        body[at..].windows(delimiter.len()).position(|window| window == delimiter.as_bytes())
    {
        starts.push((at + found, at + found + delimiter.len()));
        at += found + delimiter.len();
    }
    assert_eq!(
        &body[starts.last().expect("a delimiter").1..],
        b"--\r\n",
        "the closing delimiter is the end"
    );
    let mut sent = Sent::default();
    for pair in starts.windows(2) {
        let part = &body[pair[0].1 + 2..pair[1].0];
        let end = part.windows(4).position(|window| window == b"\r\n\r\n").expect("headers");
        let (head, content) =
            (std::str::from_utf8(&part[..end]).expect("UTF-8"), part[end + 4..].to_vec());
        let value = |name: &str| {
            Some(head.split_once(&format!(" {name}=\""))?.1.split_once('"')?.0.to_owned())
        };
        if let Some(name) = value("filename") {
            let mime = head.split_once("Content-Type: ").expect("a type").1.to_owned();
            sent = Sent { name, mime, bytes: content, ..sent };
        } else {
            sent.fields
                .push((value("name").expect("a name"), String::from_utf8(content).expect("UTF-8")));
        }
    }
    sent
}

fn chat(state: &mut State, body: &[u8]) -> Answer {
    let body: Value = serde_json::from_slice(body).expect("JSON");
    let text =
        |place: &str| body.pointer(place).and_then(Value::as_str).expect("a text").to_owned();
    assert_eq!(
        (text("/messages/0/role"), text("/messages/1/role")),
        ("system".into(), "user".into())
    );
    let system = text("/messages/0/content");
    let asked = Asked {
        model: text("/model"),
        system,
        user: text("/messages/1/content"),
        body: body.clone(),
    };
    let bytes = asked.system.len() + asked.user.len();
    if let Some((field, status)) =
        state.refuses_fields.iter().find(|(field, _)| body.get(field).is_some())
    {
        return refusal(*status, &format!("this model does not do {field}"));
    }
    if state.window_bytes.is_some_and(|window| bytes > window) {
        let error = match state.shape {
            Shape::Llama => json!({"code": 400, "type": "exceed_context_size_error",
                "message": "the request exceeds the available context size", "n_prompt_tokens": bytes / 4, "n_ctx": 1}),
            Shape::Both | Shape::Ollama => {
                json!({"message": "it is longer than the window", "code": "context_length_exceeded"})
            }
        };
        return json_answer(400, &json!({ "error": error }));
    }
    if state.shape == Shape::Ollama
        && !state.models.iter().flatten().any(|model| *model == asked.model)
    {
        let message = format!("model \"{}\" not found, try pulling it first", asked.model);
        let error =
            json!({"message": message, "type": "not_found_error", "param": null, "code": null});
        return json_answer(404, &json!({ "error": error }));
    }
    if state.says.is_none() && (asked.is_for_items() || asked.is_for_summary()) {
        let choice = propose(state.manner, &asked);
        state.asked.push(asked);
        return json_answer(200, &completion(state.shape, &choice, bytes));
    }
    let lines = asked.transcript();
    let said = match (lines.first(), lines.last()) {
        (Some(first), Some(last)) => format!("## Notes\n\n- from {first}\n- to {last}\n"),
        _ => {
            format!("# Minutes\n\nMerged from {} notes.\n", asked.user.matches("## Notes").count())
        }
    };
    state.asked.push(asked);
    let said = state
        .says
        .clone()
        .unwrap_or_else(|| json!({"message": {"content": said}, "finish_reason": "stop"}));
    json_answer(200, &completion(state.shape, &said, bytes))
}

/// An answer with the fields of its own that each program adds.
fn completion(shape: Shape, choice: &Value, bytes: usize) -> Value {
    let mut answer = json!({"choices": [choice], "usage": {"prompt_tokens": bytes / 4}});
    let more = match shape {
        Shape::Both => json!({}),
        Shape::Ollama => {
            json!({"id": "chatcmpl-7", "object": "chat.completion", "system_fingerprint": "fp_ollama"})
        }
        Shape::Llama => {
            json!({"object": "chat.completion", "timings": {"prompt_n": bytes / 4, "predicted_ms": 1.5},
            "__verbose": {"truncated": false}})
        }
    };
    let fields = more.as_object().expect("an object").clone();
    answer.as_object_mut().expect("an object").extend(fields);
    answer
}

/// What a model answers to a question for items, as a choice.
fn propose(manner: Manner, asked: &Asked) -> Value {
    let said = |content: String, reason: &str| json!({"message": {"content": content}, "finish_reason": reason});
    if asked.is_for_summary() {
        // The first sentence of the parts, with its lines.
        let framed = asked.user.split_once("<notes>\n").expect("a frame").1;
        let (lines, text) =
            framed.lines().next().expect("a line").split_once("] ").expect("numbers");
        let lines: Vec<u64> = lines
            .trim_start_matches('[')
            .split(", ")
            .map(|n| n.parse().expect("a number"))
            .collect();
        return said(json!({"summary": [{"lines": lines, "text": text}]}).to_string(), "stop");
    }
    let lines: Vec<(u64, String)> = asked
        .transcript()
        .into_iter()
        .map(|line| line.split_once(' ').expect("a number"))
        .map(|(number, words)| (number.parse().expect("a number"), words.to_owned()))
        .collect();
    let last = lines.last().map_or(1, |(number, _)| *number);
    let cited =
        |number: u64| if manner == Manner::WrongLines { last + 1000 - number } else { number };
    let item = |(number, words): &(u64, String)| json!({"lines": [cited(*number)], "text": words});
    let with = |word: &str| {
        lines.iter().filter(|(_, words)| words.contains(word)).map(item).collect::<Vec<_>>()
    };
    let mut decisions = with("decided");
    let mut actions = with(" will ");
    for action in &mut actions {
        let owner = action["text"]
            .as_str()
            .and_then(|text| text.split_once(" will "))
            .map(|(owner, _)| owner.to_owned());
        action["owner"] = json!(owner);
        action["due"] = json!(null);
    }
    let questions = with("?");
    let summary: Vec<Value> = lines.iter().take(4).map(item).collect();
    if manner == Manner::Invents {
        decisions.push(json!({"lines": [last], "text": "The marketing budget is doubled for the next quarter"}));
        for action in &mut actions {
            action["owner"] = json!("Sandra Bullock");
            action["due"] = json!("by end of day (17:00)");
        }
        decisions.extend(lines.last().map(
            |(number, words)| json!({"lines": [number], "text": format!("{words} at 17:45")}),
        ));
    }
    if manner == Manner::Loops {
        let looped = "we ship it and we ship it and we ship it and we ship it";
        decisions = vec![json!({"lines": [1], "text": looped}); 40];
    }
    let whole =
        json!({"actions": actions, "decisions": decisions, "questions": questions, "summary": summary}).to_string();
    match manner {
        Manner::Honest | Manner::WrongLines | Manner::Invents | Manner::Loops => {
            said(whole, "stop")
        }
        Manner::Prose => {
            said(format!("Sure, here {{they}} are:\n```json\n{whole}\n```\nAnything else?"), "stop")
        }
        Manner::CutOff => {
            said(whole.split_once("\"summary\"").expect("a summary").0.to_owned(), "length")
        }
        Manner::Markdown => said("## Decisions\n\n- we raise all prices".to_owned(), "stop"),
        Manner::Reasons if asked.body.get("max_tokens").is_some() => {
            said("<think>Well, ".to_owned(), "length")
        }
        Manner::Reasons => said(format!("<think>Well, so.</think>{whole}"), "stop"),
    }
}

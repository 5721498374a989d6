//! The model that writes notes, and one question to it, by `POST /v1/chat/completions`.
//!
//! A question holds a temperature, a limit of the answer and, for items, the schema of the answer.
//! Servers refuse one or another of them; what was refused is left out from then on. Each answer is
//! cached under the hash of its question until the job's results are in the queue: a repeated
//! question (after a kill, a failed attempt, a smaller window) is not paid for twice.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{OpenAiServer, prompts::Prompt, transcribe::explain_cut_off, wire};
use crate::{
    http::{Answer, Request},
    services::{
        CallError, FileFault,
        answers::{self, mark_not_executed},
        bounded::NOTE_BYTES_MAX,
        result_cache::{JobCache, ModelOutput},
    },
    text::one_line,
};

/// Temperature of the model: minutes need no invention, and at 0 small models repeat themselves.
const TEMPERATURE: f64 = 0.2;

/// Bytes that no tokenizer puts into one token on average: a server that read fewer tokens has
/// truncated the question.
const TOKEN_BYTES_MAX: usize = 8;

/// Time limit of the answer to one sentence. `minuted check` waits for it, and a command that the
/// daemon does not answer within a minute is given up.
const SENTENCE_LIMIT: Duration = Duration::from_secs(50);

/// Characters that are shown of that answer.
const SENTENCE_CHARS_MAX: usize = 200;

/// The keys of the config that lead to a question.
const SETTINGS: &str = "base_url and notes_model, then api_key_file";

/// The error of a question to the model.
pub(super) enum QuestionError {
    /// The question does not fit the window, with the server's message.
    TooLong(String),
    /// The server refuses the question; a part of it may be why.
    Refused(Box<Answer>),
    /// Anything else.
    Call(CallError),
}

impl QuestionError {
    /// Returns the error of a question that was asked for its own sake.
    pub(super) fn into_call_error(self) -> CallError {
        match self {
            Self::TooLong(message) => CallError::service_alone(message),
            Self::Refused(answer) => CallError::Refused {
                status: answer.status,
                message: answers::error_message(&answer),
            },
            Self::Call(error) => error,
        }
    }
}

impl From<CallError> for QuestionError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// The parts of a question that are left out because the server refuses them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct LeftOut {
    schema: bool,
    temperature: bool,
    limit: bool,
}

impl LeftOut {
    const NOTHING: Self = Self { schema: false, temperature: false, limit: false };
    const ALL: Self = Self { schema: true, temperature: true, limit: true };

    /// Returns what is tried after a refusal of a question without these parts, in this order: each
    /// other part by itself, then all of them.
    fn alternatives(self) -> impl Iterator<Item = Self> {
        let each = [
            Self { schema: true, ..self },
            Self { temperature: true, ..self },
            Self { limit: true, ..self },
            Self::ALL,
        ];
        each.into_iter().filter(move |other| *other != self)
    }
}

/// The half of a server that writes notes.
#[derive(Debug)]
pub(in crate::services) struct ChatWriter {
    pub(super) server: Arc<OpenAiServer>,
    left_out: Mutex<LeftOut>,
}

/// A question to the model.
pub(super) struct Question<'a> {
    /// The model.
    pub(super) model: &'a str,
    /// The task and the input.
    pub(super) prompt: &'a Prompt,
    /// The schema of the answer, where it is JSON.
    pub(super) schema: Option<&'a Value>,
    /// The most tokens of the answer.
    pub(super) limit: usize,
}

impl Question<'_> {
    fn body(&self, left_out: LeftOut) -> Value {
        let messages = json!([
            {"role": "system", "content": self.prompt.system},
            {"role": "user", "content": self.prompt.user},
        ]);
        let mut body = json!({"model": self.model, "messages": messages, "stream": false});
        if !left_out.temperature {
            body["temperature"] = json!(TEMPERATURE);
        }
        if !left_out.limit {
            body["max_tokens"] = json!(self.limit);
        }
        if let Some(schema) = self.schema.filter(|_| !left_out.schema) {
            let json_schema = json!({"name": "minutes", "schema": schema});
            body["response_format"] = json!({"type": "json_schema", "json_schema": json_schema});
        }
        body
    }

    /// Returns the file that caches the answer. What a server refuses of the question does not make
    /// it another one.
    fn cache_file(&self) -> String {
        let hash = blake3::hash(self.body(LeftOut::NOTHING).to_string().as_bytes()).to_hex();
        format!("answer-{}.json", &hash.as_str()[..32])
    }
}

impl ChatWriter {
    /// Returns the half of this server that writes notes.
    pub(in crate::services) fn new(server: Arc<OpenAiServer>) -> Self {
        Self { server, left_out: Mutex::default() }
    }

    /// Returns the models that the server lists, and whether the one that writes is missing there.
    pub(in crate::services) async fn read_models(&self) -> Result<Value, CallError> {
        let wanted: Vec<&str> = self.server.settings.notes_model.as_deref().into_iter().collect();
        self.server.read_models(&wanted).await
    }

    /// Asks the model for one sentence and returns it on one line.
    pub(in crate::services) async fn ask_for_sentence(&self) -> Result<String, CallError> {
        let model = self.server.settings.notes_model.as_deref().unwrap_or_default();
        let prompt = Prompt {
            system: "Answer with one short sentence and nothing else.".to_owned(),
            user: "Are you ready to write the minutes of a meeting?".to_owned(),
        };
        let question = Question { model, prompt: &prompt, schema: None, limit: 1024 };
        let asked = tokio::time::timeout(SENTENCE_LIMIT, self.ask_leaving_out(&question));
        let asked = asked.await.unwrap_or_else(|_| {
            let message = format!(
                "`{model}` did not answer one sentence within {SENTENCE_LIMIT:?}: it may still load"
            );
            Err(CallError::service_alone(message).into())
        });
        match asked {
            Ok(completion) => Ok(one_line(&completion.text, SENTENCE_CHARS_MAX)),
            Err(error) => Err(error.into_call_error()),
        }
    }

    /// Asks the model one question, or returns the cached answer to it.
    pub(super) async fn ask_model(
        &self,
        question: &Question<'_>,
        cache: &JobCache,
    ) -> Result<ModelOutput, QuestionError> {
        let file = question.cache_file();
        if let Some(output) = cache.read_file::<ModelOutput>(&file).await? {
            return Ok(output);
        }
        let mut completion = self.ask_leaving_out(question).await?;
        if completion.text.is_empty() && completion.is_cut && !self.left_out().limit {
            // A model that reasons has spent the limit before its answer began.
            self.set_left_out(LeftOut { limit: true, ..self.left_out() });
            completion = self.ask_leaving_out(question).await?;
        }
        let output = check_completion(completion, question.prompt.byte_count())?;
        cache.write_file(&file, &output).await?;
        Ok(output)
    }

    /// Asks a question; where it is refused, asks again without each part that servers refuse.
    async fn ask_leaving_out(
        &self,
        question: &Question<'_>,
    ) -> Result<wire::Completion, QuestionError> {
        let known = self.left_out();
        let refusal = match self.ask_once(question, known).await {
            Err(QuestionError::Refused(answer)) => answer,
            asked => return asked,
        };
        let first = question.body(known);
        for left_out in known.alternatives().filter(|left_out| question.body(*left_out) != first) {
            match self.ask_once(question, left_out).await {
                Err(QuestionError::Refused(_)) => {}
                Ok(completion) => {
                    tracing::debug!(
                        "service `{}` refuses a part of a question: {left_out:?}",
                        self.server.name
                    );
                    self.set_left_out(left_out);
                    return Ok(completion);
                }
                failed => return failed,
            }
        }
        match self.server.check_answer(*refusal, SETTINGS).await {
            Err(error @ CallError::Refused { .. }) => {
                Err(self.server.blame_unlisted_model(question.model, error).await.into())
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err(answers::unexpected_answer("no completion").into()),
        }
    }

    async fn ask_once(
        &self,
        question: &Question<'_>,
        left_out: LeftOut,
    ) -> Result<wire::Completion, QuestionError> {
        let body = question.body(left_out);
        let patience = self.server.patience;
        let request = Request::post(&["v1", "chat", "completions"]).json(&body).within(patience);
        let begun = Instant::now();
        let answer = self.server.call(request).await;
        let answer = answer.map_err(|error| explain_cut_off(error, begun.elapsed(), patience))?;
        if wire::is_too_long(&answer) {
            return Err(QuestionError::TooLong(answers::error_message(&answer)));
        }
        if matches!(answer.status, 400 | 404 | 422) && wire::refused_item(&answer).is_none() {
            return Err(QuestionError::Refused(Box::new(answer)));
        }
        let answer = match self.server.check_answer(answer, SETTINGS).await {
            Err(error @ CallError::Refused { .. }) => {
                return Err(self.server.blame_unlisted_model(question.model, error).await.into());
            }
            accepted => accepted?,
        };
        let answer = answers::read_json(answer).map_err(mark_not_executed)?;
        let completion = wire::parse_completion(&answer);
        Ok(completion
            .ok_or_else(|| mark_not_executed(answers::unexpected_answer("no completion")))?)
    }

    fn left_out(&self) -> LeftOut {
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_left_out(&self, left_out: LeftOut) {
        *self.left_out.lock().unwrap_or_else(PoisonError::into_inner) = left_out;
    }
}

/// Refuses more text than notes can have, before it is processed or cached.
pub(super) fn check_size(bytes: usize) -> Result<(), CallError> {
    if bytes <= NOTE_BYTES_MAX {
        return Ok(());
    }
    let message =
        format!("got no notes: the model answered more than {} MiB", NOTE_BYTES_MAX >> 20);
    Err(CallError::File(FileFault::Failed(message)))
}

/// Checks the answer to a question of `asked` bytes and returns it with remarks.
fn check_completion(completion: wire::Completion, asked: usize) -> Result<ModelOutput, CallError> {
    if completion.text.is_empty() {
        let why = if completion.is_cut {
            ": its answer was cut off before it began; enlarge its window"
        } else {
            ""
        };
        return Err(CallError::File(FileFault::Failed(format!(
            "got no notes: the model answered nothing{why}"
        ))));
    }
    check_size(completion.text.len())?;
    let mut remarks = Vec::new();
    if completion.is_cut {
        remarks.push(
            "the model's answer was cut off at its limit: the end of these notes may be missing"
                .to_owned(),
        );
    }
    if completion.is_filtered {
        remarks.push("the service's filter held a part of these notes back".to_owned());
    }
    if let Some(read) =
        completion.read.filter(|read| read.saturating_mul(TOKEN_BYTES_MAX as u64) < asked as u64)
    {
        remarks.push(format!(
            "the model read {read} tokens of a question of {asked} bytes: its server may have cut the transcript off; \
             lower `context`, or enlarge the model's window there"
        ));
    }
    Ok(ModelOutput { text: completion.text, remarks, ..ModelOutput::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_with_the_notes() {
        let completion =
            wire::Completion { text: "x".into(), is_cut: true, is_filtered: true, read: Some(100) };
        let said = check_completion(completion.clone(), 10_000).expect("notes");
        assert_eq!(said.remarks.len(), 3, "{:?}", said.remarks);
        let whole = wire::Completion { is_cut: false, is_filtered: false, ..completion.clone() };
        assert_eq!(check_completion(whole, 400).expect("notes").remarks, Vec::<String>::new());
        for text in [String::new(), "x".repeat(NOTE_BYTES_MAX + 1)] {
            let none = wire::Completion { text, ..completion.clone() };
            assert!(matches!(
                check_completion(none, 10),
                Err(CallError::File(FileFault::Failed(_)))
            ));
        }
    }

    #[test]
    fn a_refused_question_is_tried_without_each_part_once() {
        let prompt = Prompt { system: "s".into(), user: "u".into() };
        let schema = json!({"type": "object"});
        let question = Question { model: "m", prompt: &prompt, schema: Some(&schema), limit: 9 };
        let bodies: Vec<Value> =
            LeftOut::NOTHING.alternatives().map(|left_out| question.body(left_out)).collect();
        let lacks = |body: &Value| {
            ["response_format", "temperature", "max_tokens"]
                .map(|key| body.get(key).is_none())
                .map(u8::from)
        };
        let lacking: Vec<[u8; 3]> = bodies.iter().map(lacks).collect();
        assert_eq!(lacking, [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1]]);
        assert_eq!(LeftOut::ALL.alternatives().count(), 0);
        let other = Question { limit: 10, ..question };
        assert_ne!(other.cache_file(), Question { limit: 9, ..other }.cache_file());
    }
}

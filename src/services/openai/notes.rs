//! Segments → notes, by `POST /v1/chat/completions`.
//!
//! A transcript that does not fit the model's window is cut into parts, each part gets notes, and those are merged:
//! nothing is left out unseen. Each answer is kept under the hash of its question until the job's results are in the
//! queue, so that whoever asks again (after a kill, a failed attempt, a smaller window) pays for none of them twice.

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use super::{
    OpenAi, cut,
    prompts::{Prompt, Prompts},
    transcribe::cut_off,
    wire,
};
use crate::{
    config::Analysis,
    http::Request,
    job::Segment,
    services::{
        AnalysisRequest, CallError, FileFault,
        answers::{self, mark_not_executed},
        bounded::NOTE_BYTES_MAX,
        result_cache::{JobCache, ModelOutput},
        transcriber::NotesWriter,
    },
};

/// Bytes that are reckoned for a token. English has more than four, other languages between two and four.
const TOKEN_BYTES: usize = 3;

/// Tokens that are left for the answer: a quarter of the window, and no more than a long set of minutes has.
const ANSWER_TOKENS_MAX: usize = 4096;

/// The smallest part of a transcript that is worth a question: a minute of talk.
const ROOM_MIN: usize = 1000;

/// Bytes that no tokenizer puts into one token on average: a server that read fewer tokens read a part of the question.
const TOKEN_BYTES_MAX: usize = 8;

/// Why a question got no answer.
enum Trouble {
    /// It does not fit the window; what the server said.
    TooLong(String),
    /// Anything else.
    Call(CallError),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// Who writes one result of one job.
struct Writer<'a> {
    service: &'a OpenAi,
    model: &'a str,
    cache: &'a JobCache,
    prompts: Prompts,
}

#[async_trait]
impl NotesWriter for OpenAi {
    async fn write_notes(
        &self,
        analysis: Analysis,
        request: &AnalysisRequest<'_>,
        segments: &[Segment],
        cache: &JobCache,
    ) -> Result<ModelOutput, CallError> {
        let is_written = matches!(analysis, Analysis::MeetingNote | Analysis::KeyPoints);
        let Some(model) = self.settings.notes_model.as_ref().filter(|_| is_written) else {
            let message = format!("it makes no {}; is `notes_model` set?", analysis.as_str());
            return Err(CallError::Refused { status: 400, message });
        };
        let lines = cut::lines(segments);
        if lines.is_empty() {
            return Ok(ModelOutput::of_silence());
        }
        let prompts = Prompts::new(analysis, request);
        let mut room = room(self.settings.context, prompts.bytes());
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        let writer = Writer { service: self, model, cache, prompts };
        loop {
            match writer.of_lines(&lines, room).await {
                Ok(said) => return Ok(said),
                Err(Trouble::Call(error)) => return Err(error),
                // The estimate was too high, or `context` is.
                Err(Trouble::TooLong(told)) if room > ROOM_MIN => {
                    room = (room.min(bytes) / 2).max(ROOM_MIN);
                    tracing::debug!("service `{}`: parts of {room} bytes from here on: {told}", self.name);
                }
                Err(Trouble::TooLong(told)) => {
                    return Err(CallError::File(FileFault::Failed(format!(
                        "got no notes: not even a small part of it fits the window of `{model}`: {told}"
                    ))));
                }
            }
        }
    }
}

/// Returns how many bytes of a transcript fit a question.
fn room(context: u32, prompt: usize) -> usize {
    let context = usize::try_from(context).unwrap_or(usize::MAX);
    let answer = (context / 4).min(ANSWER_TOKENS_MAX);
    ((context - answer) * TOKEN_BYTES).saturating_sub(prompt).max(ROOM_MIN)
}

impl Writer<'_> {
    async fn of_lines(&self, lines: &[String], room: usize) -> Result<ModelOutput, Trouble> {
        let parts = cut::parts(lines, "\n", room);
        if let [whole] = parts.as_slice() {
            return self.ask(&self.prompts.whole(whole)).await;
        }
        let (mut notes, mut remarks) = (Vec::with_capacity(parts.len()), Vec::new());
        for (number, part) in (1..).zip(&parts) {
            let said = self.ask(&self.prompts.part(part, number, parts.len())).await?;
            notes.push(gathered(said, &mut remarks));
            fit(notes.iter().map(String::len).sum())?;
        }
        self.merged(notes, remarks, room).await
    }

    /// Merges notes, by some at a time where they do not fit together.
    async fn merged(
        &self,
        mut notes: Vec<String>,
        mut remarks: Vec<String>,
        room: usize,
    ) -> Result<ModelOutput, Trouble> {
        loop {
            let groups = cut::parts(&notes, "\n\n", room);
            if let [all] = groups.as_slice() {
                let text = gathered(self.ask(&self.prompts.all(all)).await?, &mut remarks);
                return Ok(ModelOutput { text, remarks });
            }
            if groups.len() >= notes.len() {
                // They do not get fewer: better long than short of something.
                let remark = "the notes of the parts of this long recording do not fit the model's window together, \
                              and stand one after another";
                remarks.push(remark.to_owned());
                return Ok(ModelOutput { text: notes.join("\n\n"), remarks });
            }
            let mut fewer = Vec::with_capacity(groups.len());
            for group in &groups {
                fewer.push(gathered(self.ask(&self.prompts.some(group)).await?, &mut remarks));
                fit(fewer.iter().map(String::len).sum())?;
            }
            notes = fewer;
        }
    }

    /// Asks one question, or finds what was answered to it before.
    async fn ask(&self, prompt: &Prompt) -> Result<ModelOutput, Trouble> {
        let messages = json!([
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ]);
        let body = json!({"model": self.model, "messages": messages, "stream": false});
        let hash = blake3::hash(body.to_string().as_bytes()).to_hex();
        let file = format!("answer-{}.json", &hash.as_str()[..32]);
        if let Some(said) = self.cache.read::<ModelOutput>(&file).await? {
            return Ok(said);
        }
        let request = Request::post(&["v1", "chat", "completions"]).json(&body).within(self.service.patience);
        let begun = Instant::now();
        let answer = self.service.call(request).await;
        let answer = answer.map_err(|error| cut_off(error, begun.elapsed(), self.service.patience))?;
        if wire::is_too_long(&answer) {
            return Err(Trouble::TooLong(answers::error_message(&answer)));
        }
        let answer = match self.service.accepted(answer, "base_url and notes_model, then api_key_file").await {
            Err(error @ CallError::Refused { .. }) => {
                return Err(self.service.unlisted(self.model, error).await.into());
            }
            accepted => accepted?,
        };
        let answer = answers::json(answer).map_err(mark_not_executed)?;
        let completion =
            wire::completion(&answer).ok_or_else(|| mark_not_executed(answers::unexpected("no completion")))?;
        let said = read(completion, prompt.bytes())?;
        self.cache.write(&file, &said).await?;
        Ok(said)
    }
}

/// Refuses more text than notes have, before it is worked on or kept.
fn fit(bytes: usize) -> Result<(), CallError> {
    if bytes <= NOTE_BYTES_MAX {
        return Ok(());
    }
    let told = format!("got no notes: the model answered more than {} MiB", NOTE_BYTES_MAX >> 20);
    Err(CallError::File(FileFault::Failed(told)))
}

/// Returns what a model said to a question of so many bytes.
fn read(completion: wire::Completion, asked: usize) -> Result<ModelOutput, CallError> {
    if completion.text.is_empty() {
        let why = if completion.is_cut { ": its answer was cut off before it began; enlarge its window" } else { "" };
        return Err(CallError::File(FileFault::Failed(format!("got no notes: the model answered nothing{why}"))));
    }
    fit(completion.text.len())?;
    let mut remarks = Vec::new();
    if completion.is_cut {
        remarks.push("the model's answer was cut off at its limit: the end of these notes may be missing".to_owned());
    }
    if completion.is_filtered {
        remarks.push("the service's filter held a part of these notes back".to_owned());
    }
    if let Some(read) = completion.read.filter(|read| read.saturating_mul(TOKEN_BYTES_MAX as u64) < asked as u64) {
        remarks.push(format!(
            "the model read {read} tokens of a question of {asked} bytes: its server may have cut the transcript off; \
             lower `context`, or enlarge the model's window there"
        ));
    }
    Ok(ModelOutput { text: completion.text, remarks })
}

/// Returns the text of what was said; its remarks join those of before, each once.
fn gathered(said: ModelOutput, remarks: &mut Vec<String>) -> String {
    for remark in said.remarks {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    said.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_and_its_answer_fit_the_window() {
        assert_eq!(room(8192, 1500), (8192 - 2048) * 3 - 1500);
        assert_eq!(room(2_000_000, 1500), (2_000_000 - 4096) * 3 - 1500);
        assert_eq!(room(1024, 10_000), ROOM_MIN);
    }

    #[test]
    fn what_is_missing_is_said_with_the_notes() {
        let completion = wire::Completion { text: "x".into(), is_cut: true, is_filtered: true, read: Some(100) };
        let said = read(completion.clone(), 10_000).expect("notes");
        assert_eq!(said.remarks.len(), 3, "{:?}", said.remarks);
        let whole = wire::Completion { is_cut: false, is_filtered: false, ..completion.clone() };
        assert_eq!(read(whole, 400).expect("notes").remarks, Vec::<String>::new());
        for text in [String::new(), "x".repeat(NOTE_BYTES_MAX + 1)] {
            let none = wire::Completion { text, ..completion.clone() };
            assert!(matches!(read(none, 10), Err(CallError::File(FileFault::Failed(_)))));
        }
    }
}

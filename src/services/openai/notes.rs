//! Segments → notes, by `POST /v1/chat/completions`.
//!
//! A transcript that does not fit the model's window is cut into parts, each part gets notes, and
//! those are merged, so that nothing is left out. Each answer is cached under the hash of its
//! question until the job's results are in the queue: a repeated question (after a kill, a failed
//! attempt, a smaller window) is not paid for twice.

use async_trait::async_trait;
use serde_json::json;
use tokio::time::Instant;

use super::{
    OpenAiTranscriber, cut,
    prompts::{Prompt, Prompts},
    transcribe::explain_cut_off,
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

/// Bytes assumed for a token. English has more than four, other languages between two and four.
const TOKEN_BYTES: usize = 3;

/// Tokens that are reserved for the answer: a quarter of the window, and no more than long minutes
/// have.
const ANSWER_TOKENS_MAX: usize = 4096;

/// Bytes of the smallest part of a transcript that is worth a question: a minute of talk.
const ROOM_MIN: usize = 1000;

/// Bytes that no tokenizer puts into one token on average: a server that read fewer tokens has
/// truncated the question.
const TOKEN_BYTES_MAX: usize = 8;

/// The error of a question to the model.
enum QuestionError {
    /// The question does not fit the window, with the server's message.
    TooLong(String),
    /// Anything else.
    Call(CallError),
}

impl From<CallError> for QuestionError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

/// The writer of one result of one job, in as many questions as its transcript needs.
struct PartWriter<'a> {
    service: &'a OpenAiTranscriber,
    model: &'a str,
    cache: &'a JobCache,
    prompts: Prompts,
}

#[async_trait]
impl NotesWriter for OpenAiTranscriber {
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
        let lines = cut::transcript_lines(segments);
        if lines.is_empty() {
            return Ok(ModelOutput::of_silence());
        }
        let prompts = Prompts::new(analysis, request);
        let mut room = bytes_per_part(self.settings.context, prompts.overhead_bytes());
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        let writer = PartWriter { service: self, model, cache, prompts };
        loop {
            match writer.write_from_lines(&lines, room).await {
                Ok(output) => return Ok(output),
                Err(QuestionError::Call(error)) => return Err(error),
                // The estimate was too high, or `context` is too large.
                Err(QuestionError::TooLong(message)) if room > ROOM_MIN => {
                    room = (room.min(bytes) / 2).max(ROOM_MIN);
                    tracing::debug!("service `{}`: parts of {room} bytes from here on: {message}", self.name);
                }
                Err(QuestionError::TooLong(message)) => {
                    return Err(CallError::File(FileFault::Failed(format!(
                        "got no notes: not even a small part of it fits the window of `{model}`: {message}"
                    ))));
                }
            }
        }
    }
}

/// Returns the bytes of a transcript that fit into one question.
fn bytes_per_part(context: u32, prompt: usize) -> usize {
    let context = usize::try_from(context).unwrap_or(usize::MAX);
    let answer = (context / 4).min(ANSWER_TOKENS_MAX);
    ((context - answer) * TOKEN_BYTES).saturating_sub(prompt).max(ROOM_MIN)
}

impl PartWriter<'_> {
    async fn write_from_lines(&self, lines: &[String], room: usize) -> Result<ModelOutput, QuestionError> {
        let parts = cut::pack_parts(lines, "\n", room);
        if let [whole] = parts.as_slice() {
            return self.ask_model(&self.prompts.whole_prompt(whole)).await;
        }
        let mut notes = Vec::with_capacity(parts.len());
        let mut remarks = Vec::new();
        for (number, part) in (1..).zip(&parts) {
            let output = self.ask_model(&self.prompts.part_prompt(part, number, parts.len())).await?;
            notes.push(collect_remarks(output, &mut remarks));
            check_size(notes.iter().map(String::len).sum())?;
        }
        self.merge_notes(notes, remarks, room).await
    }

    /// Merges notes, in groups where they do not all fit into one question.
    async fn merge_notes(
        &self,
        mut notes: Vec<String>,
        mut remarks: Vec<String>,
        room: usize,
    ) -> Result<ModelOutput, QuestionError> {
        loop {
            let groups = cut::pack_parts(&notes, "\n\n", room);
            if let [all] = groups.as_slice() {
                let text = collect_remarks(self.ask_model(&self.prompts.merging_prompt(all)).await?, &mut remarks);
                return Ok(ModelOutput { text, remarks });
            }
            if groups.len() >= notes.len() {
                // Merging no longer helps: long notes are better than incomplete ones.
                let remark = "the notes of the parts of this long recording do not fit the model's window together, \
                              and stand one after another";
                remarks.push(remark.to_owned());
                return Ok(ModelOutput { text: notes.join("\n\n"), remarks });
            }
            let mut fewer = Vec::with_capacity(groups.len());
            for group in &groups {
                fewer
                    .push(collect_remarks(self.ask_model(&self.prompts.shortening_prompt(group)).await?, &mut remarks));
                check_size(fewer.iter().map(String::len).sum())?;
            }
            notes = fewer;
        }
    }

    /// Asks the model one question, or returns the cached answer to it.
    async fn ask_model(&self, prompt: &Prompt) -> Result<ModelOutput, QuestionError> {
        let messages = json!([
            {"role": "system", "content": prompt.system},
            {"role": "user", "content": prompt.user},
        ]);
        let body = json!({"model": self.model, "messages": messages, "stream": false});
        let hash = blake3::hash(body.to_string().as_bytes()).to_hex();
        let file = format!("answer-{}.json", &hash.as_str()[..32]);
        if let Some(output) = self.cache.read_file::<ModelOutput>(&file).await? {
            return Ok(output);
        }
        let request = Request::post(&["v1", "chat", "completions"]).json(&body).within(self.service.patience);
        let begun = Instant::now();
        let answer = self.service.call(request).await;
        let answer = answer.map_err(|error| explain_cut_off(error, begun.elapsed(), self.service.patience))?;
        if wire::is_too_long(&answer) {
            return Err(QuestionError::TooLong(answers::error_message(&answer)));
        }
        let answer = match self.service.check_answer(answer, "base_url and notes_model, then api_key_file").await {
            Err(error @ CallError::Refused { .. }) => {
                return Err(self.service.blame_unlisted_model(self.model, error).await.into());
            }
            accepted => accepted?,
        };
        let answer = answers::read_json(answer).map_err(mark_not_executed)?;
        let completion = wire::parse_completion(&answer)
            .ok_or_else(|| mark_not_executed(answers::unexpected_answer("no completion")))?;
        let output = check_completion(completion, prompt.byte_count())?;
        self.cache.write_file(&file, &output).await?;
        Ok(output)
    }
}

/// Refuses more text than notes can have, before it is processed or cached.
fn check_size(bytes: usize) -> Result<(), CallError> {
    if bytes <= NOTE_BYTES_MAX {
        return Ok(());
    }
    let message = format!("got no notes: the model answered more than {} MiB", NOTE_BYTES_MAX >> 20);
    Err(CallError::File(FileFault::Failed(message)))
}

/// Checks the answer to a question of `asked` bytes and returns it with remarks.
fn check_completion(completion: wire::Completion, asked: usize) -> Result<ModelOutput, CallError> {
    if completion.text.is_empty() {
        let why = if completion.is_cut { ": its answer was cut off before it began; enlarge its window" } else { "" };
        return Err(CallError::File(FileFault::Failed(format!("got no notes: the model answered nothing{why}"))));
    }
    check_size(completion.text.len())?;
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

/// Returns the text of an answer, and adds its remarks to the others, each once.
fn collect_remarks(output: ModelOutput, remarks: &mut Vec<String>) -> String {
    for remark in output.remarks {
        if !remarks.contains(&remark) {
            remarks.push(remark);
        }
    }
    output.text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_and_its_answer_fit_the_window() {
        assert_eq!(bytes_per_part(8192, 1500), (8192 - 2048) * 3 - 1500);
        assert_eq!(bytes_per_part(2_000_000, 1500), (2_000_000 - 4096) * 3 - 1500);
        assert_eq!(bytes_per_part(1024, 10_000), ROOM_MIN);
    }

    #[test]
    fn what_is_missing_is_said_with_the_notes() {
        let completion = wire::Completion { text: "x".into(), is_cut: true, is_filtered: true, read: Some(100) };
        let said = check_completion(completion.clone(), 10_000).expect("notes");
        assert_eq!(said.remarks.len(), 3, "{:?}", said.remarks);
        let whole = wire::Completion { is_cut: false, is_filtered: false, ..completion.clone() };
        assert_eq!(check_completion(whole, 400).expect("notes").remarks, Vec::<String>::new());
        for text in [String::new(), "x".repeat(NOTE_BYTES_MAX + 1)] {
            let none = wire::Completion { text, ..completion.clone() };
            assert!(matches!(check_completion(none, 10), Err(CallError::File(FileFault::Failed(_)))));
        }
    }
}

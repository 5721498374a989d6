//! Segments → notes.
//!
//! A transcript that does not fit the model's window is cut into parts, each part gets notes, and
//! those are merged, so that nothing is left out.

use async_trait::async_trait;

use super::{
    chat::{ChatWriter, Question, QuestionError, check_size},
    cut,
    prompts::{Prompt, Prompts},
};
use crate::{
    config::Analysis,
    job::Segment,
    services::{
        AnalysisRequest, CallError, FileFault,
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

/// The writer of one result of one job, in as many questions as its transcript needs.
struct PartWriter<'a> {
    chat: &'a ChatWriter,
    model: &'a str,
    cache: &'a JobCache,
    prompts: Prompts,
    answer_tokens: usize,
}

#[async_trait]
impl NotesWriter for ChatWriter {
    async fn write_notes(
        &self,
        analysis: Analysis,
        request: &AnalysisRequest<'_>,
        segments: &[Segment],
        cache: &JobCache,
    ) -> Result<ModelOutput, CallError> {
        let is_written = matches!(analysis, Analysis::MeetingNote | Analysis::KeyPoints);
        let Some(model) = self.server.settings.notes_model.as_ref().filter(|_| is_written) else {
            let message = format!("it makes no {}; is `notes_model` set?", analysis.as_str());
            return Err(CallError::Refused { status: 400, message });
        };
        if cut::transcript_lines(segments).is_empty() {
            let is_unclear = segments.iter().any(Segment::is_unclear);
            return Ok(if is_unclear {
                ModelOutput::of_unclear_words()
            } else {
                ModelOutput::of_silence()
            });
        }
        if analysis == Analysis::KeyPoints {
            return self.write_freely(model, analysis, request, segments, cache).await;
        }
        let output = if request.instruction.is_some() {
            // The person's own form, then the items, which alone are checked.
            let freely = self.write_freely(model, analysis, request, segments, cache).await?;
            append_items(freely, self.write_items(model, request, segments, cache).await?)
        } else if let Some(checked) = self.write_items(model, request, segments, cache).await? {
            checked
        } else {
            append_items(self.write_freely(model, analysis, request, segments, cache).await?, None)
        };
        Ok(ModelOutput { notes_by: Some(format!("{} {model}", self.server.name)), ..output })
    }
}

/// The remark on notes of a model that names no lines.
const UNCHECKED: &str = "the model did not say which words of the transcript its notes are from: nothing in them was \
     compared with what was said";

/// The remark on notes that have a person's own form.
const FREE_FORM: &str = "the text by the folder's instruction was not compared with what was said; the decisions, actions \
     and questions below it were";

/// Returns the notes in a person's own form with the items below them.
fn append_items(mut output: ModelOutput, items: Option<ModelOutput>) -> ModelOutput {
    let Some(checked) = items else {
        output.remarks.push(UNCHECKED.to_owned());
        return output;
    };
    output.remarks.push(FREE_FORM.to_owned());
    for remark in checked.remarks {
        if !output.remarks.contains(&remark) {
            output.remarks.push(remark);
        }
    }
    ModelOutput { items: checked.items, ..output }
}

impl ChatWriter {
    /// Writes notes as the model likes to: they are not compared with the transcript.
    async fn write_freely(
        &self,
        model: &str,
        analysis: Analysis,
        request: &AnalysisRequest<'_>,
        segments: &[Segment],
        cache: &JobCache,
    ) -> Result<ModelOutput, CallError> {
        let lines = cut::transcript_lines(segments);
        let prompts = Prompts::new(analysis, request);
        let mut room = bytes_per_part(self.server.settings.context, prompts.overhead_bytes());
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        let answer_tokens = answer_tokens(self.server.settings.context);
        let writer = PartWriter { chat: self, model, cache, prompts, answer_tokens };
        loop {
            match writer.write_from_lines(&lines, room).await {
                Ok(output) => return Ok(output),
                // The estimate was too high, or `context` is too large.
                Err(QuestionError::TooLong(message)) => {
                    room = self.smaller_room(model, room.min(bytes), &message)?;
                }
                Err(error) => return Err(error.into_call_error()),
            }
        }
    }

    /// Returns the bytes of a part after a question with a part of `room` bytes did not fit.
    pub(super) fn smaller_room(
        &self,
        model: &str,
        room: usize,
        message: &str,
    ) -> Result<usize, CallError> {
        if room <= ROOM_MIN {
            return Err(CallError::File(FileFault::Failed(format!(
                "got no notes: not even a small part of it fits the window of `{model}`: {message}"
            ))));
        }
        let smaller = (room / 2).max(ROOM_MIN);
        tracing::debug!(
            "service `{}`: parts of {smaller} bytes from here on: {message}",
            self.server.name
        );
        Ok(smaller)
    }
}

/// Returns the bytes of a transcript that fit into one question.
pub(super) fn bytes_per_part(context: u32, prompt: usize) -> usize {
    let answer = answer_tokens(context);
    ((usize::try_from(context).unwrap_or(usize::MAX) - answer) * TOKEN_BYTES)
        .saturating_sub(prompt)
        .max(ROOM_MIN)
}

/// Returns the tokens of a window that are reserved for the answer.
pub(super) fn answer_tokens(context: u32) -> usize {
    (usize::try_from(context).unwrap_or(usize::MAX) / 4).min(ANSWER_TOKENS_MAX)
}

impl PartWriter<'_> {
    async fn write_from_lines(
        &self,
        lines: &[String],
        room: usize,
    ) -> Result<ModelOutput, QuestionError> {
        let parts = cut::pack_parts(lines, "\n", room);
        if let [whole] = parts.as_slice() {
            return self.ask(&self.prompts.whole_prompt(whole)).await;
        }
        let mut notes = Vec::with_capacity(parts.len());
        let mut remarks = Vec::new();
        for (number, part) in (1..).zip(&parts) {
            let output = self.ask(&self.prompts.part_prompt(part, number, parts.len())).await?;
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
                let text = collect_remarks(
                    self.ask(&self.prompts.merging_prompt(all)).await?,
                    &mut remarks,
                );
                return Ok(ModelOutput { text, remarks, ..ModelOutput::default() });
            }
            if groups.len() >= notes.len() {
                // Merging no longer helps: long notes are better than incomplete ones.
                let remark = "the notes of the parts of this long recording do not fit the model's window together, \
                              and stand one after another";
                remarks.push(remark.to_owned());
                return Ok(ModelOutput {
                    text: notes.join("\n\n"),
                    remarks,
                    ..ModelOutput::default()
                });
            }
            let mut fewer = Vec::with_capacity(groups.len());
            for group in &groups {
                fewer.push(collect_remarks(
                    self.ask(&self.prompts.shortening_prompt(group)).await?,
                    &mut remarks,
                ));
                check_size(fewer.iter().map(String::len).sum())?;
            }
            notes = fewer;
        }
    }

    async fn ask(&self, prompt: &Prompt) -> Result<ModelOutput, QuestionError> {
        let question =
            Question { model: self.model, prompt, schema: None, limit: self.answer_tokens };
        self.chat.ask_model(&question, self.cache).await
    }
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
}

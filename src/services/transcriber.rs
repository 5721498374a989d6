//! A transcriber: a program that turns a recording into a transcript and keeps no meetings.
//!
//! [`TranscriberService`](super::local_service::TranscriberService) makes a service of it: it keeps
//! the results until they are in the queue.

use async_trait::async_trait;
use serde_json::Value;

use super::{
    AnalysisRequest, CallError, Upload,
    result_cache::{CachedTranscript, JobCache, ModelOutput},
};
use crate::{config::Analysis, job::Segment};

/// Bytes of the prompt of a transcription. Whisper reads 224 tokens of it, and a name takes a token
/// for every two or three bytes.
const PROMPT_BYTES_MAX: usize = 560;

/// Returns words to expect as a prompt: as many as its bound allows, the first ones first.
pub(super) fn transcription_prompt(words: &[String]) -> String {
    let mut prompt = String::new();
    for word in words {
        let between = if prompt.is_empty() { "" } else { ", " };
        if prompt.len() + between.len() + word.len() <= PROMPT_BYTES_MAX {
            prompt.push_str(between);
            prompt.push_str(word);
        }
    }
    prompt
}

/// A program that turns a recording into a transcript.
///
/// Like a [`NotesService`](super::NotesService) it makes one attempt at a call, under a timeout.
#[async_trait]
pub(crate) trait Transcriber: Send + Sync + std::fmt::Debug {
    /// Returns the name of its table in the config.
    fn name(&self) -> &str;

    /// Returns the extensions that it accepts, in lower case.
    fn accepted_extensions(&self) -> &'static [&'static str];

    /// Returns whether it hears all sound tracks of a recording, which is not known of a server.
    fn hears_all_tracks(&self) -> bool {
        false
    }

    /// Makes a cheap call that proves the program and its key.
    async fn read_profile(&self) -> Result<Value, CallError>;

    /// Returns whether a refused key may have been replaced, as far as this machine can tell.
    async fn may_be_mended(&self) -> bool {
        false
    }

    /// Transcribes a recording. The cache holds the finished parts of an interrupted attempt.
    async fn transcribe(
        &self,
        recording: Upload,
        cache: &JobCache,
    ) -> Result<CachedTranscript, CallError>;
}

/// A program that writes notes from a transcript: the transcriber itself, or another service.
#[async_trait]
pub(crate) trait NotesWriter: Send + Sync + std::fmt::Debug {
    /// Makes a cheap call that proves the program and its key; `None` where it is the transcriber,
    /// whose own call proves both.
    async fn read_writer_profile(&self) -> Result<Option<Value>, CallError> {
        Ok(None)
    }

    /// Has the program answer one sentence; `None` where it is the transcriber.
    async fn try_writer(&self) -> Result<Option<String>, CallError> {
        Ok(None)
    }

    /// Writes one result from a transcript. The cache holds the finished parts of an interrupted
    /// attempt.
    async fn write_notes(
        &self,
        analysis: Analysis,
        request: &AnalysisRequest<'_>,
        transcript: &[Segment],
        cache: &JobCache,
    ) -> Result<ModelOutput, CallError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_has_as_many_words_as_it_may() {
        let words: Vec<String> = (0..200).map(|number| format!("Name{number}")).collect();
        let prompt = transcription_prompt(&words);
        assert!(
            prompt.starts_with("Name0, Name1, ") && prompt.len() <= PROMPT_BYTES_MAX,
            "{prompt}"
        );
        assert!(prompt.len() > PROMPT_BYTES_MAX - 10 && transcription_prompt(&[]).is_empty());
    }
}

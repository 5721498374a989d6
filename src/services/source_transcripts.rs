//! A transcriber that reuses the transcripts of a source: nothing is sent anywhere.
//!
//! A source whose folder says `transcript = "reuse"` keeps the vendor's transcript in the state
//! directory before the recording gets its name. Its job then runs as any other, but the
//! transcriber finds the transcript there. Transcripts lie under the content of the recording, so
//! that a `redo` finds them too.

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    CallError, Upload,
    local_service::TranscriberService,
    result_cache::{CachedTranscript, JobCache, ResultCache},
    transcriber::{NotesWriter, Transcriber},
};
use crate::job::{Content, Key, Segment};

/// Extensions of recordings that may have a transcript: all that vendors store.
const ACCEPTS: [&str; 16] = [
    "aac", "flac", "m4a", "mkv", "mov", "mp3", "mp4", "mpa", "mpeg", "mpg", "oga", "ogg", "opus",
    "wav", "webm", "wma",
];

/// The transcripts of one source.
#[derive(Debug, Clone)]
pub(crate) struct SourceTranscriber {
    name: String,
    cache: ResultCache,
}

impl SourceTranscriber {
    /// Returns the transcripts of the source called `name`.
    pub(crate) fn new(name: &str, state_dir: &Path) -> Self {
        let root = state_dir.join("sources").join(name);
        Self { name: name.to_owned(), cache: ResultCache::per_recording(root) }
    }

    /// Returns the service of jobs that reuse these transcripts, with the writer of their notes.
    pub(super) fn into_service(
        self,
        writer: Option<Arc<dyn NotesWriter>>,
    ) -> TranscriberService<Self> {
        let cache = self.cache.clone();
        TranscriberService::new(Arc::new(self), writer, cache)
    }

    /// Stores a transcript durably, for the recording with this content in this folder.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] when the state directory cannot be written.
    pub(crate) async fn place_transcript(
        &self,
        content: &Content,
        folder: &str,
        size: u64,
        segments: Vec<Segment>,
    ) -> Result<(), CallError> {
        let remarks =
            vec![format!("the transcript is that of `{}`", crate::text::strip_to_line(&self.name))];
        let transcript = CachedTranscript {
            name: String::new(),
            size,
            segments,
            remarks,
            duration: None,
            language: None,
            is_foreign: false,
        };
        let key = Key { content: content.clone(), folder: folder.to_owned(), generation: 1 };
        self.cache.job_cache(&key.to_string()).write_transcript(&transcript).await
    }

    /// Removes transcripts that were stored longer ago than `age`: a `redo` of their jobs no longer
    /// finds them.
    pub(crate) async fn remove_old_transcripts(&self, age: Duration) {
        self.cache.remove_old_entries(age).await;
    }
}

#[async_trait]
impl Transcriber for SourceTranscriber {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    fn hears_all_tracks(&self) -> bool {
        true
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        Ok(json!({ "source": self.name }))
    }

    async fn transcribe(
        &self,
        _recording: Upload,
        cache: &JobCache,
    ) -> Result<CachedTranscript, CallError> {
        cache.read_transcript().await?.ok_or_else(CachedTranscript::missing_transcript)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::NotesService as _;

    #[tokio::test]
    async fn a_transcript_is_found_by_every_generation_of_its_job() {
        let dir = tempfile::tempdir().expect("a directory");
        let transcripts = SourceTranscriber::new("calls", dir.path());
        let content = Content::from_hash(&blake3::hash(b"talk"));
        let text = "Good morning.".to_owned();
        let segment = Segment {
            start: Some(0.0),
            end: None,
            speaker: Some("Ann".into()),
            text,
            ..Segment::default()
        };
        transcripts.place_transcript(&content, "sales.eu", 4, vec![segment]).await.expect("placed");
        assert!(dir.path().join(format!("sources/calls/{content}.sales.eu")).is_dir());
        let service = transcripts.clone().into_service(None);
        for generation in [1, 2] {
            let key = Key { content: content.clone(), folder: "sales.eu".into(), generation };
            let reports =
                service.read_reports(&key.to_string(), "transcript").await.expect("there");
            assert_eq!(reports[0].findings.segments[0].text, "Good morning.");
            let cache = transcripts.cache.job_cache(&key.to_string());
            assert_eq!(
                cache.read_file::<String>("note.json").await.expect("read"),
                None,
                "of another generation"
            );
            cache.write_file("note.json", &"notes").await.expect("written");
            service.forget_results(&key.to_string()).await;
        }
        let other = Key { content, folder: "sales".into(), generation: 1 }.to_string();
        let looked = service.read_reports(&other, "transcript").await;
        assert!(matches!(looked, Err(CallError::Refused { status: 404, .. })));
    }
}

//! The transcripts that a source gives, as a service: nothing is sent anywhere.
//!
//! A source whose folder says `transcript = "reuse"` keeps the vendor's transcript in the state directory before the
//! recording gets its name. Its job then runs as any other, but the *upload* finds the transcript there. Transcripts lie
//! under the content of the recording, so that a `redo` finds them too.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    AnalysisRequest, Attachment, CallError, Service, Upload,
    result_cache::{CachedTranscript, RECORDING, ResultCache, gone},
};
use crate::job::{Content, Key, Report, Segment};

/// What may have a transcript: all that vendors of recordings store. Nothing is sent, so that the type means nothing.
const ACCEPTS: [(&str, &str); 16] = [
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpa", "audio/mpeg"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("webm", "video/webm"),
    ("wma", "audio/x-ms-wma"),
];

/// The transcripts that one source has given.
#[derive(Debug, Clone)]
pub struct SourceTranscripts {
    name: String,
    keep: ResultCache,
}

impl SourceTranscripts {
    /// Returns the transcripts of the source called `name`.
    #[must_use]
    pub fn new(name: &str, state_dir: &Path) -> Self {
        Self { name: name.to_owned(), keep: ResultCache::new(root(name, state_dir)) }
    }

    /// Keeps a transcript of the recording of this content in this folder, durably.
    ///
    /// # Errors
    /// [`CallError::Unavailable`] when the state directory cannot be written.
    pub async fn place(&self, content: &Content, folder: &str, size: u64, said: Vec<Segment>) -> Result<(), CallError> {
        let remarks = vec![format!("the transcript is that of `{}`", crate::text::line(&self.name))];
        let kept = CachedTranscript { name: String::new(), size, segments: said, remarks };
        self.keep.place_transcript(&place(content, folder), &kept).await
    }

    /// Forgets transcripts that were placed longer ago than `age`: a `redo` of their jobs finds none any more.
    pub async fn sweep(&self, age: Duration) {
        self.keep.sweep(age).await;
    }
}

fn root(name: &str, state_dir: &Path) -> PathBuf {
    state_dir.join("sources").join(name)
}

/// The place of a transcript. A folder's id holds no separator.
fn place(content: &Content, folder: &str) -> String {
    format!("{content}.{folder}")
}

/// The place of a meeting's transcript: all generations of a job have the same.
fn place_of(meeting: &str) -> String {
    meeting.parse::<Key>().map_or_else(|_| meeting.to_owned(), |key| place(&key.content, &key.folder))
}

#[async_trait]
impl Service for SourceTranscripts {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [(&'static str, &'static str)] {
        &ACCEPTS
    }

    fn hears_all_tracks(&self) -> bool {
        true
    }

    async fn profile(&self) -> Result<Value, CallError> {
        Ok(json!({ "source": self.name }))
    }

    async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        self.keep.attachments(&place_of(meeting)).await
    }

    async fn upload(&self, meeting: &str, _upload: Upload) -> Result<String, CallError> {
        match self.keep.transcript(&place_of(meeting)).await? {
            Some(_) => Ok(RECORDING.to_owned()),
            None => Err(gone()),
        }
    }

    async fn look(&self, meeting: &str, _recording: &str) -> Result<Vec<Report>, CallError> {
        Ok(vec![self.keep.transcript(&place_of(meeting)).await?.ok_or_else(gone)?.report()])
    }

    async fn request(&self, _request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        let message = "a source gives a transcript, and minuted makes notes from it; nothing else";
        Err(CallError::Refused { status: 400, message: message.to_owned() })
    }

    async fn meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        self.keep.meetings(page).await
    }

    async fn meeting(&self, id: &str) -> Result<Value, CallError> {
        self.keep.meeting(&place_of(id)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transcript_is_found_by_every_generation_of_its_job() {
        let dir = tempfile::tempdir().expect("a directory");
        let given = SourceTranscripts::new("calls", dir.path());
        let content = Content::from_hash(&blake3::hash(b"talk"));
        let segment =
            Segment { start: Some(0.0), end: None, speaker: Some("Ann".into()), text: "Good morning.".into() };
        given.place(&content, "sales.eu", 4, vec![segment]).await.expect("placed");
        for generation in [1, 2] {
            let key = Key { content: content.clone(), folder: "sales.eu".into(), generation }.to_string();
            let reports = given.look(&key, RECORDING).await.expect("there");
            assert_eq!(reports[0].findings.segments[0].text, "Good morning.");
            given.forget(&key).await;
        }
        let other = Key { content, folder: "sales".into(), generation: 1 }.to_string();
        assert!(matches!(given.look(&other, RECORDING).await, Err(CallError::Refused { status: 404, .. })));
    }
}

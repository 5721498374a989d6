//! SaLED, a server on one's own machine, as a service.
//!
//! Each piece of work is a job in the server's memory: it is submitted, its status is polled, its result is fetched. The
//! *upload* is the transcription from the first to the last, a *request* has the server sum up or, with an instruction,
//! its chat write the notes. The id of a job is kept in the state directory before anything else, so that whoever comes
//! back goes on asking for it and sends nothing again. A server that restarts has forgotten all its jobs, which is
//! nobody's fault: what it forgot is submitted once more.
//!
//! | file | what it does |
//! |---|---|
//! | `calls` | one call: the pace, what an answer means |
//! | `jobs` | a job at the server: kept, polled, found in its list, forgotten |
//! | `transcribe` | a recording → segments |
//! | `notes` | segments → notes |
//! | `wire` | what the server answers |

mod calls;
mod jobs;
mod notes;
mod transcribe;
mod wire;

use std::{path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    AnalysisRequest, Attachment, CallError, Service, Upload,
    pacer::Pacer,
    result_cache::{CachedTranscript, ModelOutput, RECORDING, ResultCache, gone},
};
use crate::{
    config::{self, Analysis, Poll},
    http::{BuildError, Client, Limits},
    job::Report,
};

/// What it takes: sound, then video. Its documents say "audio" and no more: what whisper's own loader (ffmpeg) reads,
/// each with the type that makes it audio. A server that takes less refuses the recording by name.
const ACCEPTS: [(&str, &str); 19] = [
    ("aac", "audio/aac"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("flac", "audio/flac"),
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("mka", "audio/x-matroska"),
    ("mp3", "audio/mpeg"),
    ("mpa", "audio/mpeg"),
    ("mpga", "audio/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("opus", "audio/ogg"),
    ("wav", "audio/wav"),
    ("wma", "audio/x-ms-wma"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp4", "video/mp4"),
    ("webm", "video/webm"),
];

/// How many of them are sound; the others are sent where the config says `video = true`.
const SOUND: usize = 15;

/// The file that keeps a finished note.
const NOTE: &str = "note.json";

/// The server of one table of the config. Clones share what is known of it.
#[derive(Debug, Clone)]
pub struct Saled {
    name: String,
    settings: config::Saled,
    http: Client,
    pacer: Arc<Pacer>,
    keep: ResultCache,
    poll: Poll,
    /// How long the server may work on one thing without getting on.
    patience: Duration,
}

impl Saled {
    /// Returns the server's service. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        service: &config::Service,
        settings: &config::Saled,
        state_dir: &Path,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        Ok(Self {
            name: service.name.clone(),
            settings: settings.clone(),
            http: Client::new(&settings.base_url, Limits::new(service.request_timeout))?,
            pacer,
            keep: ResultCache::new(state_dir.join("saled").join(&service.name)),
            poll: service.poll,
            patience: service.poll.patience.max(service.poll.timeout),
        })
    }
}

#[async_trait]
impl Service for Saled {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [(&'static str, &'static str)] {
        if self.settings.video { &ACCEPTS } else { ACCEPTS.split_at(SOUND).0 }
    }

    async fn profile(&self) -> Result<Value, CallError> {
        self.look_around().await
    }

    async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        self.keep.attachments(meeting).await
    }

    async fn upload(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        let segments = self.transcribe(meeting, &upload).await?;
        let nothing = "nothing was said in this recording, as far as the service could hear".to_owned();
        let remarks = if segments.is_empty() { vec![nothing] } else { Vec::new() };
        let kept = CachedTranscript { name: upload.name, size: upload.stamp.size, segments, remarks };
        self.keep.place_transcript(meeting, &kept).await?;
        Ok(RECORDING.to_owned())
    }

    async fn look(&self, meeting: &str, _recording: &str) -> Result<Vec<Report>, CallError> {
        let mut reports = vec![self.keep.transcript(meeting).await?.ok_or_else(gone)?.report()];
        let note = self.keep.read::<ModelOutput>(meeting, NOTE).await?;
        reports.extend(note.map(|said| said.report(Analysis::MeetingNote)));
        Ok(reports)
    }

    async fn request(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        for analysis in request.analyses {
            if *analysis != Analysis::MeetingNote {
                let message = format!("it makes no {}", analysis.as_str());
                return Err(CallError::Refused { status: 400, message });
            }
            let kept = self.keep.transcript(request.meeting).await?.ok_or_else(gone)?;
            let said = self.write(request, &kept.segments).await?;
            self.keep.place(request.meeting, NOTE, &said).await?;
        }
        Ok(())
    }

    async fn meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        self.keep.meetings(page).await
    }

    async fn meeting(&self, id: &str) -> Result<Value, CallError> {
        self.keep.meeting(id).await
    }

    async fn forget(&self, meeting: &str) {
        self.keep.forget(meeting).await;
    }
}

impl Saled {
    /// Asks whether it is there, and which models it has. A server that does not tell its models may work all the same.
    async fn look_around(&self) -> Result<Value, CallError> {
        let health = self.health().await?;
        let transcribing = self.models(&["api", "transcribe", "models"]).await?;
        let chat = if self.settings.summary.is_some() || self.settings.chat_model.is_some() {
            self.models(&["api", "chat", "models"]).await?
        } else {
            None
        };
        let mut models: Vec<String> = Vec::new();
        let (mut unlisted, mut missing): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
        let summary = self.settings.summary.as_ref().map(|summary| summary.model.as_str());
        let written = summary.into_iter().chain(self.settings.chat_model.as_deref());
        let wanted = [(transcribing, vec![self.settings.model.as_str()]), (chat, written.collect())];
        let told = wanted.iter().any(|(listed, _)| listed.is_some());
        for (listed, wanted) in wanted.iter().filter_map(|(listed, wanted)| Some((listed.as_ref()?, wanted))) {
            models.extend(listed.iter().map(|model| model.name.clone()));
            for name in wanted {
                match listed.iter().find(|model| model.is(name)) {
                    None => unlisted.push(name),
                    Some(model) if !model.is_downloaded => missing.push(name),
                    Some(_) => {}
                }
            }
        }
        let models = told.then_some(models);
        Ok(json!({ "health": health, "models": models, "unlisted": unlisted, "not_downloaded": missing }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_video_it_takes_all_that_it_takes_without() {
        let (sound, video) = ACCEPTS.split_at(SOUND);
        assert!(sound.iter().all(|(_, mime)| mime.starts_with("audio/")));
        assert!(video.iter().all(|(_, mime)| mime.starts_with("video/")));
    }
}

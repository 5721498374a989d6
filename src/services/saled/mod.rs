//! SaLED, a server on one's own machine, as a transcriber.
//!
//! Each piece of work is a job in the server's memory: it is submitted, its status is polled, its result is fetched. The
//! server sums up or, with an instruction, its chat writes the notes. The id of a job is cached before anything else, so
//! that the next attempt goes on polling it and sends nothing again. A server that restarts has forgotten all its jobs,
//! which is nobody's fault: what it forgot is submitted once more.
//!
//! | file | what it does |
//! |---|---|
//! | `calls` | one call, and what its answer means |
//! | `jobs` | a job at the server: kept, polled, found in its list, forgotten |
//! | `transcribe` | a recording → segments |
//! | `notes` | segments → notes |
//! | `wire` | what the server answers |

mod calls;
mod jobs;
mod notes;
mod transcribe;
mod wire;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    CallError, Upload,
    http_service::HttpService,
    pacer::Pacer,
    result_cache::{CachedTranscript, JobCache},
    transcriber::{NotesWriter, Transcriber},
};
use crate::{
    config::{self, Poll},
    http::{BuildError, Limits},
};

/// What it takes: sound, then video. Its documents say "audio" and no more: what whisper's own loader (ffmpeg) reads. A
/// server that takes less refuses the recording by name.
const ACCEPTS: [&str; 19] = [
    "aac", "aif", "aiff", "flac", "m4a", "m4b", "mka", "mp3", "mpa", "mpga", "oga", "ogg", "opus", "wav", "wma", "mkv",
    "mov", "mp4", "webm",
];

/// How many of them are sound; the others are sent where the config says `video = true`.
const SOUND: usize = 15;

/// The server of one table of the config.
#[derive(Debug)]
pub(crate) struct Saled {
    name: String,
    settings: config::Saled,
    http: HttpService,
    poll: Poll,
    /// How long the server may work on one thing without getting on.
    patience: Duration,
}

impl Saled {
    /// Returns the transcriber at the server. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(
        service: &config::Service,
        settings: &config::Saled,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        let limits = Limits::new(service.request_timeout);
        Ok(Self {
            name: service.name.clone(),
            settings: settings.clone(),
            http: HttpService::new(&settings.base_url, limits, pacer, None)?,
            poll: service.poll,
            patience: service.poll.patience.max(service.poll.timeout),
        })
    }
}

#[async_trait]
impl Transcriber for Saled {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [&'static str] {
        if self.settings.video { &ACCEPTS } else { ACCEPTS.split_at(SOUND).0 }
    }

    async fn profile(&self) -> Result<Value, CallError> {
        self.look_around().await
    }

    async fn transcribe(&self, recording: Upload, cache: &JobCache) -> Result<CachedTranscript, CallError> {
        let segments = self.send_and_follow(&recording, cache).await?;
        Ok(CachedTranscript::from_segments(recording.name, recording.stamp.size, segments))
    }

    fn notes_writer(&self) -> Option<&dyn NotesWriter> {
        Some(self)
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
    use crate::media_types::mime_type;

    #[test]
    fn with_video_it_takes_all_that_it_takes_without() {
        let (sound, video) = ACCEPTS.split_at(SOUND);
        assert!(sound.iter().all(|extension| mime_type(extension).starts_with("audio/")));
        assert!(video.iter().all(|extension| mime_type(extension).starts_with("video/")));
    }
}

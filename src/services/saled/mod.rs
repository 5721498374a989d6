//! SaLED, a server on one's own machine, as a transcriber.
//!
//! Each piece of work is a job in the server's memory: it is submitted, its status is polled, its
//! result is fetched. The server sums up or, with an instruction, its chat writes the notes. The id
//! of a job is cached before anything else, so that the next attempt continues polling it and sends
//! nothing again. A server that restarts has lost all its jobs, which counts against no recording:
//! they are submitted once more.
//!
//! | file | task |
//! |---|---|
//! | `calls` | calls and the mapping of their answers |
//! | `jobs` | jobs at the server: stored, polled, found in its list |
//! | `transcribe` | a recording → segments |
//! | `notes` | segments → notes |
//! | `wire` | the forms of the answers |

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
    transcriber::Transcriber,
};
use crate::{
    config::{self, Poll},
    http::{BuildError, CallLimits},
};

/// Extensions that it accepts: sound, then video. Its documents only say "audio", so this is what
/// whisper's own loader (ffmpeg) reads. A server that accepts less refuses the recording by name.
const ACCEPTS: [&str; 19] = [
    "aac", "aif", "aiff", "flac", "m4a", "m4b", "mka", "mp3", "mpa", "mpga", "oga", "ogg", "opus",
    "wav", "wma", "mkv", "mov", "mp4", "webm",
];

/// Number of sound formats among them; the others are sent where the config says `video = true`.
const SOUND: usize = 15;

/// The server of one table of the config.
#[derive(Debug)]
pub(crate) struct SaledTranscriber {
    name: String,
    settings: config::Saled,
    http: HttpService,
    poll: Poll,
    /// Time limit of a job without progress.
    patience: Duration,
}

impl SaledTranscriber {
    /// Returns the transcriber at the server. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(
        service: &config::Service,
        settings: &config::Saled,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        let limits = CallLimits::new(service.request_timeout);
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
impl Transcriber for SaledTranscriber {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        if self.settings.video { &ACCEPTS } else { ACCEPTS.split_at(SOUND).0 }
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        self.read_health_and_models().await
    }

    async fn transcribe(
        &self,
        recording: Upload,
        cache: &JobCache,
    ) -> Result<CachedTranscript, CallError> {
        let transcript = self.send_and_follow(&recording, cache).await?;
        Ok(CachedTranscript::from_server(recording.name, recording.stamp.size, transcript))
    }
}

impl SaledTranscriber {
    /// Reads the health of the server and its models. A server that does not list its models may
    /// work all the same.
    async fn read_health_and_models(&self) -> Result<Value, CallError> {
        let health = self.read_health().await?;
        let transcribing = self.list_models(&["api", "transcribe", "models"]).await?;
        let chat = if self.settings.summary.is_some() || self.settings.chat_model.is_some() {
            self.list_models(&["api", "chat", "models"]).await?
        } else {
            None
        };
        let mut models: Vec<String> = Vec::new();
        let mut unlisted: Vec<&str> = Vec::new();
        let mut missing: Vec<&str> = Vec::new();
        let summary = self.settings.summary.as_ref().map(|summary| summary.model.as_str());
        let written = summary.into_iter().chain(self.settings.chat_model.as_deref());
        let wanted =
            [(transcribing, vec![self.settings.model.as_str()]), (chat, written.collect())];
        let is_listed = wanted.iter().any(|(listed, _)| listed.is_some());
        for (listed, wanted) in
            wanted.iter().filter_map(|(listed, wanted)| Some((listed.as_ref()?, wanted)))
        {
            models.extend(listed.iter().map(|model| model.name.clone()));
            for name in wanted {
                match listed.iter().find(|model| model.matches_name(name)) {
                    None => unlisted.push(name),
                    Some(model) if !model.is_downloaded => missing.push(name),
                    Some(_) => {}
                }
            }
        }
        let models = is_listed.then_some(models);
        Ok(
            json!({ "health": health, "models": models, "unlisted": unlisted, "not_downloaded": missing }),
        )
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

//! The engine on this machine, as a service: what it is given it transcribes at once, in a child process.
//!
//! There is no meeting to make and no server to ask. The *upload* is the transcription: the child reads the open file,
//! and what it has understood so far lies in a directory of the job (`keep.rs`), so that an interrupted one goes on.

mod keep;
mod kinds;

use std::{ffi::OsString, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Value, json};

use self::keep::{Keep, Kept};
use super::{AnalysisRequest, Attachment, CallError, FileFault, NewMeeting, Service, Upload};
use crate::{
    beneath::Stamp,
    config::{self, Analysis, Environment, Settings},
    engine::{
        audio::ffmpeg,
        model::{Model, Package, Places},
        run::{EngineError, MEMORY_MIB, Request, run, this_program},
    },
    job::{Findings, Key, Report, Status},
    text::one_line,
};

/// The engine of one table of the config.
#[derive(Debug, Clone)]
pub struct OnDevice {
    name: String,
    threads: usize,
    places: Places,
    /// Where programs are looked for: ffmpeg may come at any time.
    path: OsString,
    keep: Arc<Keep>,
}

/// The one recording of a meeting.
const RECORDING: &str = "transcript";

impl OnDevice {
    /// Returns the engine of these settings; whether its model is installed shows when it is asked.
    #[must_use]
    pub fn new(name: &str, ondevice: &config::Ondevice, settings: &Settings, env: &Environment) -> Self {
        Self {
            name: name.to_owned(),
            threads: usize::try_from(ondevice.threads.get()).unwrap_or(1),
            places: Places::of(Some(settings), env),
            path: env.path.clone().unwrap_or_default(),
            keep: Arc::new(Keep::new(settings.state_dir.join("engine"))),
        }
    }

    async fn kept(&self, meeting: &str) -> Result<Option<Kept>, CallError> {
        let (keep, meeting) = (Arc::clone(&self.keep), meeting.to_owned());
        on_disk(move || keep.read(&meeting)).await
    }

    fn model(&self) -> Result<Model, CallError> {
        let unavailable =
            |error: &dyn std::error::Error| unavailable(one_line(&error.to_string().replace("\nhint: ", "; "), 500));
        let package = Package::here().map_err(|error| unavailable(&error))?;
        Model::find(package, &self.places).map_err(|error| unavailable(&error))
    }

    fn request(&self, meeting: &str) -> Result<Request, CallError> {
        Ok(Request {
            model: self.model()?,
            pieces: self.keep.dir(meeting),
            content: meeting.to_owned(),
            threads: self.threads,
            memory_mib: MEMORY_MIB,
            duration: None,
            ffmpeg: ffmpeg::find(&self.path),
            program: this_program(),
            harm: None,
        })
    }
}

#[async_trait]
impl Service for OnDevice {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [(&'static str, &'static str)] {
        kinds::ACCEPTED
    }

    async fn profile(&self) -> Result<Value, CallError> {
        let model = self.model()?;
        let ffmpeg = ffmpeg::find(&self.path);
        Ok(json!({ "engine": "ondevice", "model": model.encoder.parent(), "ffmpeg": ffmpeg }))
    }

    async fn create(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        Ok(meeting.key.to_string())
    }

    async fn find(&self, key: &Key, _title: &str, _since: Timestamp) -> Result<Option<String>, CallError> {
        Ok(Some(key.to_string()))
    }

    async fn markers(&self) -> Result<Vec<(Key, String)>, CallError> {
        Ok(Vec::new())
    }

    async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        let kept = self.kept(meeting).await?;
        let attachment =
            |kept: Kept| Attachment { id: RECORDING.to_owned(), name: Some(kept.name), size: Some(kept.size) };
        Ok(kept.map(attachment).into_iter().collect())
    }

    async fn upload(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        let Upload { file, stamp, name, progress, .. } = upload;
        let after = file.try_clone().map_err(|error| CallError::File(FileFault::Unreadable(error.to_string())))?;
        let transcript = run(self.request(meeting)?, file, progress).await?;
        // What was heard of a file that changed under the engine is of no recording that there ever was.
        match Stamp::of(&after) {
            Ok(found) if found == stamp => {}
            Ok(_) => {
                self.forget(meeting).await;
                return Err(CallError::File(FileFault::Changed));
            }
            Err(error) => return Err(CallError::File(FileFault::Unreadable(error.to_string()))),
        }
        let (keep, meeting) = (Arc::clone(&self.keep), meeting.to_owned());
        let kept = Kept { name, size: stamp.size, segments: transcript.segments, remarks: transcript.remarks };
        on_disk(move || keep.place(&meeting, &kept)).await?;
        Ok(RECORDING.to_owned())
    }

    async fn look(&self, meeting: &str, _recording: &str) -> Result<Vec<Report>, CallError> {
        let Some(kept) = self.kept(meeting).await? else { return Err(gone()) };
        let mut speakers: Vec<String> = Vec::new();
        for speaker in kept.segments.iter().filter_map(|segment| segment.speaker.as_ref()) {
            if !speakers.contains(speaker) {
                speakers.push(speaker.clone());
            }
        }
        let raw = serde_json::to_string(&kept).unwrap_or_default();
        let findings = Findings { speakers, segments: kept.segments, remarks: kept.remarks, ..Findings::default() };
        let (analysis, status) = (Analysis::Transcription, Status::Completed);
        Ok(vec![Report { analysis, status, id: None, findings, error: None, raw }])
    }

    async fn request(&self, _request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        let message = "the engine on this machine makes a transcription, and minuted's notes from it; nothing else";
        Err(CallError::Refused { status: 400, message: message.to_owned() })
    }

    async fn meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        if page > 1 {
            return Ok(Vec::new());
        }
        let keep = Arc::clone(&self.keep);
        let names = on_disk(move || keep.list()).await?;
        Ok(names.into_iter().map(|name| json!({ "id": name })).collect())
    }

    async fn meeting(&self, id: &str) -> Result<Value, CallError> {
        let kept = self.kept(id).await?.ok_or_else(gone)?;
        Ok(json!({ "id": id, "name": kept.name, "size": kept.size, "segments": kept.segments.len() }))
    }

    async fn forget(&self, meeting: &str) {
        let (keep, meeting) = (Arc::clone(&self.keep), meeting.to_owned());
        if let Err(error) = on_disk(move || keep.forget(&meeting)).await {
            tracing::debug!("what the engine keeps of a finished recording stays for now: {error}");
        }
    }
}

impl From<EngineError> for CallError {
    fn from(error: EngineError) -> Self {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let message = one_line(&format!("{error}{cause}"), 500);
        match error {
            EngineError::Undecodable { .. } => Self::File(FileFault::Unfit(message)),
            EngineError::Crashed { .. } | EngineError::OutOfMemory { .. } | EngineError::StoodStill { .. } => {
                Self::File(FileFault::Failed(message))
            }
            EngineError::NeedsFfmpeg { .. } => Self::File(FileFault::Lacking(message)),
            EngineError::Model { .. } | EngineError::Disk { .. } | EngineError::Start(_) => unavailable(message),
        }
    }
}

/// The engine's own failure: all recordings wait.
fn unavailable(message: String) -> CallError {
    CallError::Unavailable { message, after: None, uncertain: false }
}

fn gone() -> CallError {
    CallError::Refused { status: 404, message: "the engine has no transcript of it any more".to_owned() }
}

/// Runs what waits for the disk; a disk that does not work is the machine's failure and no recording's.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, CallError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other).and_then(|done| done);
    done.map_err(|error| unavailable(format!("the engine's directory in the state directory: {error}")))
}

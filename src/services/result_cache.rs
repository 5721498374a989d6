//! What a service without a memory of its own keeps of a recording until its results are in the queue: a directory of the
//! job below the state directory, with the pieces that are done so far, then with the whole transcript.

use std::{
    fs::{DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Attachment, CallError};
use crate::{
    clock,
    config::Analysis,
    effect::Effect,
    job::{Findings, Report, Segment, Status},
};

/// The transcript's file.
const TRANSCRIPT: &str = "transcript.json";

/// The id of the one recording of a meeting.
pub(super) const RECORDING: &str = "transcript";

/// What a job left behind that nobody asks for any more (it failed, or was cancelled) goes after this time; a month is
/// time enough for a `retry` to go on where it was.
const LEFT_BEHIND: Duration = Duration::from_secs(30 * 86_400);

/// A finished transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct CachedTranscript {
    /// The recording's name, as it was given.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// What was said.
    pub(super) segments: Vec<Segment>,
    /// What a reader must know of it.
    pub(super) remarks: Vec<String>,
}

impl CachedTranscript {
    /// Returns the transcription as a result.
    pub(super) fn report(self) -> Report {
        let mut speakers: Vec<String> = Vec::new();
        for speaker in self.segments.iter().filter_map(|segment| segment.speaker.as_ref()) {
            if !speakers.contains(speaker) {
                speakers.push(speaker.clone());
            }
        }
        let raw = serde_json::to_string(&self).unwrap_or_default();
        let findings = Findings { speakers, segments: self.segments, remarks: self.remarks, ..Findings::default() };
        let (analysis, status) = (Analysis::Transcription, Status::Completed);
        Report { analysis, status, id: None, findings, error: None, raw }
    }
}

/// What a model wrote, with what a reader must know of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ModelOutput {
    /// Markdown.
    pub(super) text: String,
    /// What a reader must know of it.
    pub(super) remarks: Vec<String>,
}

impl ModelOutput {
    /// Returns it as a result.
    pub(super) fn report(self, analysis: Analysis) -> Report {
        let raw = serde_json::to_string(&self).unwrap_or_default();
        let findings = Findings { markdown: Some(self.text), remarks: self.remarks, ..Findings::default() };
        Report { analysis, status: Status::Completed, id: None, findings, error: None, raw }
    }
}

/// The directory of all jobs.
#[derive(Debug, Clone)]
pub(super) struct ResultCache {
    root: PathBuf,
}

impl ResultCache {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns a job's directory, which need not be there. A key holds no separator.
    pub(super) fn dir(&self, meeting: &str) -> PathBuf {
        self.root.join(meeting.replace('/', "_"))
    }

    /// Returns the transcript, if it is finished.
    pub(super) async fn transcript(&self, meeting: &str) -> Result<Option<CachedTranscript>, CallError> {
        self.read(meeting, TRANSCRIPT).await
    }

    /// Writes the transcript, whole or not at all.
    pub(super) async fn place_transcript(&self, meeting: &str, kept: &CachedTranscript) -> Result<(), CallError> {
        self.place(meeting, TRANSCRIPT, kept).await
    }

    /// Returns what a file of the job holds, if it is there.
    pub(super) async fn read<T>(&self, meeting: &str, file: &str) -> Result<Option<T>, CallError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let path = self.dir(meeting).join(file);
        on_disk(move || match std::fs::read(path) {
            // One that does not read back is none: it is made again.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Writes a file of the job, whole or not at all.
    pub(super) async fn place<T: Serialize + Sync>(
        &self,
        meeting: &str,
        file: &str,
        value: &T,
    ) -> Result<(), CallError> {
        let (dir, file, bytes) = (self.dir(meeting), file.to_owned(), serde_json::to_vec(value));
        on_disk(move || place(&dir, &file, &bytes?)).await
    }

    /// Removes what is kept of a job, and what others left behind long ago.
    pub(super) async fn forget(&self, meeting: &str) {
        let (root, dir) = (self.root.clone(), self.dir(meeting));
        if let Err(error) = on_disk(move || forget(&root, &dir)).await {
            tracing::debug!("what is kept of a finished recording stays for now: {error}");
        }
    }

    /// Removes what was written longer ago than `age`.
    pub(super) async fn sweep(&self, age: Duration) {
        let root = self.root.clone();
        if let Err(error) = on_disk(move || sweep(&root, age)).await {
            tracing::debug!("what is kept of old recordings stays for now: {error}");
        }
    }

    /// Returns the recording of a meeting: there once its transcript is.
    pub(super) async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        let attachment = |kept: CachedTranscript| Attachment {
            id: RECORDING.to_owned(),
            name: Some(kept.name),
            size: Some(kept.size),
        };
        Ok(self.transcript(meeting).await?.map(attachment).into_iter().collect())
    }

    /// Returns the jobs of which something is kept, as a page of a list.
    pub(super) async fn meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        if page > 1 {
            return Ok(Vec::new());
        }
        let root = self.root.clone();
        let names = on_disk(move || list(&root)).await?;
        Ok(names.into_iter().map(|name| json!({ "id": name })).collect())
    }

    /// Returns what is kept of a job, in short.
    pub(super) async fn meeting(&self, id: &str) -> Result<Value, CallError> {
        let kept = self.transcript(id).await?.ok_or_else(gone)?;
        Ok(json!({ "id": id, "name": kept.name, "size": kept.size, "segments": kept.segments.len() }))
    }
}

/// Returns the error of a transcript that is not there any more.
pub(super) fn gone() -> CallError {
    CallError::Refused { status: 404, message: "no transcript of it is kept any more".to_owned() }
}

fn place(dir: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let (next, path) = (dir.join(format!("{file}.tmp")), dir.join(file));
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Effect::PlaceTranscript.before();
    std::fs::rename(&next, &path)?;
    File::open(dir)?.sync_all()?;
    Effect::PlaceTranscript.after();
    Ok(())
}

fn forget(root: &Path, dir: &Path) -> io::Result<()> {
    remove(dir)?;
    sweep(root, LEFT_BEHIND)
}

fn sweep(root: &Path, age: Duration) -> io::Result<()> {
    let now = clock::now();
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let touched = entry.metadata()?.modified()?;
        let touched = jiff::Timestamp::try_from(touched).unwrap_or(now);
        if clock::elapsed(touched, now) > age {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

fn list(root: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn remove(dir: &Path) -> io::Result<()> {
    Effect::ForgetTranscript.before();
    let removed = std::fs::remove_dir_all(dir);
    Effect::ForgetTranscript.after();
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _gone => Ok(()),
    }
}

/// Runs what waits for the disk; a disk that does not work is the machine's failure and no recording's.
async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, CallError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|done| done);
    done.map_err(|error| {
        CallError::service_alone(format!("what is kept of recordings in the state directory: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> CachedTranscript {
        let segment = Segment { start: Some(0.0), end: Some(1.5), speaker: None, text: "Good morning.".into() };
        CachedTranscript {
            name: "talk.wav".into(),
            size: 7,
            segments: vec![segment],
            remarks: vec!["its end is missing".into()],
        }
    }

    #[tokio::test]
    async fn a_transcript_is_there_whole_or_not_at_all_until_it_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let keep = ResultCache::new(dir.path().join("engine"));
        assert_eq!(keep.transcript("a.1").await.expect("read"), None);
        assert_eq!(keep.meetings(1).await.expect("listed"), Vec::<Value>::new());
        keep.place_transcript("a.1", &kept()).await.expect("placed");
        assert_eq!(keep.transcript("a.1").await.expect("read"), Some(kept()));
        assert_eq!(keep.meetings(1).await.expect("listed"), [json!({ "id": "a.1" })]);
        assert_eq!(keep.meetings(2).await.expect("listed"), Vec::<Value>::new());
        assert_eq!(keep.attachments("a.1").await.expect("read")[0].size, Some(7));
        std::fs::write(keep.dir("a.1").join(TRANSCRIPT), b"{\"name\":").expect("torn");
        assert_eq!(keep.transcript("a.1").await.expect("read"), None);
        keep.forget("a.1").await;
        keep.forget("a.1").await;
        assert_eq!(keep.meetings(1).await.expect("listed"), Vec::<Value>::new());
    }

    #[tokio::test]
    async fn what_was_left_behind_a_month_ago_goes_and_what_is_young_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let keep = ResultCache::new(dir.path().join("engine"));
        for job in ["old.1", "young.1", "done.1"] {
            keep.place_transcript(job, &kept()).await.expect("placed");
        }
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::open(keep.dir("old.1")).and_then(|dir| dir.set_modified(old)).expect("aged");
        keep.forget("done.1").await;
        assert_eq!(keep.meetings(1).await.expect("listed"), [json!({ "id": "young.1" })]);
    }
}

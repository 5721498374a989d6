//! Results of recordings that are kept on this machine until they are in the queue: a directory of
//! each job below the state directory, with what an interrupted attempt has finished, then with the
//! whole transcript.

use std::{
    fs::{DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::CallError;
use crate::{
    clock,
    config::Analysis,
    effect::Effect,
    job::{Findings, Key, Report, Segment, Status},
};

/// The file of the transcript.
const TRANSCRIPT: &str = "transcript.json";

/// How long cached results of failed or cancelled jobs are kept: a month is time enough for a
/// `retry` to go on where it was.
const LEFT_BEHIND: Duration = Duration::from_secs(30 * 86_400);

/// A finished transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CachedTranscript {
    /// The name of the recording, as it was sent.
    pub(super) name: String,
    /// The size of the recording in bytes.
    pub(super) size: u64,
    /// The transcript.
    pub(super) segments: Vec<Segment>,
    /// Remarks for readers of the transcript.
    pub(super) remarks: Vec<String>,
}

impl CachedTranscript {
    /// Returns the transcript of a server, with a remark where it heard nothing.
    pub(super) fn from_segments(name: String, size: u64, segments: Vec<Segment>) -> Self {
        let nothing = "nothing was said in this recording, as far as the service could hear";
        let remarks = if segments.is_empty() { vec![nothing.to_owned()] } else { Vec::new() };
        Self { name, size, segments, remarks }
    }

    /// Returns the error of a transcript that is not there any more.
    pub(super) fn gone() -> CallError {
        let message = "no transcript of it is kept any more".to_owned();
        CallError::Refused { status: 404, message }
    }

    /// Returns the transcription as a result.
    pub(super) fn into_report(self) -> Report {
        let mut speakers: Vec<String> = Vec::new();
        for speaker in self.segments.iter().filter_map(|segment| segment.speaker.as_ref()) {
            if !speakers.contains(speaker) {
                speakers.push(speaker.clone());
            }
        }
        let raw = serde_json::to_string(&self).unwrap_or_default();
        let findings = Findings { speakers, segments: self.segments, remarks: self.remarks, ..Findings::default() };
        completed_report(Analysis::Transcription, findings, raw)
    }
}

/// Notes that a model wrote, with remarks for their readers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ModelOutput {
    /// The notes, in Markdown.
    pub(super) text: String,
    /// Remarks for readers of the notes.
    pub(super) remarks: Vec<String>,
}

impl ModelOutput {
    /// Returns the notes of a recording in which nothing was said.
    pub(super) fn of_silence() -> Self {
        Self { text: "*Nothing was said.*".to_owned(), remarks: Vec::new() }
    }

    /// Returns the notes as a result.
    pub(super) fn into_report(self, analysis: Analysis) -> Report {
        let raw = serde_json::to_string(&self).unwrap_or_default();
        let markdown = Some(self.text);
        let findings = Findings { markdown, remarks: self.remarks, ..Findings::default() };
        completed_report(analysis, findings, raw)
    }
}

fn completed_report(analysis: Analysis, findings: Findings, raw: String) -> Report {
    Report { analysis, status: Status::Completed, id: None, findings, error: None, raw }
}

/// Cached results of all jobs of one service.
#[derive(Debug, Clone)]
pub(crate) struct ResultCache {
    root: PathBuf,
    entries: Entries,
}

/// The results that share an entry of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entries {
    /// Each job has its own, which goes once its results are in the queue.
    PerJob,
    /// All jobs of a recording in a folder share one, which outlives them.
    PerRecording,
}

impl ResultCache {
    /// Returns a cache whose entries go with their jobs.
    pub(crate) fn per_job(root: PathBuf) -> Self {
        Self { root, entries: Entries::PerJob }
    }

    /// Returns a cache whose entries are shared by all jobs of a recording in a folder.
    pub(crate) fn per_recording(root: PathBuf) -> Self {
        Self { root, entries: Entries::PerRecording }
    }

    /// Returns the cached results of a job, of which there need not be any.
    pub(super) fn job(&self, meeting: &str) -> JobCache {
        let entry = match (self.entries, meeting.parse::<Key>()) {
            (Entries::PerRecording, Ok(key)) => format!("{}.{}", key.content, key.folder),
            (Entries::PerRecording, Err(_)) | (Entries::PerJob, _) => meeting.to_owned(),
        };
        // A key holds no separator.
        let dir = self.root.join(entry.replace('/', "_"));
        JobCache { meeting: meeting.to_owned(), root: self.root.clone(), dir }
    }

    /// Removes the results of a job that are in the queue, and old ones of other jobs. Entries
    /// that jobs share stay.
    pub(super) async fn forget_job(&self, meeting: &str) {
        if self.entries == Entries::PerJob {
            self.job(meeting).remove().await;
        }
    }

    /// Removes entries that were written longer ago than `age`.
    pub(super) async fn sweep(&self, age: Duration) {
        let root = self.root.clone();
        if let Err(error) = on_disk(move || sweep(&root, age)).await {
            tracing::debug!("cached results of old recordings stay for now: {error}");
        }
    }

    /// Returns the names of all entries, in no order.
    pub(super) async fn list_entries(&self) -> Result<Vec<String>, CallError> {
        let root = self.root.clone();
        on_disk(move || list(&root)).await
    }
}

/// Cached results of one job.
#[derive(Debug, Clone)]
pub(crate) struct JobCache {
    meeting: String,
    root: PathBuf,
    dir: PathBuf,
}

impl JobCache {
    /// Returns the id of the job's meeting.
    pub(super) fn meeting(&self) -> &str {
        &self.meeting
    }

    /// Returns the job's directory, which need not be there.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the transcript, if it is finished.
    pub(super) async fn transcript(&self) -> Result<Option<CachedTranscript>, CallError> {
        self.read(TRANSCRIPT).await
    }

    /// Writes the transcript, whole or not at all.
    pub(super) async fn write_transcript(&self, transcript: &CachedTranscript) -> Result<(), CallError> {
        self.write(TRANSCRIPT, transcript).await
    }

    /// Returns the contents of a file, if it is there.
    pub(super) async fn read<T>(&self, file: &str) -> Result<Option<T>, CallError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let path = self.dir.join(file);
        on_disk(move || match std::fs::read(path) {
            // One that does not read back is none: it is made again.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        })
        .await
    }

    /// Writes a file, whole or not at all.
    pub(super) async fn write<T: Serialize + Sync>(&self, file: &str, value: &T) -> Result<(), CallError> {
        let dir = self.dir.clone();
        let file = file.to_owned();
        let bytes = serde_json::to_vec(value);
        on_disk(move || place(&dir, &file, &bytes?)).await
    }

    /// Removes the job's results, and those that other jobs left behind long ago.
    pub(super) async fn remove(&self) {
        let root = self.root.clone();
        let dir = self.dir.clone();
        if let Err(error) = on_disk(move || forget(&root, &dir)).await {
            tracing::debug!("cached results of a finished recording stay for now: {error}");
        }
    }
}

fn place(dir: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let (next, path) = (dir.join(format!("{file}.tmp")), dir.join(file));
    let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Effect::PlaceTranscript.during(|| {
        std::fs::rename(&next, &path)?;
        File::open(dir)?.sync_all()
    })
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
    match Effect::ForgetTranscript.during(|| std::fs::remove_dir_all(dir)) {
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

    fn transcript() -> CachedTranscript {
        let text = "Good morning.".to_owned();
        let segment = Segment { start: Some(0.0), end: Some(1.5), speaker: None, text };
        let remarks = vec!["its end is missing".into()];
        CachedTranscript { name: "talk.wav".into(), size: 7, segments: vec![segment], remarks }
    }

    #[tokio::test]
    async fn a_transcript_is_there_whole_or_not_at_all_until_it_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = ResultCache::per_job(dir.path().join("engine"));
        let job = cache.job("a.1");
        assert_eq!(job.transcript().await.expect("read"), None);
        assert_eq!(cache.list_entries().await.expect("listed"), Vec::<String>::new());
        job.write_transcript(&transcript()).await.expect("placed");
        assert_eq!(job.transcript().await.expect("read"), Some(transcript()));
        assert_eq!(cache.list_entries().await.expect("listed"), ["a.1"]);
        std::fs::write(job.dir().join(TRANSCRIPT), b"{\"name\":").expect("torn");
        assert_eq!(job.transcript().await.expect("read"), None);
        cache.forget_job("a.1").await;
        cache.forget_job("a.1").await;
        assert_eq!(cache.list_entries().await.expect("listed"), Vec::<String>::new());
    }

    #[tokio::test]
    async fn what_was_left_behind_a_month_ago_goes_and_what_is_young_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = ResultCache::per_job(dir.path().join("engine"));
        for job in ["old.1", "young.1", "done.1"] {
            cache.job(job).write_transcript(&transcript()).await.expect("placed");
        }
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::open(cache.job("old.1").dir()).and_then(|dir| dir.set_modified(old)).expect("aged");
        cache.forget_job("done.1").await;
        assert_eq!(cache.list_entries().await.expect("listed"), ["young.1"]);
    }
}

//! Results that are kept on this machine until they are in the queue: one directory a job, in the
//! state directory. It holds the finished parts of an interrupted attempt, then the whole
//! transcript.

use std::{
    collections::BTreeSet,
    fs::{DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{CallError, response_parsing::ServerTranscript};
use crate::{
    clock,
    config::Analysis,
    effect::Effect,
    engine::voices::prints::forget_prints,
    job::{FOREIGN_NOTE, Findings, Item, Key, Report, Segment, Status},
};

/// The file of the transcript.
const TRANSCRIPT: &str = "transcript.json";

/// Retention of cached results of failed or cancelled jobs: within a month a `retry` continues
/// them.
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
    /// The length of the recording in seconds, where it is known.
    #[serde(default)]
    pub(super) duration: Option<f64>,
    /// The language that was recognised.
    #[serde(default)]
    pub(super) language: Option<String>,
    /// True where another language than English was spoken, and English words were made of it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_foreign: bool,
}

impl CachedTranscript {
    /// Returns the transcript of a server, with a remark where nothing was heard.
    pub(super) fn from_server(name: String, size: u64, transcript: ServerTranscript) -> Self {
        let ServerTranscript { segments, duration, language } = transcript;
        let nothing = "nothing was said in this recording, as far as the service could hear";
        let remarks = if segments.is_empty() { vec![nothing.to_owned()] } else { Vec::new() };
        Self { name, size, segments, remarks, duration, language, is_foreign: false }
    }

    /// Returns the error of a transcript that was removed.
    pub(super) fn missing_transcript() -> CallError {
        let message = "its transcript was removed from the cache".to_owned();
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
        let findings = Findings {
            speakers,
            segments: self.segments,
            duration: self.duration,
            language: self.language,
            is_foreign: self.is_foreign,
            remarks: self.remarks,
            ..Findings::default()
        };
        completed_report(Analysis::Transcription, findings, raw)
    }
}

/// Notes that a model wrote, with remarks for their readers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ModelOutput {
    /// The notes, in Markdown.
    pub(super) text: String,
    /// Remarks for readers of the notes.
    pub(super) remarks: Vec<String>,
    /// The items that are in the transcript.
    pub(super) items: Vec<Item>,
    /// The service and the model that wrote them, where that is to be shown.
    pub(super) notes_by: Option<String>,
}

impl ModelOutput {
    /// Returns the notes of a recording in which nothing was said.
    pub(super) fn of_silence() -> Self {
        Self { text: "*Nothing was said.*".to_owned(), ..Self::default() }
    }

    /// Returns the notes of a recording of which no word was understood.
    pub(super) fn of_unclear_words() -> Self {
        Self { text: "*No words were understood.*".to_owned(), ..Self::default() }
    }

    /// Returns the notes of a recording in another language than English, of which only English is
    /// understood.
    pub(super) fn of_foreign_words() -> Self {
        Self { text: FOREIGN_NOTE.to_owned(), ..Self::default() }
    }

    /// Returns the notes as a result.
    pub(super) fn into_report(self, analysis: Analysis) -> Report {
        let raw = serde_json::to_string(&self).unwrap_or_default();
        let markdown = Some(self.text);
        let Self { remarks, items, notes_by, .. } = self;
        let findings = Findings { markdown, remarks, items, notes_by, ..Findings::default() };
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
    entries: CacheEntries,
}

/// The results that share an entry of the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CacheEntries {
    /// An entry of each job, removed once its results are in the queue.
    PerJob,
    /// An entry for all jobs of a recording in a folder, which outlives them.
    PerRecording,
}

impl ResultCache {
    /// Returns a cache whose entries are removed with their jobs.
    pub(crate) fn per_job(root: PathBuf) -> Self {
        Self { root, entries: CacheEntries::PerJob }
    }

    /// Returns a cache whose entries are shared by all jobs of a recording in a folder.
    pub(crate) fn per_recording(root: PathBuf) -> Self {
        Self { root, entries: CacheEntries::PerRecording }
    }

    /// Returns the cache of one job, which may be empty.
    pub(super) fn job_cache(&self, meeting: &str) -> JobCache {
        let entry = match (self.entries, meeting.parse::<Key>()) {
            (CacheEntries::PerRecording, Ok(key)) => format!("{}.{}", key.content, key.folder),
            (CacheEntries::PerRecording, Err(_)) | (CacheEntries::PerJob, _) => meeting.to_owned(),
        };
        // A key holds no separator.
        let dir = self.root.join(entry.replace('/', "_"));
        let notes_dir = match (self.entries, meeting.parse::<Key>()) {
            // The notes of an earlier generation are not those of this one.
            (CacheEntries::PerRecording, Ok(key)) => dir.join(format!("notes.{}", key.generation)),
            (CacheEntries::PerRecording, Err(_)) | (CacheEntries::PerJob, _) => dir.clone(),
        };
        JobCache { meeting: meeting.to_owned(), root: self.root.clone(), dir, notes_dir }
    }

    /// Removes the results of a job that are in the queue, and old ones of other jobs. Of an entry
    /// that jobs share the transcript stays.
    pub(super) async fn forget_job(&self, meeting: &str) {
        let job = self.job_cache(meeting);
        match self.entries {
            CacheEntries::PerJob => job.remove_results().await,
            CacheEntries::PerRecording => job.remove_notes().await,
        }
    }

    /// Removes the voice prints of all jobs but these: a job that has failed or was cancelled keeps
    /// none.
    pub(super) async fn forget_voice_prints(&self, unfinished: &BTreeSet<String>) {
        let kept: BTreeSet<PathBuf> =
            unfinished.iter().map(|meeting| self.job_cache(meeting).dir).collect();
        let root = self.root.clone();
        let forgotten = on_disk(move || {
            let dirs = list_names(&root)?.into_iter().map(|name| root.join(name));
            dirs.filter(|dir| !kept.contains(dir)).try_for_each(|dir| forget_prints(&dir))
        });
        if let Err(error) = forgotten.await {
            tracing::warn!("voice prints of ended jobs stay for now: {error}");
        }
    }

    /// Removes entries that were written longer ago than `age`.
    pub(super) async fn remove_old_entries(&self, age: Duration) {
        let root = self.root.clone();
        if let Err(error) = on_disk(move || remove_old_dirs(&root, age)).await {
            tracing::debug!("cached results of old recordings stay for now: {error}");
        }
    }

    /// Returns the names of all entries, in no order.
    pub(super) async fn list_entries(&self) -> Result<Vec<String>, CallError> {
        let root = self.root.clone();
        on_disk(move || list_names(&root)).await
    }
}

/// Cached results of one job.
#[derive(Debug, Clone)]
pub(crate) struct JobCache {
    meeting: String,
    root: PathBuf,
    /// The directory of the transcript.
    dir: PathBuf,
    /// The directory of what is written from the transcript.
    notes_dir: PathBuf,
}

impl JobCache {
    /// Returns the id of the job's meeting.
    pub(super) fn meeting_id(&self) -> &str {
        &self.meeting
    }

    /// Returns the job's directory, which may not exist yet.
    pub(super) fn job_dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the transcript, if it is finished.
    pub(super) async fn read_transcript(&self) -> Result<Option<CachedTranscript>, CallError> {
        read_json(self.dir.join(TRANSCRIPT)).await
    }

    /// Writes the transcript, whole or not at all.
    pub(super) async fn write_transcript(
        &self,
        transcript: &CachedTranscript,
    ) -> Result<(), CallError> {
        write_json(self.dir.clone(), TRANSCRIPT, transcript).await
    }

    /// Returns the contents of a file, if it is there.
    pub(super) async fn read_file<T>(&self, file: &str) -> Result<Option<T>, CallError>
    where
        T: DeserializeOwned + Send + 'static,
    {
        read_json(self.notes_dir.join(file)).await
    }

    /// Writes a file, whole or not at all.
    pub(super) async fn write_file<T: Serialize + Sync>(
        &self,
        file: &str,
        value: &T,
    ) -> Result<(), CallError> {
        write_json(self.notes_dir.clone(), file, value).await
    }

    /// Removes the job's results, and expired ones of other jobs.
    pub(super) async fn remove_results(&self) {
        let root = self.root.clone();
        let dir = self.dir.clone();
        log_failure(on_disk(move || remove_job_dir(&root, &dir))).await;
    }

    /// Removes what was written from the transcript.
    async fn remove_notes(&self) {
        let dir = self.notes_dir.clone();
        log_failure(on_disk(move || remove_dir(&dir))).await;
    }
}

async fn read_json<T: DeserializeOwned + Send + 'static>(
    path: PathBuf,
) -> Result<Option<T>, CallError> {
    on_disk(move || match std::fs::read(path) {
        // A file that does not parse counts as missing, and is written again.
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    })
    .await
}

async fn write_json<T: Serialize + Sync>(
    dir: PathBuf,
    file: &str,
    value: &T,
) -> Result<(), CallError> {
    let file = file.to_owned();
    let bytes = serde_json::to_vec(value);
    on_disk(move || place_file(&dir, &file, &bytes?)).await
}

fn place_file(dir: &Path, file: &str, bytes: &[u8]) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    let next = dir.join(format!("{file}.tmp"));
    let path = dir.join(file);
    let mut file =
        File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    Effect::PlaceTranscript.during(|| {
        std::fs::rename(&next, &path)?;
        File::open(dir)?.sync_all()
    })
}

async fn log_failure(removal: impl Future<Output = Result<(), CallError>>) {
    if let Err(error) = removal.await {
        tracing::debug!("cached results of a finished recording stay for now: {error}");
    }
}

fn remove_job_dir(root: &Path, dir: &Path) -> io::Result<()> {
    remove_dir(dir)?;
    remove_old_dirs(root, LEFT_BEHIND)
}

fn remove_old_dirs(root: &Path, age: Duration) -> io::Result<()> {
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
            remove_dir(&entry.path())?;
        }
    }
    Ok(())
}

fn list_names(root: &Path) -> io::Result<Vec<String>> {
    let entries = match std::fs::read_dir(root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match Effect::ForgetTranscript.during(|| std::fs::remove_dir_all(dir)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _gone => Ok(()),
    }
}

/// Runs file work on a thread that may block. A broken disk is the machine's failure, never a
/// recording's.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, CallError> {
    let done =
        tokio::task::spawn_blocking(work).await.map_err(io::Error::other).and_then(|done| done);
    done.map_err(|error| {
        CallError::service_alone(format!(
            "failed to use cached results in the state directory: {error}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transcript() -> CachedTranscript {
        let text = "Good morning.".to_owned();
        let segment =
            Segment { start: Some(0.0), end: Some(1.5), speaker: None, text, ..Segment::default() };
        let remarks = vec!["its end is missing".into()];
        CachedTranscript {
            name: "talk.wav".into(),
            size: 7,
            segments: vec![segment],
            remarks,
            duration: None,
            language: None,
            is_foreign: false,
        }
    }

    #[tokio::test]
    async fn a_transcript_is_there_whole_or_not_at_all_until_it_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = ResultCache::per_job(dir.path().join("engine"));
        let job = cache.job_cache("a.1");
        assert_eq!(job.read_transcript().await.expect("read"), None);
        assert_eq!(cache.list_entries().await.expect("listed"), Vec::<String>::new());
        job.write_transcript(&transcript()).await.expect("placed");
        assert_eq!(job.read_transcript().await.expect("read"), Some(transcript()));
        assert_eq!(cache.list_entries().await.expect("listed"), ["a.1"]);
        std::fs::write(job.job_dir().join(TRANSCRIPT), b"{\"name\":").expect("torn");
        assert_eq!(job.read_transcript().await.expect("read"), None);
        cache.forget_job("a.1").await;
        cache.forget_job("a.1").await;
        assert_eq!(cache.list_entries().await.expect("listed"), Vec::<String>::new());
    }

    #[tokio::test]
    async fn voice_prints_go_with_their_jobs_and_nothing_else_does() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = ResultCache::per_job(dir.path().join("engine"));
        cache.forget_voice_prints(&BTreeSet::new()).await;
        for job in ["failed.1", "running.1"] {
            let dir = cache.job_cache(job).job_dir().to_owned();
            std::fs::create_dir_all(&dir).expect("made");
            for file in ["pieces.jsonl", "voices.bin"] {
                std::fs::write(dir.join(file), "x").expect("written");
            }
        }
        cache.forget_voice_prints(&BTreeSet::from(["running.1".to_owned()])).await;
        let is_there = |job, file| cache.job_cache(job).job_dir().join(file).exists();
        assert_eq!(
            (is_there("failed.1", "voices.bin"), is_there("running.1", "voices.bin")),
            (false, true)
        );
        assert!(is_there("failed.1", "pieces.jsonl"), "a retry goes on with the words");
    }

    #[tokio::test]
    async fn what_was_left_behind_a_month_ago_goes_and_what_is_young_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let cache = ResultCache::per_job(dir.path().join("engine"));
        for job in ["old.1", "young.1", "done.1"] {
            cache.job_cache(job).write_transcript(&transcript()).await.expect("placed");
        }
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::open(cache.job_cache("old.1").job_dir())
            .and_then(|dir| dir.set_modified(old))
            .expect("aged");
        cache.forget_job("done.1").await;
        assert_eq!(cache.list_entries().await.expect("listed"), ["young.1"]);
    }
}

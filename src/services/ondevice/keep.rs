//! What the engine keeps of a recording until its results are in the queue: a directory of the job below the state
//! directory, with the pieces that are understood so far, then with the whole transcript.

use std::{
    fs::{DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{clock, effect::Effect, job::Segment};

/// The transcript's file.
const TRANSCRIPT: &str = "transcript.json";

/// What a job left behind that nobody asks for any more (it failed, or was cancelled) goes after this time; a month is
/// time enough for a `retry` to go on where it was.
const LEFT_BEHIND: Duration = Duration::from_secs(30 * 86_400);

/// A finished transcript.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The recording's name, as it was given.
    pub(super) name: String,
    /// Its size in bytes.
    pub(super) size: u64,
    /// What was said.
    pub(super) segments: Vec<Segment>,
    /// What a reader must know of it.
    pub(super) remarks: Vec<String>,
}

/// The directory of all jobs.
#[derive(Debug)]
pub(super) struct Keep {
    root: PathBuf,
}

impl Keep {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Returns a job's directory, which need not be there. A key holds no separator.
    pub(super) fn dir(&self, meeting: &str) -> PathBuf {
        self.root.join(meeting.replace('/', "_"))
    }

    /// Returns the transcript, if it is finished.
    pub(super) fn read(&self, meeting: &str) -> io::Result<Option<Kept>> {
        match std::fs::read(self.dir(meeting).join(TRANSCRIPT)) {
            // One that does not read back is none: it is made again.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes the transcript, whole or not at all.
    pub(super) fn place(&self, meeting: &str, kept: &Kept) -> io::Result<()> {
        let dir = self.dir(meeting);
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let (next, path) = (dir.join("transcript.tmp"), dir.join(TRANSCRIPT));
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.sync_all()?;
        Effect::PlaceTranscript.before();
        std::fs::rename(&next, &path)?;
        File::open(&dir)?.sync_all()?;
        Effect::PlaceTranscript.after();
        Ok(())
    }

    /// Removes what is kept of a job, and what others left behind long ago.
    pub(super) fn forget(&self, meeting: &str) -> io::Result<()> {
        remove(&self.dir(meeting))?;
        let now = clock::now();
        for entry in std::fs::read_dir(&self.root)? {
            let entry = entry?;
            let touched = entry.metadata()?.modified()?;
            let touched = jiff::Timestamp::try_from(touched).unwrap_or(now);
            if clock::elapsed(touched, now) > LEFT_BEHIND {
                remove(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Returns the jobs of which something is kept.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let entries = match std::fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Kept {
        let segment = Segment { start: Some(0.0), end: Some(1.5), speaker: None, text: "Good morning.".into() };
        Kept { name: "talk.wav".into(), size: 7, segments: vec![segment], remarks: vec!["its end is missing".into()] }
    }

    #[test]
    fn a_transcript_is_there_whole_or_not_at_all_until_it_is_forgotten() {
        let dir = tempfile::tempdir().expect("a directory");
        let keep = Keep::new(dir.path().join("engine"));
        assert_eq!(keep.read("a.1").expect("read"), None);
        assert_eq!(keep.list().expect("listed"), Vec::<String>::new());
        keep.place("a.1", &kept()).expect("placed");
        assert_eq!(keep.read("a.1").expect("read"), Some(kept()));
        assert_eq!(keep.list().expect("listed"), ["a.1"]);
        std::fs::write(keep.dir("a.1").join(TRANSCRIPT), b"{\"name\":").expect("torn");
        assert_eq!(keep.read("a.1").expect("read"), None);
        keep.forget("a.1").expect("forgotten");
        keep.forget("a.1").expect("forgotten again");
        assert_eq!(keep.list().expect("listed"), Vec::<String>::new());
    }

    #[test]
    fn what_was_left_behind_a_month_ago_goes_and_what_is_young_stays() {
        let dir = tempfile::tempdir().expect("a directory");
        let keep = Keep::new(dir.path().join("engine"));
        for job in ["old.1", "young.1", "done.1"] {
            keep.place(job, &kept()).expect("placed");
        }
        let old = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        File::open(keep.dir("old.1")).and_then(|dir| dir.set_modified(old)).expect("aged");
        keep.forget("done.1").expect("forgotten");
        assert_eq!(keep.list().expect("listed"), ["young.1"]);
    }
}

//! The file beside a recording that failed: `talk.failed.txt`, for the person who dropped it.

use jiff::Timestamp;
use serde::Serialize;

use super::{
    seal,
    templates::{Template, fill_template},
};
use crate::{
    job::{Content, Key, Stage},
    text::one_line,
};

/// The content of the file that tells of a failure.
#[derive(Debug, Clone)]
pub(crate) struct FailureNotice<'a> {
    /// The job.
    pub key: &'a Key,
    /// Its id, as commands name it.
    pub job: i64,
    /// The recording's file name.
    pub recording: &'a str,
    /// The folder's name.
    pub folder: &'a str,
    /// The last error, in plain words.
    pub error: &'a str,
    /// The failed attempts, oldest first.
    pub tried: &'a [Attempt],
    /// True if notes of what did complete were delivered.
    pub partial: bool,
}

/// A failed attempt.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    /// The time of the failure.
    pub at: Timestamp,
    /// The stage.
    pub stage: Stage,
    /// The reason of the failure.
    pub error: String,
}

/// The beginning of the file; the key and a seal follow.
const PROOF: &str = "minuted:failed ";

/// The longest error that is shown, in characters: a server may answer with a page.
const ERROR_CHARS: usize = 500;

#[derive(Serialize)]
struct FailureValues {
    proof: String,
    recording: String,
    folder: String,
    error: String,
    tried: Vec<Line>,
    partial: bool,
    job: i64,
}

#[derive(Serialize)]
struct Line {
    at: String,
    stage: &'static str,
    error: String,
}

/// Returns the content of the file.
#[must_use]
pub(crate) fn render_failure(failure: &FailureNotice<'_>) -> String {
    let line = |attempt: &Attempt| Line {
        at: attempt.at.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        stage: attempt.stage.as_str(),
        error: one_line(&attempt.error, ERROR_CHARS),
    };
    let values = FailureValues {
        proof: format!("{PROOF}{} {}", failure.key, seal::BLANK),
        recording: one_line(failure.recording, ERROR_CHARS),
        folder: one_line(failure.folder, ERROR_CHARS),
        error: one_line(failure.error, ERROR_CHARS),
        tried: failure.tried.iter().map(line).collect(),
        partial: failure.partial,
        job: failure.job,
    };
    let text = format!("{}\n", fill_template(Template::Failed, values).trim_end());
    match seal_at(text.as_bytes()) {
        Some(at) => seal::insert_seal(text, at),
        None => text,
    }
}

/// Returns the job whose failure the file tells of, when minuted wrote it.
#[must_use]
pub(crate) fn key_of(head: &[u8]) -> Option<Key> {
    let proof = first_line(head)?.trim_end().strip_prefix(PROOF)?;
    // A folder's id may hold spaces.
    let sealed = proof.rsplit_once(' ').filter(|(_, seal)| seal.parse::<Content>().is_ok());
    sealed.map_or(proof, |(key, _)| key).parse().ok()
}

/// Returns whether this is the word of the failure of that job, as minuted wrote it.
#[must_use]
pub(crate) fn is_failure_of(text: &[u8], key: &Key) -> bool {
    key_of(text).as_ref() == Some(key) && seal_at(text).is_some_and(|at| seal::is_whole(text, at))
}

/// Returns the position of the seal, which ends the first line.
fn seal_at(text: &[u8]) -> Option<usize> {
    first_line(text)?.len().checked_sub(seal::BLANK.len())
}

fn first_line(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text.split(|byte| *byte == b'\n').next()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Content;

    fn key() -> Key {
        Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: "sales".into(),
            generation: 1,
        }
    }

    #[test]
    fn a_person_learns_what_happened_and_what_to_do() {
        let tried = [
            Attempt {
                at: "2026-11-22T09:00:00Z".parse().expect("a time"),
                stage: Stage::Upload,
                error: "a\nb".into(),
            },
            Attempt {
                at: "2026-11-22T09:05:00Z".parse().expect("a time"),
                stage: Stage::Upload,
                error: "c".into(),
            },
        ];
        let key = key();
        let failure = FailureNotice {
            key: &key,
            job: 17,
            recording: "talk\u{1b}[31m.wav",
            folder: "sales",
            error: "the service refused it (415): `audio/x` is not supported",
            tried: &tried,
            partial: true,
        };
        let text = render_failure(&failure);
        assert_eq!(key_of(text.as_bytes()), Some(key.clone()));
        assert!(
            is_failure_of(text.as_bytes(), &key)
                && !is_failure_of(text.replace("17", "18").as_bytes(), &key)
        );
        let seal = text
            .lines()
            .next()
            .and_then(|line| line.rsplit(' ').next())
            .expect("a seal")
            .to_owned();
        let text = text.replace(&seal, "SEAL");
        insta::assert_snapshot!(text, @r"
        minuted:failed b3-5c692b042adac8b0aa0b284e07a6e7d0.sales.1 SEAL

        There are no complete notes of this recording:

          talk\u{1b}[31m.wav   (folder sales)

        What happened
          the service refused it (415): `audio/x` is not supported

        What was tried
          2026-11-22 09:00 UTC  upload: a b
          2026-11-22 09:05 UTC  upload: c

        What did complete lies beside the recording, with a warning on top.

        What you can do
          The recording itself is untouched.
          minuted job 17        shows the whole history
          minuted retry 17      tries again, going on from what exists
          Ask whoever runs minuted, if that is not you. This file goes away when notes are made.
        ");
    }

    #[test]
    fn what_minuted_did_not_write_has_no_key() {
        assert_eq!(key_of(b"minuted:failed nothing\n"), None);
        assert_eq!(key_of(b"my own notes\n"), None);
    }
}

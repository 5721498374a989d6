//! Why a recording is recorded and not worked on.

use std::fmt;

use jiff::Timestamp;

use super::JobId;

/// The word of the history for a recording that is skipped.
pub(super) const SKIPPED: &str = "skipped";

/// The reason for which a recording is skipped. Its text is what `why` and the job's `error` show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// No service takes such a file; the text says which files it takes.
    Unsupported(String),
    /// The job of this number has made notes of the same content.
    ContentDone(JobId),
    /// The job of this number has the same content and is not done.
    ContentUnderWay(JobId),
    /// Notes of the same content were made then, by a job that is forgotten.
    ContentForgotten(Timestamp),
    /// There is no sound in it.
    NoSound,
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(text) => f.write_str(text),
            Self::ContentDone(job) => write!(f, "its content is done already, as job {job}"),
            Self::ContentUnderWay(job) => write!(f, "its content is that of job {job}, which is being worked on"),
            Self::ContentForgotten(at) => {
                write!(f, "its content was done on {}; the job is forgotten", at.strftime("%F"))
            }
            Self::NoSound => f.write_str("there is no sound in it"),
        }
    }
}

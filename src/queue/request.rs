//! What has been asked of the service for a job, besides what the upload starts by itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{JobId, Queue, QueueError, row};
use crate::config::Analysis;

/// A request for a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// When it was about to be made.
    pub at: Timestamp,
    /// Whether the service took it for sure.
    pub answered: bool,
    /// The fingerprints of the reports that were there before this or an earlier request, and do not count.
    pub before: Vec<String>,
}

/// What is asked for, each with the fingerprints of the reports that do not count then.
pub type Wanted = Vec<(Analysis, Vec<String>)>;

/// Returns the column of fingerprints, which are words.
pub(super) fn baseline(before: &[String]) -> Option<String> {
    Some(before.join(" ")).filter(|words| !words.is_empty())
}

impl Queue {
    /// Returns what has been asked for a job.
    pub async fn asked(&self, id: JobId) -> Result<BTreeMap<Analysis, Asked>, QueueError> {
        self.read(move |connection| {
            let mut statement = connection
                .prepare_cached("SELECT analysis, asked_ms, answered, baseline FROM request WHERE job_id = ?")?;
            let rows = statement.query_map([id.0], |row| {
                let word: String = row.get("analysis")?;
                let analysis = Analysis::parse(&word).ok_or_else(|| row::invalid("analysis", word))?;
                let words: Option<String> = row.get("baseline")?;
                let before = words.iter().flat_map(|words| words.split_whitespace()).map(str::to_owned).collect();
                let asked = Asked { at: row::time(row, "asked_ms")?, answered: row.get("answered")?, before };
                Ok((analysis, asked))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }
}

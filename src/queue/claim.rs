//! Which job a worker takes next.

use jiff::{SignedDuration, Timestamp};
use rusqlite::{OptionalExtension as _, named_params};

use super::{
    Job, JobId, Queue, QueueError,
    record::transition,
    row::{self, COLUMNS},
};
use crate::{
    effect::Effect,
    job::{Event, Stage, State},
};

/// A job that was put back so much later than now was put back by a clock that has been set back since.
const AHEAD: SignedDuration = SignedDuration::from_secs(1);

/// A job that waits for its analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedJob {
    /// Its number.
    pub id: JobId,
    /// The id of its folder.
    pub folder: String,
    /// When its recording was uploaded.
    pub since: Timestamp,
}

/// The jobs of a folder that may be claimed, by the origin of their transcript.
///
/// It is looked at within the claim: a transcript that comes a moment later must not let the
/// folder's own service have a recording that is sent nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobFilter {
    /// Those whose transcript this source has given.
    FromSource(String),
    /// Those whose transcript none of these sources has given.
    NotFromSources(Vec<String>),
}

impl Default for JobFilter {
    fn default() -> Self {
        Self::NotFromSources(Vec::new())
    }
}

/// Which jobs may be claimed.
const CLAIMABLE: &str = "folder = :folder AND stage <> 'deliver' AND due_ms IS NOT NULL \
     AND backlog = :backlog AND due_ms > :after AND due_ms <= :until AND id <> :except \
     AND (stage = 'create' AND :create OR stage = 'upload' AND :upload OR stage = 'analyse' AND :analyse) \
     AND EXISTS (SELECT 1 FROM fetched WHERE content = job.content AND fetched.folder = job.folder AND reuse \
     AND source IN (SELECT value FROM json_each(:sources))) = :given";

impl JobFilter {
    /// Returns whether the transcript is given, and the sources that are meant, as JSON.
    fn columns(&self) -> (bool, String) {
        match self {
            Self::FromSource(source) => (true, serde_json::json!([source]).to_string()),
            Self::NotFromSources(sources) => (false, serde_json::json!(sources).to_string()),
        }
    }
}

impl Queue {
    /// Claims the job of `folder` that should run next: fresh recordings before backlog, then by due time.
    ///
    /// Only jobs in one of `stages` are taken. Returns `None` when nothing of this folder can run now. `except` is left
    /// out: a probe of a service that is down takes another job each time, where there is another. A job that was put
    /// back before the clock was set back does not wait for that time to come again: it is due.
    pub async fn claim(
        &self,
        folder: String,
        stages: Vec<Stage>,
        except: Option<JobId>,
        now: Timestamp,
    ) -> Result<Option<Job>, QueueError> {
        self.claim_filtered(folder, stages, except, JobFilter::default(), now).await
    }

    /// As [`Self::claim`], of the jobs that pass `filter` alone.
    pub async fn claim_filtered(
        &self,
        folder: String,
        stages: Vec<Stage>,
        except: Option<JobId>,
        filter: JobFilter,
        now: Timestamp,
    ) -> Result<Option<Job>, QueueError> {
        self.write(Effect::Claim, move |tx| {
            let sql = format!("SELECT {COLUMNS} FROM job WHERE {CLAIMABLE} ORDER BY due_ms, id LIMIT 1");
            let (given, sources) = filter.columns();
            let mut statement = tx.prepare_cached(&sql)?;
            let (now_ms, ahead) = (now.as_millisecond(), (now + AHEAD).as_millisecond());
            let [past, future] = [(i64::MIN, now_ms), (now_ms, i64::MAX)];
            for (backlog, (after, until)) in [(false, past), (true, past), (false, future), (true, future)] {
                let found = statement
                    .query_row(
                        named_params! {
                            ":folder": folder, ":backlog": backlog, ":after": after, ":until": until,
                            ":except": except.map_or(-1, |job| job.0),
                            ":create": stages.contains(&Stage::Create), ":upload": stages.contains(&Stage::Upload),
                            ":analyse": stages.contains(&Stage::Analyse), ":given": given, ":sources": sources,
                        },
                        |row| Ok((row::job(row)?, row.get::<_, i64>("updated_ms")?)),
                    )
                    .optional()?;
                if let Some((mut job, updated)) = found
                    && (until == now_ms || updated > ahead)
                {
                    job.state = transition(tx, job.id, &job.state, &Event::Claim, now)?;
                    return Ok(Some(job));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Returns whether [`Self::claim_filtered`] would claim a job of a folder; one that a clock set back has put off aside.
    pub async fn has_claimable(
        &self,
        folder: String,
        stages: Vec<Stage>,
        filter: JobFilter,
        now: Timestamp,
    ) -> Result<bool, QueueError> {
        self.read(move |connection| {
            let sql = format!("SELECT 1 FROM job WHERE {CLAIMABLE} LIMIT 1");
            let (given, sources) = filter.columns();
            let mut statement = connection.prepare_cached(&sql)?;
            for backlog in [false, true] {
                let found = statement.exists(named_params! {
                    ":folder": folder, ":backlog": backlog, ":after": i64::MIN, ":until": now.as_millisecond(),
                    ":except": -1, ":create": stages.contains(&Stage::Create),
                    ":upload": stages.contains(&Stage::Upload), ":analyse": stages.contains(&Stage::Analyse),
                    ":given": given, ":sources": sources,
                })?;
                if found {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
    }

    /// Returns when the next job of `folder` becomes due after `now`, `None` when none waits for time to pass.
    pub async fn next_due(&self, folder: String, now: Timestamp) -> Result<Option<Timestamp>, QueueError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT min(due_ms) FROM job WHERE folder = :folder AND backlog = :backlog AND stage <> 'deliver' \
                 AND due_ms > :now",
            )?;
            let mut next: Option<i64> = None;
            for backlog in [false, true] {
                let due: Option<i64> = statement.query_row(
                    named_params! { ":folder": folder, ":backlog": backlog, ":now": now.as_millisecond() },
                    |row| row.get(0),
                )?;
                next = next.into_iter().chain(due).min();
            }
            Ok(next.and_then(|due| Timestamp::from_millisecond(due).ok()))
        })
        .await
    }

    /// Returns every job that waits for its analysis, with the time since when: what the timers are made of at start.
    pub async fn waiting_for_analysis(&self) -> Result<Vec<AwaitedJob>, QueueError> {
        self.read(|connection| {
            let mut statement = connection
                .prepare("SELECT id, folder, remote_ms FROM job WHERE waits_for = 'analysis' ORDER BY remote_ms")?;
            let rows = statement.query_map([], |row| {
                Ok(AwaitedJob { id: JobId(row.get(0)?), folder: row.get(1)?, since: row::time(row, "remote_ms")? })
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Returns a job, `None` when there is none of that number that was ever worked on.
    pub async fn job(&self, id: JobId) -> Result<Option<Job>, QueueError> {
        self.read(move |connection| load(connection, id)).await
    }

    /// Puts jobs that run in the queue and nowhere else back to ready; nothing counts. They do since the process died,
    /// or since the queue could not record how their work ended. `at_work` are those that somebody has. Returns how many.
    ///
    /// Only those that began until `before` are meant: a job is at work a moment after it runs.
    pub async fn recover(&self, at_work: Vec<JobId>, before: Timestamp, now: Timestamp) -> Result<usize, QueueError> {
        let stray = self.read(move |connection| {
            let mut statement =
                connection.prepare_cached("SELECT 1 FROM job WHERE state = 'running' AND updated_ms <= ? LIMIT 1")?;
            Ok(statement.exists([before.as_millisecond()])?)
        });
        if !stray.await? {
            return Ok(0);
        }
        self.write(Effect::Recover, move |tx| {
            let mut running: Vec<(JobId, State)> = tx
                .prepare(
                    "SELECT id, state, stage, waits_for, due_ms, updated_ms FROM job WHERE state = 'running' \
                     AND updated_ms <= ?",
                )?
                .query_map([before.as_millisecond()], |row| Ok((JobId(row.get(0)?), row::state(row)?)))?
                .collect::<Result<_, _>>()?;
            running.retain(|(id, _)| !at_work.contains(id));
            for (id, state) in &running {
                transition(tx, *id, state, &Event::Recover { at: now }, now)?;
            }
            Ok(running.len())
        })
        .await
    }
}

/// Reads one job.
pub(super) fn load(connection: &rusqlite::Connection, id: JobId) -> Result<Option<Job>, QueueError> {
    let sql = format!("SELECT {COLUMNS} FROM job WHERE id = ? AND key IS NOT NULL");
    Ok(connection.prepare_cached(&sql)?.query_row([id.0], row::job).optional()?)
}

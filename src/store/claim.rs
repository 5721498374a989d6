//! The claim: the job that a worker takes next.

use jiff::{SignedDuration, Timestamp};

use super::{
    DailyLimits, Job, JobId, Jobs, StoreError,
    daily_limits::{AUDIO_MS, ENDLESS, begin, read_room, turn_to_day},
    jobs::{COLUMNS, STATE_COLUMNS, read_id_and_state, read_job},
    sql::{IntoValue, Transaction, params},
    transition::transition,
};
use crate::{
    effect::Effect,
    job::{Event, Stage},
};

/// A job that was put back so much later than now was put back by a clock that has been set back
/// since.
const AHEAD: SignedDuration = SignedDuration::from_secs(1);

/// A job that waits for its analysis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedJob {
    /// Its number.
    pub id: JobId,
    /// The id of its folder.
    pub folder: String,
    /// The time of the upload of its recording.
    pub since: Timestamp,
}

/// The jobs of a folder that may be claimed, by the origin of their transcript.
///
/// The claim itself reads the origin: a transcript that comes a moment later must not let the
/// folder's own service have a recording that is sent nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobFilter {
    /// Jobs whose transcript is from this source.
    FromSource(String),
    /// Jobs whose transcript is from none of these sources.
    NotFromSources(Vec<String>),
}

impl JobFilter {
    /// Returns the sources that are meant.
    fn sources(&self) -> &[String] {
        match self {
            Self::FromSource(source) => std::slice::from_ref(source),
            Self::NotFromSources(sources) => sources,
        }
    }

    /// Returns the condition of its jobs, whose parameters begin with the number `first`.
    fn condition(&self, first: usize) -> String {
        let numbers: Vec<String> =
            (first..first + self.sources().len()).map(|number| format!("?{number}")).collect();
        let negation = if matches!(self, Self::FromSource(_)) { "" } else { "NOT " };
        format!(
            "{negation}EXISTS (SELECT 1 FROM fetched WHERE content = job.content AND fetched.folder = job.folder \
             AND reuse = 1 AND source IN ({}))",
            numbers.join(", ")
        )
    }
}

/// The jobs of a folder that a claim asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The id of the folder.
    pub folder: String,
    /// Their stages.
    pub stages: Vec<Stage>,
    /// A job that is left out: a probe of a service that is down takes another one each time, where
    /// there is another.
    pub except: Option<JobId>,
    /// The origin of their transcripts.
    pub filter: JobFilter,
    /// The limits on what may begin today; `None` for work on no recording.
    pub limits: Option<DailyLimits>,
}

impl ClaimRequest {
    /// Asks for the jobs of `folder` in one of `stages` whose transcript no source has.
    #[cfg(test)]
    pub(super) fn of_folder(folder: &str, stages: Vec<Stage>) -> Self {
        let filter = JobFilter::NotFromSources(Vec::new());
        Self { folder: folder.to_owned(), stages, except: None, filter, limits: None }
    }

    /// Returns the job that should run next, of at most `room_ms` of audio unless it was begun
    /// already.
    pub(super) fn find_due(
        &self,
        tx: &Transaction<'_>,
        room_ms: i64,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let past = (i64::MIN, now.as_millisecond());
        let fresh = self.find(tx, room_ms, false, past)?;
        let found = if fresh.is_some() { fresh } else { self.find(tx, room_ms, true, past)? };
        Ok(found.map(|(job, _)| job))
    }

    /// Returns the first such job that is due after the first and not after the second of these
    /// times.
    fn find(
        &self,
        tx: &Transaction<'_>,
        room_ms: i64,
        is_backlog: bool,
        (after, until): (i64, i64),
    ) -> Result<Option<(Job, Timestamp)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM job WHERE folder = ?1 AND stage <> 'deliver' AND due_ms IS NOT NULL \
             AND backlog = ?2 AND due_ms > ?3 AND due_ms <= ?4 AND id <> ?5 \
             AND (stage = 'create' AND ?6 = 1 OR stage = 'upload' AND ?7 = 1 OR stage = 'analyse' AND ?8 = 1) \
             AND (stage = 'analyse' OR is_begun = 1 OR {AUDIO_MS} <= ?9 \
             OR EXISTS (SELECT 1 FROM begun WHERE day = ?10 AND job_id = job.id)) \
             AND {} ORDER BY due_ms, id LIMIT 1",
            self.filter.condition(11)
        );
        let except = self.except.map_or(-1, |job| job.0);
        let creates = self.stages.contains(&Stage::Create);
        let uploads = self.stages.contains(&Stage::Upload);
        let analyses = self.stages.contains(&Stage::Analyse);
        let folder = &self.folder;
        let day = self.day();
        let mut values =
            params![folder, is_backlog, after, until, except, creates, uploads, analyses].to_vec();
        values.extend(params![room_ms, day]);
        values.extend(self.filter.sources().iter().map(IntoValue::value));
        tx.query_row(&sql, &values, |row| Ok((read_job(row)?, row.get("updated_ms")?)))
    }

    /// Counts the jobs that are due, but have more audio than `room_ms` and were not begun.
    pub(super) fn count_beyond(
        &self,
        tx: &Transaction<'_>,
        room_ms: i64,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let sql = format!(
            "SELECT count(*) FROM job WHERE folder = ?1 AND stage IN ('create', 'upload') AND due_ms <= ?2 \
             AND is_begun = 0 AND {AUDIO_MS} > ?3 AND NOT EXISTS (SELECT 1 FROM begun WHERE day = ?4 AND job_id = job.id) AND {}",
            self.filter.condition(5)
        );
        let day = self.day();
        let mut values = params![self.folder, now, room_ms, day].to_vec();
        values.extend(self.filter.sources().iter().map(IntoValue::value));
        tx.query_value(&sql, &values)
    }

    /// Returns the day of its limits.
    fn day(&self) -> Option<String> {
        self.limits.as_ref().map(|limits| limits.day.to_string())
    }

    /// Turns the usage to the day of the claim; returns the milliseconds of audio that may begin.
    fn turn_to_day(&self, tx: &Transaction<'_>) -> Result<i64, StoreError> {
        let Some(limits) = &self.limits else { return Ok(ENDLESS) };
        turn_to_day(tx, limits.day)?;
        read_room(tx, &self.folder, limits)
    }
}

impl Jobs<'_> {
    /// Claims the requested job that should run next: fresh recordings before backlog, then by due
    /// time. Returns `None` when none can run now.
    ///
    /// A job that was put back before the clock was set back does not wait for that time to come
    /// again: it is due.
    ///
    /// With limits, the recording that begins now counts in the same commit.
    pub async fn claim(
        self,
        request: ClaimRequest,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        self.0
            .write(Effect::Claim, move |tx| {
                let now_ms = now.as_millisecond();
                let past = (i64::MIN, now_ms);
                let future = (now_ms, i64::MAX);
                let room_ms = request.turn_to_day(tx)?;
                for (is_backlog, due) in
                    [(false, past), (true, past), (false, future), (true, future)]
                {
                    if let Some((mut job, updated)) = request.find(tx, room_ms, is_backlog, due)?
                        && (due == past || updated > now + AHEAD)
                    {
                        job.state = transition(tx, job.id, &job.state, &Event::Claim, now)?;
                        if let Some(limits) = &request.limits {
                            begin(tx, job.id, limits)?;
                        }
                        return Ok(Some(job));
                    }
                }
                Ok(None)
            })
            .await
    }

    /// Returns whether [`Self::claim`] would claim a job, but for one that a clock set back has put
    /// off.
    pub async fn has_claimable(
        self,
        request: ClaimRequest,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.0
            .read(move |tx| {
                let limits = request.limits.as_ref();
                let room_ms =
                    limits.map_or(Ok(ENDLESS), |limits| read_room(tx, &request.folder, limits))?;
                Ok(request.find_due(tx, room_ms, now)?.is_some())
            })
            .await
    }

    /// Returns when the next job of `folder` becomes due after `now`, `None` when none waits for
    /// time to pass.
    pub async fn next_due(
        self,
        folder: String,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.0
            .read(move |tx| {
                // One question for each value of `backlog`, so that the index answers it.
                let sql = "SELECT min(due_ms) FROM job WHERE folder = ?1 AND backlog = ?2 AND stage <> 'deliver' \
                 AND due_ms > ?3";
                let fresh: Option<Timestamp> = tx.query_value(sql, params![folder, false, now])?;
                let backlog: Option<Timestamp> = tx.query_value(sql, params![folder, true, now])?;
                Ok(fresh.into_iter().chain(backlog).min())
            })
            .await
    }

    /// Returns every job that waits for its analysis, with the time since when: what the timers are
    /// made of at start.
    pub async fn awaiting_analysis(self) -> Result<Vec<AwaitedJob>, StoreError> {
        self.0
            .read(|tx| {
                let sql = "SELECT id, folder, remote_ms FROM job WHERE waits_for = 'analysis' ORDER BY remote_ms";
                tx.query_rows(sql, params![], |row| {
                    Ok(AwaitedJob { id: row.get("id")?, folder: row.get("folder")?, since: row.get("remote_ms")? })
                })
            })
            .await
    }

    /// Puts jobs back to ready that are running in the queue and nowhere else; returns how many.
    /// That is not counted as an attempt. Such jobs are left when the process dies, or when the end
    /// of their work could not be recorded. `at_work` are the jobs that a worker has.
    ///
    /// Only jobs that began until `before` are meant: a job is at work a moment after it runs.
    pub async fn recover(
        self,
        at_work: Vec<JobId>,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let is_any_running = self.0.read(move |tx| {
            tx.exists(
                "SELECT 1 FROM job WHERE state = 'running' AND updated_ms <= ?1 LIMIT 1",
                params![before],
            )
        });
        if !is_any_running.await? {
            return Ok(0);
        }
        self.0
            .write(Effect::Recover, move |tx| {
                let sql = format!("SELECT id, {STATE_COLUMNS} FROM job WHERE state = 'running' AND updated_ms <= ?1");
                let mut running = tx.query_rows(&sql, params![before], read_id_and_state)?;
                running.retain(|(id, _)| !at_work.contains(id));
                for (id, state) in &running {
                    transition(tx, *id, state, &Event::Recover { at: now }, now)?;
                }
                Ok(running.len())
            })
            .await
    }
}

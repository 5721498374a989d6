//! What happened to a job, recorded: compare-and-set on its state, one row of history for each event.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, named_params};

use super::{
    Endings, Job, JobId, NewDelivery, Queue, QueueError, Wanted,
    creations::count_one,
    delivery::{insert_deliveries, settle},
    history::log,
    hold::insert_notice,
    intake::adopt_copy,
    row::{path_bytes, state_columns},
};
use crate::{
    effect::Effect,
    job::{Event, EventKind, Findings, Plan, Report, Stage, State, Status},
};

/// The results of a finished analysis and what is delivered because of them.
#[derive(Debug)]
pub struct Analysed {
    /// The completed results.
    pub reports: Vec<Report>,
    /// Where the notes go; where they go nowhere, the job is done.
    pub deliveries: Vec<NewDelivery>,
    /// What comes after all else.
    pub endings: Endings,
}

/// A job's last failure and what follows from it.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong, for the history.
    pub error: String,
    /// Where `retry` goes on.
    pub from: Stage,
    /// What did complete.
    pub reports: Vec<Report>,
    /// The file that says so beside the recording, and partial notes where something completed.
    pub deliveries: Vec<NewDelivery>,
    /// What the operator is told.
    pub notice: String,
}

/// Why a job is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Because {
    /// The service failed.
    ServiceFailed(String),
    /// Something is missing that this recording alone needs.
    Lacks(String),
    /// Its title, date or attendees are not given as they have to be.
    InvalidMetadata(String),
}

impl Queue {
    /// Records the intent to create a meeting, with the settings that the job keeps from now on.
    pub async fn intend_create(&self, job: &Job, plan: &Plan, now: Timestamp) -> Result<(), QueueError> {
        let (id, state) = (job.id, job.state.clone());
        let plan = serde_json::to_string(plan).unwrap_or_default();
        let intended = self.write(Effect::IntendCreate, move |tx| {
            expect(tx, id, &state)?;
            tx.prepare_cached(
                "UPDATE job SET remote = 'creating', remote_ms = :now, plan = :plan, updated_ms = :now WHERE id = :id",
            )?
            .execute(named_params! { ":id": id.0, ":now": now.as_millisecond(), ":plan": plan })?;
            count_one(tx)
        });
        self.counted(intended.await?).await
    }

    /// Takes the intent to create back: the service has told for sure that there is no meeting.
    pub async fn uncreate(&self, job: &Job) -> Result<(), QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write(Effect::Uncreate, move |tx| {
            expect(tx, id, &state)?;
            tx.execute(
                "UPDATE job SET remote = 'nothing', remote_ms = NULL, plan = NULL WHERE id = ? AND remote = 'creating'",
                [id.0],
            )?;
            Ok(())
        })
        .await
    }

    /// Records the meeting; the same worker goes on with the upload. `how` is the word for the history.
    pub async fn created(
        &self,
        job: &Job,
        plan: &Plan,
        meeting: &str,
        how: EventKind,
        now: Timestamp,
    ) -> Result<State, QueueError> {
        let (id, state, meeting) = (job.id, job.state.clone(), meeting.to_owned());
        let plan = serde_json::to_string(plan).unwrap_or_default();
        self.write(Effect::Created, move |tx| {
            expect(tx, id, &state)?;
            // The plan comes first: a meeting that was found without an intent has none yet, and needs one.
            tx.execute("UPDATE job SET plan = ?2 WHERE id = ?1", rusqlite::params![id.0, plan])?;
            // Its metadata could be taken.
            tx.execute(
                "UPDATE job SET error = NULL, invalid_metadata = 0 WHERE id = ?1 AND invalid_metadata = 1",
                [id.0],
            )?;
            set_meeting(tx, id, &meeting)?;
            log(tx, id, Some(Stage::Create), how, None, now)?;
            transition(tx, id, &state, &Event::Advance, now)
        })
        .await
    }

    /// Returns the recordings of a job at the service that were given up: none of them is what an upload has left.
    pub async fn given_up(&self, id: JobId) -> Result<Vec<String>, QueueError> {
        self.read(move |connection| {
            let mut statement = connection.prepare_cached("SELECT recording_id FROM given_up WHERE job_id = ?")?;
            Ok(statement.query_map([id.0], |row| row.get(0))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Records the recording at the service; the job waits for its analysis from now on.
    pub async fn uploaded(
        &self,
        job: &Job,
        recording: &str,
        how: EventKind,
        now: Timestamp,
    ) -> Result<State, QueueError> {
        let (id, state, recording) = (job.id, job.state.clone(), recording.to_owned());
        self.write(Effect::Uploaded, move |tx| {
            expect(tx, id, &state)?;
            tx.execute("DELETE FROM request WHERE job_id = ?", [id.0])?;
            tx.prepare_cached(
                "UPDATE job SET remote = 'uploaded', recording_id = :recording, remote_ms = :now WHERE id = :id",
            )?
            .execute(named_params! { ":id": id.0, ":recording": recording, ":now": now.as_millisecond() })?;
            log(tx, id, Some(Stage::Upload), how, None, now)?;
            transition(tx, id, &state, &Event::Advance, now)
        })
        .await
    }

    /// Records the intent to ask for results, each with the fingerprints of the reports that do not count then.
    pub async fn intend_request(&self, job: &Job, asked: Wanted, now: Timestamp) -> Result<(), QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write(Effect::IntendRequest, move |tx| {
            expect(tx, id, &state)?;
            for (analysis, before) in asked {
                tx.prepare_cached(
                    "INSERT INTO request (job_id, analysis, asked_ms, answered, baseline) VALUES (?1, ?2, ?3, 0, ?4) \
                     ON CONFLICT (job_id, analysis) DO UPDATE SET asked_ms = ?3, answered = 0, baseline = ?4",
                )?
                .execute(rusqlite::params![
                    id.0,
                    analysis.as_str(),
                    now.as_millisecond(),
                    super::request::baseline(&before)
                ])?;
            }
            Ok(())
        })
        .await
    }

    /// Records that the service has surely not taken the request: nothing has to show up before it is made again.
    pub async fn unrequested(&self, job: &Job, analyses: Vec<crate::config::Analysis>) -> Result<(), QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write(Effect::Unrequested, move |tx| {
            expect(tx, id, &state)?;
            for analysis in &analyses {
                tx.prepare_cached("UPDATE request SET asked_ms = 0 WHERE job_id = ?1 AND analysis = ?2")?
                    .execute(rusqlite::params![id.0, analysis.as_str()])?;
            }
            Ok(())
        })
        .await
    }

    /// Records that the service took the request; the results are waited for from now on.
    pub async fn requested(
        &self,
        job: &Job,
        analyses: Vec<crate::config::Analysis>,
        now: Timestamp,
    ) -> Result<State, QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write(Effect::Requested, move |tx| {
            for analysis in &analyses {
                tx.prepare_cached("UPDATE request SET answered = 1 WHERE job_id = ?1 AND analysis = ?2")?
                    .execute(rusqlite::params![id.0, analysis.as_str()])?;
                log(tx, id, Some(Stage::Analyse), EventKind::ResultsRequested.with(analysis.as_str()), None, now)?;
            }
            tx.execute("UPDATE job SET remote_ms = ?2 WHERE id = ?1", [id.0, now.as_millisecond()])?;
            transition(tx, id, &state, &Event::Await, now)
        })
        .await
    }

    /// Records that a claimed job waits for results that were asked for before.
    pub async fn awaits(&self, job: &Job, now: Timestamp) -> Result<State, QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write(Effect::Await, move |tx| transition(tx, id, &state, &Event::Await, now)).await
    }

    /// Records the results together with the deliveries that they lead to; the job delivers from now on.
    pub async fn analysed(&self, job: &Job, analysed: Analysed, now: Timestamp) -> Result<State, QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write(Effect::Analysed, move |tx| {
            let next = transition(tx, id, &state, &Event::Advance, now)?;
            tx.execute("UPDATE job SET version = version + 1, partial = 0, error = NULL WHERE id = ?", [id.0])?;
            store_reports(tx, id, &analysed.reports)?;
            insert_deliveries(tx, id, &analysed.deliveries, now)?;
            log(tx, id, Some(Stage::Analyse), EventKind::Analysed, None, now)?;
            Ok(settle(tx, id, analysed.endings, now)?.unwrap_or(next))
        })
        .await
    }

    /// Records that the notes of this job lie there already: another host, or minuted before its queue was lost.
    pub async fn already_done(&self, job: &Job, notes: &str, now: Timestamp) -> Result<(), QueueError> {
        let (id, state, notes) = (job.id, job.state.clone(), notes.to_owned());
        self.write(Effect::AlreadyDone, move |tx| {
            expect(tx, id, &state)?;
            set_state(tx, id, &State::Done, now)?;
            finish(tx, id, now)?;
            log(tx, id, state.stage(), EventKind::NotesExist.with(&notes), None, now)
        })
        .await
    }

    /// Records a failure of the job's own with attempts left: it goes on from `from` after `due`.
    pub async fn retry_later(
        &self,
        job: &Job,
        from: Stage,
        due: Timestamp,
        error: &str,
        now: Timestamp,
    ) -> Result<State, QueueError> {
        let (id, state, error) = (job.id, job.state.clone(), error.to_owned());
        self.write(Effect::RetryLater, move |tx| {
            let next = transition(tx, id, &state, &Event::Retry { from, due }, now)?;
            back_to(tx, id, from)?;
            count(tx, id, state.stage(), EventKind::AttemptFailed, &error, now)?;
            Ok(next)
        })
        .await
    }

    /// Records the last failure of a job.
    pub async fn fail(&self, job: &Job, failure: Failure, now: Timestamp) -> Result<State, QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write_end(move |tx| {
            let stage = state.stage();
            let next = transition(tx, id, &state, &Event::Fail, now)?;
            back_to(tx, id, failure.from)?;
            let partial = !failure.reports.is_empty();
            tx.execute(
                "UPDATE job SET version = version + 1, partial = ?2 WHERE id = ?1",
                rusqlite::params![id.0, partial],
            )?;
            store_reports(tx, id, &failure.reports)?;
            insert_deliveries(tx, id, &failure.deliveries, now)?;
            insert_notice(tx, &failure.notice, now)?;
            count(tx, id, stage, EventKind::LastAttemptFailed, &failure.error, now)?;
            Ok(next)
        })
        .await
    }

    /// Records that a job cannot go on before `until`; nothing counts. The history tells why, once while it stays the same.
    pub async fn snooze(
        &self,
        job: &Job,
        until: Timestamp,
        because: Option<Because>,
        now: Timestamp,
    ) -> Result<State, QueueError> {
        let (id, state) = (job.id, job.state.clone());
        self.write(Effect::Snooze, move |tx| {
            let next = transition(tx, id, &state, &Event::Snooze { until }, now)?;
            match &because {
                Some(Because::ServiceFailed(error)) => {
                    log(tx, id, state.stage(), EventKind::ServiceFailed, Some(error), now)?;
                }
                Some(Because::Lacks(error) | Because::InvalidMetadata(error)) => {
                    let is_new = tx.execute(
                        "UPDATE job SET error = ?2, invalid_metadata = ?3 WHERE id = ?1 AND error IS NOT ?2",
                        rusqlite::params![id.0, error, matches!(because, Some(Because::InvalidMetadata(_)))],
                    )?;
                    if is_new > 0 {
                        log(tx, id, state.stage(), EventKind::Deferred, Some(error), now)?;
                    }
                }
                None => {}
            }
            Ok(next)
        })
        .await
    }

    /// Records that the job's file cannot be read; it waits for it. Where a copy of the same content lies in the
    /// folder, the job takes that one and goes on.
    pub async fn lose_file(&self, job: &Job, error: &str, now: Timestamp) -> Result<State, QueueError> {
        let (id, state, error) = (job.id, job.state.clone(), error.to_owned());
        let (folder, key, stamp) = (job.key.folder.clone(), job.key.to_string(), job.stamp);
        self.write(Effect::LoseFile, move |tx| {
            if adopt_copy(tx, id, &folder, &key)? {
                log(tx, id, state.stage(), EventKind::CopyTaken, Some(&error), now)?;
                return transition(tx, id, &state, &Event::Snooze { until: now }, now);
            }
            if stored_stamp(tx, id)? != stamp {
                // The folder's watch has looked meanwhile, and found the same bytes in the file as it is now.
                return transition(tx, id, &state, &Event::Snooze { until: now }, now);
            }
            if let Some(by) = superseded(tx, id)? {
                let by = by.to_string();
                let event = EventKind::CancelledFileChanged.with(&by);
                log(tx, id, state.stage(), event, Some(&error), now)?;
                return transition(tx, id, &state, &Event::Cancel, now);
            }
            let next = transition(tx, id, &state, &Event::LoseFile { at: now }, now)?;
            let before: Option<String> =
                tx.query_row("SELECT error FROM job WHERE id = ?", [id.0], |row| row.get(0))?;
            if before.as_ref() != Some(&error) {
                log(tx, id, state.stage(), EventKind::FileAwaited, Some(&error), now)?;
                tx.execute(
                    "UPDATE job SET error = ?2, invalid_metadata = 0 WHERE id = ?1",
                    rusqlite::params![id.0, error],
                )?;
            }
            Ok(next)
        })
        .await
    }
}

/// The other job that has what now lies at a job's path.
fn superseded(tx: &Transaction<'_>, id: JobId) -> Result<Option<JobId>, QueueError> {
    let mut statement = tx.prepare_cached(
        "SELECT sighting.job_id FROM job JOIN sighting ON sighting.folder = job.folder AND sighting.path = job.path \
         WHERE job.id = ?1 AND verdict = 'taken' AND sighting.job_id <> ?1",
    )?;
    Ok(statement.query_row([id.0], |row| row.get(0).map(JobId)).optional()?)
}

fn stored_stamp(tx: &Transaction<'_>, id: JobId) -> Result<crate::beneath::Stamp, QueueError> {
    let mut statement = tx.prepare_cached("SELECT size, mtime_ns, inode FROM job WHERE id = ?")?;
    Ok(statement.query_row([id.0], super::row::stamp)?)
}

/// Moves a job from `from` by `event`, if it still is in `from`.
pub(super) fn transition(
    tx: &Transaction<'_>,
    id: JobId,
    from: &State,
    event: &Event,
    now: Timestamp,
) -> Result<State, QueueError> {
    expect(tx, id, from)?;
    let to = from.apply(event)?;
    set_state(tx, id, &to, now)?;
    Ok(to)
}

/// Returns an error unless the job is in `state`.
pub(super) fn expect(tx: &Transaction<'_>, id: JobId, state: &State) -> Result<(), QueueError> {
    let (word, stage, waits_for, due) = state_columns(state);
    let found = tx
        .prepare_cached(
            "SELECT 1 FROM job WHERE id = :id AND state = :state AND stage IS :stage AND waits_for IS :waits_for \
             AND due_ms IS :due",
        )?
        .exists(named_params! {
            ":id": id.0, ":state": word, ":stage": stage, ":waits_for": waits_for, ":due": due,
        })?;
    if found { Ok(()) } else { Err(QueueError::Moved { job: id }) }
}

/// Writes a state.
pub(super) fn set_state(tx: &Transaction<'_>, id: JobId, to: &State, now: Timestamp) -> Result<(), QueueError> {
    let (word, stage, waits_for, due) = state_columns(to);
    tx.prepare_cached(
        "UPDATE job SET state = :state, stage = :stage, waits_for = :waits_for, due_ms = :due, updated_ms = :now \
         WHERE id = :id",
    )?
    .execute(named_params! {
        ":id": id.0, ":state": word, ":stage": stage, ":waits_for": waits_for, ":due": due,
        ":now": now.as_millisecond(),
    })?;
    Ok(())
}

/// Remembers for ever that the content of a job is done.
pub(super) fn finish(tx: &Transaction<'_>, id: JobId, now: Timestamp) -> Result<(), QueueError> {
    tx.execute("UPDATE job SET error = NULL, invalid_metadata = 0 WHERE id = ?", [id.0])?;
    tx.prepare_cached(
        "INSERT INTO finished (content, folder, generation, at_ms, sound) \
         SELECT content, folder, generation, ?2, sound FROM job WHERE id = ?1 \
         ON CONFLICT (content, folder) DO UPDATE SET generation = max(generation, excluded.generation), \
         at_ms = excluded.at_ms, sound = coalesce(excluded.sound, sound)",
    )?
    .execute([id.0, now.as_millisecond()])?;
    Ok(())
}

/// Counts a failure of the job's own and tells it in the history.
fn count(
    tx: &Transaction<'_>,
    id: JobId,
    stage: Option<Stage>,
    event: EventKind,
    error: &str,
    now: Timestamp,
) -> Result<(), QueueError> {
    tx.execute(
        "UPDATE job SET attempts = attempts + 1, error = ?2, invalid_metadata = 0 WHERE id = ?1",
        rusqlite::params![id.0, error],
    )?;
    log(tx, id, stage, event, Some(error), now)
}

/// Takes back what the service has of a job, as far as the next attempt makes it anew.
fn back_to(tx: &Transaction<'_>, id: JobId, from: Stage) -> Result<(), QueueError> {
    let sql = match from {
        Stage::Create => {
            tx.execute("DELETE FROM evidence WHERE key = (SELECT key FROM job WHERE id = ?)", [id.0])?;
            "UPDATE job SET remote = 'nothing', meeting_id = NULL, recording_id = NULL, remote_ms = NULL \
             WHERE id = ? AND remote <> 'creating'"
        }
        Stage::Upload => {
            tx.execute(
                "INSERT INTO given_up SELECT id, recording_id FROM job WHERE id = ? AND remote = 'uploaded' \
                 ON CONFLICT DO NOTHING",
                [id.0],
            )?;
            "UPDATE job SET remote = 'meeting', remote_ms = NULL WHERE id = ? AND remote = 'uploaded'"
        }
        Stage::Analyse | Stage::Deliver => return Ok(()),
    };
    tx.execute(sql, [id.0])?;
    Ok(())
}

fn set_meeting(tx: &Transaction<'_>, id: JobId, meeting: &str) -> Result<(), QueueError> {
    tx.prepare_cached(
        "UPDATE job SET remote = 'meeting', meeting_id = ?2, recording_id = NULL, remote_ms = NULL WHERE id = ?1",
    )?
    .execute(rusqlite::params![id.0, meeting])?;
    Ok(())
}

fn store_reports(tx: &Transaction<'_>, id: JobId, reports: &[Report]) -> Result<(), QueueError> {
    for report in reports.iter().filter(|report| report.status == Status::Completed) {
        tx.prepare_cached(
            "INSERT INTO report (job_id, analysis, remote_id, findings, raw) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (job_id, analysis) DO UPDATE SET remote_id = ?3, findings = ?4, raw = ?5",
        )?
        .execute(rusqlite::params![
            id.0,
            report.analysis.as_str(),
            report.id,
            serde_json::to_string(&report.findings).unwrap_or_default(),
            report.raw
        ])?;
    }
    Ok(())
}

/// Reads the completed results of a job, in the order in which they stand in notes; not their raw text, which is as
/// large again.
pub(super) fn reports(connection: &rusqlite::Connection, id: JobId) -> Result<Vec<Report>, QueueError> {
    let mut statement =
        connection.prepare_cached("SELECT analysis, remote_id, findings FROM report WHERE job_id = ?")?;
    let rows = statement.query_map([id.0], |row| {
        let word: String = row.get("analysis")?;
        let analysis = crate::config::Analysis::parse(&word).ok_or_else(|| super::row::invalid("analysis", word))?;
        let findings: String = row.get("findings")?;
        let findings: Findings =
            serde_json::from_str(&findings).map_err(|_| super::row::invalid("findings", findings))?;
        let id = row.get("remote_id")?;
        Ok(Report { analysis, status: Status::Completed, id, findings, error: None, raw: String::new() })
    })?;
    let mut reports: Vec<Report> = rows.collect::<Result<_, _>>()?;
    reports.sort_by_key(|report| crate::config::Analysis::ALL.iter().position(|known| *known == report.analysis));
    Ok(reports)
}

/// Records where a file is now.
pub(super) fn set_path(tx: &Transaction<'_>, id: JobId, path: &std::path::Path) -> Result<(), QueueError> {
    tx.prepare_cached("UPDATE job SET path = ?2 WHERE id = ?1")?.execute(rusqlite::params![id.0, path_bytes(path)])?;
    Ok(())
}

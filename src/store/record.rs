//! The results of the stages of a job: compare-and-set on its state, one row of history for each
//! event.

use jiff::Timestamp;

use super::{
    Endings, Job, JobId, NewDelivery, Stages, StoreError, WantedResults,
    announce::{announce_job, announce_notes},
    creations::count_one,
    deliveries::insert_deliveries,
    delivery_end::settle,
    finished::finish,
    history::log,
    holds::insert_notice,
    reports::put_reports,
    requests::{delete_requests, mark_answered, put_request, take_request_back},
    row::{read_stamp, to_json},
    sightings::{adopt_copy, find_successor},
    sql::{Transaction, params},
    transition::{expect, set_state, transition},
};
use crate::{
    config::{Analysis, NotifyEvent},
    effect::Effect,
    job::{Event, EventKind, Plan, Report, Stage, State},
};

/// The results of a finished analysis and what is delivered because of them.
#[derive(Debug)]
pub struct Analysed {
    /// The completed results.
    pub reports: Vec<Report>,
    /// The deliveries of the notes; where there are none, the job is done.
    pub deliveries: Vec<NewDelivery>,
    /// The last deliveries.
    pub endings: Endings,
}

/// A job's last failure and what follows from it.
#[derive(Debug)]
pub struct Failure {
    /// The failure, for the history.
    pub error: String,
    /// The stage from which `retry` goes on.
    pub from: Stage,
    /// The results that did complete.
    pub reports: Vec<Report>,
    /// The file that says so beside the recording, and partial notes where something completed.
    pub deliveries: Vec<NewDelivery>,
    /// The text for the operator.
    pub notice: String,
}

/// The reason for which a job is put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeferReason {
    /// A failure of the service.
    ServiceFailed(String),
    /// A need of this recording alone that is not met.
    Lacks(String),
    /// A title, date or attendees that have to be corrected.
    InvalidMetadata(String),
}

impl Stages<'_> {
    /// Records the intent to create a meeting, with the settings that the job keeps from now on.
    pub async fn intend_create(
        self,
        job: &Job,
        plan: &Plan,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = job.id;
        let state = job.state.clone();
        let plan = to_json(plan);
        let intended = self.0.write(Effect::IntendCreate, move |tx| {
            expect(tx, id, &state)?;
            let sql = "UPDATE job SET remote = 'creating', remote_ms = ?2, plan = ?3, updated_ms = ?2 WHERE id = ?1";
            tx.execute(sql, params![id, now, plan])?;
            count_one(tx)
        });
        self.0.maintenance().counted(intended.await?).await
    }

    /// Takes the intent to create back: the service has told for sure that there is no meeting.
    pub async fn abort_create(self, job: &Job) -> Result<(), StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.0
            .write(Effect::Uncreate, move |tx| {
                expect(tx, id, &state)?;
                tx.execute(
                    "UPDATE job SET remote = 'nothing', remote_ms = NULL, plan = NULL \
                 WHERE id = ?1 AND remote = 'creating'",
                    params![id],
                )
                .map(drop)
            })
            .await
    }

    /// Records the meeting; the same worker goes on with the upload. `how` is the word for the
    /// history.
    pub async fn record_meeting(
        self,
        job: &Job,
        plan: &Plan,
        meeting: &str,
        how: EventKind,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        let meeting = meeting.to_owned();
        let plan = to_json(plan);
        self.0
            .write(Effect::Created, move |tx| {
                expect(tx, id, &state)?;
                // The plan comes first: a meeting that was found without an intent has none yet,
                // and needs one.
                tx.execute("UPDATE job SET plan = ?2 WHERE id = ?1", params![id, plan])?;
                // Its metadata could be taken.
                let sql = "UPDATE job SET error = NULL, invalid_metadata = 0 WHERE id = ?1 AND invalid_metadata = 1";
                tx.execute(sql, params![id])?;
                set_meeting(tx, id, &meeting)?;
                log(tx, id, Some(Stage::Create), how, None, now)?;
                transition(tx, id, &state, &Event::Advance, now)
            })
            .await
    }

    /// Returns the recordings of a job at the service that were given up: none of them is what an
    /// upload has left.
    pub async fn discarded_recordings(self, id: JobId) -> Result<Vec<String>, StoreError> {
        self.0
            .read(move |tx| {
                tx.query_values("SELECT recording_id FROM given_up WHERE job_id = ?1", params![id])
            })
            .await
    }

    /// Records the recording at the service; the job waits for its analysis from now on.
    pub async fn record_upload(
        self,
        job: &Job,
        recording: &str,
        how: EventKind,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        let recording = recording.to_owned();
        self.0
            .write(Effect::Uploaded, move |tx| {
                expect(tx, id, &state)?;
                delete_requests(tx, id)?;
                let sql = "UPDATE job SET remote = 'uploaded', recording_id = ?2, remote_ms = ?3 WHERE id = ?1";
                tx.execute(sql, params![id, recording, now])?;
                log(tx, id, Some(Stage::Upload), how, None, now)?;
                transition(tx, id, &state, &Event::Advance, now)
            })
            .await
    }

    /// Records the intent to ask for results, each with the fingerprints of the reports that do not
    /// count then.
    pub async fn intend_request(
        self,
        job: &Job,
        asked: WantedResults,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.0
            .write(Effect::IntendRequest, move |tx| {
                expect(tx, id, &state)?;
                for (analysis, before) in asked {
                    put_request(tx, id, analysis, &before, now)?;
                }
                Ok(())
            })
            .await
    }

    /// Records that the service has surely not taken the request: nothing has to show up before it
    /// is made again.
    pub async fn abort_request(self, job: &Job, analyses: Vec<Analysis>) -> Result<(), StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.0
            .write(Effect::Unrequested, move |tx| {
                expect(tx, id, &state)?;
                analyses.into_iter().try_for_each(|analysis| take_request_back(tx, id, analysis))
            })
            .await
    }

    /// Records that the service took the request; the results are waited for from now on.
    pub async fn record_request(
        self,
        job: &Job,
        analyses: Vec<Analysis>,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.0
            .write(Effect::Requested, move |tx| {
                for analysis in analyses {
                    mark_answered(tx, id, analysis)?;
                    log(
                        tx,
                        id,
                        Some(Stage::Analyse),
                        EventKind::ResultsRequested.with_detail(analysis.as_str()),
                        None,
                        now,
                    )?;
                }
                tx.execute("UPDATE job SET remote_ms = ?2 WHERE id = ?1", params![id, now])?;
                transition(tx, id, &state, &Event::Await, now)
            })
            .await
    }

    /// Records that a claimed job waits for results that were asked for before.
    pub async fn await_results(self, job: &Job, now: Timestamp) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.0.write(Effect::Await, move |tx| transition(tx, id, &state, &Event::Await, now)).await
    }

    /// Records the results together with the deliveries that they lead to; the job delivers from
    /// now on.
    pub async fn record_results(
        self,
        job: &Job,
        analysed: Analysed,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.0
            .write(Effect::Analysed, move |tx| {
                let next = transition(tx, id, &state, &Event::Advance, now)?;
                let sql =
                    "UPDATE job SET version = version + 1, partial = 0, error = NULL WHERE id = ?1";
                tx.execute(sql, params![id])?;
                put_reports(tx, id, &analysed.reports)?;
                insert_deliveries(tx, id, &analysed.deliveries, now)?;
                log(tx, id, Some(Stage::Analyse), EventKind::Analysed, None, now)?;
                announce_notes(tx, id, now)?;
                Ok(settle(tx, id, analysed.endings, now)?.unwrap_or(next))
            })
            .await
    }

    /// Records that the notes of this job lie there already: another host, or minuted before its
    /// queue was lost.
    pub async fn record_existing_notes(
        self,
        job: &Job,
        notes: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let id = job.id;
        let state = job.state.clone();
        let notes = notes.to_owned();
        self.0
            .write(Effect::AlreadyDone, move |tx| {
                expect(tx, id, &state)?;
                set_state(tx, id, &State::Done, now)?;
                finish(tx, id, now)?;
                log(tx, id, state.stage(), EventKind::NotesExist.with_detail(&notes), None, now)
            })
            .await
    }

    /// Records a failure of the job's own with attempts left: it goes on from `from` after `due`.
    pub async fn retry_later(
        self,
        job: &Job,
        from: Stage,
        due: Timestamp,
        error: &str,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        let error = error.to_owned();
        self.0
            .write(Effect::RetryLater, move |tx| {
                let next = transition(tx, id, &state, &Event::Retry { from, due }, now)?;
                back_to(tx, id, from)?;
                count(tx, id, state.stage(), EventKind::AttemptFailed, &error, now)?;
                Ok(next)
            })
            .await
    }

    /// Records the last failure of a job.
    pub async fn fail(
        self,
        job: &Job,
        failure: Failure,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.write_end(move |tx| {
            let stage = state.stage();
            let next = transition(tx, id, &state, &Event::Fail, now)?;
            back_to(tx, id, failure.from)?;
            let is_partial = !failure.reports.is_empty();
            let sql = "UPDATE job SET version = version + 1, partial = ?2 WHERE id = ?1";
            tx.execute(sql, params![id, is_partial])?;
            put_reports(tx, id, &failure.reports)?;
            insert_deliveries(tx, id, &failure.deliveries, now)?;
            insert_notice(tx, &failure.notice, now)?;
            count(tx, id, stage, EventKind::LastAttemptFailed, &failure.error, now)?;
            announce_job(tx, NotifyEvent::RecordingFailed, id, Some(&failure.error), now)?;
            Ok(next)
        })
        .await
    }

    /// Records that a job cannot go on before `until`; not counted as an attempt. The reason is in
    /// the history once, while it stays the same.
    pub async fn snooze(
        self,
        job: &Job,
        until: Timestamp,
        because: Option<DeferReason>,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        self.0
            .write(Effect::Snooze, move |tx| {
                let next = transition(tx, id, &state, &Event::Snooze { until }, now)?;
                match &because {
                    Some(DeferReason::ServiceFailed(error)) => {
                        log(tx, id, state.stage(), EventKind::ServiceFailed, Some(error), now)?;
                    }
                    Some(DeferReason::Lacks(error) | DeferReason::InvalidMetadata(error)) => {
                        let is_invalid = matches!(because, Some(DeferReason::InvalidMetadata(_)));
                        let changed = tx.execute(
                            "UPDATE job SET error = ?2, invalid_metadata = ?3 \
                         WHERE id = ?1 AND error IS DISTINCT FROM ?2",
                            params![id, error, is_invalid],
                        )?;
                        if changed > 0 {
                            log(tx, id, state.stage(), EventKind::Deferred, Some(error), now)?;
                        }
                    }
                    None => {}
                }
                Ok(next)
            })
            .await
    }

    /// Records that the job's file cannot be read; it waits for it. Where a copy of the same
    /// content lies in the folder, the job takes that one and goes on.
    pub async fn lose_file(
        self,
        job: &Job,
        error: &str,
        now: Timestamp,
    ) -> Result<State, StoreError> {
        let id = job.id;
        let state = job.state.clone();
        let error = error.to_owned();
        let folder = job.key.folder.clone();
        let key = job.key.to_string();
        let stamp = job.stamp;
        self.0
            .write(Effect::LoseFile, move |tx| {
                expect(tx, id, &state)?;
                if adopt_copy(tx, id, &folder, &key)? {
                    log(tx, id, state.stage(), EventKind::CopyTaken, Some(&error), now)?;
                    return transition(tx, id, &state, &Event::Snooze { until: now }, now);
                }
                let stored = "SELECT size, mtime_ns, inode FROM job WHERE id = ?1";
                if tx.query_row(stored, params![id], read_stamp)? != Some(stamp) {
                    // The folder's watch has looked meanwhile, and found the same bytes in the file
                    // as it is now.
                    return transition(tx, id, &state, &Event::Snooze { until: now }, now);
                }
                if let Some(by) = find_successor(tx, id)? {
                    let by = by.to_string();
                    let event = EventKind::CancelledFileChanged.with_detail(&by);
                    log(tx, id, state.stage(), event, Some(&error), now)?;
                    return transition(tx, id, &state, &Event::Cancel, now);
                }
                let next = transition(tx, id, &state, &Event::LoseFile { at: now }, now)?;
                let before: Option<String> =
                    tx.query_value("SELECT error FROM job WHERE id = ?1", params![id])?;
                if before.as_ref() != Some(&error) {
                    log(tx, id, state.stage(), EventKind::FileAwaited, Some(&error), now)?;
                    let sql = "UPDATE job SET error = ?2, invalid_metadata = 0 WHERE id = ?1";
                    tx.execute(sql, params![id, error])?;
                }
                Ok(next)
            })
            .await
    }
}

/// Counts a failure of the job's own and tells it in the history.
fn count(
    tx: &Transaction<'_>,
    id: JobId,
    stage: Option<Stage>,
    event: EventKind,
    error: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = "UPDATE job SET attempts = attempts + 1, error = ?2, invalid_metadata = 0, is_begun = 0 \
               WHERE id = ?1";
    tx.execute(sql, params![id, error])?;
    log(tx, id, stage, event, Some(error), now)
}

/// Takes back what the service has of a job, as far as the next attempt makes it anew.
fn back_to(tx: &Transaction<'_>, id: JobId, from: Stage) -> Result<(), StoreError> {
    let sql = match from {
        Stage::Create => {
            tx.execute(
                "DELETE FROM evidence WHERE key = (SELECT key FROM job WHERE id = ?1)",
                params![id],
            )?;
            "UPDATE job SET remote = 'nothing', meeting_id = NULL, recording_id = NULL, remote_ms = NULL \
             WHERE id = ?1 AND remote <> 'creating'"
        }
        Stage::Upload => {
            tx.execute(
                "INSERT INTO given_up (job_id, recording_id) SELECT id, recording_id FROM job \
                 WHERE id = ?1 AND remote = 'uploaded' ON CONFLICT (job_id, recording_id) DO NOTHING",
                params![id],
            )?;
            "UPDATE job SET remote = 'meeting', remote_ms = NULL WHERE id = ?1 AND remote = 'uploaded'"
        }
        Stage::Analyse | Stage::Deliver => return Ok(()),
    };
    tx.execute(sql, params![id]).map(drop)
}

fn set_meeting(tx: &Transaction<'_>, id: JobId, meeting: &str) -> Result<(), StoreError> {
    let sql = "UPDATE job SET remote = 'meeting', meeting_id = ?2, recording_id = NULL, remote_ms = NULL WHERE id = ?1";
    tx.execute(sql, params![id, meeting]).map(drop)
}

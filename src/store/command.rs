//! The commands that a person gives about a job.

use jiff::Timestamp;

use super::{
    CommandError, Job, JobId, Jobs, Settled, StoreError,
    deliveries::{give_up, is_deleted_remotely, release_held, release_withheld, reopen},
    evidence::find_evidence,
    history::log,
    jobs::{insert, load},
    notifications::retry_notifications,
    reports::has_reports,
    row::to_json,
    sightings::hand_over,
    sql::{Transaction, params},
    transition::transition,
};
use crate::{
    config::Analysis,
    effect::Effect,
    job::{Content, Event, EventKind, Remote, Stage, State, Wait},
};

impl Jobs<'_> {
    /// Sets a job's attempts back to 0 and lets it go on from what exists; releases mails that are
    /// held.
    pub async fn retry(self, id: JobId, now: Timestamp) -> Result<String, CommandError> {
        self.0
            .write(Effect::Retry, move |tx| {
                let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
                let notified = retry_notifications(tx, id, now)?;
                match &job.state {
                    State::Done => release_mails(tx, &job, notified, now),
                    State::Failed
                    | State::Cancelled
                    | State::Waiting { on: Wait::Retry { .. } | Wait::File { .. }, .. }
                    | State::Ready { .. } => {
                        tx.execute("UPDATE job SET mail_held = 0 WHERE id = ?1", params![id])?;
                        let from = resume(tx, id, &job.state, true, now)?;
                        log(tx, id, Some(from), EventKind::RetryRequested, None, now)?;
                        Ok(Ok(format!("goes on with {from}")))
                    }
                    State::Running { stage } => Ok(Err(refused(
                        id,
                        format!("is being worked on ({stage})"),
                        format!(
                            "minuted status shows its progress; minuted cancel {id} gives it up"
                        ),
                    ))),
                    State::Waiting { on: Wait::Analysis, .. } => {
                        let why = "waits for the service, which is still working on it";
                        let hint = format!(
                            "minuted job {id} shows since when; minuted cancel {id} gives it up"
                        );
                        Ok(Err(refused(id, why.into(), hint)))
                    }
                    State::Skipped if notified > 0 => Ok(Ok(tell_notified(notified))),
                    State::Skipped => Ok(Err(skipped(id))),
                }
            })
            .await?
    }

    /// Makes the next generation of a job: a new meeting and new notes. `beside` is the last
    /// generation that the notes beside its recording tell of; another host may have made them.
    pub async fn redo(self, id: JobId, beside: u32, now: Timestamp) -> Result<JobId, CommandError> {
        self.write_redo(move |tx| {
            let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
            if !job.state.is_final() {
                let why = format!("is not finished: it is {}", job.state);
                return Ok(Err(refused(
                    id,
                    why,
                    format!("wait, or give it up first: minuted cancel {id}"),
                )));
            }
            let latest: Option<JobId> = tx.find_value(
                "SELECT id FROM job WHERE content = ?1 AND folder = ?2 AND state <> 'skipped' \
                 ORDER BY generation DESC LIMIT 1",
                params![job.key.content, job.key.folder],
            )?;
            let latest = latest.map(|latest| load(tx, latest)).transpose()?.flatten();
            if let Some(latest) = latest.filter(|latest| !latest.state.is_final()) {
                let why = format!("is being redone already, as job {}", latest.id);
                return Ok(Err(refused(id, why, format!("minuted job {}", latest.id))));
            }
            let settled = Settled {
                folder: job.key.folder.clone(),
                path: job.path.clone(),
                stamp: job.stamp,
                content: Some(job.file_content.clone()),
                recorded: job.recorded,
                backlog: false,
                unplayable: None,
                length_max: None,
                length: job.length,
                sound: job.sound.clone(),
            };
            let before = beside.max(job.key.generation);
            let generation = next_generation(tx, &job.key.content, &job.key.folder, before)?;
            let new = redo_as(tx, &settled, &job.key.content, generation, &id.to_string(), now)?;
            hand_over(tx, id, new)?;
            Ok(Ok(new))
        })
        .await?
    }

    /// Runs what makes the next generation of a job, in one transaction.
    pub(super) async fn write_redo<T: Send + 'static>(
        self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.0.write(Effect::Redo, work).await
    }

    /// Gives a job up; what exists at the service stays there.
    pub async fn cancel(self, id: JobId, now: Timestamp) -> Result<String, CommandError> {
        self.0
            .write(Effect::Cancel, move |tx| {
                let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
                if let State::Done | State::Skipped | State::Cancelled = job.state {
                    return Ok(Err(CommandError::Refused {
                        job: id,
                        why: format!("is {} already", job.state),
                        hint: alternative(&job.state, id),
                    }));
                }
                transition(tx, id, &job.state, &Event::Cancel, now)?;
                give_up(tx, id)?;
                log(tx, id, job.state.stage(), EventKind::CancelRequested, None, now)?;
                Ok(Ok("is cancelled; `minuted retry` takes it up again".to_owned()))
            })
            .await?
    }

    /// Asks for more analyses of a job that is done; `mail` sends the new notes to the recipients
    /// again.
    pub async fn reanalyse(
        self,
        id: JobId,
        analyses: Vec<Analysis>,
        mail: bool,
        now: Timestamp,
    ) -> Result<String, CommandError> {
        self.0
            .write(Effect::Reanalyse, move |tx| {
                let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
                let Some(mut plan) =
                    job.plan.clone().filter(|_| job.remote.recording_id().is_some())
                else {
                    let why = "has no recording at the service";
                    return Ok(Err(refused(
                        id,
                        why.into(),
                        format!("minuted redo {id} makes a new meeting"),
                    )));
                };
                if job.state != State::Done {
                    let why = format!(
                        "is {}, and more analyses are asked of a job that is done",
                        job.state
                    );
                    return Ok(Err(refused(id, why, format!("minuted job {id}"))));
                }
                if is_deleted_remotely(tx, id)? {
                    let why =
                        "was deleted at the service after its notes were made (on_success_remote)";
                    return Ok(Err(refused(
                        id,
                        why.into(),
                        format!("minuted redo {id} sends it again and makes new notes"),
                    )));
                }
                for analysis in analyses {
                    if !plan.analyses.contains(&analysis) {
                        plan.analyses.push(analysis);
                    }
                }
                plan.silent = !mail;
                tx.execute(
                    "UPDATE job SET plan = ?2, attempts = 0 WHERE id = ?1",
                    params![id, to_json(&plan)],
                )?;
                transition(tx, id, &job.state, &Event::Reopen { due: now }, now)?;
                log(tx, id, Some(Stage::Analyse), EventKind::AnalysesRequested, None, now)?;
                Ok(Ok("is analysed again; its notes are written again".to_owned()))
            })
            .await?
    }
}

/// Returns a generation that is above all that are known: of jobs, of those that are forgotten, of
/// those that the service's list and the notes on disk told of, and `beside`. A meeting or notes of
/// an old one must not be adopted.
///
/// # Errors
/// [`StoreError::Generations`] when there is none above.
pub(super) fn next_generation(
    tx: &Transaction<'_>,
    content: &Content,
    folder: &str,
    beside: u32,
) -> Result<u32, StoreError> {
    let done: u32 = tx.query_value(
        "SELECT coalesce(max(generation), 0) FROM (SELECT generation FROM job WHERE content = ?1 AND folder = ?2 \
         AND state <> 'skipped' UNION ALL SELECT generation FROM finished WHERE content = ?1 AND folder = ?2) AS known",
        params![content, folder],
    )?;
    let evident = find_evidence(tx, content, folder)?.map_or(0, |(key, _)| key.generation);
    let last = done.max(evident).max(beside);
    last.checked_add(1)
        .ok_or_else(|| StoreError::Generations { key: format!("{content}.{folder}.{last}") })
}

/// Takes a recording in anew, as a generation of its own.
pub(super) fn redo_as(
    tx: &Transaction<'_>,
    settled: &Settled,
    content: &Content,
    generation: u32,
    redone: &str,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let state = State::Ready { stage: Stage::Create, due: now };
    let new = insert(tx, settled, Some((content, generation)), &state, now)?;
    log(tx, new, None, EventKind::RedoRequested.with_detail(redone), None, now)?;
    Ok(new)
}

/// Lets a job go on from what exists, with all its attempts; `release` lets its held mails go out.
/// Returns the stage.
///
/// A job that comes to deliver what is delivered already is moved on by [`settle_job`](super::Deliveries::settle_job).
pub(super) fn resume(
    tx: &Transaction<'_>,
    id: JobId,
    state: &State,
    release: bool,
    now: Timestamp,
) -> Result<Stage, StoreError> {
    tx.execute(
        "UPDATE job SET attempts = 0, error = NULL, invalid_metadata = 0, is_begun = 0 WHERE id = ?1",
        params![id],
    )?;
    reopen(tx, id, release, now)?;
    let from = match state.stage() {
        Some(stage) => stage,
        None => resume_stage(tx, id)?,
    };
    transition(tx, id, state, &Event::Resume { from, due: now }, now)?;
    Ok(from)
}

/// Returns where a job that was given up or has failed goes on, from what the service has of it and
/// what is stored here.
fn resume_stage(tx: &Transaction<'_>, id: JobId) -> Result<Stage, StoreError> {
    let job = load(tx, id)?.ok_or(StoreError::NoSuchJob { job: id })?;
    Ok(match job.remote {
        Remote::Nothing | Remote::Creating { .. } => Stage::Create,
        Remote::Meeting { .. } => Stage::Upload,
        Remote::Uploaded { .. } if !job.partial && has_all_results(tx, &job)? => Stage::Deliver,
        Remote::Uploaded { .. } => Stage::Analyse,
    })
}

/// Returns whether the results of a job that its plan wants are there, and go somewhere.
fn has_all_results(tx: &Transaction<'_>, job: &Job) -> Result<bool, StoreError> {
    let sql =
        "SELECT 1 FROM delivery WHERE job_id = ?1 AND version = ?2 AND kind IN ('notes', 'mail')";
    let wanted: &[Analysis] = job.plan.as_ref().map_or(&[], |plan| &plan.analyses);
    Ok(tx.exists(sql, params![job.id, job.version])? && has_reports(tx, job.id, wanted)?)
}

/// Lets the mails of a job that was adopted go out after all, and those that were withheld if they
/// are allowed by now.
fn release_mails(
    tx: &Transaction<'_>,
    job: &Job,
    notified: usize,
    now: Timestamp,
) -> Result<Result<String, CommandError>, StoreError> {
    let held = release_held(tx, job.id, now)?;
    let withheld = release_withheld(tx, job.id, now)?;
    let message = match (held, withheld) {
        (0, 0) if notified > 0 => {
            return Ok(Ok(tell_notified(notified)));
        }
        (0, 0) => {
            return Ok(Err(CommandError::Refused {
                job: job.id,
                why: "is done".into(),
                hint: alternative(&State::Done, job.id),
            }));
        }
        (held, 0) => format!("sends {held} held mails"),
        (0, withheld) => {
            format!("sends what `email.allow` permits now of {}", count_mails(withheld))
        }
        (held, withheld) => {
            format!(
                "sends {held} held mails, and of {} what `email.allow` permits now",
                count_mails(withheld)
            )
        }
    };
    tx.execute("UPDATE job SET mail_held = 0 WHERE id = ?1", params![job.id])?;
    // It delivers again: what comes after the last delivery, such as the move of the recording, has
    // waited for these.
    transition(tx, job.id, &job.state, &Event::Redeliver { due: now }, now)?;
    log(tx, job.id, Some(Stage::Deliver), EventKind::MailsReleased, None, now)?;
    Ok(Ok(message))
}

fn tell_notified(notifications: usize) -> String {
    let notified = crate::text::format_count(notifications as u64, "notification");
    format!("sends {notified} again")
}

fn count_mails(mails: usize) -> String {
    crate::text::format_count(mails as u64, "withheld mail")
}

/// Returns what a person may want instead of what a job that is over does not take.
fn alternative(state: &State, id: JobId) -> Option<String> {
    match state {
        State::Done => Some(format!("minuted redo {id} makes a new meeting and new notes")),
        State::Cancelled => Some(format!("minuted retry {id} takes it up again")),
        State::Skipped
        | State::Failed
        | State::Ready { .. }
        | State::Running { .. }
        | State::Waiting { .. } => None,
    }
}

fn refused(job: JobId, why: String, hint: String) -> CommandError {
    CommandError::Refused { job, why, hint: Some(hint) }
}

/// Returns the error of a command about a file that was skipped.
fn skipped(job: JobId) -> CommandError {
    refused(job, "was skipped".into(), "minuted why FILE tells why, and what can be done".into())
}

/// Returns the error of a command about a number that no job has, or none that was ever worked on.
fn missing(tx: &Transaction<'_>, id: JobId) -> Result<CommandError, StoreError> {
    let is_there = tx.exists("SELECT 1 FROM job WHERE id = ?1", params![id])?;
    Ok(if is_there { skipped(id) } else { StoreError::NoSuchJob { job: id }.into() })
}

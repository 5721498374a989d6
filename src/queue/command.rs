//! What a person may ask of a job.

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, named_params};

use super::{
    Job, JobId, Queue, QueueError, Settled,
    claim::load,
    delivery::{give_up, is_deleted_remotely, reopen},
    history::log,
    intake::{evidence, insert},
    record::transition,
    row,
};
use crate::{
    config::Analysis,
    effect::Effect,
    job::{Content, Event, EventKind, Stage, State, Wait},
};

/// What is told of a file that was skipped.
const SKIPPED: &str = "was skipped\nhint: minuted why FILE tells why, and what can be done";

/// Why a job does not take a command; the text says what to do instead.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The queue did not do it.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// The job stands where the command makes no sense.
    #[error("job {job} {why}")]
    Refused {
        /// The job.
        job: JobId,
        /// Why, and what would do.
        why: String,
    },
}

impl Queue {
    /// Sets a job's attempts back to 0 and lets it go on from what exists; releases mails that are held.
    pub async fn retry(&self, id: JobId, now: Timestamp) -> Result<String, CommandError> {
        self.write(Effect::Retry, move |tx| {
            let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
            match &job.state {
                State::Done => release_mails(tx, &job, now),
                State::Failed
                | State::Cancelled
                | State::Waiting { on: Wait::Retry { .. } | Wait::File { .. }, .. }
                | State::Ready { .. } => {
                    tx.execute("UPDATE job SET mail_held = 0 WHERE id = ?", [id.0])?;
                    let from = resume(tx, id, &job.state, true, now)?;
                    log(tx, id, Some(from), EventKind::RetryRequested, None, now)?;
                    Ok(Ok(format!("goes on with {from}")))
                }
                State::Running { stage } => Ok(Err(refused(id, format!("is being worked on ({stage})\nhint: minuted status shows its progress; minuted cancel {id} gives it up")))),
                State::Waiting { on: Wait::Analysis, .. } => {
                    Ok(Err(refused(id, format!("waits for the service, which is still working on it\nhint: minuted job {id} shows since when; minuted cancel {id} gives it up"))))
                }
                State::Skipped => Ok(Err(refused(id, SKIPPED.into()))),
            }
        })
        .await?
    }

    /// Makes the next generation of a job: a new meeting and new notes. `beside` is the last generation that the notes
    /// beside its recording tell of; another host may have made them.
    pub async fn redo(&self, id: JobId, beside: u32, now: Timestamp) -> Result<JobId, CommandError> {
        self.write_redo(move |tx| {
            let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
            if !job.state.is_final() {
                return Ok(Err(refused(
                    id,
                    format!(
                        "is not finished: it is {}\nhint: wait, or give it up first: minuted cancel {id}",
                        job.state
                    ),
                )));
            }
            let latest: Option<i64> = tx
                .query_row(
                    "SELECT id FROM job WHERE content = ?1 AND folder = ?2 AND state <> 'skipped' \
                     ORDER BY generation DESC LIMIT 1",
                    rusqlite::params![job.key.content.as_str(), job.key.folder],
                    |row| row.get(0),
                )
                .optional()?;
            let latest = latest.map(|latest| load(tx, JobId(latest))).transpose()?.flatten();
            if let Some(latest) = latest.filter(|latest| !latest.state.is_final()) {
                return Ok(Err(refused(
                    id,
                    format!("is being redone already, as job {0}\nhint: minuted job {0}", latest.id),
                )));
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
                sound: job.sound.clone(),
            };
            let before = beside.max(job.key.generation);
            let generation = next_generation(tx, &job.key.content, &job.key.folder, before)?;
            let new = redo_as(tx, &settled, &job.key.content, generation, &id.to_string(), now)?;
            tx.execute("UPDATE sighting SET job_id = ?2 WHERE job_id = ?1", [id.0, new.0])?;
            Ok(Ok(new))
        })
        .await?
    }

    /// Runs what makes the next generation of a job, in one transaction.
    pub(super) async fn write_redo<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, QueueError> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.write(Effect::Redo, work).await
    }

    /// Gives a job up; what exists at the service stays there.
    pub async fn cancel(&self, id: JobId, now: Timestamp) -> Result<String, CommandError> {
        self.write(Effect::Cancel, move |tx| {
            let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
            if let State::Done | State::Skipped | State::Cancelled = job.state {
                return Ok(Err(refused(id, format!("is {} already{}", job.state, cure(&job.state, id)))));
            }
            transition(tx, id, &job.state, &Event::Cancel, now)?;
            give_up(tx, id)?;
            log(tx, id, job.state.stage(), EventKind::CancelRequested, None, now)?;
            Ok(Ok("is cancelled; `minuted retry` takes it up again".to_owned()))
        })
        .await?
    }

    /// Asks for more analyses of a job that is done; `mail` sends the new notes to the recipients again.
    pub async fn reanalyse(
        &self,
        id: JobId,
        analyses: Vec<Analysis>,
        mail: bool,
        now: Timestamp,
    ) -> Result<String, CommandError> {
        self.write(Effect::Reanalyse, move |tx| {
            let Some(job) = load(tx, id)? else { return Ok(Err(missing(tx, id)?)) };
            let Some(mut plan) = job.plan.clone().filter(|_| job.remote.recording().is_some()) else {
                return Ok(Err(refused(
                    id,
                    format!("has no recording at the service\nhint: minuted redo {id} makes a new meeting"),
                )));
            };
            if job.state != State::Done {
                return Ok(Err(refused(
                    id,
                    format!(
                        "is {}, and more analyses are asked of a job that is done\nhint: minuted job {id}",
                        job.state
                    ),
                )));
            }
            if is_deleted_remotely(tx, id)? {
                let why = "was deleted at the service after its notes were made (on_success_remote)";
                return Ok(Err(refused(
                    id,
                    format!("{why}\nhint: minuted redo {id} sends it again and makes new notes"),
                )));
            }
            for analysis in analyses {
                if !plan.analyses.contains(&analysis) {
                    plan.analyses.push(analysis);
                }
            }
            plan.silent = !mail;
            let text = serde_json::to_string(&plan).unwrap_or_default();
            tx.execute("UPDATE job SET plan = ?2, attempts = 0 WHERE id = ?1", rusqlite::params![id.0, text])?;
            transition(tx, id, &job.state, &Event::Reopen { due: now }, now)?;
            log(tx, id, Some(Stage::Analyse), EventKind::AnalysesRequested, None, now)?;
            Ok(Ok("is analysed again; its notes are written anew".to_owned()))
        })
        .await?
    }

    /// Returns the jobs of a state, by number.
    pub async fn jobs_of_state(&self, state: &'static str) -> Result<Vec<JobId>, QueueError> {
        self.read(move |connection| {
            let mut statement =
                connection.prepare("SELECT id FROM job WHERE state = ? AND key IS NOT NULL ORDER BY id")?;
            let rows = statement.query_map([state], |row| Ok(JobId(row.get(0)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Decides about the files that waited for `minuted backlog`: they settle, or are left alone. Returns how many.
    pub async fn decide_backlog(&self, folder: &str, process: bool) -> Result<usize, QueueError> {
        let folder = folder.to_owned();
        self.write(Effect::DecideBacklog, move |tx| {
            let sql = if process {
                "DELETE FROM sighting WHERE folder = ? AND verdict = 'backlog'"
            } else {
                "UPDATE sighting SET verdict = 'ignored' WHERE folder = ? AND verdict = 'backlog'"
            };
            Ok(tx.execute(sql, [folder])?)
        })
        .await
    }
}

/// Returns a generation that is above all that are known: of jobs, of those that are forgotten, of those that the
/// service's list and the notes on disk told of, and `beside`. A meeting or notes of an old one must not be adopted.
///
/// # Errors
/// [`QueueError::Generations`] when there is none above.
pub(super) fn next_generation(
    tx: &Transaction<'_>,
    content: &Content,
    folder: &str,
    beside: u32,
) -> Result<u32, QueueError> {
    let done: u32 = tx.query_row(
        "SELECT coalesce(max(generation), 0) FROM (SELECT generation FROM job WHERE content = ?1 AND folder = ?2 \
         AND state <> 'skipped' UNION ALL SELECT generation FROM finished WHERE content = ?1 AND folder = ?2)",
        rusqlite::params![content.as_str(), folder],
        |row| row.get(0),
    )?;
    let told = evidence(tx, content, folder)?.map_or(0, |(key, _)| key.generation);
    let last = done.max(told).max(beside);
    last.checked_add(1).ok_or_else(|| QueueError::Generations { key: format!("{content}.{folder}.{last}") })
}

/// Takes a recording in anew, as a generation of its own.
pub(super) fn redo_as(
    tx: &Transaction<'_>,
    settled: &Settled,
    content: &Content,
    generation: u32,
    redone: &str,
    now: Timestamp,
) -> Result<JobId, QueueError> {
    let state = State::Ready { stage: Stage::Create, due: now };
    let new = insert(tx, settled, Some((content, generation)), &state, now)?;
    log(tx, new, None, EventKind::RedoRequested.with(redone), None, now)?;
    Ok(new)
}

/// Lets a job go on from what exists, with all its attempts; `release` lets its held mails go out. Returns the stage.
///
/// A job that comes to deliver what is delivered already is moved on by [`Queue::settle`].
pub(super) fn resume(
    tx: &Transaction<'_>,
    id: JobId,
    state: &State,
    release: bool,
    now: Timestamp,
) -> Result<Stage, QueueError> {
    tx.execute("UPDATE job SET attempts = 0, error = NULL, invalid_metadata = 0 WHERE id = ?", [id.0])?;
    reopen(tx, id, release, now)?;
    let from = match state.stage() {
        Some(stage) => stage,
        None => resume_stage(tx, id)?,
    };
    transition(tx, id, state, &Event::Resume { from, due: now }, now)?;
    Ok(from)
}

/// Returns where a job that was given up or has failed goes on, from what the service has of it and what is stored here.
fn resume_stage(tx: &Transaction<'_>, id: JobId) -> Result<Stage, QueueError> {
    let (remote, delivers, partial): (String, bool, bool) = tx.query_row(
        "SELECT remote, EXISTS (SELECT 1 FROM delivery WHERE job_id = job.id AND version = job.version \
         AND kind IN ('notes', 'mail')) AND NOT EXISTS (SELECT 1 FROM json_each(plan, '$.analyses') AS wanted \
         WHERE NOT EXISTS (SELECT 1 FROM report WHERE job_id = job.id AND analysis = wanted.value)), partial \
         FROM job WHERE id = :id",
        named_params! { ":id": id.0 },
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    Ok(match remote.as_str() {
        "nothing" | "creating" => Stage::Create,
        "meeting" => Stage::Upload,
        "uploaded" if delivers && !partial => Stage::Deliver,
        "uploaded" => Stage::Analyse,
        _ => return Err(row::invalid("remote", remote).into()),
    })
}

/// Lets the mails of a job that was adopted go out after all, and those that were withheld if they are allowed by now.
/// Of the latter only those of the latest notes: an older one would be a second mail to the same person.
fn release_mails(tx: &Transaction<'_>, job: &Job, now: Timestamp) -> Result<Result<String, CommandError>, QueueError> {
    let due = [job.id.0, now.as_millisecond()];
    let held =
        tx.execute("UPDATE delivery SET state = 'due', due_ms = ?2 WHERE job_id = ?1 AND state = 'held'", due)?;
    let withheld = tx.execute(
        "UPDATE delivery SET state = 'due', due_ms = ?2, error = NULL WHERE job_id = ?1 AND state = 'withheld' \
         AND NOT EXISTS (SELECT 1 FROM delivery AS later WHERE later.job_id = delivery.job_id \
         AND later.kind = delivery.kind AND later.target = delivery.target AND later.version > delivery.version)",
        due,
    )?;
    let told = match (held, withheld) {
        (0, 0) => return Ok(Err(refused(job.id, format!("is done{}", cure(&State::Done, job.id))))),
        (held, 0) => format!("sends {held} held mails"),
        (0, withheld) => format!("sends what `email.allow` permits now of {}", count_mails(withheld)),
        (held, withheld) => {
            format!("sends {held} held mails, and of {} what `email.allow` permits now", count_mails(withheld))
        }
    };
    tx.execute("UPDATE job SET mail_held = 0 WHERE id = ?", [job.id.0])?;
    // It delivers again: what comes after the last delivery, such as the move of the recording, has waited for these.
    transition(tx, job.id, &job.state, &Event::Redeliver { due: now }, now)?;
    log(tx, job.id, Some(Stage::Deliver), EventKind::MailsReleased, None, now)?;
    Ok(Ok(told))
}

fn count_mails(mails: usize) -> String {
    crate::text::count(mails as u64, "withheld mail")
}

/// What a person may want instead of what a job that is over does not take.
fn cure(state: &State, id: JobId) -> String {
    match state {
        State::Done => format!("\nhint: minuted redo {id} makes a new meeting and new notes"),
        State::Cancelled => format!("\nhint: minuted retry {id} takes it up again"),
        State::Skipped | State::Failed | State::Ready { .. } | State::Running { .. } | State::Waiting { .. } => {
            String::new()
        }
    }
}

fn refused(job: JobId, why: String) -> CommandError {
    CommandError::Refused { job, why }
}

fn missing(tx: &Transaction<'_>, id: JobId) -> Result<CommandError, QueueError> {
    let there = tx.prepare_cached("SELECT 1 FROM job WHERE id = ?")?.exists([id.0])?;
    Ok(if there {
        CommandError::Refused { job: id, why: SKIPPED.into() }
    } else {
        CommandError::Queue(QueueError::NoSuchJob { job: id })
    })
}

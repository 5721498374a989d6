//! The intake: settled recordings become jobs. Content decides what is new, not the name.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{
    DeliveryKind, FileVerdict, Files, JobId, NewDelivery, Settled, Sighting, SkipReason,
    StoreError, Unplayable,
    announce::announce_job,
    command::resume,
    crash::{CRASHES_MAX, clear_crashes},
    deliveries::insert_deliveries,
    evidence::{find_evidence, find_notes_of_sound},
    finished::{content_finished_at, finish, sound_finished_at},
    history::log,
    holds::insert_notice,
    jobs::{STATE_COLUMNS, insert, move_to, read_id_and_state, read_state},
    sightings::{adopt_copy, delete_sighting, is_seen_as, put_sighting},
    skip::{forget_bound, record_skip},
    sql::{Row, Transaction, params},
    transition::transition,
};
use crate::{
    config::NotifyEvent,
    effect::Effect,
    job::{Bound, Content, Event, EventKind, Sound, Stage, State, Wait},
    text::printable_path,
};

/// The result of taking a settled recording in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its path.
    pub path: PathBuf,
    /// The job (or the skip) that is recorded for it.
    pub job: JobId,
    /// The reason why it is skipped, where it is.
    pub skipped: Option<String>,
}

impl Files<'_> {
    /// Records that a complete scan did not find these files: jobs that still need theirs wait for
    /// it, or take a copy of the same content that lies elsewhere in the folder.
    pub async fn record_missing(
        self,
        folder: &str,
        paths: Vec<PathBuf>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let folder = folder.to_owned();
        self.0
            .write(Effect::Gone, move |tx| {
                for path in &paths {
                    delete_sighting(tx, &folder, path)?;
                    clear_crashes(tx, &folder, path)?;
                    mark_missing(tx, &folder, path, now)?;
                }
                Ok(())
            })
            .await
    }

    /// Makes jobs of settled recordings, in one commit. `unsupported` is the reason told where no
    /// service takes one.
    pub async fn take(
        self,
        settled: Vec<Settled>,
        unsupported: String,
        now: Timestamp,
    ) -> Result<Vec<Taken>, StoreError> {
        self.0
            .write(Effect::Take, move |tx| {
                let mut taken = Vec::with_capacity(settled.len());
                for recording in &settled {
                    let job = match (&recording.content, recording.unplayable) {
                        (Some(content), Some(Unplayable::NoSound)) => {
                            take_soundless(tx, recording, content, now)?
                        }
                        (Some(content), Some(Unplayable::Crashes) | None) => {
                            take_content(tx, recording, content, now)?
                        }
                        (content, Some(Unplayable::Beyond(bound))) => {
                            take_beyond(tx, recording, content.as_ref(), bound, now)?
                        }
                        (None, _) => record_skip(
                            tx,
                            recording,
                            None,
                            &SkipReason::Unsupported(unsupported.clone()),
                            now,
                        )?,
                    };
                    let sighting = Sighting {
                        path: recording.path.clone(),
                        stamp: recording.stamp,
                        first: now,
                        since: now,
                        verdict: FileVerdict::Taken { job: job.0 },
                        written_boot: None,
                    };
                    put_sighting(tx, &recording.folder, &sighting)?;
                    clear_crashes(tx, &recording.folder, &recording.path)?;
                    forget_bound(tx, recording, job)?;
                    taken.push(Taken {
                        path: recording.path.clone(),
                        job,
                        skipped: find_skip_reason(tx, job)?,
                    });
                }
                Ok(taken)
            })
            .await
    }
}

fn find_skip_reason(tx: &Transaction<'_>, job: JobId) -> Result<Option<String>, StoreError> {
    let sql = "SELECT error FROM job WHERE id = ?1 AND state = 'skipped'";
    let error: Option<Option<String>> = tx.find_value(sql, params![job])?;
    Ok(error.map(Option::unwrap_or_default))
}

/// The job of a content in a folder.
struct Known {
    id: JobId,
    state: State,
    path: PathBuf,
}

fn take_content(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let job = match find_job_of_content(tx, content, &recording.folder)? {
        Some(known) => take_known(tx, recording, content, &known, Likeness::Content, now)?,
        None => take_unknown(tx, recording, content, now)?,
    };
    cancel_superseded(tx, recording, job, now)?;
    Ok(job)
}

/// Takes a content of which the queue has no job: what is known of it is asked first, then its
/// sound.
fn take_unknown(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    if let Some(at) = content_finished_at(tx, content, &recording.folder)? {
        return record_skip(tx, recording, Some(content), &SkipReason::ContentForgotten(at), now);
    }
    if find_evidence(tx, content, &recording.folder)?.is_none()
        && let Some(sound) = &recording.sound
    {
        if let Some(known) = find_job_of_sound(tx, sound, &recording.folder)? {
            return take_known(tx, recording, content, &known, Likeness::Sound, now);
        }
        if let Some(reason) = find_end_of_sound(tx, sound, &recording.folder)? {
            return record_skip(tx, recording, Some(content), &reason, now);
        }
    }
    take_new(tx, recording, content, now)
}

/// The property that a recording shares with an existing job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Content,
    Sound,
}

impl Likeness {
    fn done_reason(self, known: &Known) -> SkipReason {
        match self {
            Self::Content => SkipReason::ContentDone(known.id),
            Self::Sound => SkipReason::SoundDone(known.id, known.path.clone()),
        }
    }

    fn unfinished_reason(self, known: &Known) -> SkipReason {
        match self {
            Self::Content => SkipReason::ContentUnderWay(known.id),
            Self::Sound => SkipReason::SoundUnderWay(known.id, known.path.clone()),
        }
    }
}

/// Records a file without sound. Whatever else has the same bytes, each of them has an answer of
/// its own.
fn take_soundless(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let job = record_skip(tx, recording, Some(content), &SkipReason::NoSound, now)?;
    cancel_superseded(tx, recording, job, now)?;
    Ok(job)
}

/// Records a file that exceeds a bound of its folder. Bounds do not hold for a job that exists:
/// where the file is that of one, it is taken as that.
fn take_beyond(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: Option<&Content>,
    bound: Bound,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    if let Some(content) = content
        && find_job_of_content(tx, content, &recording.folder)?.is_some()
    {
        return take_content(tx, recording, content, now);
    }
    let job = record_skip(tx, recording, content, &SkipReason::Beyond(bound), now)?;
    cancel_superseded(tx, recording, job, now)?;
    Ok(job)
}

fn take_known(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    known: &Known,
    likeness: Likeness,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let same_place = known.path == recording.path;
    match &known.state {
        State::Waiting { stage, on: Wait::File { .. } } => {
            move_to(tx, known.id, recording)?;
            transition(tx, known.id, &known.state, &Event::Resume { from: *stage, due: now }, now)?;
            log(tx, known.id, Some(*stage), EventKind::FileBack, None, now)?;
            Ok(known.id)
        }
        State::Failed | State::Cancelled if !is_seen_as(tx, recording, known.id)? => {
            move_to(tx, known.id, recording)?;
            let from = resume(tx, known.id, &known.state, false, now)?;
            log(tx, known.id, Some(from), EventKind::DroppedAgain, None, now)?;
            Ok(known.id)
        }
        State::Ready { .. }
        | State::Running { .. }
        | State::Waiting { .. }
        | State::Failed
        | State::Cancelled
            if same_place =>
        {
            move_to(tx, known.id, recording).map(|()| known.id)
        }
        State::Done if same_place => Ok(known.id),
        State::Done => record_skip(tx, recording, Some(content), &likeness.done_reason(known), now),
        State::Ready { .. }
        | State::Running { .. }
        | State::Waiting { .. }
        | State::Failed
        | State::Cancelled
        | State::Skipped => {
            record_skip(tx, recording, Some(content), &likeness.unfinished_reason(known), now)
        }
    }
}

fn take_new(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    now: Timestamp,
) -> Result<JobId, StoreError> {
    let evidence = find_evidence(tx, content, &recording.folder)?;
    let generation = evidence.as_ref().map_or(1, |(key, _)| key.generation);
    let notes = evidence.as_ref().and_then(|(_, notes)| notes.clone());
    let is_set_aside = recording.unplayable == Some(Unplayable::Crashes);
    let state = match &notes {
        Some(_) => State::Done,
        None if is_set_aside => State::Failed,
        None => State::Ready { stage: Stage::Create, due: now },
    };
    let id = insert(tx, recording, Some((content, generation)), &state, now)?;
    if notes.is_none() && is_set_aside {
        fail_set_aside(tx, recording, id, now)?;
        return Ok(id);
    }
    match notes {
        Some(notes) => {
            finish(tx, id, now)?;
            log(tx, id, None, EventKind::NotesExist.with_detail(&notes), None, now)?;
        }
        None if evidence.is_some() => {
            tx.execute("UPDATE job SET mail_held = 1 WHERE id = ?1", params![id])?;
            log(tx, id, None, EventKind::TakenInWithMeeting, None, now)?;
            announce_job(tx, NotifyEvent::RecordingTaken, id, None, now)?;
        }
        None => {
            log(tx, id, None, EventKind::TakenIn, None, now)?;
            announce_job(tx, NotifyEvent::RecordingTaken, id, None, now)?;
        }
    }
    Ok(id)
}

/// A recording that is not to be touched again fails at once.
fn fail_set_aside(
    tx: &Transaction<'_>,
    recording: &Settled,
    id: JobId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let shown = printable_path(&recording.path);
    let error = format!(
        "minuted crashed {CRASHES_MAX} times while it looked into this file; `minuted retry` sends it unseen"
    );
    tx.execute("UPDATE job SET error = ?2 WHERE id = ?1", params![id, error])?;
    log(tx, id, None, EventKind::SetAside, Some(&error), now)?;
    let word = NewDelivery { kind: DeliveryKind::Failure, target: String::new(), held: false };
    insert_deliveries(tx, id, &[word], now)?;
    announce_job(tx, NotifyEvent::RecordingFailed, id, Some(&error), now)?;
    insert_notice(tx, &format!("{shown} (folder `{}`) failed: {error}", recording.folder), now)
}

/// Another job that still needs the file at this path has lost it to the new content.
fn cancel_superseded(
    tx: &Transaction<'_>,
    recording: &Settled,
    by: JobId,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT id, {STATE_COLUMNS} FROM job WHERE folder = ?1 AND path = ?2 AND id <> ?3 \
         AND stage IN ('create', 'upload') AND state <> 'running'"
    );
    let others =
        tx.query_rows(&sql, params![recording.folder, recording.path, by], read_id_and_state)?;
    for (id, state) in others {
        transition(tx, id, &state, &Event::Cancel, now)?;
        log(
            tx,
            id,
            state.stage(),
            EventKind::CancelledFileChanged.with_detail(&by.to_string()),
            None,
            now,
        )?;
    }
    Ok(())
}

fn mark_missing(
    tx: &Transaction<'_>,
    folder: &str,
    path: &Path,
    now: Timestamp,
) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT id, key, {STATE_COLUMNS} FROM job WHERE folder = ?1 AND path = ?2 AND stage IS NOT NULL"
    );
    let jobs = tx.query_rows(&sql, params![folder, path], |row| {
        Ok((row.get::<JobId>("id")?, read_state(row)?, row.get::<String>("key")?))
    })?;
    for (id, state, key) in jobs {
        if adopt_copy(tx, id, folder, &key)? {
            log(tx, id, state.stage(), EventKind::FileRenamed, None, now)?;
        } else if matches!(
            state,
            State::Ready { stage: Stage::Create | Stage::Upload, .. }
                | State::Waiting { on: Wait::Retry { .. }, .. }
        ) && state.stage() != Some(Stage::Analyse)
        {
            transition(tx, id, &state, &Event::LoseFile { at: now }, now)?;
            log(tx, id, state.stage(), EventKind::FileGone, None, now)?;
        }
    }
    Ok(())
}

/// Returns the job with this sound in the folder: one that is done or under way before one that
/// failed.
fn find_job_of_sound(
    tx: &Transaction<'_>,
    sound: &Sound,
    folder: &str,
) -> Result<Option<Known>, StoreError> {
    let sql = format!(
        "SELECT id, path, {STATE_COLUMNS} FROM job WHERE sound = ?1 AND folder = ?2 AND state <> 'skipped' \
         ORDER BY state IN ('failed', 'cancelled'), id DESC LIMIT 1"
    );
    tx.query_row(&sql, params![sound, folder], read_known)
}

/// Returns why a sound without a job is done, where it is: by a job that is forgotten, or by notes
/// on disk.
fn find_end_of_sound(
    tx: &Transaction<'_>,
    sound: &Sound,
    folder: &str,
) -> Result<Option<SkipReason>, StoreError> {
    if let Some(at) = sound_finished_at(tx, sound, folder)? {
        return Ok(Some(SkipReason::SoundForgotten(at)));
    }
    Ok(find_notes_of_sound(tx, sound, folder)?.map(SkipReason::SoundHasNotes))
}

/// Returns the latest job of a content in the folder.
fn find_job_of_content(
    tx: &Transaction<'_>,
    content: &Content,
    folder: &str,
) -> Result<Option<Known>, StoreError> {
    let sql = format!(
        "SELECT id, path, {STATE_COLUMNS} FROM job WHERE content = ?1 AND folder = ?2 AND state <> 'skipped' \
         ORDER BY generation DESC LIMIT 1"
    );
    tx.query_row(&sql, params![content, folder], read_known)
}

fn read_known(row: &Row<'_>) -> Result<Known, StoreError> {
    Ok(Known { id: row.get("id")?, state: read_state(row)?, path: row.get("path")? })
}

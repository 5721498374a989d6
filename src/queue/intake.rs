//! How files become sightings, and settled recordings jobs. Content decides what is new, not the name.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{OptionalExtension as _, Transaction, named_params};

use super::{
    DeliveryKind, JobId, NewDelivery, Queue, QueueError, Settled, Sighting, SkipReason, Unplayable, Verdict,
    command::resume,
    crash::{CRASHES_MAX, acquit},
    delivery::insert_deliveries,
    folder::put_sighting,
    history::log,
    hold::insert_notice,
    record::{set_path, transition},
    row::{self, path_bytes},
    skip::{forget_bound, record_skip},
};
use crate::{
    beneath::Stamp,
    effect::Effect,
    job::{Bound, Content, Event, EventKind, Key, Sound, Stage, State, Wait},
    text::printable_path,
};

/// What became of a settled recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its path.
    pub path: PathBuf,
    /// The job (or the skip) that is recorded for it.
    pub job: JobId,
    /// Why it is skipped, where it is.
    pub skipped: Option<String>,
}

impl Queue {
    /// Records that a complete scan did not find these files: jobs that still need theirs wait for it, or take a copy
    /// of the same content that lies elsewhere in the folder.
    pub async fn gone(&self, folder: &str, paths: Vec<PathBuf>, now: Timestamp) -> Result<(), QueueError> {
        let folder = folder.to_owned();
        self.write(Effect::Gone, move |tx| {
            for path in &paths {
                tx.prepare_cached("DELETE FROM sighting WHERE folder = ?1 AND path = ?2")?
                    .execute(rusqlite::params![folder, path_bytes(path)])?;
                acquit(tx, &folder, path)?;
                lose(tx, &folder, path, now)?;
            }
            Ok(())
        })
        .await
    }

    /// Makes jobs of settled recordings, in one commit. `unsupported` is the reason told where no service takes one.
    pub async fn take(
        &self,
        settled: Vec<Settled>,
        unsupported: String,
        now: Timestamp,
    ) -> Result<Vec<Taken>, QueueError> {
        self.write(Effect::Take, move |tx| {
            let mut taken = Vec::with_capacity(settled.len());
            for recording in &settled {
                let job = match (&recording.content, recording.unplayable) {
                    (Some(content), Some(Unplayable::NoSound)) => take_soundless(tx, recording, content, now)?,
                    (Some(content), Some(Unplayable::Crashes) | None) => take_content(tx, recording, content, now)?,
                    (content, Some(Unplayable::Beyond(bound))) => {
                        take_beyond(tx, recording, content.as_ref(), bound, now)?
                    }
                    (None, _) => record_skip(tx, recording, None, &SkipReason::Unsupported(unsupported.clone()), now)?,
                };
                let sighting = Sighting {
                    path: recording.path.clone(),
                    stamp: recording.stamp,
                    first: now,
                    since: now,
                    verdict: Verdict::Taken { job: job.0 },
                    written_boot: None,
                };
                put_sighting(tx, &recording.folder, &sighting)?;
                acquit(tx, &recording.folder, &recording.path)?;
                forget_bound(tx, recording, job)?;
                taken.push(Taken { path: recording.path.clone(), job, skipped: skipped(tx, job)? });
            }
            Ok(taken)
        })
        .await
    }
}

fn skipped(tx: &Transaction<'_>, job: JobId) -> Result<Option<String>, QueueError> {
    let mut statement = tx.prepare_cached("SELECT error FROM job WHERE id = ? AND state = 'skipped'")?;
    let error: Option<Option<String>> = statement.query_row([job.0], |row| row.get(0)).optional()?;
    Ok(error.map(Option::unwrap_or_default))
}

/// What the queue knows of a content in a folder.
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
) -> Result<JobId, QueueError> {
    let job = match known(tx, content, &recording.folder)? {
        Some(known) => take_known(tx, recording, content, &known, Likeness::Content, now)?,
        None => take_unknown(tx, recording, content, now)?,
    };
    supersede(tx, recording, job, now)?;
    Ok(job)
}

/// Takes a content of which the queue has no job: what is known of it is asked first, then its sound.
fn take_unknown(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    now: Timestamp,
) -> Result<JobId, QueueError> {
    let finished = finished_at(tx, "content", content.as_str(), &recording.folder)?;
    if let Some(at) = finished {
        return record_skip(tx, recording, Some(content), &SkipReason::ContentForgotten(at), now);
    }
    if evidence(tx, content, &recording.folder)?.is_none()
        && let Some(sound) = &recording.sound
    {
        if let Some(known) = known_by_sound(tx, sound, &recording.folder)? {
            return take_known(tx, recording, content, &known, Likeness::Sound, now);
        }
        if let Some(reason) = sound_is_done(tx, sound, &recording.folder)? {
            return record_skip(tx, recording, Some(content), &reason, now);
        }
    }
    take_new(tx, recording, content, now)
}

/// What a recording has in common with a job that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Likeness {
    Content,
    Sound,
}

impl Likeness {
    fn done(self, known: &Known) -> SkipReason {
        match self {
            Self::Content => SkipReason::ContentDone(known.id),
            Self::Sound => SkipReason::SoundDone(known.id, known.path.clone()),
        }
    }

    fn under_way(self, known: &Known) -> SkipReason {
        match self {
            Self::Content => SkipReason::ContentUnderWay(known.id),
            Self::Sound => SkipReason::SoundUnderWay(known.id, known.path.clone()),
        }
    }
}

/// Records a file without sound. Whatever else has the same bytes, each of them has an answer of its own.
fn take_soundless(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    now: Timestamp,
) -> Result<JobId, QueueError> {
    let job = record_skip(tx, recording, Some(content), &SkipReason::NoSound, now)?;
    supersede(tx, recording, job, now)?;
    Ok(job)
}

/// Records a file that exceeds a bound of its folder. Bounds do not hold for a job that exists: where the file is that
/// of one, it is taken as that.
fn take_beyond(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: Option<&Content>,
    bound: Bound,
    now: Timestamp,
) -> Result<JobId, QueueError> {
    if let Some(content) = content
        && known(tx, content, &recording.folder)?.is_some()
    {
        return take_content(tx, recording, content, now);
    }
    let job = record_skip(tx, recording, content, &SkipReason::Beyond(bound), now)?;
    supersede(tx, recording, job, now)?;
    Ok(job)
}

fn take_known(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: &Content,
    known: &Known,
    likeness: Likeness,
    now: Timestamp,
) -> Result<JobId, QueueError> {
    let same_place = known.path == recording.path;
    match &known.state {
        State::Waiting { stage, on: Wait::File { .. } } => {
            move_to(tx, known.id, recording)?;
            transition(tx, known.id, &known.state, &Event::Resume { from: *stage, due: now }, now)?;
            log(tx, known.id, Some(*stage), EventKind::FileBack, None, now)?;
            Ok(known.id)
        }
        State::Failed | State::Cancelled if !seen_so(tx, recording, known.id)? => {
            move_to(tx, known.id, recording)?;
            let from = resume(tx, known.id, &known.state, false, now)?;
            log(tx, known.id, Some(from), EventKind::DroppedAgain, None, now)?;
            Ok(known.id)
        }
        State::Ready { .. } | State::Running { .. } | State::Waiting { .. } | State::Failed | State::Cancelled
            if same_place =>
        {
            move_to(tx, known.id, recording).map(|()| known.id)
        }
        State::Done if same_place => Ok(known.id),
        State::Done => record_skip(tx, recording, Some(content), &likeness.done(known), now),
        State::Ready { .. }
        | State::Running { .. }
        | State::Waiting { .. }
        | State::Failed
        | State::Cancelled
        | State::Skipped => record_skip(tx, recording, Some(content), &likeness.under_way(known), now),
    }
}

fn take_new(tx: &Transaction<'_>, recording: &Settled, content: &Content, now: Timestamp) -> Result<JobId, QueueError> {
    let evidence = evidence(tx, content, &recording.folder)?;
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
            super::record::finish(tx, id, now)?;
            log(tx, id, None, EventKind::NotesExist.with(&notes), None, now)?;
        }
        None if evidence.is_some() => {
            tx.execute("UPDATE job SET mail_held = 1 WHERE id = ?", [id.0])?;
            log(tx, id, None, EventKind::TakenInWithMeeting, None, now)?;
        }
        None => log(tx, id, None, EventKind::TakenIn, None, now)?,
    }
    Ok(id)
}

/// A recording that is not to be touched again fails at once.
fn fail_set_aside(tx: &Transaction<'_>, recording: &Settled, id: JobId, now: Timestamp) -> Result<(), QueueError> {
    let shown = printable_path(&recording.path);
    let error =
        format!("minuted crashed {CRASHES_MAX} times while it looked into this file; `minuted retry` sends it unseen");
    tx.execute("UPDATE job SET error = ?2 WHERE id = ?1", rusqlite::params![id.0, error])?;
    log(tx, id, None, EventKind::SetAside, Some(&error), now)?;
    let word = NewDelivery { kind: DeliveryKind::Failure, target: String::new(), held: false };
    insert_deliveries(tx, id, &[word], now)?;
    insert_notice(tx, &format!("{shown} (folder `{}`) failed: {error}", recording.folder), now)
}

/// Whether this very file is known as the job's: then it was not dropped again.
fn seen_so(tx: &Transaction<'_>, recording: &Settled, job: JobId) -> Result<bool, QueueError> {
    let stamp = recording.stamp;
    Ok(tx
        .prepare_cached(
            "SELECT 1 FROM sighting WHERE folder = ?1 AND path = ?2 AND job_id = ?3 AND size = ?4 AND mtime_ns = ?5 \
             AND inode = ?6",
        )?
        .exists(rusqlite::params![
            recording.folder,
            path_bytes(&recording.path),
            job.0,
            stamp.size.cast_signed(),
            stamp.mtime_ns,
            stamp.inode.cast_signed()
        ])?)
}

/// Another job that still needs the file at this path has lost it to the new content.
fn supersede(tx: &Transaction<'_>, recording: &Settled, by: JobId, now: Timestamp) -> Result<(), QueueError> {
    let others = tx
        .prepare_cached(
            "SELECT id, state, stage, waits_for, due_ms, updated_ms FROM job WHERE folder = ?1 AND path = ?2 \
             AND id <> ?3 AND stage IN ('create', 'upload') AND state <> 'running'",
        )?
        .query_map(rusqlite::params![recording.folder, path_bytes(&recording.path), by.0], |row| {
            Ok((JobId(row.get(0)?), row::state(row)?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, state) in others {
        transition(tx, id, &state, &Event::Cancel, now)?;
        log(tx, id, state.stage(), EventKind::CancelledFileChanged.with(&by.to_string()), None, now)?;
    }
    Ok(())
}

fn lose(tx: &Transaction<'_>, folder: &str, path: &Path, now: Timestamp) -> Result<(), QueueError> {
    let jobs = tx
        .prepare_cached(
            "SELECT id, key, state, stage, waits_for, due_ms, updated_ms FROM job WHERE folder = ?1 AND path = ?2 \
             AND stage IS NOT NULL",
        )?
        .query_map(rusqlite::params![folder, path_bytes(path)], |row| {
            Ok((JobId(row.get(0)?), row::state(row)?, row.get::<_, String>("key")?))
        })?
        .collect::<Result<Vec<_>, _>>()?;
    for (id, state, key) in jobs {
        if adopt_copy(tx, id, folder, &key)? {
            log(tx, id, state.stage(), EventKind::FileRenamed, None, now)?;
        } else if matches!(
            state,
            State::Ready { stage: Stage::Create | Stage::Upload, .. } | State::Waiting { on: Wait::Retry { .. }, .. }
        ) && state.stage() != Some(Stage::Analyse)
        {
            transition(tx, id, &state, &Event::LoseFile { at: now }, now)?;
            log(tx, id, state.stage(), EventKind::FileGone, None, now)?;
        }
    }
    Ok(())
}

/// Lets a job whose file is gone take a copy that was skipped because of it: that is what a rename looks like.
pub(super) fn adopt_copy(tx: &Transaction<'_>, id: JobId, folder: &str, key: &str) -> Result<bool, QueueError> {
    let content = key.split('.').next().unwrap_or_default();
    let same_content = find_copy(tx, "job.content = ?1", content, folder)?;
    let sound: Option<String> = tx.query_row("SELECT sound FROM job WHERE id = ?", [id.0], |row| row.get(0))?;
    let copy = match (same_content, sound) {
        (None, Some(sound)) => find_copy(tx, "job.sound = ?1", &sound, folder)?,
        (copy, _) => copy,
    };
    let Some(SkippedCopy { row, path, stamp, content }) = copy else { return Ok(false) };
    tx.execute("UPDATE sighting SET job_id = ?1 WHERE job_id = ?2", [id.0, row])?;
    tx.execute("DELETE FROM job WHERE id = ?", [row])?;
    set_path(tx, id, &path)?;
    set_stamp(tx, id, stamp)?;
    set_file_content(tx, id, content.as_deref())?;
    Ok(true)
}

/// A file that was skipped, and lies there.
struct SkippedCopy {
    /// The number of its row.
    row: i64,
    path: PathBuf,
    stamp: Stamp,
    content: Option<String>,
}

/// Returns a file that was skipped and lies there; `is_it` compares with `name`.
fn find_copy(tx: &Transaction<'_>, is_it: &str, name: &str, folder: &str) -> Result<Option<SkippedCopy>, QueueError> {
    let sql = format!(
        "SELECT job.id AS copy, job.path, job.size, job.mtime_ns, job.inode, job.content FROM job JOIN sighting \
         ON sighting.job_id = job.id WHERE {is_it} AND job.folder = ?2 AND job.state = 'skipped' LIMIT 1"
    );
    let mut statement = tx.prepare_cached(&sql)?;
    let found = statement.query_row([name, folder], |row| {
        Ok(SkippedCopy {
            row: row.get("copy")?,
            path: row::path(row, "path")?,
            stamp: row::stamp(row)?,
            content: row.get("content")?,
        })
    });
    Ok(found.optional()?)
}

/// Returns when a content or a sound (`column` says which) was done.
fn finished_at(tx: &Transaction<'_>, column: &str, name: &str, folder: &str) -> Result<Option<Timestamp>, QueueError> {
    let sql = format!("SELECT at_ms FROM finished WHERE {column} = ?1 AND folder = ?2 ORDER BY at_ms DESC LIMIT 1");
    let mut statement = tx.prepare_cached(&sql)?;
    Ok(statement.query_row([name, folder], |row| row::time(row, "at_ms")).optional()?)
}

/// Returns the job with this sound in the folder: one that is done or under way before one that failed.
fn known_by_sound(tx: &Transaction<'_>, sound: &Sound, folder: &str) -> Result<Option<Known>, QueueError> {
    let found = tx
        .prepare_cached(
            "SELECT id, path, state, stage, waits_for, due_ms, updated_ms FROM job WHERE sound = ?1 AND folder = ?2 \
             AND state <> 'skipped' ORDER BY state IN ('failed', 'cancelled'), id DESC LIMIT 1",
        )?
        .query_row([sound.as_str(), folder], |row| {
            Ok(Known { id: JobId(row.get("id")?), state: row::state(row)?, path: row::path(row, "path")? })
        })
        .optional()?;
    Ok(found)
}

/// Returns why a sound without a job is done, where it is: by a job that is forgotten, or by notes on disk.
fn sound_is_done(tx: &Transaction<'_>, sound: &Sound, folder: &str) -> Result<Option<SkipReason>, QueueError> {
    if let Some(at) = finished_at(tx, "sound", sound.as_str(), folder)? {
        return Ok(Some(SkipReason::SoundForgotten(at)));
    }
    let notes = tx
        .prepare_cached("SELECT key, notes FROM evidence WHERE sound = ? AND notes IS NOT NULL ORDER BY key")?
        .query_map([sound.as_str()], |row| Ok((row::parsed::<Key>(row, "key")?, row.get::<_, String>("notes")?)))?
        .collect::<Result<Vec<_>, _>>()?;
    let of_folder = notes.into_iter().find(|(key, _)| key.folder == folder);
    Ok(of_folder.map(|(_, notes)| SkipReason::SoundHasNotes(notes)))
}

fn known(tx: &Transaction<'_>, content: &Content, folder: &str) -> Result<Option<Known>, QueueError> {
    let found = tx
        .prepare_cached(
            "SELECT id, path, state, stage, waits_for, due_ms, updated_ms FROM job \
             WHERE content = ?1 AND folder = ?2 AND state <> 'skipped' ORDER BY generation DESC LIMIT 1",
        )?
        .query_row(rusqlite::params![content.as_str(), folder], |row| {
            Ok(Known { id: JobId(row.get("id")?), state: row::state(row)?, path: row::path(row, "path")? })
        })
        .optional()?;
    Ok(found)
}

/// The highest generation of a content that the notes on disk or the service's list told of.
pub(super) fn evidence(
    tx: &Transaction<'_>,
    content: &Content,
    folder: &str,
) -> Result<Option<(Key, Option<String>)>, QueueError> {
    let first = format!("{content}.{folder}.");
    let found = tx
        .prepare_cached("SELECT key, notes FROM evidence WHERE key >= ?1 AND key < ?1 || char(0x10ffff)")?
        .query_map([&first], |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    Ok(found
        .into_iter()
        .filter_map(|(key, notes)| Some((key.parse::<Key>().ok()?, notes)))
        .filter(|(key, _)| key.folder == folder && key.is_believable())
        .max_by_key(|(key, _)| key.generation))
}

pub(super) fn insert(
    tx: &Transaction<'_>,
    recording: &Settled,
    content: Option<(&Content, u32)>,
    state: &State,
    now: Timestamp,
) -> Result<JobId, QueueError> {
    let (word, stage, waits_for, due) = row::state_columns(state);
    let generation = content.map_or(1, |(_, generation)| generation);
    let key = content.map(|(content, generation)| {
        Key { content: content.clone(), folder: recording.folder.clone(), generation }.to_string()
    });
    tx.prepare_cached(
        "INSERT INTO job (key, content, folder, generation, path, size, mtime_ns, inode, recorded_ms, backlog, \
         state, stage, waits_for, due_ms, created_ms, updated_ms, sound, length_max_ms) VALUES (:key, :content, :folder, \
         :generation, :path, :size, :mtime, :inode, :recorded, :backlog, :state, :stage, :waits_for, :due, :now, \
         :now, :sound, :length_max)",
    )?
    .execute(named_params! {
        ":key": key, ":content": content.map(|(content, _)| content.as_str()), ":folder": recording.folder,
        ":generation": generation, ":path": path_bytes(&recording.path),
        ":size": recording.stamp.size.cast_signed(), ":mtime": recording.stamp.mtime_ns,
        ":inode": recording.stamp.inode.cast_signed(), ":recorded": recording.recorded.as_millisecond(),
        ":backlog": recording.backlog, ":state": word, ":stage": stage, ":waits_for": waits_for, ":due": due,
        ":now": now.as_millisecond(), ":sound": recording.sound.as_ref().map(Sound::as_str),
        ":length_max": recording.length_max.and_then(|length| i64::try_from(length.as_millis()).ok()),
    })?;
    let id = JobId(tx.last_insert_rowid());
    set_file_content(tx, id, recording.content.as_ref().map(Content::as_str))?;
    Ok(id)
}

fn move_to(tx: &Transaction<'_>, id: JobId, recording: &Settled) -> Result<(), QueueError> {
    set_path(tx, id, &recording.path)?;
    set_stamp(tx, id, recording.stamp)?;
    set_file_content(tx, id, recording.content.as_ref().map(Content::as_str))
}

/// Records the content of the file that a job has now: what is sent is compared with it.
fn set_file_content(tx: &Transaction<'_>, id: JobId, content: Option<&str>) -> Result<(), QueueError> {
    tx.prepare_cached("UPDATE job SET file_content = nullif(?2, content) WHERE id = ?1")?
        .execute(rusqlite::params![id.0, content])?;
    Ok(())
}

pub(super) fn set_stamp(tx: &Transaction<'_>, id: JobId, stamp: Stamp) -> Result<(), QueueError> {
    tx.prepare_cached("UPDATE job SET size = ?2, mtime_ns = ?3, inode = ?4 WHERE id = ?1")?.execute([
        id.0,
        stamp.size.cast_signed(),
        stamp.mtime_ns,
        stamp.inode.cast_signed(),
    ])?;
    Ok(())
}

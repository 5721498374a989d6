//! Events that notifiers are told of: written in the transaction of the change that they tell of, one row for each
//! notifier that wants the event by the settings in force.
//!
//! The queue knows no configuration: whoever opens it hands over the list of subscribers, and another one after a
//! reload. Without subscribers nothing is written.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Hold, JobId, Scope, StoreError,
    deliveries::{DeliveryKind, DeliveryState, notes_paths},
    row::{to_json, words_in_columns},
    sql::{Transaction, params},
};
use crate::{
    config::{NotifyEvent, NotifyKind},
    job::{HoldReason, Plan},
    text::printable_path,
};

/// Notifications of one notifier that wait at most. A receiver that is dead for long gets the latest; those before them
/// are given up.
pub(crate) const WAITING_MAX: usize = 1000;

/// Bytes of one text in the facts: with all of them a notification stays below the 20 kB of Standard Webhooks.
const TEXT_BYTES_MAX: usize = 1000;

/// Characters of the id that a receiver sees, in hex: 128 bits.
const MESSAGE_HEX: usize = 32;

words_in_columns!(NotifyEvent, NotifyKind);

/// A notifier as the queue knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subscriber {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: NotifyKind,
    /// The events that it is told of.
    pub events: Vec<NotifyEvent>,
    /// The ids of the folders that it is told of; `None` for all.
    pub folders: Option<Vec<String>>,
}

impl Subscriber {
    /// Returns whether it is told of an event, of a folder or of none.
    fn wants(&self, event: NotifyEvent, folder: Option<&str>) -> bool {
        let is_of_folders = match (&self.folders, folder) {
            (Some(folders), Some(folder)) => folders.iter().any(|known| known == folder),
            (None, _) | (_, None) => true,
        };
        self.events.contains(&event) && is_of_folders
    }
}

/// The subscribers in force.
#[derive(Debug, Default)]
pub(super) struct Subscribers(RwLock<Arc<[Subscriber]>>);

impl Subscribers {
    /// Returns the subscribers in force.
    pub(super) fn current(&self) -> Arc<[Subscriber]> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force: for the changes from now on.
    pub(super) fn replace(&self, subscribers: Vec<Subscriber>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = subscribers.into();
    }
}

/// The facts of an event, as they were when it happened. Texts from outside are printable and bounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventFacts {
    /// The number of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<i64>,
    /// The key of the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The id of the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<String>,
    /// The recording, relative to the folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<String>,
    /// The title of the meeting, once that is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The time of the recording.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<Timestamp>,
    /// The paths of the notes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The version of the notes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// The service, source or mail server that an event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The word of the reason of a hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The failure, or why the recording is skipped or the folder is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// Records an event for everyone who wants it. `once` makes the id: the same event never has two.
fn announce(
    tx: &Transaction<'_>,
    event: NotifyEvent,
    job: Option<JobId>,
    facts: &EventFacts,
    once: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let folder = facts.folder.as_deref();
    let message = format!("{event}\n{once}");
    let message = blake3::hash(message.as_bytes()).to_hex();
    let message = format!("msg_{}", &message[..MESSAGE_HEX]);
    for subscriber in tx.subscribers().iter().filter(|known| known.wants(event, folder)) {
        let is_there = "SELECT 1 FROM notification WHERE notifier = ?1 AND message = ?2";
        if tx.exists(is_there, params![subscriber.name, message])? {
            continue;
        }
        // A receiver that wants a pause gets it from what happens meanwhile, too.
        let paused =
            "SELECT max(pause_ms) FROM notification WHERE notifier = ?1 AND due_ms IS NOT NULL";
        let paused: Option<Timestamp> = tx.query_value(paused, params![subscriber.name])?;
        let due = paused.map_or(now, |until| until.max(now));
        tx.execute(
            "INSERT INTO notification (message, notifier, kind, event, job_id, facts, at_ms, state, due_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'due', ?8)",
            params![message, subscriber.name, subscriber.kind, event, job, to_json(facts), now, due],
        )?;
        give_up_oldest(tx, &subscriber.name)?;
        tx.mark_announced();
    }
    Ok(())
}

/// Gives up the oldest notifications of a notifier that has more than [`WAITING_MAX`] waiting.
fn give_up_oldest(tx: &Transaction<'_>, notifier: &str) -> Result<(), StoreError> {
    tx.execute(
        "UPDATE notification SET state = 'failed', due_ms = NULL, error = ?2 WHERE state = 'due' AND notifier = ?1 \
         AND id <= (SELECT id FROM notification WHERE state = 'due' AND notifier = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
        params![notifier, format!("more than {WAITING_MAX} were waiting"), WAITING_MAX],
    )
    .map(drop)
}

/// Records an event of a job.
pub(super) fn announce_job(
    tx: &Transaction<'_>,
    event: NotifyEvent,
    id: JobId,
    detail: Option<&str>,
    now: Timestamp,
) -> Result<(), StoreError> {
    if tx.subscribers().is_empty() {
        return Ok(());
    }
    let facts = job_facts(tx, id, detail)?;
    announce(tx, event, Some(id), &facts, &format!("{id} {}", now.as_millisecond()), now)
}

/// Records that the notes of a job's current version lie where they belong, once all files of them are written.
pub(super) fn announce_notes(
    tx: &Transaction<'_>,
    id: JobId,
    now: Timestamp,
) -> Result<(), StoreError> {
    if tx.subscribers().is_empty() {
        return Ok(());
    }
    let sql = "SELECT version, partial FROM job WHERE id = ?1";
    let read = |row: &super::sql::Row<'_>| Ok((row.get("version")?, row.get("partial")?));
    let Some((version, is_partial)) = tx.query_row::<(u32, bool)>(sql, params![id], read)? else {
        return Ok(());
    };
    // Those of a version whose speakers were named are written once more, and due since then.
    let since = "SELECT coalesce(max(since_ms), 0) FROM delivery WHERE job_id = ?1 AND version = ?2 AND kind = ?3";
    let since: i64 = tx.query_value(since, params![id, version, DeliveryKind::Notes])?;
    let unwritten =
        "SELECT 1 FROM delivery WHERE job_id = ?1 AND version = ?2 AND kind = ?3 AND state <> ?4";
    if tx.exists(unwritten, params![id, version, DeliveryKind::Notes, DeliveryState::Done])? {
        return Ok(());
    }
    let event = if is_partial { NotifyEvent::NotesPartial } else { NotifyEvent::NotesReady };
    let facts = EventFacts { version: Some(version), ..job_facts(tx, id, None)? };
    announce(tx, event, Some(id), &facts, &format!("{id} version {version} of {since}"), now)
}

/// Reads what is told of a job.
fn job_facts(
    tx: &Transaction<'_>,
    id: JobId,
    detail: Option<&str>,
) -> Result<EventFacts, StoreError> {
    let notes = notes_paths(tx, id)?;
    let sql = "SELECT key, folder, path, plan, recorded_ms FROM job WHERE id = ?1";
    let facts = tx.query_row(sql, params![id], |row| {
        let path: PathBuf = row.get("path")?;
        let plan: Option<Plan> = row.get("plan")?;
        Ok(EventFacts {
            job: Some(id.0),
            key: row.get("key")?,
            folder: Some(row.get("folder")?),
            recording: Some(cut_text(&printable_path(&path))),
            title: plan.map(|plan| cut_text(&plan.title)),
            recorded: Some(row.get("recorded_ms")?),
            notes: notes.iter().map(|path| cut_text(&printable_path(path))).collect(),
            detail: detail.map(cut_text),
            ..EventFacts::default()
        })
    })?;
    facts.ok_or(StoreError::NoSuchJob { job: id })
}

/// Records that something is held; the hold is new.
pub(super) fn announce_hold(tx: &Transaction<'_>, hold: &Hold) -> Result<(), StoreError> {
    let event = match (hold.scope, hold.reason) {
        // A list that is read is no trouble: it begins with each queue.
        (Scope::Service | Scope::Source, HoldReason::Reading) => return Ok(()),
        (Scope::Service | Scope::Source, HoldReason::SignedOut) => NotifyEvent::ServiceSignedOut,
        (Scope::Service | Scope::Source, _other) => NotifyEvent::ServiceDown,
        (Scope::Folder | Scope::Disk, _any) => NotifyEvent::FolderHeld,
    };
    let reason = Some(hold.reason.as_str().to_owned());
    let detail = Some(cut_text(&hold.detail));
    let facts = EventFacts { reason, detail, ..facts_of_scope(hold.scope, &hold.name) };
    let once = format!("{} {} {} {}", hold.scope, hold.name, hold.reason, hold.since);
    announce(tx, event, None, &facts, &once, hold.since)
}

/// Records that nothing holds this any more, if that is so. `released` were held until now.
pub(super) fn announce_release(
    tx: &Transaction<'_>,
    scope: Scope,
    name: &str,
    released: &[HoldReason],
    now: Timestamp,
) -> Result<(), StoreError> {
    let is_silent = released.iter().all(|reason| *reason == HoldReason::Reading);
    let others = "SELECT 1 FROM hold WHERE scope = ?1 AND name = ?2 AND reason <> ?3";
    if is_silent || tx.exists(others, params![scope, name, HoldReason::Reading])? {
        return Ok(());
    }
    let event = match scope {
        Scope::Service | Scope::Source => NotifyEvent::ServiceUp,
        Scope::Folder | Scope::Disk => NotifyEvent::FolderReleased,
    };
    let once = format!("{scope} {name} {}", now.as_millisecond());
    announce(tx, event, None, &facts_of_scope(scope, name), &once, now)
}

fn facts_of_scope(scope: Scope, name: &str) -> EventFacts {
    match scope {
        Scope::Service | Scope::Source => {
            EventFacts { service: Some(name.to_owned()), ..EventFacts::default() }
        }
        Scope::Folder | Scope::Disk => {
            EventFacts { folder: Some(name.to_owned()), ..EventFacts::default() }
        }
    }
}

/// Returns a text on one line, cut to [`TEXT_BYTES_MAX`] bytes.
fn cut_text(text: &str) -> String {
    let text = crate::text::one_line(text, TEXT_BYTES_MAX);
    let end = (0..=TEXT_BYTES_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or_default()].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscriber(events: &[NotifyEvent], folders: Option<&[&str]>) -> Subscriber {
        let folders =
            folders.map(|folders| folders.iter().map(|folder| (*folder).to_owned()).collect());
        Subscriber {
            name: "n8n".to_owned(),
            kind: NotifyKind::Webhook,
            events: events.to_vec(),
            folders,
        }
    }

    #[test]
    fn a_subscriber_of_folders_is_told_of_them_and_of_all_services() {
        let all = subscriber(&[NotifyEvent::NotesReady, NotifyEvent::ServiceDown], None);
        let sales = Subscriber { folders: Some(vec!["sales".to_owned()]), ..all.clone() };
        assert!(all.wants(NotifyEvent::NotesReady, Some("calls")));
        assert!(!all.wants(NotifyEvent::NotesPartial, Some("calls")));
        assert!(sales.wants(NotifyEvent::NotesReady, Some("sales")));
        assert!(!sales.wants(NotifyEvent::NotesReady, Some("calls")));
        assert!(sales.wants(NotifyEvent::ServiceDown, None));
    }

    #[test]
    fn a_text_is_one_line_of_bounded_bytes() {
        let cut = cut_text(&"ä\n".repeat(2000));
        assert!(cut.len() <= TEXT_BYTES_MAX && !cut.contains('\n'), "{}", cut.len());
        assert_eq!(cut_text("a \u{202e}b"), crate::text::one_line("a \u{202e}b", 100));
    }
}

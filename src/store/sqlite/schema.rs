//! The pragmas of the file, its check at start and its migrations by `user_version`.

use rusqlite::Connection;

use super::{
    super::{StoreError, sql::Transaction},
    BUSY_TIMEOUT, STATEMENTS_KEPT, SqliteDatabase, classify,
};
use crate::effect::Effect;

/// The migrations in order; the n-th leads from version n to n + 1. Never changed once released,
/// only added to.
pub(in crate::store) const MIGRATIONS: [&str; 12] = [
    include_str!("schema/001.sql"),
    include_str!("schema/002.sql"),
    include_str!("schema/003.sql"),
    include_str!("schema/004.sql"),
    include_str!("schema/005.sql"),
    include_str!("schema/006.sql"),
    include_str!("schema/007.sql"),
    include_str!("schema/008.sql"),
    include_str!("schema/009.sql"),
    include_str!("schema/010.sql"),
    include_str!("schema/011.sql"),
    include_str!("schema/012.sql"),
];

/// Below this, WAL with two connections can corrupt (SQLite's own notes on the WAL-reset bug); the
/// bundled library is newer, so this fails only where somebody linked another one.
const SQLITE_MIN: i32 = 3_051_003;

/// A WAL that a burst has grown is cut back to this at the next checkpoint. Bytes.
const WAL_KEPT: i64 = 4 << 20;

/// Marks the file as a queue of minuted (`file` and others show it). "mntd" in ASCII.
const APPLICATION_ID: i32 = 0x6d6e_7464;

/// Prepares the connection that writes.
pub(super) fn prepare(connection: &Connection) -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_MIN {
        let version = rusqlite::version();
        return Err(open_error(
            format!("SQLite {version} is too old; 3.51.3 or newer is needed"),
            None,
        ));
    }
    set_pragmas(connection).map_err(classify)?;
    prepare_reader(connection)
}

fn set_pragmas(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", WAL_KEPT)?;
    connection.pragma_update(None, "trusted_schema", false)
}

/// Prepares a connection that only reads.
pub(super) fn prepare_reader(connection: &Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY_TIMEOUT).map_err(classify)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    Ok(())
}

/// The remedy for a damaged file.
pub(super) const DAMAGED: &str = "the file is damaged and is left as it is; move it away (with its -wal and \
    -shm) and restore a copy made by `minuted backup`, or start without it: the service's list and the notes on disk \
    are read before anything is created again";

/// The remedy for a disk that fails.
pub(super) const UNREADABLE: &str = "its disk fails (the kernel's log says how), and the file is left as it is; \
    start minuted again when the disk is well, or restore a copy made by `minuted backup` to another one";

/// The remedy for a file that `SQLite` cannot open.
pub(super) const UNOPENED: &str = "it has to be a file that this user may read and write, in a directory where \
    this user may make files; it is left as it is";

/// Refuses a file that is damaged, newer or not ours. `quick_check` takes about half a second at a
/// million rows.
///
/// The connection should be one that only reads: what is refused stays as it is, byte for byte.
pub(super) fn check(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String =
        connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(classify)?;
    if verdict != "ok" {
        return Err(open_error(format!("damaged: {verdict}"), Some(DAMAGED)));
    }
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(classify)?;
    if tables > 0 && read_pragma(connection, "application_id")? != APPLICATION_ID {
        let reason = "it is a SQLite file, but not a queue of minuted";
        return Err(open_error(reason.into(), Some("move it away, or set another state_dir")));
    }
    read_version(connection).map(drop)
}

/// Refuses a file that ends within a page. `SQLite` makes nothing of the rest, and of a very short
/// file a new one.
pub(super) fn check_length(bytes: u64) -> Result<(), StoreError> {
    // The smallest page that there is.
    if bytes.is_multiple_of(512) {
        Ok(())
    } else {
        Err(open_error("damaged: it was cut off".into(), Some(DAMAGED)))
    }
}

/// Returns the version of the file, if it is one that this minuted knows.
fn read_version(connection: &Connection) -> Result<usize, StoreError> {
    let version = read_pragma(connection, "user_version")?;
    let known = MIGRATIONS.len();
    usize::try_from(version).ok().filter(|version| *version <= known).ok_or_else(|| {
        let reason =
            format!("it is of version {version}, newer than the {known} that this minuted knows");
        open_error(
            reason,
            Some("install the newer minuted again, or restore a backup made before the upgrade"),
        )
    })
}

fn read_pragma(connection: &Connection, name: &str) -> Result<i32, StoreError> {
    connection.pragma_query_value(None, name, |row| row.get(0)).map_err(classify)
}

/// Brings the file to this version, one commit a version.
pub(super) fn migrate(database: &SqliteDatabase) -> Result<(), StoreError> {
    let version = read_version(&database.connection)?;
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = Transaction::begin_write(database)?;
        transaction.batch(sql)?;
        transaction.batch(&format!(
            "PRAGMA user_version = {}; PRAGMA application_id = {APPLICATION_ID};",
            index + 1
        ))?;
        Effect::Migrate.before();
        transaction.commit()?;
        Effect::Migrate.after();
    }
    Ok(())
}

fn open_error(reason: String, hint: Option<&'static str>) -> StoreError {
    StoreError::Open { path: String::new(), reason, hint, lasts: true }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::job::{EventKind, HoldReason, JobState};

    /// Brings a file to this version.
    fn migrated(connection: Connection) -> Connection {
        let database = SqliteDatabase { connection, file: None };
        migrate(&database).expect("brought to this version");
        database.connection
    }

    #[test]
    fn deliveries_of_an_older_queue_keep_their_rows_and_their_numbers_are_not_given_again() {
        let file = Connection::open_in_memory().expect("opened");
        for sql in &MIGRATIONS[..4] {
            file.execute_batch(sql).expect("an old queue");
        }
        file.execute_batch(
            "PRAGMA user_version = 4;
             INSERT INTO job (id, folder, generation, path, size, mtime_ns, inode, recorded_ms, backlog, state, created_ms,
                 updated_ms) VALUES (1, 'sales', 1, x'61', 1, 1, 1, 1, 0, 'skipped', 1, 1);
             INSERT INTO delivery (id, job_id, version, kind, target, state, since_ms)
                 VALUES (7, 1, 1, 'notes', 'md', 'done', 1), (9, 1, 1, 'mail', 'a', 'done', 1);
             DELETE FROM delivery WHERE id = 9;",
        )
        .expect("rows");
        let file = migrated(file);
        let insert = "INSERT INTO delivery (job_id, version, kind, target, state, since_ms) \
                      VALUES (1, 1, 'remote', 'purge', 'done', 1)";
        file.execute(insert, []).expect("it takes what is new");
        let mut rows = file.prepare("SELECT id FROM delivery ORDER BY id").expect("a statement");
        let ids: Vec<i64> = rows
            .query_map([], |row| row.get(0))
            .expect("read")
            .collect::<Result<_, _>>()
            .expect("read");
        assert_eq!(ids, [7, 10]);
    }

    #[test]
    fn jobs_and_deliveries_of_an_older_queue_have_no_names_and_keep_what_they_have() {
        let file = Connection::open_in_memory().expect("opened");
        for sql in &MIGRATIONS[..8] {
            file.execute_batch(sql).expect("an old queue");
        }
        file.execute_batch(
            "PRAGMA user_version = 8;
             INSERT INTO job (id, folder, generation, path, size, mtime_ns, inode, recorded_ms, backlog, state, created_ms,
                 updated_ms) VALUES (1, 'sales', 1, x'61', 1, 1, 1, 1, 0, 'skipped', 1, 1);
             INSERT INTO delivery (id, job_id, version, kind, target, state, since_ms, digest)
                 VALUES (7, 1, 1, 'notes', 'md', 'done', 1, 'd');",
        )
        .expect("rows");
        let file = migrated(file);
        let row: (Option<String>, String, Option<String>) = file
            .query_row("SELECT speaker_names, digest, intended FROM job, delivery", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .expect("a row");
        assert_eq!(row, (None, "d".to_owned(), None));
    }

    #[test]
    fn jobs_of_an_older_queue_have_no_length_and_those_in_progress_were_begun() {
        let file = Connection::open_in_memory().expect("opened");
        for sql in &MIGRATIONS[..9] {
            file.execute_batch(sql).expect("an old queue");
        }
        file.execute_batch(
            "PRAGMA user_version = 9;
             INSERT INTO job (id, folder, generation, path, size, mtime_ns, inode, recorded_ms, backlog, state, created_ms,
                 updated_ms, key, content, stage, due_ms, remote, meeting_id, plan) VALUES
                 (1, 'sales', 1, x'61', 1, 1, 1, 1, 0, 'ready', 1, 1, 'a', 'a', 'create', 1, 'nothing', NULL, NULL),
                 (2, 'sales', 1, x'62', 1, 1, 1, 1, 0, 'running', 1, 1, 'b', 'b', 'create', NULL, 'nothing', NULL, NULL),
                 (3, 'sales', 1, x'63', 1, 1, 1, 1, 0, 'ready', 1, 1, 'c', 'c', 'upload', 1, 'meeting', 'm', '{}');",
        )
        .expect("rows");
        let file = migrated(file);
        let mut rows =
            file.prepare("SELECT length_ms, is_begun FROM job ORDER BY id").expect("a statement");
        let rows: Vec<(Option<i64>, bool)> = rows
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .expect("read")
            .collect::<Result<_, _>>()
            .expect("read");
        assert_eq!(rows, [(None, false), (None, true), (None, true)]);
        let version: i32 =
            file.pragma_query_value(None, "user_version", |row| row.get(0)).expect("a number");
        assert_eq!(usize::try_from(version).ok(), Some(MIGRATIONS.len()));
    }

    #[test]
    fn jobs_of_an_older_queue_keep_their_recordings_until_their_folder_says_otherwise() {
        let file = Connection::open_in_memory().expect("opened");
        for sql in &MIGRATIONS[..10] {
            file.execute_batch(sql).expect("an old queue");
        }
        file.execute_batch(
            "PRAGMA user_version = 10;
             INSERT INTO job (id, folder, generation, path, size, mtime_ns, inode, recorded_ms, backlog, state, created_ms,
                 updated_ms) VALUES (1, 'sales', 1, x'61', 1, 1, 1, 1, 0, 'skipped', 1, 1);",
        )
        .expect("rows");
        let file = migrated(file);
        let count = "SELECT count(*) FROM retention";
        assert_eq!(file.query_row(count, [], |row| row.get::<_, i64>(0)).expect("counted"), 0);
        let refused = "INSERT INTO retention (job_id, since_ms) VALUES (1, 1)";
        assert!(file.execute(refused, []).is_err(), "one that has not ended is due");
    }

    #[test]
    fn an_older_queue_has_no_notifications_and_one_outlives_its_job() {
        let file = Connection::open_in_memory().expect("opened");
        for sql in &MIGRATIONS[..11] {
            file.execute_batch(sql).expect("an old queue");
        }
        file.execute_batch(
            "PRAGMA user_version = 11;
             INSERT INTO job (id, folder, generation, path, size, mtime_ns, inode, recorded_ms, backlog, state, created_ms,
                 updated_ms) VALUES (1, 'sales', 1, x'61', 1, 1, 1, 1, 0, 'skipped', 1, 1);",
        )
        .expect("rows");
        let file = migrated(file);
        file.pragma_update(None, "foreign_keys", true).expect("set");
        let count = "SELECT count(*) FROM notification";
        assert_eq!(file.query_row(count, [], |row| row.get::<_, i64>(0)).expect("counted"), 0);
        file.execute_batch(
            "INSERT INTO notification (message, notifier, kind, event, job_id, facts, at_ms, state, due_ms)
                 VALUES ('msg_1', 'n8n', 'webhook', 'recording.taken', 1, '{}', 1, 'due', 1);
             DELETE FROM job WHERE id = 1;",
        )
        .expect("a row of today");
        let job = "SELECT job_id FROM notification";
        assert_eq!(file.query_row(job, [], |row| row.get(0)).ok(), Some(None::<i64>));
        let refused = "UPDATE notification SET state = 'done'";
        assert!(file.execute(refused, []).is_err(), "what is done is not due");
    }

    /// Words of events that earlier versions wrote and the random walk behind the rows does not
    /// meet.
    const OTHER_WORDS: [&str; 10] = [
        "taken in; the service has its meeting already",
        "failed: set aside",
        "failed: its recorder left it unfinished",
        "created the meeting",
        "found the meeting in the service's list",
        "found the meeting whose answer was lost",
        "uploaded the recording",
        "found the recording whose answer was lost",
        "a person asked to redo it",
        "the service failed; nothing counts",
    ];

    #[test]
    fn states_holds_and_events_of_an_older_queue_are_those_of_today() {
        let file = Connection::open_in_memory().expect("opened");
        for sql in &MIGRATIONS[..5] {
            file.execute_batch(sql).expect("an old queue");
        }
        file.execute_batch(include_str!("../../../tests/data/queue-5.sql")).expect("its rows");
        file.execute_batch(
            "UPDATE job SET state = 'waiting', stage = 'analyse', waits_for = 'analysis', due_ms = NULL, \
                 remote = 'uploaded', meeting_id = 'm', recording_id = 'r', remote_ms = 1 \
                 WHERE id = (SELECT id FROM job WHERE state = 'ready' AND stage = 'analyse' LIMIT 1);
             UPDATE job SET error = 'it is not clear how to take it: no attendee' \
                 WHERE state = 'ready' AND stage = 'create';",
        )
        .expect("more rows");
        let job: i64 =
            file.query_row("SELECT min(id) FROM job", [], |row| row.get(0)).expect("a job");
        for words in OTHER_WORDS {
            let insert = "INSERT INTO event (job_id, at_ms, event) VALUES (?1, 1, ?2)";
            file.execute(insert, rusqlite::params![job, words]).expect("inserted");
        }
        file.pragma_update(None, "user_version", 5).expect("set");
        let words = |file: &Connection, sql: &str| -> Vec<String> {
            let mut rows = file.prepare(sql).expect("a statement");
            rows.query_map([], |row| row.get(0))
                .expect("read")
                .collect::<Result<_, _>>()
                .expect("read")
        };
        let before = words(&file, "SELECT event FROM event ORDER BY id");

        let file = migrated(file);

        let mut rows =
            file.prepare("SELECT kind, detail FROM event ORDER BY id").expect("a statement");
        let after: Vec<(EventKind, String)> = rows
            .query_map([], |row| {
                let detail: Option<String> = row.get("detail")?;
                let kind: String = row.get("kind")?;
                Ok((
                    EventKind::parse(&kind).expect("every kind is known"),
                    detail.unwrap_or_default(),
                ))
            })
            .expect("read")
            .collect::<Result<_, _>>()
            .expect("read");
        assert_eq!(
            after.iter().map(|(kind, detail)| kind.in_words(detail)).collect::<Vec<_>>(),
            before
        );
        let unknown = after.iter().filter(|(kind, _)| *kind == EventKind::Other);
        let unknown: BTreeSet<&str> = unknown.map(|(_, words)| words.as_str()).collect();
        assert_eq!(
            unknown,
            ["created", "uploaded"].into(),
            "which no version writes, but its tests"
        );
        let kinds: BTreeSet<EventKind> = after.iter().map(|(kind, _)| *kind).collect();
        let newer = [
            EventKind::Deferred,
            EventKind::DeliveryWithheld,
            EventKind::SpeakersNamed,
            EventKind::RecordingDeleted,
        ];
        let missing =
            EventKind::ALL.iter().filter(|kind| !kinds.contains(kind) && !newer.contains(kind));
        assert_eq!(missing.collect::<Vec<_>>(), Vec::<&EventKind>::new());

        let states: BTreeSet<String> =
            words(&file, "SELECT DISTINCT state FROM job").into_iter().collect();
        assert!(states.iter().all(|word| JobState::parse(word).is_some()));
        assert_eq!(states.len(), JobState::ALL.len());
        let reasons = words(&file, "SELECT DISTINCT reason FROM hold");
        let reasons: BTreeSet<_> =
            reasons.iter().map(|word| HoldReason::parse(word).expect("known")).collect();
        let shown_only = [HoldReason::NotConfigured, HoldReason::Budget];
        assert!(
            HoldReason::ALL
                .iter()
                .all(|reason| reasons.contains(reason) != shown_only.contains(reason))
        );
        let invalid =
            words(&file, "SELECT DISTINCT state || stage FROM job WHERE invalid_metadata = 1");
        assert_eq!(invalid, ["readycreate"]);
    }
}

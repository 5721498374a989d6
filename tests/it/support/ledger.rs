//! What a house's files say when nobody is asked: the queue's rows, and what lies where nothing should.

use std::{fs, path::Path};

use super::house::{House, until_told};

/// What may lie in the state directory once everything is at rest.
const STATE_FILES: [&str; 9] = [
    "control.sock",
    "lock",
    "mark",
    "creations",
    "queue.sqlite",
    "queue.sqlite-shm",
    "queue.sqlite-wal",
    "tokens-paxs.json",
    "tokens-paxs.lock",
];

/// Rows that would be something in between: what they are, and how many there are.
const IN_BETWEEN: [(&str, &str); 6] = [
    ("jobs that are being worked on", "SELECT count(*) FROM job WHERE state = 'running'"),
    ("jobs that are not over", "SELECT count(*) FROM job WHERE stage IS NOT NULL"),
    // A job that is given up keeps its intent: `retry` has to know.
    (
        "intents to create a meeting",
        "SELECT count(*) FROM job WHERE remote = 'creating' AND state <> 'cancelled'",
    ),
    ("deliveries that are due", "SELECT count(*) FROM delivery WHERE state = 'due'"),
    ("mails that are held", "SELECT count(*) FROM delivery WHERE state = 'held'"),
    (
        "deliveries of notes that are not there",
        "SELECT count(*) FROM delivery WHERE kind = 'notes' AND state = 'done' AND digest IS NULL",
    ),
];

impl House {
    /// Rows of the queue's file, read beside the daemon; `None` while they cannot be had.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        read: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Option<Vec<T>> {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let queue =
            rusqlite::Connection::open_with_flags(self.state_dir().join("queue.sqlite"), flags)
                .ok()?;
        let mut statement = queue.prepare(sql).ok()?;
        statement.query_map([], read).ok()?.collect::<Result<_, _>>().ok()
    }

    /// A count in the queue's file; `None` while it cannot be had.
    pub(crate) fn tally(&self, sql: &str) -> Option<i64> {
        self.rows(sql, |row| row.get(0))?.first().copied()
    }

    /// Waits until nothing is on its way, then sees that nothing is left over: no row in between, no damage, no file
    /// that was only meant to be there for a moment.
    pub(crate) fn assert_at_rest(&self) {
        for (what, sql) in IN_BETWEEN {
            let told = || format!("there are no {what}; the log:\n{}", self.log());
            until_told(told, || (self.tally(sql)? == 0).then_some(()));
        }
        let verdict = self.rows("PRAGMA integrity_check", |row| row.get::<_, String>(0));
        assert_eq!(verdict.as_deref(), Some(["ok".to_owned()].as_slice()));
        let broken = self.rows("PRAGMA foreign_key_check", |row| row.get::<_, String>(0));
        assert_eq!(broken.as_deref(), Some([].as_slice()));
        assert_eq!(self.strays(), Vec::<String>::new());
    }

    /// Files anywhere below the house that a crash has left on their way to a name.
    pub(crate) fn strays(&self) -> Vec<String> {
        let mut strays = Vec::new();
        let mut waiting = vec![self.dir.path().to_owned()];
        while let Some(dir) = waiting.pop() {
            for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    waiting.push(path);
                } else if is_stray(&path, dir == self.state_dir()) {
                    strays.push(path.display().to_string());
                }
            }
        }
        strays
    }
}

fn is_stray(path: &Path, in_state_dir: bool) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary =
        name.starts_with('.') || path.extension().is_some_and(|extension| extension == "tmp");
    temporary || (in_state_dir && !STATE_FILES.contains(&name.as_str()))
}

-- Version 12.

-- What notifiers are told: one row an event and notifier, written with the change that it tells of. It stays when its job
-- is forgotten, and no job waits for it.
CREATE TABLE notification (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    message    TEXT NOT NULL,           -- the id that the receiver sees, the same however often it is sent
    notifier   TEXT NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('webhook', 'ntfy', 'command')),
    event      TEXT NOT NULL,
    job_id     INTEGER REFERENCES job (id) ON DELETE SET NULL,
    facts      TEXT NOT NULL,           -- JSON: what is told, as it was then
    at_ms      INTEGER NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('due', 'done', 'failed', 'cancelled')),
    attempts   INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    due_ms     INTEGER,
    pause_ms   INTEGER,                 -- until then its receiver wants nothing at all
    error      TEXT,
    CHECK ((state = 'due') = (due_ms IS NOT NULL))
) STRICT;
CREATE INDEX notification_due ON notification (notifier, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX notification_ended ON notification (notifier, id) WHERE due_ms IS NULL;
CREATE INDEX notification_job ON notification (job_id) WHERE job_id IS NOT NULL;

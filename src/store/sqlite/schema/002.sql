-- Files during whose parsing minuted died. One that has done so too often is set aside.
CREATE TABLE crash (
    folder   TEXT NOT NULL,
    path     BLOB NOT NULL,             -- relative to the folder
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    times    INTEGER NOT NULL CHECK (times >= 1),
    mark     TEXT NOT NULL,             -- the mark that was charged last: each is charged once
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;

-- The number of a delivery is never given to another one, and one that was given up stays known: somebody may be making
-- it at that moment.
CREATE TABLE delivery_2 (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('notes', 'mail', 'failure', 'clear', 'dispose')),
    target     TEXT NOT NULL,           -- a format, an address, or what is done with the recording
    state      TEXT NOT NULL CHECK (state IN ('due', 'done', 'failed', 'held', 'cancelled')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_ms     INTEGER,
    error      TEXT,
    path       BLOB,                    -- where the file lies, relative to `base`
    base       BLOB,
    digest     TEXT,                    -- BLAKE3 of what was written
    since_ms   INTEGER NOT NULL,
    UNIQUE (job_id, version, kind, target),
    CHECK ((state = 'due') = (due_ms IS NOT NULL))
) STRICT;
INSERT INTO delivery_2 SELECT id, job_id, version, kind, target, state, attempts, due_ms, error, path, base, digest,
    since_ms FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_2 RENAME TO delivery;
CREATE INDEX delivery_due ON delivery (due_ms) WHERE due_ms IS NOT NULL;

-- Jobs that deliver: each must have something that is due.
CREATE INDEX job_deliver ON job (id) WHERE stage = 'deliver';

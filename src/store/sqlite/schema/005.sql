-- What a service keeps of a recording can be deleted there: a delivery like any other, and the last of all.
CREATE TABLE delivery_5 (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('notes', 'mail', 'failure', 'clear', 'dispose', 'remote')),
    target     TEXT NOT NULL,           -- a format, an address, what is done with the recording, or at the service
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
-- Numbers that were given before are not given again.
INSERT INTO sqlite_sequence (name, seq) SELECT 'delivery_5', seq FROM sqlite_sequence WHERE name = 'delivery';
INSERT INTO delivery_5 SELECT id, job_id, version, kind, target, state, attempts, due_ms, error, path, base, digest,
    since_ms FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_5 RENAME TO delivery;
CREATE INDEX delivery_due ON delivery (due_ms) WHERE due_ms IS NOT NULL;

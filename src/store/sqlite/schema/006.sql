-- Version 6.

-- A mail whose recipient the configuration does not allow is withheld: that is not a failure, and the job is done.
CREATE TABLE delivery_6 (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('notes', 'mail', 'failure', 'clear', 'dispose', 'remote')),
    target     TEXT NOT NULL,           -- a format, an address, what is done with the recording, or at the service
    state      TEXT NOT NULL CHECK (state IN ('due', 'done', 'failed', 'held', 'cancelled', 'withheld')),
    attempts   INTEGER NOT NULL DEFAULT 0,
    due_ms     INTEGER,
    error      TEXT,                    -- what went wrong last, or why it is withheld
    path       BLOB,                    -- where the file lies, relative to `base`
    base       BLOB,
    digest     TEXT,                    -- BLAKE3 of what was written
    since_ms   INTEGER NOT NULL,
    UNIQUE (job_id, version, kind, target),
    CHECK ((state = 'due') = (due_ms IS NOT NULL)),
    CHECK (state <> 'withheld' OR kind = 'mail' AND error IS NOT NULL)
) STRICT;
INSERT INTO sqlite_sequence (name, seq) SELECT 'delivery_6', seq FROM sqlite_sequence WHERE name = 'delivery';
INSERT INTO delivery_6 SELECT id, job_id, version, kind, target, state, attempts, due_ms, error, path, base, digest,
    since_ms FROM delivery;
DROP TABLE delivery;
ALTER TABLE delivery_6 RENAME TO delivery;
CREATE INDEX delivery_due ON delivery (due_ms) WHERE due_ms IS NOT NULL;

-- Recordings that somebody was writing: the boot of the machine (its id) in which a write was seen that no close followed.
-- No file stays open across a boot.
ALTER TABLE sighting ADD COLUMN written_boot TEXT;

-- The name of a recording's sound: a remux and a file with other tags have the same. Jobs, contents and notes from before
-- have none.
ALTER TABLE job ADD COLUMN sound TEXT;
ALTER TABLE finished ADD COLUMN sound TEXT;
ALTER TABLE evidence ADD COLUMN sound TEXT;
CREATE INDEX job_sound ON job (sound, folder) WHERE sound IS NOT NULL;
CREATE INDEX finished_sound ON finished (sound, folder) WHERE sound IS NOT NULL;
CREATE INDEX evidence_sound ON evidence (sound) WHERE sound IS NOT NULL;

-- Why a job is skipped; nothing is known of those from before.
ALTER TABLE job ADD COLUMN skip TEXT CHECK (skip IN ('unsupported', 'content', 'sound', 'no sound'));

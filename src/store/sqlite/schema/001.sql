-- The queue, version 1. Times are milliseconds since 1970, UTC; paths are bytes.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The folders that minuted has met.
CREATE TABLE folder (
    id       TEXT PRIMARY KEY,
    device   INTEGER NOT NULL,          -- st_dev of its root: another one and empty is an empty mount point
    met_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Folders that left the configuration while jobs of theirs were under way, with the last configuration they stood in.
CREATE TABLE former_folder (
    id     TEXT PRIMARY KEY,
    config TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row a file that a scan has seen, so that an unchanged file is never read again.
CREATE TABLE sighting (
    folder   TEXT NOT NULL,
    path     BLOB NOT NULL,             -- relative to the folder
    size     INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    inode    INTEGER NOT NULL,
    first_ms INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    verdict  TEXT NOT NULL CHECK (verdict IN ('settling', 'taken', 'backlog', 'ignored')),
    job_id   INTEGER REFERENCES job (id) ON DELETE SET NULL,
    PRIMARY KEY (folder, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX sighting_job ON sighting (job_id) WHERE job_id IS NOT NULL;
CREATE INDEX sighting_backlog ON sighting (folder) WHERE verdict = 'backlog';

CREATE TABLE job (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    key          TEXT,                  -- NULL where no service takes the file: its content was never read
    content      TEXT,
    folder       TEXT NOT NULL,         -- the folder's id
    generation   INTEGER NOT NULL CHECK (generation >= 1),
    path         BLOB NOT NULL,
    size         INTEGER NOT NULL,
    mtime_ns     INTEGER NOT NULL,
    inode        INTEGER NOT NULL,
    recorded_ms  INTEGER NOT NULL,
    backlog      INTEGER NOT NULL CHECK (backlog IN (0, 1)),
    state        TEXT NOT NULL CHECK (state IN ('ready', 'running', 'waiting', 'done', 'failed', 'skipped', 'cancelled')),
    stage        TEXT CHECK (stage IN ('create', 'upload', 'analyse', 'deliver')),
    waits_for    TEXT CHECK (waits_for IN ('analysis', 'retry', 'file')),
    due_ms       INTEGER,
    attempts     INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    error        TEXT,
    partial      INTEGER NOT NULL DEFAULT 0 CHECK (partial IN (0, 1)),
    plan         TEXT,                  -- JSON: the settings it began with
    remote       TEXT NOT NULL DEFAULT 'nothing' CHECK (remote IN ('nothing', 'creating', 'meeting', 'uploaded')),
    meeting_id   TEXT,
    recording_id TEXT,
    remote_ms    INTEGER,
    version      INTEGER NOT NULL DEFAULT 0,   -- of the notes; one more each time they are made anew
    mail_held    INTEGER NOT NULL DEFAULT 0 CHECK (mail_held IN (0, 1)),
    created_ms   INTEGER NOT NULL,
    updated_ms   INTEGER NOT NULL,
    CHECK ((key IS NULL) = (content IS NULL)),
    CHECK (key IS NOT NULL OR state = 'skipped'),
    CHECK ((state IN ('ready', 'running', 'waiting')) = (stage IS NOT NULL)),
    CHECK ((state = 'waiting') = (waits_for IS NOT NULL)),
    CHECK ((state = 'ready' OR waits_for IS 'retry') = (due_ms IS NOT NULL)),
    CHECK (waits_for IS NOT 'analysis' OR (stage = 'analyse' AND remote = 'uploaded')),
    CHECK (waits_for IS NOT 'file' OR stage IN ('create', 'upload')),
    CHECK (stage IS NOT 'upload' OR meeting_id IS NOT NULL),
    CHECK (stage IS NOT 'analyse' OR remote = 'uploaded'),
    CHECK ((remote IN ('meeting', 'uploaded')) = (meeting_id IS NOT NULL)),
    CHECK (remote <> 'uploaded' OR recording_id IS NOT NULL),
    CHECK (remote NOT IN ('creating', 'uploaded') OR remote_ms IS NOT NULL),
    CHECK (remote = 'nothing' OR plan IS NOT NULL)
) STRICT;
CREATE UNIQUE INDEX job_key ON job (key) WHERE state <> 'skipped';
CREATE INDEX job_claim ON job (folder, backlog, due_ms) WHERE due_ms IS NOT NULL AND stage <> 'deliver';
CREATE INDEX job_content ON job (content, folder, generation) WHERE content IS NOT NULL AND state <> 'skipped';
CREATE INDEX job_path ON job (folder, path);
CREATE INDEX job_waiting ON job (waits_for) WHERE waits_for IS NOT NULL;
CREATE INDEX job_state ON job (state, id);
CREATE INDEX job_final ON job (updated_ms) WHERE stage IS NULL;

-- That a content was done is never forgotten, however short the history.
CREATE TABLE finished (
    content    TEXT NOT NULL,
    folder     TEXT NOT NULL,
    generation INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    PRIMARY KEY (content, folder)
) STRICT, WITHOUT ROWID;

-- What the service's list and the notes on disk told about a queue that is new or restored.
CREATE TABLE evidence (
    key        TEXT PRIMARY KEY,
    service    TEXT,
    meeting_id TEXT,
    notes      TEXT                     -- the path of the notes that carry the key, for display
) STRICT, WITHOUT ROWID;

-- The operator's history: one row for whatever happened to a job; each failure that counted is one.
CREATE TABLE event (
    id      INTEGER PRIMARY KEY,
    job_id  INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    at_ms   INTEGER NOT NULL,
    stage   TEXT,
    event   TEXT NOT NULL,
    error   TEXT
) STRICT;
CREATE INDEX event_job ON event (job_id, id);

CREATE TABLE report (
    job_id      INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    analysis    TEXT NOT NULL,
    remote_id   TEXT,
    findings    TEXT NOT NULL,          -- JSON, one shape for all services
    raw         TEXT NOT NULL,          -- the service's answer, unchanged
    PRIMARY KEY (job_id, analysis)
) STRICT, WITHOUT ROWID;

-- Requests for results, written before they are made.
CREATE TABLE request (
    job_id    INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    analysis  TEXT NOT NULL,
    asked_ms  INTEGER NOT NULL,
    answered  INTEGER NOT NULL CHECK (answered IN (0, 1)),
    baseline  TEXT,                     -- fingerprint of the report that does not count: the automatic or the failed one
    PRIMARY KEY (job_id, analysis)
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY,
    job_id     INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    version    INTEGER NOT NULL,
    kind       TEXT NOT NULL CHECK (kind IN ('notes', 'mail', 'failure', 'clear', 'dispose')),
    target     TEXT NOT NULL,           -- a format, an address, or what is done with the recording
    state      TEXT NOT NULL CHECK (state IN ('due', 'done', 'failed', 'held')),
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
CREATE INDEX delivery_due ON delivery (due_ms) WHERE due_ms IS NOT NULL;

-- What holds work back, and since when: one row while it lasts, so that it is told once.
CREATE TABLE hold (
    scope    TEXT NOT NULL CHECK (scope IN ('service', 'folder', 'disk')),
    name     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, name, reason)
) STRICT, WITHOUT ROWID;

-- What the operator is told by mail.
CREATE TABLE notice (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    text    TEXT NOT NULL,
    sent_ms INTEGER
) STRICT;
CREATE INDEX notice_unsent ON notice (id) WHERE sent_ms IS NULL;

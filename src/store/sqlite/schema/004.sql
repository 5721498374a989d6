-- Sources, as minuted has met them.
CREATE TABLE source (
    name      TEXT PRIMARY KEY,
    met_ms    INTEGER NOT NULL,         -- what ended before is left alone, unless the config says `since`
    walked_ms INTEGER,                  -- when the last walk over its whole list began: the watermark
    floor_ms  INTEGER,                  -- since when that walk had listed what ended
    CHECK ((walked_ms IS NULL) = (floor_ms IS NULL))
) STRICT, WITHOUT ROWID;

-- Recordings that a source keeps elsewhere: one row each, for ever, so that none is fetched twice.
CREATE TABLE fetched (
    source     TEXT NOT NULL,           -- the name of the source in the config
    remote_id  TEXT NOT NULL,           -- what the vendor calls it: the bot
    state      TEXT NOT NULL CHECK (state IN ('found', 'placing', 'placed', 'failed')),
    wanted     INTEGER NOT NULL DEFAULT 0 CHECK (wanted IN (0, 1)),   -- a person asked for it
    ended_ms   INTEGER NOT NULL,        -- when the meeting ended, as the vendor says
    due_ms     INTEGER,                 -- when it is tried next
    attempts   INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    details    TEXT NOT NULL,           -- JSON: what the source knows of the meeting
    folder     TEXT,                    -- where it was placed: the folder's id
    path       BLOB,                    -- and the file, relative to the folder
    content    TEXT,                    -- the hash of what was fetched
    size       INTEGER,                 -- bytes of it
    reuse      INTEGER NOT NULL DEFAULT 0 CHECK (reuse IN (0, 1)),    -- the vendor's transcript makes its notes
    deletion   TEXT CHECK (deletion IN ('asked', 'done', 'refused')), -- of the vendor's copy
    deletion_tries  INTEGER NOT NULL DEFAULT 0,
    deletion_ms     INTEGER,            -- when it was asked for last
    deletion_due_ms INTEGER,            -- when it is asked for again
    found_ms   INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (source, remote_id),
    CHECK ((state IN ('placing', 'placed')) = (content IS NOT NULL)),
    CHECK ((state = 'found') = (due_ms IS NOT NULL)),
    CHECK ((content IS NULL) = (folder IS NULL) AND (content IS NULL) = (path IS NULL)),
    CHECK ((content IS NULL) = (size IS NULL)),
    CHECK (deletion IS NULL OR state = 'placed')
) STRICT, WITHOUT ROWID;
CREATE INDEX fetched_content ON fetched (content, folder) WHERE content IS NOT NULL;
CREATE INDEX fetched_due ON fetched (source, due_ms) WHERE due_ms IS NOT NULL;
CREATE INDEX fetched_deletion ON fetched (source, deletion_ms) WHERE deletion_ms IS NOT NULL;

-- A source may be held, too.
CREATE TABLE hold_2 (
    scope    TEXT NOT NULL CHECK (scope IN ('service', 'folder', 'disk', 'source')),
    name     TEXT NOT NULL,
    reason   TEXT NOT NULL,
    detail   TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, name, reason)
) STRICT, WITHOUT ROWID;
INSERT INTO hold_2 SELECT scope, name, reason, detail, since_ms FROM hold;
DROP TABLE hold;
ALTER TABLE hold_2 RENAME TO hold;

-- Recordings that a source keeps elsewhere: one row each, for ever, so that none is fetched twice.
CREATE TABLE fetched (
    source     TEXT NOT NULL,           -- the name of the source in the config
    remote_id  TEXT NOT NULL,           -- what the vendor calls it: the bot
    state      TEXT NOT NULL CHECK (state IN ('found', 'placing', 'placed', 'failed')),
    ended_ms   INTEGER NOT NULL,        -- when the meeting ended, as the vendor says
    due_ms     INTEGER,                 -- when it is tried next
    attempts   INTEGER NOT NULL DEFAULT 0,
    error      TEXT,
    details    TEXT NOT NULL,           -- JSON: what the source knows of the meeting
    folder     TEXT,                    -- where it was placed: the folder's id
    path       BLOB,                    -- and the file, relative to the folder
    content    TEXT,                    -- the hash of what was fetched
    found_ms   INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (source, remote_id),
    CHECK ((state IN ('placing', 'placed')) = (content IS NOT NULL)),
    CHECK ((content IS NULL) = (folder IS NULL) AND (content IS NULL) = (path IS NULL))
) STRICT, WITHOUT ROWID;
CREATE INDEX fetched_content ON fetched (content, folder) WHERE content IS NOT NULL;
CREATE INDEX fetched_due ON fetched (due_ms) WHERE due_ms IS NOT NULL;

-- Version 10.

-- The length of a recording, as its container says or as estimated from its size and bit rate. Of jobs from before it is
-- not known.
ALTER TABLE job ADD COLUMN length_ms INTEGER CHECK (length_ms >= 0);

-- True from the claim that begins an attempt until that attempt fails: what was begun goes on on any day.
ALTER TABLE job ADD COLUMN is_begun INTEGER NOT NULL DEFAULT 0 CHECK (is_begun IN (0, 1));
UPDATE job SET is_begun = 1 WHERE state = 'running' OR stage = 'upload';

-- The recordings that were begun on a day: daily limits are compared with their sum. The job may be forgotten meanwhile.
CREATE TABLE begun (
    day      TEXT NOT NULL,             -- of this machine's time zone: 2026-11-30
    job_id   INTEGER NOT NULL,
    folder   TEXT NOT NULL,
    service  TEXT NOT NULL,
    audio_ms INTEGER NOT NULL CHECK (audio_ms >= 0),
    PRIMARY KEY (day, job_id)
) STRICT, WITHOUT ROWID;

-- The daily limits that kept a recording waiting, so that each is reported once a day.
CREATE TABLE limit_reached (
    day      TEXT NOT NULL,
    scope    TEXT NOT NULL CHECK (scope IN ('folder', 'service')),
    name     TEXT NOT NULL,
    limit_ms INTEGER NOT NULL,
    PRIMARY KEY (day, scope, name, limit_ms)
) STRICT, WITHOUT ROWID;

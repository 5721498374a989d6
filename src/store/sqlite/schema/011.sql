-- Version 11.

-- Recordings that their folder deletes a while after their notes were delivered (`delete_recording_after`).
CREATE TABLE retention (
    job_id   INTEGER PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
    since_ms INTEGER NOT NULL,          -- when everything was delivered
    due_ms   INTEGER,                   -- when it is deleted, or looked at again; NULL once that is over
    reason   TEXT,                      -- why it was not deleted when its time had come
    outcome  TEXT CHECK (outcome IN ('deleted', 'changed', 'gone')),
    ended_ms INTEGER,
    CHECK ((due_ms IS NULL) = (outcome IS NOT NULL)),
    CHECK ((ended_ms IS NULL) = (outcome IS NULL))
) STRICT;
CREATE INDEX retention_due ON retention (due_ms) WHERE due_ms IS NOT NULL;

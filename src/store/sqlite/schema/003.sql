-- Recordings at the service that were given up, because their analysis failed or they are gone: an upload whose answer was
-- lost is none of these.
CREATE TABLE given_up (
    job_id       INTEGER NOT NULL REFERENCES job (id) ON DELETE CASCADE,
    recording_id TEXT NOT NULL,
    PRIMARY KEY (job_id, recording_id)
) STRICT, WITHOUT ROWID;
INSERT INTO given_up SELECT id, recording_id FROM job WHERE remote = 'meeting' AND recording_id IS NOT NULL;

-- What a job that is forgotten leaves of itself: whose content a file is and when the meeting was, and where the notes of
-- a content lie (a path, in bytes).
ALTER TABLE sighting ADD COLUMN content TEXT;
ALTER TABLE sighting ADD COLUMN recorded_ms INTEGER;
ALTER TABLE finished ADD COLUMN notes BLOB;

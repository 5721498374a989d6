-- Version 7.

-- A recording that is too large, too long or too short for its folder is skipped, too. A constraint of a column cannot be
-- changed, so the column is made anew.
ALTER TABLE job ADD COLUMN skip_7 TEXT CHECK (skip_7 IN ('unsupported', 'content', 'sound', 'no sound', 'limit'));
UPDATE job SET skip_7 = skip WHERE skip IS NOT NULL;
ALTER TABLE job DROP COLUMN skip;
ALTER TABLE job RENAME COLUMN skip_7 TO skip;

-- The longest that the folder took when the recording was taken in; of jobs from before there is no such bound.
ALTER TABLE job ADD COLUMN length_max_ms INTEGER;

-- The content of the file itself, where it is not that of the job's key: another file of the same sound was taken for it.
ALTER TABLE job ADD COLUMN file_content TEXT;

-- Whether a file that is beyond the bounds may be that of a job which exists is asked by its size.
CREATE INDEX job_size ON job (folder, size) WHERE state <> 'skipped';

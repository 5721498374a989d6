-- Version 8.

-- An event has a kind, and a detail where its words vary: a path, a number, a delivery. Until now the words were stored. Words
-- that are not recognised stay as they are, as the detail of an event of the kind `other`.
ALTER TABLE event ADD COLUMN kind TEXT NOT NULL DEFAULT 'other';
ALTER TABLE event ADD COLUMN detail TEXT;
UPDATE event SET kind = CASE event
    WHEN 'taken in' THEN 'taken_in'
    WHEN 'taken in; the service has its meeting already' THEN 'taken_in_with_meeting'
    WHEN 'failed: set aside' THEN 'set_aside'
    WHEN 'failed: its recorder left it unfinished' THEN 'left_unfinished'
    WHEN 'skipped' THEN 'skipped'
    WHEN 'dropped again: retried' THEN 'dropped_again'
    WHEN 'its file is back' THEN 'file_back'
    WHEN 'its file was renamed' THEN 'file_renamed'
    WHEN 'its file is gone' THEN 'file_gone'
    WHEN 'its file is gone; a copy of it is taken' THEN 'copy_taken'
    WHEN 'waits for its file' THEN 'file_awaited'
    WHEN 'cancelled: its file is gone for good' THEN 'cancelled_file_gone'
    WHEN 'created the meeting' THEN 'meeting_created'
    WHEN 'found the meeting in the service''s list' THEN 'meeting_found'
    WHEN 'found the meeting whose answer was lost' THEN 'meeting_recovered'
    WHEN 'uploaded the recording' THEN 'recording_uploaded'
    WHEN 'found the recording whose answer was lost' THEN 'recording_recovered'
    WHEN 'analysed' THEN 'analysed'
    WHEN 'failed' THEN 'attempt_failed'
    WHEN 'failed for the last time' THEN 'last_attempt_failed'
    WHEN 'the service failed; nothing counts' THEN 'service_failed'
    WHEN 'it waits; nothing counts' THEN 'deferred'
    WHEN 'a person asked to retry' THEN 'retry_requested'
    WHEN 'a person asked to redo it' THEN 'redo_requested'
    WHEN 'a person cancelled it' THEN 'cancel_requested'
    WHEN 'a person asked for more analyses' THEN 'analyses_requested'
    WHEN 'a person released its mails' THEN 'mails_released'
    WHEN 'failed: not every delivery could be made' THEN 'deliveries_incomplete'
    WHEN 'done' THEN 'done'
    ELSE 'other'
END;
UPDATE event SET kind = 'notes_exist', detail = substr(event, 26)
    WHERE kind = 'other' AND event LIKE 'the notes exist already: %';
UPDATE event SET kind = 'cancelled_file_changed', detail = CAST(CAST(substr(event, 34) AS INTEGER) AS TEXT)
    WHERE kind = 'other' AND event GLOB 'cancelled: its file changed, job [0-9]* has the new content';
UPDATE event SET kind = 'results_requested', detail = substr(event, 15)
    WHERE kind = 'other' AND event LIKE 'asked for the %';
UPDATE event SET kind = 'redo_requested', detail = substr(event, 28)
    WHERE kind = 'other' AND event GLOB 'a person asked to redo job [0-9]*';
UPDATE event SET kind = 'delivery_made', detail = substr(event, 11)
    WHERE kind = 'other' AND event LIKE 'delivered %';
UPDATE event SET kind = 'remote_copy_kept', detail = substr(event, 9)
    WHERE kind = 'other' AND event LIKE 'did not %';
UPDATE event SET kind = 'delivery_withheld', detail = substr(event, 10)
    WHERE kind = 'other' AND event LIKE 'withheld %';
UPDATE event SET kind = 'delivery_waits', detail = substr(event, 1, length(event) - 6)
    WHERE kind = 'other' AND event LIKE '% to %waits';
UPDATE event SET kind = 'delivery_failed', detail = substr(event, 1, length(event) - 7)
    WHERE kind = 'other' AND event LIKE '% to %failed';
UPDATE event SET detail = event WHERE kind = 'other';
ALTER TABLE event DROP COLUMN event;

-- A job whose title, date or attendees could not be taken as a sidecar or a folder's settings have them waits until that is
-- mended. Until now the beginning of its error said so.
ALTER TABLE job ADD COLUMN invalid_metadata INTEGER NOT NULL DEFAULT 0 CHECK (invalid_metadata IN (0, 1));
UPDATE job SET invalid_metadata = 1
    WHERE state = 'ready' AND stage = 'create' AND error LIKE 'it is not clear how to take it%';

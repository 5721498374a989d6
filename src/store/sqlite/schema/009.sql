-- Version 9.

-- The names that a person gave to the speakers of a transcript: a JSON object of labels and names.
ALTER TABLE job ADD COLUMN speaker_names TEXT;

-- What is about to replace a file of notes: BLAKE3 of each such text, with a space between them. A file of that content is
-- minuted's own although the replacement was never recorded, and the notes are other ones by now.
ALTER TABLE delivery ADD COLUMN intended TEXT;

//! Folders to settled recordings.

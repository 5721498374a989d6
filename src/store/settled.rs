//! Recordings that have settled in their folders.

use std::{path::PathBuf, time::Duration};

use jiff::Timestamp;

use crate::{
    beneath::Stamp,
    job::{Bound, Content, Sound},
};

/// A settled recording, ready to become a job.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The folder's id.
    pub folder: String,
    /// Its path, relative to the folder.
    pub path: PathBuf,
    /// Its stamp, the same before and after its bytes were hashed.
    pub stamp: Stamp,
    /// Its content; `None` for a file that no service takes or that exceeds a bound, which is never
    /// read.
    pub content: Option<Content>,
    /// Its sound, which a remux and other tags leave as it is; `None` where that has no name.
    pub sound: Option<Sound>,
    /// The time of the meeting: from its container, else from its name, else from its mtime.
    pub recorded: Timestamp,
    /// True if it was there before minuted: fresh recordings go first.
    pub backlog: bool,
    /// The reason why it is not sent, when it is not.
    pub unplayable: Option<Unplayable>,
    /// The longest that it may be, where its length is known only once it is decoded.
    pub length_max: Option<Duration>,
    /// Its length, known or estimated, for daily limits; `None` where nobody has looked.
    pub length: Option<Duration>,
}

/// The reason why a settled recording is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unplayable {
    /// No sound: skipped.
    NoSound,
    /// minuted died too often while it looked into it: its job fails.
    Crashes,
    /// Beyond a bound of its folder: skipped, unless it is that of a job which exists.
    Beyond(Bound),
}

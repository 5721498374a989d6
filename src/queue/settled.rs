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
    /// What it is; `None` for a file that no service takes or that exceeds a bound, which is never read.
    pub content: Option<Content>,
    /// Its sound, which a remux and other tags leave as it is; `None` where that has no name.
    pub sound: Option<Sound>,
    /// When the meeting was: from its container, else from its name, else from its mtime.
    pub recorded: Timestamp,
    /// Whether it was there before minuted: fresh recordings go first.
    pub backlog: bool,
    /// Why it is not sent, when it is not.
    pub unplayable: Option<Unplayable>,
    /// How long it may be, where only hearing it tells.
    pub length_max: Option<Duration>,
}

/// The reason why a settled recording is not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unplayable {
    /// There is no sound in it: it is skipped.
    NoSound,
    /// minuted died too often while it looked into it: its job fails.
    Crashes,
    /// It exceeds a bound of its folder: it is skipped, unless it is that of a job which exists.
    Beyond(Bound),
}

//! The four steps of a job.

use crate::words::words;

words! {
    /// A step of a job; they follow each other in this order.
    pub enum Stage {
        /// A meeting is made at the service, or found there.
        Create = "create",
        /// The recording is sent.
        Upload = "upload",
        /// Results are waited for, and asked for again when they failed.
        Analyse = "analyse",
        /// Notes are written and mailed.
        Deliver = "deliver",
    }
}

impl Stage {
    /// Returns the stage after this one, `None` after the last.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Create => Some(Self::Upload),
            Self::Upload => Some(Self::Analyse),
            Self::Analyse => Some(Self::Deliver),
            Self::Deliver => None,
        }
    }
}

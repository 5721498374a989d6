//! The four steps of a job.

use serde::{Deserialize, Serialize};

/// A step of a job; they follow each other in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// A meeting is made at the service, or found there.
    Create,
    /// The recording is sent.
    Upload,
    /// Results are waited for, and asked for again when they failed.
    Analyse,
    /// Notes are written and mailed.
    Deliver,
}

impl Stage {
    /// All stages in order.
    pub const ALL: [Self; 4] = [Self::Create, Self::Upload, Self::Analyse, Self::Deliver];

    /// Returns the word used in the queue, in JSON and in messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Upload => "upload",
            Self::Analyse => "analyse",
            Self::Deliver => "deliver",
        }
    }

    /// Returns the stage of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }

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

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

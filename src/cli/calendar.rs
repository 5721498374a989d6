//! `minuted calendar preview`.

use std::path::PathBuf;

use clap::Args;

use super::Output;

/// `calendar preview`.
#[derive(Debug, Args)]
pub(crate) struct CalendarPreview {
    /// The recording
    pub file: PathBuf,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

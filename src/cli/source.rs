//! `minuted source`.

use clap::{Args, Subcommand};

use super::Output;

/// `source`.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// List what sources have brought, what is waited for, and what cannot be had
    List(SourceList),
    /// Fetch a recording now, also one that failed, or ended before the source was met
    Fetch(SourceFetch),
}

/// `source list`.
#[derive(Debug, Args)]
pub(crate) struct SourceList {
    /// Only this source
    pub source: Option<String>,
    #[command(flatten)]
    /// The form of the output.
    pub output: Output,
}

/// `source fetch`.
#[derive(Debug, Args)]
pub(crate) struct SourceFetch {
    /// The vendor's id of the recording
    pub bot: String,
    /// The source [default: the only one]
    #[arg(long, value_name = "SOURCE")]
    pub source: Option<String>,
    #[command(flatten)]
    /// The form of the output.
    pub output: Output,
}

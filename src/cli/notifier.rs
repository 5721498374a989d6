//! `notify`.

use clap::{Args, Subcommand};

use super::Output;

/// `notify`.
#[derive(Debug, Subcommand)]
pub(crate) enum NotifyCommand {
    /// Send a test now, and say how it went; 1 when it was not taken
    Test(NotifyTestArgs),
}

/// `notify test`.
#[derive(Debug, Args)]
pub(crate) struct NotifyTestArgs {
    /// The notifier's name
    #[arg(value_name = "NAME")]
    pub name: String,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

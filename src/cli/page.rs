//! The arguments of `minuted page`.

use clap::Args;

use super::Output;

/// `page`.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// Sign everybody out first
    #[arg(long)]
    pub new_token: bool,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

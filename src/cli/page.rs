//! The arguments of `minuted page`.

use clap::Args;

use super::Output;

/// `page`.
#[derive(Debug, Args)]
pub(crate) struct Page {
    /// Sign everybody out first; with --api-token, make another token
    #[arg(long)]
    pub new_token: bool,
    /// Print the token of the HTTP API instead
    #[arg(long)]
    pub api_token: bool,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

//! `minuted bot`.

use clap::{Args, Subcommand};

use super::OfSource;

/// `bot`.
#[derive(Debug, Subcommand)]
pub(crate) enum BotCommand {
    /// Send a bot to a meeting, now or later; what it records comes into the source's folder
    Join(BotJoinArgs),
    /// List the newest bots, those that are to join first
    List(OfSource),
    /// Have a bot leave its meeting, or never join it
    Leave(OneBot),
    /// Have a recording transcribed again at the source (version 1 alone)
    Retranscribe(OneBot),
}

/// `bot join`.
#[derive(Debug, Args)]
pub(crate) struct BotJoinArgs {
    /// The link of the invitation
    pub url: String,
    /// When to join: "14:30", "2026-11-22 14:30" (both as the clock here shows it), or with a zone [default: now]
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    #[command(flatten)]
    /// What is sent.
    pub sent: SentBot,
    #[command(flatten)]
    /// Where, and how to show it.
    pub of: OfSource,
}

/// A bot that is sent.
#[derive(Debug, Args)]
pub(crate) struct SentBot {
    /// What it is called in the meeting
    #[arg(long, default_value = "minuted")]
    pub name: String,
    /// Have the source transcribe what it records, too
    #[arg(long)]
    pub transcribe: bool,
}

/// A command about one bot.
#[derive(Debug, Args)]
pub(crate) struct OneBot {
    /// The bot's id
    pub bot: String,
    #[command(flatten)]
    /// Where, and how to show it.
    pub of: OfSource,
}

//! `engine-work`, which is not for people.

use std::{ffi::OsString, path::PathBuf};

use clap::Args;

/// `engine-work`.
#[derive(Debug, Args)]
pub(crate) struct EngineWork {
    /// What to do, as JSON
    pub request: Option<String>,
    /// Become this ffmpeg, with limits
    #[arg(long, value_name = "PROGRAM")]
    pub ffmpeg: Option<PathBuf>,
    /// Start this ffmpeg for the parent, when that orders it
    #[arg(long, value_name = "PROGRAM")]
    pub lend: Option<PathBuf>,
    /// Become this program, which is told of an event, with limits
    #[arg(long, value_name = "PROGRAM")]
    pub hook: Option<PathBuf>,
    /// Let it use the network
    #[arg(long)]
    pub network: bool,
    /// Try to be confined, and print as JSON how that went
    #[arg(long)]
    pub trial: bool,
    /// The process with which it ends
    #[arg(long, value_name = "PID", default_value_t = 0)]
    pub parent: u32,
    /// The longest file that it may write, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    pub writes: u64,
    /// Its arguments
    #[arg(last = true)]
    pub arguments: Vec<OsString>,
}

//! `minuted speakers`.

use std::ffi::OsString;

use clap::Args;

use super::Output;

/// `speakers`.
#[derive(Debug, Args)]
pub(crate) struct SpeakersArgs {
    /// The job's number, or its recording
    #[arg(value_name = "JOB")]
    pub job: OsString,
    /// A speaker and the name, such as "Speaker 2=Ann Lee"; without the name it is taken away again
    #[arg(value_name = "SPEAKER=NAME", value_parser = parse_assignment)]
    pub names: Vec<String>,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

fn parse_assignment(text: &str) -> Result<String, &'static str> {
    if text.contains('=') {
        Ok(text.to_owned())
    } else {
        Err("write the speaker, `=` and the name")
    }
}

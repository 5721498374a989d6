//! The commands, one file each. They print what they show to standard output and what they say to standard error.

mod add;
mod backup;
mod bot;
mod calendar;
mod check;
mod demo;
mod dropin;
mod engine;
mod engine_work;
mod event_preview;
mod folder;
mod init;
mod jobs;
mod login;
mod meetings;
mod notifier;
mod packaging;
mod page;
mod print;
mod retry;
mod run;
mod scan;
mod source;
mod speakers;
mod status;
mod survey;
mod why;

use std::{process::ExitCode, sync::Arc};

use clap::Parser as _;
use serde_json::Value;

use crate::{
    cli::{self, Cli, Command, Question},
    config::{self, ConfigError, Environment, Settings},
    control::{Caller, ControlError, ControlRequest, JobName, Refusal},
    engine::model::{InstallError, NotInstalled},
    exit,
    hint::{Hinted, with_hint},
    memory,
    store::{LockError, StoreError},
    text::{error_chain, printable},
};

/// Runs the program: parses the command line, runs the command, prints one error.
pub fn main() -> ExitCode {
    if let Err(error) = memory::seal() {
        let failure = anyhow::Error::new(error)
            .context("failed to keep this process's memory to itself")
            .into();
        print_failure(&failure, Environment::get());
        return ExitCode::from(exit::FAILURE);
    }
    let cli = Cli::parse();
    #[cfg(debug_assertions)]
    if let Some(death) = &Environment::get().die {
        crate::effect::arm(death);
    }
    #[cfg(debug_assertions)]
    if let Some(file) = &Environment::get().clock {
        crate::clock::set_by_file(file);
    }
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            print_failure(&failure, Environment::get());
            ExitCode::from(failure.code())
        }
    }
}

/// The reason why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandFailure {
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// minuted does not do it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The command line lacks something, or makes no sense.
    #[error(transparent)]
    Usage(Refusal),
    /// No daemon could be asked.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// Any other error.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl From<std::io::Error> for CommandFailure {
    fn from(error: std::io::Error) -> Self {
        Self::Other(error.into())
    }
}

impl CommandFailure {
    /// Returns the exit code that tells scripts and systemd what kind of failure it is.
    #[must_use]
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Config(_) => exit::CONFIG,
            Self::Other(error) if needs_person(error) => exit::CONFIG,
            Self::Usage(_) => exit::USAGE,
            Self::Refused(_) | Self::Control(_) | Self::Other(_) => exit::FAILURE,
        }
    }
}

/// Returns the hint of an error that has one.
fn find_hint(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = error.downcast_ref::<Hinted>() {
        return Some(error.hint().to_owned());
    }
    if let Some(error) = error.downcast_ref::<InstallError>() {
        return error.hint();
    }
    if let Some(error) = error.downcast_ref::<LockError>() {
        return Some(error.hint());
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return error.hint().map(str::to_owned);
    }
    error.is::<NotInstalled>().then(|| NotInstalled::HINT.to_owned())
}

/// Returns whether the daemon cannot start until a person acts: starting it again would only fill the log.
fn needs_person(error: &anyhow::Error) -> bool {
    error.downcast_ref::<StoreError>().is_some_and(StoreError::lasts)
}

/// Prints a failure, once.
pub(crate) fn print_failure(failure: &CommandFailure, environment: &Environment) {
    let (message, hint) = match failure {
        CommandFailure::Config(error) => {
            print::message(error.render(print::stderr_has_colour(environment)).trim_end());
            return;
        }
        CommandFailure::Refused(refusal) | CommandFailure::Usage(refusal) => {
            (refusal.message.clone(), refusal.hint.clone())
        }
        CommandFailure::Control(error) => (error_chain(error), error.hint()),
        CommandFailure::Other(error) => (format!("{error:#}"), error.chain().find_map(find_hint)),
    };
    let message = format!("minuted: {}", printable_lines(&message));
    let hint = hint.as_deref().map(printable_lines);
    print::message(&with_hint(&message, hint.as_deref()));
}

/// Returns a text fit to be shown; its own line ends stay.
fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Runs the command.
///
/// # Errors
/// [`CommandFailure`], to be printed once by the caller.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, CommandFailure> {
    let Cli { config, command } = cli;
    match command {
        Command::Completions(arguments) => packaging::print_completions(arguments.shell),
        Command::Man => packaging::print_manual(),
        Command::EngineWork(arguments) => engine_work::run(&arguments),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Engine(cli::EngineCommand::Install(arguments)) => {
            engine::install_model(config, arguments)
        }
        Command::Engine(cli::EngineCommand::Status(arguments)) => {
            engine::show_models(config, &arguments)
        }
        Command::Init(arguments) => init::run(config, &arguments),
        Command::Run(arguments) => run::run(load_settings(config)?, &arguments),
        Command::SystemdDropIn => dropin::run(&load_settings(config)?),
        Command::Check(arguments) => {
            let (settings, text) = config::load_with_text(&config::locate(config)?)?;
            build_runtime()?.block_on(check::run(Arc::new(settings), text, arguments))
        }
        Command::Bot(command) => {
            let settings = load_settings(config)?;
            build_runtime()?.block_on(bot::run(&settings, command))
        }
        Command::Calendar(command) => {
            let settings = load_settings(config)?;
            build_runtime()?.block_on(calendar::run(&settings, command))
        }
        Command::Ask(question) => {
            let settings = Arc::new(load_settings(config)?);
            build_runtime()?.block_on(answer_question(settings, question))
        }
    }
}

async fn answer_question(
    settings: Arc<Settings>,
    question: Question,
) -> Result<ExitCode, CommandFailure> {
    let caller = Caller::connect(Arc::clone(&settings)).await?.with_delay_notice(print::message);
    match question {
        Question::Login(arguments) => login::sign_in(&settings, caller, arguments).await,
        Question::Logout(arguments) => login::sign_out(&caller, arguments).await,
        Question::Whoami(arguments) => login::show_account(&caller, arguments).await,
        Question::Status(arguments) => status::run(&settings, caller, arguments).await,
        Question::Jobs(arguments) => jobs::list_jobs(&caller, arguments).await,
        Question::Job(arguments) => jobs::show_job(&caller, arguments).await,
        Question::Why(arguments) => why::run(&caller, arguments).await,
        Question::Add(arguments) => add::run(&settings, &caller, arguments).await,
        Question::Analyse(arguments) => retry::analyse_job(&caller, arguments).await,
        Question::Speakers(arguments) => speakers::run(&caller, arguments).await,
        Question::Meetings(arguments) => meetings::run(&caller, arguments).await,
        Question::Source(arguments) => source::run(&caller, arguments).await,
        Question::Retry(arguments) => retry::retry_jobs(&caller, arguments).await,
        Question::Redo(arguments) => retry::redo_job(&caller, arguments).await,
        Question::Cancel(arguments) => retry::cancel_job(&caller, arguments).await,
        Question::Scan(arguments) => scan::run(&caller, arguments).await,
        Question::Pause(arguments) => folder::pause_folder(&caller, arguments).await,
        Question::Resume(arguments) => folder::resume_folder(&caller, arguments).await,
        Question::Backlog(arguments) => folder::run_backlog(&caller, arguments).await,
        Question::Notify(command) => notifier::run(&caller, command).await,
        Question::Page(arguments) => page::show_link(&caller, arguments).await,
        Question::Backup(arguments) => backup::run(&caller, arguments).await,
    }
}

fn load_settings(config: Option<std::path::PathBuf>) -> Result<Settings, ConfigError> {
    config::load(&config::locate(config)?)
}

/// Returns a runtime: two threads are enough for what minuted waits for; files and the queue have threads of their own.
fn build_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
}

/// Asks, and prints what was done.
async fn act_and_print(caller: &Caller, request: ControlRequest) -> Result<Value, CommandFailure> {
    let answer = caller.ask(request).await?;
    if let Some(message) = answer.get("message").and_then(Value::as_str) {
        print::line(&printable(message))?;
    }
    Ok(answer)
}

/// Tells that what was asked for waits, where no daemon runs.
fn say_without_daemon(caller: &Caller) {
    if !caller.is_daemon() {
        print::message(
            "no daemon runs: it goes on with the next `minuted run` (or systemctl start minuted)",
        );
    }
}

/// Reads an answer into its type.
fn parse_answer<T: serde::de::DeserializeOwned>(answer: Value) -> Result<T, CommandFailure> {
    serde_json::from_value(answer).map_err(|error| {
        let refusal = Refusal::new(format!("the daemon's answer is not understood: {error}"));
        CommandFailure::Refused(refusal.hint("the daemon is of another version: restart it"))
    })
}

/// Reads a job as a person names it: a number, a key, or a file.
fn job_name(text: &std::ffi::OsStr) -> JobName {
    if let Some(word) = text.to_str() {
        if let Ok(id) = word.trim_start_matches('#').parse() {
            return JobName::Id(crate::store::JobId(id));
        }
        if word.parse::<crate::job::Key>().is_ok() {
            return JobName::Key(word.to_owned());
        }
    }
    JobName::File(absolute_path(text.as_ref()))
}

/// Returns the absolute path of what a person typed; links in it are kept.
fn absolute_path(path: &std::path::Path) -> std::path::PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

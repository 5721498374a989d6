//! `minuted init`: from questions or options to a configuration and a machine that is ready for it.
//!
//! Nothing is changed before the last answer. Then the folder is made, the configuration gets its
//! name when it is whole and was read back, and the machine is prepared: rights, sandbox, model,
//! service. What cannot be done, or is not wanted, is printed as commands at the end.

mod answers;
mod document;
mod machine;
mod page;
mod people;
mod place;
mod questions;
mod setup;
mod steps;

use std::{
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use answers::Interview;
use document::{FolderAnswers, InitAnswers};
use machine::Machine;
use place::{make_config_directory, make_directory, place_file, share_directory};
use questions::Questions;
use setup::{Audience, InitSetup, SERVICE_USER};

use super::{CommandFailure, print};
use crate::{
    access::find_user,
    beneath::Dir,
    cli::InitArgs,
    config::{Environment, Settings},
    control::Refusal,
    text::{format_duration, printable_path},
    watch::mounts,
};

/// A folder that was written into the configuration.
#[derive(Debug, Default)]
struct NewFolder {
    /// Its directory, and that of its notes where they go elsewhere.
    directories: Vec<PathBuf>,
    /// Its directory was made.
    is_made: bool,
}

pub(super) fn run(
    config: Option<PathBuf>,
    arguments: &InitArgs,
) -> Result<ExitCode, CommandFailure> {
    let env = Environment::get();
    let is_terminal = io::stdin().is_terminal() && io::stderr().is_terminal();
    let questions = match (arguments.yes, is_terminal) {
        (true, _) => Questions::Offered,
        (false, true) => Questions::Asked,
        (false, false) => return Err(no_terminal()),
    };
    let setup = InitSetup::choose(questions, arguments, config, env)?;
    let interview = Interview { questions, setup: &setup, arguments, env };
    let answers = ask(&interview)?;
    let mut machine = Machine::new(&setup, questions, env);
    machine.make_user()?;
    let folder = match &answers {
        Some(answers) => write(&setup, answers)?,
        None => NewFolder::default(),
    };
    machine.prepare(&folder, arguments.no_engine)
}

/// Refuses to ask where nobody can answer.
fn no_terminal() -> CommandFailure {
    let hint = "answer by options: minuted init --yes --folder PATH, with --user or --server, --attendee, \
                --service, --language, --notes, --smtp …; minuted init --help lists all";
    CommandFailure::Usage(Refusal::new("there is no terminal to ask at, and no `--yes`").hint(hint))
}

/// Returns the answers; `None` where an existing configuration stays as it is.
fn ask(interview: &Interview<'_>) -> Result<Option<InitAnswers>, CommandFailure> {
    let shown = printable_path(&interview.setup.file);
    if interview.setup.existing.is_some() && interview.arguments.folder.folder.is_none() {
        let question = format!("`{shown}` exists, and all in it stays. Add a folder to it?");
        if interview.questions == Questions::Offered || !interview.questions.confirm(&question)? {
            print::line(&format!("`{shown}` exists: it stays as it is"))?;
            return Ok(None);
        }
    }
    let (path, name) = interview.ask_folder()?;
    if interview.is_watched(&path) {
        let path = printable_path(Path::new(&path));
        print::line(&format!("`{shown}` has the folder `{path}` already: it stays as it is"))?;
        return Ok(None);
    }
    interview.ask_rest(path, name).map(Some)
}

/// Makes the directories and puts the configuration in its place.
fn write(setup: &InitSetup, answers: &InitAnswers) -> Result<NewFolder, CommandFailure> {
    let text = setup.text_with(answers);
    let settings = setup.try_answers(answers).map_err(Refusal::new)?;
    let FolderAnswers { path, notes_dir, .. } = &answers.folder;
    let path = PathBuf::from(path);
    let owner = match setup.audience {
        Audience::Server if rustix::process::geteuid().is_root() => find_user(SERVICE_USER),
        Audience::Server | Audience::Person => None,
    };
    let is_made = make_folder(&path, owner)?;
    let mut directories = vec![path];
    if let Some(notes_dir) = notes_dir.as_ref().map(PathBuf::from) {
        make_folder(&notes_dir, owner)?;
        directories.push(notes_dir);
    }
    say_eventless(&settings);
    let file = printable_path(&setup.file);
    let failed = |error: io::Error| {
        Refusal::new(format!("failed to write `{file}`: {error}"))
            .hint("nothing there was changed: see to the cause, and run minuted init again")
    };
    if let Some(existing) = &setup.existing {
        place_file(&setup.file, &text, existing.access, Some(existing.stamp)).map_err(failed)?;
        print::line(&format!("added the folder to `{file}`; what was there is unchanged"))?;
    } else {
        let parent = setup.file.parent().unwrap_or(Path::new("/"));
        let mode = if setup.audience == Audience::Person { 0o700 } else { 0o755 };
        make_config_directory(parent, mode).map_err(failed)?;
        place_file(&setup.file, &text, setup.new_access(), None).map_err(failed)?;
        print::line(&format!("wrote `{file}`"))?;
    }
    Ok(NewFolder { directories, is_made })
}

/// Makes a directory where there is none, and gives it to `owner`. Returns whether it was made.
fn make_folder(path: &Path, owner: Option<(u32, u32)>) -> Result<bool, CommandFailure> {
    let shown = printable_path(path);
    let is_made = make_directory(path).map_err(|error| {
        let refusal = Refusal::new(format!("failed to make the directory `{shown}`: {error}"));
        refusal.hint("nothing was written: name another directory, or make it yourself")
    })?;
    if !is_made {
        return Ok(false);
    }
    print::line(&format!("made `{shown}`"))?;
    // A file server may know no root; what its rights lack, the checks find.
    if let Some(owner) = owner
        && let Err(error) = share_directory(path, owner)
    {
        print::message(&format!("minuted: `{shown}` stays with its owner: {error}"));
    }
    Ok(true)
}

/// Says that the new folder has no events, and what that means.
fn say_eventless(settings: &Settings) {
    let Some(folder) = settings.folders.last() else { return };
    let mount = Dir::open(&folder.path).and_then(|dir| mounts::detect_eventless(&dir));
    if let Ok(Some(mount)) = mount {
        print::message(&format!(
            "`{}` is on {mount}, where changes come without events: minuted looks there every {}",
            printable_path(&folder.path),
            format_duration(folder.rescan_interval(true))
        ));
    }
}

//! The configuration to be: whose it is, where it lies, and what lies there already.

use std::{
    fs::File,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::{
    document::{FolderAnswers, InitAnswers, write_document, write_folder},
    place::FileAccess,
    questions::{InitQuestion, Questions, refuse},
};
use crate::{
    access,
    beneath::Stamp,
    cli::InitArgs,
    commands::{CommandFailure, absolute_path},
    config::{self, ConfigError, Environment, Settings},
    control::Refusal,
    text::{error_chain, printable_path},
};

/// The user of the system service, as the package makes it.
pub(super) const SERVICE_USER: &str = "minuted";

/// The state directory of a server's service, where systemd makes it.
const SERVER_STATE: &str = "/var/lib/minuted";

/// The person or machine that minuted is set up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// The person who types: a service of the user.
    Person,
    /// A server, where minuted runs as a user of its own.
    Server,
}

/// The configuration to be.
#[derive(Debug)]
pub(super) struct InitSetup {
    pub(super) audience: Audience,
    pub(super) file: PathBuf,
    pub(super) existing: Option<ExistingConfig>,
}

/// A configuration that exists.
#[derive(Debug)]
pub(super) struct ExistingConfig {
    pub(super) settings: Settings,
    text: String,
    pub(super) stamp: Stamp,
    pub(super) access: FileAccess,
}

impl InitSetup {
    /// Finds out for whom, and reads what is there.
    ///
    /// # Errors
    /// When options contradict the user who types, or what is there is no configuration.
    pub(super) fn choose(
        questions: Questions,
        arguments: &InitArgs,
        config: Option<PathBuf>,
        env: &Environment,
    ) -> Result<Self, CommandFailure> {
        let audience = choose_audience(questions, arguments)?;
        let is_root = rustix::process::geteuid().is_root();
        if audience == Audience::Person && is_root && env.sudo_uid.is_some_and(|uid| uid != 0) {
            return Err(refuse(
                "a minuted of your own is set up without sudo: minuted init --user",
            ));
        }
        let usual = match audience {
            Audience::Person => config::own_file(env),
            Audience::Server => Some(config::system_file().to_owned()),
        };
        let file = config
            .or_else(|| env.minuted_config.clone())
            .or(usual)
            .ok_or_else(|| refuse("there is no $HOME: name the file with --config FILE"))?;
        let file = absolute_path(&file);
        if audience == Audience::Server && !is_root && file == config::system_file() {
            let refusal = Refusal::new("the service of a server is set up by root");
            return Err(refusal.hint("sudo minuted init").into());
        }
        let existing = read_existing(&file)?;
        Ok(Self { audience, file, existing })
    }

    /// Returns the text of the file with these answers in it.
    pub(super) fn text_with(&self, answers: &InitAnswers) -> String {
        let Some(existing) = &self.existing else { return write_document(answers) };
        let mut text = existing.text.clone();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&write_folder(&answers.folder));
        text
    }

    /// Reads the file as it would be with these answers.
    ///
    /// # Errors
    /// Its mistakes, in words.
    pub(super) fn try_answers(&self, answers: &InitAnswers) -> Result<Settings, String> {
        let settings = self.parse(&self.text_with(answers))?;
        let folder = settings.folders.last();
        if folder.is_none_or(|folder| folder.path != Path::new(&answers.folder.path)) {
            return Err("the folder does not read back as it was written".to_owned());
        }
        Ok(settings)
    }

    /// Tries a directory for the folder: beside the other folders, whatever their services are.
    ///
    /// # Errors
    /// The mistake, in words.
    pub(super) fn try_path(&self, name: Option<String>, path: &str) -> Result<(), String> {
        let mut text = String::new();
        let state_dir = match &self.existing {
            Some(existing) => existing.settings.state_dir.to_str().map(str::to_owned),
            None => self.state_dir(),
        };
        if let Some(state_dir) = state_dir {
            let key = toml::Table::from_iter([("state_dir".to_owned(), state_dir.into())]);
            text.push_str(&key.to_string());
        }
        for folder in self.existing.iter().flat_map(|existing| &existing.settings.folders) {
            let name = Some(folder.name.clone());
            let path = folder.path.to_string_lossy().into_owned();
            text.push_str(&write_folder(&FolderAnswers { name, path, ..FolderAnswers::default() }));
        }
        let path = path.to_owned();
        text.push_str(&write_folder(&FolderAnswers { name, path, ..FolderAnswers::default() }));
        self.parse(&text).map(drop)
    }

    /// Returns the state directory, where the place of the configuration does not imply it.
    pub(super) fn state_dir(&self) -> Option<String> {
        let is_implied = self.audience == Audience::Person || self.file.starts_with("/etc");
        (!is_implied).then(|| SERVER_STATE.to_owned())
    }

    /// Returns the rights of a new file: for the service's user, or for the person alone.
    pub(super) fn new_access(&self) -> FileAccess {
        let is_root = rustix::process::geteuid().is_root();
        match (self.audience, access::find_user(SERVICE_USER)) {
            (Audience::Person, _) => FileAccess { mode: 0o600, owner: None },
            (Audience::Server, Some((_, gid))) if is_root => {
                FileAccess { mode: 0o640, owner: Some((0, gid)) }
            }
            // The user that does not exist yet can read it then; there is no secret in it.
            (Audience::Server, _) => FileAccess { mode: 0o644, owner: None },
        }
    }

    /// Returns whether commands find the configuration without being told where it is.
    pub(super) fn is_usual_file(&self, env: &Environment) -> bool {
        match self.audience {
            Audience::Person => {
                env.minuted_config.as_ref().or(config::own_file(env).as_ref()) == Some(&self.file)
            }
            Audience::Server => self.file == config::system_file(),
        }
    }

    fn parse(&self, text: &str) -> Result<Settings, String> {
        config::parse(text, &self.file, Environment::get()).map_err(|error| match error {
            ConfigError::Invalid { report } => report.mistakes().collect::<Vec<_>>().join("; "),
            ConfigError::NotFound { .. }
            | ConfigError::Missing { .. }
            | ConfigError::Unreadable { .. }
            | ConfigError::NotUtf8 { .. }
            | ConfigError::TooLarge { .. } => error_chain(&error),
        })
    }
}

fn choose_audience(questions: Questions, arguments: &InitArgs) -> Result<Audience, CommandFailure> {
    let offered = if rustix::process::geteuid().is_root() { "server" } else { "yourself" };
    let given =
        if arguments.server { Some("server") } else { arguments.user.then_some("yourself") };
    let question = InitQuestion {
        option: if offered == "server" { "--server" } else { "--user" },
        text: "Is minuted for yourself, or for a server with folders of several people? \
               (yourself, server)",
        offered: Some(offered),
    };
    questions.decide(question, given, |answer| match answer {
        "yourself" | "user" => Ok(Audience::Person),
        "server" => Ok(Audience::Server),
        _other => Err("type yourself or server".to_owned()),
    })
}

/// Reads the configuration that is there; `None` where nothing is.
fn read_existing(file: &Path) -> Result<Option<ExistingConfig>, CommandFailure> {
    let metadata = match file.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(ConfigError::Unreadable { file: file.to_owned(), source }.into());
        }
    };
    if !metadata.is_file() {
        let what = if metadata.is_symlink() { "a link" } else { "no file" };
        let message = format!("`{}` is {what}: it stays as it is", printable_path(file));
        let hint = "name the file itself with --config FILE";
        return Err(Refusal::new(message).hint(hint).into());
    }
    let unreadable = |source| ConfigError::Unreadable { file: file.to_owned(), source };
    let stamp = File::open(file).and_then(|file| Stamp::of(&file)).map_err(unreadable)?;
    let (settings, text) = config::load_with_text(file)?;
    let access =
        FileAccess { mode: metadata.mode() & 0o777, owner: Some((metadata.uid(), metadata.gid())) };
    Ok(Some(ExistingConfig { settings, text, stamp, access }))
}

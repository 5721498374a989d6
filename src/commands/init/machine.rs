//! The machine: made ready for the configuration, as far as that is possible and wanted.

use std::{
    io,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use super::{
    NewFolder,
    place::{FileAccess, make_config_directory, place_file},
    questions::Questions,
    setup::{Audience, InitSetup, SERVICE_USER},
    steps::{MachineStep, is_plain_root, is_systemd_running, is_unit_installed, open_directory},
};
use crate::{
    access::{find_user, user_name},
    beneath::{Dir, Stamp},
    cli,
    commands::{CommandFailure, build_runtime, check, print},
    config::{self, Environment, Kind, Recogniser, Settings},
    dropin::drop_in,
    engine::model::{Installation, Package, Places},
    exit,
    text::{ShellCommand, printable, printable_path},
};

/// The definitions of minuted's user, as a package or a person installs them.
const SYSUSERS: [&str; 2] = ["/usr/lib/sysusers.d/minuted.conf", "/etc/sysusers.d/minuted.conf"];

/// The directory of the drop-ins of the system service.
const DROP_INS: &str = "/etc/systemd/system/minuted.service.d";

/// The file of the folders among them.
const FOLDERS: &str = "/etc/systemd/system/minuted.service.d/folders.conf";

/// The credential with the password of the mail server, as the unit loads it.
const CREDENTIAL: &str = "/etc/credstore/minuted.smtp-password";

/// The name by which a configuration means that credential.
const CREDENTIAL_NAME: &str = "smtp-password";

/// A command that a person still has to type.
#[derive(Debug, PartialEq, Eq)]
struct RemainingCommand {
    purpose: &'static str,
    shown: String,
}

/// The machine on its way to being ready.
pub(super) struct Machine<'a> {
    setup: &'a InitSetup,
    questions: Questions,
    env: &'a Environment,
    remaining: Vec<RemainingCommand>,
    has_failed: bool,
}

impl<'a> Machine<'a> {
    pub(super) fn new(setup: &'a InitSetup, questions: Questions, env: &'a Environment) -> Self {
        Self { setup, questions, env, remaining: Vec::new(), has_failed: false }
    }

    /// Makes minuted's user on a server, from the definition that the package brings.
    pub(super) fn make_user(&mut self) -> Result<(), CommandFailure> {
        if self.setup.audience == Audience::Person || find_user(SERVICE_USER).is_some() {
            return Ok(());
        }
        let purpose = "make the user of the service";
        let step = MachineStep::new(["systemd-sysusers"]);
        if SYSUSERS.iter().any(|file| Path::new(file).exists()) {
            let question = "There is no user `minuted` yet. Make it?";
            return self.do_or_keep(question, purpose, &[step]);
        }
        print::message(
            "there is no user `minuted`: the package of minuted brings it, or \
             minuted.sysusers.conf in /etc/sysusers.d",
        );
        self.keep(purpose, &step);
        Ok(())
    }

    /// Prepares the machine, checks it, starts the service, and prints what remains.
    pub(super) fn prepare(
        mut self,
        folder: &NewFolder,
        no_engine: bool,
    ) -> Result<ExitCode, CommandFailure> {
        let settings = config::load(&self.setup.file)?;
        if self.setup.audience == Audience::Server {
            self.open_to_service(&settings, folder)?;
        }
        self.install_engine(&settings, no_engine)?;
        self.keep_secrets(&settings);
        if self.setup.existing.is_none() {
            self.keep_sign_in(&settings);
        }
        self.check(settings)?;
        match self.setup.audience {
            Audience::Person => self.keep_own_service(folder),
            Audience::Server => self.start_service(folder)?,
        }
        self.print_rest(folder)?;
        Ok(ExitCode::from(if self.has_failed { exit::FAILURE } else { exit::OK }))
    }

    /// Opens the directories and the sandbox to minuted's user.
    fn open_to_service(
        &mut self,
        settings: &Settings,
        folder: &NewFolder,
    ) -> Result<(), CommandFailure> {
        let person = self.env.sudo_uid.filter(|uid| *uid != 0 && folder.is_made);
        let mut steps = Vec::new();
        if !settings.state_dir.exists() {
            let own = ["install", "-d", "-m", "0700", "-o", SERVICE_USER, "-g", SERVICE_USER];
            steps.push(MachineStep::new(own).add_word(&settings.state_dir));
        }
        let directories = folder.directories.iter();
        steps.extend(directories.flat_map(|directory| open_directory(directory, person)));
        let text = drop_in(settings);
        // The unit reads one file; the folders of another are no business of its sandbox.
        let is_open =
            !self.is_of_unit() || std::fs::read_to_string(FOLDERS).is_ok_and(|found| found == text);
        if steps.is_empty() && is_open {
            return Ok(());
        }
        let purpose = "open the folder to the service";
        let question = "Open the folder to the user `minuted`, and its service to the folder?";
        let is_done = may_act() && self.questions.confirm(question)?;
        for step in &steps {
            if is_done {
                self.act(purpose, step);
            } else {
                self.keep(purpose, step);
            }
        }
        if !is_open {
            self.open_sandbox(purpose, &text, is_done);
        }
        if folder.is_made && person.is_none() {
            let step = MachineStep::new(["setfacl", "-R", "-m", "g:GROUP:rwX,d:g:GROUP:rwX"]);
            for directory in &folder.directories {
                let purpose = "let its people in: write their group in place of GROUP";
                self.keep(purpose, &step.clone().add_word(directory));
            }
        }
        Ok(())
    }

    /// Puts the drop-in in its place, or keeps the commands that do.
    fn open_sandbox(&mut self, purpose: &'static str, text: &str, is_done: bool) {
        let make = MachineStep::new(["install", "-d", DROP_INS]);
        let words = if is_plain_root(self.env) {
            "minuted systemd-drop-in | tee"
        } else {
            "minuted systemd-drop-in | sudo tee"
        };
        let print = ShellCommand::new(words).add_word(FOLDERS).to_string();
        if is_done {
            print::message(&format!("+ {}\n+ {print}", make.shown(self.env)));
            match place_drop_in(text) {
                Ok(()) => return,
                Err(error) => {
                    print::message(&format!("minuted: failed to write `{FOLDERS}`: {error}"));
                    self.has_failed = true;
                }
            }
        }
        self.keep(purpose, &make);
        self.remaining.push(RemainingCommand { purpose, shown: print });
    }

    /// Installs the model of the engine on this machine, where a service needs it and it is not
    /// there.
    fn install_engine(
        &mut self,
        settings: &Settings,
        no_engine: bool,
    ) -> Result<(), CommandFailure> {
        if !needs_engine(settings) || is_engine_installed(settings, self.env) {
            return Ok(());
        }
        let purpose = "download the model of the engine";
        let step = self.own_step(&["engine", "install"]);
        let may_act = self.setup.audience == Audience::Person || may_act();
        if no_engine || !may_act {
            self.keep(purpose, &step);
            return Ok(());
        }
        let question = "Download the model of the engine now? (56 MB, through pip)";
        if self.questions.confirm(question)? {
            self.act(purpose, &step);
        } else {
            self.keep(purpose, &step);
        }
        Ok(())
    }

    /// Keeps a command for each file with a secret that is not there yet.
    fn keep_secrets(&mut self, settings: &Settings) {
        let purpose = "write the secret into its file: type it, Enter, Ctrl-D";
        let smtp = settings.email.as_ref().and_then(|email| email.smtp.password_file.as_ref());
        let keys = settings.services.values().filter_map(|service| match &service.kind {
            Kind::Openai(openai) => openai.api_key_file.clone(),
            Kind::Ondevice(_)
            | Kind::Koldan(_)
            | Kind::Paxs(_)
            | Kind::Saled(_)
            | Kind::SourceTranscript => None,
        });
        for file in keys.chain(smtp.cloned()).collect::<Vec<_>>() {
            let beside = self.setup.file.with_file_name(CREDENTIAL_NAME);
            let step = match self.setup.audience {
                Audience::Person => MachineStep::new(["install", "-m", "0600"]),
                Audience::Server if file == beside => {
                    MachineStep::new(["install", "-D", "-m", "0600"])
                }
                Audience::Server => MachineStep::new(["install", "-m", "0640", "-g", SERVICE_USER]),
            };
            let is_credential = self.setup.audience == Audience::Server && file == beside;
            let place = if is_credential { PathBuf::from(CREDENTIAL) } else { file };
            if !place.exists() {
                let step = step.add_word("/dev/stdin").add_word(place);
                let shown = match self.setup.audience {
                    Audience::Person => step.shown_without_sudo(),
                    Audience::Server => step.shown(self.env),
                };
                self.remaining.push(RemainingCommand { purpose, shown });
            }
        }
    }

    fn keep_sign_in(&mut self, settings: &Settings) {
        if settings.services.values().any(|service| service.abilities().signs_in) {
            self.keep("sign in at the service", &self.own_step(&["login"]));
        }
    }

    /// Runs the checks, as the user for whom they count.
    fn check(&mut self, settings: Settings) -> Result<(), CommandFailure> {
        if self.setup.audience == Audience::Person {
            let (_, text) = config::load_with_text(&self.setup.file)?;
            let arguments = cli::Check { mail: None, output: cli::Output { json: false } };
            // Its findings are on the screen: what they ask for is part of what remains.
            build_runtime()?.block_on(check::run(Arc::new(settings), text, arguments))?;
            return Ok(());
        }
        let step = self.own_step(&["check"]);
        if may_act() && settings.state_dir.exists() {
            step.try_run(self.env);
        } else {
            self.keep("see whether everything works", &step);
        }
        Ok(())
    }

    /// Keeps the commands that start a person's own service.
    fn keep_own_service(&mut self, folder: &NewFolder) {
        let is_new = self.setup.existing.is_none();
        if !is_systemd_running() || !is_unit_installed("user", self.env) {
            let message = "no service of systemd is there for you: minuted works while this runs";
            self.keep(message, &self.own_step(&["run"]));
            return;
        }
        let purpose = "start minuted, now and whenever you log in";
        let user = MachineStep::new(["systemctl", "--user"]);
        let mut commands = vec![vec!["daemon-reload"], vec!["enable", "--now", "minuted"]];
        if !is_new && !folder.directories.is_empty() {
            commands.push(vec!["reload", "minuted"]);
        }
        for words in commands {
            let step = words.into_iter().fold(user.clone(), MachineStep::add_word);
            let shown = step.shown_without_sudo();
            self.remaining.push(RemainingCommand { purpose, shown });
        }
        let own = user_name(rustix::process::geteuid().as_raw());
        let own = own.filter(|name| !Path::new("/var/lib/systemd/linger").join(name).exists());
        if let Some(own) = own {
            let step = MachineStep::new(["loginctl", "enable-linger"]).add_word(own);
            self.keep("keep it running while you are logged out", &step);
        }
    }

    /// Starts the service of a server.
    fn start_service(&mut self, folder: &NewFolder) -> Result<(), CommandFailure> {
        let purpose = "start the service, now and at each start of the machine";
        let mut steps = vec![
            MachineStep::new(["systemctl", "daemon-reload"]),
            MachineStep::new(["systemctl", "enable", "--now", "minuted"]),
        ];
        // What the service sees of the machine is settled when it starts.
        if self.setup.existing.is_some() && !folder.directories.is_empty() {
            steps.push(MachineStep::new(["systemctl", "restart", "minuted"]));
        }
        let obstacle = if !self.is_of_unit() {
            Some("minuted.service reads another configuration: nothing is started")
        } else if !is_unit_installed("system", self.env) {
            Some("minuted.service is not installed: the package of minuted brings it")
        } else if !is_systemd_running() {
            Some("systemd does not run here: nothing is started")
        } else {
            None
        };
        if let Some(obstacle) = obstacle {
            print::message(obstacle);
            for step in &steps {
                self.keep(purpose, step);
            }
            return Ok(());
        }
        self.do_or_keep("Start the service now, and at each start of the machine?", purpose, &steps)
    }

    fn print_rest(&self, folder: &NewFolder) -> Result<(), CommandFailure> {
        if !self.remaining.is_empty() {
            print::line("\nwhat remains:")?;
        }
        let mut last = "";
        for RemainingCommand { purpose, shown } in &self.remaining {
            if *purpose != last {
                print::line(&format!("  # {purpose}"))?;
            }
            print::line(&printable(&format!("  {shown}")))?;
            last = purpose;
        }
        if let Some(directory) = folder.directories.first() {
            let path = printable_path(directory);
            print::line(&format!("\nthen put a recording into `{path}`: its notes follow"))?;
        }
        Ok(())
    }

    /// Does steps where this process may and the person wants it; keeps them otherwise.
    fn do_or_keep(
        &mut self,
        question: &str,
        purpose: &'static str,
        steps: &[MachineStep],
    ) -> Result<(), CommandFailure> {
        let is_root = rustix::process::geteuid().is_root();
        let is_wanted = is_root && self.questions.confirm(question)?;
        for step in steps {
            if is_wanted {
                self.act(purpose, step);
            } else {
                self.keep(purpose, step);
            }
        }
        Ok(())
    }

    fn act(&mut self, purpose: &'static str, step: &MachineStep) {
        if !step.run(self.env) {
            self.has_failed = true;
            self.keep(purpose, step);
        }
    }

    fn keep(&mut self, purpose: &'static str, step: &MachineStep) {
        self.remaining.push(RemainingCommand { purpose, shown: step.shown(self.env) });
    }

    /// Returns whether the unit of the system reads this configuration.
    fn is_of_unit(&self) -> bool {
        self.setup.file == config::system_file()
    }

    /// Returns a command of minuted, for the user whose minuted it is.
    fn own_step(&self, words: &[&str]) -> MachineStep {
        let mut step = MachineStep::new(["minuted"]);
        if !self.setup.is_usual_file(self.env) {
            step = step.add_word("--config").add_word(&self.setup.file);
        }
        let step = words.iter().fold(step, |step, word| step.add_word(*word));
        match self.setup.audience {
            Audience::Person => step,
            Audience::Server => step.of_service(),
        }
    }
}

/// Returns whether this process may act for minuted's user.
fn may_act() -> bool {
    rustix::process::geteuid().is_root() && find_user(SERVICE_USER).is_some()
}

fn place_drop_in(text: &str) -> io::Result<()> {
    make_config_directory(Path::new(DROP_INS), 0o755)?;
    let name = Path::new("folders.conf");
    let stamp = match Dir::open(Path::new(DROP_INS))?.open_file(name) {
        Ok(file) => Some(Stamp::of(&file)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    place_file(Path::new(FOLDERS), text, FileAccess { mode: 0o644, owner: None }, stamp)
}

/// Returns whether a service listens with minuted's own model.
fn needs_engine(settings: &Settings) -> bool {
    settings.services.values().any(|service| {
        matches!(&service.kind, Kind::Ondevice(engine)
            if !matches!(engine.recogniser, Recogniser::Whisper { .. }))
    })
}

fn is_engine_installed(settings: &Settings, env: &Environment) -> bool {
    let Ok(package) = Package::here() else { return false };
    let places = Places::of(Some(settings), env);
    places.target(package).is_ok_and(|dir| Installation::inspect(package, &dir).is_usable(package))
}

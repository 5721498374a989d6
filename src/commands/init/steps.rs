//! What a configuration needs beside itself: commands for the machine, which are shown, and run
//! where that is possible and wanted.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use super::setup::SERVICE_USER;
use crate::{
    access::{self, acl_entries},
    commands::print,
    config::Environment,
    text::ShellCommand,
};

/// A command for the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MachineStep {
    words: Vec<OsString>,
    /// It runs as minuted's user.
    is_of_service: bool,
}

impl MachineStep {
    /// Returns a command of root.
    pub(super) fn new<const N: usize>(words: [&str; N]) -> Self {
        Self { words: words.map(OsString::from).to_vec(), is_of_service: false }
    }

    /// Adds a word.
    pub(super) fn add_word(mut self, word: impl AsRef<OsStr>) -> Self {
        self.words.push(word.as_ref().to_owned());
        self
    }

    /// Makes it a command of minuted's user.
    pub(super) fn of_service(self) -> Self {
        Self { is_of_service: true, ..self }
    }

    /// Returns the command as the person who runs this types it.
    pub(super) fn shown(&self, env: &Environment) -> String {
        let is_own = self.words.first().is_some_and(|word| word == "minuted");
        let start = match (self.is_of_service, is_plain_root(env)) {
            // Where root types, there need not be a sudo.
            (true, true) => ShellCommand::new("runuser -u").add_word(SERVICE_USER).add_words("--"),
            (true, false) => ShellCommand::new("sudo -u").add_word(SERVICE_USER),
            (false, false) if !is_own => ShellCommand::new("sudo"),
            (false, _) => ShellCommand::new(""),
        };
        self.words.iter().fold(start, ShellCommand::add_word).into()
    }

    /// Returns the command as a person types it who needs no rights for it.
    pub(super) fn shown_without_sudo(&self) -> String {
        self.words.iter().fold(ShellCommand::new(""), ShellCommand::add_word).into()
    }

    /// Shows the command and runs it. Returns whether it did what it should; a failure is told.
    pub(super) fn run(&self, env: &Environment) -> bool {
        let shown = self.shown(env);
        print::message(&format!("+ {shown}"));
        match self.status() {
            Ok(status) if status.success() => true,
            Ok(status) => {
                print::message(&format!("minuted: `{shown}` failed: {status}"));
                false
            }
            Err(error) => {
                print::message(&format!("minuted: failed to run `{shown}`: {error}"));
                false
            }
        }
    }

    /// Shows the command and runs it, whatever it comes to: it says that itself.
    pub(super) fn try_run(&self, env: &Environment) {
        print::message(&format!("+ {}", self.shown(env)));
        if let Err(error) = self.status() {
            print::message(&format!("minuted: it did not run: {error}"));
        }
    }

    fn status(&self) -> io::Result<ExitStatus> {
        let (program, arguments) = self.words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = match std::env::current_exe() {
            Ok(own) if program == "minuted" => Command::new(own),
            Ok(_) | Err(_) => Command::new(program),
        };
        command.args(arguments).stdin(Stdio::null());
        if self.is_of_service {
            become_service(&mut command)?;
        }
        command.status()
    }
}

/// Has a command run as minuted's user, who has nothing of the person who typed.
fn become_service(command: &mut Command) -> io::Result<()> {
    let (uid, gid) = access::find_user(SERVICE_USER)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no user `minuted`"))?;
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "SUDO_UID"] {
        command.env_remove(name);
    }
    command.uid(uid).gid(gid).current_dir("/").env("HOME", "/var/lib/minuted");
    Ok(())
}

/// Returns the commands that let minuted's user, and perhaps a person, read and write in a
/// directory: what above it lets nobody pass is opened first.
pub(super) fn open_directory(dir: &Path, person: Option<u32>) -> Vec<MachineStep> {
    let closed = dir.ancestors().skip(1).filter(|parent| !may_anybody_pass(parent));
    let mut above: Vec<&Path> = closed.collect();
    above.reverse();
    let pass = format!("u:{SERVICE_USER}:x");
    let mut steps: Vec<MachineStep> = above
        .into_iter()
        .map(|parent| MachineStep::new(["setfacl", "-m"]).add_word(&pass).add_word(parent))
        .collect();
    let person = person.map(|uid| access::user_name(uid).unwrap_or_else(|| uid.to_string()));
    let users = std::iter::once(SERVICE_USER).chain(person.as_deref());
    let entries: Vec<String> = users.map(acl_entries).collect();
    let step = MachineStep::new(["setfacl", "-R", "-m"]).add_word(entries.join(","));
    steps.push(step.add_word(dir));
    steps
}

fn may_anybody_pass(dir: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    dir.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o001 != 0)
}

/// Returns whether root types, and not a person by sudo.
pub(super) fn is_plain_root(env: &Environment) -> bool {
    rustix::process::geteuid().is_root() && env.sudo_uid.is_none()
}

/// Returns whether systemd runs this machine (`sd_booted(3)`).
pub(super) fn is_systemd_running() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

/// Returns whether a unit of minuted lies in one of the directories of systemd.
pub(super) fn is_unit_installed(kind: &str, env: &Environment) -> bool {
    let own = env.home.as_ref().map(|home| home.join(".config/systemd"));
    let places = ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd"];
    let places = places.iter().map(|place| Path::new(place).to_owned()).chain(own);
    places.into_iter().any(|place| place.join(kind).join("minuted.service").exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_shown_as_a_shell_takes_it() {
        let env = Environment { sudo_uid: Some(1000), ..Environment::default() };
        let steps = [
            MachineStep::new(["systemctl", "enable", "--now", "minuted"]),
            MachineStep::new(["setfacl", "-m"]).add_word("u:minuted:x").add_word("/srv/a's b"),
            MachineStep::new(["minuted", "engine", "install"]).of_service(),
        ];
        let shown = steps.map(|step| step.shown(&env)).join("\n");
        insta::assert_snapshot!(shown, @r"
        sudo systemctl enable --now minuted
        sudo setfacl -m u:minuted:x '/srv/a'\''s b'
        sudo -u minuted minuted engine install
        ");
    }

    #[test]
    fn a_command_that_fails_is_no_success() {
        let env = Environment::default();
        assert!(MachineStep::new(["true"]).run(&env));
        assert!(!MachineStep::new(["false"]).run(&env));
        assert!(!MachineStep::new(["no-such-program-here"]).run(&env));
    }
}

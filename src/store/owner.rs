//! The owner of the state directory: a user's name, and the command that acts as that user.

use std::{
    ffi::OsString,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::Path,
};

use crate::{access, config, text::ShellCommand};

/// Returns the name of a user, as `sudo -u` takes it: `#1000` where the table of users has none.
#[must_use]
pub fn user_name(uid: u32) -> String {
    access::user_name(uid).unwrap_or_else(|| format!("#{uid}"))
}

/// Returns this process's own command as it is typed to act as that user, its configuration named:
/// the other user may have another one.
#[must_use]
pub(crate) fn as_user(uid: u32) -> String {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let located = config::locate(None).ok();
    command(&user_name(uid), &typed, located.as_deref())
}

/// Returns the start of a command line that acts as that user: `sudo -u minuted`.
pub(crate) fn sudo(uid: u32) -> ShellCommand {
    ShellCommand::new("sudo -u").add_word(user_name(uid))
}

/// Returns the owner of a path, where it may be looked at.
#[must_use]
pub(crate) fn owner_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|metadata| metadata.uid())
}

fn command(user: &str, typed: &[OsString], located: Option<&Path>) -> String {
    let mut words = typed.iter();
    let command = ShellCommand::new("sudo -u").add_word(user);
    let mut command = match words.next() {
        Some(program) => command.add_word(program),
        None => command.add_words("minuted"),
    };
    let is_named =
        |word: &OsString| word == "--config" || word.as_bytes().starts_with(b"--config=");
    if let Some(file) = located.filter(|_| !typed.iter().any(is_named)) {
        command = command.add_words("--config").add_word(file);
    }
    words.fold(command, ShellCommand::add_word).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_can_be_typed_as_it_is_shown() {
        let typed = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let system = Path::new("/etc/minuted/config.toml");
        let shown = [
            command("minuted", &typed(&["minuted", "status"]), Some(system)),
            command(
                "minuted",
                &typed(&["minuted", "--config", "it's here.toml", "why", "a b.wav"]),
                Some(system),
            ),
            command("#1000", &typed(&["./minuted", "--config=x.toml", "run"]), None),
        ];
        insta::assert_snapshot!(shown.join("\n"), @r"
        sudo -u minuted minuted --config /etc/minuted/config.toml status
        sudo -u minuted minuted --config 'it'\''s here.toml' why 'a b.wav'
        sudo -u '#1000' ./minuted --config=x.toml run
        ");
    }
}

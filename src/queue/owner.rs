//! Whose state directory it is: a user's name, and the command that acts as that user.

use std::{ffi::OsString, os::unix::fs::MetadataExt as _, path::Path};

use crate::{access, config};

/// Returns the name of a user, as `sudo -u` takes it: `#1000` where the table of users has none.
#[must_use]
pub fn user_name(uid: u32) -> String {
    access::user_name(uid).unwrap_or_else(|| format!("#{uid}"))
}

/// Returns this process's own command as it is typed to act as that user, its configuration named: the other user may
/// have another one.
#[must_use]
pub fn as_user(uid: u32) -> String {
    let typed: Vec<OsString> = std::env::args_os().collect();
    let located = config::locate(None).ok();
    command(&user_name(uid), &typed, located.as_deref())
}

/// Returns the start of a command line that acts as that user: `sudo -u minuted`.
#[must_use]
pub fn sudo(uid: u32) -> String {
    format!("sudo -u {}", quoted(&user_name(uid)))
}

/// Returns the owner of a path, where it may be looked at.
#[must_use]
pub fn owner_of(path: &Path) -> Option<u32> {
    std::fs::metadata(path).ok().map(|metadata| metadata.uid())
}

fn command(user: &str, typed: &[OsString], located: Option<&Path>) -> String {
    let mut typed = typed.iter().map(|word| quoted(&word.to_string_lossy()));
    let program = typed.next().unwrap_or_else(|| "minuted".to_owned());
    let words: Vec<String> = typed.collect();
    let named = words.iter().any(|word| word == "--config" || word.starts_with("--config="));
    let config = located.filter(|_| !named).map(|file| ["--config".into(), quoted(&file.to_string_lossy())]);
    let start = ["sudo".to_owned(), "-u".into(), quoted(user), program];
    start.into_iter().chain(config.into_iter().flatten()).chain(words).collect::<Vec<_>>().join(" ")
}

/// Returns a word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-./:=@%+,".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
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
            command("minuted", &typed(&["minuted", "--config", "it's here.toml", "why", "a b.wav"]), Some(system)),
            command("#1000", &typed(&["./minuted", "--config=x.toml", "run"]), None),
        ];
        insta::assert_snapshot!(shown.join("\n"), @r"
        sudo -u minuted minuted --config /etc/minuted/config.toml status
        sudo -u minuted minuted --config 'it'\''s here.toml' why 'a b.wav'
        sudo -u '#1000' ./minuted --config=x.toml run
        ");
    }
}

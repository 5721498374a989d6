//! Commands that a person is told to type. Their words may come from anywhere: a shell must take each as one word.

use std::{
    ffi::OsStr,
    fmt::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::Path,
};

/// A command for a person to type, every word of which a shell takes as it is meant.
///
/// No other way puts something that is not known beforehand into a command: a test searches the
/// source for commands that are put together in another way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct ShellCommand(String);

impl ShellCommand {
    /// Begins a command with words that are known beforehand and are typed as they stand.
    pub fn new(words: &'static str) -> Self {
        Self(words.to_owned())
    }

    /// Adds a word, quoted where a shell would take it for something else.
    pub fn add_word(mut self, word: impl AsRef<OsStr>) -> Self {
        self.add_space();
        self.0.push_str(&shell_word(word.as_ref()));
        self
    }

    /// Adds a path, always in quotes; one that begins with a dash is not taken for an option.
    pub fn add_path(mut self, path: &Path) -> Self {
        self.add_space();
        let bytes = path.as_os_str().as_bytes();
        let named = if bytes.starts_with(b"-") { [b"./", bytes].concat() } else { bytes.to_vec() };
        self.0.push_str(&quote_word(OsStr::from_bytes(&named)));
        self
    }

    /// Adds words that are known beforehand.
    pub fn add_words(mut self, words: &'static str) -> Self {
        self.add_space();
        self.0.push_str(words);
        self
    }

    fn add_space(&mut self) {
        if !self.0.is_empty() {
            self.0.push(' ');
        }
    }
}

impl fmt::Display for ShellCommand {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl From<ShellCommand> for String {
    fn from(command: ShellCommand) -> Self {
        command.0
    }
}

/// Returns a word as a shell takes it: bare where nothing in it means anything to a shell.
fn shell_word(word: &OsStr) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(byte);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|byte| is_plain(&byte)) => {
            text.to_owned()
        }
        Some(_) | None => quote_word(word),
    }
}

/// Returns a word in quotes.
///
/// A backslash and an exclamation mark stand outside the quotes, each behind a backslash: fish takes a backslash in
/// quotes for an escape, and csh expands the mark there. Where the word holds what cannot be shown (a line end, an
/// escape, a byte that is not UTF-8), it is written as `$'…'` with octal numbers, which bash, zsh, ksh and newer `sh`
/// understand; an older `sh` takes it for another name, and fish and csh refuse it: nothing in it is run.
fn quote_word(word: &OsStr) -> String {
    let bytes = word.as_bytes();
    match word.to_str() {
        Some(text) if !text.chars().any(super::is_unprintable) => {
            let mut shown = String::with_capacity(text.len() + 2);
            shown.push('\'');
            for character in text.chars() {
                match character {
                    '\'' | '\\' | '!' => {
                        write!(shown, r"'\{character}'").expect("a String takes what is written");
                    }
                    other => shown.push(other),
                }
            }
            shown.push('\'');
            shown
        }
        Some(_) | None => {
            let mut shown = String::from("$'");
            for byte in bytes {
                if byte.is_ascii_graphic() && !b"'\\!".contains(byte) || *byte == b' ' {
                    shown.push(char::from(*byte));
                } else {
                    write!(shown, r"\{byte:03o}").expect("a String takes what is written");
                }
            }
            shown.push('\'');
            shown
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Texts that may mislead a shell.
    const RUDE: [&[u8]; 22] = [
        b"",
        b" ",
        b"a b",
        b"'",
        b"''",
        b"a';touch pwn;'$(id)`id`.wav",
        b"a\\';touch pwn;'",
        b"\\",
        b"a\\",
        b"\"$(touch pwn)\"",
        b"`touch pwn`",
        b"a\nb; touch pwn",
        b"a'\ntouch pwn\n'",
        b"\x1b]0;x\x07",
        b"!!",
        b"a!b'!",
        b"*?[a]{b,c}~",
        b"$HOME",
        b"&|;<>()#",
        b"\xff'\xfe",
        "t\u{202e}vaw.\u{200b}'x".as_bytes(),
        "Größe 会議 🎉".as_bytes(),
    ];

    /// Returns the words that a shell makes of a command's.
    fn parsed(shell: &str, words: &str) -> Vec<Vec<u8>> {
        let script = format!("set -- {words}\nprintf '%s\\0' \"$@\"");
        let output =
            Command::new(shell).arg("-c").arg(script).current_dir("/").output().expect("a shell");
        assert!(output.status.success(), "{words}: {output:?}");
        let mut found: Vec<_> =
            output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
        found.pop();
        found
    }

    #[test]
    fn a_shell_takes_each_word_as_it_was_meant() {
        for rude in RUDE {
            let name = OsStr::from_bytes(rude);
            let command = ShellCommand::new("minuted why")
                .add_path(Path::new(name))
                .add_words("--folder")
                .add_word(name);
            let expected: [&[u8]; 5] = [b"minuted", b"why", rude, b"--folder", rude];
            assert_eq!(parsed("bash", &command.to_string()), expected, "{command}");
            // A shell without `$'…'` names another file, and still runs nothing.
            let words = parsed("sh", &command.to_string());
            assert_eq!((words.len(), &words[3][..]), (5, &b"--folder"[..]), "{command}");
            assert!(!command.to_string().chars().any(super::super::is_unprintable), "{command}");
        }
    }

    #[test]
    fn a_path_is_no_option() {
        assert_eq!(
            ShellCommand::new("touch").add_path(Path::new("-rf")).to_string(),
            "touch './-rf'"
        );
    }

    #[test]
    fn quotes_stand_where_they_are_needed() {
        let shown = [
            ShellCommand::new("minuted login").add_word("paxs"),
            ShellCommand::new("minuted login").add_word("Ann's"),
            ShellCommand::new("minuted why").add_path(Path::new("/srv/a b.wav")),
            ShellCommand::new("minuted why").add_path(Path::new("/srv/what?!\\.wav")),
            ShellCommand::new("minuted why").add_path(Path::new("/srv/it's\n.wav")),
        ];
        insta::assert_snapshot!(shown.map(String::from).join("\n"), @r"
        minuted login paxs
        minuted login 'Ann'\''s'
        minuted why '/srv/a b.wav'
        minuted why '/srv/what?'\!''\\'.wav'
        minuted why $'/srv/it\047s\012.wav'
        ");
    }
}

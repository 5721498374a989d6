//! Errors of finding and reading the configuration.

use std::{borrow::Cow, io, path::PathBuf};

use super::{diagnostic::DiagnosticReport, locate::system_file};
use crate::{
    hint::with_hint,
    text::{ShellCommand, printable_path},
};

/// Bytes of a config file. A thousand folders with ten attendees each take a quarter of it.
pub(super) const FILE_BYTES_MAX: u64 = 1 << 20;

/// Error of finding or reading the configuration, by what a person does next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// No file was named, and none lies in the usual places.
    #[error("no configuration; looked for {}", list_places(places))]
    NotFound {
        /// The places that were searched, in this order.
        places: Vec<PathBuf>,
    },
    /// The file that was named is not there.
    #[error("no configuration at `{}`", printable_path(file))]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// The file is there, and cannot be read.
    #[error("failed to read the configuration `{}`", printable_path(file))]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is not text.
    #[error("the configuration `{}` is not UTF-8: see line {line}", printable_path(file))]
    NotUtf8 {
        /// The file.
        file: PathBuf,
        /// The first line that is not, counted from 1.
        line: usize,
    },
    /// The file is no config file by its size.
    #[error("the configuration `{}` is larger than {} KiB", printable_path(file), FILE_BYTES_MAX / 1_024)]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// The file has mistakes.
    #[error("{}", report.render(false))]
    Invalid {
        /// All of them.
        report: DiagnosticReport,
    },
}

impl ConfigError {
    /// Returns what to do about it, where the message does not say so itself.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<Cow<'static, str>> {
        match self {
            Self::NotFound { .. } => Some(
                "run `minuted init`, on a server `sudo minuted init`, or name a file with --config FILE"
                    .into(),
            ),
            // The unit of the system names this file itself.
            Self::Missing { file } if file == system_file() => Some(
                "run `sudo minuted init`, or name another file with --config FILE".into(),
            ),
            Self::Missing { file } => {
                let command = ShellCommand::new("minuted --config").add_word(file);
                let command = command.add_words("init");
                Some(format!("run `{command}`, or name another file with --config FILE").into())
            }
            Self::NotUtf8 { .. } => Some("save it as UTF-8".into()),
            Self::TooLarge { .. } => Some("is this the right file?".into()),
            Self::Unreadable { file, .. } if file == system_file() => Some(
                "run it as the user of the service: put `sudo -u minuted` before it, or name another \
                 file with --config FILE"
                    .into(),
            ),
            Self::Unreadable { .. } => Some(
                "let the user that runs minuted read it (chmod, chgrp or setfacl), or name another \
                 file with --config FILE"
                    .into(),
            ),
            Self::Invalid { .. } => None,
        }
    }

    /// Returns everything a person needs: the message, its cause and the hint, or all mistakes of
    /// the file.
    #[must_use]
    pub(crate) fn render(&self, colour: bool) -> String {
        if let Self::Invalid { report } = self {
            return report.render(colour);
        }
        with_hint(&self.message(), self.hint().as_deref())
    }

    /// Returns the message, its cause and the hint on one line, for the log.
    pub(crate) fn render_line(&self) -> String {
        let message = self.message();
        self.hint().map_or_else(|| message.clone(), |hint| format!("{message}; {hint}"))
    }

    /// Returns the message with its cause.
    fn message(&self) -> String {
        match std::error::Error::source(self) {
            Some(cause) => format!("{self}: {cause}"),
            None => self.to_string(),
        }
    }
}

fn list_places(places: &[PathBuf]) -> String {
    places.iter().map(|place| format!("`{}`", printable_path(place))).collect::<Vec<_>>().join(", ")
}

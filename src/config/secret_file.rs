//! Secrets that lie in files of their own: where, and how they are read.

use std::{
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use crate::{
    beneath::open_configured,
    text::{ShellCommand, printable_path},
};

/// No password and no key is longer; more is not read.
const SECRET_BYTES_MAX: u64 = 4096;

/// A secret that was read from a file.
pub(crate) type Secret = SecretString;

/// Error of reading a secret from its file.
#[derive(Debug, thiserror::Error)]
pub enum SecretFileError {
    /// The file is not there, or minuted may not read it.
    #[error("`{file}` cannot be read: {error}")]
    Unreadable {
        /// The file, printable.
        file: String,
        /// The error of the system.
        error: io::Error,
    },
    /// Every account on this machine may read the file.
    #[error("`{}` is open to everyone; run `{}`", printable_path(.0), ShellCommand::new("chmod o=").add_word(.0))]
    Open(PathBuf),
}

/// Reads a secret: the whole file, less the line end that an editor leaves.
///
/// # Errors
/// When it cannot be read, or everyone else can.
pub fn read_secret(path: &Path) -> Result<SecretString, SecretFileError> {
    let unreadable = |error| SecretFileError::Unreadable { file: printable_path(path), error };
    let file = open_configured(path).map_err(unreadable)?;
    let mode = file.metadata().map_err(unreadable)?.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(SecretFileError::Open(path.to_owned()));
    }
    let mut text = String::new();
    file.take(SECRET_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned().into())
}

//! Who may use the API: programs that send its token.
//!
//! The token stands in a file that only the owner of the state directory can read. It is read anew for each request, so
//! that another one, or none, holds at once.

use std::{io, path::Path};

use super::secret_file::{SecretFile, as_text};

/// The token of the API.
#[derive(Debug)]
pub(crate) struct ApiAccess {
    token: SecretFile,
}

impl ApiAccess {
    /// Returns the access to the API of this state directory. Nothing is written before it is needed.
    #[must_use]
    pub(crate) fn new(state_dir: &Path) -> Self {
        let cure = "minuted page --api-token --new-token";
        Self { token: SecretFile::new(state_dir, "api.token", cure) }
    }

    /// Returns the token, which is made where there is none.
    pub(super) fn read_or_make_token(&self) -> io::Result<String> {
        self.token.read_or_make().map(|token| as_text(&token))
    }

    /// Makes another token, which ends the earlier one.
    pub(super) fn make_token(&self) -> io::Result<String> {
        self.token.make().map(|token| as_text(&token))
    }

    /// Returns whether this is the token. Where there is none, nothing is.
    pub(crate) fn is_token(&self, given: &str) -> io::Result<bool> {
        match self.token.read() {
            // The comparison of hashes takes as long for any two of them.
            Ok(token) => {
                Ok(blake3::hash(as_text(&token).as_bytes()) == blake3::hash(given.as_bytes()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn only_the_token_of_the_file_is_good_and_another_one_ends_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let access = ApiAccess::new(dir.path());
        assert!(!access.is_token("").expect("read"), "without a file nothing is a token");
        let token = access.read_or_make_token().expect("written");
        assert_eq!(access.read_or_make_token().expect("read"), token);
        let file = dir.path().join("api.token");
        assert_eq!(file.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
        assert!(access.is_token(&token).expect("read"));
        for wrong in ["", "x", &token[1..], &format!("{token}\n"), &token.to_lowercase()] {
            assert!(!access.is_token(wrong).expect("read"), "{wrong:?}");
        }
        let other = access.make_token().expect("written");
        assert!(access.is_token(&other).expect("read") && !access.is_token(&token).expect("read"));
        std::fs::write(&file, "short").expect("written");
        let error = access.is_token(&other).expect_err("broken");
        assert!(error.to_string().contains("minuted page --api-token --new-token"), "{error}");
        std::fs::remove_file(&file).expect("removed");
        assert!(!access.is_token(&other).expect("read"));
    }
}

//! The sign-in on disk: one file a service, readable by its owner alone, bound to one origin,
//! replaced as a whole.
//!
//! A rotating refresh token exists only once. So the new pair is on disk before it is used, under a
//! lock that other processes honour, and a refused pair is struck out there, so that it is never
//! tried again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::{drafts, effect::Effect, text};

/// Bytes of the largest token file: a real one has a few KiB.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Bytes that must fit on the disk before a refresh token is used: more than any pair of tokens
/// takes.
const REHEARSAL_BYTES: usize = 16 * 1024;

/// The beginning of a draft's name.
const DRAFT: &str = ".tokens-";

/// Lifetime of a refresh token: 30 days, by PAXS's documents.
pub(super) const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// An access token and a refresh token, obtained together.
#[derive(Debug, Clone)]
pub(super) struct TokenPair {
    /// Proves who calls.
    pub(super) access: SecretString,
    /// Is exchanged for the next pair, once.
    pub(super) refresh: SecretString,
    /// The time of the sign-in.
    pub(super) since: Timestamp,
    /// The time at which this pair was obtained.
    pub(super) obtained: Timestamp,
    /// The end of the access token.
    pub(super) expires: Timestamp,
}

impl TokenPair {
    /// Returns when the refresh token ends, if it is not used before.
    pub(super) fn refresh_expires(&self) -> Timestamp {
        self.obtained.saturating_add(REFRESH_LIFETIME).unwrap_or(Timestamp::MAX)
    }

    /// Returns whether both hold the same access token.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.access.expose_secret() == other.access.expose_secret()
    }
}

/// The contents of the token file.
#[derive(Debug, Clone)]
pub(super) enum SavedSignIn {
    /// A pair of tokens.
    Pair(TokenPair),
    /// No sign-in, with the reason.
    SignedOut(String),
}

/// A token file that cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// Others may read the file, so the tokens may be known to anyone.
    #[error(
        "`{}` can be read by others: run `{}`, and sign in again if others use this machine",
        text::printable_path(path),
        text::ShellCommand::new("chmod 600").add_word(path)
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// Everyone may put files into the state directory.
    #[error(
        "everyone can write to the state directory `{}`: run `{}`",
        text::printable_path(path),
        text::ShellCommand::new("chmod o-rwx").add_word(path)
    )]
    OpenDirectory {
        /// The directory.
        path: PathBuf,
    },
    /// The file is not what minuted writes.
    #[error("`{path}` is not a token file: {reason}", path = text::printable_path(path))]
    Broken {
        /// The file.
        path: PathBuf,
        /// The fault.
        reason: String,
    },
    /// Another process has held the lock for longer than a refresh takes.
    #[error("another minuted is refreshing the sign-in")]
    Busy,
    /// The work on the file ended early: the process is going down.
    #[error("the work on the token file was interrupted")]
    Interrupted,
    /// An error of the file system.
    #[error("failed to {act} `{path}`: {source}", path = text::printable_path(path))]
    Io {
        /// The failed operation.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// The file as JSON.
#[derive(Serialize, Deserialize)]
struct TokenRecord {
    origin: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pair: Option<RecordedPair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct RecordedPair {
    access_token: String,
    refresh_token: String,
    since: Timestamp,
    obtained: Timestamp,
    expires: Timestamp,
}

/// The store of one service's tokens.
#[derive(Debug, Clone)]
pub(super) struct TokenStore {
    dir: PathBuf,
    file: PathBuf,
    lock: PathBuf,
    origin: String,
}

impl TokenStore {
    /// Returns the store of the service `name` in the state directory. Tokens that are bound to
    /// another origin than `origin` are not used.
    pub(super) fn new(state_dir: &Path, name: &str, origin: String) -> Self {
        Self {
            dir: state_dir.to_owned(),
            file: state_dir.join(format!("tokens-{name}.json")),
            lock: state_dir.join(format!("tokens-{name}.lock")),
            origin,
        }
    }

    /// Reads the stored sign-in.
    pub(super) fn load_sign_in(&self) -> Result<SavedSignIn, TokenError> {
        let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(SavedSignIn::SignedOut("nobody has signed in".into()));
            }
            Err(source) => return Err(self.io_error("open", source)),
        };
        let metadata = file.metadata().map_err(|source| self.io_error("look at", source))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Exposed { path: self.file.clone() });
        }
        // A file of another user would send recordings to that user's account.
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(TokenError::Broken {
                path: self.file.clone(),
                reason: "it belongs to another user".into(),
            });
        }
        let mut json = Vec::new();
        file.take(FILE_BYTES_MAX)
            .read_to_end(&mut json)
            .map_err(|source| self.io_error("read", source))?;
        // serde's own message would quote the file, which is a secret.
        let record: TokenRecord =
            serde_json::from_slice(&json).map_err(|error| TokenError::Broken {
                path: self.file.clone(),
                reason: format!("line {}, column {}", error.line(), error.column()),
            })?;
        Ok(self.read_record(record))
    }

    fn read_record(&self, record: TokenRecord) -> SavedSignIn {
        if record.origin != self.origin {
            let other = text::one_line(&record.origin, 200);
            return SavedSignIn::SignedOut(format!(
                "tokens are bound to `{other}`, base_url is now at `{}`",
                self.origin
            ));
        }
        match (record.pair, record.refused) {
            (Some(pair), None) => SavedSignIn::Pair(TokenPair {
                access: pair.access_token.into(),
                refresh: pair.refresh_token.into(),
                since: pair.since,
                obtained: pair.obtained,
                expires: pair.expires,
            }),
            (_, Some(failure_reason)) => {
                SavedSignIn::SignedOut(text::one_line(&failure_reason, 300))
            }
            (None, None) => SavedSignIn::SignedOut("nobody has signed in".into()),
        }
    }

    /// Saves a pair; it is durable when this returns.
    pub(super) fn save_pair(&self, pair: &TokenPair) -> Result<(), TokenError> {
        let recorded = RecordedPair {
            access_token: pair.access.expose_secret().to_owned(),
            refresh_token: pair.refresh.expose_secret().to_owned(),
            since: pair.since,
            obtained: pair.obtained,
            expires: pair.expires,
        };
        let draft = self.draft_record(&TokenRecord {
            origin: self.origin.clone(),
            pair: Some(recorded),
            refused: None,
        })?;
        self.put_in_place(Effect::SaveTokens, draft)
    }

    /// Strikes the sign-in out, with the reason.
    pub(super) fn strike_out(&self, reason: &str) -> Result<(), TokenError> {
        let refused = Some(reason.to_owned());
        let draft =
            self.draft_record(&TokenRecord { origin: self.origin.clone(), pair: None, refused })?;
        self.put_in_place(Effect::StrikeOut, draft)
    }

    /// Checks that a pair can be saved, before a refresh token is used: the directory is not open
    /// to everyone, and there is room.
    pub(super) fn rehearse_save(&self) -> Result<(), TokenError> {
        self.check_dir()?;
        self.write_draft(&[b' '; REHEARSAL_BYTES]).map(drop)
    }

    /// Removes the file; returns whether there was one.
    pub(super) fn remove_file(&self) -> Result<bool, TokenError> {
        self.remove_drafts();
        Effect::ForgetTokens.during(|| match fs::remove_file(&self.file) {
            Ok(()) => self.sync_dir().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(self.io_error("remove", source)),
        })
    }

    /// Takes the lock between processes, if it is free. It is held until the file is dropped.
    pub(super) fn try_lock(&self) -> Result<Option<File>, TokenError> {
        let io = |source| TokenError::Io { act: "lock", path: self.lock.clone(), source };
        let lock = OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.lock)
            .map_err(io)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(lock)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(io(error.into())),
        }
    }

    fn draft_record(&self, record: &TokenRecord) -> Result<tempfile::NamedTempFile, TokenError> {
        self.check_dir()?;
        let json = serde_json::to_vec_pretty(record).expect("a record of texts and times is JSON");
        self.write_draft(&json)
    }

    /// Puts a draft in the file's place, durably.
    fn put_in_place(
        &self,
        effect: Effect,
        draft: tempfile::NamedTempFile,
    ) -> Result<(), TokenError> {
        effect.during(|| {
            draft.persist(&self.file).map_err(|error| self.io_error("replace", error.error))?;
            self.sync_dir()
        })
    }

    /// Writes a durable draft. It is removed when dropped, and locked until then.
    fn write_draft(&self, bytes: &[u8]) -> Result<tempfile::NamedTempFile, TokenError> {
        self.remove_drafts();
        let mut draft = drafts::create_draft(&self.dir, DRAFT)
            .map_err(|source| self.io_error("write beside", source))?;
        draft
            .write_all(bytes)
            .and_then(|()| draft.as_file().sync_all())
            .map_err(|source| self.io_error("write", source))?;
        Ok(draft)
    }

    /// Removes drafts that a crash has left, because they hold tokens. A failure to do so stops
    /// nothing else.
    fn remove_drafts(&self) {
        let removed = drafts::list_abandoned(&self.dir, DRAFT).and_then(|names| {
            names.iter().try_for_each(|name| fs::remove_file(self.dir.join(name)))
        });
        if let Err(error) = removed {
            tracing::debug!(%error, "failed to remove a draft of tokens that a crash has left");
        }
    }

    fn check_dir(&self) -> Result<(), TokenError> {
        let mode = fs::metadata(&self.dir)
            .map_err(|source| self.io_error("look beside", source))?
            .permissions()
            .mode();
        if mode & 0o002 == 0 {
            Ok(())
        } else {
            Err(TokenError::OpenDirectory { path: self.dir.clone() })
        }
    }

    fn sync_dir(&self) -> Result<(), TokenError> {
        File::open(&self.dir)
            .and_then(|dir| dir.sync_all())
            .map_err(|source| self.io_error("sync beside", source))
    }

    fn io_error(&self, act: &'static str, source: io::Error) -> TokenError {
        TokenError::Io { act, path: self.file.clone(), source }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    fn store() -> (tempfile::TempDir, TokenStore) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = TokenStore::new(dir.path(), "paxs", "https://a.example".into());
        (dir, store)
    }

    fn pair() -> TokenPair {
        let now = crate::clock::now();
        TokenPair {
            access: "a-secret".into(),
            refresh: "r-secret".into(),
            since: now,
            obtained: now,
            expires: now,
        }
    }

    #[test]
    fn a_pair_reads_back_and_only_its_owner_can_read_it() {
        let (dir, store) = store();
        store.save_pair(&pair()).expect("saved");
        assert!(
            matches!(store.load_sign_in(), Ok(SavedSignIn::Pair(saved)) if saved.is_same(&pair()))
        );
        let file = dir.path().join("tokens-paxs.json");
        assert_eq!(fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).expect("listed").count(), 1, "no draft is left behind");
    }

    proptest::proptest! {
        #![proptest_config(crate::budget::cases(24))]

        #[test]
        fn a_file_that_was_cut_or_spoilt_is_a_sign_in_as_it_was_or_none_and_is_not_quoted(
            at in proptest::prelude::any::<proptest::sample::Index>(), byte in 0_u8..=255, cut in proptest::bool::ANY,
        ) {
            let (dir, store) = store();
            store.save_pair(&pair()).expect("saved");
            let file = dir.path().join("tokens-paxs.json");
            let mut bytes = fs::read(&file).expect("read");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(if cut { at } else { bytes.len() });
            fs::write(&file, &bytes).expect("written");
            match store.load_sign_in() {
                Ok(SavedSignIn::Pair(pair)) => proptest::prop_assert!(bytes.windows(pair.access.expose_secret().len())
                    .any(|window| window == pair.access.expose_secret().as_bytes()) || byte == b'\\'),
                Ok(SavedSignIn::SignedOut(reason)) => proptest::prop_assert!(!reason.contains("-secret"), "{}", reason),
                Err(error) => {
                    let told = format!("{error} {error:?}");
                    proptest::prop_assert!(!told.contains("-secret"), "{}", told);
                }
            }
        }
    }

    #[test]
    fn a_token_file_that_others_can_read_is_refused_with_the_cure() {
        let (dir, store) = store();
        store.save_pair(&pair()).expect("saved");
        let file = dir.path().join("tokens-paxs.json");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("set");
        let error = store.load_sign_in().expect_err("exposed").to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn nothing_is_written_where_everyone_can_put_files() {
        let (dir, store) = store();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("set");
        assert!(matches!(store.save_pair(&pair()), Err(TokenError::OpenDirectory { .. })));
    }

    #[test]
    fn tokens_of_another_origin_are_none() {
        let (dir, store) = store();
        store.save_pair(&pair()).expect("saved");
        let other = TokenStore::new(dir.path(), "paxs", "https://b.example".into());
        let Ok(SavedSignIn::SignedOut(reason)) = other.load_sign_in() else { panic!("signed in") };
        insta::assert_snapshot!(reason, @"tokens are bound to `https://a.example`, base_url is now at `https://b.example`");
    }

    #[test]
    fn a_struck_out_sign_in_stays_so_and_its_tokens_are_gone() {
        let (dir, store) = store();
        store.save_pair(&pair()).expect("saved");
        store.strike_out("the service said no").expect("written");
        assert!(
            matches!(store.load_sign_in(), Ok(SavedSignIn::SignedOut(reason)) if reason == "the service said no")
        );
        let json = fs::read_to_string(dir.path().join("tokens-paxs.json")).expect("read");
        assert!(!json.contains("secret"), "{json}");
    }

    #[test]
    fn no_error_and_no_debug_text_shows_a_token() {
        let (dir, store) = store();
        fs::write(dir.path().join("tokens-paxs.json"), r#"{"origin":"x","pair":"a-secret"}"#)
            .expect("written");
        fs::set_permissions(dir.path().join("tokens-paxs.json"), Permissions::from_mode(0o600))
            .expect("set");
        let error = store.load_sign_in().expect_err("broken");
        assert!(!format!("{error} {error:?}").contains("a-secret"));
        assert!(!format!("{:?}", pair()).contains("secret\""));
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let (dir, store) = store();
        store.save_pair(&pair()).expect("saved");
        fs::rename(dir.path().join("tokens-paxs.json"), dir.path().join("other")).expect("renamed");
        std::os::unix::fs::symlink(dir.path().join("other"), dir.path().join("tokens-paxs.json"))
            .expect("linked");
        assert!(matches!(store.load_sign_in(), Err(TokenError::Io { .. })));
    }

    #[test]
    fn the_lock_is_held_by_one_at_a_time() {
        let (_dir, store) = store();
        let held = store.try_lock().expect("asked").expect("free");
        assert!(store.try_lock().expect("asked").is_none());
        drop(held);
        assert!(store.try_lock().expect("asked").is_some());
    }
}

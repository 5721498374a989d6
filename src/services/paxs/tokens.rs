//! The sign-in on disk: one file a service, for its owner alone, bound to one origin, replaced as a whole.
//!
//! A rotating refresh token exists once in the world. The new pair is on disk before it is used, under a lock that
//! other processes honour; a refused one is struck out there, so that it is never tried again.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rustix::fs::FlockOperation;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use crate::{effect::Effect, text};

/// A token file is a few KiB; more is something else.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// More than any pair of tokens takes: what must fit on the disk before a refresh token is spent.
const REHEARSAL_BYTES: usize = 16 * 1024;

/// What the names of drafts begin with; as many letters and digits follow.
const DRAFT: &str = ".tokens-";
const DRAFT_RANDOM: usize = 6;

/// How long a refresh token lives: PAXS's documents say 30 days.
pub(super) const REFRESH_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Access and refresh token as they were obtained together.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    /// Proves who calls.
    pub(super) access: SecretString,
    /// Buys the next pair, once.
    pub(super) refresh: SecretString,
    /// When a person signed in.
    pub(super) since: Timestamp,
    /// When this pair was obtained.
    pub(super) obtained: Timestamp,
    /// When the access token ends.
    pub(super) expires: Timestamp,
}

impl Pair {
    /// Returns when the refresh token ends, if it is not used before.
    pub(super) fn refresh_expires(&self) -> Timestamp {
        self.obtained.saturating_add(REFRESH_LIFETIME).unwrap_or(Timestamp::MAX)
    }

    /// Returns whether both hold the same access token.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.access.expose_secret() == other.access.expose_secret()
    }
}

/// What the file says.
#[derive(Debug, Clone)]
pub(super) enum Saved {
    /// A sign-in.
    Pair(Pair),
    /// None, and why.
    SignedOut(String),
}

/// A token file that cannot be used or written.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Others may read it, so it may be known to anyone.
    #[error(
        "`{}` can be read by others: run `{}`, and sign in again if others use this machine",
        text::printable_path(path),
        text::ShellCommand::new("chmod 600").word(path)
    )]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// Everyone may put files into the state directory.
    #[error(
        "everyone can write to the state directory `{}`: run `{}`",
        text::printable_path(path),
        text::ShellCommand::new("chmod o-rwx").word(path)
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
        /// What is wrong.
        reason: String,
    },
    /// Another process has held the lock for longer than a refresh takes.
    #[error("another minuted is refreshing the sign-in")]
    Busy,
    /// The work on the file ended early: the process is going down.
    #[error("the work on the token file was interrupted")]
    Interrupted,
    /// The file system says no.
    #[error("failed to {act} `{path}`: {source}", path = text::printable_path(path))]
    Io {
        /// What was tried.
        act: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// The file as JSON.
#[derive(Serialize, Deserialize)]
struct Record {
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

/// The place of one service's tokens.
#[derive(Debug, Clone)]
pub(super) struct Store {
    dir: PathBuf,
    file: PathBuf,
    lock: PathBuf,
    origin: String,
}

impl Store {
    /// Returns the store of the service `name` in the state directory. Tokens of another origin than `origin` are
    /// none.
    pub(super) fn new(state_dir: &Path, name: &str, origin: String) -> Self {
        Self {
            dir: state_dir.to_owned(),
            file: state_dir.join(format!("tokens-{name}.json")),
            lock: state_dir.join(format!("tokens-{name}.lock")),
            origin,
        }
    }

    /// Reads what is saved.
    pub(super) fn load(&self) -> Result<Saved, TokenError> {
        let flags = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
        let file = match OpenOptions::new().read(true).custom_flags(flags).open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Saved::SignedOut("nobody has signed in".into()));
            }
            Err(source) => return Err(self.io("open", source)),
        };
        let metadata = file.metadata().map_err(|source| self.io("look at", source))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(TokenError::Exposed { path: self.file.clone() });
        }
        // A file that someone else has put there would send recordings to someone else's account.
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(TokenError::Broken { path: self.file.clone(), reason: "it belongs to another user".into() });
        }
        let mut json = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut json).map_err(|source| self.io("read", source))?;
        // serde's own message would quote the file, and the file is a secret.
        let record: Record = serde_json::from_slice(&json).map_err(|error| TokenError::Broken {
            path: self.file.clone(),
            reason: format!("line {}, column {}", error.line(), error.column()),
        })?;
        Ok(self.saved(record))
    }

    fn saved(&self, record: Record) -> Saved {
        if record.origin != self.origin {
            let other = text::one_line(&record.origin, 200);
            return Saved::SignedOut(format!("tokens are bound to `{other}`, base_url is now at `{}`", self.origin));
        }
        match (record.pair, record.refused) {
            (Some(pair), None) => Saved::Pair(Pair {
                access: pair.access_token.into(),
                refresh: pair.refresh_token.into(),
                since: pair.since,
                obtained: pair.obtained,
                expires: pair.expires,
            }),
            (_, Some(reason)) => Saved::SignedOut(text::one_line(&reason, 300)),
            (None, None) => Saved::SignedOut("nobody has signed in".into()),
        }
    }

    /// Saves a pair; it is durable when this returns.
    pub(super) fn save(&self, pair: &Pair) -> Result<(), TokenError> {
        let recorded = RecordedPair {
            access_token: pair.access.expose_secret().to_owned(),
            refresh_token: pair.refresh.expose_secret().to_owned(),
            since: pair.since,
            obtained: pair.obtained,
            expires: pair.expires,
        };
        let draft = self.record(&Record { origin: self.origin.clone(), pair: Some(recorded), refused: None })?;
        self.put(Effect::SaveTokens, draft)
    }

    /// Strikes the sign-in out, remembering why.
    pub(super) fn strike_out(&self, reason: &str) -> Result<(), TokenError> {
        let refused = Some(reason.to_owned());
        let draft = self.record(&Record { origin: self.origin.clone(), pair: None, refused })?;
        self.put(Effect::StrikeOut, draft)
    }

    /// Makes sure that a pair could be saved, before a refresh token is spent for one: not everyone can
    /// write there, and there is room.
    pub(super) fn rehearse(&self) -> Result<(), TokenError> {
        self.check_dir()?;
        self.draft(&[b' '; REHEARSAL_BYTES]).map(drop)
    }

    /// Removes the file; returns whether there was one.
    pub(super) fn remove(&self) -> Result<bool, TokenError> {
        self.sweep();
        Effect::ForgetTokens.during(|| match fs::remove_file(&self.file) {
            Ok(()) => self.sync_dir().map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(self.io("remove", source)),
        })
    }

    /// Takes the lock between processes, if nobody has it. It is held until the file is dropped.
    pub(super) fn try_lock(&self) -> Result<Option<File>, TokenError> {
        let io = |source| TokenError::Io { act: "lock", path: self.lock.clone(), source };
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.lock).map_err(io)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(lock)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(io(error.into())),
        }
    }

    fn record(&self, record: &Record) -> Result<tempfile::NamedTempFile, TokenError> {
        self.check_dir()?;
        let json = serde_json::to_vec_pretty(record).expect("a record of texts and times is JSON");
        self.draft(&json)
    }

    /// Puts a draft in the file's place, durably.
    fn put(&self, effect: Effect, draft: tempfile::NamedTempFile) -> Result<(), TokenError> {
        effect.during(|| {
            draft.persist(&self.file).map_err(|error| self.io("replace", error.error))?;
            self.sync_dir()
        })
    }

    /// Writes a durable file without a place yet; it is removed when dropped, and locked until then.
    fn draft(&self, bytes: &[u8]) -> Result<tempfile::NamedTempFile, TokenError> {
        self.sweep();
        let mut draft = tempfile::Builder::new()
            .prefix(DRAFT)
            .rand_bytes(DRAFT_RANDOM)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(&self.dir)
            .map_err(|source| self.io("write beside", source))?;
        rustix::fs::flock(&draft, FlockOperation::NonBlockingLockExclusive)
            .map_err(|error| self.io("lock", error.into()))?;
        draft.write_all(bytes).and_then(|()| draft.as_file().sync_all()).map_err(|source| self.io("write", source))?;
        Ok(draft)
    }

    /// Removes the drafts that a crash has left: there are tokens in them. Whatever hinders that hinders nothing else.
    fn sweep(&self) {
        let entries = fs::read_dir(&self.dir).into_iter().flatten().flatten();
        for path in entries.filter(|entry| is_draft(&entry.file_name())).map(|entry| entry.path()) {
            let abandoned = File::open(&path)
                .is_ok_and(|file| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
            if abandoned && let Err(error) = fs::remove_file(&path) {
                tracing::debug!(%error, "failed to remove a draft of tokens that a crash has left");
            }
        }
    }

    fn check_dir(&self) -> Result<(), TokenError> {
        let mode = fs::metadata(&self.dir).map_err(|source| self.io("look beside", source))?.permissions().mode();
        if mode & 0o002 == 0 { Ok(()) } else { Err(TokenError::OpenDirectory { path: self.dir.clone() }) }
    }

    fn sync_dir(&self) -> Result<(), TokenError> {
        File::open(&self.dir).and_then(|dir| dir.sync_all()).map_err(|source| self.io("sync beside", source))
    }

    fn io(&self, act: &'static str, source: io::Error) -> TokenError {
        TokenError::Io { act, path: self.file.clone(), source }
    }
}

fn is_draft(name: &std::ffi::OsStr) -> bool {
    name.to_str().and_then(|name| name.strip_prefix(DRAFT)).is_some_and(|random| random.len() == DRAFT_RANDOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().expect("a directory");
        let store = Store::new(dir.path(), "paxs", "https://a.example".into());
        (dir, store)
    }

    fn pair() -> Pair {
        let now = crate::clock::now();
        Pair { access: "a-secret".into(), refresh: "r-secret".into(), since: now, obtained: now, expires: now }
    }

    #[test]
    fn a_pair_reads_back_and_only_its_owner_can_read_it() {
        let (dir, store) = store();
        store.save(&pair()).expect("saved");
        assert!(matches!(store.load(), Ok(Saved::Pair(saved)) if saved.is_same(&pair())));
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
            store.save(&pair()).expect("saved");
            let file = dir.path().join("tokens-paxs.json");
            let mut bytes = fs::read(&file).expect("read");
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(if cut { at } else { bytes.len() });
            fs::write(&file, &bytes).expect("written");
            match store.load() {
                Ok(Saved::Pair(pair)) => proptest::prop_assert!(bytes.windows(pair.access.expose_secret().len())
                    .any(|window| window == pair.access.expose_secret().as_bytes()) || byte == b'\\'),
                Ok(Saved::SignedOut(reason)) => proptest::prop_assert!(!reason.contains("-secret"), "{}", reason),
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
        store.save(&pair()).expect("saved");
        let file = dir.path().join("tokens-paxs.json");
        fs::set_permissions(&file, Permissions::from_mode(0o640)).expect("set");
        let error = store.load().expect_err("exposed").to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }

    #[test]
    fn nothing_is_written_where_everyone_can_put_files() {
        let (dir, store) = store();
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).expect("set");
        assert!(matches!(store.save(&pair()), Err(TokenError::OpenDirectory { .. })));
    }

    #[test]
    fn tokens_of_another_origin_are_none() {
        let (dir, store) = store();
        store.save(&pair()).expect("saved");
        let other = Store::new(dir.path(), "paxs", "https://b.example".into());
        let Ok(Saved::SignedOut(reason)) = other.load() else { panic!("signed in") };
        insta::assert_snapshot!(reason, @"tokens are bound to `https://a.example`, base_url is now at `https://b.example`");
    }

    #[test]
    fn a_struck_out_sign_in_stays_so_and_its_tokens_are_gone() {
        let (dir, store) = store();
        store.save(&pair()).expect("saved");
        store.strike_out("the service said no").expect("written");
        assert!(matches!(store.load(), Ok(Saved::SignedOut(reason)) if reason == "the service said no"));
        let json = fs::read_to_string(dir.path().join("tokens-paxs.json")).expect("read");
        assert!(!json.contains("secret"), "{json}");
    }

    #[test]
    fn no_error_and_no_debug_text_shows_a_token() {
        let (dir, store) = store();
        fs::write(dir.path().join("tokens-paxs.json"), r#"{"origin":"x","pair":"a-secret"}"#).expect("written");
        fs::set_permissions(dir.path().join("tokens-paxs.json"), Permissions::from_mode(0o600)).expect("set");
        let error = store.load().expect_err("broken");
        assert!(!format!("{error} {error:?}").contains("a-secret"));
        assert!(!format!("{:?}", pair()).contains("secret\""));
    }

    #[test]
    fn a_link_in_the_place_of_the_file_is_not_followed() {
        let (dir, store) = store();
        store.save(&pair()).expect("saved");
        fs::rename(dir.path().join("tokens-paxs.json"), dir.path().join("other")).expect("renamed");
        std::os::unix::fs::symlink(dir.path().join("other"), dir.path().join("tokens-paxs.json")).expect("linked");
        assert!(matches!(store.load(), Err(TokenError::Io { .. })));
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

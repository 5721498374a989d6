//! Who may see the page: codes that are good once, and sessions.
//!
//! `minuted page` asks for a code, which a browser exchanges for a session. A session is a text that proves itself: it
//! carries its end and a proof made with a key in the state directory. So sessions outlive a restart, nothing is kept for
//! each, and another key ends all of them.

use std::{
    io,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};

use super::secret_file::{SECRET_BYTES, SecretFile, random_text};
/// How long a code of `minuted page` is good.
pub(crate) const CODE_LIFE: Duration = Duration::from_secs(5 * 60);

/// How long a session lasts.
pub(crate) const SESSION_LIFE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Codes that are good at once; the oldest gives way.
const CODES_MAX: usize = 16;

/// The key of all sessions, in the state directory.
const KEY_FILE: &str = "page.key";

/// Who may see the page.
#[derive(Debug)]
pub(crate) struct PageAccess {
    key: SecretFile,
    state: Mutex<AccessState>,
}

#[derive(Default)]
struct AccessState {
    /// The key of sessions, once it was needed.
    key: Option<[u8; SECRET_BYTES]>,
    /// The codes that were not used yet, with their ends.
    codes: Vec<(blake3::Hash, Instant)>,
}

impl std::fmt::Debug for AccessState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessState").field("codes", &self.codes.len()).finish_non_exhaustive()
    }
}

impl PageAccess {
    /// Returns the access to the page of this state directory. Nothing is written before it is needed.
    #[must_use]
    pub(crate) fn new(state_dir: &Path) -> Self {
        let key = SecretFile::new(state_dir, KEY_FILE, "minuted page --new-token");
        Self { key, state: Mutex::default() }
    }

    /// Makes a code, which is good once and for [`CODE_LIFE`].
    pub(crate) fn make_code(&self) -> io::Result<String> {
        let code = random_text()?;
        let mut state = self.lock();
        let now = Instant::now();
        state.codes.retain(|(_, end)| now < *end);
        if state.codes.len() >= CODES_MAX {
            state.codes.remove(0);
        }
        state.codes.push((blake3::hash(code.as_bytes()), now + CODE_LIFE));
        Ok(code)
    }

    /// Uses a code up; returns whether it was good.
    pub(crate) fn use_code(&self, code: &str) -> bool {
        let hash = blake3::hash(code.as_bytes());
        let mut state = self.lock();
        let found = state.codes.iter().position(|(known, _)| *known == hash);
        let Some(at) = found else { return false };
        let (_, end) = state.codes.remove(at);
        Instant::now() < end
    }

    /// Makes a session that ends [`SESSION_LIFE`] from `now`.
    pub(crate) fn make_session(&self, now: Timestamp) -> io::Result<String> {
        let end = now.saturating_add(SESSION_LIFE).unwrap_or(Timestamp::MAX).as_second();
        let claim = format!("{end}.{}", random_text()?);
        let proof = self.prove(&claim)?;
        Ok(format!("{claim}.{}", proof.to_hex()))
    }

    /// Returns whether this is a session that has not ended.
    pub(crate) fn is_session(&self, session: &str, now: Timestamp) -> bool {
        let Some((claim, proof)) = session.rsplit_once('.') else { return false };
        let Ok(proof) = blake3::Hash::from_hex(proof) else { return false };
        let end = claim.split('.').next().and_then(|end| end.parse::<i64>().ok());
        // The comparison of hashes takes as long for any two of them.
        self.prove(claim).is_ok_and(|known| known == proof)
            && end.is_some_and(|end| now.as_second() < end)
    }

    /// Ends all sessions, and makes every code useless.
    pub(crate) fn end_sessions(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.key = Some(self.key.make()?);
        state.codes.clear();
        Ok(())
    }

    fn prove(&self, claim: &str) -> io::Result<blake3::Hash> {
        let mut state = self.lock();
        let key = match state.key {
            Some(key) => key,
            None => *state.key.insert(self.key.read_or_make()?),
        };
        Ok(blake3::keyed_hash(&key, claim.as_bytes()))
    }

    fn lock(&self) -> MutexGuard<'_, AccessState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn access() -> (tempfile::TempDir, PageAccess) {
        let dir = tempfile::tempdir().expect("a directory");
        let access = PageAccess::new(dir.path());
        (dir, access)
    }

    #[test]
    fn a_code_is_good_once() {
        let (_dir, access) = access();
        let code = access.make_code().expect("random numbers");
        assert!(!access.use_code("") && !access.use_code(&code[1..]));
        assert!(access.use_code(&code));
        assert!(!access.use_code(&code));
    }

    #[test]
    fn only_the_latest_codes_are_kept() {
        let (_dir, access) = access();
        let codes: Vec<_> =
            (0..=CODES_MAX).map(|_| access.make_code().expect("random numbers")).collect();
        assert!(!access.use_code(&codes[0]));
        assert!(codes[1..].iter().all(|code| access.use_code(code)));
    }

    #[test]
    fn a_session_outlives_a_restart_and_ends_with_its_time_or_with_another_key() {
        let (dir, access) = access();
        let now = crate::clock::now();
        let session = access.make_session(now).expect("written");
        let key = dir.path().join(KEY_FILE).metadata().expect("a key");
        assert_eq!(key.permissions().mode() & 0o777, 0o600);
        let restarted = PageAccess::new(dir.path());
        assert!(restarted.is_session(&session, now));
        assert!(!restarted.is_session(&session, now + SESSION_LIFE));
        restarted.end_sessions().expect("written");
        assert!(!restarted.is_session(&session, now));
        assert!(!PageAccess::new(dir.path()).is_session(&session, now));
    }

    #[test]
    fn nobody_lengthens_a_session_or_makes_one() {
        let (_dir, access) = access();
        let now = crate::clock::now();
        let session = access.make_session(now).expect("written");
        let (end, rest) = session.split_once('.').expect("an end");
        let longer = format!("{}.{rest}", end.parse::<i64>().expect("seconds") + 1);
        for forged in ["", ".", "..", "9999999999.x.00", &longer, &session[..session.len() - 1]] {
            assert!(!access.is_session(forged, now), "{forged}");
        }
    }
}

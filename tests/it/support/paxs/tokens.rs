//! Sign-ins, codes and tokens: pure.
//!
//! A refresh token is used once. One that is used again was stolen or lost its race: the whole family dies with it
//! (RFC 9700, 4.14.2).

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    options::Options,
    state::{Ids, Refusal},
};

/// How long a code may be exchanged: 10 min, the most that RFC 6749 (4.1.2) recommends.
const CODE_TTL: Duration = Duration::from_secs(10 * 60);

/// The rights that every token has, in the documents' words.
const SCOPE: &str = "session media analysis user:read";

/// Tokens as the token endpoint gives them.
#[derive(Debug, Clone)]
pub(crate) struct TokenPair {
    /// The access token.
    pub(crate) access: SecretString,
    /// The refresh token.
    pub(crate) refresh: SecretString,
    /// The life of the access token, in seconds.
    pub(crate) expires_in: u64,
}

impl TokenPair {
    /// Returns the answer of the token endpoint.
    pub(super) fn answer(&self) -> Value {
        json!({
            "access_token": self.access.expose_secret(),
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "refresh_token": self.refresh.expose_secret(),
            "scope": SCOPE,
        })
    }
}

/// How a sign-in stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SignIn {
    /// The person has not decided.
    Pending,
    /// The person agreed.
    Approved,
    /// The person refused.
    Denied,
    /// The code was handed out.
    Complete {
        /// The code; the same again for a poll whose answer was lost.
        code: String,
    },
}

/// Every sign-in, code and token.
#[derive(Default)]
pub(super) struct Tokens {
    sign_ins: BTreeMap<String, SignIn>,
    codes: BTreeMap<String, Code>,
    access: BTreeMap<String, Live>,
    refresh: BTreeMap<String, Live>,
    families: u64,
    revoked: BTreeSet<u64>,
    /// How often a pair was given for a refresh token.
    pub(super) refreshes: u64,
    /// How many families died because a refresh token was used again.
    pub(super) families_revoked: u64,
}

struct Code {
    redirect_uri: String,
    expires: Instant,
}

struct Live {
    family: u64,
    expires: Instant,
    used: bool,
}

impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokens").field("families", &self.families).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Begins a sign-in unless it has begun.
    pub(super) fn begin(&mut self, state: &str) {
        self.sign_ins.entry(state.to_owned()).or_insert(SignIn::Pending);
    }

    /// Decides on a sign-in for the person, whether it has begun or not.
    pub(super) fn decide(&mut self, state: &str, approved: bool) {
        let verdict = if approved { SignIn::Approved } else { SignIn::Denied };
        self.sign_ins.insert(state.to_owned(), verdict);
    }

    /// Returns how a sign-in stands; one that nobody knows is pending.
    pub(super) fn standing(&self, state: &str) -> SignIn {
        self.sign_ins.get(state).cloned().unwrap_or(SignIn::Pending)
    }

    /// Returns how a sign-in stands; one that was approved is completed with a code for `redirect_uri`.
    pub(super) fn complete(
        &mut self,
        state: &str,
        redirect_uri: &str,
        now: Instant,
        ids: &mut Ids,
    ) -> SignIn {
        let standing = self.standing(state);
        if standing != SignIn::Approved {
            return standing;
        }
        let complete = SignIn::Complete { code: self.code(redirect_uri, now, ids) };
        self.sign_ins.insert(state.to_owned(), complete.clone());
        complete
    }

    /// Returns a fresh code that can be exchanged with that `redirect_uri`.
    pub(super) fn code(&mut self, redirect_uri: &str, now: Instant, ids: &mut Ids) -> String {
        let code = ids.token();
        self.codes.insert(
            code.clone(),
            Code { redirect_uri: redirect_uri.to_owned(), expires: now + CODE_TTL },
        );
        code
    }

    /// Exchanges a code, once.
    pub(super) fn exchange(
        &mut self,
        code: &str,
        redirect_uri: &str,
        now: Instant,
        options: &Options,
        ids: &mut Ids,
    ) -> Result<TokenPair, Refusal> {
        let known = self.codes.remove(code).ok_or_else(invalid_grant)?;
        if known.redirect_uri != redirect_uri || known.expires <= now {
            return Err(invalid_grant());
        }
        Ok(self.issue(now, options, ids))
    }

    /// Gives the next pair for a refresh token, which is dead from now on.
    pub(super) fn rotate(
        &mut self,
        refresh: &str,
        now: Instant,
        options: &Options,
        ids: &mut Ids,
    ) -> Result<TokenPair, Refusal> {
        let known = self.refresh.get_mut(refresh).ok_or_else(invalid_grant)?;
        let family = known.family;
        if known.used {
            self.families_revoked += u64::from(self.revoked.insert(family));
            return Err(invalid_grant());
        }
        if known.expires <= now || self.revoked.contains(&family) {
            return Err(invalid_grant());
        }
        known.used = true;
        self.refreshes += 1;
        Ok(self.pair(family, now, options, ids))
    }

    /// Begins a new family.
    pub(super) fn issue(&mut self, now: Instant, options: &Options, ids: &mut Ids) -> TokenPair {
        self.families += 1;
        self.pair(self.families, now, options, ids)
    }

    /// Returns whether an access token is good.
    pub(super) fn admits(&self, access: &str, now: Instant) -> bool {
        self.access
            .get(access)
            .is_some_and(|live| live.expires > now && !self.revoked.contains(&live.family))
    }

    /// Ends every family that there is.
    pub(super) fn revoke_all(&mut self) {
        self.revoked.extend(1..=self.families);
    }

    /// Ends every access token; the refresh tokens stay.
    pub(super) fn expire_access(&mut self) {
        self.access.clear();
    }

    /// Forgets what has expired; a used refresh token is remembered until then.
    fn prune(&mut self, now: Instant) {
        self.codes.retain(|_, code| code.expires > now);
        self.access.retain(|_, live| live.expires > now);
        self.refresh.retain(|_, live| live.expires > now);
    }

    fn pair(&mut self, family: u64, now: Instant, options: &Options, ids: &mut Ids) -> TokenPair {
        self.prune(now);
        let (access, refresh) = (ids.token(), ids.token());
        self.access.insert(
            access.clone(),
            Live { family, expires: now + options.access_ttl, used: false },
        );
        self.refresh.insert(
            refresh.clone(),
            Live { family, expires: now + options.refresh_ttl, used: false },
        );
        TokenPair {
            access: access.into(),
            refresh: refresh.into(),
            expires_in: options.access_ttl.as_secs(),
        }
    }
}

/// The refusal of RFC 6749, 5.2; what PAXS says is not documented.
fn invalid_grant() -> Refusal {
    Refusal { status: 400, body: json!({ "error": "invalid_grant" }) }
}
mod tests {
    use super::*;

    fn start() -> (Tokens, Ids, Options, Instant) {
        (Tokens::default(), Ids::new([1; 32]), Options::default(), Instant::now())
    }

    #[test]
    fn a_used_refresh_token_takes_its_family_with_it_once() {
        let (mut tokens, mut ids, options, now) = start();
        let first = tokens.issue(now, &options, &mut ids);
        let other = tokens.issue(now, &options, &mut ids);
        let second =
            tokens.rotate(first.refresh.expose_secret(), now, &options, &mut ids).expect("fresh");
        for _ in 0..2 {
            tokens
                .rotate(first.refresh.expose_secret(), now, &options, &mut ids)
                .expect_err("dead");
        }
        tokens
            .rotate(second.refresh.expose_secret(), now, &options, &mut ids)
            .expect_err("of a dead family");
        assert!(!tokens.admits(second.access.expose_secret(), now));
        assert!(tokens.admits(other.access.expose_secret(), now));
        assert_eq!((tokens.refreshes, tokens.families_revoked), (1, 1));
    }

    #[test]
    fn tokens_end_with_their_lives() {
        let (mut tokens, mut ids, options, now) = start();
        let pair = tokens.issue(now, &options, &mut ids);
        let second = Duration::from_secs(1);
        assert!(tokens.admits(pair.access.expose_secret(), now + options.access_ttl - second));
        assert!(!tokens.admits(pair.access.expose_secret(), now + options.access_ttl));
        let late = now + options.refresh_ttl;
        tokens.rotate(pair.refresh.expose_secret(), late, &options, &mut ids).expect_err("expired");
        assert_eq!(tokens.families_revoked, 0);
    }

    #[test]
    fn a_code_is_exchanged_once_and_only_with_its_redirect_uri() {
        let (mut tokens, mut ids, options, now) = start();
        let code = tokens.code("http://localhost:1/callback", now, &mut ids);
        tokens
            .exchange(&code, "http://localhost:1/callback", now, &options, &mut ids)
            .expect("fresh");
        tokens
            .exchange(&code, "http://localhost:1/callback", now, &options, &mut ids)
            .expect_err("used");
        let code = tokens.code("http://localhost:1/callback", now, &mut ids);
        tokens
            .exchange(&code, "http://localhost:2/callback", now, &options, &mut ids)
            .expect_err("another place");
    }

    #[test]
    fn a_poll_whose_answer_was_lost_gets_the_same_code() {
        let (mut tokens, mut ids, _, now) = start();
        assert_eq!(tokens.complete("s", "u", now, &mut ids), SignIn::Pending);
        tokens.decide("s", true);
        let code = tokens.complete("s", "u", now, &mut ids);
        assert!(matches!(code, SignIn::Complete { .. }));
        assert_eq!(tokens.complete("s", "u", now, &mut ids), code);
    }

    #[test]
    fn secrets_stay_out_of_debug() {
        let (mut tokens, mut ids, options, now) = start();
        let pair = tokens.issue(now, &options, &mut ids);
        let shown = format!("{tokens:?} {pair:?}");
        assert!(
            !shown.contains(pair.access.expose_secret())
                && !shown.contains(pair.refresh.expose_secret())
        );
    }
}

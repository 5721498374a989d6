//! Calls with the sign-in: each carries a token, and one refresh at a time gets the next.
//!
//! A refresh token that is used twice invalidates all tokens that came from it (RFC 9700). So there
//! is one refresh at a time, on a task of its own: a dropped call cannot lose a pair that the
//! service has already issued.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    grant::RefreshFailure,
    refresh::{KnownSignIn, SessionInner, SignInState, run_blocking},
    tokens::{TokenError, TokenPair, TokenStore},
};
use crate::{
    clock,
    http::{Answer, Client, Request},
    services::{
        CallError, answers,
        pacer::{Pacer, Priority},
    },
};

/// Remaining life at which a token is refreshed, or a quarter of its life, whichever is less.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// Pause after a failed early refresh, while the token is still valid.
const REST: Duration = Duration::from_secs(30);

/// The path of the cheap read.
pub(super) const PROFILE: [&str; 3] = ["api", "users", "me"];

/// The sign-in of one service. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct PaxsSession(Arc<SessionInner>);

impl PaxsSession {
    /// Returns a session with the stored sign-in. An unusable token file counts as no sign-in, and
    /// is read again at each call.
    pub(super) fn new(
        http: Client,
        pacer: Arc<Pacer>,
        store: TokenStore,
        tasks: TaskTracker,
    ) -> Self {
        let sign = match store.load_sign_in() {
            Ok(saved) => KnownSignIn::from(saved),
            Err(error) => KnownSignIn::Out(error.to_string()),
        };
        let held = Mutex::new(SignInState::new(sign));
        let gate = tokio::sync::Mutex::new(None);
        Self(Arc::new(SessionInner {
            http,
            pacer,
            store,
            tasks,
            held,
            gate,
            tries: AtomicU64::new(0),
        }))
    }

    pub(super) fn http_client(&self) -> &Client {
        &self.0.http
    }

    /// Waits for a slot of the service's pace.
    pub(super) async fn wait_for_slot(&self, priority: Priority) {
        self.0.pacer.acquire(priority).await;
    }

    /// Returns the pair in memory, or the reason why there is none.
    pub(super) fn known_pair(&self) -> Result<Arc<TokenPair>, String> {
        let held = self.0.lock_state();
        match (&held.sign, &held.doubt) {
            (KnownSignIn::In(_), Some(doubt)) => Err(doubt.clone()),
            (KnownSignIn::In(pair), None) => Ok(Arc::clone(pair)),
            (KnownSignIn::Out(reason), _) => Err(reason.clone()),
        }
    }

    /// Makes a call with a token. After a 401 it refreshes once and repeats the call once.
    pub(super) async fn call(
        &self,
        request: &Request<'_>,
        priority: Priority,
    ) -> Result<Answer, CallError> {
        let pair = self.usable_pair(Duration::ZERO).await?;
        let answer = self.call_once(request, &pair, priority).await?;
        if answer.status != 401 {
            self.clear_doubt();
            return Ok(answer);
        }
        let pair = self.pair_after_refusal(&pair).await?;
        let answer = self.call_once(request, &pair, priority).await?;
        self.check_fresh_token(answer)
    }

    async fn call_once(
        &self,
        request: &Request<'_>,
        pair: &TokenPair,
        priority: Priority,
    ) -> Result<Answer, CallError> {
        self.wait_for_slot(priority).await;
        Ok(self.0.http.send(&request.clone().bearer(&pair.access)).await?)
    }

    /// Returns whether the service refuses this token; false where that is unknown.
    pub(super) async fn is_refused(&self, pair: &TokenPair) -> bool {
        self.call_once(&Request::get(&PROFILE), pair, Priority::High)
            .await
            .is_ok_and(|answer| answer.status == 401)
    }

    /// Checks the answer to a call with a token that was just refreshed.
    pub(super) fn check_fresh_token(&self, answer: Answer) -> Result<Answer, CallError> {
        if answer.status == 401 {
            let reason = format!(
                "the service answered 401 to a fresh token: {}",
                answers::error_message(&answer)
            );
            self.0.lock_state().doubt = Some(reason.clone());
            return Err(CallError::SignedOut { reason });
        }
        self.clear_doubt();
        Ok(answer)
    }

    /// Clears the doubt about the sign-in: a token was accepted.
    pub(super) fn clear_doubt(&self) {
        self.0.lock_state().doubt = None;
    }

    /// Returns a pair whose token lasts for `need` where its life allows that, refreshed early
    /// where it is near its end.
    pub(super) async fn usable_pair(&self, need: Duration) -> Result<Arc<TokenPair>, CallError> {
        let pair = self.current_pair().await?;
        let now = clock::now();
        if !is_stale(&pair, need, now) || (now < pair.expires && self.0.is_resting()) {
            return Ok(pair);
        }
        match self.refresh_pair(&pair).await {
            Ok(pair) => Ok(pair),
            // The refresh was early: the old token is still valid.
            Err(RefreshFailure::Unavailable { .. }) if clock::now() < pair.expires => {
                self.0.lock_state().rest = Some(Instant::now() + REST);
                Ok(pair)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Returns the pair that follows the one that got a 401.
    pub(super) async fn pair_after_refusal(
        &self,
        refused: &Arc<TokenPair>,
    ) -> Result<Arc<TokenPair>, CallError> {
        self.refresh_pair(refused).await.map_err(CallError::from)
    }

    /// Returns the pair as it is on disk. Someone may have signed in, or mended the file, since the
    /// last call.
    pub(super) async fn current_pair(&self) -> Result<Arc<TokenPair>, CallError> {
        let (sign, unsaved) = {
            let held = self.0.lock_state();
            (held.sign.clone(), held.unsaved)
        };
        match sign {
            KnownSignIn::In(_) if unsaved => Ok(self.saved_pair().await?),
            KnownSignIn::In(pair) => Ok(pair),
            KnownSignIn::Out(_) => Ok(self.0.reload_pair().await?),
        }
    }

    /// Gets the pair that follows `seen`, on a task that continues when the caller is dropped.
    pub(super) async fn refresh_pair(
        &self,
        seen: &Arc<TokenPair>,
    ) -> Result<Arc<TokenPair>, RefreshFailure> {
        let inner = Arc::clone(&self.0);
        let seen = Arc::clone(seen);
        let tries = inner.tries.load(Ordering::Acquire);
        let task = self.0.tasks.spawn(async move { inner.refresh_pair(&seen, tries).await });
        task.await.unwrap_or_else(|_| {
            Err(RefreshFailure::from_message("the refresh of the sign-in ended early".into()))
        })
    }

    /// Waits until the pair is on disk, or saves it, on a task that continues when the caller is dropped.
    async fn saved_pair(&self) -> Result<Arc<TokenPair>, RefreshFailure> {
        let inner = Arc::clone(&self.0);
        let task = self.0.tasks.spawn(async move { inner.saved_pair().await });
        task.await.unwrap_or_else(|_| {
            Err(RefreshFailure::from_message("saving the sign-in ended early".into()))
        })
    }

    /// Saves the pair of a new sign-in, and uses it from now on.
    pub(super) async fn sign_in(&self, pair: TokenPair) -> Result<(), TokenError> {
        let mut last = self.0.gate.lock().await;
        let _lock = self.0.lock_store().await?;
        let store = self.0.store.clone();
        let pair = Arc::new(pair);
        let saving = Arc::clone(&pair);
        run_blocking(move || store.save_pair(&saving)).await?;
        *last = None;
        *self.0.lock_state() = SignInState::new(KnownSignIn::In(pair));
        Ok(())
    }

    /// Removes the sign-in, in memory and on disk; returns whether there was one.
    pub(super) async fn sign_out(&self) -> Result<bool, TokenError> {
        let _last = self.0.gate.lock().await;
        let _lock = self.0.lock_store().await?;
        let store = self.0.store.clone();
        let was = run_blocking(move || store.remove_file()).await?;
        *self.0.lock_state() = SignInState::new(KnownSignIn::Out("signed out".into()));
        Ok(was)
    }

    /// Asks the token endpoint, without a token.
    pub(super) async fn ask_for_tokens(&self, body: &Value) -> Result<Answer, CallError> {
        self.0.ask_for_tokens(body).await
    }
}

/// Returns whether the access token is near its end, or lasts for less than `need`, which counts up
/// to half its life.
fn is_stale(pair: &TokenPair, need: Duration, now: Timestamp) -> bool {
    let life = Duration::try_from(pair.expires.duration_since(pair.obtained)).unwrap_or_default();
    let left = Duration::try_from(pair.expires.duration_since(now)).unwrap_or_default();
    left <= AHEAD.min(life / 4).max(need.min(life / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(life: i64) -> TokenPair {
        let obtained = Timestamp::from_second(1_800_000_000).expect("in range");
        let expires = Timestamp::from_second(1_800_000_000 + life).expect("in range");
        TokenPair { access: "a".into(), refresh: "r".into(), since: obtained, obtained, expires }
    }

    fn stale_at(life: i64, second: i64, need: u64) -> bool {
        let now = Timestamp::from_second(1_800_000_000 + second).expect("in range");
        is_stale(&pair(life), Duration::from_secs(need), now)
    }

    #[test]
    fn a_token_is_refreshed_ahead_of_need_whatever_its_life() {
        assert!(!stale_at(3600, 3299, 0));
        assert!(stale_at(3600, 3300, 0));
        assert!(!stale_at(2, 1, 0));
        assert!(stale_at(2, 2, 0));
    }

    #[test]
    fn a_long_upload_wants_a_token_that_lasts_but_not_one_that_cannot_exist() {
        assert!(stale_at(3600, 1801, 100_000));
        assert!(!stale_at(3600, 1799, 100_000));
        assert!(!stale_at(3600, 1801, 60));
    }
}

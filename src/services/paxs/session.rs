//! The sign-in at work: every call carries a token, and one refresh at a time gets the next.
//!
//! A refresh token that is used twice ends its whole family (RFC 9700), so a refresh is single, and it runs on a task of
//! its own that ends by itself: a caller that goes away cannot lose a pair that the service has already given.

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
    grant::Failure,
    refresh::{Held, Inner, Sign, blocking},
    tokens::{Pair, Store, TokenError},
};
use crate::{
    clock,
    http::{Answer, Client, Request},
    services::{
        CallError, answers,
        pacer::{Pacer, Priority},
    },
};

/// A token is refreshed when less than this is left of it, or a quarter of its life, whichever is less.
const AHEAD: Duration = Duration::from_secs(5 * 60);

/// A refresh ahead of need that failed is not tried again for so long, while the token still serves.
const REST: Duration = Duration::from_secs(30);

/// The cheap read.
pub(super) const PROFILE: [&str; 3] = ["api", "users", "me"];

/// The sign-in of one service. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Session(Arc<Inner>);

impl Session {
    /// Returns a session with what the store holds. A token file that cannot be used is a missing sign-in, looked at
    /// again at each call.
    pub(super) fn new(http: Client, pacer: Arc<Pacer>, store: Store, tasks: TaskTracker) -> Self {
        let sign = match store.load() {
            Ok(saved) => Sign::from(saved),
            Err(error) => Sign::Out(error.to_string()),
        };
        let held = Mutex::new(Held::new(sign));
        let gate = tokio::sync::Mutex::new(None);
        Self(Arc::new(Inner { http, pacer, store, tasks, held, gate, tries: AtomicU64::new(0) }))
    }

    pub(super) fn http(&self) -> &Client {
        &self.0.http
    }

    /// Waits for a slot of the service's pace.
    pub(super) async fn paced(&self, priority: Priority) {
        self.0.pacer.acquire(priority).await;
    }

    /// Returns the pair in memory, or why there is none.
    pub(super) fn known(&self) -> Result<Arc<Pair>, String> {
        let held = self.0.held();
        match (&held.sign, &held.doubt) {
            (Sign::In(_), Some(doubt)) => Err(doubt.clone()),
            (Sign::In(pair), None) => Ok(Arc::clone(pair)),
            (Sign::Out(reason), _) => Err(reason.clone()),
        }
    }

    /// Makes a call with a token. A 401 is answered by one refresh and the call once more.
    pub(super) async fn call(&self, request: &Request<'_>, priority: Priority) -> Result<Answer, CallError> {
        let pair = self.token(Duration::ZERO).await?;
        let answer = self.once(request, &pair, priority).await?;
        if answer.status != 401 {
            self.trust();
            return Ok(answer);
        }
        let pair = self.renewed(&pair).await?;
        let answer = self.once(request, &pair, priority).await?;
        self.believed(answer)
    }

    async fn once(&self, request: &Request<'_>, pair: &Pair, priority: Priority) -> Result<Answer, CallError> {
        self.paced(priority).await;
        Ok(self.0.http.send(&request.clone().bearer(&pair.access)).await?)
    }

    /// Returns whether the service refuses this token. Unknown is no.
    pub(super) async fn is_refused(&self, pair: &Pair) -> bool {
        self.once(&Request::get(&PROFILE), pair, Priority::High).await.is_ok_and(|answer| answer.status == 401)
    }

    /// Takes the answer to a call with a token that was just refreshed.
    pub(super) fn believed(&self, answer: Answer) -> Result<Answer, CallError> {
        if answer.status == 401 {
            let reason = format!("the service answered 401 to a fresh token: {}", answers::error_message(&answer));
            self.0.held().doubt = Some(reason.clone());
            return Err(CallError::SignedOut { reason });
        }
        self.trust();
        Ok(answer)
    }

    /// A token was taken.
    pub(super) fn trust(&self) {
        self.0.held().doubt = None;
    }

    /// Returns a token that lasts for `need` where its life allows that, refreshed ahead where it is near its end.
    pub(super) async fn token(&self, need: Duration) -> Result<Arc<Pair>, CallError> {
        let pair = self.current().await?;
        let now = clock::now();
        if !is_stale(&pair, need, now) || (now < pair.expires && self.0.is_resting()) {
            return Ok(pair);
        }
        match self.refreshed(&pair).await {
            Ok(pair) => Ok(pair),
            // It was ahead of need: what there is still serves.
            Err(Failure::Unavailable { .. }) if clock::now() < pair.expires => {
                self.0.held().rest = Some(Instant::now() + REST);
                Ok(pair)
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// Returns the pair after the one that got a 401.
    pub(super) async fn renewed(&self, refused: &Arc<Pair>) -> Result<Arc<Pair>, CallError> {
        self.refreshed(refused).await.map_err(CallError::from)
    }

    /// Returns the pair, as it is on disk. Someone may have signed in, or mended the file, since the last look.
    pub(super) async fn current(&self) -> Result<Arc<Pair>, CallError> {
        let (sign, unsaved) = {
            let held = self.0.held();
            (held.sign.clone(), held.unsaved)
        };
        match sign {
            Sign::In(pair) if unsaved => Ok(self.0.save(pair).await?),
            Sign::In(pair) => Ok(pair),
            Sign::Out(_) => Ok(self.0.reload().await?),
        }
    }

    /// Gets the pair after `seen`, on a task that ends by itself when the caller goes away.
    pub(super) async fn refreshed(&self, seen: &Arc<Pair>) -> Result<Arc<Pair>, Failure> {
        let (inner, seen) = (Arc::clone(&self.0), Arc::clone(seen));
        let tries = inner.tries.load(Ordering::Acquire);
        let task = self.0.tasks.spawn(async move { inner.refresh(&seen, tries).await });
        task.await.unwrap_or_else(|_| Err(Failure::unavailable("the refresh of the sign-in ended early".into())))
    }

    /// Saves the pair of a new sign-in and uses it from now on.
    pub(super) async fn sign_in(&self, pair: Pair) -> Result<(), TokenError> {
        let mut last = self.0.gate.lock().await;
        let _lock = self.0.lock().await?;
        let (store, pair) = (self.0.store.clone(), Arc::new(pair));
        let saving = Arc::clone(&pair);
        blocking(move || store.save(&saving)).await?;
        *last = None;
        *self.0.held() = Held::new(Sign::In(pair));
        Ok(())
    }

    /// Forgets the sign-in, here and on disk; returns whether there was one.
    pub(super) async fn sign_out(&self) -> Result<bool, TokenError> {
        let _last = self.0.gate.lock().await;
        let _lock = self.0.lock().await?;
        let store = self.0.store.clone();
        let was = blocking(move || store.remove()).await?;
        *self.0.held() = Held::new(Sign::Out("signed out".into()));
        Ok(was)
    }

    /// Asks the token endpoint, without a token.
    pub(super) async fn ask_for_tokens(&self, body: &Value) -> Result<Answer, CallError> {
        self.0.ask_for_tokens(body).await
    }
}

/// Returns whether less is left of the access token than is wise, or than `need` up to half its life.
fn is_stale(pair: &Pair, need: Duration, now: Timestamp) -> bool {
    let life = Duration::try_from(pair.expires.duration_since(pair.obtained)).unwrap_or_default();
    let left = Duration::try_from(pair.expires.duration_since(now)).unwrap_or_default();
    left <= AHEAD.min(life / 4).max(need.min(life / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(life: i64) -> Pair {
        let obtained = Timestamp::from_second(1_800_000_000).expect("in range");
        let expires = Timestamp::from_second(1_800_000_000 + life).expect("in range");
        Pair { access: "a".into(), refresh: "r".into(), since: obtained, obtained, expires }
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

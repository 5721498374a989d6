//! The sign-in at work: every call carries a token, and one refresh at a time gets the next.
//!
//! A refresh token that is used twice ends its whole family (RFC 9700), so a refresh is single: in this process behind
//! a gate, between processes behind a lock, with the file read again inside both. It runs on a task of its own that
//! ends by itself, so that a caller that goes away cannot lose a pair that the service has already given.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    grant::{self, Failure},
    tokens::{Pair, Saved, Store, TokenError},
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

/// Another process that holds the lock is asked again after this.
const LOCK_STEP: Duration = Duration::from_millis(50);

/// Another process holds the lock for one call to the token endpoint, and a little more.
const LOCK_SLACK: Duration = Duration::from_secs(10);

/// The cheap read.
pub(super) const PROFILE: [&str; 3] = ["api", "users", "me"];

/// The sign-in of one service. Clones share it.
#[derive(Debug, Clone)]
pub(super) struct Session(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    http: Client,
    pacer: Arc<Pacer>,
    store: Store,
    tasks: TaskTracker,
    held: Mutex<Held>,
    /// Held through a refresh; keeps how the last one failed, for those who waited for it.
    gate: tokio::sync::Mutex<Option<Failure>>,
    /// Refreshes tried.
    tries: AtomicU64,
}

/// What is known of the sign-in.
#[derive(Debug)]
struct Held {
    sign: Sign,
    /// The service said 401 to a token that it had just given.
    doubt: Option<String>,
    /// No refresh ahead of need before this.
    rest: Option<Instant>,
    /// The pair could not be written: it is not used before it is.
    unsaved: bool,
    /// The pair whose refresh was refused: never tried again, even where that could not be written.
    struck: Option<Pair>,
}

impl Held {
    fn new(sign: Sign) -> Self {
        Self { sign, doubt: None, rest: None, unsaved: false, struck: None }
    }
}

#[derive(Debug, Clone)]
enum Sign {
    In(Arc<Pair>),
    Out(String),
}

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
            let reason = format!("the service answered 401 to a fresh token: {}", answers::said(&answer));
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
        self.paced(Priority::High).await;
        Ok(self.0.http.send(&Request::post(&grant::TOKEN).json(body)).await?)
    }
}

impl Inner {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_resting(&self) -> bool {
        self.held().rest.is_some_and(|until| Instant::now() < until)
    }

    /// Lets one caller refresh; those who waited meanwhile get what that one got.
    async fn refresh(&self, seen: &Pair, tries: u64) -> Result<Arc<Pair>, Failure> {
        let mut last = self.gate.lock().await;
        let (sign, unsaved) = {
            let held = self.held();
            (held.sign.clone(), held.unsaved)
        };
        match sign {
            Sign::Out(reason) => return Err(Failure::SignedOut(reason)),
            Sign::In(pair) if unsaved => return self.save(pair).await,
            Sign::In(pair) if !pair.is_same(seen) => return Ok(pair),
            Sign::In(_) => {}
        }
        if self.tries.load(Ordering::Acquire) != tries
            && let Some(failure) = &*last
        {
            return Err(failure.clone());
        }
        let result = self.refresh_alone(seen).await;
        self.tries.fetch_add(1, Ordering::Release);
        *last = result.as_ref().err().cloned();
        result
    }

    /// Refreshes under the lock between processes, unless another process has done so.
    async fn refresh_alone(&self, seen: &Pair) -> Result<Arc<Pair>, Failure> {
        let _lock = self.lock().await?;
        let store = self.store.clone();
        match blocking(move || store.rehearse().and_then(|()| store.load())).await? {
            Saved::Pair(pair) if pair.is_same(seen) => {}
            Saved::Pair(pair) => return Ok(self.adopt(pair)),
            Saved::SignedOut(reason) => {
                self.held().sign = Sign::Out(reason.clone());
                return Err(Failure::SignedOut(reason));
            }
        }
        match self.buy(seen).await {
            Ok(pair) => {
                let pair = self.adopt(pair);
                self.save(pair).await
            }
            Err(Failure::SignedOut(reason)) => self.strike_out(seen, reason).await,
            Err(failure) => Err(failure),
        }
    }

    /// Gives the refresh token for the next pair. An answer that was lost leaves everything as it is: the next try
    /// will tell whether the service has taken it.
    async fn buy(&self, seen: &Pair) -> Result<Pair, Failure> {
        let body = json!({"grant_type": "refresh_token", "refresh_token": seen.refresh.expose_secret()});
        self.pacer.acquire(Priority::High).await;
        let answer = self.http.send(&Request::post(&grant::TOKEN).json(&body)).await.map_err(CallError::from)?;
        let secrets = [seen.refresh.expose_secret(), seen.access.expose_secret()];
        grant::read(answer, clock::now(), Some(seen), &secrets)
    }

    async fn strike_out(&self, seen: &Pair, reason: String) -> Result<Arc<Pair>, Failure> {
        {
            let mut held = self.held();
            held.sign = Sign::Out(reason.clone());
            held.struck = Some(seen.clone());
        }
        let (store, why) = (self.store.clone(), reason.clone());
        if let Err(error) = blocking(move || store.strike_out(&why)).await {
            tracing::warn!("the refused sign-in could not be struck out: {error}");
        }
        Err(Failure::SignedOut(reason))
    }

    /// Holds a pair; what [`Self::save`] has not written is not used.
    fn adopt(&self, pair: Pair) -> Arc<Pair> {
        let pair = Arc::new(pair);
        let mut held = self.held();
        held.sign = Sign::In(Arc::clone(&pair));
        held.rest = None;
        pair
    }

    async fn save(&self, pair: Arc<Pair>) -> Result<Arc<Pair>, Failure> {
        self.held().unsaved = true;
        let (store, saving) = (self.store.clone(), Arc::clone(&pair));
        blocking(move || store.save(&saving)).await.map_err(|error| Failure::unavailable(error.to_string()))?;
        let mut held = self.held();
        if matches!(&held.sign, Sign::In(now) if now.is_same(&pair)) {
            held.unsaved = false;
        }
        Ok(pair)
    }

    async fn reload(&self) -> Result<Arc<Pair>, Failure> {
        let store = self.store.clone();
        match blocking(move || store.load()).await? {
            Saved::Pair(pair) => self.adopt_unless_struck(pair),
            Saved::SignedOut(reason) => {
                self.held().sign = Sign::Out(reason.clone());
                Err(Failure::SignedOut(reason))
            }
        }
    }

    fn adopt_unless_struck(&self, pair: Pair) -> Result<Arc<Pair>, Failure> {
        let refused = {
            let held = self.held();
            match (&held.sign, &held.struck) {
                (Sign::Out(reason), Some(struck)) if struck.is_same(&pair) => Some(reason.clone()),
                (Sign::Out(_) | Sign::In(_), _) => None,
            }
        };
        match refused {
            Some(reason) => Err(Failure::SignedOut(reason)),
            None => Ok(self.adopt(pair)),
        }
    }

    /// Waits for the lock between processes.
    async fn lock(&self) -> Result<File, TokenError> {
        let limit = Instant::now() + self.http.limits().request + LOCK_SLACK;
        loop {
            let store = self.store.clone();
            if let Some(lock) = blocking(move || store.try_lock()).await? {
                return Ok(lock);
            }
            if Instant::now() >= limit {
                return Err(TokenError::Busy);
            }
            tokio::time::sleep(LOCK_STEP).await;
        }
    }
}

impl From<Saved> for Sign {
    fn from(saved: Saved) -> Self {
        match saved {
            Saved::Pair(pair) => Self::In(Arc::new(pair)),
            Saved::SignedOut(reason) => Self::Out(reason),
        }
    }
}

/// Returns whether less is left of the access token than is wise, or than `need` up to half its life.
fn is_stale(pair: &Pair, need: Duration, now: Timestamp) -> bool {
    let life = Duration::try_from(pair.expires.duration_since(pair.obtained)).unwrap_or_default();
    let left = Duration::try_from(pair.expires.duration_since(now)).unwrap_or_default();
    left <= AHEAD.min(life / 4).max(need.min(life / 2))
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TokenError> + Send + 'static,
) -> Result<T, TokenError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(TokenError::Interrupted))
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

//! The refresh of tokens: one at a time, without losing the new pair.
//!
//! A gate serialises refreshes in this process and a lock those of several processes. The file is
//! read again inside both, and a new pair is on disk before it is used.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::{
    grant::{self, RefreshFailure},
    tokens::{SavedSignIn, TokenError, TokenPair, TokenStore},
};
use crate::{
    clock,
    effect::Effect,
    http::{Answer, Client, Request},
    services::{
        CallError,
        pacer::{Pacer, Priority},
    },
};

/// Interval at which a lock of another process is tried again.
const LOCK_STEP: Duration = Duration::from_millis(50);

/// Time beyond the limit of one call for which another process may hold the lock.
const LOCK_SLACK: Duration = Duration::from_secs(10);

/// The parts of a session and its state.
#[derive(Debug)]
pub(super) struct SessionInner {
    pub(super) http: Client,
    pub(super) pacer: Arc<Pacer>,
    pub(super) store: TokenStore,
    pub(super) tasks: TaskTracker,
    pub(super) held: Mutex<SignInState>,
    /// Locked during a refresh; holds the last failure, for the callers that waited for it.
    pub(super) gate: tokio::sync::Mutex<Option<RefreshFailure>>,
    /// Number of refreshes.
    pub(super) tries: AtomicU64,
}

/// The state of the sign-in.
#[derive(Debug)]
pub(super) struct SignInState {
    pub(super) sign: KnownSignIn,
    /// The message of a 401 to a token that the service had just issued.
    pub(super) doubt: Option<String>,
    /// The time before which no early refresh is tried.
    pub(super) rest: Option<Instant>,
    /// True where the pair is not on disk yet, and so must not be used.
    pub(super) unsaved: bool,
    /// The pair whose refresh was refused. It is never tried again, even where the refusal could
    /// not be written.
    struck: Option<TokenPair>,
}

impl SignInState {
    pub(super) fn new(sign: KnownSignIn) -> Self {
        Self { sign, doubt: None, rest: None, unsaved: false, struck: None }
    }
}

/// The sign-in, or the reason why there is none.
#[derive(Debug, Clone)]
pub(super) enum KnownSignIn {
    In(Arc<TokenPair>),
    Out(String),
}

impl SessionInner {
    pub(super) fn lock_state(&self) -> MutexGuard<'_, SignInState> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_resting(&self) -> bool {
        self.lock_state().rest.is_some_and(|until| Instant::now() < until)
    }

    /// Lets one caller refresh; the callers that waited get its result.
    pub(super) async fn refresh_pair(
        &self,
        seen: &TokenPair,
        tries: u64,
    ) -> Result<Arc<TokenPair>, RefreshFailure> {
        let mut last = self.gate.lock().await;
        let (sign, unsaved) = {
            let held = self.lock_state();
            (held.sign.clone(), held.unsaved)
        };
        match sign {
            KnownSignIn::Out(reason) => return Err(RefreshFailure::SignedOut(reason)),
            KnownSignIn::In(pair) if unsaved => return self.save_alone(pair).await,
            KnownSignIn::In(pair) if !pair.is_same(seen) => return Ok(pair),
            KnownSignIn::In(_) => {}
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

    /// Returns the present pair when it is on disk. A refresh that is saving it is waited for.
    pub(super) async fn saved_pair(&self) -> Result<Arc<TokenPair>, RefreshFailure> {
        let _gate = self.gate.lock().await;
        let (sign, unsaved) = {
            let held = self.lock_state();
            (held.sign.clone(), held.unsaved)
        };
        match sign {
            KnownSignIn::Out(reason) => Err(RefreshFailure::SignedOut(reason)),
            KnownSignIn::In(pair) if unsaved => self.save_alone(pair).await,
            KnownSignIn::In(pair) => Ok(pair),
        }
    }

    /// Saves a pair whose first saving failed, under the lock between processes: whoever writes without it takes the
    /// draft of another for what a crash has left.
    async fn save_alone(&self, pair: Arc<TokenPair>) -> Result<Arc<TokenPair>, RefreshFailure> {
        let _lock = self.lock_store().await?;
        self.save_pair(pair).await
    }

    /// Refreshes under the lock between processes, unless another process has just done so.
    async fn refresh_alone(&self, seen: &TokenPair) -> Result<Arc<TokenPair>, RefreshFailure> {
        let _lock = self.lock_store().await?;
        let store = self.store.clone();
        match run_blocking(move || store.rehearse_save().and_then(|()| store.load_sign_in()))
            .await?
        {
            SavedSignIn::Pair(pair) if pair.is_same(seen) => {}
            SavedSignIn::Pair(pair) => return Ok(self.adopt_pair(pair, false)),
            SavedSignIn::SignedOut(reason) => {
                self.lock_state().sign = KnownSignIn::Out(reason.clone());
                return Err(RefreshFailure::SignedOut(reason));
            }
        }
        match self.exchange_refresh_token(seen).await {
            Ok(pair) => {
                tracing::debug!(expires = %pair.expires, "refreshed the sign-in");
                let pair = self.adopt_pair(pair, true);
                self.save_pair(pair).await
            }
            Err(RefreshFailure::SignedOut(reason)) => self.strike_out(seen, reason).await,
            Err(failure) => Err(failure),
        }
    }

    /// Exchanges the refresh token for the next pair. A lost answer leaves everything as it is: the
    /// next try shows whether the service has used the token up.
    async fn exchange_refresh_token(&self, seen: &TokenPair) -> Result<TokenPair, RefreshFailure> {
        let body =
            json!({"grant_type": "refresh_token", "refresh_token": seen.refresh.expose_secret()});
        let answer = self.ask_for_tokens(&body).await?;
        let secrets = [seen.refresh.expose_secret(), seen.access.expose_secret()];
        grant::read_grant(answer, clock::now(), Some(seen), &secrets)
    }

    /// Asks the token endpoint, without a token.
    pub(super) async fn ask_for_tokens(&self, body: &Value) -> Result<Answer, CallError> {
        self.pacer.acquire(Priority::High).await;
        let request = Request::post(&grant::TOKEN).json(body);
        Ok(Effect::CallTokens.during_async(self.http.send(&request)).await?)
    }

    async fn strike_out(
        &self,
        seen: &TokenPair,
        reason: String,
    ) -> Result<Arc<TokenPair>, RefreshFailure> {
        {
            let mut held = self.lock_state();
            held.sign = KnownSignIn::Out(reason.clone());
            held.struck = Some(seen.clone());
        }
        let store = self.store.clone();
        let cause = reason.clone();
        if let Err(error) = run_blocking(move || store.strike_out(&cause)).await {
            tracing::warn!("failed to strike out the refused sign-in: {error}");
        }
        Err(RefreshFailure::SignedOut(reason))
    }

    /// Makes a pair the present one; it is not used while it is `unsaved`.
    fn adopt_pair(&self, pair: TokenPair, unsaved: bool) -> Arc<TokenPair> {
        let pair = Arc::new(pair);
        let mut held = self.lock_state();
        held.sign = KnownSignIn::In(Arc::clone(&pair));
        held.rest = None;
        held.unsaved = unsaved;
        pair
    }

    /// Saves a pair; the caller holds the gate and the lock.
    async fn save_pair(&self, pair: Arc<TokenPair>) -> Result<Arc<TokenPair>, RefreshFailure> {
        let store = self.store.clone();
        let saving = Arc::clone(&pair);
        run_blocking(move || store.save_pair(&saving))
            .await
            .map_err(|error| RefreshFailure::from_message(error.to_string()))?;
        let mut held = self.lock_state();
        if matches!(&held.sign, KnownSignIn::In(now) if now.is_same(&pair)) {
            held.unsaved = false;
        }
        Ok(pair)
    }

    pub(super) async fn reload_pair(&self) -> Result<Arc<TokenPair>, RefreshFailure> {
        let store = self.store.clone();
        match run_blocking(move || store.load_sign_in()).await? {
            SavedSignIn::Pair(pair) => self.adopt_unless_struck(pair),
            SavedSignIn::SignedOut(reason) => {
                self.lock_state().sign = KnownSignIn::Out(reason.clone());
                Err(RefreshFailure::SignedOut(reason))
            }
        }
    }

    fn adopt_unless_struck(&self, pair: TokenPair) -> Result<Arc<TokenPair>, RefreshFailure> {
        let refused = {
            let held = self.lock_state();
            match (&held.sign, &held.struck) {
                (KnownSignIn::Out(reason), Some(struck)) if struck.is_same(&pair) => {
                    Some(reason.clone())
                }
                (KnownSignIn::Out(_) | KnownSignIn::In(_), _) => None,
            }
        };
        match refused {
            Some(reason) => Err(RefreshFailure::SignedOut(reason)),
            None => Ok(self.adopt_pair(pair, false)),
        }
    }

    /// Waits for the lock between processes.
    pub(super) async fn lock_store(&self) -> Result<File, TokenError> {
        let limit = Instant::now() + self.http.limits().request + LOCK_SLACK;
        loop {
            let store = self.store.clone();
            if let Some(lock) = run_blocking(move || store.try_lock()).await? {
                return Ok(lock);
            }
            if Instant::now() >= limit {
                return Err(TokenError::Busy);
            }
            tokio::time::sleep(LOCK_STEP).await;
        }
    }
}

impl From<SavedSignIn> for KnownSignIn {
    fn from(saved: SavedSignIn) -> Self {
        match saved {
            SavedSignIn::Pair(pair) => Self::In(Arc::new(pair)),
            SavedSignIn::SignedOut(reason) => Self::Out(reason),
        }
    }
}

/// Runs file work on a thread that may block.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TokenError> + Send + 'static,
) -> Result<T, TokenError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(TokenError::Interrupted))
}

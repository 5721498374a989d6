//! One refresh at a time, and nothing lost of what it brings.
//!
//! In this process behind a gate, between processes behind a lock, with the file read again inside both; on disk
//! before it is used.

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
    grant::{self, Failure},
    tokens::{Pair, Saved, Store, TokenError},
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

/// Another process that holds the lock is asked again after this.
const LOCK_STEP: Duration = Duration::from_millis(50);

/// Another process holds the lock for one call to the token endpoint, and a little more.
const LOCK_SLACK: Duration = Duration::from_secs(10);

/// The parts of a session and what it knows.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) http: Client,
    pub(super) pacer: Arc<Pacer>,
    pub(super) store: Store,
    pub(super) tasks: TaskTracker,
    pub(super) held: Mutex<Held>,
    /// Held through a refresh; keeps how the last one failed, for those who waited for it.
    pub(super) gate: tokio::sync::Mutex<Option<Failure>>,
    /// Refreshes tried.
    pub(super) tries: AtomicU64,
}

/// What is known of the sign-in.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) sign: Sign,
    /// The service said 401 to a token that it had just given.
    pub(super) doubt: Option<String>,
    /// No refresh ahead of need before this.
    pub(super) rest: Option<Instant>,
    /// The pair could not be written: it is not used before it is.
    pub(super) unsaved: bool,
    /// The pair whose refresh was refused: never tried again, even where that could not be written.
    struck: Option<Pair>,
}

impl Held {
    pub(super) fn new(sign: Sign) -> Self {
        Self { sign, doubt: None, rest: None, unsaved: false, struck: None }
    }
}

/// Whether someone is signed in.
#[derive(Debug, Clone)]
pub(super) enum Sign {
    In(Arc<Pair>),
    Out(String),
}

impl Inner {
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_resting(&self) -> bool {
        self.held().rest.is_some_and(|until| Instant::now() < until)
    }

    /// Lets one caller refresh; those who waited meanwhile get what that one got.
    pub(super) async fn refresh(&self, seen: &Pair, tries: u64) -> Result<Arc<Pair>, Failure> {
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
            Saved::Pair(pair) => return Ok(self.adopt(pair, false)),
            Saved::SignedOut(reason) => {
                self.held().sign = Sign::Out(reason.clone());
                return Err(Failure::SignedOut(reason));
            }
        }
        match self.buy(seen).await {
            Ok(pair) => {
                tracing::debug!(expires = %pair.expires, "refreshed the sign-in");
                let pair = self.adopt(pair, true);
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
        let answer = self.ask_for_tokens(&body).await?;
        let secrets = [seen.refresh.expose_secret(), seen.access.expose_secret()];
        grant::read(answer, clock::now(), Some(seen), &secrets)
    }

    /// Asks the token endpoint, without a token.
    pub(super) async fn ask_for_tokens(&self, body: &Value) -> Result<Answer, CallError> {
        self.pacer.acquire(Priority::High).await;
        let request = Request::post(&grant::TOKEN).json(body);
        Ok(Effect::CallTokens.during_async(self.http.send(&request)).await?)
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

    /// Holds a pair; nobody uses it while it is `unsaved`.
    fn adopt(&self, pair: Pair, unsaved: bool) -> Arc<Pair> {
        let pair = Arc::new(pair);
        let mut held = self.held();
        held.sign = Sign::In(Arc::clone(&pair));
        held.rest = None;
        held.unsaved = unsaved;
        pair
    }

    pub(super) async fn save(&self, pair: Arc<Pair>) -> Result<Arc<Pair>, Failure> {
        let (store, saving) = (self.store.clone(), Arc::clone(&pair));
        blocking(move || store.save(&saving)).await.map_err(|error| Failure::unavailable(error.to_string()))?;
        let mut held = self.held();
        if matches!(&held.sign, Sign::In(now) if now.is_same(&pair)) {
            held.unsaved = false;
        }
        Ok(pair)
    }

    pub(super) async fn reload(&self) -> Result<Arc<Pair>, Failure> {
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
            None => Ok(self.adopt(pair, false)),
        }
    }

    /// Waits for the lock between processes.
    pub(super) async fn lock(&self) -> Result<File, TokenError> {
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

/// Runs file work where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TokenError> + Send + 'static,
) -> Result<T, TokenError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(TokenError::Interrupted))
}

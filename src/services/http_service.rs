//! The part that services over HTTP share: the pace of calls, the key as it is now, and the key
//! that was refused last.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::Instant;
use url::Url;

use super::{
    CallError, answers,
    pacer::{Pacer, Priority},
};
use crate::{
    config::{ApiKey, Environment, read_secret},
    http::{Answer, BuildError, CallLimits, Client, FileBody, Request, UploadError},
    text,
};

/// Characters that are shown of the reason why a key cannot be read.
const REASON_CHARS_MAX: usize = 500;

/// The key of one call; `None` for a server that asks for none.
pub(crate) type ServiceKey = Option<SecretString>;

/// The header that carries the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyHeader {
    /// As a bearer token (RFC 6750).
    Bearer,
    /// In a header of this name.
    Named(&'static str),
}

/// The key of a service: the place that it is read from at each call, and how it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    /// The place that the key is read from.
    pub(crate) place: ApiKey,
    /// The header that it is sent in.
    pub(crate) header: KeyHeader,
}

/// The result of comparing the present key with the one that was refused last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyChange {
    /// No key was refused since the start.
    NoneRefused,
    /// Another key is in place now.
    Replaced,
    /// The refused key is still in place, after this time.
    Unchanged(Duration),
}

/// A key that was refused, or that could not be read.
#[derive(Debug, Clone, Copy)]
struct RejectedKey {
    fingerprint: blake3::Hash,
    at: Instant,
}

/// The way to a service over HTTP.
#[derive(Debug)]
pub(crate) struct HttpService {
    client: Client,
    /// Shared by all users of the service.
    pacer: Arc<Pacer>,
    credentials: Option<Credentials>,
    refused: Mutex<Option<RejectedKey>>,
}

impl HttpService {
    /// Returns the way to the service at `base_url`.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub(crate) fn new(
        base_url: &Url,
        limits: CallLimits,
        pacer: Arc<Pacer>,
        credentials: Option<Credentials>,
    ) -> Result<Self, BuildError> {
        let client = Client::new(base_url, limits)?;
        Ok(Self { client, pacer, credentials, refused: Mutex::default() })
    }

    /// Returns the limits of its calls.
    pub(crate) fn limits(&self) -> CallLimits {
        self.client.limits()
    }

    /// Reads the key, which may have changed since the last call. A key that cannot be read counts
    /// as refused.
    pub(crate) async fn current_key(&self) -> Result<ServiceKey, CallError> {
        let key = self.read_key().await;
        if key.is_err() {
            self.remember_refused(&key);
        }
        key.map_err(|reason| CallError::SignedOut { reason })
    }

    async fn read_key(&self) -> Result<ServiceKey, String> {
        let Some(credentials) = &self.credentials else { return Ok(None) };
        let (key, place) = match credentials.place.clone() {
            ApiKey::File(file) => {
                let read = tokio::task::spawn_blocking(move || read_secret(&file)).await;
                let read = read.map_err(|_| "reading the key ended early".to_owned())?;
                let key = read.map_err(|error| {
                    text::one_line(&format!("the key's file {error}"), REASON_CHARS_MAX)
                })?;
                (key, "the file of `api_key_file`".to_owned())
            }
            ApiKey::Variable(name) => {
                let place = format!("the variable ${name} of `api_key_env`");
                let key = Environment::secret(&name);
                (key.ok_or_else(|| format!("{place} is not set"))?, place)
            }
        };
        let key = key.expose_secret().trim();
        if key.is_empty() || !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(format!("{place} holds no key, or more than one: a key is one word"));
        }
        Ok(Some(key.to_owned().into()))
    }

    /// Makes a call without a file and returns its answer, of any status.
    pub(crate) async fn call(
        &self,
        request: Request<'_>,
        priority: Priority,
    ) -> Result<Answer, CallError> {
        let key = self.current_key().await?;
        self.pacer.acquire(priority).await;
        let answer = self.client.send(&self.with_key(request, &key)).await?;
        Ok(redact_key(answer, &key))
    }

    /// Sends a file and returns the answer, of any status.
    pub(crate) async fn upload_file(
        &self,
        request: Request<'_>,
        body: FileBody<'_>,
    ) -> Result<Answer, CallError> {
        let key = self.current_key().await?;
        self.wait_for_slot().await;
        Ok(self.upload_now(request, body, &key).await?)
    }

    /// Waits until an upload may begin.
    pub(crate) async fn wait_for_slot(&self) {
        self.pacer.acquire(Priority::High).await;
    }

    /// Sends a file at once, with a key that was read before.
    pub(crate) async fn upload_now(
        &self,
        request: Request<'_>,
        body: FileBody<'_>,
        key: &ServiceKey,
    ) -> Result<Answer, UploadError> {
        let answer = self.client.upload(&self.with_key(request, key), body).await?;
        Ok(redact_key(answer, key))
    }

    fn with_key<'a>(&self, request: Request<'a>, key: &'a ServiceKey) -> Request<'a> {
        match (&self.credentials, key) {
            (Some(Credentials { header: KeyHeader::Bearer, .. }), Some(key)) => request.bearer(key),
            (Some(Credentials { header: KeyHeader::Named(name), .. }), Some(key)) => {
                request.key(name, key)
            }
            (None, _) | (_, None) => request,
        }
    }

    /// Remembers the present key as refused.
    pub(crate) async fn remember_refused_key(&self) {
        self.remember_refused(&self.read_key().await);
    }

    /// Returns the error of a key that the service refuses, and remembers the key.
    pub(crate) async fn refuse_key(&self, reason: String) -> CallError {
        self.remember_refused_key().await;
        CallError::SignedOut { reason }
    }

    fn remember_refused(&self, key: &Result<ServiceKey, String>) {
        let refused = RejectedKey { fingerprint: key_fingerprint(key), at: Instant::now() };
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(refused);
    }

    /// Compares the present key with the one that was refused last.
    pub(crate) async fn key_change(&self) -> KeyChange {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        match refused {
            None => KeyChange::NoneRefused,
            Some(refused) if key_fingerprint(&self.read_key().await) != refused.fingerprint => {
                KeyChange::Replaced
            }
            Some(refused) => KeyChange::Unchanged(refused.at.elapsed()),
        }
    }
}

/// Takes the key out of an answer: some servers repeat the key that they refuse.
fn redact_key(answer: Answer, key: &ServiceKey) -> Answer {
    match key {
        Some(key) => answers::redact_key(answer, key.expose_secret()),
        None => answer,
    }
}

/// Returns a hash that distinguishes keys, and reasons for having none.
fn key_fingerprint(key: &Result<ServiceKey, String>) -> blake3::Hash {
    let (kind, text) = match key {
        Ok(Some(key)) => ("key", key.expose_secret()),
        Ok(None) => ("none", ""),
        Err(reason) => ("error", reason.as_str()),
    };
    blake3::hash(format!("{kind}\0{text}").as_bytes())
}

#[cfg(test)]
mod tests {
    use std::{fs, num::NonZeroU32, os::unix::fs::PermissionsExt as _, path::Path};

    use bytes::Bytes;

    use super::*;

    fn service(key_file: &Path) -> HttpService {
        let base_url = Url::parse("http://127.0.0.1:9/").expect("an address");
        let place = ApiKey::File(key_file.to_owned());
        let credentials = Credentials { place, header: KeyHeader::Bearer };
        let limits = CallLimits::new(Duration::from_secs(1));
        let pacer = Arc::new(Pacer::new(NonZeroU32::MIN));
        HttpService::new(&base_url, limits, pacer, Some(credentials)).expect("built")
    }

    fn write_key(file: &Path, key: &str) {
        fs::write(file, key).expect("written");
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("set");
    }

    #[tokio::test]
    async fn a_key_that_is_replaced_after_its_refusal_is_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("key");
        let service = service(&file);
        assert_eq!(service.key_change().await, KeyChange::NoneRefused);
        let missing = service.current_key().await;
        assert!(matches!(missing, Err(CallError::SignedOut { .. })), "{missing:?}");
        assert!(matches!(service.key_change().await, KeyChange::Unchanged(_)));
        write_key(&file, "sk-one\n");
        assert_eq!(service.key_change().await, KeyChange::Replaced);
        let key = service.current_key().await.expect("read").expect("a key");
        assert_eq!(key.expose_secret(), "sk-one");
        service.remember_refused_key().await;
        assert!(matches!(service.key_change().await, KeyChange::Unchanged(_)));
        for words in ["", "two words", "sch\u{f6}n"] {
            write_key(&file, words);
            let error = service.current_key().await.expect_err("no key").to_string();
            assert!(error.contains("a key is one word"), "{error}");
        }
    }

    #[test]
    fn a_key_that_is_repeated_by_the_server_is_shown_to_nobody() {
        let key = Some(SecretString::from("sk-canary"));
        for body in
            [b"{\"error\":{\"message\":\"sk-canary is wrong\"}}".as_slice(), b"\xff sk-canary"]
        {
            let answer = Answer {
                status: 401,
                date: None,
                retry_after: None,
                location: Some("https://x.example/sk-canary".into()),
                content_type: Some("text/sk-canary".into()),
                body: Bytes::copy_from_slice(body),
            };
            let shown = format!("{:?}", redact_key(answer, &key));
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}

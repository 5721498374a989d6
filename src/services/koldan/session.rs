//! One call, and what its answer means; and lists, page by page.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Koldan, wire};
use crate::{
    http::{ANALYSES_BYTES_MAX, Answer, Request},
    job::Suspect,
    services::{CallError, answers, http_service::KeyChange, pacer::Priority},
};

/// The header that carries the key.
pub(super) const KEY_HEADER: &str = "x-api-key";

/// The addresses of the lists.
pub(super) const TRANSCRIPTIONS: [&str; 4] = ["api", "v1", "speech-services", "transcriptions"];
pub(super) const SUMMARIES: [&str; 4] = ["api", "v1", "speech-services", "summaries"];
pub(super) const FILES: [&str; 4] = ["api", "v1", "speech-services", "files"];

/// Entries asked for at once: the most that the documents allow.
const SIZE: usize = 100;

/// Pages of one list that are read: what is looked for is filtered by the server, and stands on the first.
const PAGES_MAX: usize = 20;

/// A refused key is tried again after this, should its rights have changed at Koldan.
const RIGHTS_AGAIN: Duration = Duration::from_secs(3600);

/// What a 403 may mean here, which Koldan does not tell apart.
pub const FORBIDDEN: &str =
    "the key was made without the scope for it, or its account is a viewer, which may only read";

/// The address of a transcription.
pub(super) fn transcription(id: &str) -> [&str; 5] {
    let [a, b, c, d] = TRANSCRIPTIONS;
    [a, b, c, d, id]
}

/// The address of a summary.
pub(super) fn summary(id: &str) -> [&str; 5] {
    let [a, b, c, d] = SUMMARIES;
    [a, b, c, d, id]
}

impl Koldan {
    /// Makes a call and returns its answer, whatever its status.
    pub(super) async fn call(&self, request: Request<'_>, priority: Priority) -> Result<Answer, CallError> {
        self.http.call(request, priority).await
    }

    /// Returns the answer when it is 2xx, else what its status means.
    pub(super) async fn accepted(&self, answer: Answer) -> Result<Answer, CallError> {
        if let Some(message) = quota_refusal(&answer) {
            // It speaks of the account and of no recording, however many others go through.
            let (after, suspect) = (answer.retry_after, Suspect::Service);
            return Err(CallError::Unavailable { message, after, uncertain: false, suspect });
        }
        let refused = match answers::check_status(answer) {
            Err(CallError::SignedOut { reason }) => reason,
            Err(CallError::Forbidden { message }) => format!("the service answered 403: {message}; {FORBIDDEN}"),
            other => return other,
        };
        Err(self.http.refuse_key(refused).await)
    }

    /// Reads an answer. Reading changes nothing: whatever went wrong, it may be read again.
    pub(super) async fn json(&self, request: Request<'_>, priority: Priority) -> Result<Value, CallError> {
        let answer =
            self.call(request.bytes_max(ANALYSES_BYTES_MAX), priority).await.map_err(answers::mark_not_executed)?;
        let answer = self.accepted(answer).await.map_err(answers::mark_not_executed)?;
        answers::read_long(move || answers::json(answer)).await.map_err(answers::mark_not_executed)
    }

    /// Reads an answer that may not be there: 404 and 410, and 405 of a server that has no such call.
    pub(super) async fn json_if(&self, request: Request<'_>, priority: Priority) -> Result<Option<Value>, CallError> {
        match self.json(request, priority).await {
            Ok(value) => Ok(Some(value)),
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a list to its end, up to so many pages that none is missed that the server filters.
    ///
    /// (unknown): the envelope of a page and how it says that it is the last one. A page that is not full is the last,
    /// unless it tells of a larger total; a server that gives the same page again knows no pages.
    pub(super) async fn list(
        &self,
        path: &[&str],
        filter: &[(&str, &str)],
        priority: Priority,
    ) -> Result<Vec<Value>, CallError> {
        let mut found: Vec<Value> = Vec::new();
        for number in 0..PAGES_MAX {
            let (number, size) = (number.to_string(), SIZE.to_string());
            let request = Request::get(path).query("page", &number).query("size", &size);
            let request = filter.iter().fold(request, |request, (name, value)| request.query(name, value));
            let (entries, total) = wire::entries(&self.json(request, priority).await?)?;
            let is_same = entries.first().is_some_and(|first| found.contains(first));
            if entries.is_empty() || is_same {
                break;
            }
            let is_full = entries.len() >= SIZE;
            found.extend(entries);
            if !is_full && total.is_none_or(|total| total <= found.len()) {
                break;
            }
        }
        Ok(found)
    }

    /// Proves that the key may read.
    pub(super) async fn prove(&self) -> Result<(), CallError> {
        let request = Request::get(&TRANSCRIPTIONS).query("page", "0").query("size", "1");
        self.json(request, Priority::High).await.map(drop)
    }

    /// Whether the key may have something made, as far as that shows; it always does for transcriptions alone.
    ///
    /// A summary of nothing is asked for: whoever may have one made is told that it lacks a transcription, and nothing is
    /// made; a viewer is forbidden. (guess): rights are looked at before the request is. No call depends on it.
    pub(super) async fn may_write(&self) -> Result<bool, CallError> {
        if self.settings.folders.is_empty() {
            return Ok(true);
        }
        let answer = self
            .call(Request::post(&SUMMARIES).json(&json!({})), Priority::High)
            .await
            .map_err(answers::mark_not_executed)?;
        Ok(answer.status != 403 || quota_refusal(&answer).is_some())
    }

    /// Returns whether another key lies there than the one that was refused, or its rights may have changed meanwhile.
    /// After a restart the server is asked.
    pub(super) async fn has_another_key_or_rights(&self) -> bool {
        match self.http.key_change().await {
            KeyChange::Replaced => return true,
            KeyChange::Unchanged(since) if since < RIGHTS_AGAIN => return false,
            KeyChange::Unchanged(_) | KeyChange::NoneRefused => {}
        }
        let is_mended = self.prove().await.is_ok() && matches!(self.may_write().await, Ok(true));
        if !is_mended {
            self.http.remember_refused_key().await;
        }
        is_mended
    }
}

/// Returns what is told where the account's quota is spent. (unknown): how Koldan says so. 402 says it by itself; 403 and
/// 429 say it in words, and are something else without them.
fn quota_refusal(answer: &Answer) -> Option<String> {
    let is_told = || {
        let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(64 * 1024)]).to_lowercase();
        ["quota", "limit_exceeded", "limit exceeded", "insufficient_credit", "insufficient credit"]
            .iter()
            .any(|word| body.contains(word))
    };
    let is_spent = match answer.status {
        402 => true,
        403 => is_told(),
        429 => String::from_utf8_lossy(&answer.body).to_lowercase().contains("quota"),
        _other => false,
    };
    is_spent.then(|| format!("the account's quota is spent ({}): {}", answer.status, answers::error_message(answer)))
}

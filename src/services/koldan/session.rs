//! Calls and the mapping of their answers; lists, page by page.

use std::time::Duration;

use serde_json::{Value, json};

use super::{KoldanService, wire};
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

/// Entries of one page: the most that the documents allow.
const SIZE: usize = 100;

/// Pages that are read of one list: the server filters, so the wanted entries are on the first
/// page.
const PAGES_MAX: usize = 20;

/// A refused key is tried again after this time, because its rights may have been changed at
/// Koldan.
const RIGHTS_AGAIN: Duration = Duration::from_secs(3600);

/// The possible meanings of a 403, which Koldan does not distinguish.
pub(crate) const FORBIDDEN: &str =
    "the key was made without the scope for it, or its account is a viewer, which may only read";

/// Returns the path of a transcription.
pub(super) fn transcription_path(id: &str) -> [&str; 5] {
    let [a, b, c, d] = TRANSCRIPTIONS;
    [a, b, c, d, id]
}

/// Returns the path of a summary.
pub(super) fn summary_path(id: &str) -> [&str; 5] {
    let [a, b, c, d] = SUMMARIES;
    [a, b, c, d, id]
}

impl KoldanService {
    /// Makes a call and returns its answer, of any status.
    pub(super) async fn call(
        &self,
        request: Request<'_>,
        priority: Priority,
    ) -> Result<Answer, CallError> {
        self.http.call(request, priority).await
    }

    /// Returns the answer when it is 2xx, else the error that its status stands for.
    pub(super) async fn check_answer(&self, answer: Answer) -> Result<Answer, CallError> {
        if let Some(message) = quota_refusal(&answer) {
            // This concerns the account and no recording, even where other uploads succeed.
            return Err(CallError::Unavailable {
                message,
                after: answer.retry_after,
                uncertain: false,
                suspect: Suspect::Service,
            });
        }
        let refused = match answers::check_status(answer) {
            Err(CallError::SignedOut { reason }) => reason,
            Err(CallError::Forbidden { message }) => {
                format!("the service answered 403: {message}; {FORBIDDEN}")
            }
            other => return other,
        };
        Err(self.http.refuse_key(refused).await)
    }

    /// Reads the JSON of an answer. A failed read may be repeated, because it changes nothing.
    pub(super) async fn read_json(
        &self,
        request: Request<'_>,
        priority: Priority,
    ) -> Result<Value, CallError> {
        let answer = self
            .call(request.bytes_max(ANALYSES_BYTES_MAX), priority)
            .await
            .map_err(answers::mark_not_executed)?;
        let answer = self.check_answer(answer).await.map_err(answers::mark_not_executed)?;
        answers::read_long(move || answers::read_json(answer))
            .await
            .map_err(answers::mark_not_executed)
    }

    /// Reads the JSON of an answer; `None` where there is none: 404 and 410, and 405 of a server
    /// without such a call.
    pub(super) async fn read_json_if_found(
        &self,
        request: Request<'_>,
        priority: Priority,
    ) -> Result<Option<Value>, CallError> {
        match self.read_json(request, priority).await {
            Ok(value) => Ok(Some(value)),
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a list to its end, within a limit of pages that a filtered list does not reach.
    ///
    /// (unknown): the envelope of a page and the mark of the last one. A page that is not full is
    /// the last, unless it names a larger total; a server that sends the same page again has no
    /// pages.
    pub(super) async fn read_list(
        &self,
        path: &[&str],
        filter: &[(&str, &str)],
        priority: Priority,
    ) -> Result<Vec<Value>, CallError> {
        let mut found: Vec<Value> = Vec::new();
        for number in 0..PAGES_MAX {
            let number = number.to_string();
            let size = SIZE.to_string();
            let request = Request::get(path).query("page", &number).query("size", &size);
            let request =
                filter.iter().fold(request, |request, (name, value)| request.query(name, value));
            let (entries, total) = wire::page_entries(&self.read_json(request, priority).await?)?;
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
    pub(super) async fn prove_key(&self) -> Result<(), CallError> {
        let request = Request::get(&TRANSCRIPTIONS).query("page", "0").query("size", "1");
        self.read_json(request, Priority::High).await.map(drop)
    }

    /// Returns whether the key may have summaries made, as far as that shows; always true for
    /// transcriptions alone.
    ///
    /// A summary of nothing is requested. A key with the right is answered that a transcription is
    /// missing, and nothing is made; a viewer's key is forbidden. (guess): rights are checked
    /// before the request. No call depends on it.
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

    /// Returns whether the refused key was replaced, or its rights may have changed meanwhile.
    /// After a restart the server is asked.
    pub(super) async fn has_another_key_or_rights(&self) -> bool {
        match self.http.key_change().await {
            KeyChange::Replaced => return true,
            KeyChange::Unchanged(since) if since < RIGHTS_AGAIN => return false,
            KeyChange::Unchanged(_) | KeyChange::NoneRefused => {}
        }
        let is_mended =
            self.prove_key().await.is_ok() && matches!(self.may_write().await, Ok(true));
        if !is_mended {
            self.http.remember_refused_key().await;
        }
        is_mended
    }
}

/// Returns the message of a spent quota; `None` for another answer. (unknown): how Koldan reports
/// it. 402 suffices by itself; 403 and 429 must also say it in words.
fn quota_refusal(answer: &Answer) -> Option<String> {
    let is_spent = match answer.status {
        402 => true,
        403 => {
            let body = &answer.body[..answer.body.len().min(64 * 1024)];
            let body = String::from_utf8_lossy(body).to_lowercase();
            [
                "quota",
                "limit_exceeded",
                "limit exceeded",
                "insufficient_credit",
                "insufficient credit",
            ]
            .iter()
            .any(|word| body.contains(word))
        }
        429 => String::from_utf8_lossy(&answer.body).to_lowercase().contains("quota"),
        _other => false,
    };
    is_spent.then(|| {
        format!(
            "the account's quota is spent ({}): {}",
            answer.status,
            answers::error_message(answer)
        )
    })
}

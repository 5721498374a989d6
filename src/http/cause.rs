//! A transport error on one line: what failed and why, without the address it was sent to.

use std::error::Error;

use crate::{certificate, text};

/// Characters of a chain of causes that are shown: enough for three causes.
const CAUSE_CHARS_MAX: usize = 300;

/// Returns the causes of `error` from the outermost to the innermost, each one once.
///
/// The URL is removed first: its query may hold a secret.
pub(super) fn error_chain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut messages: Vec<String> = Vec::new();
    let mut cause: Option<&dyn Error> = Some(&error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !messages.iter().any(|before| before.contains(&text)) {
            messages.push(text);
        }
        cause = error.source();
    }
    // reqwest's own words name the phase, which the caller says better, unless there is nothing
    // else.
    if messages.len() > 1 {
        messages.remove(0);
    }
    let chain = messages.join(": ");
    let hint = tls_hint(&chain).map(|hint| format!("; {hint}")).unwrap_or_default();
    text::one_line(&chain, CAUSE_CHARS_MAX) + &hint
}

/// Returns the hint for a server that TLS refuses.
fn tls_hint(cause: &str) -> Option<String> {
    certificate::cure(cause, "base_url").or_else(|| {
        let is_plain_http = cause.contains("corrupt message");
        is_plain_http.then(|| {
            "the server does not speak TLS: should base_url begin with http://?".to_owned()
        })
    })
}

//! Questions about notifiers: how they stand, whether they can be used, and a test that is sent.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Answer, ControlService, Refusal};
use crate::{
    config::{Notifier, NotifyKind, Ping, Settings},
    delivery::notifications::{check_notifier, check_ping, send_test},
    hint::Hinted,
    text::one_line,
};

/// Characters of an answer that are shown.
const SHOWN_CHARS_MAX: usize = 500;

/// A notifier in `status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotifierStatus {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: NotifyKind,
    /// Notifications that wait.
    pub waiting: u64,
    /// Notifications that were given up and are still known.
    pub failed: u64,
    /// The last failure of those that wait.
    pub error: Option<String>,
    /// The next try of those that failed before.
    pub next_try: Option<Timestamp>,
    /// The time of the last event that was passed on.
    pub last_sent: Option<Timestamp>,
}

/// The outcome of a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotifyTest {
    /// The notifier.
    pub notifier: String,
    /// Its kind.
    pub kind: NotifyKind,
    /// True if it took the test.
    pub ok: bool,
    /// The answer in words.
    pub message: String,
    /// The cure, where one is known.
    pub hint: Option<String>,
}

impl ControlService {
    pub(super) async fn notifiers_shown(&self) -> Result<Vec<NotifierStatus>, Refusal> {
        let live = self.live_settings();
        let mut shown = Vec::new();
        for notifier in &live.settings.notifiers {
            let tally = self.queue.notifications().tally(&notifier.name).await?;
            shown.push(NotifierStatus {
                name: notifier.name.clone(),
                kind: notifier.kind(),
                waiting: tally.waiting,
                failed: tally.failed,
                error: tally.error,
                next_try: tally.next_try,
                last_sent: tally.last_sent,
            });
        }
        Ok(shown)
    }

    /// Sends a test to a notifier.
    pub(super) async fn test_notifier(&self, name: &str) -> Answer {
        let live = self.live_settings();
        let notifier = find_notifier(&live.settings, name)?;
        let sent = send_test(&live.settings, notifier).await;
        let hint = sent.as_ref().err().and_then(|error| error.hint()).map(str::to_owned);
        let is_sent = sent.is_ok();
        let message = sent.unwrap_or_else(|error| error.to_string());
        let outcome = NotifyTest {
            notifier: notifier.name.clone(),
            kind: notifier.kind(),
            ok: is_sent,
            message: one_line(&message, SHOWN_CHARS_MAX),
            hint,
        };
        super::service::to_value(&outcome)
    }
}

fn find_notifier<'s>(settings: &'s Settings, name: &str) -> Result<&'s Notifier, Refusal> {
    settings.notifier(name).ok_or_else(|| {
        let names: Vec<_> = settings.notifiers.iter().map(|known| known.name.as_str()).collect();
        let hint = if names.is_empty() {
            "add a [[notify]] table; config.example.toml shows it".to_owned()
        } else {
            format!("the notifiers are: {}", names.join(", "))
        };
        Refusal::unknown(format!("there is no notifier `{}`", one_line(name, 100))).hint(hint)
    })
}

/// Checks a notifier, or with `None` the monitor of `[ping]`, without telling it anything.
///
/// # Errors
/// What is wrong, with the cure.
pub(crate) async fn try_notifier(settings: &Settings, name: Option<&str>) -> Answer {
    let refused = |error: Hinted| Refusal::new(error.to_string()).hint(error.hint());
    let missing = || Refusal::new("no monitor is configured").hint("add a [ping] table");
    let checked = if let Some(name) = name {
        let notifier = find_notifier(settings, name)?.clone();
        tokio::task::spawn_blocking(move || check_notifier(&notifier)).await
    } else {
        let ping: Ping = settings.ping.clone().ok_or_else(missing)?;
        tokio::task::spawn_blocking(move || check_ping(&ping)).await
    };
    let checked = checked.map_err(|error| Refusal::new(error.to_string()))?;
    Ok(json!({ "message": one_line(&checked.map_err(refused)?, SHOWN_CHARS_MAX) }))
}

//! What the service manager is told (`sd_notify(3)`); nothing where none listens.
//!
//! A message that does not arrive is only logged: the service manager's own timeouts are the cure.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::text;

/// The longest status, in characters: one line of `systemctl status`.
const STATUS_CHARS_MAX: usize = 200;

/// Tells that the daemon serves: after the start and after each [`reloading`].
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells in one line what the daemon does.
///
/// A line end would begin another assignment of the protocol, so none gets through.
pub fn status(line: &str) {
    tell(&[NotifyState::Status(&text::one_line(line, STATUS_CHARS_MAX))]);
}

/// Tells that the configuration is read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // `Type=notify-reload` (systemd 253) insists on the time; the others pass over it.
        Ok(time) => tell(&[NotifyState::Reloading, time]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells that the daemon ends.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Returns how often [`feed_watchdog`] is to be called: twice as often as the service manager insists on
/// (`sd_watchdog_enabled(3)`). `None` when it does not watch.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()).map(|limit| limit / 2)
}

/// Tells that the daemon is alive. To be called only by what has just proved it.
pub fn feed_watchdog() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "failed to tell the service manager");
    }
}

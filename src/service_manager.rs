//! What the service manager is told (`sd_notify(3)`); nothing where none listens.
//!
//! A message that does not arrive is only logged: the service manager's own timeouts are the cure.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::text;

/// The longest status, in characters: one line of `systemctl status`.
const STATUS_CHARS_MAX: usize = 200;

/// Tells that the daemon serves: after the start and after each [`reloading`].
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells in one line what the daemon does.
///
/// A line end would begin another assignment of the protocol, so none gets through.
pub(crate) fn status(line: &str) {
    tell(&[NotifyState::Status(&text::one_line(line, STATUS_CHARS_MAX))]);
}

/// Tells that the configuration is read again; [`ready`] ends it.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // `Type=notify-reload` (systemd 253) insists on the time; the others pass over it.
        Ok(time) => tell(&[NotifyState::Reloading, time]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Tells that the daemon ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Returns how often [`feed_watchdog`] is to be called: twice as often as the service manager insists on
/// (`sd_watchdog_enabled(3)`). `None` when it does not watch.
#[must_use]
pub(crate) fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|limit| !limit.is_zero()).map(|limit| limit / 2)
}

/// Tells that the daemon is alive. To be called only by what has just proved it.
pub(crate) fn feed_watchdog() {
    tell(&[NotifyState::Watchdog]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "failed to tell the service manager");
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;
    use crate::alone;

    #[test]
    fn what_is_told_arrives_and_a_status_is_never_more_than_a_status() {
        if alone::is_child() {
            ready();
            status("folder `a\nMAINPID=1`");
            reloading();
            feed_watchdog();
            stopping();
            assert_eq!(watchdog_interval(), Some(Duration::from_secs(30)));
            return;
        }
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        let variables =
            [("NOTIFY_SOCKET", path.to_str().expect("UTF-8")), ("WATCHDOG_USEC", "60000000")];
        let test =
            "service_manager::tests::what_is_told_arrives_and_a_status_is_never_more_than_a_status";
        alone::pass(test, &variables);

        socket.set_nonblocking(true).expect("set");
        let mut buffer = [0; 1024];
        let told: String = std::iter::from_fn(|| {
            let bytes = socket.recv(&mut buffer).ok()?;
            Some(String::from_utf8_lossy(&buffer[..bytes]).into_owned())
        })
        .collect();
        let (before, after) = told.split_once("MONOTONIC_USEC=").expect("the time of the reload");
        assert_eq!(before, "READY=1\nSTATUS=folder `a MAINPID=1`\nRELOADING=1\n");
        assert_eq!(after.split_once('\n').expect("a line").1, "WATCHDOG=1\nSTOPPING=1\n");
    }

    #[test]
    fn without_a_service_manager_nothing_is_watched() {
        if alone::is_child() {
            ready();
            assert_eq!(watchdog_interval(), None);
            return;
        }
        let test = "service_manager::tests::without_a_service_manager_nothing_is_watched";
        alone::pass(test, &[("WATCHDOG_USEC", "0")]);
    }
}

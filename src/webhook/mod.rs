//! The receiver of webhooks: a vendor that calls only shortens the wait.
//!
//! A call proves itself first, by the account's key or a signature; whoever does not learns nothing but that. Of one that
//! does, nothing is believed but which recording it is about: the source then looks by itself, as it would have done a
//! few minutes later. So a call that is forged, replayed or lost costs a look or a little time, and no more.
//!
//! It listens on this machine alone: at a port of its own, or at that of the page. A reverse proxy that speaks TLS passes
//! on what comes from outside.

mod calls;
mod event;
mod listener;
mod proof;

pub(crate) use calls::WebhookCalls;
pub(crate) use listener::{CALL_MAX, serve_webhooks};

/// The begin of the path of every source.
pub(crate) const WEBHOOK_PREFIX: &str = "/meetingbaas/";

/// Returns the path at which the calls for a source are taken.
#[must_use]
pub(crate) fn webhook_path(source: &str) -> String {
    // A name may hold letters of any script; what a vendor sends is what a browser would.
    let encoded = url::Url::parse("http://localhost/meetingbaas/").ok().and_then(|mut url| {
        url.path_segments_mut().ok()?.pop_if_empty().push(source);
        Some(url.path().to_owned())
    });
    encoded.unwrap_or_else(|| format!("/meetingbaas/{source}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_that_of_one_source_whatever_it_is_called() {
        assert_eq!(webhook_path("calls"), "/meetingbaas/calls");
        assert_eq!(webhook_path("Büro.1_a-b"), "/meetingbaas/B%C3%BCro.1_a-b");
    }
}

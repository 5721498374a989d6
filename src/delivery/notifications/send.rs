//! One try to tell a notifier, and what came of it.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    command::run_command,
    message::Message,
    ntfy::send_ntfy,
    webhook::send_webhook,
    wording::{EventWording, word_event},
};
use crate::{
    clock,
    config::{Notifier, NotifyEvent, NotifyWay, Settings},
    effect::Effect,
    hint::Hinted,
    http::{BuildError, TransportError},
    store::EventFacts,
};

/// The event of a test. It is sent by `minuted notify test` alone.
const TEST: &str = "webhook.test";

/// Why a notifier was not told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    /// The receiver did not take it. With a pause nothing is sent to it for so long.
    #[error("{error}")]
    Refused {
        /// The answer, in words.
        error: String,
        /// For how long the receiver is left alone.
        pause: Option<Duration>,
    },
    /// The receiver wants nothing more.
    #[error("{0}")]
    Gone(String),
    /// A secret or an address is missing, or a program cannot be run.
    #[error(transparent)]
    Setup(#[from] Hinted),
    /// There was no answer.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// TLS cannot start.
    #[error(transparent)]
    Build(#[from] BuildError),
}

impl SendError {
    /// Returns the cure, where one is known.
    #[must_use]
    pub(crate) fn hint(&self) -> Option<&str> {
        match self {
            Self::Setup(error) => Some(error.hint()),
            Self::Refused { .. } | Self::Gone(_) | Self::Transport(_) | Self::Build(_) => None,
        }
    }

    /// Returns for how long its receiver is left alone.
    pub(super) fn pause(&self) -> Option<Duration> {
        match self {
            Self::Refused { pause, .. } => *pause,
            Self::Gone(_) | Self::Setup(_) | Self::Transport(_) | Self::Build(_) => None,
        }
    }
}

/// Tells a notifier once; returns what it answered, in words.
pub(super) async fn send_message(
    notifier: &Notifier,
    message: &Message,
    wording: &EventWording,
) -> Result<String, SendError> {
    let sending = async {
        match &notifier.way {
            NotifyWay::Webhook(target) => send_webhook(target, message).await,
            NotifyWay::Ntfy(target) => send_ntfy(target, wording, message.link.as_deref()).await,
            NotifyWay::Command(command) => run_command(command, message).await,
        }
    };
    Effect::Notify.during_async(sending).await
}

/// Sends a test to a notifier; returns what it answered, in words.
///
/// # Errors
/// [`SendError`], as a notification would meet it.
pub(crate) async fn send_test(
    settings: &Settings,
    notifier: &Notifier,
) -> Result<String, SendError> {
    let now = clock::now();
    let facts = EventFacts {
        detail: Some("a test: minuted notify test".to_owned()),
        ..EventFacts::default()
    };
    let message = Message {
        id: format!("msg_test{}", now.as_millisecond()),
        event: TEST,
        at: now,
        link: settings.http.as_ref().map(crate::config::HttpServer::origin),
        notes: notifier.includes_notes.then(|| "# Test\n\nNotes would stand here.\n".to_owned()),
        facts,
    };
    let wording = EventWording {
        title: "minuted: a test".to_owned(),
        line: format!("notifier {} works", notifier.name),
        priority: 3,
        tag: "wave",
    };
    send_message(notifier, &message, &wording).await
}

/// Returns the words of an event, and the message for a notifier.
pub(super) fn compose(
    settings: &Settings,
    id: String,
    event: NotifyEvent,
    facts: EventFacts,
    at: Timestamp,
    notes: Option<String>,
) -> (Message, EventWording) {
    let wording = word_event(event, &facts);
    let page = settings.http.as_ref().map(crate::config::HttpServer::origin);
    let link = page.map(|page| match facts.job {
        Some(job) => format!("{page}/jobs/{job}"),
        None => page,
    });
    (Message { id, event: event.as_str(), at, facts, link, notes }, wording)
}

//! Notifications: what notifiers are told of events, each a row of a ledger of its own.
//!
//! A row is written with the change that it tells of ([`crate::store`]), and stays due until the receiver has taken it or
//! the tries of Standard Webhooks are used up. It is sent at least once, always under the same id. No job waits for it.

mod address;
mod command;
mod message;
mod monitor;
mod ntfy;
mod runner;
mod schedule;
mod send;
mod signature;
mod webhook;
mod wording;

use crate::{config::Settings, store::Subscriber};

pub(crate) use address::check_notifier;
pub(crate) use monitor::{Beat, Monitor, check_ping};
pub(crate) use runner::NotificationRunner;
pub(crate) use send::send_test;

/// Returns the notifiers as the queue knows them.
#[must_use]
pub(crate) fn subscribers(settings: &Settings) -> Vec<Subscriber> {
    let subscriber = |notifier: &crate::config::Notifier| Subscriber {
        name: notifier.name.clone(),
        kind: notifier.kind(),
        events: notifier.events.clone(),
        folders: notifier.folders.clone(),
    };
    settings.notifiers.iter().map(subscriber).collect()
}

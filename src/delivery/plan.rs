//! The list of a job's deliveries: where its notes go, and what comes after the last of them.

use crate::{
    config::{Folder, Format, OnSuccess, OnSuccessRemote, Recipients, Target},
    job::Plan,
    store::{DeliveryKind, Endings, Job, NewDelivery, PostDelivery, RemoteCleanup},
};

/// Returns the deliveries of a job's results, by the current settings of its folder.
pub(crate) fn deliveries_of_results(folder: &Folder, job: &Job, plan: &Plan) -> Vec<NewDelivery> {
    let mut deliveries = notes_deliveries(folder);
    if folder.deliver.contains(&Target::Email) && !plan.silent {
        for target in mail_recipients(folder, plan) {
            deliveries.push(NewDelivery { kind: DeliveryKind::Mail, target, held: job.mail_held });
        }
    }
    deliveries
}

/// Returns the deliveries of a job that failed: completed results beside the recording, and the file about the failure.
pub(crate) fn deliveries_of_failure(folder: &Folder, partial: bool) -> Vec<NewDelivery> {
    let mut deliveries = if partial { notes_deliveries(folder) } else { Vec::new() };
    deliveries.push(NewDelivery {
        kind: DeliveryKind::Failure,
        target: String::new(),
        held: false,
    });
    deliveries
}

fn notes_deliveries(folder: &Folder) -> Vec<NewDelivery> {
    if !folder.deliver.contains(&Target::Beside) {
        return Vec::new();
    }
    let formats = folder.formats.iter().copied().filter(|format| *format != Format::Md);
    std::iter::once(Format::Md)
        .chain(formats)
        .map(|format| NewDelivery {
            kind: DeliveryKind::Notes,
            target: format.as_str().to_owned(),
            held: false,
        })
        .collect()
}

/// The addresses that get the notes, each once.
fn mail_recipients(folder: &Folder, plan: &Plan) -> Vec<String> {
    let addresses: Vec<String> = match &folder.email_to {
        Recipients::Attendees => plan.attendees.iter().map(|person| person.email.clone()).collect(),
        Recipients::List(list) => list.iter().map(|mailbox| mailbox.email.to_string()).collect(),
    };
    let mut once = std::collections::HashSet::new();
    addresses.into_iter().filter(|address| once.insert(address.to_lowercase())).collect()
}

/// Returns the actions after the last delivery of a recording: here, and at its service.
pub(crate) fn post_delivery_actions(folder: &Folder) -> Endings {
    let recording = match folder.on_success {
        OnSuccess::Keep => None,
        OnSuccess::Move(_) => Some(PostDelivery::Move),
        OnSuccess::Delete if folder.delete_recording_after.is_some() => None,
        OnSuccess::Delete => Some(PostDelivery::Delete),
    };
    let remote = match folder.on_success_remote {
        OnSuccessRemote::Keep => None,
        OnSuccessRemote::Delete => Some(RemoteCleanup::Delete),
        OnSuccessRemote::Purge => Some(RemoteCleanup::Purge),
    };
    Endings { recording, remote, delete_after: folder.delete_recording_after }
}

//! The events that a notifier may tell of, and the kinds of notifiers.

use crate::words::words;

words! {
    /// An event that a notification tells of.
    pub enum NotifyEvent {
        /// A new recording became a job.
        RecordingTaken = "recording.taken",
        /// The notes of a recording lie where they belong.
        NotesReady = "notes.ready",
        /// Notes lie there that lack what failed.
        NotesPartial = "notes.partial",
        /// A recording failed for good.
        RecordingFailed = "recording.failed",
        /// A recording is not worked on; the notification has the reason.
        RecordingSkipped = "recording.skipped",
        /// A service, a source or the mail server does not work.
        ServiceDown = "service.down",
        /// It works again.
        ServiceUp = "service.up",
        /// A service waits for a person to sign in.
        ServiceSignedOut = "service.signed_out",
        /// Nothing new is begun in a folder.
        FolderHeld = "folder.held",
        /// A folder goes on.
        FolderReleased = "folder.released",
    }
}

words! {
    /// The way in which a notifier passes notifications on.
    pub enum NotifyKind {
        /// A POST as Standard Webhooks 1.0 has it.
        Webhook = "webhook",
        /// A message to a topic of an ntfy server.
        Ntfy = "ntfy",
        /// A program on this machine.
        Command = "command",
    }
}

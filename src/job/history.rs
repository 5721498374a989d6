//! The history of a job: the kinds of events in it, and their words.

use crate::words::words;

words! {
    /// The kind of an event in a job's history. [`EventKind::in_words`] has the words that a person reads.
    pub enum EventKind {
        /// Its recording was taken in.
        TakenIn = "taken_in",
        /// Its recording was taken in, and its meeting is at the service already.
        TakenInWithMeeting = "taken_in_with_meeting",
        /// Its notes lie there already; the detail is where.
        NotesExist = "notes_exist",
        /// Its recording killed its reader, and is left alone.
        SetAside = "set_aside",
        /// Its recorder has never finished it. Written by earlier versions.
        LeftUnfinished = "left_unfinished",
        /// The job was skipped; the error says why.
        Skipped = "skipped",
        /// Its recording was dropped again after it had failed.
        DroppedAgain = "dropped_again",
        /// Its file is there again.
        FileBack = "file_back",
        /// Its file has another name.
        FileRenamed = "file_renamed",
        /// Its file is gone.
        FileGone = "file_gone",
        /// Its file is gone, and a copy of it is taken.
        CopyTaken = "copy_taken",
        /// The job waits for its file.
        FileAwaited = "file_awaited",
        /// Its file has been gone for too long.
        CancelledFileGone = "cancelled_file_gone",
        /// Its file has other content; the detail is the number of the job that has it.
        CancelledFileChanged = "cancelled_file_changed",
        /// Its meeting was made.
        MeetingCreated = "meeting_created",
        /// Its meeting was in the service's list.
        MeetingFound = "meeting_found",
        /// Its meeting had been made, and the answer was lost.
        MeetingRecovered = "meeting_recovered",
        /// Its recording was sent.
        RecordingUploaded = "recording_uploaded",
        /// Its recording had been sent, and the answer was lost.
        RecordingRecovered = "recording_recovered",
        /// Results were asked for; the detail says which.
        ResultsRequested = "results_requested",
        /// Its results are there.
        Analysed = "analysed",
        /// An attempt failed.
        AttemptFailed = "attempt_failed",
        /// The last attempt failed.
        LastAttemptFailed = "last_attempt_failed",
        /// The service failed, which is no attempt.
        ServiceFailed = "service_failed",
        /// The job has to wait, which is not counted as an attempt.
        Deferred = "deferred",
        /// A person asked to retry it.
        RetryRequested = "retry_requested",
        /// A person asked for new notes of a recording; the detail is the number of the job that had it.
        RedoRequested = "redo_requested",
        /// A person cancelled it.
        CancelRequested = "cancel_requested",
        /// A person asked for more analyses.
        AnalysesRequested = "analyses_requested",
        /// A person named speakers of its transcript; the detail has the names.
        SpeakersNamed = "speakers_named",
        /// A person released its mails.
        MailsReleased = "mails_released",
        /// A delivery was made; the detail is its kind and target.
        DeliveryMade = "delivery_made",
        /// The copy at the service stays; the detail is what was to be done with it, and why not.
        RemoteCopyKept = "remote_copy_kept",
        /// A mail was withheld; the detail is its kind and target.
        DeliveryWithheld = "delivery_withheld",
        /// A delivery waits; the detail is its kind and target.
        DeliveryWaits = "delivery_waits",
        /// A delivery failed; the detail is its kind and target.
        DeliveryFailed = "delivery_failed",
        /// All deliveries came to their end, and not every one could be made.
        DeliveriesIncomplete = "deliveries_incomplete",
        /// All is done.
        Done = "done",
        /// Its recording was deleted: the folder keeps it only so long.
        RecordingDeleted = "recording_deleted",
        /// An event that no version of today writes; the detail has its words.
        Other = "other",
    }
}

/// An event for the history of a job: its kind, and the detail that its words need.
#[derive(Debug, Clone, Copy)]
pub struct HistoryEvent<'a> {
    /// Its kind.
    pub kind: EventKind,
    /// A path, a number or a delivery, as [`EventKind`] says; empty where it has none.
    pub detail: &'a str,
}

impl From<EventKind> for HistoryEvent<'_> {
    fn from(kind: EventKind) -> Self {
        Self { kind, detail: "" }
    }
}

impl EventKind {
    /// Returns the event with its detail.
    #[must_use]
    pub const fn with_detail(self, detail: &str) -> HistoryEvent<'_> {
        HistoryEvent { kind: self, detail }
    }

    /// Returns the event in words. `detail` is that of the event, empty where it has none.
    #[must_use]
    pub fn in_words(self, detail: &str) -> String {
        let fixed = match self {
            Self::TakenIn => "taken in",
            Self::TakenInWithMeeting => "taken in; the service has its meeting already",
            Self::NotesExist => return format!("the notes exist already: {detail}"),
            Self::SetAside => "failed: set aside",
            Self::LeftUnfinished => "failed: its recorder left it unfinished",
            Self::Skipped => "skipped",
            Self::DroppedAgain => "dropped again: retried",
            Self::FileBack => "its file is back",
            Self::FileRenamed => "its file was renamed",
            Self::FileGone => "its file is gone",
            Self::CopyTaken => "its file is gone; a copy of it is taken",
            Self::FileAwaited => "waits for its file",
            Self::CancelledFileGone => "cancelled: its file is gone for good",
            Self::CancelledFileChanged => {
                return format!("cancelled: its file changed, job {detail} has the new content");
            }
            Self::MeetingCreated => "created the meeting",
            Self::MeetingFound => "found the meeting in the service's list",
            Self::MeetingRecovered => "found the meeting whose answer was lost",
            Self::RecordingUploaded => "uploaded the recording",
            Self::RecordingRecovered => "found the recording whose answer was lost",
            Self::ResultsRequested => return format!("asked for the {detail}"),
            Self::Analysed => "analysed",
            Self::AttemptFailed => "failed",
            Self::LastAttemptFailed => "failed for the last time",
            Self::ServiceFailed => "the service failed; nothing counts",
            Self::Deferred => "it waits; nothing counts",
            Self::RetryRequested => "a person asked to retry",
            Self::RedoRequested if detail.is_empty() => "a person asked to redo it",
            Self::RedoRequested => return format!("a person asked to redo job {detail}"),
            Self::CancelRequested => "a person cancelled it",
            Self::AnalysesRequested => "a person asked for more analyses",
            Self::SpeakersNamed => return format!("a person named its speakers: {detail}"),
            Self::MailsReleased => "a person released its mails",
            Self::DeliveryMade => return format!("delivered {detail}"),
            Self::RemoteCopyKept => return format!("did not {detail}"),
            Self::DeliveryWithheld => return format!("withheld {detail}"),
            Self::DeliveryWaits => return format!("{detail} waits"),
            Self::DeliveryFailed => return format!("{detail} failed"),
            Self::DeliveriesIncomplete => "failed: not every delivery could be made",
            Self::Done => "done",
            Self::RecordingDeleted => "deleted the recording, whose time was over",
            Self::Other => return detail.to_owned(),
        };
        fixed.to_owned()
    }

    /// Returns whether it tells of a failure that counts.
    #[must_use]
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Self::AttemptFailed
                | Self::LastAttemptFailed
                | Self::DeliveriesIncomplete
                | Self::SetAside
                | Self::LeftUnfinished
        )
    }
}

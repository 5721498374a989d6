//! What kind of server the stand-in is: how long things take, and which of the shapes that the documents leave open
//! it answers in.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How a stand-in behaves. The defaults follow the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// How long an access token lives; 1 h in the documents.
    pub(crate) access_ttl: Duration,
    /// How long a refresh token lives; 30 days in the documents.
    pub(crate) refresh_ttl: Duration,
    /// Whether every sign-in is approved as soon as it is asked for, without [`super::Standin::approve`].
    pub(crate) auto_approve: bool,
    /// How long a transcription takes, from the upload or the request.
    pub(crate) transcription_time: Duration,
    /// How long every other analysis takes, from the end of the transcription or the request.
    pub(crate) note_time: Duration,
    /// What the list of meetings comes in.
    pub(crate) envelope: Envelope,
    /// What the list of reports comes in.
    pub(crate) reports_envelope: Envelope,
    /// What every id of a meeting and of a recording ends in; nothing by default.
    pub(crate) id_end: String,
    /// By how many seconds its clock is ahead of this machine's; behind where negative.
    pub(crate) clock_ahead: i64,
    /// Which of the other readings it follows; none of them by default.
    pub(crate) quirks: Vec<Quirk>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(60 * 60),
            refresh_ttl: Duration::from_secs(30 * 24 * 60 * 60),
            auto_approve: false,
            transcription_time: Duration::from_secs(2),
            note_time: Duration::from_secs(1),
            envelope: Envelope::Items,
            reports_envelope: Envelope::Array,
            id_end: String::new(),
            clock_ahead: 0,
            quirks: Vec::new(),
        }
    }
}

impl Options {
    /// Returns what its clock shows at a moment.
    pub(super) fn told(&self, at: Timestamp) -> Timestamp {
        at + SignedDuration::from_secs(self.clock_ahead)
    }

    /// Returns whether it has a quirk.
    pub(super) fn has(&self, quirk: Quirk) -> bool {
        self.quirks.contains(&quirk)
    }
}

/// A reading of the documents that a client must bear as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    /// The list of meetings leaves their descriptions out.
    NoDescriptions,
    /// Nothing tells when it was made.
    NoTimestamps,
    /// The list begins with the oldest meeting.
    OldestFirst,
    /// `page` is ignored: every page is the first one.
    IgnoresPage,
    /// An attachment tells its id alone, without name, size and type.
    BareAttachments,
    /// `report_content` is an object instead of the documents' JSON string.
    ReportObjects,
    /// Reports that are pending are left out: the list is empty at first.
    HidesPending,
    /// What is asked for again is made in the place of what failed: the same id, the same time, the same words.
    RemakesInPlace,
}

/// What a list comes in; the documents do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    /// A bare array.
    Array,
    /// An object with the array under `items`.
    Items,
    /// An object with the array under `data`.
    Data,
    /// An object with the array under `sessions`.
    Sessions,
    /// An object with the array under `results`.
    Results,
}

impl Envelope {
    /// Returns `list` in this envelope.
    pub(super) fn wrap(self, list: Vec<serde_json::Value>) -> serde_json::Value {
        let total = list.len();
        let list = serde_json::Value::Array(list);
        match self {
            Self::Array => list,
            Self::Items => serde_json::json!({ "items": list, "count": total }),
            Self::Data => serde_json::json!({ "data": list, "count": total }),
            Self::Sessions => serde_json::json!({ "sessions": list, "count": total }),
            Self::Results => serde_json::json!({ "results": list, "count": total }),
        }
    }
}

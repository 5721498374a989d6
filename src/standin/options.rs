//! What kind of server the stand-in is: how long things take, and which of the shapes that the documents leave open
//! it answers in.

use std::time::Duration;

/// How a stand-in behaves. The defaults follow the documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How long an access token lives; 1 h in the documents.
    pub access_ttl: Duration,
    /// How long a refresh token lives; 30 days in the documents.
    pub refresh_ttl: Duration,
    /// Whether every sign-in is approved as soon as it is asked for, without [`super::Standin::approve`].
    pub auto_approve: bool,
    /// How long a transcription takes, from the upload or the request.
    pub transcription_time: Duration,
    /// How long every other analysis takes, from the end of the transcription or the request.
    pub note_time: Duration,
    /// What the list of meetings comes in.
    pub envelope: Envelope,
    /// What the list of reports comes in.
    pub reports_envelope: Envelope,
    /// Whether the list of meetings tells their descriptions.
    pub list_descriptions: bool,
    /// Whether meetings tell when they were made.
    pub timestamps: bool,
    /// Whether the list begins with the oldest meeting.
    pub oldest_first: bool,
    /// Whether `page` is ignored: every page is the first one.
    pub ignores_page: bool,
    /// Whether an attachment tells its id alone, without name, size and type.
    pub bare_attachments: bool,
    /// Whether `report_content` is an object instead of the documents' JSON string.
    pub report_objects: bool,
    /// Whether reports that are pending are left out: the list is empty at first.
    pub hides_pending: bool,
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
            list_descriptions: true,
            timestamps: true,
            oldest_first: false,
            ignores_page: false,
            bare_attachments: false,
            report_objects: false,
            hides_pending: false,
        }
    }
}

/// What a list comes in; the documents do not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Envelope {
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

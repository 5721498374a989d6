//! Recordings: taken in as they stream, hashed, never held.

use axum::{
    Json,
    extract::{
        Multipart, Query, State,
        multipart::{Field, MultipartError, MultipartRejection},
    },
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    analyses::Analysis,
    extract::SignedIn,
    options::{Options, Quirk},
    state::{Model, Moment, Refusal},
};

/// A recording that came in whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recording {
    /// Its id: `RECORDING_ID` and `attachment_id`.
    pub(crate) id: String,
    /// The file name of its part.
    pub(crate) name: String,
    /// The MIME type of its part.
    pub(crate) mime: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// The BLAKE3 hash of its bytes, 64 hex digits.
    pub(crate) blake3: String,
    /// When its last byte came.
    pub(crate) uploaded: Timestamp,
}

impl Recording {
    /// What the details of a meeting tell of it.
    pub(super) fn answer(&self, options: &Options) -> Value {
        if options.has(Quirk::BareAttachments) {
            return json!({ "id": self.id });
        }
        let mut answer =
            json!({ "id": self.id, "name": self.name, "size": self.size, "mime_type": self.mime });
        if !options.has(Quirk::NoTimestamps) {
            answer["created_at"] = json!(self.uploaded.to_string());
        }
        answer
    }
}

/// The extensions that are taken, in the documents.
const EXTENSIONS: [&str; 15] = [
    "mp3", "wav", "flac", "mpa", "aac", "opus", "m4a", "mpeg", "mpg", "mp4", "flv", "webm", "wmv",
    "3gp", "3gpp",
];

/// The MIME types that are taken. The documents name formats; these are the types in use for them.
const MIMES: [&str; 26] = [
    "audio/mpeg",
    "audio/mp3",
    "audio/mpa",
    "audio/wav",
    "audio/wave",
    "audio/x-wav",
    "audio/vnd.wave",
    "audio/flac",
    "audio/x-flac",
    "audio/aac",
    "audio/x-aac",
    "audio/aacp",
    "audio/opus",
    "audio/ogg",
    "audio/mp4",
    "audio/m4a",
    "audio/x-m4a",
    "audio/webm",
    "audio/3gpp",
    "video/mpeg",
    "video/mp4",
    "video/x-flv",
    "video/webm",
    "video/x-ms-wmv",
    "video/3gpp",
    "video/flv",
];

/// Refuses a file that PAXS does not take.
fn check_type(name: &str, mime: &str) -> Result<(), Refusal> {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    if !extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
        return Err(Refusal::new(415, "this kind of file is not supported"));
    }
    let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if MIMES.contains(&essence.as_str()) {
        Ok(())
    } else {
        Err(Refusal::new(415, "this MIME type is not supported"))
    }
}

/// A file that came in whole and is not yet anybody's.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) name: String,
    pub(super) mime: String,
    pub(super) size: u64,
    pub(super) hash: blake3::Hash,
}

impl Model {
    /// Makes a file the active recording of a meeting and begins its transcription and its note.
    pub(super) fn attach(
        &mut self,
        meeting: &str,
        taken: Taken,
        options: &Options,
        now: Moment,
    ) -> Result<Value, Refusal> {
        self.entry(meeting)?;
        let recording = Recording {
            id: self.ids.uuid() + &options.id_end,
            name: taken.name,
            mime: taken.mime,
            size: taken.size,
            blake3: taken.hash.to_hex().to_string(),
            uploaded: now.wall,
        };
        let answer = recording.answer(options);
        let reports = [Analysis::Transcription, Analysis::MeetingNote];
        let reports = reports.map(|analysis| self.begin(analysis, None, options, now));
        let entry = self.entry_mut(meeting)?;
        entry.reports = Vec::from(reports);
        entry.meeting.recording = Some(recording);
        entry.meeting.uploads += 1;
        Ok(answer)
    }
}

/// The query of `POST /api/recordings`.
#[derive(Debug, Deserialize)]
pub(super) struct UploadQuery {
    session_id: Option<String>,
}

/// `POST /api/recordings`
pub(super) async fn upload(
    State(shared): State<Shared>,
    _: SignedIn,
    Query(query): Query<UploadQuery>,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Json<Value>, Refusal> {
    let session =
        query.session_id.ok_or_else(|| Refusal::bad("session_id is required in the query"))?;
    shared.world().model.entry(&session)?;
    let form = form.map_err(|_| Refusal::bad("a multipart form is required"))?;
    let taken = take_form(form, &session).await?;
    let mut world = shared.world();
    let options = world.options.clone();
    world.model.attach(&session, taken, &options, Moment::now()).map(Json)
}

/// Reads the form to its end; returns its file when the form is what the documents ask for.
async fn take_form(mut form: Multipart, session: &str) -> Result<Taken, Refusal> {
    let (mut taken, mut named) = (None, None);
    while let Some(field) = form.next_field().await.map_err(broken)? {
        match field.name() {
            Some("session_id") => named = Some(take_text(field).await?),
            Some("file") if taken.is_some() => {
                return Err(Refusal::bad("only one file is allowed"));
            }
            Some("file") => taken = Some(take_file(field).await?),
            Some(_) | None => {}
        }
    }
    match named {
        None => Err(Refusal::bad("session_id is required as a form field")),
        Some(named) if named != session => {
            Err(Refusal::bad("session_id differs between query and form"))
        }
        Some(_) => taken.ok_or_else(|| Refusal::bad("file is required")),
    }
}

/// The longest form field that is not the file, in bytes: an id has 36.
const TEXT_MAX: usize = 1024;

async fn take_text(mut field: Field<'_>) -> Result<String, Refusal> {
    let mut text = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        text.extend_from_slice(&chunk);
        if text.len() > TEXT_MAX {
            return Err(Refusal::bad("a form field is too long"));
        }
    }
    String::from_utf8(text).map_err(|_| Refusal::bad("a form field is not UTF-8"))
}

/// Hashes a file as it comes.
async fn take_file(mut field: Field<'_>) -> Result<Taken, Refusal> {
    let name = field.file_name().filter(|name| !name.is_empty()).map(str::to_owned);
    let name = name.ok_or_else(|| Refusal::bad("file needs a file name"))?;
    let mime = field.content_type().map(str::to_owned);
    let mime = mime.ok_or_else(|| Refusal::bad("file needs an explicit MIME type"))?;
    check_type(&name, &mime)?;
    let (mut hasher, mut size) = (blake3::Hasher::new(), 0_u64);
    while let Some(chunk) = field.chunk().await.map_err(broken)? {
        hasher.update(&chunk);
        size += chunk.len() as u64;
    }
    if size == 0 {
        return Err(Refusal::bad("file is empty"));
    }
    Ok(Taken { name, mime, size, hash: hasher.finalize() })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of `map_err`")]
fn broken(error: MultipartError) -> Refusal {
    Refusal::bad(&format!("the form is broken: {}", error.body_text()))
}
mod tests {
    use super::*;

    #[test]
    fn what_the_documents_name_is_taken_and_the_rest_is_not() {
        let taken = ["a.mp3", "a.b.WAV", "a.opus", "a.3gp", "a.m4a", "a.webm"];
        for name in taken {
            check_type(name, "audio/mpeg").expect(name);
        }
        for name in ["a.ogg", "a.mov", "a.mkv", "a.avi", "a.wma", "a.amr", "a.aiff", "wav", ""] {
            assert_eq!(check_type(name, "audio/mpeg").expect_err(name).status, 415, "{name}");
        }
        check_type("a.wav", "Audio/WAV; codecs=1").expect("parameters and case mean nothing");
        for mime in ["application/octet-stream", "text/plain", "", "audio/x-aiff"] {
            assert_eq!(check_type("a.wav", mime).expect_err(mime).status, 415, "{mime}");
        }
    }
}

//! A recording → a transcription: sent once, or found where an upload whose answer was lost has
//! created it.

use std::{fmt::Write as _, fs::File, io, os::unix::fs::FileExt as _, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use serde_json::{Value, json};

use super::{
    KoldanService,
    session::{FILES, TRANSCRIPTIONS, transcription_path},
    wire,
};
use crate::{
    config::Speakers,
    http::{Answer, Request},
    job::{Status, Suspect},
    services::{CallError, FileFault, Upload, answers, pacer::Priority},
};

/// Bytes that are read and hashed in one step: between two steps a stalled disk is noticed, and a
/// dropped call ends.
const PIECE: usize = 4 << 20;

/// Time for one piece, after which the disk counts as stalled.
const STALL: Duration = Duration::from_secs(60);

/// The language of a recording whose folder names none: that of Koldan's documents.
const LANGUAGE: &str = "he";

/// The directory of recordings among the files of the account. (unknown): the meaning of `path`; it
/// is taken for a directory.
const PATH: &str = "minuted";

/// Files and transcriptions that are searched for the marker: of one content there are few.
const CANDIDATES_MAX: usize = 20;

/// Returns the SHA-256 of a recording, in lower case.
pub(super) async fn hash_recording(upload: &Upload) -> Result<String, CallError> {
    let unreadable = |error: String| CallError::File(FileFault::Unreadable(error));
    let mut file = upload.file.try_clone().map_err(|error| unreadable(error.to_string()))?;
    let mut context = Context::new(&SHA256);
    let mut at = 0;
    loop {
        let piece = tokio::task::spawn_blocking(move || hash_piece(file, context, at));
        let Ok(read) = tokio::time::timeout(STALL, piece).await else {
            return Err(unreadable(format!("reading it stalled for {STALL:?}")));
        };
        let read = read.unwrap_or_else(|_| Err(io::Error::other("reading it ended early")));
        let (next, hashed, bytes) = read.map_err(|error| unreadable(error.to_string()))?;
        if bytes == 0 {
            return Ok(hex_text(hashed.finish().as_ref()));
        }
        (file, context, at) = (next, hashed, at + bytes);
    }
}

fn hex_text(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes what is written");
        text
    })
}

fn hash_piece(file: File, mut context: Context, at: u64) -> io::Result<(File, Context, u64)> {
    let mut piece = vec![0; PIECE];
    // Reads at an offset, because the upload reads from the start.
    let bytes = file.read_at(&mut piece, at)?;
    context.update(&piece[..bytes]);
    Ok((file, context, bytes as u64))
}

impl KoldanService {
    /// Returns this job's transcription of a content, where there is one that has not failed.
    ///
    /// A file with the same content may belong to somebody else, and a server may ignore the
    /// filter: the marker decides. (unknown): where tags and metadata are shown. The file, the
    /// entry of the transcription and the transcription itself are searched; where none shows them,
    /// the recording is sent again.
    pub(super) async fn find_uploaded(
        &self,
        hash: &str,
        key: &str,
        given_up: &[String],
    ) -> Result<Option<String>, CallError> {
        let files = match self.read_list(&FILES, &[("sha256", hash)], Priority::High).await {
            Ok(files) => files,
            // There is no such list, and so nothing to find.
            Err(CallError::Refused { status: 400 | 404 | 405 | 410, .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let candidates = files.iter().filter(|file| match wire::file_hash(file) {
            Some(other) => other == hash,
            None => wire::find_marks(file, key).0,
        });
        for file in candidates.take(CANDIDATES_MAX) {
            let is_ours = wire::find_marks(file, key).0;
            for (id, entry) in self.find_candidates(file).await? {
                if !given_up.contains(&id)
                    && self.is_of_job(&id, entry.as_ref(), is_ours, key).await?
                {
                    return Ok(Some(id));
                }
            }
        }
        Ok(None)
    }

    /// Returns the transcriptions of a file, each with its entry where one was listed.
    async fn find_candidates(
        &self,
        file: &Value,
    ) -> Result<Vec<(String, Option<Value>)>, CallError> {
        let named = wire::transcriptions_of(file);
        if !named.is_empty() {
            return Ok(named.into_iter().take(CANDIDATES_MAX).map(|id| (id, None)).collect());
        }
        let Some(file) = wire::id_at(file, &["id", "uuid", "fileId"]) else {
            return Ok(Vec::new());
        };
        let listed = match self
            .read_list(&TRANSCRIPTIONS, &[("fileId", &file)], Priority::High)
            .await
        {
            Ok(listed) => listed,
            Err(CallError::Refused { status: 400 | 404 | 405 | 410, .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let of_file = listed.into_iter().filter(|entry| {
            let named = wire::id_at(entry, &["fileId"]);
            let named = named.or_else(|| wire::id_at(entry.get("file")?, &["id"]));
            named.is_none_or(|named| named == file)
        });
        Ok(of_file
            .take(CANDIDATES_MAX)
            .filter_map(|entry| {
                Some((wire::id_at(&entry, &["id", "transcriptionId"])?, Some(entry)))
            })
            .collect())
    }

    /// Returns whether a transcription is this job's and has not failed. `of_file` is true where
    /// its file carries the marker, which counts where the transcription carries none.
    async fn is_of_job(
        &self,
        id: &str,
        entry: Option<&Value>,
        of_file: bool,
        key: &str,
    ) -> Result<bool, CallError> {
        let Some(found) =
            self.read_json_if_found(Request::get(&transcription_path(id)), Priority::High).await?
        else {
            return Ok(false);
        };
        let found = wire::unwrap_answer(found, id)?;
        if wire::parse_status(&found) == Status::Failed {
            return Ok(false);
        }
        let none = Value::Null;
        let marks = [&found, entry.unwrap_or(&none)].map(|value| wire::find_marks(value, key));
        let is_marked = marks.iter().any(|(_, any)| *any);
        Ok(if is_marked { marks.iter().any(|(ours, _)| *ours) } else { of_file })
    }

    /// Sends a recording; returns the id of its transcription.
    pub(super) async fn send_recording(
        &self,
        key: &str,
        upload: &Upload,
    ) -> Result<String, CallError> {
        let mark = format!("{}{key}", wire::MARK);
        let language = upload.language.as_deref().unwrap_or(LANGUAGE);
        let metadata = json!({ "minuted": mark }).to_string();
        let tags = json!(["minuted", mark]).to_string();
        let wish = json!({ "model": self.settings.model, "language": { "defaultLanguageCode": language } }).to_string();
        let diarizes = self.settings.diarize && upload.speakers != Speakers::Off;
        let diarization = json!({ "enabled": diarizes }).to_string();
        let fields = [
            ("name", upload.name.as_str()),
            ("path", PATH),
            ("metadata", &metadata),
            ("tags", &tags),
            ("transcription", &wish),
            ("diarization", &diarization),
        ];
        let body = upload.form_body(&upload.name, &fields)?;
        let [a, b, c, d] = TRANSCRIPTIONS;
        let answer = self.http.upload_file(Request::post(&[a, b, c, d, "upload"]), body).await?;
        match self.check_answer(answer).await {
            Ok(answer) => self.read_upload_answer(answer),
            Err(error @ CallError::Refused { .. }) => Err(self.judge_refusal(error).await),
            Err(error) => Err(error),
        }
    }

    /// Returns the culprit of a refused recording: where a cheap read is refused as well, it is the
    /// set-up.
    async fn judge_refusal(&self, error: CallError) -> CallError {
        match self.prove_key().await {
            Ok(()) => blame_recording(error),
            Err(read @ CallError::Refused { .. }) => CallError::service_alone(format!(
                "{error}; a cheap read is refused, too: {read}; check base_url and the key"
            )),
            Err(down) => down,
        }
    }

    fn read_upload_answer(&self, answer: Answer) -> Result<String, CallError> {
        let answer = answers::read_json(answer)?;
        let id = wire::uploaded_transcription(&answer)
            .ok_or_else(|| answers::unexpected_answer("an upload without a transcription"));
        tracing::debug!("service `{}`: an upload began a transcription", self.name);
        id
    }
}

/// Turns the refusal of an upload into the fault of the recording. Some faults cannot be mended by
/// a retry.
fn blame_recording(error: CallError) -> CallError {
    match error {
        CallError::Refused { status: status @ (404 | 405), message } => CallError::service_alone(
            format!("the service has no call for uploads ({status}): {message}; check base_url"),
        ),
        // A recording that is already there is found by the next search.
        CallError::Refused { status: 409, message } => CallError::Unavailable {
            message: format!("the service answered 409 to the upload: {message}"),
            after: None,
            uncertain: true,
            suspect: Suspect::Either,
        },
        CallError::SignedOut { .. }
        | CallError::Forbidden { .. }
        | CallError::Refused { .. }
        | CallError::Unavailable { .. }
        | CallError::File(_) => answers::blame_recording(error),
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::Arc};

    use super::*;
    use crate::{beneath::Stamp, progress::Progress};

    #[tokio::test]
    async fn the_hash_is_that_of_the_whole_file_wherever_it_is_read_next() {
        let mut file = tempfile::tempfile().expect("a file");
        for _ in 0..3 {
            file.write_all(&vec![b'a'; PIECE / 2]).expect("written");
        }
        let stamp = Stamp::of(&file).expect("a stamp");
        let progress = Arc::<Progress>::default();
        let (name, mime) = ("talk.wav".to_owned(), "audio/wav");
        let upload = Upload {
            file,
            stamp,
            content: None,
            name,
            mime,
            language: None,
            expected_words: Vec::new(),
            speakers: crate::config::Speakers::Auto,
            given_up: Vec::new(),
            length_max: None,
            progress,
        };
        let whole = aws_lc_rs::digest::digest(&SHA256, &vec![b'a'; PIECE / 2 * 3]);
        let whole = hex_text(whole.as_ref());
        assert_eq!(hash_recording(&upload).await.expect("read"), whole);
        assert_eq!(hash_recording(&upload).await.expect("read again"), whole);
    }
}

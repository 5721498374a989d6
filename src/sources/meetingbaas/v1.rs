//! Version 1: what has ended, one recording, its deletion.
//!
//! The document gives no answers but 200 to most calls, and a bot no status: one that has an `ended_at` is over.

use jiff::Timestamp;
use serde_json::Value;

use super::{MeetingBaas, availability, session::protocol_error, wire};
use crate::{
    clock,
    http::{ANALYSES_BYTES_MAX, Request},
    services::{CallError, answers::unexpected_answer},
    sources::{Availability, ListedRecording, Recording, RecordingPage},
    text::one_line,
};

/// Bots of a page; the most that the document allows.
pub(super) const PAGE_SIZE: &str = "50";

/// The format of times in queries: the document's example has no zone, and means UTC.
pub(super) const TIME: &str = "%Y-%m-%dT%H:%M:%S";

/// The answers of `delete_data` when nothing of a bot is left.
const DELETED_WORDS: [&str; 3] = ["deleted", "alreadyDeleted", "noDataFound"];

impl MeetingBaas {
    pub(super) async fn check_access_v1(&self) -> Result<(), CallError> {
        let request = Request::get(&["bots", "bots_with_metadata"]).query("limit", "1");
        page_bots(&self.get_list(request).await?).map(|_| ())
    }

    pub(super) async fn list_ended_v1(
        &self,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<RecordingPage, CallError> {
        let since_text = since.strftime(TIME).to_string();
        let request = Request::get(&["bots", "bots_with_metadata"])
            .query("limit", PAGE_SIZE)
            .query("ended_after", &since_text);
        let request = match cursor {
            Some(cursor) => request.query("cursor", cursor),
            None => request,
        };
        let answer = self.get_list(request).await?;
        let found = page_bots(&answer)?.iter().filter_map(|bot| {
            wire::text(bot, &["ended_at"])?;
            // A time that is none must not move the watermark.
            let ended = wire::time(bot, &["ended_at"]).unwrap_or(since);
            Some(ListedRecording { id: wire::id(bot, &["uuid", "id", "bot_id"])?, ended })
        });
        Ok(RecordingPage { found: found.collect(), next: wire::next_cursor(&answer) })
    }

    pub(super) async fn get_recording_v1(&self, id: &str) -> Result<Recording, CallError> {
        let request = Request::get(&["bots", "meeting_data"])
            .query("bot_id", id)
            .query("include_transcripts", "true");
        let request = request.bytes_max(ANALYSES_BYTES_MAX).within(self.http.limits().answer);
        let answer = self.get_json(request).await?;
        let data = answer.get("bot_data").filter(|data| data.is_object());
        let data = data.ok_or_else(|| protocol_error("the data of a bot without `bot_data`"))?;
        let bot = data.get("bot").unwrap_or(&Value::Null);
        let ended = wire::time(bot, &["ended_at"]).or_else(|| wire::time(bot, &["bot_exited_at"]));
        let files = self.remote_files(&answer, &[("audio", "wav"), ("mp4", "mp4")])?;
        let reason = wire::text(bot, &["errors"])
            .map(|errors| format!("the bot failed: {}", one_line(errors, 300)));
        let availability = match wire::text(bot, &["ended_at"]) {
            // Assumed: a bot whose list says that it ended says so here. When it does not, nothing is ever ready.
            None => Availability::NotYet,
            Some(_) => availability::availability_of(files, reason, ended, clock::now()),
        };
        let is_ready = matches!(availability, Availability::Ready(_));
        let event = match wire::id(data, &["event_uuid"]) {
            Some(event) if is_ready => self.find_event_v1(&event).await?,
            Some(_) | None => None,
        };
        let transcripts = data
            .get("transcripts")
            .and_then(Value::as_array)
            .map(Vec::as_slice)
            .unwrap_or_default();
        Ok(Recording {
            id: id.to_owned(),
            availability,
            ended,
            details: availability::meeting_details(
                bot,
                wire::time(bot, &["bot_joined_at"]),
                event.as_ref(),
            ),
            transcript: wire::read_transcript(transcripts),
        })
    }

    /// Returns an event; `None` for one that is not there any more, or not for this key.
    async fn find_event_v1(&self, event: &str) -> Result<Option<Value>, CallError> {
        match self.get_json(Request::get(&["calendar_events", event])).await {
            Ok(event) => Ok(Some(event)),
            Err(CallError::Refused { .. } | CallError::Forbidden { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_recording_v1(&self, id: &str) -> Result<(), CallError> {
        let answer = self.post_once(Request::post(&["bots", id, "delete_data"])).await?;
        let status = wire::text(&answer, &["status"]);
        let is_ok = answer.get("ok").and_then(Value::as_bool);
        match status {
            Some(status) if DELETED_WORDS.contains(&status) => Ok(()),
            Some("partiallyDeleted") => Err(partly_deleted()),
            // Another word: what `ok` says counts.
            Some(_) | None if is_ok == Some(true) => Ok(()),
            Some(_) | None => {
                Err(unexpected_answer("a deletion of which it does not say that it was done"))
            }
        }
    }
}

/// The vendor could not delete everything; the document says nothing of trying again, which it takes as well.
fn partly_deleted() -> CallError {
    let message = "Meeting BaaS has deleted a part of it".to_owned();
    CallError::service_alone(message)
}

/// Returns the bots of a page.
pub(super) fn page_bots(answer: &Value) -> Result<&[Value], CallError> {
    wire::list(answer, &["bots", "recent_bots"])
        .ok_or_else(|| protocol_error("a list of bots without `bots`"))
}

//! The calls of PAXS, as the rest of minuted makes them.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Paxs, reports, session, walk, wire};
use crate::{
    config::Analysis,
    http::{ANALYSES_BYTES_MAX, Request},
    job::{Key, Report},
    media_types,
    services::{
        AnalysisRequest, Attachment, CallError, NewMeeting, NotesService, USUAL_INSTRUCTION, Upload, answers,
        pacer::Priority,
    },
};

/// What PAXS takes.
const ACCEPTS: [&str; 14] =
    ["mp3", "wav", "flac", "mpa", "aac", "opus", "m4a", "mpeg", "mpg", "mp4", "flv", "webm", "wmv", "3gp"];

#[async_trait]
impl NotesService for Paxs {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    /// Its list has another type than the usual one for Opus.
    fn mime_type(&self, extension: &str) -> &'static str {
        if extension == "opus" { "audio/opus" } else { media_types::mime_type(extension) }
    }

    async fn profile(&self) -> Result<Value, CallError> {
        answers::json(self.session.call(&Request::get(&session::PROFILE), Priority::High).await?)
    }

    async fn create(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        let request = Request::post(&walk::SESSIONS).json(&creation(meeting));
        let answer = answers::json(self.session.call(&request, Priority::High).await?)?;
        wire::meeting_id(&answer).ok_or_else(|| answers::unexpected("a new meeting without an id"))
    }

    async fn find(&self, key: &Key, title: &str, since: Timestamp) -> Result<Option<String>, CallError> {
        walk::find(&self.session, &self.walks, key, title, since).await
    }

    fn has_markers(&self) -> bool {
        true
    }

    async fn markers(&self) -> Result<Vec<(Key, String)>, CallError> {
        walk::markers(&self.session, &self.walks).await
    }

    async fn attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        let details = walk::details(&self.session, meeting).await?;
        wire::attachments(&details).ok_or_else(|| answers::unexpected("details of a meeting that are no object"))
    }

    async fn upload(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        self.send(meeting, &upload).await
    }

    async fn look(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError> {
        let request = Request::get(&["api", "recordings", recording, "analysis"])
            .query("session_id", meeting)
            .bytes_max(ANALYSES_BYTES_MAX);
        let answer = self.session.call(&request, Priority::Low).await?;
        let meeting = meeting.to_owned();
        let read = move || {
            reports::read(answers::json(answer)?, &meeting)
                .ok_or_else(|| answers::unexpected("analyses that are no list of reports of this meeting"))
        };
        // A long transcription takes its time; the runtime's threads have others to serve.
        let reading = tokio::task::spawn_blocking(read).await;
        reading.unwrap_or_else(|_| Err(answers::unexpected("analyses that could not be read")))
    }

    async fn request(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        let call = Request::post(&["api", "analysis", "request"]).json(&asking(request));
        let answer = self.session.call(&call, Priority::High).await?;
        // What the answer holds is not documented. A page is none: it comes from something in between.
        if answer.body.is_empty() { answers::check_status(answer).map(drop) } else { answers::json(answer).map(drop) }
    }

    async fn meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        walk::page(&self.session, page.max(1)).await
    }

    async fn meeting(&self, id: &str) -> Result<Value, CallError> {
        walk::details(&self.session, id).await
    }
}

fn creation(meeting: &NewMeeting) -> Value {
    let attendees: Vec<Value> = meeting
        .attendees
        .iter()
        .map(|attendee| {
            let mut fields = Map::new();
            fields.insert("email".into(), attendee.email.clone().into());
            fields.insert("displayName".into(), attendee.name.clone().into());
            fields.insert("source".into(), "manual".into());
            if let Some(role) = &attendee.role {
                fields.insert("role".into(), role.clone().into());
            }
            Value::Object(fields)
        })
        .collect();
    json!({"title": meeting.title, "description": description(meeting), "attendees": attendees})
}

/// Returns the description, whose last line is the marker.
fn description(meeting: &NewMeeting) -> String {
    let said = meeting.description.trim_end();
    let marker = meeting.key.marker();
    if said.is_empty() { marker } else { format!("{said}\n\n{marker}") }
}

fn asking(request: &AnalysisRequest<'_>) -> Value {
    // PAXS wants one with each requested note, also when a failed automatic one is asked for again.
    let note = request.analyses.contains(&Analysis::MeetingNote).then_some(USUAL_INSTRUCTION);
    let types: Vec<&str> = request.analyses.iter().map(|analysis| analysis.as_str()).collect();
    let mut body = json!({
        "session_id": request.meeting,
        "attachment_id": request.recording,
        "analysis_types": types,
        "meeting_type": request.meeting_type,
    });
    if let Some(instruction) = request.instruction.or(note) {
        body["instruction"] = instruction.into();
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Attendee, MeetingType},
        job::Content,
    };

    fn meeting(description: &str) -> NewMeeting {
        let ann = Attendee { name: "Ann".into(), email: "ann@example.com".into(), role: None };
        let bo = Attendee { name: "Bo".into(), email: "bo@example.com".into(), role: Some("organizer".into()) };
        let key = Key { content: Content::from_hash(&blake3::hash(b"talk")), folder: "sales".into(), generation: 1 };
        NewMeeting { title: "Talk".into(), description: description.into(), key, attendees: vec![ann, bo] }
    }

    #[test]
    fn a_meeting_is_asked_for_as_the_documents_have_it_with_the_marker_last() {
        insta::assert_snapshot!(format!("{:#}", creation(&meeting("Recorded today.\n"))), @r#"
        {
          "attendees": [
            {
              "displayName": "Ann",
              "email": "ann@example.com",
              "source": "manual"
            },
            {
              "displayName": "Bo",
              "email": "bo@example.com",
              "role": "organizer",
              "source": "manual"
            }
          ],
          "description": "Recorded today.\n\nminuted:b3-5c692b042adac8b0aa0b284e07a6e7d0.sales.1",
          "title": "Talk"
        }
        "#);
        assert!(description(&meeting("")).starts_with("minuted:b3-"));
    }

    #[test]
    fn results_are_asked_for_in_the_words_of_the_service() {
        let asked = AnalysisRequest {
            meeting: "s",
            recording: "r",
            analyses: &[Analysis::MeetingNote, Analysis::KeyPoints],
            instruction: Some("Short."),
            meeting_type: MeetingType::CrossFunctional,
            title: "Talk",
            recorded: Timestamp::UNIX_EPOCH,
            attendees: &[],
        };
        insta::assert_snapshot!(asking(&asked), @r#"{"analysis_types":["meeting note","key_points"],"attachment_id":"r","instruction":"Short.","meeting_type":"cross_functional","session_id":"s"}"#);
        assert_eq!(asking(&AnalysisRequest { instruction: None, ..asked })["instruction"], USUAL_INSTRUCTION);
        let points = AnalysisRequest { instruction: None, analyses: &[Analysis::KeyPoints], ..asked };
        assert_eq!(asking(&points).get("instruction"), None);
    }
}

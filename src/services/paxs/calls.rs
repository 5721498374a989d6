//! The calls of PAXS, as the rest of minuted makes them.

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{PaxsService, reports, session, walk, wire};
use crate::{
    config::Analysis,
    http::{ANALYSES_BYTES_MAX, Request},
    job::{Key, Report},
    media_types,
    services::{
        AnalysisRequest, Attachment, CallError, NewMeeting, NotesService, USUAL_INSTRUCTION,
        Upload, answers, pacer::Priority,
    },
};

/// Extensions that PAXS accepts.
const ACCEPTS: [&str; 14] = [
    "mp3", "wav", "flac", "mpa", "aac", "opus", "m4a", "mpeg", "mpg", "mp4", "flv", "webm", "wmv",
    "3gp",
];

#[async_trait]
impl NotesService for PaxsService {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepted_extensions(&self) -> &'static [&'static str] {
        &ACCEPTS
    }

    /// Returns the MIME type in its documents, which for Opus is not the usual one.
    fn mime_type(&self, extension: &str) -> &'static str {
        if extension == "opus" { "audio/opus" } else { media_types::mime_type(extension) }
    }

    async fn read_profile(&self) -> Result<Value, CallError> {
        answers::read_json(
            self.session.call(&Request::get(&session::PROFILE), Priority::High).await?,
        )
    }

    async fn create_meeting(&self, meeting: &NewMeeting) -> Result<String, CallError> {
        let request = Request::post(&walk::SESSIONS).json(&creation_body(meeting));
        let answer = answers::read_json(self.session.call(&request, Priority::High).await?)?;
        wire::meeting_id(&answer)
            .ok_or_else(|| answers::unexpected_answer("a new meeting without an id"))
    }

    async fn find_meeting(
        &self,
        key: &Key,
        title: &str,
        since: Timestamp,
    ) -> Result<Option<String>, CallError> {
        walk::find_meeting(&self.session, &self.walks, key, title, since).await
    }

    fn has_markers(&self) -> bool {
        true
    }

    async fn list_markers(&self) -> Result<Vec<(Key, String)>, CallError> {
        walk::find_markers(&self.session, &self.walks).await
    }

    async fn list_attachments(&self, meeting: &str) -> Result<Vec<Attachment>, CallError> {
        let details = walk::read_details(&self.session, meeting).await?;
        wire::parse_attachments(&details)
            .ok_or_else(|| answers::unexpected_answer("details of a meeting that are no object"))
    }

    async fn upload_recording(&self, meeting: &str, upload: Upload) -> Result<String, CallError> {
        self.send_recording(meeting, &upload).await
    }

    async fn read_reports(&self, meeting: &str, recording: &str) -> Result<Vec<Report>, CallError> {
        let request = Request::get(&["api", "recordings", recording, "analysis"])
            .query("session_id", meeting)
            .bytes_max(ANALYSES_BYTES_MAX);
        let answer = self.session.call(&request, Priority::Low).await?;
        let meeting = meeting.to_owned();

        // Parsing a long transcription would hold up the threads of the runtime.
        let reading = tokio::task::spawn_blocking(move || {
            reports::parse_reports(answers::read_json(answer)?, &meeting).ok_or_else(|| {
                answers::unexpected_answer("analyses that are no list of reports of this meeting")
            })
        });
        reading
            .await
            .unwrap_or_else(|_| Err(answers::unexpected_answer("analyses that could not be read")))
    }

    async fn request_analyses(&self, request: &AnalysisRequest<'_>) -> Result<(), CallError> {
        let call = Request::post(&["api", "analysis", "request"]).json(&analyses_body(request));
        let answer = self.session.call(&call, Priority::High).await?;
        // The answer is not documented. A web page is none: it comes from a proxy.
        if answer.body.is_empty() {
            answers::check_status(answer).map(drop)
        } else {
            answers::read_json(answer).map(drop)
        }
    }

    async fn list_meetings(&self, page: u32) -> Result<Vec<Value>, CallError> {
        walk::list_page(&self.session, page.max(1)).await
    }

    async fn read_meeting(&self, id: &str) -> Result<Value, CallError> {
        walk::read_details(&self.session, id).await
    }
}

fn creation_body(meeting: &NewMeeting) -> Value {
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
    json!({"title": meeting.title, "description": marked_description(meeting), "attendees": attendees})
}

/// Returns the description, whose last line is the marker.
fn marked_description(meeting: &NewMeeting) -> String {
    let text = meeting.description.trim_end();
    let marker = meeting.key.marker_line();
    if text.is_empty() { marker } else { format!("{text}\n\n{marker}") }
}

fn analyses_body(request: &AnalysisRequest<'_>) -> Value {
    // PAXS requires one for each requested note, also when a failed automatic one is requested
    // again.
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
        let bo = Attendee {
            name: "Bo".into(),
            email: "bo@example.com".into(),
            role: Some("organizer".into()),
        };
        let key = Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: "sales".into(),
            generation: 1,
        };
        NewMeeting {
            title: "Talk".into(),
            description: description.into(),
            key,
            attendees: vec![ann, bo],
        }
    }

    #[test]
    fn a_meeting_is_asked_for_as_the_documents_have_it_with_the_marker_last() {
        insta::assert_snapshot!(format!("{:#}", creation_body(&meeting("Recorded today.\n"))), @r#"
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
        assert!(marked_description(&meeting("")).starts_with("minuted:b3-"));
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
        insta::assert_snapshot!(analyses_body(&asked), @r#"{"analysis_types":["meeting note","key_points"],"attachment_id":"r","instruction":"Short.","meeting_type":"cross_functional","session_id":"s"}"#);
        assert_eq!(
            analyses_body(&AnalysisRequest { instruction: None, ..asked })["instruction"],
            USUAL_INSTRUCTION
        );
        let points =
            AnalysisRequest { instruction: None, analyses: &[Analysis::KeyPoints], ..asked };
        assert_eq!(analyses_body(&points).get("instruction"), None);
    }
}

//! Analyses: begun by an upload or a request, done when their time has passed.
//!
//! Nothing runs: a report knows when it was asked for, and how far it is follows from the time of the look.

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Shared,
    extract::{JsonBody, SignedIn},
    options::{Options, Quirk},
    state::{Entry, Model, Moment, Refusal},
    words::{self, Matter},
};

/// A kind of analysis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Analysis {
    /// What was said.
    Transcription,
    /// The minutes.
    MeetingNote,
    /// The key points.
    KeyPoints,
    /// The mood.
    Sentiment,
}

impl Analysis {
    /// All of them.
    pub(crate) const ALL: [Self; 4] =
        [Self::Transcription, Self::MeetingNote, Self::KeyPoints, Self::Sentiment];

    /// Returns PAXS's word for it.
    #[must_use]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Transcription => "transcription",
            Self::MeetingNote => "meeting note",
            Self::KeyPoints => "key_points",
            Self::Sentiment => "sentiment",
        }
    }

    fn parse(word: &str) -> Result<Self, Refusal> {
        let known = Self::ALL.into_iter().find(|analysis| analysis.as_str() == word);
        known.ok_or_else(|| {
            Refusal::bad(
                "analysis type must be transcription, meeting note, key_points or sentiment",
            )
        })
    }
}

/// The kinds of meeting, in the documents.
const MEETING_TYPES: [&str; 6] =
    ["group", "team", "department", "cross_functional", "organization", "company"];

/// A request for analyses that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requested {
    /// The meeting.
    pub(crate) meeting: String,
    /// The recording.
    pub(crate) recording: String,
    /// What was asked for, in the order of the request.
    pub(crate) analyses: Vec<Analysis>,
    /// What the note should hold.
    pub(crate) instruction: Option<String>,
    /// The kind of meeting.
    pub(crate) meeting_type: Option<String>,
    /// When it came.
    pub(crate) at: Timestamp,
}

/// One report of a recording.
#[derive(Debug)]
pub(super) struct Report {
    id: String,
    analysis: Analysis,
    asked: Moment,
    takes: Duration,
    fails: bool,
    instruction: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Pending,
    Processing,
    Completed,
    Failed,
}

impl Status {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

/// The body of `POST /api/analysis/request`.
#[derive(Debug, Deserialize)]
pub(super) struct AnalysisRequest {
    session_id: String,
    attachment_id: String,
    analysis_types: Vec<String>,
    #[serde(default)]
    instruction: Option<String>,
    #[serde(default)]
    meeting_type: Option<String>,
}

impl AnalysisRequest {
    /// Returns the analyses that it asks for.
    fn check(&self) -> Result<Vec<Analysis>, Refusal> {
        let analyses = self
            .analysis_types
            .iter()
            .map(|word| Analysis::parse(word))
            .collect::<Result<Vec<_>, _>>()?;
        if analyses.is_empty() {
            return Err(Refusal::bad("analysis_types must not be empty"));
        }
        let instructed = self.instruction.as_deref().is_some_and(|text| !text.trim().is_empty());
        if analyses.contains(&Analysis::MeetingNote) && !instructed {
            return Err(Refusal::bad("a meeting note needs an instruction"));
        }
        if self.meeting_type.as_deref().is_some_and(|word| !MEETING_TYPES.contains(&word)) {
            return Err(Refusal::bad("meeting_type is unknown"));
        }
        Ok(analyses)
    }
}

/// The query of `GET /api/recordings/{id}/analysis`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ReportsQuery {
    session_id: Option<String>,
    analysis_type: Option<String>,
}

impl Model {
    /// Lets the next `count` reports of a kind fail.
    pub(super) fn fail(&mut self, analysis: Analysis, count: u32) {
        self.failing.insert(analysis, count);
    }

    /// Returns a new report; whether it will fail is settled here.
    pub(super) fn begin(
        &mut self,
        analysis: Analysis,
        instruction: Option<&str>,
        options: &Options,
        now: Moment,
    ) -> Report {
        let left = self.failing.entry(analysis).or_default();
        let fails = *left > 0;
        *left = left.saturating_sub(1);
        let takes = match analysis {
            Analysis::Transcription => options.transcription_time,
            Analysis::MeetingNote | Analysis::KeyPoints | Analysis::Sentiment => options.note_time,
        };
        let instruction =
            instruction.filter(|_| analysis == Analysis::MeetingNote).map(str::to_owned);
        Report { id: self.ids.uuid(), analysis, asked: now, takes, fails, instruction }
    }

    /// Begins what was asked for.
    pub(super) fn request(
        &mut self,
        request: AnalysisRequest,
        options: &Options,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let analyses = request.check()?;
        self.entry(&request.session_id)?.active(&request.attachment_id)?;
        let instruction = request.instruction.as_deref();
        let mut reports: Vec<_> = analyses
            .iter()
            .map(|analysis| self.begin(*analysis, instruction, options, now))
            .collect();
        if options.has(Quirk::RemakesInPlace) {
            let entry = self.entry_mut(&request.session_id)?;
            for report in &mut reports {
                let failed = |old: &Report| old.analysis == report.analysis && old.fails;
                if let Some(at) = entry.reports.iter().position(failed) {
                    let old = entry.reports.remove(at);
                    report.id = old.id;
                    report.asked = Moment { wall: old.asked.wall, ..report.asked };
                }
            }
        }
        let ids: Vec<_> = reports.iter().map(|report| report.id.clone()).collect();
        self.entry_mut(&request.session_id)?.reports.extend(reports);
        self.requested.push(Requested {
            meeting: request.session_id,
            recording: request.attachment_id,
            analyses,
            instruction: request.instruction,
            meeting_type: request.meeting_type,
            at: now.wall,
        });
        Ok(json!({ "status": "accepted", "report_ids": ids }))
    }

    /// Returns the reports of a recording, in the order in which they were begun.
    pub(super) fn reports(
        &self,
        recording: &str,
        query: &ReportsQuery,
        options: &Options,
        now: Moment,
    ) -> Result<Value, Refusal> {
        let meeting =
            query.session_id.as_deref().ok_or_else(|| Refusal::bad("session_id is required"))?;
        let wanted = query.analysis_type.as_deref().map(Analysis::parse).transpose()?;
        let entry = self.entry(meeting)?;
        entry.active(recording)?;
        let listed = entry
            .reports
            .iter()
            .filter(|report| wanted.is_none_or(|wanted| report.analysis == wanted));
        let told = listed.map(|report| (report, entry.status(report, now.at, self.stalled)));
        let shown = told
            .filter(|(_, status)| !options.has(Quirk::HidesPending) || *status != Status::Pending);
        Ok(options
            .reports_envelope
            .wrap(shown.map(|(report, status)| entry.answer(report, status, options)).collect()))
    }
}

/// The part of a transcription's time in which it is still pending: a quarter.
const PENDING_PART: u32 = 4;

impl Entry {
    /// Refuses a recording that is not the active one.
    fn active(&self, recording: &str) -> Result<(), Refusal> {
        let active = self.meeting.recording.as_ref().is_some_and(|active| active.id == recording);
        if active { Ok(()) } else { Err(Refusal::missing("recording")) }
    }

    /// When a report leaves `pending`, and when it is there. What is not a transcription waits for one that
    /// succeeds, if need be for ever.
    fn span(&self, report: &Report) -> Option<(Instant, Instant)> {
        let asked = report.asked.at;
        if report.analysis == Analysis::Transcription {
            return Some((asked + report.takes / PENDING_PART, asked + report.takes));
        }
        let transcriptions =
            self.reports.iter().filter(|r| r.analysis == Analysis::Transcription && !r.fails);
        let transcribed = transcriptions.map(|r| r.asked.at + r.takes).min()?;
        let begin = asked.max(transcribed);
        Some((begin, begin + report.takes))
    }

    fn status(&self, report: &Report, now: Instant, stalled: Option<Instant>) -> Status {
        let Some((begin, end)) = self.span(report) else { return Status::Pending };
        if now < begin {
            Status::Pending
        } else if now < end || stalled.is_some_and(|since| since < end) {
            Status::Processing
        } else if report.fails {
            Status::Failed
        } else {
            Status::Completed
        }
    }

    fn answer(&self, report: &Report, status: Status, options: &Options) -> Value {
        let mut answer = json!({
            "id": report.id,
            "analysis_type": report.analysis.as_str(),
            "status": status.as_str(),
            "report_content": Value::Null,
        });
        if !options.has(Quirk::NoTimestamps) {
            answer["created_at"] = json!(report.asked.wall.to_string());
        }
        match status {
            Status::Pending | Status::Processing => {}
            Status::Failed => {
                answer["error"] =
                    json!(format!("the {} failed at the stand-in", report.analysis.as_str()));
            }
            Status::Completed => answer["report_content"] = self.content(report, options),
        }
        answer
    }

    fn content(&self, report: &Report, options: &Options) -> Value {
        let recording = self.meeting.recording.as_ref();
        let content = words::report(
            report.analysis,
            &Matter {
                title: &self.meeting.title,
                file: recording.map_or("", |recording| &recording.name),
                size: recording.map_or(0, |recording| recording.size),
                attendees: &self.meeting.attendees,
                instruction: report.instruction.as_deref(),
            },
        );
        if options.has(Quirk::ReportObjects) { content } else { Value::String(content.to_string()) }
    }
}

/// `GET /api/recordings/{id}/analysis`
pub(super) async fn reports(
    State(shared): State<Shared>,
    _: SignedIn,
    Path(recording): Path<String>,
    Query(query): Query<ReportsQuery>,
) -> Result<Json<Value>, Refusal> {
    let world = shared.world();
    world.model.reports(&recording, &query, &world.options, Moment::now()).map(Json)
}

/// `POST /api/analysis/request`
pub(super) async fn request(
    State(shared): State<Shared>,
    _: SignedIn,
    JsonBody(request): JsonBody<AnalysisRequest>,
) -> Result<Json<Value>, Refusal> {
    let mut world = shared.world();
    let options = world.options.clone();
    world.model.request(request, &options, Moment::now()).map(Json)
}
mod tests {
    use super::*;
    use crate::support::paxs::{
        recordings::Taken,
        sessions::tests::new_session,
        state::testing::{later, model},
    };

    const SECOND: Duration = Duration::from_secs(1);

    /// A meeting whose recording was just uploaded.
    struct Uploaded {
        model: Model,
        options: Options,
        start: Moment,
        meeting: String,
        recording: String,
    }

    impl Uploaded {
        fn new(options: Options, prepare: impl FnOnce(&mut Model)) -> Self {
            let (mut model, start) = (model(), Moment::now());
            prepare(&mut model);
            let meeting = model.create(new_session("Sales"), &options, start).expect("good");
            let hash = blake3::hash(b"a");
            let taken = Taken { name: "a.wav".into(), mime: "audio/wav".into(), size: 1, hash };
            let answer = model.attach(&meeting, taken, &options, start).expect("good");
            let recording = answer["id"].as_str().expect("an id").to_owned();
            Self { model, options, start, meeting, recording }
        }

        fn reports(&self, after: Duration) -> Vec<Value> {
            let query =
                ReportsQuery { session_id: Some(self.meeting.clone()), analysis_type: None };
            let now = later(self.start, after);
            let reports =
                self.model.reports(&self.recording, &query, &self.options, now).expect("good");
            reports.as_array().expect("a list").clone()
        }

        /// The statuses, in order.
        fn look(&self, after: Duration) -> String {
            let reports = self.reports(after);
            reports
                .iter()
                .filter_map(|report| report["status"].as_str())
                .collect::<Vec<_>>()
                .join(" ")
        }

        fn request(&mut self, after: Duration, words: &[&str], instruction: Option<&str>) {
            let request = AnalysisRequest {
                session_id: self.meeting.clone(),
                attachment_id: self.recording.clone(),
                analysis_types: words.iter().map(|word| (*word).to_owned()).collect(),
                instruction: instruction.map(str::to_owned),
                meeting_type: None,
            };
            self.model.request(request, &self.options, later(self.start, after)).expect("good");
        }
    }

    #[test]
    fn the_note_follows_the_transcription() {
        let uploaded = Uploaded::new(Options::default(), |_| ());
        let looks = [0, 500, 2000, 2999, 3000].map(|ms| uploaded.look(Duration::from_millis(ms)));
        assert_eq!(
            looks,
            [
                "pending pending",
                "processing pending",
                "completed processing",
                "completed processing",
                "completed completed"
            ]
        );
    }

    #[test]
    fn the_list_can_be_empty_at_first() {
        let uploaded = Uploaded::new(
            Options { quirks: vec![Quirk::HidesPending], ..Options::default() },
            |_| (),
        );
        assert_eq!(uploaded.look(Duration::ZERO), "");
        assert_eq!(uploaded.look(SECOND), "processing");
    }

    #[test]
    fn a_note_waits_for_a_transcription_that_succeeds() {
        let mut uploaded =
            Uploaded::new(Options::default(), |model| model.fail(Analysis::Transcription, 1));
        assert_eq!(uploaded.look(100 * SECOND), "failed pending");
        assert!(uploaded.reports(100 * SECOND)[0]["error"].is_string());
        uploaded.request(100 * SECOND, &["transcription"], None);
        assert_eq!(uploaded.look(102 * SECOND), "failed processing completed");
        assert_eq!(uploaded.look(103 * SECOND), "failed completed completed");
    }

    #[test]
    fn a_failed_note_is_made_by_a_request_that_is_quoted() {
        let mut uploaded =
            Uploaded::new(Options::default(), |model| model.fail(Analysis::MeetingNote, 1));
        assert_eq!(uploaded.look(5 * SECOND), "completed failed");
        uploaded.request(5 * SECOND, &["meeting note"], Some("List risks."));
        assert_eq!(uploaded.look(6 * SECOND), "completed failed completed");
        assert!(
            uploaded.reports(6 * SECOND)[2]["report_content"]
                .as_str()
                .is_some_and(|text| text.contains("List risks."))
        );
    }

    #[test]
    fn a_stall_holds_what_is_not_done_and_lets_it_go() {
        let mut uploaded = Uploaded::new(Options::default(), |_| ());
        uploaded.model.stalled = Some(later(uploaded.start, 2 * SECOND).at);
        assert_eq!(uploaded.look(60 * SECOND), "completed processing");
        uploaded.model.stalled = None;
        assert_eq!(uploaded.look(60 * SECOND), "completed completed");
    }

    #[test]
    fn content_comes_as_a_string_or_as_an_object() {
        let uploaded = Uploaded::new(Options::default(), |_| ());
        assert!(uploaded.reports(5 * SECOND)[1]["report_content"].is_string());
        let uploaded = Uploaded::new(
            Options { quirks: vec![Quirk::ReportObjects], ..Options::default() },
            |_| (),
        );
        assert!(uploaded.reports(5 * SECOND)[1]["report_content"]["markdown"].is_string());
    }
}

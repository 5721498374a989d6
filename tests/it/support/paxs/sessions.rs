//! Meetings: made, listed, read.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Shared,
    extract::{JsonBody, SignedIn},
    options::{Options, Quirk},
    recordings::Recording,
    state::{Entry, Model, Moment, Refusal},
};

/// A meeting, as the stand-in holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Meeting {
    /// Its id.
    pub(crate) id: String,
    /// Its title.
    pub(crate) title: String,
    /// Its description; empty when none was given.
    pub(crate) description: String,
    /// Who was there. Never empty.
    pub(crate) attendees: Vec<Attendee>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its active recording.
    pub(crate) recording: Option<Recording>,
    /// How many uploads it took, the ones that were replaced included.
    pub(crate) uploads: u32,
}

/// A person of a meeting.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Attendee {
    /// The address. Not empty.
    pub(crate) email: String,
    /// The name as shown. Not empty.
    pub(crate) display_name: String,
    /// What they do there.
    #[serde(default = "unknown_role")]
    pub(crate) role: String,
    /// Where they are known from: `manual`, `event` or `zoom_participant`.
    #[serde(default = "manual_source")]
    pub(crate) source: String,
}

/// The role of an attendee who was given none, in the documents.
fn unknown_role() -> String {
    "Unknown".to_owned()
}

/// The source of an attendee who was given none, in the documents.
fn manual_source() -> String {
    SOURCES[0].to_owned()
}

/// Where attendees are known from, in the documents; the first is the default.
const SOURCES: [&str; 3] = ["manual", "event", "zoom_participant"];

impl Attendee {
    /// Returns an attendee with the default role and source.
    pub(super) fn new(name: &str, email: &str) -> Self {
        Self {
            email: email.into(),
            display_name: name.into(),
            role: unknown_role(),
            source: manual_source(),
        }
    }

    fn check(&self) -> Result<(), Refusal> {
        if self.email.trim().is_empty() {
            Err(Refusal::bad("attendee email must not be empty"))
        } else if self.display_name.trim().is_empty() {
            Err(Refusal::bad("attendee displayName must not be empty"))
        } else if !SOURCES.contains(&self.source.as_str()) {
            Err(Refusal::bad("attendee source must be manual, event or zoom_participant"))
        } else {
            Ok(())
        }
    }
}

/// The body of `POST /api/sessions`.
#[derive(Debug, Deserialize)]
pub(super) struct NewSession {
    pub(super) title: String,
    #[serde(default)]
    pub(super) description: Option<String>,
    pub(super) attendees: Vec<Attendee>,
}

impl NewSession {
    fn check(&self) -> Result<(), Refusal> {
        if self.title.trim().is_empty() {
            return Err(Refusal::bad("title must not be empty"));
        }
        if self.attendees.is_empty() {
            return Err(Refusal::bad("attendees must not be empty"));
        }
        self.attendees.iter().try_for_each(Attendee::check)
    }
}

/// The query of `GET /api/sessions`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    page: Option<String>,
    page_size: Option<String>,
}

/// The most meetings on a page. The documents name no limit and show 20.
const PAGE_SIZE_MAX: usize = 100;

impl PageQuery {
    /// Returns page, from 1, and page size.
    fn read(&self) -> Result<(usize, usize), Refusal> {
        let page = number(self.page.as_deref(), 1).filter(|page| *page >= 1);
        let size =
            number(self.page_size.as_deref(), 20).filter(|size| (1..=PAGE_SIZE_MAX).contains(size));
        page.zip(size).ok_or_else(|| Refusal::bad("page must be at least 1, page_size 1 to 100"))
    }
}

fn number(text: Option<&str>, default: usize) -> Option<usize> {
    text.map_or(Some(default), |text| text.parse().ok())
}

impl Model {
    /// Makes a meeting; returns its id.
    pub(super) fn create(
        &mut self,
        new: NewSession,
        options: &Options,
        now: Moment,
    ) -> Result<String, Refusal> {
        new.check()?;
        Ok(self.enter(new, &options.id_end, now.wall))
    }

    fn enter(&mut self, new: NewSession, id_end: &str, created: Timestamp) -> String {
        let id = self.ids.uuid() + id_end;
        let meeting = Meeting {
            id: id.clone(),
            title: new.title,
            description: new.description.unwrap_or_default(),
            attendees: new.attendees,
            created,
            recording: None,
            uploads: 0,
        };
        self.made += 1;
        self.places.insert(id.clone(), self.made);
        self.meetings.insert(self.made, Entry { meeting, reports: Vec::new() });
        id
    }

    /// Puts a meeting of another day at the end of the list's order, unchecked; returns its id.
    pub(super) fn plant(&mut self, title: &str, description: &str, created: Timestamp) -> String {
        let attendee = Attendee {
            email: "stand-in@example.com".to_owned(),
            display_name: "Stand-in".to_owned(),
            role: unknown_role(),
            source: manual_source(),
        };
        let new = NewSession {
            title: title.to_owned(),
            description: Some(description.to_owned()),
            attendees: vec![attendee],
        };
        self.enter(new, "", created)
    }

    /// Returns a page of the list, in its envelope.
    pub(super) fn list(&self, query: &PageQuery, options: &Options) -> Result<Value, Refusal> {
        let (page, size) = query.read()?;
        let skipped =
            if options.has(Quirk::IgnoresPage) { 0 } else { (page - 1).saturating_mul(size) };
        let row = |entry: &Entry| entry.meeting.row(options);
        let rows = self.meetings.values();
        let rows = if options.has(Quirk::OldestFirst) {
            rows.skip(skipped).take(size).map(row).collect()
        } else {
            rows.rev().skip(skipped).take(size).map(row).collect()
        };
        Ok(options.envelope.wrap(rows))
    }

    /// Returns the details of a meeting.
    pub(super) fn details(&self, id: &str, options: &Options) -> Result<Value, Refusal> {
        Ok(self.entry(id)?.meeting.details(options))
    }
}

impl Meeting {
    /// What the list tells.
    fn row(&self, options: &Options) -> Value {
        let mut row = json!({ "id": self.id, "title": self.title });
        if !options.has(Quirk::NoDescriptions) {
            row["description"] = json!(self.description);
        }
        if !options.has(Quirk::NoTimestamps) {
            row["created_at"] = json!(options.told(self.created).to_string());
        }
        row
    }

    /// What the details tell.
    fn details(&self, options: &Options) -> Value {
        let mut details = self.row(options);
        details["description"] = json!(self.description);
        details["attendees"] = json!(self.attendees);
        let attachments: Vec<Value> =
            self.recording.iter().map(|recording| recording.answer(options)).collect();
        details["attachments"] = Value::Array(attachments);
        details
    }
}

/// `POST /api/sessions`
pub(super) async fn create(
    State(shared): State<Shared>,
    _: SignedIn,
    JsonBody(new): JsonBody<NewSession>,
) -> Result<Json<Value>, Refusal> {
    let world = &mut *shared.world();
    let id = world.model.create(new, &world.options, Moment::now())?;
    world.model.details(&id, &world.options).map(Json)
}

/// `GET /api/sessions`
pub(super) async fn list(
    State(shared): State<Shared>,
    _: SignedIn,
    Query(query): Query<PageQuery>,
) -> Result<Json<Value>, Refusal> {
    let world = shared.world();
    world.model.list(&query, &world.options).map(Json)
}

/// `GET /api/sessions/{id}`
pub(super) async fn details(
    State(shared): State<Shared>,
    _: SignedIn,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let world = shared.world();
    world.model.details(&id, &world.options).map(Json)
}

/// `GET /api/users/me`
pub(super) async fn profile(_: SignedIn) -> Json<Value> {
    Json(json!({ "id": "stand-in", "email": "stand-in@example.com", "displayName": "Stand-in" }))
}
pub(super) mod tests {
    use super::*;
    use crate::support::paxs::{options::Envelope, state::testing::model};

    /// Returns the body of a good create call.
    pub(in super::super) fn new_session(title: &str) -> NewSession {
        let attendees = vec![Attendee::new("Ann Lee", "ann@example.com")];
        NewSession {
            title: title.into(),
            description: Some(format!("{title}\nminuted:x")),
            attendees,
        }
    }

    fn page(page: &str, size: &str) -> PageQuery {
        PageQuery { page: Some(page.into()), page_size: Some(size.into()) }
    }

    fn titles(list: &Value) -> Vec<&str> {
        let rows = list.as_array().or_else(|| list["items"].as_array()).expect("a list");
        rows.iter().filter_map(|row| row["title"].as_str()).collect()
    }

    #[test]
    fn what_the_documents_require_is_required() {
        let broken = [
            r#"{"title":"a"}"#,
            r#"{"attendees":[{"email":"a@b.c","displayName":"A"}]}"#,
            r#"{"title":" ","attendees":[{"email":"a@b.c","displayName":"A"}]}"#,
            r#"{"title":"a","attendees":[]}"#,
            r#"{"title":"a","attendees":[{"email":"a@b.c"}]}"#,
            r#"{"title":"a","attendees":[{"email":"","displayName":"A"}]}"#,
            r#"{"title":"a","attendees":[{"email":"a@b.c","displayName":" "}]}"#,
            r#"{"title":"a","attendees":[{"email":"a@b.c","displayName":"A","source":"guess"}]}"#,
        ];
        for body in broken {
            let made = serde_json::from_str::<NewSession>(body)
                .map(|new| model().create(new, &Options::default(), Moment::now()));
            assert!(!matches!(made, Ok(Ok(_))), "{body}");
        }
    }

    #[test]
    fn an_attendee_without_role_and_source_gets_the_documented_ones() {
        let attendee: Attendee =
            serde_json::from_str(r#"{"email":"a@b.c","displayName":"A"}"#).expect("good");
        assert_eq!((attendee.role.as_str(), attendee.source.as_str()), ("Unknown", "manual"));
    }

    #[test]
    fn pages_go_from_the_newest_to_past_the_end() {
        let mut model = model();
        for title in ["a", "b", "c"] {
            model.create(new_session(title), &Options::default(), Moment::now()).expect("good");
        }
        let options = Options { envelope: Envelope::Items, ..Options::default() };
        let read = |query, options| model.list(&query, options).expect("good");
        assert_eq!(titles(&read(page("1", "2"), &options)), ["c", "b"]);
        assert_eq!(titles(&read(page("2", "2"), &options)), ["a"]);
        assert!(titles(&read(page("3", "2"), &options)).is_empty());
        let options = Options {
            quirks: vec![Quirk::IgnoresPage, Quirk::OldestFirst],
            envelope: Envelope::Array,
            ..Options::default()
        };
        assert_eq!(titles(&read(page("3", "2"), &options)), ["a", "b"]);
    }

    #[test]
    fn a_page_that_is_none_is_refused() {
        for (number, size) in [("0", "20"), ("-1", "20"), ("x", "20"), ("1", "0"), ("1", "101")] {
            let refusal = model().list(&page(number, size), &Options::default()).expect_err("bad");
            assert_eq!(refusal.status, 400, "{number} {size}");
        }
    }

    #[test]
    fn the_list_tells_only_what_it_should() {
        let mut model = model();
        model.create(new_session("a"), &Options::default(), Moment::now()).expect("good");
        let bare = Options {
            quirks: vec![Quirk::NoDescriptions, Quirk::NoTimestamps],
            envelope: Envelope::Array,
            ..Options::default()
        };
        let list = model.list(&PageQuery::default(), &bare).expect("good");
        assert_eq!(list[0].as_object().map(serde_json::Map::len), Some(2), "{list}");
    }

    #[test]
    fn a_meeting_that_vanished_is_not_found() {
        let mut model = model();
        let id = model.create(new_session("a"), &Options::default(), Moment::now()).expect("good");
        assert!(model.vanish(&id));
        assert_eq!(model.details(&id, &Options::default()).expect_err("gone").status, 404);
    }
}

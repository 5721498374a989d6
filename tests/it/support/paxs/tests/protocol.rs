//! The calls, as strict as the documents.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use super::client::{Caller, file, form, form_type, listen, text};
use crate::support::paxs::{Call, Envelope, Options};

#[tokio::test]
async fn the_whole_way_of_a_recording() {
    let caller = Caller::quick();
    let meeting = caller.create("Sales").await;
    let recording = caller.upload(&meeting, "talk.wav", b"RIFF").await.json();
    let id = recording["id"].as_str().expect("an id");
    let reports =
        caller.get(&format!("/api/recordings/{id}/analysis?session_id={meeting}")).await.json();
    assert_eq!(
        (&reports[0]["status"], &reports[1]["status"]),
        (&json!("completed"), &json!("completed"))
    );
    let content: Value =
        serde_json::from_str(reports[0]["report_content"].as_str().expect("a string"))
            .expect("JSON");
    assert_eq!(content["transcription"]["speakers"], json!(["Ann Lee"]));
    let content: Value =
        serde_json::from_str(reports[1]["report_content"].as_str().expect("a string"))
            .expect("JSON");
    assert!(
        content["markdown"]
            .as_str()
            .is_some_and(|text| text.contains("# Sales") && text.contains("talk.wav"))
    );
    let details = caller.get(&format!("/api/sessions/{meeting}")).await.json();
    assert_eq!(
        (&details["attachments"][0]["name"], &details["attachments"][0]["size"]),
        (&json!("talk.wav"), &json!(4))
    );
    assert!(details["description"].as_str().is_some_and(|text| text.ends_with("\nminuted:x")));
}

#[tokio::test]
async fn nothing_but_the_sign_in_goes_without_a_token() {
    let mut caller = Caller::quick();
    caller.token = "wrong".into();
    let get = [
        "/api/users/me",
        "/api/sessions",
        "/api/sessions/1",
        "/api/recordings/1/analysis?session_id=1",
    ];
    for path in get {
        assert_eq!(caller.get(path).await.status(), 401, "{path}");
    }
    for path in ["/api/sessions", "/api/analysis/request"] {
        assert_eq!(caller.post(path, &json!({})).await.status(), 401, "{path}");
    }
    assert_eq!(caller.upload("1", "a.wav", b"a").await.status(), 401);
}

#[tokio::test]
async fn a_json_call_wants_json_of_the_right_shape() {
    let caller = Caller::quick();
    assert_eq!(caller.post("/api/sessions", &json!({ "title": "a" })).await.status(), 400);
    let form =
        caller.send("POST /api/sessions", "application/x-www-form-urlencoded", b"title=a").await;
    assert_eq!(form.status(), 415);
    assert!(caller.standin.snapshot().meetings.is_empty());
}

#[tokio::test]
async fn an_upload_must_be_what_the_documents_ask_for() {
    let caller = Caller::quick();
    let (meeting, other) = (caller.create("a").await, caller.create("b").await);
    let id = || text("session_id", &meeting);
    let wav = || file("a.wav", Some("audio/wav"), b"a");
    let cases = [
        (400, "no MIME type", vec![id(), file("a.wav", None, b"a")]),
        (400, "no session_id", vec![wav()]),
        (400, "another session_id", vec![text("session_id", &other), wav()]),
        (400, "no file", vec![id()]),
        (400, "two files", vec![id(), wav(), wav()]),
        (400, "empty file", vec![id(), file("a.wav", Some("audio/wav"), b"")]),
        (415, "extension", vec![id(), file("a.ogg", Some("audio/wav"), b"a")]),
        (415, "MIME type", vec![id(), file("a.wav", Some("application/octet-stream"), b"a")]),
        (200, "file first", vec![wav(), id()]),
    ];
    for (status, what, fields) in cases {
        assert_eq!(caller.send_form(&meeting, &form(&fields)).await.status(), status, "{what}");
    }
    let whole = form(&[id(), wav()]);
    assert_eq!(
        caller.send("POST /api/recordings", &form_type(), &whole).await.status(),
        400,
        "no query"
    );
    assert_eq!(caller.send_form("nobody", &whole).await.status(), 404, "unknown meeting");
    assert_eq!(
        caller.send_form(&meeting, &whole[..whole.len() - 8]).await.status(),
        400,
        "cut off"
    );
    let uploads: Vec<_> =
        caller.standin.snapshot().meetings.iter().map(|meeting| meeting.uploads).collect();
    assert_eq!(uploads, [1, 0]);
}

#[tokio::test]
async fn a_new_upload_replaces_the_recording() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    let first = caller.upload(&meeting, "a.wav", b"one").await.json();
    caller.upload(&meeting, "b.wav", b"three").await;
    let snapshot = caller.standin.snapshot();
    let recording = snapshot.meetings[0].recording.as_ref().expect("there");
    assert_eq!(
        (recording.name.as_str(), recording.size, snapshot.meetings[0].uploads),
        ("b.wav", 5, 2)
    );
    assert_eq!(recording.blake3, blake3::hash(b"three").to_hex().as_str());
    assert_eq!(recording.mime, "audio/wav");
    let old = format!(
        "/api/recordings/{}/analysis?session_id={meeting}",
        first["id"].as_str().expect("an id")
    );
    assert_eq!(caller.get(&old).await.status(), 404);
}

#[tokio::test]
async fn the_list_comes_newest_first_in_the_envelope_that_was_chosen() {
    let caller = Caller::quick();
    for title in ["a", "b", "c"] {
        caller.create(title).await;
    }
    let page = || caller.get("/api/sessions?page=1&page_size=2");
    let envelopes = [
        (Envelope::Array, ""),
        (Envelope::Items, "/items"),
        (Envelope::Data, "/data"),
        (Envelope::Sessions, "/sessions"),
        (Envelope::Results, "/results"),
    ];
    for (envelope, place) in envelopes {
        caller.standin.change(|options| options.envelope = envelope);
        let heard = page().await.json();
        let list = heard.pointer(place).and_then(Value::as_array).expect("a list");
        let titles: Vec<_> = list.iter().filter_map(|row| row["title"].as_str()).collect();
        assert_eq!(titles, ["c", "b"], "{envelope:?}");
    }
    assert_eq!(caller.get("/api/sessions?page=0").await.status(), 400);
}

#[tokio::test]
async fn planted_meetings_tell_their_own_times() {
    let caller = Caller::quick();
    caller.standin.plant_meeting(
        "old",
        "minuted:y",
        "2020-01-02T03:04:05Z".parse().expect("a time"),
    );
    caller.create("new").await;
    let list = caller.get("/api/sessions").await.json();
    let told: Vec<_> =
        list["items"].as_array().expect("a list").iter().map(|row| row["title"].clone()).collect();
    assert_eq!(told, ["new", "old"]);
    assert_eq!(list["items"][1]["created_at"], "2020-01-02T03:04:05Z");
    assert_eq!(list["items"][1]["description"], "minuted:y");
}

#[tokio::test]
async fn a_meeting_that_vanished_is_missing_everywhere() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    let recording = caller.upload(&meeting, "a.wav", b"a").await.json();
    let id = recording["id"].as_str().expect("an id");
    assert!(caller.standin.vanish(&meeting) && !caller.standin.vanish(&meeting));
    assert_eq!(caller.get(&format!("/api/sessions/{meeting}")).await.status(), 404);
    assert_eq!(
        caller.get(&format!("/api/recordings/{id}/analysis?session_id={meeting}")).await.status(),
        404
    );
    assert_eq!(caller.upload(&meeting, "a.wav", b"a").await.status(), 404);
    let body =
        json!({ "session_id": meeting, "attachment_id": id, "analysis_types": ["sentiment"] });
    assert_eq!(caller.post("/api/analysis/request", &body).await.status(), 404);
}

/// Larger than any buffer on the way, and than axum's own limit of 2 MiB.
const LARGE: usize = 24 * 1024 * 1024;

#[tokio::test]
async fn a_large_upload_streams_through() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    let bytes: Vec<u8> = (0..LARGE).map(|at| (at % 251).to_le_bytes()[0]).collect();
    assert_eq!(caller.upload(&meeting, "a.wav", &bytes).await.status(), 200);
    let recording = caller.standin.snapshot().meetings.remove(0).recording.expect("there");
    assert_eq!(
        (recording.size, recording.blake3),
        (LARGE as u64, blake3::hash(&bytes).to_hex().to_string())
    );
}

#[tokio::test]
async fn an_upload_that_the_client_leaves_is_nothing_and_ends() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    let form =
        form(&[text("session_id", &meeting), file("a.wav", Some("audio/wav"), &vec![7; 100_000])]);
    let mut stream = caller.connect().await;
    let head = caller.head(
        &format!("POST /api/recordings?session_id={meeting}"),
        &form_type(),
        form.len() as u64,
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream.write_all(&form[..60_000]).await.expect("sent");
    until(|| caller.standin.running(Call::Upload) == 1).await;
    drop(stream);
    until(|| caller.standin.running(Call::Upload) == 0).await;
    assert_eq!(caller.standin.snapshot().meetings[0].uploads, 0);
}

#[tokio::test]
async fn reports_and_requests_are_checked() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    let recording = caller.upload(&meeting, "a.wav", b"a").await.json();
    let id = recording["id"].as_str().expect("an id");
    let reports = |query: String| format!("/api/recordings/{id}/analysis{query}");
    assert_eq!(caller.get(&reports(String::new())).await.status(), 400);
    assert_eq!(caller.get(&reports("?session_id=nobody".into())).await.status(), 404);
    assert_eq!(
        caller.get(&reports(format!("?session_id={meeting}&analysis_type=minutes"))).await.status(),
        400
    );
    let note = caller
        .get(&reports(format!("?session_id={meeting}&analysis_type=meeting%20note")))
        .await
        .json();
    assert_eq!(note.as_array().map(Vec::len), Some(1));
    let cases = [
        (400, json!({ "analysis_types": [] })),
        (400, json!({ "analysis_types": ["minutes"] })),
        (400, json!({ "analysis_types": ["meeting note"] })),
        (400, json!({ "analysis_types": ["meeting note"], "instruction": " " })),
        (400, json!({ "analysis_types": ["sentiment"], "meeting_type": "party" })),
        (404, json!({ "analysis_types": ["sentiment"], "attachment_id": "other" })),
        (
            200,
            json!({ "analysis_types": ["key_points", "meeting note"], "instruction": "Rhyme.", "meeting_type": "team" }),
        ),
    ];
    for (status, case) in cases {
        let mut body = json!({ "session_id": meeting, "attachment_id": id });
        body.as_object_mut()
            .expect("an object")
            .extend(case.as_object().expect("an object").clone());
        assert_eq!(caller.post("/api/analysis/request", &body).await.status(), status, "{case}");
    }
    assert_eq!(caller.standin.snapshot().requested.len(), 1);
    let reports = caller.get(&reports(format!("?session_id={meeting}"))).await.json();
    let kinds: Vec<_> =
        reports.as_array().expect("a list").iter().map(|r| r["analysis_type"].clone()).collect();
    assert_eq!(kinds, ["transcription", "meeting note", "key_points", "meeting note"]);
    assert!(reports[3]["report_content"].as_str().is_some_and(|text| text.contains("Rhyme.")));
    assert!(!reports[1]["report_content"].as_str().is_some_and(|text| text.contains("Rhyme.")));
}

#[tokio::test]
async fn uploads_at_once_are_counted() {
    let caller = Caller::new(Options::default());
    let meeting = caller.create("a").await;
    let head = caller.head(&format!("POST /api/recordings?session_id={meeting}"), &form_type(), 10);
    let mut streams = Vec::new();
    for _ in 0..3 {
        let mut stream = caller.connect().await;
        stream.write_all(head.as_bytes()).await.expect("sent");
        streams.push(stream);
    }
    until(|| caller.standin.running(Call::Upload) == 3).await;
    for mut stream in streams {
        stream.write_all(b"0123456789").await.expect("sent");
        assert_eq!(listen(&mut stream).await.status(), 400);
    }
    assert_eq!(caller.standin.snapshot().uploads_at_once_max, 3);
    let calls = caller.standin.calls();
    assert_eq!((calls.len(), calls[0].call, calls[1].status), (4, Call::CreateSession, Some(400)));
}

/// Lets others run until a condition holds.
pub(super) async fn until(condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), held)
        .await
        .expect("the condition holds in the end");
}

//! Every fault, as it looks on the wire and in the world.

use std::io::ErrorKind;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::{
    client::{Caller, Heard, form_type},
    protocol::until,
};
use crate::support::paxs::{Call, Fault};

/// Plants a fault, creates a meeting, and returns what was heard and how many meetings there are.
async fn create_with(fault: Fault) -> (Heard, usize) {
    let caller = Caller::quick();
    caller.standin.fail_next(Call::CreateSession, fault);
    let heard = caller.post("/api/sessions", &new_meeting("a")).await;
    assert!(caller.standin.calls()[0].faulted);
    assert_eq!(caller.get("/api/users/me").await.status(), 200, "it is met once");
    (heard, caller.standin.snapshot().meetings.len())
}

fn new_meeting(title: &str) -> serde_json::Value {
    serde_json::json!({ "title": title, "attendees": [{ "email": "a@example.com", "displayName": "A" }] })
}

#[tokio::test]
async fn a_status_comes_without_work() {
    let (heard, meetings) = create_with(Fault::Status(503)).await;
    assert_eq!((heard.status(), meetings), (503, 0));
    let status =
        Fault::StatusWith { status: 429, retry_after: Some("7".into()), body: "slow down".into() };
    let (heard, meetings) = create_with(status).await;
    assert_eq!((heard.status(), heard.header("retry-after"), meetings), (429, Some("7".into()), 0));
    assert_eq!(heard.body(), "slow down");
}

#[tokio::test]
async fn a_page_or_a_redirection_comes_without_work() {
    let (heard, meetings) = create_with(Fault::Html).await;
    assert_eq!(
        (heard.status(), meetings, heard.body().starts_with("<!doctype html>")),
        (200, 0, true)
    );
    let (heard, meetings) = create_with(Fault::Redirect("http://127.0.0.1:1/x".into())).await;
    assert_eq!(
        (heard.status(), heard.header("location"), meetings),
        (307, Some("http://127.0.0.1:1/x".into()), 0)
    );
}

#[tokio::test]
async fn a_reset_before_the_work_is_a_reset() {
    let (heard, meetings) = create_with(Fault::ResetBefore).await;
    assert_eq!(
        (heard.error, heard.bytes.len(), meetings),
        (Some(ErrorKind::ConnectionReset), 0, 0)
    );
}

#[tokio::test]
async fn a_lost_answer_is_an_orderly_end_after_the_work() {
    let (heard, meetings) = create_with(Fault::LoseAnswer).await;
    assert_eq!((heard.error, heard.bytes.len(), meetings), (None, 0, 1));
}

#[tokio::test]
async fn spoiled_answers_come_after_the_work() {
    let (heard, meetings) = create_with(Fault::Empty).await;
    assert_eq!((heard.status(), heard.body().as_str(), meetings), (200, "", 1));
    let (heard, meetings) = create_with(Fault::Nested(1000)).await;
    assert_eq!((heard.body().matches('[').count(), meetings), (1000, 1));
    let (heard, meetings) = create_with(Fault::Truncated).await;
    let promised: usize =
        heard.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
    assert_eq!((heard.body().len(), meetings), (promised / 2, 1));
    let (heard, meetings) = create_with(Fault::Slow { bytes_per_second: 5_000 }).await;
    assert_eq!((heard.json()["title"].as_str(), meetings), (Some("a"), 1));
}

#[tokio::test]
async fn an_endless_answer_goes_on() {
    let caller = Caller::quick();
    caller.standin.fail_next(Call::Profile, Fault::Endless);
    let mut stream = caller.connect().await;
    stream
        .write_all(caller.head("GET /api/users/me", "text/plain", 0).as_bytes())
        .await
        .expect("sent");
    let mut bytes = vec![0; 4 * 1024 * 1024];
    stream.read_exact(&mut bytes).await.expect("more than anybody wants");
}

#[tokio::test]
async fn a_held_answer_comes_after_the_work_and_never() {
    let caller = Caller::quick();
    caller.standin.fail_next(Call::CreateSession, Fault::HoldAnswer);
    let body = new_meeting("a");
    tokio::select! {
        heard = caller.post("/api/sessions", &body) => panic!("no answer, not {heard:?}"),
        () = until(|| caller.standin.snapshot().meetings.len() == 1) => {}
    }
}

#[tokio::test]
async fn a_hanging_upload_is_neither_answered_nor_taken() {
    let caller = Caller::quick();
    caller.standin.fail_next(Call::Upload, Fault::Hang);
    let (meeting, bytes) = (caller.create("a").await, vec![1; 32 * 1024 * 1024]);
    tokio::select! {
        heard = caller.upload(&meeting, "a.wav", &bytes) => panic!("no answer, not {heard:?}"),
        () = until(|| caller.standin.running(Call::Upload) == 1) => {}
    }
    assert_eq!(caller.standin.snapshot().meetings[0].uploads, 0);
}

#[tokio::test]
async fn an_upload_is_reset_in_its_middle() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    for size in [200, 4 * 1024 * 1024] {
        caller.standin.fail_next(Call::Upload, Fault::ResetMidBody);
        let heard = caller.upload(&meeting, "a.wav", &vec![1; size]).await;
        assert!(heard.bytes.is_empty() && heard.error.is_some(), "{heard:?}");
    }
    assert_eq!(caller.standin.snapshot().meetings[0].uploads, 0);
}

#[tokio::test]
async fn an_upload_that_goes_slowly_arrives_whole() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    caller.standin.fail_next(Call::Upload, Fault::Slow { bytes_per_second: 1_000_000 });
    let bytes = vec![5; 50_000];
    assert_eq!(caller.upload(&meeting, "a.wav", &bytes).await.status(), 200);
    let recording = caller.standin.snapshot().meetings.remove(0).recording.expect("there");
    assert_eq!(recording.blake3, blake3::hash(&bytes).to_hex().as_str());
}

#[tokio::test]
async fn a_refusal_of_a_large_upload_is_heard() {
    let caller = Caller::quick();
    let bytes = vec![5; 8 * 1024 * 1024];
    for name in ["a.wav", "a.ogg"] {
        let heard = caller.upload("nobody", name, &bytes).await;
        assert_eq!((heard.status(), heard.error), (404, None), "{name}");
    }
    let meeting = caller.create("a").await;
    let heard = caller.upload(&meeting, "a.ogg", &bytes).await;
    assert_eq!((heard.status(), heard.error), (415, None));
    caller.standin.fail_next(Call::Upload, Fault::Status(500));
    let heard = caller.upload(&meeting, "a.wav", &bytes).await;
    assert_eq!((heard.status(), heard.error), (500, None));
}

#[tokio::test]
async fn an_early_status_does_not_wait_for_the_body() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    caller.standin.fail_next(Call::Upload, Fault::EarlyStatus(413));
    let mut stream = caller.connect().await;
    let head =
        caller.head(&format!("POST /api/recordings?session_id={meeting}"), &form_type(), 1 << 30);
    stream.write_all(head.as_bytes()).await.expect("sent");
    let early = super::client::listen(&mut stream).await;
    assert_eq!((early.status(), early.header("connection").as_deref()), (413, Some("close")));
}

#[tokio::test]
async fn an_upload_whose_answer_is_lost_is_there() {
    let caller = Caller::quick();
    let meeting = caller.create("a").await;
    caller.standin.fail_next(Call::Upload, Fault::LoseAnswer);
    let heard = caller.upload(&meeting, "a.wav", b"bytes").await;
    assert_eq!((heard.bytes.len(), heard.error), (0, None));
    assert_eq!(
        caller.standin.snapshot().meetings[0].recording.as_ref().map(|recording| recording.size),
        Some(5)
    );
}

#[tokio::test]
async fn a_fault_for_one_title_or_file_meets_nothing_else() {
    let caller = Caller::quick();
    let fault = Fault::Status(422);
    caller.standin.fail_matching(Call::CreateSession, "bad title", fault.clone(), None);
    caller.standin.fail_matching(Call::Upload, "bad file", fault.clone(), None);
    caller.standin.fail_matching(Call::Analysis, "bad file", fault.clone(), None);
    caller.standin.fail_matching(Call::GetSession, "meeting b", fault, Some(1));
    assert_eq!(caller.post("/api/sessions", &new_meeting("a bad title")).await.status(), 422);
    let (a, b) = (caller.create("meeting a").await, caller.create("meeting b").await);
    assert_eq!(caller.upload(&a, "a bad file.wav", b"a").await.status(), 422);
    assert_eq!(caller.upload(&a, "a.wav", b"a").await.status(), 200);
    assert_eq!(caller.get(&format!("/api/sessions/{a}")).await.status(), 200);
    assert_eq!(caller.get(&format!("/api/sessions/{b}")).await.status(), 422);
    assert_eq!(caller.get(&format!("/api/sessions/{b}")).await.status(), 200);
    caller.standin.clear_faults();
    let recording = caller.upload(&b, "a bad file.wav", b"a").await.json();
    let id = recording["id"].as_str().expect("an id");
    caller.standin.fail_matching(Call::Analysis, "bad file", Fault::Empty, None);
    let heard = caller.get(&format!("/api/recordings/{id}/analysis?session_id={b}")).await;
    assert_eq!(heard.body(), "");
}

//! Results that fail, that are asked for, that a person asks for later; and what a person may do to a job.

use std::{fs, time::Duration};

use serde_json::Value;

use crate::support::{
    house::{House, until},
    paxs::{Analysis, Call, Fault},
};

fn notes(house: &House, name: &str) -> String {
    fs::read_to_string(house.path(name)).expect("notes")
}

fn gone(house: &House, name: &str) {
    until(&format!("{name} is gone"), || (!house.path(name).exists()).then_some(()));
}

fn there(house: &House, name: &str) -> String {
    until(&format!("{name} is there; the log:\n{}", house.log()), || {
        fs::read_to_string(house.path(name)).ok()
    })
}

/// Runs a command about a recording; it must succeed.
fn ask(house: &House, command: &str, name: &str, more: &[&str]) {
    let path = house.path(name);
    let output = house.run(&[&[command, path.to_str().expect("UTF-8")], more].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_failed_transcription_is_uploaded_again_on_the_same_meeting() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.fail_transcriptions(1);
    house.drop_recording("talk.mp3");
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 1);
    let meetings = house.standin.snapshot().meetings;
    assert_eq!((meetings.len(), meetings[0].uploads), (1, 2));
    let history = house.job("talk.mp3")["history"].clone();
    let failed = history
        .as_array()
        .expect("a list")
        .iter()
        .find(|event| event["event"] == "failed")
        .expect("told");
    assert_eq!(failed["stage"], "analyse");
    assert!(
        failed["error"].as_str().is_some_and(|error| error.contains("failed at the stand-in")),
        "{failed:#}"
    );
}

#[test]
fn three_failed_transcriptions_fail_the_job_and_retry_goes_on_from_what_exists() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.fail_transcriptions(3);
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "failed");
    assert_eq!(
        (&job["attempts"], &job["partial"], &job["notes"]),
        (&3.into(), &false.into(), &Value::Array(vec![]))
    );
    assert!(there(&house, "talk.failed.txt").contains("failed at the stand-in"));
    assert!(!house.path("talk.notes.md").exists());
    ask(&house, "retry", "talk.mp3", &[]);
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
    there(&house, "talk.notes.md");
    gone(&house, "talk.failed.txt");
    let meetings = house.standin.snapshot().meetings;
    assert_eq!((meetings.len(), meetings[0].uploads), (1, 4));
    let events = house.events("talk.mp3");
    for told in [
        "created the meeting",
        "failed",
        "failed for the last time",
        "a person asked to retry",
        "analysed",
    ] {
        assert!(events.iter().any(|event| event == told), "{told}: {events:?}");
    }
}

#[test]
fn a_failed_note_is_asked_for_again_and_nothing_is_uploaded() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.fail_notes(1);
    house.drop_recording("talk.mp3");
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 1);
    let snapshot = house.standin.snapshot();
    assert_eq!((snapshot.meetings[0].uploads, snapshot.requested.len()), (1, 1));
    assert_eq!(snapshot.requested[0].analyses, [Analysis::MeetingNote]);
    assert!(!notes(&house, "talk.notes.md").contains("Incomplete"));
}

#[test]
fn three_failed_notes_leave_partial_notes_and_retry_replaces_them() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.fail_notes(3);
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "failed");
    assert_eq!((&job["attempts"], &job["partial"]), (&3.into(), &true.into()));
    let partial = there(&house, "talk.notes.md");
    let (warning, transcript) = (partial.find("**Incomplete:**"), partial.find("## Transcript"));
    assert!(warning.is_some() && warning < transcript, "the warning comes first:\n{partial}");
    there(&house, "talk.failed.txt");
    ask(&house, "retry", "talk.mp3", &[]);
    let job = house.wait_for("talk.mp3", "done");
    assert_eq!((&job["attempts"], &job["partial"]), (&0.into(), &false.into()));
    assert!(!notes(&house, "talk.notes.md").contains("Incomplete"));
    gone(&house, "talk.failed.txt");
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.md"]);
    let snapshot = house.standin.snapshot();
    assert_eq!((snapshot.meetings[0].uploads, snapshot.requested.len()), (1, 3));
}

#[test]
fn a_note_with_an_instruction_is_asked_for_once_and_is_what_lands() {
    let house = House::new();
    house.configure(r#"instruction = "List the decisions of the otters.""#);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let snapshot = house.standin.snapshot();
    assert_eq!((snapshot.meetings[0].uploads, snapshot.requested.len()), (1, 1));
    let asked = &snapshot.requested[0];
    assert_eq!(asked.instruction.as_deref(), Some("List the decisions of the otters."));
    assert_eq!(asked.analyses, [Analysis::MeetingNote]);
    assert!(notes(&house, "talk.notes.md").contains("List the decisions of the otters."));
}

#[test]
fn more_analyses_are_asked_for_once_and_stand_in_the_notes() {
    let house = House::new();
    house.configure(r#"analyses = ["transcription", "meeting note", "key_points", "sentiment"]"#);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let asked: Vec<_> =
        house.standin.snapshot().requested.into_iter().flat_map(|asked| asked.analyses).collect();
    assert_eq!(asked, [Analysis::KeyPoints, Analysis::Sentiment]);
    let notes = notes(&house, "talk.notes.md");
    assert!(notes.contains("## Key points") && notes.contains("## Sentiment"), "{notes}");
    assert!(house.events("talk.mp3").iter().any(|event| event == "asked for the key_points"));
}

#[test]
fn more_analyses_of_a_finished_job_rewrite_its_notes_and_mail_only_when_asked() {
    let house = House::new();
    house.configure(r#"deliver = ["beside", "email"]"#);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    assert_eq!(house.smtp.received().len(), 2);
    assert!(!notes(&house, "talk.notes.md").contains("## Key points"));
    ask(&house, "analyse", "talk.mp3", &["--types", "key_points"]);
    until("the notes are rewritten", || {
        notes(&house, "talk.notes.md").contains("## Key points").then_some(())
    });
    house.wait_for("talk.mp3", "done");
    assert_eq!((house.smtp.received().len(), house.files().len()), (2, 2));
    ask(&house, "analyse", "talk.mp3", &["--types", "sentiment", "--mail"]);
    until("the new notes are mailed", || (house.smtp.received().len() == 4).then_some(()));
    house.wait_for("talk.mp3", "done");
    assert!(notes(&house, "talk.notes.md").contains("## Sentiment"));
    let snapshot = house.standin.snapshot();
    assert_eq!(
        (snapshot.meetings.len(), snapshot.meetings[0].uploads, snapshot.requested.len()),
        (1, 1, 2)
    );
}

#[test]
fn redo_makes_a_second_meeting_and_second_notes() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    let first = house.wait_for("talk.mp3", "done");
    ask(&house, "redo", "talk.mp3", &[]);
    there(&house, "talk.notes.2.md");
    let second = house.wait_for("talk.mp3", "done");
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.2.md", "talk.notes.md"]);
    assert_eq!(house.standin.snapshot().meetings.len(), 2);
    assert_ne!((&first["meeting_id"], &first["id"]), (&second["meeting_id"], &second["id"]));
    assert!(second["key"].as_str().is_some_and(|key| key.ends_with(".sales.2")));
    assert!(
        house.events("talk.mp3").iter().any(|event| event.starts_with("a person asked to redo"))
    );
}

#[test]
fn a_job_can_be_cancelled_while_it_waits_and_while_it_uploads() {
    let house = House::new();
    let _daemon = house.start();
    house.standin.stall_analysis(true);
    house.drop_recording("waits.mp3");
    house.wait_until_waits("waits.mp3", "analysis");
    ask(&house, "cancel", "waits.mp3", &[]);
    house.wait_for("waits.mp3", "cancelled");
    // The model notices a client that went away before its last part only with the next part: in half a minute.
    house.standin.fail_next(Call::Upload, Fault::Slow { bytes_per_second: 32 });
    house.drop_recording("uploads.mp3");
    until("it uploads", || (house.standin.running(Call::Upload) == 1).then_some(()));
    until("it says so", || {
        house.status()["running"][0]["stage"].as_str().filter(|s| *s == "upload").map(drop)
    });
    ask(&house, "cancel", "uploads.mp3", &[]);
    house.wait_for("uploads.mp3", "cancelled");
    until("the upload ends", || (house.standin.running(Call::Upload) == 0).then_some(()));
    house.standin.stall_analysis(false);
    // What was cancelled holds no worker, stays cancelled, and can be taken up again.
    house.drop_recording("next.mp3");
    house.wait_for("next.mp3", "done");
    for name in ["waits.mp3", "uploads.mp3"] {
        assert_eq!(house.state(name).as_deref(), Some("cancelled"));
        assert!(house.events(name).iter().any(|event| event == "a person cancelled it"));
        ask(&house, "retry", name, &[]);
        house.wait_for(name, "done");
    }
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.iter().map(|meeting| meeting.uploads).collect::<Vec<_>>(), [1, 1, 1]);
}

#[test]
fn retry_failed_takes_up_every_failed_job_and_no_other() {
    let house = House::new();
    house.configure_fast("", "", 2);
    let _daemon = house.start();
    house.drop_recording("fine.mp3");
    house.wait_for("fine.mp3", "done");
    house.standin.fail_always(Call::Upload, Fault::Status(422));
    let names = ["a.mp3", "b.mp3", "c.mp3"];
    for name in names {
        house.drop_recording(name);
    }
    for name in names {
        house.wait_for(name, "failed");
    }
    house.standin.clear_faults();
    assert!(house.run(&["retry", "--failed"]).status.success());
    for name in names {
        assert_eq!(house.wait_for(name, "done")["attempts"], 0);
        gone(&house, &format!("{}.failed.txt", &name[..1]));
    }
    assert_eq!(house.standin.snapshot().meetings.len(), 4);
}

#[test]
fn a_late_recording_finds_its_notes_after_a_restart_in_the_analysis() {
    let house = House::new();
    let daemon = house.start();
    house.standin.change(|options| options.note_time = Duration::from_secs(1));
    house.drop_recording("talk.mp3");
    house.wait_until_waits("talk.mp3", "analysis");
    daemon.kill();
    let _daemon = house.start();
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
    assert_eq!(house.standin.snapshot().meetings[0].uploads, 1);
}

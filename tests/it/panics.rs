//! A panic in the work of one job is that job's failure; a panic of the queue ends the process, and nothing is lost.

use crate::support::{
    house::{House, until_told},
    paxs::Analysis,
};

#[test]
fn a_panic_in_a_call_is_one_failure_of_its_job_and_no_other_notices() {
    for effect in ["CallCreate:Before", "CallCreate:After", "CallUpload:Before", "CallUpload:After"]
    {
        let house = House::new();
        let _daemon = house.spawn(&[("MINUTED_DIE", &format!("{effect}:1:panic"))]);
        house.drop_recording("one.mp3");
        house.drop_recording("two.mp3");
        let jobs = ["one.mp3", "two.mp3"].map(|name| house.wait_for(name, "done"));
        let attempts: u64 =
            jobs.iter().map(|job| job["attempts"].as_u64().expect("a number")).sum();
        assert_eq!(attempts, 1, "{effect}: {jobs:?}");
        assert_eq!(house.standin.snapshot().meetings.len(), 2, "{effect}");
        assert!(house.log().contains("a bug: minuted panicked: armed at"), "{effect}");
    }
}

#[test]
fn a_panic_in_a_look_loses_no_timer() {
    let house = House::new();
    house.standin.fail_analyses(Analysis::MeetingNote, 1);
    let _daemon = house.spawn(&[("MINUTED_DIE", "CallRequest:Before:1:panic")]);
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    assert!(house.log().contains("a bug: minuted panicked: armed at CallRequest"));
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

#[test]
fn notes_whose_writing_panics_are_not_done_and_the_recording_is_not_deleted() {
    let house = House::new();
    house.configure("on_success = \"delete\"");
    let _daemon = house.spawn(&[("MINUTED_DIE", "PlaceFile:Before:0:panic")]);
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "failed");
    assert!(
        job["deliveries"][0]["error"].as_str().expect("an error").contains("minuted panicked"),
        "{job}"
    );
    assert_eq!(house.files(), ["talk.mp3"]);
}

#[test]
fn a_mail_that_panics_fails_alone() {
    let house = House::new();
    house.configure("deliver = [\"beside\", \"email\"]");
    let _daemon = house.spawn(&[("MINUTED_DIE", "Mail:Before:1:panic")]);
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "failed");
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.md"]);
    let states: Vec<&str> = job["deliveries"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|one| one["state"].as_str())
        .collect();
    assert_eq!(states.iter().filter(|state| **state == "failed").count(), 1, "{job}");
    assert_eq!(states.iter().filter(|state| **state == "done").count(), 2, "{job}");
}

#[test]
fn a_panic_of_the_queue_ends_the_process_and_the_next_one_goes_on() {
    let house = House::new();
    let mut daemon = house.spawn(&[("MINUTED_DIE", "Created:Before:1:panic")]);
    house.drop_recording("talk.mp3");
    let status = until_told(|| house.log(), || daemon.ended());
    assert!(!status.success());
    let _daemon = house.start();
    let job = house.wait_for("talk.mp3", "done");
    assert_eq!(job["attempts"], 0);
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

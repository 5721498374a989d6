//! The main job: a recording dropped into a folder becomes notes beside it.

use std::fs;

use crate::support::house::{House, until};

/// Every kind that PAXS accepts.
const ACCEPTED: [&str; 13] =
    ["mp3", "wav", "flac", "mpa", "aac", "opus", "m4a", "mpeg", "mp4", "flv", "webm", "wmv", "3gp"];

#[test]
fn a_recording_of_every_accepted_kind_becomes_notes_beside_it() {
    let house = House::new();
    let _daemon = house.start();
    let names: Vec<String> =
        ACCEPTED.iter().map(|extension| format!("{extension}.{extension}")).collect();
    for name in &names {
        house.drop_recording(name);
    }
    for name in &names {
        let job = house.wait_for(name, "done");
        let notes = fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written");
        assert!(
            notes.contains(&format!("minuted: {}", job["key"].as_str().expect("a key"))),
            "{notes}"
        );
    }
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.len(), ACCEPTED.len());
    for meeting in meetings {
        assert_eq!(meeting.attendees.len(), 2);
        assert_eq!(meeting.uploads, 1);
        assert!(
            meeting.description.lines().last().is_some_and(|line| line.starts_with("minuted:b3-"))
        );
    }
}

#[test]
fn the_uploaded_bytes_are_those_of_the_file() {
    let house = House::new();
    let _daemon = house.start();
    let path = house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    let sent = house.standin.snapshot().meetings[0].recording.clone().expect("a recording");
    let bytes = fs::read(path).expect("there");
    assert_eq!(
        (sent.size, sent.blake3),
        (bytes.len() as u64, blake3::hash(&bytes).to_hex().to_string())
    );
    assert_eq!((sent.name.as_str(), sent.mime.as_str()), ("talk.wav", "audio/wav"));
}

#[test]
fn a_sigterm_ends_the_daemon_in_order() {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    assert_eq!(daemon.stop().code(), Some(0));
    until("the socket is gone", || {
        (!house.state_dir().join("control.sock").exists()).then_some(())
    });
}

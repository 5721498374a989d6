//! A recording that kills its reader is set aside, and nobody else is charged.

use std::{fs, time::Duration};

use crate::support::{
    house::{House, until, until_told},
    paxs::{Call, Fault},
};

/// A daemon that dies while it parses the next head.
fn live_and_die(house: &House) {
    let mut daemon = house.spawn(&[("MINUTED_DIE", "Parse:After")]);
    until_told(|| house.log(), || daemon.was_killed().then_some(()));
}

#[test]
fn a_recording_that_kills_its_reader_is_set_aside_after_three_crashes_and_harms_no_other() {
    let house = House::new();
    house.standin.fail_next(Call::Upload, Fault::Slow { bytes_per_second: 1 });
    house.drop_recording("innocent.mp3");
    {
        let _daemon = house.start();
        until("the innocent one is being sent", || {
            (house.standin.running(Call::Upload) == 1).then_some(())
        });
    }
    let path = house.drop_recording("talk.wav");
    for _ in 0..3 {
        live_and_die(&house);
    }
    let _daemon = house.spawn(&[("MINUTED_DIE", "Parse:After")]);
    let failed = house.wait_for("talk.wav", "failed");
    let error = failed["error"].as_str().expect("an error");
    assert!(error.contains("crashed 3 times while it looked into this file"), "{error}");
    assert_eq!(failed["attempts"], 0);
    until("it is told beside the recording", || {
        house.path("talk.failed.txt").exists().then_some(())
    });
    let innocent = house.wait_for("innocent.mp3", "done");
    assert_eq!(innocent["attempts"], 0, "a crash charges only what was being parsed");
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
    assert!(house.run(&["retry", path.to_str().expect("UTF-8")]).status.success());
    house.wait_for("talk.wav", "done");
    assert!(!house.path("talk.failed.txt").exists());
    assert_eq!(
        fs::read_dir(house.state_dir().join("parsing")).expect("read").count(),
        0,
        "no mark is left"
    );
}

#[test]
fn a_file_that_changed_since_it_killed_its_reader_is_looked_into_again() {
    let house = House::new();
    house.drop_recording("talk.wav");
    for _ in 0..2 {
        live_and_die(&house);
    }
    let file = fs::File::options().write(true).open(house.path("talk.wav")).expect("opened");
    file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000)).expect("touched");
    drop(file);
    live_and_die(&house);
    let _daemon = house.start();
    house.wait_for("talk.wav", "done");
}

//! What is told of a service that comes and goes, and clocks that are wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp, fmt::rfc2822};
use minuted::testing::clock;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    budget::budget,
    house::{Daemon, House, until},
    paxs::{Call, Fault, Options},
};

#[test]
fn a_service_that_comes_and_goes_is_told_once_each_time_and_mailed_in_one_digest() {
    let house = House::new();
    house.configure_fast("", "", 2);
    let mut daemon = house.start();
    let outages = usize::try_from(budget(8)).expect("small");
    for outage in 1..=outages {
        house.standin.fail_always(Call::CreateSession, Fault::Status(503));
        let name = format!("r{outage}.mp3");
        house.drop_recording(&name);
        until("it is down", || (house.notices("does not work") == outage).then_some(()));
        house.standin.clear_faults();
        assert_eq!(house.wait_for(&name, "done")["attempts"], 0);
        assert_eq!(
            (house.logged("WARN", "does not work"), house.logged("INFO", "works again")),
            (outage, outage)
        );
    }
    let mails =
        || house.smtp.received().iter().filter(|mail| mail.to == ["it@example.com"]).count();
    let early = mails();
    // The daemon looks for what is to be mailed as soon as it starts.
    for _ in 0..3 {
        daemon.stop();
        daemon = house.start();
        until("the digest was thought of", || (early == 1 || mails() == 1).then_some(()));
    }
    drop(daemon);
    assert_eq!((mails(), house.notices("does not work")), (1, outages));
    if early == 0 {
        let raw = String::from_utf8_lossy(&house.smtp.received()[0].raw).into_owned();
        assert_eq!(raw.matches("does not work").count(), outages, "{raw}");
    }
}

#[test]
fn a_service_whose_last_failed_recording_is_cancelled_is_up_again_by_itself() {
    for call in [Call::CreateSession, Call::Upload, Call::Analysis] {
        let house = House::new();
        let _daemon = house.start();
        house.standin.fail_always(call, Fault::Status(503));
        house.drop_recording("talk.mp3");
        house.wait_for_service("down");
        let path = house.path("talk.mp3");
        until("it is cancelled", || {
            house.run(&["cancel", path.to_str().expect("UTF-8")]).status.success().then_some(())
        });
        house.wait_for_service("up");
        assert_eq!(
            (house.logged("WARN", "does not work"), house.logged("INFO", "works again")),
            (1, 1),
            "{call:?}"
        );
        assert_eq!(house.state("talk.mp3").as_deref(), Some("cancelled"));
    }
}

#[test]
fn a_reload_in_the_middle_of_an_outage_changes_nothing_of_what_is_told() {
    let house = House::new();
    let daemon = house.start();
    house.standin.fail_always(Call::CreateSession, Fault::Status(503));
    house.drop_recording("talk.mp3");
    house.wait_for_service("down");
    for reload in 1..=2 {
        daemon.signal(Signal::HUP);
        until("it is read again", || {
            (house.logged("INFO", "read again and in force") == reload).then_some(())
        });
        assert_eq!(house.service()["state"], "down");
    }
    house.standin.clear_faults();
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
    assert_eq!(
        (house.logged("WARN", "does not work"), house.logged("INFO", "works again")),
        (1, 1)
    );
}

/// A service whose clock is so many hours ahead.
fn house_with_clock(hours: i64) -> House {
    House::with(Options {
        auto_approve: true,
        transcription_time: Duration::from_millis(60),
        note_time: Duration::from_millis(30),
        clock_ahead: hours * 3600,
        ..Options::default()
    })
}

#[test]
fn a_service_whose_clock_is_wrong_is_left_alone_for_as_long_as_it_means() {
    for hours in [-5, 5] {
        let house = house_with_clock(hours);
        let theirs = clock::now() + SignedDuration::from_hours(hours) + Duration::from_secs(1800);
        let date =
            rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&theirs).expect("a date");
        let busy = Fault::StatusWith { status: 429, retry_after: Some(date), body: String::new() };
        house.standin.fail_next(Call::CreateSession, busy);
        let _daemon = house.start();
        house.drop_recording("talk.mp3");
        let job = until("it was asked to wait", || {
            house.state("talk.mp3")?;
            Some(house.job("talk.mp3"))
                .filter(|job| job["due"].is_string() && house.notices("does not work") == 1)
        });
        let time = |field: &str| {
            job[field].as_str().expect("a time").parse::<Timestamp>().expect("a time")
        };
        let wait = time("due").duration_since(time("created")).as_secs();
        assert!((1700..2400).contains(&wait), "{hours} h: {wait} s");
    }
}

#[test]
fn a_lost_meeting_is_found_in_the_list_of_a_service_whose_clock_is_wrong() {
    std::thread::scope(|scope| {
        for hours in [-60, -5, 5, 60] {
            scope.spawn(move || {
                let house = house_with_clock(hours);
                house.standin.fail_next(Call::CreateSession, Fault::LoseAnswer);
                let _daemon = house.start();
                house.drop_recording("talk.mp3");
                until("the meeting is made", || {
                    (house.standin.snapshot().meetings.len() == 1).then_some(())
                });
                // So many that ours is not on the first two pages any more, each a minute older than the next.
                for number in 0..50 {
                    let made = clock::now() + Duration::from_secs(60 * number);
                    house.standin.plant_meeting("Other", "of a person", made);
                }
                assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
                assert_eq!(house.standin.snapshot().count(Call::CreateSession), 1, "{hours} h");
            });
        }
    });
}

/// The library that shows a process another time, where it is installed (`apt install libfaketime`).
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
fn faketime() -> Option<PathBuf> {
    let dirs = fs::read_dir("/usr/lib").ok()?.flatten().map(|entry| entry.path());
    let dirs = dirs.chain([PathBuf::from("/usr/lib"), PathBuf::from("/usr/local/lib")]);
    let found =
        dirs.map(|dir| dir.join("faketime/libfaketime.so.1")).find(|library| library.exists());
    if found.is_none() {
        eprintln!("skipped: a clock that jumps needs libfaketime");
    }
    found
}

/// Shows the daemon a time so many seconds off from now on.
fn set_clock(house: &House, seconds: i64) {
    let next = house.dir.path().join("clock.next");
    fs::write(&next, format!("{seconds:+}\n")).expect("written");
    fs::rename(next, house.dir.path().join("clock")).expect("renamed");
}

fn start_with_clock(house: &House, library: &Path) -> Daemon {
    set_clock(house, 0);
    let clock = house.dir.path().join("clock");
    house.listening(house.spawn(&[
        ("LD_PRELOAD", library.to_str().expect("UTF-8")),
        ("FAKETIME_TIMESTAMP_FILE", clock.to_str().expect("UTF-8")),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ]))
}

#[test]
fn a_clock_that_jumps_by_hours_makes_nothing_wait_count_or_happen_twice() {
    let Some(library) = faketime() else { return };
    let library = &library;
    std::thread::scope(|scope| {
        for jump in [3600, -3600, -100 * 86_400] {
            scope.spawn(move || jumps(library, jump));
        }
    });
}

fn jumps(library: &Path, jump: i64) {
    let house = House::new();
    house.edit_config(|text| {
        text.replace(r#"delay = "50ms""#, r#"delay = "2s""#).replace(r#""200ms""#, r#""2s""#)
    });
    // A clock that is an hour ahead makes a service look slow, which is none of this test's business.
    house.configure_poll(r#"timeout = "10h""#);
    let _daemon = start_with_clock(&house, library);
    // One in its analysis, one whose own failure is tried again later, one whose meeting may or may not be there, one
    // that waits for the service.
    house.standin.stall_analysis(true);
    house.drop_recording("analysis.mp3");
    house.wait_until_waits("analysis.mp3", "analysis");
    house.standin.fail_matching(Call::Upload, "retry", Fault::Status(422), Some(1));
    house.drop_recording("retry.mp3");
    house.wait_until_waits("retry.mp3", "retry");
    house.standin.fail_matching(Call::CreateSession, "lost", Fault::LoseAnswer, Some(1));
    house.drop_recording("lost.mp3");
    house.wait_for_service("down");
    house.standin.fail_matching(Call::CreateSession, "down", Fault::Status(503), None);
    house.drop_recording("down.mp3");
    house.wait_until_waits("down.mp3", "service");
    set_clock(&house, jump);
    house.drop_recording("after.mp3");
    house.standin.clear_faults();
    house.standin.stall_analysis(false);
    for name in ["analysis.mp3", "retry.mp3", "lost.mp3", "down.mp3", "after.mp3"] {
        let attempts = Value::from(u32::from(name == "retry.mp3"));
        assert_eq!(house.wait_for(name, "done")["attempts"], attempts, "{name} {jump}");
    }
    let snapshot = house.standin.snapshot();
    assert_eq!((snapshot.meetings.len(), snapshot.families_revoked), (5, 0), "{jump}");
    assert!(snapshot.refreshes <= 2, "{} refreshes after {jump}", snapshot.refreshes);
    // And back: the time that was shown meanwhile is in the queue and in the tokens.
    set_clock(&house, 0);
    house.drop_recording("back.mp3");
    assert_eq!(house.wait_for("back.mp3", "done")["attempts"], 0, "{jump}");
    assert!(
        house.standin.snapshot().refreshes <= 3,
        "{} refreshes",
        house.standin.snapshot().refreshes
    );
}

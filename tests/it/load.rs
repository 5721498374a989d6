//! Many recordings at once: memory stays flat, waiting costs nothing, and what is slow stops nothing else.
//!
//! `MINUTED_TEST_BUDGET=100` makes it 20,000 recordings and 10,000 meetings that wait; the figures go to standard error.

use std::{
    fs,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    budget::budget,
    house::{Daemon, House, until},
    paxs::{Call, Options},
};

/// For tests of many recordings.
const QUICK: &str = "[workers]\nuploads = 8\nrequests_per_second = 1000";

/// What memory may grow by while so much is done. Anything kept for each recording but a few dozen bytes exceeds it, and
/// the allocator's own pools do not. KiB.
const GROWTH_MAX: u64 = 24 * 1024;

fn house() -> House {
    House::with(Options {
        auto_approve: true,
        transcription_time: Duration::from_millis(20),
        note_time: Duration::from_millis(10),
        ..Options::default()
    })
}

fn drop_many(house: &House, names: impl Iterator<Item = u32>) {
    for number in names {
        house.drop_recording(&format!("{}/{number}.mp3", number / 1000));
    }
}

/// The folder's jobs by state.
fn counts(status: &Value) -> [u64; 3] {
    let jobs = &status["folders"][0]["jobs"];
    ["ready", "waiting", "done"].map(|state| jobs[state].as_u64().unwrap_or_default())
}

/// A line of `/proc/PID/status`, as a number.
fn proc_status(daemon: &Daemon, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = text.lines().find(|line| line.starts_with(key)).expect("a line");
    line.split_whitespace().nth(1).expect("a value").parse().expect("a number")
}

/// User and system time so far, in ticks.
fn ticks(daemon: &Daemon) -> u64 {
    let text = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("it runs");
    let after = text.rsplit(") ").next().expect("fields");
    after.split(' ').skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number")).sum()
}

#[expect(clippy::print_stderr, reason = "figures, for whoever runs the long walk")]
fn say(what: &str, figure: &str) {
    eprintln!("load: {what}: {figure}");
}

/// How long `status` takes, the best of three.
fn status_takes(house: &House) -> Duration {
    let took = (0..3).map(|_| {
        let begun = Instant::now();
        house.status();
        begun.elapsed()
    });
    took.min().expect("three")
}

#[test]
fn under_a_flood_of_recordings_memory_stays_flat_and_each_is_done_once() {
    let many = budget(200);
    let house = house();
    house.configure_all("", "", QUICK);
    let daemon = house.start();
    let done = |wanted: u32| {
        until("they are done", || (counts(&house.status())[2] >= u64::from(wanted)).then_some(()));
    };
    drop_many(&house, 0..many / 4);
    done(many / 4);
    let (early, early_status) = (proc_status(&daemon, "VmHWM"), status_takes(&house));
    drop_many(&house, many / 4..many);
    done(many);
    let (late, late_status) = (proc_status(&daemon, "VmHWM"), status_takes(&house));
    say("recordings", &many.to_string());
    say("peak memory after a quarter and after all", &format!("{early} and {late} KiB"));
    say("status after a quarter and after all", &format!("{early_status:?} and {late_status:?}"));
    assert!(late <= early + GROWTH_MAX, "memory grew from {early} to {late} KiB");
    let snapshot = house.standin.snapshot();
    assert_eq!(snapshot.meetings.len(), many as usize);
    assert!(snapshot.meetings.iter().all(|meeting| meeting.uploads == 1));
    assert_eq!(house.files().len(), 2 * many as usize);
    assert!(snapshot.uploads_at_once_max <= 8);
}

#[test]
fn meetings_that_wait_in_analysis_cost_their_share_of_requests_and_nothing_else() {
    let many = budget(100);
    let house = house();
    house.configure_all("", "", QUICK);
    house.standin.stall_analysis(true);
    let daemon = house.start();
    drop_many(&house, 0..many);
    until("they wait", || (counts(&house.status())[1] == u64::from(many)).then_some(()));
    house.configure_all("", "", "[workers]\nrequests_per_second = 20");
    daemon.signal(rustix::process::Signal::HUP);
    until("it is read again", || house.log().contains("read again").then_some(()));
    let looks = || house.standin.calls().len();
    let queue = || {
        fs::metadata(house.state_dir().join("queue.sqlite-wal"))
            .map(|wal| (wal.len(), wal.modified().ok()))
            .ok()
    };
    let (begun, from, wal, cpu) = (Instant::now(), looks(), queue(), ticks(&daemon));
    until("sixty looks are made", || (looks() >= from + 60).then_some(()));
    let (made, took) = (looks() - from, begun.elapsed());
    say("meetings that wait", &many.to_string());
    say("looks", &format!("{made} in {took:?}; {} ticks of the processor", ticks(&daemon) - cpu));
    say("status while they wait", &format!("{:?}", status_takes(&house)));
    say("memory while they wait", &format!("{} KiB", proc_status(&daemon, "VmRSS")));
    assert!(made as u128 * 1000 <= 20 * (took.as_millis() + 2000), "{made} looks in {took:?}");
    assert_eq!(queue(), wal, "a look that finds nothing new writes nothing");
    assert!(house.jobs().iter().all(|job| job["attempts"] == 0 && job["waits_for"] == "analysis"));
    house.configure_all("", "", QUICK);
    daemon.signal(rustix::process::Signal::HUP);
    house.standin.stall_analysis(false);
    until("they are done", || (counts(&house.status())[2] == u64::from(many)).then_some(()));
    let snapshot = house.standin.snapshot();
    assert!(snapshot.meetings.iter().all(|meeting| meeting.uploads == 1), "nothing is sent again");
    assert_eq!(snapshot.count(Call::CreateSession), u64::from(many));
}

#[test]
fn a_mail_server_that_stands_still_stops_neither_uploads_nor_notes() {
    let many = budget(30);
    let house = house();
    house.configure_all("", "deliver = [\"beside\", \"email\"]", QUICK);
    // A conversation is given up after a while: as many stand still as mails may be tried meanwhile.
    for _ in 0..4 * budget(1) {
        house.smtp.silent_next_at(crate::support::smtp::Step::Greeting);
    }
    let _daemon = house.start();
    drop_many(&house, 0..many);
    until("every note lies there", || (house.files().len() == 2 * many as usize).then_some(()));
    assert_eq!(house.smtp.received().len(), 0, "the mail server still stands still");
}

#[test]
fn a_slow_disk_for_notes_does_not_stop_uploads() {
    let many = budget(30);
    let house = house();
    house.configure_all("", "", QUICK);
    let _daemon = house.spawn(&[("MINUTED_DIE", "PlaceFile:Before:0:hang")]);
    drop_many(&house, 0..many);
    until("all are sent and analysed", || {
        let jobs = house.jobs();
        (jobs.len() == many as usize && jobs.iter().all(|job| job["stage"] == "deliver"))
            .then_some(())
    });
    assert!(house.files().iter().all(|name| !name.ends_with(".notes.md")));
}

//! Many recordings at once: memory stays flat, waiting costs nothing, and what is slow stops nothing else.
//!
//! `MINUTED_TEST_BUDGET=100` makes it 20,000 recordings and 10,000 meetings that wait; the figures go to standard error.

use std::{
    fs,
    io::Read as _,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::support::{
    budget::budget,
    house::{Daemon, House, until},
    page::{Page, free_port, http_table},
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

/// Browsers that follow what happens.
const BROWSERS: usize = 50;

/// Follows as the page's script does: a change is a reason to load the page again, every second and a half at most.
/// Returns how often it was loaded.
fn follow(page: &Page<'_>, is_over: &AtomicBool) -> u32 {
    let mut stream =
        page.connect("GET", "/live", &[("cookie", &page.cookie)], 0).expect("connected");
    stream.set_read_timeout(Some(Duration::from_millis(500))).expect("set");
    let (mut loads, mut bytes) = (0, [0; 4096]);
    while !is_over.load(Ordering::Relaxed) {
        let Ok(count) = stream.read(&mut bytes) else { continue };
        assert!(count > 0, "the stream ended");
        if String::from_utf8_lossy(&bytes[..count]).contains("event: change") {
            assert_eq!(page.get("/").code, 200);
            loads += 1;
            std::thread::park_timeout(Duration::from_millis(1500));
        }
    }
    loads
}

#[test]
fn fifty_browsers_that_look_leave_memory_flat_and_every_recording_is_done() {
    let (many, port) = (budget(100), free_port());
    let house = house();
    house.configure_all("", "", &format!("{QUICK}\n{}", http_table(port)));
    let daemon = house.start();
    let page = Page::enter(&house, port);
    let work = |names: std::ops::Range<u32>| {
        let (begun, all) = (Instant::now(), u64::from(names.end));
        drop_many(&house, names);
        until("they are done", || (counts(&house.status())[2] >= all).then_some(()));
        begun.elapsed()
    };
    // Twice as many first, so that memory is as large as it gets without anybody.
    work(0..many);
    let alone = work(many..2 * many);
    let before = proc_status(&daemon, "VmHWM");
    let is_over = AtomicBool::new(false);
    let (beside, loads) = std::thread::scope(|scope| {
        let browsers: Vec<_> =
            (0..BROWSERS).map(|_| scope.spawn(|| follow(&page, &is_over))).collect();
        let took = work(2 * many..3 * many);
        is_over.store(true, Ordering::Relaxed);
        let loads = browsers.into_iter().map(|browser| browser.join().expect("it ended well"));
        (took, loads.sum::<u32>())
    });
    let after = proc_status(&daemon, "VmHWM");
    say("recordings with and without browsers", &format!("{many} in {beside:?} and {alone:?}"));
    say("loads of the page by browsers", &loads.to_string());
    say("peak memory before and after the browsers", &format!("{before} and {after} KiB"));
    assert!(after <= before + GROWTH_MAX, "memory grew from {before} to {after} KiB");
    assert!(house.standin.snapshot().meetings.iter().all(|meeting| meeting.uploads == 1));
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

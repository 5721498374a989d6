//! Recorders that still have their file open: nothing is sent, moved or deleted from under them.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    house::{House, recording, until, until_told},
    paxs::Call,
};

/// Waits until `why` says of a file what holds these words.
fn until_why(house: &House, name: &str, words: &str) -> String {
    let what = || format!("why of {name} says `{words}`: {}\n{}", house.why(name), house.log());
    until_told(what, || Some(house.why(name)).filter(|why| why.contains(words)))
}

/// The words for this very process, which has a file open.
fn this_process() -> String {
    format!("(process {}) has it open", std::process::id())
}

fn append(path: &Path) -> File {
    File::options().append(true).open(path).expect("opened")
}

fn meetings(house: &House) -> usize {
    house.standin.snapshot().meetings.len()
}

/// The hash of the only recording that was sent.
fn sent(house: &House) -> String {
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.len(), 1, "one meeting for one recording");
    meetings[0].recording.as_ref().expect("a recording").blake3.clone()
}

/// Whether permissions can be taken away from a daemon here; says so when not.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
fn may_blind() -> bool {
    let may = rustix::process::geteuid().is_root();
    if !may {
        eprintln!("skipped: to hide a process from a daemon needs two users");
    }
    may
}

#[test]
fn a_recorder_that_pauses_is_named_and_its_recording_is_sent_once_and_whole() {
    let house = House::new();
    let _daemon = house.start();
    let bytes = recording("talk.mp3");
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let mut recorder = File::create(house.path("talk.mp3")).expect("made");
    recorder.write_all(first).expect("written");
    house.scan();
    let why = until_why(&house, "talk.mp3", &this_process());
    assert!(why.contains("it is queued once the writer has closed it"), "{why}");
    assert_eq!((house.jobs().len(), meetings(&house)), (0, 0));
    recorder.write_all(second).expect("written");
    drop(recorder);
    house.wait_for("talk.mp3", "done");
    assert_eq!(sent(&house), blake3::hash(&bytes).to_hex().to_string());
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.md"]);
}

#[test]
fn where_proc_shows_nothing_events_tell_and_a_restart_forgets_nothing() {
    if !may_blind() {
        return;
    }
    let house = House::new();
    house.without_privileges();
    let daemon = house.start();
    let bytes = recording("talk.mp3");
    let (first, second) = bytes.split_at(bytes.len() / 2);
    house.drop_recording("witness.mp3");
    house.wait_for("witness.mp3", "done");
    let mut recorder = File::create(house.path("talk.mp3")).expect("made");
    recorder.write_all(first).expect("written");
    house.scan();
    let why = until_why(&house, "talk.mp3", "it changed since its writer last closed it");
    assert!(why.contains("touch '"), "{why}");
    until("it is written down", || {
        let sql = "SELECT count(*) FROM sighting WHERE written_boot IS NOT NULL";
        (house.rows(sql, |row| row.get::<_, i64>(0))? == [1]).then_some(())
    });
    daemon.kill();
    let _daemon = house.start();
    until_why(&house, "talk.mp3", "when minuted last saw its writer");
    // That is known from before; a close that nobody watches for would be missed.
    until("its folder is watched again", || {
        (house.logged("INFO", "watching `") == 2).then_some(())
    });
    assert_eq!(meetings(&house), 1, "the witness alone");
    recorder.write_all(second).expect("written");
    drop(recorder);
    house.wait_for("talk.mp3", "done");
    let meetings = house.standin.snapshot().meetings;
    let sent = meetings[1].recording.as_ref().expect("a recording");
    assert_eq!((meetings.len(), &*sent.blake3), (2, &*blake3::hash(&bytes).to_hex().to_string()));
}

/// How many events the kernel keeps for one watcher before it drops all that follow.
fn events_max() -> u32 {
    let text = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").expect("Linux");
    text.trim().parse().expect("a number")
}

#[test]
fn a_close_that_the_kernel_dropped_among_too_many_events_is_waited_for_and_can_be_made_up_for() {
    if !may_blind() {
        return;
    }
    let house = House::new();
    house.without_privileges();
    let daemon = house.start();
    let bytes = recording("talk.mp3");
    let (first, second) = bytes.split_at(bytes.len() / 2);
    house.drop_recording("witness.mp3");
    house.wait_for("witness.mp3", "done");
    let mut recorder = File::create(house.path("talk.mp3")).expect("made");
    recorder.write_all(first).expect("written");
    house.scan();
    until_why(&house, "talk.mp3", "it changed since its writer last closed it");
    daemon.signal(Signal::STOP);
    // Two events each at least, none of them to be merged with the one before.
    let noise = ["a.txt", "b.txt"].map(|name| house.path(name));
    for turn in 0..events_max() {
        drop(File::create(&noise[turn as usize % 2]).expect("made"));
    }
    recorder.write_all(second).expect("written");
    drop(recorder);
    daemon.signal(Signal::CONT);
    // It may not be taken at once, since nothing says that the writer has gone; after an hour it would be. The next
    // recording is not held up by that.
    house.drop_recording("call.mp3");
    house.wait_for("call.mp3", "done");
    assert_eq!((house.state("talk.mp3"), meetings(&house)), (None, 2));
    let why = until_why(&house, "talk.mp3", "touch '");
    let command = &why[why.find("touch '").expect("a command")..];
    assert!(Command::new("sh").args(["-c", command]).status().expect("run").success(), "{command}");
    house.wait_for("talk.mp3", "done");
    let meetings = house.standin.snapshot().meetings;
    let sent = meetings[2].recording.as_ref().expect("a recording");
    assert_eq!((meetings.len(), &*sent.blake3), (3, &*blake3::hash(&bytes).to_hex().to_string()));
}

#[test]
fn a_recording_that_is_opened_again_is_not_sent_until_it_is_closed() {
    let house = House::new();
    let _daemon = house.start();
    assert!(house.run(&["pause", "sales"]).status.success());
    let path = house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "waiting");
    let recorder = append(&path);
    assert!(house.run(&["resume", "sales"]).status.success());
    let why = until_why(&house, "talk.mp3", &this_process());
    assert!(why.contains("waits for its file"), "{why}");
    let job = house.job("talk.mp3");
    assert_eq!((&job["waits_for"], &job["attempts"]), (&Value::from("file"), &Value::from(0)));
    assert_eq!(meetings(&house), 0);
    drop(recorder);
    let job = house.wait_for("talk.mp3", "done");
    assert_eq!((job["attempts"].as_u64(), meetings(&house)), (Some(0), 1));
}

/// Lets the notes of a recording come while somebody has it open, and says that it stays until it is closed.
fn stays_while_it_is_open(on_success: &str, notes: &str) -> House {
    let house = House::new();
    house.configure(on_success);
    house.standin.stall_analysis(true);
    let daemon = house.start();
    let path = house.drop_recording("talk.mp3");
    until("it is uploaded", || (house.standin.snapshot().count(Call::Upload) == 1).then_some(()));
    let recorder = append(&path);
    house.standin.stall_analysis(false);
    let why = until_why(&house, "talk.mp3", &this_process());
    assert!(why.contains("stays where it is for now"), "{why}");
    assert!(path.exists() && house.path(notes).exists());
    assert_eq!(house.job("talk.mp3")["attempts"], 0);
    drop(recorder);
    until("it goes", || (house.count("done") == 1 && !path.exists()).then_some(()));
    assert_eq!(daemon.stop().code(), Some(0));
    house
}

#[test]
fn a_recording_that_is_open_is_neither_deleted_nor_moved() {
    let house = stays_while_it_is_open("on_success = \"delete\"", "talk.notes.md");
    assert_eq!(house.files(), ["talk.notes.md"]);
    let house =
        stays_while_it_is_open("on_success = \"move\"\nmove_to = \"done\"", "done/talk.notes.md");
    assert_eq!(house.files(), ["done/talk.mp3", "done/talk.notes.md"]);
}

#[test]
fn a_recording_that_a_recorder_goes_on_with_stays_and_is_sent_anew_when_it_is_closed() {
    let house = House::new();
    house.configure("on_success = \"delete\"");
    house.standin.stall_analysis(true);
    let _daemon = house.start();
    let path = house.drop_recording("talk.mp3");
    until("it is uploaded", || (house.standin.snapshot().count(Call::Upload) == 1).then_some(()));
    let mut recorder = append(&path);
    house.standin.stall_analysis(false);
    until_why(&house, "talk.mp3", "stays where it is for now");
    recorder.write_all(&recording("more.mp3")).expect("written");
    recorder.flush().expect("written");
    assert!(path.exists());
    let whole = fs::read(&path).expect("it is there");
    drop(recorder);
    until("both are done", || (house.count("done") == 2).then_some(()));
    let meetings = house.standin.snapshot().meetings;
    let hashes: Vec<_> = meetings
        .iter()
        .filter_map(|meeting| Some(meeting.recording.as_ref()?.blake3.clone()))
        .collect();
    assert_eq!(hashes[1..], [blake3::hash(&whole).to_hex().to_string()]);
}

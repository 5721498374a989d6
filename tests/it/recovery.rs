//! Lost answers, lost processes, lost and restored databases: everything goes on, and nothing is done twice.

use std::{fs, path::Path, process::Output, thread, time::Duration};

use serde_json::Value;

use crate::support::{
    house::{House, recording, until},
    paxs::{Analysis, Call, Fault, Meeting, Options, Quirk},
};

fn quick(quirks: &[Quirk]) -> Options {
    Options {
        auto_approve: true,
        transcription_time: Duration::from_millis(60),
        note_time: Duration::from_millis(30),
        quirks: quirks.to_vec(),
        ..Options::default()
    }
}

/// Runs each case in a house of its own, all at once: they wait more than they work.
fn at_once<T: Send>(cases: impl IntoIterator<Item = T>, check: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for case in cases {
            let check = &check;
            scope.spawn(move || check(case));
        }
    });
}

/// A service that keeps its word for half a second is believed to be silent.
fn impatient(house: &House) {
    let text = fs::read_to_string(house.config()).expect("read");
    fs::write(
        house.config(),
        text.replace("request_timeout = \"5s\"", "request_timeout = \"500ms\""),
    )
    .expect("written");
}

/// The one meeting, made for this job, its recording sent `uploads` times.
fn the_meeting(house: &House, job: &Value, uploads: u32) -> Meeting {
    let marker = format!("minuted:{}", job["key"].as_str().expect("a key"));
    let meetings = house.standin.snapshot().meetings;
    let ours: Vec<_> =
        meetings.into_iter().filter(|meeting| meeting.description.contains("minuted:")).collect();
    assert_eq!(ours.len(), 1, "{ours:?}");
    assert_eq!(ours[0].description.lines().last(), Some(marker.as_str()));
    assert_eq!(ours[0].uploads, uploads);
    let sent = ours[0].recording.as_ref().expect("a recording");
    assert_eq!(job["hash"], format!("b3-{}", &sent.blake3[..32]));
    ours[0].clone()
}

/// How often a call came so far.
fn count(house: &House, call: Call) -> u64 {
    house.standin.snapshot().count(call)
}

fn plant(house: &House, count: usize) {
    for number in 0..count {
        house.standin.plant_meeting(
            &format!("Old {number}"),
            "of a person",
            "2026-01-02T03:04:05Z".parse().expect("a time"),
        );
    }
}

#[test]
fn a_lost_answer_to_create_leaves_one_meeting() {
    let faults = [
        Fault::LoseAnswer,
        Fault::HoldAnswer,
        Fault::LateStatus(502),
        Fault::Empty,
        Fault::Truncated,
        Fault::Nested(200),
        Fault::Endless,
    ];
    at_once(faults, |fault| {
        let house = House::with(quick(&[]));
        impatient(&house);
        house.standin.fail_next(Call::CreateSession, fault.clone());
        let _daemon = house.start();
        house.drop_recording("talk.wav");
        let job = house.wait_for("talk.wav", "done");
        the_meeting(&house, &job, 1);
        assert_eq!(
            (count(&house, Call::CreateSession), &job["attempts"]),
            (1, &Value::from(0)),
            "{fault:?}"
        );
    });
}

#[test]
fn a_meeting_is_found_by_its_marker_whatever_the_list_is_like() {
    let kinds: [&[Quirk]; 7] = [
        &[],
        &[Quirk::NoDescriptions],
        &[Quirk::NoTimestamps],
        &[Quirk::OldestFirst],
        &[Quirk::NoDescriptions, Quirk::NoTimestamps],
        &[Quirk::NoDescriptions, Quirk::NoTimestamps, Quirk::OldestFirst],
        &[Quirk::IgnoresPage],
    ];
    at_once(kinds, |quirks| {
        let house = House::with(quick(quirks));
        plant(&house, 45);
        house.standin.fail_next(Call::CreateSession, Fault::LoseAnswer);
        let _daemon = house.start();
        house.drop_recording("talk.wav");
        until("the meeting is made", || {
            (house.standin.snapshot().meetings.len() == 46).then_some(())
        });
        // Others make meetings, too: ours is not on the first page any more, where there are pages.
        plant(&house, if quirks.contains(&Quirk::IgnoresPage) { 5 } else { 50 });
        let job = house.wait_for("talk.wav", "done");
        the_meeting(&house, &job, 1);
        assert_eq!(count(&house, Call::CreateSession), 1, "{quirks:?}");
    });
}

#[test]
fn an_incomplete_walk_waits_and_never_creates() {
    at_once([Fault::Status(500), Fault::Html, Fault::Truncated, Fault::LoseAnswer], |fault| {
        let house = House::with(quick(&[]));
        plant(&house, 45);
        let _daemon = house.start();
        until("the list was read", || {
            let holds = house.status();
            (count(&house, Call::ListSessions) >= 4 && !holds.to_string().contains("reading"))
                .then_some(())
        });
        house.standin.fail_next(Call::CreateSession, Fault::LoseAnswer);
        house.drop_recording("talk.wav");
        until("the meeting is made", || {
            (house.standin.snapshot().meetings.len() == 46).then_some(())
        });
        let before = count(&house, Call::ListSessions);
        house.standin.fail_always(Call::ListSessions, fault.clone());
        until("the walk was tried", || {
            (count(&house, Call::ListSessions) >= before + 3).then_some(())
        });
        assert_eq!(count(&house, Call::CreateSession), 1, "{fault:?}");
        house.standin.clear_faults();
        let job = house.wait_for("talk.wav", "done");
        the_meeting(&house, &job, 1);
        assert_eq!(
            (count(&house, Call::CreateSession), &job["attempts"]),
            (1, &Value::from(0)),
            "{fault:?}"
        );
    });
}

#[test]
fn a_recording_whose_answer_was_lost_is_adopted() {
    let faults = [Fault::LoseAnswer, Fault::LateStatus(502), Fault::Empty, Fault::Truncated];
    at_once(faults, |fault| {
        let house = House::with(quick(&[]));
        house.standin.fail_next(Call::Upload, fault.clone());
        let _daemon = house.start();
        house.drop_recording("talk.wav");
        let job = house.wait_for("talk.wav", "done");
        the_meeting(&house, &job, 1);
        assert_eq!(job["attempts"], 0, "{fault:?}");
    });
}

#[test]
fn a_recording_whose_answer_died_with_the_process_is_adopted() {
    let house = House::with(quick(&[]));
    house.standin.fail_next(Call::Upload, Fault::HoldAnswer);
    let daemon = house.start();
    house.drop_recording("talk.wav");
    let uploads = || house.standin.snapshot().meetings.first().map(|meeting| meeting.uploads);
    until("it is sent", || (uploads() == Some(1)).then_some(()));
    daemon.kill();
    let _daemon = house.start();
    let job = house.wait_for("talk.wav", "done");
    the_meeting(&house, &job, 1);
    assert_eq!((count(&house, Call::Upload), &job["attempts"]), (1, &Value::from(0)));
}

#[test]
fn a_recording_that_the_service_does_not_tell_of_is_sent_again_to_the_same_meeting() {
    let house = House::with(quick(&[Quirk::BareAttachments]));
    house.standin.fail_next(Call::Upload, Fault::LoseAnswer);
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    the_meeting(&house, &job, 2);
    assert_eq!(job["attempts"], 0);
}

#[test]
fn a_request_whose_answer_was_lost_is_made_again_only_if_it_did_not_arrive() {
    let arrived =
        [Fault::LoseAnswer, Fault::LateStatus(502), Fault::Truncated].map(|fault| (fault, 1));
    let lost = [(Fault::ResetBefore, 2), (Fault::Status(503), 2)];
    at_once(arrived.into_iter().chain(lost), |(fault, calls)| {
        let house = House::with(quick(&[]));
        house.configure_all(
            "analyses = [\"transcription\", \"meeting note\", \"key_points\"]",
            "",
            "",
        );
        house.standin.fail_next(Call::RequestAnalysis, fault.clone());
        let _daemon = house.start();
        house.drop_recording("talk.wav");
        let job = house.wait_for("talk.wav", "done");
        the_meeting(&house, &job, 1);
        let requested = house.standin.snapshot().requested;
        assert_eq!(requested.len(), 1, "{fault:?}");
        assert_eq!(requested[0].analyses, [Analysis::KeyPoints]);
        assert_eq!(
            (count(&house, Call::RequestAnalysis), &job["attempts"]),
            (calls, &Value::from(0)),
            "{fault:?}"
        );
    });
}

/// Drops a recording of 16 MiB that is sent within seconds, and waits until it is on its way.
fn drop_slow(house: &House) {
    house.standin.fail_next(Call::Upload, Fault::Slow { bytes_per_second: 1 << 20 });
    let mut bytes = recording("talk.mp3");
    bytes.resize(16 << 20, 0);
    fs::write(house.path("talk.mp3"), bytes).expect("written");
    until("it is being sent", || (house.standin.running(Call::Upload) == 1).then_some(()));
}

#[test]
fn a_kill_in_the_middle_of_an_upload_costs_neither_a_meeting_nor_an_attempt() {
    let house = House::with(quick(&[]));
    let daemon = house.start();
    drop_slow(&house);
    daemon.kill();
    let _daemon = house.start();
    let job = house.wait_for("talk.mp3", "done");
    the_meeting(&house, &job, 1);
    assert_eq!((count(&house, Call::CreateSession), &job["attempts"]), (1, &Value::from(0)));
}

#[test]
fn a_sigterm_in_the_middle_of_an_upload_ends_in_order_and_the_upload_begins_anew() {
    let house = House::with(quick(&[]));
    let daemon = house.start();
    drop_slow(&house);
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(house.standin.snapshot().meetings[0].uploads, 0, "it was not waited for");
    let _daemon = house.start();
    let job = house.wait_for("talk.mp3", "done");
    the_meeting(&house, &job, 1);
    assert_eq!((count(&house, Call::CreateSession), &job["attempts"]), (1, &Value::from(0)));
}

#[test]
fn a_kill_during_the_analysis_costs_nothing() {
    let house = House::with(quick(&[]));
    house.standin.stall_analysis(true);
    let daemon = house.start();
    house.drop_recording("talk.wav");
    until("it waits", || (house.state("talk.wav")? == "waiting").then_some(()));
    daemon.kill();
    let _daemon = house.start();
    house.standin.stall_analysis(false);
    let job = house.wait_for("talk.wav", "done");
    the_meeting(&house, &job, 1);
    assert_eq!((count(&house, Call::Upload), &job["attempts"]), (1, &Value::from(0)));
}

#[test]
fn a_state_directory_that_is_gone_is_made_up_for_by_the_notes() {
    let house = House::with(quick(&[]));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    daemon.stop();
    let notes = fs::read(house.path("talk.notes.md")).expect("written");
    fs::remove_dir_all(house.state_dir()).expect("removed");
    let _daemon = house.start();
    house.sign_in();
    let job = house.wait_for("talk.wav", "done");
    the_meeting(&house, &job, 1);
    assert_eq!((count(&house, Call::CreateSession), count(&house, Call::Upload)), (1, 1));
    assert_eq!(house.files(), ["talk.notes.md", "talk.wav"]);
    assert_eq!(fs::read(house.path("talk.notes.md")).expect("there"), notes);
}

/// Removes the queue's files; the sign-in stays.
fn remove_queue(house: &House) {
    for name in ["queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm"] {
        let path = house.state_dir().join(name);
        if path.exists() {
            fs::remove_file(path).expect("removed");
        }
    }
}

#[test]
fn a_meeting_outlives_the_queue_and_its_mails_wait_for_a_person() {
    let house = House::with(quick(&[]));
    house.configure("deliver = [\"beside\", \"email\"]");
    house.standin.stall_analysis(true);
    let daemon = house.start();
    house.drop_recording("talk.wav");
    until("it waits", || (house.state("talk.wav")? == "waiting").then_some(()));
    daemon.kill();
    remove_queue(&house);
    house.standin.stall_analysis(false);
    let _daemon = house.start();
    let job = house.wait_for("talk.wav", "done");
    the_meeting(&house, &job, 1);
    assert_eq!(house.files(), ["talk.notes.md", "talk.wav"]);
    assert_eq!(house.smtp.received(), []);
    let output = house.run(&["retry", house.path("talk.wav").to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("both got their mail", || (house.smtp.received().len() == 2).then_some(()));
    house.wait_for("talk.wav", "done");
}

#[test]
fn partial_notes_prove_the_meeting_and_not_that_the_job_is_done() {
    at_once([false, true], |edited| {
        let house = House::with(quick(&[]));
        house.standin.fail_notes(3);
        let daemon = house.start();
        house.drop_recording("talk.mp3");
        house.wait_for("talk.mp3", "failed");
        let notes = |name: &str| fs::read_to_string(house.path(name)).unwrap_or_default();
        until("what did complete lies there", || {
            (notes("talk.notes.md").contains("partial: true")
                && house.path("talk.failed.txt").exists())
            .then_some(())
        });
        daemon.stop();
        remove_queue(&house);
        let mine = notes("talk.notes.md") + "My own thoughts.\n";
        if edited {
            fs::write(house.path("talk.notes.md"), &mine).expect("written");
        }
        let _daemon = house.start();
        let job = house.wait_for("talk.mp3", "done");
        the_meeting(&house, &job, 1);
        let whole = if edited { "talk.notes.2.md" } else { "talk.notes.md" };
        assert!(
            !notes(whole).contains("partial: true") && !notes(whole).contains("Incomplete"),
            "{}",
            notes(whole)
        );
        if edited {
            assert_eq!(notes("talk.notes.md"), mine);
            assert_eq!(house.files(), ["talk.mp3", "talk.notes.2.md", "talk.notes.md"]);
        } else {
            assert_eq!(house.files(), ["talk.mp3", "talk.notes.md"]);
        }
    });
}

#[test]
fn the_word_of_a_failure_that_no_ledger_knows_goes_when_the_notes_come() {
    let house = House::with(quick(&[]));
    house.standin.fail_transcriptions(3);
    let mut daemon = house.spawn(&[("MINUTED_DIE", "PlaceFile:after")]);
    let path = house.drop_recording("talk.wav");
    until("the word lies there, and nobody knows", || daemon.was_killed().then_some(()));
    assert_eq!(house.files(), ["talk.failed.txt", "talk.wav"]);
    let output = house.run(&["retry", path.to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _daemon = house.start();
    house.wait_for("talk.wav", "done");
    assert_eq!(house.files(), ["talk.notes.md", "talk.wav"]);
}

#[test]
fn mails_that_a_person_releases_are_followed_by_the_move_of_the_recording() {
    let house = House::with(quick(&[]));
    house.configure("deliver = [\"beside\", \"email\"]\non_success = \"move\"\nmove_to = \"done\"");
    house.standin.stall_analysis(true);
    let daemon = house.start();
    let path = house.drop_recording("talk.wav");
    until("it waits", || (house.state("talk.wav")? == "waiting").then_some(()));
    daemon.kill();
    remove_queue(&house);
    house.standin.stall_analysis(false);
    let _daemon = house.start();
    let job = house.wait_for("talk.wav", "done");
    assert!(path.exists(), "it stays until every delivery is done");
    assert!(house.run(&["retry", &job["id"].to_string()]).status.success());
    until("it is moved", || house.path("done/talk.wav").exists().then_some(()));
    assert_eq!(
        (house.smtp.received().len(), house.files()),
        (2, vec!["done/talk.notes.md".into(), "done/talk.wav".into()])
    );
}

#[test]
fn a_queue_that_lost_its_last_transactions_makes_no_second_meeting() {
    let house = House::with(quick(&[]));
    house.standin.stall_analysis(true);
    let daemon = house.start();
    until("the list was read", || (!house.status().to_string().contains("reading")).then_some(()));
    let (names, old) = (["queue.sqlite", "queue.sqlite-wal"], house.dir.path().join("old"));
    fs::create_dir(&old).expect("made");
    daemon.signal(rustix::process::Signal::STOP);
    for name in names {
        fs::copy(house.state_dir().join(name), old.join(name)).expect("copied");
    }
    daemon.signal(rustix::process::Signal::CONT);
    house.drop_recording("talk.wav");
    until("it waits", || (house.state("talk.wav")? == "waiting").then_some(()));
    daemon.kill();
    remove_queue(&house);
    for name in names {
        fs::copy(old.join(name), house.state_dir().join(name)).expect("put back");
    }
    house.standin.stall_analysis(false);
    let _daemon = house.start();
    let job = house.wait_for("talk.wav", "done");
    the_meeting(&house, &job, 1);
    assert_eq!((count(&house, Call::CreateSession), count(&house, Call::Upload)), (1, 1));
}

#[test]
fn a_kill_between_the_second_request_and_its_answer_spends_no_attempt() {
    let house = House::with(quick(&[]));
    house.standin.fail_notes(2);
    let mut daemon = house.spawn(&[("MINUTED_DIE", "Requested:after:2")]);
    house.drop_recording("talk.wav");
    until("it was asked for a second time", || daemon.was_killed().then_some(()));
    let _daemon = house.start();
    let job = house.wait_for("talk.wav", "done");
    the_meeting(&house, &job, 1);
    assert_eq!((&job["attempts"], house.standin.snapshot().requested.len()), (&Value::from(2), 2));
}

#[test]
fn a_queue_restored_from_a_copy_does_nothing_twice() {
    let house = House::with(quick(&[]));
    house.configure("deliver = [\"beside\", \"email\"]");
    house.standin.stall_analysis(true);
    let daemon = house.start();
    house.drop_recording("one.wav");
    until("it waits", || (house.state("one.wav")? == "waiting").then_some(()));
    let copy = house.dir.path().join("copy.sqlite");
    assert!(house.run(&["backup", copy.to_str().expect("UTF-8")]).status.success());
    house.standin.stall_analysis(false);
    house.drop_recording("two.mp3");
    for name in ["one.wav", "two.mp3"] {
        house.wait_for(name, "done");
    }
    until("all mails are there", || (house.smtp.received().len() == 4).then_some(()));
    let files = house.files();
    daemon.stop();
    remove_queue(&house);
    fs::copy(&copy, house.state_dir().join("queue.sqlite")).expect("restored");
    let _daemon = house.start();
    for name in ["one.wav", "two.mp3"] {
        house.wait_for(name, "done");
    }
    assert_eq!(house.files(), files);
    let uploads: Vec<u32> =
        house.standin.snapshot().meetings.iter().map(|meeting| meeting.uploads).collect();
    assert_eq!(uploads, [1, 1]);
    assert_eq!((count(&house, Call::Upload), house.smtp.received().len()), (2, 4));
}

#[test]
fn a_content_that_is_done_stays_done_when_it_is_renamed_copied_or_touched() {
    let house = House::with(quick(&[]));
    let _daemon = house.start();
    let first = house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    let old = std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    fs::File::options()
        .write(true)
        .open(&first)
        .expect("opened")
        .set_modified(old)
        .expect("touched");
    fs::copy(&first, house.path("copy.wav")).expect("copied");
    let copy = house.wait_for("copy.wav", "skipped");
    assert!(
        copy["error"].as_str().expect("a reason").contains(&format!("job {}", job["id"])),
        "{copy}"
    );
    fs::rename(&first, house.path("renamed.wav")).expect("renamed");
    until("it is known by its new name", || house.state("renamed.wav"));
    let why = house.run(&["why", house.path("copy.wav").to_str().expect("UTF-8")]);
    assert!(String::from_utf8_lossy(&why.stderr).contains("minuted redo"), "{why:?}");
    the_meeting(&house, &job, 1);
    assert_eq!(house.json(&["jobs", "--state", "done"]).as_array().expect("jobs").len(), 1);
}

#[test]
fn the_same_content_in_another_folder_is_another_job() {
    let house = House::with(quick(&[]));
    let other = house.dir.path().join("support");
    fs::create_dir_all(&other).expect("made");
    let folder = format!(
        "[[folder]]\nname = \"support\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]\n",
        other.display()
    );
    house.configure_all("", "", &folder);
    let _daemon = house.start();
    let path = house.drop_recording("talk.wav");
    fs::copy(&path, other.join("talk.wav")).expect("copied");
    house.wait_for("talk.wav", "done");
    until("the other has its notes", || other.join("talk.notes.md").exists().then_some(()));
    let keys: Vec<String> =
        house.standin.snapshot().meetings.into_iter().map(|meeting| meeting.description).collect();
    assert_eq!(keys.len(), 2);
    assert_ne!(keys[0].lines().last(), keys[1].lines().last());
}

#[test]
fn a_second_daemon_on_the_same_state_directory_is_refused() {
    let house = House::with(quick(&[]));
    let daemon = house.start();
    let second = house.run(&["run"]);
    assert_eq!(second.status.code(), Some(1));
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(told.contains("another minuted uses the state directory"), "{told}");
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    assert_eq!(daemon.stop().code(), Some(0));
}

/// What makes a queue's file unusable.
#[derive(Debug, Clone, Copy)]
enum Damage {
    Head,
    Middle,
    Cut,
    Newer,
    Foreign,
}

fn damage(path: &Path, damage: Damage) {
    let mut bytes = fs::read(path).expect("read");
    let half = bytes.len() / 2;
    match damage {
        Damage::Head => bytes[..16].fill(b'x'),
        Damage::Middle => bytes[4096..].fill(0xa5),
        Damage::Cut => bytes.truncate(half + 100),
        Damage::Newer => bytes[60..64].copy_from_slice(&99_u32.to_be_bytes()),
        Damage::Foreign => bytes[68..72].fill(7),
    }
    fs::write(path, bytes).expect("written");
}

fn refused(house: &House) -> Output {
    let output = house.run(&["run"]);
    assert_eq!(
        output.status.code(),
        Some(78),
        "systemd does not start it again and again: {output:?}"
    );
    output
}

#[test]
fn a_queue_that_cannot_be_trusted_is_refused_with_the_cure_and_left_as_it_is() {
    let house = House::with(quick(&[]));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    daemon.stop();
    let path = house.state_dir().join("queue.sqlite");
    let sound = fs::read(&path).expect("read");
    for (kind, cure) in [
        (Damage::Head, "minuted backup"),
        (Damage::Middle, "minuted backup"),
        (Damage::Cut, "minuted backup"),
        (Damage::Newer, "install the newer minuted again"),
        (Damage::Foreign, "not a queue of minuted"),
    ] {
        damage(&path, kind);
        let before = fs::read(&path).expect("read");
        let output = refused(&house);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(told.contains(cure) && told.contains("hint: "), "{kind:?}: {told}");
        assert_eq!(fs::read(&path).expect("read"), before, "{kind:?}");
        remove_queue(&house);
        fs::write(&path, &sound).expect("restored");
    }
    let _daemon = house.start();
    house.wait_for("talk.wav", "done");
    assert_eq!(count(&house, Call::CreateSession), 1);
}

#[test]
fn a_newer_queue_that_was_killed_keeps_its_log_and_its_file_as_they_are() {
    let house = House::with(quick(&[]));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    daemon.kill();
    let paths = ["queue.sqlite", "queue.sqlite-wal"].map(|name| house.state_dir().join(name));
    let newer = rusqlite::Connection::open(&paths[0]).expect("opened");
    newer.pragma_update(None, "user_version", 99).expect("written");
    let before = paths.each_ref().map(|path| fs::read(path).expect("read"));
    let told = String::from_utf8_lossy(&refused(&house).stderr).into_owned();
    assert!(told.contains("version 99") && told.contains("hint: "), "{told}");
    assert_eq!(paths.each_ref().map(|path| fs::read(path).expect("read")), before);
    drop(newer);
}

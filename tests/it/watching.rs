//! How recordings come into a folder: slowly, by rename, many at once, over each other, and not at all.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{
    budget::budget,
    house::{House, recording, until},
    paxs::{Call, Fault},
};

/// For tests of many recordings.
const QUICK: &str = "[workers]\nuploads = 8\nrequests_per_second = 1000";

/// A quiet WAV of so many bytes of sound, unlike that of any other seed.
fn wav(seed: &str, bytes: u32) -> Vec<u8> {
    let mut wav = Vec::from(*b"RIFF");
    wav.extend((bytes + 36).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0data");
    wav.extend(bytes.to_le_bytes());
    let mut sound = vec![0; usize::try_from(bytes).expect("small")];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut sound);
    wav.extend(sound);
    wav
}

#[expect(clippy::disallowed_methods, reason = "a writer that pauses is what is tested")]
fn write_slowly(path: &Path, bytes: &[u8], pause: Duration) {
    let mut file = fs::File::create(path).expect("created");
    for piece in bytes.chunks(bytes.len().div_ceil(12)) {
        file.write_all(piece).expect("written");
        thread::sleep(pause);
    }
}

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().expect("in a directory")).expect("made");
    fs::write(path, bytes).expect("written");
}

/// The sizes and names of what was uploaded, and nothing else happened.
fn meetings(house: &House) -> Vec<(String, u64, u64)> {
    let meetings = house.standin.snapshot().meetings;
    let told = |meeting: &crate::support::paxs::Meeting| {
        let recording = meeting.recording.as_ref().expect("a recording");
        (recording.name.clone(), recording.size, u64::from(meeting.uploads))
    };
    meetings.iter().map(told).collect()
}

#[test]
fn a_writer_that_pauses_for_less_than_settle_is_taken_whole_and_once() {
    let house = House::new();
    house.configure("settle = \"1s\"");
    let _daemon = house.start();
    let bytes = [recording("talk.mp3"), wav("talk", 1_000_000)].concat();
    write_slowly(&house.path("talk.mp3"), &bytes, Duration::from_millis(120));
    house.wait_for("talk.mp3", "done");
    assert_eq!(meetings(&house), [("talk.mp3".into(), bytes.len() as u64, 1)]);
    assert_eq!(house.jobs().len(), 1);
}

#[test]
fn a_wav_whose_header_promises_more_is_waited_for_however_long_the_pauses() {
    let house = House::new();
    let _daemon = house.start();
    let bytes = wav("talk", 1_000_000);
    write_slowly(&house.path("talk.wav"), &bytes, Duration::from_millis(150));
    house.wait_for("talk.wav", "done");
    let sent = house.standin.snapshot().meetings[0].recording.clone().expect("a recording");
    assert_eq!(sent.blake3, blake3::hash(&bytes).to_hex().to_string());
    assert_eq!(meetings(&house).len(), 1);
}

#[test]
fn a_recording_renamed_into_place_is_taken_only_then() {
    let house = House::new();
    let _daemon = house.start();
    for (unfinished, name) in
        [("a.mp3.part", "a.mp3"), (".b.mp3", "b.mp3"), (".c.mp3.aB3dEf", "c.mp3")]
    {
        write(&house.path(unfinished), &recording(name));
    }
    house.drop_recording("witness.mp3");
    house.wait_for("witness.mp3", "done");
    assert_eq!(house.jobs().len(), 1, "nothing unfinished is taken");
    assert!(house.why("a.mp3.part").contains("temporary"), "{}", house.why("a.mp3.part"));
    for (unfinished, name) in
        [("a.mp3.part", "a.mp3"), (".b.mp3", "b.mp3"), (".c.mp3.aB3dEf", "c.mp3")]
    {
        fs::rename(house.path(unfinished), house.path(name)).expect("renamed");
    }
    for name in ["a.mp3", "b.mp3", "c.mp3"] {
        house.wait_for(name, "done");
    }
    assert_eq!(meetings(&house).len(), 4);
}

#[test]
fn a_name_reused_for_new_content_is_another_meeting_with_notes_of_its_own() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    let first = house.wait_for("talk.mp3", "done");
    write(&house.path("talk.mp3"), &recording("another.mp3"));
    until("the second meeting is done", || (house.count("done") == 2).then_some(()));
    let second = house.job("talk.mp3");
    assert_ne!(first["key"], second["key"]);
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.2.md", "talk.notes.md"]);
    assert!(second["notes"][0].as_str().expect("notes").ends_with("talk.notes.2.md"));
    assert_eq!(meetings(&house).len(), 2);
}

#[test]
fn a_copy_under_another_name_is_skipped_and_why_names_the_job_and_redo() {
    let house = House::new();
    let _daemon = house.start();
    let path = house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "done");
    fs::copy(path, house.path("talk (conflict).mp3")).expect("copied");
    let copy = house.wait_for("talk (conflict).mp3", "skipped");
    let why = house.why("talk (conflict).mp3");
    assert!(why.contains(&format!("job {}", job["id"])), "{why}");
    assert!(why.contains(&format!("minuted redo {}", copy["id"])), "{why}");
    assert_eq!(meetings(&house).len(), 1);
    assert!(house.run(&["redo", &copy["id"].to_string()]).status.success());
    house.wait_for("talk (conflict).mp3", "done");
    assert_eq!(meetings(&house).len(), 2);
    assert!(house.path("talk (conflict).notes.md").exists());
}

#[test]
fn a_recording_renamed_before_its_upload_keeps_its_one_job() {
    let house = House::new();
    let _daemon = house.start();
    assert!(house.run(&["pause", "sales"]).status.success());
    let path = house.drop_recording("REC001.mp3");
    let before = house.wait_for("REC001.mp3", "waiting");
    assert_eq!(before["waits_for"], "folder");
    fs::rename(path, house.path("weekly sales.mp3")).expect("renamed");
    until("the job has the new name", || {
        let jobs = house.jobs();
        jobs[0]["path"].as_str().expect("a path").ends_with("weekly sales.mp3").then_some(())
    });
    assert!(house.run(&["resume", "sales"]).status.success());
    let after = house.wait_for("weekly sales.mp3", "done");
    assert_eq!((&after["id"], house.jobs().len()), (&before["id"], 1));
    assert_eq!(meetings(&house)[0].0, "weekly sales.mp3");
    assert_eq!(house.files(), ["weekly sales.mp3", "weekly sales.notes.md"]);
}

#[test]
fn a_recording_renamed_during_its_analysis_gets_its_notes_beside_the_new_name() {
    let house = House::new();
    house.standin.stall_analysis(true);
    let _daemon = house.start();
    let path = house.drop_recording("REC001.mp3");
    until("it is uploaded", || (house.standin.snapshot().count(Call::Upload) == 1).then_some(()));
    fs::rename(path, house.path("weekly sales.mp3")).expect("renamed");
    until("the job has the new name", || {
        let jobs = house.jobs();
        (jobs.len() == 1 && jobs[0]["path"].as_str().expect("a path").ends_with("weekly sales.mp3"))
            .then_some(())
    });
    house.standin.stall_analysis(false);
    house.wait_for("weekly sales.mp3", "done");
    assert_eq!(house.files(), ["weekly sales.mp3", "weekly sales.notes.md"]);
    assert_eq!(meetings(&house).len(), 1);
}

#[test]
fn a_tree_that_is_moved_in_and_one_that_grows_quickly_lose_nothing() {
    let house = House::new();
    // Only the events can be in time: the test would wait too long for the next scan.
    house.configure_all("", "rescan = \"1h\"", QUICK);
    let _daemon = house.start();
    house.drop_recording("witness.mp3");
    house.wait_for("witness.mp3", "done");
    let tree = house.dir.path().join("tree");
    for n in 0..20 {
        write(&tree.join(format!("{}/deep/{n}.mp3", n % 4)), &recording(&format!("tree {n}.mp3")));
    }
    fs::rename(&tree, house.path("tree")).expect("moved");
    for n in 0..60 {
        house.drop_recording(&format!("grown/{n}/a/b/{n}.mp3"));
    }
    until("all is done", || (house.count("done") == 81).then_some(()));
    assert_eq!(meetings(&house).len(), 81);
}

#[test]
fn a_burst_of_five_hundred_is_five_hundred_meetings() {
    let burst = budget(500) as usize;
    let house = House::new();
    house.configure_all("", "", QUICK);
    let _daemon = house.start();
    for n in 0..burst {
        house.drop_recording(&format!("{n}.mp3"));
    }
    until("all is done", || {
        let status = house.status();
        (status["folders"][0]["jobs"]["done"] == burst).then_some(())
    });
    let meetings = meetings(&house);
    let names: std::collections::BTreeSet<&str> =
        meetings.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!((meetings.len(), names.len()), (burst, burst));
    assert!(meetings.iter().all(|(.., uploads)| *uploads == 1));
    assert_eq!(house.files().len(), 2 * burst);
}

#[test]
fn a_file_that_is_deleted_before_its_upload_is_waited_for() {
    let house = House::new();
    let _daemon = house.start();
    assert!(house.run(&["pause", "sales"]).status.success());
    let path = house.drop_recording("talk.mp3");
    let id = house.wait_for("talk.mp3", "waiting")["id"].clone();
    fs::remove_file(&path).expect("removed");
    until("it waits for its file", || (house.jobs()[0]["waits_for"] == "file").then_some(()));
    assert!(house.why("talk.mp3").contains("waits for its file"), "{}", house.why("talk.mp3"));
    assert!(house.run(&["resume", "sales"]).status.success());
    house.drop_recording("talk.mp3");
    assert_eq!(house.wait_for("talk.mp3", "done")["id"], id);
    assert_eq!((house.jobs().len(), meetings(&house).len()), (1, 1));
}

#[test]
fn a_file_that_changes_before_its_upload_is_one_meeting_of_the_new_content() {
    let house = House::new();
    let _daemon = house.start();
    assert!(house.run(&["pause", "sales"]).status.success());
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "waiting");
    let new = recording("another.mp3");
    write(&house.path("talk.mp3"), &new);
    until("the old job is cancelled", || (house.count("cancelled") == 1).then_some(()));
    assert!(house.run(&["resume", "sales"]).status.success());
    house.wait_for("talk.mp3", "done");
    assert_eq!(meetings(&house), [("talk.mp3".into(), new.len() as u64, 1)]);
    assert_eq!((house.count("cancelled"), house.count("done")), (1, 1));
}

#[test]
fn a_folder_that_is_absent_or_made_again_degrades_alone_and_heals() {
    let house = House::new();
    fs::remove_dir(house.folder()).expect("removed");
    let _daemon = house.start();
    let trouble = || house.status()["folders"][0]["trouble"].as_str().map(str::to_owned);
    for name in ["first.mp3", "second.mp3"] {
        assert!(until("the trouble is told", trouble).contains("sales"));
        house.drop_recording(name);
        house.wait_for(name, "done");
        assert_eq!(trouble(), None);
        fs::remove_dir_all(house.folder()).expect("removed");
    }
    until("the trouble is told", trouble);
    assert_eq!(meetings(&house).len(), 2);
}

#[test]
fn what_the_service_does_not_take_is_skipped_with_what_it_takes() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.ogg");
    house.drop_recording("talk.MKV.mkv");
    for name in ["talk.ogg", "talk.MKV.mkv"] {
        let job = house.wait_for(name, "skipped");
        let why = house.why(name);
        assert!(why.contains("mp3 wav flac"), "{why}");
        assert!(job["error"].as_str().expect("a reason").contains("mp3 wav flac"));
    }
    assert_eq!(house.standin.snapshot().count(Call::Upload), 0);
    assert_eq!(meetings(&house), []);
}

#[test]
fn globs_and_a_flat_folder_choose_what_is_taken_and_why_says_so() {
    let house = House::new();
    house.configure("recursive = false\ninclude = [\"call-*\"]\nexclude = [\"*-draft.mp3\"]");
    let _daemon = house.start();
    for name in ["sub/call-1.mp3", "talk.mp3", "call-2-draft.mp3", "call-3.mp3"] {
        house.drop_recording(name);
    }
    house.wait_for("call-3.mp3", "done");
    house.scan();
    assert_eq!(house.jobs().len(), 1);
    let why = ["sub/call-1.mp3", "talk.mp3", "call-2-draft.mp3"].map(|name| {
        let why = house.why(name);
        why.split_once(": ").expect("an answer").1.trim_end().to_owned()
    });
    insta::assert_snapshot!(why.join("\n"), @r"
    left alone: it lies in a sub-folder and `recursive` is false
    left alone: no glob of `include` matches it
    left alone: `exclude` names it: `*-draft.mp3`
    ");
}

#[test]
fn a_polled_folder_is_watched_too() {
    let house = House::new();
    house.configure(r#"watch = "poll""#);
    let _daemon = house.start();
    house.drop_recording("sub/talk.mp3");
    house.wait_for("sub/talk.mp3", "done");
    let watch = house.status()["folders"][0]["watch"].as_str().expect("a word").to_owned();
    assert!(watch.contains("poll"), "{watch}");
}

#[test]
fn a_backlog_is_processed_skipped_or_asked_about() {
    for (backlog, taken) in [("process", 25), ("skip", 0), ("ask", 0)] {
        let house = House::new();
        house.configure_all("", &format!("backlog = \"{backlog}\""), QUICK);
        for n in 0..25 {
            house.drop_recording(&format!("{n}.mp3"));
        }
        let _daemon = house.start();
        house.scan();
        house.drop_recording("fresh.mp3");
        house.wait_for("fresh.mp3", "done");
        until("the backlog is done", || (house.count("done") == taken + 1).then_some(()));
        let waiting = house.status()["folders"][0]["backlog"].as_u64().expect("a number");
        assert_eq!(waiting, if backlog == "ask" { 25 } else { 0 }, "{backlog}");
        if backlog == "ask" {
            assert!(
                house.why("7.mp3").contains("minuted backlog sales process"),
                "{}",
                house.why("7.mp3")
            );
            assert!(house.run(&["backlog", "sales", "process"]).status.success());
            until("the backlog is done", || (house.count("done") == 26).then_some(()));
        }
        assert_eq!(meetings(&house).len(), house.count("done"));
    }
}

#[test]
fn up_to_twenty_recordings_are_taken_without_asking() {
    let house = House::new();
    house.configure(r#"backlog = "ask""#);
    for n in 0..20 {
        house.drop_recording(&format!("{n}.mp3"));
    }
    let _daemon = house.start();
    until("the backlog is done", || (house.count("done") == 20).then_some(()));
}

fn second_folder(house: &House) -> (PathBuf, String) {
    let path = house.dir.path().join("calls");
    fs::create_dir_all(&path).expect("made");
    let table = format!(
        "[[folder]]\nname = \"calls\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nbacklog = \"process\"\n\
         attendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]",
        path.display()
    );
    (path, table)
}

#[test]
fn a_reload_brings_folders_and_takes_them_away() {
    let house = House::new();
    let daemon = house.start();
    let folders = || house.status()["folders"].as_array().expect("a list").len();
    let (calls, table) = second_folder(&house);
    house.configure_all("", "", &table);
    daemon.signal(Signal::HUP);
    until("the new folder is watched", || (folders() == 2).then_some(()));
    write(&calls.join("call.mp3"), &recording("call.mp3"));
    until("it is done", || (house.count("done") == 1).then_some(()));
    house.configure("");
    daemon.signal(Signal::HUP);
    until("the folder is left alone", || (folders() == 1).then_some(()));
    write(&calls.join("late.mp3"), &recording("late.mp3"));
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    assert_eq!((house.jobs().len(), meetings(&house).len()), (2, 2));
}

#[test]
fn a_folder_that_leaves_the_config_finishes_what_was_uploaded() {
    let house = House::new();
    let (calls, table) = second_folder(&house);
    house.configure_all("", "", &table);
    let daemon = house.start();
    house.standin.stall_analysis(true);
    write(&calls.join("call.mp3"), &recording("call.mp3"));
    until("it is uploaded", || (house.standin.snapshot().count(Call::Upload) == 1).then_some(()));
    house.configure("");
    daemon.signal(Signal::HUP);
    until("it is read", || house.log().contains("read again and in force").then_some(()));
    house.standin.stall_analysis(false);
    until("it is done", || (house.count("done") == 1).then_some(()));
    assert!(calls.join("call.notes.md").exists());
}

#[test]
fn a_restart_does_not_forget_the_settings_of_a_folder_that_left_the_config() {
    let house = House::new();
    let (calls, table) = second_folder(&house);
    house.configure_all("", "", &table);
    let daemon = house.start();
    house.standin.stall_analysis(true);
    write(&calls.join("call.mp3"), &recording("call.mp3"));
    until("it waits for its analysis", || {
        (house.status()["waiting_for_analysis"] == 1).then_some(())
    });
    daemon.kill();
    house.configure("");
    let daemon = house.start();
    daemon.kill();
    let _daemon = house.start();
    house.standin.stall_analysis(false);
    until("it is done", || (house.count("done") == 1).then_some(()));
    assert!(calls.join("call.notes.md").exists());
    assert_eq!(house.standin.snapshot().count(Call::Upload), 1);
}

#[test]
fn a_reload_refreshes_the_attendees_of_jobs_that_are_not_created_yet() {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording("early.mp3");
    house.wait_for("early.mp3", "done");
    assert!(house.run(&["pause", "sales"]).status.success());
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "waiting");
    let config = fs::read_to_string(house.config()).expect("there");
    fs::write(house.config(), config.replace("ann@example.com", "ann.lee@example.com"))
        .expect("written");
    daemon.signal(Signal::HUP);
    until("it is read", || house.log().contains("read again and in force").then_some(()));
    assert!(house.run(&["resume", "sales"]).status.success());
    house.wait_for("talk.mp3", "done");
    let who = |n: usize| house.standin.snapshot().meetings[n].attendees[0].email.clone();
    assert_eq!((who(0), who(1)), ("ann@example.com".into(), "ann.lee@example.com".into()));
}

#[test]
fn a_bad_file_leaves_the_old_settings_in_force_and_says_where() {
    let house = House::new();
    let daemon = house.start();
    house.configure("atendees = []");
    let line = fs::read_to_string(house.config())
        .expect("there")
        .lines()
        .position(|line| line.contains("atendees"));
    daemon.signal(Signal::HUP);
    until("it is told", || house.log().contains("the old one stays in force").then_some(()));
    let log = house.log();
    assert!(log.contains("atendees") && log.contains("`attendees`"), "{log}");
    assert!(log.contains(&format!("config.toml:{}", line.expect("written") + 1)), "{log}");
    house.drop_recording("talk.mp3");
    // The commands read the file too; the daemon is not told of this one.
    house.configure("");
    house.wait_for("talk.mp3", "done");
}

#[test]
fn a_paused_folder_begins_nothing_and_finishes_what_runs() {
    let house = House::new();
    house.standin.stall_analysis(true);
    let _daemon = house.start();
    house.drop_recording("begun.mp3");
    until("it is uploaded", || (house.standin.snapshot().count(Call::Upload) == 1).then_some(()));
    assert!(house.run(&["pause", "sales"]).status.success());
    house.drop_recording("new.mp3");
    house.wait_for("new.mp3", "waiting");
    house.standin.stall_analysis(false);
    house.wait_for("begun.mp3", "done");
    assert_eq!(meetings(&house).len(), 1);
    assert!(house.why("new.mp3").contains("waits for its folder"), "{}", house.why("new.mp3"));
    assert!(house.run(&["resume", "sales"]).status.success());
    house.wait_for("new.mp3", "done");
}

#[test]
fn run_once_works_until_nothing_is_left_and_tells_by_its_exit_code() {
    let house = House::new();
    house.drop_recording("a.mp3");
    house.drop_recording("b.mp3");
    assert_eq!(house.run(&["run", "--once"]).status.code(), Some(0));
    assert_eq!(house.count("done"), 2);
    house.drop_recording("bad.mp3");
    house.drop_recording("good.mp3");
    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(415), None);
    let output = house.run(&["run", "--once"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 recording failed"));
    assert_eq!((house.count("done"), house.count("failed")), (3, 1));
    assert_eq!(house.run(&["run", "--once"]).status.code(), Some(0), "an old failure is no news");
}

#[test]
fn a_dry_scan_tells_what_would_be_taken_and_takes_nothing() {
    let house = House::new();
    house.drop_recording("a.mp3");
    house.drop_recording("b.ogg");
    write(&house.path("c.txt"), b"no recording");
    let found = house.json(&["scan", "--dry-run"]);
    let told = |n: usize| {
        let file = &found[n];
        format!("{} {} {} {}", file["folder"], file["path"], file["size"], file["why"])
    };
    assert_eq!(found.as_array().map(Vec::len), Some(2), "{found}");
    let told = [told(0), told(1)].join("\n").replace(&format!("{}/", house.folder().display()), "");
    insta::assert_snapshot!(told, @r#"
    "sales" "a.mp3" 1226 "is queued once it is quiet and complete"
    "sales" "b.ogg" 3768 "the service of this folder does not take `.ogg`"
    "#);
    assert_eq!((house.jobs().len(), house.files().len()), (0, 3));
}

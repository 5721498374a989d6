//! Where notes go, what becomes of the recording, and what happens when neither can be done.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::support::{
    house::{Daemon, House, may_mount, recording, until, until_told},
    paxs::Call,
};

/// Drops a recording whose analysis waits for [`crate::support::paxs::Standin::stall_analysis`] to be taken back.
fn upload(house: &House, name: &str) {
    house.standin.stall_analysis(true);
    let before = house.standin.snapshot().count(Call::Upload);
    house.drop_recording(name);
    until("it is uploaded", || {
        (house.standin.snapshot().count(Call::Upload) > before).then_some(())
    });
    until("it waits for its analysis", || {
        (house.job(name)["waits_for"] == "analysis").then_some(())
    });
}

fn read(house: &House, name: &str) -> String {
    fs::read_to_string(house.path(name)).expect("written")
}

/// Waits until the job has been delivered once more.
fn analyse(house: &House, name: &str, types: &str) {
    let path = house.path(name);
    let output = house.run(&["analyse", path.to_str().expect("UTF-8"), "--types", types]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    house.wait_for(name, "done");
}

#[test]
fn every_format_lies_beside_the_recording() {
    let house = House::new();
    house.configure(r#"formats = ["md", "txt", "srt", "vtt", "json"]"#);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    let job = house.wait_for("talk.mp3", "done");
    let transcript = ["txt", "srt", "vtt"].map(|format| format!("talk.transcript.{format}"));
    assert_eq!(
        house.files(),
        [
            "talk.mp3",
            "talk.notes.json",
            "talk.notes.md",
            &transcript[1],
            &transcript[0],
            &transcript[2]
        ]
    );
    assert_eq!(job["notes"].as_array().map(Vec::len), Some(5));
    assert!(read(&house, "talk.transcript.vtt").starts_with("WEBVTT\n"));
    assert!(read(&house, "talk.transcript.srt").starts_with("1\n00:00:00,000 --> 00:00:04,000\n"));
    let json: serde_json::Value =
        serde_json::from_str(&read(&house, "talk.notes.json")).expect("JSON");
    assert!(json.to_string().contains(job["key"].as_str().expect("a key")));
    assert!(transcript.iter().all(|name| read(&house, name).contains("nobody listened")));
}

#[test]
fn a_notes_directory_mirrors_the_tree_of_the_folder() {
    let house = House::new();
    let notes = house.dir.path().join("notes");
    fs::create_dir(&notes).expect("made");
    house.configure(&format!(
        "notes_dir = \"{}\"\nnotes_name = \"Minutes of {{stem}}\"",
        notes.display()
    ));
    let _daemon = house.start();
    house.drop_recording("2026/11/talk.mp3");
    house.drop_recording("talk.mp3");
    house.wait_for("2026/11/talk.mp3", "done");
    house.wait_for("talk.mp3", "done");
    assert!(
        notes.join("2026/11/Minutes of talk.md").exists()
            && notes.join("Minutes of talk.md").exists()
    );
    assert_eq!(house.files(), ["2026/11/talk.mp3", "talk.mp3"]);
}

#[test]
fn notes_that_a_person_has_edited_are_theirs_and_new_ones_lie_beside_them() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let edited = read(&house, "talk.notes.md") + "\nAnn owes Bo a lunch.\n";
    fs::write(house.path("talk.notes.md"), &edited).expect("written");
    analyse(&house, "talk.mp3", "key_points");
    assert_eq!(read(&house, "talk.notes.md"), edited);
    assert!(read(&house, "talk.notes.2.md").contains("## Key points"));
    analyse(&house, "talk.mp3", "sentiment");
    assert!(
        read(&house, "talk.notes.2.md").contains("## Sentiment"),
        "unedited notes are written anew"
    );
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.2.md", "talk.notes.md"]);
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

#[test]
fn notes_that_a_person_has_deleted_are_not_made_again() {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    fs::remove_file(house.path("talk.notes.md")).expect("removed");
    analyse(&house, "talk.mp3", "key_points");
    assert_eq!(house.files(), ["talk.mp3"]);
    daemon.stop();
    let _daemon = house.start();
    house.scan();
    house.drop_recording("witness.mp3");
    house.wait_for("witness.mp3", "done");
    assert_eq!(house.files(), ["talk.mp3", "witness.mp3", "witness.notes.md"]);
    assert_eq!(house.standin.snapshot().meetings.len(), 2);
}

#[test]
fn a_recording_is_moved_with_its_notes_and_replaces_nothing() {
    let house = House::new();
    house.configure("on_success = \"move\"\nmove_to = \"done\"");
    for name in ["done/sub/talk.mp3", "done/sub/talk.notes.md"] {
        fs::create_dir_all(house.path("done/sub")).expect("made");
        fs::write(house.path(name), "somebody's own").expect("written");
    }
    let _daemon = house.start();
    let bytes = fs::read(house.drop_recording("sub/talk.mp3")).expect("there");
    until("it is done", || (house.count("done") == 1).then_some(()));
    assert_eq!(
        house.files(),
        [
            "done/sub/talk.2.mp3",
            "done/sub/talk.mp3",
            "done/sub/talk.notes.2.md",
            "done/sub/talk.notes.md"
        ]
    );
    assert_eq!(fs::read(house.path("done/sub/talk.2.mp3")).expect("moved"), bytes);
    assert_eq!(read(&house, "done/sub/talk.mp3"), "somebody's own");
    house.scan();
    assert_eq!(house.jobs().len(), 1, "what lies in `move_to` is never taken");
}

#[test]
fn a_recording_is_deleted_once_its_notes_are_there_and_every_mail_is_sent() {
    let house = House::new();
    house.configure("on_success = \"delete\"\ndeliver = [\"beside\", \"email\"]");
    house.smtp.down(true);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    until("the notes are there", || house.path("talk.notes.md").exists().then_some(()));
    until("a mail was tried", || (house.smtp.conversations() > 0).then_some(()));
    assert!(house.path("talk.mp3").exists(), "not before every delivery is done");
    house.smtp.down(false);
    until("it is done", || (house.count("done") == 1).then_some(()));
    assert_eq!(house.files(), ["talk.notes.md"]);
    assert_eq!(house.smtp.received().len(), 2);
}

#[test]
fn every_mail_of_a_burst_is_sent_once() {
    let house = House::new();
    // A delivery that ended while the queue was being read was made a second time.
    let quick = "[workers]\nuploads = 8\nrequests_per_second = 1000";
    house.configure_all("", r#"deliver = ["email"]"#, quick);
    let _daemon = house.start();
    for n in 0..100 {
        house.drop_recording(&format!("{n}.mp3"));
    }
    until("all is done", || (house.count("done") == 100).then_some(()));
    assert_eq!(house.smtp.received().len(), 200);
}

#[test]
fn a_recording_that_changed_meanwhile_is_not_deleted() {
    let house = House::new();
    house.configure("on_success = \"delete\"");
    let _daemon = house.start();
    upload(&house, "talk.mp3");
    assert!(house.run(&["pause", "sales"]).status.success());
    let new = recording("another.mp3");
    fs::write(house.path("talk.mp3"), &new).expect("written");
    house.standin.stall_analysis(false);
    until("the first is done", || (house.count("done") == 1).then_some(()));
    assert_eq!(fs::read(house.path("talk.mp3")).expect("still there"), new);
    assert!(house.log().contains("changed since its notes were made and stays where it is"));
    assert!(house.run(&["resume", "sales"]).status.success());
    until("the second is done", || (house.count("done") == 2).then_some(()));
    assert_eq!(house.files(), ["talk.notes.2.md", "talk.notes.md"]);
}

#[test]
fn recordings_that_differ_in_their_extension_keep_their_notes_apart() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.drop_recording("talk.wav");
    house.wait_for("talk.mp3", "done");
    house.wait_for("talk.wav", "done");
    assert_eq!(house.files(), ["talk.mp3", "talk.mp3.notes.md", "talk.wav", "talk.wav.notes.md"]);
}

#[test]
fn notes_get_the_mode_that_the_folder_says() {
    let house = House::new();
    house.configure(r#"file_mode = "0600""#);
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let mode = fs::metadata(house.path("talk.notes.md")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// What lies in the folder as the daemon sees it.
fn seen(house: &House, daemon: &Daemon) -> Vec<String> {
    let names = fs::read_dir(daemon.sees(&house.folder())).expect("a directory").flatten();
    let mut names: Vec<String> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn upload_among(house: &House, daemon: &Daemon, name: &str) {
    house.standin.stall_analysis(true);
    fs::write(daemon.sees(&house.path(name)), recording(name)).expect("written");
    until("it waits for its analysis", || {
        let jobs = house.jobs();
        jobs.first().is_some_and(|job| job["waits_for"] == "analysis").then_some(())
    });
}

#[test]
fn a_folder_that_became_read_only_waits_is_told_once_and_heals() {
    if !may_mount() {
        return;
    }
    let house = House::new();
    let daemon = house.start_among(r#"mount --bind "$1" "$1""#);
    upload_among(&house, &daemon, "talk.mp3");
    daemon.among(r#"mount -o remount,ro,bind "$1""#, &house.folder());
    house.standin.stall_analysis(false);
    until("it was tried again", || {
        (house.jobs()[0]["deliveries"][0]["attempts"].as_u64() > Some(2)).then_some(())
    });
    assert_eq!(
        (&house.jobs()[0]["state"], &house.jobs()[0]["waits_for"]),
        (&"waiting".into(), &"folder".into())
    );
    let trouble = house.status()["folders"][0]["trouble"].to_string();
    assert!(trouble.contains("read-only") && trouble.contains("systemd-drop-in"), "{trouble}");
    assert_eq!(house.log().matches("cannot be written").count(), 1, "told once: {}", house.log());
    assert_eq!(seen(&house, &daemon), ["talk.mp3"]);
    daemon.among(r#"mount -o remount,rw,bind "$1""#, &house.folder());
    house.wait_for("talk.mp3", "done");
    assert_eq!(seen(&house, &daemon), ["talk.mp3", "talk.notes.md"]);
    assert_eq!(house.status()["folders"][0]["trouble"], serde_json::Value::Null);
}

#[test]
fn a_full_disk_leaves_nothing_half_written_and_work_goes_on_when_there_is_room() {
    if !may_mount() {
        return;
    }
    let house = House::new();
    let daemon = house.start_among(r#"mount -t tmpfs -o size=64k none "$1""#);
    upload_among(&house, &daemon, "talk.mp3");
    let filler = daemon.sees(&house.path("filler"));
    // It ends with the disk full, which is what it is for.
    drop(fs::write(&filler, vec![0; 128 * 1024]));
    house.standin.stall_analysis(false);
    until("it was tried again", || {
        (house.jobs()[0]["deliveries"][0]["attempts"].as_u64() > Some(1)).then_some(())
    });
    assert_eq!(house.jobs()[0]["waits_for"], "disk");
    assert_eq!(
        house.log().matches("no room for the notes").count(),
        1,
        "told once: {}",
        house.log()
    );
    assert_eq!(seen(&house, &daemon), ["filler", "talk.mp3"]);
    fs::remove_file(filler).expect("removed");
    house.wait_for("talk.mp3", "done");
    assert_eq!(seen(&house, &daemon), ["talk.mp3", "talk.notes.md"]);
}

#[test]
fn a_recording_that_went_with_its_directory_leaves_nothing_to_move_or_delete() {
    for after in ["on_success = \"delete\"", "on_success = \"move\"\nmove_to = \"done\""] {
        let house = House::new();
        house.configure(&format!("deliver = [\"email\"]\n{after}"));
        let _daemon = house.start();
        upload(&house, "monday/talk.mp3");
        fs::remove_dir_all(house.path("monday")).expect("removed");
        house.standin.stall_analysis(false);
        until_told(|| house.log(), || (house.count("done") == 1).then_some(()));
        assert_eq!(house.smtp.received().len(), 2, "{after}");
        assert!(house.status()["holds"].as_array().is_some_and(Vec::is_empty), "{after}");
    }
}

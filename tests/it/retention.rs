//! `delete_recording_after`: a recording is deleted a while after its notes were delivered, once, and never by mistake.
//!
//! A month passes here by moving the row's times in a queue that nobody has open.

use std::{cell::RefCell, fs, path::Path};

use serde_json::Value;

use crate::support::{
    house::{House, until, until_told},
    rows::each,
};

const MONTH: &str = "delete_recording_after = \"30d\"\n";

fn house(folder_keys: &str) -> House {
    let house = House::new();
    house.configure_all("", folder_keys, "");
    house
}

/// Has a recording get its notes, and ends the daemon.
fn finish(house: &House, name: &str) {
    let daemon = house.start();
    house.drop_recording(name);
    house.wait_for(name, "done");
    assert!(daemon.stop().success());
}

/// Lets all recordings be this many days older; no daemon runs.
fn pass_days(house: &House, days: i64) {
    let queue = rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("opened");
    let milliseconds = days * 86_400_000;
    queue
        .execute(
            "UPDATE retention SET since_ms = since_ms - ?1, due_ms = due_ms - ?1 WHERE due_ms IS NOT NULL",
            [milliseconds],
        )
        .expect("moved");
}

/// What `why` says of a recording.
fn why(house: &House, name: &str) -> String {
    house.json(&["why", house.path(name).to_str().expect("UTF-8")])["answer"]
        .as_str()
        .expect("an answer")
        .to_owned()
}

fn retention(house: &House, name: &str) -> Value {
    house.job(name)["retention"].clone()
}

fn assert_done_once(house: &House, name: &str) {
    assert!(house.path(&name.replace(".mp3", ".notes.md")).exists(), "the notes stay");
    assert!(!house.path(&name.replace(".mp3", ".notes.2.md")).exists());
    assert_eq!(house.json(&["jobs"]).as_array().expect("jobs").len(), 1);
    assert_eq!(house.job(name)["state"], "done");
    assert_eq!(house.job(name)["attempts"], 0);
}

#[test]
fn a_recording_goes_when_its_time_is_over_and_why_says_so_before_and_after() {
    let house = house(&format!("{MONTH}sidecars = true\n"));
    fs::write(house.path("talk.mp3.toml"), "title = \"Board\"\n").expect("written");
    finish(&house, "talk.mp3");
    let before = why(&house, "talk.mp3");
    assert!(retention(&house, "talk.mp3")["delete_at"].is_string());
    assert!(before.contains("its recording will be deleted on "), "{before}");
    pass_days(&house, 29);
    let daemon = house.start();
    house.scan();
    assert!(house.path("talk.mp3").exists());
    assert!(daemon.stop().success());
    pass_days(&house, 2);
    let daemon = house.start();
    until("it is deleted", || (!house.path("talk.mp3").exists()).then_some(()));
    until("that is recorded", || {
        (retention(&house, "talk.mp3")["outcome"] == "deleted").then_some(())
    });
    assert!(!house.path("talk.mp3.toml").exists(), "its sidecar goes with it");
    let after = why(&house, "talk.mp3");
    assert!(after.contains("its recording was deleted on "), "{after}");
    assert_done_once(&house, "talk.mp3");
    let id = house.job("talk.mp3")["id"].to_string();
    let history = house.json(&["job", &id])["history"].to_string();
    assert!(history.contains("deleted the recording, whose time was over"), "{history}");
    let redo = house.run(&["redo", &id]);
    let told = String::from_utf8_lossy(&redo.stderr).into_owned();
    assert!(!redo.status.success() && told.contains("has no recording any more"), "{redo:?}");
    // A copy that a person brings back is the same recording, and can be done again.
    house.drop_recording("talk.mp3");
    house.scan();
    let path = house.path("talk.mp3");
    let told = RefCell::new(String::new());
    let again = || {
        let output = house.run(&["redo", path.to_str().expect("UTF-8")]);
        told.replace(String::from_utf8_lossy(&output.stderr).into_owned());
        output.status.success().then_some(())
    };
    until_told(|| told.borrow().clone(), again);
    until("it has new notes", || house.path("talk.notes.2.md").exists().then_some(()));
    assert!(daemon.stop().success());
}

#[test]
fn a_death_around_the_end_of_a_recording_leaves_its_notes_and_no_recording() {
    let effects = ["ScheduleDeletions", "PutOffDeletion", "DeleteExpired", "RecordExpired"];
    let points: Vec<String> = effects
        .iter()
        .flat_map(|effect| ["before", "after"].map(|when| format!("{effect}:{when}")))
        .collect();
    each(points, |point| {
        let house = house(MONTH);
        finish(&house, "talk.mp3");
        // Looked at too early, it is put off; then its time is over.
        let early = point.starts_with("PutOff");
        if early {
            let queue =
                rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("opened");
            queue.execute("UPDATE retention SET due_ms = 1, reason = 'x'", []).expect("set");
        } else {
            pass_days(&house, 31);
        }
        let mut daemon = house.spawn(&[("MINUTED_DIE", &point)]);
        until("it dies there", || daemon.was_killed().then_some(()));
        if early {
            pass_days(&house, 31);
        }
        let _daemon = house.start();
        until("the recording is gone", || {
            let ended = retention(&house, "talk.mp3")["outcome"].clone();
            (ended == "deleted" || ended == "gone").then_some(())
        });
        assert!(!house.path("talk.mp3").exists());
        assert_done_once(&house, "talk.mp3");
    });
}

#[test]
fn a_recording_that_changed_since_stays() {
    let house = house(MONTH);
    finish(&house, "talk.mp3");
    pass_days(&house, 31);
    let longer = [fs::read(house.path("talk.mp3")).expect("read"), vec![0; 10]].concat();
    fs::write(house.path("talk.mp3"), &longer).expect("written");
    let _daemon = house.start();
    until("it is looked at", || {
        let rows = house.json(&["jobs"]);
        let first = rows.as_array().expect("jobs").first().expect("a job")["retention"].clone();
        (first["outcome"] == "changed" || first.is_null()).then_some(())
    });
    assert_eq!(fs::read(house.path("talk.mp3")).expect("read"), longer);
}

#[test]
fn a_recording_without_notes_or_with_a_writer_stays_and_why_says_the_reason() {
    let house = house(MONTH);
    finish(&house, "talk.mp3");
    pass_days(&house, 31);
    let notes = house.path("talk.notes.md");
    let away = house.dir.path().join("away.md");
    fs::rename(&notes, &away).expect("moved");
    let daemon = house.start();
    let reason = || retention(&house, "talk.mp3")["reason"].as_str().map(str::to_owned);
    until("it is looked at", || reason().filter(|text| text.contains("notes are not where")));
    let told = why(&house, "talk.mp3");
    assert!(told.contains("its recording stays although its time is over"), "{told}");
    assert!(daemon.stop().success());
    fs::rename(&away, &notes).expect("moved back");
    pass_days(&house, 2);
    let writer = fs::OpenOptions::new().append(true).open(house.path("talk.mp3")).expect("opened");
    let daemon = house.start();
    until("it is looked at again", || reason().filter(|text| text.contains("stays where it is")));
    assert!(house.path("talk.mp3").exists());
    assert!(daemon.stop().success());
    drop(writer);
    pass_days(&house, 1);
    let _daemon = house.start();
    until("it is deleted", || (!house.path("talk.mp3").exists()).then_some(()));
    assert!(notes.exists());
}

#[test]
fn a_recording_that_was_moved_is_deleted_where_it_lies_and_another_of_its_name_stays() {
    let house = house(&format!("{MONTH}on_success = \"move\"\nmove_to = \"done\"\n"));
    fs::create_dir_all(house.path("done")).expect("made");
    fs::write(house.path("done/talk.mp3"), "another one").expect("written");
    finish(&house, "talk.mp3");
    let moved: Vec<_> = names(&house.path("done"));
    assert_eq!(moved.len(), 2, "{moved:?}");
    pass_days(&house, 31);
    let _daemon = house.start();
    until("it is deleted", || (names(&house.path("done")).len() == 1).then_some(()));
    assert_eq!(fs::read(house.path("done/talk.mp3")).expect("read"), b"another one");
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("listed");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "mp3"))
        .collect()
}

#[test]
fn delete_waits_for_its_time_and_without_a_time_it_does_not() {
    for (keys, is_there) in [("", false), (MONTH, true)] {
        let house = house(&format!("on_success = \"delete\"\n{keys}"));
        finish(&house, "talk.mp3");
        assert_eq!(house.path("talk.mp3").exists(), is_there, "{keys}");
    }
}

#[test]
fn the_settings_of_today_count_and_bring_nothing_nearer_than_a_day() {
    let house = house("");
    finish(&house, "talk.mp3");
    assert_eq!(retention(&house, "talk.mp3"), Value::Null);
    // The job ended some seconds ago; a day's notice is given where less is left.
    let rows = [
        (MONTH, Some(719)),
        ("delete_recording_after = \"2h\"\n", Some(23)),
        ("delete_recording_after = \"60d\"\n", Some(1439)),
        ("", None),
    ];
    let daemon = house.start();
    for (keys, hours) in rows {
        house.configure_all("", keys, "");
        daemon.signal(rustix::process::Signal::HUP);
        let left = || {
            let at = retention(&house, "talk.mp3")["delete_at"].clone();
            let at: jiff::Timestamp = at.as_str()?.parse().expect("a time");
            Some(at.duration_since(minuted::testing::clock::now()).as_hours())
        };
        until(keys, || (left() == hours).then_some(()));
    }
    assert!(house.path("talk.mp3").exists());
}

#[test]
fn a_recording_that_is_done_again_belongs_to_the_newer_job() {
    let house = house(MONTH);
    finish(&house, "talk.mp3");
    let daemon = house.start();
    let id = house.job("talk.mp3")["id"].to_string();
    assert!(house.run(&["redo", &id]).status.success());
    until("it is made again", || house.path("talk.notes.2.md").exists().then_some(()));
    house.wait_for("talk.mp3", "done");
    assert!(daemon.stop().success());
    // The time of the first is over, that of the second is not.
    let queue = rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("opened");
    let sql =
        "UPDATE retention SET since_ms = 1, due_ms = 1 WHERE job_id = (SELECT min(id) FROM job)";
    assert_eq!(queue.execute(sql, []).expect("set"), 1);
    drop(queue);
    let _daemon = house.start();
    until("it is looked at", || house.json(&["job", &id])["retention"].is_null().then_some(()));
    assert!(house.path("talk.mp3").exists());
}

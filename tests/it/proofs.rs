//! Notes as proof that a recording was done: in the folder they lie in, of a number that may be minuted's, and of nothing else.

use std::{fs, path::Path};

use crate::support::house::{House, recording, until};

/// Returns a second folder's table, and makes its directory.
fn board(house: &House) -> String {
    let dir = house.dir.path().join("board");
    fs::create_dir_all(&dir).expect("made");
    format!(
        "[[folder]]\nname = \"board\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]",
        dir.display()
    )
}

fn content(bytes: &[u8]) -> String {
    format!("b3-{}", &blake3::hash(bytes).to_hex().as_str()[..32])
}

fn plant(dir: &Path, name: &str, key: &str) {
    fs::write(dir.join(name), format!("---\ntitle: \"x\"\nminuted: {key}\n---\n# x\n"))
        .expect("planted");
}

#[test]
fn notes_in_one_folder_prove_nothing_about_another() {
    let house = House::new();
    house.configure_all("", "", &board(&house));
    let board = house.dir.path().join("board");
    let bytes = recording("talk.wav");
    plant(&house.folder(), "planted.md", &format!("{}.board.1", content(&bytes)));
    plant(&house.folder(), "planted2.md", &format!("{}.board.4294967295", content(&bytes)));
    let _daemon = house.start();
    fs::write(board.join("talk.wav"), &bytes).expect("written");
    until("it has its notes", || board.join("talk.notes.md").exists().then_some(()));
    let job = until("it is done", || house.jobs().into_iter().find(|job| job["state"] == "done"));
    assert_eq!(
        (house.jobs().len(), &job["key"]),
        (1, &format!("{}.board.1", content(&bytes)).into())
    );
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

#[test]
fn notes_in_the_folder_of_their_key_prove_that_it_is_done() {
    let house = House::new();
    let bytes = recording("talk.wav");
    let key = format!("{}.sales.1", content(&bytes));
    plant(&house.folder(), "old.md", &key);
    let _daemon = house.start();
    fs::write(house.path("talk.wav"), &bytes).expect("written");
    assert_eq!(house.wait_for("talk.wav", "done")["key"], key);
    assert_eq!(house.standin.snapshot().meetings.len(), 0);
}

#[test]
fn a_planted_number_uses_up_no_generation() {
    let house = House::new();
    let bytes = recording("talk.wav");
    let key = |generation: u32| format!("{}.sales.{generation}", content(&bytes));
    // As proof of a new queue, and beside the recording.
    plant(&house.folder(), "planted.md", &key(u32::MAX));
    plant(&house.folder(), "talk.notes.2.md", &format!("b3-{}.sales.4294967295", "0".repeat(32)));
    let _daemon = house.start();
    fs::write(house.path("talk.wav"), &bytes).expect("written");
    assert_eq!(house.wait_for("talk.wav", "done")["key"], key(1));
    for generation in [2, 3] {
        let path = house.path("talk.wav");
        let output = house.run(&["redo", path.to_str().expect("UTF-8")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        until("it is redone", || {
            house
                .jobs()
                .into_iter()
                .find(|job| job["key"] == key(generation) && job["state"] == "done")
        });
    }
}

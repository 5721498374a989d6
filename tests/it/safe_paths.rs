//! Files in directories where others write: no link is followed, no FIFO waited for, nothing shown that a terminal obeys.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use minuted::testing::config::read_secret;
use rustix::fs::{CWD, Mode, mkfifoat};

use crate::{
    hostile::assert_clean,
    support::house::{House, until},
};

fn mkfifo(path: &Path) {
    mkfifoat(CWD, path, Mode::from_raw_mode(0o600)).expect("a FIFO");
}

#[test]
fn add_prints_the_notes_of_its_job_and_nothing_that_lies_in_their_place() {
    let house = House::new();
    let _daemon = house.start();
    let recording = house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    let notes = house.path("talk.notes.md");
    let text = until("its notes are there", || fs::read_to_string(&notes).ok());
    let add = |code: i32| {
        let output =
            house.run(&["add", recording.to_str().expect("UTF-8"), "--folder", "sales", "--wait"]);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert_clean("what add prints", &output.stdout);
        assert_clean("what add says", &output.stderr);
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
        )
    };
    assert!(add(0).0.contains("minuted: b3-"));

    fs::write(&notes, text.replace("# ", "# \u{1b}]0;x\u{7}\u{1b}[2J\u{202e}")).expect("written");
    assert!(add(0).0.contains("\\u{1b}]0;x"));

    let secret = house.state_dir().join("tokens-paxs.json");
    let outside = house.dir.path().join("outside.md");
    fs::write(&outside, &text).expect("written");
    let traps: [(&str, &dyn Fn()); 5] = [
        ("a link to the tokens", &|| symlink(&secret, &notes).expect("a link")),
        ("a second name of the tokens", &|| fs::hard_link(&secret, &notes).expect("a second name")),
        ("a link to other notes", &|| symlink(&outside, &notes).expect("a link")),
        ("a FIFO", &|| mkfifo(&notes)),
        ("another text", &|| fs::write(&notes, "Your session expired. Run: …").expect("written")),
    ];
    for (what, trap) in traps {
        fs::remove_file(&notes).expect("removed");
        trap();
        let (printed, said) = add(0);
        assert!(said.contains("the notes cannot be read from here"), "{what}: {said}");
        for part in ["access", "refresh", "minuted: b3-", "expired"] {
            assert!(!printed.contains(part), "{what}: {printed}");
        }
    }
    assert_eq!(job["state"], "done");
}

#[test]
fn a_backup_waits_for_no_fifo_and_is_written_through_no_link() {
    let house = House::new();
    house.start().stop();
    let dir = house.dir.path().join("copies");
    fs::create_dir(&dir).expect("made");
    mkfifo(&dir.join(".minuted-backup-abcdef"));
    symlink(house.state_dir().join("lock"), dir.join(".minuted-backup-ghijkl")).expect("a link");
    let link = house.dir.path().join("link");
    symlink(&dir, &link).expect("a link of one's own");
    for target in [dir.join("one.sqlite"), link.join("two.sqlite")] {
        let output = house.run(&["backup", target.to_str().expect("UTF-8")]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(fs::metadata(&target).expect("there").len() > 0);
    }
}

#[test]
fn a_secret_is_a_regular_file_and_a_link_to_one_where_nobody_else_writes() {
    let dir = tempfile::tempdir().expect("a directory");
    let (key, link, fifo) =
        (dir.path().join("key"), dir.path().join("link"), dir.path().join("fifo"));
    fs::write(&key, "secret\n").expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("set");
    symlink(&key, &link).expect("a link");
    mkfifo(&fifo);
    let mode =
        |mode| fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).expect("set");
    mode(0o755);
    assert!(read_secret(&key).is_ok() && read_secret(&link).is_ok());
    assert!(read_secret(&fifo).is_err());
    mode(0o777);
    assert!(read_secret(&key).is_ok() && read_secret(&link).is_err());
}

//! Disks that are full, folders that come and go, mounts that are not there: nothing is lost, nothing half-written, and
//! it heals without a restart.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::support::{
    budget::budget,
    house::{Daemon, House, may_mount, recording, until, until_told},
    paxs::Call,
    rows::each,
};

/// One page of a tmpfs: what it gives out at a time.
const PAGE: u64 = 4096;

/// The state directory on a small disk of its own; the sign-in goes with it.
const SMALL_STATE: &str =
    r#"cp -a "$2" "$2.old"; mount -t tmpfs -o size=8m,mode=0700 none "$2"; cp -a "$2.old/." "$2""#;

/// Fills the disk of `dir` but for so many pages.
fn fill(dir: &Path, pages_left: u64) -> PathBuf {
    let filler = dir.join("filler");
    let mut file = fs::File::create(&filler).expect("made");
    let page = [0x5a; 4096];
    while file.write_all(&page).is_ok() {}
    let length = file.metadata().expect("asked").len() / PAGE * PAGE;
    file.set_len(length.saturating_sub(pages_left * PAGE)).expect("cut");
    filler
}

/// The points at which the disk of the queue becomes full.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Point {
    Idle,
    Settling,
    Created,
    Sending,
    Analysing,
}

/// Brings a recording to a point of its way and keeps it there.
fn bring(house: &House, point: Point) {
    use crate::support::paxs::Fault;
    match point {
        Point::Idle | Point::Settling => {}
        Point::Created => house.standin.fail_always(Call::Upload, Fault::Status(503)),
        Point::Sending => {
            house.standin.fail_next(Call::Upload, Fault::Slow { bytes_per_second: 1 << 20 });
        }
        Point::Analysing => house.standin.stall_analysis(true),
    }
    if point == Point::Idle {
        return;
    }
    let mut bytes = recording("talk.mp3");
    bytes.resize(2 << 20, 0);
    fs::write(house.seen(&house.path("talk.mp3")), bytes).expect("written");
    let count = |call| house.standin.snapshot().count(call);
    until("it is there", || match point {
        Point::Idle => Some(()),
        // It may have settled by now, on a slow machine.
        Point::Settling => (house.why("talk.mp3").contains("settling")
            || house.state("talk.mp3").is_some())
        .then_some(()),
        Point::Created => (count(Call::Upload) > 0).then_some(()),
        Point::Sending => (house.standin.running(Call::Upload) == 1).then_some(()),
        Point::Analysing => (house.state("talk.mp3")? == "waiting").then_some(()),
    });
}

#[test]
fn a_full_disk_of_the_queue_at_any_point_stops_new_work_and_goes_on_without_a_restart() {
    if !may_mount() {
        return;
    }
    let points = [Point::Idle, Point::Settling, Point::Created, Point::Sending, Point::Analysing];
    let pages = || (0..u64::from(budget(2))).map(|n| n * 2);
    each(
        points.into_iter().flat_map(|point| pages().map(move |pages| (point, pages))),
        |(point, pages)| {
            let house = House::new();
            house.within(SMALL_STATE);
            if point == Point::Settling {
                house.configure("settle = \"1s\"");
            }
            let daemon = house.start();
            bring(&house, point);
            let state = house.seen(&house.state_dir());
            let filler = fill(&state, pages);
            house.standin.stall_analysis(false);
            house.standin.clear_faults();
            // Each recording needs the queue: at last one of them finds no room.
            let mut dropped = 0;
            until_told(
                || format!("there is no room; the log:\n{}", house.log()),
                || {
                    if dropped < 60 {
                        house.drop_recording(&format!("more {dropped}.mp3"));
                        dropped += 1;
                    }
                    (house.status()["disk_full"] == true).then_some(())
                },
            );
            fs::remove_file(filler).expect("removed");
            let wanted = dropped + usize::from(point != Point::Idle);
            until_told(|| house.log(), || (house.count("done") == wanted).then_some(()));
            assert_once(&house, wanted);
            assert_eq!(daemon.stop().code(), Some(0), "{}", house.log());
            let left: Vec<_> = fs::read_dir(&state)
                .expect("listed")
                .flatten()
                .map(|entry| entry.file_name())
                .collect();
            assert!(!left.iter().any(|name| name.to_string_lossy().contains(".tmp")), "{left:?}");
        },
    );
}

/// So many meetings, each with one upload, so many notes, and no temporary file.
fn assert_once(house: &House, wanted: usize) {
    let meetings = house.standin.snapshot().meetings;
    assert!(meetings.iter().all(|meeting| meeting.uploads == 1), "{meetings:?}");
    assert_eq!(meetings.len(), wanted);
    let files = house.files();
    assert_eq!(files.len(), 2 * wanted, "{files:?}");
    for notes in files.iter().filter(|name| name.contains(".notes")) {
        let text = fs::read_to_string(house.seen(&house.path(notes))).expect("read");
        assert!(
            text.starts_with("---\n") && text.contains("# ") && text.contains("minuted: b3-"),
            "{text}"
        );
    }
    assert!(house.jobs().iter().all(|job| job["attempts"] == 0), "{:?}", house.jobs());
}

#[test]
fn a_disk_of_the_queue_that_is_full_at_the_start_is_told_with_the_cure_and_nothing_is_made_of_it() {
    if !may_mount() {
        return;
    }
    each(0..u64::from(budget(8)), |pages| {
        let house = House::new();
        house.within(SMALL_STATE);
        house.drop_recording("talk.mp3");
        let filler = fill(&house.seen(&house.state_dir()), pages * 2);
        let mut daemon = house.spawn(&[]);
        let code = until_told(
            || house.log(),
            || {
                let listens = house.seen(&house.state_dir()).join("control.sock").exists();
                daemon.ended().map(|status| status.code()).or_else(|| listens.then_some(None))
            },
        );
        if code.is_some() {
            let told = house.log();
            assert!(code == Some(1) && told.contains("hint: make room"), "{told}");
            assert!(!told.contains("damaged"), "{told}");
            fs::remove_file(&filler).expect("removed");
            daemon = house.start();
        } else {
            fs::remove_file(&filler).expect("removed");
        }
        house.wait_for("talk.mp3", "done");
        assert_once(&house, 1);
        drop(daemon);
    });
}

#[test]
fn notes_find_no_room_to_the_byte_and_are_whole_once_there_is_some() {
    if !may_mount() {
        return;
    }
    // The kernel gives out no bytes of a page: a limit on the size of a file cuts between any two of them.
    let sizes = [1, 100, 511, 512, 1024];
    each(sizes, |bytes| {
        let house = House::new();
        let notes = house.dir.path().join("notes");
        fs::create_dir(&notes).expect("made");
        house.configure(&format!(
            "notes_dir = \"{}\"\nformats = [\"md\", \"txt\", \"json\"]",
            notes.display()
        ));
        house.within(&format!("mount -t tmpfs -o size=16k none '{}'", notes.display()));
        let daemon = house.start();
        let notes = house.seen(&notes);
        let filler = fill(&notes, 0);
        house.drop_recording(&format!("{}.mp3", "x".repeat(bytes % 100 + 1)));
        until_told(|| house.log(), || house.log().contains("no room for the notes").then_some(()));
        assert_eq!(fs::read_dir(&notes).expect("listed").count(), 1, "nothing half-written");
        // One page at a time: each file finds its own end of the room.
        for pages in (1..4).rev() {
            fs::File::options()
                .write(true)
                .open(&filler)
                .and_then(|file| file.set_len(pages * PAGE))
                .expect("cut");
            assert!(house.run(&["retry", "1"]).status.success() || house.count("done") == 1);
        }
        fs::remove_file(&filler).expect("removed");
        drop(house.run(&["retry", "1"]));
        until_told(|| house.log(), || (house.count("done") == 1).then_some(()));
        let names: Vec<_> = fs::read_dir(&notes)
            .expect("listed")
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert!(names.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{names:?}");
        drop(daemon);
    });
}

#[test]
fn a_cancelled_delivery_to_a_full_disk_lets_other_work_go_on() {
    if !may_mount() {
        return;
    }
    let house = House::new();
    let notes = house.dir.path().join("notes");
    fs::create_dir(&notes).expect("made");
    house.configure(&format!("notes_dir = \"{}\"", notes.display()));
    house.within(&format!("mount -t tmpfs -o size=16k none '{}'", notes.display()));
    let _daemon = house.start();
    let filler = fill(&house.seen(&notes), 0);
    house.drop_recording("talk.mp3");
    until_told(|| house.log(), || (house.jobs().first()?["waits_for"] == "disk").then_some(()));
    assert!(house.run(&["cancel", "1"]).status.success());
    fs::remove_file(filler).expect("removed");
    house.drop_recording("other.mp3");
    house.wait_for("other.mp3", "done");
}

fn trouble(house: &House) -> Option<String> {
    let trouble = house.status()["folders"][0]["trouble"].as_str().map(str::to_owned);
    // A machine on which others have taken the last watches is no trouble of the folder.
    trouble.filter(|trouble| !trouble.contains("polled"))
}

/// A second folder, `calls`, in which work goes on whatever becomes of the first.
fn second_folder(house: &House) -> PathBuf {
    let path = house.dir.path().join("calls");
    fs::create_dir_all(&path).expect("made");
    house.configure_all(
        "",
        "",
        &format!(
            "[[folder]]\nname = \"calls\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
             backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]",
            path.display()
        ),
    );
    path
}

/// What takes the folder away, and what brings it back; `$1` is the folder.
const ABSENCES: [(&str, &str, &str); 5] = [
    ("unmounted", r#"umount "$1""#, r#"mount --bind "$1.disk" "$1""#),
    (
        "not quite empty",
        r#"umount "$1"; touch "$1/.keep"; mkdir "$1/lost+found""#,
        r#"mount --bind "$1.disk" "$1""#,
    ),
    (
        "moved",
        r#"mount --move "$1" "$1.disk"; rmdir "$1""#,
        r#"mkdir "$1"; mount --bind "$1.disk" "$1""#,
    ),
    ("hidden", r#"mount -t tmpfs none "$1""#, r#"umount "$1""#),
    ("detached", r#"umount -l "$1""#, r#"mount --bind "$1.disk" "$1""#),
];

#[test]
fn a_mounted_folder_that_goes_and_comes_back_holds_its_own_jobs_alone_and_loses_none() {
    if !may_mount() {
        return;
    }
    each(ABSENCES, |(what, go, come)| {
        let house = House::new();
        let calls = second_folder(&house);
        house.within(
            r#"mkdir "$1.disk"; mount -t tmpfs none "$1.disk"; mount --bind "$1.disk" "$1""#,
        );
        let _daemon = house.start();
        house.drop_recording("done.mp3");
        house.wait_for("done.mp3", "done");
        house.standin.stall_analysis(true);
        house.drop_recording("begun.mp3");
        house.wait_until_waits("begun.mp3", "analysis");
        house.shell(go);
        until_told(|| format!("{what}: {}", house.log()), || trouble(&house));
        house.standin.stall_analysis(false);
        fs::write(house.seen(&calls.join("call.mp3")), recording("call.mp3")).expect("written");
        until_told(
            || house.log(),
            || house.seen(&calls.join("call.notes.md")).exists().then_some(()),
        );
        until_told(
            || house.log(),
            || {
                let waits = job_of(&house, "begun.mp3");
                (waits["deliveries"][0]["attempts"].as_u64() > Some(0)
                    && waits["waits_for"] == "folder")
                    .then_some(())
            },
        );
        house.shell(come);
        for name in ["begun.mp3", "done.mp3"] {
            house.wait_for(name, "done");
        }
        until("it is well", || trouble(&house).is_none().then_some(()));
        assert_eq!(
            house.files(),
            ["begun.mp3", "begun.notes.md", "done.mp3", "done.notes.md"],
            "{what}"
        );
        assert_eq!(house.standin.snapshot().meetings.len(), 3, "{what}");
        // A directory that goes with its mount was empty first, and is so again when it comes back: three troubles. What lies
        // in a mount point may come a moment after the mount has gone: two.
        let most = match what {
            "moved" => 3,
            "not quite empty" => 2,
            _ => 1,
        };
        assert!((1..=most).contains(&house.notices("folder `sales`")), "{what}: told once");
        assert_eq!(house.jobs().len(), 3, "{what}: none is gone");
    });
}

fn job_of(house: &House, name: &str) -> Value {
    let jobs = house.jobs();
    jobs.into_iter()
        .find(|job| job["path"].as_str().is_some_and(|path| path.ends_with(name)))
        .expect("a job")
}

#[test]
fn a_mount_inside_the_folder_that_goes_away_takes_nothing_with_it_not_even_over_a_restart() {
    if !may_mount() {
        return;
    }
    each([r#"umount "$1/disk""#, r#"umount "$1/disk"; rmdir "$1/disk""#], |go| {
        let house = House::new();
        house.within(
            r#"mkdir "$1/disk" "$1.disk"; mount -t tmpfs none "$1.disk"; mkdir "$1.disk/sub"; mount --bind "$1.disk" "$1/disk""#,
        );
        let daemon = house.start();
        house.drop_recording("disk/sub/done.mp3");
        house.wait_for("disk/sub/done.mp3", "done");
        assert!(house.run(&["pause", "sales"]).status.success());
        house.drop_recording("disk/sub/begun.mp3");
        house.wait_for("disk/sub/begun.mp3", "waiting");
        house.shell(go);
        until_told(
            || house.log(),
            || house.log().contains("nothing is mounted there any more").then_some(()),
        );
        assert!(house.run(&["resume", "sales"]).status.success());
        until_told(
            || house.log(),
            || (job_of(&house, "begun.mp3")["waits_for"] == "file").then_some(()),
        );
        house.drop_recording("other.mp3");
        house.wait_for("other.mp3", "done");
        // More than an hour of the clock: what is gone for so long is given up, and this is not gone.
        assert_eq!(daemon.stop().code(), Some(0));
        let _daemon = house.start();
        house.scan();
        house.scan();
        assert_eq!(sightings(&house), 3, "{}", house.log());
        house.shell(r#"mkdir -p "$1/disk"; mount --bind "$1.disk" "$1/disk""#);
        house.wait_for("disk/sub/begun.mp3", "done");
        house.wait_for("disk/sub/done.mp3", "done");
        assert_eq!((house.jobs().len(), house.standin.snapshot().meetings.len()), (3, 3));
    });
}

/// How many files the queue knows.
fn sightings(house: &House) -> i64 {
    let queue = house.seen(&house.state_dir()).join("queue.sqlite");
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let queue = rusqlite::Connection::open_with_flags(queue, flags).expect("a queue");
    queue
        .query_row("SELECT count(*) FROM sighting WHERE verdict = 'taken'", [], |row| row.get(0))
        .expect("a count")
}

#[test]
fn a_directory_where_something_was_mounted_is_one_like_any_other_once_something_lies_in_it() {
    if !may_mount() {
        return;
    }
    let house = House::new();
    house.within(r#"mkdir "$1/disk"; mount -t tmpfs none "$1/disk""#);
    let _daemon = house.start();
    house.drop_recording("disk/talk.mp3");
    house.wait_for("disk/talk.mp3", "done");
    house.shell(r#"umount "$1/disk""#);
    until_told(
        || house.log(),
        || house.log().contains("nothing is mounted there any more").then_some(()),
    );
    house.drop_recording("disk/new.mp3");
    house.wait_for("disk/new.mp3", "done");
    until_told(|| house.log(), || (sightings(&house) == 1).then_some(()));
}

#[test]
fn an_empty_mount_point_in_place_of_the_folder_gets_no_notes_and_empties_nothing() {
    if !may_mount() {
        return;
    }
    let house = House::new();
    // So seldom that only the delivery itself can notice.
    house.configure("rescan = \"1h\"\nwatch = \"poll\"");
    house.within(r#"mkdir "$1.disk"; mount -t tmpfs none "$1.disk"; mount --bind "$1.disk" "$1""#);
    let _daemon = house.start();
    house.standin.stall_analysis(true);
    house.drop_recording("talk.mp3");
    house.scan();
    house.wait_until_waits("talk.mp3", "analysis");
    house.shell(r#"umount "$1""#);
    house.standin.stall_analysis(false);
    until_told(
        || house.log(),
        || {
            (job_of(&house, "talk.mp3")["deliveries"][0]["attempts"].as_u64() > Some(0))
                .then_some(())
        },
    );
    assert_eq!(house.files(), [""; 0], "nothing is written where it would be hidden");
    house.shell(r#"mount --bind "$1.disk" "$1""#);
    house.wait_for("talk.mp3", "done");
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.md"]);
}

#[test]
fn a_folder_that_is_replaced_by_another_directory_is_followed_and_what_it_held_waits() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("done.mp3");
    house.wait_for("done.mp3", "done");
    let old = house.dir.path().join("old");
    fs::rename(house.folder(), &old).expect("moved");
    fs::create_dir(house.folder()).expect("made");
    house.drop_recording("new.mp3");
    house.wait_for("new.mp3", "done");
    fs::rename(house.folder(), house.dir.path().join("newer")).expect("moved");
    fs::rename(&old, house.folder()).expect("moved back");
    house.drop_recording("last.mp3");
    house.wait_for("last.mp3", "done");
    house.wait_for("done.mp3", "done");
    assert_eq!(house.standin.snapshot().meetings.len(), 3);
    assert_eq!(house.files(), ["done.mp3", "done.notes.md", "last.mp3", "last.notes.md"]);
}

fn allow(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
}

/// Whether another user may run what is tested here; says so when not.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
fn may_be_nobody() -> bool {
    if !rustix::process::geteuid().is_root() {
        return true;
    }
    let tried = Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            env!("CARGO_BIN_EXE_minuted"),
            "--version",
        ])
        .output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: another user cannot run the binary that is tested");
    }
    may
}

/// A drop into the folder of another user: readable for all.
fn give(house: &House, name: &str) -> PathBuf {
    let path = house.drop_recording(name);
    allow(&path, 0o644);
    path
}

#[test]
fn a_folder_whose_permissions_go_and_come_back_is_told_once_and_heals() {
    if !may_be_nobody() {
        return;
    }
    each([0o000, 0o444, 0o111], |mode| {
        let house = House::new();
        house.without_privileges();
        let daemon: Daemon = house.start();
        give(&house, "done.mp3");
        house.wait_for("done.mp3", "done");
        house.standin.stall_analysis(true);
        give(&house, "begun.mp3");
        house.wait_until_waits("begun.mp3", "analysis");
        allow(&house.folder(), mode);
        until_told(
            || house.log(),
            || (trouble(&house).is_some() || house.log().contains("cannot read")).then_some(()),
        );
        house.standin.stall_analysis(false);
        until_told(
            || house.log(),
            || {
                (job_of(&house, "begun.mp3")["deliveries"][0]["attempts"].as_u64() > Some(0))
                    .then_some(())
            },
        );
        allow(&house.folder(), 0o755);
        house.wait_for("begun.mp3", "done");
        house.wait_for("done.mp3", "done");
        until_told(|| house.log(), || trouble(&house).is_none().then_some(()));
        assert_eq!(house.files(), ["begun.mp3", "begun.notes.md", "done.mp3", "done.notes.md"]);
        assert_eq!(house.standin.snapshot().meetings.len(), 2);
        drop(daemon);
    });
}

#[test]
fn a_folder_that_may_only_be_read_keeps_its_notes_until_it_may_be_written() {
    if !may_be_nobody() {
        return;
    }
    let house = House::new();
    house.without_privileges();
    give(&house, "talk.mp3");
    allow(&house.folder(), 0o555);
    let _daemon = house.start();
    until_told(
        || house.log(),
        || (house.state("talk.mp3")? == "waiting" && trouble(&house).is_some()).then_some(()),
    );
    assert!(trouble(&house).expect("told").contains("setfacl"), "{:?}", trouble(&house));
    assert_eq!(house.files(), ["talk.mp3"]);
    allow(&house.folder(), 0o755);
    // Permissions show in no event: it is tried again in half a minute, or at once when it is asked for.
    drop(house.run(&["retry", "1"]));
    house.wait_for("talk.mp3", "done");
    assert_eq!(house.files(), ["talk.mp3", "talk.notes.md"]);
}

#[test]
fn a_limit_on_the_size_of_files_ends_in_words_and_not_in_a_signal() {
    let house = House::new();
    let mut daemon = house.spawn_by(&["prlimit", "--fsize=65536"]);
    house.drop_recording("talk.mp3");
    let status = until_told(|| house.log(), || daemon.ended());
    assert_eq!(status.code(), Some(1), "{status:?}: {}", house.log());
    let _daemon = house.start();
    house.wait_for("talk.mp3", "done");
    assert_once(&house, 1);
}

//! The file of the queue on bad days: broken, locked, removed while it is used, copied, put back.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::support::{
    budget::budget,
    house::{Daemon, House, recording, until, until_told},
    paxs::{Call, Fault},
    rows::each,
};

fn queue(house: &House) -> PathBuf {
    house.state_dir().join("queue.sqlite")
}

fn log_of(house: &House) -> PathBuf {
    house.state_dir().join("queue.sqlite-wal")
}

/// Removes the queue's files; the sign-in stays.
fn remove_queue(house: &House) {
    for name in ["queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm"] {
        let path = house.state_dir().join(name);
        if path.is_dir() {
            fs::remove_dir(path).expect("removed");
        } else if path.exists() {
            fs::remove_file(path).expect("removed");
        }
    }
}

/// A house with one recording that is done and nothing running.
fn done(name: &str) -> House {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording(name);
    house.wait_for(name, "done");
    assert_eq!(daemon.stop().code(), Some(0));
    house
}

/// Everything was done once: so many meetings, each with one upload, and one set of notes each.
fn all_once(house: &House, meetings: usize) {
    let made = house.standin.snapshot().meetings;
    let uploads: Vec<u32> = made.iter().map(|meeting| meeting.uploads).collect();
    assert_eq!(uploads, vec![1; meetings], "{}", house.log());
    assert_eq!(house.files().len(), 2 * meetings, "{:?}", house.files());
}

/// Waits until a daemon has ended by itself, and returns its code.
fn ended(house: &House, daemon: &mut Daemon) -> Option<i32> {
    until_told(|| format!("it ends by itself; the log:\n{}", house.log()), || daemon.ended()).code()
}

#[test]
fn a_queue_of_any_broken_length_or_kind_is_refused_with_the_cure_and_left_as_it_is() {
    let house = done("talk.mp3");
    let sound = fs::read(queue(&house)).expect("read");
    let foreign = house.dir.path().join("foreign");
    rusqlite::Connection::open(&foreign)
        .and_then(|db| db.execute_batch("CREATE TABLE a (b)"))
        .expect("made");
    let cut = |length: usize| sound[..length].to_vec();
    let rows = [
        (cut(1), "minuted backup"),
        (cut(99), "minuted backup"),
        (cut(100), "minuted backup"),
        (cut(4095), "minuted backup"),
        (cut(4096), "minuted backup"),
        (cut(4097), "minuted backup"),
        (cut(sound.len() / 2), "minuted backup"),
        (cut(sound.len() - 1), "minuted backup"),
        (b"not a database, and longer than a hundred bytes".repeat(99), "minuted backup"),
        (vec![0; 8192], "minuted backup"),
        (fs::read(&foreign).expect("read"), "not a queue of minuted"),
    ];
    for (bytes, cure) in rows {
        remove_queue(&house);
        fs::write(queue(&house), &bytes).expect("written");
        let output = house.run(&["run"]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{} bytes: {told}", bytes.len());
        assert!(told.contains(cure) && told.contains("hint: "), "{} bytes: {told}", bytes.len());
        assert_eq!(fs::read(queue(&house)).expect("read"), bytes, "it is left as it is");
    }
    remove_queue(&house);
    fs::create_dir(queue(&house)).expect("made");
    let output = house.run(&["run"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("hint: "), "{told}");
    remove_queue(&house);
    fs::write(queue(&house), "").expect("written");
    let _daemon = house.start();
    house.wait_for("talk.mp3", "done");
    all_once(&house, 1);
}

#[test]
fn a_write_ahead_log_that_is_cut_or_overwritten_after_a_crash_does_nothing_twice() {
    let shares = [0, 1, 30, 50, 99];
    each(
        shares.into_iter().flat_map(|share| [(share, false), (share, true)]),
        |(share, is_garbage)| {
            let house = House::new();
            let daemon = house.start();
            house.drop_recording("talk.mp3");
            house.wait_for("talk.mp3", "done");
            daemon.kill();
            let mut bytes = fs::read(log_of(&house)).expect("read");
            let kept = bytes.len() * share / 100;
            if is_garbage {
                bytes[kept..].fill(0xa5);
            } else {
                bytes.truncate(kept);
            }
            fs::write(log_of(&house), bytes).expect("written");
            let _daemon = house.start();
            house.wait_for("talk.mp3", "done");
            all_once(&house, 1);
        },
    );
}

#[test]
fn a_queue_that_another_program_locks_is_waited_for_and_refused_at_the_start_with_the_cure() {
    let house = House::new();
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let other = rusqlite::Connection::open(queue(&house)).expect("opened");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    house.drop_recording("late.mp3");
    until_told(
        || house.log(),
        || house.log().contains("another program holds the queue's file locked").then_some(()),
    );
    assert_eq!(house.status()["daemon"], true, "questions are answered all the while");
    other.execute_batch("ROLLBACK").expect("released");
    house.wait_for("late.mp3", "done");
    assert_eq!(house.logged("ERROR", "locked"), 1, "told once: {}", house.log());
    assert_eq!(daemon.stop().code(), Some(0));
    let other = rusqlite::Connection::open(queue(&house)).expect("opened");
    other.execute_batch("BEGIN EXCLUSIVE").expect("locked");
    let output = house.run(&["run"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("hint: close that program"), "{told}");
    drop(other);
    let _daemon = house.start();
    house.wait_for("late.mp3", "done");
    all_once(&house, 2);
}

/// What happens to the files of a queue in use.
#[derive(Debug, Clone, Copy)]
enum Loss {
    All,
    File,
    Log,
    Replaced,
    StateDirectory,
}

#[test]
fn a_queue_that_is_removed_while_it_is_used_ends_minuted_and_the_next_start_does_nothing_twice() {
    each([Loss::All, Loss::File, Loss::Log, Loss::Replaced, Loss::StateDirectory], |loss| {
        let house = House::new();
        let mut daemon = house.start();
        house.drop_recording("done.mp3");
        house.wait_for("done.mp3", "done");
        house.standin.stall_analysis(true);
        house.drop_recording("begun.mp3");
        until("it is uploaded", || (house.state("begun.mp3")? == "waiting").then_some(()));
        let aside = house.dir.path().join("aside");
        match loss {
            Loss::All => remove_queue(&house),
            Loss::File => fs::remove_file(queue(&house)).expect("removed"),
            Loss::Log => fs::remove_file(log_of(&house)).expect("removed"),
            Loss::Replaced => {
                assert!(house.run(&["backup", aside.to_str().expect("UTF-8")]).status.success());
                fs::rename(&aside, queue(&house)).expect("replaced");
            }
            Loss::StateDirectory => fs::rename(house.state_dir(), &aside).expect("moved"),
        }
        house.drop_recording("late.mp3");
        assert_eq!(ended(&house, &mut daemon), Some(1), "{}", house.log());
        assert!(
            house.log().contains("was removed or replaced while it was in use"),
            "{}",
            house.log()
        );
        match loss {
            // What the log held is gone; the file without it is as good as none.
            Loss::All | Loss::Log => remove_queue(&house),
            Loss::File => drop(fs::remove_file(log_of(&house))),
            Loss::Replaced => {
                let log = [log_of(&house), house.state_dir().join("queue.sqlite-shm")];
                for path in log {
                    drop(fs::remove_file(path));
                }
            }
            Loss::StateDirectory => {
                if house.state_dir().exists() {
                    fs::remove_dir_all(house.state_dir()).expect("removed");
                }
                fs::rename(&aside, house.state_dir()).expect("put back");
            }
        }
        house.standin.stall_analysis(false);
        let _daemon = house.start();
        for name in ["done.mp3", "begun.mp3", "late.mp3"] {
            house.wait_for(name, "done");
        }
        all_once(&house, 3);
    });
}

#[test]
fn every_copy_made_in_a_burst_is_whole_and_a_start_from_it_does_nothing_twice() {
    let burst = budget(24) as usize;
    let house = House::new();
    house.configure_fast("", "", 4);
    let daemon = house.start();
    for n in 0..burst {
        house.drop_recording(&format!("{n}.mp3"));
    }
    let mut copies = Vec::new();
    until("all is done", || {
        let copy = house.dir.path().join(format!("copy {}", copies.len()));
        let output = house.run(&["backup", copy.to_str().expect("UTF-8")]);
        assert!(output.status.success(), "{output:?}");
        copies.push(copy);
        (house.count("done") == burst).then_some(())
    });
    assert_eq!(daemon.stop().code(), Some(0));
    for copy in &copies {
        is_whole(copy);
    }
    let picked = copies.iter().step_by((copies.len() / 4).max(1));
    for copy in picked {
        remove_queue(&house);
        fs::copy(copy, queue(&house)).expect("restored");
        let daemon = house.start();
        until_told(|| house.log(), || (house.count("done") == burst).then_some(()));
        house.scan();
        assert_eq!(daemon.stop().code(), Some(0));
        all_once(&house, burst);
    }
    assert_eq!(house.standin.snapshot().count(Call::Upload), burst as u64);
}

fn is_whole(copy: &Path) {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let opened = rusqlite::Connection::open_with_flags(copy, flags).expect("opened");
    let verdict: String =
        opened.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("asked");
    assert_eq!(verdict, "ok");
    let mut log = copy.as_os_str().to_owned();
    log.push("-wal");
    assert!(!Path::new(&log).exists(), "a copy is one file");
}

#[test]
fn a_copy_that_has_no_room_is_refused_and_the_queue_goes_on() {
    let house = done("talk.mp3");
    let _daemon = house.start();
    let output = house.run(&["backup", "/dev/full/copy"]);
    assert_eq!(output.status.code(), Some(1));
    let output = house.run(&["backup", "/proc/copy"]);
    assert_eq!(output.status.code(), Some(1));
    house.drop_recording("late.mp3");
    house.wait_for("late.mp3", "done");
}

/// Whether `strace` may be used here; says so when not.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
fn may_trace() -> bool {
    let tried = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stderr(Stdio::null())
        .status();
    let may = tried.is_ok_and(|status| status.success());
    if !may {
        eprintln!("skipped: failing calls of the kernel needs strace and the right to trace");
    }
    may
}

/// Starts a daemon of which the kernel fails calls on the queue's files, as strace's `inject=` says.
fn failing(house: &House, inject: &str) -> Daemon {
    let mut strace =
        vec!["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", "/dev/null", "-e", inject];
    let trial = PathBuf::from(format!("{}-trial", queue(house).display()));
    let files =
        [queue(house), log_of(house), trial].map(|path| path.to_str().expect("UTF-8").to_owned());
    for file in &files {
        strace.extend(["-P", file]);
    }
    house.spawn_by(&strace)
}

#[test]
fn a_failed_sync_or_read_of_the_queue_ends_minuted_and_the_next_start_goes_on() {
    if !may_trace() {
        return;
    }
    let faults = ["fsync:error=EIO", "pwrite64:error=EIO", "fsync:error=ENOSPC"];
    let rows = faults.into_iter().flat_map(|fault| (1..=budget(3)).map(move |n| (fault, n)));
    each(rows, |(fault, n)| {
        // A queue that is there already: what fails is the work, not its making.
        let house = done("talk.mp3");
        let mut daemon = failing(&house, &format!("inject={fault}:when={}+40", 3 * n));
        house.drop_recording("late.mp3");
        let code = until_told(
            || house.log(),
            || {
                daemon.ended().map(|status| (status.code(), status.signal())).or_else(|| {
                    (house.state("late.mp3").as_deref() == Some("done")).then_some((None, None))
                })
            },
        );
        if code != (None, None) {
            assert_eq!(code, (Some(1), None), "{}", house.log());
            assert!(house.log().contains("disk of the queue failed"), "{}", house.log());
        }
        drop(daemon);
        let _daemon = house.start();
        for name in ["talk.mp3", "late.mp3"] {
            house.wait_for(name, "done");
        }
        all_once(&house, 2);
    });
}

#[test]
fn each_single_write_of_the_queue_that_finds_no_room_is_made_later_without_a_restart() {
    if !may_trace() {
        return;
    }
    each(1..=budget(6), |n| {
        let house = done("talk.mp3");
        let _daemon = failing(&house, &format!("inject=pwrite64:error=ENOSPC:when={}", 9 * n));
        house.drop_recording("late.mp3");
        house.wait_for("late.mp3", "done");
        all_once(&house, 2);
    });
}

#[test]
fn a_quota_that_is_used_up_stops_new_work_like_a_full_disk_and_heals() {
    if !may_trace() {
        return;
    }
    let house = done("talk.mp3");
    // The queue's write, then the one that finds out why; twice.
    let mut daemon = failing(&house, "inject=pwrite64:error=EDQUOT:when=9..12");
    house.drop_recording("late.mp3");
    house.wait_for("late.mp3", "done");
    assert!(
        house.log().contains("the disk of the queue is full: new work stops"),
        "{}",
        house.log()
    );
    assert_eq!(daemon.ended(), None);
    all_once(&house, 2);
    assert!(!house.state_dir().join("queue.sqlite-trial").exists());
}

#[test]
fn an_upload_that_runs_when_the_queue_is_removed_is_adopted_by_the_next_start() {
    let house = House::new();
    house.standin.fail_next(Call::Upload, Fault::Slow { bytes_per_second: 1 << 20 });
    let mut daemon = house.start();
    let mut bytes = recording("talk.mp3");
    bytes.resize(2 << 20, 0);
    fs::write(house.path("talk.mp3"), bytes).expect("written");
    until("it is being sent", || (house.standin.running(Call::Upload) == 1).then_some(()));
    remove_queue(&house);
    assert_eq!(ended(&house, &mut daemon), Some(1), "{}", house.log());
    let _daemon = house.start();
    house.wait_for("talk.mp3", "done");
    let meetings = house.standin.snapshot().meetings;
    assert_eq!((meetings.len(), meetings[0].uploads), (1, 1));
}

//! A drop folder whose writer is an enemy: swaps, floods, depths, names at every limit, files that are none.

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt as _, OsStringExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use minuted::testing::beneath::Dir;
use rustix::fs::{CWD, FileType, Mode, RenameFlags};
use serde_json::Value;

use crate::support::{
    budget::budget,
    house::{Daemon, House, recording, until, until_told},
};

/// The hash by which the stand-in knows a recording.
fn blake3_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The most memory that a daemon has held at once, in KiB.
pub(crate) fn peak_kib(daemon: &Daemon) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Places that are swapped for links to the outside, back and forth.
struct Swaps {
    places: Vec<(PathBuf, PathBuf)>,
    done: AtomicUsize,
    stop: AtomicBool,
}

impl Swaps {
    /// Swaps one place after the other until it is told to stop; in the end each is what it was.
    fn run(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            for (inside, trap) in &self.places {
                let swap = || {
                    rustix::fs::renameat_with(CWD, inside, CWD, trap, RenameFlags::EXCHANGE).is_ok()
                };
                // A recording that was moved or deleted meanwhile has no place to be swapped at.
                if swap() {
                    if self.done.fetch_add(1, Ordering::Relaxed).is_multiple_of(7) {
                        thread::park_timeout(Duration::from_millis(1));
                    }
                    while inside.is_symlink() && !swap() {}
                }
                thread::park_timeout(Duration::from_micros(200));
            }
        }
    }
}

#[test]
fn what_is_swapped_for_a_link_to_the_outside_is_never_sent_written_moved_or_deleted() {
    for after in ["on_success = \"delete\"", "on_success = \"move\"\nmove_to = \"done\""] {
        let house = House::new();
        house.configure_fast("", after, 2);
        let (outside, trap) = (house.dir.path().join("outside"), house.dir.path().join("trap"));
        fs::create_dir(&outside).and_then(|()| fs::create_dir(&trap)).expect("made");
        let mut places = vec![(house.path("sub"), trap.join("sub"))];
        std::os::unix::fs::symlink(&outside, trap.join("sub")).expect("linked");
        let names: Vec<String> = (0..3).map(|n| format!("talk-{n}.mp3")).collect();
        for name in &names {
            fs::write(outside.join(name), recording(&format!("secret {name}"))).expect("written");
            house.drop_recording(name);
            house.drop_recording(&format!("sub/{name}"));
            std::os::unix::fs::symlink(outside.join(name), trap.join(name)).expect("linked");
            places.push((house.path(name), trap.join(name)));
        }
        let swaps = Swaps { places, done: AtomicUsize::new(0), stop: AtomicBool::new(false) };
        let wanted = budget(400) as usize;
        thread::scope(|scope| {
            let swapping = scope.spawn(|| swaps.run());
            let _daemon = house.start();
            until_told(
                || {
                    format!(
                        "{wanted} swaps, now {}; {} sent",
                        swaps.done.load(Ordering::Relaxed),
                        sent(&house).len()
                    )
                },
                || {
                    (swaps.done.load(Ordering::Relaxed) >= wanted && !sent(&house).is_empty())
                        .then_some(())
                },
            );
            swaps.stop.store(true, Ordering::Relaxed);
            swapping.join().expect("no swap panics");
            // A recording that was a link when it was opened waits for its file, and is looked at again by itself.
            until("all is done, or waits for its file", || {
                let jobs = house.jobs();
                let is_settled = |job: &Value| job["state"] == "done" || job["waits_for"] == "file";
                (jobs.len() == 2 * names.len() && jobs.iter().all(is_settled)).then_some(())
            });
        });
        let secrets = names.iter().map(|name| blake3_of(&recording(&format!("secret {name}"))));
        assert!(
            secrets.clone().all(|secret| !sent(&house).contains(&secret)),
            "a file of the outside was sent"
        );
        let there: BTreeSet<String> = fs::read_dir(&outside)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        assert_eq!(there, names.iter().cloned().collect(), "nothing is written or missing");
        for (name, secret) in names.iter().zip(secrets) {
            assert_eq!(blake3_of(&fs::read(outside.join(name)).expect("there")), secret);
        }
    }
}

/// The hashes of all recordings that have arrived.
fn sent(house: &House) -> BTreeSet<String> {
    let meetings = house.standin.snapshot().meetings.into_iter();
    meetings.filter_map(|meeting| Some(meeting.recording?.blake3)).collect()
}

#[test]
fn names_at_the_limit_of_the_file_system_get_notes_of_their_own_and_the_same_ones_again() {
    let house = House::new();
    house.configure("formats = [\"md\", \"txt\", \"json\"]");
    let long = |end: &str, extension: &str| {
        let stem = "n".repeat(255 - end.len() - extension.len() - 1);
        OsString::from(format!("{stem}{end}.{extension}"))
    };
    let mut names = vec![long("1", "mp3"), long("2", "mp3"), long("1", "wav"), long("ü", "mp3")];
    names.push(OsString::from_vec([vec![0xff; 251], b".mp3".to_vec()].concat()));
    names.push(OsString::from_vec([vec![0xff; 250], b"\xfe.mp3".to_vec()].concat()));
    for (n, name) in names.iter().enumerate() {
        let extension = Path::new(name).extension().and_then(OsStr::to_str).expect("an extension");
        fs::write(house.folder().join(name), recording(&format!("{n}.{extension}")))
            .expect("written");
    }
    let daemon = house.start();
    let jobs = house.wait_for_all(names.len(), "done");
    let notes = |jobs: &[Value]| -> BTreeSet<String> {
        jobs.iter()
            .flat_map(|job| job["notes"].as_array().expect("notes"))
            .map(Value::to_string)
            .collect()
    };
    assert_eq!(notes(&jobs).len(), names.len() * 3, "each has its own");
    let files = || fs::read_dir(house.folder()).expect("a directory").count();
    assert_eq!(files(), names.len() * 4);
    daemon.kill();
    for file in ["queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm"] {
        drop(fs::remove_file(house.state_dir().join(file)));
    }
    let _daemon = house.start();
    house.wait_for_all(names.len(), "done");
    assert_eq!(
        (files(), house.standin.snapshot().meetings.len()),
        (names.len() * 4, names.len()),
        "found again"
    );
}

/// Makes directories in each other by descriptor: their path is longer than any call takes.
fn make_deep(root: &Path, depth: usize) -> PathBuf {
    let (mut at, mut path) = (Dir::open(root).expect("opened"), PathBuf::new());
    let name = "a deep directory ".repeat(5);
    for _ in 0..depth {
        at = at.descend_or_make(Path::new(&name), 0o700).expect("made");
        path.push(&name);
    }
    path
}

#[test]
fn a_recording_at_the_deepest_level_beyond_the_longest_path_is_taken_noted_and_answered_for() {
    let house = House::new();
    let inner = make_deep(&house.folder(), 64);
    let root = Dir::open(&house.folder()).expect("opened");
    let write = |name: &str| {
        let file =
            root.descend(&inner).expect("there").create_new(OsStr::new(name), 0o600).expect("made");
        std::io::Write::write_all(&mut &file, &recording(name)).expect("written");
        inner.join(name)
    };
    let first = write("first.mp3");
    assert!(first.as_os_str().len() > 4096, "longer than PATH_MAX");
    let _daemon = house.start();
    let whole =
        |path: &Path| house.folder().join(path).into_os_string().into_string().expect("UTF-8");
    house.wait_for(&whole(&first), "done");
    let later = write("later.mp3");
    let job = house.wait_for(&whole(&later), "done");
    assert!(
        job["notes"][0].as_str().is_some_and(|notes| notes.ends_with("later.notes.md")),
        "{job}"
    );
    for name in ["first.notes.md", "later.notes.md"] {
        assert!(root.entry(&inner.join(name)).expect("known").is_some(), "{name}");
    }
    assert!(house.why(&whole(&later)).contains("done"));
    // What the standard library cannot remove by path.
    assert!(Command::new("rm").arg("-rf").arg(house.folder()).status().expect("run").success());
}

#[test]
fn a_flood_of_files_is_accounted_for_one_by_one_and_starves_no_other_folder() {
    let house = House::new();
    let other = house.dir.path().join("other");
    fs::create_dir(&other).expect("made");
    let folder = format!(
        "[[folder]]\nname = \"other\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]",
        other.display()
    );
    // A scan of so many files that begins again as soon as it has ended leaves little time for anything else.
    house.configure_all("", "rescan = \"5s\"", &folder);
    let daemon = house.start();
    let count = budget(5000) as usize;
    let begun = std::time::Instant::now();
    let (copy, mut media, mut unique) = (recording("copy.mp3"), 0, 0);
    for n in 0..count {
        let (name, bytes) = match n % 10 {
            0..=3 => (format!("junk-{n}.txt"), b"x".to_vec()),
            4..=6 => (format!("{}/not-taken-{n}.ogg", n % 100), b"x".to_vec()),
            7 if n % 1000 == 7 => (format!("talk-{n}.mp3"), recording(&format!("talk-{n}.mp3"))),
            _ => (format!("{}/copy-{n}.mp3", n % 100), copy.clone()),
        };
        media += usize::from(!name.starts_with("junk"));
        unique += usize::from(name.starts_with("talk"));
        let path = house.path(&name);
        if name.contains('/') {
            fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        }
        fs::write(path, bytes).expect("written");
        if n == count / 2 {
            fs::write(other.join("urgent.mp3"), recording("urgent.mp3")).expect("written");
        }
    }
    let dropped = begun.elapsed();
    let urgent = other.join("urgent.mp3");
    house.wait_for(urgent.to_str().expect("UTF-8"), "done");
    let (served, accounted) = (begun.elapsed(), accounted(&house, "sales"));
    until_told(
        || format!("{media} files of media have a row: {:?}", rows(&house)),
        || (self::accounted(&house, "sales") == media).then_some(()),
    );
    until("all is final", || {
        let rows = rows(&house);
        (rows.iter().all(|(state, _)| ["done", "skipped"].contains(&state.as_str()))).then_some(())
    });
    eprintln_flood(&format!(
        "{count} files dropped in {dropped:?}; the other folder was served after {served:?} with {accounted} of {media} \
         accounted for; all after {:?}, {} KiB at most",
        begun.elapsed(),
        peak_kib(&daemon)
    ));
    let done = rows(&house).into_iter().find(|(state, _)| state == "done").map(|(_, count)| count);
    assert_eq!(done, Some(unique + 2), "each content once: the talks, the copies, the urgent one");
    assert_eq!(house.standin.snapshot().meetings.len(), unique + 2);
    assert!(house.why("junk-0.txt").contains("not an audio or video file"));
    assert!(
        house.why("4/not-taken-4.ogg").contains("does not take"),
        "{}",
        house.why("4/not-taken-4.ogg")
    );
    // 16 KiB a file would be far too much: what waits lies on disk.
    assert!(peak_kib(&daemon) < 100 * 1024 + 2 * count as u64, "{} KiB", peak_kib(&daemon));
}

#[expect(clippy::print_stderr, reason = "figures for whoever runs the tests with a budget")]
fn eprintln_flood(text: &str) {
    eprintln!("{text}");
}

/// How many files of a folder the queue has looked at and decided on.
fn accounted(house: &House, folder: &str) -> usize {
    let sql = "SELECT count(*) FROM sighting WHERE folder = ? AND verdict = 'taken'";
    let count = queue(house).query_row(sql, [folder], |row| row.get::<_, i64>(0)).expect("counted");
    usize::try_from(count).expect("a count")
}

/// How many jobs are in each state. Asked of the file: a hundred thousand jobs are no answer to ask for again and again.
fn rows(house: &House) -> Vec<(String, usize)> {
    let queue = queue(house);
    let mut statement =
        queue.prepare("SELECT state, count(*) FROM job GROUP BY state").expect("SQL");
    let rows =
        statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).expect("rows");
    rows.flatten().map(|(state, count)| (state, usize::try_from(count).expect("a count"))).collect()
}

fn queue(house: &House) -> rusqlite::Connection {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let queue =
        rusqlite::Connection::open_with_flags(house.state_dir().join("queue.sqlite"), flags)
            .expect("a queue");
    queue.busy_timeout(Duration::from_secs(10)).expect("set");
    queue
}

/// Makes a special file; `false` where this user may not.
#[expect(clippy::print_stderr, reason = "whoever runs the tests should know what was not proved")]
fn make_special(path: &Path, kind: FileType) -> bool {
    let device = if kind == FileType::CharacterDevice { rustix::fs::makedev(1, 5) } else { 0 };
    let made = rustix::fs::mknodat(CWD, path, kind, Mode::from_raw_mode(0o666), device).is_ok();
    if !made {
        eprintln!("skipped: a {kind:?} needs the right to make one");
    }
    made
}

const SPECIAL: [(&str, FileType); 4] = [
    ("fifo", FileType::Fifo),
    ("socket", FileType::Socket),
    ("zero-device", FileType::CharacterDevice),
    ("block-device", FileType::BlockDevice),
];

#[test]
fn devices_sockets_empty_and_immense_files_hinder_nothing_and_have_their_answer() {
    let house = House::new();
    let other = house.dir.path().join("other");
    fs::create_dir(&other).expect("made");
    let folder = format!(
        "[[folder]]\nname = \"other\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]",
        other.display()
    );
    house.configure_all("", "", &folder);
    let made: Vec<&str> = SPECIAL
        .into_iter()
        .filter(|(name, kind)| make_special(&house.path(&format!("{name}.wav")), *kind))
        .map(|(name, _)| name)
        .collect();
    fs::write(house.path("nothing.wav"), "").expect("written");
    std::os::unix::fs::symlink("/proc/self/fd/0", house.path("magic.wav")).expect("linked");
    // As large as the file system has it, and one larger than anything that is taken.
    let made_sparse = |name: &str, sizes: &[u64]| {
        let sparse = fs::File::create(house.path(name)).expect("made");
        assert!(sizes.iter().any(|size| sparse.set_len(*size).is_ok()), "a sparse file");
    };
    for name in ["immense.mp3", "immense.opus", "immense.flac"] {
        made_sparse(name, &[i64::MAX as u64, (1 << 44) - (1 << 20)]);
    }
    made_sparse("large.mp3", &[1 << 40]);
    let _daemon = house.start();
    fs::write(other.join("talk.mp3"), recording("talk.mp3")).expect("written");
    house.wait_for(other.join("talk.mp3").to_str().expect("UTF-8"), "done");
    house.drop_recording("same-folder.mp3");
    house.wait_for("same-folder.mp3", "done");
    for name in made {
        assert!(house.why(&format!("{name}.wav")).contains("a link or a special file"), "{name}");
    }
    assert!(house.why("magic.wav").contains("a link or a special file"));
    assert!(house.why("nothing.wav").contains("it is empty"));
    for name in ["immense.mp3", "immense.opus", "immense.flac", "large.mp3"] {
        until("it is refused", || {
            house.why(name).contains("takes up to 64GiB (`max_size`)").then_some(())
        });
    }
    assert_eq!((house.count("done"), house.count("skipped")), (2, 4), "{:?}", house.jobs());
}

#[test]
fn a_name_for_notes_that_is_taken_by_what_is_no_file_is_neither_opened_nor_replaced() {
    let house = House::new();
    let made: Vec<_> = SPECIAL
        .into_iter()
        .filter(|(name, kind)| make_special(&house.path(&format!("{name}.notes.md")), *kind))
        .collect();
    let locked = house.path("immutable.notes.md");
    fs::write(&locked, "somebody's own").expect("written");
    let chattr = |change: &str| {
        let output = Command::new("chattr").arg(change).arg(&locked).output();
        output.is_ok_and(|output| output.status.success())
    };
    let is_locked = chattr("+i");
    let _daemon = house.start();
    let names = || made.iter().map(|(name, _)| *name).chain(["immutable"]);
    for name in names() {
        house.drop_recording(&format!("{name}.mp3"));
    }
    for name in names() {
        let job = house.wait_for(&format!("{name}.mp3"), "done");
        let notes = job["notes"][0].as_str().expect("notes").to_owned();
        assert!(notes.ends_with(&format!("{name}.notes.2.md")), "{notes}");
    }
    for (name, kind) in &made {
        let stat = rustix::fs::lstat(house.path(&format!("{name}.notes.md"))).expect("there");
        assert_eq!(FileType::from_raw_mode(stat.st_mode), *kind);
    }
    assert!(!is_locked || chattr("-i"), "it was locked by this test");
    assert_eq!(fs::read_to_string(&locked).expect("there"), "somebody's own");
}

#[test]
fn a_name_that_spells_the_marker_of_another_recording_adopts_nothing() {
    let house = House::new();
    let hash = blake3_of(&recording("target.mp3"));
    let key = format!("b3-{}.sales.1", &hash[..32]);
    let names = [
        format!("a\nminuted:{key}.mp3"),
        format!("b\nminuted:{key}\n.mp3"),
        format!("minuted:{key}\n/c.mp3"),
    ];
    let daemon = house.start();
    for (n, name) in names.iter().enumerate() {
        let path = house.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, recording(&format!("{n}.mp3"))).expect("written");
    }
    house.wait_for_all(names.len(), "done");
    daemon.kill();
    for file in ["queue.sqlite", "queue.sqlite-wal", "queue.sqlite-shm"] {
        drop(fs::remove_file(house.state_dir().join(file)));
    }
    house.drop_recording("target.mp3");
    let _daemon = house.start();
    let job = house.wait_for("target.mp3", "done");
    let own = house
        .standin
        .snapshot()
        .meetings
        .into_iter()
        .find(|meeting| job["meeting_id"] == meeting.id.as_str());
    assert_eq!(own.and_then(|meeting| Some(meeting.recording?.blake3)), Some(hash));
    house.wait_for_all(names.len() + 1, "done");
    assert_eq!(house.standin.snapshot().meetings.len(), names.len() + 1, "nothing is done twice");
    let seen = OsStr::from_bytes(names[0].as_bytes());
    assert!(house.folder().join(seen).exists());
}

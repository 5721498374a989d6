//! Files that move under minuted, and a clock that does: at each stage, in each way.

use std::{fs, io::Write as _, os::unix::fs::symlink, path::Path, thread, time::Duration};

use serde_json::Value;

use crate::support::{
    budget::budget,
    house::{Daemon, House, recording, until, until_told},
    paxs::{Call, Fault, Meeting},
    rows::each,
};

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    Rewritten,
    Appended,
    Replaced,
    Truncated,
    Deleted,
    Link,
    Directory,
}

const CHANGES: [Change; 7] = [
    Change::Rewritten,
    Change::Appended,
    Change::Replaced,
    Change::Truncated,
    Change::Deleted,
    Change::Link,
    Change::Directory,
];

/// When it happens.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    Settling,
    Queued,
    Created,
    Sending,
    Analysing,
    Delivering,
}

const MOMENTS: [Moment; 6] = [
    Moment::Settling,
    Moment::Queued,
    Moment::Created,
    Moment::Sending,
    Moment::Analysing,
    Moment::Delivering,
];

/// How a file ends: the state of the job of its old content and of its new one, empty for none; whether the old content
/// and the new one are a recording at the service; the beginning of what `why` says of the name.
#[derive(Debug, Clone, Copy)]
struct End {
    jobs: [&'static str; 2],
    sent: [bool; 2],
    why: &'static str,
}

/// The end of each change at each moment.
fn end(change: Change, moment: Moment) -> End {
    use Change::{Appended, Deleted, Directory, Link, Replaced, Rewritten, Truncated};
    let gone = match change {
        Deleted => "there is no such file",
        Link => "it is a link",
        Directory => "it is a directory",
        Rewritten | Appended | Replaced | Truncated => "",
    };
    match (moment, change) {
        (Moment::Settling, Deleted | Link | Directory) => End { jobs: ["", ""], sent: [false; 2], why: gone },
        (Moment::Settling, Rewritten | Appended | Replaced | Truncated) => {
            End { jobs: ["", "done"], sent: [false, true], why: "is done" }
        }
        (Moment::Queued | Moment::Created, Deleted) => {
            End { jobs: ["waiting", ""], sent: [false; 2], why: "waits for its file" }
        }
        (Moment::Queued | Moment::Created, Link | Directory) => {
            End { jobs: ["waiting", ""], sent: [false; 2], why: gone }
        }
        (Moment::Queued | Moment::Created, Rewritten | Appended | Replaced | Truncated)
        // What is sent then is not what was meant: it is cut off before its end, and the new content is another job.
        | (Moment::Sending, Rewritten | Appended | Truncated) => {
            End { jobs: ["cancelled", "done"], sent: [false, true], why: "is done" }
        }
        // The file that is being sent is whole and open, whatever has its name by now.
        (Moment::Sending, Deleted) => End { jobs: ["done", ""], sent: [true, false], why: "is done" },
        (Moment::Sending, Link | Directory) => End { jobs: ["done", ""], sent: [true, false], why: gone },
        (Moment::Sending, Replaced) => End { jobs: ["done", "done"], sent: [true, true], why: "is done" },
        (Moment::Analysing | Moment::Delivering, Deleted) => {
            End { jobs: ["done", ""], sent: [true, false], why: "is done" }
        }
        (Moment::Analysing | Moment::Delivering, Link | Directory) => {
            End { jobs: ["done", ""], sent: [true, false], why: gone }
        }
        (Moment::Analysing | Moment::Delivering, Rewritten | Appended | Replaced | Truncated) => {
            End { jobs: ["done", "done"], sent: [true, true], why: "is done" }
        }
    }
}

/// The recording of a change: as it is before and after, with a length of its own.
struct File {
    name: String,
    old: Vec<u8>,
    new: Option<Vec<u8>>,
}

impl File {
    fn of(change: Change, bytes: usize) -> Self {
        let name = format!("{change:?}.mp3");
        let mut old = recording(&name);
        old.resize(bytes.max(old.len()), 7);
        // So many times, so that no two of them have the same sound.
        let times = bytes / 1000 + 2 + 10 * change as usize;
        let other = || recording(&format!("other {name}")).repeat(times);
        let new = match change {
            Change::Rewritten | Change::Replaced => Some(other()),
            Change::Appended => Some([old.clone(), other()].concat()),
            Change::Truncated => Some(old[..old.len() / 2].to_vec()),
            Change::Deleted | Change::Link | Change::Directory => None,
        };
        Self { name, old, new }
    }

    fn change(&self, house: &House, change: Change) {
        let path = house.path(&self.name);
        match change {
            Change::Rewritten => fs::write(path, self.new.as_ref().expect("new")).expect("written"),
            Change::Appended => {
                let mut file = fs::File::options().append(true).open(path).expect("opened");
                file.write_all(&self.new.as_ref().expect("new")[self.old.len()..])
                    .expect("written");
            }
            Change::Replaced => {
                let aside = house.path(".aside");
                fs::write(&aside, self.new.as_ref().expect("new")).expect("written");
                fs::rename(aside, path).expect("renamed");
            }
            Change::Truncated => {
                let length = self.new.as_ref().expect("new").len() as u64;
                fs::File::options()
                    .write(true)
                    .open(path)
                    .and_then(|file| file.set_len(length))
                    .expect("cut");
            }
            Change::Deleted => fs::remove_file(path).expect("removed"),
            Change::Link => {
                fs::rename(&path, house.dir.path().join(&self.name)).expect("moved");
                symlink(house.dir.path().join(&self.name), path).expect("linked");
            }
            Change::Directory => {
                fs::remove_file(&path).expect("removed");
                fs::create_dir(path).expect("made");
            }
        }
    }
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The state of the job of a content; empty for none.
fn state_of(jobs: &[Value], bytes: &[u8]) -> String {
    let hash = format!("b3-{}", &hash(bytes)[..32]);
    let mut of =
        jobs.iter().filter(|job| job["hash"] == hash.as_str() && job["state"] != "skipped");
    let state =
        of.next().map(|job| job["state"].as_str().expect("a word").to_owned()).unwrap_or_default();
    assert!(of.next().is_none(), "two jobs of one content: {jobs:?}");
    state
}

/// Nothing that was accepted is anything but what the meeting was made for.
fn assert_unmixed(meetings: &[Meeting]) {
    for (meeting, sent) in
        meetings.iter().filter_map(|meeting| Some((meeting, meeting.recording.as_ref()?)))
    {
        let content = format!("minuted:b3-{}.", &sent.blake3[..32]);
        assert!(meeting.description.contains(&content), "{meeting:?}");
        assert_eq!(meeting.uploads, 1, "{meeting:?}");
    }
}

/// Brings all files to a moment and keeps them there.
fn bring(house: &House, moment: Moment, files: &[File]) {
    let count = |call| usize::try_from(house.standin.snapshot().count(call)).expect("few");
    match moment {
        Moment::Settling | Moment::Delivering => {}
        Moment::Queued => assert!(house.run(&["pause", "sales"]).status.success()),
        Moment::Created => house.standin.fail_always(Call::Upload, Fault::Status(503)),
        Moment::Sending => {
            house.standin.fail_always(Call::Upload, Fault::Slow { bytes_per_second: 1 << 20 });
        }
        Moment::Analysing => house.standin.stall_analysis(true),
    }
    if moment == Moment::Delivering {
        house.smtp.down(true);
    }
    for file in files {
        // In one piece: what is half-written for as long as `settle` is another test.
        fs::write(house.path(".aside"), &file.old).expect("written");
        fs::rename(house.path(".aside"), house.path(&file.name)).expect("renamed");
    }
    let every = |state: &dyn Fn(&Value) -> bool| {
        let jobs = house.jobs();
        (jobs.len() == files.len() && jobs.iter().all(state)).then_some(())
    };
    until_told(
        || format!("{moment:?}: {}", house.log()),
        || match moment {
            Moment::Settling => {
                files.iter().all(|file| house.why(&file.name).contains("settling")).then_some(())
            }
            Moment::Queued => every(&|job| job["state"] == "waiting"),
            Moment::Created => {
                every(&|job| job["meeting_id"] != Value::Null || job["state"] == "waiting")
            }
            Moment::Sending => (house.standin.running(Call::Upload) == files.len()).then_some(()),
            Moment::Analysing => (count(Call::Upload) == files.len())
                .then_some(())
                .and(every(&|job| job["waits_for"] == "analysis")),
            Moment::Delivering => {
                let notes = house.files().iter().filter(|name| name.contains(".notes")).count();
                (notes == files.len() && house.smtp.conversations() > 0).then_some(())
            }
        },
    );
}

/// Lets them go on.
fn release(house: &House, daemon: &Daemon, moment: Moment) {
    match moment {
        Moment::Settling => {
            house.edit_config(|text| text.replace("settle = \"1h\"", "settle = \"100ms\""));
            daemon.signal(rustix::process::Signal::HUP);
        }
        Moment::Queued => assert!(house.run(&["resume", "sales"]).status.success()),
        Moment::Created | Moment::Sending => house.standin.clear_faults(),
        Moment::Analysing => house.standin.stall_analysis(false),
        Moment::Delivering => house.smtp.down(false),
    }
}

#[test]
fn whatever_happens_to_a_file_at_whatever_moment_nothing_is_mixed_lost_or_done_twice() {
    each(MOMENTS, |moment| {
        let house = House::new();
        let settle = if moment == Moment::Settling { "settle = \"1h\"" } else { "" };
        let mail =
            if moment == Moment::Delivering { "deliver = [\"beside\", \"email\"]" } else { "" };
        house.configure_fast("", &format!("{settle}\n{mail}"), 8);
        let bytes = if moment == Moment::Sending { 16 << 20 } else { 20_000 };
        let files = CHANGES.map(|change| File::of(change, bytes));
        let daemon = house.start();
        bring(&house, moment, &files);
        for (file, change) in files.iter().zip(CHANGES) {
            file.change(&house, change);
        }
        // What is kept back is kept so until the folder's watch has seen what happened.
        if matches!(moment, Moment::Queued | Moment::Created) {
            until_told(
                || format!("{moment:?}: {}", house.log()),
                || {
                    let jobs = house.jobs();
                    files
                        .iter()
                        .zip(CHANGES)
                        .all(|(file, change)| {
                            let wanted = end(change, moment).jobs[0];
                            let job = jobs.iter().find(|job| {
                                job["hash"] == format!("b3-{}", &hash(&file.old)[..32]).as_str()
                            });
                            job.is_some_and(|job| {
                                job["state"] == wanted
                                    && (wanted != "waiting" || job["waits_for"] == "file")
                            })
                        })
                        .then_some(())
                },
            );
        }
        release(&house, &daemon, moment);
        for (file, change) in files.iter().zip(CHANGES) {
            assert_end(&house, file, change, moment);
        }
        assert_unmixed(&house.standin.snapshot().meetings);
        assert!(house.jobs().iter().all(|job| job["attempts"] == 0), "{:?}", house.jobs());
        assert!(
            house.files().iter().all(|name| !name.contains(".minuted-")),
            "{:?}",
            house.files()
        );
    });
}

fn assert_end(house: &House, file: &File, change: Change, moment: Moment) {
    let end = end(change, moment);
    let of_new =
        |jobs: &[Value]| file.new.as_ref().map(|new| state_of(jobs, new)).unwrap_or_default();
    let told =
        || format!("{change:?} while {moment:?}: {:?}; the log:\n{}", house.jobs(), house.log());
    until_told(told, || {
        let jobs = house.jobs();
        ([state_of(&jobs, &file.old), of_new(&jobs)] == end.jobs).then_some(())
    });
    let meetings = house.standin.snapshot().meetings;
    let sent = |bytes: &[u8]| {
        let wanted = hash(bytes);
        meetings
            .iter()
            .filter(|meeting| meeting.recording.as_ref().is_some_and(|sent| sent.blake3 == wanted))
            .count()
    };
    let found = [sent(&file.old), file.new.as_ref().map_or(0, |new| sent(new))];
    assert_eq!(found, end.sent.map(usize::from), "{}", told());
    until_told(
        || format!("{}\nwhy: {}", told(), house.why(&file.name)),
        || house.why(&file.name).contains(end.why).then_some(()),
    );
    for job in house.jobs().iter().filter(|job| job["state"] == "done") {
        assert!(job["notes"].as_array().is_some_and(|notes| !notes.is_empty()), "{job}");
    }
}

#[test]
fn a_hard_link_is_the_same_recording_whenever_it_is_made() {
    let house = House::new();
    let _daemon = house.start();
    let first = house.drop_recording("talk.mp3");
    fs::hard_link(&first, house.path("twin.mp3")).expect("linked");
    until_told(
        || house.log(),
        || (house.jobs().len() == 2 && house.count("done") == 1).then_some(()),
    );
    fs::hard_link(&first, house.path("later.mp3")).expect("linked");
    house.wait_for("later.mp3", "skipped");
    fs::remove_file(&first).expect("removed");
    house.drop_recording("witness.mp3");
    house.wait_for("witness.mp3", "done");
    assert_eq!(house.standin.snapshot().meetings.len(), 2);
    assert_unmixed(&house.standin.snapshot().meetings);
}

#[test]
fn a_reflink_is_a_copy_like_any_other() {
    let house = House::new();
    let _daemon = house.start();
    let first = house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let copied = std::process::Command::new("cp")
        .arg("--reflink=always")
        .arg(&first)
        .arg(house.path("copy.mp3"))
        .output();
    if !copied.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: the file system of the temporary directory has no reflinks");
        return;
    }
    house.wait_for("copy.mp3", "skipped");
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

#[test]
fn a_sparse_file_is_sent_as_what_it_reads_as() {
    let house = House::new();
    let _daemon = house.start();
    let hole = u64::from(budget(48)) << 20;
    let file = fs::File::create(house.path("talk.mp3")).expect("made");
    file.set_len(hole).expect("a hole");
    drop(file);
    fs::File::options()
        .append(true)
        .open(house.path("talk.mp3"))
        .and_then(|mut file| file.write_all(&recording("talk.mp3")))
        .expect("written");
    house.wait_for("talk.mp3", "done");
    let sent = house.standin.snapshot().meetings[0].recording.clone().expect("a recording");
    assert_eq!(sent.size, hole + recording("talk.mp3").len() as u64);
    assert_unmixed(&house.standin.snapshot().meetings);
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "a recorder that writes now and then is what is tested"
)]
fn a_file_that_has_its_full_length_from_the_start_is_taken_after_its_last_write_only() {
    let house = House::new();
    house.configure("settle = \"1s\"");
    let _daemon = house.start();
    let bytes: Vec<u8> = recording("talk.mp3").repeat(40);
    let mut file = fs::File::create(house.path("talk.mp3")).expect("made");
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes.len() as u64)
        .expect("allocated");
    for piece in bytes.chunks(bytes.len().div_ceil(15)) {
        file.write_all(piece).expect("written");
        thread::sleep(Duration::from_millis(150));
    }
    drop(file);
    house.wait_for("talk.mp3", "done");
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.len(), 1);
    assert_eq!(meetings[0].recording.as_ref().expect("a recording").blake3, hash(&bytes));
}

#[test]
fn a_file_of_any_time_settles_and_its_notes_have_a_date_that_can_be() {
    let house = House::new();
    let _daemon = house.start();
    let day = 24 * 3600;
    let times: [(&str, i64); 5] = [
        ("1970", 0),
        ("1960", -3653 * day),
        ("2099", 47_117 * day),
        ("2030", 21_915 * day),
        ("2020", 18_262 * day),
    ];
    for (name, seconds) in times {
        let path = house.drop_recording(&format!("{name}.mp3"));
        let touched = std::process::Command::new("touch")
            .arg("-d")
            .arg(format!("@{seconds}"))
            .arg(path)
            .status();
        assert!(touched.expect("run").success());
    }
    for (name, seconds) in times {
        house.wait_for(&format!("{name}.mp3"), "done");
        let notes = fs::read_to_string(house.path(&format!("{name}.notes.md"))).expect("written");
        let date = notes.lines().find_map(|line| line.strip_prefix("date: ")).expect("a date");
        let date: jiff::Timestamp =
            date.split_whitespace().next().expect("a time").parse().expect("a time");
        let made: jiff::Timestamp = house.job(&format!("{name}.mp3"))["created"]
            .as_str()
            .expect("a time")
            .parse()
            .expect("a time");
        let off = made.duration_since(date).abs();
        let is_of_its_time = date.as_second() == seconds;
        let is_of_now = off < jiff::SignedDuration::from_hours(26);
        assert!(
            if name == "2020" {
                is_of_its_time
            } else {
                is_of_now || (is_of_its_time && date <= made)
            },
            "{name}: {date}"
        );
    }
}

const HOUR: i64 = 3600;

/// How long the settings below wait for, at least: longer than any step of the clock here.
const LONG: &str = "5h";

/// A house that waits for `delay` after a failure.
fn patient(delay: &str) -> House {
    let house = House::new();
    house.edit_config(|text| {
        text.replace(
            "delay = \"50ms\"\ndelay_max = \"200ms\"",
            &format!("delay = \"{delay}\"\ndelay_max = \"{delay}\""),
        )
    });
    house
}

fn due(house: &House, name: &str) -> i64 {
    let due: jiff::Timestamp =
        house.job(name)["due"].as_str().expect("a time").parse().expect("a time");
    due.as_second()
}

#[test]
fn a_clock_that_is_set_forth_or_back_moves_what_waits_with_it() {
    each([2 * HOUR, -2 * HOUR], |step| {
        let house = patient(LONG);
        let daemon = house.start();
        house.standin.fail_matching(Call::Upload, "talk", Fault::Status(415), Some(1));
        house.drop_recording("talk.mp3");
        until_told(
            || house.log(),
            || (house.job_if("talk.mp3")?["waits_for"] == "retry").then_some(()),
        );
        let before = due(&house, "talk.mp3");
        house.set_clock(step);
        // Any work has the clock looked at.
        house.drop_recording("other.mp3");
        house.wait_for("other.mp3", "done");
        assert!((due(&house, "talk.mp3") - before - step).abs() <= 3, "{}", house.log());
        house.set_clock(0);
        house.drop_recording("third.mp3");
        house.wait_for("third.mp3", "done");
        assert!((due(&house, "talk.mp3") - before).abs() <= 3, "{}", house.log());
        daemon.kill();
        house.set_clock(step);
        let _daemon = house.start();
        assert!(
            (due(&house, "talk.mp3") - before - step).abs() <= 3,
            "a restart is no way around: {}",
            house.log()
        );
        assert_eq!(house.job("talk.mp3")["attempts"], 1);
        assert!(house.run(&["retry", "1"]).status.success());
        house.wait_for("talk.mp3", "done");
    });
}

/// What waits for a little while when the clock goes back by an hour.
#[derive(Debug, Clone, Copy)]
enum Wait {
    Settling,
    Retry,
    Service,
    Mail,
    Analysis,
    Token,
    Restart,
}

#[test]
fn a_clock_that_is_set_back_by_an_hour_keeps_nothing_waiting_for_that_hour() {
    let waits = [
        Wait::Settling,
        Wait::Retry,
        Wait::Service,
        Wait::Mail,
        Wait::Analysis,
        Wait::Token,
        Wait::Restart,
    ];
    each(waits, |wait| {
        let house = patient("1500ms");
        if matches!(wait, Wait::Settling) {
            house.edit_config(|text| text.replace("settle = \"100ms\"", "settle = \"6s\""));
        }
        if matches!(wait, Wait::Mail) {
            house.edit_config(|text| {
                text.replace("service = \"paxs\"", "service = \"paxs\"\ndeliver = [\"email\"]")
            });
            house.smtp.down(true);
        }
        let daemon = house.start();
        match wait {
            Wait::Retry | Wait::Restart => {
                house.standin.fail_next(Call::Upload, Fault::Status(415));
            }
            Wait::Service => house.standin.fail_next(Call::CreateSession, Fault::Status(503)),
            Wait::Analysis => house.standin.stall_analysis(true),
            Wait::Settling | Wait::Mail | Wait::Token => {}
        }
        if matches!(wait, Wait::Token) {
            house.standin.expire_access_tokens();
        }
        house.drop_recording("talk.mp3");
        until_told(
            || house.log(),
            || match wait {
                Wait::Settling => (settling(&house) == 1).then_some(()),
                Wait::Retry | Wait::Restart => {
                    (house.job_if("talk.mp3")?["waits_for"] == "retry").then_some(())
                }
                Wait::Service => {
                    let events = house.job_if("talk.mp3")?["history"].to_string();
                    events.contains("the service failed; nothing counts").then_some(())
                }
                // The failure of each mail is recorded: until then its next try is a time in memory, of the clock before.
                Wait::Mail => {
                    let deliveries = house.job_if("talk.mp3")?["deliveries"].as_array()?.clone();
                    let have_failed =
                        deliveries.iter().all(|delivery| !delivery["error"].is_null());
                    (deliveries.len() == 2 && have_failed).then_some(())
                }
                Wait::Analysis => {
                    (house.job_if("talk.mp3")?["waits_for"] == "analysis").then_some(())
                }
                Wait::Token => Some(()),
            },
        );
        let daemon = if matches!(wait, Wait::Restart) {
            daemon.kill();
            house.set_clock(-HOUR);
            house.start()
        } else {
            house.set_clock(-HOUR);
            daemon
        };
        house.standin.stall_analysis(false);
        house.smtp.down(false);
        house.wait_for("talk.mp3", "done");
        assert_eq!(house.standin.snapshot().meetings.len(), 1);
        drop(daemon);
    });
}

#[test]
fn a_clock_that_is_set_forth_by_hours_hurries_nothing() {
    let house = House::new();
    house.configure(&format!("settle = \"{LONG}\""));
    let daemon = house.start();
    house.drop_recording("talk.mp3");
    // It is written down, so that a restart goes on from there.
    until_told(|| house.log(), || (settling(&house) == 1).then_some(()));
    house.set_clock(6 * HOUR);
    house.scan();
    house.scan();
    assert_eq!((settling(&house), house.jobs().len()), (1, 0));
    daemon.kill();
    house.set_clock(12 * HOUR);
    let daemon = house.start();
    house.scan();
    house.scan();
    assert!(house.why("talk.mp3").contains("settling"), "{}", house.why("talk.mp3"));
    assert_eq!(house.jobs().len(), 0);
    drop(daemon);
}

fn settling(house: &House) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let queue =
        rusqlite::Connection::open_with_flags(house.state_dir().join("queue.sqlite"), flags)
            .expect("a queue");
    queue
        .query_row("SELECT count(*) FROM sighting WHERE verdict = 'settling'", [], |row| row.get(0))
        .expect("a count")
}

#[test]
fn a_file_that_went_a_moment_ago_is_not_given_up_because_the_clock_went_forth() {
    let house = House::new();
    let daemon = house.start();
    assert!(house.run(&["pause", "sales"]).status.success());
    let path = house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "waiting");
    fs::remove_file(&path).expect("removed");
    until("it waits for its file", || (house.jobs()[0]["waits_for"] == "file").then_some(()));
    assert!(house.run(&["resume", "sales"]).status.success());
    daemon.kill();
    house.set_clock(3 * HOUR);
    let _daemon = house.start();
    // The keeper's first round is at the start; a recording that is done later shows that it is over.
    house.drop_recording("other.mp3");
    house.wait_for("other.mp3", "done");
    assert_eq!(house.jobs()[0]["state"], "waiting", "{}", house.log());
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    assert_eq!(house.standin.snapshot().meetings.len(), 2);
    assert!(Path::new(&path).exists());
}

//! A recording whose bytes change behind its size and its time, and what is left of one that fails.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::Path,
};

use crate::support::{
    engine::model,
    house::{House, recording, until, until_told},
    paxs::{Call, Fault, Meeting},
    rows::each,
    sound::{program, runs, tone, wav},
};

/// Writes other bytes into a file and puts its time back; returns what it held and what it holds.
fn change_behind_its_stamp(path: &Path, at: u64) -> [Vec<u8>; 2] {
    let before = fs::read(path).expect("read");
    let modified = fs::metadata(path).expect("there").modified().expect("known");
    let file = File::options().write(true).open(path).expect("opened");
    file.write_all_at(&[7; 400], at).expect("written");
    file.set_modified(modified).expect("put back");
    [before, fs::read(path).expect("read")]
}

/// The keys of the meetings that hold these bytes.
fn keys_of(house: &House, bytes: &[u8]) -> Vec<String> {
    let hash = blake3::hash(bytes).to_hex().to_string();
    let holds =
        |meeting: &Meeting| meeting.recording.as_ref().is_some_and(|sent| *sent.blake3 == *hash);
    let key = |meeting: Meeting| {
        meeting.description.split("minuted:").nth(1).expect("a marker").trim().to_owned()
    };
    house.standin.snapshot().meetings.into_iter().filter(holds).map(key).collect()
}

/// The beginning of the key of these bytes.
fn key_begins(bytes: &[u8]) -> String {
    format!("b3-{}.", &blake3::hash(bytes).to_hex()[..32])
}

/// Waits until the recording is refused as changed, and asks what becomes of it.
fn wait_for_the_change(house: &House, name: &str) {
    let is_true = ["examined again", "settling", "being queued", "job 2", "job 3"];
    until_told(
        || format!("{name} changed: {}\n{}", house.why(name), house.log()),
        || {
            let log = house.log();
            let is_noticed = log.contains("the recording changed while it was being sent")
                || log.contains("the recording changed after it was queued");
            // The log is written a moment before the job is given up.
            (is_noticed && is_true.iter().any(|words| house.why(name).contains(words)))
                .then_some(())
        },
    );
}

/// Where the true bytes lie before the change is noticed: nowhere yet, or beside the recording already.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TrueCopy {
    Later,
    Before,
}

#[test]
fn bytes_that_changed_behind_size_and_time_are_not_sent_for_those_that_were_taken_in() {
    each([TrueCopy::Later, TrueCopy::Before], |copy| {
        let house = House::new();
        house.standin.down(true);
        let _daemon = house.start();
        let path = house.drop_recording("talk.wav");
        until("it waits for the service", || {
            house.job_if("talk.wav").filter(|job| job["waits_for"] == "service")
        });
        if copy == TrueCopy::Before {
            fs::write(house.path("true.wav"), recording("talk.wav")).expect("written");
            house.wait_for("true.wav", "skipped");
        }
        let at = fs::metadata(&path).expect("there").len() - 1_000;
        let [whole, changed] = change_behind_its_stamp(&path, at);
        assert_eq!(recording("talk.wav"), whole);
        house.standin.down(false);
        wait_for_the_change(&house, "talk.wav");
        // Nobody touches it: what it holds now gets a job of its own.
        house.wait_for("talk.wav", "done");
        if copy == TrueCopy::Later {
            fs::write(house.path("true.wav"), &whole).expect("written");
        }
        house.wait_for("true.wav", "done");
        for bytes in [&whole, &changed] {
            let keys = keys_of(&house, bytes);
            assert!(
                keys.len() == 1 && keys[0].starts_with(&key_begins(bytes)),
                "{copy:?}: {keys:?}"
            );
        }
        let meetings = house.standin.snapshot().meetings;
        assert_eq!(
            (meetings.len(), house.count("done"), house.jobs().len()),
            (2, 2, 2),
            "{copy:?}"
        );
        for (name, bytes) in [("talk.notes.md", &changed), ("true.notes.md", &whole)] {
            let notes = fs::read_to_string(house.path(name)).expect("written");
            assert!(notes.contains(&key_begins(bytes)), "{copy:?}: {name}: {notes}");
        }
    });
}

/// Configures the folder and nothing else: the engine serves by itself.
fn configure_engine(house: &House) {
    let (state, folder) = (house.state_dir(), house.folder());
    let text = format!(
        "state_dir = \"{}\"\n[[folder]]\nname = \"sales\"\npath = \"{}\"\nattendees = [{{ name = \"Ann Lee\", email = \
         \"ann@example.com\" }}]\nsettle = \"100ms\"\nrescan = \"300ms\"\nbacklog = \"process\"\n[retry]\ndelay = \"50ms\"\n\
         delay_max = \"200ms\"\n",
        state.display(),
        folder.display()
    );
    fs::write(house.config(), text).expect("written");
}

#[test]
fn what_is_converted_or_heard_here_is_of_the_bytes_that_were_taken_in() {
    let dir = env!("CARGO_MANIFEST_DIR");
    let spoken = fs::read(Path::new(dir).join("assets/demo/standup.wav")).expect("it ships");
    let folder = |house: &House, name: &str, bytes: &[u8]| {
        let _daemon = house.start();
        assert!(house.run(&["pause", "sales"]).status.success());
        fs::write(house.path(name), bytes).expect("written");
        until("it is taken in", || house.job_if(name));
        let path = house.path(name);
        let middle = fs::metadata(&path).expect("there").len() / 2;
        let [whole, changed] = change_behind_its_stamp(&path, middle);
        assert!(house.run(&["resume", "sales"]).status.success());
        wait_for_the_change(house, name);
        house.wait_for(name, "done");
        let copy = format!("true-{name}");
        fs::write(house.path(&copy), &whole).expect("written");
        house.wait_for(&copy, "done");
        assert_eq!((house.count("done"), house.jobs().len()), (2, 2));
        for (name, bytes) in [(name, &changed), (&copy, &whole)] {
            let notes = Path::new(name).with_extension("notes.md");
            let notes = fs::read_to_string(house.folder().join(notes)).expect("written");
            assert!(notes.contains(&key_begins(bytes)), "{name}: {notes}");
        }
    };
    if let Some(ffmpeg) = program("ffmpeg") {
        let house = House::new();
        house.configure("convert = \"ffmpeg\"");
        let (source, made) =
            (house.dir.path().join("source.wav"), house.dir.path().join("talk.ogg"));
        fs::write(&source, wav(44_100, 1, &tone(44_100, 2))).expect("written");
        let [from, to] = [&source, &made].map(|path| path.to_str().expect("UTF-8"));
        assert!(runs(&ffmpeg, ["-v", "error", "-y", "-i", from, "-c:a", "libvorbis", to]));
        folder(&house, "talk.ogg", &fs::read(&made).expect("made"));
        assert_eq!(house.standin.snapshot().meetings.len(), 2);
    }
    if model().is_some() {
        let house = House::new();
        configure_engine(&house);
        folder(&house, "talk.wav", &spoken);
    }
}

#[test]
fn a_recording_that_fails_or_is_given_up_leaves_nothing_converted() {
    let Some(ffmpeg) = program("ffmpeg") else { return };
    let house = House::new();
    house.configure("convert = \"ffmpeg\"");
    let converted =
        || fs::read_dir(house.state_dir().join("converted")).into_iter().flatten().count();
    let drop_ogg = |name: &str, seconds: u32| {
        let (source, made) = (house.dir.path().join("source.wav"), house.dir.path().join(name));
        fs::write(&source, wav(44_100, 1, &tone(44_100, seconds))).expect("written");
        let [from, to] = [&source, &made].map(|path| path.to_str().expect("UTF-8"));
        assert!(runs(&ffmpeg, ["-v", "error", "-y", "-i", from, "-c:a", "libvorbis", to]));
        fs::rename(made, house.path(name)).expect("dropped");
    };
    let _daemon = house.start();
    house.standin.fail_matching(Call::Upload, "bad", Fault::Status(400), None);
    drop_ogg("bad.ogg", 2);
    house.wait_for("bad.ogg", "failed");
    until("nothing is left", || (converted() == 0).then_some(()));

    house.standin.fail_matching(Call::Upload, "busy", Fault::Status(503), None);
    drop_ogg("busy.ogg", 3);
    until("it is converted", || (converted() == 1).then_some(()));
    until("it waits", || house.job_if("busy.ogg").filter(|job| job["state"] != "running"));
    let path = house.path("busy.ogg");
    assert!(house.run(&["cancel", path.to_str().expect("UTF-8")]).status.success());
    until("nothing is left", || (converted() == 0).then_some(()));
}

//! One folder never holds up another: sparse files, deep trees, floods of names and slow uploads in one, an ordinary
//! recording in the other.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use minuted::testing::beneath::Dir;

use crate::support::{
    budget::budget,
    house::{Daemon, House, recording, until},
    paxs::{Call, Fault},
};

/// A house with a second folder, `board`, and these keys in both.
fn two_folders(keys: &str) -> House {
    let house = House::new();
    fs::create_dir(board(&house, "")).expect("made");
    configure(&house, keys);
    house
}

fn configure(house: &House, keys: &str) {
    let folder = format!(
        "[[folder]]\nname = \"board\"\npath = \"{}\"\nservice = \"paxs\"\nsettle = \"100ms\"\nrescan = \"300ms\"\n\
         backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]\n{keys}",
        board(house, "").display()
    );
    house.configure_all("", keys, &folder);
}

/// A path in the folder `board`.
fn board(house: &House, name: &str) -> PathBuf {
    house.dir.path().join("board").join(name)
}

/// Drops an ordinary recording into `board` and waits for its notes.
fn board_is_served(house: &House, name: &str) {
    fs::write(board(house, name), recording(name)).expect("written");
    house.wait_for(board(house, name).to_str().expect("UTF-8"), "done");
}

/// A file with this beginning and nothing else, as large as this.
fn sparse(path: &Path, head: &[u8], bytes: u64) {
    let mut file = fs::File::create(path).expect("made");
    file.write_all(head).and_then(|()| file.set_len(bytes)).expect("a sparse file");
}

/// The head of a WAV of 8 kHz and 8 bit with so many bytes of sound.
fn wav_head(bytes: u32) -> Vec<u8> {
    let format =
        [&[16, 0, 0, 0, 1, 0, 1, 0, 0x40, 0x1f, 0, 0, 0x40, 0x1f, 0, 0, 1, 0, 8, 0][..], b"data"]
            .concat();
    [b"RIFF", &(36 + bytes).to_le_bytes()[..], b"WAVEfmt ", &format, &bytes.to_le_bytes()].concat()
}

fn reload(house: &House, daemon: &Daemon) {
    let read = house.log().matches("configuration").count();
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(daemon.pid()).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("told");
    until("the configuration is read again", || {
        (house.log().matches("configuration").count() > read).then_some(())
    });
}

#[test]
fn slow_uploads_of_one_folder_leave_a_slot_to_the_other() {
    let house = two_folders("");
    house.standin.fail_matching(Call::Upload, "slow", Fault::Slow { bytes_per_second: 1 }, None);
    for number in 0..4 {
        house.drop_recording(&format!("slow-{number}.mp3"));
    }
    let _daemon = house.start();
    until("an upload is under way", || (house.standin.running(Call::Upload) > 0).then_some(()));
    for number in 0..3 {
        board_is_served(&house, &format!("talk-{number}.mp3"));
    }
    assert_eq!(house.standin.running(Call::Upload), 1, "the other slot was kept");
    let sales: Vec<_> =
        (0..4).filter_map(|number| house.state(&format!("slow-{number}.mp3"))).collect();
    assert!(sales.len() == 4 && !sales.contains(&"done".to_owned()), "{sales:?}");
}

#[test]
fn sparse_and_immense_files_are_skipped_with_the_reason_and_the_other_folder_is_served() {
    let house = two_folders("");
    for number in 0..4 {
        sparse(&house.path(&format!("g{number}.mp3")), b"\xff\xfb\x90\x00", 1 << 30);
        sparse(&house.path(&format!("t{number}.mp3")), b"\xff\xfb\x90\x00", 900 << 30);
    }
    let bytes = u32::MAX - 4096;
    sparse(&house.path("day.wav"), &wav_head(bytes), u64::from(bytes) + 44);
    let _daemon = house.start();
    board_is_served(&house, "talk.mp3");
    let skipped =
        |name: &str| house.wait_for(name, "skipped")["error"].as_str().expect("told").to_owned();
    assert_eq!(
        skipped("g0.mp3"),
        "of its 1GiB only 4KiB were ever written: minuted does not treat it as a recording"
    );
    assert_eq!(skipped("t0.mp3"), "it has 900GiB, and its folder takes up to 64GiB (`max_size`)");
    assert!(skipped("day.wav").starts_with("of its "));
    let why = house.why("t0.mp3");
    assert!(
        why.contains("it was skipped: it has 900GiB") && why.contains("minuted retry"),
        "{why}"
    );
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
}

#[test]
fn a_recording_beyond_a_bound_is_taken_once_the_key_allows_it() {
    let house = two_folders("max_duration = \"1s\"\nmax_size = \"1MiB\"");
    let sound = |seconds: u32, phase: u32| {
        let samples =
            (0..seconds * 8000).map(|n| u8::try_from((n + phase) * 7 % 251).expect("a byte"));
        [wav_head(seconds * 8000), samples.collect()].concat()
    };
    fs::write(house.path("long.wav"), sound(3, 0)).expect("written");
    fs::write(house.path("large.wav"), [sound(1, 5), vec![0; 2 << 20]].concat()).expect("written");
    let daemon = house.start();
    let told =
        |name: &str| house.wait_for(name, "skipped")["error"].as_str().expect("told").to_owned();
    assert_eq!(told("long.wav"), "it is 3s long, and its folder takes up to 1s (`max_duration`)");
    assert_eq!(told("large.wav"), "it has 2MiB, and its folder takes up to 1MiB (`max_size`)");
    let output = house.run(&["retry", house.path("long.wav").to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("is skipped") && said.contains("`max_duration`"),
        "{said}"
    );
    assert!(daemon.stop().success());
    // Nobody runs: the command looks at the file itself.
    configure(&house, "max_duration = \"1h\"\nmax_size = \"1MiB\"");
    let output = house.run(&["retry", house.path("long.wav").to_str().expect("UTF-8")]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("queued as job"), "{output:?}");
    let daemon = house.start();
    house.wait_for("long.wav", "done");
    assert_eq!(house.jobs().len(), 2, "what was skipped has become the job: {:?}", house.jobs());
    // With a reload nothing more need be said.
    configure(&house, "max_duration = \"1h\"\nmax_size = \"1GiB\"");
    reload(&house, &daemon);
    house.wait_for("large.wav", "done");
    assert_eq!(house.jobs().len(), 2, "{:?}", house.jobs());
}

#[test]
fn bounds_do_not_hold_for_what_was_taken_before() {
    let house = two_folders("");
    house.standin.fail_always(Call::Upload, Fault::Status(503));
    fs::write(
        house.path("talk.wav"),
        [wav_head(24_000), (0..24_000_u32).map(|n| (n * 7 % 251) as u8).collect()].concat(),
    )
    .expect("written");
    let daemon = house.start();
    until("it is taken in", || {
        house.state("talk.wav").filter(|state| ["ready", "running"].contains(&&**state))
    });
    assert!(daemon.stop().success());
    configure(&house, "max_duration = \"1s\"");
    fs::rename(house.path("talk.wav"), house.path("renamed.wav")).expect("renamed");
    let _daemon = house.start();
    house.standin.clear_faults();
    house.wait_for("renamed.wav", "done");
    assert_eq!(house.jobs().len(), 1, "{:?}", house.jobs());
}

#[test]
fn chains_of_directories_hold_up_neither_folder_and_have_an_answer() {
    let house = two_folders("");
    let levels = |count: usize| ["d/"; 100][..count].concat();
    for chain in ["a", "b", "c"] {
        let root = house.path(chain);
        fs::create_dir(&root).expect("made");
        let mut at = Dir::open(&root).expect("opened");
        for _ in 0..budget(1000) {
            at = at.descend_or_make(Path::new("d"), 0o700).expect("made");
        }
    }
    house.drop_recording("talk.mp3");
    house.drop_recording(&format!("a/{}talk.mp3", levels(63)));
    house.drop_recording(&format!("a/{}talk.mp3", levels(64)));
    let _daemon = house.start();
    board_is_served(&house, "talk.mp3");
    house.wait_for("talk.mp3", "done");
    house.wait_for(&format!("a/{}talk.mp3", levels(63)), "done");
    let why = house.why(&format!("a/{}talk.mp3", levels(64)));
    assert!(why.contains("left alone: it lies more than 64 directories deep"), "{why}");
    let status = house.status();
    let trouble = status["folders"][0]["trouble"].as_str().expect("told").to_owned();
    assert!(trouble.contains("3 directories are deeper than 64 levels and not read"), "{trouble}");
    let check = house.run(&["check"]);
    let told = String::from_utf8_lossy(&check.stdout).into_owned()
        + &String::from_utf8_lossy(&check.stderr);
    assert!(told.contains("lie more than 64 deep"), "{told}");
}

#[test]
fn a_flood_of_names_in_one_folder_comes_after_a_recording_of_the_other() {
    let house = two_folders("");
    for number in 0..budget(1500) {
        fs::write(house.path(&format!("junk-{number}.mp3")), format!("junk {number}"))
            .expect("written");
    }
    let _daemon = house.start();
    until("the flood has come", || (house.count("ready") > 100).then_some(()));
    board_is_served(&house, "talk.mp3");
    let waiting = house.count("ready");
    assert!(waiting > 0, "the flood was over before");
}

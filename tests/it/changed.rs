//! A recording whose bytes change behind its size and its time, and what is left of one that fails.

use std::{
    fs::{self, File},
    os::unix::fs::FileExt as _,
};

use minuted::standin::{Call, Fault};

use crate::support::{
    house::{House, recording, until},
    sound::{program, runs, tone, wav},
};

#[test]
fn bytes_that_changed_behind_size_and_time_are_not_sent_for_those_that_were_taken_in() {
    let house = House::new();
    house.standin.down(true);
    let _daemon = house.start();
    let path = house.drop_recording("talk.wav");
    let whole = fs::read(&path).expect("read");
    until("it waits for the service", || house.job_if("talk.wav").filter(|job| job["waits_for"] == "service"));
    let modified = fs::metadata(&path).expect("there").modified().expect("known");
    let file = File::options().write(true).open(&path).expect("opened");
    file.write_all_at(&[7; 400], whole.len() as u64 - 1_000).expect("written");
    file.set_modified(modified).expect("put back");
    drop(file);
    house.standin.down(false);
    until("the change is noticed", || {
        house.log().contains("the recording changed while it was being sent").then_some(())
    });
    let sent = |content: &[u8]| {
        let hash = blake3::hash(content).to_hex().to_string();
        let meetings = house.standin.snapshot().meetings;
        meetings.iter().filter_map(|meeting| meeting.recording.as_ref()).filter(|sent| *sent.blake3 == *hash).count()
    };
    let changed = fs::read(&path).expect("read");
    assert_eq!((sent(&changed), sent(&whole)), (0, 0));
    // The true recording, dropped by somebody else, is not taken for done.
    fs::write(house.path("true.wav"), &whole).expect("written");
    until("the true recording is sent", || (sent(&whole) == 1).then_some(()));
    assert_eq!(recording("talk.wav"), whole);
}

#[test]
fn a_recording_that_fails_or_is_given_up_leaves_nothing_converted() {
    let Some(ffmpeg) = program("ffmpeg") else { return };
    let house = House::new();
    house.configure("convert = \"ffmpeg\"");
    let converted = || fs::read_dir(house.state_dir().join("converted")).into_iter().flatten().count();
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

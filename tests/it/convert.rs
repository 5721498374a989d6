//! `convert = "ffmpeg"`: what a service does not take is converted before it is sent, by an ffmpeg that can do no harm.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::Value;

use crate::support::{
    house::{House, until, until_told},
    paxs::{Call, Fault},
    sound::{drop_tone, program, runs, tone, tone_of_two_seconds, wav},
};

const CONVERT: &str = "convert = \"ffmpeg\"";

/// Kinds that PAXS does not take, and what makes ffmpeg write them.
const KINDS: [(&str, &str); 8] = [
    ("mkv", "-c:a libopus"),
    ("ogg", "-c:a libvorbis"),
    ("mov", "-c:a aac"),
    ("aiff", ""),
    ("caf", ""),
    ("avi", "-c:a mp3"),
    ("wma", "-c:a wmav2"),
    ("mka", "-c:a flac"),
];

/// What lies in the directory of converted recordings.
fn converted(house: &House) -> Vec<PathBuf> {
    let entries = fs::read_dir(house.state_dir().join("converted")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// A house whose programs lie in a directory of its own.
fn bin(house: &House) -> PathBuf {
    let bin = house.dir.path().join("bin");
    fs::create_dir(&bin).expect("made");
    bin
}

fn path_of(bin: &Path) -> [(&str, &str); 1] {
    [("PATH", bin.to_str().expect("UTF-8"))]
}

#[test]
fn what_the_service_does_not_take_is_sent_as_what_it_takes_and_the_notes_keep_the_name() {
    let house = House::new();
    house.configure(CONVERT);
    let _daemon = house.start();
    for (extension, arguments) in KINDS {
        let name = format!("{extension} talk.{extension}");
        let Some(path) = drop_tone(&house, &name, arguments) else { continue };
        let before = fs::read(&path).expect("there");
        let job = house.wait_for(&name, "done");
        assert_eq!(job["attempts"], 0, "{job:#}");
        assert!(
            job["notes"][0]
                .as_str()
                .expect("notes")
                .ends_with(&format!("/{extension} talk.notes.md")),
            "{job:#}"
        );
        assert_eq!(fs::read(&path).expect("there"), before, "the recording stays as it is");
        let meetings = house.standin.snapshot().meetings;
        let meeting = meetings
            .iter()
            .find(|meeting| meeting.title == format!("{extension} talk"))
            .expect("a meeting");
        let sent = meeting.recording.as_ref().expect("a recording");
        assert_eq!(
            (sent.name.as_str(), sent.mime.as_str()),
            (&*format!("{extension} talk.m4a"), "audio/mp4")
        );
        assert_eq!(meeting.uploads, 1);
    }
    house.drop_recording("plain.wav");
    house.wait_for("plain.wav", "done");
    let meetings = house.standin.snapshot().meetings;
    let plain = meetings
        .iter()
        .find(|meeting| meeting.title == "plain")
        .and_then(|meeting| meeting.recording.as_ref());
    assert_eq!(
        plain.expect("a recording").name,
        "plain.wav",
        "what the service takes is sent as it is"
    );
    assert_eq!(converted(&house), Vec::<PathBuf>::new(), "what was sent is not kept");
}

#[test]
fn a_recording_that_is_replaced_leaves_nothing_converted_nor_does_a_process_before() {
    let house = House::new();
    house.configure(CONVERT);
    let dir = house.state_dir().join("converted");
    fs::create_dir_all(&dir).expect("made");
    for name in ["b3-00.sales.1.7.tmp", "b3-00.sales.1.m4a"] {
        fs::write(dir.join(name), "left").expect("written");
    }
    house.standin.fail_always(Call::Upload, Fault::Status(503));
    let _daemon = house.start();
    until("nothing is left", || converted(&house).is_empty().then_some(()));
    let mut keys = Vec::new();
    for seconds in 2..5 {
        let made = house.dir.path().join("made");
        fs::create_dir_all(&made).expect("made");
        let Some(tone) = tone_of_ogg(&made, seconds) else { return };
        fs::rename(tone, house.path("talk.ogg")).expect("dropped");
        let told = || {
            format!("its sound alone: {:?}, but {keys:?}; {:?}", converted(&house), house.jobs())
        };
        let key = until_told(told, || match converted(&house).as_slice() {
            [path] if path.extension()? != "tmp" && !keys.contains(path) => Some(path.clone()),
            _ => None,
        });
        keys.push(key);
    }
    fs::remove_file(house.path("talk.ogg")).expect("removed");
    let waiting =
        house.jobs().into_iter().find(|job| job["state"] != "cancelled").expect("one waits");
    let id = waiting["id"].to_string();
    assert!(house.run(&["cancel", &id]).status.success());
    until("nothing is left", || converted(&house).is_empty().then_some(()));
}

/// Makes a tone of so many seconds as Ogg; `None` without ffmpeg.
fn tone_of_ogg(dir: &Path, seconds: u32) -> Option<PathBuf> {
    let ffmpeg = program("ffmpeg")?;
    let (source, made) = (dir.join("source.wav"), dir.join("made.ogg"));
    fs::write(&source, wav(44_100, 1, &tone(44_100, seconds))).expect("written");
    let [from, to] = [&source, &made].map(|path| path.to_str().expect("UTF-8"));
    assert!(runs(&ffmpeg, ["-v", "error", "-y", "-i", from, "-c:a", "libvorbis", to]));
    Some(made)
}

#[test]
fn a_kill_around_a_conversion_leaves_one_upload_and_nothing_behind() {
    let mut hashes = Vec::new();
    for point in [
        "PlaceConverted:before",
        "PlaceConverted:after",
        "CallUpload:before",
        "CallUpload:after",
        "Uploaded:before",
        "Uploaded:after",
        "ForgetConverted:before",
        "ForgetConverted:after",
    ] {
        let house = House::new();
        house.configure(CONVERT);
        let mut daemon = house.spawn(&[("MINUTED_DIE", point)]);
        if drop_tone(&house, "talk.mkv", "-c:a libopus -fflags +bitexact -flags +bitexact")
            .is_none()
        {
            return;
        }
        until(point, || daemon.was_killed().then_some(()));
        if point.starts_with("CallUpload") {
            let [file] = converted(&house).try_into().expect("one converted recording");
            assert!(tone_of_two_seconds(&file) > 0.9, "{point}");
            assert_eq!(
                file.metadata().expect("there").permissions().mode() & 0o077,
                0,
                "nobody else may read it"
            );
        }
        let _daemon = house.start();
        let job = house.wait_for("talk.mkv", "done");
        assert_eq!(
            (&job["attempts"], job["notes"].as_array().map(Vec::len)),
            (&Value::from(0), Some(1)),
            "{point}"
        );
        let meetings = house.standin.snapshot().meetings;
        assert_eq!(
            meetings.iter().map(|meeting| meeting.uploads).collect::<Vec<_>>(),
            [1],
            "{point}"
        );
        until_told(
            || format!("{point}: {:?}", converted(&house)),
            || converted(&house).is_empty().then_some(()),
        );
        assert_eq!(house.files(), ["talk.mkv", "talk.notes.md"], "{point}");
        hashes.push(meetings[0].recording.as_ref().expect("a recording").blake3.clone());
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "the same recording gives the same bytes");
}

/// The children of a process, and theirs.
fn descendants(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = lists
        .flat_map(|list| list.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect();
    children.iter().flat_map(|child| std::iter::once(*child).chain(descendants(*child))).collect()
}

/// Whether a process is there and no zombie.
fn lives(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_conversion_ends_with_the_daemon_however_that_ends() {
    let Some(ffmpeg) = program("ffmpeg") else { return };
    let house = House::new();
    house.configure(CONVERT);
    let bin = bin(&house);
    let slow = bin.join("ffmpeg");
    fs::write(&slow, "#!/bin/sh\nexec /bin/sleep 600\n").expect("written");
    fs::set_permissions(&slow, fs::Permissions::from_mode(0o755)).expect("set");
    let daemon = house.listening(house.spawn(&path_of(&bin)));
    if drop_tone(&house, "talk.mkv", "-c:a libopus").is_none() {
        return;
    }
    let at_work = until("two are at work", || {
        Some(descendants(daemon.pid())).filter(|found| found.len() == 2)
    });
    let begun = std::time::Instant::now();
    assert!(daemon.stop().success());
    assert!(begun.elapsed() < Duration::from_secs(15), "a stop waits for no conversion");
    until("they ended with it", || at_work.iter().all(|pid| !lives(*pid)).then_some(()));
    let daemon = house.listening(house.spawn(&path_of(&bin)));
    let at_work = until("two are at work again", || {
        Some(descendants(daemon.pid())).filter(|found| found.len() == 2)
    });
    daemon.kill();
    until("they ended by the kill", || at_work.iter().all(|pid| !lives(*pid)).then_some(()));
    fs::remove_file(&slow).expect("removed");
    symlink(ffmpeg, &slow).expect("installed");
    let _daemon = house.listening(house.spawn(&path_of(&bin)));
    let job = house.wait_for("talk.mkv", "done");
    assert_eq!(
        (&job["attempts"], house.standin.snapshot().meetings[0].uploads),
        (&Value::from(0), 1),
        "{job:#}"
    );
}

#[test]
fn without_ffmpeg_it_waits_and_the_others_do_not_and_a_check_says_so() {
    let Some(ffmpeg) = program("ffmpeg") else { return };
    let house = House::new();
    house.configure(CONVERT);
    let bin = bin(&house);
    let daemon = house.listening(house.spawn(&path_of(&bin)));
    if drop_tone(&house, "talk.ogg", "-c:a libvorbis").is_none() {
        return;
    }
    until_told(
        || house.why("talk.ogg"),
        || house.why("talk.ogg").contains("apt install ffmpeg").then_some(()),
    );
    house.drop_recording("plain.wav");
    house.wait_for("plain.wav", "done");
    let check = || {
        String::from_utf8_lossy(
            &house.command(&["check"]).env("PATH", &bin).output().expect("run").stdout,
        )
        .into_owned()
    };
    let told = check();
    assert!(
        told.contains("ERROR    convert: ffmpeg is not installed; recordings of sales wait for it"),
        "{told}"
    );
    assert!(told.contains("hint: apt install ffmpeg"), "{told}");
    // One that is there and does not work is no better.
    fs::write(bin.join("ffmpeg"), "not a program").expect("written");
    fs::set_permissions(bin.join("ffmpeg"), fs::Permissions::from_mode(0o755)).expect("set");
    until_told(
        || house.why("talk.ogg"),
        || house.why("talk.ogg").contains("ffmpeg does not work").then_some(()),
    );
    fs::remove_file(bin.join("ffmpeg")).expect("removed");
    symlink(&ffmpeg, bin.join("ffmpeg")).expect("installed");
    assert!(check().contains("converts recordings of sales"));
    let job = house.wait_for("talk.ogg", "done");
    assert_eq!(job["attempts"], 0, "{job:#}");
    assert!(daemon.stop().success());
}

#[test]
fn what_cannot_be_decoded_is_given_up_and_reads_nothing_else() {
    if program("ffmpeg").is_none() {
        return;
    }
    let house = House::new();
    house.configure(CONVERT);
    let _daemon = house.start();
    let secret = house.dir.path().join("secret.wav");
    fs::write(&secret, wav(16_000, 1, &tone(16_000, 2))).expect("written");
    let playlist =
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{}\n", secret.display());
    let torn = [b"\x1a\x45\xdf\xa3".as_slice(), &[7; 5000]].concat();
    let cases: [(&str, Vec<u8>, &str); 4] = [
        ("playlist.mkv", playlist.into_bytes(), "it is a text, not a recording"),
        (
            "concat.ogg",
            format!("ffconcat version 1.0\nfile {}\n", secret.display()).into_bytes(),
            "it is a text",
        ),
        ("torn.mkv", torn, "cannot be converted"),
        ("zeros.avi", vec![0; 5000], "those of no recording"),
    ];
    for (name, bytes, words) in cases {
        fs::write(house.path(name), bytes).expect("written");
        let job = house.wait_for(name, "failed");
        assert!(job["error"].as_str().expect("told").contains(words), "{job:#}");
    }
    assert!(house.standin.snapshot().meetings.iter().all(|meeting| meeting.uploads == 0));
}

#[test]
fn without_the_key_it_is_skipped_with_the_list_and_the_hint_and_taken_when_the_key_comes() {
    let house = House::new();
    let daemon = house.start();
    if drop_tone(&house, "talk.mkv", "-c:a libopus").is_none() {
        return;
    }
    let told = until("it is skipped", || {
        Some(house.why("talk.mkv")).filter(|told| told.contains("does not take"))
    });
    assert!(
        told.contains("it takes: mp3 wav flac")
            && told.contains("with convert = \"ffmpeg\" in the folder"),
        "{told}"
    );
    assert!(told.contains(" mkv "), "{told}");
    house.configure(CONVERT);
    daemon.signal(rustix::process::Signal::HUP);
    house.wait_for("talk.mkv", "done");
    assert_eq!(house.standin.snapshot().meetings[0].uploads, 1);
}

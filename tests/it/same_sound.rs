//! The sound of a recording is its name: a remux and a file with other tags are the same recording.

use std::{fs, path::Path, process::Command};

use minuted::testing::{
    job::Sound,
    watch::media::sound::{ReadAt, SoundHasher},
};

use crate::support::{
    house::{House, recording, until},
    media::{Codec, Track, adts, flac, matroska, mp4, ogg},
    paxs::{Call, Fault, Meeting},
    sound::{program, tone, wav},
};

/// Returns the name of the sound in a file.
fn sound(file: &Vec<u8>) -> Option<Sound> {
    let mut hasher = SoundHasher::open(file as &dyn ReadAt, file.len() as u64)?;
    for (number, piece) in (0_u64..).zip(file.chunks(1000)) {
        hasher = hasher.pass(number * 1000, piece)?;
    }
    hasher.finish()
}

/// Returns every way in which tracks may be written, by what it is; those of one codec have the same sound.
fn written(tracks: &[Track]) -> Vec<(String, Vec<u8>)> {
    let text = |text: &str| text.to_owned();
    let film = |title: &str| mp4::Shape { title: text(title), ..mp4::Shape::default() };
    let mp4s = [
        ("MP4", film("Weekly")),
        ("other tags", film("A title that is much longer than the one before")),
        ("index first", mp4::Shape { index_first: true, ..film("") }),
        ("fragments", mp4::Shape { is_fragmented: true, ..film("Weekly") }),
        ("with pictures", mp4::Shape { has_pictures: true, ..film("Weekly") }),
        ("the encoder's delay cut off", mp4::Shape { edit: Some((46, 2_700)), ..film("") }),
        ("an edit of all", mp4::Shape { edit: Some((0, 2_786)), ..film("") }),
    ];
    let segment =
        |title: &str| matroska::Shape { title: text(title), ..matroska::Shape::default() };
    let mkvs = [
        ("Matroska", segment("Weekly")),
        ("a live stream", matroska::Shape { is_open: true, ..segment("") }),
        ("Matroska with pictures", matroska::Shape { has_pictures: true, ..segment("More") }),
        ("laced", matroska::Shape { laced: true, ..segment("Weekly") }),
    ];
    let mp4s = mp4s.into_iter().map(|(name, shape)| (text(name), mp4::file(tracks, &shape)));
    let mkvs = mkvs.into_iter().map(|(name, shape)| (text(name), matroska::file(tracks, &shape)));
    let bare = match (tracks, tracks.first().map(|track| track.codec)) {
        ([track], Some(Codec::Aac)) => vec![("ADTS", adts::file(track))],
        ([track], Some(Codec::Flac)) => {
            vec![("FLAC", flac::file(track, "A=1")), ("tagged", flac::file(track, "TITLE=Weekly"))]
        }
        ([track], Some(Codec::Opus)) => {
            vec![("Ogg", ogg::file(track, "A=1", 10)), ("tagged", ogg::file(track, "TITLE=B", 33))]
        }
        ([track], Some(Codec::Mp3)) => mp3s(track),
        _ => Vec::new(),
    };
    mp4s.chain(mkvs).chain(bare.into_iter().map(|(name, bytes)| (text(name), bytes))).collect()
}

/// Returns an ID3 tag with so many bytes in it.
fn id3(bytes: usize) -> Vec<u8> {
    let seven = |shift: usize| u8::try_from(bytes >> shift & 127).expect("seven bits");
    [&b"ID3\x04\0\0"[..], &[seven(21), seven(14), seven(7), seven(0)], &vec![0xff; bytes]].concat()
}

fn mp3s(track: &Track) -> Vec<(&'static str, Vec<u8>)> {
    let stream = track.stream();
    let old_tag = [&b"TAG"[..], &[b' '; 125]].concat();
    // A frame without sound, which holds the length: some programs write it, others take it away.
    let mut table = vec![0; 417];
    table[..4].copy_from_slice(b"\xff\xfb\x90\x00");
    table[36..40].copy_from_slice(b"Info");
    let (first, second) = stream.split_at(417 * 50);
    vec![
        ("MP3", stream.clone()),
        ("a large picture", [id3(300_000), stream.clone()].concat()),
        ("two tags", [id3(10), id3(2_000), stream.clone(), old_tag.clone()].concat()),
        ("a table", [id3(10), table, stream.clone()].concat()),
        ("a tag between", [first, &id3(5_000), second, &old_tag].concat()),
    ]
}

#[test]
fn the_same_packets_have_the_same_name_in_every_container_and_with_any_tags() {
    for codec in Codec::ALL {
        for count in [1, 2] {
            let tracks: Vec<Track> =
                (0..count).map(|number| Track::noise(codec, &format!("track {number}"))).collect();
            let all = written(&tracks);
            let expected = sound(&all[0].1).expect("a name");
            for (name, bytes) in &all {
                assert_eq!(
                    sound(bytes).as_ref(),
                    Some(&expected),
                    "{codec:?} as {name}, {count} tracks"
                );
            }
            let other = Track::noise(codec, "another");
            let changed = [&tracks[..count - 1], &[other]].concat();
            assert_ne!(
                sound(&written(&changed)[0].1),
                Some(expected),
                "{codec:?}: other sound has another name"
            );
        }
    }
}

#[test]
fn every_track_counts_and_so_does_their_order() {
    let [one, two] = ["one", "two"].map(|seed| Track::noise(Codec::Opus, seed));
    let of = |tracks: &[Track]| {
        sound(&matroska::file(tracks, &matroska::Shape::default())).expect("a name")
    };
    let names = [
        of(std::slice::from_ref(&one)),
        of(&[one.clone(), two.clone()]),
        of(&[two.clone(), one.clone()]),
        of(&[two]),
    ];
    for (at, name) in names.iter().enumerate() {
        assert!(!names[..at].contains(name), "{names:?}");
    }
}

#[test]
fn silence_and_what_is_very_short_have_no_name() {
    for codec in [Codec::Aac, Codec::Opus, Codec::Mp3] {
        for (name, bytes) in written(&[Track::silence(codec)]) {
            assert_eq!(sound(&bytes), None, "{codec:?} as {name}");
        }
        let short = Track { packets: Track::noise(codec, "a beep").packets[..9].to_vec(), codec };
        assert_eq!(sound(&mp4::file(&[short], &mp4::Shape::default())), None, "{codec:?}");
    }
    assert_eq!(sound(&wav(16_000, 1, &vec![0; 160_000])), None);
    assert!(sound(&wav(16_000, 1, &tone(16_000, 2))).is_some());
    // A silent track beside one with words is part of the recording.
    let beside = [Track::noise(Codec::Opus, "words"), Track::silence(Codec::Opus)];
    assert!(sound(&matroska::file(&beside, &matroska::Shape::default())).is_some());
}

#[test]
fn an_edit_that_leaves_out_sound_is_another_recording() {
    let track = [Track::noise(Codec::Aac, "long")];
    let of = |edit| {
        sound(&mp4::file(&track, &mp4::Shape { edit, ..mp4::Shape::default() })).expect("a name")
    };
    assert_eq!(of(None), of(Some((46, 0))), "a duration of 0 is all");
    for edit in [(1_000, 1_700), (0, 1_500), (46, 1_000)] {
        assert_ne!(of(None), of(Some(edit)), "{edit:?}");
        assert_eq!(of(Some(edit)), of(Some(edit)));
    }
}

#[test]
fn a_cut_file_and_a_lying_one_are_read_without_harm() {
    for codec in Codec::ALL {
        for (name, bytes) in written(&[Track::noise(codec, "cut")]) {
            for cut in (0..bytes.len()).step_by(bytes.len() / 12) {
                let name_of_part = sound(&bytes[..cut].to_vec());
                assert!(
                    name_of_part.is_none()
                        || name_of_part != sound(&bytes)
                        || cut * 10 > bytes.len() * 9,
                    "{name} cut at {cut}"
                );
            }
            for at in (0..bytes.len().min(1_500)).step_by(13) {
                let mut lie = bytes.clone();
                lie[at] = 0xff;
                drop(sound(&lie));
            }
        }
    }
}

#[test]
fn a_wav_keeps_its_name_with_other_chunks_and_with_a_length_that_was_never_known() {
    let plain = wav(16_000, 1, &tone(16_000, 2));
    let tagged =
        [&plain[..12], b"LIST\x0a\0\0\0INFOISFT\0\0", &plain[12..], b"note\x04\0\0\0tags"].concat();
    let mut piped = plain.clone();
    piped[40..44].copy_from_slice(&u32::MAX.to_le_bytes());
    let expected = sound(&plain).expect("a name");
    assert_eq!(sound(&tagged).as_ref(), Some(&expected));
    assert_eq!(sound(&piped).as_ref(), Some(&expected));
    assert_ne!(
        sound(&wav(8_000, 1, &tone(16_000, 2))),
        Some(expected),
        "another rate is another sound"
    );
}

fn drop_bytes(house: &House, name: &str, bytes: &[u8]) {
    let whole = house.dir.path().join("whole");
    fs::write(&whole, bytes).expect("written");
    fs::rename(whole, house.path(name)).expect("dropped");
}

fn meetings(house: &House) -> usize {
    house.standin.snapshot().meetings.len()
}

/// The same sound in containers that PAXS takes, each with bytes of its own.
fn takes(seed: &str) -> [Vec<u8>; 3] {
    let track = [Track::noise(Codec::Opus, seed)];
    [
        matroska::file(&track, &matroska::Shape::default()),
        mp4::file(&track, &mp4::Shape::default()),
        ogg::file(&track[0], "TITLE=other", 10),
    ]
}

#[test]
fn a_remux_of_what_is_done_or_under_way_is_skipped_and_names_the_job() {
    let house = House::new();
    let _daemon = house.start();
    let [webm, mp4, opus] = takes("talk");
    drop_bytes(&house, "talk.webm", &webm);
    let job = house.wait_for("talk.webm", "done");
    drop_bytes(&house, "talk.mp4", &mp4);
    drop_bytes(&house, "renamed.opus", &opus);
    for name in ["talk.mp4", "renamed.opus"] {
        let skipped = house.wait_for(name, "skipped");
        let error = skipped["error"].as_str().expect("a reason");
        assert!(
            error.contains("the same sound as job 1") && error.contains("talk.webm"),
            "{error}"
        );
        assert!(house.why(name).contains("the same sound"), "{}", house.why(name));
        assert_eq!(skipped["notes"], job["notes"], "the notes that it has already");
    }
    assert_eq!(meetings(&house), 1);
    let notes = fs::read_to_string(house.path("talk.notes.md")).expect("written");
    assert!(notes.contains("\nsound: s1-"), "{notes}");
}

#[test]
fn what_failed_is_tried_again_with_a_remux_of_it_and_another_folder_has_its_own() {
    let house = House::new();
    let _daemon = house.start();
    let [webm, mp4, _] = takes("talk");
    house.standin.fail_matching(Call::Upload, "talk", Fault::Status(415), Some(3));
    drop_bytes(&house, "talk.webm", &webm);
    house.wait_for("talk.webm", "failed");
    drop_bytes(&house, "talk.mp4", &mp4);
    let job = house.wait_for("talk.mp4", "done");
    assert_eq!((&job["id"], house.jobs().len()), (&1.into(), 1), "{job}");
    assert_eq!(meetings(&house), 1);
}

#[test]
fn the_name_is_remembered_when_the_job_is_forgotten_and_when_the_queue_is_lost() {
    let house = House::new();
    let daemon = house.start();
    let [webm, mp4, opus] = takes("talk");
    drop_bytes(&house, "talk.webm", &webm);
    house.wait_for("talk.webm", "done");
    daemon.stop();
    let queue =
        rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("a queue");
    queue.execute("DELETE FROM job", []).expect("forgotten");
    drop(queue);
    let daemon = house.start();
    drop_bytes(&house, "talk.mp4", &mp4);
    let skipped = house.wait_for("talk.mp4", "skipped");
    assert!(
        skipped["error"].as_str().expect("a reason").contains("the same sound was done on"),
        "{skipped}"
    );
    daemon.stop();
    fs::remove_dir_all(house.state_dir()).expect("lost");
    house.sign_in();
    fs::remove_file(house.path("talk.webm")).expect("taken away");
    fs::remove_file(house.path("talk.mp4")).expect("taken away");
    drop_bytes(&house, "talk.opus", &opus);
    let _daemon = house.start();
    let skipped = house.wait_for("talk.opus", "skipped");
    assert!(skipped["error"].as_str().expect("a reason").contains("talk.notes.md"), "{skipped}");
    assert_eq!(meetings(&house), 1);
}

#[test]
fn a_job_whose_file_goes_takes_the_remux_that_was_skipped_for_it() {
    let house = House::new();
    let _daemon = house.start();
    let [webm, mp4, _] = takes("talk");
    house.standin.fail_matching(Call::Upload, "talk", Fault::Status(503), Some(1_000));
    drop_bytes(&house, "talk.webm", &webm);
    until("it is taken", || house.job_if("talk.webm"));
    drop_bytes(&house, "talk.mp4", &mp4);
    house.wait_for("talk.mp4", "skipped");
    fs::remove_file(house.path("talk.webm")).expect("taken away");
    until("the job goes on with the remux", || {
        let job = house.job_if("talk.mp4")?;
        (job["id"] == 1 && job["state"] != "skipped").then_some(())
    });
}

#[test]
fn a_remux_that_a_job_took_is_what_is_sent_and_what_is_redone() {
    let house = House::new();
    house.standin.down(true);
    let _daemon = house.start();
    let [webm, mp4, _] = takes("talk");
    drop_bytes(&house, "talk.webm", &webm);
    until("it waits for the service", || {
        house.job_if("talk.webm").filter(|job| job["waits_for"] == "service")
    });
    drop_bytes(&house, "talk.mp4", &mp4);
    house.wait_for("talk.mp4", "skipped");
    fs::remove_file(house.path("talk.webm")).expect("taken away");
    until("the job goes on with the remux", || {
        house.job_if("talk.mp4").filter(|job| job["id"] == 1)
    });
    house.standin.down(false);
    let first = house.wait_for("talk.mp4", "done");
    let path = house.path("talk.mp4");
    assert!(house.run(&["redo", path.to_str().expect("UTF-8")]).status.success());
    let second = until("it is redone", || {
        house.job_if("talk.mp4").filter(|job| job["id"] != 1 && job["state"] == "done")
    });
    let content = |job: &serde_json::Value| {
        job["key"].as_str().expect("a key").split('.').next().map(str::to_owned)
    };
    assert_eq!(
        content(&first),
        content(&second),
        "the name of the job stays that of the first file"
    );
    let sent = |meeting: &Meeting| meeting.recording.as_ref().map(|sent| sent.blake3.clone());
    let expected = Some(blake3::hash(&mp4).to_hex().to_string());
    for meeting in house.standin.snapshot().meetings {
        assert_eq!(sent(&meeting), expected);
    }
    assert_eq!(meetings(&house), 2);
}

#[test]
fn recordings_of_the_tests_are_told_apart() {
    // They differ in what lies behind the sound alone; had they a name by it, most tests would prove nothing.
    for extension in ["wav", "mp3", "m4a", "mp4", "opus", "webm", "flac", "ogg", "aac"] {
        assert_eq!(sound(&recording(&format!("a.{extension}"))), None, "{extension}");
    }
}

/// Has ffmpeg make `to` of `from`; returns the bytes.
fn remuxed(ffmpeg: &Path, from: &Path, arguments: &[&str], to: &Path) -> Vec<u8> {
    let mut command = Command::new(ffmpeg);
    command.args(["-v", "error", "-y", "-i"]).arg(from).args(arguments).arg(to);
    assert!(command.status().expect("run").success(), "{command:?}");
    fs::read(to).expect("made")
}

#[test]
fn what_ffmpeg_copies_into_another_container_keeps_its_name() {
    let Some(ffmpeg) = program("ffmpeg") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    let louder = |n: u32| i16::try_from(n / 9_700 + 1).expect("small");
    let sweep: Vec<i16> = tone(44_100, 5)
        .iter()
        .zip(0_u32..)
        .map(|(sample, n)| sample.wrapping_mul(louder(n)))
        .collect();
    fs::write(at("source.wav"), wav(44_100, 1, &sweep)).expect("written");
    // FLAC in MP4 is an experiment to ffmpeg of some years ago.
    let tags = ["-metadata", "title=Another title", "-metadata", "comment=edited", "-strict", "-2"];
    let copy = [&["-map", "0", "-c", "copy"][..], &tags].concat();
    let cases: [(&str, &[&str]); 6] = [
        ("aac", &["mkv", "mp4", "mov", "m4a", "aac"]),
        ("libopus", &["mkv", "webm", "mp4", "opus"]),
        ("libmp3lame", &["mp3", "mkv", "mp4", "mov"]),
        ("flac", &["flac", "mkv", "mp4", "oga"]),
        ("libvorbis", &["ogg", "mkv", "webm"]),
        ("pcm_s16le", &["wav", "mkv", "mov"]),
    ];
    for (codec, containers) in cases {
        let first = at(&format!("{codec}.{}", containers[0]));
        let bytes = remuxed(&ffmpeg, &at("source.wav"), &["-c:a", codec], &first);
        let expected = sound(&bytes).unwrap_or_else(|| panic!("{codec} has no name"));
        let mut from = first;
        // One behind the other, and back at last.
        for container in containers[1..].iter().chain(&containers[..1]) {
            let to = at(&format!(
                "{codec} again {}.{container}",
                from.file_stem().expect("a name").len()
            ));
            let bytes = remuxed(&ffmpeg, &from, &copy, &to);
            assert_eq!(sound(&bytes).as_ref(), Some(&expected), "{codec} in {container}");
            from = to;
        }
        if containers.contains(&"mp4") {
            let fragments = [
                "-c",
                "copy",
                "-movflags",
                "frag_keyframe+empty_moov",
                "-frag_duration",
                "500000",
                "-strict",
                "-2",
            ];
            let bytes = remuxed(&ffmpeg, &from, &fragments, &at("fragments.mp4"));
            assert_eq!(sound(&bytes).as_ref(), Some(&expected), "{codec} in fragments");
        }
    }
}

//! What a recording's container shows: junk behind it, a recorder that is still at work or has died, no sound at all.

use std::fs;

use serde_json::Value;

use crate::support::{
    house::{House, recording, until},
    sound::{tone, wav},
};

/// Puts bytes into the folder under a name, whole.
fn drop_bytes(house: &House, name: &str, bytes: &[u8]) {
    let whole = house.dir.path().join(name);
    fs::write(&whole, bytes).expect("written");
    fs::rename(whole, house.path(name)).expect("dropped");
}

/// A recording with other bytes at a place, counted from its end where that is negative.
fn patched(name: &str, find: &[u8], skip: usize, bytes: &[u8]) -> Vec<u8> {
    let mut whole = recording(name);
    let at =
        whole.windows(find.len()).rposition(|window| window == find).expect("it is there") + skip;
    whole[at..at + bytes.len()].copy_from_slice(bytes);
    whole
}

/// A WAV with these sizes in its header.
fn wav_with_sizes(riff: u32, data: u32, samples: &[i16]) -> Vec<u8> {
    let mut bytes = wav(8_000, 1, samples);
    bytes[4..8].copy_from_slice(&riff.to_le_bytes());
    bytes[40..44].copy_from_slice(&data.to_le_bytes());
    bytes
}

/// How many files the queue has seen.
fn sightings(house: &House) -> i64 {
    let queue =
        rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("a queue");
    queue.query_row("SELECT count(*) FROM sighting", [], |row| row.get(0)).expect("asked")
}

/// What was seen of the files was seen more than an hour before.
fn an_hour_passes(house: &House) {
    let queue =
        rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("a queue");
    let sql = "UPDATE sighting SET first_ms = first_ms - 3700000, since_ms = since_ms - 3700000";
    assert_eq!(queue.execute(sql, []).expect("moved"), 5);
}

/// How many meetings were made.
fn meetings(house: &House) -> usize {
    house.standin.snapshot().meetings.len()
}

#[test]
fn what_lies_behind_an_mp4_is_no_objection() {
    let house = House::new();
    let _daemon = house.start();
    let id3 = [&b"TAG"[..], &[b' '; 125]].concat();
    let junk: [&[u8]; 4] =
        [&id3, b"CAMERA-SERIAL=12345;END", &[0; 4096], b"\xff\xff\xff\xff\x00\x01\x02\x03"];
    for (number, junk) in junk.into_iter().enumerate() {
        let name = format!("talk{number}.m4a");
        drop_bytes(&house, &name, &[&recording(&name)[..], junk].concat());
        house.wait_for(&name, "done");
    }
    assert_eq!(meetings(&house), 4);
}

#[test]
fn a_wav_that_never_knew_its_length_or_says_too_little_is_taken_whole_once_it_is_quiet() {
    let house = House::new();
    let _daemon = house.start();
    let sizes = [
        (u32::MAX, u32::MAX),
        (0x7fff_f024, 0x7fff_f000),
        (0x8000_0024, 1 << 31),
        (36 + 4_000, 4_000),
    ];
    for (number, (riff, data)) in (0_i16..).zip(sizes) {
        let name = format!("talk{number}.wav");
        let samples: Vec<i16> =
            tone(8_000, 2).into_iter().map(|sample| sample.saturating_add(number)).collect();
        let bytes = wav_with_sizes(riff, data, &samples);
        drop_bytes(&house, &name, &bytes);
        house.wait_for(&name, "done");
        let sent = house
            .standin
            .snapshot()
            .meetings
            .into_iter()
            .find_map(|made| made.recording.filter(|sent| sent.name == name));
        assert_eq!(sent.expect("it was sent").size, bytes.len() as u64);
    }
}

#[test]
fn a_recording_without_sound_is_skipped_without_a_meeting_an_attempt_or_an_alarm() {
    let house = House::new();
    let _daemon = house.start();
    // Calls that nobody answered: the same bytes, under a name for each.
    let names = ["call1.wav", "call2.wav", "call3.wav"];
    for name in names {
        drop_bytes(&house, name, &wav_with_sizes(36, 0, &[]));
    }
    for name in names {
        let job = house.wait_for(name, "skipped");
        assert_eq!(job["error"], "there is no sound in it");
        assert_eq!(job["attempts"], 0);
        assert!(house.why(name).contains("there is no sound in it"), "{}", house.why(name));
    }
    let ids: Vec<Value> = names.iter().map(|name| house.job(name)["id"].clone()).collect();
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "each has a row of its own: {ids:?}");
    assert_eq!(meetings(&house), 0);
    assert_eq!(house.files(), names, "nothing lies beside them");
    assert!(!house.log().contains("ERROR"), "{}", house.log());
    drop_bytes(&house, "call1.wav", &wav(8_000, 1, &tone(8_000, 2)));
    until("what was without sound is another recording now", || {
        (meetings(&house) == 1).then_some(())
    });
}

#[test]
fn a_recorder_that_died_is_given_an_hour_and_what_it_has_left_is_sent() {
    let house = House::new();
    let daemon = house.start();
    let moov_cut = {
        let whole = recording("cut.mp4");
        let moov = whole.windows(4).rposition(|window| window == b"moov").expect("an index");
        whole[..moov + 40].to_vec()
    };
    let cases = [
        (
            "live.webm",
            patched("live.webm", b"\x18\x53\x80\x67\x01", 5, &[0xff; 7]),
            "its length is not known yet",
        ),
        ("cut.opus", patched("cut.opus", b"OggS\0\x04", 5, &[0]), "its last page is not there yet"),
        (
            "pipe.flac",
            patched("pipe.flac", b"\x01\xf4\x00\xf0", 4, &[0; 4]),
            "its header says 0 samples",
        ),
        ("cut.mp4", moov_cut, "it ends within a box"),
        ("died.wav", wav_with_sizes(0, 0, &tone(8_000, 1)), "its header says 0 bytes"),
    ];
    for (name, bytes, why) in &cases {
        drop_bytes(&house, name, bytes);
        until("it is waited for", || house.why(name).contains(why).then_some(()));
    }
    until("what was seen is on disk", || (sightings(&house) == 5).then_some(()));
    assert_eq!(house.jobs(), Vec::<Value>::new());
    daemon.stop();
    an_hour_passes(&house);
    let _daemon = house.start();
    for (name, ..) in &cases {
        let job = house.wait_for(name, "done");
        assert_eq!(job["attempts"], 0, "{job}");
    }
    assert_eq!(meetings(&house), cases.len());
}

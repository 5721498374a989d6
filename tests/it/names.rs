//! Names from the field: which kinds are taken or converted, which files are left alone, what a name says of the date and
//! of the title.

use std::fs;

use crate::support::{
    house::{House, until},
    sound::{drop_tone, tone_of_two_seconds},
};

const CONVERT: &str = "convert = \"ffmpeg\"";

/// Kinds that PAXS does not take, by extension, and what makes ffmpeg write them. Grows by a line.
const CONVERTED: &[(&str, &str)] = &[
    ("m4v", "-c:a aac -f mp4"),
    ("mts", "-c:a ac3 -f mpegts -mpegts_m2ts_mode 1"),
    ("w64", "-f w64"),
    ("au", "-f au"),
    ("mp2", "-c:a mp2 -f mp2"),
    ("ac3", "-c:a ac3 -f ac3"),
    ("spx", "-ar 16000 -c:a libspeex -f ogg"),
    ("wv", "-c:a wavpack -f wv"),
    ("aifc", "-c:a pcm_mulaw -f aiff"),
    ("vob", "-c:a mp2 -f vob"),
    (
        "mxf",
        "-f lavfi -i color=black:s=64x64:r=25:d=2 -ar 48000 -c:v mpeg2video -c:a pcm_s16le -shortest -f mxf",
    ),
    ("dts", "-ar 48000 -c:a dca -strict -2 -f dts"),
    ("rm", "-ar 8000 -c:a real_144 -f rm"),
    ("ra", "-c:a ac3 -f rm"),
    ("gsm", "-ar 8000 -c:a libgsm -f gsm"),
    ("qta", "-c:a aac -f mov"),
    ("ts", "-c:a mp2 -f mpegts"),
    ("m2ts", "-c:a ac3 -f mpegts -mpegts_m2ts_mode 1"),
    ("weba", "-c:a libopus -f webm"),
    ("mpga", "-c:a mp3 -f mp3"),
    ("m4r", "-c:a aac -f ipod"),
    ("mp1", "-c:a mp2 -f mp2"),
    ("tta", "-c:a tta -f tta"),
    ("voc", "-f voc"),
    ("eac3", "-c:a eac3 -f eac3"),
    ("wtv", "-c:a mp2 -f wtv"),
    ("nut", "-c:a mp2 -f nut"),
    ("3gpp", "-c:a aac -f 3gp"),
    ("f4v", "-c:a aac -f f4v"),
    ("divx", "-c:a mp3 -f avi"),
    ("snd", "-f au"),
    ("wav49", "-ar 8000 -c:a libgsm_ms -f wav"),
    ("sln", "-ar 8000 -f s16le"),
    ("sln16", "-ar 16000 -f s16le"),
    ("sln48", "-ar 48000 -f s16le"),
    ("ulaw", "-ar 8000 -f mulaw"),
    ("ul", "-ar 8000 -f mulaw"),
    ("alaw", "-ar 8000 -f alaw"),
    ("al", "-ar 8000 -f alaw"),
    ("g722", "-ar 16000 -c:a g722 -f g722"),
    ("g726-32", "-ar 8000 -c:a g726le -b:a 32k -f g726le"),
];

#[test]
fn every_kind_of_media_that_ffmpeg_reads_is_converted() {
    let house = House::new();
    house.configure(CONVERT);
    let _daemon = house.start();
    let names = CONVERTED.iter().enumerate().filter_map(|(place, (extension, arguments))| {
        let name = format!("kind {extension}.{extension}");
        // Each has a length of its own, a frame longer than the one before: none is a remux of another.
        let milliseconds = 700 + 30 * place;
        drop_tone(&house, &name, &format!("{arguments} -t {milliseconds}ms")).map(|_| name)
    });
    let names: Vec<String> = names.collect();
    for name in &names {
        let job = house.wait_for(name, "done");
        assert_eq!(job["attempts"], 0, "{job:#}");
    }
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.len(), names.len());
    for meeting in meetings {
        let sent = meeting.recording.as_ref().expect("a recording");
        assert_eq!(sent.mime, "audio/mp4", "{}", meeting.title);
    }
}

#[test]
fn what_has_no_mark_in_its_bytes_is_converted_as_its_name_says() {
    for (extension, arguments) in CONVERTED.iter().filter(|(extension, _)| {
        ["gsm", "sln16", "ulaw", "alaw", "g722", "g726-32"].contains(extension)
    }) {
        let house = House::new();
        house.configure(CONVERT);
        let mut daemon = house.spawn(&[("MINUTED_DIE", "CallUpload:before")]);
        if drop_tone(&house, &format!("talk.{extension}"), arguments).is_none() {
            continue;
        }
        until(extension, || daemon.was_killed().then_some(()));
        let converted = house.state_dir().join("converted");
        let mut files =
            fs::read_dir(converted).expect("read").map(|entry| entry.expect("one").path());
        assert!(
            tone_of_two_seconds(&files.next().expect("a converted recording")) > 0.8,
            "{extension}"
        );
    }
}

#[test]
fn media_that_nobody_takes_is_skipped_with_the_list() {
    let house = House::new();
    house.configure("include = [\"*.wav\", \"*.ds2\", \"*.qta\", \"*.tta\", \"*.xyz\"]");
    let _daemon = house.start();
    for name in ["New Recording 7.qta", "a.ds2", "b.tta", "c.xyz"] {
        fs::write(house.path(name), name).expect("written");
        house.wait_for(name, "skipped");
        let told = house.why(name);
        assert!(told.contains("does not take this kind of file; it takes: mp3 wav"), "{told}");
    }
    let told = house.why("a.ds2");
    assert!(told.contains(" qta ") && told.contains(" m4v ") && !told.contains(" ds2"), "{told}");
}

#[test]
fn a_program_in_typescript_gets_no_row_and_a_transport_stream_does() {
    let house = House::new();
    let program = "import { G } from \"./g\";\nexport const answer: number = 42;\n".repeat(40);
    fs::write(house.path("index.ts"), &program).expect("written");
    let _daemon = house.start();
    fs::write(house.path("late.ts"), &program).expect("written");
    fs::write(house.path("module.mts"), &program).expect("written");
    let packets: Vec<u8> = (0..18_800).map(|at| if at % 188 == 0 { 0x47 } else { 0xff }).collect();
    fs::write(house.path("2023-01-09 15-37-58.ts"), packets).expect("written");
    house.wait_for("2023-01-09 15-37-58.ts", "skipped");
    house.drop_recording("plain.wav");
    house.wait_for("plain.wav", "done");
    assert_eq!(house.jobs().len(), 2, "{:#?}", house.jobs());
    for name in ["index.ts", "late.ts", "module.mts"] {
        let told = house.why(name);
        assert!(
            told.contains("left alone: `.") && told.contains("not those of a recording"),
            "{told}"
        );
    }
    assert_eq!(house.status()["folders"][0]["settling"], 0);
}

#[test]
fn what_was_deleted_does_not_come_back_from_a_snapshot() {
    let house = House::new();
    let directories = [
        "@Recently-Snapshot/GMT-00_2026-11-29_0100",
        "~snapshot/hourly.0",
        "@GMT-2026.11.29-01.00.00",
    ];
    for directory in directories {
        house.drop_recording(&format!("{directory}/deleted.wav"));
    }
    let _daemon = house.start();
    house.drop_recording("plain.wav");
    house.wait_for("plain.wav", "done");
    assert_eq!(house.jobs().len(), 1);
    for directory in directories {
        let told = house.why(&format!("{directory}/deleted.wav"));
        assert!(told.contains("which is left alone: ") && told.contains("snapshot"), "{told}");
    }
}

#[test]
fn names_and_directories_tell_date_and_title() {
    let house = House::new();
    let daemon = house.listening(house.spawn(&[("TZ", "America/New_York")]));
    for (name, date, title) in [
        (
            "GMT20210105-150000_Recording.wav",
            "2021-01-05T10:00:00-05:00",
            "GMT20210105-150000_Recording",
        ),
        ("q-600-20121130-20210105-103000-1609860600.12.wav", "2021-01-05T10:30:00-05:00", ""),
        ("WhatsApp Audio 2021-01-05 at 10.30.00 PM.wav", "2021-01-05T22:30:00-05:00", ""),
        (
            "2021-01-05 10.30.00 Weekly 123456789/audio_only.wav",
            "2021-01-05T10:30:00-05:00",
            "2021-01-05 10.30.00 Weekly 123456789",
        ),
        ("2021/01/05/call-1001.wav", "2021-01-05T00:00:00-05:00", "call-1001"),
    ] {
        house.drop_recording(name);
        let job = house.wait_for(name, "done");
        let notes = fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("there");
        let line =
            |key: &str| notes.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
        let moment = |text: &str| text.parse::<jiff::Timestamp>().expect("a time");
        assert_eq!(moment(line("date: ")), moment(date), "{name}: {notes}");
        if !title.is_empty() {
            assert_eq!(line("title: "), format!("\"{title}\""), "{name}");
            assert_eq!(job["title"], title, "{name}");
        }
    }
    assert!(daemon.stop().success());
}

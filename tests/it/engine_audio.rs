//! From real files of every kind to sound: what symphonia decodes, what ffmpeg decodes, and what nothing should see.

use std::{fs, path::Path};

use minuted::testing::engine::audio::{Audio, AudioError, ffmpeg::Ffmpeg};

use crate::support::sound::{part_of_tone, program, runs, tone, wav};

/// Seconds of the recordings.
const SECONDS: u32 = 2;

/// The extension, what makes ffmpeg write the kind, and whether it takes ffmpeg to read it.
const KINDS: [(&str, &str, bool); 31] = [
    ("u8.wav", "-c:a pcm_u8", false),
    ("s24.wav", "-c:a pcm_s24le", false),
    ("s32.wav", "-c:a pcm_s32le", false),
    ("f32.wav", "-c:a pcm_f32le", false),
    ("8k.wav", "-ar 8000", false),
    ("telephone.wav", "-ar 8000 -c:a pcm_mulaw", false),
    ("adpcm.wav", "-c:a adpcm_ms", false),
    ("96k.wav", "-ar 96000", false),
    ("flac", "", false),
    ("aiff", "", false),
    ("caf", "", false),
    ("mp3", "", false),
    ("22k.mp3", "-ar 22050", false),
    ("m4a", "-c:a aac", false),
    ("fast.m4a", "-c:a aac -movflags +faststart", false),
    ("alac.m4a", "-c:a alac", false),
    ("mov", "-c:a aac", false),
    ("aac", "-c:a aac", false),
    ("vorbis.ogg", "-c:a libvorbis", false),
    ("vorbis.mkv", "-c:a libvorbis", false),
    ("opus", "-c:a libopus", true),
    ("webm", "-c:a libopus", true),
    ("opus.mkv", "-c:a libopus", true),
    ("wma", "-c:a wmav2", true),
    ("flv", "-c:a aac", true),
    ("mpg", "-c:a mp2", true),
    ("ts", "-c:a aac", true),
    ("avi", "-c:a mp3", true),
    ("w64", "", true),
    ("au", "", true),
    ("opus.mp4", "-c:a libopus", true),
];

struct Sound {
    planes: Vec<Vec<f32>>,
    remarks: Vec<String>,
    length: Option<u64>,
}

fn heard(path: &Path, ffmpeg: Option<&Ffmpeg>) -> Result<Sound, AudioError> {
    let mut audio = Audio::open(fs::File::open(path).expect("opened"), ffmpeg)?;
    let length = audio.length();
    let mut planes: Vec<Vec<f32>> = Vec::new();
    while let Some(block) = audio.listen()? {
        planes.resize(block.len(), Vec::new());
        assert!(
            block.iter().all(|plane| plane.len() == block[0].len() && plane.len() <= 16_000),
            "blocks are small"
        );
        planes.iter_mut().zip(block).for_each(|(plane, block)| plane.extend(block));
    }
    assert_eq!(audio.given(), planes.first().map_or(0, Vec::len) as u64);
    Ok(Sound { planes, remarks: audio.remarks(), length })
}

fn ffmpeg() -> Option<Ffmpeg> {
    Some(Ffmpeg { command: vec![program("ffmpeg")?.into_os_string()] })
}

fn kept(directory: &Path, name: &str, bytes: &[u8]) -> std::path::PathBuf {
    let path = directory.join(name);
    fs::write(&path, bytes).expect("written");
    path
}

/// Has ffmpeg write a file; `false` when it cannot write this kind.
fn converted(from: &Path, arguments: &str, to: &Path) -> bool {
    let Some(program) = program("ffmpeg") else { return false };
    let [from, to] = [from, to].map(|path| path.to_str().expect("UTF-8"));
    runs(
        &program,
        ["-v", "error", "-y", "-i", from]
            .into_iter()
            .chain(arguments.split_whitespace())
            .chain([to]),
    )
}

fn refusal(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let path = kept(directory.path(), "talk.opus", bytes);
    let refused = heard(&path, ffmpeg().as_ref()).err().expect("refused");
    refused.to_string()
}

#[test]
fn every_kind_of_recording_is_heard() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = kept(directory.path(), "source.wav", &wav(44_100, 1, &tone(44_100, SECONDS)));
    let Some(ffmpeg) = ffmpeg() else { return };
    for (name, arguments, takes_ffmpeg) in KINDS {
        let path = directory.path().join(format!("talk.{name}"));
        if !converted(&source, arguments, &path) {
            eprintln!("SKIPPED: this ffmpeg cannot write {name}");
            continue;
        }
        // By its bytes, never by its name.
        let nameless = directory.path().join("nameless");
        fs::rename(&path, &nameless).expect("renamed");
        let alone = heard(&nameless, None);
        match &alone {
            Err(AudioError::NeedsFfmpeg { what }) => {
                assert!(takes_ffmpeg, "{name}: needs ffmpeg for {what}");
            }
            Err(error) => panic!("{name}: {error}"),
            Ok(_) => assert!(!takes_ffmpeg, "{name} was decoded without ffmpeg"),
        }
        let sound = alone
            .or_else(|_| heard(&nameless, Some(&ffmpeg)))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let [plane] = sound.planes.as_slice() else {
            panic!("{name}: {} planes", sound.planes.len())
        };
        assert!(
            plane.len().abs_diff(16_000 * SECONDS as usize) < 2_500,
            "{name}: {} samples",
            plane.len()
        );
        assert!(part_of_tone(&plane[4_000..plane.len() - 4_000]) > 0.9, "{name} sounds different");
        assert_eq!(sound.remarks, [""; 0], "{name}");
        // What is missing at the end is told.
        let length = sound.length.filter(|_| !takes_ffmpeg).unwrap_or(plane.len() as u64);
        assert!(length.abs_diff(plane.len() as u64) < 4_000, "{name} says it has {length} samples");
    }
}

#[test]
fn one_kind_names_what_it_needs_ffmpeg_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = kept(directory.path(), "source.wav", &wav(16_000, 1, &tone(16_000, 1)));
    let path = directory.path().join("talk.opus");
    if converted(&source, "-c:a libopus", &path) {
        let refused = heard(&path, None).err().expect("refused");
        assert_eq!(refused.to_string(), "needs ffmpeg for Opus in Ogg");
        let gone = Ffmpeg { command: vec!["/nowhere/ffmpeg".into()] };
        let refused = heard(&path, Some(&gone)).err().expect("refused");
        assert!(matches!(refused, AudioError::NeedsFfmpeg { .. }), "{refused}");
    }
}

#[test]
fn surround_is_one_sound_without_its_low_frequencies() {
    let directory = tempfile::tempdir().expect("a directory");
    let source = kept(directory.path(), "source.wav", &wav(48_000, 1, &tone(48_000, SECONDS)));
    // The tone is in the centre; a louder one that nobody should hear is at the low frequencies.
    let filter = "-filter_complex [0:a]anull[c];sine=f=100:d=2:r=48000,volume=8[l];anullsrc=r=48000:d=2,asplit=4[a][b][d][e];\
                  [a][b][c][l][d][e]join=inputs=6:channel_layout=5.1:map=0.0-FL|1.0-FR|2.0-FC|3.0-LFE|4.0-BL|5.0-BR";
    for name in ["surround.wav", "surround.flac", "surround.ogg", "surround.m4a"] {
        let path = directory.path().join(name);
        if converted(&source, filter, &path) {
            // symphonia knows no surround in AAC.
            let sound = heard(&path, ffmpeg().as_ref()).expect("heard");
            let [plane] = sound.planes.as_slice() else {
                panic!("{name}: {} planes", sound.planes.len())
            };
            assert!(
                part_of_tone(&plane[4_000..28_000]) > 0.9,
                "{name}: {}",
                part_of_tone(&plane[4_000..28_000])
            );
        }
    }
}

#[test]
fn two_who_take_turns_on_two_sides_stay_apart_and_others_do_not() {
    let directory = tempfile::tempdir().expect("a directory");
    let voice = tone(16_000, 12);
    let turn = |at: usize| (at / 16_000).is_multiple_of(2);
    let frames = |left: &dyn Fn(usize) -> i16, right: &dyn Fn(usize) -> i16| -> Vec<i16> {
        (0..voice.len()).flat_map(|at| [left(at), right(at)]).collect()
    };
    let left = |at: usize| if turn(at) { voice[at] } else { 0 };
    let right = |at: usize| if turn(at) { 0 } else { voice[at] };
    let apart = kept(directory.path(), "apart.wav", &wav(16_000, 2, &frames(&left, &right)));
    let sound = heard(&apart, None).expect("heard");
    assert_eq!(sound.planes.iter().map(Vec::len).collect::<Vec<_>>(), [12 * 16_000; 2]);
    assert!(
        sound.planes[0][..16_000].iter().any(|s| *s > 0.3)
            && sound.planes[1][..16_000].iter().all(|s| *s == 0.0)
    );
    let same = |at: usize| voice[at];
    let together = kept(directory.path(), "together.wav", &wav(16_000, 2, &frames(&same, &same)));
    assert_eq!(heard(&together, None).expect("heard").planes.len(), 1);
}

#[test]
fn a_recording_that_breaks_off_gives_what_there_is_and_says_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let whole = wav(16_000, 1, &tone(16_000, 10));
    let half = kept(directory.path(), "half.wav", &whole[..whole.len() / 2]);
    let sound = heard(&half, None).expect("heard");
    assert!(sound.planes[0].len().abs_diff(80_000) < 3_000, "{}", sound.planes[0].len());
    assert_eq!(sound.remarks.len(), 1, "{:?}", sound.remarks);
    assert!(sound.remarks[0].starts_with("the recording breaks off after"), "{:?}", sound.remarks);
    // A recorder that died has written no lengths.
    let mut headless = whole.clone();
    headless[4..8].fill(0);
    headless[40..44].fill(0);
    let sound = heard(&kept(directory.path(), "headless.wav", &headless), None).expect("heard");
    assert_eq!(sound.planes[0].len(), 160_000);
    // In the midst of an MP3 there are bytes that mean nothing.
    let path = directory.path().join("talk.mp3");
    if converted(&kept(directory.path(), "whole.wav", &whole), "", &path) {
        let mut bytes = fs::read(&path).expect("read");
        let middle = bytes.len() / 2;
        bytes[middle..middle + 3_000].fill(0x55);
        let sound = heard(&kept(directory.path(), "damaged.mp3", &bytes), None).expect("heard");
        assert!(sound.planes[0].len() > 120_000, "{} {:?}", sound.planes[0].len(), sound.remarks);
    }
}

#[test]
fn what_is_no_recording_is_refused_and_never_shown_to_ffmpeg() {
    let secret = tempfile::tempdir().expect("a directory");
    let tone = kept(secret.path(), "secret.wav", &wav(16_000, 1, &tone(16_000, 1)));
    let tone = tone.display();
    insta::assert_snapshot!(refusal(b""), @"cannot be decoded: it is empty");
    for playlist in [
        format!("#EXTM3U\n#EXTINF:1,\n{tone}\n"),
        format!("ffconcat version 1.0\nfile {tone}\n"),
        format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{tone}\n#EXT-X-ENDLIST\n"),
        "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5004 RTP/AVP 0\r\n"
            .to_owned(),
    ] {
        assert_eq!(refusal(playlist.as_bytes()), "cannot be decoded: it is a text, not a recording");
    }
    // Words behind the mark of a real kind go to the reader of that kind alone.
    let disguised = [b"OggS\0\x02\0\0\0\0", format!("\n#EXTM3U\n{tone}\n").as_bytes()].concat();
    assert!(refusal(&disguised).starts_with("cannot be decoded: "), "{}", refusal(&disguised));
}

#[test]
fn garbage_is_refused_or_decoded_but_never_a_panic() {
    let heads: [&[u8]; 12] = [
        b"RIFF\xff\xff\xff\xffWAVEfmt ",
        b"fLaC\0\0\0\x22",
        b"OggS\0\x02",
        b"\x1a\x45\xdf\xa3\x9f",
        b"\0\0\0\x20ftypM4A ",
        b"FORM\0\0\x10\0AIFFCOMM",
        b"caff\0\x01\0\0desc",
        b"ID3\x04\0\0\0\0\0\x0a",
        b"\xff\xfb\x90\x64",
        b"\xff\xf1\x50\x80",
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        b"\0\0\0\0",
    ];
    let directory = tempfile::tempdir().expect("a directory");
    let mut state = 7_u32;
    for head in heads {
        let mut bytes = head.to_vec();
        bytes.extend((0..20_000).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        }));
        match heard(&kept(directory.path(), "garbage", &bytes), None) {
            Ok(sound) => assert!(sound.planes.len() <= 2),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

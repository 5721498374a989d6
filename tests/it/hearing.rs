//! What is in a file is heard, all of it, and nothing else: each kind of damage, of joining and of leaving out, in files
//! that are written byte by byte, without ffmpeg; and what takes ffmpeg.

use std::{fs, io::Write as _};

use minuted::testing::engine::audio::{Audio, AudioError, Side, ffmpeg::Ffmpeg, sound_tracks};

use crate::support::{
    engine::{model, request, transcribe},
    house::{House, until},
    media::{
        mkv::{MkvTrack, Sizes, mkv},
        mov::{MovTrack, mov, mov_with_index_behind},
        mp3::{self, Frame},
        wav,
    },
    sound::{program, readings, runs, wav as recording},
};

/// The rate of all that is written here.
const RATE: usize = 16_000;

/// What came out of a file.
#[derive(Debug, PartialEq)]
struct Heard {
    /// Tenths of a second.
    tenths: usize,
    speakers: Vec<String>,
    remarks: Vec<String>,
}

/// What should come out.
fn sound(tenths: usize, remarks: &[&str]) -> Heard {
    apart(tenths, &[], remarks)
}

fn apart(tenths: usize, speakers: &[&str], remarks: &[&str]) -> Heard {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Heard { tenths, speakers: owned(speakers), remarks: owned(remarks) }
}

fn opened(bytes: &[u8], ffmpeg: Option<&Ffmpeg>) -> Result<Audio, AudioError> {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(bytes).expect("written");
    Audio::open(file, ffmpeg)
}

/// Hears a file to its end; returns its planes, too.
fn planes(audio: &mut Audio) -> Result<(Heard, Vec<Vec<f32>>), AudioError> {
    let mut planes: Vec<Vec<f32>> = Vec::new();
    while let Some(block) = audio.listen()? {
        planes.resize(block.len(), Vec::new());
        planes.iter_mut().zip(block).for_each(|(plane, block)| plane.extend(block));
    }
    let tenths = (planes[0].len() + RATE / 20) / (RATE / 10);
    let speakers = audio.voices().iter().flatten().map(Side::speaker).collect();
    Ok((Heard { tenths, speakers, remarks: audio.remarks() }, planes))
}

fn heard(bytes: &[u8]) -> Result<Heard, String> {
    let mut audio = opened(bytes, None).map_err(|error| error.to_string())?;
    planes(&mut audio).map(|(heard, _)| heard).map_err(|error| error.to_string())
}

fn ffmpeg() -> Option<Ffmpeg> {
    Some(Ffmpeg { command: vec![program("ffmpeg")?.into_os_string()] })
}

/// The samples of a track, its title, and the second in which it begins.
type Track<'a> = (&'a [i16], Option<&'static str>, usize);

/// Something like a voice: a tone of some frequency in those seconds in which it speaks.
fn voice(hertz: f64, seconds: usize, speaks: impl Fn(usize) -> bool) -> Vec<i16> {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a short sound"
    )]
    let sample = |at: usize| {
        ((at as f64 / RATE as f64 * hertz * std::f64::consts::TAU).sin() * 9_000.0) as i16
    };
    (0..seconds * RATE).map(|at| if speaks(at / RATE) { sample(at) } else { 0 }).collect()
}

/// Whether somebody speaks in a second.
fn is_loud(plane: &[f32], second: usize) -> bool {
    plane[second * RATE + 800..(second + 1) * RATE - 800].iter().any(|sample| sample.abs() > 0.05)
}

/// Ten seconds in which one speaks in the even seconds and the other in the odd ones.
fn two_people() -> [Vec<i16>; 2] {
    [voice(440.0, 10, |second| second % 2 == 0), voice(310.0, 10, |second| second % 2 == 1)]
}

#[test]
fn the_whole_of_a_wav_is_heard_whatever_its_sizes_say() {
    let pcm = wav::pcm(&voice(440.0, 5, |_| true));
    let format = || wav::pcm_format(16_000, 1);
    let file = |riff: u32, data: u32| {
        wav::riff(b"RIFF", riff, &[format(), wav::chunk(b"data", data, &pcm)])
    };
    let list = || wav::whole_chunk(b"LIST", b"INFOISFT\x04\0\0\0abc\0");
    let long = |size: u64| {
        wav::whole_chunk(b"ds64", &[[0; 8], size.to_le_bytes(), [0; 8], [0; 8]].concat()[..28])
    };
    let rf64 = |size: u64| {
        wav::riff(b"RF64", u32::MAX, &[long(size), format(), wav::chunk(b"data", u32::MAX, &pcm)])
    };
    let true_size = 160_000;
    let stereo = wav::whole_riff(&[wav::pcm_format(8_000, 2), wav::whole_chunk(b"data", &pcm)]);
    let table: [(&str, Vec<u8>, Heard); 20] = [
        ("true", file(36 + true_size, true_size), sound(50, &[])),
        ("written early", file(36 + 64_000, 64_000), sound(50, &[])),
        ("wrapped at 32 bits", file(36 + 1_000, 1_000), sound(50, &[])),
        ("0", file(0, 0), sound(50, &[])),
        ("a header that was written when there was nothing", file(36, 0), sound(50, &[])),
        ("the largest number", file(u32::MAX, u32::MAX), sound(50, &[])),
        ("the largest number less a header", file(u32::MAX - 8, u32::MAX - 44), sound(50, &[])),
        ("of sox", file(0x7fff_f024, 0x7fff_f000), sound(50, &[])),
        ("of arecord", file(0x8000_0024, 0x8000_0000), sound(50, &[])),
        (
            "cut off",
            file(36 + 320_000, 320_000),
            sound(50, &["the recording breaks off after 5s of 10s"]),
        ),
        (
            "two of data",
            wav::whole_riff(&[
                format(),
                wav::whole_chunk(b"data", &pcm),
                wav::whole_chunk(b"data", &pcm),
            ]),
            sound(100, &[]),
        ),
        (
            "chunks behind",
            wav::whole_riff(&[format(), wav::whole_chunk(b"data", &pcm), list()]),
            sound(50, &[]),
        ),
        (
            "chunks between",
            wav::whole_riff(&[
                format(),
                wav::whole_chunk(b"data", &pcm),
                list(),
                wav::whole_chunk(b"data", &pcm),
            ]),
            sound(100, &[]),
        ),
        (
            "of an odd length",
            wav::whole_riff(&[format(), wav::whole_chunk(b"data", &pcm[..99_999]), list()]),
            sound(31, &[]),
        ),
        ("a tag behind", [file(36 + true_size, true_size), mp3::id3v1()].concat(), sound(50, &[])),
        (
            "joined",
            [file(36 + true_size, true_size), file(36 + true_size, true_size)].concat(),
            sound(100, &[]),
        ),
        (
            "joined with another shape",
            [file(36 + true_size, true_size), stereo].concat(),
            sound(100, &[]),
        ),
        ("64 bits", rf64(160_000), sound(50, &[])),
        ("64 bits, never written", rf64(0), sound(50, &[])),
        ("64 bits, nonsense", rf64(u64::MAX), sound(50, &[])),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(heard(&bytes), Ok(expected), "{name}");
    }
}

#[test]
fn each_of_many_microphones_is_heard() {
    let voice = voice(440.0, 2, |_| true);
    for channel in 0..6 {
        let frames: Vec<i16> = voice
            .iter()
            .flat_map(|sample| (0..6).map(move |at| if at == channel { *sample } else { 0 }))
            .collect();
        let bytes = recording(16_000, 6, &frames);
        let (_, planes) = planes(&mut opened(&bytes, None).expect("opened")).expect("heard");
        assert!(is_loud(&planes[0], 0) && is_loud(&planes[0], 1), "channel {channel}");
    }
}

#[test]
fn tags_are_passed_wherever_they_stand_and_frames_may_change() {
    let mono = |seconds: usize| mp3::frames(Frame::Mono16, seconds * Frame::Mono16.per_second());
    let stereo =
        |seconds: usize| mp3::frames(Frame::Stereo44, seconds * Frame::Stereo44.per_second());
    let cover = mp3::id3_with_cover;
    let described = [mp3::description(Frame::Stereo44, 39), stereo(1)].concat();
    let junk = vec![0x55; 200_000];
    let table: [(&str, Vec<u8>, Heard); 12] = [
        ("no tag", mono(5), sound(50, &[])),
        ("a cover of 0.3 MB", [cover(300_000), mono(5)].concat(), sound(50, &[])),
        ("a cover of 1.5 MB", [cover(1_500_000), mono(5)].concat(), sound(50, &[])),
        ("a cover of 16 MB", [cover(16_000_000), mono(5)].concat(), sound(50, &[])),
        ("two tags", [cover(2_000_000), cover(3_000_000), stereo(5)].concat(), sound(51, &[])),
        ("tags behind", [mono(5), mp3::ape(70_000), mp3::id3v1()].concat(), sound(50, &[])),
        ("joined, of two shapes", [mono(5), stereo(5)].concat(), sound(101, &[])),
        (
            "joined, with tags between",
            [cover(2_000_000), mono(5), mp3::id3v1(), cover(1_200_000), stereo(5)].concat(),
            sound(101, &[]),
        ),
        ("joined, of which each says its length", described.repeat(5), sound(51, &[])),
        ("a length that is too short", [described.clone(), stereo(9)].concat(), sound(102, &[])),
        (
            "cut off",
            described[..described.len() / 2].to_vec(),
            sound(5, &["the recording breaks off after 0s of 1s"]),
        ),
        (
            "damaged in its midst",
            [mono(10), junk, mono(10)].concat(),
            sound(202, &["500 damaged packets could not be decoded and left out"]),
        ),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(heard(&bytes), Ok(expected), "{name}");
    }
    assert_eq!(
        heard(&[cover(1_000), mp3::id3v1()].concat()),
        Err("there is no sound in it".to_owned())
    );
}

#[test]
fn sound_tracks_of_different_people_are_kept_apart() {
    let [one, two] = two_people();
    let both: Vec<i16> = one.iter().zip(&two).map(|(a, b)| a + b).collect();
    let quiet: Vec<i16> = one.iter().map(|sample| sample / 3).collect();
    let late = &two[..6 * RATE];
    let mkv_of = |tracks: &[Track]| {
        let track = |(samples, title, begins): &Track| MkvTrack {
            samples: samples.to_vec(),
            title: *title,
            begins: *begins,
        };
        mkv(&tracks.iter().map(track).collect::<Vec<_>>(), Sizes::Known)
    };
    let mov_of = |tracks: &[Track]| {
        let track = |(samples, title, begins): &Track| {
            let silence = u32::try_from(begins * 1000).expect("short");
            let heard = u32::try_from(samples.len() * 1000 / RATE).expect("short");
            let edits = if *begins > 0 { vec![(silence, -1), (heard, 0)] } else { Vec::new() };
            MovTrack { samples: samples.to_vec(), title: *title, edits }
        };
        mov(&tracks.iter().map(track).collect::<Vec<_>>())
    };
    let titled = (Some("Desktop"), Some("Microphone\u{202e}\n"));
    let table: [(&str, &[Track], Heard); 8] = [
        ("one", &[(&one, None, 0)], sound(100, &[])),
        (
            "two people",
            &[(&one, None, 0), (&two, None, 0)],
            apart(100, &["Track 1", "Track 2"], &[]),
        ),
        (
            "with titles",
            &[(&one, titled.0, 0), (&two, titled.1, 0)],
            apart(100, &["Track 1 (Desktop)", "Track 2 (Microphone\\u{202e})"], &[]),
        ),
        ("the same sound twice", &[(&one, None, 0), (&quiet, None, 0)], sound(100, &[])),
        (
            "both, and each",
            &[(&both, None, 0), (&one, None, 0), (&two, None, 0)],
            apart(100, &["Track 2", "Track 3"], &[]),
        ),
        ("both, and one of them", &[(&both, None, 0), (&two, None, 0)], sound(100, &[])),
        (
            "one who comes late",
            &[(&one, None, 0), (late, None, 4)],
            apart(100, &["Track 1", "Track 2"], &[]),
        ),
        (
            "one who comes after the other",
            &[(&one, None, 0), (&two, None, 10)],
            apart(200, &["Track 1", "Track 2"], &[]),
        ),
    ];
    for (name, tracks, expected) in table {
        for bytes in [mkv_of(tracks), mov_of(tracks)] {
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&bytes).expect("written");
            assert_eq!(sound_tracks(&file).expect("read"), Some(tracks.len()), "{name}");
            assert_eq!(heard(&bytes).as_ref(), Ok(&expected), "{name}");
        }
    }
}

#[test]
fn tracks_keep_their_time() {
    let [one, two] = two_people();
    let late = MkvTrack { samples: two[..6 * RATE].to_vec(), begins: 4, title: None };
    let bytes = mkv(&[MkvTrack { samples: one, ..MkvTrack::default() }, late], Sizes::Known);
    let mut audio = opened(&bytes, None).expect("opened");
    let (_, planes) = planes(&mut audio).expect("heard");
    let speaking: Vec<(bool, bool)> =
        (0..10).map(|second| (is_loud(&planes[0], second), is_loud(&planes[1], second))).collect();
    let expected: Vec<(bool, bool)> =
        (0..10).map(|second| (second % 2 == 0, second >= 4 && second % 2 == 1)).collect();
    assert_eq!(speaking, expected);
}

/// A list of edits, and what is heard because of it.
type EditRow<'a> = (&'a str, &'a [(u32, i32)], Heard);

#[test]
fn what_an_edit_list_leaves_out_is_not_heard() {
    let samples = voice(440.0, 10, |second| (2..8).contains(&second));
    let edited = |edits: &[(u32, i32)]| {
        let track = MovTrack { samples: samples.clone(), edits: edits.to_vec(), title: None };
        [mov(std::slice::from_ref(&track)), mov_with_index_behind(&[track])]
    };
    let odd = "the recording was cut in a way that is not understood: what was cut out may be here";
    let table: [EditRow<'_>; 7] = [
        ("all", &[(10_000, 0)], sound(100, &[])),
        ("a begin that is left out", &[(8_000, 32_000)], sound(80, &[])),
        ("an end that is left out", &[(6_500, 0)], sound(65, &[])),
        ("a piece that is left out", &[(2_000, 0), (3_000, 112_000)], sound(50, &[])),
        ("silence in front", &[(5_000, -1), (10_000, 0)], sound(150, &[])),
        ("a length that is not known", &[(0, 16_000)], sound(90, &[])),
        ("a piece that comes again", &[(4_000, 0), (4_000, 0)], sound(100, &[odd])),
    ];
    for (name, edits, expected) in table {
        for bytes in edited(edits) {
            assert_eq!(heard(&bytes).as_ref(), Ok(&expected), "{name}");
        }
    }
    let mut audio = opened(&edited(&[(2_000, 32_000), (2_000, 96_000)])[0], None).expect("opened");
    let (_, planes) = planes(&mut audio).expect("heard");
    assert!(
        planes[0].chunks(200).all(|part| part.iter().any(|sample| sample.abs() > 0.1)),
        "only what is kept is heard"
    );
}

#[test]
fn what_a_crash_cut_off_is_heard_as_far_as_it_goes() {
    let track = MkvTrack { samples: voice(440.0, 10, |_| true), ..MkvTrack::default() };
    let of = |sizes: Sizes| mkv(std::slice::from_ref(&track), sizes);
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() * 6 / 10].to_vec();
    let movie = || mov(&[MovTrack { samples: track.samples.clone(), ..MovTrack::default() }]);
    let after_five = "the recording breaks off after 5s: it ends too early";
    let table: [(&str, Vec<u8>, Heard); 9] = [
        ("a whole Matroska", of(Sizes::Known), sound(100, &[])),
        ("one of no known size", of(Sizes::OfClusters), sound(100, &[])),
        ("one of a browser", of(Sizes::Unknown), sound(100, &[])),
        ("a Matroska that is cut", cut(of(Sizes::Known)), sound(59, &[after_five])),
        ("one of no known size that is cut", cut(of(Sizes::OfClusters)), sound(59, &[after_five])),
        ("one of a browser that is cut", cut(of(Sizes::Unknown)), sound(59, &[after_five])),
        ("two that were joined", of(Sizes::Known).repeat(2), sound(200, &[])),
        ("an MP4 that is cut", cut(movie()), sound(60, &[after_five])),
        ("two MP4 that were joined", movie().repeat(2), sound(200, &[])),
    ];
    for (name, bytes, expected) in table {
        assert_eq!(heard(&bytes), Ok(expected), "{name}");
    }
    let behind = mov_with_index_behind(&[MovTrack {
        samples: track.samples.clone(),
        ..MovTrack::default()
    }]);
    let no_index =
        "cannot be decoded: it breaks off before its index, without which nothing can play it";
    assert_eq!(heard(&behind[..behind.len() / 2]), Err(no_index.to_owned()));
    for junk in [&b"TAG"[..], b"CAMERA-SERIAL=12345;END", &[0; 500], &mp3::id3v1()] {
        assert_eq!(
            heard(&[behind.as_slice(), junk].concat()),
            Ok(sound(100, &[])),
            "junk of {} bytes",
            junk.len()
        );
    }
}

/// Has ffmpeg write a file of `inputs`, each a WAV of one channel.
fn written(inputs: &[&[i16]], arguments: &str, name: &str) -> Option<Vec<u8>> {
    let program = program("ffmpeg")?;
    let directory = tempfile::tempdir().expect("a directory");
    let mut words = vec!["-v".to_owned(), "error".to_owned()];
    for (at, samples) in inputs.iter().enumerate() {
        let path = directory.path().join(format!("{at}.wav"));
        fs::write(&path, recording(16_000, 1, samples)).expect("written");
        words.extend(["-i".to_owned(), path.display().to_string()]);
    }
    words.extend((0..inputs.len()).flat_map(|at| ["-map".to_owned(), format!("{at}:a")]));
    let path = directory.path().join(name);
    words.extend(
        arguments.split_whitespace().map(str::to_owned).chain([path.display().to_string()]),
    );
    runs(&program, words).then(|| fs::read(path).expect("read"))
}

fn heard_with_ffmpeg(bytes: &[u8]) -> Result<Heard, String> {
    let ffmpeg = ffmpeg();
    let mut audio = opened(bytes, ffmpeg.as_ref()).map_err(|error| error.to_string())?;
    let (heard, _) = planes(&mut audio).map_err(|error| error.to_string())?;
    match audio.second_opinion(ffmpeg.as_ref()).map_err(|error| error.to_string())? {
        Some(mut other) => {
            planes(&mut other).map(|(heard, _)| heard).map_err(|error| error.to_string())
        }
        None => Ok(heard),
    }
}

#[test]
fn tracks_are_heard_in_every_container_that_has_some() {
    let [one, two] = two_people();
    let table = [
        ("a.mkv", "-c:a aac", true),
        ("a.mp4", "-c:a aac", true),
        ("a.mov", "-c:a pcm_s16le", true),
        ("frag.mp4", "-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 1000000", true),
        ("vorbis.mkv", "-c:a libvorbis", true),
        ("flac.mka", "-c:a flac", true),
        ("mixed.mkv", "-c:a:0 aac -c:a:1 libopus", false),
        ("opus.mkv", "-c:a libopus", false),
        ("opus.mp4", "-c:a libopus", false),
        ("a.avi", "-c:a mp3", false),
        ("a.ts", "-c:a aac", false),
        ("a.mpg", "-c:a mp2 -ar 32000", false),
        ("a.wmv", "-c:a wmav2", false),
    ];
    for (name, arguments, is_ours) in table {
        let Some(bytes) = written(&[&one, &two], arguments, name) else { continue };
        let found = if is_ours { heard(&bytes) } else { heard_with_ffmpeg(&bytes) }
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(found.tenths.abs_diff(100) <= 3, "{name}: {} tenths", found.tenths);
        assert_eq!(
            (found.speakers, found.remarks),
            (vec!["Track 1".to_owned(), "Track 2".to_owned()], Vec::new()),
            "{name}"
        );
    }
    if let Some(mixed) = written(&[&one, &two], "-c:a:0 aac -c:a:1 libopus", "mixed.mkv") {
        let alone = heard(&mixed).expect("heard");
        assert_eq!(alone.remarks, ["sound track 2 of 2 could not be decoded and was not heard"]);
    }
}

#[test]
fn ffmpeg_is_asked_where_much_was_not_heard_and_whoever_hears_more_wins() {
    let sound = voice(440.0, 5, |_| true);
    let long = voice(440.0, 10, |_| true);
    let of = |arguments: &str, name: &str| written(&[&sound], arguments, name);
    let cut = |bytes: Option<Vec<u8>>| bytes.map(|bytes| bytes[..bytes.len() * 6 / 10].to_vec());
    let torn = |bytes: Option<Vec<u8>>| {
        bytes.map(|mut bytes| {
            let middle = bytes.len() / 4;
            bytes[middle..middle + 3_000].fill(0x55);
            bytes
        })
    };
    let joined = |first: Option<Vec<u8>>, second: Option<Vec<u8>>| Some([first?, second?].concat());
    let early = "it ends too early";
    // The name, the file, tenths of a second at least without ffmpeg (none: it is not asked) and with it, and a part of
    // the remark.
    let table = [
        (
            "joined FLAC",
            joined(of("", "a.flac"), of("-ar 44100 -ac 2", "b.flac")),
            Some(98),
            98,
            "",
        ),
        (
            "joined AAC",
            joined(of("-c:a aac", "a.aac"), of("-c:a aac -ar 44100 -ac 2", "b.aac")),
            Some(98),
            98,
            "",
        ),
        (
            "joined Vorbis",
            joined(of("-c:a libvorbis", "a.ogg"), of("-c:a libvorbis -ar 44100 -ac 2", "b.ogg")),
            Some(97),
            97,
            "",
        ),
        (
            "joined MP3",
            joined(of("-c:a libmp3lame", "a.mp3"), of("-c:a libmp3lame -ar 44100 -ac 2", "b.mp3")),
            Some(98),
            98,
            "",
        ),
        (
            "joined M4A",
            joined(of("-c:a aac", "a.m4a"), of("-c:a aac -ar 44100", "b.m4a")),
            Some(97),
            97,
            "",
        ),
        ("torn Matroska", torn(written(&[&long], "-c:a aac -b:a 64k", "a.mkv")), Some(20), 70, ""),
        (
            "cut fragments",
            cut(of("-c:a aac -movflags frag_keyframe+empty_moov -frag_duration 1000000", "a.mp4")),
            Some(10),
            10,
            early,
        ),
        ("cut Opus in WebM", cut(of("-c:a libopus", "a.webm")), None, 10, early),
        ("cut Opus in Ogg", cut(of("-c:a libopus", "a.opus")), None, 10, early),
        ("cut Vorbis", cut(of("-c:a libvorbis", "a.ogg")), Some(8), 8, early),
        ("cut FLAC", cut(of("", "a.flac")), Some(20), 20, "the recording breaks off after"),
        (
            "cut TS",
            cut(of("-c:a aac", "a.ts").map(|mut bytes| {
                bytes.truncate(bytes.len() / 188 * 188 - 100);
                bytes
            })),
            None,
            25,
            early,
        ),
        ("whole TS", of("-c:a aac", "a.ts"), None, 48, ""),
        ("whole Opus", of("-c:a libopus", "a.opus"), None, 49, ""),
    ];
    for (name, bytes, alone, with_ffmpeg, remark) in table {
        let Some(bytes) = bytes else { continue };
        if let Some(least) = alone {
            let found =
                heard(&bytes).unwrap_or_else(|error| panic!("{name} without ffmpeg: {error}"));
            assert!(found.tenths >= least, "{name} without ffmpeg: {found:?}");
            assert!(found.remarks.concat().contains(remark), "{name} without ffmpeg: {found:?}");
            let is_quiet = found.remarks.is_empty();
            assert!(
                is_quiet == remark.is_empty() || found.tenths < with_ffmpeg,
                "{name} without ffmpeg: {found:?}"
            );
        }
        let found = heard_with_ffmpeg(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(!name.starts_with("whole") || found.remarks.is_empty(), "{name}: {found:?}");
        assert!(found.tenths >= with_ffmpeg, "{name}: {found:?}");
        assert!(found.remarks.concat().contains(remark), "{name}: {found:?}");
    }
}

/// The two people, each on a track of their own.
fn meeting_of_two() -> Vec<MkvTrack> {
    two_people().into_iter().map(|samples| MkvTrack { samples, ..MkvTrack::default() }).collect()
}

#[test]
fn tracks_are_mixed_where_a_service_takes_one_stream() {
    if program("ffmpeg").is_none() {
        return;
    }
    let house = House::new();
    house.configure("convert = \"ffmpeg\"");
    let mut daemon = house.spawn(&[("MINUTED_DIE", "CallUpload:before")]);
    fs::write(house.path("talk.mkv"), mkv(&meeting_of_two(), Sizes::Known)).expect("written");
    until("it is about to be sent", || daemon.was_killed().then_some(()));
    let mut files = fs::read_dir(house.state_dir().join("converted")).expect("a directory");
    let converted = files.next().expect("one").expect("read").path();
    let mut audio = opened(&fs::read(converted).expect("read"), None).expect("opened");
    let (found, planes) = planes(&mut audio).expect("heard");
    assert_eq!((found.speakers, planes.len()), (Vec::new(), 1));
    assert!(
        (0..10).all(|second| is_loud(&planes[0], second)),
        "both are heard, each in their seconds"
    );
    let _daemon = house.start();
    house.wait_for("talk.mkv", "done");
    let notes = fs::read_to_string(house.path("talk.notes.md")).expect("notes");
    assert!(!notes.contains("sound tracks"), "{notes}");
}

#[test]
fn the_notes_say_that_a_service_may_have_heard_only_the_first_track() {
    let house = House::new();
    house.configure("");
    let _daemon = house.start();
    let tracks: Vec<MovTrack> = two_people()
        .into_iter()
        .map(|samples| MovTrack { samples, ..MovTrack::default() })
        .collect();
    fs::write(house.path("two.mp4"), mov(&tracks)).expect("written");
    fs::write(house.path("one.mp4"), mov(&tracks[..1])).expect("written");
    house.wait_for("two.mp4", "done");
    house.wait_for("one.mp4", "done");
    let remark = "the recording has 2 sound tracks and was sent as it is: the service may have transcribed only the first";
    let notes = |name: &str| fs::read_to_string(house.path(name)).expect("notes");
    assert!(notes("two.notes.md").contains(remark), "{}", notes("two.notes.md"));
    assert!(!notes("one.notes.md").contains("sound tracks"), "{}", notes("one.notes.md"));
}

#[test]
fn the_engine_writes_down_both_tracks_of_a_call() {
    let Some((model, (sound, _))) = model().zip(readings()) else { return };
    let middle = sound.len() / 2 / RATE * RATE;
    let silence = vec![0; middle];
    let first = MkvTrack { samples: sound[..middle].to_vec(), title: Some("Desktop"), begins: 0 };
    let second = MkvTrack {
        samples: [silence.as_slice(), &sound[middle..]].concat(),
        title: None,
        begins: 0,
    };
    let state = tempfile::tempdir().expect("a directory");
    let path = state.path().join("call.mkv");
    fs::write(&path, mkv(&[first, second], Sizes::Known)).expect("written");
    let found = transcribe(request(model, state.path()), &path).expect("a transcript");
    let of = |speaker: &str| {
        found.segments.iter().filter(|segment| segment.speaker.as_deref() == Some(speaker)).count()
    };
    assert!(of("Track 1 (Desktop)") > 1 && of("Track 2") > 1, "{found:#?}");
    assert_eq!(of("Track 1 (Desktop)") + of("Track 2"), found.segments.len());
    assert_eq!(found.remarks, Vec::<String>::new());
}

#[test]
fn a_recording_without_sound_is_told_from_a_damaged_one() {
    let silence = "there is no sound in it".to_owned();
    let empty = wav::whole_riff(&[wav::pcm_format(16_000, 1), wav::whole_chunk(b"data", &[])]);
    assert_eq!(heard(&empty), Err(silence.clone()));
    let listed = wav::whole_riff(&[
        wav::pcm_format(16_000, 1),
        wav::whole_chunk(b"data", &[]),
        wav::whole_chunk(b"LIST", b"INFOISFT\x04\0\0\0abc\0"),
    ]);
    assert_eq!(heard(&listed), Err(silence.clone()));
    assert_eq!(heard(&mkv(&[], Sizes::Known)), Err(silence.clone()));
    assert_eq!(heard(&mov(&[])), Err(silence));
    assert!(heard(b"RIFF\x24\0\0\0WAVEfmt ").is_err());
}

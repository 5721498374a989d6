//! Voices are told apart: real voices, the real models in the real child.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};

use minuted::testing::engine::{
    audio::Audio,
    run::{EngineError, Request, Speakers, Transcript, VoiceWork},
};

use super::{
    ondevice::house,
    support::{
        engine::{model, request, transcribe, voice_models},
        house::{Daemon, House, until, until_told},
        sound::{program, runs, wav},
    },
};

/// Eight clips of four readers, in the order in which they speak.
const ORDER: [&str; 8] = [
    "367-130732-0001",
    "1688-142285-0003",
    "2609-156975-0000",
    "3080-5032-0000",
    "1688-142285-0004",
    "367-130732-0004",
    "3080-5032-0004",
    "2609-156975-0001",
];

/// Samples between two of them: 0.6 s.
const GAP: usize = 9_600;

/// A turn: its first and last sample, and its reader.
type Turn = (usize, usize, &'static str);

/// Returns the samples of a clip.
fn clip(name: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/voices")
        .join(format!("{name}.flac"));
    let mut audio = Audio::open(fs::File::open(path).expect("a clip"), None).expect("FLAC");
    let mut samples = Vec::new();
    while let Some(planes) = audio.listen().expect("decoded") {
        samples.extend_from_slice(&planes[0]);
    }
    samples
}

/// Returns a meeting in which these clips are spoken one after the other.
fn meeting(order: &[&'static str]) -> (Vec<f32>, Vec<Turn>) {
    let mut sound = vec![0.0; GAP];
    let mut turns = Vec::new();
    for name in order {
        let begin = sound.len();
        sound.extend(clip(name));
        let reader = name.split('-').next().expect("a reader");
        turns.push((begin, sound.len(), reader));
        sound.extend(vec![0.0; GAP]);
    }
    (sound, turns)
}

/// Writes sound of one or two channels beside `state`.
fn kept(state: &Path, channels: &[&[f32]]) -> PathBuf {
    #[expect(clippy::cast_possible_truncation, reason = "a sample of 16 bits")]
    let sample = |value: f32| (value * 32_000.0) as i16;
    let samples: Vec<i16> = (0..channels[0].len())
        .flat_map(|at| channels.iter().map(move |channel| sample(channel[at])))
        .collect();
    let path = state.join("meeting.wav");
    fs::write(&path, wav(16_000, u16::try_from(channels.len()).expect("few"), &samples))
        .expect("written");
    path
}

/// Asks for the speakers of what lies in `state`.
fn asked(state: &Path, speakers: Speakers) -> Option<Request> {
    let models = voice_models()?;
    Some(Request { voices: Some(VoiceWork { models, speakers }), ..request(model()?, state) })
}

/// Returns which speaker has most of each turn, and the share of all time that has the right one.
fn compare(turns: &[Turn], transcript: &Transcript) -> (Vec<String>, f64) {
    let overlap = |begin: f64, end: f64, segment: &minuted::testing::job::Segment| {
        let (from, to) = (segment.start.expect("a time"), segment.end.expect("a time"));
        (end.min(to) - begin.max(from)).max(0.0)
    };
    let seconds = |sample: usize| f64::from(u32::try_from(sample).expect("short")) / 16_000.0;
    let mut named = std::collections::BTreeMap::new();
    let (mut right, mut all) = (0.0, 0.0);
    for (begin, end, reader) in turns {
        for segment in &transcript.segments {
            let spoken = overlap(seconds(*begin), seconds(*end), segment);
            if spoken > 0.0 {
                let speaker = segment.speaker.clone().expect("every segment has a speaker");
                let name = named.entry(*reader).or_insert_with(|| speaker.clone());
                all += spoken;
                right += if *name == speaker { spoken } else { 0.0 };
            }
        }
    }
    let names = turns.iter().filter_map(|(_, _, reader)| named.get(reader).cloned()).collect();
    (names, right / all)
}

fn speakers_of(transcript: &Transcript) -> Vec<String> {
    let mut speakers: Vec<String> = Vec::new();
    for speaker in transcript.segments.iter().filter_map(|segment| segment.speaker.clone()) {
        if !speakers.contains(&speaker) {
            speakers.push(speaker);
        }
    }
    speakers
}

#[test]
fn four_readers_are_four_speakers_whatever_interrupts_it_and_no_voice_print_stays() {
    let state = tempfile::tempdir().expect("a directory");
    let Some(asked) = asked(state.path(), Speakers::Auto) else { return };
    let (sound, turns) = meeting(&[ORDER, ORDER].concat());
    let recording = kept(state.path(), &[&sound]);
    let whole = transcribe(asked.clone(), &recording).expect("transcribed");
    assert_eq!(speakers_of(&whole), ["Speaker 1", "Speaker 2", "Speaker 3", "Speaker 4"]);
    let (names, share) = compare(&turns, &whole);
    let mut first_words = names.clone();
    first_words.dedup();
    assert_eq!(first_words[..4], ["Speaker 1", "Speaker 2", "Speaker 3", "Speaker 4"]);
    assert!(share >= 0.95, "{share}: {whole:?}");
    let prints = asked.pieces.join("voices.bin");
    assert_eq!(fs::metadata(&prints).expect("there").len(), 0, "the speakers are named");
    assert_eq!(transcribe(asked.clone(), &recording).expect("it is finished"), whole);

    fs::remove_dir_all(&asked.pieces).expect("forgotten");
    let dying = Request { harm: Some("KeepPieces:Before:1".to_owned()), ..asked.clone() };
    let died = transcribe(dying, &recording);
    assert!(matches!(died, Err(EngineError::Crashed { .. })), "{died:?}");
    assert!(fs::metadata(&prints).expect("there").len() > 32, "what it remembers of voices");
    assert_eq!(transcribe(asked.clone(), &recording).expect("transcribed"), whole);
}

#[test]
fn a_number_that_is_told_is_kept_and_stereo_keeps_its_sides() {
    let state = tempfile::tempdir().expect("a directory");
    let Some(three) =
        asked(state.path(), Speakers::Exactly(std::num::NonZeroU8::new(3).expect("not 0")))
    else {
        return;
    };
    let (sound, _) = meeting(&ORDER);
    let recording = kept(state.path(), &[&sound]);
    assert_eq!(speakers_of(&transcribe(three.clone(), &recording).expect("transcribed")).len(), 3);

    // A call: each reader on a side.
    let (sound, turns) = meeting(&ORDER);
    let mut sides = [vec![0.0; sound.len()], vec![0.0; sound.len()]];
    for (number, (begin, end, _)) in turns.iter().enumerate() {
        sides[number % 2][*begin..*end].copy_from_slice(&sound[*begin..*end]);
    }
    let recording = kept(state.path(), &[&sides[0], &sides[1]]);
    let call = transcribe(Request { content: "a call".to_owned(), ..three }, &recording)
        .expect("transcribed");
    assert_eq!(speakers_of(&call), ["Left", "Right"]);
}

/// Bytes of voice prints that the engine keeps of all jobs.
fn prints(house: &House) -> u64 {
    let jobs = fs::read_dir(house.state_dir().join("engine")).into_iter().flatten().flatten();
    jobs.filter_map(|job| fs::metadata(job.path().join("voices.bin")).ok())
        .map(|file| file.len())
        .sum()
}

/// Waits until there are voice prints.
fn until_prints(house: &House) {
    until_told(
        || format!("voice prints are kept: {}", house.log()),
        || (prints(house) > 32).then_some(()),
    );
}

/// Waits until there is no voice print.
fn until_no_prints(house: &House) {
    until_told(
        || format!("no voice print is kept: {}", house.log()),
        || (prints(house) == 0).then_some(()),
    );
}

/// Drops a meeting of four readers: some two minutes, which take the engine a while.
fn drop_meeting(house: &House) {
    let (sound, _) = meeting(&[ORDER; 3].concat());
    let made = kept(house.dir.path(), &[&sound]);
    fs::rename(made, house.path("talk.wav")).expect("dropped");
}

fn ask(house: &House, command: &str) {
    let output = house.run(&[command, house.path("talk.wav").to_str().expect("UTF-8")]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The engine's children of a daemon.
fn engine_children(daemon: &Daemon) -> Vec<Pid> {
    let is_child = |pid: &str| {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let stat = String::from_utf8_lossy(&read("stat")).into_owned();
        let parent = stat.rsplit(") ").next().and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        parent == Some(daemon.pid())
            && String::from_utf8_lossy(&read("cmdline")).contains("engine-work")
    };
    let names = fs::read_dir("/proc").expect("listed").flatten().map(|entry| entry.file_name());
    let pids = names.filter_map(|name| name.into_string().ok()).filter(|pid| is_child(pid));
    pids.filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

#[test]
fn a_job_that_is_cancelled_or_done_anew_keeps_no_voice_print() {
    if voice_models().is_none() {
        return;
    }
    let house = house("");
    let daemon = house.start();
    drop_meeting(&house);
    until_prints(&house);
    ask(&house, "cancel");
    until_no_prints(&house);
    ask(&house, "redo");
    until_prints(&house);
    let kept: Vec<_> =
        fs::read_dir(house.state_dir().join("engine")).expect("there").flatten().collect();
    let full = kept
        .iter()
        .filter(|job| fs::metadata(job.path().join("voices.bin")).is_ok_and(|file| file.len() > 0));
    assert_eq!(full.count(), 1, "only those of the job that runs");
    daemon.kill();
    assert!(prints(&house) > 32);
    ask(&house, "cancel");
    assert_eq!(prints(&house), 0);
}

#[test]
fn a_daemon_that_is_killed_leaves_no_voice_print_behind_its_successor() {
    if voice_models().is_none() {
        return;
    }
    let house = house("formats = [\"md\", \"txt\", \"srt\", \"vtt\", \"json\"]");
    let daemon = house.start();
    drop_meeting(&house);
    until_prints(&house);
    daemon.kill();
    assert!(prints(&house) > 32);
    let daemon = house.start();
    let job = house.wait_for("talk.wav", "done");
    assert_eq!(job["attempts"], 0);
    until_no_prints(&house);
    // Every form of the notes carries the speakers, and then their names.
    let forms = [
        ("talk.notes.md", "**{}** ["),
        ("talk.transcript.txt", "] {}: "),
        ("talk.transcript.srt", "\n{}: "),
        ("talk.transcript.vtt", "\n<v {}>"),
        ("talk.notes.json", "\"speaker\": \"{}\""),
    ];
    let carry = |speaker: &str| {
        forms.iter().all(|(file, form)| {
            fs::read_to_string(house.path(file))
                .expect("there are notes")
                .contains(&form.replace("{}", speaker))
        })
    };
    assert!((1..=4).all(|number| carry(&format!("Speaker {number}"))), "{:?}", house.files());
    let output = house.run(&["speakers", "1", "Speaker 4=Ann Lee"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    until("all forms have the name", || (carry("Ann Lee") && !carry("Speaker 4")).then_some(()));
    assert!(daemon.stop().success());
}

#[test]
fn a_job_that_fails_keeps_no_voice_print() {
    if voice_models().is_none() {
        return;
    }
    let house = house("");
    let daemon = house.start();
    drop_meeting(&house);
    let mut killed = 0;
    until("it has failed", || {
        if house.state("talk.wav").as_deref() == Some("failed") {
            return Some(());
        }
        if prints(&house) > 32 {
            for child in engine_children(&daemon) {
                // It may have ended meanwhile.
                killed += usize::from(kill_process(child, Signal::KILL).is_ok());
            }
        }
        None
    });
    assert!(killed >= 3, "{killed}: {}", house.log());
    until_no_prints(&house);
    assert!(daemon.stop().success());
}

#[test]
fn a_recording_that_turns_out_too_long_keeps_no_voice_print() {
    let (Some(_), Some(ffmpeg)) = (voice_models(), program("ffmpeg")) else { return };
    let house = house("max_duration = \"60s\"");
    let (sound, _) = meeting(&[ORDER; 3].concat());
    let made = kept(house.dir.path(), &[&sound]);
    // The length of such a file is known only once it is decoded.
    let raw = house.dir.path().join("talk.aac");
    let [from, to] = [&made, &raw].map(|path| path.to_str().expect("UTF-8"));
    assert!(runs(&ffmpeg, ["-v", "error", "-y", "-i", from, "-c:a", "aac", to]));
    fs::rename(&raw, house.path("talk.aac")).expect("dropped");
    let mut most = 0;
    let mut once = house.command(&["run", "--once"]).spawn().expect("started");
    until("it has ended", || {
        most = most.max(prints(&house));
        once.try_wait().expect("asked")
    });
    assert_eq!(house.state("talk.aac").as_deref(), Some("skipped"), "{}", house.why("talk.aac"));
    assert!(house.why("talk.aac").contains("max_duration"), "{}", house.why("talk.aac"));
    assert!(most > 32, "there were prints: {most}");
    assert_eq!(prints(&house), 0);
}

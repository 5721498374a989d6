//! Recordings to test with: made by the tests, by the programs for it where they are installed, or real speech.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use minuted::testing::engine::audio::Audio;

use super::house::House;

/// The directories of programs; a test does not ask the environment.
const PROGRAMS: &str = "/usr/local/bin:/usr/bin:/bin";

/// Five sentences of a `LibriVox` reading, with their words: Debian's `pocketsphinx-testdata`.
const READINGS: &str = "/usr/share/pocketsphinx/test/data/librivox";

/// Samples of 16 bits at some rate, channel by channel in each frame.
pub(crate) fn wav(rate: u32, channels: u16, samples: &[i16]) -> Vec<u8> {
    let data: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let size = u32::try_from(data.len()).expect("a short recording");
    let mut bytes = [b"RIFF", &(size + 36).to_le_bytes()[..], b"WAVEfmt \x10\0\0\0\x01\0"].concat();
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(channels) * 2).to_le_bytes());
    bytes.extend([(channels * 2).to_le_bytes(), 16_u16.to_le_bytes()].concat());
    bytes.extend([b"data", &size.to_le_bytes()[..], &data].concat());
    bytes
}

/// A tone of 440 Hz, which no codec of speech loses.
pub(crate) fn tone(rate: u32, seconds: u32) -> Vec<i16> {
    let sample =
        |n: u32| (f64::from(n) / f64::from(rate) * 440.0 * std::f64::consts::TAU).sin() * 12_000.0;
    #[expect(clippy::cast_possible_truncation, reason = "below the limit of 16 bits")]
    (0..rate * seconds).map(|n| sample(n) as i16).collect()
}

/// How much of a sound of 16 kHz is the tone of [`tone`]: 0 to 1.
pub(crate) fn part_of_tone(sound: &[f32]) -> f64 {
    let (mut sine, mut cosine, mut all) = (0.0, 0.0, 0.0);
    for (n, sample) in (0_u32..).zip(sound) {
        let (angle, sample) =
            (f64::from(n) / 16_000.0 * 440.0 * std::f64::consts::TAU, f64::from(*sample));
        sine += sample * angle.sin();
        cosine += sample * angle.cos();
        all += sample * sample;
    }
    let length = f64::from(u32::try_from(sound.len()).expect("a short sound"));
    2.0 * (sine * sine + cosine * cosine) / (length * all)
}

/// Has ffmpeg write a tone of two seconds as a file of the folder; `None` where this machine's cannot.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
pub(crate) fn drop_tone(house: &House, name: &str, arguments: &str) -> Option<PathBuf> {
    let ffmpeg = program("ffmpeg")?;
    let source = house.dir.path().join("source.wav");
    let made = house.dir.path().join(Path::new(name).file_name().expect("a name"));
    fs::write(&source, wav(44_100, 1, &tone(44_100, 2))).expect("written");
    let [from, to] = [&source, &made].map(|path| path.to_str().expect("UTF-8"));
    let arguments = ["-v", "error", "-y", "-i", from]
        .into_iter()
        .chain(arguments.split_whitespace())
        .chain([to]);
    if !runs(&ffmpeg, arguments) {
        eprintln!("SKIPPED: this ffmpeg cannot write {name}");
        return None;
    }
    let path = house.path(name);
    fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
    fs::rename(made, &path).expect("dropped");
    Some(path)
}

/// How much of a recording is the tone: 0 to 1, and 0 where it is not two seconds long.
pub(crate) fn tone_of_two_seconds(file: &Path) -> f64 {
    let mut audio = Audio::open(fs::File::open(file).expect("opened"), None).expect("a recording");
    let mut sound = Vec::new();
    while let Some(planes) = audio.listen().expect("sound") {
        sound.extend_from_slice(&planes[0]);
    }
    if sound.len().abs_diff(32_000) < 4_000 { part_of_tone(&sound[4_000..28_000]) } else { 0.0 }
}

/// Returns a program, or says that what needs it is skipped.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let found = PROGRAMS
        .split(':')
        .map(|directory| Path::new(directory).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: `{name}` is not installed (apt-get install {name})");
    }
    found
}

/// Runs a program; returns whether it succeeded.
pub(crate) fn runs<S: AsRef<OsStr>>(
    program: &Path,
    arguments: impl IntoIterator<Item = S>,
) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().expect("started").success()
}

/// The samples of a WAV that `sox` and others write: 16 bits, one channel.
fn samples(path: &Path) -> Vec<i16> {
    let bytes = fs::read(path).expect("a WAV");
    let data = bytes.windows(4).position(|word| word == b"data").expect("a WAV has data") + 8;
    bytes[data..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// The readings, one after the other, as samples of 16 kHz, and their words.
#[expect(clippy::print_stderr, reason = "a test that does not run says so")]
pub(crate) fn readings() -> Option<(Vec<i16>, Vec<String>)> {
    let Ok(words) = fs::read_to_string(Path::new(READINGS).join("transcription")) else {
        eprintln!("SKIPPED: no readings (apt-get install pocketsphinx-testdata)");
        return None;
    };
    let mut all = Vec::new();
    for line in words.lines() {
        let name = line.rsplit(['(', ')']).nth(1).expect("a name in brackets");
        all.extend(samples(&Path::new(READINGS).join(format!("{name}.wav"))));
        all.extend([0; 8_000]);
    }
    let without_marks =
        words.lines().filter_map(|line| line.split('(').next()).collect::<Vec<_>>().join(" ");
    Some((all, words_of(&without_marks.replace("<s>", "").replace("</s>", ""))))
}

/// The words of a text as they are compared: no case, no punctuation, no hyphens, no short forms.
pub(crate) fn words_of(text: &str) -> Vec<String> {
    let plain = text.to_lowercase().replace("mr.", "mister").replace('-', " ");
    let is_part = |c: char| c.is_alphanumeric() || c == '\'' || c == ' ';
    let plain: String = plain.chars().map(|c| if is_part(c) { c } else { ' ' }).collect();
    plain.split_whitespace().map(str::to_owned).collect()
}

/// Words that are wrong, missing or too many, by the shortest way from `said` to `heard`, of those that were said.
pub(crate) fn word_errors(said: &[String], heard: &[String]) -> usize {
    let mut row: Vec<usize> = (0..=heard.len()).collect();
    for (at, word) in said.iter().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (other, heard) in heard.iter().enumerate() {
            let same = before + usize::from(word != heard);
            before = row[other + 1];
            row[other + 1] = same.min(before + 1).min(row[other] + 1);
        }
    }
    row[heard.len()]
}

#[test]
fn word_errors_are_counted_by_the_shortest_way() {
    let count = |said: &str, heard: &str| word_errors(&words_of(said), &words_of(heard));
    assert_eq!(count("Mister Dash-wood had, then", "mr. dash wood had then"), 0);
    assert_eq!(count("a b c d", "a x c d"), 1);
    assert_eq!(count("a b c d", "b c d e e"), 3);
    assert_eq!((count("", "a b"), count("a b", "")), (2, 2));
}

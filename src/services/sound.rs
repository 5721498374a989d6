//! A test tone of one second, made here: a service that refuses it would refuse every recording.

use std::{fs::File, io, io::Write as _, sync::Arc};

use super::Upload;
use crate::{beneath::Stamp, config::Speakers, progress::Progress};

/// The name of the file at the server.
pub(super) const NAME: &str = "minuted-second-of-sound.wav";

/// Samples a second: what every recogniser takes.
const RATE: u32 = 16_000;

/// The length of a cycle of the tone, in samples: 400 Hz.
const CYCLE: u32 = 40;

/// The loudest sample, of 32,767: too loud for silence, too regular for damage.
const LOUDEST: i32 = 8_000;

/// Bytes of the head of a WAV file.
const HEAD_BYTES: u32 = 44;

/// Returns the tone as an upload, from memory.
pub(super) fn tone_upload(language: Option<String>) -> io::Result<Upload> {
    let mut file = File::from(rustix::fs::memfd_create(NAME, rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(&tone_as_wav())?;
    let stamp = Stamp::of(&file)?;
    let progress = Arc::<Progress>::default();
    Ok(Upload {
        file,
        stamp,
        content: None,
        name: NAME.to_owned(),
        mime: "audio/wav",
        language,
        expected_words: Vec::new(),
        speakers: Speakers::default(),
        given_up: Vec::new(),
        length_max: None,
        progress,
    })
}

/// Returns a second of a tone that swells and fades, as a WAV file.
fn tone_as_wav() -> Vec<u8> {
    let data_bytes = RATE * 2;
    let mut wav = Vec::with_capacity((HEAD_BYTES + data_bytes) as usize);
    wav.extend(b"RIFF");
    wav.extend((HEAD_BYTES - 8 + data_bytes).to_le_bytes());
    wav.extend(b"WAVEfmt ");
    wav.extend(16_u32.to_le_bytes());
    // PCM, one channel.
    wav.extend(1_u16.to_le_bytes());
    wav.extend(1_u16.to_le_bytes());
    wav.extend(RATE.to_le_bytes());
    wav.extend((RATE * 2).to_le_bytes());
    // Two bytes a frame, 16 bits a sample.
    wav.extend(2_u16.to_le_bytes());
    wav.extend(16_u16.to_le_bytes());
    wav.extend(b"data");
    wav.extend(data_bytes.to_le_bytes());
    wav.extend((0..RATE).flat_map(|at| tone_sample(at).to_le_bytes()));
    wav
}

fn tone_sample(at: u32) -> i16 {
    let cycle = i32::try_from(CYCLE).unwrap_or(1);
    let place = i32::try_from(at % CYCLE).unwrap_or(0);
    // A triangle: up for half of the cycle, and down again.
    let triangle = (4 * LOUDEST * (place - cycle / 2).abs()) / cycle - LOUDEST;
    let fade = i32::try_from(at.min(RATE - at)).unwrap_or(0);
    let half = i32::try_from(RATE / 2).unwrap_or(1);
    i16::try_from(triangle * (fade / 8) / (half / 8)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_second_of_something_to_hear_whose_head_says_how_long_it_is() {
        let wav = tone_as_wav();
        let number = |at: usize| {
            u32::from_le_bytes(wav[at..at + 4].try_into().expect("four bytes")) as usize
        };
        assert_eq!(
            (number(4), number(40), wav.len()),
            (wav.len() - 8, wav.len() - 44, 44 + 32_000)
        );
        let samples: Vec<i16> =
            wav[44..].chunks(2).map(|two| i16::from_le_bytes([two[0], two[1]])).collect();
        let loudest = samples.iter().map(|sample| sample.unsigned_abs()).max();
        assert!(loudest.is_some_and(|loudest| (7_000..=8_000).contains(&loudest)), "{loudest:?}");
        let crossings = samples.windows(2).filter(|pair| (pair[0] < 0) != (pair[1] < 0)).count();
        assert!((700..900).contains(&crossings), "{crossings}");
    }

    #[test]
    fn it_is_sent_from_memory_as_a_file_of_its_size() {
        let upload = tone_upload(Some("en".to_owned())).expect("made");
        assert_eq!((upload.stamp.size, upload.mime), (32_044, "audio/wav"));
    }
}

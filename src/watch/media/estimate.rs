//! The length of a recording whose container does not state one, from its size and its bit rate. It only serves daily
//! limits and what a person is shown beforehand: what is really heard is bounded while it is heard.

use std::{path::Path, time::Duration};

use super::{
    sound::{ReadAt, pace},
    span,
};
use crate::media_types::mime_type;

/// Bytes a second of sound where nothing says more: 128 kbit/s, as recorders write it.
const SOUND: u64 = 16_000;

/// Bytes a second of pictures with sound where nothing says more: 1 Mbit/s, as calls and lectures are recorded.
const PICTURES: u64 = 125_000;

/// Bytes a second of codecs of calls, which have one rate each. By the name alone: most of them have no header.
const CALLS: &[(&str, u64)] = &[
    ("3ga", 1_600),
    ("al", 8_000),
    ("alaw", 8_000),
    ("alw", 8_000),
    ("amr", 1_600), // 32 bytes each 20 ms
    ("awb", 3_050), // 61 bytes each 20 ms
    ("g722", 8_000),
    ("g729", 1_000),
    ("gsm", 1_650),
    ("mulaw", 8_000),
    ("sln", 16_000),
    ("sln12", 24_000),
    ("sln16", 32_000),
    ("sln24", 48_000),
    ("sln32", 64_000),
    ("sln44", 88_200),
    ("sln48", 96_000),
    ("sln96", 192_000),
    ("ulaw", 8_000),
];

/// Returns about how long a file of `len` bytes is: by its own frames, else by what its name says.
pub(crate) fn estimate(path: &Path, file: &dyn ReadAt, len: u64) -> Duration {
    pace(file, len).and_then(|pace| pace.length_of(len)).unwrap_or_else(|| by_name(path, len))
}

/// Returns about how long a file of `len` bytes is, by what its name says.
pub(crate) fn by_name(path: &Path, len: u64) -> Duration {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    let extension = extension.to_ascii_lowercase();
    let of_call = CALLS.iter().find(|(name, _)| *name == extension).map(|(_, rate)| *rate);
    let usual = if mime_type(&extension).starts_with("video/") { PICTURES } else { SOUND };
    span(len, of_call.unwrap_or(usual)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(name: &str, bytes: &Vec<u8>) -> u64 {
        estimate(Path::new(name), bytes, bytes.len() as u64).as_secs()
    }

    /// Frames of 128 kbit/s and 44.1 kHz, without sound.
    fn mp3(frames: usize) -> Vec<u8> {
        let frame = [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 413]].concat();
        frame.repeat(frames)
    }

    #[test]
    fn a_length_is_estimated_by_the_frames_else_by_the_name() {
        // 1152 samples a frame.
        assert_eq!(seconds("talk.mp3", &mp3(383)), 10);
        let tagged = [b"ID3\x04\0\0\0\0\x07\x68".to_vec(), vec![0; 1000], mp3(383)].concat();
        assert_eq!(seconds("talk.dat", &tagged), 10, "what the name says does not matter");
        // A table of 100 frames counts, whatever the first frame's rate would make of the bytes.
        let table =
            [&[0xff, 0xfb, 0x90, 0x00][..], &[0; 32], b"Xing", &[0, 0, 0, 1, 0, 0, 3, 0xe8]]
                .concat();
        let table = [table.clone(), vec![0; 417 - table.len()]].concat();
        assert_eq!(seconds("talk.mp3", &[table, mp3(20)].concat()), 26);
        // Bare AAC of 16 kHz: 1024 samples in each frame of 64 bytes.
        let adts = [&[0xff, 0xf1, 0x60, 0x40, 0x08, 0x1f, 0xfc][..], &[0; 57]].concat();
        assert_eq!(seconds("talk.aac", &adts.repeat(1000)), 64);
        for (name, expected) in
            [("a.wma", 62), ("a.avi", 8), ("a.amr", 625), ("a.GSM", 606), ("a", 62)]
        {
            assert_eq!(seconds(name, &vec![0; 1_000_000]), expected, "{name}");
        }
    }
}

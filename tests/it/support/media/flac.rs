//! FLAC by itself: blocks of metadata, then the frames.

use super::{Track, flac_stream};

/// A file with tags of this text.
pub(crate) fn file(track: &Track, tags: &str) -> Vec<u8> {
    let comment = [
        &4_u32.to_le_bytes()[..],
        b"test",
        &1_u32.to_le_bytes(),
        &length(tags).to_le_bytes(),
        tags.as_bytes(),
    ];
    let comment = comment.concat();
    let block = |kind: u8, body: &[u8]| [&[kind][..], &length_of(body)[1..], body].concat();
    [&b"fLaC"[..], &block(0, &flac_stream(100_000)), &block(0x84, &comment), &track.stream()]
        .concat()
}

fn length(text: &str) -> u32 {
    u32::try_from(text.len()).expect("short")
}

fn length_of(body: &[u8]) -> [u8; 4] {
    u32::try_from(body.len()).expect("short").to_be_bytes()
}

//! Opus in Ogg: a page of a header, a page of tags, then pages of ten packets.

use super::{Track, opus_head};

/// A file with tags of this text; `per_page` packets lie in a page.
pub(crate) fn file(track: &Track, tags: &str, per_page: usize) -> Vec<u8> {
    let length = u32::try_from(tags.len()).expect("short").to_le_bytes();
    let tags = [&b"OpusTags\x04\0\0\0test\x01\0\0\0"[..], &length, tags.as_bytes()].concat();
    let mut file = [page(2, 0, &[opus_head(312)]), page(0, 0, &[tags])].concat();
    let count = track.packets.len().div_ceil(per_page);
    for (number, packets) in (1_u64..).zip(track.packets.chunks(per_page)) {
        let flags = if number == count as u64 { 4 } else { 0 };
        file.extend(page(flags, number * 9600, packets));
    }
    file
}

/// A page of whole packets. Nobody here looks at its checksum.
fn page(flags: u8, position: u64, packets: &[Vec<u8>]) -> Vec<u8> {
    let lengths = packets.iter().flat_map(|packet| {
        let full = std::iter::repeat_n(255, packet.len() / 255);
        full.chain([u8::try_from(packet.len() % 255).expect("below 255")])
    });
    let lengths: Vec<u8> = lengths.collect();
    let head = [&b"OggS\0"[..], &[flags], &position.to_le_bytes(), &[7, 0, 0, 0], &[0; 8]].concat();
    let count = u8::try_from(lengths.len()).expect("few segments");
    [head, vec![count], lengths, packets.concat()].concat()
}

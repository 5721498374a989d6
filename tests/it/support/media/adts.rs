//! Bare AAC: each frame behind a header of seven bytes.

use super::Track;

pub(crate) fn file(track: &Track) -> Vec<u8> {
    let frame = |packet: &Vec<u8>| {
        let size = u16::try_from(packet.len() + 7).expect("short");
        assert!(size < 1 << 11, "eleven bits are written here");
        let [high, low] = (size << 5).to_be_bytes();
        // Low complexity, 44.1 kHz, two channels; the size; a buffer of any fullness; one block.
        let head = [0xff, 0xf1, 0x50, 0x80, high, low | 0x1f, 0xfc];
        [&head[..], packet].concat()
    };
    track.packets.iter().flat_map(frame).collect()
}

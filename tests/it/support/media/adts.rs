//! Bare AAC: each frame behind a header of seven bytes.

use super::Track;

pub(crate) fn file(track: &Track) -> Vec<u8> {
    let frame = |packet: &Vec<u8>| {
        let size = u32::try_from(packet.len() + 7).expect("short");
        // Low complexity, 44.1 kHz, two channels; the size; a buffer of any fullness; one block.
        let head = [0xff, 0xf1, 0x50, 0x80 | (size >> 11) as u8, (size >> 3) as u8, (size << 5) as u8 | 0x1f, 0xfc];
        [&head[..], packet].concat()
    };
    track.packets.iter().flat_map(frame).collect()
}

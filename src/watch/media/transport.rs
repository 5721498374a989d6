//! MPEG transport streams: packets of one size (ISO/IEC 13818-1), with four bytes before or sixteen behind in some. A
//! file that does not end with a whole packet is one that somebody still writes, or that was cut off.

use std::io::{self, Read, Seek};

use super::{Head, read_up_to};

/// The first byte of each packet.
const SYNC: u8 = 0x47;

/// Packets that must begin where they should before a file counts as such a stream.
const PACKETS: usize = 4;

/// The sizes of packets, and where their first byte stands: plain, of camcorders, with error correction.
const SHAPES: [(usize, usize); 3] = [(188, 0), (192, 4), (204, 0)];

/// Looks at what may be a transport stream of `len` bytes.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let (head, count) = read_up_to::<820>(file, 0)?;
    let is_of = |(size, place): &(usize, usize)| {
        (0..PACKETS).all(|n| head[..count].get(n * size + place) == Some(&SYNC))
    };
    let Some((size, _)) = SHAPES.iter().find(|shape| is_of(shape)) else {
        return Ok(Head::default());
    };
    let is_whole = len.is_multiple_of(*size as u64);
    Ok(Head { unfinished: (!is_whole).then_some("it ends within a packet"), ..Head::default() })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn look(bytes: &[u8]) -> Head {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable")
    }

    #[test]
    fn a_stream_that_ends_within_a_packet_is_unfinished() {
        for (size, place) in SHAPES {
            let mut packet = vec![7; size];
            packet[place] = SYNC;
            let stream = packet.repeat(9);
            assert_eq!(look(&stream), Head::default());
            assert!(look(&stream[..stream.len() - 1]).unfinished.is_some());
            assert!(look(&[&stream[..], &packet[..100]].concat()).unfinished.is_some());
        }
        assert_eq!(look(b"GIF89a is a picture"), Head::default());
    }
}

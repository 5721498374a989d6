//! The length of recordings of samples in AIFF, AU and Wave64. Sizes in a header may be lies, so
//! that all bytes behind the header of the sound count.
//!
//! Layout after Apple's AIFF and AIFF-C, Sun's `audio.h`, and Sony's Wave64.

use std::io::{self, Read, Seek};

use super::{Length, be32, read_at, wav::bytes_a_second};

/// Chunks looked at, as of a WAV: writers put fewer than ten.
const CHUNKS_MAX: usize = 64;

/// The beginning of a Wave64: the identifier of its first chunk, without the size.
pub(super) const W64_BEGIN: &[u8; 16] = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0";

/// Returns how long an AIFF of `len` bytes is.
pub(super) fn length_of_aiff(
    file: &mut (impl Read + Seek),
    len: u64,
) -> io::Result<Option<Length>> {
    let mut format: Option<[u8; 18]> = None;
    let mut coding = *b"NONE";
    let mut at = 12;
    for _ in 0..CHUNKS_MAX {
        let Some(head) = read_at::<8>(file, at)? else { return Ok(None) };
        let body = at + 8;
        match (&head[..4], format) {
            (b"COMM", _) => {
                format = read_at::<18>(file, body)?;
                if let Some(written) =
                    read_at::<4>(file, body + 18)?.filter(|_| be32(&head, 4) >= 22)
                {
                    coding = written;
                }
            }
            (b"SSND", Some(format)) => {
                let [channels, bits] =
                    [0, 6].map(|at| u64::from(u16::from_be_bytes([format[at], format[at + 1]])));
                let rate = extended(&format[8..18]);
                let is_of_a_byte =
                    coding.eq_ignore_ascii_case(b"ulaw") || coding.eq_ignore_ascii_case(b"alaw");
                let sample = if is_of_a_byte { 1 } else { bits.div_ceil(8) };
                let frame = channels * sample;
                let stated = u64::from(be32(&format, 2)).saturating_mul(frame);
                // Frames of a coding that is denser are more than the bytes would be.
                let there = len.saturating_sub(body + 8).max(stated);
                return Ok(Length::of_sizes(stated, there, rate.saturating_mul(frame)));
            }
            _ => {}
        }
        let size = u64::from(be32(&head, 4));
        at = body + size + size % 2;
    }
    Ok(None)
}

/// Returns an 80-bit number of IEEE 754 as a whole number; 0 for what is none.
fn extended(bytes: &[u8]) -> u64 {
    let exponent = i32::from(u16::from_be_bytes([bytes[0], bytes[1]])) - 16_383;
    let mantissa = u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes"));
    u32::try_from(63 - exponent).ok().and_then(|shift| mantissa.checked_shr(shift)).unwrap_or(0)
}

/// Returns how long an AU of `len` bytes is.
pub(super) fn length_of_au(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Length>> {
    let Some(head) = read_at::<24>(file, 0)? else { return Ok(None) };
    let [start, size, coding, rate, channels] =
        [4, 8, 12, 16, 20].map(|at| u64::from(be32(&head, at)));
    let sample = match coding {
        1 | 2 | 27 => 1,
        3 => 2,
        4 => 3,
        5 | 6 => 4,
        7 => 8,
        _ => return Ok(None),
    };
    let there = len.saturating_sub(start);
    Ok(Length::of_sizes(size.min(there), there, (rate * sample).saturating_mul(channels)))
}

/// Returns how long a Wave64 of `len` bytes is; its format is that of a WAV.
pub(super) fn length_of_w64(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Length>> {
    if read_at::<16>(file, 0)?.as_ref() != Some(W64_BEGIN) {
        return Ok(None);
    }
    let mut at = 40_u64;
    let mut rate = 0;
    for _ in 0..CHUNKS_MAX {
        let Some(head) = read_at::<24>(file, at)? else { break };
        // The size is that of the head as well; chunks begin at multiples of eight.
        let size = u64::from_le_bytes(head[16..24].try_into().expect("eight bytes")).max(24);
        match &head[..4] {
            b"fmt " => rate = bytes_a_second(file, at.saturating_add(24))?,
            b"data" => {
                let there = len.saturating_sub(at.saturating_add(24));
                return Ok(Length::of_sizes((size - 24).min(there), there, rate));
            }
            _ => {}
        }
        let Some(next) = at.checked_add(size).and_then(|end| end.checked_next_multiple_of(8))
        else {
            break;
        };
        at = next;
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::{io::Cursor, time::Duration};

    use super::*;
    use crate::watch::media::length;

    #[test]
    fn all_bytes_behind_the_header_of_the_sound_count_whatever_it_says() {
        // One channel of 16 bits at 8,000 Hz: 16,000 bytes a second; each header says one second.
        let sound = vec![7; 32_000];
        let rate = *b"\x40\x0b\xfa\0\0\0\0\0\0\0";
        let aiff = [
            &b"FORM\0\0\x3e\xaeAIFFCOMM\0\0\0\x12\0\x01\0\0\x1f\x40\0\x10"[..],
            &rate,
            b"SSND\0\0\x3e\x88\0\0\0\0\0\0\0\0",
            &sound,
        ]
        .concat();
        let au =
            [&b".snd\0\0\0\x18\0\0\x3e\x80\0\0\0\x03\0\0\x1f\x40\0\0\0\x01"[..], &sound].concat();
        let w64 = [
            W64_BEGIN,
            &[0; 24][..],
            b"fmt \xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a\x28\0\0\0\0\0\0\0",
            b"\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0",
            b"data\xf3\xac\xd3\x11\x8c\xd1\0\xc0\x4f\x8e\xdb\x8a\x98\x3e\0\0\0\0\0\0",
            &sound,
        ]
        .concat();
        for bytes in [aiff, au, w64] {
            let found = length(&mut Cursor::new(&bytes), bytes.len() as u64).expect("readable");
            let [stated, most] = [1, 2].map(Duration::from_secs);
            assert_eq!(found, Some(Length { stated, most }), "{:?}", &bytes[..4]);
        }
    }
}

//! MP4, M4A, 3GP, MOV: boxes one after another (ISO/IEC 14496-12). Without `moov` no one can play it, and most
//! recorders write that last.

use std::io::{self, Read, Seek};

use jiff::Timestamp;

use super::{Head, Made, be32, read_at};

/// Boxes looked at on the top level: a fragmented recording has two a second, so this is more than an hour of them.
const BOXES_MAX: usize = 10_000;

/// Boxes looked at in `moov` for `mvhd`, which comes first.
const CHILDREN_MAX: usize = 64;

/// Seconds from 1904-01-01, where these files begin to count, to 1970-01-01.
const EPOCH_1904: i64 = 2_082_844_800;

/// Looks at an MP4 of `len` bytes.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let mut made = None;
    let mut has_moov = false;
    if !read_at::<8>(file, 0)?.is_some_and(|head| BEGINNINGS.iter().any(|kind| head[4..] == **kind)) {
        return Ok(Head::default());
    }
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        let Some(found) = Found::read(file, at, len)? else {
            break;
        };
        if &found.kind == b"moov" {
            has_moov = true;
            made = creation(file, &found)?.or(made);
        }
        if found.end > len {
            return Ok(Head { unfinished: Some("it ends within a box"), made });
        }
        at = found.end;
    }
    let unfinished = (!has_moov).then_some("it has no `moov` box yet");
    Ok(Head { unfinished, made })
}

/// What such a file may begin with. Anything else is not an MP4, whatever its name says.
const BEGINNINGS: [&[u8; 4]; 8] = [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"];

/// One box: its kind, where its content begins and where it ends.
struct Found {
    kind: [u8; 4],
    body: u64,
    end: u64,
}

impl Found {
    /// Returns the box at `at`, or `None` where none can be: at the end, or at bytes that are no box.
    fn read(file: &mut (impl Read + Seek), at: u64, limit: u64) -> io::Result<Option<Self>> {
        let Some(head) = read_at::<8>(file, at)? else { return Ok(None) };
        let kind = [head[4], head[5], head[6], head[7]];
        let (header, size) = match be32(&head, 0) {
            // It reaches to the end of the file.
            0 => (8, limit.saturating_sub(at)),
            1 => match read_at::<8>(file, at + 8)? {
                Some(bytes) => (16, u64::from_be_bytes(bytes)),
                None => return Ok(None),
            },
            size => (8, u64::from(size)),
        };
        let found = Self { kind, body: at + header, end: at.saturating_add(size) };
        Ok((size >= header && at < limit).then_some(found))
    }
}

/// The creation time in `mvhd`; recorders without a clock write 0, which is no time.
fn creation(file: &mut (impl Read + Seek), moov: &Found) -> io::Result<Option<Made>> {
    let mut at = moov.body;
    for _ in 0..CHILDREN_MAX {
        let Some(child) = Found::read(file, at, moov.end)? else { break };
        if &child.kind == b"mvhd" {
            let Some(head) = read_at::<12>(file, child.body)? else { break };
            let wide = u64::from(be32(&head, 4)) << 32 | u64::from(be32(&head, 8));
            let seconds = if head[0] == 1 { wide } else { u64::from(be32(&head, 4)) };
            return Ok(moment(seconds));
        }
        at = child.end;
    }
    Ok(None)
}

fn moment(seconds_since_1904: u64) -> Option<Made> {
    let seconds = i64::try_from(seconds_since_1904).ok()?.checked_sub(EPOCH_1904)?;
    let at = Timestamp::from_second(seconds).ok()?;
    crate::watch::date::is_sane(at).then_some(Made::At(at))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn look(bytes: &[u8]) -> Head {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable")
    }

    fn boxed(kind: &str, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).expect("small");
        [&size.to_be_bytes(), kind.as_bytes(), body].concat()
    }

    /// A movie header of version 0 made at `unix` seconds.
    fn moov(unix: i64) -> Vec<u8> {
        let created = u32::try_from(unix + EPOCH_1904).expect("in range");
        boxed("moov", &boxed("mvhd", &[&[0; 4], created.to_be_bytes().as_slice(), &[0; 92]].concat()))
    }

    #[test]
    fn without_moov_or_with_a_box_cut_off_it_is_unfinished() {
        let ftyp = boxed("ftyp", b"isom\0\0\0\0");
        let mdat = boxed("mdat", &[7; 100]);
        let finished = [ftyp.clone(), mdat.clone(), moov(1_795_338_000)].concat();
        assert_eq!(look(&finished).unfinished, None);
        assert_eq!(look(&[ftyp.clone(), mdat.clone()].concat()).unfinished, Some("it has no `moov` box yet"));
        assert_eq!(look(&finished[..finished.len() - 1]).unfinished, Some("it ends within a box"));
        let cut = [ftyp, moov(1_795_338_000), mdat[..50].to_vec()].concat();
        assert_eq!(look(&cut).unfinished, Some("it ends within a box"));
        assert_eq!(look(b"this is text, whatever its name says").unfinished, None);
    }

    #[test]
    fn the_creation_time_is_taken_unless_it_is_absurd() {
        let made = Timestamp::from_second(1_795_338_000).expect("in range");
        assert_eq!(look(&moov(1_795_338_000)).made, Some(Made::At(made)));
        assert_eq!(look(&moov(-EPOCH_1904)).made, None);
        assert_eq!(look(&moov(0)).made, None);
    }
}

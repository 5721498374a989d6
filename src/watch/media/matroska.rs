//! Matroska and `WebM`: elements of EBML (RFC 8794, RFC 9559). A recorder writes the length of its segment last: until
//! then it is unknown. A live stream, as browsers record it, never has one.

use std::{
    io::{self, Read, Seek},
    time::Duration,
};

use super::{Head, read_up_to};

/// Elements looked at before the segment: its header, and perhaps a void.
const BEFORE_MAX: usize = 4;

/// Elements looked at within another one before the first cluster: an index, tags, attachments, tracks.
const CHILDREN_MAX: usize = 64;

/// Bytes of the first header: it names a kind and a few versions.
const EBML_BYTES_MAX: u64 = 4096;

/// Ids of elements, with their marker bits.
pub(super) const SEGMENT: u32 = 0x1853_8067;
pub(super) const TRACKS: u32 = 0x1654_ae6b;
pub(super) const CLUSTER: u32 = 0x1f43_b675;
pub(super) const TRACK_ENTRY: u32 = 0xae;
pub(super) const TRACK_TYPE: u32 = 0x83;

/// The information about the whole, and of that the length and its unit in nanoseconds.
const INFO: u32 = 0x1549_a966;
const DURATION: u32 = 0x4489;
const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;

/// The unit where none is given.
const TIMESTAMP_SCALE_USUAL: u64 = 1_000_000;

/// The type of a track of sound, and of one that may hold some among the rest.
pub(super) const SOUND: u64 = 2;
const COMPLEX: u64 = 3;

/// Looks at a Matroska file of `len` bytes.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    let Some(segment) = segment(file, len)? else {
        // A header of another size is none, and what is not understood is no objection.
        let begun = match Element::read(file, 0)? {
            Some(header) => {
                header.end() >= len && header.size.is_some_and(|size| size <= EBML_BYTES_MAX)
            }
            None => len < Element::HEADER_MAX,
        };
        let unfinished = begun.then_some("it has no segment yet");
        return Ok(Head { unfinished, is_soundless: begun, made: None });
    };
    let unfinished = match segment.size {
        None => Some("its length is not known yet"),
        Some(_) if segment.end() > len => Some("it ends within its segment"),
        Some(_) => None,
    };
    Ok(Head { unfinished, is_soundless: is_soundless(file, &segment, len)?, made: None })
}

/// Returns how long a Matroska file of `len` bytes is, as its information says.
pub(super) fn length(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Duration>> {
    let Some(segment) = segment(file, len)? else { return Ok(None) };
    let Some(info) = child(file, &segment, INFO)?.filter(|info| info.size.is_some()) else {
        return Ok(None);
    };
    let scale = match child(file, &info, TIMESTAMP_SCALE)? {
        Some(scale) => number(file, &scale)?.unwrap_or(TIMESTAMP_SCALE_USUAL),
        None => TIMESTAMP_SCALE_USUAL,
    };
    let Some(duration) = child(file, &info, DURATION)? else { return Ok(None) };
    let (bytes, _) = read_up_to::<8>(file, duration.body)?;
    let ticks = match duration.size {
        Some(4) => f64::from(f32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
        Some(8) => f64::from_be_bytes(bytes),
        Some(_) | None => return Ok(None),
    };
    #[expect(clippy::cast_precision_loss, reason = "a length to the second is enough")]
    let seconds = ticks * scale as f64 / 1e9;
    Ok(Duration::try_from_secs_f64(seconds).ok().filter(|length| !length.is_zero()))
}

/// Returns the segment, the element that holds everything.
pub(super) fn segment(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Element>> {
    let mut at = 0;
    for _ in 0..BEFORE_MAX {
        let Some(element) = Element::read(file, at)? else { break };
        if element.id == SEGMENT {
            return Ok(Some(element));
        }
        at = element.end();
        if at >= len {
            break;
        }
    }
    Ok(None)
}

/// Returns whether none of the tracks is of sound, or the file ends before its first cluster.
fn is_soundless(file: &mut (impl Read + Seek), segment: &Element, len: u64) -> io::Result<bool> {
    let mut at = segment.body;
    for _ in 0..CHILDREN_MAX {
        if at >= segment.end().min(len) {
            return Ok(true);
        }
        let Some(element) = Element::read(file, at)? else {
            // What is left is too short for an element.
            return Ok(at + Element::HEADER_MAX > len);
        };
        match element.id {
            TRACKS if element.end() <= len => {
                if let Some(has_sound) = has_sound(file, &element)? {
                    return if has_sound {
                        ends_before_cluster(file, &element, segment, len)
                    } else {
                        Ok(true)
                    };
                }
                return Ok(false);
            }
            CLUSTER => return Ok(false),
            _ => at = element.end(),
        }
    }
    Ok(false)
}

/// Returns whether the file ends between the tracks and the first cluster.
fn ends_before_cluster(
    file: &mut (impl Read + Seek),
    tracks: &Element,
    segment: &Element,
    len: u64,
) -> io::Result<bool> {
    let mut at = tracks.end();
    for _ in 0..CHILDREN_MAX {
        if at >= segment.end().min(len) {
            return Ok(true);
        }
        let Some(element) = Element::read(file, at)? else {
            return Ok(at + Element::HEADER_MAX > len);
        };
        if element.id == CLUSTER {
            return Ok(element.body >= len);
        }
        at = element.end();
    }
    Ok(false)
}

/// Returns whether a track is of sound; `None` where that cannot be told.
fn has_sound(file: &mut (impl Read + Seek), tracks: &Element) -> io::Result<Option<bool>> {
    let mut entries = 0;
    let mut at = tracks.body;
    while at < tracks.end() {
        let Some(entry) = Element::read(file, at)?.filter(|entry| entry.size.is_some()) else {
            return Ok(None);
        };
        if entry.id == TRACK_ENTRY {
            entries += 1;
            match child(file, &entry, TRACK_TYPE)?
                .map(|kind| number(file, &kind))
                .transpose()?
                .flatten()
            {
                Some(SOUND) => return Ok(Some(true)),
                Some(COMPLEX) | None => return Ok(None),
                Some(_) if entries > CHILDREN_MAX => return Ok(None),
                Some(_) => {}
            }
        }
        at = entry.end();
    }
    Ok((entries > 0).then_some(false))
}

/// Returns the first element of an id within another one.
pub(super) fn child(
    file: &mut (impl Read + Seek),
    parent: &Element,
    id: u32,
) -> io::Result<Option<Element>> {
    let mut at = parent.body;
    for _ in 0..CHILDREN_MAX {
        if at >= parent.end() {
            break;
        }
        let Some(element) =
            Element::read(file, at)?.filter(|element| element.end() <= parent.end())
        else {
            break;
        };
        if element.id == id {
            return Ok(Some(element));
        }
        at = element.end();
    }
    Ok(None)
}

/// Returns the unsigned number in an element.
pub(super) fn number(file: &mut (impl Read + Seek), element: &Element) -> io::Result<Option<u64>> {
    let Some(size) =
        element.size.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= 8)
    else {
        return Ok(None);
    };
    let (bytes, count) = read_up_to::<8>(file, element.body)?;
    Ok((count >= size)
        .then(|| bytes[..size].iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
}

/// One element: its id, where its content begins and how long that is; `None` for a length that is not known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element {
    pub(super) id: u32,
    pub(super) body: u64,
    pub(super) size: Option<u64>,
}

impl Element {
    /// Bytes of the longest id and length.
    const HEADER_MAX: u64 = 12;

    /// Returns the element at `at`; `None` where none can be: at the end, or at bytes that are none.
    pub(super) fn read(file: &mut (impl Read + Seek), at: u64) -> io::Result<Option<Self>> {
        let (bytes, count) = read_up_to::<12>(file, at)?;
        Ok(Self::parse(&bytes[..count], at))
    }

    fn parse(bytes: &[u8], at: u64) -> Option<Self> {
        let id_length = length_of(*bytes.first()?).filter(|length| *length <= 4)?;
        let id = bytes.get(..id_length)?.iter().fold(0, |id, byte| id << 8 | u32::from(*byte));
        let (size, size_length) = variable(bytes.get(id_length..)?)?;
        let body = at.checked_add((id_length + size_length) as u64)?;
        Some(Self { id, body, size })
    }

    /// Returns where the element ends; nowhere, when its length is not known.
    pub(super) fn end(&self) -> u64 {
        self.size.map_or(u64::MAX, |size| self.body.saturating_add(size))
    }
}

/// Returns the number at the begin of `bytes` and how long it is; `None` within for one that is not known.
pub(super) fn variable(bytes: &[u8]) -> Option<(Option<u64>, usize)> {
    let first = *bytes.first()?;
    let length = length_of(first)?;
    let marker = 0x80_u8 >> (length - 1);
    let value = bytes
        .get(1..length)?
        .iter()
        .fold(u64::from(first & !marker), |value, byte| value << 8 | u64::from(*byte));
    let unknown = (1 << (7 * length)) - 1;
    Some(((value != unknown).then_some(value), length))
}

/// Returns how many bytes a number has that begins with this one.
fn length_of(first: u8) -> Option<usize> {
    (first != 0).then(|| first.leading_zeros() as usize + 1)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn look(bytes: &[u8]) -> Head {
        super::look(&mut Cursor::new(bytes), bytes.len() as u64).expect("readable")
    }

    /// An element with a length of eight bytes; `None` leaves that unknown.
    fn element(id: u32, size: Option<usize>, body: &[u8]) -> Vec<u8> {
        let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
        let size = size.map_or(u64::MAX >> 8, |size| size as u64) | 1 << 56;
        [&id, &size.to_be_bytes()[..], body].concat()
    }

    fn whole(id: u32, body: &[u8]) -> Vec<u8> {
        element(id, Some(body.len()), body)
    }

    /// The header of such a file.
    const EBML: u32 = 0x1a45_dfa3;

    /// What a segment holds: a track of each type, then this many clusters.
    fn content(types: &[u8], clusters: usize) -> Vec<u8> {
        let tracks: Vec<u8> = types
            .iter()
            .flat_map(|kind| whole(TRACK_ENTRY, &whole(TRACK_TYPE, &[*kind])))
            .collect();
        let clusters: Vec<u8> = (0..clusters).flat_map(|_| whole(CLUSTER, &[7; 50])).collect();
        [whole(0x1549_a966, &[1; 20]), whole(TRACKS, &tracks), clusters].concat()
    }

    fn file(segment: &[u8]) -> Vec<u8> {
        [&whole(EBML, b"\x42\x82\x88matroska"), segment].concat()
    }

    #[test]
    fn a_segment_without_a_length_or_cut_off_is_unfinished() {
        let content = content(&[1, 2], 3);
        assert_eq!(look(&file(&whole(SEGMENT, &content))), Head::default());
        let trailing = [file(&whole(SEGMENT, &content)), b"TAG".to_vec()].concat();
        assert_eq!(look(&trailing), Head::default(), "what lies behind is no objection");
        let live = look(&file(&element(SEGMENT, None, &content)));
        assert_eq!(
            (live.unfinished, live.is_soundless),
            (Some("its length is not known yet"), false)
        );
        let cut = file(&whole(SEGMENT, &content));
        assert_eq!(look(&cut[..cut.len() - 1]).unfinished, Some("it ends within its segment"));
        assert_eq!(look(&cut[..8]).unfinished, Some("it has no segment yet"));
        let torn = [b"\x1a\x45\xdf\xa3".as_slice(), &[7; 5000]].concat();
        assert_eq!(look(&torn), Head::default(), "what cannot be read is for the decoder to say");
    }

    #[test]
    fn without_a_track_of_sound_or_a_cluster_there_is_no_sound() {
        for (types, clusters, soundless) in [
            (&[1, 2][..], 1, false),
            (&[1, 17], 1, true),
            (&[3], 1, false),
            (&[], 1, false),
            (&[1, 2], 0, true),
        ] {
            for size in [Some(content(types, clusters).len()), None] {
                let head = look(&file(&element(SEGMENT, size, &content(types, clusters))));
                assert_eq!(head.is_soundless, soundless, "{types:?} {clusters}");
                assert_eq!(head.unfinished.is_some(), size.is_none());
            }
        }
    }
}

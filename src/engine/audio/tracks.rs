//! The content of a container: its sound tracks with their titles and edit lists, how many files
//! were joined to it, and whether it breaks off. Only heads are read; the sound is not.

use std::{fs::File, io, ops::Range};

use super::view::bytes_at;
use crate::text;

/// Heads of boxes and elements that are read of one file: a day of recording has some ten thousand.
const HEADS_MAX: usize = 1_000_000;

/// Depth of nested boxes at most: tracks lie at four.
const DEPTH_MAX: usize = 8;

/// Bytes of a title that are read, and characters of it that are kept.
const TITLE_BYTES: u64 = 256;
const TITLE_CHARS: usize = 40;

/// Edits of a track that are taken; more are no recording.
const EDITS_MAX: usize = 1_000;

/// A sound track, as its container describes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SoundTrack {
    /// The number in the container.
    pub(crate) id: u64,
    /// The title that a person gave it.
    pub(crate) title: Option<String>,
    /// The stretches that are played, and when; none means all of it, from the start.
    pub(crate) edits: Vec<TrackEdit>,
}

/// An entry of an edit list. Times are seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TrackEdit {
    /// The length in which it is played; endless where the list gives none.
    pub(crate) length: f64,
    /// The begin in the track; `None` means silence.
    pub(crate) from: Option<f64>,
    /// True when it is played at its own speed.
    pub(crate) is_plain: bool,
}

/// The content of one container.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Container {
    /// The range in the file, up to the end of its last box.
    pub(crate) place: Range<u64>,
    /// Its sound tracks.
    pub(crate) tracks: Vec<SoundTrack>,
    /// True when its list of tracks was found.
    pub(crate) is_listed: bool,
    /// True when it promises more than there is.
    pub(crate) breaks_off: bool,
    /// Bytes that it promises.
    pub(crate) promised: u64,
}

impl Container {
    fn new(from: u64) -> Self {
        Self {
            place: from..from,
            tracks: Vec::new(),
            is_listed: false,
            breaks_off: false,
            promised: 0,
        }
    }
}

/// Returns how many sound tracks a recording has, where its container says so.
///
/// # Errors
/// When the file system fails.
pub fn sound_tracks(file: &File) -> io::Result<Option<usize>> {
    let head = bytes_at(file, 0, 12)?;
    let found = match head.get(4..8) {
        _ if head.starts_with(&EBML) => matroska_containers(file)?,
        Some(b"ftyp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip") => mp4_containers(file)?,
        _ => return Ok(None),
    };
    Ok(found
        .first()
        .filter(|container| container.is_listed)
        .map(|container| container.tracks.len()))
}

/// Returns the containers of an MP4: one, or several that were joined.
pub(crate) fn mp4_containers(file: &File) -> io::Result<Vec<Container>> {
    let mut walk = ContainerReader { file, heads: 0 };
    let end = file.metadata()?.len();
    let mut found = vec![Container::new(0)];
    let mut at = 0;
    while let Some(mp4_box) = walk.next_box(at, end)? {
        let last = found.last_mut().expect("there is one from the begin");
        // A second begin is another file; an index of fragments is not.
        if &mp4_box.name == b"ftyp" && last.is_listed && at > last.place.start {
            found.push(Container::new(at));
            continue;
        }
        if mp4_box.end > end {
            // A box that ends behind the file is cut off when it is one that a recording has; else
            // it is no box at all.
            last.breaks_off = matches!(&mp4_box.name, b"mdat" | b"moof" | b"moov");
            last.place.end = if last.breaks_off { end } else { at };
            last.promised = if last.breaks_off { mp4_box.end - last.place.start } else { 0 };
            break;
        }
        if &mp4_box.name == b"moov" {
            last.is_listed = true;
            last.tracks = walk.read_movie(&mp4_box)?;
        }
        at = mp4_box.end;
        last.place.end = at;
    }
    Ok(found)
}

/// A reader of heads, which counts them.
struct ContainerReader<'a> {
    file: &'a File,
    heads: usize,
}

/// A box of an MP4.
#[derive(Debug)]
struct Mp4Box {
    name: [u8; 4],
    body: u64,
    end: u64,
}

impl ContainerReader<'_> {
    /// Reads the head of the box at `at`; `None` at the end and where there is none.
    fn next_box(&mut self, at: u64, end: u64) -> io::Result<Option<Mp4Box>> {
        self.heads += 1;
        if self.heads > HEADS_MAX || at.saturating_add(8) > end {
            return Ok(None);
        }
        let head = bytes_at(self.file, at, 16)?;
        let Some(name) = head.get(4..8).and_then(|name| <[u8; 4]>::try_from(name).ok()) else {
            return Ok(None);
        };
        let is_letter =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b' ' | b'-' | b'_' | 0xa9);
        if !name.iter().all(is_letter) || name[0] == b' ' {
            return Ok(None);
        }
        let short = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let (length, skipped) = match (short, head.get(8..16)) {
            (0, _) => (end - at, 8),
            (1, Some(long)) => (u64::from_be_bytes(long.try_into().unwrap_or_default()), 16),
            _ => (short, 8),
        };
        if length < skipped {
            return Ok(None);
        }
        Ok(Some(Mp4Box { name, body: at + skipped, end: at.saturating_add(length) }))
    }

    fn read_movie(&mut self, movie: &Mp4Box) -> io::Result<Vec<SoundTrack>> {
        let mut scale = 1000.0;
        let mut tracks = Vec::new();
        let mut is_fragmented = false;
        let mut at = movie.body;
        while let Some(inner) = self.next_box(at, movie.end)? {
            match &inner.name {
                b"mvex" => is_fragmented = true,
                b"mvhd" => scale = self.time_scale(&inner)?,
                b"trak" => {
                    let mut track = Mp4Track::default();
                    self.read_track(&inner, 0, &mut track)?;
                    tracks.push(track);
                }
                _ => {}
            }
            at = inner.end;
        }
        let mut tracks: Vec<_> = tracks
            .into_iter()
            .filter(|track| track.is_sound)
            .map(|track| track.into_sound_track(scale))
            .collect();
        if is_fragmented {
            // Written before anybody knew how long it would be.
            let last_edits = tracks.iter_mut().filter_map(|track| track.edits.last_mut());
            last_edits.for_each(|edit| edit.length = f64::INFINITY);
        }
        Ok(tracks)
    }

    /// Gathers the facts of a track.
    fn read_track(&mut self, outer: &Mp4Box, depth: usize, track: &mut Mp4Track) -> io::Result<()> {
        let mut at = outer.body;
        while let Some(inner) =
            self.next_box(at, outer.end).map(|found| found.filter(|_| depth < DEPTH_MAX))?
        {
            let body = |from: u64, most: u64| {
                let length = inner.end.min(outer.end).saturating_sub(inner.body + from).min(most);
                bytes_at(self.file, inner.body + from, usize::try_from(length).unwrap_or_default())
            };
            match &inner.name {
                b"mdia" | b"edts" | b"udta" => self.read_track(&inner, depth + 1, track)?,
                b"tkhd" => {
                    let head = body(0, 24)?;
                    let at = if head.first() == Some(&1) { 20 } else { 12 };
                    track.id = u64::from(u32_at(&head, at));
                }
                b"mdhd" => track.scale = self.time_scale(&inner)?,
                b"hdlr" => track.is_sound |= body(8, 4)? == b"soun",
                b"elst" => track.list = body(0, 8 + 20 * EDITS_MAX as u64)?,
                b"name" => track.title = printable_title(&body(0, TITLE_BYTES)?),
                _ => {}
            }
            at = inner.end;
        }
        Ok(())
    }

    /// Reads how many units a second has from `mvhd` or `mdhd`.
    fn time_scale(&self, head: &Mp4Box) -> io::Result<f64> {
        let head = bytes_at(self.file, head.body, 24)?;
        let at = if head.first() == Some(&1) { 20 } else { 12 };
        Ok(f64::from(u32_at(&head, at).max(1)))
    }
}

/// The facts that were gathered of a track.
#[derive(Debug, Default)]
struct Mp4Track {
    id: u64,
    is_sound: bool,
    scale: f64,
    title: Option<String>,
    list: Vec<u8>,
}

impl Mp4Track {
    /// Returns the track; `scale` is the number of units in a second of the whole.
    fn into_sound_track(self, scale: f64) -> SoundTrack {
        let edits = parse_edits(&self.list, scale, self.scale.max(1.0));
        SoundTrack { id: self.id, title: self.title, edits }
    }
}

/// Reads an edit list (ISO/IEC 14496-12, 8.6.6).
fn parse_edits(list: &[u8], movie_scale: f64, track_scale: f64) -> Vec<TrackEdit> {
    let is_long = list.first() == Some(&1);
    let entries = list.get(8..).unwrap_or_default().chunks_exact(if is_long { 20 } else { 12 });
    let count = if list.len() < 8 { 0 } else { u32_at(list, 4) as usize };
    #[expect(clippy::cast_precision_loss, reason = "exact for any recording there can be")]
    let edit = |entry: &[u8]| {
        let long =
            |at: usize| u64::from(u32_at(entry, at)) << 32 | u64::from(u32_at(entry, at + 4));
        let (length, from) = if is_long {
            (long(0), long(8).cast_signed())
        } else {
            (u64::from(u32_at(entry, 0)), i64::from(u32_at(entry, 4).cast_signed()))
        };
        let rate = u32_at(entry, entry.len() - 4);
        TrackEdit {
            length: if length == 0 { f64::INFINITY } else { length as f64 / movie_scale },
            from: (from >= 0).then(|| from as f64 / track_scale),
            is_plain: rate == 1 << 16,
        }
    };
    entries.take(count).map(edit).collect()
}

/// The mark of a Matroska file, and its other elements that are looked at (RFC 9559, 5.1).
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
const SEGMENT: u64 = 0x1853_8067;
const TRACKS: u64 = 0x1654_ae6b;
const TRACK: u64 = 0xae;
const TRACK_NUMBER: u64 = 0xd7;
const TRACK_TYPE: u64 = 0x83;
const TRACK_NAME: u64 = 0x536e;

/// An element of a Matroska file.
#[derive(Debug)]
struct MatroskaElement {
    id: u64,
    body: u64,
    /// `None` for an unknown size.
    end: Option<u64>,
}

/// Returns the containers of a Matroska file: one, or several that were joined.
pub(crate) fn matroska_containers(file: &File) -> io::Result<Vec<Container>> {
    let mut walk = ContainerReader { file, heads: 0 };
    let end = file.metadata()?.len();
    let mut found: Vec<Container> = Vec::new();
    let mut at = 0;
    while let Some(element) = walk.read_element(at, end)? {
        if element.id == u64::from(u32::from_be_bytes(EBML)) {
            found.push(Container::new(at));
        }
        let Some(last) = found.last_mut() else { break };
        last.breaks_off = element.end.is_some_and(|own| own > end);
        if element.id == SEGMENT {
            walk.read_segment(&element, end, last)?;
        }
        last.place.end = element.end.unwrap_or(end).min(end);
        at = last.place.end;
    }
    Ok(found)
}

impl ContainerReader<'_> {
    /// Reads the head of the element at `at`; `None` at the end and where there is none.
    fn read_element(&mut self, at: u64, end: u64) -> io::Result<Option<MatroskaElement>> {
        self.heads += 1;
        if self.heads > HEADS_MAX || at >= end {
            return Ok(None);
        }
        let head = bytes_at(self.file, at, 12)?;
        let Some(id_length) = vint_length(&head).filter(|length| *length <= 4) else {
            return Ok(None);
        };
        let Some(size_length) = head.get(id_length..).and_then(vint_length) else {
            return Ok(None);
        };
        let Some(size) = head.get(id_length..id_length + size_length) else { return Ok(None) };
        let value =
            |bytes: &[u8]| bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        let mask = (1_u64 << (7 * size_length)) - 1;
        let body = at + (id_length + size_length) as u64;
        let size = Some(value(size) & mask).filter(|size| *size != mask);
        Ok(Some(MatroskaElement {
            id: value(&head[..id_length]),
            body,
            end: size.map(|size| body.saturating_add(size)),
        }))
    }

    /// Looks for the tracks in a segment, and whether its last element is whole.
    fn read_segment(
        &mut self,
        segment: &MatroskaElement,
        end: u64,
        container: &mut Container,
    ) -> io::Result<()> {
        let all = segment.end.unwrap_or(end).min(end);
        let mut at = segment.body;
        while let Some(element) = self.read_element(at, all)? {
            if element.id == TRACKS {
                container.is_listed = true;
                container.tracks = self.matroska_tracks(&element, all)?;
            }
            container.breaks_off |= element.end.is_some_and(|next| next > end);
            // The elements in a cluster of unknown size have sizes of their own.
            at = element.end.unwrap_or(element.body);
        }
        container.breaks_off |= at < all && self.heads < HEADS_MAX;
        Ok(())
    }

    fn matroska_tracks(
        &mut self,
        tracks: &MatroskaElement,
        end: u64,
    ) -> io::Result<Vec<SoundTrack>> {
        const SOUND: u64 = 2;
        let mut found = Vec::new();
        let mut at = tracks.body;
        let all = tracks.end.unwrap_or(end).min(end);
        while let Some(entry) = self.read_element(at, all)? {
            let entry_end = entry.end.unwrap_or(all).min(all);
            let mut track = SoundTrack::default();
            let mut kind = 0;
            let mut inner = entry.body;
            while let Some(element) = self
                .read_element(inner, entry_end)
                .map(|found| found.filter(|_| entry.id == TRACK))?
            {
                let Some(next) = element.end.filter(|next| *next <= entry_end) else { break };
                let length =
                    usize::try_from((next - element.body).min(TITLE_BYTES)).unwrap_or_default();
                let bytes = bytes_at(self.file, element.body, length)?;
                let value =
                    bytes.iter().take(8).fold(0, |value, byte| value << 8 | u64::from(*byte));
                match element.id {
                    TRACK_NUMBER => track.id = value,
                    TRACK_TYPE => kind = value,
                    TRACK_NAME => track.title = printable_title(&bytes),
                    _ => {}
                }
                inner = next;
            }
            found.extend((kind == SOUND).then_some(track));
            at = entry_end;
        }
        Ok(found)
    }
}

/// Returns the length of the number that begins here: as many bytes as there are zeros in front of
/// the first one.
fn vint_length(bytes: &[u8]) -> Option<usize> {
    let zeros = bytes.first()?.leading_zeros() as usize;
    (zeros < 8).then_some(zeros + 1)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Returns a title that can be shown: anybody can write the name of a track.
fn printable_title(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let title = text::one_line(text.trim_matches('\0'), TITLE_CHARS);
    title.chars().any(char::is_alphanumeric).then_some(title)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_bytes_are_containers_that_lie_in_the_file(
            words in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        &b"\0\0\0\x10ftypisom\0\0\0\0"[..], b"\0\0\0\x40moov", b"\0\0\0\x30trak", b"\0\0\0\x20mdia",
                        b"\0\0\0\x14hdlr\0\0\0\0\0\0\0\0soun", b"\0\0\0\x18elst\0\0\0\0\0\0\0\x01", b"\0\0\0\x01mdat",
                        b"\x1a\x45\xdf\xa3\x84", b"\x18\x53\x80\x67\xff", b"\x16\x54\xae\x6b\x90", b"\xae\x8a", b"\x83\x81\x02",
                        b"\x1f\x43\xb6\x75\xff", b"\x53\x6e\x84name",
                    ]).prop_map(<[u8]>::to_vec),
                    prop::collection::vec(any::<u8>(), 0..24),
                ],
                0..24,
            ),
        ) {
            let bytes = words.concat();
            let mut file = tempfile::tempfile().expect("a file");
            file.write_all(&bytes).expect("written");
            for container in [mp4_containers(&file).expect("read"), matroska_containers(&file).expect("read")].concat() {
                let place = container.place;
                prop_assert!(place.start <= place.end && place.end <= bytes.len() as u64, "{:?}", place);
            }
            prop_assert!(sound_tracks(&file).is_ok());
        }
    }
}

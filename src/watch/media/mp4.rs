//! MP4, M4A, 3GP, MOV: boxes one after another (ISO/IEC 14496-12). Without `moov` no one can play it, and most
//! recorders write that last. What lies behind the last box, a tag or a camera's note, is nobody's business: players pass
//! over it.

use std::{
    io::{self, Read, Seek},
    time::Duration,
};

use jiff::Timestamp;

use super::{Head, Made, be32, read_at, span};

/// Boxes looked at on the top level: a fragmented recording has two a second, so this is more than a day of them.
const BOXES_MAX: usize = 200_000;

/// Boxes looked at within one other: a movie has a few tracks, a track ten boxes.
const CHILDREN_MAX: usize = 64;

/// Seconds from 1904-01-01, where these files begin to count, to 1970-01-01.
const EPOCH_1904: i64 = 2_082_844_800;

/// Looks at an MP4 of `len` bytes.
pub(super) fn look(file: &mut (impl Read + Seek), len: u64) -> io::Result<Head> {
    if !read_at::<8>(file, 0)?.is_some_and(|head| BEGINNINGS.iter().any(|kind| head[4..] == **kind))
    {
        return Ok(Head::default());
    }
    let mut made = None;
    let mut movie = None;
    let mut has_data = false;
    let mut ends_in_index = false;
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        // What is named by no letters is none of the recording: it lies behind it.
        let Some(found) = Found::read(file, at, len)?.filter(Found::is_named) else { break };
        if &found.kind == b"moov" {
            made = creation(file, &found)?.or(made);
        }
        if found.end > len {
            if !matches!(&found.kind, b"moov" | b"moof" | b"mdat") {
                break;
            }
            let soundless = movie.as_ref().is_some_and(Movie::is_soundless);
            return Ok(Head {
                unfinished: Some("it ends within a box"),
                is_soundless: soundless,
                made,
            });
        }
        match &found.kind {
            b"moov" => movie = Some(Movie::read(file, &found)?),
            b"mdat" => has_data = true,
            _ => {}
        }
        // Boxes of other kinds lie anywhere.
        ends_in_index = &found.kind == b"moof" || ends_in_index && &found.kind != b"mdat";
        at = found.end;
    }
    let Some(movie) = movie else {
        return Ok(Head {
            unfinished: Some("it has no `moov` box yet"),
            is_soundless: false,
            made,
        });
    };
    let is_empty = movie.has_sound && !has_data && (movie.is_fragmented || movie.samples == 0);
    let unfinished = if ends_in_index || movie.is_fragmented && !has_data && movie.samples == 0 {
        Some("its next fragment is not there yet")
    } else if movie.samples > 0 && !has_data || movie.last_chunk >= len {
        Some("its index names sound that is not there yet")
    } else {
        None
    };
    Ok(Head { unfinished, is_soundless: movie.is_soundless() || is_empty, made })
}

/// The boxes with which an MP4 may begin. Any other file is no MP4, whatever its name says.
pub(super) const BEGINNINGS: [&[u8; 4]; 8] =
    [b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"uuid"];

/// Kinds of tracks (`hdlr`) that hold no sound. Of any other, nobody knows here.
const SILENT: [&[u8; 4]; 13] = [
    b"vide", b"text", b"sbtl", b"subt", b"subp", b"clcp", b"tmcd", b"hint", b"meta", b"mdta",
    b"pict", b"auxv", b"camm",
];

/// The index's facts about the tracks.
#[derive(Debug, Default)]
struct Movie {
    tracks: usize,
    /// Tracks that surely hold no sound: of another kind, or without a sample where none can follow.
    silent: usize,
    has_sound: bool,
    is_fragmented: bool,
    /// Samples of the sound tracks.
    samples: u64,
    /// The offset of the last piece of sound.
    last_chunk: u64,
}

impl Movie {
    fn read(file: &mut (impl Read + Seek), moov: &Found) -> io::Result<Self> {
        let mut movie =
            Self { is_fragmented: child(file, moov, *b"mvex")?.is_some(), ..Self::default() };
        let mut at = moov.body;
        for _ in 0..CHILDREN_MAX {
            let Some(found) = Found::read(file, at, moov.end)? else { break };
            if &found.kind == b"trak" {
                movie.meet(file, &found)?;
            }
            at = found.end;
        }
        Ok(movie)
    }

    fn meet(&mut self, file: &mut (impl Read + Seek), track: &Found) -> io::Result<()> {
        self.tracks += 1;
        let Some(media) = child(file, track, *b"mdia")? else { return Ok(()) };
        let Some(kind) = handler(file, &media)? else { return Ok(()) };
        if &kind != b"soun" {
            self.silent += usize::from(SILENT.contains(&&kind));
            return Ok(());
        }
        self.has_sound = true;
        let Some(table) = descend(file, &media, &[b"minf", b"stbl"])? else { return Ok(()) };
        for kind in [b"stsz", b"stz2"] {
            let Some(sizes) = child(file, &table, *kind)? else { continue };
            let count = read_at::<4>(file, sizes.body + 8)?.map_or(0, u32::from_be_bytes);
            self.samples += u64::from(count);
            self.silent += usize::from(count == 0 && !self.is_fragmented);
        }
        self.last_chunk = self.last_chunk.max(last_chunk(file, &table)?);
        Ok(())
    }

    /// Returns whether no track can hold sound.
    fn is_soundless(&self) -> bool {
        self.tracks > 0 && self.silent == self.tracks
    }
}

/// Returns the kind of a track: what its `hdlr` says.
pub(super) fn handler(file: &mut (impl Read + Seek), media: &Found) -> io::Result<Option<[u8; 4]>> {
    let Some(handler) = child(file, media, *b"hdlr")? else { return Ok(None) };
    read_at::<4>(file, handler.body + 8)
}

/// Returns where the last chunk of a track begins, by its table; 0 where there is none.
fn last_chunk(file: &mut (impl Read + Seek), table: &Found) -> io::Result<u64> {
    for (kind, width) in [(b"stco", 4_u64), (b"co64", 8)] {
        let Some(offsets) = child(file, table, *kind)? else { continue };
        let count = read_at::<4>(file, offsets.body + 4)?.map_or(0, u32::from_be_bytes);
        let Some(before) = u64::from(count).checked_sub(1) else { continue };
        let place = offsets.body + 8 + before * width;
        if place + width > offsets.end {
            continue;
        }
        let last = if width == 4 {
            read_at::<4>(file, place)?.map(|bytes| u64::from(u32::from_be_bytes(bytes)))
        } else {
            read_at::<8>(file, place)?.map(u64::from_be_bytes)
        };
        return Ok(last.unwrap_or_default());
    }
    Ok(0)
}

/// Returns the first box of a kind within another one.
pub(super) fn child(
    file: &mut (impl Read + Seek),
    parent: &Found,
    kind: [u8; 4],
) -> io::Result<Option<Found>> {
    let mut at = parent.body;
    for _ in 0..CHILDREN_MAX {
        let Some(found) = Found::read(file, at, parent.end)? else { break };
        if found.kind == kind {
            return Ok(Some(found));
        }
        at = found.end;
    }
    Ok(None)
}

/// Returns the box at the end of a way of kinds.
pub(super) fn descend(
    file: &mut (impl Read + Seek),
    from: &Found,
    way: &[&[u8; 4]],
) -> io::Result<Option<Found>> {
    let mut found = *from;
    for kind in way {
        let Some(next) = child(file, &found, **kind)? else { return Ok(None) };
        found = next;
    }
    Ok(Some(found))
}

/// One box: its kind, where its content begins and where it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) kind: [u8; 4],
    pub(super) body: u64,
    pub(super) end: u64,
}

impl Found {
    /// Returns the box at `at`, or `None` where none can be: at the end, or at bytes that are no box.
    pub(super) fn read(
        file: &mut (impl Read + Seek),
        at: u64,
        limit: u64,
    ) -> io::Result<Option<Self>> {
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

    /// Returns whether its kind is four printable characters; some of `QuickTime` begin with a copyright sign.
    pub(super) fn is_named(&self) -> bool {
        self.kind.iter().all(|byte| (b' '..=b'~').contains(byte) || *byte == 0xa9)
    }
}

/// Returns how long an MP4 of `len` bytes is, as its movie header says; a fragmented one does not say it.
pub(super) fn length(file: &mut (impl Read + Seek), len: u64) -> io::Result<Option<Duration>> {
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        let Some(found) = Found::read(file, at, len)?.filter(Found::is_named) else { break };
        if &found.kind == b"moov" {
            return movie_length(file, &found);
        }
        at = found.end;
        if at >= len {
            break;
        }
    }
    Ok(None)
}

fn movie_length(file: &mut (impl Read + Seek), moov: &Found) -> io::Result<Option<Duration>> {
    let mut at = moov.body;
    for _ in 0..CHILDREN_MAX {
        let Some(child) = Found::read(file, at, moov.end)? else { break };
        if &child.kind == b"mvhd" {
            let Some(head) = read_at::<32>(file, child.body)? else { break };
            let wide = u64::from(be32(&head, 24)) << 32 | u64::from(be32(&head, 28));
            let (scale, units, unknown) = match head[0] {
                1 => (be32(&head, 20), wide, u64::MAX),
                _ => (be32(&head, 12), u64::from(be32(&head, 16)), u64::from(u32::MAX)),
            };
            return Ok(span(units, scale.into()).filter(|_| units != unknown));
        }
        at = child.end;
    }
    Ok(None)
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
        boxed(
            "moov",
            &boxed("mvhd", &[&[0; 4], created.to_be_bytes().as_slice(), &[0; 92]].concat()),
        )
    }

    #[test]
    fn without_moov_or_with_a_box_cut_off_it_is_unfinished() {
        let ftyp = boxed("ftyp", b"isom\0\0\0\0");
        let mdat = boxed("mdat", &[7; 100]);
        let finished = [ftyp.clone(), mdat.clone(), moov(1_795_338_000)].concat();
        assert_eq!(look(&finished).unfinished, None);
        assert_eq!(
            look(&[ftyp.clone(), mdat.clone()].concat()).unfinished,
            Some("it has no `moov` box yet")
        );
        assert_eq!(look(&finished[..finished.len() - 1]).unfinished, Some("it ends within a box"));
        let cut = [ftyp, moov(1_795_338_000), mdat[..50].to_vec()].concat();
        assert_eq!(look(&cut).unfinished, Some("it ends within a box"));
        assert_eq!(look(b"this is text, whatever its name says").unfinished, None);
    }

    /// A track of a kind with so many samples, its last chunk at an offset.
    fn track(kind: &str, samples: u32, offset: u32) -> Vec<u8> {
        let handler = boxed("hdlr", &[&[0; 8], kind.as_bytes(), &[0; 12]].concat());
        let sizes = boxed("stsz", &[&[0; 8][..], &samples.to_be_bytes()].concat());
        let chunks = boxed("stco", &[[0; 4], 1_u32.to_be_bytes(), offset.to_be_bytes()].concat());
        let table = boxed("stbl", &[sizes, chunks].concat());
        boxed("trak", &boxed("mdia", &[handler, boxed("minf", &table)].concat()))
    }

    #[test]
    fn what_lies_behind_the_last_box_is_no_objection() {
        let whole = [boxed("ftyp", b"isom\0\0\0\0"), moov(0), boxed("mdat", &[7; 100])].concat();
        let id3 = [&b"TAG"[..], &[b' '; 125]].concat();
        let junk: [&[u8]; 8] = [
            &id3,
            b"CAMERA-SERIAL=12345;END",
            &[0; 64],
            &[0xff; 64],
            b"\n",
            b"1234567",
            &[0; 5],
            b"free",
        ];
        for junk in junk {
            assert_eq!(look(&[&whole[..], junk].concat()).unfinished, None, "{junk:?}");
        }
        let without = [boxed("ftyp", b"isom\0\0\0\0"), boxed("mdat", &[7; 100]), id3].concat();
        assert_eq!(look(&without).unfinished, Some("it has no `moov` box yet"));
    }

    #[test]
    fn fragments_are_whole_or_the_file_is_unfinished() {
        let ftyp = boxed("ftyp", b"isom\0\0\0\0");
        let index = boxed("moov", &[boxed("mvex", &[]), track("soun", 0, 0)].concat());
        let fragment = [boxed("moof", &[1; 30]), boxed("mdat", &[7; 100])].concat();
        let begun = [ftyp, index].concat();
        let head = look(&begun);
        assert!(head.unfinished.is_some() && head.is_soundless, "{head:?}");
        let whole = [&begun[..], &fragment, &fragment].concat();
        assert_eq!(look(&whole), Head::default());
        assert_eq!(look(&[&whole[..], b"TAG and text"].concat()), Head::default());
        for cut in [1, 50, 107, 108, 120] {
            assert!(look(&whole[..whole.len() - cut]).unfinished.is_some(), "{cut}");
        }
    }

    #[test]
    fn an_index_of_sound_that_is_not_there_is_unfinished() {
        let movie = |offset| boxed("moov", &track("soun", 9, offset));
        assert!(look(&movie(0)).unfinished.is_some(), "no sound at all");
        let data = boxed("mdat", &[7; 100]);
        let there = [movie(0), data.clone()].concat();
        assert_eq!(look(&there), Head::default());
        let beyond = u32::try_from(there.len()).expect("small");
        assert!(look(&[movie(beyond), data].concat()).unfinished.is_some());
    }

    #[test]
    fn without_a_track_of_sound_there_is_no_sound() {
        let data = boxed("mdat", &[7; 100]);
        let of = |tracks: &[Vec<u8>]| {
            look(&[boxed("moov", &tracks.concat()), data.clone()].concat()).is_soundless
        };
        assert!(of(&[track("vide", 9, 0)]) && of(&[track("vide", 9, 0), track("soun", 0, 0)]));
        assert!(!of(&[track("vide", 9, 0), track("soun", 9, 0)]));
        assert!(!of(&[track("musi", 9, 0)]), "who knows");
        assert!(!of(&[]), "an index that cannot be read");
    }

    #[test]
    fn the_creation_time_is_taken_unless_it_is_absurd() {
        let made = Timestamp::from_second(1_795_338_000).expect("in range");
        assert_eq!(look(&moov(1_795_338_000)).made, Some(Made::At(made)));
        assert_eq!(look(&moov(-EPOCH_1904)).made, None);
        assert_eq!(look(&moov(0)).made, None);
    }
}

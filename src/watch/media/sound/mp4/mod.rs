//! The sound of MP4, MOV and 3GP: the samples that the tables of each sound track name, or the runs of its fragments.
//!
//! An edit list counts where it leaves out sound. Encoders begin with up to some 100 ms of silence and end within a frame;
//! one muxer writes an edit that leaves these out, another one leaves the list away. So what is cut off by less than
//! [`EDIT_SLACK_MS`] at the begin and at the end does not count, and an edit of nothing, which only delays a track, never
//! does.

mod entry;
mod fragments;
mod samples;

use self::{entry::read_entry, fragments::Fragments, samples::Samples};
use super::{
    Obscure, Opened, Packet, Packets, ReadAt, TRACKS_MAX, TrackForm, params::Params, window::Window,
};
use crate::watch::media::{
    mp4::{Found, child, descend, handler},
    read_at, read_up_to,
};

/// Milliseconds that an edit may leave out at either end and count as none: the delay of any encoder is shorter.
pub(super) const EDIT_SLACK_MS: u64 = 500;

/// Boxes of a movie that are looked at.
const CHILDREN_MAX: usize = 64;

/// Boxes looked at on the top level in search of the index.
const BOXES_MAX: usize = 10_000;

/// Edits of one track.
const EDITS_MAX: u32 = 1000;

pub(super) fn open(file: &dyn ReadAt, len: u64) -> Result<Option<Opened<'_>>, Obscure> {
    let mut window = Window::new(file);
    let Some(movie) = find_movie(&mut window, len)? else { return Ok(None) };
    let timescale = timescale(&mut window, &movie, *b"mvhd")?.map_or(0, |(scale, _)| scale);
    let is_fragmented = child(&mut window, &movie, *b"mvex")?.is_some();
    let mut forms = Vec::new();
    let mut tracks = Vec::new();
    let mut at = movie.body;
    for _ in 0..CHILDREN_MAX {
        let Some(found) = Found::read(&mut window, at, movie.end)? else { break };
        at = found.end;
        if &found.kind != b"trak" {
            continue;
        }
        let media = child(&mut window, &found, *b"mdia")?.ok_or(Obscure)?;
        if handler(&mut window, &media)? != Some(*b"soun") {
            continue;
        }
        let table = descend(&mut window, &media, &[b"minf", b"stbl"])?.ok_or(Obscure)?;
        let entry = read_entry(&mut window, &table)?;
        let edits = edits(&mut window, &found, &media, timescale)?;
        let mut track = IsoTrack {
            samples: Samples::open(&window, &table, &entry, len)?,
            fragments: None,
            next: None,
        };
        if is_fragmented {
            let number = track_number(&mut window, &found)?;
            track.fragments = Some(Fragments::open(&mut window, &movie, number, len)?);
        }
        forms.push(TrackForm { codec: entry.params, edits });
        tracks.push(track);
        if tracks.len() > TRACKS_MAX {
            return Err(Obscure);
        }
    }
    for track in &mut tracks {
        track.advance()?;
    }
    Ok(Some(Opened { tracks: forms, packets: Box::new(Tracks(tracks)) }))
}

fn find_movie(window: &mut Window<'_>, len: u64) -> Result<Option<Found>, Obscure> {
    let mut at = 0;
    for _ in 0..BOXES_MAX {
        let Some(found) = Found::read(window, at, len)?.filter(Found::is_named) else { break };
        if found.end > len {
            break;
        }
        if &found.kind == b"moov" {
            return Ok(Some(found));
        }
        at = found.end;
    }
    Ok(None)
}

/// Returns the units a second and the duration in the header of a movie or of its media.
fn timescale(
    window: &mut Window<'_>,
    parent: &Found,
    kind: [u8; 4],
) -> Result<Option<(u64, u64)>, Obscure> {
    let Some(header) = child(window, parent, kind)? else { return Ok(None) };
    let (bytes, count) = read_up_to::<32>(window, header.body)?;
    if count < 32 {
        return Ok(None);
    }
    let word = |at: usize| {
        u64::from(u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
    };
    Ok(Some(if bytes[0] == 1 {
        (word(20), word(24) << 32 | word(28))
    } else {
        (word(12), word(16))
    }))
}

fn track_number(window: &mut Window<'_>, track: &Found) -> Result<u32, Obscure> {
    let header = child(window, track, *b"tkhd")?.ok_or(Obscure)?;
    let version = read_at::<1>(window, header.body)?.ok_or(Obscure)?;
    let place = if version == [1] { 20 } else { 12 };
    Ok(u32::from_be_bytes(read_at::<4>(window, header.body + place)?.ok_or(Obscure)?))
}

/// Returns the edits of a track in canonical form; nothing where they leave out no sound.
fn edits(
    window: &mut Window<'_>,
    track: &Found,
    media: &Found,
    movie_scale: u64,
) -> Result<Vec<u8>, Obscure> {
    let Some(list) = descend(window, track, &[b"edts", b"elst"])? else { return Ok(Vec::new()) };
    let (scale, duration) = timescale(window, media, *b"mdhd")?.ok_or(Obscure)?;
    let head = read_at::<8>(window, list.body)?.ok_or(Obscure)?;
    let count = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    if scale == 0 || movie_scale == 0 || count > EDITS_MAX {
        return Err(Obscure);
    }
    let milliseconds = |units: u64, scale: u64| units.saturating_mul(1000) / scale;
    let is_wide = head[0] == 1;
    let mut kept = Vec::new();
    let mut at = list.body + 8;
    for _ in 0..count {
        let edit = Edit::read(window, at, is_wide)?;
        at += if is_wide { 20 } else { 12 };
        // An edit of nothing delays the track.
        if let Ok(begin) = u64::try_from(edit.begin) {
            kept.push((
                milliseconds(begin, scale),
                milliseconds(edit.duration, movie_scale),
                edit.rate,
            ));
        }
    }
    let all = milliseconds(duration, scale);
    let leaves_out_nothing = match kept.as_slice() {
        [] => true,
        [(begin, length, 0x1_0000)] => {
            // A duration of 0 is all that follows.
            let behind = if *length == 0 { 0 } else { all.saturating_sub(begin + length) };
            *begin <= EDIT_SLACK_MS && behind <= EDIT_SLACK_MS
        }
        _ => false,
    };
    if leaves_out_nothing {
        return Ok(Vec::new());
    }
    let write = |(begin, length, rate): (u64, u64, u32)| {
        Params::new("edit").number(begin).number(length).number(rate.into()).done()
    };
    Ok(kept.into_iter().flat_map(write).collect())
}

struct Edit {
    duration: u64,
    /// Its beginning in the media; negative for none.
    begin: i64,
    rate: u32,
}

impl Edit {
    fn read(window: &mut Window<'_>, at: u64, is_wide: bool) -> Result<Self, Obscure> {
        let long =
            |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        if is_wide {
            let bytes = read_at::<20>(window, at)?.ok_or(Obscure)?;
            let rate = u32::from_be_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
            return Ok(Self {
                duration: long(&bytes[..8]),
                begin: long(&bytes[8..16]).cast_signed(),
                rate,
            });
        }
        let bytes = read_at::<12>(window, at)?.ok_or(Obscure)?;
        let begin = i32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        let rate = u32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
        Ok(Self { duration: long(&bytes[..4]), begin: begin.into(), rate })
    }
}

/// A sound track: the samples of its tables, then those of its fragments.
struct IsoTrack<'f> {
    samples: Samples<'f>,
    fragments: Option<Fragments<'f>>,
    next: Option<Packet>,
}

impl IsoTrack<'_> {
    fn advance(&mut self) -> Result<(), Obscure> {
        self.next = match self.samples.next()? {
            Some(found) => Some(found),
            None => match &mut self.fragments {
                Some(fragments) => fragments.next()?,
                None => None,
            },
        };
        Ok(())
    }
}

/// The tracks, each of which is in the order of its own time.
struct Tracks<'f>(Vec<IsoTrack<'f>>);

impl Packets for Tracks<'_> {
    fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        let waiting = self.0.iter_mut().enumerate().filter(|(_, track)| track.next.is_some());
        let Some((number, track)) =
            waiting.min_by_key(|(_, track)| track.next.map(|packet| packet.at))
        else {
            return Ok(None);
        };
        let found = track.next.take();
        track.advance()?;
        Ok(found.map(|packet| Packet { track: number, ..packet }))
    }
}

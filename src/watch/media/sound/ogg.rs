//! The sound of Ogg: the content of the pages of each stream, behind its headers.

use super::{
    Obscure, Opened, Packet, Packets, TRACKS_MAX,
    params::{self, Params},
    window::Window,
};
use crate::watch::media::ogg::OggPage;

/// Pages looked at until the headers of all streams are read: a picture among the tags may be some megabytes.
const HEADER_PAGES_MAX: usize = 1024;

/// Bytes of one header: the tables of Vorbis are tens of kilobytes.
const HEADER_MAX: usize = 256 * 1024;

/// Streams of any kind.
const STREAMS_MAX: usize = 64;

pub(super) fn open(mut window: Window<'_>, len: u64) -> Result<Option<Opened<'_>>, Obscure> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut at = 0;
    for _ in 0..HEADER_PAGES_MAX {
        let Some(page) = OggPage::read(&mut window, at)?.filter(|page| page.end <= len) else {
            return Ok(None);
        };
        if page.is_first() {
            if streams.len() == STREAMS_MAX {
                return Err(Obscure);
            }
            streams.push(Stream::new(page.serial));
        }
        let stream =
            streams.iter_mut().find(|stream| stream.serial == page.serial).ok_or(Obscure)?;
        if stream.needs_more() {
            stream.read(&mut window, &page)?;
        }
        at = page.end;
        // All streams begin before any of them goes on.
        let more = OggPage::read(&mut window, at)?.is_some_and(|next| next.is_first());
        if !more && !streams.iter().any(Stream::needs_more) {
            return opened(window, streams, len);
        }
    }
    Err(Obscure)
}

fn opened(
    window: Window<'_>,
    streams: Vec<Stream>,
    len: u64,
) -> Result<Option<Opened<'_>>, Obscure> {
    let mut params = Vec::new();
    let mut tracks = Vec::new();
    let mut silent = Vec::new();
    for stream in streams {
        match stream.codec {
            Codec::Silent => silent.push(stream.serial),
            Codec::Unknown => return Err(Obscure),
            Codec::Opus | Codec::Vorbis | Codec::Flac | Codec::Speex => {
                params.push(stream.params().ok_or(Obscure)?.done());
                tracks.push((stream.serial, stream.sound_from));
            }
        }
    }
    if tracks.len() > TRACKS_MAX {
        return Err(Obscure);
    }
    Ok(Some(Opened::new(params, Pages { window, at: 0, len, tracks, silent })))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Opus,
    Vorbis,
    Flac,
    Speex,
    /// Pictures, words, an index.
    Silent,
    Unknown,
}

/// The beginning of a stream, and its codec.
const CODECS: [(&[u8], Codec); 9] = [
    (b"OpusHead", Codec::Opus),
    (b"\x01vorbis", Codec::Vorbis),
    (b"\x7fFLAC", Codec::Flac),
    (b"Speex   ", Codec::Speex),
    (b"\x80theora", Codec::Silent),
    (b"OVP80", Codec::Silent),
    (b"BBCD\0", Codec::Silent),
    (b"\x80kate", Codec::Silent),
    (b"fishead\0", Codec::Silent),
];

/// A stream whose headers are being read.
struct Stream {
    serial: u32,
    codec: Codec,
    /// Headers read so far, and how many there are; not known before the first.
    headers: usize,
    headers_all: usize,
    first: Vec<u8>,
    /// The header that is being read, or was read last.
    current: Vec<u8>,
    /// The offset of the sound.
    sound_from: u64,
}

impl Stream {
    fn new(serial: u32) -> Self {
        Self {
            serial,
            codec: Codec::Unknown,
            headers: 0,
            headers_all: 1,
            first: Vec::new(),
            current: Vec::new(),
            sound_from: 0,
        }
    }

    fn needs_more(&self) -> bool {
        self.headers < self.headers_all
    }

    /// Takes in a page with headers.
    fn read(&mut self, window: &mut Window<'_>, page: &OggPage) -> Result<(), Obscure> {
        let lengths = window.bytes(page.table, page.segments)?;
        let mut at = page.body;
        for length in lengths {
            if !self.needs_more() {
                break;
            }
            // Tags are passed over; what they hold is no matter of the sound.
            if !self.is_at_tags() {
                if self.current.len() + usize::from(length) > HEADER_MAX {
                    return Err(Obscure);
                }
                self.current.extend(window.bytes(at, length.into())?);
            }
            at += u64::from(length);
            if length < 255 {
                self.end_header();
            }
        }
        self.sound_from = at;
        Ok(())
    }

    fn is_at_tags(&self) -> bool {
        self.headers == 1 || self.codec == Codec::Flac && self.headers > 0
    }

    fn end_header(&mut self) {
        self.headers += 1;
        if self.headers == 1 {
            let known = CODECS.iter().find(|(magic, _)| self.current.starts_with(magic));
            self.codec = known.map_or(Codec::Unknown, |(_, codec)| *codec);
            self.first = std::mem::take(&mut self.current);
            self.headers_all = match self.codec {
                Codec::Opus | Codec::Speex => 2,
                Codec::Vorbis => 3,
                // How many headers follow stands behind the version.
                Codec::Flac => {
                    1 + self
                        .first
                        .get(7..9)
                        .map_or(0, |count| usize::from(count[0]) << 8 | usize::from(count[1]))
                }
                Codec::Silent | Codec::Unknown => 1,
            };
        }
    }

    fn params(&self) -> Option<Params> {
        match self.codec {
            Codec::Opus => params::opus_head(&self.first),
            Codec::Vorbis => params::vorbis(&self.first, &self.current),
            // A mark and the head of a block stand before what describes the sound; without a count of headers nobody
            // knows where the sound begins.
            Codec::Flac if self.headers_all > 1 => params::flac(self.first.get(17..)?),
            // Version, rate, mode and channels; the last fields are hints.
            Codec::Speex => Some(Params::new("speex").bytes(self.first.get(28..52)?)),
            Codec::Flac | Codec::Silent | Codec::Unknown => None,
        }
    }
}

/// The pages of the sound.
struct Pages<'f> {
    window: Window<'f>,
    at: u64,
    len: u64,
    /// The numbers of the streams, and where the sound of each begins.
    tracks: Vec<(u32, u64)>,
    silent: Vec<u32>,
}

impl Packets for Pages<'_> {
    fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        while let Some(page) =
            OggPage::read(&mut self.window, self.at)?.filter(|page| page.end <= self.len)
        {
            self.at = page.end;
            let Some(track) = self.tracks.iter().position(|(serial, _)| *serial == page.serial)
            else {
                if self.silent.contains(&page.serial) {
                    continue;
                }
                // Another recording that was joined on is not understood.
                return Err(Obscure);
            };
            let at = page.body.max(self.tracks[track].1);
            if at < page.end {
                return Ok(Some(Packet { track, at, len: page.end - at }));
            }
        }
        Ok(None)
    }
}

//! The sound of a recording, as its name: a hash of the packets and the codecs of all its sound tracks, which stays the
//! same when the container or its tags change.
//!
//! A file is read once, for the hash of its content. What stands where in it (tables, heads of blocks) is read a little
//! ahead of that, a few bytes at a time; the packets are hashed as their bytes pass. Hostile input: whatever a file says
//! becomes a place to look at, never an allocation, and a file that is not understood has no such name.
//!
//! The canonical form, so that Matroska, MP4, Ogg and bare streams of the same packets agree:
//!
//! - A track is its codec, as far as a decoder must know it, and its packets, one behind the other. Neither the
//!   times nor the heads of packets, blocks or pages belong to it: each muxer has its own.
//! - An edit list counts only where it leaves out sound: what is cut off at either end by less than
//!   `EDIT_SLACK_MS` in `mp4` is the encoder's delay and padding, which one muxer writes down and the other does not.
//! - Tracks count in the order of the file. Pictures, subtitles and tags do not count.

mod adts;
mod flac;
mod matroska;
mod mp3;
mod mp4;
mod ogg;
mod pace;
mod params;
mod wav;
mod window;

use std::io;

pub(crate) use pace::pace;
pub use window::ReadAt;
use window::Window;

use super::flac::behind_tags;
use crate::job::Sound;

/// Tracks of sound looked at; recorders write a handful.
const TRACKS_MAX: usize = 32;

/// Bytes of sound below which there is no name: so little may be the same by chance, such as a prompt or a beep.
const BYTES_MIN: u64 = 8 * 1024;

/// Packets that may differ from the one before in a track that counts as silent: an encoder begins and ends in its own way.
const CHANGES_SILENT: u32 = 4;

/// Bytes of a packet that are compared with the packet before.
const COMPARED: usize = 64;

/// A piece of a track's sound in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packet {
    track: usize,
    at: u64,
    len: u64,
}

/// The packets of a file, in the order of their places.
trait Packets {
    /// Returns the next packet; `None` at the end.
    ///
    /// # Errors
    /// [`Obscure`] where the file goes on in a way that is not understood.
    fn next(&mut self) -> Result<Option<Packet>, Obscure>;
}

/// A file that is not understood: it has no name by its sound.
#[derive(Debug)]
struct Obscure;

impl From<io::Error> for Obscure {
    /// Whoever reads the file for its content meets the same error, and says so.
    fn from(_: io::Error) -> Self {
        Self
    }
}

/// The tracks of a container, and the places of their packets.
struct Opened<'f> {
    tracks: Vec<TrackForm>,
    packets: Box<dyn Packets + 'f>,
}

impl<'f> Opened<'f> {
    /// Returns tracks of these codecs, of which nothing is left out.
    fn new(codecs: Vec<Vec<u8>>, packets: impl Packets + 'f) -> Self {
        let tracks =
            codecs.into_iter().map(|codec| TrackForm { codec, edits: Vec::new() }).collect();
        Self { tracks, packets: Box::new(packets) }
    }
}

/// The description of a track besides its packets, in canonical form.
struct TrackForm {
    codec: Vec<u8>,
    /// Empty where no sound is left out.
    edits: Vec<u8>,
}

/// The hash of a recording's sound, made while the file is read for other reasons.
pub struct SoundHasher<'f> {
    packets: Box<dyn Packets + 'f>,
    /// The part of the next packet that is kept.
    next: Option<Packet>,
    /// The end of the packet before it.
    passed: u64,
    tracks: Vec<TrackHasher>,
}

impl<'f> SoundHasher<'f> {
    /// Looks how the sound lies in a file of `len` bytes; `None` where that is not understood.
    pub fn open(file: &'f dyn ReadAt, len: u64) -> Option<Self> {
        let Opened { tracks, mut packets } = open(file, len).ok()??;
        if tracks.is_empty() || tracks.len() > TRACKS_MAX {
            return None;
        }
        let tracks = tracks.into_iter().map(TrackHasher::new).collect();
        let next = packets.next().ok()?;
        Some(Self { packets, next, passed: 0, tracks })
    }

    /// Takes in the next bytes of the file, which begin at `at`. Returns itself while the file is understood.
    #[must_use]
    pub fn pass(self, at: u64, bytes: &[u8]) -> Option<Self> {
        let mut hasher = self;
        hasher.take(at, bytes).ok()?;
        Some(hasher)
    }

    fn take(&mut self, at: u64, bytes: &[u8]) -> Result<(), Obscure> {
        let end = at + bytes.len() as u64;
        while let Some(packet) = self.next.filter(|packet| packet.at < end || packet.len == 0) {
            let Some(track) = self.tracks.get_mut(packet.track) else { return Err(Obscure) };
            if packet.len > 0 {
                // Packets in another order than that of the file would need a second reading.
                if packet.at < self.passed.max(at) {
                    return Err(Obscure);
                }
                let from = usize::try_from(packet.at - at).map_err(|_| Obscure)?;
                let rest = &bytes[from..];
                let count =
                    usize::try_from(packet.len).map_or(rest.len(), |len| len.min(rest.len()));
                track.take(&rest[..count]);
                self.passed = packet.at + count as u64;
                if packet.len > count as u64 {
                    self.next =
                        Some(Packet { at: self.passed, len: packet.len - count as u64, ..packet });
                    return Ok(());
                }
            }
            track.end_packet();
            self.next = self.packets.next()?;
        }
        Ok(())
    }

    /// Returns the name of the sound; `None` where the file ended within a packet, is silent, or holds too little.
    #[must_use]
    pub fn finish(self) -> Option<Sound> {
        let bytes: u64 = self.tracks.iter().map(|track| track.bytes).sum();
        if self.next.is_some()
            || bytes < BYTES_MIN
            || self.tracks.iter().all(TrackHasher::is_silent)
        {
            return None;
        }
        let mut all = blake3::Hasher::new();
        for track in self.tracks {
            for part in [&track.form.codec, &track.form.edits] {
                all.update(&(part.len() as u64).to_le_bytes()).update(part);
            }
            all.update(track.sound.finalize().as_bytes());
        }
        Some(Sound::from_hash(&all.finalize()))
    }
}

/// The sound of one track so far.
struct TrackHasher {
    form: TrackForm,
    sound: blake3::Hasher,
    bytes: u64,
    packets: u32,
    /// The number of packets that differed from the one before.
    changes: u32,
    /// The begin of the packet before, and of this one.
    before: Vec<u8>,
    current: Vec<u8>,
}

impl TrackHasher {
    fn new(form: TrackForm) -> Self {
        let current = Vec::with_capacity(COMPARED);
        Self {
            form,
            sound: blake3::Hasher::new(),
            bytes: 0,
            packets: 0,
            changes: 0,
            before: Vec::new(),
            current,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.sound.update(bytes);
        self.bytes += bytes.len() as u64;
        let room = COMPARED - self.current.len();
        self.current.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    fn end_packet(&mut self) {
        let head = params::head_bytes(&self.form.codec);
        let is_other = self.current.get(head..) != self.before.get(head..);
        self.packets = self.packets.saturating_add(1);
        self.changes = self.changes.saturating_add(u32::from(is_other));
        std::mem::swap(&mut self.before, &mut self.current);
        self.current.clear();
    }

    /// Returns whether nearly all packets are alike. Where they are few and long, as the pages of Ogg, each may differ.
    fn is_silent(&self) -> bool {
        self.changes <= CHANGES_SILENT && self.changes.saturating_mul(2) <= self.packets
    }
}

/// Finds the tracks of a file of `len` bytes; its first bytes say what it is.
fn open(file: &dyn ReadAt, len: u64) -> Result<Option<Opened<'_>>, Obscure> {
    let mut window = Window::new(file);
    let (head, _) = super::read_up_to::<8>(&mut window, 0)?;
    match &head[..4] {
        b"RIFF" | b"RF64" | b"BW64" => wav::open(window, len),
        b"\x1a\x45\xdf\xa3" => matroska::open(window, len),
        b"OggS" => ogg::open(window, len),
        _ if super::mp4::BEGINNINGS.iter().any(|kind| head[4..] == **kind) => mp4::open(file, len),
        _ => {
            let at = behind_tags(&mut window)?;
            match super::read_up_to::<4>(&mut window, at)?.0 {
                [b'f', b'L', b'a', b'C'] => flac::open(window, at, len),
                [0xff, second, ..] if second & 0xf6 == 0xf0 => adts::open(window, at, len),
                _ => mp3::open(window, at, len),
            }
        }
    }
}

/// Returns where a file of `len` bytes ends before the tags that stand at the end of streams: `ID3v1` and APE.
fn before_tags(window: &mut Window<'_>, len: u64) -> Result<u64, Obscure> {
    let mut end = len;
    if let Some(at) = end.checked_sub(128)
        && super::read_at::<3>(window, at)? == Some(*b"TAG")
    {
        end = at;
    }
    if let Some(at) = end.checked_sub(32)
        && let Some(footer) = super::read_at::<32>(window, at)?
        && footer.starts_with(b"APETAGEX")
    {
        // The size counts the footer, not the header, which is there by a flag.
        let header = if footer[23] & 0x80 != 0 { 32 } else { 0 };
        end = end.saturating_sub(u64::from(super::le32(&footer, 12)) + header);
    }
    Ok(end)
}

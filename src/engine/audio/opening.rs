//! How a recording is opened: what it is by its first bytes, and what its container says before any sound is heard.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    ops::Range,
};

use super::{
    AudioError,
    damage::Refusal,
    decode::{self, Decoder, Part, PartEnd, Source},
    flac, ogg,
    sniff::{self, Kind, Sniffed},
    tags,
    tracks::{self, Container},
    view::{self, View},
    wav,
};
use crate::media_types::Headerless;

/// What is known of the file besides its sound.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) kind: Option<Kind>,
    /// The titles of its sound tracks, in the order of the container.
    pub(super) tracks: Vec<(u64, Option<String>)>,
    /// Whether the container says which tracks there are.
    pub(super) is_listed: bool,
    /// Whether it promises more than there is.
    pub(super) breaks_off: bool,
    /// How many sound tracks there are where only the first of them could be heard.
    pub(super) first_of: Option<usize>,
}

/// Opens a file of a kind that is decoded here.
pub(super) fn ours(file: &File, kind: Kind, within: Range<u64>, facts: &mut Facts) -> Result<Decoder, Refusal> {
    let view = |place: &Range<u64>| file.try_clone().map(|file| View::of(file, place.clone()));
    match kind.demuxer {
        "wav" => {
            let found = wav::look(file, within)?;
            let part = |part: &wav::WavPart| -> io::Result<Part> {
                let source = Source::Container(part.view(file.try_clone()?));
                let stated = (found.missing > 0).then(|| part.seconds(part.bytes() + found.missing)).flatten();
                Ok(Part {
                    end: if part.is_endless() { PartEnd::OfBytes } else { PartEnd::Stated },
                    is_without_places: part.is_without_places(),
                    stated,
                    ..Part::new(source)
                })
            };
            facts.breaks_off = found.missing > 0;
            Decoder::open(found.parts.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        "mp3" | "aac" => Decoder::open([Part::new(Source::Frames(view(&within)?))]),
        "matroska" => {
            let found = tracks::matroska(file)?;
            facts.take(&found);
            if facts.is_listed && facts.tracks.is_empty() {
                return Err(Refusal::Silent);
            }
            let part = |container: &Container, is_stream: bool| -> io::Result<Part> {
                let view = view(&container.place)?;
                let source = Source::Container(if is_stream { view.into_stream() } else { view });
                let end = if container.breaks_off { PartEnd::Missing } else { PartEnd::OfBytes };
                Ok(Part { has_times: true, end, ..Part::new(source) })
            };
            let parts = |is_stream: bool| found.iter().map(|one| part(one, is_stream)).collect::<io::Result<Vec<_>>>();
            // As a stream, for the index of one that was cut off is missing; some have their tracks at the end.
            match Decoder::open(parts(true)?) {
                Err(Refusal::Damaged(_)) if facts.is_listed => Decoder::open(parts(false)?),
                Err(Refusal::Damaged(_)) if facts.breaks_off => Err(breaks_off_early()),
                opened => opened,
            }
        }
        "mov" => {
            let found = tracks::mp4(file)?;
            facts.take(&found);
            if !facts.is_listed {
                return Err(Refusal::Damaged(
                    "it breaks off before its index, without which nothing can play it".to_owned(),
                ));
            }
            if facts.tracks.is_empty() {
                return Err(Refusal::Silent);
            }
            let part = |container: &Container| -> io::Result<Part> {
                let edits = container.tracks.iter().map(|track| (track.id, track.edits.clone()));
                let edits = edits.filter(|(_, edits)| !edits.is_empty()).collect();
                let source = Source::Container(view(&container.place)?.claiming(container.promised));
                let end = if container.breaks_off { PartEnd::Missing } else { PartEnd::Stated };
                Ok(Part { edits, has_times: true, end, ..Part::new(source) })
            };
            Decoder::open(found.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        "flac" => {
            let part = |flac: &flac::Flac| -> io::Result<Part> {
                let source = Source::Container(flac.view(file.try_clone()?));
                Ok(Part { is_all_sound: true, stated: flac.stated(), ..Part::new(source) })
            };
            Decoder::open(flac::look(file, within)?.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        demuxer => {
            facts.breaks_off = demuxer == "ogg" && ogg::breaks_off(file)?;
            let is_all_sound = demuxer == "ogg";
            Decoder::open([Part { is_all_sound, ..Part::new(Source::Container(view(&within)?)) }])
        }
    }
}

/// Returns whether an MPEG transport stream ends within a packet: 188 bytes, or 192 with a time in front.
pub(super) fn ends_within_packet(file: &File) -> io::Result<bool> {
    const MARK: u8 = 0x47;
    let is_plain = view::bytes_at(file, 0, 1)?.first() == Some(&MARK);
    Ok(file.metadata()?.len() % if is_plain { 188 } else { 192 } != 0)
}

fn breaks_off_early() -> Refusal {
    Refusal::Damaged("it breaks off before its first sound".to_owned())
}

/// Returns whether ffmpeg may hear what was not opened here.
pub(super) fn is_incomplete(decoder: &Decoder, facts: &Facts) -> bool {
    let is_deaf = !decoder.damage.deaf.is_empty() || facts.tracks.len() > decoder.tracks();
    (is_deaf && decoder.tracks() < decode::TRACKS_MAX) || decoder.damage.is_oddly_edited
}

impl Facts {
    fn take(&mut self, containers: &[Container]) {
        self.breaks_off = containers.last().is_some_and(|container| container.breaks_off);
        let Some(first) = containers.first() else { return };
        self.is_listed = first.is_listed;
        self.tracks = first.tracks.iter().map(|track| (track.id, track.title.clone())).collect();
    }
}

/// Says what an open file is by the first bytes behind its tags, and where it lies between its tags.
pub(super) fn sniffed(file: &File) -> io::Result<(Sniffed, Range<u64>)> {
    let whole = 0..file.metadata()?.len();
    let head = view::bytes_at(file, 0, sniff::HEAD)?;
    let found = sniff::sniff(&head);
    let Sniffed::Known(kind) = found else { return Ok((found, whole)) };
    if !matches!(kind.demuxer, "mp3" | "aac") {
        return Ok((found, whole));
    }
    let between = tags::between(file)?;
    match sniff::sniff(&view::bytes_at(file, between.start, sniff::HEAD)?) {
        Sniffed::Known(inner) => Ok((Sniffed::Known(inner), between)),
        Sniffed::Empty => Ok((Sniffed::Empty, between)),
        Sniffed::Text | Sniffed::Unknown => Ok((found, between)),
    }
}

/// Says what an open file is by its first bytes, for ffmpeg alone to read; where those have no mark, by what its name
/// says.
pub(crate) fn kind_of(file: &mut File, headerless: Option<Headerless>) -> Result<Kind, AudioError> {
    let head = head_of(file)?;
    if let Some(headerless) = headerless.filter(|_| !head.is_empty()) {
        return Ok(sniff::marked(&head).unwrap_or_else(|| Kind::from_headerless(headerless)));
    }
    match sniff::sniff(&head) {
        Sniffed::Known(kind) => Ok(kind),
        Sniffed::Empty => Err(undecodable("it is empty")),
        Sniffed::Text => Err(undecodable("it is a text, not a recording")),
        Sniffed::Unknown => Err(undecodable("its first bytes are those of no recording")),
    }
}

/// Returns the first bytes of a file, which is at its start again.
fn head_of(file: &mut File) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.rewind()?;
    file.by_ref().take(sniff::HEAD as u64).read_to_end(&mut head)?;
    file.rewind()?;
    Ok(head)
}

pub(super) fn undecodable(reason: impl Into<String>) -> AudioError {
    AudioError::Undecodable { reason: reason.into() }
}

pub(super) fn refused(refusal: Refusal) -> AudioError {
    match refusal {
        Refusal::Io(error) => AudioError::Io(error),
        Refusal::Silent => AudioError::NoSound,
        Refusal::Unsupported(_) | Refusal::Damaged(_) => undecodable(refusal.to_string()),
    }
}

/// Returns for what ffmpeg is needed.
pub(super) fn wanted(kind: Kind, what: &str) -> String {
    match what {
        "Opus" => format!("Opus in {}", kind.name),
        _ => format!("this kind of {}", kind.name),
    }
}

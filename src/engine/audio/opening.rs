//! Opening of a recording: its kind by its first bytes, and the facts of its container.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _},
    ops::Range,
};

use super::{
    AudioError,
    damage::DecodeRefusal,
    decode::{self, Decoder},
    flac, ogg,
    part::{PartEnd, PartSource, RecordingPart},
    sniff::{self, FileKind, Sniffed},
    tags,
    tracks::{self, Container},
    view::{self, FileView},
    wav,
};
use crate::media_types::Headerless;

/// The facts of a file besides its sound.
#[derive(Debug, Default)]
pub(super) struct FileFacts {
    pub(super) kind: Option<FileKind>,
    /// The titles of its sound tracks, in the order of the container.
    pub(super) tracks: Vec<(u64, Option<String>)>,
    /// True when the container lists its tracks.
    pub(super) is_listed: bool,
    /// True when it promises more than there is.
    pub(super) breaks_off: bool,
    /// The number of sound tracks where only the first of them could be decoded.
    pub(super) first_of: Option<usize>,
}

/// Opens a file of a kind that is decoded here.
pub(super) fn open_decoder(
    file: &File,
    kind: FileKind,
    within: Range<u64>,
    facts: &mut FileFacts,
) -> Result<Decoder, DecodeRefusal> {
    let view =
        |place: &Range<u64>| file.try_clone().map(|file| FileView::of_range(file, place.clone()));
    match kind.demuxer {
        "wav" => {
            let found = wav::find_sound(file, within)?;
            let part = |part: &wav::WavPart| -> io::Result<RecordingPart> {
                let source = PartSource::Container(part.to_view(file.try_clone()?));
                let stated = (found.missing > 0)
                    .then(|| part.seconds_of(part.byte_count() + found.missing))
                    .flatten();
                Ok(RecordingPart {
                    end: if part.is_endless() { PartEnd::OfBytes } else { PartEnd::Stated },
                    is_without_places: part.is_without_places(),
                    stated,
                    ..RecordingPart::new(source)
                })
            };
            facts.breaks_off = found.missing > 0;
            Decoder::open(found.parts.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        "mp3" | "aac" => Decoder::open([RecordingPart::new(PartSource::Frames(view(&within)?))]),
        "matroska" => {
            let found = tracks::matroska_containers(file)?;
            facts.take_containers(&found);
            if facts.is_listed && facts.tracks.is_empty() {
                return Err(DecodeRefusal::Silent);
            }
            let part = |container: &Container, is_stream: bool| -> io::Result<RecordingPart> {
                let view = view(&container.place)?;
                let source =
                    PartSource::Container(if is_stream { view.into_stream() } else { view });
                let end = if container.breaks_off { PartEnd::Missing } else { PartEnd::OfBytes };
                Ok(RecordingPart { has_times: true, end, ..RecordingPart::new(source) })
            };
            let parts = |is_stream: bool| {
                found.iter().map(|one| part(one, is_stream)).collect::<io::Result<Vec<_>>>()
            };
            // As a stream, for the index of one that was cut off is missing; some have their tracks
            // at the end.
            match Decoder::open(parts(true)?) {
                Err(DecodeRefusal::Damaged(_)) if facts.is_listed => Decoder::open(parts(false)?),
                Err(DecodeRefusal::Damaged(_)) if facts.breaks_off => Err(breaks_off_early()),
                opened => opened,
            }
        }
        "mov" => {
            let found = tracks::mp4_containers(file)?;
            facts.take_containers(&found);
            if !facts.is_listed {
                return Err(DecodeRefusal::Damaged(
                    "it breaks off before its index, without which nothing can play it".to_owned(),
                ));
            }
            if facts.tracks.is_empty() {
                return Err(DecodeRefusal::Silent);
            }
            let part = |container: &Container| -> io::Result<RecordingPart> {
                let edits = container.tracks.iter().map(|track| (track.id, track.edits.clone()));
                let edits = edits.filter(|(_, edits)| !edits.is_empty()).collect();
                let source = PartSource::Container(
                    view(&container.place)?.claiming_length(container.promised),
                );
                let end = if container.breaks_off { PartEnd::Missing } else { PartEnd::Stated };
                Ok(RecordingPart { edits, has_times: true, end, ..RecordingPart::new(source) })
            };
            Decoder::open(found.iter().map(part).collect::<io::Result<Vec<_>>>()?)
        }
        "flac" => {
            let part = |flac: &flac::Flac| -> io::Result<RecordingPart> {
                let source = PartSource::Container(flac.to_view(file.try_clone()?));
                Ok(RecordingPart {
                    is_all_sound: true,
                    stated: flac.stated_seconds(),
                    ..RecordingPart::new(source)
                })
            };
            Decoder::open(
                flac::find_flacs(file, within)?.iter().map(part).collect::<io::Result<Vec<_>>>()?,
            )
        }
        demuxer => {
            facts.breaks_off = demuxer == "ogg" && ogg::breaks_off(file)?;
            let is_all_sound = demuxer == "ogg";
            Decoder::open([RecordingPart {
                is_all_sound,
                ..RecordingPart::new(PartSource::Container(view(&within)?))
            }])
        }
    }
}

/// Returns whether an MPEG transport stream ends within a packet: 188 bytes, or 192 with a time in
/// front.
pub(super) fn ends_within_packet(file: &File) -> io::Result<bool> {
    const MARK: u8 = 0x47;
    let is_plain = view::bytes_at(file, 0, 1)?.first() == Some(&MARK);
    Ok(file.metadata()?.len() % if is_plain { 188 } else { 192 } != 0)
}

fn breaks_off_early() -> DecodeRefusal {
    DecodeRefusal::Damaged("it breaks off before its first sound".to_owned())
}

/// Returns whether ffmpeg may decode more than was opened here.
pub(super) fn is_incomplete(decoder: &Decoder, facts: &FileFacts) -> bool {
    let is_deaf = !decoder.damage.deaf.is_empty() || facts.tracks.len() > decoder.track_count();
    (is_deaf && decoder.track_count() < decode::TRACKS_MAX) || decoder.damage.is_oddly_edited
}

impl FileFacts {
    fn take_containers(&mut self, containers: &[Container]) {
        self.breaks_off = containers.last().is_some_and(|container| container.breaks_off);
        let Some(first) = containers.first() else { return };
        self.is_listed = first.is_listed;
        self.tracks = first.tracks.iter().map(|track| (track.id, track.title.clone())).collect();
    }
}

/// Returns the kind of an open file by the first bytes behind its tags, and its range between the
/// tags.
pub(super) fn sniff_file(file: &File) -> io::Result<(Sniffed, Range<u64>)> {
    let whole = 0..file.metadata()?.len();
    let head = view::bytes_at(file, 0, sniff::HEAD)?;
    let found = sniff::sniff_head(&head);
    let Sniffed::Known(kind) = found else { return Ok((found, whole)) };
    if !matches!(kind.demuxer, "mp3" | "aac") {
        return Ok((found, whole));
    }
    let between = tags::range_between_tags(file)?;
    match sniff::sniff_head(&view::bytes_at(file, between.start, sniff::HEAD)?) {
        Sniffed::Known(inner) => Ok((Sniffed::Known(inner), between)),
        Sniffed::Empty => Ok((Sniffed::Empty, between)),
        Sniffed::Text | Sniffed::Unknown => Ok((found, between)),
    }
}

/// Returns the kind of an open file by its first bytes, for ffmpeg alone to read; without a mark by
/// its name.
pub(crate) fn kind_of(
    file: &mut File,
    headerless: Option<Headerless>,
) -> Result<FileKind, AudioError> {
    let head = head_of(file)?;
    if let Some(headerless) = headerless.filter(|_| !head.is_empty()) {
        return Ok(
            sniff::marked_kind(&head).unwrap_or_else(|| FileKind::from_headerless(headerless))
        );
    }
    match sniff::sniff_head(&head) {
        Sniffed::Known(kind) => Ok(kind),
        Sniffed::Empty => Err(undecodable_error("it is empty")),
        Sniffed::Text => Err(undecodable_error("it is a text, not a recording")),
        Sniffed::Unknown => Err(undecodable_error("its first bytes are those of no recording")),
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

pub(super) fn undecodable_error(reason: impl Into<String>) -> AudioError {
    AudioError::Undecodable { reason: reason.into() }
}

pub(super) fn audio_error(refusal: DecodeRefusal) -> AudioError {
    match refusal {
        DecodeRefusal::Io(error) => AudioError::Io(error),
        DecodeRefusal::Silent => AudioError::NoSound,
        DecodeRefusal::Unsupported(_) | DecodeRefusal::Damaged(_) => {
            undecodable_error(refusal.to_string())
        }
    }
}

/// Describes the kind of file that ffmpeg is needed for.
pub(super) fn describe_kind(kind: FileKind, what: &str) -> String {
    match what {
        "Opus" => format!("Opus in {}", kind.name),
        _ => format!("this kind of {}", kind.name),
    }
}

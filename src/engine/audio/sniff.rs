//! The kind of a file by its first bytes. Never by its name: anybody can type any name.

use crate::media_types::{self, Headerless};

/// Bytes that are looked at: all marks lie in them.
pub(crate) const HEAD: usize = 1024;

/// A kind of file that may hold a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileKind {
    /// The name for people.
    pub(crate) name: &'static str,
    /// The name for `ffmpeg -f`.
    pub(crate) demuxer: &'static str,
    /// True when it can only be read with its end at hand.
    pub(crate) seeks: bool,
    /// True when symphonia reads the container.
    pub(crate) ours: bool,
    /// Further options of ffmpeg, in front of `-f`.
    pub(crate) options: &'static [&'static str],
}

impl FileKind {
    /// Returns the kind of a file that has no mark, as its name says.
    pub(crate) fn from_headerless(headerless: Headerless) -> Self {
        let Headerless { extension, demuxer, options } = headerless;
        Self { options, ..decoded_by_ffmpeg(extension, demuxer) }
    }
}

/// The finding from the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// A known kind.
    Known(FileKind),
    /// Words: a playlist, a subtitle, a page. Nothing that reads recordings gets to see it.
    Text,
    /// Another kind; symphonia may probe it.
    Unknown,
    /// There are no bytes.
    Empty,
}

const fn decoded_here(name: &'static str, demuxer: &'static str) -> FileKind {
    FileKind { name, demuxer, seeks: false, ours: true, options: &[] }
}

const fn decoded_by_ffmpeg(name: &'static str, demuxer: &'static str) -> FileKind {
    FileKind { name, demuxer, seeks: false, ours: false, options: &[] }
}

const MP4: FileKind = FileKind { seeks: true, ..decoded_here("MP4", "mov") };

/// The marks: place, bytes, and kind. The first that fits wins.
const MAGIC: &[(usize, &[u8], FileKind)] = &[
    (8, b"AVI ", FileKind { seeks: true, ..decoded_by_ffmpeg("AVI", "avi") }),
    (8, b"WAVE", decoded_here("WAV", "wav")),
    (0, b"riff\x2e\x91\xcf\x11", decoded_by_ffmpeg("Wave64", "w64")),
    (0, b"fLaC", decoded_here("FLAC", "flac")),
    (0, b"OggS", decoded_here("Ogg", "ogg")),
    (0, b"\x1a\x45\xdf\xa3", decoded_here("Matroska", "matroska")),
    (4, b"ftyp", MP4),
    (4, b"moov", MP4),
    (4, b"mdat", MP4),
    (4, b"wide", MP4),
    (4, b"free", MP4),
    (4, b"skip", MP4),
    (8, b"AIFF", decoded_here("AIFF", "aiff")),
    (8, b"AIFC", decoded_here("AIFF", "aiff")),
    (0, b"caff", decoded_here("CAF", "caf")),
    (0, b"ID3", decoded_here("MP3", "mp3")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", decoded_by_ffmpeg("Windows Media", "asf")),
    (0, b"#!AMR", decoded_by_ffmpeg("AMR", "amr")),
    (0, b"FLV\x01", decoded_by_ffmpeg("Flash video", "flv")),
    (0, b"\x00\x00\x01\xba", decoded_by_ffmpeg("MPEG program stream", "mpeg")),
    (0, b".snd", decoded_by_ffmpeg("AU", "au")),
    (0, b"MAC ", decoded_by_ffmpeg("Monkey's Audio", "ape")),
    (0, b"wvpk", FileKind { seeks: true, ..decoded_by_ffmpeg("WavPack", "wv") }),
    (0, b"TTA1", decoded_by_ffmpeg("True Audio", "tta")),
    (0, b"MThd", decoded_by_ffmpeg("MIDI", "")),
    (0, b"Creative Voice File", decoded_by_ffmpeg("Creative Voice", "voc")),
    (0, b"\x02dss", decoded_by_ffmpeg("DSS", "dss")),
    (0, b"\x03dss", decoded_by_ffmpeg("DSS", "dss")),
    (0, b"\x7f\xfe\x80\x01", decoded_by_ffmpeg("DTS", "dts")),
    (0, b"\xfe\x7f\x01\x80", decoded_by_ffmpeg("DTS", "dts")),
    (0, b"\x1f\xff\xe8\x00", decoded_by_ffmpeg("DTS", "dts")), // words of 14 bits
    (0, b"\xff\x1f\x00\xe8", decoded_by_ffmpeg("DTS", "dts")),
    (0, b"DTSHDHDR", decoded_by_ffmpeg("DTS-HD", "dtshd")),
    (0, b".RMF", decoded_by_ffmpeg("RealMedia", "rm")),
    (0, b".ra\xfd", decoded_by_ffmpeg("RealAudio", "rm")),
    (
        0,
        b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02",
        FileKind { seeks: true, ..decoded_by_ffmpeg("MXF", "mxf") },
    ),
    (0, b"\x00\x00\x00\x00\x01\xbc", decoded_by_ffmpeg("GXF", "gxf")),
    (0, b"\x1f\x07\x00", decoded_by_ffmpeg("DV", "dv")),
    (
        0,
        b"\xb7\xd8\x00\x20\x37\x49\xda\x11",
        FileKind { seeks: true, ..decoded_by_ffmpeg("Windows TV", "wtv") },
    ),
    (0, b"nut/multimedia container", decoded_by_ffmpeg("NUT", "nut")),
    (0, b"NIST_1A\n", decoded_by_ffmpeg("NIST Sphere", "nistsphere")),
    (8, b"QLCM", decoded_by_ffmpeg("QCP", "qcp")),
    (0, b"MPCK", decoded_by_ffmpeg("Musepack", "mpc8")),
    (0, b"MP+", decoded_by_ffmpeg("Musepack", "mpc")),
    (0, b"ajkg", decoded_by_ffmpeg("Shorten", "shn")),
    (0, b"tBaK", decoded_by_ffmpeg("TAK", "tak")),
    (0, b"ea3", decoded_by_ffmpeg("OpenMG", "oma")),
    (0, b"EA3", decoded_by_ffmpeg("OpenMG", "oma")),
];

/// Returns the kind of a file that begins with `head`, the first [`HEAD`] bytes or all there are.
pub(crate) fn sniff_head(head: &[u8]) -> Sniffed {
    if head.is_empty() {
        return Sniffed::Empty;
    }
    marked_kind(head)
        .map(Sniffed::Known)
        .or_else(|| sniff_frames(head))
        .unwrap_or(if is_text(head) { Sniffed::Text } else { Sniffed::Unknown })
}

/// Returns the kind of a file by the mark of its container, which is no chance.
pub(crate) fn marked_kind(head: &[u8]) -> Option<FileKind> {
    let at =
        |place: usize, magic: &[u8]| head.get(place..).is_some_and(|rest| rest.starts_with(magic));
    let is_container = |place: &usize| {
        at(*place, b"RIFF") || at(*place, b"RF64") || at(*place, b"BW64") || at(*place, b"FORM")
    };
    let magic = MAGIC.iter().find(|(place, magic, kind)| {
        // Four letters at the eighth byte mean something only behind the word for a container.
        let behind = *place != 8 || is_container(&0);
        at(*place, magic) && behind && !kind.demuxer.is_empty()
    });
    magic.map(|(.., kind)| *kind)
}

/// Returns a kind that is nothing but frames: the mark of the first one, and for those that repeat
/// at a fixed distance the second.
fn sniff_frames(head: &[u8]) -> Option<Sniffed> {
    let kind = match head {
        _ if media_types::is_transport_stream(head) => {
            decoded_by_ffmpeg("MPEG transport stream", "mpegts")
        }
        [0xff, second, ..] if second & 0xf6 == 0xf0 => decoded_here("AAC", "aac"),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => {
            decoded_here("MP3", "mp3")
        }
        // The sixth byte begins with the version of the bit stream (ETSI TS 102 366, E.1.2.2):
        // above 10 it is E-AC-3.
        [0x0b, 0x77, _, _, _, version, ..] if version >> 3 > 10 => {
            decoded_by_ffmpeg("E-AC-3", "eac3")
        }
        [0x0b, 0x77, ..] => decoded_by_ffmpeg("AC-3", "ac3"),
        [0x56, second, third, ..] if second & 0xe0 == 0xe0 && is_loas(head, *second, *third) => {
            decoded_by_ffmpeg("AAC", "loas")
        }
        _ => return None,
    };
    Some(Sniffed::Known(kind))
}

/// Returns whether a second frame of LOAS follows the first one by its length (ISO/IEC 14496-3,
/// 1.7.2).
fn is_loas(head: &[u8], second: u8, third: u8) -> bool {
    let length = usize::from(second & 0x1f) << 8 | usize::from(third);
    head.get(3 + length..).is_none_or(|next| next.first().is_none_or(|byte| *byte == 0x56))
}

/// Returns whether it is text, as far as it was read: no recording begins with so many bytes that
/// are all letters.
fn is_text(head: &[u8]) -> bool {
    let is_letter =
        |byte: &u8| !byte.is_ascii_control() || matches!(byte, b'\n' | b'\r' | b'\t' | 0x0c);
    let text = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    // The last character may be cut in two.
    text.len() + 4 > head.len() && text.bytes().all(|byte| is_letter(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn demuxer(head: &[u8]) -> Option<(&'static str, bool)> {
        match sniff_head(head) {
            Sniffed::Known(kind) => Some((kind.demuxer, kind.ours)),
            Sniffed::Text | Sniffed::Unknown | Sniffed::Empty => None,
        }
    }

    #[test]
    fn the_usual_kinds_are_known_by_their_first_bytes() {
        assert_eq!(demuxer(b"RIFF\x24\0\0\0WAVEfmt "), Some(("wav", true)));
        assert_eq!(demuxer(b"RF64\xff\xff\xff\xffWAVEds64"), Some(("wav", true)));
        assert_eq!(demuxer(b"RIFF\x24\0\0\0AVI LIST"), Some(("avi", false)));
        assert_eq!(demuxer(b"\0\0\0\x20ftypM4A "), Some(("mov", true)));
        assert_eq!(demuxer(b"OggS\0\x02"), Some(("ogg", true)));
        assert_eq!(demuxer(b"\xff\xfb\x90\x00"), Some(("mp3", true)));
        assert_eq!(demuxer(b"\xff\xf1\x50\x80"), Some(("aac", true)));
        assert_eq!(demuxer(b"#!AMR\n"), Some(("amr", false)));
    }

    #[test]
    fn kinds_that_take_ffmpeg_are_known_too() {
        let packets: Vec<u8> =
            (0..HEAD).map(|at| if at % 188 == 0 { 0x47 } else { 0xff }).collect();
        for (head, expected) in [
            (b"\x02dss\x00\x00".as_slice(), "dss"),
            (b"\x03dss\x00\x00", "dss"),
            (b"\x7f\xfe\x80\x01\xfc\x3c", "dts"),
            (b"\xff\x1f\x00\xe8\xf1\x07", "dts"),
            (b".RMF\0\0\0\x12", "rm"),
            (b".ra\xfd\0\x03", "rm"),
            (b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02\x01", "mxf"),
            (b"RIFF\x24\0\0\0QLCMfmt ", "qcp"),
            (b"\x0b\x77\x12\x34\x50\x40", "ac3"),
            (b"\x0b\x77\x02\xff\x3f\x80", "eac3"),
            (b"\x56\xe0\x04\0\0\0\0\x56\xe0", "loas"),
            (&packets, "mpegts"),
        ] {
            assert_eq!(demuxer(head), Some((expected, false)), "{head:?}");
        }
    }

    #[test]
    fn what_has_no_mark_is_what_its_name_says_unless_a_container_stands_there() {
        // Silence in µ-law begins as a frame of MP3 does.
        assert_eq!(marked_kind(&[0xff; 100]), None);
        assert_eq!(marked_kind(b"RIFF\x24\0\0\0WAVEfmt ").map(|kind| kind.demuxer), Some("wav"));
        let kind =
            media_types::headerless_kind("ulaw").map(FileKind::from_headerless).expect("known");
        assert_eq!((kind.demuxer, kind.options.join(" ").as_str()), ("mulaw", "-ar 8000 -ac 1"));
    }

    #[test]
    fn words_that_would_send_a_reader_elsewhere_are_text() {
        let playlists: [&[u8]; 6] = [
            b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n/etc/passwd\n",
            b"ffconcat version 1.0\nfile /etc/passwd\n",
            b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nm=audio 5004 RTP/AVP 0\r\n",
            b"[playlist]\nFile1=http://127.0.0.1/\n",
            b"<?xml version=\"1.0\"?><MPD></MPD>",
            "\u{feff}#EXTM3U\n".as_bytes(),
        ];
        for playlist in playlists {
            assert_eq!(sniff_head(playlist), Sniffed::Text, "{playlist:?}");
        }
        let whole_block = "é".repeat(HEAD);
        assert_eq!(
            sniff_head(&whole_block.as_bytes()[..HEAD - 1]),
            Sniffed::Text,
            "a character cut in two is a character"
        );
    }

    #[test]
    fn what_is_nothing_is_told_from_what_is_unknown() {
        assert_eq!(sniff_head(b""), Sniffed::Empty);
        assert_eq!(sniff_head(b"\0\0\0\0\0\0\0\0"), Sniffed::Unknown);
        assert_eq!(
            sniff_head(b"MThd\0\0\0\x06"),
            Sniffed::Unknown,
            "notes for an instrument hold no speech"
        );
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_bytes_are_something(head in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(sniff_head(&head) == Sniffed::Empty, head.is_empty());
        }
    }
}

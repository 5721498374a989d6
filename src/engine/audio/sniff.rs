//! What a file is, by its first bytes. Never by its name: a name is whatever somebody typed.

use crate::media_types::{self, Headerless};

/// Bytes that tell.
pub(crate) const HEAD: usize = 1024;

/// A kind of file that may hold a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    /// What people call it.
    pub(crate) name: &'static str,
    /// What `ffmpeg -f` calls it.
    pub(crate) demuxer: &'static str,
    /// Whether it can only be read with its end at hand.
    pub(crate) seeks: bool,
    /// Whether symphonia reads the container.
    pub(crate) ours: bool,
    /// What ffmpeg must be told besides, in front of `-f`.
    pub(crate) options: &'static [&'static str],
}

impl Kind {
    /// Returns the kind of a file that has no mark, as its name says.
    pub(crate) fn from_headerless(headerless: Headerless) -> Self {
        let Headerless { extension, demuxer, options } = headerless;
        Self { options, ..foreign(extension, demuxer) }
    }
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sniffed {
    /// This.
    Known(Kind),
    /// Words: a playlist, a subtitle, a page. Nothing that reads recordings gets to see it.
    Text,
    /// Something else; symphonia may look for itself.
    Unknown,
    /// There are no bytes.
    Empty,
}

const fn ours(name: &'static str, demuxer: &'static str) -> Kind {
    Kind { name, demuxer, seeks: false, ours: true, options: &[] }
}

const fn foreign(name: &'static str, demuxer: &'static str) -> Kind {
    Kind { name, demuxer, seeks: false, ours: false, options: &[] }
}

const MP4: Kind = Kind { seeks: true, ..ours("MP4", "mov") };

/// What stands at which place, and what it means. The first that fits wins.
const MAGIC: &[(usize, &[u8], Kind)] = &[
    (8, b"AVI ", Kind { seeks: true, ..foreign("AVI", "avi") }),
    (8, b"WAVE", ours("WAV", "wav")),
    (0, b"riff\x2e\x91\xcf\x11", foreign("Wave64", "w64")),
    (0, b"fLaC", ours("FLAC", "flac")),
    (0, b"OggS", ours("Ogg", "ogg")),
    (0, b"\x1a\x45\xdf\xa3", ours("Matroska", "matroska")),
    (4, b"ftyp", MP4),
    (4, b"moov", MP4),
    (4, b"mdat", MP4),
    (4, b"wide", MP4),
    (4, b"free", MP4),
    (4, b"skip", MP4),
    (8, b"AIFF", ours("AIFF", "aiff")),
    (8, b"AIFC", ours("AIFF", "aiff")),
    (0, b"caff", ours("CAF", "caf")),
    (0, b"ID3", ours("MP3", "mp3")),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", foreign("Windows Media", "asf")),
    (0, b"#!AMR", foreign("AMR", "amr")),
    (0, b"FLV\x01", foreign("Flash video", "flv")),
    (0, b"\x00\x00\x01\xba", foreign("MPEG program stream", "mpeg")),
    (0, b".snd", foreign("AU", "au")),
    (0, b"MAC ", foreign("Monkey's Audio", "ape")),
    (0, b"wvpk", Kind { seeks: true, ..foreign("WavPack", "wv") }),
    (0, b"TTA1", foreign("True Audio", "tta")),
    (0, b"MThd", foreign("MIDI", "")),
    (0, b"Creative Voice File", foreign("Creative Voice", "voc")),
    (0, b"\x02dss", foreign("DSS", "dss")),
    (0, b"\x03dss", foreign("DSS", "dss")),
    (0, b"\x7f\xfe\x80\x01", foreign("DTS", "dts")),
    (0, b"\xfe\x7f\x01\x80", foreign("DTS", "dts")),
    (0, b"\x1f\xff\xe8\x00", foreign("DTS", "dts")), // words of 14 bits
    (0, b"\xff\x1f\x00\xe8", foreign("DTS", "dts")),
    (0, b"DTSHDHDR", foreign("DTS-HD", "dtshd")),
    (0, b".RMF", foreign("RealMedia", "rm")),
    (0, b".ra\xfd", foreign("RealAudio", "rm")),
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01\x0d\x01\x02", Kind { seeks: true, ..foreign("MXF", "mxf") }),
    (0, b"\x00\x00\x00\x00\x01\xbc", foreign("GXF", "gxf")),
    (0, b"\x1f\x07\x00", foreign("DV", "dv")),
    (0, b"\xb7\xd8\x00\x20\x37\x49\xda\x11", Kind { seeks: true, ..foreign("Windows TV", "wtv") }),
    (0, b"nut/multimedia container", foreign("NUT", "nut")),
    (0, b"NIST_1A\n", foreign("NIST Sphere", "nistsphere")),
    (8, b"QLCM", foreign("QCP", "qcp")),
    (0, b"MPCK", foreign("Musepack", "mpc8")),
    (0, b"MP+", foreign("Musepack", "mpc")),
    (0, b"ajkg", foreign("Shorten", "shn")),
    (0, b"tBaK", foreign("TAK", "tak")),
    (0, b"ea3", foreign("OpenMG", "oma")),
    (0, b"EA3", foreign("OpenMG", "oma")),
];

/// Says what a file is that begins with `head`, the first [`HEAD`] bytes or all there are.
pub(crate) fn sniff(head: &[u8]) -> Sniffed {
    if head.is_empty() {
        return Sniffed::Empty;
    }
    marked(head).map(Sniffed::Known).or_else(|| frames(head)).unwrap_or(if is_text(head) {
        Sniffed::Text
    } else {
        Sniffed::Unknown
    })
}

/// Says what a file is by the mark of its container, which is no chance.
pub(crate) fn marked(head: &[u8]) -> Option<Kind> {
    let at = |place: usize, magic: &[u8]| head.get(place..).is_some_and(|rest| rest.starts_with(magic));
    let is_container =
        |place: &usize| at(*place, b"RIFF") || at(*place, b"RF64") || at(*place, b"BW64") || at(*place, b"FORM");
    let magic = MAGIC.iter().find(|(place, magic, kind)| {
        // Four letters at the eighth byte mean something only behind the word for a container.
        let behind = *place != 8 || is_container(&0);
        at(*place, magic) && behind && !kind.demuxer.is_empty()
    });
    magic.map(|(.., kind)| *kind)
}

/// Kinds that are nothing but frames: the mark of the first one, and for those that repeat at a fixed distance the
/// second.
fn frames(head: &[u8]) -> Option<Sniffed> {
    let kind = match head {
        _ if media_types::is_transport_stream(head) => foreign("MPEG transport stream", "mpegts"),
        [0xff, second, ..] if second & 0xf6 == 0xf0 => ours("AAC", "aac"),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => ours("MP3", "mp3"),
        // The sixth byte begins with the version of the bit stream (ETSI TS 102 366, E.1.2.2): above 10 it is E-AC-3.
        [0x0b, 0x77, _, _, _, version, ..] if version >> 3 > 10 => foreign("E-AC-3", "eac3"),
        [0x0b, 0x77, ..] => foreign("AC-3", "ac3"),
        [0x56, second, third, ..] if second & 0xe0 == 0xe0 && is_loas(head, *second, *third) => foreign("AAC", "loas"),
        _ => return None,
    };
    Some(Sniffed::Known(kind))
}

/// Returns whether a second frame of LOAS follows the first one by its length (ISO/IEC 14496-3, 1.7.2).
fn is_loas(head: &[u8], second: u8, third: u8) -> bool {
    let length = usize::from(second & 0x1f) << 8 | usize::from(third);
    head.get(3 + length..).is_none_or(|next| next.first().is_none_or(|byte| *byte == 0x56))
}

/// Whether it is text, as far as it was read: no recording begins with so many bytes that are all letters.
fn is_text(head: &[u8]) -> bool {
    let is_letter = |byte: &u8| !byte.is_ascii_control() || matches!(byte, b'\n' | b'\r' | b'\t' | 0x0c);
    let text = head.utf8_chunks().next().map_or("", |chunk| chunk.valid());
    // The last character may be cut in two.
    text.len() + 4 > head.len() && text.bytes().all(|byte| is_letter(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn demuxer(head: &[u8]) -> Option<(&'static str, bool)> {
        match sniff(head) {
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
        let packets: Vec<u8> = (0..HEAD).map(|at| if at % 188 == 0 { 0x47 } else { 0xff }).collect();
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
        assert_eq!(marked(&[0xff; 100]), None);
        assert_eq!(marked(b"RIFF\x24\0\0\0WAVEfmt ").map(|kind| kind.demuxer), Some("wav"));
        let kind = media_types::headerless_kind("ulaw").map(Kind::from_headerless).expect("known");
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
            assert_eq!(sniff(playlist), Sniffed::Text, "{playlist:?}");
        }
        let whole_block = "é".repeat(HEAD);
        assert_eq!(sniff(&whole_block.as_bytes()[..HEAD - 1]), Sniffed::Text, "a character cut in two is a character");
    }

    #[test]
    fn what_is_nothing_is_told_from_what_is_unknown() {
        assert_eq!(sniff(b""), Sniffed::Empty);
        assert_eq!(sniff(b"\0\0\0\0\0\0\0\0"), Sniffed::Unknown);
        assert_eq!(sniff(b"MThd\0\0\0\x06"), Sniffed::Unknown, "notes for an instrument hold no speech");
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_bytes_are_something(head in prop::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(sniff(&head) == Sniffed::Empty, head.is_empty());
        }
    }
}

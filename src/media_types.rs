//! The kinds of files that people record or export, by the extension of their names: what is media, and who reads it.
//!
//! Each table grows by a line. Extensions are in lower case, without a dot. What a file *is* its first bytes say where
//! they can; the names here say what is looked at, what is converted and what is answered.

/// Kinds that are read on this machine, each with its MIME type (IANA, or what is usual where IANA has none). Their first
/// bytes say what they are, and symphonia or ffmpeg reads them.
pub(crate) const READABLE: &[(&str, &str)] = &[
    // What symphonia reads by itself, as long as the codec is one of its own.
    ("aac", "audio/aac"),
    ("adts", "audio/aac"),
    ("aif", "audio/aiff"),
    ("aifc", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("bwf", "audio/wav"), // Broadcast Wave of field recorders
    ("caf", "audio/x-caf"),
    ("f4a", "audio/mp4"),
    ("f4v", "video/mp4"),
    ("flac", "audio/flac"),
    ("insv", "video/mp4"), // Insta360
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("m4r", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("mka", "audio/x-matroska"),
    ("mkv", "video/x-matroska"),
    ("mov", "video/quicktime"),
    ("mp1", "audio/mpeg"),
    ("mp2", "audio/mpeg"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpa", "audio/mpeg"),
    ("mpga", "audio/mpeg"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("qt", "video/quicktime"),
    ("qta", "video/quicktime"), // Voice Memos since iOS 18
    ("wav", "audio/wav"),
    ("wav49", "audio/wav"), // Asterisk: GSM in WAV
    ("wave", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    // What takes ffmpeg.
    ("3g2", "video/3gpp2"),
    ("3ga", "audio/3gpp"), // voice recorders of Samsung
    ("3gp", "video/3gpp"),
    ("3gpp", "video/3gpp"), // sound recorders of older Androids
    ("aa3", "audio/x-oma"),
    ("ac3", "audio/ac3"),
    ("amr", "audio/amr"),
    ("ape", "audio/x-ape"),
    ("asf", "video/x-ms-asf"),
    ("au", "audio/basic"),
    ("avi", "video/x-msvideo"),
    ("awb", "audio/amr-wb"),
    ("divx", "video/x-msvideo"),
    ("dss", "audio/x-dss"), // dictation of Olympus, Philips, Grundig
    ("dts", "audio/vnd.dts"),
    ("dv", "video/x-dv"),
    ("dvr-ms", "video/x-ms-asf"), // Windows Media Center
    ("eac3", "audio/eac3"),
    ("ec3", "audio/eac3"),
    ("flv", "video/x-flv"),
    ("gxf", "application/gxf"),
    ("loas", "audio/aac"),
    ("m2p", "video/mpeg"),
    ("m2t", "video/mp2t"), // HDV camcorders
    ("m2ts", "video/mp2t"),
    ("mod", "video/mpeg"), // camcorders of JVC, Panasonic, Canon
    ("mpc", "audio/x-musepack"),
    ("mpe", "video/mpeg"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("mts", "video/mp2t"), // AVCHD camcorders
    ("mxf", "application/mxf"),
    ("nut", "video/x-nut"),
    ("ogm", "video/ogg"),
    ("ogv", "video/ogg"),
    ("ogx", "application/ogg"),
    ("oma", "audio/x-oma"), // recorders of Sony
    ("opus", "audio/ogg"),
    ("qcp", "audio/qcelp"),
    ("ra", "audio/vnd.rn-realaudio"),
    ("rm", "application/vnd.rn-realmedia"),
    ("rmvb", "application/vnd.rn-realmedia-vbr"),
    ("shn", "audio/x-shorten"),
    ("snd", "audio/basic"),
    ("sph", "audio/x-nist"),
    ("spx", "audio/ogg"),
    ("tak", "audio/x-tak"),
    ("tod", "video/mp2t"), // camcorders of JVC
    ("tp", "video/mp2t"),
    ("trp", "video/mp2t"),
    ("ts", "video/mp2t"), // OBS, DVB recorders
    ("tta", "audio/x-tta"),
    ("vob", "video/mpeg"),
    ("voc", "audio/x-voc"),
    ("w64", "audio/x-w64"),
    ("wma", "audio/x-ms-wma"),
    ("wmv", "video/x-ms-wmv"),
    ("wtv", "video/x-ms-wtv"), // Windows Media Center
    ("wv", "audio/x-wavpack"),
];

/// The extensions of [`READABLE`].
pub(crate) const READABLE_EXTENSIONS: [&str; READABLE.len()] = {
    let mut extensions = [""; READABLE.len()];
    let mut at = 0;
    while at < READABLE.len() {
        extensions[at] = READABLE[at].0;
        at += 1;
    }
    extensions
};

/// The MIME type of bytes of which nothing is known (RFC 2046).
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// A kind without any mark in its bytes: nothing but the name says how it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Headerless {
    /// The extension.
    pub extension: &'static str,
    /// The name that ffmpeg has for it.
    pub demuxer: &'static str,
    /// What ffmpeg must be told besides.
    pub options: &'static [&'static str],
}

const MONO_8000: &[&str] = &["-ar", "8000", "-ac", "1"];

const fn headerless(
    extension: &'static str,
    demuxer: &'static str,
    options: &'static [&'static str],
) -> Headerless {
    Headerless { extension, demuxer, options }
}

/// Kinds that ffmpeg reads when it is told how: what Asterisk writes (its `formats/`, the channels always one).
pub(crate) const HEADERLESS: &[Headerless] = &[
    headerless("al", "alaw", MONO_8000),
    headerless("alaw", "alaw", MONO_8000),
    headerless("alw", "alaw", MONO_8000),
    headerless("g722", "g722", &[]),
    headerless("g726-16", "g726le", &["-code_size", "2"]),
    headerless("g726-24", "g726le", &["-code_size", "3"]),
    headerless("g726-32", "g726le", &["-code_size", "4"]),
    headerless("g726-40", "g726le", &["-code_size", "5"]),
    headerless("g729", "g729", &[]),
    headerless("gsm", "gsm", &[]),
    headerless("mulaw", "mulaw", MONO_8000),
    headerless("sln", "s16le", MONO_8000),
    headerless("sln12", "s16le", &["-ar", "12000", "-ac", "1"]),
    headerless("sln16", "s16le", &["-ar", "16000", "-ac", "1"]),
    headerless("sln24", "s16le", &["-ar", "24000", "-ac", "1"]),
    headerless("sln32", "s16le", &["-ar", "32000", "-ac", "1"]),
    headerless("sln44", "s16le", &["-ar", "44100", "-ac", "1"]),
    headerless("sln48", "s16le", &["-ar", "48000", "-ac", "1"]),
    headerless("sln96", "s16le", &["-ar", "96000", "-ac", "1"]),
    headerless("sln192", "s16le", &["-ar", "192000", "-ac", "1"]),
    headerless("ul", "mulaw", MONO_8000),
    headerless("ulaw", "mulaw", MONO_8000),
    headerless("ulw", "mulaw", MONO_8000),
];

/// Recordings that nothing here reads. Each gets a row in the queue that says so, rather than no answer.
pub(crate) const UNREADABLE: &[&str] = &[
    "arf", // Webex, old
    "ds2", // dictation of Olympus, Philips
    "dvf", // Sony recorders, old
    "msv", // Sony recorders, old
    "nmf", // NICE call recorders
    "siren7", "siren14", // Asterisk
    "trec",    // Camtasia
    "vox",     // Dialogic call recorders
    "wrf",     // Webex, old
];

/// Bytes from the beginning of a file that [`looks_like`] wants to see.
pub(crate) const LOOK_BYTES: usize = 1024;

/// Says of the first bytes of a file whether they can be those of a recording.
type FirstBytesTest = fn(&[u8]) -> bool;

/// Extensions that belong to other files at least as often, with what the first bytes of a recording look like.
const AMBIGUOUS: &[(&str, FirstBytesTest)] = &[
    ("al", is_binary),            // Perl: AutoSplit
    ("mod", is_program_stream),   // Go, Linux: modules
    ("mts", is_transport_stream), // TypeScript
    ("tp", is_transport_stream),  // templates
    ("trp", is_transport_stream),
    ("ts", is_transport_stream), // TypeScript, Qt translations
    ("ul", is_binary),           // lists in HTML
];

/// Returns every extension of media, in no order.
pub(crate) fn extensions() -> impl Iterator<Item = &'static str> {
    let readable = READABLE_EXTENSIONS.into_iter();
    let headerless = HEADERLESS.iter().map(|kind| kind.extension);
    readable.chain(headerless).chain(UNREADABLE.iter().copied())
}

/// Returns the MIME type of an extension in lower case; that of unknown bytes for one that no row has.
#[must_use]
pub(crate) fn mime_type(extension: &str) -> &'static str {
    let row = READABLE.iter().find(|(known, _)| *known == extension);
    row.map_or(UNKNOWN_TYPE, |(_, mime)| *mime)
}

/// Returns every extension of media that is read on this machine, by whatever means.
pub(crate) fn convertible() -> impl Iterator<Item = &'static str> {
    READABLE_EXTENSIONS.into_iter().chain(HEADERLESS.iter().map(|kind| kind.extension))
}

/// Returns how a kind is read that has no mark in its bytes; `None` for any other.
#[must_use]
pub(crate) fn headerless_kind(extension: &str) -> Option<Headerless> {
    HEADERLESS.iter().find(|kind| kind.extension == extension).copied()
}

/// Returns whether an extension, in any case, belongs to other files as well, so that its file must be looked into.
#[must_use]
pub(crate) fn is_ambiguous(extension: &[u8]) -> bool {
    AMBIGUOUS.iter().any(|(known, _)| known.as_bytes().eq_ignore_ascii_case(extension))
}

/// Returns whether a file of an ambiguous extension that begins with `head` can be a recording; others always can.
#[must_use]
pub(crate) fn looks_like(extension: &[u8], head: &[u8]) -> bool {
    let test = AMBIGUOUS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(extension));
    test.is_none_or(|(_, test)| test(head))
}

/// Returns whether bytes are those of an MPEG transport stream: packets of 188 bytes (or 192 with a time before each, or
/// 204 with a checksum behind) that begin with `G`. A recording may begin within a packet (ISO/IEC 13818-1, 2.4.3.2).
#[must_use]
pub(crate) fn is_transport_stream(head: &[u8]) -> bool {
    const SYNC: u8 = 0x47;
    const PACKETS_MIN: usize = 3;
    [188, 192, 204].into_iter().any(|length| {
        (0..length.min(head.len())).filter(|start| head[*start] == SYNC).any(|start| {
            let marks = head[start..].iter().step_by(length);
            marks.len() >= PACKETS_MIN && marks.clone().all(|mark| *mark == SYNC)
        })
    })
}

/// Returns whether bytes are those of an MPEG program stream.
fn is_program_stream(head: &[u8]) -> bool {
    head.starts_with(b"\0\0\x01\xba")
}

/// Returns whether bytes are no text.
fn is_binary(head: &[u8]) -> bool {
    let is_control =
        |byte: &u8| byte.is_ascii_control() && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c);
    let valid = head.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
    // The last character may be cut in two.
    valid + 4 <= head.len() || head.iter().any(is_control)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn each_extension_stands_once_and_in_lower_case() {
        let all: Vec<_> = extensions().collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|name| !name.is_empty()
            && name.len() <= 8
            && **name == name.to_ascii_lowercase()));
        assert_eq!((mime_type("m4a"), mime_type("toml")), ("audio/mp4", UNKNOWN_TYPE));
        let known = |name: &&str| all.contains(name);
        assert!(AMBIGUOUS.iter().all(|(name, _)| known(name)));
    }

    #[test]
    fn what_shares_its_extension_with_other_files_is_told_by_its_first_bytes() {
        let packets = |length: usize, lead: usize| {
            let packet = |at: usize| if at % length == lead { 0x47 } else { 0xff };
            (0..LOOK_BYTES).map(packet).collect::<Vec<u8>>()
        };
        let program = b"import { G } from 'G';\nexport const G: Array<number> = [];\n".repeat(20);
        let translation =
            b"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!DOCTYPE TS>\n<TS version=\"2.1\">"
                .to_vec();
        for (extension, head, expected) in [
            ("ts", packets(188, 0), true),
            ("TS", packets(188, 0), true),
            ("ts", packets(192, 4), true),
            ("ts", packets(204, 0), true),
            ("ts", packets(188, 100), true),
            ("mts", packets(192, 4), true),
            ("ts", packets(188, 0)[..376].to_vec(), false),
            ("ts", program.clone(), false),
            ("mts", program, false),
            ("ts", translation, false),
            ("ts", b"G".repeat(100), false),
            ("ts", Vec::new(), false),
            ("mod", b"\0\0\x01\xba\x44".to_vec(), true),
            ("mod", b"module example.com/minutes\n\ngo 1.22\n".to_vec(), false),
            ("mod", b"M.K.".to_vec(), false),
            ("al", b"# NOTE: Derived from blib/lib/POSIX.pm.\npackage POSIX;\n".to_vec(), false),
            ("al", vec![0xd5; 800], true),
            ("ul", vec![0xff; 800], true),
            ("mp3", b"anything".to_vec(), true),
        ] {
            assert_eq!(looks_like(extension.as_bytes(), &head), expected, "{extension} {head:?}");
        }
    }
}

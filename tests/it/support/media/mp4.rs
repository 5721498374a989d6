//! MP4 and MOV: an index and the data it names, or fragments.

use super::{AAC_CONFIG, Codec, Track, flac_stream};

/// How a file is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) title: String,
    /// The index lies before the data, as for the web.
    pub(crate) index_first: bool,
    /// Written piece by piece, each with an index of its own.
    pub(crate) is_fragmented: bool,
    /// A track of pictures lies beside.
    pub(crate) has_pictures: bool,
    /// One edit of each track: from and for so many milliseconds.
    pub(crate) edit: Option<(u32, u32)>,
}

/// Samples of a packet, and packets of a chunk or a fragment.
const SAMPLES: u32 = 1024;
const CHUNK: usize = 7;
const RATE: u32 = 44_100;

pub(crate) fn file(tracks: &[Track], shape: &Shape) -> Vec<u8> {
    let kind = boxed(*b"ftyp", b"isom\0\0\x02\0isomiso2mp41");
    if shape.is_fragmented {
        let index = movie(tracks, shape, &vec![Vec::new(); tracks.len()]);
        return [kind, index, fragments(tracks)].concat();
    }
    let (data, offsets) = chunks(tracks);
    let place = |before: usize| -> Vec<Vec<u32>> {
        let shift = u32::try_from(before + 8).expect("short");
        offsets.iter().map(|track| track.iter().map(|offset| offset + shift).collect()).collect()
    };
    let data = boxed(*b"mdat", &data);
    if shape.index_first {
        let size = movie(tracks, shape, &offsets).len();
        return [kind.clone(), movie(tracks, shape, &place(kind.len() + size)), data].concat();
    }
    [kind.clone(), data, movie(tracks, shape, &place(kind.len()))].concat()
}

/// The packets of all tracks in chunks, in turn, and where the chunks of each begin.
fn chunks(tracks: &[Track]) -> (Vec<u8>, Vec<Vec<u32>>) {
    let mut data = Vec::new();
    let mut offsets = vec![Vec::new(); tracks.len()];
    let count = tracks.iter().map(|track| track.packets.len()).max().unwrap_or_default();
    for at in (0..count).step_by(CHUNK) {
        for (track, offsets) in tracks.iter().zip(&mut offsets) {
            if at < track.packets.len() {
                offsets.push(u32::try_from(data.len()).expect("short"));
                data.extend(track.packets[at..track.packets.len().min(at + CHUNK)].concat());
            }
        }
        data.extend([9; 100]);
    }
    (data, offsets)
}

fn movie(tracks: &[Track], shape: &Shape, offsets: &[Vec<u32>]) -> Vec<u8> {
    let count = |track: &Track| u32::try_from(track.packets.len()).expect("few");
    let longest = tracks.iter().map(count).max().unwrap_or_default();
    let mut content = boxed(*b"mvhd", &header(1000, longest * SAMPLES * 10 / 441, 96));
    for ((number, track), offsets) in (1_u32..).zip(tracks).zip(offsets) {
        let whole = !shape.is_fragmented;
        let id = boxed(*b"tkhd", &[&[0; 12][..], &number.to_be_bytes(), &[0; 64]].concat());
        let edit = shape.edit.map_or(Vec::new(), |(from, length)| {
            let from = from * (RATE / 100) / 10;
            let list = [
                &[0, 0, 0, 0, 0, 0, 0, 1][..],
                &length.to_be_bytes(),
                &from.to_be_bytes(),
                &[0, 1, 0, 0],
            ]
            .concat();
            boxed(*b"edts", &boxed(*b"elst", &list))
        });
        let media = [
            boxed(*b"mdhd", &header(RATE, if whole { count(track) * SAMPLES } else { 0 }, 20)),
            boxed(*b"hdlr", b"\0\0\0\0\0\0\0\0soun\0\0\0\0\0\0\0\0\0\0\0\0\0"),
            boxed(*b"minf", &boxed(*b"stbl", &tables(track, offsets, whole))),
        ];
        content.extend(boxed(*b"trak", &[id, edit, boxed(*b"mdia", &media.concat())].concat()));
    }
    if shape.has_pictures {
        content.extend(boxed(
            *b"trak",
            &boxed(*b"mdia", &boxed(*b"hdlr", b"\0\0\0\0\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0\0")),
        ));
    }
    if shape.is_fragmented {
        let defaults = (1..=u32::try_from(tracks.len()).expect("few")).flat_map(|number| {
            boxed(*b"trex", &[&[0; 4][..], &number.to_be_bytes(), &[0, 0, 0, 1], &[0; 12]].concat())
        });
        content.extend(boxed(*b"mvex", &defaults.collect::<Vec<_>>()));
    }
    content.extend(boxed(*b"udta", &boxed(*b"\xa9nam", shape.title.as_bytes())));
    boxed(*b"moov", &content)
}

/// The header of a movie or of media: units a second, and how many.
fn header(scale: u32, duration: u32, size: usize) -> Vec<u8> {
    let mut header = vec![0; 12];
    header.extend(scale.to_be_bytes());
    header.extend(duration.to_be_bytes());
    header.resize(size.max(32), 0);
    header
}

fn tables(track: &Track, offsets: &[u32], whole: bool) -> Vec<u8> {
    let sizes: Vec<u8> = track.packets.iter().flat_map(|packet| word(packet.len())).collect();
    let count = if whole { word(track.packets.len()) } else { word(0) };
    let sizes = if whole { sizes } else { Vec::new() };
    let last = track.packets.len() % CHUNK;
    let mut runs = [word(1), word(CHUNK), word(1)].concat();
    if last > 0 {
        runs.extend([word(offsets.len()), word(last), word(1)].concat());
    }
    let runs_count = if last > 0 { 2 } else { 1 };
    let runs = if whole { [word(runs_count), runs].concat() } else { word(0) };
    let starts: Vec<u8> = offsets.iter().flat_map(|offset| offset.to_be_bytes()).collect();
    [
        boxed(*b"stsd", &[&[0, 0, 0, 0, 0, 0, 0, 1][..], &entry(track.codec)].concat()),
        boxed(*b"stsc", &[&[0; 4][..], &runs].concat()),
        boxed(*b"stsz", &[&[0; 8][..], &count, &sizes].concat()),
        boxed(*b"stco", &[&[0; 4][..], &word(offsets.len()), &starts].concat()),
    ]
    .concat()
}

fn entry(codec: Codec) -> Vec<u8> {
    let fields =
        [&[0, 0, 0, 0, 0, 0, 0, 1][..], &[0; 8], &[0, 2, 0, 16, 0, 0, 0, 0], &[0xac, 0x44, 0, 0]]
            .concat();
    let with = |kind: [u8; 4], inner: &[u8]| boxed(kind, &[&fields[..], inner].concat());
    let described = |object: u8, config: &[u8]| {
        let config = [&[5, u8::try_from(config.len()).expect("short")][..], config].concat();
        let decoder = [&[object, 0x15][..], &[0; 11], &config].concat();
        let decoder = [&[4, u8::try_from(decoder.len()).expect("short")][..], &decoder].concat();
        let stream = [&[0, 1, 0][..], &decoder].concat();
        // A length may be longer than it needs to be, and often is.
        boxed(
            *b"esds",
            &[
                &[0, 0, 0, 0, 3, 0x80, 0x80, u8::try_from(stream.len()).expect("short")][..],
                &stream,
            ]
            .concat(),
        )
    };
    match codec {
        Codec::Aac => with(*b"mp4a", &described(0x40, &AAC_CONFIG)),
        Codec::Mp3 => with(*b"mp4a", &described(0x6b, &[])),
        Codec::Opus => with(*b"Opus", &boxed(*b"dOps", &[0, 2, 1, 56, 0, 0, 0xbb, 0x80, 0, 0, 0])),
        Codec::Flac => with(
            *b"fLaC",
            &boxed(*b"dfLa", &[&[0, 0, 0, 0, 0x80, 0, 0, 0x22][..], &flac_stream(5)].concat()),
        ),
    }
}

fn fragments(tracks: &[Track]) -> Vec<u8> {
    let mut all = Vec::new();
    let count = tracks.iter().map(|track| track.packets.len()).max().unwrap_or_default();
    for at in (0..count).step_by(CHUNK) {
        let pieces: Vec<&[Vec<u8>]> = tracks
            .iter()
            .map(|track| {
                &track.packets[at.min(track.packets.len())..track.packets.len().min(at + CHUNK)]
            })
            .collect();
        let size = fragment(&pieces, 0).len();
        all.extend(fragment(&pieces, size + 8));
        all.extend(boxed(
            *b"mdat",
            &pieces.iter().flat_map(|piece| piece.concat()).collect::<Vec<_>>(),
        ));
    }
    all
}

/// The index of a fragment whose data begins so far behind it.
fn fragment(pieces: &[&[Vec<u8>]], data: usize) -> Vec<u8> {
    let mut content = boxed(*b"mfhd", &[0; 8]);
    let mut data = data;
    for (number, piece) in (1_usize..).zip(pieces) {
        let head = boxed(*b"tfhd", &[&[0, 2, 0, 0][..], &word(number)].concat());
        let sizes: Vec<u8> = piece.iter().flat_map(|packet| word(packet.len())).collect();
        let run =
            boxed(*b"trun", &[&[0, 0, 2, 1][..], &word(piece.len()), &word(data), &sizes].concat());
        content.extend(boxed(*b"traf", &[head, run].concat()));
        data += piece.iter().map(Vec::len).sum::<usize>();
    }
    boxed(*b"moof", &content)
}

fn word(number: usize) -> Vec<u8> {
    u32::try_from(number).expect("small").to_be_bytes().to_vec()
}

fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
    [&word(body.len() + 8)[..], &kind, body].concat()
}

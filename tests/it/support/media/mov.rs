//! `QuickTime` and MP4: sound tracks of PCM, with titles and edit lists.

#![expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the name of a chunk is written as it stands in the file"
)]

/// Units of a second in the list of edits.
const SCALE: u32 = 1_000;

/// The rate of the sound.
const RATE: u32 = 16_000;

/// A sound track.
#[derive(Clone, Default)]
pub(crate) struct MovTrack {
    pub(crate) samples: Vec<i16>,
    pub(crate) title: Option<&'static str>,
    /// Milliseconds that are heard, and from which sample; -1 is silence.
    pub(crate) edits: Vec<(u32, i32)>,
}

/// Returns a file of these tracks, its index in front. The sound of all lies one second of each after the other.
pub(crate) fn mov(tracks: &[MovTrack]) -> Vec<u8> {
    let front = mp4_box(b"ftyp", &[b"qt  \0\0\0\0qt  "]);
    let length = movie(tracks, 0).len();
    let start = u32::try_from(front.len() + length + 8).expect("a short recording");
    [front, movie(tracks, start), mp4_box(b"mdat", &[&sound(tracks)])].concat()
}

/// Returns a file whose index stands behind the sound, as recorders write it.
pub(crate) fn mov_with_index_behind(tracks: &[MovTrack]) -> Vec<u8> {
    let front = mp4_box(b"ftyp", &[b"qt  \0\0\0\0qt  "]);
    let start = u32::try_from(front.len() + 8).expect("a short recording");
    [front, mp4_box(b"mdat", &[&sound(tracks)]), movie(tracks, start)].concat()
}

fn sound(tracks: &[MovTrack]) -> Vec<u8> {
    tracks
        .iter()
        .flat_map(|track| track.samples.iter().flat_map(|sample| sample.to_le_bytes()))
        .collect()
}

fn movie(tracks: &[MovTrack], start: u32) -> Vec<u8> {
    let mut numbers = [0, 0, 0, SCALE, longest(tracks), 0x0001_0000].map(u32::to_be_bytes).concat();
    numbers.resize(100, 0);
    let mut boxes = vec![mp4_box(b"mvhd", &[&numbers])];
    let mut at = start;
    for (number, track) in (1..).zip(tracks) {
        boxes.push(trak(number, track, at));
        at += bytes(track);
    }
    mp4_box(b"moov", &[&boxes.concat()])
}

fn trak(number: u32, track: &MovTrack, start: u32) -> Vec<u8> {
    let mut head =
        [7, 0, 0, number, 0, longest(std::slice::from_ref(track))].map(u32::to_be_bytes).concat();
    head.resize(84, 0);
    let frames = u32::try_from(track.samples.len()).expect("a short recording");
    let mut media = [0, 0, 0, RATE, frames].map(u32::to_be_bytes).concat();
    media.extend([0x55, 0xc4, 0, 0]);
    let handler = [&[0; 8][..], b"soun", &[0; 12], b"SoundHandler\0"].concat();
    let list: Vec<u8> = track
        .edits
        .iter()
        .flat_map(|(length, from)| {
            [length.to_be_bytes(), from.to_be_bytes(), [0, 1, 0, 0]].concat()
        })
        .collect();
    let count = u32::try_from(track.edits.len()).expect("a few edits").to_be_bytes();
    let edits = if track.edits.is_empty() {
        Vec::new()
    } else {
        mp4_box(b"edts", &[&mp4_box(b"elst", &[&[0; 4], &count, &list])])
    };
    let title = track
        .title
        .map_or(Vec::new(), |title| mp4_box(b"udta", &[&mp4_box(b"name", &[title.as_bytes()])]));
    let tables = mp4_box(
        b"stbl",
        &[
            &description(),
            &table(b"stts", &[1, frames, 1]),
            &table(b"stsc", &[1, 1, frames, 1]),
            &table(b"stsz", &[2, frames])[..],
            &table(b"stco", &[1, start]),
        ],
    );
    let header = mp4_box(b"smhd", &[&[0; 8]]);
    let minf = mp4_box(b"minf", &[&header, &tables]);
    let mdia =
        mp4_box(b"mdia", &[&mp4_box(b"mdhd", &[&media]), &mp4_box(b"hdlr", &[&handler]), &minf]);
    mp4_box(b"trak", &[&mp4_box(b"tkhd", &[&head]), &edits, &mdia, &title])
}

/// The description of PCM of 16 bits, one channel.
fn description() -> Vec<u8> {
    let mut entry = [&[0; 6][..], &[0, 1], &[0; 8], &[0, 1, 0, 16], &[0; 4]].concat();
    entry.extend((RATE << 16).to_be_bytes());
    mp4_box(b"stsd", &[&[0; 4], &[0, 0, 0, 1], &mp4_box(b"sowt", &[&entry])])
}

/// A table of numbers behind a version.
fn table(name: &[u8; 4], numbers: &[u32]) -> Vec<u8> {
    let numbers: Vec<u8> = numbers.iter().flat_map(|number| number.to_be_bytes()).collect();
    mp4_box(name, &[&[0; 4], &numbers])
}

fn mp4_box(name: &[u8; 4], content: &[&[u8]]) -> Vec<u8> {
    let content = content.concat();
    let size = u32::try_from(content.len() + 8).expect("a short recording");
    [&size.to_be_bytes()[..], name, &content].concat()
}

fn bytes(track: &MovTrack) -> u32 {
    u32::try_from(track.samples.len() * 2).expect("a short recording")
}

fn longest(tracks: &[MovTrack]) -> u32 {
    let frames = tracks.iter().map(|track| track.samples.len()).max().unwrap_or(0);
    u32::try_from(frames * 1000 / RATE as usize).expect("a short recording")
}

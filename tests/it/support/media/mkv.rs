//! Matroska: sound tracks of PCM, with titles, in clusters of a second.

/// The rate of the sound.
const RATE: usize = 16_000;

/// A sound track.
#[derive(Clone, Default)]
pub(crate) struct MkvTrack {
    pub(crate) samples: Vec<i16>,
    pub(crate) title: Option<&'static str>,
    /// When its first sample is heard, in whole seconds.
    pub(crate) begins: usize,
}

/// Which sizes are known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// All of them.
    Known,
    /// Not that of the whole, as a recorder leaves it that was killed.
    OfClusters,
    /// Neither that of the whole nor of the clusters, as browsers write it.
    Unknown,
}

/// Returns a file of these tracks.
pub(crate) fn mkv(tracks: &[MkvTrack], sizes: Sizes) -> Vec<u8> {
    let head = element(&[0x1a, 0x45, 0xdf, 0xa3], &element(&[0x42, 0x82], b"matroska"));
    let scale = element(&[0x2a, 0xd7, 0xb1], &1_000_000_u32.to_be_bytes());
    let programs = [element(&[0x4d, 0x80], b"test"), element(&[0x57, 0x41], b"test")].concat();
    let info = element(&[0x15, 0x49, 0xa9, 0x66], &[scale, programs].concat());
    let entries: Vec<u8> =
        (1..).zip(tracks).flat_map(|(number, track)| entry(number, track)).collect();
    let seconds = tracks
        .iter()
        .map(|track| track.begins + track.samples.len().div_ceil(RATE))
        .max()
        .unwrap_or(0);
    let clusters: Vec<u8> =
        (0..seconds).flat_map(|second| cluster(tracks, second, sizes)).collect();
    let content = [info, element(&[0x16, 0x54, 0xae, 0x6b], &entries), clusters].concat();
    let segment = [0x18, 0x53, 0x80, 0x67];
    let body = if sizes == Sizes::Known {
        element(&segment, &content)
    } else {
        endless(&segment, &content)
    };
    [head, body].concat()
}

fn entry(number: u8, track: &MkvTrack) -> Vec<u8> {
    let rate = element(&[0xb5], &16_000_f32.to_be_bytes());
    let audio =
        element(&[0xe1], &[rate, element(&[0x9f], &[1]), element(&[0x62, 0x64], &[16])].concat());
    let title = track.title.map_or(Vec::new(), |title| element(&[0x53, 0x6e], title.as_bytes()));
    let ids =
        [element(&[0xd7], &[number]), element(&[0x73, 0xc5], &[number]), element(&[0x83], &[2])]
            .concat();
    element(&[0xae], &[ids, title, element(&[0x86], b"A_PCM/INT/LIT"), audio].concat())
}

fn cluster(tracks: &[MkvTrack], second: usize, sizes: Sizes) -> Vec<u8> {
    let time = u32::try_from(second * 1000).expect("a short recording").to_be_bytes();
    let mut content = element(&[0xe7], &time);
    for tenth in 0..10_usize {
        for (number, track) in (1_u8..).zip(tracks) {
            let Some(from) =
                (second * 10 + tenth).checked_sub(track.begins * 10).map(|at| at * RATE / 10)
            else {
                continue;
            };
            let end = track.samples.len().min(from + RATE / 10);
            let sound: Vec<u8> = track
                .samples
                .get(from..end)
                .unwrap_or_default()
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .collect();
            let offset = u16::try_from(tenth * 100).expect("below a second").to_be_bytes();
            if !sound.is_empty() {
                content.extend(element(
                    &[0xa3],
                    &[&[0x80 | number][..], &offset, &[0x80], &sound].concat(),
                ));
            }
        }
    }
    let id = [0x1f, 0x43, 0xb6, 0x75];
    if sizes == Sizes::Unknown { endless(&id, &content) } else { element(&id, &content) }
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    let size = content.len() as u64 | 1 << 56;
    [id, &size.to_be_bytes(), content].concat()
}

fn endless(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], content].concat()
}

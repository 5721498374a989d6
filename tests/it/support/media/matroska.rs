//! Matroska and `WebM`: tracks, tags, then clusters of blocks.

use super::{AAC_CONFIG, Codec, Track, flac_stream, opus_head};

/// How a file is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shape {
    pub(crate) title: String,
    /// The length of the segment and of the clusters is never written: a live stream, or a crash.
    pub(crate) is_open: bool,
    /// A track of pictures lies beside.
    pub(crate) has_pictures: bool,
    /// How many packets lie in one block: with more than one, in a lace of EBML.
    pub(crate) laced: bool,
}

/// The number of the track of pictures.
const PICTURES: u8 = 0x63;

pub(crate) fn file(tracks: &[Track], shape: &Shape) -> Vec<u8> {
    let header = element(0x1a45_dfa3, &element(0x4282, b"matroska"));
    let info = element(
        0x1549_a966,
        &[element(0x2a_d7b1, &[0x0f, 0x42, 0x40]), element(0x7ba9, shape.title.as_bytes())]
            .concat(),
    );
    let mut entries: Vec<u8> =
        (1_u8..).zip(tracks).flat_map(|(number, track)| entry(number, track)).collect();
    if shape.has_pictures {
        let pictures =
            [element(0xd7, &[PICTURES]), element(0x83, &[1]), element(0x86, b"V_VP8")].concat();
        entries.extend(element(0xae, &pictures));
    }
    let content = [info, element(0x1654_ae6b, &entries), clusters(tracks, shape)].concat();
    let segment =
        if shape.is_open { open(0x1853_8067, &content) } else { element(0x1853_8067, &content) };
    [header, segment].concat()
}

fn entry(number: u8, track: &Track) -> Vec<u8> {
    let (name, private): (&[u8], Vec<u8>) = match track.codec {
        Codec::Aac => (b"A_AAC", AAC_CONFIG.to_vec()),
        Codec::Opus => (b"A_OPUS", opus_head(3840)),
        Codec::Mp3 => (b"A_MPEG/L3", Vec::new()),
        Codec::Flac => (b"A_FLAC", [&b"fLaC\x80\0\0\x22"[..], &flac_stream(0)].concat()),
    };
    let audio = [element(0xb5, &44_100_f64.to_be_bytes()), element(0x9f, &[2])].concat();
    let mut fields = [element(0xd7, &[number]), element(0x83, &[2]), element(0x86, name)].concat();
    fields.extend(element(0xe1, &audio));
    if !private.is_empty() {
        fields.extend(element(0x63a2, &private));
    }
    element(0xae, &fields)
}

fn clusters(tracks: &[Track], shape: &Shape) -> Vec<u8> {
    let count = tracks.iter().map(|track| track.packets.len()).max().unwrap_or_default();
    let mut clusters = Vec::new();
    for at in (0..count).step_by(20) {
        let mut cluster = element(0xe7, &[0]);
        for at in (at..count.min(at + 20)).step_by(4) {
            for (number, track) in (1_u8..).zip(tracks) {
                let packets =
                    &track.packets[at.min(track.packets.len())..(at + 4).min(track.packets.len())];
                cluster.extend(blocks(number, packets, shape.laced));
            }
            if shape.has_pictures {
                cluster.extend(element(
                    0xa3,
                    &[&[0x80 | PICTURES, 0, 0, 0x80][..], &[7; 500]].concat(),
                ));
            }
        }
        clusters.extend(if shape.is_open {
            open(0x1f43_b675, &cluster)
        } else {
            element(0x1f43_b675, &cluster)
        });
    }
    clusters
}

fn blocks(number: u8, packets: &[Vec<u8>], laced: bool) -> Vec<u8> {
    if laced && packets.len() > 1 {
        // The first size, then differences of 0: all packets are of one size.
        let size = u16::try_from(packets[0].len()).expect("short") | 0x4000;
        let more = u8::try_from(packets.len() - 1).expect("few");
        let mut block = vec![0x80 | number, 0, 0, 0x06, more];
        block.extend(size.to_be_bytes());
        block.extend(std::iter::repeat_n(0xbf, packets.len() - 2));
        block.extend(packets.concat());
        return element(0xa0, &element(0xa1, &block));
    }
    let block =
        |packet: &Vec<u8>| element(0xa3, &[&[0x80 | number, 0, 0, 0x80][..], packet].concat());
    packets.iter().flat_map(block).collect()
}

fn id(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
}

fn element(name: u32, body: &[u8]) -> Vec<u8> {
    [id(name), (body.len() as u64 | 1 << 56).to_be_bytes().to_vec(), body.to_vec()].concat()
}

/// An element whose length is not known.
fn open(name: u32, body: &[u8]) -> Vec<u8> {
    [id(name), vec![0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], body.to_vec()].concat()
}

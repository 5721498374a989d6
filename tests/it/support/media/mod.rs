//! Media made byte by byte, one file for each container: no test needs ffmpeg to have a recording.
//!
//! The sound is noise in the frame of its codec: what carries it is what is tested, not what it says.

pub(crate) mod adts;
pub(crate) mod flac;
pub(crate) mod matroska;
pub(crate) mod mkv;
pub(crate) mod mov;
pub(crate) mod mp3;
pub(crate) mod mp4;
pub(crate) mod ogg;
pub(crate) mod wav;

/// A codec that every container knows in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Codec {
    Aac,
    Opus,
    Mp3,
    Flac,
}

impl Codec {
    pub(crate) const ALL: [Self; 4] = [Self::Aac, Self::Opus, Self::Mp3, Self::Flac];
}

/// A track of sound: the same packets in whatever container.
#[derive(Debug, Clone)]
pub(crate) struct Track {
    pub(crate) codec: Codec,
    pub(crate) packets: Vec<Vec<u8>>,
}

/// The configuration of AAC: low complexity, 44.1 kHz, two channels.
pub(crate) const AAC_CONFIG: [u8; 2] = [0x12, 0x10];

/// The first block of FLAC: 44.1 kHz, two channels, 16 bits, and a number of samples.
pub(crate) fn flac_stream(samples: u32) -> [u8; 34] {
    let mut stream = [0; 34];
    stream[..4].copy_from_slice(&[0x10, 0, 0x10, 0]);
    stream[10..14].copy_from_slice(&[0x0a, 0xc4, 0x42, 0xf0]);
    stream[14..18].copy_from_slice(&samples.to_be_bytes());
    stream
}

/// The header of Opus, as Ogg and Matroska have it; `skip` is the encoder's delay.
pub(crate) fn opus_head(skip: u16) -> Vec<u8> {
    [&b"OpusHead\x01\x02"[..], &skip.to_le_bytes(), &48_000_u32.to_le_bytes(), &[0, 0, 0]].concat()
}

impl Track {
    /// Some seconds of noise, the same for the same seed.
    pub(crate) fn noise(codec: Codec, seed: &str) -> Self {
        let packets =
            (0_u32..120).map(|number| packet(codec, &format!("{seed} {number}"))).collect();
        Self { codec, packets }
    }

    /// As long, and every packet like the other.
    pub(crate) fn silence(codec: Codec) -> Self {
        Self { codec, packets: vec![packet(codec, "silence"); 120] }
    }

    /// All packets, one behind the other: the bare stream.
    pub(crate) fn stream(&self) -> Vec<u8> {
        self.packets.concat()
    }
}

fn packet(codec: Codec, seed: &str) -> Vec<u8> {
    // A frame of layer 3 at 128 kbit/s and 44.1 kHz has a size of its own.
    let mut packet = vec![0; if codec == Codec::Mp3 { 417 } else { 300 }];
    blake3::Hasher::new().update(seed.as_bytes()).finalize_xof().fill(&mut packet);
    if codec == Codec::Mp3 {
        packet[..4].copy_from_slice(b"\xff\xfb\x90\x00");
    }
    packet
}

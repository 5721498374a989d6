//! Codecs in canonical form: what a decoder must know, as far as every container says it alike.

/// A codec, as it is hashed.
pub(super) struct Params(Vec<u8>);

impl Params {
    pub(super) fn new(codec: &str) -> Self {
        Self(Vec::new()).text(codec)
    }

    /// Adds a number.
    pub(super) fn number(mut self, number: u64) -> Self {
        self.0.extend(number.to_le_bytes());
        self
    }

    /// Adds a text or bytes, which cannot be taken for others with what follows.
    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let mut params = self.number(bytes.len() as u64);
        params.0.extend(bytes);
        params
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    pub(super) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Returns AAC as its configuration says (ISO/IEC 14496-3, `AudioSpecificConfig`): the kind of coding, the rate and the
/// channels. What an encoder adds behind is left out: muxers do, too.
pub(super) fn aac(config: &[u8]) -> Params {
    let mut bits = Bits { bytes: config, at: 0 };
    let mut read = || {
        let kind = match bits.take(5)? {
            31 => 32 + bits.take(6)?,
            kind => kind,
        };
        let rate = match bits.take(4)? {
            15 => bits.take(24)?,
            index => AAC_RATES.get(usize::try_from(index).ok()?).copied().unwrap_or(0),
        };
        Some((kind, rate, bits.take(4)?))
    };
    match read() {
        Some((kind, rate, channels)) => aac_of(kind, rate, channels),
        None => Params::new("aac").bytes(config),
    }
}

/// Returns AAC of a kind of coding, a rate and a configuration of channels.
pub(super) fn aac_of(kind: u64, rate: u64, channels: u64) -> Params {
    Params::new("aac").number(kind).number(rate).number(channels)
}

/// The rates of AAC by their index.
pub(super) const AAC_RATES: [u64; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

/// The name of audio of MPEG-1 and MPEG-2.
const MPEG: &str = "mpeg audio";

/// Returns audio of MPEG-1 and MPEG-2 of a layer. Each frame says the rest, and it may change.
pub(super) fn mpeg(layer: u64) -> Params {
    Params::new(MPEG).number(layer)
}

/// Returns how many bytes at the begin of a codec's packets differ in silence, too.
pub(super) fn head_bytes(codec: &[u8]) -> usize {
    // A header says whether a byte was added to keep the rate.
    if codec.get(8..).is_some_and(|name| name.starts_with(MPEG.as_bytes())) { 4 } else { 0 }
}

/// Returns Opus: the channels and how they are mapped (RFC 7845). The gain is a matter of tags, the samples to skip one of
/// the muxer.
pub(super) fn opus(channels: u8, family: u8) -> Params {
    Params::new("opus").number(channels.into()).number(family.into())
}

/// Returns Opus by its header in Ogg and Matroska.
pub(super) fn opus_head(head: &[u8]) -> Option<Params> {
    (head.starts_with(b"OpusHead") && head.len() >= 19).then(|| opus(head[9], head[18]))
}

/// Returns FLAC by its first block of metadata, 34 bytes: rate, channels and width of samples.
pub(super) fn flac(stream: &[u8]) -> Option<Params> {
    // 20 bits of rate, 3 of channels, 5 of width.
    let shape: [u8; 4] = stream.get(10..14)?.try_into().ok()?;
    Some(Params::new("flac").number(u64::from(u32::from_be_bytes(shape) >> 4)))
}

/// Returns Vorbis by its first and third header: the second holds tags.
pub(super) fn vorbis(identification: &[u8], setup: &[u8]) -> Option<Params> {
    if !identification.starts_with(b"\x01vorbis")
        || identification.len() < 29
        || !setup.starts_with(b"\x05vorbis")
    {
        return None;
    }
    // Version, channels, rate; the bit rates are a hint; the sizes of blocks.
    let shape = Params::new("vorbis").bytes(&identification[7..16]).bytes(&identification[28..29]);
    Some(shape.bytes(blake3::hash(setup).as_bytes()))
}

/// The format of samples that are not coded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pcm {
    pub(super) is_float: bool,
    pub(super) is_big_endian: bool,
    /// Samples of 8 bits may have no sign.
    pub(super) is_signed: bool,
    pub(super) bits: u64,
    pub(super) channels: u64,
    pub(super) rate: u64,
}

impl Pcm {
    pub(super) fn params(self) -> Params {
        let flags = u64::from(self.is_float)
            | u64::from(self.is_big_endian && self.bits > 8) << 1
            | u64::from(self.is_signed) << 2;
        Params::new("pcm").number(flags).number(self.bits).number(self.channels).number(self.rate)
    }
}

/// Bits, the highest first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u64> {
        (0..count).try_fold(0, |number, _| {
            let byte = self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(number << 1 | u64::from(bit))
        })
    }
}

//! MP3: frames of silence, and the tags that lie around them.

/// The shapes of frames: the second to fourth byte of the head, and how many bytes a frame has.
#[derive(Clone, Copy)]
pub(crate) enum Frame {
    /// 16 kHz, one channel, 64 kbit/s: 36 ms.
    Mono16,
    /// 44.1 kHz, two channels, 128 kbit/s: 26 ms.
    Stereo44,
}

impl Frame {
    fn head(self) -> ([u8; 4], usize) {
        match self {
            Self::Mono16 => ([0xff, 0xf3, 0x88, 0xc4], 288),
            Self::Stereo44 => ([0xff, 0xfb, 0x90, 0x04], 417),
        }
    }

    /// How many frames take a second and a bit.
    pub(crate) fn per_second(self) -> usize {
        match self {
            Self::Mono16 => 28,
            Self::Stereo44 => 39,
        }
    }
}

/// Returns so many frames.
pub(crate) fn frames(shape: Frame, count: usize) -> Vec<u8> {
    let (head, size) = shape.head();
    let mut frame = head.to_vec();
    frame.resize(size, 0);
    frame.repeat(count)
}

/// Returns the frame that says how many frames there are, as encoders write it first.
pub(crate) fn description(shape: Frame, count: u32) -> Vec<u8> {
    let (head, size) = shape.head();
    let side = match shape {
        Frame::Mono16 => 9,
        Frame::Stereo44 => 32,
    };
    let mut frame = head.to_vec();
    frame.resize(4 + side, 0);
    frame.extend([&b"Info\0\0\0\x01"[..], &count.to_be_bytes()].concat());
    frame.resize(size, 0);
    frame
}

/// Returns an `ID3v2` tag with a cover of so many bytes, which are full of what looks like frames.
pub(crate) fn id3_with_cover(bytes: usize) -> Vec<u8> {
    let picture: Vec<u8> =
        (0..bytes).map(|at| [0xff, 0xfb, 0x90, 0x04, 0x33, 0x12, 0xff][at % 7]).collect();
    let body = [&b"\0image/png\0\x03\0"[..], &picture].concat();
    let inner = [&b"APIC"[..], &sevens(body.len()), &[0, 0], &body].concat();
    [&b"ID3\x04\0\0"[..], &sevens(inner.len()), &inner].concat()
}

/// Returns an `ID3v1` tag.
pub(crate) fn id3v1() -> Vec<u8> {
    [&b"TAG"[..], &[b' '; 125]].concat()
}

/// Returns an APE tag with so many bytes of items.
pub(crate) fn ape(bytes: usize) -> Vec<u8> {
    let mark = |flags: u32| {
        let size = u32::try_from(bytes + 32).expect("a small tag");
        [&b"APETAGEX"[..], [2000, size, 1, flags].map(u32::to_le_bytes).as_flattened(), &[0; 8]]
            .concat()
    };
    [mark(0xa000_0000), vec![0xff; bytes], mark(0x8000_0000)].concat()
}

/// A size in bytes of seven bits.
fn sevens(size: usize) -> [u8; 4] {
    [21, 14, 7, 0].map(|shift| u8::try_from(size >> shift & 0x7f).expect("seven bits"))
}

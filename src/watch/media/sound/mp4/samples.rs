//! The places of a track's samples, by its tables.

use super::{Found, Obscure, Packet, Window, child, entry::SoundEntry, read_at};

/// A table of numbers in a file, read as it is needed.
struct SampleTable<'f> {
    window: Window<'f>,
    at: u64,
    rows: u64,
    width: u64,
}

impl<'f> SampleTable<'f> {
    /// Returns a table of a kind, whose rows of `width` bytes begin `skip` bytes into its box; `count` is where their
    /// number stands.
    fn open(
        window: &Window<'f>,
        found: &Found,
        count: u64,
        skip: u64,
        width: u64,
    ) -> Result<Self, Obscure> {
        let mut window = window.another();
        let rows =
            u32::from_be_bytes(read_at::<4>(&mut window, found.body + count)?.ok_or(Obscure)?);
        let at = found.body + skip;
        let rows = u64::from(rows);
        let is_whole = at + rows * width <= found.end;
        is_whole.then_some(Self { window, at, rows, width }).ok_or(Obscure)
    }

    /// Returns a number of `N` bytes in a row.
    fn number<const N: usize>(&mut self, row: u64, place: u64) -> Result<u64, Obscure> {
        let bytes =
            read_at::<N>(&mut self.window, self.at + row * self.width + place)?.ok_or(Obscure)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// The sizes of samples.
enum Sizes<'f> {
    /// All of one size: so many of so many bytes.
    One {
        count: u64,
        size: u64,
    },
    Each(SampleTable<'f>),
}

/// The samples of a track, chunk by chunk.
pub(super) struct Samples<'f> {
    sizes: Sizes<'f>,
    chunks: Option<SampleTable<'f>>,
    /// From which chunk on there are how many samples in each.
    runs: Option<SampleTable<'f>>,
    run: u64,
    chunk: u64,
    /// Samples of this chunk that are left, and where the next one begins.
    left: u64,
    at: u64,
    sample: u64,
    len: u64,
}

impl<'f> Samples<'f> {
    pub(super) fn open(
        window: &Window<'f>,
        table: &Found,
        entry: &SoundEntry,
        len: u64,
    ) -> Result<Self, Obscure> {
        let mut reader = window.another();
        let sizes = child(&mut reader, table, *b"stsz")?.ok_or(Obscure)?;
        let head = read_at::<12>(&mut reader, sizes.body)?.ok_or(Obscure)?;
        let one = u64::from(u32::from_be_bytes([head[4], head[5], head[6], head[7]]));
        let sizes = if one == 0 {
            Sizes::Each(SampleTable::open(window, &sizes, 8, 12, 4)?)
        } else {
            let count = u64::from(u32::from_be_bytes([head[8], head[9], head[10], head[11]]));
            // Of coded samples, old files of QuickTime say 1 here and the truth elsewhere.
            let size = entry.frame_bytes.or((one > 1).then_some(one)).ok_or(Obscure)?;
            Sizes::One { count, size }
        };
        let mut chunks = None;
        for (kind, width) in [(*b"stco", 4), (*b"co64", 8)] {
            if let Some(found) = child(&mut reader, table, kind)? {
                chunks = Some(SampleTable::open(window, &found, 4, 8, width)?);
            }
        }
        let runs = child(&mut reader, table, *b"stsc")?;
        let runs = runs.map(|found| SampleTable::open(window, &found, 4, 8, 12)).transpose()?;
        Ok(Self { sizes, chunks, runs, run: 0, chunk: 0, left: 0, at: 0, sample: 0, len })
    }

    /// Returns the next sample, or the rest of a chunk whose samples are of one size; 0 for the track, which others know.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        let count = match &self.sizes {
            Sizes::One { count, .. } => *count,
            Sizes::Each(table) => table.rows,
        };
        if self.sample >= count {
            return Ok(None);
        }
        if self.left == 0 {
            self.begin_chunk()?;
        }
        let (samples, size) = match &mut self.sizes {
            Sizes::One { size, .. } => {
                let samples = self.left.min(count - self.sample);
                (samples, samples * *size)
            }
            Sizes::Each(table) => (1, table.number::<4>(self.sample, 0)?),
        };
        let packet = Packet { track: 0, at: self.at, len: size };
        self.at += size;
        self.left -= samples;
        self.sample += samples;
        (self.at <= self.len).then_some(Some(packet)).ok_or(Obscure)
    }

    fn begin_chunk(&mut self) -> Result<(), Obscure> {
        let (Some(chunks), Some(runs)) = (&mut self.chunks, &mut self.runs) else {
            return Err(Obscure);
        };
        if self.chunk >= chunks.rows || runs.rows == 0 {
            return Err(Obscure);
        }
        // Chunks are counted from 1 there.
        while self.run + 1 < runs.rows && runs.number::<4>(self.run + 1, 0)? <= self.chunk + 1 {
            self.run += 1;
        }
        self.left = runs.number::<4>(self.run, 4)?;
        self.at = if chunks.width == 4 {
            chunks.number::<4>(self.chunk, 0)?
        } else {
            chunks.number::<8>(self.chunk, 0)?
        };
        self.chunk += 1;
        (self.left > 0 && self.at <= self.len).then_some(()).ok_or(Obscure)
    }
}

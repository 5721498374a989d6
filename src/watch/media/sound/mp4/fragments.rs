//! The places of a track's samples in a fragmented file: each fragment names its own.

use super::{Found, Obscure, Packet, Window, child, read_at};

/// Boxes of a fragment that are looked at.
const CHILDREN_MAX: usize = 256;

/// Runs of one track in a fragment.
const RUNS_MAX: usize = 1024;

/// Samples of one run: a run of a minute of sound has some thousand.
const SAMPLES_MAX: u32 = 1 << 20;

/// Flags of `tfhd`: which fields are there, and that places count from the fragment.
const BASE: u32 = 0x1;
const DESCRIPTION: u32 = 0x2;
const DURATION: u32 = 0x8;
const SIZE: u32 = 0x10;
const FROM_FRAGMENT: u32 = 0x2_0000;

/// Flags of `trun`: which fields are there, of the run and of each sample.
const OFFSET: u32 = 0x1;
const FIRST_FLAGS: u32 = 0x4;
const EACH_DURATION: u32 = 0x100;
const EACH_SIZE: u32 = 0x200;
const EACH_FLAGS: u32 = 0x400;
const EACH_SHIFT: u32 = 0x800;

/// The fragments of a file, for one of its tracks.
pub(super) struct Fragments<'f> {
    window: Window<'f>,
    number: u32,
    /// The size of samples where fragments do not say one.
    size: u32,
    at: u64,
    len: u64,
    /// The runs of the fragment that is read, the next one last.
    runs: Vec<Packet>,
}

impl<'f> Fragments<'f> {
    pub(super) fn open(
        window: &mut Window<'f>,
        movie: &Found,
        number: u32,
        len: u64,
    ) -> Result<Self, Obscure> {
        let defaults = child(window, movie, *b"mvex")?.ok_or(Obscure)?;
        let mut size = 0;
        let mut at = defaults.body;
        for _ in 0..CHILDREN_MAX {
            let Some(found) = Found::read(window, at, defaults.end)? else { break };
            at = found.end;
            if &found.kind == b"trex" {
                let bytes = read_at::<20>(window, found.body)?.ok_or(Obscure)?;
                let word = |at: usize| {
                    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
                };
                if word(4) == number {
                    size = word(16);
                }
            }
        }
        Ok(Self { window: window.another(), number, size, at: movie.end, len, runs: Vec::new() })
    }

    /// Returns the next run of samples; 0 for the track, which others know.
    pub(super) fn next(&mut self) -> Result<Option<Packet>, Obscure> {
        while self.runs.is_empty() {
            let found = Found::read(&mut self.window, self.at, self.len)?.filter(Found::is_named);
            let Some(found) = found.filter(|found| found.end <= self.len) else { return Ok(None) };
            let begin = self.at;
            self.at = found.end;
            if &found.kind == b"moof" {
                self.read(&found, begin)?;
            }
        }
        Ok(self.runs.pop())
    }

    fn read(&mut self, fragment: &Found, begin: u64) -> Result<(), Obscure> {
        let mut at = fragment.body;
        let mut is_first = true;
        for _ in 0..CHILDREN_MAX {
            let Some(found) = Found::read(&mut self.window, at, fragment.end)? else { break };
            at = found.end;
            if &found.kind == b"traf" {
                self.read_track(&found, begin, is_first)?;
                is_first = false;
            }
        }
        self.runs.reverse();
        Ok(())
    }

    fn read_track(&mut self, track: &Found, begin: u64, is_first: bool) -> Result<(), Obscure> {
        let header = child(&mut self.window, track, *b"tfhd")?.ok_or(Obscure)?;
        let mut fields = Fields { window: &mut self.window, at: header.body };
        let flags = fields.word()? & 0xff_ffff;
        if fields.word()? != self.number {
            return Ok(());
        }
        let base = if flags & BASE != 0 {
            u64::from(fields.word()?) << 32 | u64::from(fields.word()?)
        } else if flags & FROM_FRAGMENT != 0 || is_first {
            begin
        } else {
            // Behind the samples of another track: files of old do so, and none is known to.
            return Err(Obscure);
        };
        fields.skip(flags, &[DESCRIPTION, DURATION]);
        let size = if flags & SIZE != 0 { fields.word()? } else { self.size };
        let mut end = base;
        let mut at = track.body;
        for _ in 0..CHILDREN_MAX {
            let Some(found) = Found::read(&mut self.window, at, track.end)? else { break };
            at = found.end;
            if &found.kind == b"trun" {
                let run = self.run(&found, base, end, size)?;
                end = run.at + run.len;
                if end > self.len || self.runs.len() == RUNS_MAX {
                    return Err(Obscure);
                }
                self.runs.push(run);
            }
        }
        Ok(())
    }

    /// Reads one run, whose samples lie one behind the other.
    fn run(&mut self, run: &Found, base: u64, behind: u64, size: u32) -> Result<Packet, Obscure> {
        let mut fields = Fields { window: &mut self.window, at: run.body };
        let flags = fields.word()? & 0xff_ffff;
        let count = fields.word()?;
        let at = if flags & OFFSET != 0 {
            base.checked_add_signed(fields.word()?.cast_signed().into()).ok_or(Obscure)?
        } else {
            behind
        };
        fields.skip(flags, &[FIRST_FLAGS]);
        if count > SAMPLES_MAX {
            return Err(Obscure);
        }
        let mut len = 0;
        if flags & EACH_SIZE == 0 {
            len = u64::from(count) * u64::from(size);
        } else {
            for _ in 0..count {
                fields.skip(flags, &[EACH_DURATION]);
                if fields.at >= run.end {
                    return Err(Obscure);
                }
                len += u64::from(fields.word()?);
                fields.skip(flags, &[EACH_FLAGS, EACH_SHIFT]);
            }
        }
        Ok(Packet { track: 0, at, len })
    }
}

/// Fields of four bytes, one behind the other.
struct Fields<'w, 'f> {
    window: &'w mut Window<'f>,
    at: u64,
}

impl Fields<'_, '_> {
    fn word(&mut self) -> Result<u32, Obscure> {
        let bytes = read_at::<4>(self.window, self.at)?.ok_or(Obscure)?;
        self.at += 4;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Passes over those of some fields that are there.
    fn skip(&mut self, flags: u32, fields: &[u32]) {
        self.at += 4 * fields.iter().filter(|field| flags & **field != 0).count() as u64;
    }
}

//! Chance that can be had again: a seeded sequence of numbers, nothing more.

/// The seed of a walk that nobody has named one for.
const SEED: u64 = 20_261_122;

/// A sequence of numbers that looks random (`SplitMix64`: a counter, and a mixing of its bits).
#[derive(Debug, Clone)]
pub(crate) struct Chance {
    counter: u64,
}

impl Chance {
    /// The sequence of `$MINUTED_TEST_SEED`, or the usual one.
    pub(crate) fn seeded() -> Self {
        Self { counter: seed().unwrap_or(SEED) }
    }

    /// The sequence of this seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self { counter: seed }
    }

    fn next(&mut self) -> u64 {
        self.counter = self.counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.counter ^ (self.counter >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).expect("a small number"))
            .expect("below a usize")
    }

    /// Whether something happens that does so once in `times`.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of these.
    pub(crate) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// The seeds of `count` walks: those that follow the usual one, or the one of `$MINUTED_TEST_SEED` alone.
pub(crate) fn seeds(count: u32) -> Vec<u64> {
    seed()
        .map_or_else(|| (0..u64::from(count)).map(|more| SEED + more).collect(), |seed| vec![seed])
}

#[expect(clippy::disallowed_methods, reason = "a test is told its seed as it is told its budget")]
fn seed() -> Option<u64> {
    let text = std::env::var("MINUTED_TEST_SEED").ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("MINUTED_TEST_SEED is `{text}`: write a number")))
}

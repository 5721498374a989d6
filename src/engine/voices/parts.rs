//! Parts of a recording in which the same speakers are active, and the turns that they take.
//!
//! Windows of 10 s begin every 5 s; each moment is decided by the window whose middle is nearest.
//! The local speakers of a window are numbered anew in each, so a window's numbers are matched with
//! those of the window before, where both hear the same sound.

use std::{collections::VecDeque, ops::Range};

use super::segmentation::{Activity, FRAMES, LOCAL_SPEAKERS};

/// Moments in a second: the times of parts are multiples of 10 ms.
const MOMENTS: u64 = 100;

/// Samples of a moment.
pub(super) const MOMENT: u64 = 160;

/// Moments from one window to the next: 5 s.
pub(super) const STEP: u64 = 5 * MOMENTS;

/// Moments of a window that its successor does not decide: 7.5 s.
const DECIDED: u64 = STEP + STEP / 2;

/// Moments of a part at most: 3 s. Of a longer stretch it may have several voices.
const PART_MAX: u64 = 3 * MOMENTS;

/// Moments of a stretch that are held back at most, 12 s: the sound of older ones is gone.
const STRETCH_MAX: u64 = 12 * MOMENTS;

/// Samples of a turn at least: half a second. Words of a shorter one are not recognised alone.
const TURN_MIN: u64 = 50 * MOMENT;

/// The frame of a window that begins with the next window.
const OVERLAP: usize = FRAMES / 2;

/// The ways to match three local speakers with three others.
const MATCHES: [[usize; LOCAL_SPEAKERS]; 6] =
    [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

/// A part: in samples, with the number of its speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartSpan {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) speakers: u8,
}

/// A stretch of moments with the same active speakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stretch {
    start: u64,
    end: u64,
    /// The local speakers, a bit each; none is silence.
    active: u8,
}

/// A turn: who holds it, a bit, and the sample at which it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    start: u64,
    holder: u8,
}

/// The course of a recording, as far as windows have decided it.
#[derive(Debug, Default)]
pub(super) struct Timeline {
    /// The windows so far, and the last of them.
    windows: u64,
    last: Option<Box<Activity>>,
    /// The moment up to which it is decided.
    decided: u64,
    open: Option<Stretch>,
    /// The last stretch with speakers.
    before: Option<Stretch>,
    parts: VecDeque<PartSpan>,
    turns: Vec<Turn>,
}

impl Timeline {
    /// Adds the next window; the last one may reach beyond the samples that there are.
    pub(super) fn add_window(&mut self, mut activity: Activity, samples: u64) {
        if let Some(last) = &self.last {
            match_speakers(last, &mut activity);
        }
        self.last = Some(Box::new(activity));
        self.windows += 1;
        self.decide_until(((self.windows - 1) * STEP + DECIDED).min(samples / MOMENT));
        self.release_long_stretch();
    }

    /// Ends the recording after so many samples.
    pub(super) fn finish(&mut self, samples: u64) {
        self.decide_until(samples / MOMENT);
        if let Some(open) = self.open.take() {
            self.close_stretch(open);
        }
    }

    /// Returns the sample up to which everything is decided.
    pub(super) fn decided_until(&self) -> u64 {
        self.decided * MOMENT
    }

    /// Takes the next part that is finished.
    pub(super) fn take_part(&mut self) -> Option<PartSpan> {
        self.parts.pop_front()
    }

    /// Returns the samples at which another speaker takes over within a range that is decided.
    pub(super) fn changes_within(&self, range: Range<u64>) -> Vec<u64> {
        let after = self.turns.partition_point(|turn| turn.start < range.end);
        let from = self.turns.partition_point(|turn| turn.start <= range.start).saturating_sub(1);
        let turns = self.turns.get(from..after).unwrap_or_default();
        let mut kept: Vec<Turn> = Vec::new();
        for (at, turn) in turns.iter().enumerate() {
            let start = turn.start.max(range.start);
            let end = turns.get(at + 1).map_or(range.end, |next| next.start);
            let is_same = kept.last().is_some_and(|before| before.holder == turn.holder);
            if end.saturating_sub(start) >= TURN_MIN && !is_same {
                kept.push(Turn { start, ..*turn });
            }
        }
        kept.iter().skip(1).map(|turn| turn.start).collect()
    }

    /// Decides by the last window.
    fn decide_until(&mut self, end: u64) {
        let Some(activity) = self.last.take() else { return };
        let begin = (self.windows - 1) * STEP;
        for moment in self.decided..end {
            // The middle of the moment, in frames of the window.
            let frame = (2 * (moment - begin) + 1) * FRAMES as u64 / (4 * STEP);
            let frame = usize::try_from(frame).map_or(FRAMES - 1, |frame| frame.min(FRAMES - 1));
            self.add_moment(moment, activity[frame]);
        }
        self.decided = self.decided.max(end);
        self.last = Some(activity);
    }

    fn add_moment(&mut self, moment: u64, active: u8) {
        match &mut self.open {
            Some(open) if open.active == active => open.end = moment + 1,
            open => {
                let closed = open.replace(Stretch { start: moment, end: moment + 1, active });
                if let Some(closed) = closed {
                    self.close_stretch(closed);
                }
            }
        }
    }

    fn close_stretch(&mut self, stretch: Stretch) {
        if stretch.active != 0 {
            self.note_turn(stretch);
            self.add_parts(stretch);
            self.before = Some(stretch);
        }
    }

    /// Begins a turn where a stretch is not of the one who held the last one.
    fn note_turn(&mut self, stretch: Stretch) {
        let holder = self.turns.last().map_or(0, |turn| turn.holder);
        if stretch.active & holder != 0 {
            return;
        }
        // Where one took over while the other still spoke, the middle of that; else that of the pause.
        let from = match self.before {
            None => stretch.start,
            Some(before) if before.end == stretch.start && before.active & stretch.active != 0 => {
                before.start
            }
            Some(before) => before.end,
        };
        let lowest = stretch.active & stretch.active.wrapping_neg();
        self.turns.push(Turn { start: from.midpoint(stretch.start) * MOMENT, holder: lowest });
    }

    /// Cuts a stretch into equal parts.
    fn add_parts(&mut self, stretch: Stretch) {
        let Stretch { start, end, active } = stretch;
        let count = (end - start).div_ceil(PART_MAX);
        let sample = |number: u64| start * MOMENT + (end - start) * MOMENT * number / count;
        let speakers = u8::try_from(active.count_ones()).unwrap_or(u8::MAX);
        self.parts.extend((0..count).map(|at| PartSpan {
            start: sample(at),
            end: sample(at + 1),
            speakers,
        }));
    }

    /// Cuts whole parts off a stretch that goes on for long.
    fn release_long_stretch(&mut self) {
        let Some(open) =
            self.open.filter(|open| open.active != 0 && open.end - open.start > STRETCH_MAX)
        else {
            return;
        };
        let whole = (open.end - open.start) / PART_MAX - 1;
        let middle = open.start + whole * PART_MAX;
        self.close_stretch(Stretch { end: middle, ..open });
        self.open = Some(Stretch { start: middle, ..open });
    }
}

/// Numbers the speakers of a window like those of the window before, by when both are active.
fn match_speakers(last: &Activity, activity: &mut Activity) {
    let both = last[FRAMES - OVERLAP..].iter().zip(&activity[..OVERLAP]);
    let mut together = [[0_u32; LOCAL_SPEAKERS]; LOCAL_SPEAKERS];
    for (before, now) in both {
        for (one, row) in together.iter_mut().enumerate() {
            for (other, count) in row.iter_mut().enumerate() {
                *count += u32::from(before >> one & now >> other & 1);
            }
        }
    }
    let agreement = |order: &[usize; LOCAL_SPEAKERS]| -> u32 {
        order.iter().enumerate().map(|(one, other)| together[one][*other]).sum()
    };
    // Of equals the first: the numbers stay as they are.
    let mut best = MATCHES[0];
    for order in MATCHES {
        if agreement(&order) > agreement(&best) {
            best = order;
        }
    }
    for bits in activity {
        *bits =
            (0..LOCAL_SPEAKERS).fold(0, |renamed, one| renamed | (*bits >> best[one] & 1) << one);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the frames of a window that begins at `begin` s, of a talk with these speakers in
    /// each half second; `shift` renames them.
    fn window(talk: &[u8], begin: usize, shift: u32) -> Activity {
        std::array::from_fn(|frame| {
            let half_seconds = 2 * begin + (frame * 20) / FRAMES;
            let active = talk.get(half_seconds).copied().unwrap_or(0);
            (active << shift | active >> (3 - shift)) & 0b111
        })
    }

    /// Returns the timeline of a talk.
    fn timeline(talk: &[u8], shifts: &[u32]) -> (Timeline, Vec<PartSpan>) {
        let mut timeline = Timeline::default();
        let seconds = talk.len() / 2;
        let windows = if seconds > 10 { (seconds - 10).div_ceil(5) + 1 } else { 1 };
        for number in 0..windows {
            let activity = window(talk, 5 * number, shifts[number % shifts.len()]);
            timeline.add_window(activity, seconds as u64 * 16_000);
        }
        timeline.finish(seconds as u64 * 16_000);
        let parts = std::iter::from_fn(|| timeline.take_part()).collect();
        (timeline, parts)
    }

    #[test]
    fn a_change_of_speaker_cuts_and_a_renamed_window_does_not() {
        let talk: Vec<u8> = (0..60).map(|at| if at < 23 { 0b001 } else { 0b010 }).collect();
        let (timeline, parts) = timeline(&talk, &[0, 1, 2]);
        let changes = timeline.changes_within(0..30 * 16_000);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert!(changes[0].abs_diff(23 * 8_000) < 800, "{changes:?}");
        assert!(
            parts.iter().all(|part| part.speakers == 1 && part.end - part.start <= 3 * 16_000),
            "{parts:?}"
        );
        assert!(parts.windows(2).all(|pair| pair[0].end == pair[1].start), "{parts:?}");
    }

    #[test]
    fn who_speaks_at_once_and_for_a_moment_takes_no_turn() {
        // One speaks all the time, another joins in for a second.
        let mut talk = vec![0b001; 20];
        talk[8] = 0b011;
        talk[9] = 0b011;
        assert_eq!(timeline(&talk, &[0]).0.changes_within(0..160_000), Vec::<u64>::new());
        let taken_over: Vec<u8> = (0..20)
            .map(|at| [0b001, 0b011, 0b010][usize::from(at > 7) + usize::from(at > 9)])
            .collect();
        let changes = timeline(&taken_over, &[0]).0.changes_within(0..160_000);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert!(changes[0].abs_diff(72_000) < 800, "in the middle of what both say: {changes:?}");
    }

    #[test]
    fn a_pause_is_halved_between_two() {
        let mut talk = vec![0b001; 20];
        talk[8] = 0;
        talk[9] = 0;
        talk[10..].fill(0b100);
        let changes = timeline(&talk, &[0]).0.changes_within(0..160_000);
        assert!(changes.len() == 1 && changes[0].abs_diff(72_000) < 800, "{changes:?}");
        let changes = timeline(&talk, &[0]).0.changes_within(0..74_000);
        assert_eq!(changes, Vec::<u64>::new(), "too little of the second one");
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn parts_cover_what_is_spoken_once_and_are_short(
            talk in proptest::collection::vec(0_u8..8, 2..200), shifts in proptest::collection::vec(0_u32..3, 1..9)
        ) {
            let (_, parts) = timeline(&talk, &shifts);
            prop_assert!(parts.windows(2).all(|pair| pair[0].end <= pair[1].start));
            prop_assert!(parts.iter().all(|part| part.start < part.end && part.end - part.start <= 3 * 16_000));
            prop_assert!(parts.iter().all(|part| part.end <= talk.len() as u64 / 2 * 16_000));
        }
    }
}

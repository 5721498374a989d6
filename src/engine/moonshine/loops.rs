//! Detection of loops: a model that does not recognise the sound repeats itself.

/// The longest stretch whose repetition is looked for, in tokens.
const STRETCH_MAX: usize = 12;

/// The repetitions of a stretch, and the tokens of them, that make a loop: people do say "no, no,
/// no, no".
const TIMES: usize = 4;
const TOKENS: usize = 8;

/// Returns how many tokens to keep when `tokens` ends in a loop: all up to the end of its first
/// round.
pub(crate) fn end_of_sense(tokens: &[i64]) -> Option<usize> {
    (1..=STRETCH_MAX).find_map(|stretch| {
        let rounds = count_rounds(tokens, stretch);
        (rounds >= TIMES && rounds * stretch >= TOKENS)
            .then(|| tokens.len() - (rounds - 1) * stretch)
    })
}

/// Returns how many times the last `stretch` tokens stand in a row at the end.
fn count_rounds(tokens: &[i64], stretch: usize) -> usize {
    let Some(start) = tokens.len().checked_sub(stretch) else { return 0 };
    let last = &tokens[start..];
    tokens.rchunks_exact(stretch).take_while(|round| *round == last).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_is_cut_after_its_first_round() {
        assert_eq!(end_of_sense(&[7, 8, 1, 2, 1, 2, 1, 2, 1, 2]), Some(4));
        assert_eq!(end_of_sense(&[7, 5, 5, 5, 5, 5, 5, 5, 5]), Some(2));
    }

    #[test]
    fn what_people_say_twice_or_three_times_stays() {
        assert_eq!(end_of_sense(&[1, 2, 3, 1, 2, 3, 1, 2, 3]), None);
        assert_eq!(end_of_sense(&[5, 5, 5, 5]), None);
        assert_eq!(end_of_sense(&[]), None);
    }
}

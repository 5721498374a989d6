//! Proposals to a group: what another person's assent makes a decision.

use std::sync::LazyLock;

use super::{
    answers::Assent,
    cues::{CuePhrases, PhraseHit, WordClass},
    decisions::is_settling,
    fragments::count_content,
    talk::is_meant,
    words::Word,
};

/// A proposal in a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SpokenProposal {
    /// The assent that makes it a decision.
    pub(super) assent: Assent,
    /// True when it only says "that", and leans on what was said before.
    pub(super) leans: bool,
    /// The word with which it begins.
    pub(super) start: usize,
}

const CLASSES: [WordClass; 1] = [("settle", is_settling)];

/// Questions that ask a group to agree.
const ASKED: &str = "
    shall we all? just|then? @settle
    shall we all? just|then? agree|say|decide|settle that|on|to|for|with?
    shall we make the|a decision
    can|could|do we all? agree that|on|to|with?
    are we all? agreed|happy|okay|fine|settled|good on|that|with|about|to
    is everybody|everyone all? okay|happy|fine|good|agreed with|on|about|that
    everybody|everyone okay|happy|fine|agreed with|on|about|that
    so we go|are going for|with
    so it is|will be";

/// Sentences that suggest something to a group.
const SUGGESTED: &str = "
    i|could|would suggest|propose|recommend that? we
    maybe|perhaps i|we? could|would|can? suggest|propose that? we
    maybe|perhaps we should|could @settle
    my|the suggestion|proposal is|would be
    would|might|will be a good idea just? to|if|for
    would|might be better|best to|if
    i think|guess|say we should|could @settle
    we should probably|just|maybe|definitely|rather? @settle
    we do not need|want|have
    no need to|for
    we can|could leave|drop|skip|ignore|remove|forget
    why do not we @settle
    how about we @settle";

/// Sentences that only point at what was said before.
const POINTED: &str = "
    that is what we should|will|can|do
    shall we do that|this|it
    let us do that|this|it like?
    we will do that|this|it then";

static ASKED_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(ASKED, &CLASSES));
static SUGGESTED_ONES: LazyLock<CuePhrases> =
    LazyLock::new(|| CuePhrases::parse(SUGGESTED, &CLASSES));
static POINTED_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(POINTED, &CLASSES));

/// Content words behind a proposal, below which it leans on what was said before.
const CONTENT_MIN: usize = 2;

/// Returns the proposal of a sentence.
pub(super) fn find_proposal(words: &[Word]) -> Option<SpokenProposal> {
    if let Some(hit) = first_meant(&POINTED_ONES, words) {
        let leans = count_content(&words[hit.end..]) < CONTENT_MIN;
        return Some(SpokenProposal { assent: Assent::Any, leans, start: hit.start });
    }
    if let Some(hit) = first_meant(&ASKED_ONES, words) {
        let leans = count_content(&words[hit.start..]) < CONTENT_MIN;
        return Some(SpokenProposal { assent: Assent::Any, leans, start: hit.start });
    }
    first_meant(&SUGGESTED_ONES, words).map(|hit| SpokenProposal {
        assent: Assent::Plain,
        leans: false,
        start: hit.start,
    })
}

fn first_meant(phrases: &CuePhrases, words: &[Word]) -> Option<PhraseHit> {
    phrases.find_hits(words).find(|hit| is_meant(words, hit.start) && !only_goes(words, hit.end))
}

/// Returns whether a proposal ends with "go" and means a way: "shall we go straight to the price?"
fn only_goes(words: &[Word], end: usize) -> bool {
    words[end - 1].norm == "go"
        && !words.get(end).is_some_and(|word| word.is_any(&["with", "for", "ahead"]))
}

#[cfg(test)]
mod tests {
    use super::{super::words::split_words, *};

    fn proposal(text: &str) -> Option<(Assent, bool)> {
        find_proposal(&split_words(text)).map(|found| (found.assent, found.leans))
    }

    #[test]
    fn proposals_to_a_group_are_found() {
        for (text, assent, leans) in [
            ("Shall we agree to paint the door green?", Assent::Any, false),
            ("Are we all happy with the green door?", Assent::Any, false),
            ("Shall we do that, then?", Assent::Any, true),
            ("Is everybody okay with that?", Assent::Any, true),
            ("So that's what we should do.", Assent::Any, true),
            ("I suggest that we paint the door.", Assent::Plain, false),
            ("It would be a good idea to paint the door.", Assent::Plain, false),
        ] {
            assert_eq!(proposal(text), Some((assent, leans)), "{text}");
        }
    }

    #[test]
    fn other_sentences_propose_nothing() {
        for text in [
            "We painted the door.",
            "Shall we go straight to the shed?",
            "He asked if we should paint it.",
            "Do we have paint?",
        ] {
            assert_eq!(proposal(text), None, "{text}");
        }
    }
}

//! Decisions: stated as one, and not as a wish, a report of old times or a question.

use std::{collections::HashSet, sync::LazyLock};

use super::{
    answers::{Assent, assent_before, find_assent, says_no, says_yes},
    cues::{CuePhrases, PhraseHit, WordClass},
    fragments::{breaks_off, count_content, is_fragment},
    procedure::is_procedure,
    proposals::find_proposal,
    sentences::Sentence,
    talk::{TalkSentences, is_meant, is_of_old},
    words::Word,
};

/// Verbs by which a group settles what it does. Not "look", "start", "talk": those only lead on.
const SETTLING: &str = "go use take keep stick stay drop hold postpone delay cancel ship launch release buy hire split prototype pay \
    move reject skip approve accept adopt choose pick close open sell replace remove switch stop sign leave return renew order build \
    extend raise cut limit defer reduce increase merge roll book run rent invest freeze abandon scrap kill proceed commit have do \
    call make put block ban allow charge introduce change offer";

pub(super) fn is_settling(word: &str) -> bool {
    static VERBS: LazyLock<Vec<&str>> = LazyLock::new(|| SETTLING.split_whitespace().collect());
    VERBS.contains(&word)
}

const CLASSES: [WordClass; 2] = [("settle", is_settling), ("any", |_| true)];

/// Phrases that state a decision in any talk.
const STRONG: &str = "
    we have? all? just|now|finally|also|therefore|already? decided|agreed|resolved|chosen|voted
    we have? all? just|now|finally? settled on|for
    i have decided to|that|on|against|not|for
    it is|was hereby|therefore|so? decided|agreed|resolved|approved|settled
    that is|was? then|now? decided|agreed|settled|final
    the|our|my decision is|was to|that|on|not|for
    motion|minutes|budget|proposal|plan|resolution|amendment|report|budget is|are|was|were now|hereby|therefore? approved|adopted|carried|accepted|rejected|passed|ratified
    board|committee|council|assembly has|have? hereby? approves|approved|adopts|adopted|resolves|resolved|rejects|rejected|accepts|accepted|decides|decided
    company|company's|management|client|client's|customer|headquarters|head-office has? now|just|also? decided|agreed that|to|on|against
    motion carries|passes|carried
    is|are agreed|approved|reappointed|adopted
    we approve|resolve|adopt|reject
    we have a deal
    we are all? agreed|settled on|that
    from now on
    we are going ahead with
    we are sticking|going|staying with
    i am going with the|a|an|our|this|that
    the verdict is
    so ordered";

/// Phrases with which a body that answers for itself lays down its position.
const DECLARED: &str = "
    we|government|council|department|board do|does not intend|plan|propose to
    we|government|council|department|board have|has no intention|plans|plan of|to
    we are not going to @settle
    commitment|decision|position|policy @any? @any? @any? @any? @any? is|remains still? firm|final|unchanged";

/// Phrases that state one only in a conversation: a lecture says them of the blackboard. Another
/// person has to agree, or the subject ends there.
const WEAK: &str = "
    let us all? just|then|simply|please? @settle
    let us not
    let us agree|say on|to|that
    we will all? just|then|simply|therefore|definitely? @settle
    we shall @settle
    we will not be?
    we are not going to
    we are just|then|simply|definitely? going to just? @settle
    so|okay|then we are? going? just|simply? @settle
    that is what we will
    that is how we will
    we stick|go|stay with
    going forward we";

/// Beginnings that sound like a decision and only lead on.
const LEADING_ON: &str = "
    let us all? just|then|simply|please? go back|on|around|through|over|to|round|straight|home|first
    let us all? just|then|simply|please? take a|it|another|five|turns|questions|this|that|look
    let us all? just|then|simply|please? make a start
    let us all? just|then|simply|please? make sure
    let us all? just|then|simply|please? do introductions|this|it|that|a|some|lunch
    let us all? just|then|simply|please? move on
    let us all? just|then|simply|please? have a|another|some|lunch|coffee|dinner|breakfast
    let us all? just|then|simply|please? call|run|put|pick|keep|open|close|leave|hold|build|stop in|it|this|that|up|him|her|them|on|going|an|for|here|there|moving|talking
    let us not forget|worry|talk|kid|argue|pretend|rush
    let us say
    we will all? just|then|simply|therefore|definitely? do|have|make|take|go|put|run|leave|hold|open|close|return|pick|keep to|a|some|our|back|on|through|over|into|around|lunch|time|turns|questions|this|in|you|it|up|out|from|by
    we are going to do|have|make|take|go|put|run|call|hold|open|close|pick|keep|build|move|leave|return to|a|some|our|back|on|through|over|into|around|this|in|you|it|up|out|the|from
    we shall do|have|make|take|go|call|return to|a|some|back|on|through|over|the
    so|then|okay we just|simply? do|have|make|take|go|put|run|call|leave|hold|use|pick|open|close|keep|build|move not|to|a|some|our|back|on|through|into|around|this|in|it|up|out|from
    we will not be? be|know|see|have|need|go|get|find|tell|talk|bore|say|hear|forget|come|make|manage|reach|survive|even|believe|reach
    we will|are not be? able
    we are not going to be|know|see|have|need|get|find|talk|make|solve|manage|reach|survive|lie|say
    so|then|okay we do|have";

/// A decision while the talk is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundDecision {
    /// The sentences that state it: one, or more where "that" leans on those before.
    pub(super) first: usize,
    pub(super) last: usize,
    /// The sentence with which another person agrees, where the decision needs it.
    pub(super) assent: Option<usize>,
}

/// Returns the decisions of a talk, in order. `taken` are sentences that are shown as actions.
pub(super) fn find_decisions(talk: &TalkSentences, taken: &HashSet<usize>) -> Vec<FoundDecision> {
    let mut found: Vec<FoundDecision> = Vec::new();
    for at in (0..talk.all.len()).filter(|at| !taken.contains(at)) {
        let decision = if is_stated_decision(talk, at) {
            Some(FoundDecision { first: at, last: at, assent: None })
        } else {
            agreed_proposal(talk, at)
        };
        let fresh =
            decision.filter(|decision| found.last().is_none_or(|last| last.last < decision.first));
        found.extend(fresh);
    }
    found
}

/// Returns whether the sentence at `at` states a decision in so many words.
fn is_stated_decision(talk: &TalkSentences, at: usize) -> bool {
    static STRONG_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(STRONG, &CLASSES));
    static DECLARED_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(DECLARED, &CLASSES));
    let sentence = &talk.all[at];
    let words = &sentence.words;
    // In a speech "that is settled" is a figure of speech.
    let mut strong = STRONG_ONES
        .find_hits(words)
        .filter(|hit| !(talk.speeches && words[hit.start].norm == "that"));
    let is_strong = strong.any(|hit| is_firm(words, &hit)) && !is_of_old(words);
    let is_declared =
        talk.speeches && DECLARED_ONES.find_hits(words).any(|hit| is_firm(words, &hit));
    let is_labelled = is_labelled(words);
    let quotable = words.len() >= WORDS_MIN
        && !breaks_off(sentence)
        && (count_content(words) >= 1 || words.len() >= PLAIN_WORDS_MIN);
    (is_strong || is_declared || is_labelled || (talk.conversation && is_so_be_it(words)))
        && quotable
        && is_upheld(talk, at)
}

/// Returns whether a sentence begins as "Decision: …".
fn is_labelled(words: &[Word]) -> bool {
    words
        .first()
        .is_some_and(|word| word.is_any(&["decision", "decided", "resolved"]) && word.breaks)
}

/// Returns the decision that is proposed in the sentence at `at`, where another person agrees or
/// the subject ends.
fn agreed_proposal(talk: &TalkSentences, at: usize) -> Option<FoundDecision> {
    static WEAK_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(WEAK, &CLASSES));
    static LEADING_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(LEADING_ON, &CLASSES));
    let sentence = &talk.all[at];
    let words = &sentence.words;
    if !talk.conversation || talk.speeches || breaks_off(sentence) {
        return None;
    }
    if let Some(proposal) = find_proposal(words) {
        if is_procedure(&words[proposal.start..]) {
            return None;
        }
        let assent = find_assent(talk, at, proposal.assent)?;
        let first = if proposal.leans { leaned_on(talk, at)? } else { at };
        let whole = first < at || is_whole(sentence);
        return whole.then_some(FoundDecision { first, last: at, assent: Some(assent) });
    }
    let weak = WEAK_ONES.find_hits(words).any(|hit| {
        is_firm(words, &hit)
            && LEADING_ONES.hit_at(words, hit.start).is_none()
            && !is_procedure(&words[hit.start..])
    });
    if !weak || !is_whole(sentence) || sentence.ends_with_question() {
        return None;
    }
    let assent = find_assent(talk, at, Assent::Any).or_else(|| assent_before(talk, at));
    let settled = assent.is_some() || (is_upheld(talk, at) && ends_subject(talk, at));
    settled.then_some(FoundDecision { first: at, last: at, assent })
}

/// Content words that a proposal has at least: with one alone nobody knows what was agreed.
const CONTENT_MIN: usize = 2;

fn is_whole(sentence: &Sentence) -> bool {
    !is_fragment(sentence) && count_content(&sentence.words) >= CONTENT_MIN
}

/// Sentences before "that" in which it has its meaning.
const LEANS_BACK: usize = 3;

/// Returns the sentence of the same speaker on which "shall we do that?" leans.
fn leaned_on(talk: &TalkSentences, at: usize) -> Option<usize> {
    let before = (at.saturating_sub(LEANS_BACK)..at).rev();
    let mut own = before.filter(|place| !talk.all[at].is_by_another(&talk.all[*place]));
    own.find(|place| {
        let sentence = &talk.all[*place];
        is_whole(sentence) && !sentence.ends_with_question() && !is_procedure(&sentence.words)
    })
}

/// Sentences in which a subject ends after its decision.
const ENDS_WITHIN: usize = 4;

/// Returns whether the subject or the talk ends behind the sentence at `at`.
fn ends_subject(talk: &TalkSentences, at: usize) -> bool {
    static ENDING_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(ENDING, &[]));
    let mut next = talk.all.iter().skip(at + 1).take(ENDS_WITHIN);
    at + 1 == talk.all.len() || next.any(|next| ENDING_ONES.is_in(&next.words))
}

/// Phrases that end a subject.
const ENDING: &str = "
    next point|item|topic|question|subject|thing|up
    last|second|third|fourth|final point|item|topic|question|subject|thing is|was
    move|moving on
    anything else
    any other business
    that is it|all|everything for|then|from
    see you
    thank you|everyone|everybody|all";

/// Returns whether a phrase states a decision without doubt after it.
fn is_firm(words: &[Word], hit: &PhraseHit) -> bool {
    is_stated(words, hit.start) && !is_followed_by_doubt(words, hit.end)
}

/// Returns whether a decision that begins at `start` is meant. "That's decided" is a clause of its
/// own, also where speech recognition has set no comma before it.
fn is_stated(words: &[Word], start: usize) -> bool {
    let own = words[start].norm == "that";
    let before = start.checked_sub(1).map(|before| &words[before]);
    let open = before.is_some_and(|before| {
        before.is_any(&[
            "if", "when", "once", "until", "whether", "think", "not", "before", "after", "know",
        ])
    });
    if own { !open } else { is_meant(words, start) }
}

/// Words that a decision in so many words has at least: "we agreed" has no content.
const WORDS_MIN: usize = 3;

/// Words that it has where all of them are common ones: "I've decided against the old ones".
const PLAIN_WORDS_MIN: usize = 6;

/// Returns whether a decision goes on as a doubt: "the decision is still open", "we agreed to think
/// about it".
fn is_followed_by_doubt(words: &[Word], end: usize) -> bool {
    let rest = &words[end..words.len().min(end + 3)];
    rest.iter().any(|word| {
        word.is_any(&[
            "whether",
            "if",
            "open",
            "pending",
            "up",
            "difficult",
            "hard",
            "yours",
            "theirs",
        ])
    })
}

/// Returns whether the sentence has the form "Smaller size it is, then."
fn is_so_be_it(words: &[Word]) -> bool {
    let end =
        words.iter().rposition(|word| !word.is_any(&["then", "okay", "so"])).map_or(0, |at| at + 1);
    let words = &words[..end];
    let short = (3..=8).contains(&words.len());
    let asks = words.first().is_some_and(|word| {
        word.is_any(&[
            "what", "who", "where", "how", "whatever", "which", "as", "that", "like", "if", "no",
            "yes", "yeah",
        ])
    });
    short
        && !asks
        && words.ends_with_norms(&["it", "is"])
        && !words[..words.len() - 2].iter().any(|word| {
            word.breaks || word.is_any(&["what", "how", "that", "think", "know", "guess", "where"])
        })
}

/// Returns whether the decision is not taken back at once; asked as a question it needs a yes.
fn is_upheld(talk: &TalkSentences, at: usize) -> bool {
    let next = talk.all.get(at + 1);
    let refused = next.is_some_and(|next| {
        !talk.all[at].ends_with_question() && says_no(&next.words) && !next.ends_with_question()
    });
    if talk.all[at].ends_with_question() {
        talk.sentences_after(at, 2, 10.0).any(|(_, next)| says_yes(&next.words))
    } else {
        !refused
    }
}

trait EndsWithNorms {
    fn ends_with_norms(&self, norms: &[&str]) -> bool;
}

impl EndsWithNorms for [Word] {
    fn ends_with_norms(&self, norms: &[&str]) -> bool {
        self.len() >= norms.len()
            && self[self.len() - norms.len()..]
                .iter()
                .zip(norms)
                .all(|(word, norm)| word.norm == *norm)
    }
}

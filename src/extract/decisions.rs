//! Decisions: stated as one, and not as a wish, a report of old times or a question.

use std::sync::LazyLock;

use super::{
    cues::{CuePhrases, PhraseHit, WordClass},
    talk::{TalkSentences, is_meant, is_of_old, says_no, says_yes},
    words::Word,
};

/// Verbs by which a group settles what it does. Not "look", "start", "talk": those only lead on.
const SETTLING: &str = "go use take keep stick stay drop hold postpone delay cancel ship launch release buy hire split prototype pay \
    move reject skip approve accept adopt choose pick close open sell replace remove switch stop sign leave return renew order build \
    extend raise cut limit defer reduce increase merge roll book run rent invest freeze abandon scrap kill proceed commit have do \
    call make put block ban allow charge introduce change offer";

fn is_settling(word: &str) -> bool {
    static VERBS: LazyLock<Vec<&str>> = LazyLock::new(|| SETTLING.split_whitespace().collect());
    VERBS.contains(&word)
}

const CLASSES: [WordClass; 1] = [("settle", is_settling)];

/// Phrases that state a decision in any talk.
const STRONG: &str = "
    we have? all? just|now|finally|also|therefore|already? decided|agreed|resolved|chosen|voted
    we have? all? just|now|finally? settled on|for
    i have decided to|that|on|against|not|for
    it is|was hereby|therefore|so? decided|agreed|resolved|approved|settled
    that is|was? then|now? decided|agreed|settled|final
    the|our|my decision is|was
    decision
    motion|minutes|budget|proposal|plan|resolution|amendment|report|budget is|are|was|were now|hereby|therefore? approved|adopted|carried|accepted|rejected|passed|ratified
    board|committee|council|assembly has|have? hereby? approves|approved|adopts|adopted|resolves|resolved|rejects|rejected|accepts|accepted|decides|decided
    motion carries|passes|carried
    is|are agreed|approved|reappointed|adopted
    we approve|resolve|adopt|reject
    we have a deal
    we are all? agreed|settled on|that
    from now on
    we are going ahead with
    we are sticking|going|staying with
    i am going with
    the verdict is
    so ordered";

/// Phrases that state one only in a conversation: a lecture says them of the blackboard.
const WEAK: &str = "
    let us all? just|then|simply|please? @settle
    let us not
    let us agree|say on|to|that
    we will all? just|then|simply|therefore|definitely? @settle
    we shall @settle
    we will not be?
    we are not going to
    we are going to @settle
    so we just|simply? @settle
    then we just|simply? @settle
    okay we just|simply? @settle
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

/// Returns whether the sentence at `at` states a decision.
pub(super) fn is_decision(talk: &TalkSentences, at: usize) -> bool {
    static STRONG_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(STRONG, &CLASSES));
    static WEAK_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(WEAK, &CLASSES));
    static LEADING_ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(LEADING_ON, &CLASSES));
    let sentence = &talk.all[at];
    let words = &sentence.words;
    let is_strong = STRONG_ONES.find_hits(words).any(|hit| is_firm(words, &hit)) && !is_of_old(words);
    let is_agreed = talk.conversation
        && (is_so_be_it(words)
            || WEAK_ONES
                .find_hits(words)
                .any(|hit| is_firm(words, &hit) && LEADING_ONES.hit_at(words, hit.start).is_none()));
    (is_strong || is_agreed) && words.len() >= WORDS_MIN && is_upheld(talk, at)
}

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
        before.is_any(&["if", "when", "once", "until", "whether", "think", "not", "before", "after", "know"])
    });
    if own { !open } else { is_meant(words, start) }
}

/// Words that a decision has at least: "we agreed" and "let's do it" have no content.
const WORDS_MIN: usize = 3;

/// Returns whether a decision goes on as a doubt: "the decision is still open", "we agreed to think
/// about it".
fn is_followed_by_doubt(words: &[Word], end: usize) -> bool {
    let rest = &words[end..words.len().min(end + 3)];
    rest.iter()
        .any(|word| word.is_any(&["whether", "if", "open", "pending", "up", "difficult", "hard", "yours", "theirs"]))
}

/// Returns whether the sentence has the form "Smaller size it is, then."
fn is_so_be_it(words: &[Word]) -> bool {
    let end = words.iter().rposition(|word| !word.is_any(&["then", "okay", "so"])).map_or(0, |at| at + 1);
    let words = &words[..end];
    let short = (3..=8).contains(&words.len());
    let asks = words.first().is_some_and(|word| {
        word.is_any(&[
            "what", "who", "where", "how", "whatever", "which", "as", "that", "like", "if", "no", "yes", "yeah",
        ])
    });
    short
        && !asks
        && words.ends_with_norms(&["it", "is"])
        && !words[..words.len() - 2]
            .iter()
            .any(|word| word.breaks || word.is_any(&["what", "how", "that", "think", "know", "guess", "where"]))
}

/// Returns whether the decision is not taken back at once; asked as a question it needs a yes.
fn is_upheld(talk: &TalkSentences, at: usize) -> bool {
    let next = talk.all.get(at + 1);
    let refused = next
        .is_some_and(|next| !talk.all[at].ends_with_question() && says_no(&next.words) && !next.ends_with_question());
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
            && self[self.len() - norms.len()..].iter().zip(norms).all(|(word, norm)| word.norm == *norm)
    }
}

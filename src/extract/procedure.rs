//! Talk about the meeting itself: who speaks next, slides, breaks, the time that is left.
//!
//! It settles nothing and gives nobody a task: what is agreed that way is over when the meeting is.

use std::{collections::HashSet, sync::LazyLock};

use super::{
    cues::{CuePhrases, WordClass},
    words::Word,
};

/// Verbs that lead a meeting, or what happens in it.
fn is_leading(norm: &str) -> bool {
    static LEADING: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "open opening close closing start starting begin beginning continue resume end ending \
         finish finishing wrap stop chair run lead give giving do doing make making show \
         showing present presenting share have having take taking move moving go going get \
         switch turn skip pause proceed return call hand pass invite let hear hearing discuss \
         reach come adjourn suspend break pose"
            .split_whitespace()
            .collect()
    });
    LEADING.contains(norm)
}

/// Things of which a meeting is made.
fn is_part(norm: &str) -> bool {
    static PARTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "meeting meetings presentation presentations slide slides agenda floor screen mic \
         microphone microphones projector laptop whiteboard powerpoint break lunch coffee round \
         seat seats places introductions introduction petition petitions statement statements \
         speaker speakers questioning interpretation channel session sitting discussion \
         question questions member gentleman recap demo"
            .split_whitespace()
            .collect()
    });
    PARTS.contains(norm)
}

/// Words that may stand between the two.
fn is_between(norm: &str) -> bool {
    static BETWEEN: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "a an the our my your this that these those to with on through for in at of up off over \
         you we us it him her them all just now then next first last second third one another \
         more some short quick quickly brief little honourable hon new from by two three four \
         do have give make off final same uh um functional own"
            .split_whitespace()
            .collect()
    });
    BETWEEN.contains(norm)
}

const CLASSES: [WordClass; 3] = [("lead", is_leading), ("part", is_part), ("between", is_between)];

/// Phrases that begin with a word of their own.
const PROCEDURE: &str = "
    minutes|seconds|time left|remaining
    few|five|ten|two|three|fifteen|twenty|thirty|forty|couple|15|30 more? of? minutes|seconds
    minute|second question|answer
    next slide|point|item|topic|question|speaker|presentation|page|one|part|thing|section
    previous|last|first|second slide|presentation|page
    this|that one|slide|page|section|button
    back to|on this|that|it|the|you|mr|ms|mrs|dr
    go|goes|going|come|move|get|moving|carry|turn now? back|on|through|ahead|over|first|next|last|around|round|along|forward
    go|going to mr|ms|mrs|dr
    go|going now to|over|back|through
    now go|going|move|proceed|continue|hear|turn|return|begin|start
    proceed|turn|move|continue to|with|now
    start|begin|finish|kick|wrap with|by|off|up|here|now|then|from|early
    wrap this|it|things up
    in a|one minute|moment|second|bit|sec
    by|at|until the end of the|this|our meeting|session|call|hour
    time for|is up
    on mute
    say something|that|this|it|again|a|more
    point of order
    has|have|take the floor
    my|his|her|your|our time|turn
    your|my|the area|part|bit|section for now
    up|over|down|in|out|right here
    from here
    switch|swap|change places|seats
    share|sharing my|his|her time
    like to|you? remind|thank|ask|invite|welcome|mention|say|begin|start
    will remind|thank|mention|repeat|suspend|show
    will let you|me|him|her|them
    let me show|explain|say|put|give|start|begin|remind|repeat|clarify|be
    can|could|would|will you see|hear|repeat|say|answer|elaborate|speak|mute|unmute|plug
    can|could|would|will you explain|confirm|clarify|describe that|whether|if|why|how|what|again|it|to?
    can|could|would|will you please? pass|hand|move|switch|turn|press|push|click|scroll|go|come|sit|wait|hold|open|close";

/// Returns whether words are talk about the meeting itself.
pub(super) fn is_procedure(words: &[Word]) -> bool {
    static ONES: LazyLock<CuePhrases> = LazyLock::new(|| CuePhrases::parse(PROCEDURE, &CLASSES));
    ONES.is_in(words) || leads_meeting(words)
}

/// Words between the verb and the part of the meeting that it leads.
const BETWEEN_MAX: usize = 6;

/// Words of content that may be among them: "the weekly meeting".
const OTHERS_MAX: usize = 1;

/// Returns whether a verb that leads has a part of the meeting behind it, with little between.
fn leads_meeting(words: &[Word]) -> bool {
    (0..words.len()).filter(|at| is_leading(&words[*at].norm)).any(|at| {
        let part = words[at + 1..].iter().take(BETWEEN_MAX).position(|word| is_part(&word.norm));
        part.is_some_and(|part| {
            let between = &words[at + 1..at + 1 + part];
            let others = between.iter().filter(|word| !is_between(&word.norm)).count();
            others <= OTHERS_MAX && !between.iter().any(|word| word.breaks)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::{super::words::split_words, *};

    #[test]
    fn talk_about_the_meeting_is_procedure() {
        for text in [
            "We will now open the weekly meeting",
            "Let's go to the next slide",
            "I'll give the floor to Ann",
            "We will have three presentations",
            "I'll let you do your presentation",
            "We have ten minutes left",
            "I'll get back to that",
            "I'll move this one",
            "Can you do one more round?",
            "Then we're going to have lunch",
            "Could you say that again?",
        ] {
            assert!(is_procedure(&split_words(text)), "{text}");
        }
    }

    #[test]
    fn work_is_none() {
        for text in [
            "We will paint the door of the shed",
            "I'll send the figures to the bank",
            "Please write your report in the folder of the team",
            "Can you ask for three offers?",
            "Let's go with the blue one",
        ] {
            assert!(!is_procedure(&split_words(text)), "{text}");
        }
    }
}

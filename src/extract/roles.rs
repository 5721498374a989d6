//! Tasks that are given to a role: "the designer will have to …", "marketing, you're going to be …".

use std::{collections::HashSet, sync::LazyLock};

use super::{
    cues::{CuePhrases, WordClass},
    talk::is_meant,
    tasks::{is_adverb, is_task, is_tasking},
    words::{Word, is_stop},
};

/// A role that is given a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RoleTask {
    /// The name of the role, as it was spoken.
    pub(super) role: String,
    /// The word behind the role.
    pub(super) start: usize,
    /// The word behind the first verb of the task.
    pub(super) end: usize,
}

/// Words that end the name of a role.
fn is_role(norm: &str) -> bool {
    static ROLES: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "designer manager engineer expert developer secretary treasurer director analyst \
         accountant architect editor assistant coordinator officer programmer researcher tester \
         lawyer specialist consultant leader supervisor producer planner administrator team \
         executive"
            .split_whitespace()
            .collect()
    });
    ROLES.contains(norm)
}

/// Departments, which are roles where they are spoken to.
fn is_department(norm: &str) -> bool {
    static DEPARTMENTS: LazyLock<HashSet<&str>> = LazyLock::new(|| {
        "marketing sales finance engineering purchasing support legal design production logistics research"
            .split_whitespace()
            .collect()
    });
    DEPARTMENTS.contains(norm)
}

/// Verbs of work that is given out, beside those that are tasks by themselves.
const DUTIES: [&str; 8] =
    ["think", "focus", "concentrate", "look", "consider", "try", "continue", "come"];

fn is_duty(norm: &str) -> bool {
    DUTIES.contains(&norm) || is_task(norm)
}

fn is_dutying(norm: &str) -> bool {
    is_tasking(norm)
        || norm.strip_suffix("ing").is_some_and(|stem| {
            DUTIES.contains(&stem) || DUTIES.iter().any(|duty| duty.strip_suffix('e') == Some(stem))
        })
}

const CLASSES: [WordClass; 3] = [("duty", is_duty), ("dutying", is_dutying), ("adv", is_adverb)];

/// Phrases behind a role.
const BEHIND_ROLE: &str = "
    going to be @adv? @dutying
    is|are going to be? @duty
    is|are going to be @adv? @dutying
    will @adv? @duty
    will be @adv? @dutying
    will|would have to @duty
    needs|has to @duty
    should @adv? @duty
    to @duty";

/// Phrases behind a role that is spoken to.
const SPOKEN_TO: &str = "
    you are? going to be? @duty
    you are? going to be @adv? @dutying
    you will @adv? @duty
    you will be @adv? @dutying
    you will? have|need to @duty
    you should @adv? @duty
    can|could you please? @duty";

/// Returns the tasks of roles in a sentence.
pub(super) fn find_role_tasks(words: &[Word]) -> Vec<RoleTask> {
    static ROLE_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(BEHIND_ROLE, &CLASSES));
    static SPOKEN_ONES: LazyLock<CuePhrases> =
        LazyLock::new(|| CuePhrases::parse(SPOKEN_TO, &CLASSES));
    let mut found: Vec<RoleTask> = Vec::new();
    for start in 1..words.len() {
        let role = start - 1;
        let named = is_role(&words[role].norm);
        let called = named
            || is_department(&words[role].norm)
            || (words[role].breaks && has_two_capitals(words, role));
        let assigned = ROLE_ONES.hit_at(words, start).filter(|_| named && !words[role].breaks);
        let hit = assigned.or_else(|| SPOKEN_ONES.hit_at(words, start).filter(|_| called));
        let Some(hit) = hit.filter(|_| is_meant(words, role)) else { continue };
        found.push(RoleTask { role: role_name(words, role), start, end: hit.end });
    }
    found
}

fn has_two_capitals(words: &[Word], at: usize) -> bool {
    at > 0
        && words[at].capital
        && words[at - 1].capital
        && !is_stop(&words[at].norm)
        && !is_stop(&words[at - 1].norm)
}

/// Words of the name of a role at most: "user interface designer".
const ROLE_WORDS_MAX: usize = 3;

/// Returns the name of the role that ends at `end`, with capitals: its words that are neither
/// grammar nor behind the end of a clause.
fn role_name(words: &[Word], end: usize) -> String {
    let mut first = end;
    while first > 0
        && end - first + 1 < ROLE_WORDS_MAX
        && !words[first - 1].breaks
        && !is_stop(&words[first - 1].norm)
        && (words[first - 1].capital || !is_department(&words[end].norm))
    {
        first -= 1;
    }
    words[first..=end].iter().map(capitalise_word).collect::<Vec<_>>().join(" ")
}

fn capitalise_word(word: &Word) -> String {
    let mut letters = word.norm.chars();
    let first = letters.next().map(char::to_uppercase);
    first.into_iter().flatten().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::words::split_words, *};

    fn roles(text: &str) -> Vec<String> {
        find_role_tasks(&split_words(text)).into_iter().map(|task| task.role).collect()
    }

    #[test]
    fn a_role_has_its_task() {
        for (text, role) in [
            ("For our Sales Manager, you're gonna be thinking about the prices", "Sales Manager"),
            ("and the garden designer to work on the paths", "Garden Designer"),
            ("Marketing, you're going to be looking at the brochure", "Marketing"),
            ("Our legal team will check the contract", "Legal Team"),
            ("The treasurer has to pay the bill", "Treasurer"),
            (
                "So you will have as the Chief Gardener, you will have to plan the beds",
                "Chief Gardener",
            ),
        ] {
            assert_eq!(roles(text), [role], "{text}");
        }
    }

    #[test]
    fn several_roles_have_theirs_in_one_sentence() {
        let found = roles(
            "Garden Designer going to be preparing the paths, and marketing you're going to write the brochure",
        );
        assert_eq!(found, ["Garden Designer", "Marketing"]);
    }

    #[test]
    fn what_a_role_only_is_or_did_is_no_task() {
        for text in [
            "The designer was here",
            "If the treasurer has to pay the bill we are lost",
            "The manager told us to go",
            "New York will be cold",
        ] {
            assert_eq!(roles(text), Vec::<String>::new(), "{text}");
        }
    }
}

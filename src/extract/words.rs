//! Words as the cues know them: lower case, contractions taken apart, with the place where they
//! stand.

use std::{collections::HashSet, ops::Range, sync::LazyLock};

/// A word of a sentence. `I'll` is two of them in one place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Word {
    /// Lower case, without the punctuation around it, apostrophes straight.
    pub(super) norm: String,
    /// The byte range in the sentence, without the punctuation around it.
    pub(super) range: Range<usize>,
    /// True when it begins with a capital.
    pub(super) capital: bool,
    /// True when a clause ends after it: a comma, a colon, a dash, the end.
    pub(super) breaks: bool,
}

impl Word {
    /// Returns whether it is one of these.
    pub(super) fn is_any(&self, words: &[&str]) -> bool {
        words.contains(&self.norm.as_str())
    }
}

/// Returns the words of a text. Punctuation alone is no word, but it may end a clause.
pub(super) fn split_words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut at = 0;
    for piece in text.split_inclusive(char::is_whitespace) {
        let begin = at;
        at += piece.len();
        let piece = piece.trim_end();
        let bare = piece.trim_matches(|character: char| !character.is_alphanumeric());
        if bare.is_empty() {
            if let Some(last) = words.last_mut() {
                last.breaks |= !piece.is_empty();
            }
            continue;
        }
        let lead = piece.len()
            - piece.trim_start_matches(|character: char| !character.is_alphanumeric()).len();
        let start = begin + lead;
        let breaks =
            piece[lead + bare.len()..].contains([',', ';', ':', '.', '!', '?', '–', '—', '…', ')']);
        push_word(&mut words, bare, start, breaks);
    }
    if let Some(last) = words.last_mut() {
        last.breaks = true;
    }
    words
}

fn push_word(words: &mut Vec<Word>, bare: &str, start: usize, breaks: bool) {
    let capital = bare.chars().next().is_some_and(char::is_uppercase);
    let norm = bare.to_lowercase().replace('\u{2019}', "'");
    let parts = expand_contraction(&norm).unwrap_or_else(|| vec![norm.clone()]);
    let last = parts.len() - 1;
    for (number, norm) in parts.into_iter().enumerate() {
        let range = start..start + bare.len();
        words.push(Word { norm, range, capital, breaks: breaks && number == last });
    }
}

/// Contractions with and without their apostrophe.
const WHOLE: [(&str, &str); 23] = [
    ("won't", "will not"),
    ("wont", "will not"),
    ("can't", "can not"),
    ("cant", "can not"),
    ("cannot", "can not"),
    ("shan't", "shall not"),
    ("dont", "do not"),
    ("didnt", "did not"),
    ("doesnt", "does not"),
    ("isnt", "is not"),
    ("havent", "have not"),
    ("lets", "let us"),
    ("let's", "let us"),
    ("gonna", "going to"),
    ("gotta", "have to"),
    ("wanna", "want to"),
    ("dunno", "do not know"),
    ("im", "i am"),
    ("ive", "i have"),
    ("thats", "that is"),
    ("whats", "what is"),
    ("todo", "to do"),
    ("ok", "okay"),
];

/// Words after which `'s` is `is`; after any other it is a genitive.
const IS: [&str; 15] = [
    "it",
    "that",
    "this",
    "there",
    "here",
    "what",
    "who",
    "where",
    "when",
    "how",
    "he",
    "she",
    "everything",
    "nothing",
    "one",
];

fn expand_contraction(norm: &str) -> Option<Vec<String>> {
    if let Some((_, parts)) = WHOLE.iter().find(|(whole, _)| *whole == norm) {
        return Some(parts.split(' ').map(str::to_owned).collect());
    }
    let (stem, tail) = norm.rsplit_once('\'')?;
    let (first, second) = match tail {
        "ll" => (stem, "will"),
        "ve" => (stem, "have"),
        "re" => (stem, "are"),
        "d" => (stem, "would"),
        "m" => (stem, "am"),
        "t" if stem.len() > 1 && stem.ends_with('n') => (&stem[..stem.len() - 1], "not"),
        "s" if IS.contains(&stem) => (stem, "is"),
        _ => return None,
    };
    Some(vec![first.to_owned(), second.to_owned()])
}

/// Returns whether a word has no content: grammar, fillers, the common verbs of speech.
pub(super) fn is_stop(norm: &str) -> bool {
    static SET: LazyLock<HashSet<&str>> = LazyLock::new(|| STOP.split_whitespace().collect());
    SET.contains(norm)
}

const STOP: &str = "a about above absolutely across actually after again against ago ah all almost alone along already alright also \
    although always am an and another any anybody anymore anyone anything anyway apart are around as ask asked at away back basically be \
    became because become been before began begin behind being believe below best better between big both bring but by bye call came can \
    certain certainly clear close come comes coming completely could course did different do does doing done down each easy either else \
    end enough even ever every everybody everyone everything exactly far few find fine first for found from full gave get gets getting \
    give gives given go goes going gone good got great guess had half happen happened happens has have having he hear heard hello help her here \
    hers hey hi him himself his hm hmm hold how however huh i idea if in indeed instead into is it its itself just keep kind knew know \
    known knows last later least leave less let like liked likes listen little long look looked looking looks lot lots made make \
    makes making many matter may maybe me mean means might mine minute moment more morning most move much must my myself near need \
    needs never new next nice no nobody none nope nor not nothing now obviously of off often oh okay old on once one ones only \
    onto open or other others our ours out over own part people per perfect perhaps please point possible pretty probably put \
    question quite rather really right said same saw say saying says second see seem seemed seems seen set several shall she \
    should show simply since small so some somebody someone something sometimes somewhere soon sorry sort started start starts still \
    stuff such sure take taken takes taking talk talked talking tell than thank thanks that the their theirs them then there \
    these they thing things think thinking third this those though thought three through till time times to today together told \
    tomorrow tonight too took totally toward tried true try trying turn turned two uh um under understand until up upon us use \
    used using usually very want wanted wants was way we well went were what whatever when where whether which while who whole \
    whom whose why will with within without wonderful word words work worked working works would wow yeah year years yep yes \
    yesterday yet you your yours yourself zero monday tuesday wednesday thursday friday saturday sunday january february \
    march april june july august september october november december week weeks month months day days hour hours \
    minutes four five six seven eight nine ten eleven twelve twenty thirty forty fifty sixty hundred thousand million percent \
    afternoon evening night noon bit guys everything's definitely honestly interesting important hard high low stop stopped run \
    running goodbye quick quickly slow slowly able left wait weekend somehow ahead far feel feels felt yours later early late ready \
    hand hope love cool awesome lovely happy sense order meet agree agreed decided item items number numbers send check meeting meetings reason reasons place side \
    mm mmm mhm mm-hmm hmm-mm uh-huh nah yup aye kay cuz cos 'cause alright whoa oops kinda sorta er erm eh \
    mr mrs ms madam sir hon honourable chair";

#[cfg(test)]
mod tests {
    use super::*;

    fn norms(text: &str) -> Vec<String> {
        split_words(text).into_iter().map(|word| word.norm).collect()
    }

    #[test]
    fn contractions_come_apart_and_genitives_stay() {
        assert_eq!(
            norms("I’ll say it's Bo's, won't you?"),
            ["i", "will", "say", "it", "is", "bo's", "will", "not", "you"]
        );
        assert_eq!(norms("lets go, I'd've – x"), ["let", "us", "go", "i'd", "have", "x"]);
    }

    #[test]
    fn a_word_knows_its_place_and_where_its_clause_ends() {
        let found = split_words("“Hello”, Ann — well then");
        let breaks: Vec<_> = found.iter().map(|word| (word.norm.as_str(), word.breaks)).collect();
        assert_eq!(breaks, [("hello", true), ("ann", true), ("well", false), ("then", true)]);
        assert_eq!(&"“Hello”, Ann"[found[0].range.clone()], "Hello");
    }
}

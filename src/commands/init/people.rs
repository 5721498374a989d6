//! The people of a meeting, as a person types them on one line.

use super::document::Person;

/// Returns the people with an address, and the names of those without.
pub(super) fn split_people(typed: &str) -> (Vec<Person>, Vec<String>) {
    let mut people = Vec::new();
    let mut words: Vec<String> = Vec::new();
    for part in split_at_commas(typed) {
        let named = part.strip_suffix('>').and_then(|part| part.rsplit_once('<'));
        let (name, email) = match named {
            Some((name, email)) => (name.trim().trim_matches('"').trim(), email.trim()),
            None if part.contains('@') => (part, part),
            None => {
                if !words.iter().any(|word| word == part) {
                    words.push(part.to_owned());
                }
                continue;
            }
        };
        let name = if name.is_empty() { email } else { name };
        people.push(Person { name: name.to_owned(), email: email.to_owned() });
    }
    (people, words)
}

/// Returns the parts of a list; a comma within quotes parts nothing.
fn split_at_commas(typed: &str) -> Vec<&str> {
    let mut is_quoted = false;
    let parts = typed.split(|letter| {
        is_quoted ^= letter == '"';
        letter == ',' && !is_quoted
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_have_addresses_and_names_alone_are_words() {
        let (people, words) = split_people(
            "Ann Lee <ann@example.com>, \"Chen, Bo\" <bo@example.com>,, Bob, cy@example.com, Bob",
        );
        let people: Vec<_> =
            people.iter().map(|one| (one.name.as_str(), one.email.as_str())).collect();
        assert_eq!(
            people,
            [
                ("Ann Lee", "ann@example.com"),
                ("Chen, Bo", "bo@example.com"),
                ("cy@example.com", "cy@example.com")
            ]
        );
        assert_eq!(words, ["Bob"]);
    }
}

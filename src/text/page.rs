//! The words of a page of HTML or XML: what a proxy or a gateway answers in place of the server behind it.

/// Parts by which a page is told from other text, in lower case.
const MARKS: [&str; 10] = [
    "<html",
    "<!doctype",
    "<?xml",
    "</title>",
    "</body>",
    "</h1>",
    "</h2>",
    "</p>",
    "</center>",
    "</pre>",
];

/// Elements whose content is for no reader.
const UNREAD: [&str; 4] = ["script", "style", "svg", "noscript"];

/// Entities of words. Those of angle brackets stay as they are, so that no word becomes a tag.
const ENTITIES: [(&str, &str); 5] =
    [("&nbsp;", " "), ("&quot;", "\""), ("&#39;", "'"), ("&apos;", "'"), ("&amp;", "&")];

/// The most characters that stand in brackets behind a title: the name of the program that wrote the page.
const ASIDE_CHARS_MAX: usize = 40;

/// Returns the words of a page, its title first; `None` for a text that is no page.
pub(super) fn page_words(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    if !MARKS.iter().any(|mark| lower.contains(mark)) {
        return None;
    }
    let mut title = String::new();
    let mut body = String::new();
    let mut in_title = false;
    let mut at = 0;
    while let Some(found) = next_tag(text, at) {
        let part = if in_title { &mut title } else { &mut body };
        part.push_str(&text[at..found]);
        part.push(' ');
        let name = tag_name(&lower[found..]);
        in_title = name == "title";
        at = if lower[found..].starts_with("<!--") {
            end_after(&lower, found, "-->")
        } else if UNREAD.contains(&name) {
            end_after(&lower, end_after(&lower, found, &format!("</{name}")), ">")
        } else {
            end_after(&lower, found, ">")
        };
    }
    body.push_str(&text[at..]);
    let title = decode_entities(&title);
    let body = decode_entities(&body);
    let rest = if title.is_empty() { body } else { join_words(&body.replace(&title, " ")) };
    Some(match (title.is_empty(), rest.is_empty()) {
        (true, _) => rest,
        (false, true) => title,
        (false, false) if rest.chars().count() <= ASIDE_CHARS_MAX => format!("{title} ({rest})"),
        (false, false) => format!("{title}: {rest}"),
    })
}

/// Returns where the next tag, comment or declaration begins.
fn next_tag(text: &str, from: usize) -> Option<usize> {
    let begins = |after: char| after.is_ascii_alphabetic() || matches!(after, '/' | '!' | '?');
    let mut places = text[from..].match_indices('<').map(|(at, _)| from + at);
    places.find(|at| text[at + 1..].starts_with(begins))
}

/// Returns the name of the tag that `text` begins with; empty for the end of an element.
fn tag_name(text: &str) -> &str {
    let inner = text.strip_prefix('<').unwrap_or(text);
    inner.split(|character: char| !character.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// Returns the place behind the next `end`; the end of the text where there is none.
fn end_after(text: &str, from: usize, end: &str) -> usize {
    text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
}

fn decode_entities(text: &str) -> String {
    join_words(
        &ENTITIES.iter().fold(text.to_owned(), |text, (entity, meant)| text.replace(entity, meant)),
    )
}

/// Returns the words of a text with one space between them, and names of programs without their versions.
fn join_words(text: &str) -> String {
    let named = |word: &'_ str| match word.split_once('/') {
        Some((name, version))
            if is_name(name) && version.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            name.to_owned()
        }
        Some(_) | None => word.to_owned(),
    };
    text.split_whitespace().map(named).collect::<Vec<_>>().join(" ")
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|character| character.is_ascii_alphabetic() || character == '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pages as servers and proxies send them, with the words that are left of each; a new one is a line.
    const PAGES: [(&str, &str); 9] = [
        (
            "<html>\r\n<head><title>504 Gateway Time-out</title></head>\r\n<body>\r\n<center><h1>504 Gateway Time-out</h1></center>\r\n<hr><center>nginx/1.18.0</center>\r\n</body>\r\n</html>\r\n",
            "504 Gateway Time-out (nginx)",
        ),
        (
            "<html><head><title>413 Request Entity Too Large</title></head><body><center><h1>413 Request Entity Too Large</h1></center><hr><center>nginx</center></body></html>",
            "413 Request Entity Too Large (nginx)",
        ),
        (
            "<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>",
            "503 Service Unavailable No server is available to handle this request.",
        ),
        (
            "<!DOCTYPE HTML PUBLIC \"-//IETF//DTD HTML 2.0//EN\"><html><head><title>502 Proxy Error</title></head><body><h1>Proxy Error</h1><p>The proxy server received an invalid response from an upstream server.</p></body></html>",
            "502 Proxy Error: Proxy Error The proxy server received an invalid response from an upstream server.",
        ),
        (
            "<?xml version=\"1.0\"?><Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>",
            "SlowDown Please reduce your rate.",
        ),
        (
            "<title>Sign &amp; in</title><script>alert('<b>')</script><style>p{}</style><!-- > --><p>It&#39;s you&nbsp;",
            "Sign & in (It's you)",
        ),
        ("<h1>Bad\n gateway</h1>", "Bad gateway"),
        ("<html><title>x</title><p a=\"cut off", "x"),
        ("<p>&lt;script&gt;</p>", "&lt;script&gt;"),
    ];

    #[test]
    fn of_a_page_its_words_are_left() {
        for (page, left) in PAGES {
            assert_eq!(page_words(page).as_deref(), Some(left), "{page}");
        }
    }

    #[test]
    fn what_is_no_page_stays_as_it_is() {
        for text in [
            "",
            "a < b and c > d",
            "<|endoftext|>",
            "{\"error\": \"<unk>\"}",
            "use <model> instead",
        ] {
            assert_eq!(page_words(text), None, "{text}");
        }
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn whatever_a_server_says_is_one_short_line_without_tags(
            parts in prop::collection::vec(prop_oneof![
                any::<String>(), prop::sample::select(PAGES.map(|(page, _)| page.to_owned()).to_vec()),
                "(</?[a-zA-Z!?]{1,6}|<!--|-->|>|\"|\u{1b}\\[31m|\u{202e}|\r\n|é|<script>)",
            ], 0..12),
            most in 1_usize..300,
        ) {
            let shown = crate::text::printable_answer(&parts.concat(), most);
            prop_assert!(shown.chars().count() <= most && !shown.contains(crate::text::is_unprintable), "{:?}", shown);
            if let Some(words) = page_words(&parts.concat()) {
                prop_assert_eq!(next_tag(&words, 0), None, "{:?}", words);
            } else {
                prop_assert_eq!(shown, crate::text::one_line(&parts.concat(), most));
            }
        }
    }
}

//! Secrets that do not belong into a config file, and that people put there all the same.
//!
//! Such keys are refused, and messages about them may go to a log, so their values are masked
//! before anything is shown.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{diagnostic::Span, words::did_you_mean};

/// Names of the keys of secrets.
const WORDS: [&str; 5] = ["password", "passwd", "token", "secret", "api_key"];

/// Tables in which an address is a secret: whoever has it reads the calendar, or calls off the alarm.
const SECRET_ADDRESSES: [&str; 2] = ["calendar", "ping"];

/// Returns `source` with `*` for each byte of a secret, so that every other byte keeps its place.
///
/// The tree of a broken file may lack the very line that is broken, so the lines are searched too.
pub(super) fn mask_secrets(source: &str, document: &DeTable<'_>) -> String {
    let mut bytes = source.as_bytes().to_vec();
    for span in in_table(document)
        .into_iter()
        .chain(in_lines(source))
        .filter(|span| source.get(span.clone()).is_some())
    {
        bytes[span]
            .iter_mut()
            .filter(|byte| !matches!(byte, b'\r' | b'\n'))
            .for_each(|byte| *byte = b'*');
    }
    String::from_utf8(bytes).expect("whole characters were replaced")
}

fn is_secret(key: &str) -> bool {
    let key = key.to_lowercase();
    !key.ends_with("_file")
        && (WORDS.iter().any(|word| key.contains(word)) || did_you_mean(&key, WORDS).is_some())
}

fn in_table(table: &DeTable<'_>) -> Vec<Span> {
    let mut spans = Vec::new();
    for (key, value) in table {
        if SECRET_ADDRESSES.contains(&&**key.get_ref()) {
            spans.extend(secret_addresses(value));
        }
        spans.extend(if is_secret(key.get_ref()) { vec![value.span()] } else { in_value(value) });
    }
    spans
}

/// Returns the addresses that somebody wrote into such a table, or into a list of them.
fn secret_addresses(tables: &Spanned<DeValue<'_>>) -> Vec<Span> {
    let list = tables.get_ref().as_array().into_iter().flat_map(|list| list.iter());
    let addresses = list.chain([tables]).filter_map(|table| {
        let table = table.get_ref().as_table()?;
        let (_, value) = table.iter().find(|(key, _)| key.get_ref() == "url")?;
        Some(value.span())
    });
    addresses.collect()
}

fn in_value(value: &Spanned<DeValue<'_>>) -> Vec<Span> {
    match value.get_ref() {
        DeValue::Table(table) => in_table(table),
        DeValue::Array(array) => array.iter().flat_map(in_value).collect(),
        DeValue::String(text) if has_userinfo(text) => vec![value.span()],
        DeValue::String(_)
        | DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_) => Vec::new(),
    }
}

/// Returns whether it is a URL with a user in it, and so perhaps a password.
fn has_userinfo(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// Returns the rest of each line after `password =` and the like.
fn in_lines(source: &str) -> Vec<Span> {
    let mut start = 0;
    let mut spans = Vec::new();
    for line in source.split_inclusive('\n') {
        if let Some(value) = secret_value_start(line) {
            spans.push(start + value..start + line.len());
        }
        start += line.len();
    }
    spans
}

fn secret_value_start(line: &str) -> Option<usize> {
    if has_userinfo(line) && !line.trim_start().starts_with('#') {
        return line.find('=').map(|equals| equals + 1);
    }
    line.match_indices('=').map(|(equals, _)| equals).find_map(|equals| {
        let key = line[..equals]
            .trim_end()
            .rsplit(|c: char| !(c.is_alphanumeric() || c == '_' || c == '-'))
            .next()?;
        (!key.is_empty() && is_secret(key)).then_some(equals + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        mask_secrets(source, DeTable::parse_recoverable(source).0.get_ref())
    }

    #[test]
    fn a_secret_is_hidden_wherever_it_stands_and_however_broken_the_file_is() {
        for text in [
            "smtp = { host = \"a\", password = \"hunter2\" }",
            "password = hunter2",
            "pasword = \"hunter2\"",
            "[a]\nsmtp_password = \"\"\"\nhunter2\"\"\"\n[b",
            "API_KEY = 'hunter2",
            "\"token\" = [\"hunter2\"]\n= broken",
            "base_url = \"https://ann:hunter2@example.com\"",
            "base_url = https://ann:hunter2@example.com",
            "[ping]\nurl = \"https://hc-ping.example/hunter2\"",
            "[[calendar]]\nname = \"work\"\nurl = \"https://a.example/hunter2.ics\"",
        ] {
            let shown = shown(text);
            assert!(!shown.contains("hunter2"), "{shown}");
            assert_eq!(shown.len(), text.len());
        }
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        let text = "password_file = \"smtp-password\"\nemail = \"ann@example.com\"\npath = \"/srv/a\" # https://a.example\n";
        assert_eq!(shown(text), text);
    }
}

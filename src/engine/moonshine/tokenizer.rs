//! `tokenizer.bin`: the text of each token.

use crate::text;

/// Entries of the file; another number is another model.
const ENTRIES: usize = 32_768;

/// Bytes that the file may have: it has 249,974.
pub(crate) const BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The tokens and their bytes.
#[derive(Debug)]
pub(crate) struct Tokenizer {
    entries: Vec<Vec<u8>>,
}

impl Tokenizer {
    /// Reads the file: for each entry a length (one byte; from 128 on two: `n - 128 + 128 · b`),
    /// then its bytes. Returns `None` for another file.
    pub(crate) fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut entries = Vec::with_capacity(ENTRIES);
        while let Some((first, rest)) = bytes.split_first() {
            let (length, rest) = match usize::from(*first) {
                short @ 0..128 => (short, rest),
                long => (long - 128 + 128 * usize::from(*rest.first()?), &rest[1..]),
            };
            entries.push(rest.get(..length)?.to_vec());
            bytes = &rest[length..];
        }
        (entries.len() == ENTRIES).then_some(Self { entries })
    }

    /// Returns the text of `tokens`: one line, single spaces, nothing that a terminal obeys.
    pub(crate) fn tokens_to_text(&self, tokens: &[i64]) -> String {
        let entries =
            tokens.iter().filter_map(|token| self.entries.get(usize::try_from(*token).ok()?));
        let spoken =
            entries.filter(|entry| !is_special(entry)).flatten().copied().collect::<Vec<u8>>();
        let readable = String::from_utf8_lossy(&spoken)
            .replace(['\u{2581}', char::REPLACEMENT_CHARACTER], " ");
        let shown: String =
            readable.chars().map(|c| if text::is_unprintable(c) { ' ' } else { c }).collect();
        shown.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// Returns whether a token is for the program and not for a person: `<s>`, `</s>`, `<unk>`,
/// `<<ST_7>>`.
fn is_special(entry: &[u8]) -> bool {
    matches!(entry, b"<unk>" | b"<s>" | b"</s>")
        || (entry.starts_with(b"<<ST_") && entry.ends_with(b">>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of the right size that begins with these entries.
    fn file(begin: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in begin.iter().copied().chain(std::iter::repeat(&b"x"[..])).take(ENTRIES) {
            match u8::try_from(entry.len()).expect("a short entry") {
                short @ 0..128 => bytes.push(short),
                long => bytes.extend([long, 1]),
            }
            bytes.extend(entry);
        }
        bytes
    }

    #[test]
    fn tokens_become_one_clean_line() {
        let long = [b'y'; 128];
        let entries: [&[u8]; 9] = [
            b"<s>",
            b"</s>",
            "\u{2581}Hello".as_bytes(),
            b",",
            "\u{2581}w\u{f6}rld".as_bytes(),
            b"\x1b[31m",
            b"<<ST_1>>",
            b"\xff",
            &long,
        ];
        let tokenizer = Tokenizer::parse(&file(&entries)).expect("a tokenizer");
        assert_eq!(tokenizer.tokens_to_text(&[0, 2, 3, 4, 5, 6, 7, 1]), "Hello, w\u{f6}rld [31m");
        assert_eq!(tokenizer.tokens_to_text(&[8]).len(), 128);
        assert_eq!(tokenizer.tokens_to_text(&[-1, 99_999]), "");
    }

    #[test]
    fn something_else_is_not_a_tokenizer() {
        let whole = file(&[]);
        assert!(Tokenizer::parse(&whole[..whole.len() - 1]).is_none());
        assert!(Tokenizer::parse(&whole[2..]).is_none());
        assert!(Tokenizer::parse(&[200]).is_none());
    }
}

//! A seal: the hash of a whole text, in that text. While it is whole nobody has edited the file, also where the queue
//! that knew its digest is lost.

use crate::job::Content;

/// The blank in the place of the seal, which the hash covers.
pub(in crate::delivery) const BLANK: &str = "b3-00000000000000000000000000000000";

/// Returns `text` with its seal in the place of the blank at `at`.
pub(in crate::delivery) fn insert_seal(mut text: String, at: usize) -> String {
    let seal = compute_seal(&[text.as_bytes()]);
    text.replace_range(at..at + BLANK.len(), &seal);
    text
}

/// Returns whether the seal at `at` is that of the text around it.
pub(in crate::delivery) fn is_whole(text: &[u8], at: usize) -> bool {
    let Some((before, rest)) = text.split_at_checked(at) else { return false };
    let Some((seal, after)) = rest.split_at_checked(BLANK.len()) else { return false };
    seal == compute_seal(&[before, BLANK.as_bytes(), after]).as_bytes()
}

fn compute_seal(parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    Content::from_hash(&hasher.finalize()).as_str().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_whole_until_a_byte_before_or_after_it_is_another() {
        let text = insert_seal(format!("before {BLANK} after"), 7);
        assert!(is_whole(text.as_bytes(), 7));
        for (from, to) in [("before", "Before"), ("after", "after\n"), ("b3-", "b4-")] {
            assert!(!is_whole(text.replace(from, to).as_bytes(), 7), "{from}");
        }
        assert!(
            !is_whole(b"", 7) && !is_whole(text.as_bytes(), 6) && !is_whole(text.as_bytes(), 30)
        );
    }
}

//! Base64 as RFC 4648 has it, read: signatures and their secrets come so.

/// Returns the bytes of a text; `None` where it is none. Padding may be absent.
#[must_use]
pub(super) fn decoded(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.as_bytes().chunks(4) {
        let value = group.iter().try_fold(0_u32, |value, digit| Some(value << 6 | sextet(*digit)?))?;
        // A last group of two or three digits holds one or two bytes, the first ones.
        let value = value << (6 * (4 - group.len()));
        bytes.extend(&value.to_be_bytes()[1..group.len()]);
    }
    Some(bytes)
}

fn sextet(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_the_vectors_of_the_standard() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg==", "foob"), ("Zm9vYmE=", "fooba")]
        {
            assert_eq!(decoded(text).as_deref(), Some(bytes.as_bytes()), "{text}");
            assert_eq!(
                decoded(text.trim_end_matches('=')).as_deref(),
                Some(bytes.as_bytes()),
                "{text} without padding"
            );
        }
        assert_eq!(decoded("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
        for text in ["Z", "Zm9vY", "Zm9v Yg==", "Zm9-", "====", "Zg===", "é"] {
            assert_eq!(decoded(text), None, "{text}");
        }
    }
}

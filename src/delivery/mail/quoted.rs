//! Quoted-printable (RFC 2045 § 6.7): for text in ASCII a tenth longer than the text, where base64 is a third longer. Pure.

/// The longest line, its soft break included.
const LINE_BYTES: usize = 76;

/// Returns `bytes` in quoted-printable, exactly: a line feed is encoded, and the line broken behind it, so that a reader
/// gets the bytes back and no system changes their line ends.
pub(super) fn quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(bytes.len() + bytes.len() / 8);
    let mut column = 0;
    for (at, byte) in bytes.iter().enumerate() {
        let width = if is_plain(*byte) { 1 } else { 3 };
        if column + width + 1 > LINE_BYTES {
            encoded.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if is_plain(*byte) {
            encoded.push(*byte);
        } else {
            encoded.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        column += width;
        if *byte == b'\n' && at + 1 < bytes.len() {
            encoded.extend_from_slice(b"=\r\n");
            column = 0;
        }
    }
    // A blank at the end of the last line would be lost on the way.
    if let Some(blank) = encoded.pop_if(|last| *last == b' ') {
        encoded.extend_from_slice(format!("={blank:02X}").as_bytes());
    }
    encoded
}

/// Returns whether quoted-printable makes less of `bytes` than base64 does.
pub(super) fn is_shorter(bytes: &[u8]) -> bool {
    let width = |byte: &u8| match byte {
        b'\n' => 6,
        byte if is_plain(*byte) => 1,
        _ => 3,
    };
    let quoted: usize = bytes.iter().map(width).sum();
    // Four characters for three bytes, and a line end each 76 of them.
    let base64 = bytes.len().div_ceil(3) * 4;
    quoted * 75 / 73 < base64 * 78 / 76
}

/// Returns whether a byte stands for itself.
fn is_plain(byte: u8) -> bool {
    (b' '..=b'~').contains(&byte) && byte != b'='
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(encoded: &[u8]) -> Vec<u8> {
        mail_parser::decoders::quoted_printable::quoted_printable_decode(encoded)
            .expect("quoted-printable")
    }

    #[test]
    fn a_line_feed_a_blank_at_the_end_and_all_that_is_not_ascii_are_encoded() {
        let encoded = quoted_printable("a = b\n.\nü ".as_bytes());
        assert_eq!(String::from_utf8_lossy(&encoded), "a =3D b=0A=\r\n.=0A=\r\n=C3=BC=20");
        assert!(
            is_shorter(b"Weekly sales: it goes well.\n") && !is_shorter("שלום עולם".as_bytes())
        );
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_bytes_come_back_and_no_line_is_too_long(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let encoded = quoted_printable(&bytes);
            prop_assert_eq!(decoded(&encoded), bytes);
            prop_assert!(encoded.split(|byte| *byte == b'\n').all(|line| line.len() <= LINE_BYTES + 1));
            prop_assert!(encoded.is_ascii());
        }
    }
}

//! What holds for every file that is offered as a model, for any bytes. Panics where it does not; the tests and `fuzz/`
//! call it.

use super::{HEAD, MAGIC, TOKENS, WIDTH, read_head};

/// A head is one of whisper.cpp's whole and plausible, whatever lies behind it; half a head is none.
pub(crate) fn head(bytes: &[u8]) {
    let Some(head) = read_head(bytes) else { return };
    assert!(bytes.starts_with(&MAGIC.to_le_bytes()), "{head:?}");
    assert!(
        TOKENS.contains(&head.tokens) && WIDTH.contains(&head.sound) && WIDTH.contains(&head.text),
        "{head:?}"
    );
    assert_eq!(read_head(&bytes[..HEAD]), Some(head), "what lies behind it counts");
    assert_eq!(read_head(&bytes[..HEAD - 1]), None, "half a head");
}

//! What holds for every line on the control socket, for any bytes. Panics where it does not; the tests and `fuzz/` feed
//! it.

use super::{Answer, Request};

/// A question that is understood is one line, and is understood again as the same question; no answer panics.
pub(crate) fn line(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(bytes) {
        let line = serde_json::to_vec(&request).expect("a question is JSON");
        assert!(!line.contains(&b'\n'), "{request:?}");
        assert_eq!(serde_json::from_slice::<Request>(&line).ok(), Some(request));
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        serde_json::to_vec(&answer).expect("an answer is JSON");
    }
}

//! Properties of every line on the control socket, for any bytes. Panics where one fails; the tests
//! and `fuzz/` call it.

use super::{Answer, ControlRequest};

/// Checks that a question which parses is one line and parses again as the same question, and that
/// no answer panics.
pub(crate) fn line(bytes: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<ControlRequest>(bytes) {
        let line = serde_json::to_vec(&request).expect("a question is JSON");
        assert!(!line.contains(&b'\n'), "{request:?}");
        assert_eq!(serde_json::from_slice::<ControlRequest>(&line).ok(), Some(request));
    }
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        serde_json::to_vec(&answer).expect("an answer is JSON");
    }
}

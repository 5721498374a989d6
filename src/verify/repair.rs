//! JSON in the answer of a model: wrapped in prose or a fence, with a trailing comma, a line end
//! inside a text, or cut off in the middle.

use serde_json::Value;

/// Braces that are tried as the beginning of the JSON; prose before it seldom has one.
const STARTS_MAX: usize = 16;

/// Levels of nesting that are read: three make the answer.
const DEPTH_MAX: usize = 16;

/// Returns the first object of a text for which `is_wanted` holds, and whether it was cut off. Of
/// one that is cut off all values are there that were complete.
pub(super) fn find_object(text: &str, is_wanted: impl Fn(&Value) -> bool) -> Option<(Value, bool)> {
    let starts = text.match_indices('{').map(|(at, _)| at).take(STARTS_MAX);
    let mut objects = starts.filter_map(|at| {
        let (json, is_cut) = repair(&text[at..])?;
        let value: Value = serde_json::from_str(&json).ok()?;
        is_wanted(&value).then_some((value, is_cut))
    });
    objects.next()
}

/// Returns the JSON value at the beginning of a text, and whether it was cut off: then all brackets
/// are closed after the last complete value of a list or an object.
fn repair(text: &str) -> Option<(String, bool)> {
    let mut out = String::with_capacity(text.len() + 8);
    let mut open: Vec<char> = Vec::new();
    // The length of the output, and what was open there, after the last complete value.
    let mut whole: Option<(usize, Vec<char>)> = None;
    let mut is_text = false;
    let mut is_escaped = false;
    for character in text.chars() {
        if is_text {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => is_text = false,
                _ => {}
            }
            out.push(if character.is_control() { ' ' } else { character });
            continue;
        }
        match character {
            '"' => {
                is_text = true;
                out.push('"');
            }
            '{' | '[' => {
                if open.len() == DEPTH_MAX {
                    return None;
                }
                open.push(if character == '{' { '}' } else { ']' });
                out.push(character);
            }
            '}' | ']' => {
                if open.pop() != Some(character) {
                    return None;
                }
                remove_trailing_comma(&mut out);
                out.push(character);
                if open.is_empty() {
                    return Some((out, false));
                }
                whole = Some((out.len(), open.clone()));
            }
            other => out.push(other),
        }
    }
    let (length, open) = whole?;
    out.truncate(length);
    out.extend(open.iter().rev());
    Some((out, true))
}

fn remove_trailing_comma(out: &mut String) {
    let kept = out.trim_end();
    if let Some(kept) = kept.strip_suffix(',') {
        out.truncate(kept.len());
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_found_in_prose_and_in_a_fence() {
        let wanted = |value: &Value| value.get("a").is_some();
        for text in [
            "{\"a\": [1, 2]}",
            "Here {it} is:\n```json\n{\"a\": [1, 2,],}\n```\nDone.",
            "{\"b\": 1} and {\"a\": [1, 2]} and {\"a\": 3}",
        ] {
            assert_eq!(find_object(text, wanted), Some((json!({"a": [1, 2]}), false)), "{text}");
        }
        assert_eq!(find_object("{\"a\": \"x\ny\"}", wanted), Some((json!({"a": "x y"}), false)));
        assert_eq!(find_object("no JSON at all", wanted), None);
    }

    #[test]
    fn what_is_cut_off_has_its_whole_items() {
        let text = r#"{"a": [{"t": "one", "l": [1]}, {"t": "two", "l": [2]}, {"t": "thr"#;
        let found = find_object(text, |value| value.get("a").is_some());
        assert_eq!(
            found,
            Some((json!({"a": [{"t": "one", "l": [1]}, {"t": "two", "l": [2]}]}), true))
        );
        let cut = r#"{"a": [{"t": "one", "l": [1]}], "b": [{"t": "two", "l": [2"#;
        let found = find_object(cut, |value| value.get("a").is_some());
        assert_eq!(found, Some((json!({"a": [{"t": "one", "l": [1]}]}), true)));
    }
}

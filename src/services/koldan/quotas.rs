//! The limits of the account, and how much of them is left.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::KoldanService;
use crate::{
    http::Request,
    services::{CallError, answers, pacer::Priority},
    text::one_line,
};

/// Limits that are kept of an answer.
const QUOTAS_MAX: usize = 50;

/// Levels of an answer that are searched for limits.
const DEPTH_MAX: u8 = 4;

/// Words in the names of limits that uploads use up. (unknown): the names. Other limits (people,
/// summaries) are not known to block an upload; the server's own refusal says so when they do.
const OF_UPLOADS: [&str; 11] = [
    "transcri", "minute", "second", "hour", "audio", "storage", "file", "upload", "speech",
    "duration", "byte",
];

/// A limit of the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Quota {
    name: String,
    limit: Option<f64>,
    used: Option<f64>,
    available: f64,
}

impl Quota {
    /// Returns whether nothing of it is left. A limit of 0 was never available and is not spent.
    fn is_spent(&self) -> bool {
        self.available <= 0.0 && self.limit.is_none_or(|limit| limit > 0.0)
    }

    fn hinders_uploads(&self) -> bool {
        let name = self.name.to_lowercase();
        self.is_spent() && (name.is_empty() || OF_UPLOADS.iter().any(|word| name.contains(word)))
    }

    fn describe_use(&self) -> String {
        let name = if self.name.is_empty() { "the quota" } else { &self.name };
        match (self.used, self.limit) {
            (Some(used), Some(limit)) => format!("{name}: {used} of {limit} used"),
            (_, Some(limit)) => format!("{name}: {} of {limit} left", self.available),
            (_, None) => format!("{name}: {} left", self.available),
        }
    }
}

impl KoldanService {
    /// Reads the limits of the account; none where Koldan does not show them, or not to this key.
    pub(super) async fn read_quotas(&self) -> Result<Vec<Quota>, CallError> {
        let request = Request::get(&["api", "v1", "quotas"]);
        let answer =
            self.call(request, Priority::High).await.map_err(answers::mark_not_executed)?;
        if !answer.is_success() {
            return Ok(Vec::new());
        }
        Ok(answers::read_json(answer).map(|answer| parse_quotas(&answer)).unwrap_or_default())
    }

    /// Fails while a limit that uploads use up is spent: sending hours of sound would be a costly
    /// way to learn of it.
    pub(super) async fn require_quota(&self) -> Result<(), CallError> {
        let quotas = self.read_quotas().await?;
        let spent: Vec<String> = quotas
            .iter()
            .filter(|quota| quota.hinders_uploads())
            .map(Quota::describe_use)
            .collect();
        if spent.is_empty() {
            return Ok(());
        }
        let message = format!("the account's quota is spent ({})", spent.join("; "));
        // This concerns the account and no recording, even where other uploads succeeded.
        Err(CallError::service_alone(message))
    }
}

/// Describes the limits in a profile, each with a flag that is true where it is spent.
#[must_use]
pub(crate) fn describe_quotas(profile: &Value) -> Vec<(String, bool)> {
    let quotas: Vec<Quota> = serde_json::from_value(profile["quotas"].clone()).unwrap_or_default();
    quotas.iter().map(|quota| (quota.describe_use(), quota.is_spent())).collect()
}

/// Returns the limits of an answer. (unknown): its shape. A limit is an object with the available
/// amount, or with a limit and the used part of it. One without a number, or below 0, is unlimited.
fn parse_quotas(answer: &Value) -> Vec<Quota> {
    let mut found = Vec::new();
    gather_quotas(answer, "", 0, &mut found);
    found.truncate(QUOTAS_MAX);
    found
}

fn gather_quotas(value: &Value, name: &str, depth: u8, found: &mut Vec<Quota>) {
    if depth > DEPTH_MAX || found.len() >= QUOTAS_MAX {
        return;
    }
    match value {
        Value::Array(items) => {
            for item in items {
                gather_quotas(item, name, depth + 1, found);
            }
        }
        Value::Object(fields) => {
            if let Some(quota) = parse_quota(value, name) {
                found.push(quota);
                return;
            }
            for (field, inner) in fields {
                let inner_name = if ["data", "quotas", "items", "content", "results"]
                    .contains(&field.as_str())
                {
                    name
                } else {
                    field
                };
                gather_quotas(inner, inner_name, depth + 1, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn number_at(value: &Value, names: &[&str]) -> Option<f64> {
    names.iter().find_map(|name| value.get(name)?.as_f64()).filter(|number| number.is_finite())
}

fn parse_quota(value: &Value, name: &str) -> Option<Quota> {
    let limit =
        number_at(value, &["limit", "limits", "total", "max"]).filter(|limit| *limit >= 0.0);
    let used = number_at(value, &["used", "usage", "consumed"]);
    if value.get("unlimited").and_then(Value::as_bool).unwrap_or_default() {
        return None;
    }
    let available = number_at(value, &["available", "remaining", "left"]);
    let available = available.or_else(|| Some(limit? - used?))?;
    if limit.is_none() && available < 0.0 {
        return None;
    }
    let own = ["name", "type", "resource", "code", "key", "metric"]
        .iter()
        .find_map(|name| value.get(name)?.as_str());
    Some(Quota { name: one_line(own.unwrap_or(name), 60), limit, used, available })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_read_in_each_shape_that_they_may_have() {
        for answer in [
            json!({"transcriptionMinutes": {"limit": 600, "used": 600, "available": 0}}),
            json!([{"name": "transcriptionMinutes", "limit": 600, "used": 600, "remaining": 0}]),
            json!({"data": {"quotas": [{"type": "transcriptionMinutes", "limit": 600, "used": 600}]}}),
        ] {
            let quotas = parse_quotas(&answer);
            assert!(quotas.len() == 1 && quotas[0].hinders_uploads(), "{quotas:?} of {answer}");
            assert_eq!(quotas[0].describe_use(), "transcriptionMinutes: 600 of 600 used");
        }
        assert!(
            parse_quotas(&json!({"limit": 5, "used": 5}))[0].hinders_uploads(),
            "the only one, without a name"
        );
    }

    #[test]
    fn what_is_not_of_uploads_has_no_end_or_never_was_hinders_none() {
        for answer in [
            json!({"users": {"limit": 1, "used": 1, "available": 0}}),
            json!({"audio": {"limit": -1, "used": 70}}),
            json!({"audio": {"limit": null, "available": -1}}),
            json!({"audio": {"unlimited": true, "available": 0}}),
            json!({"audioTranslation": {"limit": 0, "used": 0, "available": 0}}),
            json!({"audio": {"limit": 10, "used": 3}}),
            json!("soon"),
        ] {
            assert!(!parse_quotas(&answer).iter().any(Quota::hinders_uploads), "{answer}");
        }
    }
}

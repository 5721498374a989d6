//! What is left of the account's limits.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Koldan;
use crate::{
    http::Request,
    services::{CallError, answers, pacer::Priority},
    text::one_line,
};

/// Limits of an answer that are kept.
const QUOTAS_MAX: usize = 50;

/// Levels of an answer that are searched for limits.
const DEPTH_MAX: u8 = 4;

/// Words in the name of a limit that an upload draws on. (unknown): their names; of others (people, summaries) it is not
/// known that they hinder an upload, and the server's own refusal says so when they do.
const OF_UPLOADS: [&str; 11] =
    ["transcri", "minute", "second", "hour", "audio", "storage", "file", "upload", "speech", "duration", "byte"];

/// One limit of the account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Quota {
    name: String,
    limit: Option<f64>,
    used: Option<f64>,
    available: f64,
}

impl Quota {
    /// Whether nothing of it is left; of a limit of 0 there never was anything.
    fn is_spent(&self) -> bool {
        self.available <= 0.0 && self.limit.is_none_or(|limit| limit > 0.0)
    }

    fn hinders_uploads(&self) -> bool {
        let name = self.name.to_lowercase();
        self.is_spent() && (name.is_empty() || OF_UPLOADS.iter().any(|word| name.contains(word)))
    }

    fn told(&self) -> String {
        let name = if self.name.is_empty() { "the quota" } else { &self.name };
        match (self.used, self.limit) {
            (Some(used), Some(limit)) => format!("{name}: {used} of {limit} used"),
            (_, Some(limit)) => format!("{name}: {} of {limit} left", self.available),
            (_, None) => format!("{name}: {} left", self.available),
        }
    }
}

impl Koldan {
    /// Reads the limits of the account; none where Koldan does not tell them, or not to this key.
    pub(super) async fn quotas(&self) -> Result<Vec<Quota>, CallError> {
        let request = Request::get(&["api", "v1", "quotas"]);
        let answer = self.call(request, Priority::High).await.map_err(answers::mark_not_executed)?;
        if !answer.is_success() {
            return Ok(Vec::new());
        }
        Ok(answers::json(answer).map(|answer| read(&answer)).unwrap_or_default())
    }

    /// Holds uploads while a limit is spent that they draw on: to send hours of sound is a dear way to learn of it.
    pub(super) async fn require_quota(&self) -> Result<(), CallError> {
        let quotas = self.quotas().await?;
        let spent: Vec<String> = quotas.iter().filter(|quota| quota.hinders_uploads()).map(Quota::told).collect();
        if spent.is_empty() {
            return Ok(());
        }
        let message = format!("the account's quota is spent ({})", spent.join("; "));
        // It speaks of the account and of no recording, however many others went through.
        Err(CallError::service_alone(message))
    }
}

/// Returns the limits of a profile in words, each with whether it is spent.
#[must_use]
pub fn told(profile: &Value) -> Vec<(String, bool)> {
    let quotas: Vec<Quota> = serde_json::from_value(profile["quotas"].clone()).unwrap_or_default();
    quotas.iter().map(|quota| (quota.told(), quota.is_spent())).collect()
}

/// Returns the limits of an answer. (unknown): its shape; a limit is an object that tells what is available, or a limit
/// and what is used of it. One without a number, or below 0, has no end.
fn read(answer: &Value) -> Vec<Quota> {
    let mut found = Vec::new();
    gather(answer, "", 0, &mut found);
    found.truncate(QUOTAS_MAX);
    found
}

fn gather(value: &Value, name: &str, depth: u8, found: &mut Vec<Quota>) {
    if depth > DEPTH_MAX || found.len() >= QUOTAS_MAX {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| gather(item, name, depth + 1, found)),
        Value::Object(fields) => {
            if let Some(quota) = quota(value, name) {
                found.push(quota);
                return;
            }
            for (field, inner) in fields {
                let inner_name = if ["data", "quotas", "items", "content", "results"].contains(&field.as_str()) {
                    name
                } else {
                    field
                };
                gather(inner, inner_name, depth + 1, found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn quota(value: &Value, name: &str) -> Option<Quota> {
    let number = |names: &[&str]| names.iter().find_map(|name| value.get(name)?.as_f64()).filter(|n| n.is_finite());
    let limit = number(&["limit", "limits", "total", "max"]).filter(|limit| *limit >= 0.0);
    let used = number(&["used", "usage", "consumed"]);
    let left = || Some(limit? - used?);
    let unlimited = value.get("unlimited").and_then(Value::as_bool).unwrap_or_default();
    let available = number(&["available", "remaining", "left"]).or_else(left).filter(|_| !unlimited)?;
    if limit.is_none() && available < 0.0 {
        return None;
    }
    let own = ["name", "type", "resource", "code", "key", "metric"].iter().find_map(|name| value.get(name)?.as_str());
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
            let quotas = read(&answer);
            assert!(quotas.len() == 1 && quotas[0].hinders_uploads(), "{quotas:?} of {answer}");
            assert_eq!(quotas[0].told(), "transcriptionMinutes: 600 of 600 used");
        }
        assert!(read(&json!({"limit": 5, "used": 5}))[0].hinders_uploads(), "the only one, without a name");
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
            assert!(!read(&answer).iter().any(Quota::hinders_uploads), "{answer}");
        }
    }
}

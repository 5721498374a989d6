//! Properties of every answer of PAXS, for any bytes. Each function panics where its property
//! fails; the tests and `fuzz/` call them.

use serde_json::Value;

use super::{reports, wire};
use crate::{
    http::Client,
    job::{Findings, Report, Status},
};

/// The requested meeting.
const MEETING: &str = "93ac7e2d-0000-4000-8000-000000000000";

/// Checks that the ids of an answer stay within their place in an address, that its times are times
/// and that its texts are shown on one line. Returns the reports of the answer.
pub(crate) fn answer(bytes: &[u8]) -> Vec<Report> {
    let answer = crate::http::Answer {
        date: None,
        status: 200,
        retry_after: None,
        location: None,
        content_type: None,
        body: bytes.to_vec().into(),
    };
    let said = crate::services::answers::error_message(&answer);
    assert!(
        !said.is_empty() && said.chars().count() <= 200 && !said.chars().any(char::is_control),
        "{said:?}"
    );
    let Ok(value) = crate::services::answers::read_json(answer) else { return Vec::new() };
    let listed = wire::list_items(value.clone()).unwrap_or_default();
    let ids = [wire::meeting_id(&value), wire::recording_id(&value)].into_iter().flatten();
    let ids =
        ids.chain(listed.iter().filter_map(wire::ListedMeeting::from_item).map(|listed| listed.id));
    let ids = ids.chain(
        wire::parse_attachments(&value)
            .unwrap_or_default()
            .into_iter()
            .map(|attachment| attachment.id),
    );
    ids.for_each(|parse_id| stays_in_its_place(&parse_id));
    let reports = reports::parse_reports(value.clone(), MEETING).unwrap_or_default();
    assert!(reports.is_empty() || !names_another(&value), "of another meeting: {value}");
    reports.iter().for_each(makes_sense);
    reports
}

fn makes_sense(report: &Report) {
    let times =
        report.findings.segments.iter().flat_map(|segment| [segment.start, segment.end]).flatten();
    times.for_each(|at| assert!(at.is_finite() && at >= 0.0, "{at}"));
    assert!(
        report.status == Status::Completed || report.findings == Findings::default(),
        "{report:?}"
    );
    if let Some(error) = &report.error {
        assert!(error.chars().count() <= 500 && !error.chars().any(char::is_control), "{error:?}");
    }
}

/// Returns whether the answer itself, or an item of its list, names another meeting than
/// [`MEETING`].
fn names_another(answer: &Value) -> bool {
    let other = |value: &Value| {
        value.get("session_id").and_then(wire::parse_id).is_some_and(|id| id != MEETING)
    };
    other(answer) || answer.as_array().is_some_and(|items| items.iter().any(other))
}

/// Checks that an id is one segment of an address.
fn stays_in_its_place(id: &str) {
    use std::sync::LazyLock;
    static CLIENT: LazyLock<Client> = LazyLock::new(|| {
        let base = url::Url::parse("https://paxs.example").expect("a URL");
        Client::new(&base, crate::http::CallLimits::new(std::time::Duration::from_secs(1)))
            .expect("a client")
    });
    let url = CLIENT
        .url(&["api", "recordings", id, "analysis"], &[("session_id", id)])
        .expect("an address");
    assert_eq!(url.path_segments().map(Iterator::count), Some(4), "{url}");
    assert!(
        url.path().starts_with("/api/recordings/") && url.path().ends_with("/analysis"),
        "{url}"
    );
    assert_eq!(url.query_pairs().map(|(_, value)| value.into_owned()).collect::<Vec<_>>(), [id]);
    assert_eq!(url.host_str(), Some("paxs.example"));
}

//! Files and details of a recording, for both versions.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{BOT_NAME, MeetingBaas, session::unusable_address, wire};
use crate::{
    clock::elapsed,
    job::Details,
    services::CallError,
    sources::{Availability, RemoteFile},
};

/// A recording that has ended may be without files for so long: they are still being made. Assumed; no document says
/// how long it takes. When it is too short, recordings of long meetings are recorded as lost; `source fetch` takes them.
const FILES_APPEAR_WITHIN: Duration = Duration::from_secs(3_600);

/// The extensions that a file of theirs may have.
const EXTENSIONS: [&str; 9] = ["flac", "wav", "mp3", "m4a", "aac", "opus", "ogg", "mp4", "webm"];

impl MeetingBaas {
    /// Returns the files at these fields, the best first: the field, and the extension that the document says.
    ///
    /// An absent file is `""` in version 1 and `null` in version 2.
    pub(super) fn remote_files(
        &self,
        value: &Value,
        fields: &[(&str, &'static str)],
    ) -> Result<Vec<RemoteFile>, CallError> {
        let fields =
            fields.iter().filter_map(|(name, usual)| Some((wire::text(value, &[name])?, *usual)));
        fields
            .map(|(text, usual)| {
                let url = self.elsewhere.address(text).ok_or_else(unusable_address)?;
                let extension = known_extension(url.path()).unwrap_or(usual);
                Ok(RemoteFile { url, extension })
            })
            .collect()
    }
}

/// Returns the extension that a path has, if it is one of a recording.
fn known_extension(path: &str) -> Option<&'static str> {
    let (_, written) = path.rsplit_once('.')?;
    EXTENSIONS.into_iter().find(|known| known.eq_ignore_ascii_case(written))
}

/// Returns how a recording that ended stands. `reason` says why there is none, where the vendor does.
pub(super) fn availability_of(
    files: Vec<RemoteFile>,
    reason: Option<String>,
    ended: Option<Timestamp>,
    now: Timestamp,
) -> Availability {
    if !files.is_empty() {
        return Availability::Ready(files);
    }
    let appears_yet = ended.is_none_or(|ended| elapsed(ended, now) < FILES_APPEAR_WITHIN);
    match reason {
        Some(reason) => Availability::Lost(reason),
        None if appears_yet => Availability::NotYet,
        None => Availability::Lost("Meeting BaaS has no file of it, or none any more".to_owned()),
    }
}

/// Returns what is known of the meeting: from its event in a calendar, else from what the bot was given.
///
/// A bot's own name is a title only where a person chose it, and its `extra` may hold a better one. People who joined
/// are known by name alone, and without an address nobody is an attendee.
pub(super) fn meeting_details(
    bot: &Value,
    joined: Option<Timestamp>,
    event: Option<&Value>,
) -> Details {
    let of_event = event.and_then(|event| wire::line(event, &["title", "name"]));
    let of_extra = || wire::line(bot.get("extra")?, &["title", "meeting_title", "name"]);
    let of_bot =
        || wire::line(bot, &["bot_name"]).filter(|name| !name.eq_ignore_ascii_case(BOT_NAME));
    let starts = || wire::time(event?, &["start_time"]);
    Details {
        title: of_event.or_else(of_extra).or_else(of_bot),
        date: joined.or_else(starts),
        attendees: event.and_then(wire::read_attendees),
        instruction: None,
        language: None,
        speakers: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    #[test]
    fn files_that_are_not_there_may_come_for_an_hour_and_a_reason_ends_the_wait() {
        let (ended, soon, late) =
            (at("2026-11-22T09:00:00Z"), at("2026-11-22T09:59:00Z"), at("2026-11-22T10:00:00Z"));
        assert_eq!(availability_of(vec![], None, Some(ended), soon), Availability::NotYet);
        assert!(matches!(availability_of(vec![], None, Some(ended), late), Availability::Lost(_)));
        assert_eq!(
            availability_of(vec![], Some("deleted".into()), Some(ended), soon),
            Availability::Lost("deleted".into())
        );
        assert_eq!(availability_of(vec![], None, None, late), Availability::NotYet);
        let file = RemoteFile {
            url: "https://store.example/a".parse().expect("a URL"),
            extension: "flac",
        };
        let ready =
            availability_of(vec![file.clone()], Some("failed later".into()), Some(ended), late);
        assert_eq!(ready, Availability::Ready(vec![file]), "what is there is taken");
    }

    #[test]
    fn the_calendar_knows_better_than_the_bot() {
        let bot = json!({"bot_name": "Sales notes", "extra": {"title": "Deal\u{1b}[31m"}});
        let event = json!({"title": "Weekly sales", "start_time": "2026-11-22T09:00:00Z", "attendees": null});
        let title = |bot: &Value, event| meeting_details(bot, None, event).title;
        assert_eq!(title(&bot, Some(&event)).as_deref(), Some("Weekly sales"));
        assert_eq!(title(&bot, None).as_deref(), Some("Deal\\u{1b}[31m"));
        assert_eq!(
            title(&json!({"bot_name": "Sales notes", "extra": null}), None).as_deref(),
            Some("Sales notes")
        );
        assert_eq!(title(&json!({"bot_name": "Minuted"}), None), None, "a name that says nothing");
        let joined = Some(at("2026-11-22T09:03:00Z"));
        assert_eq!(meeting_details(&bot, joined, Some(&event)).date, joined);
        assert_eq!(
            meeting_details(&bot, None, Some(&event)).date,
            Some(at("2026-11-22T09:00:00Z"))
        );
        assert_eq!(meeting_details(&bot, None, Some(&event)).attendees, None, "the folder's stand");
    }

    #[test]
    fn an_extension_is_the_files_where_it_is_known() {
        assert_eq!(known_extension("/b/output.FLAC"), Some("flac"));
        for path in ["/b/output", "/b/output.exe", "/b.flac/x", ""] {
            assert_eq!(known_extension(path), None, "{path}");
        }
    }
}

//! Meeting BaaS: what is read of it in both versions, what it may answer, and the commands that send bots.

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use jiff::Timestamp;
use minuted::{
    config::{self, SourceApi},
    services::{CallError, pacer::Pacer},
    sources::{Recording, Source as _, Standing, meetingbaas::MeetingBaas},
};
use serde_json::{Value, json};

use crate::support::meetingbaas::{Baas, Bot, Call, Fault, KEY, Spoil, Twist};

/// Both versions.
pub(crate) const BOTH: [SourceApi; 2] = [SourceApi::V1, SourceApi::V2];

/// A vendor, and an account there.
pub(crate) struct Account {
    pub(crate) vendor: Baas,
    pub(crate) client: MeetingBaas,
    pub(crate) api: SourceApi,
    pub(crate) directory: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
}

impl Account {
    pub(crate) fn new(api: SourceApi) -> Self {
        let (vendor, directory) = (Baas::start(), tempfile::tempdir().expect("a directory"));
        let source = config::Source {
            name: "baas".into(),
            api,
            base_url: vendor.base_url().parse().expect("a URL"),
            api_key_file: vendor.give_key(directory.path()),
            into: "sales".into(),
            every: Duration::from_secs(1),
            since: None,
            delete_after: false,
            webhook_secret_file: None,
        };
        let pacer = Arc::new(Pacer::new(NonZeroU32::new(1_000).expect("not 0")));
        let client = MeetingBaas::new(&source, Duration::from_secs(5), pacer).expect("a client");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { vendor, client, api, directory, runtime }
    }

    pub(crate) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// The ids of all pages of what ended since then.
    fn ended(&self, since: Timestamp) -> Result<Vec<String>, CallError> {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.wait(self.client.ended(since, cursor.as_deref()))?;
            found.extend(page.found.into_iter().map(|found| found.id));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    fn recording(&self, id: &str) -> Recording {
        self.wait(self.client.recording(id)).expect("a recording")
    }
}

fn long_ago() -> Timestamp {
    minuted::clock::now() - Duration::from_secs(86_400)
}

fn lost(recording: &Recording) -> &str {
    match &recording.standing {
        Standing::Lost(reason) => reason,
        Standing::NotYet | Standing::Ready(_) => panic!("{recording:?}"),
    }
}

#[test]
fn everything_that_ended_is_listed_once_however_many_pages_there_are() {
    for api in BOTH {
        let account = Account::new(api);
        let ended: BTreeSet<String> =
            (0..7).map(|number| account.vendor.add(Bot::ended(&format!("b{number}")))).collect();
        let failed = account.vendor.add(Bot::failed("nobody"));
        account.vendor.add(Bot::sitting("now", minuted::clock::now()));
        account.vendor.state().page_max = 3;
        let listed = account.ended(long_ago()).expect("a list");
        assert_eq!(listed.len(), 8, "{api:?}");
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), &ended | &BTreeSet::from([failed]), "{api:?}");
        assert_eq!(account.vendor.count(Call::List), 3);
        assert_eq!(account.ended(minuted::clock::now()).expect("a list"), Vec::<String>::new());
    }
}

#[test]
fn a_finished_bot_has_fresh_files_the_words_and_the_people_of_its_event() {
    for api in BOTH {
        let account = Account::new(api);
        let bot = Bot::ended("weekly");
        let calendar = account.vendor.add_calendar("ann@example.com");
        let starts = bot.joined.expect("it joined") - Duration::from_secs(120);
        let people = [("ann@example.com", Some("Ann Lee")), ("bo@example.com", None)];
        let event = account.vendor.add_event(&calendar, "Weekly sales", "weekly", starts, &people);
        let id = account.vendor.add(Bot { event: Some(event), ..bot.clone() });

        let recording = account.recording(&id);
        let Standing::Ready(files) = &recording.standing else { panic!("{recording:?}") };
        let extensions: Vec<_> = files.iter().map(|file| file.extension).collect();
        let audio = if api == SourceApi::V1 { "wav" } else { "flac" };
        assert_eq!(extensions, [audio, "mp4"]);
        assert_eq!(recording.details.title.as_deref(), Some("Weekly sales"));
        assert_eq!(recording.details.date, bot.joined);
        let people = recording.details.attendees.clone().expect("people");
        let people: Vec<_> = people.iter().map(|person| (person.name.as_str(), person.email.as_str())).collect();
        assert_eq!(people, [("Ann Lee", "ann@example.com"), ("bo@example.com", "bo@example.com")]);
        assert_eq!(recording.ended, bot.ended);
        let said = recording.transcript.clone().expect("a transcript");
        assert_eq!(said[1].text, "We decided to ship on Friday.");
        assert_eq!((said[0].speaker.as_deref(), said[0].start, said[0].end), (Some("Ann Lee"), Some(0.5), Some(2.0)));

        let again = account.recording(&id);
        let Standing::Ready(fresh) = &again.standing else { panic!("{again:?}") };
        assert_ne!(fresh[0].url, files[0].url, "an address is made anew each time");
        account.vendor.assert_the_key_stayed_home();
    }
}

#[test]
fn what_goes_on_what_failed_and_what_is_deleted_is_told_apart() {
    for api in BOTH {
        let account = Account::new(api);
        let sitting = account.vendor.add(Bot::sitting("now", long_ago()));
        assert_eq!(account.recording(&sitting).standing, Standing::NotYet);
        let failed = account.vendor.add(Bot::failed("nobody"));
        assert!(lost(&account.recording(&failed)).contains("not accepted into the meeting"));
        let deleted = account.vendor.add(Bot { deleted: true, ..Bot::ended("gone") });
        let reason = account.recording(&deleted);
        assert!(lost(&reason).contains("delete") || lost(&reason).contains("any more"), "{reason:?}");
        assert_eq!(reason.transcript, None);
        let silent = Bot { audio: false, said: Vec::new(), ..Bot::ended("silent") };
        let silent = account.recording(&account.vendor.add(silent));
        let Standing::Ready(files) = &silent.standing else { panic!("{silent:?}") };
        assert_eq!((files.len(), files[0].extension, silent.transcript), (1, "mp4", None));
        let soon = Bot { audio: false, video: false, ended: Some(minuted::clock::now()), ..Bot::ended("soon") };
        assert_eq!(account.recording(&account.vendor.add(soon)).standing, Standing::NotYet, "its files are made");
        // What was recorded before a failure is there all the same.
        let half = Bot { audio: true, ..Bot::failed("half") };
        assert!(matches!(account.recording(&account.vendor.add(half)).standing, Standing::Ready(_)));
        let unknown = account.wait(account.client.recording("6b0c3f1e-0000-4000-8000-00000000ffff"));
        assert!(matches!(unknown, Err(CallError::Refused { status: 404, .. })), "{unknown:?}");
    }
}

#[test]
fn a_bot_that_somebody_else_sent_has_the_event_of_its_address_and_one_that_might_be_another_has_none() {
    let account = Account::new(SourceApi::V2);
    let bot = Bot::ended("room");
    let joined = bot.joined.expect("it joined");
    let id = account.vendor.add(bot);
    let people = [("ann@example.com", Some("Ann Lee"))];
    let calendar = account.vendor.add_calendar("ann@example.com");
    account.vendor.add_event(&calendar, "Another room", "elsewhere", joined, &people);
    account.vendor.add_event(&calendar, "Yesterday", "room", joined - Duration::from_secs(86_400), &people);
    assert_eq!(account.recording(&id).details.attendees, None);
    assert_eq!(account.recording(&id).details.title.as_deref(), Some("room"), "the bot's own name");
    account.vendor.add_event(&calendar, "Sales", "room", joined, &people);
    assert_eq!(account.recording(&id).details.title.as_deref(), Some("Sales"));
    // A colleague has it in the calendar, too.
    let other = account.vendor.add_calendar("bo@example.com");
    account.vendor.add_event(&other, "Sales", "room", joined, &people);
    assert_eq!(account.recording(&id).details.title.as_deref(), Some("Sales"));
    account.vendor.add_event(&other, "Board", "room", joined, &people);
    assert_eq!(account.recording(&id).details.attendees, None, "it might have been the board");
    // A key that sees no calendars sees the bot all the same.
    account.vendor.fail_next(Call::Calendars, Fault::Status(403, "{}".into()));
    assert!(matches!(account.recording(&id).standing, Standing::Ready(_)));
}

#[test]
fn a_copy_is_deleted_once_and_what_is_deleted_already_is_no_error() {
    for api in BOTH {
        let account = Account::new(api);
        let id = account.vendor.add(Bot::ended("weekly"));
        for _ in 0..2 {
            account.wait(account.client.delete(&id)).expect("deleted");
        }
        assert!(account.vendor.state().bot(&id).expect("a bot").deleted);
        lost(&account.recording(&id));
        if api == SourceApi::V2 {
            let sitting = account.vendor.add(Bot::sitting("now", long_ago()));
            let error = account.wait(account.client.delete(&sitting)).expect_err("it goes on");
            assert!(matches!(error, CallError::Unavailable { uncertain: false, .. }), "{error}");
            account.vendor.fail_next(Call::Delete, Fault::Status(409, "{}".into()));
            account.wait(account.client.delete(&id)).expect("nothing is left to delete");
        } else {
            for (status, is_done) in [("noDataFound", true), ("partiallyDeleted", false), ("later", true)] {
                let body = json!({"ok": true, "status": status}).to_string();
                account.vendor.fail_next(Call::Delete, Fault::Status(200, body));
                if account.vendor.count(Call::Delete) < 5 {
                    assert_eq!(account.wait(account.client.delete(&id)).is_ok(), is_done, "{status}");
                }
            }
        }
    }
}

#[test]
fn the_vendors_five_deletions_a_minute_are_never_exceeded() {
    for api in BOTH {
        let account = Account::new(api);
        let ids: Vec<_> = (0..7).map(|number| account.vendor.add(Bot::ended(&format!("b{number}")))).collect();
        let deleted: Vec<_> = ids.iter().map(|id| account.wait(account.client.delete(id))).collect();
        assert_eq!(deleted.iter().filter(|deleted| deleted.is_ok()).count(), 5);
        let Err(CallError::Unavailable { after: Some(after), uncertain: false, .. }) = &deleted[6] else {
            panic!("{deleted:?}")
        };
        assert!(*after > Duration::from_secs(30) && *after <= Duration::from_secs(61), "{after:?}");
        assert_eq!(account.vendor.count(Call::Delete), 5, "the sixth was not even asked for");
    }
}

#[test]
fn an_answer_says_whose_fault_it_is_and_how_long_to_wait() {
    for api in BOTH {
        let account = Account::new(api);
        let id = account.vendor.add(Bot::ended("weekly"));
        let list = || account.wait(account.client.ended(long_ago(), None)).expect_err("a fault");
        account.vendor.fail_next(Call::List, Fault::RetryAfter(429, 17));
        let error = list();
        let CallError::Unavailable { after, uncertain: false, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*after, Some(Duration::from_secs(17)));
        account.vendor.fail_next(Call::List, Fault::RetryAfterInBody(429, 19));
        let error = list();
        let CallError::Unavailable { after, .. } = &error else { panic!("{error:?}") };
        assert_eq!(*after, Some(Duration::from_secs(19)));
        for fault in [
            Fault::Lost,
            Fault::Page,
            Fault::Status(503, "busy".into()),
            Fault::Status(200, "[".into()),
            Fault::Status(200, "7".into()),
            Fault::Status(200, r#"{"success":false,"error":"no","code":"X","statusCode":500}"#.into()),
            Fault::Status(404, String::new()),
            Fault::Status(302, String::new()),
        ] {
            account.vendor.fail_next(Call::List, fault.clone());
            let error = list();
            assert!(matches!(error, CallError::Unavailable { uncertain: false, .. }), "{fault:?}: {error:?}");
        }
        account.vendor.fail_next(Call::Recording, Fault::Page);
        let error = account.wait(account.client.recording(&id)).expect_err("a page");
        assert!(matches!(error, CallError::Unavailable { .. }), "{error}");

        account.vendor.state().sending_only = true;
        let error = list();
        assert!(
            matches!(error, CallError::Forbidden { .. }) && error.to_string().contains("Sending Access"),
            "{error}"
        );
        account.vendor.state().sending_only = false;

        account.vendor.state().key = "mb-new".into();
        let error = list();
        assert!(matches!(error, CallError::SignedOut { .. }), "{error}");
        assert!(!error.to_string().contains(KEY), "{error}");
        account.vendor.give_key(account.directory.path());
        assert_eq!(account.ended(long_ago()).expect("a list"), [id], "a new key is read by itself");
    }
}

#[test]
fn unknown_words_missing_fields_and_other_spellings_are_survived() {
    for api in BOTH {
        let twists = [
            Twist::Add("novelty", json!({"a": [1, 2]})),
            Twist::Put("meeting_platform", json!("webex")),
            Twist::Put("recording_mode", json!("hologram")),
            Twist::Put("transcription_provider", json!("another")),
            Twist::Put("duration", json!("half an hour")),
            Twist::Drop("speakers"),
            Twist::Drop("participants"),
            Twist::Drop("extra"),
            Twist::Drop("tokens"),
            Twist::Drop("meeting_url"),
            Twist::Drop("bot_name"),
            Twist::Drop("created_at"),
            Twist::Drop("transcripts"),
            Twist::Drop("transcription"),
            Twist::Drop("event_uuid"),
            Twist::Drop("artifacts_deleted"),
            Twist::Drop("success"),
            Twist::Rename("next_cursor", "nextCursor"),
            Twist::Rename("cursor", "next_cursor"),
            Twist::Rename("bots", "recent_bots"),
            Twist::Put("speaker", Value::Null),
            Twist::Rename("words", "tokens"),
        ];
        let account = Account::new(api);
        let ids: BTreeSet<String> =
            (0..3).map(|number| account.vendor.add(Bot::ended(&format!("b{number}")))).collect();
        account.vendor.state().page_max = 2;
        for twist in twists {
            account.vendor.state().twists = vec![twist.clone()];
            let listed = account.ended(long_ago()).unwrap_or_else(|error| panic!("{api:?} {twist:?}: {error}"));
            assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), ids, "{api:?} {twist:?}");
            for id in &ids {
                let recording = account.recording(id);
                assert!(matches!(recording.standing, Standing::Ready(_)), "{api:?} {twist:?}: {recording:?}");
            }
        }
        // What cannot be done without is waited for, and nobody is lost.
        for field in ["status", "ended_at", "audio"] {
            account.vendor.state().twists = vec![Twist::Drop(field), Twist::Drop("mp4"), Twist::Drop("video")];
            for id in &ids {
                drop(account.wait(account.client.recording(id)));
            }
        }
        account.vendor.state().twists = vec![Twist::Put("status", json!("levitating"))];
        let standing = account.recording(ids.first().expect("three")).standing;
        assert_eq!(standing == Standing::NotYet, api == SourceApi::V2, "a word that is not known goes on");
    }
}

#[test]
fn a_transcript_that_cannot_be_had_is_asked_for_again_and_one_that_is_none_is_done_without() {
    let account = Account::new(SourceApi::V2);
    let id = account.vendor.add(Bot::ended("weekly"));
    for spoil in [Spoil::Status(503), Spoil::Cut(20), Spoil::Longer(9), Spoil::Redirect(account.vendor.base_url())] {
        account.vendor.spoil_next(spoil.clone());
        let error = account.wait(account.client.recording(&id)).expect_err("a fault");
        assert!(matches!(error, CallError::Unavailable { .. }), "{spoil:?}: {error}");
        assert!(!error.to_string().contains("X-Amz"), "{error}");
    }
    for spoil in [Spoil::Status(403), Spoil::Status(404), Spoil::Page, Spoil::Empty] {
        account.vendor.spoil_next(spoil.clone());
        let recording = account.recording(&id);
        assert_eq!(recording.transcript, None, "{spoil:?}");
        assert!(matches!(recording.standing, Standing::Ready(_)));
    }
    assert!(account.recording(&id).transcript.is_some());
    account.vendor.assert_the_key_stayed_home();
}

#[test]
fn addresses_that_would_send_something_in_the_clear_or_elsewhere_are_not_fetched() {
    let account = Account::new(SourceApi::V2);
    let id = account.vendor.add(Bot::ended("weekly"));
    for address in ["file:///etc/passwd", "ftp://store.example/a", "http://u:p@store.example/a", "no address"] {
        account.vendor.state().twists = vec![Twist::Put("audio", json!(address))];
        let error = account.wait(account.client.recording(&id)).expect_err("no address");
        assert!(matches!(error, CallError::Unavailable { .. }), "{address}: {error}");
    }
}

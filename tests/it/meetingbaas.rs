//! Meeting BaaS: what is read of it in both versions, what it may answer, and the commands that send bots.

use std::{collections::BTreeSet, num::NonZeroU32, sync::Arc, time::Duration};

use jiff::Timestamp;
use minuted::testing::{
    config::{self, SourceApi},
    http::{CallLimits, Elsewhere},
    services::{CallError, FileFault, pacer::Pacer},
    sources::{
        Availability, Recording, RemoteFile, Source as _,
        meetingbaas::{BotSchedule, MeetingBaas},
    },
};
use serde_json::{Value, json};

use crate::support::{
    house::House,
    meetingbaas::{Baas, Bot, Call, Fault, KEY, Spoil, Twist},
};

/// Both versions.
pub(crate) const BOTH: [SourceApi; 2] = [SourceApi::V1, SourceApi::V2];

/// A vendor, and an account there.
pub(crate) struct Account {
    pub(crate) vendor: Baas,
    pub(crate) client: MeetingBaas,
    pub(crate) api: SourceApi,
    pub(crate) directory: tempfile::TempDir,
    source: config::Source,
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
        let client = client(&source);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        Self { vendor, client, api, directory, source, runtime }
    }

    /// A client that knows nothing of what the other did, as after a restart.
    pub(crate) fn another(&self) -> MeetingBaas {
        client(&self.source)
    }

    pub(crate) fn wait<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// The ids of all pages of what ended since then.
    fn ended(&self, since: Timestamp) -> Result<Vec<String>, CallError> {
        let (mut found, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.wait(self.client.list_ended(since, cursor.as_deref()))?;
            found.extend(page.found.into_iter().map(|found| found.id));
            cursor = page.next;
            if cursor.is_none() {
                return Ok(found);
            }
        }
    }

    fn recording(&self, id: &str) -> Recording {
        self.wait(self.client.get_recording(id)).expect("a recording")
    }
}

fn client(source: &config::Source) -> MeetingBaas {
    let pacer = Arc::new(Pacer::new(NonZeroU32::new(1_000).expect("not 0")));
    MeetingBaas::new(source, Duration::from_secs(5), pacer).expect("a client")
}

fn long_ago() -> Timestamp {
    minuted::testing::clock::now() - Duration::from_secs(86_400)
}

fn lost(recording: &Recording) -> &str {
    match &recording.availability {
        Availability::Lost(reason) => reason,
        Availability::NotYet | Availability::Ready(_) => panic!("{recording:?}"),
    }
}

#[test]
fn everything_that_ended_is_listed_once_however_many_pages_there_are() {
    for api in BOTH {
        let account = Account::new(api);
        let ended: BTreeSet<String> =
            (0..7).map(|number| account.vendor.add(Bot::ended(&format!("b{number}")))).collect();
        let failed = account.vendor.add(Bot::failed("nobody"));
        account.vendor.add(Bot::sitting("now", minuted::testing::clock::now()));
        account.vendor.state().page_max = 3;
        let listed = account.ended(long_ago()).expect("a list");
        assert_eq!(listed.len(), 8, "{api:?}");
        assert_eq!(
            listed.into_iter().collect::<BTreeSet<_>>(),
            &ended | &BTreeSet::from([failed]),
            "{api:?}"
        );
        assert_eq!(account.vendor.count(Call::List), 3);
        assert_eq!(
            account.ended(minuted::testing::clock::now()).expect("a list"),
            Vec::<String>::new()
        );
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
        let Availability::Ready(files) = &recording.availability else { panic!("{recording:?}") };
        let extensions: Vec<_> = files.iter().map(|file| file.extension).collect();
        let audio = if api == SourceApi::V1 { "wav" } else { "flac" };
        assert_eq!(extensions, [audio, "mp4"]);
        assert_eq!(recording.details.title.as_deref(), Some("Weekly sales"));
        assert_eq!(recording.details.date, bot.joined);
        let people = recording.details.attendees.clone().expect("people");
        let people: Vec<_> =
            people.iter().map(|person| (person.name.as_str(), person.email.as_str())).collect();
        assert_eq!(people, [("Ann Lee", "ann@example.com"), ("bo@example.com", "bo@example.com")]);
        assert_eq!(recording.ended, bot.ended);
        let said = recording.transcript.clone().expect("a transcript");
        assert_eq!(said[1].text, "We decided to ship on Friday.");
        assert_eq!(
            (said[0].speaker.as_deref(), said[0].start, said[0].end),
            (Some("Ann Lee"), Some(0.5), Some(2.0))
        );

        let again = account.recording(&id);
        let Availability::Ready(fresh) = &again.availability else { panic!("{again:?}") };
        assert_ne!(fresh[0].url, files[0].url, "an address is made anew each time");
        account.vendor.assert_the_key_stayed_home();
    }
}

#[test]
fn what_goes_on_what_failed_and_what_is_deleted_is_told_apart() {
    for api in BOTH {
        let account = Account::new(api);
        let sitting = account.vendor.add(Bot::sitting("now", long_ago()));
        assert_eq!(account.recording(&sitting).availability, Availability::NotYet);
        let failed = account.vendor.add(Bot::failed("nobody"));
        assert!(lost(&account.recording(&failed)).contains("not accepted into the meeting"));
        let deleted = account.vendor.add(Bot { deleted: true, ..Bot::ended("gone") });
        let reason = account.recording(&deleted);
        assert!(
            lost(&reason).contains("delete") || lost(&reason).contains("any more"),
            "{reason:?}"
        );
        assert_eq!(reason.transcript, None);
        let silent = Bot { audio: false, said: Vec::new(), ..Bot::ended("silent") };
        let silent = account.recording(&account.vendor.add(silent));
        let Availability::Ready(files) = &silent.availability else { panic!("{silent:?}") };
        assert_eq!((files.len(), files[0].extension, silent.transcript), (1, "mp4", None));
        let soon = Bot {
            audio: false,
            video: false,
            ended: Some(minuted::testing::clock::now()),
            ..Bot::ended("soon")
        };
        assert_eq!(
            account.recording(&account.vendor.add(soon)).availability,
            Availability::NotYet,
            "its files are made"
        );
        // What was recorded before a failure is there all the same.
        let half = Bot { audio: true, ..Bot::failed("half") };
        assert!(matches!(
            account.recording(&account.vendor.add(half)).availability,
            Availability::Ready(_)
        ));
        let unknown =
            account.wait(account.client.get_recording("6b0c3f1e-0000-4000-8000-00000000ffff"));
        assert!(matches!(unknown, Err(CallError::Refused { status: 404, .. })), "{unknown:?}");
    }
}

#[test]
fn a_bot_that_somebody_else_sent_has_the_event_of_its_address_and_one_that_might_be_another_has_none()
 {
    let account = Account::new(SourceApi::V2);
    let bot = Bot::ended("room");
    let joined = bot.joined.expect("it joined");
    let id = account.vendor.add(bot);
    let people = [("ann@example.com", Some("Ann Lee"))];
    let calendar = account.vendor.add_calendar("ann@example.com");
    account.vendor.add_event(&calendar, "Another room", "elsewhere", joined, &people);
    account.vendor.add_event(
        &calendar,
        "Yesterday",
        "room",
        joined - Duration::from_secs(86_400),
        &people,
    );
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
    assert!(matches!(account.recording(&id).availability, Availability::Ready(_)));
}

#[test]
fn a_copy_is_deleted_once_and_what_is_deleted_already_is_no_error() {
    for api in BOTH {
        let account = Account::new(api);
        let id = account.vendor.add(Bot::ended("weekly"));
        for _ in 0..2 {
            account.wait(account.client.delete_recording(&id)).expect("deleted");
        }
        assert!(account.vendor.state().bot(&id).expect("a bot").deleted);
        lost(&account.recording(&id));
        if api == SourceApi::V2 {
            let sitting = account.vendor.add(Bot::sitting("now", long_ago()));
            let error =
                account.wait(account.client.delete_recording(&sitting)).expect_err("it goes on");
            assert!(matches!(error, CallError::Unavailable { uncertain: false, .. }), "{error}");
            account.vendor.fail_next(Call::Delete, Fault::Status(409, "{}".into()));
            account.wait(account.client.delete_recording(&id)).expect("nothing is left to delete");
        } else {
            for (status, is_done) in
                [("noDataFound", true), ("partiallyDeleted", false), ("later", true)]
            {
                let body = json!({"ok": true, "status": status}).to_string();
                account.vendor.fail_next(Call::Delete, Fault::Status(200, body));
                if account.vendor.count(Call::Delete) < 5 {
                    assert_eq!(
                        account.wait(account.client.delete_recording(&id)).is_ok(),
                        is_done,
                        "{status}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_vendors_five_deletions_a_minute_are_never_exceeded() {
    for api in BOTH {
        let account = Account::new(api);
        let ids: Vec<_> =
            (0..7).map(|number| account.vendor.add(Bot::ended(&format!("b{number}")))).collect();
        let deleted: Vec<_> =
            ids.iter().map(|id| account.wait(account.client.delete_recording(id))).collect();
        assert_eq!(deleted.iter().filter(|deleted| deleted.is_ok()).count(), 5);
        let Err(CallError::Unavailable { after: Some(after), uncertain: false, .. }) = &deleted[6]
        else {
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
        let list =
            || account.wait(account.client.list_ended(long_ago(), None)).expect_err("a fault");
        account.vendor.fail_next(Call::List, Fault::RetryAfter(429, 17));
        let error = list();
        let CallError::Unavailable { after, uncertain: false, .. } = &error else {
            panic!("{error:?}")
        };
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
            Fault::Status(
                200,
                r#"{"success":false,"error":"no","code":"X","statusCode":500}"#.into(),
            ),
            Fault::Status(404, String::new()),
            Fault::Status(302, String::new()),
        ] {
            account.vendor.fail_next(Call::List, fault.clone());
            let error = list();
            assert!(
                matches!(error, CallError::Unavailable { uncertain: false, .. }),
                "{fault:?}: {error:?}"
            );
        }
        account.vendor.fail_next(Call::Recording, Fault::Page);
        let error = account.wait(account.client.get_recording(&id)).expect_err("a page");
        assert!(matches!(error, CallError::Unavailable { .. }), "{error}");

        account.vendor.state().sending_only = true;
        let error = list();
        assert!(
            matches!(error, CallError::Forbidden { .. })
                && error.to_string().contains("Sending Access"),
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
            let listed = account
                .ended(long_ago())
                .unwrap_or_else(|error| panic!("{api:?} {twist:?}: {error}"));
            assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), ids, "{api:?} {twist:?}");
            for id in &ids {
                let recording = account.recording(id);
                assert!(
                    matches!(recording.availability, Availability::Ready(_)),
                    "{api:?} {twist:?}: {recording:?}"
                );
            }
        }
        // What cannot be done without is waited for, and nobody is lost.
        for field in ["status", "ended_at", "audio"] {
            account.vendor.state().twists =
                vec![Twist::Drop(field), Twist::Drop("mp4"), Twist::Drop("video")];
            for id in &ids {
                drop(account.wait(account.client.get_recording(id)));
            }
        }
        account.vendor.state().twists = vec![Twist::Put("status", json!("levitating"))];
        let standing = account.recording(ids.first().expect("three")).availability;
        assert_eq!(
            standing == Availability::NotYet,
            api == SourceApi::V2,
            "a word that is not known goes on"
        );
    }
}

#[test]
fn a_transcript_that_cannot_be_had_is_asked_for_again_and_one_that_is_none_is_done_without() {
    let account = Account::new(SourceApi::V2);
    let id = account.vendor.add(Bot::ended("weekly"));
    for spoil in [
        Spoil::Status(503),
        Spoil::Cut(20),
        Spoil::Longer(9),
        Spoil::Redirect(account.vendor.base_url()),
    ] {
        account.vendor.spoil_next(spoil.clone());
        let error = account.wait(account.client.get_recording(&id)).expect_err("a fault");
        assert!(matches!(error, CallError::Unavailable { .. }), "{spoil:?}: {error}");
        assert!(!error.to_string().contains("X-Amz"), "{error}");
    }
    for spoil in [Spoil::Status(403), Spoil::Status(404), Spoil::Page, Spoil::Empty] {
        account.vendor.spoil_next(spoil.clone());
        let recording = account.recording(&id);
        assert_eq!(recording.transcript, None, "{spoil:?}");
        assert!(matches!(recording.availability, Availability::Ready(_)));
    }
    assert!(account.recording(&id).transcript.is_some());
    account.vendor.assert_the_key_stayed_home();
}

#[test]
fn addresses_that_would_send_something_in_the_clear_or_elsewhere_are_not_fetched() {
    let account = Account::new(SourceApi::V2);
    let id = account.vendor.add(Bot::ended("weekly"));
    for address in
        ["file:///etc/passwd", "ftp://store.example/a", "http://u:p@store.example/a", "no address"]
    {
        account.vendor.state().twists = vec![Twist::Put("audio", json!(address))];
        let error = account.wait(account.client.get_recording(&id)).expect_err("no address");
        assert!(matches!(error, CallError::File(FileFault::Failed(_))), "{address}: {error}");
    }
}

/// A house with a source of this version.
struct Sourced {
    house: House,
    vendor: Baas,
}

impl Sourced {
    fn new(api: &str) -> Self {
        let (house, vendor) = (House::new(), Baas::start());
        vendor.give_key(house.dir.path());
        house.configure_all("", "", &vendor.source(api, "sales", "name = \"baas\""));
        Self { house, vendor }
    }

    /// What a command that fails says.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.house.run(arguments);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        String::from_utf8(output.stderr).expect("UTF-8")
    }

    /// What a command shows to a person.
    fn shown(&self, arguments: &[&str]) -> String {
        let output = self.house.run(arguments);
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
    }
}

const MEETING: &str = "https://meet.example/abc-defg";

#[test]
fn a_bot_is_sent_seen_and_called_back() {
    for api in ["v1", "v2"] {
        let sourced = Sourced::new(api);
        let joined =
            sourced.house.json(&["bot", "join", MEETING, "--name", "Notes", "--transcribe"]);
        let id = joined["bot"].as_str().expect("an id").to_owned();
        assert_eq!((&joined["source"], &joined["at"]), (&json!("baas"), &Value::Null));
        {
            let mut state = sourced.vendor.state();
            let bot = state.bot(&id).expect("a bot");
            assert_eq!(
                (bot.name.as_str(), bot.meeting_url.as_str(), bot.transcribed),
                ("Notes", MEETING, true)
            );
        }
        let listed = sourced.house.json(&["bot", "list"]);
        assert_eq!((&listed[0]["id"], &listed[0]["ended"]), (&json!(id), &Value::Null));
        assert!(sourced.shown(&["bot", "list"]).contains(MEETING));
        // A second one would sit in the same meeting.
        let again = sourced.refused(&["bot", "join", MEETING]);
        assert!(again.contains("409"), "{again}");
        assert_eq!(sourced.shown(&["bot", "leave", &id]), format!("bot {id} leaves\n"));
        assert!(sourced.vendor.state().bot(&id).expect("a bot").ended.is_some());
        let unknown = sourced.refused(&["bot", "leave", "6b0c3f1e-0000-4000-8000-00000000ffff"]);
        assert!(unknown.contains("hint: minuted bot list"), "{unknown}");
        assert_eq!(sourced.vendor.state().bots.len(), 1);
    }
}

#[test]
fn a_bot_that_is_to_join_later_is_seen_and_can_be_called_back() {
    let sourced = Sourced::new("v2");
    let at = (minuted::testing::clock::now() + Duration::from_secs(86_400)).to_string();
    let id = sourced.house.json(&["bot", "join", MEETING, "--at", &at])["bot"]
        .as_str()
        .expect("an id")
        .to_owned();
    assert_eq!(sourced.vendor.state().planned[0].at.to_string(), at);
    let listed = sourced.house.json(&["bot", "list"]);
    assert_eq!((&listed[0]["id"], &listed[0]["status"]), (&json!(id), &json!("scheduled")));
    sourced.shown(&["bot", "leave", &id]);
    assert!(sourced.vendor.state().planned.is_empty() && sourced.vendor.state().bots.is_empty());
    let late = sourced.refused(&["bot", "join", MEETING, "--at", "2020-01-01 09:00"]);
    assert!(late.contains("`2020-01-01 09:00` is over"), "{late}");
    let odd = sourced.refused(&["bot", "join", "meet.example/abc"]);
    assert!(
        odd.contains("is not the address of a meeting")
            && odd.contains("hint: copy the whole link"),
        "{odd}"
    );
    assert_eq!(sourced.vendor.count(Call::Join), 1);
}

#[test]
fn a_bot_whose_answer_is_lost_is_not_sent_again_and_the_person_is_told_where_to_look() {
    for (api, fault) in
        [("v1", Fault::Lost), ("v2", Fault::Lost), ("v2", Fault::Page), ("v1", Fault::Page)]
    {
        let sourced = Sourced::new(api);
        sourced.vendor.fail_next(Call::Join, fault);
        let told = sourced.refused(&["bot", "join", MEETING]);
        assert!(told.contains("a bot may have been sent all the same"), "{told}");
        assert!(
            told.contains(
                "hint: minuted bot list shows the bots that there are, before you try again"
            ),
            "{told}"
        );
        assert_eq!((sourced.vendor.count(Call::Join), sourced.vendor.state().bots.len()), (1, 1));
        // A refusal is certain: nothing is said of a bot.
        sourced
            .vendor
            .fail_next(Call::Join, Fault::Status(402, r#"{"message":"no tokens left"}"#.into()));
        let told = sourced.refused(&["bot", "join", MEETING]);
        assert!(told.contains("no tokens left") && !told.contains("all the same"), "{told}");
    }
}

#[test]
fn a_command_that_dies_at_an_effect_leaves_one_of_everything_to_the_person_who_repeats_it() {
    for (api, side) in [("v1", "before"), ("v1", "after"), ("v2", "before"), ("v2", "after")] {
        let sourced = Sourced::new(api);
        let calendar = sourced.vendor.add_calendar("ann@example.com");
        let starts = minuted::testing::clock::now() + Duration::from_secs(86_400);
        let event = sourced.vendor.add_event(&calendar, "Board", "board", starts, &[]);
        let ended = sourced.vendor.add(Bot::ended("weekly"));
        let dies = |effect: &str, arguments: &[&str]| {
            let mut command = sourced.house.command(arguments);
            let ended =
                command.env("MINUTED_DIE", format!("{effect}:{side}")).output().expect("run");
            assert_eq!(ended.status.code(), None, "{effect}:{side}: killed");
            // The person repeats it, and may be told that it was done.
            sourced.house.run(arguments);
        };
        dies("SendBot", &["bot", "join", MEETING]);
        let bots = sourced.vendor.state().bots.clone();
        let sent: Vec<_> = bots.iter().filter(|bot| bot.meeting_url == MEETING).collect();
        assert_eq!(sent.len(), 1, "{api} {side}");
        dies("RecallBot", &["bot", "leave", &sent[0].id]);
        assert!(sourced.vendor.state().bot(&sent[0].id).expect("a bot").ended.is_some());
        dies("ScheduleBot", &["calendar", "schedule", &event]);
        assert!(sourced.vendor.state().events[0].bot.is_some());
        dies("UnscheduleBot", &["calendar", "unschedule", &event]);
        assert!(sourced.vendor.state().events[0].bot.is_none());
        if api == "v1" {
            dies("Retranscribe", &["bot", "retranscribe", &ended]);
            assert!(sourced.vendor.state().retranscribed.contains(&ended));
        }
    }
}

#[test]
fn a_recording_is_transcribed_again_where_the_version_can_and_the_other_says_that_it_cannot() {
    let sourced = Sourced::new("v1");
    let id = sourced.vendor.add(Bot::ended("weekly"));
    assert!(sourced.shown(&["bot", "retranscribe", &id]).contains("is transcribed again"));
    assert_eq!(sourced.vendor.state().retranscribed, [id]);
    let sourced = Sourced::new("v2");
    let told = sourced.refused(&["bot", "retranscribe", "6b0c3f1e-0000-4000-8000-000000000001"]);
    assert!(
        told.contains("version 2 of Meeting BaaS has no call that transcribes again"),
        "{told}"
    );
    assert_eq!(sourced.vendor.state().calls, []);
}

#[test]
fn what_is_to_come_is_listed_and_a_bot_is_planned_for_it_and_taken_away() {
    for api in ["v1", "v2"] {
        let sourced = Sourced::new(api);
        assert!(sourced.shown(&["calendar", "list"]).contains("no calendar is connected"));
        let calendar = sourced.vendor.add_calendar("ann@example.com");
        let now = minuted::testing::clock::now();
        let day = Duration::from_secs(86_400);
        sourced.vendor.add_event(&calendar, "Yesterday", "x", now - day, &[]);
        let late =
            sourced.vendor.add_event(&calendar, "Board\u{1b}[31m", "board", now + 2 * day, &[]);
        let event = sourced.vendor.add_event(&calendar, "Weekly", "weekly", now + day, &[]);
        let other = sourced.vendor.add_calendar("bo@example.com");
        sourced.vendor.state().page_max = 1;

        let listed = sourced.house.json(&["calendar", "list"]);
        let emails: Vec<_> =
            listed.as_array().expect("a list").iter().map(|item| item["email"].clone()).collect();
        assert_eq!(emails, ["ann@example.com", "bo@example.com"]);
        let events = sourced.house.json(&["calendar", "events"]);
        let ids: Vec<_> =
            events.as_array().expect("a list").iter().map(|item| item["id"].clone()).collect();
        assert_eq!(ids, [event.clone(), late], "{api}");
        assert_eq!(sourced.house.json(&["calendar", "events", &other]), json!([]));
        let shown = sourced.shown(&["calendar", "events", &calendar]);
        assert!(shown.contains("Weekly") && !shown.contains('\u{1b}'), "{shown:?}");

        assert_eq!(
            sourced.shown(&["calendar", "schedule", &event, "--name", "Notes"]),
            format!("event {event} has a bot\n")
        );
        let planned = sourced.vendor.state().events[2].bot.clone().expect("planned");
        assert_eq!(planned.0, "Notes");
        if api == "v2" {
            assert_eq!(planned.1["minuted"], json!({ "calendar_id": calendar, "event_id": event }));
        }
        assert_eq!(sourced.house.json(&["calendar", "events"])[0]["bot"], true);
        sourced.shown(&["calendar", "unschedule", &event]);
        assert_eq!(sourced.vendor.state().events[2].bot, None);
        let unknown =
            sourced.refused(&["calendar", "schedule", "6b0c3f1e-0000-4000-8000-00000000ffff"]);
        assert!(unknown.contains("hint: minuted calendar events"), "{unknown}");
    }
}

#[test]
fn a_bot_that_minuted_planned_brings_the_people_of_its_event() {
    let account = Account::new(SourceApi::V2);
    let calendar = account.vendor.add_calendar("ann@example.com");
    let starts = minuted::testing::clock::now() + Duration::from_secs(86_400);
    let event = account.vendor.add_event(
        &calendar,
        "Board",
        "board",
        starts,
        &[("bo@example.com", Some("Bo Chen"))],
    );
    let plan = BotSchedule { name: "Notes", transcribe: false, whole_series: false };
    account.wait(account.client.schedule_bot(&event, &plan)).expect("planned");
    let (name, extra) = account.vendor.state().events[0].bot.clone().expect("a bot");
    // It met under another address: the calendar's was a short one.
    let id = account.vendor.add(Bot { name, extra, ..Bot::ended("elsewhere") });
    let details = account.recording(&id).details;
    assert_eq!(details.title.as_deref(), Some("Board"));
    assert_eq!(details.attendees.expect("people")[0].email, "bo@example.com");
}

#[test]
fn whoever_names_no_source_or_one_that_is_not_there_is_told_which_there_are() {
    let sourced = Sourced::new("v2");
    let told = sourced.refused(&["bot", "list", "--source", "bass"]);
    assert!(
        told.contains("there is no source `bass`") && told.contains("hint: the sources are: baas"),
        "{told}"
    );
    let two = sourced.vendor.source("v1", "sales", "name = \"old\"")
        + &sourced.vendor.source("v2", "sales", "name = \"new\"");
    sourced.house.configure_all("", "", &two);
    let told = sourced.refused(&["bot", "list"]);
    assert!(told.contains("hint: name one by --source: old, new"), "{told}");
    sourced.shown(&["bot", "list", "--source", "old"]);
    sourced.house.configure("");
    let told = sourced.refused(&["calendar", "list"]);
    assert!(
        told.contains("no source is configured") && told.contains("hint: add a [[source]]"),
        "{told}"
    );
}

#[test]
fn a_check_says_what_is_the_matter_with_a_source() {
    for api in ["v1", "v2"] {
        let sourced = Sourced::new(api);
        let finding = |subject: &str| {
            let output = sourced.house.run(&["check", "--json"]);
            let all: Value = serde_json::from_slice(&output.stdout).expect("JSON");
            let found = all
                .as_array()
                .expect("a list")
                .iter()
                .find(|finding| finding["subject"] == subject)
                .cloned();
            let found = found.unwrap_or_else(|| panic!("{subject}: {all}"));
            assert!(!found.to_string().contains(KEY), "{found}");
            found
        };
        let works = finding("source baas");
        assert_eq!((&works["level"], &works["hint"]), (&json!("ok"), &Value::Null), "{works}");
        assert_eq!(finding("source baas, into")["level"], "ok");

        sourced.vendor.state().sending_only = true;
        let forbidden = finding("source baas");
        assert!(
            forbidden["message"].as_str().expect("a text").contains("Sending Access"),
            "{forbidden}"
        );
        assert!(
            forbidden["hint"].as_str().expect("a text").contains("make a key with full access"),
            "{forbidden}"
        );
        sourced.vendor.state().sending_only = false;

        sourced.vendor.state().key = "mb-new".into();
        let refused = finding("source baas");
        assert_eq!(refused["level"], "error");
        assert!(
            refused["hint"].as_str().expect("a text").contains(&format!("api = \"{api}\"")),
            "{refused}"
        );

        std::fs::remove_file(sourced.house.dir.path().join("baas-key")).expect("removed");
        let missing = finding("source baas");
        assert!(
            missing["message"].as_str().expect("a text").contains("cannot be read"),
            "{missing}"
        );
    }
}

#[test]
fn the_files_lie_at_another_origin_for_whoever_knows_an_address_that_has_not_expired() {
    for api in BOTH {
        let account = Account::new(api);
        let bot = Bot::sitting("weekly", minuted::testing::clock::now());
        let id = account.vendor.add(bot);
        account.vendor.end(&id);
        let files = || match account.recording(&id).availability {
            Availability::Ready(files) => files,
            Availability::NotYet | Availability::Lost(_) => panic!("it is ready"),
        };
        let base = account.vendor.base_url().parse().expect("a URL");
        let store =
            Elsewhere::new(&base, CallLimits::new(Duration::from_secs(5))).expect("a client");
        let get = |file: &RemoteFile| account.wait(store.get(&file.url, 1_000_000));
        for spoil in [None, Some(Spoil::NoLength), Some(Spoil::Slow(3, Duration::from_millis(5)))] {
            let files = files();
            if let Some(spoil) = spoil {
                account.vendor.spoil_always(spoil);
            }
            for file in &files {
                assert_ne!(file.url.origin().ascii_serialization(), account.vendor.base_url());
                let answer = get(file).expect("an answer");
                let own = account.vendor.state().bot(&id).expect("a bot").recorded(file.extension);
                assert_eq!((answer.status, answer.body.len()), (200, own.len()));
                assert!(answer.body == own);
            }
            account.vendor.clear_faults();
        }
        assert!(
            account.vendor.downloads(".mp4") == 3 && account.vendor.downloads("output.exe") == 0
        );
        let files = files();
        account.vendor.expire_addresses();
        assert_eq!(get(&files[0]).expect("an answer").status, 403);
        account.vendor.fail_always(Call::Recording, Fault::Slow(Duration::from_millis(5)));
        assert_eq!(account.recording(&id).id, id, "slow is not broken");
        account.vendor.assert_the_key_stayed_home();
    }
}

#[test]
fn no_command_tells_the_key_however_loud_it_is_and_whatever_the_vendor_says() {
    let sourced = Sourced::new("v2");
    let id = sourced.vendor.add(Bot::sitting("now", minuted::testing::clock::now()));
    let calendar = sourced.vendor.add_calendar("ann@example.com");
    let starts = minuted::testing::clock::now() + Duration::from_secs(86_400);
    let event = sourced.vendor.add_event(&calendar, "Board", "board", starts, &[]);
    let commands: [&[&str]; 8] = [
        &["bot", "list"],
        &["bot", "join", MEETING],
        &["bot", "leave", &id],
        &["bot", "retranscribe", &id],
        &["calendar", "list"],
        &["calendar", "events"],
        &["calendar", "schedule", &event],
        &["calendar", "unschedule", &event],
    ];
    for is_known in [true, false] {
        if !is_known {
            // What is refused is said back.
            sourced.vendor.state().key = "mb-new".into();
        }
        for command in commands {
            for more in [&[][..], &["--json"]] {
                let mut command = sourced.house.command(&[command, more].concat());
                let output = command.env("RUST_LOG", "trace").output().expect("run");
                let told =
                    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                assert!(!told.contains(KEY), "{told}");
            }
        }
    }
    assert!(sourced.vendor.count(Call::List) >= 2 && sourced.vendor.count(Call::Join) == 4);
}

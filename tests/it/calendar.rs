//! Calendars: the event of a recording gives its title and its people, and in doubt none does.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use serde_json::{Value, json};

use crate::support::{
    calendar::{CalendarHost, Fetch, Mood, SECRET_PATH},
    house::{Daemon, House, until, until_told},
    media::wav,
    server::{Answer, Server},
    tls::Authority,
};

/// The recording of a minute, made at ten on a day.
const TALK: &str = "2024-11-22 10.00.00 talk.wav";

/// A house whose folder has a calendar at an address.
struct Setting {
    house: House,
    authority: Authority,
    host: CalendarHost,
}

impl Setting {
    fn new(events: &[String], folder_keys: &str) -> Self {
        let house = House::new();
        let authority = Authority::new(house.dir.path());
        let host = CalendarHost::start(&authority, &calendar(events));
        let setting = Self { house, authority, host };
        setting.write_address(&setting.host.address());
        let table = "[[calendar]]\nname = \"work\"\nurl_file = \"work-calendar\"\n";
        setting.house.configure_all("", &format!("calendar = \"work\"\n{folder_keys}"), table);
        setting
    }

    fn address_file(&self) -> PathBuf {
        self.house.dir.path().join("work-calendar")
    }

    fn write_address(&self, address: &str) {
        fs::write(self.address_file(), format!("{address}\n")).expect("written");
        fs::set_permissions(self.address_file(), fs::Permissions::from_mode(0o600)).expect("set");
    }

    fn start(&self) -> Daemon {
        self.house.listening(self.house.spawn(&[self.authority.trusted()]))
    }

    /// Runs a command that trusts the server, and returns all that it prints.
    fn run(&self, arguments: &[&str]) -> String {
        let (name, value) = self.authority.trusted();
        let output = self.house.command(arguments).env(name, value).output().expect("run");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8(text)
            .expect("UTF-8")
            .replace(&*self.house.dir.path().to_string_lossy(), "")
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.run(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }

    /// The secret address, nowhere.
    fn assert_secret(&self, shown: &str) {
        assert!(!shown.contains("private-0123456789abcdef"), "{shown}");
        assert!(!self.house.log().contains("private-0123456789abcdef"), "{}", self.house.log());
    }
}

/// A calendar of these events.
fn calendar(events: &[String]) -> String {
    format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{}END:VCALENDAR\r\n", events.concat())
}

/// An event of a minute at this time of the day; Cy is invited from outside.
fn event(title: &str, time: &str) -> String {
    format!(
        "BEGIN:VEVENT\r\nUID:{title}\r\nSUMMARY:{title}\r\nDESCRIPTION:dial +1 555 0100\\nhttps://meet.example/abc\r\n\
         DTSTART:20241122T{time}Z\r\nDURATION:PT1M\r\nORGANIZER;CN=Eve Moss:mailto:eve@example.com\r\n\
         ATTENDEE;CN=Cy Dorn:mailto:cy@elsewhere.example\r\nATTENDEE;CUTYPE=ROOM:mailto:room@example.com\r\n\
         END:VEVENT\r\n"
    )
}

/// Puts a recording of a minute into the folder.
fn drop_minute(house: &House, name: &str) {
    let mark: Vec<i16> = name.bytes().map(i16::from).collect();
    let samples = [mark.as_slice(), &vec![0; 8_000 * 60 - mark.len()]].concat();
    let chunks = [wav::pcm_format(8_000, 1), wav::whole_chunk(b"data", &wav::pcm(&samples))];
    let path = house.path(name);
    fs::create_dir_all(path.parent().expect("in the folder")).expect("made");
    fs::write(path, wav::whole_riff(&chunks)).expect("written");
}

fn notes(house: &House, name: &str) -> String {
    fs::read_to_string(house.path(name)).expect("notes")
}

/// The people of the one meeting.
fn people(house: &House) -> Vec<String> {
    let meetings = house.standin.snapshot().meetings;
    assert_eq!(meetings.len(), 1, "{meetings:?}");
    meetings[0].attendees.iter().map(|person| person.email.clone()).collect()
}

#[test]
fn the_event_of_a_recording_gives_title_and_people_and_mail_goes_to_whom_it_may() {
    let setting = Setting::new(
        &[event("Weekly sales", "100000"), event("Lunch", "120000")],
        "deliver = [\"beside\", \"email\"]",
    );
    let house = &setting.house;
    let _daemon = setting.start();
    drop_minute(house, TALK);
    let job = house.wait_for(TALK, "done");
    assert_eq!(
        (&job["title"], &job["attendees_from"]),
        (&json!("Weekly sales"), &json!("calendar")),
        "{job}"
    );
    assert_eq!(
        job["calendar"],
        json!({
            "calendar": "work",
            "outcome": "taken",
            "event": {
                "title": "Weekly sales",
                "start": "2024-11-22T10:00:00Z",
                "end": "2024-11-22T10:01:00Z",
            },
            "candidates": [{
                "title": "Weekly sales",
                "start": "2024-11-22T10:00:00Z",
                "end": "2024-11-22T10:01:00Z",
                "overlap_percent": 100,
            }],
        })
    );
    assert_eq!(people(house), ["eve@example.com", "cy@elsewhere.example"]);
    let text = notes(house, "2024-11-22 10.00.00 talk.notes.md");
    let head: Vec<&str> = text.lines().take(8).collect();
    insta::assert_snapshot!(head.join("\n"), @r#"
    ---
    title: "Weekly sales"
    date: 2024-11-22T10:00:00+00:00
    recording: "2024-11-22 10.00.00 talk.wav"
    folder: sales
    attendees: ["Eve Moss <eve@example.com>", "Cy Dorn <cy@elsewhere.example>"]
    attendees_from: calendar
    service: paxs
    "#);
    let told: Vec<String> = house.smtp.received().iter().flat_map(|mail| mail.to.clone()).collect();
    assert_eq!(told, ["eve@example.com"], "who is outside `allow` gets no mail by accident");
    let why = house.why(TALK);
    assert!(
        why.contains("the event `Weekly sales` of 2024-11-22 10:00 in calendar `work` was taken"),
        "{why}"
    );
    // One snapshot, without the text of the event.
    let plans = house.rows("SELECT plan FROM job", |row| row.get::<_, String>(0)).expect("rows");
    assert!(plans[0].contains("Weekly sales") && plans[0].contains("eve@example.com"));
    let state = fs::read(house.state_dir().join("queue.sqlite")).expect("read");
    for secret in ["555 0100", "meet.example", "Lunch", "private-0123456789abcdef"] {
        assert!(!state.windows(secret.len()).any(|bytes| bytes == secret.as_bytes()), "{secret}");
    }
    setting.assert_secret(&why);
}

#[test]
fn where_several_events_fit_none_is_taken_and_why_names_them() {
    let setting = Setting::new(&[event("One", "100000"), event("Two", "100000")], "");
    let house = &setting.house;
    let _daemon = setting.start();
    drop_minute(house, TALK);
    let job = house.wait_for(TALK, "done");
    assert_eq!(job["title"], "2024-11-22 10.00.00 talk");
    assert_eq!(job.get("attendees_from"), None);
    assert_eq!(people(house), ["ann@example.com", "bo@example.com"], "the folder's people stay");
    assert_eq!(job["calendar"]["outcome"], "none");
    assert_eq!(job["calendar"]["reason"], "several_fit");
    let why = house.why(TALK);
    let expected = "no event of calendar `work` was taken: several fit about as well \
                    (`One` of 2024-11-22 10:00 shares 100 %, `Two` of 2024-11-22 10:00 shares 100 %)";
    assert!(why.contains(expected), "{why}");
    setting.host.publish(&calendar(&[event("Two", "100000")]));
    let id = job["id"].to_string();
    setting.run(&["redo", &id]);
    let redone = until_told(
        || house.log(),
        || house.jobs().into_iter().find(|job| job["title"] == "Two" && job["state"] == "done"),
    );
    assert_eq!(redone["attendees_from"], "calendar", "redo looks again");
}

#[test]
fn a_sub_folder_gives_way_to_the_event_and_the_event_to_a_sidecar() {
    let setting = Setting::new(&[event("Weekly sales", "100000")], "sidecars = true");
    let house = &setting.house;
    house.edit_config(|text| text.replace("delay_max = \"200ms\"", "delay_max = \"2h\""));
    let one = "attendees = [{ name = \"Sub\", email = \"sub@example.com\" }]\n";
    let name = format!("a/{TALK}");
    drop_minute(house, &name);
    fs::write(house.path("a/.minuted.toml"), format!("title = \"Of the sub-folder\"\n{one}"))
        .expect("written");
    fs::write(house.path(&format!("{name}.toml")), "title = \"Of the sidecar\"\n")
        .expect("written");
    let _daemon = setting.start();
    let job = house.wait_for(&name, "done");
    assert_eq!(
        (&job["title"], &job["attendees_from"]),
        (&json!("Of the sidecar"), &json!("calendar")),
        "key by key"
    );
    assert_eq!(people(house), ["eve@example.com", "cy@elsewhere.example"]);
}

#[test]
fn a_recording_that_is_told_whole_by_its_sidecar_asks_no_calendar() {
    let setting = Setting::new(&[event("Weekly sales", "100000")], "sidecars = true");
    let house = &setting.house;
    drop_minute(house, TALK);
    let text =
        "title = \"Mine\"\nattendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]\n";
    fs::write(house.path(&format!("{TALK}.toml")), text).expect("written");
    let _daemon = setting.start();
    let job = house.wait_for(TALK, "done");
    assert_eq!((&job["title"], job.get("calendar")), (&json!("Mine"), None));
    assert_eq!(setting.host.fetches(), []);
}

#[test]
fn an_event_that_is_entered_late_is_seen_and_what_has_not_changed_is_not_sent_again() {
    let setting = Setting::new(&[], "");
    let house = &setting.house;
    let _daemon = setting.start();
    drop_minute(house, TALK);
    assert_eq!(house.wait_for(TALK, "done")["calendar"]["reason"], "nothing_near");
    let fetch = |status, is_conditional| Fetch { status, is_conditional };
    assert_eq!(
        setting.host.fetches(),
        [fetch(200, false)],
        "nothing is fetched without a recording"
    );
    // It was made after that fetch.
    let second = "2024-11-22 11.00.00 talk.wav";
    drop_minute(house, second);
    assert_eq!(house.wait_for(second, "done")["calendar"]["reason"], "nothing_near");
    assert_eq!(setting.host.fetches(), [fetch(200, false), fetch(304, true)]);
    setting.host.publish(&calendar(&[event("Late", "120000")]));
    let third = "2024-11-22 12.00.00 talk.wav";
    drop_minute(house, third);
    assert_eq!(house.wait_for(third, "done")["title"], "Late");
    assert_eq!(setting.host.fetches().last(), Some(&fetch(200, true)));
}

#[test]
fn another_address_is_another_calendar_even_if_its_version_has_the_same_mark() {
    let setting = Setting::new(&[event("Of the first", "100000")], "");
    let house = &setting.house;
    let _daemon = setting.start();
    drop_minute(house, TALK);
    assert_eq!(house.wait_for(TALK, "done")["title"], "Of the first");
    let other =
        CalendarHost::start(&setting.authority, &calendar(&[event("Of the other", "110000")]));
    setting.write_address(&other.address());
    let second = "2024-11-22 11.00.00 talk.wav";
    drop_minute(house, second);
    assert_eq!(house.wait_for(second, "done")["title"], "Of the other");
    assert_eq!(other.fetches(), [Fetch { status: 200, is_conditional: false }]);
}

#[test]
fn a_calendar_that_comes_back_is_waited_for() {
    let setting = Setting::new(&[event("Weekly sales", "100000")], "");
    let house = &setting.house;
    house.edit_config(|text| {
        text.replace("delay_max = \"200ms\"", "delay_max = \"1h\"")
            .replace("url_file", "every = \"100ms\"\nurl_file")
    });
    setting.host.set_mood(Mood::Failing(503));
    let _daemon = setting.start();
    drop_minute(house, TALK);
    until_told(
        || format!("it waits: {}", house.log()),
        || {
            let error = house.job_if(TALK)?["error"].as_str()?.to_owned();
            error.contains("calendar `work`").then_some(())
        },
    );
    let why = house.why(TALK);
    assert!(
        why.contains("the calendar `work` of its folder cannot be read: `localhost` answers 503"),
        "{why}"
    );
    house.assert_logged("WARN", "calendar `work` cannot be read", 1);
    assert!(house.standin.snapshot().meetings.is_empty());
    setting.host.set_mood(Mood::Well);
    let id = house.job(TALK)["id"].to_string();
    setting.run(&["retry", &id]);
    let job = house.wait_for(TALK, "done");
    assert_eq!((&job["title"], &job["attempts"]), (&json!("Weekly sales"), &json!(0)));
    setting.assert_secret(&why);
}

#[test]
fn a_calendar_that_stays_away_is_done_without_and_the_notes_say_so() {
    let setting = Setting::new(&[event("Weekly sales", "100000")], "");
    let house = &setting.house;
    setting.write_address("https://localhost:1/calendar/private-0123456789abcdef/basic.ics");
    let _daemon = setting.start();
    drop_minute(house, TALK);
    let job = house.wait_for(TALK, "done");
    assert_eq!((&job["calendar"]["outcome"], &job["attempts"]), (&json!("unreadable"), &json!(0)));
    assert_eq!(people(house), ["ann@example.com", "bo@example.com"]);
    let text = notes(house, "2024-11-22 10.00.00 talk.notes.md");
    assert!(text.contains("title and attendees were taken without it"), "{text}");
    let why = house.why(TALK);
    let expected =
        "it was taken without calendar `work`, which could not be read: cannot reach `localhost`";
    assert!(why.contains(expected), "{why}");
    setting.assert_secret(&text);
}

/// What `check` says of the calendar.
fn check(setting: &Setting) -> String {
    let text = setting.run(&["check"]);
    setting.assert_secret(&text);
    let lines = text.lines().skip_while(|line| !line.contains(" calendar work"));
    lines
        .take_while(|line| line.contains(" calendar work") || line.contains("hint:"))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_calendar_is_refused_where_it_leads_elsewhere_is_too_large_or_is_none() {
    let setting = Setting::new(&[event("Weekly sales", "100000")], "");
    let elsewhere = Server::start(0_u32, |seen, _| {
        *seen += 1;
        Some(Answer {
            status: 200,
            more: String::new(),
            kind: "text/calendar",
            body: calendar(&[]),
        })
    });
    let port = elsewhere.address().port();
    let mut told = vec![check(&setting)];
    for mood in [
        Mood::Moved(format!("http://127.0.0.1:{port}{SECRET_PATH}")),
        Mood::Moved(SECRET_PATH.to_owned()),
        Mood::Lost,
        Mood::Failing(404),
        Mood::Failing(503),
    ] {
        setting.host.set_mood(mood);
        told.push(check(&setting));
    }
    setting.host.set_mood(Mood::Well);
    for text in [
        "<html><title>Sign in</title>".to_owned(),
        calendar(&[format!("X-NOTHING:{}\r\n", "x".repeat(1_000)).repeat(9_000)]),
        calendar(&[event("x", "100000").replace("ATTENDEE", "X-NOBODY")]),
    ] {
        setting.host.publish(&text);
        told.push(check(&setting));
    }
    setting.write_address("the calendar of Ann");
    told.push(check(&setting));
    setting.write_address(&setting.host.address());
    fs::set_permissions(setting.address_file(), fs::Permissions::from_mode(0o644)).expect("set");
    told.push(check(&setting));
    fs::remove_file(setting.address_file()).expect("removed");
    told.push(check(&setting));
    insta::assert_snapshot!(told.join("\n"), @r#"
    ok       calendar work: 1 event read, 1 of them with people
    ERROR    calendar work: it cannot be read: `localhost` redirects to another server, `127.0.0.1`, and its address is not sent there
             hint: write the address that it leads to into url_file
    ERROR    calendar work: it cannot be read: `localhost` redirects without end
             hint: write the address that it leads to into url_file
    ERROR    calendar work: it cannot be read: no answer from `localhost`: client error (SendRequest): connection closed before message completed
             hint: check the network
    ERROR    calendar work: it cannot be read: `localhost` answers 404
             hint: copy the calendar's secret address anew into url_file: it may have been reset
    ERROR    calendar work: it cannot be read: `localhost` answers 503
             hint: wait: its server has trouble
    ERROR    calendar work: it cannot be read: `localhost` is no iCalendar file
             hint: copy the address in iCal format, not that of the calendar's page
    ERROR    calendar work: it cannot be read: what `localhost` sends is larger than 8 MiB
             hint: share a smaller calendar, or only its recent part
    warning  calendar work: 1 event read, 0 of them with people
             hint: an event without people is never taken; some vendors leave them out of a published calendar: choose full details, or have vdirsyncer fetch it into a directory
    ERROR    calendar work: it cannot be read: its address: `/work-calendar` does not hold an https address
             hint: copy the secret address in iCal format from the calendar's settings into that file: https://…
    ERROR    calendar work: it cannot be read: its address: `/work-calendar` is open to everyone; run `chmod o= /work-calendar`
             hint: write the calendar's iCalendar address into that file, and let minuted read it
    ERROR    calendar work: it cannot be read: its address: `/work-calendar` cannot be read: No such file or directory (os error 2)
             hint: write the calendar's iCalendar address into that file, and let minuted read it
    "#);
    assert_eq!(*elsewhere.state(), 0, "the secret address was not sent there");
}

#[test]
fn a_directory_of_ics_files_is_a_calendar_too() {
    let setting = Setting::new(&[], "");
    let house = &setting.house;
    let directory = house.dir.path().join("calendars");
    fs::create_dir(&directory).expect("made");
    fs::write(directory.join("1.ics"), calendar(&[event("Weekly sales", "100000")]))
        .expect("written");
    fs::write(directory.join("2.ics"), calendar(&[event("Lunch", "120000")])).expect("written");
    house.edit_config(|text| {
        text.replace("url_file = \"work-calendar\"", &format!("path = \"{}\"", directory.display()))
    });
    assert!(
        check(&setting).contains("2 events read, 2 of them with people"),
        "{}",
        check(&setting)
    );
    let _daemon = setting.start();
    drop_minute(house, TALK);
    assert_eq!(house.wait_for(TALK, "done")["title"], "Weekly sales");
    assert_eq!(setting.host.fetches(), []);
}

#[test]
fn a_preview_says_which_event_would_be_taken_and_why_with_and_without_a_daemon() {
    let setting = Setting::new(
        &[
            event("Weekly sales", "100000"),
            event("Cancelled", "100000").replace("DURATION", "STATUS:CANCELLED\r\nDURATION"),
            event("Secret plan", "100000").replace("DURATION", "CLASS:PRIVATE\r\nDURATION"),
            event("Abroad", "100000")
                .replace("DTSTART:20241122T100000Z", "DTSTART;TZID=Mars:20241122T100000"),
        ],
        "",
    );
    let house = &setting.house;
    assert_eq!(house.start().stop().code(), Some(0));
    drop_minute(house, TALK);
    let path = house.path(TALK).to_string_lossy().into_owned();
    let preview = || setting.run(&["calendar", "preview", &path]);
    let before = preview();
    insta::assert_snapshot!(before, @r#"
    /sales/2024-11-22 10.00.00 talk.wav: from 2024-11-22 10:00, 60s; calendar `work`
    it takes `Weekly sales`, with Eve Moss <eve@example.com>, Cy Dorn <cy@elsewhere.example>
      100 %  2024-11-22 10:00  Weekly sales
      not considered: 2024-11-22 10:00  Cancelled: it was cancelled
      not considered: 2024-11-22 10:00  (private): it is marked as private
      not considered:   Abroad: its time zone `Mars` is not known
    "#);
    assert!(house.jobs().is_empty(), "a preview queues nothing");
    let shown = setting.json(&["calendar", "preview", &path]);
    assert_eq!(shown["outcome"], "taken");
    assert_eq!(shown["event"]["attendees"][0]["email"], "eve@example.com");
    let _daemon = setting.start();
    house.wait_for(TALK, "done");
    assert_eq!(preview(), before);
    let outside = setting.run(&["calendar", "preview", "/nowhere/talk.wav"]);
    assert!(outside.contains("lies in no watched folder"), "{outside}");
    let list = setting.json(&["calendar", "list"]);
    assert_eq!(list[0]["name"], "work");
    assert_eq!(list[0]["folders"], json!(["sales"]));
    insta::assert_snapshot!(setting.run(&["calendar", "list"]), @r#"
    work  /work-calendar  1 folder: sales
    "#);
    setting.assert_secret(&before);
}

#[test]
fn an_event_is_taken_once_whatever_a_crash_meets_and_whatever_the_calendar_says_later() {
    for point in ["ReadCalendar:Before:1", "ReadCalendar:After:1", "IntendCreate:Before:1"] {
        let setting = Setting::new(&[event("Weekly sales", "100000")], "");
        let house = &setting.house;
        let mut daemon = house.spawn(&[("MINUTED_DIE", point), setting.authority.trusted()]);
        drop_minute(house, TALK);
        until_told(|| format!("{point}: {}", house.log()), || daemon.was_killed().then_some(()));
        let _daemon = setting.start();
        let job = house.wait_for(TALK, "done");
        assert_eq!(
            (&job["title"], &job["attempts"]),
            (&json!("Weekly sales"), &json!(0)),
            "{point}"
        );
        assert_eq!(people(house), ["eve@example.com", "cy@elsewhere.example"], "{point}");
    }
    for point in
        ["IntendCreate:After:1", "CallCreate:After:1", "Created:After:1", "Analysed:Before:1"]
    {
        let setting = Setting::new(&[event("Weekly sales", "100000")], "");
        let house = &setting.house;
        let mut daemon = house.spawn(&[("MINUTED_DIE", point), setting.authority.trusted()]);
        drop_minute(house, TALK);
        until_told(|| format!("{point}: {}", house.log()), || daemon.was_killed().then_some(()));
        setting.host.publish(&calendar(&[event("Another", "100000")]));
        let _daemon = setting.start();
        let job = house.wait_for(TALK, "done");
        assert_eq!(job["title"], "Weekly sales", "{point}: the event was recorded with the plan");
        assert_eq!(job["calendar"]["event"]["title"], "Weekly sales", "{point}");
        assert_eq!(people(house), ["eve@example.com", "cy@elsewhere.example"], "{point}");
        assert_eq!(setting.host.fetches().len(), 1, "{point}");
    }
}

#[test]
fn a_hostile_title_stays_a_title() {
    let title = r"../../x\n---\nminuted: b3-0.sales.1\n# **Notes** <script>`rm`</script>\, \u{1b}[31m{stem}";
    let setting = Setting::new(&[event(title, "100000")], "deliver = [\"beside\", \"email\"]");
    let house = &setting.house;
    let _daemon = setting.start();
    drop_minute(house, TALK);
    house.wait_for(TALK, "done");
    assert_eq!(house.files(), ["2024-11-22 10.00.00 talk.notes.md", TALK]);
    let text = notes(house, "2024-11-22 10.00.00 talk.notes.md");
    let seals = text.lines().filter(|line| line.starts_with("minuted: ")).count();
    assert_eq!(seals, 1, "{text}");
    insta::assert_snapshot!(text.lines().take(2).collect::<Vec<_>>().join("\n"), @r#"
    ---
    title: "../../x --- minuted: b3-0.sales.1 # **Notes** <script>\u0060rm\u0060</script>, u{1b}[31m{stem}"
    "#);
    until("it is mailed", || (!house.smtp.received().is_empty()).then_some(()));
}

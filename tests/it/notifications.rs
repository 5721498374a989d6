//! Notifications: told once under one id, whatever happens; the dead man's switch.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    thread,
};

use minuted::testing::effect::{Effect, When};
use serde_json::Value;

use crate::support::{
    house::{House, until, until_told},
    receivers::{Checks, Hooks, Ntfy, OLD_SECRET, SECRET},
    rows::each,
    server::Server,
};

/// Writes a file that nobody else may read.
pub(crate) fn write_secret(house: &House, name: &str, text: &str) {
    let path = house.dir.path().join(name);
    fs::write(&path, text).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("set");
}

/// A notifier of this receiver, with both secrets.
fn webhook(house: &House, hooks: &Server<Hooks>, more: &str) -> String {
    write_secret(house, "hook-url", &format!("http://{}/hook/s3cret?q=1\n", hooks.address()));
    write_secret(house, "hook-secret", SECRET);
    write_secret(house, "hook-old-secret", OLD_SECRET);
    format!(
        "[[notify]]\nname = \"n8n\"\nkind = \"webhook\"\nurl_file = \"hook-url\"\n\
         secret_file = \"hook-secret\"\nold_secret_file = \"hook-old-secret\"\n{more}\n"
    )
}

/// The events of recordings alone.
const OF_RECORDINGS: &str =
    "events = [\"recording.taken\", \"notes.ready\", \"recording.failed\", \"recording.skipped\"]";

/// The texts of the mails to the operator.
fn mails(house: &House) -> Vec<String> {
    let texts = house
        .smtp
        .received()
        .into_iter()
        .map(|mail| String::from_utf8_lossy(&mail.raw).replace("=\r\n", ""));
    texts.collect()
}

/// The first job, once there is one.
fn first_job(house: &House) -> Value {
    house.json(&["jobs"])[0].clone()
}

/// The state of the notifier.
fn standing(house: &House) -> Value {
    house.json(&["status"])["notifiers"][0].clone()
}

#[test]
fn a_recording_is_told_in_order_signed_with_both_secrets_and_without_its_words() {
    let house = House::new();
    let hooks = Hooks::start();
    house.configure_all("", "", &webhook(&house, &hooks, OF_RECORDINGS));
    let daemon = house.start();
    house.drop_recording("talk \"<b>{{x}}\u{202e}.wav");
    until("both are told", || (hooks.state().taken.len() >= 2).then_some(()));
    assert_eq!(hooks.state().events(), ["recording.taken", "notes.ready"]);
    let ready = hooks.state().taken[1].clone();
    assert_eq!((ready.signatures_by(SECRET), ready.signatures_by(OLD_SECRET)), (1, 1));
    assert!(ready.id.starts_with("msg_") && ready.id.len() == 36, "{}", ready.id);
    let data = &ready.body["data"];
    assert_eq!((&data["folder"], &data["job"]), (&"sales".into(), &1.into()));
    assert_eq!(data["recording"], r#"talk "<b>{{x}}\u{202e}.wav"#);
    assert_eq!(data["notes"].as_array().map(Vec::len), Some(1));
    assert!(!ready.text.contains("## "), "no words of it unless they are asked for");
    let job = until("it is recorded", || {
        let job = first_job(&house);
        let told = job["notifications"].as_array().expect("a list").clone();
        told.iter().all(|one| one["state"] == "done").then_some(told)
    });
    assert_eq!(job[1]["kind"], "webhook");
    assert_eq!(job[1]["event"], "notes.ready");
    assert!(!house.log().contains("s3cret"), "the address is a secret");
    drop(daemon);
}

#[test]
fn notes_go_along_where_they_are_asked_for() {
    let house = House::new();
    let hooks = Hooks::start();
    let more = "events = [\"notes.ready\"]\ninclude = \"notes\"";
    house.configure_all("", "", &webhook(&house, &hooks, more));
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let ready = until("it is told", || hooks.state().taken.first().cloned());
    let text = ready.body["data"]["notes_text"].as_str().expect("the notes").to_owned();
    assert!(text.contains("\n## ") && text.contains("minuted: b3-"), "{text}");
    assert_eq!(ready.body["data"]["notes_cut"], false);
}

#[test]
fn what_is_refused_is_sent_again_under_its_id_and_holds_up_no_job() {
    let house = House::new();
    let hooks = Hooks::start();
    hooks.state().next.push_back((500, String::new()));
    house.configure_all("", "", &webhook(&house, &hooks, "events = [\"notes.ready\"]"));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    let why = until("the job is done although its notification waits", || {
        (!hooks.state().refused.is_empty()).then_some(())?;
        let job = first_job(&house);
        (job["state"] == "done" && job["notifications"][0]["attempts"] == 1).then_some(job)
    });
    assert_eq!(why["notifications"][0]["state"], "due");
    // It is tried again after five seconds, also by another process.
    daemon.kill();
    let _daemon = house.start();
    until("it is taken", || (!hooks.state().taken.is_empty()).then_some(()));
    let refused = hooks.state().refused[0].clone();
    let taken = hooks.state().taken[0].clone();
    assert_eq!((&refused.id, &refused.text), (&taken.id, &taken.text));
    assert_eq!(taken.signatures_by(SECRET), 1, "each try is signed with its own time");
}

#[test]
fn a_receiver_that_is_gone_stops_its_notifier_until_the_configuration_is_read_again() {
    let house = House::new();
    let hooks = Hooks::start();
    hooks.state().always = Some(410);
    let tables = webhook(&house, &hooks, "events = [\"recording.taken\"]");
    house.configure_all("", "", &tables);
    let daemon = house.start();
    house.drop_recording("one.wav");
    until("it is stopped", || (standing(&house)["failed"] == 1).then_some(()));
    house.drop_recording("two.wav");
    until("the next ends unsent", || (standing(&house)["failed"] == 2).then_some(()));
    assert_eq!(hooks.state().refused.len(), 1, "nothing is sent after 410");
    let told = until("the operator is told", || {
        let told = mails(&house).into_iter().filter(|mail| mail.contains("is stopped"));
        Some(told.count()).filter(|count| *count > 0)
    });
    assert_eq!(told, 1);
    hooks.state().always = None;
    daemon.signal(rustix::process::Signal::HUP);
    until("it is read", || house.log().contains("read again and in force").then_some(()));
    house.drop_recording("three.wav");
    until("it is told again", || (!hooks.state().taken.is_empty()).then_some(()));
    let retried = house.run(&["retry", "1"]);
    assert!(retried.status.success(), "{}", String::from_utf8_lossy(&retried.stderr));
    until("a person sends it again", || (hooks.state().taken.len() == 2).then_some(()));
}

#[test]
fn a_receiver_that_asks_for_a_pause_gets_it_from_all_notifications() {
    let house = House::new();
    let hooks = Hooks::start();
    hooks.state().next.push_back((429, "Retry-After: 900\r\n".to_owned()));
    house.configure_all("", "", &webhook(&house, &hooks, OF_RECORDINGS));
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    until("the job is done", || (first_job(&house)["state"] == "done").then_some(()));
    let standing = standing(&house);
    let next: jiff::Timestamp =
        standing["next_try"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    let at: jiff::Timestamp =
        first_job(&house)["created"].as_str().and_then(|at| at.parse().ok()).expect("a time");
    assert!((next - at).total(jiff::Unit::Second).expect("a span") > 880.0, "{standing}");
    let error = standing["error"].as_str().expect("an error");
    assert!(error.ends_with(r#"answered 429: {"error":"busy"}"#), "{error}");
}

#[test]
fn a_dead_receiver_is_given_up_after_its_last_try_and_told_once() {
    let house = House::new();
    let hooks = Hooks::start();
    hooks.state().always = Some(500);
    house.configure_all("", "", &webhook(&house, &hooks, "events = [\"recording.taken\"]"));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    until("it was tried", || (standing(&house)["error"].is_string()).then_some(()));
    daemon.kill();
    let queue = rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("opened");
    queue.execute("UPDATE notification SET attempts = 9, due_ms = 1", []).expect("set");
    drop(queue);
    let _daemon = house.start();
    until("it is given up", || (standing(&house)["failed"] == 1).then_some(()));
    until("the job is done", || (first_job(&house)["state"] == "done").then_some(()));
    let why = house.run(&["why", house.path("talk.wav").to_str().expect("UTF-8")]);
    let why = String::from_utf8_lossy(&[why.stdout, why.stderr].concat()).into_owned();
    assert!(why.contains("notifier n8n was not told:") && why.contains("minuted retry 1"), "{why}");
    until("the operator is told", || {
        mails(&house).iter().any(|mail| mail.contains("minuted notify test n8n")).then_some(())
    });
}

#[test]
fn a_notifier_that_is_removed_ends_its_notifications() {
    let house = House::new();
    let hooks = Hooks::start();
    hooks.state().always = Some(500);
    house.configure_all("", "", &webhook(&house, &hooks, "events = [\"recording.taken\"]"));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    until("it was tried", || (standing(&house)["error"].is_string()).then_some(()));
    house.configure("");
    daemon.signal(rustix::process::Signal::HUP);
    until("it ended", || {
        (first_job(&house)["notifications"][0]["state"] == "cancelled").then_some(())
    });
}

#[test]
fn hostile_receivers_are_answered_for_in_words_and_cost_nothing() {
    let rows = [
        (
            "redirect",
            "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n",
            false,
            "redirects are not followed",
        ),
        ("garbage", "HTTP/1.1 abc\r\n\r\n", false, "no answer from"),
        ("silence", "", false, "no answer from"),
        (
            "endless",
            "HTTP/1.1 500 No\r\nContent-Length: 999999999999\r\n\r\n\u{1b}[31mwords",
            true,
            "answered 500",
        ),
        (
            "success without end",
            "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
            true,
            "took it (200)",
        ),
    ];
    each(rows, |(name, head, endless, expected)| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let head = head.to_owned();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut request = vec![0; 65536];
                drop(stream.read(&mut request));
                drop(stream.write_all(head.as_bytes()));
                while endless && stream.write_all(&[b'x'; 4096]).is_ok() {}
            }
        });
        let house = House::new();
        let table = format!(
            "[[notify]]\nname = \"x\"\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/s3cret\"\n"
        );
        house.configure_all("", "", &table);
        let output = house.run(&["notify", "test", "x"]);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(told.contains(expected), "{name}: {told}");
        assert!(!told.contains("s3cret") && !told.contains('\u{1b}'), "{name}: {told}");
        assert_eq!(output.status.success(), name.starts_with("success"), "{name}");
    });
}

#[test]
fn ntfy_gets_json_that_it_takes_and_its_errors_are_told() {
    let house = House::new();
    let ntfy = Ntfy::start(Some("tk_right"));
    let table = format!(
        "[http]\nlisten = \"127.0.0.1:{}\"\n[[notify]]\nname = \"phone\"\nkind = \"ntfy\"\n\
         url = \"http://{}\"\ntopic_file = \"topic\"\ntoken_file = \"token\"\n\
         events = [\"notes.ready\", \"recording.taken\"]\n",
        free_port(),
        ntfy.address()
    );
    write_secret(&house, "topic", "t0pic\n");
    write_secret(&house, "token", "tk_wrong\n");
    house.configure_all("", "", &table);
    let told = |arguments: &[&str]| {
        let output = house.run(arguments);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let answer = told(&["notify", "test", "phone"]);
    assert!(answer.contains("answered 401") && answer.contains("unauthorized"), "{answer}");
    write_secret(&house, "token", "tk_right\n");
    ntfy.state().limited = 1;
    let answer = told(&["notify", "test", "phone"]);
    assert!(answer.contains("limit reached: too many requests"), "{answer}");
    let answer = told(&["notify", "test", "phone"]);
    assert!(answer.contains("took it (200)"), "{answer}");
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let ready = until("it is published", || {
        ntfy.state().published.iter().find(|one| one["tags"][0] == "memo").cloned()
    });
    assert_eq!((&ready["topic"], &ready["priority"]), (&"t0pic".into(), &3.into()));
    assert!(ready["click"].as_str().is_some_and(|link| link.ends_with("/jobs/1")), "{ready}");
    assert!(!house.log().contains("tk_right") && !house.log().contains("t0pic"));
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|port| port.local_addr()).expect("a port").port()
}

/// Writes a program into a directory of its own, and returns a notifier that runs it.
pub(crate) fn command(house: &House, script: &str, more: &str) -> String {
    let path = house.dir.path().join("hook/notify");
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(&path, script).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
    format!(
        "[[notify]]\nname = \"script\"\nkind = \"command\"\npath = \"{}\"\n{more}\n",
        path.display()
    )
}

#[test]
fn a_program_gets_json_and_is_told_of_by_its_exit_code() {
    let rows = [
        ("cat", "", r#""type":"webhook.test""#, true),
        ("echo $MINUTED_EVENT $HOME; exit 0", "", "exited with 0: webhook.test", true),
        ("echo no such room >&2; exit 3", "", "exited with 3: no such room", false),
        ("kill -9 $$", "", "was ended by signal 9", false),
        ("sleep 60 & sleep 60", "timeout = \"300ms\"", "took longer than 300ms", false),
        (
            "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done",
            "timeout = \"500ms\"",
            "took longer",
            false,
        ),
    ];
    each(rows, |(script, more, expected, is_ok)| {
        let house = House::new();
        house.configure_all("", "", &command(&house, &format!("#!/bin/sh\n{script}\n"), more));
        let output = house.run(&["notify", "test", "script", "--json"]);
        let test: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let message = test["message"].as_str().expect("a message");
        assert!(message.contains(expected), "{script}: {message}");
        assert_eq!((output.status.success(), &test["ok"]), (is_ok, &is_ok.into()), "{script}");
    });
}

#[test]
fn a_program_reaches_its_own_directory_and_neither_secrets_nor_files_nor_the_network() {
    let house = House::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let script = format!(
        "#!/bin/bash\ncd \"${{0%/*}}\"\nsay() {{ if (eval \"$2\") >/dev/null 2>&1; then echo $1 yes; else echo $1 no; fi; }}\n\
         say own 'cat beside'\nsay null 'echo > /dev/null'\nsay config 'cat {config}'\nsay write 'echo > {dir}/hook/new'\n\
         say network 'exec 3<>/dev/tcp/127.0.0.1/{port}'\nsay processes 'ls /bin | head -1'\n",
        config = house.config().display(),
        dir = house.dir.path().display(),
    );
    let told = |more: &str| {
        house.configure_all("", "", &command(&house, &script, more));
        fs::write(house.dir.path().join("hook/beside"), "x").expect("written");
        let test: Value =
            serde_json::from_slice(&house.run(&["notify", "test", "script", "--json"]).stdout)
                .expect("JSON");
        test["message"].as_str().expect("a message").to_owned()
    };
    let message = told("");
    let words = message.split(": ").last().expect("words");
    assert_eq!(words, "own yes null yes config no write no network no processes yes");
    let message = told("network = true");
    let words = message.split(": ").last().expect("words");
    assert_eq!(words, "own yes null yes config no write no network yes processes yes");
}

#[test]
fn check_tells_what_a_notifier_lacks_and_sends_nothing() {
    let house = House::new();
    let hooks = Hooks::start();
    let checks = Checks::start();
    write_secret(&house, "ping-url", &format!("http://{}/ping/0b3c-uuid", checks.address()));
    let good = webhook(&house, &hooks, "") + "[ping]\nurl_file = \"ping-url\"\n";
    house.configure_all("", "", &good);
    let found = |subject: &str| {
        let output = house.run(&["check", "--json"]);
        let all: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        let one = all.into_iter().find(|finding| finding["subject"] == subject).expect(subject);
        format!("{}: {} ({})", one["level"], one["message"], one["hint"])
    };
    assert!(found("notifier n8n").starts_with("\"ok\": \"webhooks to http://127.0.0.1:"));
    assert!(found("notifier n8n").contains("signed with 2 secrets"));
    assert!(found("ping").starts_with("\"ok\""));
    write_secret(&house, "hook-secret", "whsec_c2hvcnQ=");
    assert!(found("notifier n8n").contains("is not a secret of webhooks"));
    write_secret(&house, "hook-url", "http://elsewhere.example/s3cret");
    let told = found("notifier n8n");
    assert!(told.contains("in the clear") && !told.contains("s3cret"), "{told}");
    let script = command(&house, "#!/bin/sh\n", "");
    house.configure_all("", "", &script);
    assert!(found("notifier script").starts_with("\"ok\""));
    let path = house.dir.path().join("hook/notify");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("set");
    assert!(found("notifier script").contains("cannot be run by this user"));
    assert!(hooks.state().taken.is_empty() && checks.state().calls.is_empty());
}

#[test]
fn the_monitor_is_called_at_the_start_and_told_what_needs_a_person() {
    let house = House::new();
    let checks = Checks::start();
    write_secret(&house, "ping-url", &format!("http://{}/ping/0b3c-uuid", checks.address()));
    house.configure_all("", "", "[ping]\nurl_file = \"ping-url\"\n");
    let daemon = house.start();
    let first = until("the first call", || checks.state().calls.first().cloned());
    assert_eq!(first, ("ok", String::new()));
    let paused = house.run(&["pause", "sales"]);
    assert!(paused.status.success());
    drop(daemon);
    let daemon = house.start();
    let second = until("the second call", || checks.state().calls.get(1).cloned());
    assert_eq!(second.0, "fail");
    assert!(second.1.contains("folder sales: "), "{second:?}");
    assert!(!house.log().contains("0b3c-uuid"), "the address is a secret");
    drop(daemon);
}

/// The deaths of a house with one receiver, and what brings it there.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// On the way of a recording to its notes.
    OnTheWay(Effect),
    /// A recording that fails for good.
    OfAFailure(Effect),
    /// A receiver that fails once.
    AtAFault(Effect),
    /// A receiver that is gone.
    AtGone(Effect),
    /// The last try of a notification.
    AtTheEnd(Effect),
    /// A notifier that was removed.
    AtRemoval(Effect),
    /// A folder that is held.
    AtAHold(Effect),
    /// The call of the monitor.
    AtAPing(Effect),
}

const DEATHS: [Death; 13] = [
    Death::OnTheWay(Effect::Take),
    Death::OnTheWay(Effect::Analysed),
    Death::OnTheWay(Effect::PlaceFile),
    Death::OnTheWay(Effect::Delivered),
    Death::OnTheWay(Effect::Notify),
    Death::OnTheWay(Effect::NotificationSent),
    Death::OfAFailure(Effect::Fail),
    Death::AtAFault(Effect::NotifyLater),
    Death::AtGone(Effect::StopNotifier),
    Death::AtTheEnd(Effect::NotificationFailed),
    Death::AtRemoval(Effect::EndNotifications),
    Death::AtAHold(Effect::Hold),
    Death::AtAPing(Effect::Ping),
];

#[test]
fn whatever_a_crash_meets_each_event_is_told_and_never_under_two_ids() {
    let rows = DEATHS.into_iter().flat_map(|death| [(death, When::Before), (death, When::After)]);
    each(rows.collect::<Vec<_>>(), |(death, when)| die(death, when));
}

fn die(death: Death, when: When) {
    let house = House::new();
    let hooks = Hooks::start();
    let checks = Checks::start();
    write_secret(&house, "ping-url", &format!("http://{}/ping/0b3c-uuid", checks.address()));
    let tables = webhook(&house, &hooks, "");
    house.configure_all("", "", &tables);
    let (effect, expected): (Effect, &[&str]) = match death {
        Death::OnTheWay(effect) => (effect, &["notes.ready", "recording.taken"]),
        Death::OfAFailure(effect) => {
            house.standin.fail_transcriptions(3);
            (effect, &["recording.failed", "recording.taken"])
        }
        Death::AtAFault(effect) => {
            hooks.state().next.push_back((500, String::new()));
            (effect, &["notes.ready", "recording.taken"])
        }
        Death::AtGone(effect) => {
            hooks.state().always = Some(410);
            (effect, &[])
        }
        Death::AtTheEnd(effect) | Death::AtRemoval(effect) => {
            hooks.state().always = Some(500);
            (effect, &[])
        }
        Death::AtAHold(effect) => (effect, &["folder.held", "folder.released"]),
        Death::AtAPing(effect) => {
            let more = format!("{tables}[ping]\nurl_file = \"ping-url\"\n");
            house.configure_all("", "", &more);
            (effect, &["notes.ready", "recording.taken"])
        }
    };
    house.drop_recording("talk.wav");
    if matches!(death, Death::AtTheEnd(_) | Death::AtRemoval(_)) {
        prepare_last_try(&house, matches!(death, Death::AtRemoval(_)));
    }
    let spec = format!("{effect:?}:{when:?}:1");
    let mut daemon = house.spawn(&[("MINUTED_DIE", &spec)]);
    if matches!(death, Death::AtAHold(_)) {
        until("it listens or is dead", || {
            house
                .run(&["pause", "sales"])
                .status
                .success()
                .then_some(())
                .or_else(|| daemon.ended().map(drop))
        });
    }
    until_told(|| format!("{spec}: {}", house.log()), || daemon.was_killed().then_some(()));
    let _daemon = house.start();
    if matches!(death, Death::AtAHold(_)) {
        assert!(house.run(&["pause", "sales"]).status.success());
        assert!(house.run(&["resume", "sales"]).status.success());
    }
    let told = || {
        let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in &hooks.state().taken {
            let ids = ids.entry(one.event().to_owned()).or_default();
            if !ids.contains(&one.id) {
                ids.push(one.id.clone());
            }
        }
        ids
    };
    until_told(
        || format!("{spec}: {:?} {}", told(), house.log()),
        || expected.iter().all(|event| told().contains_key(*event)).then_some(()),
    );
    until("nothing waits any more", || {
        let status = house.json(&["status"]);
        let waits = status["notifiers"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one["waiting"] != 0));
        let job = first_job(&house);
        let is_over = job["state"] == "done" || job["state"] == "failed";
        (!waits && is_over).then_some(())
    });
    for (event, ids) in told() {
        assert_eq!(ids.len(), 1, "{spec}: {event} {ids:?}");
    }
}

/// Brings a house to the moment before the last try of its notification, or before it finds the notifier removed.
fn prepare_last_try(house: &House, removed: bool) {
    let daemon = house.start();
    until("it was tried", || {
        let tried = standing(house)["error"].is_string();
        (tried && first_job(house)["state"] == "done").then_some(())
    });
    daemon.kill();
    let queue = rusqlite::Connection::open(house.state_dir().join("queue.sqlite")).expect("opened");
    queue
        .execute("UPDATE notification SET attempts = 9, due_ms = 1 WHERE due_ms IS NOT NULL", [])
        .expect("set");
    if removed {
        house.configure("");
    }
}

#[test]
fn the_verifier_of_standard_webhooks_takes_what_is_sent() {
    let Some(library) = verifier() else { return };
    let house = House::new();
    let hooks = Hooks::start();
    house.configure_all("", "", &webhook(&house, &hooks, OF_RECORDINGS));
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    until("both are told", || (hooks.state().taken.len() >= 2).then_some(()));
    let script = "import sys, json\nfrom standardwebhooks.webhooks import Webhook\nbody, headers, secret = sys.argv[1:4]\n\
                  print(json.dumps(Webhook(secret).verify(body, json.loads(headers))))";
    for taken in hooks.state().taken.clone() {
        let headers = serde_json::json!({
            "webhook-id": taken.id, "webhook-timestamp": taken.seconds, "webhook-signature": taken.signature,
        });
        let verify = |body: &str, secret: &str| {
            let mut python = Command::new("python3");
            python.args(["-c", script, body, &headers.to_string(), secret]);
            python.env("PYTHONPATH", library.path()).output().expect("run")
        };
        for secret in [SECRET, OLD_SECRET] {
            let verified = verify(&taken.text, secret);
            assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
        }
        assert!(!verify(&format!("{} ", taken.text), SECRET).status.success(), "another body");
    }
}

/// The library `standardwebhooks` of `PyPI` in a directory; says so where it cannot be had.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
fn verifier() -> Option<tempfile::TempDir> {
    let dir = tempfile::tempdir().expect("a directory");
    let install = |dir: &Path| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--target"]).arg(dir);
        pip.args(["--retries", "1", "--timeout", "10", "standardwebhooks==1.0.1"]);
        pip.output().is_ok_and(|output| output.status.success())
    };
    if install(dir.path()) {
        return Some(dir);
    }
    eprintln!("skipped: pip cannot install standardwebhooks");
    None
}

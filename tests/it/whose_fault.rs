//! Whose fault it is: a table of what real servers answer to a wrong key, an unknown model, a damaged file and too much
//! work, and what becomes of the recordings then.

use std::{fmt::Write as _, fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::support::{
    house::{House, recording, until, until_told},
    openai::{Call, Fault, Limit, OpenAi},
    paxs::{Options, Quirk},
};

/// What is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The key is wrong, for all calls.
    Key,
    /// As [`Cause::Key`], with a list of models that everybody may read.
    KeyOfWork,
    /// The server does not have the model.
    Model,
    /// One recording is damaged.
    Damage,
    /// Whoever sends a recording is refused, for a while.
    Overload,
}

/// What minuted does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// All recordings wait for a person; nothing counts.
    Person,
    /// All recordings wait; nothing counts, and it goes on without help.
    Waits,
    /// The recording fails after so many attempts, and no other has to wait for it.
    Fails(u32),
}

/// What it is answered by.
#[derive(Debug, Clone, Copy)]
enum By {
    /// JSON with this message and, where there is one, this code.
    Json(u16, &'static str, Option<&'static str>),
    /// The page of a proxy.
    Page(u16),
    /// Seconds to wait.
    RetryAfter(u16, u32),
    /// The connection ends.
    Lost,
}

impl By {
    fn fault(self) -> Fault {
        match self {
            Self::Json(status, message, code) => Fault::Status(
                status,
                json!({"error": {"message": message, "code": code}}).to_string(),
            ),
            Self::Page(status) => Fault::Proxy(status),
            Self::RetryAfter(status, wait) => Fault::RetryAfter(status, wait),
            Self::Lost => Fault::Lost,
        }
    }
}

/// A cause, how the server tells it, what becomes of it, and words that a person reads then. A new one is a line.
const TABLE: [(Cause, By, Fate, &str); 34] = [
    (
        Cause::Key,
        By::Json(400, "API key not valid", Some("API_KEY_INVALID")),
        Fate::Person,
        "answered 400: API key",
    ),
    (Cause::Key, By::Json(400, "no", None), Fate::Waits, "check model, api_key_file and base_url"),
    (
        Cause::Key,
        By::Json(401, "Incorrect API key", Some("invalid_api_key")),
        Fate::Person,
        "Incorrect API key",
    ),
    (
        Cause::Key,
        By::Json(403, "Invalid API key", None),
        Fate::Person,
        "answered 403: Invalid API key",
    ),
    (Cause::Key, By::Json(404, "Not Found", None), Fate::Waits, "api_key_file"),
    (
        Cause::KeyOfWork,
        By::Json(400, "bad key", None),
        Fate::Waits,
        "is refused likewise (400: bad key)",
    ),
    (Cause::KeyOfWork, By::Json(401, "Unauthorized", None), Fate::Person, "Unauthorized"),
    (Cause::KeyOfWork, By::Json(403, "Forbidden", None), Fate::Person, "answered 403: Forbidden"),
    (Cause::KeyOfWork, By::Json(404, "Not Found", None), Fate::Waits, "api_key_file"),
    (Cause::KeyOfWork, By::Json(422, "key", None), Fate::Waits, "is refused likewise (422: key)"),
    (
        Cause::Model,
        By::Json(400, "no such model", None),
        Fate::Waits,
        "is refused likewise (400: no such model)",
    ),
    (
        Cause::Model,
        By::Json(400, "no", Some("model_not_found")),
        Fate::Waits,
        "no such model (400): no; check base_url",
    ),
    (
        Cause::Model,
        By::Json(404, "no such model", Some("model_not_found")),
        Fate::Waits,
        "no such model (404)",
    ),
    (
        Cause::Model,
        By::Json(404, "nothing here", None),
        Fate::Waits,
        "answered 404: nothing here; check",
    ),
    (
        Cause::Model,
        By::Json(422, "model: unknown", None),
        Fate::Waits,
        "is refused likewise (422: model: unknown)",
    ),
    (
        Cause::Model,
        By::Json(500, "cannot load it", None),
        Fate::Waits,
        "failed (500): cannot load it",
    ),
    (
        Cause::Damage,
        By::Json(400, "Invalid file format.", None),
        Fate::Fails(3),
        "not to this file",
    ),
    (Cause::Damage, By::Json(403, "blocked by a rule", None), Fate::Fails(3), "not to this file"),
    (
        Cause::Damage,
        By::Json(413, "too large", None),
        Fate::Fails(1),
        "larger than the service takes (413)",
    ),
    (Cause::Damage, By::Json(415, "what is this", None), Fate::Fails(1), "does not take (415)"),
    (
        Cause::Damage,
        By::Json(422, "no audio in it", None),
        Fate::Fails(3),
        "(422): no audio in it; the server answers",
    ),
    (
        Cause::Damage,
        By::Json(500, "FFmpeg conversion failed.", None),
        Fate::Fails(3),
        "FFmpeg conversion failed.",
    ),
    (
        Cause::Damage,
        By::Page(500),
        Fate::Fails(3),
        "An Error (nginx); the server answers, but not to this file",
    ),
    (Cause::Damage, By::Page(502), Fate::Fails(3), "502 Bad Gateway (nginx)"),
    (Cause::Damage, By::Page(504), Fate::Fails(3), "proxy_read_timeout"),
    (Cause::Damage, By::Lost, Fate::Fails(3), "not to this file"),
    (
        Cause::Overload,
        By::Json(429, "Too many requests", None),
        Fate::Waits,
        "busy (429): Too many requests",
    ),
    (Cause::Overload, By::RetryAfter(429, 1), Fate::Waits, "busy (429)"),
    (Cause::Overload, By::RetryAfter(503, 1), Fate::Waits, "failed (503)"),
    (Cause::Overload, By::Page(503), Fate::Waits, "503 Service Temporarily Unavailable (nginx)"),
    (Cause::Overload, By::Page(504), Fate::Waits, "504 Gateway Time-out (nginx)"),
    (Cause::Overload, By::Page(502), Fate::Waits, "502 Bad Gateway (nginx)"),
    (Cause::Overload, By::Json(500, "out of memory", None), Fate::Waits, "out of memory"),
    (Cause::Overload, By::Lost, Fate::Waits, "no answer from"),
];

const KEY: &str = "sk-right";

/// A row of the table with its server, in a house of many.
struct Row {
    name: String,
    server: OpenAi,
    cause: Cause,
    fault: Fault,
    fate: Fate,
    words: &'static str,
}

struct Street {
    house: House,
    rows: Vec<Row>,
}

impl Street {
    fn new() -> Self {
        let house = House::new();
        let key = house.dir.path().join("key");
        fs::write(&key, "sk-wrong\n").expect("written");
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("set");
        let rows = TABLE.iter().enumerate().map(|(number, (cause, by, fate, words))| Row {
            name: format!("s{number:02}"),
            server: OpenAi::start(),
            cause: *cause,
            fault: by.fault(),
            fate: *fate,
            words,
        });
        let street = Self { rows: rows.collect(), house };
        for row in &street.rows {
            row.begin();
        }
        let servers: Vec<_> =
            street.rows.iter().map(|row| (row.name.as_str(), &row.server)).collect();
        fs::write(street.house.config(), config(&street.house, &servers)).expect("written");
        street
    }

    fn path(&self, row: &Row, name: &str) -> PathBuf {
        self.house.dir.path().join(&row.name).join(name)
    }

    fn drop_into(&self, row: &Row, name: &str) {
        fs::write(self.path(row, name), recording(name)).expect("written");
    }

    fn job(&self, row: &Row, name: &str) -> Value {
        self.house.job_of(&self.path(row, name)).unwrap_or_default()
    }

    fn service(&self, row: &Row) -> Value {
        let status = self.house.status();
        let services = status["services"].as_array().expect("a list");
        services.iter().find(|service| service["name"] == row.name).expect("there").clone()
    }

    /// Waits for a condition on a row's job and its service.
    fn until(&self, row: &Row, name: &str, what: &str, condition: impl Fn(&Value, &Value) -> bool) {
        let shown = || {
            let (job, service) = (self.job(row, name), self.service(row));
            format!("{what}: {} {:?} {:?}: {job:#} {service:#}", row.name, row.cause, row.fault)
        };
        until_told(shown, || condition(&self.job(row, name), &self.service(row)).then_some(()));
    }
}

impl Row {
    /// Lets the trouble begin.
    fn begin(&self) {
        let mut state = self.server.state();
        match self.cause {
            Cause::Key | Cause::KeyOfWork => {
                state.key = Some(KEY.to_owned());
                state.wrong_key = Some(self.fault.clone());
                state.lists_for_all = self.cause == Cause::KeyOfWork;
            }
            Cause::Model => {
                state.models = Some(vec!["another".to_owned()]);
                state.unknown_model = Some(self.fault.clone());
            }
            Cause::Damage => state.damaged = Some(self.fault.clone()),
            Cause::Overload => {
                drop(state);
                self.server.fail_always(Call::Transcribe, self.fault.clone());
            }
        }
    }

    /// Ends it, without a word to minuted.
    fn end(&self) {
        self.server.clear_faults();
        let mut state = self.server.state();
        state.key = None;
        state.models = Some(vec!["whisper-1".to_owned()]);
        state.damaged = None;
    }

    /// How often the second of sound was sent; twice within one comparison where its shape was refused.
    fn sounds(&self) -> usize {
        let state = self.server.state();
        state.sent.iter().filter(|sent| sent.name.contains("second-of-sound")).count()
    }
}

fn config(house: &House, servers: &[(&str, &OpenAi)]) -> String {
    let mut text = format!("state_dir = \"{}\"\n", house.state_dir().display());
    text.push_str("[retry]\ndelay = \"50ms\"\ndelay_max = \"200ms\"\n[log]\nlevel = \"debug\"\n");
    for (name, server) in servers {
        writeln!(
            text,
            "[services.{name}]\nkind = \"openai\"\nbase_url = \"{}\"",
            server.base_url()
        )
        .and_then(|()| {
            writeln!(text, "api_key_file = \"key\"\nrequest_timeout = \"5s\"\nat_once = 4")
        })
        .and_then(|()| writeln!(text, "poll = {{ first = \"10ms\", every = \"50ms\" }}"))
        .expect("a string takes all");
    }
    for (name, _) in servers {
        let path = house.dir.path().join(name);
        fs::create_dir_all(&path).expect("made");
        writeln!(
            text,
            "[[folder]]\nname = \"{name}\"\npath = \"{}\"\nservice = \"{name}\"",
            path.display()
        )
        .and_then(|()| {
            writeln!(text, "settle = \"100ms\"\nrescan = \"300ms\"\nbacklog = \"process\"")
        })
        .expect("a string takes all");
    }
    text
}

#[test]
fn each_cause_is_charged_to_whom_it_belongs_whatever_its_status() {
    let street = Street::new();
    let _daemon = street.house.start();
    for row in &street.rows {
        street.drop_into(row, "damaged.wav");
    }
    for row in &street.rows {
        street.until(row, "damaged.wav", "it comes to what it must", |job, service| {
            let comes = match row.fate {
                Fate::Person => service["state"] == "signed_out" && job["attempts"] == 0,
                Fate::Waits => service["state"] == "down" && job["attempts"] == 0,
                Fate::Fails(attempts) => {
                    job["state"] == "failed"
                        && job["attempts"] == attempts
                        && service["state"] == "up"
                }
            };
            let told = format!("{} {service}", job["history"]);
            comes && told.contains(row.words)
        });
        let told = street.job(row, "damaged.wav").to_string();
        assert!(
            !told.contains("<html") && !told.contains("\\r"),
            "no page is told as it is: {told}"
        );
    }
    // A good recording goes through beside a damaged one, and is not held up by it.
    for row in street.rows.iter().filter(|row| row.cause == Cause::Damage) {
        street.drop_into(row, "good.wav");
        street.until(row, "good.wav", "the good one is done", |job, _| {
            job["state"] == "done" && job["attempts"] == 0
        });
        let failed = fs::read_to_string(street.path(row, "damaged.failed.txt")).expect("told");
        assert!(failed.contains(row.words) && !failed.contains("<html"), "{failed}");
        let down = format!("service `{}` does not work", row.name);
        // A connection that is lost is the network's doing at first.
        let told = usize::from(row.fault == Fault::Lost);
        assert_eq!(
            street.house.notices(&down),
            told,
            "{:?}: one damaged file is no service that is down",
            row.fault
        );
    }
    let lasts = |row: &&Row| row.cause != Cause::Damage;
    for row in street.rows.iter().filter(lasts) {
        // Several more tries of each that is tried by itself.
        if row.fate == Fate::Waits {
            let calls = || row.server.state().calls.len();
            let before = calls();
            let is_patient = matches!(row.fault, Fault::RetryAfter(..));
            until("it is tried again", || {
                (calls() >= before + if is_patient { 1 } else { 6 }).then_some(())
            });
        }
        let (job, sounds) = (street.job(row, "damaged.wav"), row.sounds());
        assert_eq!(job["attempts"], 0, "{:?} {:?}: {job:#}", row.cause, row.fault);
        assert!(sounds <= 2, "{:?} {:?}: {sounds} seconds of sound", row.cause, row.fault);
        let told = ["does not work", "waits for a person"]
            .map(|told| street.house.notices(&format!("service `{}` {told}", row.name)));
        assert_eq!(
            told.iter().sum::<usize>(),
            1,
            "{:?} {:?}: told once: {told:?}",
            row.cause,
            row.fault
        );
        row.end();
        if row.fate == Fate::Person {
            assert!(street.house.run(&["whoami", &row.name]).status.success(), "{}", row.name);
        }
    }
    for row in street.rows.iter().filter(lasts) {
        street.until(row, "damaged.wav", "it resumes without help", |job, service| {
            job["state"] == "done" && job["attempts"] == 0 && service["state"] == "up"
        });
    }
}

#[test]
fn a_limit_of_calls_charges_no_recording_however_many_go_through_meanwhile() {
    let answers = [By::Json(429, "Too many requests", None), By::RetryAfter(429, 1), By::Page(503)];
    let servers = answers.map(|by| {
        let server = OpenAi::start();
        let within = Duration::from_millis(700);
        server.state().limit =
            Some(Limit { calls: 4, within, answer: by.fault(), made: Vec::new() });
        server
    });
    let house = House::new();
    fs::write(house.dir.path().join("key"), "sk\n").expect("written");
    fs::set_permissions(house.dir.path().join("key"), fs::Permissions::from_mode(0o600))
        .expect("set");
    let names = ["plain", "seconds", "page"];
    let rows: Vec<_> = names.into_iter().zip(&servers).collect();
    fs::write(house.config(), config(&house, &rows)).expect("written");
    let _daemon = house.start();
    for name in names {
        for number in 0..8 {
            let file = format!("{name}{number}.wav");
            fs::write(house.dir.path().join(name).join(&file), recording(&file)).expect("written");
        }
    }
    let jobs = || house.jobs();
    until_told(
        || format!("all are done: {:#?}\n{}", jobs(), house.log()),
        || (jobs().iter().filter(|job| job["state"] == "done").count() == 24).then_some(()),
    );
    assert!(jobs().iter().all(|job| job["attempts"] == 0), "{:#?}", jobs());
    assert!(servers.iter().all(|server| {
        let state = server.state();
        state.sent.iter().all(|sent| !sent.name.contains("second-of-sound"))
    }));
}

#[test]
fn a_note_that_fails_again_with_the_same_id_and_words_spends_its_attempts() {
    let house = House::with(Options {
        auto_approve: true,
        transcription_time: Duration::from_millis(80),
        note_time: Duration::from_millis(40),
        quirks: vec![Quirk::RemakesInPlace],
        ..Options::default()
    });
    let _daemon = house.start();
    house.standin.fail_notes(2);
    house.drop_recording("twice.mp3");
    assert_eq!(house.wait_for("twice.mp3", "done")["attempts"], 2);
    house.standin.fail_notes(3);
    house.drop_recording("thrice.mp3");
    let job = house.wait_for("thrice.mp3", "failed");
    assert_eq!((&job["attempts"], &job["partial"]), (&3.into(), &true.into()), "{job:#}");
    assert!(house.standin.snapshot().meetings.iter().all(|meeting| meeting.uploads == 1));
}

#[test]
fn a_check_with_a_key_that_is_refused_ends_in_an_error_and_an_unlisted_model_in_a_warning() {
    let house = House::new();
    let server = OpenAi::start();
    fs::write(house.dir.path().join("key"), "sk-wrong\n").expect("written");
    fs::set_permissions(house.dir.path().join("key"), fs::Permissions::from_mode(0o600))
        .expect("set");
    fs::write(house.config(), config(&house, &[("home", &server)])).expect("written");
    let check = || {
        let output = house.run(&["check", "--json"]);
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
        let found =
            findings.into_iter().find(|found| found["subject"] == "service home").expect("told");
        (output.status.code(), found["level"].as_str().expect("a word").to_owned(), found)
    };
    server.state().key = Some(KEY.to_owned());
    for status in [400, 401, 403] {
        server.state().wrong_key = Some(By::Json(status, "Invalid API key", None).fault());
        let (code, level, found) = check();
        assert_eq!((code, level.as_str()), (Some(1), "error"), "{status}: {found:#}");
        assert!(
            found["message"].as_str().is_some_and(|told| told.contains("Invalid API key")),
            "{found:#}"
        );
        assert!(found["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{found:#}");
    }
    server.state().key = None;
    for (listed, level, words) in [
        (vec!["whisper-1"], "ok", "has the models"),
        (vec!["*"], "ok", "has the models"),
        (vec!["other/*", "whisper-*"], "ok", "has the models"),
        (vec!["small", "large"], "warning", "does not list whisper-1; it lists small, large"),
        (vec!["other/*"], "warning", "does not list whisper-1"),
    ] {
        server.state().models = Some(listed.iter().map(|&model| model.to_owned()).collect());
        let (code, found_level, found) = check();
        assert_eq!((code, found_level.as_str()), (Some(0), level), "{listed:?}: {found:#}");
        assert!(found["message"].as_str().is_some_and(|told| told.contains(words)), "{found:#}");
    }
    // A key of a cloud that may transcribe and not list is a good one.
    server.fail_always(Call::Models, By::Json(403, "Missing scopes: api.model.read", None).fault());
    let (code, level, found) = check();
    assert_eq!((code, level.as_str()), (Some(0), "note"), "{found:#}");
}

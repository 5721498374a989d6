//! What people get wrong, and what they are told; and the defaults, which are a promise.

use std::{path::Path, time::Duration};

use proptest::prelude::*;

use super::*;

const FILE: &str = "/etc/minuted/config.toml";

const SERVICE: &str = "[services.paxs]\nkind = \"paxs\"\n";

const FOLDER: &str = r#"
[[folder]]
name = "sales"
path = "/srv/recordings/sales"
attendees = [{ name = "Ann Lee", email = "ann@example.com" }]
"#;

fn env() -> Environment {
    Environment { home: Some("/home/ann".into()), ..Environment::default() }
}

fn settings(text: &str) -> Settings {
    parse(text, Path::new(FILE), &env()).unwrap_or_else(|error| panic!("{error}"))
}

/// What a person is told about `text`.
fn told(text: &str) -> String {
    parse(text, Path::new(FILE), &env()).expect_err("a mistake").render(false)
}

/// The titles and cures alone.
fn mistakes(text: &str) -> String {
    let told = told(text);
    let lines = told.lines().filter_map(|line| {
        line.strip_prefix("error: ")
            .map(str::to_owned)
            .or_else(|| Some(format!("  {}", line.split("= help: ").nth(1)?)))
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The mistakes of a sound config with `line` in its folder.
fn in_folder(line: &str) -> String {
    mistakes(&format!("{SERVICE}{FOLDER}{line}\n"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a snapshot of everything there is")]
fn a_short_config_takes_every_default() {
    let settings = settings(&format!("{SERVICE}{FOLDER}"));
    insta::assert_debug_snapshot!(settings, @r#"
    Settings {
        file: "/etc/minuted/config.toml",
        state_dir: "/var/lib/minuted",
        history: 15552000s,
        services: {
            "paxs": Service {
                name: "paxs",
                kind: Paxs(
                    Paxs {
                        base_url: Url {
                            scheme: "https",
                            cannot_be_a_base: false,
                            username: "",
                            password: None,
                            host: Some(
                                Domain(
                                    "dzd.paxs.ai",
                                ),
                            ),
                            port: None,
                            path: "/",
                            query: None,
                            fragment: None,
                        },
                        meeting_type: Group,
                    },
                ),
                poll: Poll {
                    first: 5s,
                    every: 5s,
                    timeout: 300s,
                    patience: 86400s,
                },
                notes: None,
                analyses: [
                    Transcription,
                    MeetingNote,
                ],
                instruction: None,
                request_timeout: 30s,
                at_once: None,
                daily_limit: 0ns,
            },
        },
        retry: Retry {
            attempts: 3,
            delay: 60s,
            delay_max: 900s,
        },
        workers: Workers {
            uploads: 2,
            requests_per_second: 10,
        },
        email: None,
        log: Log {
            level: "info",
            format: Text,
            dir: None,
            keep: 14,
        },
        folders: [
            Folder {
                name: "sales",
                id: "sales",
                path: "/srv/recordings/sales",
                limits: Limits {
                    min_duration: 0ns,
                    max_duration: 86400s,
                    max_size: 68719476736,
                    daily_limit: 0ns,
                },
                attendees: [
                    Attendee {
                        name: "Ann Lee",
                        email: "ann@example.com",
                        role: None,
                    },
                ],
                calendar: None,
                service: "paxs",
                instruction: None,
                prompt_template: None,
                analyses: [
                    Transcription,
                    MeetingNote,
                ],
                language: None,
                vocabulary: [],
                speakers: Auto,
                recursive: true,
                include: [
                    "*",
                ],
                exclude: [],
                watch: Auto,
                settle: None,
                rescan: None,
                backlog: Ask,
                convert: No,
                title: "{stem}",
                deliver: [
                    Beside,
                ],
                notes_dir: None,
                notes_name: "{stem}.notes",
                links: Off,
                tags: [],
                email_to: Attendees,
                formats: [
                    Md,
                ],
                on_success: Keep,
                delete_recording_after: None,
                transcript: Make,
                on_success_remote: Keep,
                file_mode: 432,
                sidecars: false,
            },
        ],
        sources: [],
        calendars: [],
        webhook: None,
        http: None,
        notifiers: [],
        ping: None,
    }
    "#);
}

#[test]
fn a_folder_that_takes_sidecars_need_name_nobody() {
    let bare =
        FOLDER.replace("attendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]\n", "");
    let email = "[email]\nfrom = \"minutes@example.com\"\nallow = [\"@example.org\"]\nsmtp = { host = \"localhost\" }\n";
    let of = |keys: &str| {
        let text =
            format!("{SERVICE}{email}{bare}service = \"paxs\"\ndeliver = [\"email\"]\n{keys}\n");
        parse(&text, Path::new("/etc/minuted/config.toml"), &env())
            .map(|settings| settings.folders[0].sidecars)
    };
    let refused = of("").expect_err("nobody is named").to_string();
    assert!(
        refused.contains("has no attendees")
            && refused.contains("mails its attendees, and has none"),
        "{refused}"
    );
    assert!(of("sidecars = false").is_err());
    assert!(of("sidecars = true").expect("a sidecar may name them"));
    // Nor need those that it names itself be permitted: a sidecar may name others.
    let ann = "sidecars = true\nattendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]";
    assert!(of(ann).expect("others may be permitted"));
}

#[test]
fn the_state_directory_of_a_persons_own_config_is_their_own() {
    let text = format!("{SERVICE}{FOLDER}");
    let file = Path::new("/home/ann/.config/minuted/config.toml");
    let settings = parse(&text, file, &env()).expect("sound");
    assert_eq!(settings.state_dir, Path::new("/home/ann/.local/state/minuted"));
    let env = Environment { xdg_state_home: Some("/state".into()), ..env() };
    assert_eq!(parse(&text, file, &env).expect("sound").state_dir, Path::new("/state/minuted"));
    let error = parse(&text, file, &Environment::default()).expect_err("no home");
    assert!(error.to_string().contains("write state_dir ="), "{error}");
}

#[test]
fn an_unknown_key_names_the_one_that_was_meant() {
    insta::assert_snapshot!(told(&format!("{SERVICE}{}", FOLDER.replace("attendees", "atendees"))), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: unknown key `atendees` in `[[folder]]`
     --> /etc/minuted/config.toml:7:1
      |
    7 | atendees = [{ name = "Ann Lee", email = "ann@example.com" }]
      | ^^^^^^^^
      |
      = help: did you mean `attendees`?
    "#);
}

#[test]
fn a_tag_that_a_vault_does_not_know_is_refused_with_the_one_that_was_meant() {
    let refused = mistakes(&format!(
        "{SERVICE}{FOLDER}links = \"obsidian\"\ntags = [\"#meeting\", \"2026\", \"a b\", \"a//b\", \"x/y\"]\n"
    ));
    assert!(refused.contains("`#meeting` is not a tag"), "{refused}");
    assert!(refused.contains("write it without `#`: \"meeting\""), "{refused}");
    for tag in ["2026", "a b", "a//b"] {
        assert!(refused.contains(&format!("`{tag}` is not a tag")), "{refused}");
    }
    assert!(!refused.contains("`x/y`"), "{refused}");
}

#[test]
fn an_unknown_key_like_no_other_lists_those_that_there_are() {
    insta::assert_snapshot!(told(&format!("{SERVICE}{FOLDER}colour = \"red\"\n")), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: unknown key `colour` in `[[folder]]`
     --> /etc/minuted/config.toml:8:1
      |
    8 | colour = "red"
      | ^^^^^^
      |
      = help: known here: name, id, path, attendees, calendar, service, instruction, prompt_template,
              analyses, language, vocabulary, speakers, recursive, include, exclude,
              watch, settle, rescan, backlog, convert, title, deliver, notes_dir,
              notes_name, links, tags, email_to, formats, on_success, move_to,
              delete_recording_after, transcript, on_success_remote, file_mode, sidecars,
              min_duration, max_duration, max_size, daily_limit
    "#);
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text = r#"
history = 30
requests_per_second = 5

[services.paxs]
kind = "otter"
poll = { first = "5", every = "5 s", patience = "1m" }

[retry]
attempts = 0

[[folder]]
name = "sales team"
path = "~/recordings"
recursive = "yes"
watch = "natve"
attendees = [{ name = "Ann\nBcc: x", email = "ann" }, { email = "bo@example.com" }]
formats = ["txt", "txt"]

[[source]]
kind = "meetingbaas"
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
    `history` must be a duration in quotes, not a whole number
      write it with its unit: "30s" for seconds
    unknown key `requests_per_second` at the top of the file
      `requests_per_second` belongs to `[workers]`
    unknown kind `otter`
      write kind = "paxs", "saled", "openai", "koldan" or "ondevice"
    `5` has no unit
      write "5s" for seconds
    `patience` is shorter than `timeout`
      write at least the `timeout`, or 0 to give up right after it
    `0` is out of range for `attempts`
      write a whole number from 1 to 100
    white space in `sales team`, which is a name
      write 1 to 64 bytes of letters, digits, `.`, `_` and `-`, a letter or a digit first
    `~/recordings` is not an absolute path: `~` and `$…` are not expanded
      write the whole path, beginning with `/`
    `recursive` must be true or false, not a text
      write `recursive = true` or `recursive = false`
    unknown word `natve` for `watch`
      did you mean `native`? it may be `auto`, `native` or `poll`
    a line end or another control character in `Ann\u{a}Bcc: x`
      write one line of plain text
    `ann` is not a mail address
      write an address such as "ann@example.com"
    `name` is missing in an attendee
      write { name = "Ann Lee", email = "ann@example.com" }
    `formats` is without `md`, and notes beside the recording need it
      add "md", or take "beside" out of `deliver`
    twice the same in `formats`
      remove one of them
    `api_key_file` is missing in `[[source]]`
      write api_key_file = "…": the file with the key of your account
    `into` is missing in `[[source]]`
      write into = "…": the name of the folder that its recordings go to
    "#);
}

#[test]
fn a_missing_path_points_at_its_folder() {
    insta::assert_snapshot!(told(&format!("{SERVICE}\n[[folder]]\nname = \"sales\"\nattendees = []\n")), @r#"
    the configuration `/etc/minuted/config.toml` has 2 mistakes

    error: `path` is missing in `[[folder]]`
     --> /etc/minuted/config.toml:4:1
      |
    4 | [[folder]]
      | ^^^^^^^^^^
      |
      = help: write path = "/…": the directory that is watched

    error: folder `sales` has no attendees, and its service needs them
     --> /etc/minuted/config.toml:6:13
      |
    6 | attendees = []
      |             ^^
      |
      = help: write attendees = [{ name = "Ann Lee", email = "ann@example.com" }]
    "#);
}

#[test]
fn a_bad_address_shows_a_good_one() {
    insta::assert_snapshot!(told(&format!("{SERVICE}{}", FOLDER.replace("ann@example.com", "Ann <ann@example.com>"))), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: `Ann <ann@example.com>` is not a mail address
     --> /etc/minuted/config.toml:7:42
      |
    7 | attendees = [{ name = "Ann Lee", email = "Ann <ann@example.com>" }]
      |                                          ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write the address alone: "ann@example.com"
    "#);
}

#[test]
fn overlapping_folders_show_both_places() {
    let other = FOLDER.replace("\"sales\"", "\"eu\"").replace("/sales", "/./sales//eu/");
    insta::assert_snapshot!(told(&format!("{SERVICE}{FOLDER}{other}")), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: folder `eu` lies inside folder `sales`
      --> /etc/minuted/config.toml:11:8
       |
     6 | path = "/srv/recordings/sales"
       |        ----------------------- the other folder
    ...
    11 | path = "/srv/recordings/./sales//eu/"
       |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: a recording belongs to one folder: choose directories beside each other
    "#);
}

#[test]
fn a_service_in_the_clear_is_refused_but_on_this_machine() {
    let text = |url: &str| format!("{SERVICE}base_url = \"{url}\"\n{FOLDER}");
    insta::assert_snapshot!(told(&text("http://paxs.example.com")), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: `http://paxs.example.com` would send recordings and tokens in the clear
     --> /etc/minuted/config.toml:3:12
      |
    3 | base_url = "http://paxs.example.com"
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write "https://…"; http is for this machine, or for a network that is trusted: insecure = true
    "#);
    for url in [
        "http://127.0.0.1:8080",
        "http://localhost:1",
        "http://[::1]:1",
        "https://paxs.example.com",
    ] {
        assert!(parse(&text(url), Path::new(FILE), &env()).is_ok(), "{url}");
    }
    for url in [
        "https://x.example/?a",
        "https://x.example/#a",
        "https://x.example/a",
        "ftp://x.example",
        "x",
        "",
    ] {
        assert!(parse(&text(url), Path::new(FILE), &env()).is_err(), "{url}");
    }
}

#[test]
fn an_unknown_service_names_the_one_that_was_meant() {
    insta::assert_snapshot!(told(&format!("{SERVICE}{FOLDER}service = \"pax\"\n")), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: unknown service `pax`
     --> /etc/minuted/config.toml:8:11
      |
    8 | service = "pax"
      |           ^^^^^
      |
      = help: did you mean `paxs`?
    "#);
}

#[test]
fn a_wrong_type_says_what_to_write() {
    let text = format!(
        "{SERVICE}{FOLDER}recursive = \"yes\"\nformats = \"md\"\nfile_mode = 0o660\nsettle = 30\n[retry]\nattempts = \"3\"\n"
    );
    insta::assert_snapshot!(told(&text), @r#"
    the configuration `/etc/minuted/config.toml` has 5 mistakes

    error: `recursive` must be true or false, not a text
     --> /etc/minuted/config.toml:8:13
      |
    8 | recursive = "yes"
      |             ^^^^^
      |
      = help: write `recursive = true` or `recursive = false`

    error: `formats` must be a list, not a text
     --> /etc/minuted/config.toml:9:11
      |
    9 | formats = "md"
      |           ^^^^
      |
      = help: write `formats = ["md"]`

    error: `file_mode` must be a text, not a whole number
      --> /etc/minuted/config.toml:10:13
       |
    10 | file_mode = 0o660
       |             ^^^^^
       |
       = help: write it in quotes: "0660"

    error: `settle` must be a duration in quotes, not a whole number
      --> /etc/minuted/config.toml:11:10
       |
    11 | settle = 30
       |          ^^
       |
       = help: write it with its unit: "30s" for seconds

    error: `attempts` must be a whole number, not a text
      --> /etc/minuted/config.toml:13:12
       |
    13 | attempts = "3"
       |            ^^^
       |
       = help: write a whole number from 1 to 100
    "#);
}

#[test]
fn a_syntax_error_points_at_its_place() {
    insta::assert_snapshot!(told("[services.paxs]\nkind = paxs\n[[folder]\nname = \"a\n"), @r#"
    the configuration `/etc/minuted/config.toml` has 2 mistakes

    error: not TOML: string values must be quoted
     --> /etc/minuted/config.toml:2:8
      |
    2 | kind = paxs
      |        ^^^^
      |
      = help: write it in quotes: "paxs"

    error: not TOML: unclosed array table
     --> /etc/minuted/config.toml:3:10
      |
    3 | [[folder]
      |          ^
      |
      = help: expected `]`
    "#);
}

#[test]
fn a_misspelt_table_is_told_once_and_not_missed_as_well() {
    let text = format!("{}{FOLDER}", SERVICE.replace("services", "service"));
    insta::assert_snapshot!(mistakes(&text), @r"
    unknown key `service` at the top of the file
      did you mean `services`?
    ");
    let text = format!(
        "{SERVICE}{}{FOLDER}service = \"paxs\"\ndeliver = [\"email\"]",
        EMAIL.replace("email]", "mail]")
    );
    insta::assert_snapshot!(mistakes(&text), @r"
    unknown key `mail` at the top of the file
      did you mean `email`?
    ");
    insta::assert_snapshot!(mistakes(&format!("{SERVICE}{}", FOLDER.replace("[[folder]]", "[folder]"))), @r"
    `folder` must be a list, not a table
      write `[[folder]]`, with two brackets
    ");
    insta::assert_snapshot!(mistakes(&format!("{SERVICE}[email]\nfrom = \"a@example.com\"\nsmtp = 5\n")), @r"
    `smtp` must be a table, not a whole number
      write a table, such as { host = … }
    ");
    insta::assert_snapshot!(mistakes("services = [1]\nretry = 3\nfolder = [\"x\"]"), @r"
    `services` must be a table of tables, not a list
      write a table with a name: [services.NAME]
    `retry` must be a table, not a whole number
      write a table, such as { attempts = … }
    `folder` must be a table, not a text
      write a table, such as { name = … }
    ");
}

#[test]
fn a_folder_with_a_path_alone_is_a_whole_config_for_the_engine_on_this_machine() {
    let settings = settings("[[folder]]\npath = \"/srv/recordings/sales\"\n");
    let folder = &settings.folders[0];
    assert_eq!((&*folder.name, &*folder.service), ("sales", "ondevice"));
    assert!(folder.attendees.is_empty());
    let service = &settings.services["ondevice"];
    assert_eq!((service.kind.as_str(), service.at_once), ("ondevice", Some(1)));
    insta::assert_snapshot!(mistakes("[[folder]]\npath = \"/srv/my recordings\"\n"), @r#"
    this folder has no `name`, and that of its directory, `my recordings`, is not fit for one
      write name = "…": what it is called everywhere
    "#);
}

#[test]
fn what_a_kind_of_service_cannot_do_is_refused_where_it_is_written() {
    let local = "[services.local]\nkind = \"ondevice\"\nbase_url = \"https://x.example\"\nanalyses = [\"sentiment\"]\n\
                 [[folder]]\npath = \"/srv/sales\"\ninstruction = \"List decisions.\"\ndeliver = [\"email\"]\nservice = \"local\"\n";
    let email = "[email]\nfrom = \"minutes@example.com\"\nsmtp = { host = \"mail.example.com\" }\n";
    insta::assert_snapshot!(mistakes(&format!("{local}{email}")), @r#"
    a service of kind `ondevice` has no `base_url`
      remove it
    a service of kind `ondevice` gives no `sentiment`
      it gives `meeting note` or `transcription`
    a service of kind `ondevice` follows no instruction
      remove it, or choose a service that does
    folder `sales` mails its attendees, and has none
      write attendees = [{ name = "Ann Lee", email = "ann@example.com" }], or `email_to`
    "#);
    insta::assert_snapshot!(mistakes(&format!("[services]\n{FOLDER}")), @r#"
    `services` is empty
      write `[services.paxs]`, below it `kind = "paxs"`; without `services` the on-device engine serves
    "#);
}

/// A service of OpenAI's shape with these lines, and a folder.
fn openai(lines: &str) -> String {
    format!("[services.home]\nkind = \"openai\"\n{lines}\n[[folder]]\npath = \"/srv/sales\"\n")
}

#[test]
fn a_server_of_openais_shape_needs_its_place_alone() {
    let settings =
        settings(&openai("base_url = \"http://127.0.0.1:8000/v1/\"\napi_key_file = \"key\""));
    let service = &settings.services["home"];
    let Kind::Openai(told) = &service.kind else { panic!("{service:?}") };
    assert_eq!(
        (told.base_url.as_str(), told.model.as_str()),
        ("http://127.0.0.1:8000/", "whisper-1")
    );
    assert_eq!(told.api_key_file.as_deref(), Some(Path::new("/etc/minuted/key")));
    assert_eq!((&told.notes_model, told.context, service.at_once), (&None, 8192, Some(1)));
    let with_credentials =
        Environment { credentials_directory: Some("/run/credentials/minuted".into()), ..env() };
    let text = openai("base_url = \"https://x.example\"\napi_key_file = \"key\"");
    let given = parse(&text, Path::new(FILE), &with_credentials).expect("sound");
    assert!(format!("{given:?}").contains("\"/run/credentials/minuted/key\""));
    let place = |base_url: &str| {
        let settings =
            parse(&openai(&format!("base_url = \"{base_url}\"")), Path::new(FILE), &env()).ok()?;
        Some(settings.services["home"].kind.place())
    };
    for (written, meant) in [
        ("https://api.openai.com", "https://api.openai.com/"),
        ("https://api.openai.com/v1", "https://api.openai.com/"),
        ("https://api.groq.com/openai/v1/", "https://api.groq.com/openai"),
        ("http://[::1]:11434", "http://[::1]:11434/"),
    ] {
        assert_eq!(place(written).as_deref(), Some(meant), "{written}");
    }
    for written in [
        "http://gpu.example",
        "https://a@x.example",
        "https://x.example/v1?key=x",
        "x",
        "ftp://x.example",
    ] {
        assert_eq!(place(written), None, "{written}");
    }
}

#[test]
fn what_a_server_of_openais_shape_cannot_do_is_refused_with_the_cure() {
    let wrong = "api_key = \"hunter2\"\ninstruction = \"Short.\"\ncontext = 100\nanalyses = [\"key_points\"]";
    let folder = "instruction = \"List decisions.\"\n";
    insta::assert_snapshot!(mistakes(&format!("{}{folder}", openai(wrong))), @r#"
    `base_url` is missing in `[services.home]`
      write base_url = "https://api.openai.com", or where your own server is
    a key in the config file is not kept secret
      put it into a file that only minuted may read, and name that: api_key_file = "…"
    `instruction` without `notes_model`
      add notes_model = "…", the model that writes the notes, or remove it
    `context` without `notes_model`
      add notes_model = "…", the model that writes the notes, or remove it
    `100` is out of range for `context`
      write a whole number from 1024 to 2000000
    "#);
    let text = openai("base_url = \"https://x.example\"\nanalyses = [\"key_points\"]");
    insta::assert_snapshot!(mistakes(&format!("{text}{folder}")), @r#"
    a service of kind `openai` gives no `key_points`
      it gives `meeting note` or `transcription`
    a service of kind `openai` follows no instruction
      add notes_model = "…" to the service, or remove it
    "#);
    let in_the_house = openai("base_url = \"http://gpu.example:8000\"\ninsecure = true");
    assert!(parse(&in_the_house, Path::new(FILE), &env()).is_ok());
    let with_model = "base_url = \"https://x.example\"\nnotes_model = \"m\"\ncontext = 1024\n\
                      analyses = [\"key_points\"]\ninstruction = \"Short.\"";
    assert!(parse(&format!("{}{folder}", openai(with_model)), Path::new(FILE), &env()).is_ok());
}

/// A SaLED with these lines, and a folder.
#[test]
fn speakers_are_for_services_that_tell_them_apart() {
    let speakers = |text: &str| settings(text).folders[0].speakers;
    let folder =
        |line: &str| format!("[[folder]]\npath = \"/srv/sales\"\nservice = \"home\"\n{line}\n");
    let service = |kind: &str| format!("[services.home]\nkind = \"{kind}\"\n");
    let exactly = |count| Speakers::Exactly(std::num::NonZeroU8::new(count).expect("not 0"));
    let ondevice = |line: &str| speakers(&(service("ondevice") + &folder(line)));
    assert_eq!((ondevice(""), ondevice("speakers = \"auto\"")), (Speakers::Auto, Speakers::Auto));
    assert_eq!(
        (ondevice("speakers = \"off\""), ondevice("speakers = 20")),
        (Speakers::Off, exactly(20))
    );
    assert_eq!(speakers(&(service("saled") + &folder("speakers = \"off\""))), Speakers::Off);
    // For all folders it is, and those whose service cannot leave it out.
    for kind in ["saled", "paxs", "ondevice"] {
        let attendees = "attendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]";
        let text = format!("[defaults]\nspeakers = 3\n{}{}", service(kind), folder(attendees));
        assert_eq!(speakers(&text), exactly(3), "{kind}");
    }
    let mistakes = |kind: &str, line: &str| mistakes(&(service(kind) + &folder(line)));
    insta::assert_snapshot!(mistakes("ondevice", "speakers = 21"), @r#"
    `21` is no number of speakers
      write "auto", "off", or how many people speak: 1 to 20
    "#);
    insta::assert_snapshot!(mistakes("ondevice", "speakers = \"two\""), @r#"
    `two` is no number of speakers
      write "auto", "off", or how many people speak: 1 to 20
    "#);
    insta::assert_snapshot!(mistakes("ondevice", "speakers = true"), @r#"
    `speakers` must be a word or a number, not true or false
      write "auto", "off", or how many people speak: 1 to 20
    "#);
    insta::assert_snapshot!(mistakes("saled", "speakers = 2"), @r#"
    a service of kind `saled` keeps to no number of speakers
      write "auto" or "off", or choose a service that does: kind = "ondevice"
    "#);
    let unable =
        "attendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]\nspeakers = \"off\"";
    insta::assert_snapshot!(mistakes("paxs", unable), @r#"
    a service of kind `paxs` cannot be told about speakers
      remove `speakers`, or choose a service that can: kind = "ondevice"
    "#);
}

fn saled(lines: &str) -> String {
    format!("[services.home]\nkind = \"saled\"\n{lines}\n[[folder]]\npath = \"/srv/sales\"\n")
}

#[test]
fn a_saled_needs_nothing_and_does_what_it_is_told() {
    let told = |lines: &str| {
        let service = settings(&saled(lines)).services["home"].clone();
        let Kind::Saled(saled) = service.kind.clone() else { panic!("{service:?}") };
        (saled, service)
    };
    let (plain, service) = told("");
    assert_eq!(
        (plain.base_url.as_str(), plain.model.as_str()),
        ("http://localhost:8000/", "tiny.en")
    );
    assert_eq!(
        (plain.diarize, plain.video, plain.summary, plain.chat_model),
        (true, false, None, None)
    );
    assert_eq!((service.at_once, service.kind.abilities().notes), (Some(1), Notes::Extracted));
    let (full, service) = told(
        "base_url = \"http://127.0.0.1:9000/saled/api/\"\nmodel = \"base\"\nsummary_model = \"m\"\n\
         summary_format = \"key_points\"\nmax_length = 50\ninstruction = \"Short.\"",
    );
    assert_eq!(full.base_url.as_str(), "http://127.0.0.1:9000/saled");
    assert_eq!(
        full.summary,
        Some(Summary {
            model: "m".into(),
            format: super::kinds::SummaryFormat::KeyPoints,
            length_max: 50
        })
    );
    assert_eq!(service.kind.abilities().notes, Notes::WhenAsked);
    let (_, service) = told("chat_model = \"m\"\ninstruction = \"Short.\"");
    assert_eq!(service.kind.abilities().notes, Notes::WhenAsked);
    settings(&format!("{}language = \"de\"\n", saled("model = \"base\"")));
}

#[test]
fn what_a_saled_cannot_do_is_refused_with_the_cure() {
    let wrong = "base_url = \"http://box.example:8000\"\nsummary_format = \"list\"\nmax_length = 500\n\
                 instruction = \"Short.\"\nanalyses = [\"key_points\"]\nnotes_model = \"m\"";
    let folder = "instruction = \"List decisions.\"\nlanguage = \"de\"\n";
    insta::assert_snapshot!(mistakes(&format!("{}{folder}", saled(wrong))), @r#"
    `http://box.example:8000` would send recordings and tokens in the clear
      write "https://…"; http is for this machine, or for a network that is trusted: insecure = true
    `summary_format` without `summary_model`
      add summary_model = "…", the model that sums up, or remove it
    unknown word `list` for `summary_format`
      write `paragraph`, `bullet_points` or `key_points`
    `max_length` without `summary_model`
      add summary_model = "…", the model that sums up, or remove it
    `instruction` without `chat_model`
      add chat_model = "…", the model that follows it, or remove it
    a service of kind `saled` gives no `key_points`
      it gives `meeting note` or `transcription`
    a service of kind `saled` has no `notes_model`
      remove it
    a service of kind `saled` follows no instruction
      add chat_model = "…" to the service, or remove it
    the folder's service understands English only, not `de`
      write a `model` in its table that knows it, such as "base": `.en` is English alone
    "#);
    insta::assert_snapshot!(mistakes(&format!("{}{folder}", saled(""))), @r#"
    a service of kind `saled` follows no instruction
      add chat_model = "…" to the service, or remove it
    the folder's service understands English only, not `de`
      write a `model` in its table that knows it, such as "base": `.en` is English alone
    "#);
}

const LOCAL: &str = "[services.local]\nkind = \"ondevice\"\n";

/// Returns the recogniser of the service `local`.
fn recogniser(text: &str) -> Recogniser {
    let settings = settings(text);
    let Kind::Ondevice(ondevice) = &settings.services["local"].kind else { panic!("{settings:?}") };
    ondevice.recogniser.clone()
}

#[test]
fn a_model_is_for_whisper_alone_and_moonshine_understands_english_alone() {
    assert_eq!(recogniser(&format!("{LOCAL}{FOLDER}")), Recogniser::Auto { model: None });
    assert_eq!(
        recogniser(&format!("{LOCAL}engine = \"auto\"\n{FOLDER}")),
        Recogniser::Auto { model: None }
    );
    let english = format!("{LOCAL}engine = \"moonshine\"\n{FOLDER}language = \"en\"\n");
    assert_eq!(recogniser(&english), Recogniser::Moonshine);
    insta::assert_snapshot!(mistakes(&format!("{LOCAL}engine = \"moonshine\"\nmodel = \"base\"\n{FOLDER}")), @r#"
    `model` with `engine = "moonshine"`
      write engine = "auto", or remove `model`: moonshine has its own (minuted engine install)
    "#);
    insta::assert_snapshot!(mistakes(&format!("{LOCAL}engine = \"wisper\"\nmodel = \"ggml-base.bin\"\n{FOLDER}")), @r#"
    unknown word `wisper` for `engine`
      did you mean `whisper`? it may be `auto`, `moonshine` or `whisper`
    `ggml-base.bin` is not an absolute path
      write the whole path, beginning with `/`
    "#);
}

#[test]
fn a_language_that_a_server_s_model_does_not_know_is_refused_wherever_it_is_set() {
    let english =
        "base_url = \"http://127.0.0.1:9000\"\nmodel = \"Systran/faster-whisper-base.en\"\n";
    settings(&format!("{}language = \"en\"\n", openai(english)));
    for place in ["language = \"de\"\n", "[defaults]\nlanguage = \"de\"\n"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(mistakes(&format!("{}{place}", openai(english))), @"
            the folder's service understands English only, not `de`
              write a `model` in its table that knows it: `.en` is English alone
            ");
        }
    }
}

#[cfg(not(feature = "whisper"))]
#[test]
fn a_build_without_whisper_says_how_to_get_one() {
    for (engine, model) in
        [("whisper", "/srv/ggml-base.bin"), ("whisper", "base"), ("auto", "base")]
    {
        let text = format!(
            "{LOCAL}engine = \"{engine}\"\nmodel = \"{model}\"\n{FOLDER}language = \"de\"\n"
        );
        insta::allow_duplicates! {
            insta::assert_snapshot!(mistakes(&text), @"
            this build has no whisper
              build it with cargo build --release --features whisper
            ");
        }
    }
    insta::assert_snapshot!(mistakes("[[folder]]\npath = \"/srv/sales\"\n[defaults]\nlanguage = \"he\"\n"), @"
    the folder's service understands English only, not `he`
      choose another service, or build minuted with cargo build --release --features whisper
    ");
}

#[cfg(feature = "whisper")]
#[test]
fn whisper_takes_a_model_by_name_or_path_and_any_language() {
    let whisper = |model: &str| {
        let folder = format!("{FOLDER}language = \"de\"\n");
        recogniser(&format!("{LOCAL}engine = \"whisper\"\n{model}\n{folder}"))
    };
    let file = WhisperModel::File("/srv/ggml-base.bin".into());
    assert_eq!(
        whisper("model = \"/srv/ggml-base.bin\""),
        Recogniser::Whisper { model: Some(file) }
    );
    let installed = WhisperModel::Installed("large-v3-turbo".into());
    assert_eq!(
        whisper("model = \"large-v3-turbo\""),
        Recogniser::Whisper { model: Some(installed) }
    );
    assert_eq!(whisper(""), Recogniser::Whisper { model: None });
    assert_eq!(
        recogniser(&format!("{LOCAL}{FOLDER}language = \"he\"\n")),
        Recogniser::Auto { model: None },
        "any language"
    );
}

#[test]
fn a_password_is_refused_and_never_shown() {
    let text = format!(
        "{SERVICE}base_url = \"https://ann:hunter2@paxs.example.com\"\n{FOLDER}[email]\nfrom = \"minutes@example.com\"\nsmtp = {{ host = \"mail.example.com\", username = \"minutes\", password = \"hunter2\" }}\n"
    );
    insta::assert_snapshot!(told(&text), @r#"
    the configuration `/etc/minuted/config.toml` has 2 mistakes

    error: a user or a password in the base URL
     --> /etc/minuted/config.toml:3:12
      |
    3 | base_url =***************************************
      |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: write "https://paxs.example.com"

    error: a password in the config file is not kept secret
      --> /etc/minuted/config.toml:11:59
       |
    11 | smtp = { host = "mail.example.com", username = "minutes", password =************
       |                                                           ^^^^^^^^
       |
       = help: put it into a file that only minuted may read, and name that: password_file = "…"
    "#);
    let half = format!("{text}broken = \n");
    assert!(!told(&half).contains("hunter2"));
    assert!(!format!("{:?}", parse(&text, Path::new(FILE), &env())).contains("hunter2"));
}

#[test]
fn a_default_serves_every_folder_that_does_not_say_otherwise() {
    let text = r#"
[services.paxs]
kind = "paxs"
instruction = "List decisions."
[defaults]
attendees = [{ name = "Ann Lee", email = "ann@example.com" }]
recursive = false
title = "{folder}: {stem}"
on_success = "move"
[[folder]]
name = "a"
path = "/srv/a"
[[folder]]
name = "b"
path = "/srv/b"
recursive = true
instruction = ""
on_success = "keep"
move_to = "x"
"#;
    insta::assert_snapshot!(mistakes(text), @r#"
    `move_to` without `on_success = "move"`
      add on_success = "move", or remove `move_to`
    "#);
    let settings = settings(&text.replace("move_to = \"x\"\n", ""));
    let [a, b] = settings.folders.as_slice() else { panic!("two folders") };
    assert_eq!((a.recursive, b.recursive), (false, true));
    assert_eq!((a.title.as_str(), b.title.as_str()), ("{folder}: {stem}", "{folder}: {stem}"));
    assert_eq!(a.on_success, OnSuccess::Move("done".into()));
    assert_eq!(b.on_success, OnSuccess::Keep);
    assert_eq!(
        (a.instruction.as_deref(), b.instruction.as_deref()),
        (Some("List decisions."), None)
    );
    assert_eq!(a.attendees, b.attendees);
}

#[test]
fn a_mistake_in_the_defaults_is_told_once_and_what_is_not_a_default_is_refused() {
    let folders = FOLDER.to_owned() + &FOLDER.replace("sales", "eu");
    let text = format!(
        "{SERVICE}[defaults]\nname = \"x\"\nwatch = \"x\"\nformats = [\"txt\"]\nnotes_dir = \"/srv/recordings/sales/n\"\n{folders}"
    );
    insta::assert_snapshot!(mistakes(&text), @r#"
    unknown key `name` in `[defaults]`
      `name` belongs to `[[folder]]`
    unknown word `x` for `watch`
      write `auto`, `native` or `poll`
    `formats` is without `md`, and notes beside the recording need it
      add "md", or take "beside" out of `deliver`
    the notes of folder `eu` would lie in folder `sales`
      write a `notes_dir` outside of the other folders
    "#);
}

#[test]
fn names_and_ids_are_unique_and_fit_for_a_key() {
    let twice = FOLDER.to_owned()
        + &FOLDER.replace("/sales", "/eu")
        + &FOLDER.replace("sales", "us")
        + "id = \"sales\"\n";
    insta::assert_snapshot!(mistakes(&format!("{SERVICE}{twice}")), @r"
    two folders have the name `sales`
      write another name for one of them
    two folders have the id `sales`
      write another id for one of them
    ");
    for name in ["sales.eu", "3", "Überblick", "מכירות", "会議_2-a", &"a".repeat(64)] {
        settings(&format!("{SERVICE}{}", FOLDER.replace("\"sales\"", &format!("\"{name}\""))));
    }
    for name in ["", ".a", "-a", "a b", "a/b", "a\u{202e}b", "a\\nb", &"a".repeat(65)] {
        told(&format!("{SERVICE}{}", FOLDER.replace("\"sales\"", &format!("\"{name}\""))));
    }
}

#[test]
fn the_state_keeps_apart_from_the_folders() {
    let text = |state: &str| format!("state_dir = \"{state}\"\n{SERVICE}{FOLDER}");
    insta::assert_snapshot!(told(&text("/srv/recordings/sales/state")), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: folder `sales` holds the state directory `/srv/recordings/sales/state`
     --> /etc/minuted/config.toml:7:8
      |
    1 | state_dir = "/srv/recordings/sales/state"
      |             ----------------------------- the state directory
    ...
    7 | path = "/srv/recordings/sales"
      |        ^^^^^^^^^^^^^^^^^^^^^^^
      |
      = help: the queue and the tokens lie there: write another `path`, or another `state_dir`
    "#);
    insta::assert_snapshot!(mistakes(&text("/srv")), @r"
    folder `sales` lies inside the state directory `/srv`
      the queue and the tokens lie there: write another `path`, or another `state_dir`
    ");
    insta::assert_snapshot!(
        mistakes(&format!("{SERVICE}{FOLDER}notes_dir = \"/var/lib/minuted\"\n")), @r"
    the notes of folder `sales` would lie in the state directory
      write another `notes_dir`
    "
    );
    settings(&format!("{SERVICE}{FOLDER}notes_dir = \"/srv/recordings/sales/notes\"\n"));
    settings(&text("/srv/recordings/sales-state"));
}

#[test]
fn what_a_folder_asks_for_must_fit_together() {
    insta::assert_snapshot!(in_folder("move_to = \"../x\"\non_success = \"move\""), @r#"
    `../x` does not lie below the folder
      write a relative path without `..`, such as "done"
    "#);
    insta::assert_snapshot!(in_folder("formats = [\"srt\"]"), @r#"
    `formats` is without `md`, and notes beside the recording need it
      add "md", or take "beside" out of `deliver`
    "#);
    insta::assert_snapshot!(in_folder("deliver = [\"email\"]"), @r#"
    folder `sales` sends mail, so it must name its service
      add service = "paxs"
    mail without an `[email]` table
      add an [email] table with `from`, `smtp` and `allow`, or take "email" out
    "#);
    insta::assert_snapshot!(in_folder("notes_name = \"notes\"\ntitle = \"{stm} {x\""), @r#"
    all notes would be called `notes`
      write `{stem}` for the name of the recording, as in "{stem}.notes"
    unknown `{stm}` in `{stm} {x`
      did you mean `{stem}`?
    "#);
    insta::assert_snapshot!(in_folder("include = []\nexclude = [\"[a\", \"/abs\"]"), @r#"
    `include` is empty: no file would be taken
      write include = ["*"] for everything
    `[a` is not a pattern: unclosed character class; missing ']'
      write a pattern on the path below the folder, such as "*.wav" or "meetings/*"
    `/abs` matches nothing below the folder
      write a pattern on the path below the folder, such as "*.wav" or "meetings/*"
    "#);
    insta::assert_snapshot!(in_folder("convert = \"ffmeg\"\nlanguage = \"English\"\nfile_mode = \"0777\""), @r#"
    unknown word `ffmeg` for `convert`
      did you mean `ffmpeg`? it may be `no` or `ffmpeg`
    `English` is not a language code
      write two or three small letters, such as "en" or "he"
    `0777` permits more than reading and writing
      write octal digits for reading and writing, from "0600" to "0666", such as "0660"
    "#);
    insta::assert_snapshot!(in_folder("analyses = [\"summary\", \"key points\"]\nemail_to = \"ann@example.com\""), @r#"
    unknown analysis `summary`
      write `meeting note`, `key_points`, `sentiment` or `transcription`
    one address, where a list is expected
      write email_to = ["ann@example.com"]
    "#);
    insta::assert_snapshot!(mistakes(&format!("{SERVICE}[services.other]\nkind = \"paxs\"\n{FOLDER}")), @r#"
    folder `sales` must name one of the services
      add service = "other" or "paxs"
    "#);
}

const EMAIL: &str = r#"
[email]
from = "Minutes <minutes@example.com>"
failures_to = ["it@example.org"]
allow = ["@Example.com", "guest@example.net"]
smtp = { host = "smtp.example.com", username = "minutes", password_file = "smtp-password" }
"#;

#[test]
fn mail_goes_only_where_it_is_allowed() {
    let text = |to: &str| {
        format!("{SERVICE}{EMAIL}{FOLDER}service = \"paxs\"\ndeliver = [\"email\"]\n{to}\n")
    };
    let email = settings(&text("")).email.expect("mail");
    assert!(email.permits("Bo@EXAMPLE.com") && email.permits("guest@example.net"));
    assert!(!email.permits("other@example.net") && !email.permits("ann@sub.example.com"));
    insta::assert_snapshot!(told(&text("email_to = [\"guest@example.net\", \"Eve <eve@example.org>\"]")), @r#"
    the configuration `/etc/minuted/config.toml` has a mistake

    error: `email.allow` does not permit `eve@example.org`
      --> /etc/minuted/config.toml:16:12
       |
    16 | email_to = ["guest@example.net", "Eve <eve@example.org>"]
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: add "eve@example.org" or "@example.org" to `allow` in [email]
    "#);
    insta::assert_snapshot!(mistakes(&text("").replace("@Example.com", "@example.net")), @r#"
    folder `sales` mails its attendees, and `email.allow` permits none of them
      add "ann@example.com" or "@example.com" to `allow` in [email]
    "#);
}

#[test]
fn the_password_file_lies_among_the_credentials_or_beside_the_config() {
    let text = format!("{SERVICE}{EMAIL}");
    let smtp = settings(&text).email.expect("mail").smtp;
    assert_eq!((smtp.port, smtp.tls), (587, Tls::Starttls));
    assert_eq!(smtp.password_file.as_deref(), Some(Path::new("/etc/minuted/smtp-password")));
    let env =
        Environment { credentials_directory: Some("/run/credentials/minuted".into()), ..env() };
    let smtp = parse(&text, Path::new(FILE), &env).expect("sound").email.expect("mail").smtp;
    assert_eq!(
        smtp.password_file.as_deref(),
        Some(Path::new("/run/credentials/minuted/smtp-password"))
    );
}

#[test]
fn mail_in_the_clear_is_for_this_machine_or_for_those_who_insist() {
    let text =
        |smtp: &str| format!("{SERVICE}[email]\nfrom = \"m@example.com\"\nsmtp = {{ {smtp} }}\n");
    insta::assert_snapshot!(mistakes(&text("host = \"mail.example.com:25\", tls = \"none\", username = \"m\"")), @r#"
    `mail.example.com:25` is not the name of a server
      write its name alone, such as "smtp.example.com"; the port is `port`
    `username` without `password_file`
      add password_file = "smtp-password", or remove both for a server that asks for none
    "#);
    insta::assert_snapshot!(mistakes(&text("host = \"mail.example.com\", tls = \"none\"")), @r#"
    `tls = "none"` would send notes and the password in the clear
      write tls = "starttls" or tls = "tls"; where the network is trusted, add insecure = true
    "#);
    let port = |smtp: &str| settings(&text(smtp)).email.expect("mail").smtp.port;
    assert_eq!(port("host = \"localhost\", tls = \"none\""), 25);
    assert_eq!(
        port("host = \"mail.example.com\", tls = \"none\", insecure = true, port = 2525"),
        2525
    );
    assert_eq!(port("host = \"mail.example.com\", tls = \"tls\""), 465);
}

#[test]
fn the_name_of_notes_holds_the_recording_once_and_leaves_it_room() {
    insta::assert_snapshot!(in_folder("notes_name = \"{stem} and {stem}\""), @r#"
    `{stem}` twice in `{stem} and {stem}`
      write it once
    "#);
    let long =
        mistakes(&format!("{SERVICE}{FOLDER}notes_name = \"{{stem}}{}\"\n", "x".repeat(101)));
    assert!(long.contains("write at most 100 bytes besides `{stem}`"), "{long}");
}

#[test]
fn patience_alone_may_be_zero() {
    let poll = |poll: &str| format!("{SERVICE}poll = {{ {poll} }}\n");
    let read = settings(&poll("patience = \"0\", timeout = \"10m\"")).services["paxs"].poll;
    assert_eq!(
        (read.patience, read.timeout, read.every),
        (Duration::ZERO, Duration::from_secs(600), Duration::from_secs(5))
    );
    insta::assert_snapshot!(mistakes(&poll("first = \"0\", every = \"0s\", timeout = \"2h\", patience = \"1h\"")), @r#"
    `0` is out of range
      write from "10ms" to "1h"
    `0s` is out of range
      write from "10ms" to "1h"
    `patience` is shorter than `timeout`
      write at least the `timeout`, or 0 to give up right after it
    "#);
}

#[test]
fn thousands_of_folders_are_refused_and_not_compared() {
    let told = mistakes(&format!("{SERVICE}{}", FOLDER.repeat(3_000)));
    assert!(told.contains("3000 folders, and at most 1000 are watched"), "{told}");
}

/// A word of the config language, so that arbitrary texts come close to sense.
fn fragment() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "[[folder]]\n", "[services.paxs]\n", "[services]\n", "[email]\n", "[defaults]\n", "[log]\n", "name = ", "path = ", "kind = ",
            "attendees = ", "poll = ", "smtp = ", "from = ", "deliver = ", "email_to = ", "password = ", "base_url = ", "state_dir = ",
            "folder = ", "services = ", "move_to = ", "include = ", "title = ", "{", "}", "[", "]", ",", "\n", "\r\n", "\"", "'", "\"\"\"\n", "=", "\"paxs\"", "\"/srv/a\"",
            "\"a\"", "\"5s\"", "1", "true", "1979-05-27", "[\"email\"]", "[{ name = \"a\", email = \"a@b.c\" }]", "\"https://a@b\"", "\u{feff}",
        ]).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(crate::budget::cases(256))]

    #[test]
    fn arbitrary_text_never_panics(parts in prop::collection::vec(fragment(), 0..40)) {
        if let Err(error) = parse(&parts.concat(), Path::new(FILE), &env()) {
            prop_assert!(!error.render(true).is_empty());
            let plain = error.render(false);
            prop_assert!(!plain.chars().any(|c| c.is_control() && c != '\n'), "{plain:?}");
        }
    }

    #[test]
    fn arbitrary_values_never_panic(key in prop::sample::select(folders::FOLDER.clone()), value in any::<String>()) {
        let text = format!("{SERVICE}\n[[folder]]\n{key} = {value:?}\n");
        if let Err(error) = parse(&text, Path::new(FILE), &env()) {
            prop_assert!(!error.render(false).is_empty());
        }
    }
}

const SOURCE: &str =
    "[[source]]\nkind = \"meetingbaas\"\napi_key_file = \"key\"\ninto = \"sales\"\n";

#[test]
fn a_source_knows_its_folder_by_the_name_and_keeps_its_id() {
    let text = format!("{SERVICE}{FOLDER}id = \"s1\"\n{SOURCE}since = 2026-11-01\n");
    let settings = settings(&text);
    insta::assert_debug_snapshot!(settings.sources[0].base_url.as_str(), @r#""https://api.meetingbaas.com/""#);
    let source = &settings.sources[0];
    assert_eq!(
        (source.name.as_str(), source.api, source.into.as_str()),
        ("meetingbaas", SourceApi::V2, "s1")
    );
    assert_eq!(source.api_key_file, Path::new("/etc/minuted/key"));
    assert_eq!((source.every, source.delete_after), (Duration::from_secs(300), false));
    assert_eq!(
        source.since.map(|since| since.to_string()).as_deref(),
        Some("2026-11-01T00:00:00Z")
    );
    assert!(settings.source("meetingbaas").is_some() && settings.source("sales").is_none());
}

#[test]
fn what_people_get_wrong_in_a_source_is_told_with_the_cure() {
    let in_source = |lines: &str| {
        mistakes(&format!("{SERVICE}{FOLDER}[[source]]\nkind = \"meetingbaas\"\n{lines}\n"))
    };
    let lines = r#"
name = "paxs"
api = "v3"
into = "sale"
api_key = "canary"
every = "1ms"
since = "yesterday"
base_url = "http://baas.example"
"#;
    let told = in_source(lines);
    assert!(!told.contains("canary"), "{told}");
    insta::assert_snapshot!(told, @r#"
    a service is called `paxs` already
      write another name = "…" for the source
    unknown word `v3` for `api`
      write `v1` or `v2`
    there is no folder `sale`
      did you mean `sales`?
    a key in the config file is not kept secret
      put it into a file that only minuted may read, and name that: api_key_file = "…"
    `1ms` is out of range
      write from "100ms" to "1d"
    `yesterday` is not a date
      write a date such as "2026-11-01", or a time such as "2026-11-01T09:00:00Z"
    `http://baas.example` would send recordings and tokens in the clear
      write "https://…"; http is for this machine, or for a network that is trusted: insecure = true
    "#);
    insta::assert_snapshot!(in_source("api_key_file = \"k\"\ninto = \"sales\"\napi = \"v1\"\nwebhook_secret_file = \"s\""), @r#"
    `webhook_secret_file` with api = "v1"
      remove it: what version 1 sends proves itself by the account's own key
    "#);
    insta::assert_snapshot!(mistakes(&format!("{SERVICE}{FOLDER}{SOURCE}{SOURCE}")), @r#"
    two sources are called `meetingbaas`
      write another name = "…" for one of them
    "#);
    insta::assert_snapshot!(mistakes(&format!("{SERVICE}{FOLDER}{}", SOURCE.replace("meetingbaas", "zoom"))), @r#"
    unknown word `zoom` for `kind`
      write `meetingbaas`
    "#);
}

const CALENDAR: &str = "[[calendar]]\nname = \"work\"\nurl_file = \"work-calendar\"\n";

#[test]
fn a_folder_names_its_calendar() {
    let text = format!("{SERVICE}{FOLDER}calendar = \"work\"\n{CALENDAR}");
    let settings = settings(&text);
    let calendar = settings.calendar_of(&settings.folders[0]).expect("a calendar");
    assert_eq!(calendar.location, CalendarLocation::Address("/etc/minuted/work-calendar".into()));
    assert_eq!(calendar.every, Duration::from_secs(900));
    // A calendar names attendees: a folder need not.
    let without = FOLDER.lines().filter(|line| !line.starts_with("attendees")).collect::<Vec<_>>();
    let without = without.join("\n");
    assert!(parse(&format!("{SERVICE}{without}\n"), Path::new(FILE), &env()).is_err());
    assert!(
        parse(
            &format!("{SERVICE}{without}\ncalendar = \"work\"\n{CALENDAR}"),
            Path::new(FILE),
            &env()
        )
        .is_ok()
    );
}

#[test]
fn what_people_get_wrong_in_a_calendar_is_told_with_the_cure() {
    let in_calendar = |lines: &str| mistakes(&format!("{SERVICE}{FOLDER}[[calendar]]\n{lines}\n"));
    insta::assert_snapshot!(
        [
            in_calendar("name = \"work\""),
            in_calendar("url_file = \"k\""),
            in_calendar("name = \"work\"\nurl_file = \"k\"\npath = \"/srv/work\""),
            in_calendar("name = \"work\"\npath = \"srv/work\""),
            in_calendar("name = \"work\"\npath = \"/srv/work\"\nevery = \"1h\""),
            in_calendar("name = \"work\"\nurl = \"https://calendar.example/secret\""),
            in_calendar("name = \"work\"\nurl_file = \"k\"\nevery = \"2d\""),
            mistakes(&format!("{SERVICE}{FOLDER}{CALENDAR}{CALENDAR}")),
            in_folder("calendar = \"work\""),
            mistakes(&format!("{SERVICE}{FOLDER}calendar = \"wrok\"\n{CALENDAR}")),
            mistakes(&format!("{SERVICE}{FOLDER}calendar = \"private\"\n{CALENDAR}")),
        ]
        .join("\n"),
        @r#"
    this calendar has neither `url_file` nor `path`
      write url_file = "…": the file with its address; or path = "/…": an .ics file or a directory of them
    `name` is missing in `[[calendar]]`
      write name = "…": what folders call it
    `path` and `url_file`
      remove one of them: a calendar is at one place
    `srv/work` is not an absolute path
      write the whole path, beginning with `/`
    `every` with `path`
      remove it: files are read for each recording
    the address of a calendar lets everyone read it, and the config file keeps no secret
      put it into a file that only minuted may read, and name that: url_file = "…"
    `2d` is out of range
      write from "100ms" to "1d"
    two calendars are called `work`
      write another name = "…" for one of them
    there is no calendar `work`
      add a [[calendar]] with name = "work"
    there is no calendar `wrok`
      did you mean `work`?
    there is no calendar `private`
      write `work`, or add a [[calendar]] of that name
    "#
    );
    let shown = told(&format!(
        "{SERVICE}{FOLDER}[[calendar]]\nname = \"work\"\nurl = \"https://calendar.example/secret\"\n"
    ));
    assert!(!shown.contains("calendar.example"), "{shown}");
}

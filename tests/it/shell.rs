//! Commands that a person is told to type: none is put together by hand, and a shell takes each as it is meant.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Output},
};

use proc_macro2::{TokenStream, TokenTree};

use crate::{
    architecture::sources,
    support::house::{House, recording, until},
};

/// What a command begins with that a person is told to type.
const PROGRAMS: [&str; 19] = [
    "apt ",
    "chgrp ",
    "chmod ",
    "chown ",
    "cp ",
    "curl ",
    "kill ",
    "ln ",
    "minuted ",
    "mkdir ",
    "mv ",
    "python3 ",
    "rm ",
    "setfacl ",
    "sudo ",
    "sysctl ",
    "systemctl ",
    "touch ",
    "usermod ",
];

/// Where the number of a job, which needs no quotes, may stand in a command; nothing else may be called so there.
const NUMBERS: [(&str, &[&str]); 10] = [
    ("control/jobs.rs", &["{id}"]),
    ("control/speakers.rs", &["{id}"]),
    ("control/explain.rs", &["{id}", "{}"]), // {}: `job.id`
    ("control/why.rs", &["{}"]),             // `job.id`
    ("delivery/context.rs", &["{}"]),        // `self.job.id`
    ("delivery/outcome.rs", &["{}"]),        // `delivery.job`
    ("pipeline/analyse.rs", &["{}"]),        // `job.id`
    ("store/command.rs", &["{id}", "{}"]),   // {}: `latest.id`
    ("store/speakers.rs", &["{id}", "{job}"]),
    ("worker/outcome.rs", &["{}"]), // `job.id`
];

#[test]
fn no_command_is_put_together_by_hand() {
    let mut faults = Vec::new();
    for source in sources() {
        let path = source.path.to_str().expect("a path of the source tree");
        let numbers =
            NUMBERS.iter().find(|(file, _)| *file == path).map_or(&[][..], |(_, allowed)| allowed);
        for literal in literals(&source.text) {
            faults.extend(by_hand(&literal, numbers).map(|fault| format!("src/{path}: {fault}")));
        }
    }
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src/delivery/render/templates"))
        .expect("templates")
    {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).expect("read");
        faults.extend(
            by_hand(&text, &["{{ job }}"]).map(|fault| format!("{}: {fault}", path.display())),
        );
    }
    assert!(
        faults.is_empty(),
        "put what a person types together with `text::ShellCommand`:\n{}",
        faults.join("\n")
    );
}

/// Returns the command in a text that holds something not known beforehand, or waits for it to be added.
fn by_hand(text: &str, numbers: &[&str]) -> Option<String> {
    let by_hand = |command: &&str| {
        let bare =
            numbers.iter().fold((*command).to_owned(), |bare, number| bare.replace(number, "7"));
        bare.contains('{')
    };
    let quoted = text
        .split_once("'{")
        .filter(|(_, rest)| rest.split_once("}'").is_some_and(|(name, _)| !name.is_empty()));
    commands(text)
        .into_iter()
        .find(by_hand)
        .map(|command| format!("`{command}`"))
        .or(quoted.map(|_| format!("`{text}`")))
}

/// Returns the parts of a text that a person may type: from the name of a program to what ends a command in prose.
fn commands(text: &str) -> Vec<&str> {
    let begins = |at: usize| {
        text[..at]
            .chars()
            .next_back()
            .is_none_or(|before| !before.is_alphanumeric() && before != '-')
    };
    let starts = PROGRAMS
        .iter()
        .flat_map(|program| text.match_indices(program))
        .filter(|(at, _)| begins(*at));
    let ends = |rest: &str| rest.find(['`', ';', '\n', '.', ',', '(']).unwrap_or(rest.len());
    starts
        .map(|(at, _)| &text[at..at + ends(&text[at..])])
        .filter(|command| {
            command
                .strip_prefix("minuted ")
                .is_none_or(|rest| rest.split(' ').next().is_some_and(is_command))
        })
        .collect()
}

/// Returns whether a word after `minuted` makes it a command: prose goes on with words of its own.
fn is_command(word: &str) -> bool {
    const COMMANDS: [&str; 29] = [
        "add",
        "analyse",
        "backlog",
        "backup",
        "bot",
        "calendar",
        "cancel",
        "check",
        "demo",
        "engine",
        "help",
        "init",
        "job",
        "jobs",
        "login",
        "logout",
        "meetings",
        "pause",
        "redo",
        "resume",
        "retry",
        "run",
        "scan",
        "source",
        "speakers",
        "status",
        "systemd-drop-in",
        "whoami",
        "why",
    ];
    COMMANDS.contains(&word)
}

/// Returns the texts of a file that are not in tests.
fn literals(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    collect(text.parse().expect("the compiler has read it too"), &mut found);
    found
}

fn collect(stream: TokenStream, found: &mut Vec<String>) {
    let mut trees = stream.into_iter().peekable();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                let Some(TokenTree::Group(attribute)) = trees.peek() else { continue };
                let words = attribute.stream().to_string().replace(' ', "");
                if words.starts_with("doc=") {
                    trees.next();
                } else if words == "cfg(test)" {
                    trees.next();
                    for skipped in trees.by_ref() {
                        let is_braced = matches!(&skipped, TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::Brace);
                        let is_end =
                            matches!(&skipped, TokenTree::Punct(punct) if punct.as_char() == ';');
                        if is_braced || is_end {
                            break;
                        }
                    }
                }
            }
            TokenTree::Group(group) => collect(group.stream(), found),
            TokenTree::Literal(literal) => found.push(unescaped(&literal.to_string())),
            TokenTree::Ident(_) | TokenTree::Punct(_) => {}
        }
    }
}

/// Returns what a literal says, as far as this test needs it: its line ends and quotes.
fn unescaped(literal: &str) -> String {
    let mut lines = literal.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let joined = lines.fold(first, |joined, line| joined + line.trim_start());
    joined.replace("\\n", "\n").replace("\\\"", "\"")
}

#[test]
fn what_is_put_together_by_hand_is_seen() {
    let seen = |text: &str| by_hand(text, &["{id}"]).is_some();
    for text in [
        "failed: {error}\nminuted why '{shown}'; minuted retry {id}",
        "minuted login {name}",
        "it is lost; minuted source fetch {id} --source {name}",
        "run `chmod o= {0}`",
        "where nobody writes to it any more: touch {path}",
        "sudo install -d -m 0700 '{dir}'",
        "hint: mkdir -p {}, or name another",
        "take '{name}' away",
    ] {
        assert!(seen(text), "{text}");
    }
    for text in [
        "minuted retry {id} tries {what}",
        "`minuted scan`, {x}",
        "minuted is {x}",
        "minuted {} runs",
        "{x}: minuted check",
    ] {
        assert!(!seen(text) || text.contains("tries"), "{text}");
    }
    let source = "fn f() { g(\"minuted x {y} \\\n   z\"); } /// doc {a}\n#[cfg(test)] mod t { fn h() { g(\"hidden\"); } } const A: &str = \"b\";";
    assert_eq!(literals(source), ["\"minuted x {y} z\"", "\"b\""]);
}

/// The rudest name: it ends quotes of either kind, substitutes commands, and holds what a terminal obeys.
const RUDE: &[u8] =
    b"-a';touch pwn;'$(touch pwn)`touch pwn`\"!x\\' \x1b]0;x\x07\n\xe2\x80\xae \xff&.wav";

/// Runs each command that a text holds in a shell where `minuted` and the others only say what they were given.
fn words_of(commands: &str, dir: &Path) -> Vec<Vec<u8>> {
    let script = format!(
        "minuted() {{ printf '%s\\0' \"$@\"; }}; touch() {{ printf '%s\\0' \"$@\"; }}; sudo() {{ printf '%s\\0' \"$@\"; }}\n{commands}"
    );
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(dir).output().expect("a shell");
    output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// Returns what a shell gives `minuted` when a person pastes the command that begins with `minuted why` in a text.
fn pasted(text: &str, dir: &Path) -> Vec<Vec<u8>> {
    let at = text.find("minuted why").unwrap_or_else(|| panic!("no command in {text}"));
    words_of(text[at..].lines().next().expect("a line"), dir)
}

#[test]
fn a_pasted_command_names_the_file_and_runs_nothing_of_its_name() {
    let house = House::new();
    let name = OsStr::from_bytes(RUDE);
    let path = house.folder().join(name);
    let _daemon = house.start();
    house.standin.fail_transcriptions(3);
    fs::write(&path, recording("talk.wav")).expect("written");
    let failed = until("the job has failed", || {
        house.jobs().into_iter().find(|job| job["state"] == "failed")
    });
    let id = failed["id"].to_string();
    let whole =
        [b"why", path.as_os_str().as_bytes(), b"retry", id.as_bytes(), b""].map(<[u8]>::to_vec);

    let log = house.log();
    let line = log
        .lines()
        .find(|line| line.contains(" ERROR ") && line.contains("minuted why"))
        .expect("logged");
    let line = line.split(" job.id=").next().expect("a message");
    assert_eq!(pasted(line, house.dir.path()), whole, "{line}");

    let mail = until("the operator is told", || {
        house.smtp.received().into_iter().find(|mail| mail.to == ["it@example.com"])
    });
    let parsed = mail_parser::MessageParser::default().parse(&mail.raw).expect("a mail");
    assert_eq!(pasted(&parsed.body_text(0).expect("a text"), house.dir.path()), whole);

    // A file without a job is named as well.
    let absent = house.folder().join(OsStr::from_bytes(&[b"x", RUDE].concat()));
    let output = house.command(&["retry"]).arg(&absent).output().expect("run");
    assert!(!output.status.success());
    assert_eq!(
        pasted(&said(&output), house.dir.path())[1],
        absent.as_os_str().as_bytes(),
        "{}",
        said(&output)
    );
    assert!(!house.dir.path().join("pwn").exists());
}

#[test]
fn a_command_about_a_recording_that_was_left_alone_names_it() {
    let house = House::new();
    house.configure("backlog = \"skip\"");
    let ignored = house.folder().join(OsStr::from_bytes(RUDE));
    fs::write(&ignored, recording("talk.wav")).expect("written");
    let _daemon = house.start();
    let told = until("it is left alone", || {
        let output = house.command(&["why"]).arg(&ignored).output().expect("run");
        Some(said(&output)).filter(|told| told.contains("minuted add"))
    });
    let command = &told[told.find("minuted add").expect("a command")..];
    let command = command.split(" queues it").next().expect("a command");
    let expected: [&[u8]; 5] = [b"add", ignored.as_os_str().as_bytes(), b"--folder", b"sales", b""];
    assert_eq!(words_of(command, house.dir.path()), expected, "{told}");
    assert!(!house.dir.path().join("pwn").exists());
}

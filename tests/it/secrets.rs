//! Tokens and passwords: in no log at any level, no answer, no core, no process list, no file that others may read.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        process::ExitStatusExt as _,
    },
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use rustix::process::Signal;

use crate::support::{
    house::{Daemon, House, until},
    paxs::{Call, Fault},
    smtp::Step,
};

/// The password of the mail server, and how it looks on the wire.
const PASSWORD: &str = "canary-mail-password-1f0c";
const USERNAME: &str = "minutes-account";

/// A house that signs in at its mail server.
fn guarded() -> House {
    let house = House::new();
    house.smtp.require_login(USERNAME, PASSWORD);
    house.configure("deliver = [\"beside\", \"email\"]");
    let file = house.dir.path().join("smtp-password");
    fs::write(&file, format!("{PASSWORD}\n")).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    house.edit_config(|text| {
        let login = format!(
            "username = \"{USERNAME}\", password_file = \"{}\", tls = \"none\"",
            file.display()
        );
        text.replace("tls = \"none\"", &login)
    });
    house
}

/// The tokens on disk: access and refresh.
fn tokens(house: &House) -> Vec<String> {
    let text = fs::read_to_string(house.state_dir().join("tokens-paxs.json")).unwrap_or_default();
    let tokens: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    let names = ["access_token", "refresh_token"].into_iter();
    names.filter_map(|name| tokens["pair"][name].as_str().map(str::to_owned)).collect()
}

/// The tokens on disk, and the password in every form that it takes.
fn secrets(house: &House) -> Vec<String> {
    let mut found = tokens(house);
    found.push(PASSWORD.to_owned());
    found.extend(
        ["Y2FuYXJ5LW1haWwtcGFzc3dvcmQ", "jYW5hcnktbWFpbC1wYXNzd29yZ", "2FuYXJ5LW1haWwtcGFzc3dvcm"]
            .map(str::to_owned),
    );
    found
}

fn assert_silent(what: &str, said: &str, secrets: &[String]) {
    let told = secrets.iter().find(|secret| said.contains(secret.as_str()));
    assert!(
        told.is_none(),
        "{what} tells a secret ({}…)",
        told.map_or("", |secret| &secret[..4.min(secret.len())])
    );
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Everything at its loudest, crates that are capped unless they are named too.
const LOUD: &str = "trace,h2=trace,hyper=trace,hyper_util=trace,lettre=trace,notify=trace,reqwest=trace,rustls=trace";

/// Every command that asks a daemon or a service.
const COMMANDS: [&[&str]; 23] = [
    &["status"],
    &["jobs"],
    &["job", "1"],
    &["whoami"],
    &["meetings"],
    &["check"],
    &["check", "--mail", "ann@example.com"],
    &["scan"],
    &["scan", "--dry-run"],
    &["pause", "sales"],
    &["resume", "sales"],
    &["backlog", "sales", "skip"],
    &["retry", "--failed"],
    &["retry", "1"],
    &["redo", "1"],
    &["cancel", "1"],
    &["analyse", "1", "--types", "key_points"],
    &["speakers", "1"],
    &["systemd-drop-in"],
    &["add", "/nonexistent.mp3", "--folder", "sales"],
    &["why", "/nonexistent.mp3"],
    &["login"],
    &["logout"],
];

/// Runs every command, plain and with `--json`, and fails when one tells a secret.
fn run_all(house: &House, secrets: &[String]) {
    for command in COMMANDS {
        for more in [&[][..], &["--json"]] {
            let output = house
                .command(&[command, more].concat())
                .env("RUST_LOG", LOUD)
                .output()
                .expect("run");
            assert_silent(&format!("{command:?}"), &said(&output), secrets);
        }
    }
}

#[test]
fn no_command_and_no_log_tells_a_secret_with_or_without_a_daemon_in_good_times_and_bad() {
    let house = guarded();
    let mut known = secrets(&house);
    assert!(known.len() >= 6, "password, its forms, and both tokens");
    let daemon = house.listening(house.spawn(&[("RUST_LOG", LOUD)]));
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    house.standin.fail_next(Call::Token, Fault::Status(500));
    house.standin.fail_next(Call::Profile, Fault::ResetBefore);
    run_all(&house, &known);
    assert!(house.run(&["login"]).status.success());
    known.extend(secrets(&house));
    // The refresh is refused, and the service says back what it was sent.
    let echo = format!("{{\"detail\":\"{} is dead\"}}", tokens(&house)[1]);
    house
        .standin
        .fail_next(Call::Token, Fault::StatusWith { status: 400, retry_after: None, body: echo });
    house.standin.expire_access_tokens();
    house.drop_recording("later.mp3");
    house.wait_for_service("signed_out");
    assert!(house.run(&["login"]).status.success());
    known.extend(secrets(&house));
    // The mail server repeats the password in its refusal.
    house.smtp.fail_next_at(Step::Auth, 535, &format!("5.7.8 {USERNAME} {PASSWORD} is wrong"));
    house.drop_recording("mailed.mp3");
    house.wait_for("mailed.mp3", "done");
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", daemon.pid())).unwrap_or_default();
        assert_silent(file, &String::from_utf8_lossy(&bytes), &known);
    }
    daemon.stop();
    run_all(&house, &known);
    assert!(house.log().contains("TRACE"), "the log was at its loudest");
    assert_silent("the log", &house.log(), &known);
    for mail in house.smtp.received() {
        assert_silent("a mail", &String::from_utf8_lossy(&mail.raw), &known);
    }
    let files = walk(&house.state_dir()).into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        path.is_file() && !name.starts_with("tokens-")
    });
    for file in files {
        assert_silent(
            &file.display().to_string(),
            &String::from_utf8_lossy(&fs::read(&file).expect("there")),
            &known,
        );
    }
}

/// Everything in a directory.
fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    entries
        .flat_map(
            |entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path()] },
        )
        .collect()
}

/// Starts the daemon by a shell that first runs `prelude`.
fn start_after(house: &House, prelude: &str) -> Daemon {
    let log = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(house.dir.path().join("log"))
        .expect("opened");
    let mut command = Command::new("sh");
    command.args(["-ec", &format!("{prelude}\nexec \"$@\""), "sh", env!("CARGO_BIN_EXE_minuted")]);
    command.arg("--config").arg(house.config()).arg("run").current_dir(house.dir.path());
    command.env_remove("RUST_LOG").env_remove("MINUTED_DIE");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    house.listening(Daemon::of(command.spawn().expect("started")))
}

#[test]
fn what_holds_secrets_is_closed_to_others_whatever_the_umask() {
    let house = House::new();
    let logs = house.dir.path().join("logs");
    house
        .edit_config(|text| text.replace("[log]", &format!("[log]\ndir = \"{}\"", logs.display())));
    fs::remove_dir_all(house.state_dir()).expect("removed");
    let daemon = start_after(&house, "umask 0");
    let backup = house.dir.path().join("backup.sqlite");
    let login = |arguments: &str| {
        let script = format!("umask 0; exec \"$0\" --config \"$1\" {arguments}");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_minuted")]).arg(house.config());
        let output = command.output().expect("run");
        assert!(output.status.success(), "{}", said(&output));
    };
    login("login");
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    login(&format!("backup {}", backup.display()));
    let state = walk(&house.state_dir());
    for needed in ["queue.sqlite", "queue.sqlite-wal", "tokens-paxs.json", "lock", "mark"] {
        assert!(state.iter().any(|path| path.ends_with(needed)), "{needed} in {state:?}");
    }
    assert!(
        state.iter().any(|path| fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())),
        "a socket"
    );
    for path in state.iter().chain([&house.state_dir(), &backup]) {
        let mode = fs::metadata(path).expect("there").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{} is {mode:o}", path.display());
    }
    let mode = fs::metadata(&logs).expect("made").permissions().mode();
    assert_eq!(mode & 0o027, 0, "nobody but the group reads logs: {mode:o}");
    daemon.stop();
    login("logout");
    login("login");
    let tokens = fs::metadata(house.state_dir().join("tokens-paxs.json"))
        .expect("there")
        .permissions()
        .mode();
    assert_eq!(tokens & 0o177, 0, "without a daemon, too: {tokens:o}");
}

#[test]
fn what_others_can_read_is_refused_with_the_line_that_closes_it() {
    let house = guarded();
    let open = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    };
    open(&house.state_dir(), 0o755);
    let output = house.run(&["run"]);
    assert!(
        !output.status.success() && said(&output).contains("hint: chmod 0700 '"),
        "{}",
        said(&output)
    );
    open(&house.state_dir(), 0o700);
    let tokens = house.state_dir().join("tokens-paxs.json");
    open(&tokens, 0o640);
    let output = house.run(&["whoami"]);
    assert!(!output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains(&format!("chmod 600 {}", tokens.display())),
        "{}",
        said(&output)
    );
    open(&tokens, 0o600);
    let password = house.dir.path().join("smtp-password");
    open(&password, 0o644);
    let output = house.run(&["check"]);
    assert!(!output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains(&format!("chmod o= {}", password.display())),
        "{}",
        said(&output)
    );
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    until("its mail waits", || (house.log().contains("chmod o= ")).then_some(()));
    assert_eq!(
        house.smtp.received().len(),
        0,
        "no mail goes out with a password that anyone may know"
    );
    open(&password, 0o600);
    house.wait_for("talk.mp3", "done");
}

/// Whether this machine leaves cores of processes that allow it.
fn leaves_cores() -> bool {
    let dir = tempfile::tempdir().expect("a directory");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited; kill -ABRT $$"]).current_dir(dir.path());
    command.status().is_ok_and(|status| status.core_dumped())
}

#[test]
fn a_process_that_is_aborted_leaves_no_core_whatever_its_limits_were() {
    let house = House::new();
    for raised in [false, true] {
        drop(fs::remove_file(house.state_dir().join("control.sock")));
        let daemon = start_after(&house, "ulimit -c unlimited 2>/dev/null || :");
        let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid())).expect("it runs");
        let core =
            limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
        if raised {
            // Root can raise the limit again; the memory stays closed all the same.
            let pid = daemon.pid().to_string();
            let mut prlimit = Command::new("prlimit");
            prlimit.args(["--core=unlimited:unlimited", "--pid", &pid]).stderr(Stdio::null());
            if !prlimit.status().is_ok_and(|status| status.success()) {
                eprintln!("skipped: raising another process's limit needs the right to");
            }
        }
        daemon.signal(Signal::ABORT);
        let status = daemon.wait();
        assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    }
    let names = fs::read_dir(house.dir.path())
        .expect("a directory")
        .flatten()
        .map(|entry| entry.file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with("core")));
    if !leaves_cores() {
        eprintln!("this machine leaves no cores at all: only the limit was proved");
    }
}

#[test]
fn tokens_and_recordings_go_in_the_clear_to_this_machine_alone() {
    let house = House::new();
    let config = fs::read_to_string(house.config()).expect("there");
    for url in [
        "http://dzd.paxs.ai",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://localhost.",
        "http://evil.example:",
        "http://[::ffff:10.0.0.1]",
        "http://[fe80::1]",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "http://2130706434.example",
        "http://127.0.0.1@evil.example",
        "http://127.0.0.1:80@evil.example",
        "http://evil.example#@127.0.0.1",
        "http://evil.example?@127.0.0.1",
        "http://evil.example\\\\@127.0.0.1",
        "http:\\\\\\\\evil.example",
        "http://\u{ff11}27.0.0.1.evil.example",
        "ftp://127.0.0.1",
        "//127.0.0.1",
        "127.0.0.1",
    ] {
        fs::write(house.config(), config.replace(&house.standin.base_url(), url)).expect("written");
        let output = house.run(&["run"]);
        assert_eq!(output.status.code(), Some(78), "{url}: {}", said(&output));
    }
    for host in [
        "smtp.example.com",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "0x7f.1",
        "[::ffff:10.0.0.1]",
        "0",
    ] {
        fs::write(
            house.config(),
            config.replace("host = \"127.0.0.1\"", &format!("host = \"{host}\"")),
        )
        .expect("written");
        let output = house.run(&["run"]);
        assert_eq!(output.status.code(), Some(78), "{host}: {}", said(&output));
        assert!(
            said(&output).contains("in the clear") && said(&output).contains("insecure = true"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn a_secret_that_is_written_into_the_configuration_is_not_repeated() {
    let house = House::new();
    let config = fs::read_to_string(house.config()).expect("there");
    for line in [
        format!("password = \"{PASSWORD}\""),
        format!("password = {PASSWORD}"),
        format!("smtp = {{ host = \"a\", password = \"{PASSWORD}\" }}"),
        format!("token = \"\"\"\n{PASSWORD}\n\"\"\""),
        format!("base_url = \"https://ann:{PASSWORD}@example.com\""),
        format!("base_url = \"http://ann:{PASSWORD}@127.0.0.1.example.com\""),
        format!("base_url = \"https://ann:{PASSWORD}@[::\""),
        format!("api_key = \"{PASSWORD}"),
    ] {
        let edited = config.replace("kind = \"paxs\"", &format!("kind = \"paxs\"\n{line}"));
        fs::write(house.config(), edited).expect("written");
        for command in [&["check"][..], &["run"], &["status", "--json"]] {
            let output = house.command(command).env("RUST_LOG", LOUD).output().expect("run");
            assert_eq!(output.status.code(), Some(78), "{line}: {}", said(&output));
            assert_silent(&line, &said(&output), &[PASSWORD.to_owned()]);
        }
    }
}

/// A proxy that answers nothing and keeps what it was told.
fn proxy() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut head = [0; 4096];
            let count = stream.read(&mut head).unwrap_or(0);
            hearing
                .lock()
                .expect("nobody panics")
                .push(String::from_utf8_lossy(&head[..count]).into_owned());
            drop(stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n"));
        }
    });
    (port, heard)
}

#[test]
fn a_proxy_of_the_environment_hears_nothing_of_this_machine_and_no_token_of_another() {
    let (port, heard) = proxy();
    let url = format!("http://proxy-user:{PASSWORD}@127.0.0.1:{port}");
    let proxies =
        ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];
    let environment: Vec<_> = proxies.iter().map(|name| (*name, url.as_str())).collect();
    let house = House::new();
    let daemon = house.listening(house.spawn(&environment));
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    daemon.stop();
    assert_eq!(
        heard.lock().expect("nobody panics").len(),
        0,
        "loopback is never reached through a proxy"
    );
    let known = secrets(&house);
    house.edit_config(|text| text.replace(&house.standin.base_url(), "https://paxs.example"));
    // A sign-in at that origin, as far as the file goes.
    let tokens = house.state_dir().join("tokens-paxs.json");
    let text = fs::read_to_string(&tokens)
        .expect("there")
        .replace(&house.standin.base_url(), "https://paxs.example");
    fs::write(&tokens, text).expect("written");
    for command in [&["whoami"][..], &["check"]] {
        let mut command = house.command(command);
        let output =
            command.envs(environment.iter().copied()).env("RUST_LOG", LOUD).output().expect("run");
        assert!(!output.status.success());
        assert_silent("a dead proxy", &said(&output), &known);
    }
    let heard = heard.lock().expect("nobody panics");
    assert!(
        heard.iter().any(|head| head.starts_with("CONNECT paxs.example:443")),
        "it is honoured: {heard:?}"
    );
    assert!(
        heard.iter().all(|head| head.starts_with("CONNECT ") && !head.contains("Bearer")),
        "{heard:?}"
    );
}

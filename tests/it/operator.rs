//! What the operator of a server relies on: copies that exist, checks that are right before a reload, and people who can
//! read their notes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Output, Stdio},
};

use rustix::process::Signal;

use crate::support::{
    house::{House, may_mount, until},
    smtp::SmtpServer,
};

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn backup(house: &House, target: &Path) -> Output {
    house.run(&["backup", target.to_str().expect("UTF-8")])
}

/// Asserts that a copy is a whole queue in one file, for its owner alone.
fn assert_whole(copy: &Path) {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let opened = rusqlite::Connection::open_with_flags(copy, flags).expect("opened");
    let verdict: String =
        opened.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("asked");
    assert_eq!(verdict, "ok");
    let jobs: i64 =
        opened.query_row("SELECT count(*) FROM job", [], |row| row.get(0)).expect("asked");
    assert_eq!(jobs, 1);
    assert_eq!(fs::metadata(copy).expect("there").permissions().mode() & 0o777, 0o600);
}

/// The files of copies on their way to a name.
fn drafts(dir: &Path) -> usize {
    let names = fs::read_dir(dir).expect("there").map(|entry| entry.expect("read").file_name());
    names.filter(|name| name.to_string_lossy().starts_with(".minuted-backup-")).count()
}

/// A house with one job that is done, and a directory for copies that the daemon sees in another way than commands do.
fn copying(mounts: &str) -> Option<(House, crate::support::house::Daemon)> {
    if !may_mount() {
        return None;
    }
    let house = House::new();
    let copies = house.dir.path().join("copies");
    fs::create_dir(&copies).expect("made");
    let daemon = house.start_among(&format!("mkdir -p \"$1/../copies\"; {mounts}"));
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    Some((house, daemon))
}

#[test]
fn a_copy_lies_where_the_command_sees_it_whatever_the_daemon_sees_there() {
    // PrivateTmp= and ProtectHome=tmpfs, then ProtectSystem=strict.
    for mounts in
        ["mount -t tmpfs none \"$1/../copies\"", "mount --bind -o ro /proc/sys \"$1/../copies\""]
    {
        let Some((house, daemon)) = copying(mounts) else { return };
        let copies = house.dir.path().join("copies");
        let copy = copies.join("a queue?.sqlite");
        let said = backup(&house, &copy);
        assert!(said.status.success(), "{}", err(&said));
        let size = fs::metadata(&copy).expect("it is there").len();
        assert!(out(&said).contains("a queue?.sqlite (") && size > 0, "{}", out(&said));
        assert_whole(&copy);
        assert_eq!((drafts(&copies), drafts(&house.state_dir())), (0, 0));
        assert_eq!(daemon.stop().code(), Some(0));
        assert_whole(&copy);
    }
}

#[test]
fn a_copy_that_cannot_be_made_leaves_nothing_and_says_why() {
    let house = House::new();
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    let here = house.dir.path();
    let there = here.join("there.sqlite");
    fs::write(&there, "mine").expect("written");
    let link = here.join("link.sqlite");
    std::os::unix::fs::symlink("/nowhere", &link).expect("linked");
    let cases = [
        (there.as_path(), "it exists", "a backup never replaces anything"),
        (&link, "it exists", "a backup never replaces anything"),
        (&here.join("none/copy"), "there is no directory", "mkdir -p"),
        (&there.join("copy"), "there is no directory", "mkdir -p"),
        (Path::new("/proc/copy"), "nothing can be written in `/proc`", "name a file"),
    ];
    for (target, reason, hint) in cases {
        let said = backup(&house, target);
        assert_eq!(
            (said.status.code(), out(&said).as_str()),
            (Some(1), ""),
            "{}",
            target.display()
        );
        let told = err(&said);
        assert!(
            told.contains(reason) && told.contains(&format!("hint: {hint}")),
            "{}: {told}",
            target.display()
        );
        assert!(told.contains(&target.display().to_string()), "{told}");
    }
    assert_eq!(fs::read_to_string(&there).expect("read"), "mine");
    assert_eq!((drafts(here), drafts(&house.state_dir())), (0, 0));
}

#[test]
fn check_tries_the_configuration_on_disk_and_not_the_one_in_force() {
    let house = House::new();
    let daemon = house.start();
    let text = out(&house.run(&["check"]));
    assert!(text.contains("ok       daemon: it runs\n"), "{text}");

    // A service that is new, and a mail server that has moved.
    let moved = SmtpServer::start();
    house.smtp.down(true);
    house.configure_all(
        "",
        "",
        "[services.more]\nkind = \"paxs\"\nbase_url = \"http://127.0.0.1:9\"",
    );
    house.edit_config(|text| {
        text.replace(&format!("port = {}", house.smtp.port()), &format!("port = {}", moved.port()))
    });
    let text = out(&house.run(&["check"]));
    assert!(!text.contains("there is no service"), "{text}");
    assert!(
        text.contains("ERROR    service more: ") && text.contains("minuted login more"),
        "{text}"
    );
    assert!(text.contains(&format!("ok       mail by 127.0.0.1:{}: ", moved.port())), "{text}");
    assert_eq!(text.matches("systemctl reload minuted").count(), 1, "told once: {text}");
    assert!(
        text.contains("note     daemon: it runs with ") && text.contains("ok       service paxs: "),
        "{text}"
    );

    // Back to one that works: nothing is wrong with it, though it is not in force.
    house.configure("title = \"New {stem}\"");
    house.smtp.down(false);
    let checked = house.run(&["check"]);
    assert!(
        checked.status.success() && out(&checked).contains("note     daemon: it runs with "),
        "{}",
        out(&checked)
    );
    daemon.signal(Signal::HUP);
    until("it is in force", || {
        out(&house.run(&["check"])).contains("ok       daemon: it runs\n").then_some(())
    });
}

#[test]
fn who_typed_sudo_reads_commands_that_become_the_user_of_the_service() {
    let house = House::new();
    let empty = tempfile::tempdir().expect("a directory");
    house.configure_all(
        "",
        "",
        "[services.local]\nkind = \"ondevice\"\n[services.more]\nkind = \"paxs\"",
    );
    let check = |sudo_uid: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_minuted"));
        command.arg("--config").arg(house.config()).arg("check").stdin(Stdio::null());
        command.env("HOME", empty.path()).env_remove("XDG_DATA_HOME").env_remove("SUDO_UID");
        command.envs(sudo_uid.map(|uid| ("SUDO_UID", uid)));
        out(&command.output().expect("run"))
    };
    let owner = minuted::testing::store::user_name(rustix::process::geteuid().as_raw());
    for command in ["minuted engine install", "minuted login more"] {
        let text = check(None);
        assert!(text.contains(&format!("hint: {command}\n")), "{text}");
        let text = check(Some("4242"));
        assert!(text.contains(&format!("hint: sudo -u {owner} {command}\n")), "{text}");
        assert!(!text.contains(&format!("hint: {command}")), "{text}");
    }
    let text = check(None);
    let line = text.lines().skip_while(|line| !line.starts_with("ERROR    service local")).nth(1);
    assert_eq!(line, Some("         hint: minuted engine install"), "{text}");
}

/// Returns whether this program is here and works; says so where it does not.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
fn is_here(program: &str, arguments: &[&str]) -> bool {
    let tried =
        Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        eprintln!("skipped: `{program}` is not here, or may not do what the test needs");
    }
    works
}

#[test]
fn a_listing_that_fails_half_way_is_an_error_with_its_cause() {
    if !is_here("strace", &["-qq", "-o", "/dev/null", "true"]) {
        return;
    }
    let house = House::new();
    house.drop_recording("talk.wav");
    for (error, told) in [
        ("EINVAL", "Invalid argument"),
        ("EIO", "Input/output error"),
        ("ENOTCONN", "not connected"),
    ] {
        let inject = format!("inject=getdents64:error={error}:when=2+");
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", &inject, "-P"]).arg(house.folder());
        command.arg(env!("CARGO_BIN_EXE_minuted")).arg("--config").arg(house.config()).arg("check");
        let said = command.stdin(Stdio::null()).output().expect("run");
        let text = out(&said);
        let line = text
            .lines()
            .find(|line| line.starts_with("ERROR    folder sales: "))
            .unwrap_or_default();
        assert!(line.contains("cannot be listed: ") && line.contains(told), "{error}: {text}");
        assert_eq!(said.status.code(), Some(1));
    }
}

/// The user whose folder it is.
const ANN: &str = "54321";

/// The user that minuted runs as in a house without privileges.
const MINUTED: &str = "65534";

/// Runs a script of the shell with the folder as `$1`.
fn prepare(house: &House, script: &str) {
    let status =
        Command::new("sh").args(["-ec", script, "sh"]).arg(house.folder()).status().expect("run");
    assert!(status.success(), "{script}");
}

/// Returns whether Ann may read a file.
fn ann_reads(path: &Path) -> bool {
    let mut command = Command::new("setpriv");
    command
        .args([&format!("--reuid={ANN}"), &format!("--regid={ANN}"), "--clear-groups", "cat"])
        .arg(path);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("run").success()
}

/// A house whose folder is Ann's and was opened to minuted as the README has it; `None` where that cannot be made.
fn house_of_ann(mode: &str) -> Option<House> {
    let scratch = tempfile::tempdir().expect("a directory");
    let may = rustix::process::geteuid().is_root() && is_here("setpriv", &["--version"]);
    if !may || !is_here("setfacl", &["-m", "u:65534:rwX", scratch.path().to_str().expect("UTF-8")])
    {
        return None;
    }
    let house = House::new();
    house.without_privileges();
    prepare(
        &house,
        &format!(
            "chmod 0755 \"$1/..\"; chown {ANN}:{ANN} \"$1\"; chmod {mode} \"$1\"
             setfacl -R -m u:{MINUTED}:rwX,d:u:{MINUTED}:rwX \"$1\""
        ),
    );
    Some(house)
}

/// Returns the line that `check` prints for the finding with this text.
fn printed_line(house: &House, finding: &str) -> Option<String> {
    let text = out(&house.run(&["check"]));
    let mut lines = text.lines().skip_while(|line| !line.contains(finding));
    lines.next()?;
    let hint = lines.next().unwrap_or_else(|| panic!("a cure: {text}"));
    Some(
        hint.trim()
            .strip_prefix("hint: sudo ")
            .unwrap_or_else(|| panic!("a line to type: {text}"))
            .to_owned(),
    )
}

const UNREADABLE: &str = "could not be read by";

#[test]
fn people_who_own_a_folder_read_their_notes_once_the_line_that_check_prints_was_typed() {
    for mode in ["0750", "0770", "0700"] {
        let Some(house) = house_of_ann(mode) else { return };
        let line = printed_line(&house, UNREADABLE).expect("check notices");
        let _daemon = house.start();
        house.drop_recording("before.wav");
        house.wait_for("before.wav", "done");
        assert!(!ann_reads(&house.path("before.notes.md")), "{mode}: the check was right");
        prepare(&house, &line);
        assert_eq!(printed_line(&house, UNREADABLE), None, "{mode}: {line}");
        house.drop_recording("after.wav");
        house.wait_for("after.wav", "done");
        for notes in ["before.notes.md", "after.notes.md"] {
            assert!(ann_reads(&house.path(notes)), "{mode}: {notes} after {line}");
        }
    }
}

#[test]
fn a_setgid_folder_lets_its_group_read_without_another_line() {
    let Some(house) = house_of_ann("2770") else { return };
    assert_eq!(printed_line(&house, UNREADABLE), None);
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    assert!(ann_reads(&house.path("talk.notes.md")));
}

#[test]
fn recordings_that_their_writer_closed_are_found_and_opened_by_one_line() {
    let Some(house) = house_of_ann("2770") else { return };
    fs::create_dir(house.path("deep")).expect("made");
    prepare(&house, &format!("chown {ANN} \"$1/deep\""));
    for name in ["a.wav", "deep/b.wav"] {
        house.drop_recording(name);
    }
    fs::write(house.path("letter.pdf"), "nobody listens to it").expect("written");
    prepare(
        &house,
        &format!(
            "chown {ANN} \"$1\"/a.wav \"$1\"/deep/b.wav; chmod 0600 \"$1\"/a.wav \"$1\"/deep/b.wav \"$1\"/letter.pdf"
        ),
    );
    let line = printed_line(&house, "2 recordings cannot be read").expect("check notices");
    prepare(&house, &line);
    assert_eq!(printed_line(&house, "cannot be read"), None, "{line}");
    let _daemon = house.start();
    for name in ["a.wav", "deep/b.wav"] {
        house.wait_for(name, "done");
    }
}

//! `minuted init`: from options, or from a person at a terminal, to a configuration that works.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::support::{
    house::{Daemon, may_mount, recording, until},
    sound::program,
};

/// The program.
const MINUTED: &str = env!("CARGO_BIN_EXE_minuted");

/// The home of a person who has no minuted yet.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self, relative: &str) -> PathBuf {
        self.0.path().join(relative)
    }

    fn config(&self) -> PathBuf {
        self.path(".config/minuted/config.toml")
    }

    fn text(&self) -> String {
        fs::read_to_string(self.config()).expect("a configuration")
    }

    /// A command of this person.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for name in ["RUST_LOG", "MINUTED_DIE", "MINUTED_CONFIG", "SUDO_UID"] {
            command.env_remove(name);
        }
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command.env("HOME", self.0.path()).env("TZ", "UTC").current_dir(self.0.path());
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(MINUTED).args(arguments).output().expect("run")
    }

    /// `init` by options alone.
    fn init(&self, arguments: &[&str]) -> Output {
        self.run(&[&["init", "--yes", "--user", "--no-engine"], arguments].concat())
    }

    /// `init` of a folder by its path.
    fn init_folder(&self, path: &Path, arguments: &[&str]) -> Output {
        let path = path.to_str().expect("UTF-8");
        self.init(&[&["--folder", path], arguments].concat())
    }

    /// `init` at a terminal, where this is typed.
    fn type_at(&self, arguments: &[&str], typed: &str) -> Output {
        let words = [&[MINUTED, "init"], arguments].concat();
        let line = words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
        let mut command = self.command("script");
        command.args(["-qec", &line, "/dev/null"]).env("SHELL", "/bin/sh");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("run");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(typed.as_bytes()).expect("typed");
        drop(stdin);
        child.wait_with_output().expect("ended")
    }

    /// The configuration's folders, as the drop-in names them.
    fn folders(&self) -> String {
        out(&self.run(&["systemd-drop-in"]))
    }
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn assert_done(output: &Output) {
    assert_eq!(output.status.code(), Some(0), "{}\n{}", out(output), err(output));
}

/// Asserts that it was refused with this code, these words and a cure.
#[track_caller]
fn assert_refused(output: &Output, code: i32, words: &str) {
    let said = err(output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.starts_with("minuted: ") && said.contains(words), "{said}");
    assert!(said.contains("\nhint: "), "{said}");
}

/// The names in a directory, sorted.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn options_make_a_configuration_and_a_recording_in_its_folder_is_taken() {
    let home = Home::new();
    let folder = home.path("a/Recordings");
    let said = home.init_folder(&folder, &["--attendee", "Ann Lee <ann@example.com>, Bob"]);
    assert_done(&said);
    assert!(err(&said).contains("`Bob` has no address"), "{}", err(&said));
    let shown = out(&said);
    assert!(shown.contains("config.toml is valid"), "it was checked: {shown}");
    assert!(shown.contains("minuted engine install"), "what remains is named: {shown}");
    assert_eq!(mode(&home.config()), 0o600);
    assert_eq!(names(&home.path(".config/minuted")), ["config.toml"]);
    assert!(folder.is_dir());
    let valid = out(&home.run(&["check"]));
    assert!(valid.contains("config.toml is valid"), "{valid}");

    // The folder is the last table.
    let text = format!("{}settle = \"100ms\"\nrescan = \"300ms\"\n", home.text());
    fs::write(home.config(), text).expect("written");
    fs::write(folder.join("talk.wav"), recording("talk.wav")).expect("dropped");
    let mut command = home.command(MINUTED);
    let daemon = command.arg("run").stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let _daemon = Daemon::of(daemon.expect("started"));
    let job = until("the recording is taken", || {
        let listed: Value = serde_json::from_slice(&home.run(&["jobs", "--json"]).stdout).ok()?;
        listed.as_array()?.first().cloned()
    });
    assert_eq!(job["folder"], "Recordings");
}

#[test]
fn enter_at_each_question_takes_what_is_offered() {
    let home = Home::new();
    // Root is offered a server.
    let said = home.type_at(&["--user", "--no-engine"], "\n\n\n\n\n\n");
    assert_done(&said);
    assert!(out(&said).contains("Which folder holds the recordings? ["), "{}", out(&said));
    assert!(home.path("Recordings").is_dir());
    let drop_in = home.folders();
    assert!(drop_in.contains("/Recordings"), "{drop_in}");
    insta::assert_snapshot!(home.text().replace(home.0.path().to_str().expect("UTF-8"), "HOME"), @r#"
    # The configuration of minuted, written by `minuted init`. config.example.toml explains every key.
    # `minuted check` tries it; `systemctl reload minuted` (--user for your own) reads it again.

    # minuted's own engine makes the notes: nothing leaves this machine.
    [services.ondevice]
    kind = "ondevice"

    # A watched folder, with its sub-folders.
    [[folder]]
    path = "HOME/Recordings"
    service = "ondevice"
    # Where the notes go: beside the recording.
    deliver = ["beside"]
    "#);
}

#[test]
fn a_mistake_at_a_question_is_said_and_the_question_asked_again() {
    let home = Home::new();
    fs::write(home.path("file"), "").expect("written");
    let typed = "../x\n~/file\n~/My talks\nopenai\nexample.com\nhttp://ai.example.com\nno\n\
                 http://ai.example.com\nyes\n\n\n\nAnn Lee <ann@example>>\nAnn Lee <ann@example.com>\nde\n\
                 x\nboth\nsmtp.example.com:465\nnobody\nMinutes <minutes@example.com>\nme\n\nyes\n";
    let said = home.type_at(&["--user", "--no-engine"], typed);
    assert_done(&said);
    let shown = out(&said);
    for mistake in [
        "`..` in",
        "a file is in the way",
        "`example.com` is not a URL",
        "is not a mail address",
        "type beside, mail, both",
    ] {
        assert!(shown.contains(mistake), "`{mistake}` is not said: {shown}");
    }
    assert!(shown.contains("install -m 0600 /dev/stdin"), "the password is asked for: {shown}");
    insta::assert_snapshot!(home.text().replace(home.0.path().to_str().expect("UTF-8"), "HOME"), @r#"
    # The configuration of minuted, written by `minuted init`. config.example.toml explains every key.
    # `minuted check` tries it; `systemctl reload minuted` (--user for your own) reads it again.

    # A server with OpenAI's API gets the recordings.
    [services.openai]
    kind = "openai"
    base_url = "http://ai.example.com"
    # Anybody in that network can read the recordings and the key.
    insecure = true
    # The model that transcribes.
    model = "whisper-1"
    # The model that writes the notes. Without it minuted extracts them.
    #notes_model = "qwen3:8b"

    [email]
    from = "Minutes <minutes@example.com>"
    # Who may get notes: "ann@example.com", or "@example.com" for a whole domain.
    allow = ["ann@example.com"]
    # Who is told of failures.
    #failures_to = ["it@example.com"]

    [email.smtp]
    host = "smtp.example.com"
    port = 465
    tls = "tls"
    username = "me"
    # The file with the password, which nobody else may read.
    password_file = "smtp-password"

    # The page in the browser, for this machine alone. `minuted page` prints its link.
    [http]
    listen = "127.0.0.1:8765"

    # A watched folder, with its sub-folders.
    [[folder]]
    name = "My-talks"
    path = "HOME/My talks"
    service = "openai"
    # Who is at its meetings.
    attendees = [
      { name = "Ann Lee", email = "ann@example.com" },
    ]
    # The language that is spoken.
    language = "de"
    # Where the notes go: beside the recording, and by mail to the attendees.
    deliver = ["beside", "email"]
    "#);
}

#[test]
fn an_interrupt_or_the_end_of_input_at_a_question_changes_nothing() {
    let home = Home::new();
    for typed in ["~/Recordings\n\x03", "~/Recordings\n\x04"] {
        let said = home.type_at(&["--user"], typed);
        assert_ne!(said.status.code(), Some(0), "{}", out(&said));
        assert_eq!(names(home.0.path()), Vec::<String>::new(), "{typed:?}");
    }
}

#[test]
fn without_a_terminal_nothing_is_asked_and_the_options_are_named() {
    let home = Home::new();
    let said = home.run(&["init", "--user"]);
    assert_refused(&said, 2, "there is no terminal");
    for option in ["--yes", "--folder", "--user", "--server", "--attendee", "--service"] {
        assert!(err(&said).contains(option), "{option}");
    }
    assert_eq!(names(home.0.path()), Vec::<String>::new());
    // A question without an offer has to be answered.
    assert_refused(&home.init(&["--service", "openai"]), 2, "`--base-url` is missing");
    assert_refused(&home.init(&["--service", "paxs"]), 2, "has no attendees");
    assert_refused(&home.init(&["--smtp", "smtp.example.com"]), 2, "nobody to mail to");
    assert_refused(&home.init(&["--model", "x"]), 2, "means nothing to the service `ondevice`");
    assert_refused(&home.init(&["--mail-from", "x"]), 2, "without `--smtp`");
    assert_eq!(names(home.0.path()), Vec::<String>::new());
}

#[test]
fn every_kind_of_service_and_mail_can_be_set_up_by_options() {
    let people = ["--attendee", "Ann Lee <ann@example.com>"];
    let mail = ["--smtp", "127.0.0.1:25", "--mail-from", "minutes@example.com"];
    let account = ["--smtp-user", "me", "--smtp-password-file", "/run/smtp"];
    let paxs = ["--service", "paxs", "--base-url", "https://paxs.example.com"];
    let openai = ["--service", "openai", "--base-url", "http://ai.example.com/v1", "--insecure"];
    let models = ["--model", "m", "--notes-model", "n", "--key-file", "key", "--language", "de"];
    let cases: [Vec<&str>; 4] = [
        [&people[..], &mail[..], &account[..]].concat(),
        [&people[..], &paxs[..], &["--notes", "beside"]].concat(),
        [&openai[..], &models[..]].concat(),
        [&people[..], &mail[..], &["--notes", "mail"]].concat(),
    ];
    for arguments in cases {
        let home = Home::new();
        let said = home.init(&arguments);
        assert_done(&said);
        assert!(home.folders().contains("/Recordings"), "{arguments:?}: {}", home.folders());
        assert_eq!(out(&said).contains("minuted login"), arguments.contains(&"paxs"));
    }
}

#[test]
fn a_configuration_that_exists_is_kept_byte_for_byte_and_gets_a_folder() {
    let home = Home::new();
    fs::create_dir_all(home.path(".config/minuted")).expect("made");
    let first = home.path("first");
    // No line end at its end, and the table before is not a folder.
    let text = format!(
        "# mine\r\n[[folder]]\n  path='{}'   # here\n\n[log]\nlevel = \"warn\"",
        first.display()
    );
    fs::write(home.config(), &text).expect("written");
    fs::set_permissions(home.config(), fs::Permissions::from_mode(0o640)).expect("set");
    let nothing = home.init(&[]);
    assert_done(&nothing);
    assert!(out(&nothing).contains("exists: it stays as it is"), "{}", out(&nothing));
    assert_eq!(home.text(), text);

    let second = home.path("second");
    assert_done(&home.init_folder(&second, &["--language", "en"]));
    let grown = home.text();
    assert!(grown.starts_with(&format!("{text}\n")), "{grown}");
    assert_eq!(mode(&home.config()), 0o640, "its rights are as before");
    let opened = home.folders();
    assert!(opened.contains("/first\"") && opened.contains("/second\""), "{opened}");
    // The folder that was added is not added twice, and none inside another.
    let again = home.init_folder(&second, &["--service", "ondevice"]);
    assert_done(&again);
    assert!(out(&again).contains("already"), "{}", out(&again));
    assert_refused(&home.init_folder(&second.join("inner"), &[]), 2, "lies inside folder `second`");
    assert_refused(&home.init_folder(home.0.path(), &[]), 2, "holds");
    let other = home.path("other");
    assert_refused(&home.init_folder(&other, &["--smtp", "a.b"]), 2, "only a folder is added");
    assert_refused(&home.init_folder(&other, &["--page"]), 2, "only a folder is added");
    assert_refused(&home.init_folder(&other, &["--service", "x"]), 2, "no service `x`");
    assert_eq!(home.text(), grown);
    assert!(!other.exists(), "nothing is made for a folder that is refused");

    // A directory of the same name has another name.
    assert_done(&home.init_folder(&home.path("more/second"), &[]));
    assert!(home.text().contains("name = \"second-2\""), "{}", home.text());

    let typed = home.type_at(&["--user", "--no-engine"], "no\n");
    assert_done(&typed);
    assert!(out(&typed).contains("Add a folder to it?"), "{}", out(&typed));
    let before = home.text();
    let typed = home.type_at(&["--user", "--no-engine"], "\n~/third\n\n\n\n");
    assert_done(&typed);
    assert!(home.text().starts_with(&before) && home.folders().contains("/third\""));
}

#[test]
fn a_configuration_that_is_wrong_or_no_file_is_refused_and_stays() {
    let home = Home::new();
    fs::create_dir_all(home.path(".config/minuted")).expect("made");
    let folder = home.path("Recordings");
    fs::write(home.config(), "[[folder]]\npaht = \"/x\"\n").expect("written");
    let said = home.init_folder(&folder, &[]);
    assert_eq!(said.status.code(), Some(78), "{}", err(&said));
    assert!(err(&said).contains("did you mean `path`"), "{}", err(&said));

    // A list that a table cannot be added to.
    let listed = format!("folder = [{{ path = \"{}\" }}]\n", home.path("a").display());
    fs::write(home.config(), &listed).expect("written");
    let said = home.init_folder(&folder, &[]);
    assert_eq!(said.status.code(), Some(2), "{}", err(&said));
    assert!(err(&said).contains("not TOML"), "{}", err(&said));
    assert_eq!(home.text(), listed);

    let elsewhere = home.path("dotfiles.toml");
    fs::rename(home.config(), &elsewhere).expect("moved");
    for target in [elsewhere.clone(), home.path("nowhere")] {
        symlink(&target, home.config()).expect("linked");
        assert_refused(&home.init_folder(&folder, &[]), 1, "is a link");
        fs::remove_file(home.config()).expect("removed");
    }
    assert_eq!(fs::read_to_string(&elsewhere).expect("read"), listed);
    assert!(!home.path("nowhere").exists() && !folder.exists());
    fs::create_dir(home.config()).expect("made");
    assert_refused(&home.init_folder(&folder, &[]), 1, "is no file");
}

#[test]
fn a_place_that_cannot_be_is_refused_before_anything_is_written() {
    let home = Home::new();
    fs::write(home.path("file"), "").expect("written");
    let file = home.path("file");
    assert_refused(&home.init_folder(&file, &[]), 2, "a file is in the way");
    assert_refused(&home.init_folder(&file.join("inner"), &[]), 1, "failed to make the directory");
    assert_refused(&home.init_folder(home.0.path(), &[]), 2, "holds the state directory");
    assert_eq!(names(home.0.path()), ["file"]);

    // The directory of the configuration may be missing, and several above it.
    let config = home.path("a/b/c.toml");
    let config = config.to_str().expect("UTF-8");
    assert_done(&home.run(&["--config", config, "init", "--yes", "--user", "--no-engine"]));
    assert_eq!(mode(Path::new(config)), 0o600);
    let blocked = file.join("c.toml");
    let blocked = blocked.to_str().expect("UTF-8");
    let said = home.run(&["--config", blocked, "init", "--yes", "--user"]);
    assert_eq!(said.status.code(), Some(78), "{}", err(&said));
}

#[test]
fn a_hostile_name_is_a_name_or_is_refused() {
    for name in [
        "a \"b\" 'c'",
        "]]",
        "\"\"\"",
        "'''x\\",
        "# [[folder]] {stem}",
        "=",
        "tab\u{202e}fdp",
        "-rf",
        "$(touch pwn)`touch pwn`",
    ] {
        let home = Home::new();
        let folder = home.path("in").join(name);
        let person = format!("--attendee={name} <ann@example.com>");
        assert_done(&home.init_folder(&folder, &[&person]));
        assert!(folder.is_dir(), "{name}");
        let read: toml::Table = home.text().parse().expect("TOML");
        let written = &read["folder"][0];
        assert_eq!(read["folder"].as_array().map(Vec::len), Some(1));
        assert_eq!(written["path"].as_str(), folder.to_str());
        let person = name.trim_matches('"');
        let person = if person.is_empty() { "ann@example.com" } else { person };
        assert_eq!(written["attendees"][0]["name"].as_str(), Some(person));
        assert!(!home.path("pwn").exists());
    }
    for name in ["a\nb", "x\"\n[log]\nlevel = \"trace", "a\rb"] {
        let home = Home::new();
        assert_refused(&home.init_folder(&home.path("in").join(name), &[]), 2, "control character");
        let person = format!("{name} <ann@example.com>");
        assert_refused(&home.init(&["--attendee", &person]), 2, "control character");
        assert_eq!(names(home.0.path()), Vec::<String>::new());
    }
}

#[test]
fn a_kill_leaves_the_old_file_or_the_new_one_whole_and_the_next_init_tidies_up() {
    let home = Home::new();
    let first = home.path("first");
    let die = |folder: &Path, point: &str| {
        let mut command = home.command(MINUTED);
        command.args(["init", "--yes", "--user", "--no-engine", "--folder"]).arg(folder);
        let output = command.env("MINUTED_DIE", point).output().expect("run");
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(9));
    };
    die(&first, "PlaceConfiguration:before");
    assert!(!home.config().exists());
    assert_eq!(names(&home.path(".config/minuted")).len(), 1, "what was on its way lies there");
    die(&first, "PlaceConfiguration:after");
    assert_eq!(names(&home.path(".config/minuted")), ["config.toml"]);
    let whole = home.text();
    let second = home.path("second");
    die(&second, "PlaceConfiguration:before");
    assert_eq!(home.text(), whole);
    assert_done(&home.init_folder(&second, &[]));
    assert_eq!(names(&home.path(".config/minuted")), ["config.toml"]);
    assert!(home.text().starts_with(&whole) && home.text().len() > whole.len());
}

#[test]
fn a_daemon_without_a_configuration_says_how_to_get_one() {
    let home = Home::new();
    let own = home.run(&["run"]);
    assert_eq!(own.status.code(), Some(78), "{}", err(&own));
    if !Path::new("/etc/minuted/config.toml").exists() {
        assert!(err(&own).contains("run `minuted init`"), "{}", err(&own));
        let mut unit = home.command(MINUTED);
        unit.arg("run").env("MINUTED_CONFIG", "/etc/minuted/config.toml");
        let unit = unit.output().expect("run");
        assert_eq!(unit.status.code(), Some(78), "{}", err(&unit));
        assert!(err(&unit).contains("run `sudo minuted init`"), "{}", err(&unit));
    }
}

/// A machine that has no minuted yet, but its user and its unit; `$1` is a directory of the test.
const SERVER: &str = "\
cp -a /etc \"$1/etc\"
mount --bind \"$1/etc\" /etc
rm -rf /etc/minuted /etc/systemd/system/minuted.service*
sed -i '/^minuted:/d' /etc/passwd /etc/group
echo minuted:x:64123:64123::/var/lib/minuted:/bin/false >> /etc/passwd
echo minuted:x:64123: >> /etc/group
mount -t tmpfs -o mode=755 none /srv
mount -t tmpfs -o mode=755 none /var/lib
mount -t tmpfs -o mode=755 none /run
mkdir -p /srv/bin /etc/systemd/system
touch /srv/bin/minuted
mount --bind \"$2\" /srv/bin/minuted
cp \"$3\" /etc/systemd/system/minuted.service
";

/// Runs a script on such a machine, as root; `None` where that cannot be.
fn on_server(home: &Home, script: &str) -> Option<Output> {
    if !may_mount() || program("setfacl").is_none() {
        return None;
    }
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/minuted.service");
    let script = format!("{SERVER}set +e\nPATH=/srv/bin:$PATH\n{script}");
    let mut command = home.command("unshare");
    command.args(["--mount", "sh", "-ec", &script, "sh"]).arg(home.0.path()).args([MINUTED, unit]);
    Some(command.output().expect("run"))
}

#[test]
fn root_sets_up_a_server_down_to_what_systemd_has_to_do() {
    let home = Home::new();
    let look = "\
export SUDO_UID=12345; umask 077
minuted init --yes --no-engine --folder /srv/rec/sales; echo \"code $?\"
for path in /etc/minuted/config.toml /srv/rec/sales /var/lib/minuted; do stat -c '%n %a %u:%g' $path; done
cat /etc/systemd/system/minuted.service.d/folders.conf; getfacl -n -c -p /srv/rec/sales
minuted init --yes --user; echo \"code $?\"";
    let Some(said) = on_server(&home, look) else { return };
    let shown = out(&said);
    for line in [
        "code 0",
        "/etc/minuted/config.toml 640 0:64123",
        "/srv/rec/sales 2770 64123:64123",
        "/var/lib/minuted 700 64123:64123",
        "ReadWritePaths=\"-/srv/rec/sales\"",
        "user:64123:rwx",
        "user:12345:rwx",
        "default:user:64123:rwx",
        "  sudo systemctl daemon-reload",
        "  sudo systemctl enable --now minuted",
        "  sudo -u minuted minuted engine install",
        "code 2",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "no `{line}`: {shown}{}", err(&said));
    }
    // The checks ran as the user of the service, for whom the folder is open.
    for part in ["folder sales: notes can be written in /srv/rec/sales", "opens everything that"] {
        assert!(shown.contains(part), "no `{part}`: {shown}{}", err(&said));
    }
    let talk = err(&said);
    assert!(talk.contains("systemd does not run here"), "{talk}");
    assert!(talk.contains("+ sudo setfacl -m u:minuted:x /srv/rec\n"), "{talk}");
    assert!(talk.contains("+ sudo setfacl -R -m u:minuted:rwX"), "{talk}");
    assert!(talk.contains("set up without sudo"), "{talk}");
}

#[test]
fn a_command_that_fails_is_told_and_the_rest_goes_on() {
    let home = Home::new();
    // A systemd that has its own mind.
    let look = "\
mkdir -p /run/systemd/system
printf '#!/bin/sh\\necho \"systemctl $*\"; [ $1 != daemon-reload ]\\n' > /srv/bin/systemctl
chmod +x /srv/bin/systemctl
minuted init --yes --no-engine; echo \"code $?\"
echo '# mine' >> /etc/minuted/config.toml
minuted init --yes --no-engine --folder /srv/more; echo \"code $?\"";
    let Some(said) = on_server(&home, look) else { return };
    let shown = out(&said);
    let talk = err(&said);
    assert!(talk.contains("minuted: `systemctl daemon-reload` failed: exit status: 1"), "{talk}");
    assert!(!talk.contains("`systemctl enable --now minuted` failed"), "{talk}");
    let done = shown.lines().filter(|line| line.starts_with("systemctl ")).collect::<Vec<_>>();
    assert_eq!(
        done,
        [
            "systemctl daemon-reload",
            "systemctl enable --now minuted",
            "systemctl daemon-reload",
            "systemctl enable --now minuted",
            "systemctl restart minuted",
        ],
        "what the service sees of a new folder is settled when it starts"
    );
    // What failed is among what remains, and what was done is not.
    assert_eq!(shown.matches("\n  systemctl daemon-reload\n").count(), 2, "{shown}");
    assert!(!shown.contains("\n  systemctl enable"), "{shown}");
    assert_eq!(shown.lines().filter(|line| *line == "code 1").count(), 2, "{shown}");
}

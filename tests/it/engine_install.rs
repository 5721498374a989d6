//! The model of the on-device engine: how it comes to a person, and what they are told when it does not.
//!
//! A `python3` of the test's own stands in the `PATH`; the wheel it brings is never the real one, for that is 56 MB and its
//! hash is pinned. What becomes of a right wheel is proven beside the code, with pins of the test's own, and here with the
//! real one where `MINUTED_TEST_WHEEL` names it, or where `MINUTED_REQUIRE_ENGINE` says that pip is to fetch it.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::support::house::{may_mount, until};

/// What a `python3` of ours begins with: the directory that pip is to fill is `$to`.
const AS_PIP: &str =
    "#!/bin/sh\nall=\"$*\"\nwhile [ $# -gt 1 ]; do [ \"$1\" = -d ] && to=$2; shift; done\n";

/// A person with a home, a `python3` and nothing else.
struct Person {
    dir: tempfile::TempDir,
}

impl Person {
    /// A person whose `python3` runs this shell script.
    fn with_python(script: &str) -> Self {
        let person = Self::without_python();
        let python = person.home().join("bin/python3");
        fs::write(&python, format!("{AS_PIP}{script}\n")).expect("written");
        fs::set_permissions(python, fs::Permissions::from_mode(0o755)).expect("set");
        person
    }

    fn without_python() -> Self {
        let person = Self { dir: tempfile::tempdir().expect("a directory") };
        fs::create_dir_all(person.home().join("bin")).expect("made");
        person
    }

    fn home(&self) -> &Path {
        self.dir.path()
    }

    /// Where installations lie.
    fn place(&self) -> PathBuf {
        self.home().join(".local/share/minuted")
    }

    /// A program with this person's environment; its tools are the system's, its `python3` is not.
    fn program(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.home()).stdin(Stdio::null()).current_dir(self.home());
        command.env("PATH", format!("{}:/nowhere", self.home().join("bin").display()));
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_minuted"));
        command.arg("engine").args(arguments);
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("run")
    }

    /// Runs an installation that fails, and returns what it says.
    fn fails(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        said(&output)
    }

    /// What lies where installations lie, but for the lock.
    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.place()).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name != ".minuted-install.lock").collect()
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.run(&["status", "--json"]).stdout).expect("JSON")
    }
}

/// What was said to the person, without what differs from run to run.
fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The script that fails as pip does when it says this.
fn pip_says(words: &str) -> String {
    format!("/bin/cat >&2 <<'EOF'\n{words}\nEOF\nexit 1")
}

#[test]
fn who_has_no_python_or_no_pip_is_told_what_to_install() {
    insta::assert_snapshot!(Person::without_python().fails(&["install"]), @r"
    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: python3 was not found, and the model comes through its pip
    hint: apt install python3-pip
    hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73
    ");
    let person = Person::with_python(&pip_says("/usr/bin/python3: No module named pip"));
    insta::assert_snapshot!(person.fails(&["install"]), @r"
    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: python3 has no pip, and the model comes through it
    hint: apt install python3-pip
    hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73
    ");
    assert_eq!(person.left(), Vec::<String>::new());
}

#[test]
fn what_pip_could_not_do_is_told_with_its_cure() {
    let stories = [
        // Without a network, as pip 23 and pip 25 say it.
        "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by \
         'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f>: Failed to establish a new \
         connection: [Errno -3] Temporary failure in name resolution')': /simple/moonshine-voice/\n\
         ERROR: Could not find a version that satisfies the requirement moonshine-voice==0.0.73 (from versions: none)\n\
         ERROR: No matching distribution found for moonshine-voice==0.0.73",
        "WARNING: Retrying (Retry(total=0)) after connection broken by 'ProxyError('Cannot connect to proxy.', OSError('Tunnel \
         connection failed: 407 Proxy Authentication Required'))': http://ann:s3cret@proxy.example.com/simple/moonshine-voice/\n\
         ERROR: No matching distribution found for moonshine-voice==0.0.73",
        "ERROR: Could not find a version that satisfies the requirement moonshine-voice==0.0.73 (from versions: 0.0.90)\n\
         ERROR: No matching distribution found for moonshine-voice==0.0.73",
        "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
        "Traceback (most recent call last):\nERROR: something \u{1b}[31melse",
    ];
    let mut told = Vec::new();
    for story in stories {
        let person = Person::with_python(&pip_says(story));
        told.push(
            person.fails(&["install"]).replace(&person.place().display().to_string(), "PLACE"),
        );
        assert_eq!(person.left(), Vec::<String>::new());
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: pip could not fetch the model: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution
    hint: check the network and try again
    hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73

    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: pip could not pass the proxy: Tunnel connection failed: 407 Proxy Authentication Required
    hint: check $HTTPS_PROXY and `python3 -m pip config list`
    hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73

    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: pip found no such package for this machine: Could not find a version that satisfies the requirement moonshine-voice==0.0.73 (from versions: 0.0.90)
    hint: it needs glibc 2.34 or newer and Python 3.8 or newer, and an index that has it (`python3 -m pip config list`)
    hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73

    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: the disk of `PLACE` is full
    hint: free 132 MB, then run it again

    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: pip failed: something \u{1b}[31melse
    hint: see what this says: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73
    ");
}

#[test]
fn a_wheel_that_is_not_the_pinned_one_is_refused_whoever_brings_it() {
    let person = Person::with_python(
        "/bin/mkdir \"$to\"; echo 'not the model' >\"$to/moonshine_voice-0.0.73-py3-none-any.whl\"",
    );
    insta::assert_snapshot!(person.fails(&["install"]), @r"
    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: `moonshine_voice-0.0.73-py3-none-any.whl` is not the wheel of moonshine-voice 0.0.73 for x86_64: it has 14 bytes, not 56320672
    hint: the index of this pip gives another file (`python3 -m pip config list`)
    hint: or bring the wheel along: minuted engine install FILE; elsewhere it comes by: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73
    ");
    let wheel = person.home().join("other.whl");
    fs::write(&wheel, "not the model").expect("written");
    let told = person.fails(&["install", wheel.to_str().expect("UTF-8")]);
    insta::assert_snapshot!(told.replace(&person.home().display().to_string(), "HOME"), @r"
    minuted: `HOME/other.whl` is not the wheel of moonshine-voice 0.0.73 for x86_64: it has 13 bytes, not 56320672
    hint: fetch it with: python3 -m pip download --no-deps --only-binary=:all: --platform manylinux_2_34_x86_64 moonshine-voice==0.0.73
    ");
    // As many bytes as the real one has.
    fs::File::options()
        .write(true)
        .open(&wheel)
        .and_then(|file| file.set_len(56_320_672))
        .expect("grown");
    let told = person.fails(&["install", "other.whl"]);
    assert!(told.contains("other.whl` is not the wheel of moonshine-voice 0.0.73"), "{told}");
    assert_eq!(person.left(), Vec::<String>::new());
    let told = person.fails(&["install", "missing.whl"]);
    assert!(told.contains("missing.whl`: No such file or directory"), "{told}");
}

#[test]
fn pip_is_asked_for_one_package_in_a_directory_of_its_own_and_learns_no_secret() {
    let person = Person::with_python(
        "/usr/bin/env >\"$HOME/env\"; pwd >\"$HOME/cwd\"; echo \"$all\" >\"$HOME/all\"; exit 1",
    );
    let mut command = person.command(&["install"]);
    command
        .env("CREDENTIALS_DIRECTORY", "/run/credentials")
        .env("MINUTED_CLOCK", "/nowhere")
        .env("PIP_INDEX_URL", "http://i");
    assert_eq!(command.output().expect("run").status.code(), Some(1));
    let read = |name: &str| fs::read_to_string(person.home().join(name)).expect("pip was started");
    let (env, cwd) = (read("env"), read("cwd"));
    assert!(env.contains("PIP_INDEX_URL=http://i\n"), "a person's own settings of pip hold: {env}");
    assert!(!env.contains("CREDENTIALS") && !env.contains("MINUTED"), "{env}");
    assert!(
        cwd.contains("/.local/share/minuted/.minuted-install-"),
        "`python3 -m` runs what lies where it starts: {cwd}"
    );
    assert!(env.contains(&format!("TMPDIR={cwd}")), "{env}");
    insta::assert_snapshot!(read("all").replace(cwd.trim(), "DIR"), @"-m pip download --no-deps --only-binary=:all: --no-input --disable-pip-version-check --progress-bar off --timeout 30 --retries 2 -d DIR/wheel moonshine-voice==0.0.73");
}

#[test]
fn a_run_that_is_killed_leaves_what_the_next_one_takes_away() {
    let person = Person::with_python(
        "echo $$ >\"$HOME/pid.new\"; /bin/mv \"$HOME/pid.new\" \"$HOME/pid\"; exec /bin/sleep 1000",
    );
    let mut child = in_the_middle(&person);
    child.kill().expect("killed");
    child.wait().expect("ended");
    let left = person.left();
    assert!(left.len() == 1 && left[0].starts_with(".minuted-install-"), "{left:?}");
    assert_eq!(person.status()["installed"], false);
    end(&person);
    fs::write(person.home().join("other.whl"), "not the model").expect("written");
    person.fails(&["install", "other.whl"]);
    assert_eq!(person.left(), Vec::<String>::new());
}

#[test]
fn a_run_that_is_stopped_ends_pip_and_leaves_nothing() {
    let person = Person::with_python(
        "echo $$ >\"$HOME/pid.new\"; /bin/mv \"$HOME/pid.new\" \"$HOME/pid\"; exec /bin/sleep 1000",
    );
    let child = in_the_middle(&person);
    let pid =
        i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let output = child.wait_with_output().expect("ended");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(said(&output).ends_with("stopped: nothing was installed\n"), "{output:?}");
    until("pip has ended", || (!pip(&person).exists()).then_some(()));
    assert_eq!(person.left(), Vec::<String>::new());
}

/// An installation whose pip is at work.
fn in_the_middle(person: &Person) -> Child {
    let child = person
        .command(&["install"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("started");
    until("pip is at work", || person.home().join("pid").exists().then_some(()));
    child
}

/// The process of a pip that is at work.
fn pip(person: &Person) -> PathBuf {
    Path::new("/proc").join(fs::read_to_string(person.home().join("pid")).expect("it runs").trim())
}

/// Ends a pip that has outlived its minuted.
fn end(person: &Person) {
    let pid = fs::read_to_string(person.home().join("pid")).expect("it ran");
    let pid = pid.trim().parse().ok().and_then(rustix::process::Pid::from_raw).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
}

#[test]
fn a_place_that_cannot_be_written_and_a_disk_that_is_full_say_so() {
    let fills = "/bin/mkdir \"$to\"; /usr/bin/head -c 3000000 /dev/zero >\"$to/x.whl\" && exit 0\n\
        echo 'ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device' >&2; exit 1";
    let person = Person::with_python(fills);
    if !may_mount() {
        return;
    }
    fs::create_dir_all(person.place()).expect("made");
    let mounted = |options: &str| {
        let script = format!("mount -t tmpfs -o {options} none \"$1\"; shift; exec \"$@\"");
        let mut command = person.program("/usr/bin/unshare");
        command.args(["--mount", "/bin/sh", "-ec", &script, "sh"]).arg(person.place());
        command.env(
            "PATH",
            format!("{}:/usr/sbin:/sbin:/usr/bin:/bin", person.home().join("bin").display()),
        );
        let output = command
            .args([env!("CARGO_BIN_EXE_minuted"), "engine", "install"])
            .output()
            .expect("run");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        said(&output).replace(&person.home().display().to_string(), "HOME")
    };
    insta::assert_snapshot!([mounted("size=1m"), mounted("ro")].concat(), @r"
    fetching moonshine-voice 0.0.73 (56.32 MB) through pip
    minuted: the disk of `HOME/.local/share/minuted` is full
    hint: free 132 MB, then run it again
    minuted: `HOME/.local/share/minuted` cannot be written: Read-only file system (os error 30)
    hint: its file system is mounted read-only: mount it writable, or set $XDG_DATA_HOME to another place
    ");
    assert_eq!(person.left(), Vec::<String>::new());
}

#[test]
fn a_model_that_is_not_there_is_shown_with_the_way_to_it() {
    let person = Person::without_python();
    let output = person.run(&["status"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(said(&output), "hint: minuted engine install\n");
    let shown = String::from_utf8_lossy(&output.stdout)
        .replace(&person.home().display().to_string(), "HOME");
    let (shown, whisper) = shown.split_once("\nwhisper").expect("both engines");
    let expected =
        if cfg!(feature = "whisper") { "no model is installed" } else { "not in this build" };
    assert!(whisper.contains(expected), "{whisper}");
    insta::assert_snapshot!(shown, @r"
    engine   moonshine-tiny-en 0.0.73, ONNX Runtime 1.23.2, x86_64: not installed
    language English
    place    HOME/.local/share/minuted/moonshine-tiny-en-0.0.73
    size     0 B

    FILE                      SIZE       STATE    LICENCE
    encoder_model.ort         13.28 MB   missing  MIT
    decoder_model_merged.ort  30.41 MB   missing  MIT
    tokenizer.bin             249.97 kB  missing  MIT
    libonnxruntime.so.1       22.35 MB   missing  MIT
    LICENSE                   1.07 kB    missing  MIT
    segmentation.ort          1.59 MB    missing  CC BY 4.0, pyannote community-1
    embedding.ort             6.98 MB    missing  CC BY 4.0, WeSpeaker

    speaker separation: pyannote speaker-diarization-community-1 (Hervé Bredin, Alexis Plaquet and others) and
    WeSpeaker ResNet34 (VoxCeleb), CC BY 4.0, quantised by Moonshine AI
    ");
    assert!(shown.contains("not installed"), "{shown}");
    let output = person.run(&["status", "--json"]);
    assert_eq!((output.status.code(), said(&output)), (Some(1), String::new()));
    let status = person.status();
    assert_eq!((&status["installed"], &status["size"]), (&false.into(), &0.into()));
    assert_eq!(status["files"].as_array().expect("files").len(), 7);
    assert!(
        fs::read_dir(person.home()).expect("listed").count() == 1,
        "who only asks leaves nothing"
    );
}

#[test]
fn a_configuration_says_where_the_state_is_and_a_wrong_one_is_refused() {
    let person = Person::without_python();
    let config = person.home().join("config.toml");
    fs::write(&config, "state_dir = 1\n").expect("written");
    let output = person.command(&["status"]).arg("--config").arg(&config).output().expect("run");
    assert_eq!(output.status.code(), Some(78), "{output:?}");
}

/// How the real wheel comes: from a file, or through pip. `None` where it is not asked for, which is said.
#[expect(clippy::disallowed_methods, reason = "the tests' own variables, not minuted's")]
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
fn real() -> Option<(Vec<OsString>, OsString)> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    if let Some(wheel) = std::env::var_os("MINUTED_TEST_WHEEL") {
        return Some((vec![wheel], path));
    }
    if std::env::var_os("MINUTED_REQUIRE_ENGINE").is_some() {
        return Some((Vec::new(), path));
    }
    eprintln!(
        "skipped: set MINUTED_TEST_WHEEL to the wheel, or MINUTED_REQUIRE_ENGINE=1 to have pip fetch it (56 MB)"
    );
    None
}

#[test]
fn the_real_model_is_installed_found_whole_and_repaired() {
    let Some((wheel, path)) = real() else { return };
    let person = Person::without_python();
    let install = || {
        let mut command = person.command(&["install"]);
        command.args(&wheel).env("PATH", &path).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let told = |output: &Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    // Twice at once.
    let both = [install(), install()].map(|mut command| command.spawn().expect("started"));
    let mut both = both.map(|child| told(&child.wait_with_output().expect("ended")));
    both.sort();
    assert!(both[0].starts_with("installed moonshine-tiny-en 0.0.73: "), "{both:?}");
    assert!(both[1].contains("is already installed"), "{both:?}");
    assert_eq!(person.status()["installed"], true);
    assert!(told(&person.run(&["status"])).contains(": installed\n"));

    // Damaged, and killed while that is mended.
    let dir = person.place().join(person.status()["version"].as_str().expect("a version"));
    fs::write(dir.join("tokenizer.bin"), "damaged").expect("written");
    let states = person.status()["files"]
        .as_array()
        .expect("files")
        .iter()
        .map(|file| file["state"].clone())
        .collect();
    assert_eq!(
        Value::Array(states),
        serde_json::json!(["ok", "ok", "damaged", "ok", "ok", "ok", "ok"])
    );
    let died = install().env("MINUTED_DIE", "PlaceModel:before").output().expect("run");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&died.status), Some(9), "{died:?}");
    assert_eq!(person.status()["installed"], false);
    assert!(told(&install().output().expect("run")).starts_with("installed "));
    assert_eq!(person.status()["installed"], true);
    assert_eq!(person.left().len(), 1, "{:?}", person.left());

    // As an earlier version left it: it works, says that speakers are missing, and is completed.
    for file in ["segmentation.ort", "embedding.ort"] {
        fs::remove_file(dir.join(file)).expect("removed");
    }
    let status = person.status();
    assert_eq!(
        (&status["installed"], &status["works"], &status["speakers"]),
        (&true.into(), &true.into(), &false.into())
    );
    let output = person.run(&["status"]);
    assert!(told(&output).contains(": installed, without speakers\n"), "{output:?}");
    assert!(
        said(&output).ends_with("transcripts have no speakers\nhint: minuted engine install\n"),
        "{output:?}"
    );
    assert!(
        told(&install().output().expect("run")).starts_with("completed moonshine-tiny-en 0.0.73: ")
    );
    assert_eq!(person.status()["speakers"], true);
}

//! A whole minuted to test: a configuration, folders, a stand-in of PAXS, a mail server, and the real binary.

use std::{
    fs,
    io::Read as _,
    os::unix::{net::UnixStream, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::paxs::{Options, Standin};
use super::{budget::budget, smtp::SmtpServer};

/// How long a condition is waited for: machines are shared and slow, and the engine is nice to everything else on them.
const PATIENCE: Duration = Duration::from_secs(180);

/// Waits until `condition` gives something; fails naming `what`.
pub(crate) fn until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    until_told(|| what.to_owned(), condition)
}

/// As [`until`], with a `what` that is made at the end.
pub(crate) fn until_told<T>(
    what: impl Fn() -> String,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE * budget(1), "waited too long for: {}", what());
        #[expect(
            clippy::disallowed_methods,
            reason = "between looks across processes; every wait ends by a condition"
        )]
        thread::sleep(Duration::from_millis(20));
    }
}

/// The parts of one test. Dropped, everything ends and goes away.
pub(crate) struct House {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) standin: Standin,
    pub(crate) smtp: SmtpServer,
    /// Where commands run, when not as this process does.
    cell: OnceLock<Cell>,
}

/// Another place to run in than this process.
enum Cell {
    /// A mount namespace, kept alive by a process that sleeps.
    Mounts(Child),
    /// Another user, for whom permissions hold.
    Nobody,
}

impl Drop for Cell {
    fn drop(&mut self) {
        if let Self::Mounts(holder) = self {
            // It may have ended by itself; then there is nothing to kill.
            drop(holder.kill());
            drop(holder.wait());
        }
    }
}

impl House {
    /// A house with one folder, `sales`, that delivers beside; everything waits as little as it may.
    pub(crate) fn new() -> Self {
        Self::with(Options {
            auto_approve: true,
            transcription_time: Duration::from_millis(80),
            note_time: Duration::from_millis(40),
            ..Options::default()
        })
    }

    /// A house with these options of the stand-in.
    pub(crate) fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let standin = Standin::start(options).expect("a free port");
        let house = Self { dir, standin, smtp: SmtpServer::start(), cell: OnceLock::new() };
        fs::create_dir_all(house.folder()).expect("made");
        house.configure("");
        house.plant_sign_in("paxs", &house.standin);
        house
    }

    /// The folder `sales`.
    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join("sales")
    }

    /// A path in the folder.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.folder().join(relative)
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    /// The configuration's file.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("config.toml")
    }

    /// The file that sets the clock of everything that runs here.
    fn clock(&self) -> PathBuf {
        self.dir.path().join("clock")
    }

    /// Sets the clock of everything that runs here, in seconds ahead of the true time.
    pub(crate) fn set_clock(&self, ahead: i64) {
        let next = self.dir.path().join("clock.next");
        fs::write(&next, ahead.to_string()).expect("written");
        fs::rename(next, self.clock()).expect("in place");
    }

    /// Sets the clock of everything that runs here to a time, in seconds since 1970.
    pub(crate) fn set_time(&self, second: i64) {
        self.set_clock(second - true_time());
    }

    /// Writes the configuration: the usual one, with `folder_keys` in its folder.
    pub(crate) fn configure(&self, folder_keys: &str) {
        self.configure_all("", folder_keys, "");
    }

    /// Writes the configuration with more keys: of the service, of the folder (in place of the usual ones), and
    /// further tables at the end.
    pub(crate) fn configure_all(&self, service_keys: &str, folder_keys: &str, tables: &str) {
        let usual = [r#"settle = "100ms""#, r#"rescan = "300ms""#, r#"backlog = "process""#];
        let key = |line: &str| line.split(' ').next().map(str::to_owned);
        let usual =
            usual.map(
                |line| if folder_keys.lines().any(|own| key(own) == key(line)) { "" } else { line },
            );
        let text = format!(
            r#"state_dir = "{state}"
[services.paxs]
kind = "paxs"
base_url = "{base_url}"
poll = {{ first = "50ms", every = "50ms" }}
request_timeout = "5s"
{service_keys}
[retry]
delay = "50ms"
delay_max = "200ms"
[log]
level = "debug"
[email]
from = "Minutes <minutes@example.com>"
failures_to = ["it@example.com"]
allow = ["@example.com"]
smtp = {{ host = "127.0.0.1", port = {smtp}, tls = "none" }}
[[folder]]
name = "sales"
path = "{folder}"
service = "paxs"
attendees = [
  {{ name = "Ann Lee", email = "ann@example.com" }},
  {{ name = "Bo Chen", email = "bo@example.com", role = "organizer" }},
]
{usual}
{folder_keys}
{tables}
"#,
            state = self.state_dir().display(),
            base_url = self.standin.base_url(),
            smtp = self.smtp.port(),
            folder = self.folder().display(),
            usual = usual.join("\n"),
        );
        fs::write(self.config(), text).expect("written");
    }

    /// Signs in by the real command; the stand-in approves at once.
    pub(crate) fn sign_in(&self) {
        let output = self.run(&["login"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Copies a real recording of this kind into the folder under `name`; each name gets bytes of its own.
    pub(crate) fn drop_recording(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let seen = self.seen(&path);
        fs::create_dir_all(seen.parent().expect("in the folder")).expect("made");
        fs::write(seen, recording(name)).expect("written");
        path
    }

    /// A command, not yet run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.entrance(env!("CARGO_BIN_EXE_minuted"));
        command.arg("--config").arg(self.config()).args(arguments);
        command.env_remove("RUST_LOG").env_remove("MINUTED_DIE").stdin(Stdio::null());
        command.env("MINUTED_CLOCK", self.clock()).env("TZ", "UTC");
        command
    }

    /// A program, to be run where the house is.
    fn entrance(&self, program: &str) -> Command {
        match self.cell.get() {
            None => Command::new(program),
            Some(Cell::Mounts(holder)) => {
                let mut command = Command::new("nsenter");
                command.args(["--mount", "--target", &holder.id().to_string(), program]);
                command
            }
            Some(Cell::Nobody) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups", program]);
                command
            }
        }
    }

    /// From now on everything runs in a mount namespace of its own, which outlives each daemon, after `mounts` (shell:
    /// `$1` is the folder, `$2` the state directory).
    pub(crate) fn within(&self, mounts: &str) {
        let ready = self.dir.path().join("ready");
        let script = format!("{mounts}\n: > \"$3\"\nexec sleep 3600");
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-ec", &script, "sh"]).args([
            self.folder(),
            self.state_dir(),
            ready.clone(),
        ]);
        let holder = command.stdin(Stdio::null()).spawn().expect("run");
        until("everything is mounted", || ready.exists().then_some(()));
        assert!(self.cell.set(Cell::Mounts(holder)).is_ok(), "a house moves once");
    }

    /// From now on permissions hold for what runs here, also where the tests run as root.
    pub(crate) fn without_privileges(&self) {
        if rustix::process::geteuid().is_root() {
            let owned = Command::new("chown")
                .args(["-R", "65534:65534"])
                .arg(self.dir.path())
                .status()
                .expect("run");
            assert!(owned.success() && self.cell.set(Cell::Nobody).is_ok());
        }
    }

    /// Runs a shell script where the house is; `$1` is the folder, `$2` the state directory.
    pub(crate) fn shell(&self, script: &str) {
        let mut command = self.entrance("sh");
        command.args(["-ec", script, "sh"]).args([self.folder(), self.state_dir()]);
        assert!(command.status().expect("run").success(), "{script}");
    }

    /// A path as what runs here sees it.
    pub(crate) fn seen(&self, path: &Path) -> PathBuf {
        match self.cell.get() {
            Some(Cell::Mounts(holder)) => Path::new("/proc")
                .join(holder.id().to_string())
                .join("root")
                .join(path.strip_prefix("/").expect("absolute")),
            Some(Cell::Nobody) | None => path.to_owned(),
        }
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("run")
    }

    /// Runs a command that shows something, and returns its JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["--json"]].concat());
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn start(&self) -> Daemon {
        self.listening(self.spawn(&[]))
    }

    /// Waits until a daemon answers.
    pub(crate) fn listening(&self, mut daemon: Daemon) -> Daemon {
        until("the daemon listens", || {
            assert_eq!(daemon.ended(), None, "it ended: {}", self.log());
            // A daemon that was killed leaves its socket, at which nobody answers.
            UnixStream::connect(self.seen(&self.state_dir().join("control.sock"))).ok()
        });
        daemon
    }

    /// A daemon that may have found the state directory in use is started once more.
    pub(crate) fn start_anew(&self, mut daemon: Daemon) -> Daemon {
        let daemon = if daemon.ended().is_some() { self.spawn(&[]) } else { daemon };
        self.listening(daemon)
    }

    /// Starts the daemon with more environment, without waiting for anything.
    pub(crate) fn spawn(&self, environment: &[(&str, &str)]) -> Daemon {
        let log = self.dir.path().join("log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("opened");
        let mut command = self.command(&["run"]);
        command.envs(environment.iter().copied()).stdout(Stdio::null()).stderr(file);
        Daemon { child: command.spawn().expect("started") }
    }

    /// Starts the daemon by another program (`strace`, `prlimit`) and its arguments, and waits until it answers or ends.
    pub(crate) fn spawn_by(&self, program: &[&str]) -> Daemon {
        let log = self.dir.path().join("log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("opened");
        let mut command = self.entrance(program[0]);
        command
            .args(&program[1..])
            .arg(env!("CARGO_BIN_EXE_minuted"))
            .arg("--config")
            .arg(self.config())
            .arg("run");
        command
            .env_remove("RUST_LOG")
            .env_remove("MINUTED_DIE")
            .env("MINUTED_CLOCK", self.clock())
            .env("TZ", "UTC");
        Daemon {
            child: command
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(file)
                .spawn()
                .expect("started"),
        }
    }

    /// Starts the daemon in a mount namespace of its own, after `mounts` (shell, with `$1` the folder): what is
    /// mounted there goes away with it, and [`Daemon::sees`] is the way in.
    pub(crate) fn start_among(&self, mounts: &str) -> Daemon {
        let log = self.dir.path().join("log");
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("opened");
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", &format!("{mounts}\nshift; exec \"$@\""), "sh"])
            .arg(self.folder());
        command.arg(env!("CARGO_BIN_EXE_minuted")).arg("--config").arg(self.config()).arg("run");
        command
            .env_remove("RUST_LOG")
            .env_remove("MINUTED_DIE")
            .env("MINUTED_CLOCK", self.clock())
            .env("TZ", "UTC");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file);
        self.listening(Daemon { child: command.spawn().expect("started") })
    }

    /// Everything that daemons of this house have logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Scans through; what is seen then settles.
    pub(crate) fn scan(&self) {
        let output = self.run(&["scan"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// All files in the folder, relative and sorted.
    pub(crate) fn files(&self) -> Vec<String> {
        let (folder, mut files) = (self.seen(&self.folder()), Vec::new());
        walk(&folder, &folder, &mut files);
        files.sort();
        files
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of the house is ahead of the true one")]
fn true_time() -> i64 {
    jiff::Timestamp::now().as_second()
}

/// The last midnight, UTC, in seconds since 1970.
pub(crate) fn last_midnight() -> i64 {
    let now = true_time();
    now - now.rem_euclid(24 * 3600)
}

/// A daemon in a process of its own; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
}

impl Daemon {
    /// Takes over a process that was started in another way.
    pub(crate) fn of(child: Child) -> Self {
        Self { child }
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.child.wait().expect("ended")
    }

    /// A path as this daemon sees it, for one with mounts of its own.
    pub(crate) fn sees(&self, path: &Path) -> PathBuf {
        Path::new("/proc")
            .join(self.pid().to_string())
            .join("root")
            .join(path.strip_prefix("/").expect("absolute"))
    }

    /// Runs a shell script among this daemon's mounts; `$1` is `path`.
    pub(crate) fn among(&self, script: &str, path: &Path) {
        let mut command = Command::new("nsenter");
        command
            .args(["--mount", "--target", &self.pid().to_string(), "sh", "-ec", script, "sh"])
            .arg(path);
        assert!(command.status().expect("run").success(), "{script}");
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("a process");
        rustix::process::kill_process(pid, signal).expect("it runs");
    }

    /// Stops it as systemd would, and returns how it ended.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        self.child.wait().expect("ended")
    }

    /// Returns how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("asked")
    }

    /// Whether it died by `kill -9`, its own or another's.
    pub(crate) fn was_killed(&mut self) -> bool {
        self.ended().is_some_and(|status| status.signal() == Some(9))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A real recording of the kind that `name` says, unlike that of any other name.
pub(crate) fn recording(name: &str) -> Vec<u8> {
    let extension =
        Path::new(name).extension().and_then(|extension| extension.to_str()).expect("an extension");
    let data = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/audio")
        .join(format!("tiny.{extension}"));
    let mut bytes = Vec::new();
    fs::File::open(&data)
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .expect("a recording of that kind");
    // Players and services ignore what follows the end; it makes the content of each name its own. What checks its
    // own length (WAV, MP4) gets it as a chunk of that format.
    let mark = format!("minuted test {name}");
    match extension {
        "wav" => {
            let even = if mark.len() % 2 == 0 { mark } else { mark + " " };
            let length = u32::try_from(even.len()).expect("short");
            bytes.extend(b"note");
            bytes.extend(length.to_le_bytes());
            bytes.extend(even.as_bytes());
            let riff = u32::try_from(bytes.len() - 8).expect("short");
            bytes[4..8].copy_from_slice(&riff.to_le_bytes());
        }
        "mp4" | "m4a" | "3gp" | "mov" => {
            bytes.extend(u32::try_from(mark.len() + 8).expect("short").to_be_bytes());
            bytes.extend(b"free");
            bytes.extend(mark.as_bytes());
        }
        _ => bytes.extend(mark.as_bytes()),
    }
    bytes
}

/// Whether this machine lets a test mount something in a namespace of its own; says so when not.
#[expect(
    clippy::print_stderr,
    reason = "whoever runs the tests should know that one proved nothing"
)]
pub(crate) fn may_mount() -> bool {
    let tried =
        Command::new("unshare").args(["--mount", "sh", "-c", "mount -t tmpfs none /mnt"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!("skipped: mounting needs the right to make a mount namespace");
    }
    may
}

fn walk(root: &Path, dir: &Path, files: &mut Vec<String>) {
    for entry in fs::read_dir(dir).expect("a directory").flatten() {
        if entry.file_type().expect("known").is_dir() {
            walk(root, &entry.path(), files);
        } else {
            files.push(
                entry.path().strip_prefix(root).expect("below").to_string_lossy().into_owned(),
            );
        }
    }
}

//! What the service manager, its signals and its limits see of the daemon.

use std::{fs, os::unix::net::UnixDatagram, path::PathBuf, time::Duration};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

use crate::support::{
    house::{Daemon, House, until},
    paxs::{Call, Fault},
};

/// The service manager's ear, and all that it has heard.
struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Vec<String>,
}

impl Manager {
    fn of(house: &House) -> Self {
        let path = house.dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).expect("bound");
        socket.set_read_timeout(Some(Duration::from_millis(100))).expect("set");
        Self { socket, path, heard: Vec::new() }
    }

    fn start(&self, house: &House) -> Daemon {
        let path = self.path.to_str().expect("UTF-8");
        house.spawn(&[("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", "200000")])
    }

    /// Waits for a message that begins with `word`, not counting those that were waited for before.
    fn wait_for(&mut self, word: &str) -> String {
        let begun = self.heard.len();
        until(word, || {
            let mut buffer = [0; 4096];
            if let Ok(bytes) = self.socket.recv(&mut buffer) {
                self.heard
                    .extend(String::from_utf8_lossy(&buffer[..bytes]).lines().map(str::to_owned));
            }
            self.heard[begun..].iter().find(|line| line.starts_with(word)).cloned()
        })
    }
}

#[test]
fn the_service_manager_hears_of_start_life_reload_and_stop() {
    let house = House::new();
    let mut manager = Manager::of(&house);
    let mut daemon = manager.start(&house);
    manager.wait_for("READY=1");
    let status = manager.wait_for("STATUS=");
    assert!(status.starts_with("STATUS=1 folder; 0 running, 0 waiting for analysis"), "{status}");
    manager.wait_for("WATCHDOG=1");
    manager.wait_for("WATCHDOG=1");
    daemon.signal(Signal::HUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    daemon.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    assert_eq!(until("it ends", || daemon.ended()).code(), Some(0));
}

#[test]
fn readiness_does_not_wait_for_the_first_scan() {
    let house = House::new();
    // Thousands of directories to look through: the start does not wait for that.
    (0..4_000).for_each(|number| {
        fs::create_dir_all(house.path(&format!("{number}/deep"))).expect("made");
    });
    house.drop_recording("3999/deep/talk.wav");
    let mut manager = Manager::of(&house);
    let _daemon = manager.start(&house);
    manager.wait_for("READY=1");
    let status = house.status();
    assert_eq!(status["folders"][0]["scanned"], Value::Null, "{status}");
    house.wait_for("3999/deep/talk.wav", "done");
}

#[test]
fn a_bad_configuration_is_reported_and_the_old_one_stays_in_force() {
    let house = House::new();
    let mut manager = Manager::of(&house);
    let daemon = manager.start(&house);
    manager.wait_for("READY=1");
    house.configure("setle = \"1s\"");
    daemon.signal(Signal::HUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    assert!(
        house.log().contains("the old one stays in force") && house.log().contains("setle"),
        "{}",
        house.log()
    );
    house.drop_recording("talk.wav");
    until("a job", || house.state("talk.wav").or_else(|| notes(&house)));
    house.configure("title = \"Reloaded {stem}\"");
    daemon.signal(Signal::HUP);
    manager.wait_for("RELOADING=1");
    manager.wait_for("READY=1");
    house.drop_recording("later.wav");
    assert_eq!(house.wait_for("later.wav", "done")["title"], "Reloaded later");
}

#[test]
fn the_status_line_is_current_after_a_bad_configuration_and_a_good_one() {
    let house = House::new();
    let mut manager = Manager::of(&house);
    let daemon = manager.start(&house);
    manager.wait_for("STATUS=1 folder; ");
    let good = fs::read_to_string(house.config()).expect("read");
    for _ in 0..2 {
        house.configure("setle = \"1s\"");
        daemon.signal(Signal::HUP);
        manager.wait_for("STATUS=the new configuration is not taken, the old one stays in force: ");
        fs::write(house.config(), &good).expect("written");
        daemon.signal(Signal::HUP);
        manager.wait_for("STATUS=1 folder; ");
    }
}

#[test]
fn a_service_that_keeps_no_meetings_is_never_read_before_work_begins() {
    let house = House::new();
    house.configure_all("", "", "[services.local]\nkind = \"ondevice\"");
    house.standin.down(true);
    let mut manager = Manager::of(&house);
    let _daemon = manager.start(&house);
    let status = manager.wait_for("STATUS=");
    assert!(!status.contains("local"), "{status}");
    let held = house.status()["holds"].clone();
    let names: Vec<_> =
        held.as_array().expect("a list").iter().map(|hold| hold["name"].clone()).collect();
    assert!(names.contains(&"paxs".into()) && !names.contains(&"local".into()), "{held}");
}

/// What stands beside `talk.wav`, while the configuration on disk is no good to ask with.
fn notes(house: &House) -> Option<String> {
    fs::read_to_string(house.path("talk.notes.md")).ok()
}

#[test]
fn a_second_stop_ends_the_daemon_at_once_with_1() {
    let house = House::new();
    house.standin.fail_next(Call::Upload, Fault::HoldAnswer);
    let mut daemon = house.start();
    house.drop_recording("talk.wav");
    // All bytes are sent and the answer is out: the drain waits for it.
    until("the upload awaits its answer", || {
        let status = house.status();
        let running = &status["running"][0];
        (running["total"].as_u64() > Some(0) && running["sent"] == running["total"]).then_some(())
    });
    daemon.signal(Signal::TERM);
    until("it drains", || house.log().contains("stopping").then_some(()));
    assert!(daemon.ended().is_none());
    daemon.signal(Signal::TERM);
    let status = until("it ends", || daemon.ended());
    assert_eq!(status.code(), Some(1));
    let _daemon = house.start();
    house.wait_for("talk.wav", "done");
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

/// Writes the configuration with these keys of `[log]`.
fn configure_log(house: &House, keys: &str) {
    house.configure("");
    let text = fs::read_to_string(house.config()).expect("read");
    fs::write(
        house.config(),
        text.replace("level = \"debug\"", &format!("level = \"info\"\n{keys}")),
    )
    .expect("written");
}

fn log_files(house: &House) -> Vec<String> {
    let entries = fs::read_dir(house.dir.path().join("logs")).expect("a directory");
    let mut names: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_log_directory_gets_a_file_a_day_and_keeps_so_many() {
    let house = House::new();
    let logs = house.dir.path().join("logs");
    fs::create_dir(&logs).expect("made");
    for day in 1..=3 {
        fs::write(logs.join(format!("minuted.2020-01-0{day}.log")), "old\n").expect("written");
    }
    configure_log(&house, &format!("dir = \"{}\"\nkeep = 2", logs.display()));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    assert_eq!(daemon.stop().code(), Some(0));
    let names = log_files(&house);
    let today = names.last().expect("a file");
    let text = fs::read_to_string(logs.join(today)).expect("read");
    assert!(
        text.contains(" INFO ") && text.contains("job 1 is done") && text.contains("stopping"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.starts_with("20")), "each line has its time: {text}");
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn the_log_in_json_is_one_object_a_line() {
    let house = House::new();
    let logs = house.dir.path().join("logs");
    configure_log(&house, &format!("dir = \"{}\"\nformat = \"json\"", logs.display()));
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    assert_eq!(daemon.stop().code(), Some(0));
    let file = fs::read_to_string(logs.join(&log_files(&house)[0])).expect("read");
    for line in file.lines().chain(house.log().lines()) {
        let event: Value = serde_json::from_str(line).expect("JSON");
        assert!(
            ["timestamp", "level", "message"].iter().all(|field| event[field].is_string()),
            "{line}"
        );
    }
    assert!(
        file.lines().any(|line| line.contains("\"job.id\":1") && line.contains("job 1 is done")),
        "{file}"
    );
}

#[test]
fn a_file_size_limit_stops_the_log_file_and_not_the_daemon() {
    let house = House::new();
    let logs = house.dir.path().join("logs");
    fs::create_dir(&logs).expect("made");
    configure_log(&house, &format!("dir = \"{}\"", logs.display()));
    let daemon = house.start();
    until("a log file", || log_files(&house).pop());
    let pid = i32::try_from(daemon.pid()).ok().and_then(Pid::from_raw).expect("a process");
    let limit = Rlimit { current: Some(8 << 20), maximum: Some(8 << 20) };
    prlimit(Some(pid), Resource::Fsize, limit).expect("limited");
    // The limit comes first, so that no line slips in above it: from here on every line raises SIGXFSZ.
    let file =
        fs::File::options().write(true).open(logs.join(&log_files(&house)[0])).expect("opened");
    file.set_len(8 << 20).expect("grown");
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    assert_eq!(file.metadata().expect("there").len(), 8 << 20);
    assert_eq!(daemon.stop().code(), Some(0));
    assert!(house.log().contains("log lines did not reach the log file"), "{}", house.log());
}

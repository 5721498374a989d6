//! Questions to minuted, asked over the daemon's socket as its commands ask them.
//!
//! Most tests ask again and again until something holds. A process for each look would take most
//! of the machine's time; that the commands print these answers unchanged is tested in
//! `commands.rs`.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};

use super::house::{House, until_told};

/// How long a daemon may take for an answer before the command is asked instead; commands give up
/// after the same time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

impl House {
    /// Returns the answer to a question; `None` when it is refused. Where no daemon listens, the
    /// command of the same meaning is run, which answers by itself.
    fn ask(&self, question: &Value, command: &[&str]) -> Option<Value> {
        match self.ask_daemon(question) {
            Some(answer) => answer.get("Ok").cloned(),
            None => serde_json::from_slice(&self.run(&[command, &["--json"]].concat()).stdout).ok(),
        }
    }

    /// Returns the daemon's answer, whether `Ok` or `Err`; `None` when no daemon answers.
    fn ask_daemon(&self, question: &Value) -> Option<Value> {
        let mut stream =
            UnixStream::connect(self.seen(&self.state_dir().join("control.sock"))).ok()?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT)).ok()?;
        stream.write_all(format!("{question}\n").as_bytes()).ok()?;
        let mut answer = String::new();
        BufReader::new(stream).read_line(&mut answer).ok()?;
        serde_json::from_str(&answer).ok()
    }

    /// Everything at a glance, as `minuted status --json` prints it.
    pub(crate) fn status(&self) -> Value {
        self.ask(&json!({"ask": "status"}), &["status"]).expect("a status is never refused")
    }

    /// All jobs, the oldest first.
    pub(crate) fn jobs(&self) -> Vec<Value> {
        self.jobs_if().expect("a list is never refused")
    }

    /// All jobs, the oldest first; `None` when minuted dies while it is asked.
    pub(crate) fn jobs_if(&self) -> Option<Vec<Value>> {
        let question = json!({"ask": "jobs", "state": null, "folder": null});
        self.ask(&question, &["jobs"])?.as_array().cloned()
    }

    /// How many jobs are in this state.
    pub(crate) fn count(&self, state: &str) -> usize {
        self.jobs().iter().filter(|job| job["state"] == state).count()
    }

    /// The job of a recording in the folder.
    pub(crate) fn job(&self, name: &str) -> Value {
        self.job_if(name)
            .unwrap_or_else(|| panic!("there is no job of {name}; the log:\n{}", self.log()))
    }

    /// The job of a recording in the folder; `None` before there is one.
    pub(crate) fn job_if(&self, name: &str) -> Option<Value> {
        self.job_of(&self.path(name))
    }

    /// The job of a recording; `None` before there is one.
    pub(crate) fn job_of(&self, recording: &Path) -> Option<Value> {
        let path = recording.to_str().expect("UTF-8");
        self.ask(&json!({"ask": "job", "job": {"file": {"text": path}}}), &["job", path])
    }

    /// The state of a recording's job; `None` before there is one.
    pub(crate) fn state(&self, name: &str) -> Option<String> {
        Some(self.job_if(name)?["state"].as_str()?.to_owned())
    }

    /// Waits until a recording's job is in this state.
    pub(crate) fn wait_for(&self, name: &str, state: &str) -> Value {
        let what = || format!("{name} is {state}; the log:\n{}", self.log());
        until_told(what, || self.job_if(name).filter(|job| job["state"] == state))
    }

    /// The recordings that sources have found; `None` when minuted dies while it is asked.
    pub(crate) fn source_rows(&self) -> Option<Vec<Value>> {
        self.ask(&json!({"ask": "source_list", "source": null}), &["source", "list"])?
            .as_array()
            .cloned()
    }

    /// The answer of `why` about a file in the folder, and its hint.
    pub(crate) fn why(&self, name: &str) -> String {
        let path = self.path(name);
        let path = path.to_str().expect("UTF-8");
        let why = self
            .ask(&json!({"ask": "why", "path": {"text": path}}), &["why", path])
            .expect("every file has one");
        let hint = why["hint"].as_str().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        format!(
            "{}: {}\n{hint}",
            why["path"].as_str().expect("a path"),
            why["answer"].as_str().expect("an answer")
        )
    }
}

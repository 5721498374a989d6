//! What a house was told, and how it stands: notices to the operator, warnings, the state of its service and its jobs.

use std::fs;

use serde_json::Value;

use super::house::{House, until, until_told};

impl House {
    /// Changes the configuration's text.
    pub(crate) fn edit_config(&self, edit: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.config()).expect("there");
        fs::write(self.config(), edit(text)).expect("written");
    }

    /// Sets how results are looked for, beyond the first look and the interval.
    pub(crate) fn configure_poll(&self, more: &str) {
        self.edit_config(|text| {
            text.replace(r#"every = "50ms" }"#, &format!(r#"every = "50ms", {more} }}"#))
        });
    }

    /// Lets so many uploads run at once, and as many requests a second as a test may want.
    pub(crate) fn configure_fast(&self, service_keys: &str, folder_keys: &str, uploads: usize) {
        let workers = format!("[workers]\nuploads = {uploads}\nrequests_per_second = 1000\n");
        self.configure_all(service_keys, folder_keys, &workers);
    }

    /// How many notices to the operator hold `needle`, sent or not.
    pub(crate) fn notices(&self, needle: &str) -> usize {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let queue =
            rusqlite::Connection::open_with_flags(self.state_dir().join("queue.sqlite"), flags);
        let count = queue.and_then(|queue| {
            queue.query_row("SELECT count(*) FROM notice WHERE instr(text, ?)", [needle], |row| {
                row.get::<_, i64>(0)
            })
        });
        usize::try_from(count.expect("a queue")).expect("a count")
    }

    /// Waits until so many notices to the operator hold `needle`, and fails if there are more: a
    /// notice may be written a moment after the state that it is about.
    pub(crate) fn assert_notices(&self, needle: &str, count: usize) {
        let what = || {
            format!(
                "{count} notices of `{needle}`, not {}; the log:\n{}",
                self.notices(needle),
                self.log()
            )
        };
        until_told(what, || (self.notices(needle) >= count).then_some(()));
        assert_eq!(self.notices(needle), count, "notices of `{needle}`; the log:\n{}", self.log());
    }

    /// Waits until so many lines of the log hold both, and fails if there are more.
    pub(crate) fn assert_logged(&self, level: &str, needle: &str, count: usize) {
        let what = || format!("{count} lines of `{needle}`; the log:\n{}", self.log());
        until_told(what, || (self.logged(level, needle) >= count).then_some(()));
        assert_eq!(
            self.logged(level, needle),
            count,
            "lines of `{needle}`; the log:\n{}",
            self.log()
        );
    }

    /// Waits until `needle` was reported so often, each time by a notice and by a warning, and fails
    /// if it was reported more often.
    pub(crate) fn assert_reported(&self, needle: &str, count: usize) {
        self.assert_notices(needle, count);
        self.assert_logged("WARN", needle, count);
    }

    /// As [`assert_reported`](Self::assert_reported), once.
    pub(crate) fn assert_reported_once(&self, needle: &str) {
        self.assert_reported(needle, 1);
    }

    /// How many lines of the log hold both.
    pub(crate) fn logged(&self, level: &str, needle: &str) -> usize {
        self.log().lines().filter(|line| line.contains(level) && line.contains(needle)).count()
    }

    /// The only service, as `status` shows it.
    pub(crate) fn service(&self) -> Value {
        self.status()["services"][0].clone()
    }

    /// Waits until the service is in this state.
    pub(crate) fn wait_for_service(&self, state: &str) -> Value {
        until(&format!("the service is {state}"), || {
            Some(self.service()).filter(|service| service["state"] == state)
        })
    }

    /// Waits until a recording's job waits for this.
    pub(crate) fn wait_until_waits(&self, name: &str, waits_for: &str) -> Value {
        until(&format!("{name} waits for {waits_for}"), || {
            self.job_if(name).filter(|job| job["waits_for"] == waits_for)
        })
    }

    /// Waits until there are so many jobs and all are in this state.
    pub(crate) fn wait_for_all(&self, count: usize, state: &str) -> Vec<Value> {
        until(&format!("{count} jobs are {state}"), || {
            let jobs = self.jobs();
            (jobs.len() == count && jobs.iter().all(|job| job["state"] == state)).then_some(jobs)
        })
    }

    /// The events in a job's history, in order.
    pub(crate) fn events(&self, name: &str) -> Vec<String> {
        let job = self.job(name);
        let events = job["history"].as_array().expect("a history").iter();
        events.map(|event| event["event"].as_str().expect("a word").to_owned()).collect()
    }
}

/// A test that fails shows what the daemons said.
#[expect(clippy::print_stderr, reason = "it belongs to the words of the failure")]
impl Drop for House {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let shown: Vec<_> = log.lines().filter(|line| !line.contains("asked for `")).collect();
            eprintln!("the log:\n{}", shown.join("\n"));
            for job in serde_json::from_slice::<Vec<Value>>(&self.run(&["jobs", "--json"]).stdout)
                .unwrap_or_default()
            {
                if job["state"] != "done" {
                    let id = job["id"].to_string();
                    eprintln!("{}", String::from_utf8_lossy(&self.run(&["job", &id]).stdout));
                }
            }
        }
    }
}

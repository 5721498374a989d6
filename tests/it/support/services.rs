//! A house of many services: one daemon, and for each row of a table a stand-in, a service and a folder of its own, so
//! that what one row is told cannot be taken for another's.

use std::{collections::HashMap, fmt::Write as _, fs, time::Duration};

use serde_json::Value;

use super::paxs::{Call, Fault, Options, Standin};
use super::{
    house::{Daemon, House, recording, until, until_told},
    tls::Authority,
};

/// A service and its folder, both of this name.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) standin: Standin,
}

/// The house and its rows.
pub(crate) struct Street {
    pub(crate) house: House,
    pub(crate) rows: Vec<Row>,
    pub(crate) daemon: Option<Daemon>,
}

/// A stand-in that takes no time.
fn quick() -> Options {
    Options {
        auto_approve: true,
        transcription_time: Duration::from_millis(60),
        note_time: Duration::from_millis(30),
        ..Options::default()
    }
}

impl Street {
    /// A signed-in service for each of `count` rows, a running daemon, and every list of meetings read.
    pub(crate) fn of(count: usize, folder_keys: &str) -> Self {
        let rows: Vec<Row> = (0..count)
            .map(|number| Row {
                name: format!("s{number:02}"),
                standin: Standin::start(quick()).expect("a free port"),
            })
            .collect();
        let house = House::new();
        let mut street = Self { house, rows, daemon: None };
        street.configure(folder_keys);
        for row in &street.rows {
            street.house.plant_sign_in(&row.name, &row.standin);
        }
        // Each service reads the machine's certificates, and needs none of them: one is read sooner.
        let authority = Authority::new(street.house.dir.path());
        street.daemon = Some(street.house.listening(street.house.spawn(&[authority.trusted()])));
        until("every list is read", || {
            (!street.house.status()["holds"].to_string().contains("reading")).then_some(())
        });
        street
    }

    fn configure(&self, folder_keys: &str) {
        let mut text = format!(
            "state_dir = \"{}\"\n[retry]\ndelay = \"300ms\"\ndelay_max = \"1s\"\n\
             [workers]\nuploads = 64\nrequests_per_second = 1000\n[log]\nlevel = \"debug\"\n",
            self.house.state_dir().display()
        );
        for row in &self.rows {
            let path = self.folder(row);
            fs::create_dir_all(&path).expect("made");
            let (name, base_url) = (&row.name, row.standin.base_url());
            write!(
                text,
                "[services.{name}]\nkind = \"paxs\"\nbase_url = \"{base_url}\"\nrequest_timeout = \"3s\"\n\
                 poll = {{ first = \"200ms\", every = \"200ms\" }}\n"
            )
            .expect("a string takes all");
        }
        for row in &self.rows {
            write!(
                text,
                "[[folder]]\nname = \"{0}\"\nservice = \"{0}\"\npath = \"{1}\"\nsettle = \"50ms\"\nrescan = \"10s\"\n\
                 backlog = \"process\"\nattendees = [{{ name = \"Ann Lee\", email = \"ann@example.com\" }}]\n{folder_keys}\n",
                row.name,
                self.folder(row).display()
            )
            .expect("a string takes all");
        }
        fs::write(self.house.config(), text).expect("written");
    }

    fn folder(&self, row: &Row) -> std::path::PathBuf {
        self.house.dir.path().join("street").join(&row.name)
    }

    /// Puts a recording into the folder of a row.
    pub(crate) fn drop_into(&self, row: &Row) {
        let name = format!("{}.mp3", row.name);
        fs::write(self.folder(row).join(&name), recording(&name)).expect("written");
    }

    /// Waits until `condition` holds for the job and the service of every row that `wanted` names.
    pub(crate) fn until_all(
        &self,
        what: &str,
        mut condition: impl FnMut(usize, &Row, &Value, &Value) -> bool,
    ) {
        let mut waits = 0_u32;
        let missing = std::cell::RefCell::new(String::new());
        until_told(
            || format!("{what}; still missing: {}", missing.borrow()),
            || {
                // Every answer holds all rows, and there are many: one look in so many waits is enough.
                waits += 1;
                if waits % 16 != 1 {
                    return None;
                }
                let jobs = by(&self.house.jobs(), "folder");
                let status = self.house.status();
                let services = by(status["services"].as_array().expect("a list"), "name");
                let open = self.rows.iter().enumerate().filter(|(number, row)| {
                    let (job, service) = (jobs.get(&row.name), services.get(&row.name));
                    !job.zip(service)
                        .is_some_and(|(job, service)| condition(*number, row, job, service))
                });
                let open: Vec<_> = open
                    .map(|(_, row)| {
                        format!(
                            "{} {:?} {:?}",
                            row.name,
                            jobs.get(&row.name),
                            services.get(&row.name)
                        )
                    })
                    .collect();
                *missing.borrow_mut() = open.join("\n");
                open.is_empty().then_some(())
            },
        );
    }

    /// The job of a row.
    pub(crate) fn job(&self, row: &Row) -> Value {
        self.house
            .job_of(&self.folder(row).join(format!("{}.mp3", row.name)))
            .expect("it was taken in")
    }
}

impl Row {
    /// How often a call met a fault here.
    pub(crate) fn faulted(&self, call: Call) -> usize {
        self.standin.calls().iter().filter(|record| record.call == call && record.faulted).count()
    }

    /// Plants a fault that lasts.
    pub(crate) fn plant(&self, call: Call, fault: &Fault) {
        self.standin.fail_always(call, fault.clone());
    }
}

fn by(list: &[Value], key: &str) -> HashMap<String, Value> {
    list.iter()
        .map(|item| (item[key].as_str().unwrap_or_default().to_owned(), item.clone()))
        .collect()
}

//! The promises that every kind of service keeps, asked of each of them with its model.
//!
//! A new kind is a row of [`Kind`]: the compiler then asks for its table of the config, for the ways
//! in which its model fails, and for the counts that show what was made there.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use serde_json::{Value, json};

use crate::support::{
    engine::model,
    house::{House, recording, until_told},
    koldan::{self, Koldan},
    openai::{self, OpenAi},
    paxs,
    rows::each,
    saled::{self, Saled},
};

/// A kind of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Paxs,
    Koldan,
    Saled,
    Openai,
    Ondevice,
}

/// Every kind. The engine on this machine takes part where its model is installed.
const ALL: [Kind; 5] = [Kind::Paxs, Kind::Koldan, Kind::Saled, Kind::Openai, Kind::Ondevice];

/// The kinds that are asked over HTTP, and whose answers may fail.
const OVER_HTTP: [Kind; 4] = [Kind::Paxs, Kind::Koldan, Kind::Saled, Kind::Openai];

/// The kinds that ask for a key, or for a sign-in.
const WITH_KEY: [Kind; 3] = [Kind::Paxs, Kind::Koldan, Kind::Openai];

/// The key that the models of OpenAI's shape take here.
const OPENAI_KEY: &str = "sk-contract-1d07";

/// Recordings of which every kind lists the extension.
const RECORDINGS: [&str; 3] = ["talk.wav", "call.mp3", "meeting.m4a"];

/// The one recording that a model refuses by [`Contract::refuse_damaged`].
const DAMAGED: &str = "damaged.wav";

/// A failure of the call that hands a recording over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// The work is done, and its answer lost; once.
    Lost,
    /// Status 503, until [`Contract::recover`].
    Overloaded,
}

/// A house whose folder is served by one kind, with the models of all.
struct Contract {
    kind: Kind,
    house: House,
    koldan: Koldan,
    saled: Saled,
    openai: OpenAi,
}

impl Kind {
    /// Its word in the config, which is the name of its table here.
    fn name(self) -> &'static str {
        match self {
            Self::Paxs => "paxs",
            Self::Koldan => "koldan",
            Self::Saled => "saled",
            Self::Openai => "openai",
            Self::Ondevice => "ondevice",
        }
    }
}

impl Contract {
    /// A house for a kind; `None` for the engine where its model is not installed.
    fn of(kind: Kind) -> Option<Self> {
        if kind == Kind::Ondevice && model().is_none() {
            return None;
        }
        let (koldan, saled, openai) = (Koldan::start(), Saled::start(), OpenAi::start());
        let contract = Self { kind, house: House::new(), koldan, saled, openai };
        contract.openai.state().key = Some(OPENAI_KEY.to_owned());
        contract.write_key(true);
        let poll = "poll = { first = \"20ms\", every = \"50ms\" }";
        let tables = format!(
            "[services.saled]\nkind = \"saled\"\nbase_url = \"{}\"\nsummary_model = \"writer\"\n{poll}\n\
             [services.koldan]\nkind = \"koldan\"\nbase_url = \"{}\"\napi_key_file = \"key\"\n\
             prompt_template = \"action ITEMS\"\n{poll}\n\
             [services.openai]\nkind = \"openai\"\nbase_url = \"{}\"\napi_key_file = \"key\"\n{poll}\n\
             [services.ondevice]\nkind = \"ondevice\"\n",
            contract.saled.base_url(),
            contract.koldan.base_url(),
            contract.openai.base_url(),
        );
        contract.house.configure_all("", "", &tables);
        let usual = fs::read_to_string(contract.house.config()).expect("there");
        let named = format!("service = \"{}\"", kind.name());
        let own = usual.replace("service = \"paxs\"", &named);
        let changed = usual.lines().zip(own.lines()).filter(|(one, other)| one != other).count();
        assert_eq!(changed, usize::from(kind != Kind::Paxs), "one line chooses the service");
        fs::write(contract.house.config(), own).expect("written");
        Some(contract)
    }

    /// Checks a promise of each of these kinds, in a house of its own.
    fn each(kinds: impl IntoIterator<Item = Kind>, check: impl Fn(&Self) + Sync) {
        each(kinds, |kind| {
            if let Some(contract) = Self::of(kind) {
                check(&contract);
            }
        });
    }

    /// Puts a recording into the folder. The engine is given one in which people speak.
    fn drop_recording(&self, name: &str) {
        let shipped = match Path::new(name).extension().and_then(|extension| extension.to_str()) {
            Some("wav") => "standup.wav",
            Some("mp3") => "design-review.mp3",
            _ => "weekly-sales.m4a",
        };
        let bytes = if self.kind == Kind::Ondevice {
            let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo");
            fs::read(assets.join(shipped)).expect("it ships")
        } else {
            recording(name)
        };
        fs::write(self.house.path(name), bytes).expect("written");
    }

    /// Has the service refuse whoever asks, or take the right key again.
    fn accept_key(&self, is_accepted: bool) {
        match (self.kind, is_accepted) {
            (Kind::Paxs, false) => self.house.standin.revoke_all(),
            (Kind::Paxs, true) => {
                let signed_in = self.house.run(&["login", "paxs"]);
                assert!(signed_in.status.success(), "{signed_in:?}");
            }
            (Kind::Koldan | Kind::Saled | Kind::Openai | Kind::Ondevice, _) => {
                self.write_key(is_accepted);
            }
        }
    }

    /// Writes the right key, or a wrong one, where the config looks for it.
    fn write_key(&self, is_right: bool) {
        let right = if self.kind == Kind::Koldan { koldan::KEY } else { OPENAI_KEY };
        let file = self.house.dir.path().join("key");
        fs::write(&file, if is_right { right } else { "wrong" }).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    }

    /// Has the call that hands a recording over fail.
    fn fail(&self, failure: Failure) {
        match (self.kind, failure) {
            (Kind::Paxs, Failure::Lost) => {
                for call in [paxs::Call::CreateSession, paxs::Call::Upload] {
                    self.house.standin.fail_next(call, paxs::Fault::LoseAnswer);
                }
            }
            (Kind::Paxs, Failure::Overloaded) => {
                self.house.standin.fail_always(paxs::Call::Upload, paxs::Fault::Status(503));
            }
            (Kind::Koldan, Failure::Lost) => {
                use koldan::Call::{Summarise, Transcription, Upload};
                for call in [Upload, Summarise, Transcription] {
                    self.koldan.fail_next(call, koldan::Fault::Lost);
                }
            }
            (Kind::Koldan, Failure::Overloaded) => {
                let fault = koldan::Fault::Status(503, json!({"message": "busy"}));
                self.koldan.fail_always(koldan::Call::Upload, fault);
            }
            (Kind::Saled, Failure::Lost) => {
                self.saled.fail_next("POST /api/transcribe", saled::Fault::Lost);
            }
            (Kind::Saled, Failure::Overloaded) => {
                let fault = saled::Fault::Status(503, "busy");
                self.saled.fail_always("POST /api/transcribe", fault);
            }
            (Kind::Openai, Failure::Lost) => {
                self.openai.fail_next(openai::Call::Transcribe, openai::Fault::Lost);
            }
            (Kind::Openai, Failure::Overloaded) => {
                let fault = openai::Fault::Status(503, "busy".to_owned());
                self.openai.fail_always(openai::Call::Transcribe, fault);
            }
            (Kind::Ondevice, _) => panic!("nothing is asked over HTTP"),
        }
    }

    /// Has the service answer 400 to the recording [`DAMAGED`].
    fn refuse_damaged(&self) {
        match self.kind {
            Kind::Paxs => {
                let fault = paxs::Fault::Status(400);
                self.house.standin.fail_matching(paxs::Call::Upload, "damaged", fault, None);
            }
            Kind::Koldan => {
                let fault = koldan::Fault::Status(400, json!({"message": "no audio in it"}));
                self.koldan.fail_always(koldan::Call::Upload, fault);
            }
            Kind::Saled => {
                let fault = saled::Fault::Status(400, "no audio in it");
                self.saled.fail_always("POST /api/transcribe", fault);
            }
            Kind::Openai => {
                let body = json!({"error": {"message": "no audio in it"}}).to_string();
                self.openai.state().damaged = Some(openai::Fault::Status(400, body));
            }
            Kind::Ondevice => panic!("nothing is asked over HTTP"),
        }
    }

    /// Ends all failures that last.
    fn recover(&self) {
        self.house.standin.clear_faults();
        self.koldan.clear_faults();
        self.saled.clear_faults();
        self.openai.clear_faults();
    }

    /// How many recordings came to the models of all kinds, in the order of [`OVER_HTTP`].
    fn recordings_sent(&self) -> [usize; 4] {
        let meetings = self.house.standin.snapshot().meetings;
        let uploads: u32 = meetings.iter().map(|meeting| meeting.uploads).sum();
        let openai = self.openai.state().sent.len();
        let paxs = usize::try_from(uploads).expect("few");
        [paxs, self.koldan.made().0, self.saled.state().sent.len(), openai]
    }

    /// How many things of each sort were made at the service, which is asked to make one of each.
    fn things_made(&self) -> Vec<usize> {
        let [paxs, _, saled, _] = self.recordings_sent();
        match self.kind {
            Kind::Paxs => vec![self.house.standin.snapshot().meetings.len(), paxs],
            Kind::Koldan => {
                let (files, transcriptions, summaries) = self.koldan.made();
                vec![files, transcriptions, summaries]
            }
            Kind::Saled => vec![saled, self.saled.state().summaries.len()],
            // They keep nothing.
            Kind::Openai | Kind::Ondevice => Vec::new(),
        }
    }

    /// The service, as `status` shows it.
    fn service(&self) -> Value {
        let status = self.house.status();
        let services = status["services"].as_array().expect("a list").clone();
        let is_own = |service: &&Value| service["name"] == self.kind.name();
        services.iter().find(is_own).expect("it is served").clone()
    }

    /// Waits until the service is in this state.
    fn until_service(&self, state: &str) {
        until_told(
            || format!("{:?} is {state}: {}\n{}", self.kind, self.service(), self.house.log()),
            || (self.service()["state"] == state).then_some(()),
        );
    }

    /// Waits for the notes of a recording, against which nothing counted, and returns them.
    fn notes(&self, name: &str) -> String {
        let job = self.house.wait_for(name, "done");
        assert_eq!(job["attempts"], 0, "{:?}: {job:#}", self.kind);
        fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written")
    }
}

#[test]
fn one_line_of_a_folder_takes_its_recordings_through_another_service() {
    Contract::each(ALL, |contract| {
        for name in RECORDINGS {
            contract.drop_recording(name);
        }
        let output = contract.house.run(&["run", "--once"]);
        assert!(output.status.success(), "{}", contract.house.log());
        let sent = OVER_HTTP.map(|kind| if kind == contract.kind { RECORDINGS.len() } else { 0 });
        assert_eq!(contract.recordings_sent(), sent);
        for name in RECORDINGS {
            let notes = contract.notes(name);
            let attendees =
                "attendees: [\"Ann Lee <ann@example.com>\", \"Bo Chen <bo@example.com>\"]";
            for words in [&format!("\nservice: {}\n", contract.kind.name()), attendees] {
                assert!(notes.contains(words), "{words}: {notes}");
            }
            let transcript = notes.find("\n## Transcript\n").expect("a transcript");
            let note = notes[..transcript].rsplit_once("\n---\n").expect("front matter").1.trim();
            assert!(note.lines().count() > 1 && notes.len() > transcript + 40, "{notes}");
        }
    });
}

#[test]
fn an_answer_that_is_lost_makes_nothing_twice_and_counts_for_nothing() {
    Contract::each(OVER_HTTP, |contract| {
        contract.fail(Failure::Lost);
        let _daemon = contract.house.start();
        contract.drop_recording("talk.wav");
        contract.notes("talk.wav");
        let made = contract.things_made();
        assert!(made.iter().all(|count| *count == 1), "{made:?}");
    });
}

#[test]
fn results_that_were_there_before_a_death_are_found_again() {
    Contract::each(ALL, |contract| {
        let mut daemon = contract.house.spawn(&[("MINUTED_DIE", "Uploaded:Before")]);
        contract.drop_recording("talk.wav");
        until_told(
            || format!("it died: {}", contract.house.log()),
            || daemon.was_killed().then_some(()),
        );
        let _daemon = contract.house.start();
        contract.notes("talk.wav");
        let sent = OVER_HTTP.map(|kind| usize::from(kind == contract.kind));
        assert_eq!(contract.recordings_sent(), sent);
    });
}

#[test]
fn a_refused_key_holds_the_service_until_a_person_gives_another_one() {
    Contract::each(WITH_KEY, |contract| {
        contract.accept_key(false);
        let _daemon = contract.house.start();
        contract.drop_recording("talk.wav");
        contract.until_service("signed_out");
        contract.accept_key(true);
        contract.notes("talk.wav");
    });
}

#[test]
fn a_service_that_is_overloaded_is_down_and_counts_for_nothing() {
    Contract::each(OVER_HTTP, |contract| {
        contract.fail(Failure::Overloaded);
        let _daemon = contract.house.start();
        contract.drop_recording("talk.wav");
        contract.until_service("down");
        assert_eq!(contract.house.job("talk.wav")["attempts"], 0);
        contract.recover();
        contract.notes("talk.wav");
        contract.until_service("up");
    });
}

#[test]
fn a_recording_that_is_refused_fails_alone() {
    Contract::each(OVER_HTTP, |contract| {
        contract.refuse_damaged();
        let _daemon = contract.house.start();
        contract.drop_recording(DAMAGED);
        let job = contract.house.wait_for(DAMAGED, "failed");
        assert_eq!(job["attempts"], 3, "{job:#}");
        contract.until_service("up");
        contract.recover();
        contract.drop_recording("talk.wav");
        contract.notes("talk.wav");
    });
}

#[test]
fn a_cheap_read_proves_every_service() {
    Contract::each(ALL, |contract| {
        let proved = contract.house.run(&["whoami", contract.kind.name()]);
        assert!(proved.status.success(), "{proved:?}");
        let listed = contract.house.run(&["meetings", "--service", contract.kind.name()]);
        assert!(listed.status.success(), "{listed:?}");
    });
}

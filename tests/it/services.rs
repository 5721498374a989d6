//! The same recordings, whichever service a folder names: one line of the config changes, and nothing else.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::support::{
    house::House,
    koldan::{KEY, Koldan},
    saled::Saled,
};

const RECORDINGS: [&str; 3] = ["talk.wav", "call.mp3", "meeting.m4a"];

/// Takes the three recordings through the service of that name, in a house that has all three services, and returns
/// what the folder holds then.
fn taken_through(service: &str) -> (House, Saled, Koldan) {
    let (house, saled, koldan) = (House::new(), Saled::start(), Koldan::start());
    let key = house.dir.path().join("key");
    fs::write(&key, KEY).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("set");
    let services = format!(
        "[services.saled]\nkind = \"saled\"\nbase_url = \"{}\"\nsummary_model = \"writer\"\n\
         poll = {{ first = \"20ms\", every = \"50ms\" }}\n\
         [services.koldan]\nkind = \"koldan\"\nbase_url = \"{}\"\napi_key_file = \"key\"\n\
         prompt_template = \"action ITEMS\"\npoll = {{ first = \"20ms\", every = \"50ms\" }}\n",
        saled.base_url(),
        koldan.base_url(),
    );
    house.configure_all("", "", &services);
    let config = fs::read_to_string(house.config()).expect("there");
    let changed = config.replace("service = \"paxs\"", &format!("service = \"{service}\""));
    assert_eq!(
        config.lines().zip(changed.lines()).filter(|(one, other)| one != other).count(),
        usize::from(service != "paxs")
    );
    fs::write(house.config(), changed).expect("written");
    for name in RECORDINGS {
        house.drop_recording(name);
    }
    let output = house.run(&["run", "--once"]);
    assert!(output.status.success(), "{service}: {}", house.log());
    (house, saled, koldan)
}

#[test]
fn one_line_of_a_folder_takes_its_recordings_through_another_service() {
    for service in ["paxs", "saled", "koldan"] {
        let (house, saled, koldan) = taken_through(service);
        let made = [house.standin.snapshot().meetings.len(), saled.state().sent.len(), koldan.made().0];
        let expected = ["paxs", "saled", "koldan"].map(|name| if name == service { RECORDINGS.len() } else { 0 });
        assert_eq!(made, expected, "{service}");
        for name in RECORDINGS {
            let job = house.job(name);
            assert_eq!((&job["state"], &job["attempts"]), (&"done".into(), &0.into()), "{service}: {job}");
            let notes = fs::read_to_string(job["notes"][0].as_str().expect("notes")).expect("written");
            assert!(notes.contains(&format!("\nservice: {service}\n")), "{notes}");
            assert!(
                notes.contains("attendees: [\"Ann Lee <ann@example.com>\", \"Bo Chen <bo@example.com>\"]"),
                "{notes}"
            );
            let transcript = notes.find("\n## Transcript\n").expect("a transcript");
            let note = notes[..transcript].rsplit_once("\n---\n").expect("front matter").1.trim();
            assert!(note.lines().count() > 1 && notes.len() > transcript + 40, "{service}: {notes}");
        }
    }
}

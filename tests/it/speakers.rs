//! `minuted speakers`: who speaks, names for them, and the notes that are written again because of them.

use std::fs;

use serde_json::{Value, json};

use crate::{
    saled::Served,
    support::{
        house::{House, until, until_told},
        paxs::Call,
    },
};

/// Every format of notes.
const FORMATS: &str = "formats = [\"md\", \"txt\", \"srt\", \"vtt\", \"json\"]";

fn read(house: &House, name: &str) -> String {
    fs::read_to_string(house.path(name)).expect("written")
}

/// Names speakers of `talk.wav`; returns what was printed, data and talk.
fn name(house: &House, names: &[&str]) -> (String, String) {
    let path = house.path("talk.wav");
    let output = house.run(&[&["speakers", path.to_str().expect("UTF-8")], names].concat());
    let shown = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes).replace(&*house.folder().to_string_lossy(), "FOLDER")
    };
    assert!(output.status.success(), "{}", shown(&output.stderr));
    (shown(&output.stdout), shown(&output.stderr))
}

/// Waits until a file of notes says something.
fn wait_for(house: &House, name: &str, words: &str) -> String {
    until_told(
        || format!("`{words}` in {name}: {:?}", fs::read_to_string(house.path(name))),
        || fs::read_to_string(house.path(name)).ok().filter(|text| text.contains(words)),
    )
}

#[test]
fn names_stand_in_every_format_and_the_service_is_not_asked_again() {
    let served = Served::new("", FORMATS);
    let house = &served.house;
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    assert!(served.notes("talk.wav").contains("**Speaker 2** [00:00:02] We decided"));
    let listed = house.json(&["speakers", "1"]);
    assert_eq!(listed["speakers"][1]["label"], "Speaker 2");
    assert_eq!(listed["speakers"][1]["first"], "We decided to ship on Friday.");
    assert_eq!(listed["speakers"][1]["name"], Value::Null);
    assert!(listed["speakers"][1]["seconds"].as_f64().expect("a time") >= 2.0, "{listed}");
    let calls = served.server.state().calls.len();

    let (said, talk) = name(house, &["Speaker 2=Ann *Lee*"]);
    assert_eq!(
        said,
        "job 1: Speaker 2 is Ann *Lee*; its notes are written again, and nothing is mailed again\n"
    );
    assert_eq!(talk, "");
    let notes = wait_for(house, "talk.notes.md", "**Ann \\*Lee\\*** [00:00:02] We decided");
    assert!(
        notes.contains("Ann \\*Lee\\*: We decided to ship on Friday."),
        "the extract names her: {notes}"
    );
    assert!(!notes.contains("Speaker 2") && notes.contains("**Speaker 1**"), "{notes}");
    wait_for(house, "talk.transcript.txt", "[00:00:02] Ann *Lee*: We decided");
    wait_for(house, "talk.transcript.srt", "\nAnn *Lee*: We decided");
    wait_for(house, "talk.transcript.vtt", "\n<v Ann *Lee*>We decided");
    let parts: Value =
        serde_json::from_str(&wait_for(house, "talk.notes.json", "Ann *Lee*")).expect("JSON");
    let parts = parts["analyses"].as_array().expect("a list");
    let transcript =
        parts.iter().find(|part| part["type"] == "transcription").expect("a transcript");
    assert_eq!(transcript["segments"][1]["speaker"], "Ann *Lee*");
    assert_eq!(transcript["speakers"], json!(["Speaker 1", "Ann *Lee*"]));
    until("the job is done", || (house.state("talk.wav").as_deref() == Some("done")).then_some(()));
    assert_eq!(house.job("talk.wav")["speaker_names"], json!({ "Speaker 2": "Ann *Lee*" }));
    assert!(house.why("talk.wav").contains("speakers were named: Speaker 2 is Ann *Lee*"));
    let list = name(house, &[]).0;
    assert!(
        list.contains("Speaker 2")
            && list.contains("Ann *Lee*")
            && list.contains("We decided to ship"),
        "{list}"
    );

    // Two voices are one person: their turns are one.
    name(house, &["Speaker 1=Ann", "Speaker 2=Ann"]);
    let notes = wait_for(house, "talk.notes.md", "**Ann** [00:00:00] Good morning. We decided");
    assert!(!notes.contains("**Ann** [00:00:02]"), "{notes}");
    let again = name(house, &["Speaker 1=Ann"]).0;
    assert_eq!(again, "job 1: Speaker 1 is Ann, as before\n");
    name(house, &["Speaker 1=", "Speaker 2="]);
    wait_for(house, "talk.notes.md", "**Speaker 2** [00:00:02] We decided");
    until("the job is done", || (house.state("talk.wav").as_deref() == Some("done")).then_some(()));
    assert!(house.job("talk.wav").get("speaker_names").is_none());
    assert_eq!(served.server.state().calls.len(), calls, "the service is asked for nothing");
    assert_eq!(house.files().len(), 6, "{:?}", house.files());
}

#[test]
fn what_is_no_speaker_or_no_name_is_refused_with_the_cure() {
    let served = Served::new("", "");
    let house = &served.house;
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    served.notes("talk.wav");
    let refused = |names: &[&str], code: i32, words: &str| {
        let output = house.run(&[&["speakers", "1"], names].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(code) && told.contains(words), "{names:?}: {told}");
    };
    refused(&["Speaker 9=Ann"], 1, "job 1 has no speaker `Speaker 9`");
    refused(&["Speaker 9=Ann"], 1, "its speakers are: Speaker 1, Speaker 2");
    refused(&["Speaker 1=Ann", "Left=Bo"], 1, "has no speaker `Left`");
    refused(&["Speaker 1=A\u{202e}nn"], 1, "job 1 cannot call a speaker `A\\u{202e}nn`");
    refused(&["Speaker 1=A\nB"], 1, "without characters that nobody sees");
    refused(&[&format!("Speaker 1={}", "x".repeat(300))], 1, "at most 256 bytes");
    refused(&["Speaker 1"], 2, "write the speaker, `=` and the name");
    assert!(
        house.job("talk.wav").get("speaker_names").is_none(),
        "one mistake, and nobody is named"
    );
    let output = house.run(&["speakers", "7"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no job 7"));
}

#[test]
fn a_transcript_without_speakers_has_nobody_to_name() {
    let served = Served::new("diarize = false", "");
    served.server.state().transcription = json!({
        "segments": [{"start": 0, "end": 2, "text": "Good morning."}], "text": "Good morning.", "language": "en",
    });
    let house = &served.house;
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    served.notes("talk.wav");
    for names in [&[][..], &["Speaker 1=Ann"]] {
        let output = house.run(&[&["speakers", "1"], names].concat());
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("job 1 has no transcript with speakers"), "{told}");
    }
}

#[test]
fn notes_that_a_person_has_edited_or_deleted_are_left_alone() {
    let served = Served::new("", "formats = [\"md\", \"txt\", \"srt\"]");
    let house = &served.house;
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let edited = served.notes("talk.wav") + "\nAnn owes Bo a lunch.\n";
    fs::write(house.path("talk.notes.md"), &edited).expect("written");
    fs::remove_file(house.path("talk.transcript.srt")).expect("removed");
    let (_, talk) = name(house, &["Speaker 2=Ann"]);
    assert_eq!(
        talk,
        "FOLDER/talk.notes.md was edited and stays as it is; the notes with the names come beside it, with a number in \
         their name\n"
    );
    wait_for(house, "talk.notes.2.md", "**Ann**");
    wait_for(house, "talk.transcript.txt", "Ann: We");
    house.wait_for("talk.wav", "done");
    assert_eq!(read(house, "talk.notes.md"), edited);
    assert!(
        house.why("talk.wav").contains("its notes are not there any more: "),
        "{}",
        house.why("talk.wav")
    );
    assert_eq!(name(house, &["Speaker 2=Bo"]).1, "");
    wait_for(house, "talk.notes.2.md", "**Bo**");
    house.wait_for("talk.wav", "done");
    assert_eq!(
        house.files(),
        ["talk.notes.2.md", "talk.notes.md", "talk.transcript.txt", "talk.wav"]
    );
    assert_eq!(read(house, "talk.notes.md"), edited);
}

#[test]
fn without_a_daemon_names_are_kept_and_the_next_one_writes_them() {
    let house = House::new();
    house.configure("deliver = [\"beside\", \"email\"]");
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    daemon.stop();
    let mails = house.smtp.received().len();
    let calls = house.standin.snapshot().count(Call::Upload);
    let talk = name(&house, &["Ann Lee=Zoe"]).1;
    assert!(talk.contains("no daemon runs: it goes on with the next `minuted run`"), "{talk}");
    name(&house, &["Ann Lee=Zoe Ito", "Bo Chen=Bob"]);
    assert!(read(&house, "talk.notes.md").contains("**Ann Lee** ["), "nobody has written yet");
    let _daemon = house.start();
    let notes = wait_for(&house, "talk.notes.md", "**Zoe Ito** [");
    assert!(notes.contains("**Bob** [") && notes.contains("Zoe Ito: read these notes."), "{notes}");
    house.wait_for("talk.wav", "done");
    assert_eq!(
        (house.smtp.received().len(), house.standin.snapshot().count(Call::Upload)),
        (mails, calls)
    );

    // More analyses keep the names; new notes begin without.
    assert!(house.run(&["analyse", "1", "--types", "key_points", "--mail"]).status.success());
    assert!(wait_for(&house, "talk.notes.md", "## Key points").contains("**Zoe Ito** ["));
    house.wait_for("talk.wav", "done");
    let mailed =
        until("it is mailed", || house.smtp.received().get(mails).map(|mail| mail.raw.clone()));
    assert!(String::from_utf8_lossy(&mailed).contains("Zoe Ito"));
    assert!(house.run(&["redo", "1"]).status.success());
    wait_for(&house, "talk.notes.2.md", "**Ann Lee** [");
    assert!(house.json(&["job", "2"]).get("speaker_names").is_none());
}

#[test]
fn other_names_after_a_crash_replace_what_the_crash_left() {
    let house = House::new();
    house.configure("formats = [\"md\", \"txt\"]");
    let daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    daemon.stop();
    name(&house, &["Ann Lee=Zoe"]);
    for point in ["ReplaceFile:After", "ReplaceFile:After:2", "Delivered:Before"] {
        let mut dying = house.spawn(&[("MINUTED_DIE", point)]);
        until("it is killed", || dying.was_killed().then_some(()));
        name(&house, &[&format!("Ann Lee=Zoe after {point}")]);
    }
    let _daemon = house.start();
    for file in ["talk.notes.md", "talk.transcript.txt"] {
        wait_for(&house, file, "Zoe after Delivered:Before");
    }
    house.wait_for("talk.wav", "done");
    assert_eq!(house.files(), ["talk.notes.md", "talk.transcript.txt", "talk.wav"]);
}

#[test]
fn notes_get_names_where_they_are_when_the_recording_has_left() {
    for (on_success, notes) in [
        ("on_success = \"move\"\nmove_to = \"done\"", "done/talk.notes.md"),
        ("on_success = \"delete\"", "talk.notes.md"),
    ] {
        let house = House::new();
        house.configure(on_success);
        let _daemon = house.start();
        house.drop_recording("talk.wav");
        until("it is done", || (house.count("done") == 1).then_some(()));
        let files = house.files();
        let output = house.run(&["speakers", "1", "Ann Lee=Zoe Ito"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        wait_for(&house, notes, "**Zoe Ito** [");
        until("it is done again", || (house.count("done") == 1).then_some(()));
        assert_eq!(house.files(), files);
    }
}

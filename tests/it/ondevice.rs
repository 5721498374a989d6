//! The engine on this machine as a service: the real daemon, the real model, spoken meetings; and the model or ffmpeg
//! missing, which needs neither.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use serde_json::Value;

use crate::support::{
    engine::model,
    house::{House, until},
    sound::program,
};

/// A house whose config is a folder and nothing else: the engine serves by itself.
pub(crate) fn house(keys: &str) -> House {
    let house = House::new();
    let text = format!(
        "state_dir = \"{}\"\n[[folder]]\nname = \"sales\"\npath = \"{}\"\nattendees = [\n  {{ name = \"Ann Lee\", email = \
         \"ann@example.com\" }},\n  {{ name = \"Bo Chen\", email = \"bo@example.com\" }},\n]\nsettle = \"100ms\"\n\
         rescan = \"300ms\"\nbacklog = \"process\"\n{keys}\n[retry]\ndelay = \"50ms\"\ndelay_max = \"200ms\"\n",
        house.state_dir().display(),
        house.folder().display()
    );
    fs::write(house.config(), text).expect("written");
    house
}

/// A recording that ships with the demo.
fn shipped(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name))
        .expect("it ships")
}

/// How often the shipped meeting is said again in a longer one: some four minutes.
const TIMES: usize = 5;

/// A longer meeting: the shipped one, so many times.
fn long_meeting(to: &Path, times: usize) -> Option<()> {
    let ffmpeg = program("ffmpeg")?;
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/weekly-sales.m4a");
    let mut command = Command::new(ffmpeg);
    command.args(["-v", "error", "-stream_loop", &(times - 1).to_string(), "-i"]).arg(from);
    let made = command.args(["-ar", "16000", "-ac", "1"]).arg(to).status().expect("run");
    assert!(made.success());
    Some(())
}

fn notes(house: &House, name: &str) -> String {
    fs::read_to_string(house.path(name)).expect("written")
}

/// What the engine keeps of jobs.
fn kept(house: &House) -> usize {
    fs::read_dir(house.state_dir().join("engine")).map_or(0, Iterator::count)
}

/// The lines of the pieces that are finished.
fn pieces(house: &House) -> Vec<String> {
    let jobs = fs::read_dir(house.state_dir().join("engine")).into_iter().flatten().flatten();
    let texts = jobs.filter_map(|job| fs::read_to_string(job.path().join("pieces.jsonl")).ok());
    texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn a_folder_with_a_path_and_attendees_gives_notes_of_what_was_said() {
    if model().is_none() {
        return;
    }
    let house = house("formats = [\"md\", \"txt\", \"srt\", \"vtt\", \"json\"]");
    let daemon = house.start();
    for name in ["weekly-sales.m4a", "design-review.mp3", "standup.wav"] {
        fs::write(house.path(name), shipped(name)).expect("written");
    }
    for name in ["weekly-sales.m4a", "design-review.mp3", "standup.wav"] {
        let job = house.wait_for(name, "done");
        assert_eq!(
            (&job["service"], &job["attempts"]),
            (&Value::from("ondevice"), &Value::from(0)),
            "{job}"
        );
    }
    let sales = notes(&house, "weekly-sales.notes.md");
    for words in [
        "no language model",
        "## Decisions",
        "## Action items",
        "first of December",
        "## Transcript",
    ] {
        assert!(sales.contains(words), "{words}: {sales}");
    }
    for extension in ["transcript.txt", "transcript.srt", "transcript.vtt", "notes.json"] {
        assert!(
            house.path(&format!("weekly-sales.{extension}")).exists(),
            "{extension}: {:?}",
            house.files()
        );
    }
    assert_eq!(kept(&house), 0, "what is in the queue is kept nowhere else");
    assert!(daemon.stop().success());
}

#[test]
fn a_long_recording_goes_on_where_it_was_killed_and_shows_how_far_it_is() {
    if model().is_none() {
        return;
    }
    let house = house("");
    let recording = house.dir.path().join("long.wav");
    if long_meeting(&recording, TIMES).is_none() {
        return;
    }
    let daemon = house.start();
    fs::rename(&recording, house.path("long.wav")).expect("dropped");
    let running = until("it shows how far it is", || {
        let running = house.status()["running"][0].clone();
        (running["sent"].as_u64()? > 0).then_some(running)
    });
    assert_eq!(running["unit"], "milliseconds", "{running}");
    assert!(
        (200_000..280_000).contains(&running["total"].as_u64().expect("a number")),
        "{running}"
    );
    let before =
        until("some of it is finished", || Some(pieces(&house)).filter(|pieces| pieces.len() > 6));
    daemon.kill();
    let after_kill = pieces(&house);
    assert!(after_kill.starts_with(&before) && house.state("long.wav").as_deref() != Some("done"));
    let daemon = house.start();
    until("it goes on", || {
        let now = pieces(&house);
        (now.len() > after_kill.len() || house.state("long.wav").as_deref() == Some("done")).then(
            || {
                assert!(
                    now.is_empty() || now.starts_with(&after_kill[..after_kill.len() - 1]),
                    "nothing is done again"
                );
            },
        )
    });
    let job = house.wait_for("long.wav", "done");
    assert_eq!(job["attempts"], 0, "{job}");
    let text = notes(&house, "long.notes.md");
    let transcript = text.split("## Transcript").nth(1).expect("a transcript");
    assert_eq!(transcript.matches("October").count(), TIMES, "each part once: {transcript}");
    assert!(daemon.stop().success());
}

#[test]
fn without_its_model_the_engine_waits_is_told_once_and_heals_when_it_is_installed() {
    let house = house("");
    let data = house.dir.path().join("data");
    fs::create_dir_all(data.join("minuted")).expect("made");
    let daemon = house.listening(house.spawn(&[("XDG_DATA_HOME", data.to_str().expect("UTF-8"))]));
    fs::write(house.path("standup.wav"), shipped("standup.wav")).expect("written");
    until("it waits for the service", || {
        let job = house.job_if("standup.wav")?;
        (job["waits_for"] == "service").then_some(())
    });
    // The job waits a moment before the hold and its line in the log are written.
    until("why names the cure", || {
        house.why("standup.wav").contains("minuted engine install").then_some(())
    });
    let times_logged = || house.log().matches("service `ondevice` does not work").count();
    until("it is logged", || (times_logged() > 0).then_some(()));
    assert_eq!(times_logged(), 1, "{}", house.log());
    let Some(model) = model() else { return };
    let installed = model.encoder.parent().expect("a directory");
    symlink(installed, data.join("minuted").join(installed.file_name().expect("a name")))
        .expect("linked");
    let job = house.wait_for("standup.wav", "done");
    assert_eq!(job["attempts"], 0, "{job}");
    assert!(daemon.stop().success());
}

#[test]
fn what_cannot_be_decoded_fails_at_once_with_its_reason() {
    if model().is_none() {
        return;
    }
    let house = house("");
    let daemon = house.start();
    fs::write(house.path("broken.mp3"), vec![0x55; 200_000]).expect("written");
    let job = house.wait_for("broken.mp3", "failed");
    assert!(house.why("broken.mp3").contains("decode"), "{}", house.why("broken.mp3"));
    assert_eq!(kept(&house), 0, "{job}");
    until("the word of the failure", || house.path("broken.failed.txt").exists().then_some(()));
    assert!(daemon.stop().success());
}

#[test]
fn a_recording_that_needs_ffmpeg_waits_for_it_and_the_others_do_not() {
    let (Some(ffmpeg), Some(_)) = (program("ffmpeg"), model()) else { return };
    let house = house("");
    let opus = house.dir.path().join("talk.opus");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/standup.wav");
    let mut command = Command::new(&ffmpeg);
    let made = command
        .args(["-v", "error", "-i"])
        .arg(from)
        .args(["-c:a", "libopus"])
        .arg(&opus)
        .status()
        .expect("run");
    assert!(made.success());
    let bin = house.dir.path().join("bin");
    fs::create_dir(&bin).expect("made");
    let daemon = house.listening(house.spawn(&[("PATH", bin.to_str().expect("UTF-8"))]));
    fs::rename(&opus, house.path("talk.opus")).expect("dropped");
    fs::write(house.path("standup.wav"), shipped("standup.wav")).expect("written");
    until("it says what it lacks", || {
        house.why("talk.opus").contains("needs ffmpeg").then_some(())
    });
    house.wait_for("standup.wav", "done");
    symlink(&ffmpeg, bin.join("ffmpeg")).expect("installed");
    let job = house.wait_for("talk.opus", "done");
    assert_eq!(job["attempts"], 0, "{job}");
    assert!(daemon.stop().success());
}

/// A house in which whoever waits, waits for hours.
fn patient_house() -> House {
    let house = house("");
    let text = fs::read_to_string(house.config()).expect("written");
    let text = text
        .replace("delay = \"50ms\"\ndelay_max = \"200ms\"", "delay = \"3h\"\ndelay_max = \"9h\"");
    assert!(text.contains("delay_max = \"9h\""), "{text}");
    fs::write(house.config(), text).expect("written");
    house
}

#[test]
fn a_model_that_is_installed_while_the_daemon_runs_is_used_at_once() {
    let Some(model) = model() else { return };
    let house = patient_house();
    let data = house.dir.path().join("data");
    let data_home = data.to_str().expect("UTF-8").to_owned();
    fs::create_dir_all(data.join("minuted")).expect("made");
    let daemon = house.listening(house.spawn(&[("XDG_DATA_HOME", &data_home)]));
    fs::write(house.path("standup.wav"), shipped("standup.wav")).expect("written");
    house.wait_for_service("down");
    let installed = model.encoder.parent().expect("a directory");
    let place = data.join("minuted").join(installed.file_name().expect("a name"));
    fs::create_dir(&place).expect("made");
    for file in fs::read_dir(installed).expect("listed").flatten() {
        fs::copy(file.path(), place.join(file.file_name())).expect("copied");
    }
    // Every file is there: the command finds that, and has the daemon look.
    let mut command = house.command(&["engine", "install"]);
    let output = command.env("XDG_DATA_HOME", &data_home).output().expect("run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let job = house.wait_for("standup.wav", "done");
    assert_eq!(job["attempts"], 0, "{job}");
    assert!(daemon.stop().success());
}

#[test]
fn a_start_and_a_reload_try_what_waits_for_something_that_this_machine_lacked() {
    let (Some(ffmpeg), Some(_)) = (program("ffmpeg"), model()) else { return };
    let house = patient_house();
    let bin = house.dir.path().join("bin");
    fs::create_dir(&bin).expect("made");
    let path = bin.to_str().expect("UTF-8").to_owned();
    let mut daemon = house.listening(house.spawn(&[("PATH", &path)]));
    for (name, by_reload) in [("first.opus", false), ("second.opus", true)] {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/standup.wav");
        let title = format!("title={name}");
        let mut command = Command::new(&ffmpeg);
        command.args(["-v", "error", "-i"]).arg(from).args(["-t", "9", "-metadata", &title]);
        // Another length for each: the sound of a recording that is done is not heard again.
        command.args(["-ss", if by_reload { "1" } else { "0" }, "-c:a", "libopus"]);
        assert!(command.arg(house.path(name)).status().expect("run").success());
        until("it says what it lacks", || house.why(name).contains("needs ffmpeg").then_some(()));
        symlink(&ffmpeg, bin.join("ffmpeg")).expect("installed");
        if by_reload {
            daemon.signal(rustix::process::Signal::HUP);
        } else {
            assert!(daemon.stop().success());
            daemon = house.listening(house.spawn(&[("PATH", &path)]));
        }
        house.wait_for(name, "done");
        fs::remove_file(bin.join("ffmpeg")).expect("removed");
    }
    assert!(daemon.stop().success());
}

#[test]
fn a_kill_around_the_transcript_leaves_one_set_of_notes_and_nothing_behind() {
    if model().is_none() {
        return;
    }
    for point in [
        "PlaceTranscript:Before",
        "PlaceTranscript:After",
        "ForgetTranscript:Before",
        "ForgetTranscript:After",
    ] {
        let house = house("");
        fs::write(house.path("standup.wav"), shipped("standup.wav")).expect("written");
        let mut daemon = house.spawn(&[("MINUTED_DIE", point)]);
        until("it is killed", || daemon.was_killed().then_some(()));
        let daemon = house.start();
        let job = house.wait_for("standup.wav", "done");
        assert_eq!(
            (&job["attempts"], &job["notes"].as_array().map(Vec::len)),
            (&Value::from(0), &Some(1)),
            "{point}"
        );
        assert_eq!(house.files(), ["standup.notes.md", "standup.wav"], "{point}");
        assert!(daemon.stop().success(), "{point}");
    }
}

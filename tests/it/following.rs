//! Notes go where the recording is now, and no directory is made again that a person took away.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::support::house::{House, may_mount, recording, until};

/// A house in which a recording waits for its analysis.
fn waiting(name: &str, keys: &str) -> House {
    let house = House::new();
    house.configure(keys);
    house.standin.stall_analysis(true);
    house.drop_recording(name);
    house
}

fn until_it_waits(house: &House) {
    until("it waits for its analysis", || {
        let jobs = house.jobs();
        jobs.first().is_some_and(|job| job["waits_for"] == "analysis").then_some(())
    });
}

fn until_done(house: &House) {
    until("it is done", || (house.jobs().first()?["state"] == "done").then_some(()));
}

#[test]
fn notes_lie_beside_a_recording_that_was_renamed_or_moved_while_it_was_analysed() {
    for (from, to, notes) in [
        ("talk.mp3", "weekly.mp3", "weekly.notes.md"),
        ("talk.mp3", "sales/talk.mp3", "sales/talk.notes.md"),
        ("monday/talk.mp3", "talk.mp3", "talk.notes.md"),
        ("monday/talk.mp3", "tuesday/talk.mp3", "tuesday/talk.notes.md"),
    ] {
        let house = waiting(from, "");
        let _daemon = house.start();
        until_it_waits(&house);
        fs::create_dir_all(house.path(to).parent().expect("a parent")).expect("made");
        fs::rename(house.path(from), house.path(to)).expect("renamed");
        house.standin.stall_analysis(false);
        until_done(&house);
        assert!(house.path(notes).exists(), "{from} {to}: {:?}", house.files());
        assert_eq!(
            house.files().iter().filter(|file| file.contains(".notes.")).count(),
            1,
            "{:?}",
            house.files()
        );
        assert_eq!(house.standin.snapshot().meetings.len(), 1);
    }
}

#[test]
fn notes_lie_in_a_directory_that_was_renamed_and_its_old_name_is_not_made_again() {
    let house = waiting("monday/talk.mp3", "");
    let _daemon = house.start();
    until_it_waits(&house);
    fs::rename(house.path("monday"), house.path("week 48")).expect("renamed");
    house.standin.stall_analysis(false);
    until_done(&house);
    assert!(
        house.path("week 48/talk.notes.md").exists() && !house.path("monday").exists(),
        "{:?}",
        house.files()
    );
}

#[test]
fn a_directory_that_a_person_took_away_is_not_made_again_and_its_notes_wait_for_it() {
    let house = waiting("monday/talk.mp3", "");
    let _daemon = house.start();
    until_it_waits(&house);
    let away = house.dir.path().join("away");
    fs::rename(house.path("monday"), &away).expect("taken away");
    house.standin.stall_analysis(false);
    until("its notes wait", || {
        let jobs = house.jobs();
        jobs.first()?["deliveries"].to_string().contains("is not there any more").then_some(())
    });
    assert!(!house.path("monday").exists());
    assert!(house.status()["holds"].as_array().is_some_and(Vec::is_empty), "the folder goes on");
    house.drop_recording("other.mp3");
    house.wait_for("other.mp3", "done");
    fs::rename(&away, house.path("monday")).expect("put back");
    until_done(&house);
    assert!(house.path("monday/talk.notes.md").exists());
}

#[test]
fn notes_of_a_deleted_recording_lie_where_it_was() {
    let house = waiting("talk.mp3", "");
    let _daemon = house.start();
    until_it_waits(&house);
    fs::remove_file(house.path("talk.mp3")).expect("removed");
    house.standin.stall_analysis(false);
    until_done(&house);
    assert_eq!(house.files(), ["talk.notes.md"]);
}

/// A mounted cloud; it ends with this value.
struct Cloud {
    child: Child,
    mount: std::path::PathBuf,
}

impl Cloud {
    /// Mounts the directory `remote` as a cloud at `mount`; `None` where that cannot be done.
    fn mount(remote: &Path, mount: &Path, cache: &str) -> Option<Self> {
        if !may_mount() || !Path::new("/dev/fuse").exists() {
            return None;
        }
        let child = Command::new("rclone")
            .args(["mount", &format!(":local:{}", remote.display())])
            .arg(mount)
            .args(["--config", "/dev/null", "--vfs-cache-mode", cache])
            .arg("--cache-dir")
            .arg(remote.with_extension("cache"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut cloud = Self { child, mount: mount.to_owned() };
        let is_mounted = until("it is mounted, or cannot be", || {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            let is_there = mounts.lines().any(|line| line.split(' ').nth(4) == mount.to_str());
            let is_over = cloud.child.try_wait().ok()?.is_some();
            (is_there || is_over).then_some(is_there)
        });
        is_mounted.then_some(cloud)
    }
}

impl Drop for Cloud {
    fn drop(&mut self) {
        drop(Command::new("fusermount3").args(["-u", "-z"]).arg(&self.mount).output());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[test]
fn notes_are_placed_on_a_mounted_cloud_that_knows_no_links() {
    for cache in ["off", "writes"] {
        let house = House::new();
        let remote = house.dir.path().join("remote");
        fs::create_dir(&remote).expect("made");
        fs::write(remote.join("talk.mp3"), recording("talk.mp3")).expect("written");
        let Some(_cloud) = Cloud::mount(&remote, &house.folder(), cache) else { return };
        house.configure("formats = [\"md\", \"txt\"]\nsettle = \"500ms\"");
        let checked = String::from_utf8(house.run(&["check"]).stdout).expect("UTF-8");
        assert!(checked.contains("notes can be written"), "{checked}");
        // A mount may list a file that is gone for a moment longer.
        until("a trial leaves nothing", || (house.files() == ["talk.mp3"]).then_some(()));
        let daemon = house.start();
        until("it is done", || (house.jobs().first()?["state"] == "done").then_some(()));
        daemon.stop();
        assert_eq!(house.files(), ["talk.mp3", "talk.notes.md", "talk.transcript.txt"], "{cache}");
        // A cache hands them over a little later.
        until("the cloud has them", || {
            let has = |name| fs::read(remote.join(name)).is_ok_and(|bytes| !bytes.is_empty());
            (has("talk.notes.md") && has("talk.transcript.txt")).then_some(())
        });
        assert!(
            fs::read_to_string(remote.join("talk.notes.md"))
                .expect("read")
                .contains("minuted: b3-")
        );
    }
}

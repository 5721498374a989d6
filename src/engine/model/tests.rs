use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use tempfile::TempDir;

use super::{
    testing::{content, package_of},
    *,
};
use crate::{alone, config::Environment, effect};

/// A home, and a wheel made for it.
struct Scene {
    home: PathBuf,
    /// Takes the home away in the end, where it is this one's own.
    _dir: Option<TempDir>,
    package: Package,
    wheel: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let scene = Self::in_dir(dir.path().to_owned());
        Self { _dir: Some(dir), ..scene }
    }

    fn in_dir(home: PathBuf) -> Self {
        let (package, wheel) = package_of(&home, "good");
        Self { home, _dir: None, package, wheel }
    }

    fn places(&self) -> Places {
        let data = self.home.join("data");
        Places::of(None, &Environment { xdg_data_home: Some(data), ..Environment::default() })
    }

    fn target(&self) -> PathBuf {
        self.places().target(&self.package).expect("a place")
    }

    async fn install_from(&self, wheel: &Path) -> Result<How, InstallError> {
        install(&self.package, &self.places(), Some(wheel), &|_| ()).await.map(|done| done.how)
    }

    async fn install(&self) -> Result<How, InstallError> {
        self.install_from(&self.wheel).await
    }

    /// Nothing is left beside the installations but the lock.
    fn assert_tidy(&self, installations: usize) {
        let base = self.target().parent().expect("a parent").to_owned();
        let names: Vec<_> = fs::read_dir(base)
            .expect("listed")
            .map(|entry| entry.expect("one").file_name())
            .collect();
        assert_eq!(names.len(), installations + 1, "{names:?}");
    }

    fn assert_installed(&self) {
        assert!(Installation::inspect(&self.package, &self.target()).is_intact());
        for pinned in self.package.files() {
            assert_eq!(
                fs::read(self.target().join(pinned.name)).expect("read"),
                content(pinned, "good")
            );
        }
        self.assert_tidy(1);
    }
}

#[tokio::test]
async fn a_wheel_becomes_an_installation_that_anybody_may_read() {
    let scene = Scene::new();
    let absent = Model::find(&scene.package, &scene.places()).expect_err("nothing is there");
    assert!(absent.to_string().contains("is not installed"), "{absent}");
    assert_eq!(scene.install().await.expect("installed"), How::Installed);
    scene.assert_installed();
    let model = Model::find(&scene.package, &scene.places()).expect("found");
    assert_eq!(model, Model::at(&scene.package, &scene.target()));
    for path in [&scene.target(), &model.encoder, &model.runtime] {
        let mode = fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o755 } else { 0o644 }, "{}", path.display());
    }
}

#[tokio::test]
async fn an_intact_installation_is_left_alone_and_needs_no_wheel() {
    let scene = Scene::new();
    scene.install().await.expect("installed");
    let file = Model::at(&scene.package, &scene.target()).encoder;
    let before = fs::metadata(&file).expect("there").modified().expect("known");
    let missing = scene.home.join("missing.whl");
    assert_eq!(scene.install_from(&missing).await.expect("already"), How::Already);
    assert_eq!(fs::metadata(&file).expect("there").modified().expect("known"), before);
}

#[tokio::test]
async fn whatever_is_damaged_is_seen_and_repaired() {
    type Spoil<'a> = (&'static str, &'a dyn Fn(&Path));
    let scene = Scene::new();
    let spoil: [Spoil<'_>; 5] = [
        ("damaged", &|file| {
            fs::write(file, content(&scene.package.decoder, "evil")).expect("written");
        }),
        ("damaged", &|file| fs::write(file, "short").expect("written")),
        ("missing", &|file| fs::remove_file(file).expect("removed")),
        ("damaged", &|file| {
            fs::remove_file(file).expect("removed");
            fs::create_dir(file).expect("made");
        }),
        ("damaged", &|file| {
            fs::rename(file, file.with_extension("away")).expect("renamed");
            std::os::unix::fs::symlink(file.with_extension("away"), file).expect("linked");
        }),
    ];
    scene.install().await.expect("installed");
    for (word, spoil) in spoil {
        spoil(&scene.target().join(scene.package.decoder.name));
        let found = Installation::inspect(&scene.package, &scene.target());
        let states: Vec<&str> = found.files.iter().map(|(_, state)| state.as_str()).collect();
        assert_eq!(states, ["ok", word, "ok", "ok", "ok", "ok", "ok"]);
        assert_eq!(scene.install().await.expect("repaired"), How::Repaired);
        scene.assert_installed();
    }
}

#[tokio::test]
async fn a_file_in_the_place_of_the_installation_makes_way() {
    let scene = Scene::new();
    fs::create_dir_all(scene.target().parent().expect("a parent")).expect("made");
    fs::write(scene.target(), "not a directory").expect("written");
    assert_eq!(scene.install().await.expect("installed"), How::Repaired);
    scene.assert_installed();
}

#[tokio::test]
async fn a_wheel_that_is_not_the_pinned_one_is_refused_before_it_is_opened() {
    let scene = Scene::new();
    let (_, other) = package_of(&scene.home, "evil");
    let cut = scene.home.join("cut.whl");
    let whole = fs::read(&scene.wheel).expect("read");
    fs::write(&cut, &whole[..whole.len() / 2]).expect("written");
    let padded = scene.home.join("padded.whl");
    let mut same_size = fs::read(&other).expect("read");
    same_size.resize(whole.len(), 0);
    fs::write(&padded, same_size).expect("written");
    for (wheel, why) in [
        (&other, "evil"),
        (&cut, "bytes, not"),
        (&padded, "its SHA-256 is"),
        (&scene.home.clone(), "not a file"),
    ] {
        let error = scene.install_from(wheel).await.expect_err(why);
        assert!(
            matches!(error, InstallError::WrongWheel { .. }) && error.to_string().contains(why),
            "{error}"
        );
        assert!(!scene.target().exists());
        scene.assert_tidy(0);
    }
}

#[tokio::test]
async fn a_right_wheel_with_a_wrong_file_in_it_installs_nothing() {
    let mut scene = Scene::new();
    scene.package.runtime.sha256 = scene.package.encoder.sha256;
    let error = scene.install().await.expect_err("refused");
    assert!(matches!(error, InstallError::WrongEntry { .. }), "{error}");
    scene.package.runtime.entry = "moonshine_voice.libs/other.so.1";
    let error = scene.install().await.expect_err("refused");
    assert!(matches!(error, InstallError::WrongEntry { .. }), "{error}");
    assert!(!scene.target().exists());
    scene.assert_tidy(0);
}

#[tokio::test]
async fn a_byte_changed_inside_a_range_is_refused_and_a_range_past_the_end_too() {
    let mut scene = Scene::new();
    let right = scene.package.embedding;
    for wrong in [
        PinnedFile { offset: right.offset.map(|offset| offset + 1), ..right },
        PinnedFile { offset: right.offset.map(|offset| offset - 1), ..right },
        PinnedFile { offset: Some(u64::MAX), ..right },
        PinnedFile { size: right.size + 1_000, ..right },
    ] {
        scene.package.embedding = wrong;
        let error = scene.install().await.expect_err("refused");
        assert!(matches!(error, InstallError::WrongEntry { .. }), "{error}");
        assert!(!scene.target().exists());
    }
    scene.package.embedding = right;
    // One byte of the library, in the middle of a model: the wheel is another one then.
    let bytes = fs::read(&scene.wheel).expect("read");
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).expect("a wheel");
    let mut changed = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for at in 0..archive.len() {
        let mut entry = archive.by_index(at).expect("an entry");
        let mut content = Vec::new();
        std::io::copy(&mut entry, &mut content).expect("read");
        let name = entry.name().expect("UTF-8").into_owned();
        if name == right.entry {
            let middle = right.offset.expect("a range") + right.size / 2;
            content[usize::try_from(middle).expect("small")] ^= 1;
        }
        changed.start_file(name, zip::write::SimpleFileOptions::default()).expect("begun");
        std::io::Write::write_all(&mut changed, &content).expect("written");
    }
    let changed = changed.finish().expect("finished").into_inner();
    let (sha256, size) = Sha256::of_reader(changed.as_slice()).expect("read");
    fs::write(&scene.wheel, &changed).expect("written");
    let error = scene.install().await.expect_err("refused");
    assert!(matches!(error, InstallError::WrongWheel { .. }), "{error}");
    // And where the pin of the whole wheel were of no help, that of the range is.
    (scene.package.wheel_sha256, scene.package.wheel_size) = (sha256, size);
    let error = scene.install().await.expect_err("refused");
    assert!(
        matches!(error, InstallError::WrongEntry { entry, .. } if entry == right.entry),
        "{error}"
    );
    assert!(!scene.target().exists());
}

#[tokio::test]
async fn an_installation_of_before_works_without_voices_and_is_completed() {
    let scene = Scene::new();
    scene.install().await.expect("installed");
    for pinned in scene.package.voice_files() {
        fs::remove_file(scene.target().join(pinned.name)).expect("removed");
    }
    let found = Installation::inspect(&scene.package, &scene.target());
    assert!(
        found.is_usable(&scene.package) && !found.has_voices(&scene.package) && !found.is_intact()
    );
    Model::find(&scene.package, &scene.places()).expect("it transcribes");
    assert_eq!(VoiceModels::find(&scene.package, &scene.places()), None);
    assert_eq!(scene.install().await.expect("completed"), How::Completed);
    scene.assert_installed();
    assert!(VoiceModels::find(&scene.package, &scene.places()).is_some());
}

#[tokio::test]
async fn two_installations_at_once_make_one_and_both_end_well() {
    let scene = Scene::new();
    let (first, second) = tokio::join!(scene.install(), scene.install());
    let mut both =
        [first.expect("ended well"), second.expect("ended well")].map(|how| format!("{how:?}"));
    both.sort();
    assert_eq!(both, ["Already", "Installed"]);
    scene.assert_installed();
}

#[tokio::test]
async fn the_second_waits_for_the_first_and_says_so() {
    let scene = Scene::new();
    let base = scene.target().parent().expect("a parent").to_owned();
    fs::create_dir_all(&base).expect("made");
    let lock = fs::File::create(base.join(".minuted-install.lock")).expect("made");
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locked");
    let steps = std::sync::Mutex::new(Vec::new());
    let places = scene.places();
    let waits = tokio::sync::Notify::new();
    let tell = |step| {
        steps.lock().expect("held for a moment").push(step);
        waits.notify_one();
    };
    let release = async {
        waits.notified().await;
        drop(lock);
    };
    let (done, ()) =
        tokio::join!(install(&scene.package, &places, Some(&scene.wheel), &tell), release);
    assert_eq!(done.expect("installed").how, How::Installed);
    assert_eq!(*steps.lock().expect("held for a moment"), [Step::Waiting, Step::Unpacking]);
}

#[test]
fn an_installation_that_dies_at_any_point_leaves_nothing_half_done_and_the_next_one_tidies() {
    const NAME: &str = "engine::model::tests::an_installation_that_dies_at_any_point_leaves_nothing_half_done_and_the_next_one_tidies";
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let install = |scene: &Scene| runtime.block_on(scene.install()).expect("installed");
    if alone::is_child() {
        // In the parent's directory, which says at which point to die.
        let scene = Scene::in_dir(std::env::temp_dir());
        let point = fs::read_to_string(scene.home.join("point")).expect("told");
        effect::arm(&point);
        install(&scene);
        unreachable!("it died at {point}");
    }
    // What is there before, where it dies, and what is found then.
    let deaths = [
        (false, "PlaceModel:before", false),
        (false, "PlaceModel:after", true),
        (true, "RetireModel:before", false),
        (true, "RetireModel:after", false),
        (true, "PlaceModel:before", false),
        (true, "PlaceModel:after", true),
    ];
    for (is_damaged, point, is_installed) in deaths {
        let scene = Scene::new();
        if is_damaged {
            install(&scene);
            fs::write(Model::at(&scene.package, &scene.target()).tokenizer, "damaged")
                .expect("written");
        }
        fs::write(scene.home.join("point"), point).expect("written");
        let died = alone::run(NAME, &[("TMPDIR", scene.home.to_str().expect("UTF-8"))]);
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&died.status),
            Some(9),
            "{point}: {died:?}"
        );
        assert_eq!(
            Installation::inspect(&scene.package, &scene.target()).is_intact(),
            is_installed,
            "{point}"
        );
        install(&scene);
        assert!(Installation::inspect(&scene.package, &scene.target()).is_intact(), "{point}");
        if !is_installed {
            scene.assert_installed();
        }
    }
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named_with_its_cure() {
    let mut scene = Scene::new();
    let data = scene.home.join("data");
    fs::write(&data, "a file").expect("written");
    let error = scene.install().await.expect_err("no place");
    assert!(matches!(&error, InstallError::Io { .. }), "{error:?}");
    fs::remove_file(&data).expect("removed");
    // A full disk and a read-only one are tried with the real program, in
    // `tests/it/engine_install.rs`.
    scene.package.wheel_size = 56_000_000;
    let told = |errno: rustix::io::Errno| {
        let error =
            InstallError::from_write_error(&scene.package, "write", "/data".into(), errno.into());
        format!("{error}\nhint: {}", error.hint().expect("a cure"))
    };
    let errors = [rustix::io::Errno::NOSPC, rustix::io::Errno::ROFS, rustix::io::Errno::ACCESS];
    insta::assert_snapshot!(errors.map(told).join("\n"), @r"
    the disk of `/data` is full
    hint: free 112 MB, then run it again
    `/data` cannot be written: Read-only file system (os error 30)
    hint: its file system is mounted read-only: mount it writable, or set $XDG_DATA_HOME to another place
    `/data` cannot be written: Permission denied (os error 13)
    hint: run it as the user that minuted runs as, or let that user write there
    ");
}

#[test]
fn the_pins_are_those_of_two_wheels_with_the_same_weights() {
    let [intel, arm] = ["x86_64", "aarch64"].map(|arch| Package::of(arch).expect("pinned"));
    assert_eq!(
        (intel.encoder, intel.decoder, intel.tokenizer),
        (arm.encoder, arm.decoder, arm.tokenizer)
    );
    assert_ne!((intel.wheel_sha256, intel.runtime.sha256), (arm.wheel_sha256, arm.runtime.sha256));
    let hashes = |package: &Package| package.voice_files().map(|pinned| pinned.sha256);
    assert_eq!(hashes(intel), hashes(arm), "the same models at other places of another library");
    assert_ne!(intel.segmentation.offset, arm.segmentation.offset);
    assert_eq!(Package::of("riscv64"), None);
    for package in [intel, arm] {
        let mut names: Vec<_> = package.files().iter().map(|pinned| pinned.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 7);
        assert!(names.iter().all(|name| !name.contains('/')));
    }
}

#[test]
fn a_hash_is_shown_as_the_tools_of_the_system_show_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("speech.flac");
    fs::write(&file, speech::SPEECH).expect("written");
    let (hash, size) = Sha256::of_reader(speech::SPEECH).expect("read");
    assert_eq!(size, u64::try_from(speech::SPEECH.len()).expect("small"));
    let output = Command::new("sha256sum").arg(&file).output().expect("run");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with(&hash.to_string()), "{hash}");
    assert_eq!(Sha256::from_hex(&hash.to_string()), hash);
}

//! Children are confined in fact: a program in ffmpeg's place tries what an attacker would, and gets none of it; the
//! real ffmpeg and the real recogniser work all the same, also below the filters of the units.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::{fs::PermissionsExt as _, process::ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use minuted::testing::engine::run::EngineError;

use crate::support::{
    engine::{model, request, transcribe},
    house::{House, until, until_told},
    sound::{program, readings, runs, tone, wav},
};

/// The interpreter of the intruder.
const PYTHON: &str = "/usr/bin/python3";

/// Marks the process of a test that confines itself; to libtest it is a filter that fits no test.
const BELOW: &str = "minuted-test-below-a-unit";

const UNITS: [(&str, &str); 2] = [
    ("minuted.service", include_str!("../../systemd/minuted.service")),
    ("user/minuted.service", include_str!("../../systemd/user/minuted.service")),
];

/// Says, past the capture of a test that passes, that it proved nothing.
fn skipped(why: &str) {
    std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes()).expect("written");
}

/// Writes the intruder as a program; `None` without its interpreter.
fn intruder(at: &Path, places: &[(&str, &Path)]) -> Option<PathBuf> {
    if !Path::new(PYTHON).exists() {
        skipped("the intruder needs /usr/bin/python3");
        return None;
    }
    let places: BTreeMap<_, _> = places.iter().copied().collect();
    let places = serde_json::to_string(&places).expect("JSON");
    let text = include_str!("intruder.py").replace("PLACES = {}", &format!("PLACES = {places}"));
    Some(program_at(at, &text))
}

fn program_at(at: &Path, text: &str) -> PathBuf {
    fs::write(at, text).expect("written");
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).expect("made a program");
    at.to_owned()
}

/// Runs a program as minuted runs ffmpeg, `by` another one where that is not empty.
fn in_place_of_ffmpeg(by: &[&str], program: &Path, recording: &Path) -> Output {
    let minuted = env!("CARGO_BIN_EXE_minuted");
    let words = by.iter().copied().chain([minuted]).collect::<Vec<_>>();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args([
        "engine-work",
        "--parent",
        &std::process::id().to_string(),
        "--writes",
        "0",
    ]);
    command.arg("--ffmpeg").arg(program).args(["--", "-x"]).env_clear().current_dir("/");
    command
        .stdin(File::open(recording).expect("opened"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.output().expect("run")
}

/// The attempts of an intruder with what became of them.
fn attempts(output: &Output) -> Vec<(String, String)> {
    let told = String::from_utf8_lossy(&output.stdout);
    let found: Vec<_> = told.lines().filter_map(|line| line.rsplit_once(' ')).collect();
    assert!(
        found.len() > 150 && found.iter().any(|(name, _)| *name == "CONTROL thread"),
        "{output:?}"
    );
    found.into_iter().map(|(name, how)| (name.to_owned(), how.to_owned())).collect()
}

/// Whether an attempt ended as it must: what is needed works, and everything else is refused.
fn is_as_it_must_be(name: &str, how: &str) -> bool {
    // What is no directory has nothing below it, a directory cannot be written, and what is open for reading cannot be
    // cut, confined or not; and some libraries tell what they met in their own words.
    let others = [
        ("list", "ENOTDIR"),
        ("make below", "ENOTDIR"),
        ("mkdir below", "ENOTDIR"),
        ("write state", "EISDIR"),
        ("cut recording", "EINVAL"),
        ("lookup", "-3"),
        ("limits of its own", "ValueError"),
    ];
    if name.starts_with("CONTROL ") {
        return how == "reached";
    }
    let is_other = others.iter().any(|(what, error)| name.starts_with(what) && how == *error);
    is_other || ["EPERM", "EACCES", "ENOSYS"].contains(&how)
}

#[test]
fn a_program_in_the_place_of_ffmpeg_reaches_the_open_recording_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let state = dir.path().join("state");
    fs::create_dir(&state).expect("made");
    let tokens = state.join("tokens-paxs.json");
    let other = dir.path().join("other.wav");
    let recording = dir.path().join("talk.wav");
    for file in [&tokens, &other, &recording] {
        fs::write(file, "secret").expect("written");
    }
    let socket = state.join("control.sock");
    let _listening = std::os::unix::net::UnixListener::bind(&socket).expect("bound");
    let places: [(&str, &Path); 4] =
        [("state", &state), ("tokens", &tokens), ("socket", &socket), ("other", &other)];
    let Some(program) = intruder(&dir.path().join("ffmpeg"), &places) else { return };
    let is_root = rustix::process::geteuid().is_root();
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let mut who: Vec<&[&str]> = vec![&[]];
    if is_root {
        who.push(&nobody);
    }
    for by in who {
        if !by.is_empty() {
            assert!(
                runs(Path::new("chown"), ["-R", "65534", dir.path().to_str().expect("UTF-8")]),
                "handed over"
            );
        }
        let mut faults = attempts(&in_place_of_ffmpeg(by, &program, &recording));
        faults.retain(|(name, how)| !is_as_it_must_be(name, how));
        assert!(faults.is_empty(), "{by:?} {faults:?}");
        let left: Vec<_> =
            fs::read_dir(&state).expect("read").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
        assert_eq!(fs::read_to_string(&tokens).expect("there"), "secret");
    }
}

#[test]
fn in_the_daemon_it_reaches_no_more() {
    let house = House::new();
    house.configure("convert = \"ffmpeg\"");
    let bin = house.dir.path().join("bin");
    fs::create_dir(&bin).expect("made");
    let state = house.state_dir();
    let [tokens, socket, config, folder] = [
        state.join("tokens-paxs.json"),
        state.join("control.sock"),
        house.config(),
        house.folder(),
    ];
    let other = house.path("other.wav");
    let places: [(&str, &Path); 6] = [
        ("state", &state),
        ("tokens", &tokens),
        ("socket", &socket),
        ("config", &config),
        ("folder", &folder),
        ("other", &other),
    ];
    let Some(_) = intruder(&bin.join("tries"), &places) else { return };
    // What it says in the end is the reason that the job is given.
    let text = fs::read_to_string(bin.join("tries")).expect("read");
    let told = "\nsys.stderr.write('\\nreached: ' + ','.join(REACHED) + '.')\nsys.exit(1)\n";
    let text = text.replace(
        "        print(name, \"reached\")",
        "        name.startswith('CONTROL') or REACHED.append(name)",
    );
    let text =
        text.replace("libc = ctypes", "REACHED = []\nlibc = ctypes").replace("print(name,", "str(")
            + told;
    program_at(&bin.join("ffmpeg"), &text);
    let _daemon = house.listening(house.spawn(&[("PATH", bin.to_str().expect("UTF-8"))]));
    assert!(tokens.exists() && socket.exists());
    fs::write(&other, b"not a recording yet").expect("written");
    let mut bytes = b"\x1a\x45\xdf\xa3".to_vec();
    bytes.resize(4000, 7);
    fs::write(house.path("talk.mkv"), bytes).expect("written");
    until_told(
        || house.why("talk.mkv"),
        || house.why("talk.mkv").contains("reached: ").then_some(()),
    );
    assert!(house.why("talk.mkv").contains("reached: ."), "{}", house.why("talk.mkv"));
    assert!(tokens.exists() && config.exists() && other.exists());
}

/// What the kernel says of a process.
fn status_of(pid: u32, key: &str) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned()))
}

/// The children of a process, and theirs, with their arguments.
fn descendants(pid: u32) -> Vec<(u32, String)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = lists
        .flat_map(|list| list.split(' ').filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect();
    let told = |pid: u32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().replace('\0', " ")
    };
    children
        .iter()
        .flat_map(|child| std::iter::once((*child, told(*child))).chain(descendants(*child)))
        .collect()
}

#[test]
fn the_recogniser_works_below_its_filters_gives_way_and_leaves_nobody_behind() {
    let (Some(model), Some((sound, _))) = (model(), readings()) else { return };
    let state = tempfile::tempdir().expect("a directory");
    let recording = state.path().join("reading.wav");
    fs::write(&recording, wav(16_000, 1, &sound)).expect("written");
    let asked = request(model, state.path());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let opened = File::open(&recording).expect("opened");
    let seen = runtime.block_on(async {
        let work = minuted::testing::engine::run::run(asked, opened, std::sync::Arc::default());
        let confined = async {
            loop {
                let found = descendants(std::process::id());
                let child = found.iter().find(|(_, told)| told.contains("engine-work {") && told.contains(state.path().to_str().expect("UTF-8")));
                let filters = child.and_then(|(pid, _)| status_of(*pid, "Seccomp_filters").or_else(|| status_of(*pid, "Seccomp")));
                if let (Some((pid, _)), Some("2")) = (child, filters.as_deref()) {
                    return (*pid, descendants(*pid));
                }
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            done = work => panic!("it should not end: {done:?}"),
            seen = confined => {
                let (pid, children) = seen;
                assert_eq!(status_of(pid, "NoNewPrivs").as_deref(), Some("1"));
                let first = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).expect("read");
                assert_eq!(first.trim(), "1000");
                let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("read");
                let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).map(|line| line.split_whitespace().rev().nth(2).unwrap_or_default().to_owned());
                assert_eq!(limit("Max data size"), Some((512_u64 << 20).to_string()), "{limits}");
                assert_eq!(limit("Max cpu time"), Some((7 * 86_400).to_string()), "{limits}");
                assert_eq!(limit("Max open files"), Some("64".to_owned()), "{limits}");
                assert_eq!(limit("Max file size"), Some((256_u64 << 20).to_string()), "{limits}");
                children
            }
        }
    });
    let [(lender, _)] = seen.try_into().expect("the one that starts ffmpeg");
    let gone = || {
        fs::read_to_string(format!("/proc/{lender}/stat"))
            .map_or(true, |stat| stat.contains(") Z "))
    };
    until("it ended with the recogniser", || gone().then_some(()));
}

#[test]
fn what_runs_out_of_its_own_memory_or_time_is_told_the_limit() {
    let house = House::new();
    house.configure("convert = \"ffmpeg\"");
    let bin = house.dir.path().join("bin");
    fs::create_dir(&bin).expect("made");
    if !Path::new(PYTHON).exists() {
        return skipped("it needs /usr/bin/python3");
    }
    // As ffmpeg says it when an allocation is refused; the limit is the real one.
    let greedy = "#!/usr/bin/python3\nimport sys\nkept = []\ntry:\n  while True: kept.append(bytearray(1 << 24))\n\
                  except MemoryError:\n  n = len(kept) * 16; kept = None\n  sys.stderr.write('Cannot allocate memory after %d' % n)\n  sys.exit(1 if 900 < n < 1024 else 0)\n";
    program_at(&bin.join("ffmpeg"), greedy);
    let _daemon = house.listening(house.spawn(&[("PATH", bin.to_str().expect("UTF-8"))]));
    fs::write(house.path("talk.mkv"), [b"\x1a\x45\xdf\xa3".as_slice(), &[7; 5000]].concat())
        .expect("written");
    let job = house.wait_for("talk.mkv", "failed");
    let told = job["error"].as_str().expect("told");
    assert!(
        told.contains("ffmpeg needs more than the 1024 MiB of memory that it may have"),
        "{job:#}"
    );
    assert_eq!(job["attempts"], 3, "it counts: {job:#}");
}

#[test]
fn the_real_ffmpeg_decodes_what_is_sought_in_and_what_is_not() {
    let (Some(model), Some((sound, _)), Some(ffmpeg)) = (model(), readings(), program("ffmpeg"))
    else {
        return;
    };
    let state = tempfile::tempdir().expect("a directory");
    let source = state.path().join("reading.wav");
    fs::write(&source, wav(16_000, 1, &sound[..16_000 * 7])).expect("written");
    let source = source.to_str().expect("UTF-8");
    let picture = ["-f", "lavfi", "-i", "testsrc=duration=7:size=320x240:rate=10"];
    // The index of the first three lies at the end; the codecs are those that are not decoded here.
    let cases: [(&str, bool, &str); 5] = [
        ("end.mp4", true, "-c:v mpeg4 -c:a libopus -strict -2"),
        ("end.mov", true, "-c:v mpeg4 -c:a adpcm_ima_qt"),
        ("video.avi", true, "-c:v mpeg4 -c:a mp3"),
        ("video.mkv", true, "-c:v mpeg4 -c:a libopus"),
        ("sound.ogg", false, "-c:a libopus"),
    ];
    for (name, has_picture, codecs) in cases {
        let path = state.path().join(name);
        let mut arguments = vec!["-v", "error", "-y"];
        arguments.extend(picture.iter().filter(|_| has_picture));
        arguments.extend(["-i", source]);
        arguments.extend(codecs.split(' ').chain([path.to_str().expect("UTF-8")]));
        if !runs(&ffmpeg, &arguments) {
            skipped(&format!("this ffmpeg cannot write {name}"));
            continue;
        }
        let mut asked = request(model.clone(), state.path());
        name.clone_into(&mut asked.content);
        let transcript = transcribe(asked, &path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let words: Vec<_> =
            transcript.segments.iter().map(|segment| segment.text.as_str()).collect();
        assert!(words.join(" ").contains("prudently in his power"), "{name}: {words:?}");
    }
}

#[test]
fn a_recording_that_nobody_may_open_by_its_path_is_read_by_its_descriptor() {
    let Some(ffmpeg) = program("ffmpeg") else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("tone.wav");
    fs::write(&path, wav(16_000, 1, &tone(16_000, 1))).expect("written");
    let listing = program_at(
        &dir.path().join("ffmpeg"),
        &format!(
            "#!/bin/sh\nexec {} -hide_banner -loglevel error -f wav -i file:/proc/self/fd/0 -f s16le pipe:1\n",
            ffmpeg.display()
        ),
    );
    let output = in_place_of_ffmpeg(&[], &listing, &path);
    assert!(output.status.success() && output.stdout.len() == 32_000, "{output:?}");
    let other = program_at(
        &dir.path().join("ffmpeg-other"),
        &format!(
            "#!/bin/sh\nexec {} -hide_banner -loglevel error -f wav -i {} -f s16le pipe:1\n",
            ffmpeg.display(),
            path.display()
        ),
    );
    fs::copy(&path, dir.path().join("another.wav")).expect("copied");
    let output = in_place_of_ffmpeg(&[], &other, &dir.path().join("another.wav"));
    assert!(!output.status.success() && output.status.signal().is_none(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied"), "{output:?}");
}

/// The values of `key=` in a unit, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

/// The system calls of a group of systemd's, as systemd itself lists them.
fn expanded(name: &str) -> Vec<String> {
    if !name.starts_with('@') {
        return vec![name.to_owned()];
    }
    let output =
        Command::new("systemd-analyze").args(["syscall-filter", name]).output().expect("run");
    let text = String::from_utf8(output.stdout).expect("text");
    let names = text
        .lines()
        .skip(1)
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    names.flat_map(expanded).collect()
}

/// The system calls that a unit permits.
fn permitted(unit: &str) -> Vec<String> {
    let mut calls: Vec<String> = Vec::new();
    for value in values(unit, "SystemCallFilter") {
        match value.strip_prefix('~') {
            Some(taken) => {
                let taken: Vec<_> = taken.split(' ').flat_map(expanded).collect();
                calls.retain(|call| !taken.contains(call));
            }
            None => calls.extend(value.split(' ').flat_map(expanded)),
        }
    }
    calls.extend(expanded("@default"));
    calls.sort();
    calls.dedup();
    calls
}

/// Keeps this thread and what it starts to these calls. Those of other processors have no number here.
fn keep_to(mut calls: Vec<String>) {
    loop {
        let named: Vec<_> =
            calls.iter().map(|call| serde_json::json!({ "syscall": call })).collect();
        let filter = serde_json::json!({
            "unit": { "mismatch_action": { "errno": 1 }, "match_action": "allow", "filter": named }
        });
        let architecture = std::env::consts::ARCH.try_into().expect("a known processor");
        match seccompiler::compile_from_json(filter.to_string().as_bytes(), architecture) {
            Ok(filters) => return seccompiler::apply_filter(&filters["unit"]).expect("applied"),
            Err(error) => {
                let told = error.to_string();
                let unknown =
                    told.split("syscall name: ").nth(1).and_then(|rest| rest.split(' ').next());
                let known = calls.len();
                calls.retain(|call| Some(call.as_str()) != unknown);
                assert!(calls.len() < known, "{told}");
            }
        }
    }
}

/// Runs the test of this name again in a process of its own, which keeps itself to `calls`.
fn below(test: &str, calls: &[String]) -> Output {
    let program = std::env::current_exe().expect("the path of the tests");
    let mut command = Command::new(program);
    command.args(["--exact", &format!("confine::{test}"), "--nocapture", "--skip", BELOW]);
    command.args(["--skip", &format!("{BELOW}={}", calls.join(","))]).output().expect("run")
}

/// The calls that this process is to keep to, where [`below`] has started it.
fn is_below() -> Option<Vec<String>> {
    let calls = std::env::args()
        .find_map(|word| Some(word.strip_prefix(BELOW)?.strip_prefix('=')?.to_owned()))?;
    Some(calls.split(',').map(str::to_owned).collect())
}

#[test]
fn the_filter_of_each_unit_lets_children_be_confined_and_one_without_the_calls_is_told() {
    if let Some(calls) = is_below() {
        keep_to(calls);
        let dir = tempfile::tempdir().expect("a directory");
        let recording = dir.path().join("tone.wav");
        fs::write(&recording, wav(16_000, 1, &tone(16_000, 1))).expect("written");
        let output = in_place_of_ffmpeg(&[], Path::new("/bin/true"), &recording);
        println!("FFMPEG {} {}", output.status, String::from_utf8_lossy(&output.stderr).trim());
        if let (Some(model), Some((sound, _)), Some(ffmpeg)) =
            (model(), readings(), program("ffmpeg"))
        {
            let [source, opus] = [dir.path().join("reading.wav"), dir.path().join("reading.opus")];
            fs::write(&source, wav(16_000, 1, &sound[..16_000 * 7])).expect("written");
            let [from, to] = [&source, &opus].map(|path| path.to_str().expect("UTF-8"));
            assert!(runs(&ffmpeg, ["-v", "error", "-i", from, to]), "ffmpeg writes it");
            match transcribe(request(model, dir.path()), &opus) {
                Ok(transcript) => println!("HEARD {:?}", transcript.segments),
                Err(error) => {
                    println!("FAILED {} {error}", matches!(error, EngineError::Disk { .. }));
                }
            }
        }
        return;
    }
    let test =
        "the_filter_of_each_unit_lets_children_be_confined_and_one_without_the_calls_is_told";
    if !Command::new("systemd-analyze")
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
    {
        return skipped("there is no systemd-analyze to say what the units' filters are");
    }
    for (name, unit) in UNITS {
        let calls = permitted(unit);
        assert!(calls.len() > 250 && calls.contains(&"openat".to_owned()), "{calls:?}");
        let output = below(test, &calls);
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(told.contains("FFMPEG exit status: 0"), "{name}: {output:?}");
        assert!(!told.contains("FAILED"), "{name}: {output:?}");
        assert!(model().is_none() || told.contains("prudently in his power"), "{name}: {output:?}");
        for (missing, call) in [("landlock_", "landlock_create_ruleset"), ("seccomp", "seccomp")] {
            let fewer: Vec<_> =
                calls.iter().filter(|call| !call.starts_with(missing)).cloned().collect();
            let told = below(test, &fewer);
            let told = String::from_utf8_lossy(&told.stdout).into_owned();
            let reason = format!("a filter of system calls refuses `{call}`");
            assert!(
                told.contains("FFMPEG exit status: 126") && told.contains(&reason),
                "{name}: {told}"
            );
            assert!(model().is_none() || told.contains("FAILED true"), "{name}: {told}");
        }
    }
}

/// A control group with a limit of memory, gone when dropped; `None`, with a word, where this process may not make one.
struct Group(PathBuf);

impl Group {
    fn new(name: &str, limit: u64) -> Option<Self> {
        for (root, key) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let dir = Path::new(root).join(format!("{name}-{}", std::process::id()));
            if fs::create_dir(&dir).is_ok() {
                let group = Self(dir);
                if fs::write(group.0.join(key), limit.to_string()).is_ok() {
                    return Some(group);
                }
            }
        }
        skipped(
            "a limit of memory for others than this process needs the right to make a control group",
        );
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // It may still hold a process that ends just now; an empty group harms nobody.
        drop(fs::remove_dir(&self.0));
    }
}

#[test]
fn a_kill_for_want_of_memory_takes_the_child_and_not_the_daemon_and_counts_for_nobody() {
    let (Some(ffmpeg), true) = (program("ffmpeg"), Path::new(PYTHON).exists()) else { return };
    let Some(group) = Group::new("minuted-test", 200 << 20) else { return };
    let house = House::new();
    house.configure("convert = \"ffmpeg\"");
    let bin = house.dir.path().join("bin");
    fs::create_dir(&bin).expect("made");
    let greedy = "#!/usr/bin/python3\nkept = [bytearray(b'x') * (1 << 24) for _ in range(50)]\n";
    program_at(&bin.join("ffmpeg"), greedy);
    let script =
        format!("echo $$ > {}/cgroup.procs; PATH={} exec \"$@\"", group.0.display(), bin.display());
    let daemon = house.listening(house.spawn_by(&["sh", "-ec", &script, "sh"]));
    let source = house.dir.path().join("tone.wav");
    fs::write(&source, wav(16_000, 1, &tone(16_000, 2))).expect("written");
    let made = house.dir.path().join("talk.mkv");
    let [from, to] = [&source, &made].map(|path| path.to_str().expect("UTF-8"));
    assert!(runs(&ffmpeg, ["-v", "error", "-i", from, "-c:a", "libopus", to]), "ffmpeg writes it");
    fs::rename(made, house.path("talk.mkv")).expect("dropped");
    until_told(
        || house.why("talk.mkv"),
        || house.why("talk.mkv").contains("had no memory left").then_some(()),
    );
    program_at(&bin.join("ffmpeg.next"), &format!("#!/bin/sh\nexec {} \"$@\"\n", ffmpeg.display()));
    fs::rename(bin.join("ffmpeg.next"), bin.join("ffmpeg")).expect("replaced");
    let job = house.wait_for("talk.mkv", "done");
    assert_eq!(job["attempts"], 0, "{job:#}");
    assert!(daemon.stop().success());
}

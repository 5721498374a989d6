//! The open files of all processes, from `/proc`.
//!
//! A descriptor is asked about (`stat`) only when its inode or its file name is one that is wanted: to ask about one on
//! a dead file server would block. What `stat` tells of it is compared with what `stat` tells of the file, so that
//! file systems whose other numbers differ (btrfs, overlayfs) are no matter.
//!
//! Not seen: a file that is only mapped into memory, one on its way between two processes, one of a thread with
//! descriptors of its own.

use std::{
    collections::HashMap,
    ffi::OsStr,
    fs,
    io::{self, ErrorKind},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{Openness, SoughtFile, WriterSource, WritingProcess};
use crate::text::one_line;

/// Characters of a program's name; the kernel keeps 15 bytes, a hostile name may need more to be shown.
const PROGRAM_MAX: usize = 100;

/// The first pid namespace of a machine (`PROC_PID_INIT_INO` of Linux's `proc_ns.h`): in any other one, processes of the
/// host are not seen.
const FIRST_NAMESPACE: &str = "pid:[4026531836]";

/// Kernel threads of file servers: what their clients have open no process shows.
const KERNEL_SERVERS: [&str; 2] = ["nfsd", "ksmbd"];

/// Permissions of `open(2)` as `fdinfo` shows them: the lowest two bits, of which 1 and 2 allow writing.
const WRITE_ONLY: u32 = 1;
const READ_WRITE: u32 = 2;
const ACCESS_MODE: u32 = 3;

/// The processes of this machine, as far as they can be seen.
#[derive(Debug)]
pub(crate) struct Processes {
    proc: PathBuf,
}

impl Default for Processes {
    fn default() -> Self {
        Self { proc: "/proc".into() }
    }
}

impl WriterSource for Processes {
    fn find(&self, files: &[SoughtFile]) -> Vec<Openness> {
        let mut search = ProcessSearch::new(files);
        let is_complete = self.search_processes(&mut search).unwrap_or(false) && self.sees_all();
        let absent = if is_complete { Openness::Closed } else { Openness::Unknown };
        search
            .found
            .into_iter()
            .map(|found| found.map_or_else(|| absent.clone(), Openness::Open))
            .collect()
    }
}

/// The question about a batch of files, and the answers so far.
struct ProcessSearch<'a> {
    files: &'a [SoughtFile],
    by_inode: HashMap<u64, Vec<usize>>,
    by_name: HashMap<&'a OsStr, Vec<usize>>,
    found: Vec<Option<WritingProcess>>,
}

impl<'a> ProcessSearch<'a> {
    fn new(files: &'a [SoughtFile]) -> Self {
        let mut by_inode: HashMap<u64, Vec<usize>> = HashMap::new();
        let mut by_name: HashMap<&OsStr, Vec<usize>> = HashMap::new();
        for (at, file) in files.iter().enumerate() {
            by_inode.entry(file.id.inode).or_default().push(at);
            by_name.entry(&file.name).or_default().push(at);
        }
        Self { files, by_inode, by_name, found: vec![None; files.len()] }
    }

    /// Returns whether a descriptor with this inode and this name may be one of the files.
    fn may_be_wanted(&self, inode: Option<u64>, name: Option<&OsStr>) -> bool {
        inode.is_some_and(|inode| self.by_inode.contains_key(&inode))
            || name.is_some_and(|name| self.by_name.contains_key(name))
    }

    /// Takes in that a process has the file of this device and inode open for writing.
    fn take_match(&mut self, device: u64, inode: u64, writer: impl Fn() -> WritingProcess) {
        for at in self.by_inode.get(&inode).into_iter().flatten() {
            if self.files[*at].id.device == device && self.found[*at].is_none() {
                self.found[*at] = Some(writer());
            }
        }
    }
}

impl Processes {
    /// Looks at every process; returns whether each of them let itself be looked at.
    fn search_processes(&self, search: &mut ProcessSearch<'_>) -> io::Result<bool> {
        let mut is_complete = true;
        for entry in fs::read_dir(&self.proc)? {
            let name = entry?.file_name();
            let Some(process) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            match self.search_process(process, search) {
                Ok(is_seen) => is_complete &= is_seen,
                Err(error) if is_gone(&error) => {}
                Err(_) => is_complete = false,
            }
        }
        Ok(is_complete)
    }

    /// Looks at one process; returns whether all that it has open was seen.
    fn search_process(&self, process: u32, search: &mut ProcessSearch<'_>) -> io::Result<bool> {
        let dir = self.proc.join(process.to_string());
        let mut is_seen = true;
        let mut has_files = false;
        for entry in fs::read_dir(dir.join("fd"))? {
            has_files = true;
            match search_descriptor(&dir, &entry?.file_name(), process, search) {
                Ok(()) => {}
                Err(error) if is_gone(&error) => {}
                Err(_) => is_seen = false,
            }
        }
        Ok(is_seen && (has_files || !is_kernel_server(&dir)))
    }

    /// Returns whether every process of the machine is shown here: neither a container nor `hidepid` hides any. Whoever
    /// may look at the first process may look at each.
    fn sees_all(&self) -> bool {
        let namespace = fs::read_link(self.proc.join("self/ns/pid"));
        namespace.is_ok_and(|namespace| namespace == Path::new(FIRST_NAMESPACE))
            && fs::read_dir(self.proc.join("1/fd")).is_ok()
    }
}

/// Looks at one descriptor of a process whose directory is `dir`.
fn search_descriptor(
    dir: &Path,
    number: &OsStr,
    process: u32,
    search: &mut ProcessSearch<'_>,
) -> io::Result<()> {
    let link = dir.join("fd").join(number);
    let target = fs::read_link(&link)?;
    // Sockets, pipes and the like have names without a slash.
    if !target.as_os_str().as_bytes().starts_with(b"/") {
        return Ok(());
    }
    let told = fs::read_to_string(dir.join("fdinfo").join(number))?;
    let is_writer = status_field(&told, "flags:")
        .and_then(|flags| u32::from_str_radix(flags, 8).ok())
        .is_some_and(|flags| [WRITE_ONLY, READ_WRITE].contains(&(flags & ACCESS_MODE)));
    // Kernels before 5.14 do not tell the inode.
    let inode = status_field(&told, "ino:").and_then(|inode| inode.parse().ok());
    if !is_writer || !search.may_be_wanted(inode, target.file_name()) {
        return Ok(());
    }
    let stat = fs::metadata(&link)?;
    search.take_match(stat.dev(), stat.ino(), || WritingProcess {
        program: program_name(dir),
        process,
    });
    Ok(())
}

/// Returns the value of a line of `fdinfo`.
fn status_field<'a>(told: &'a str, name: &str) -> Option<&'a str> {
    told.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// Returns the name of a process's program, fit to be shown.
fn program_name(dir: &Path) -> String {
    let name = fs::read(dir.join("comm")).unwrap_or_default();
    let shown = one_line(&String::from_utf8_lossy(&name), PROGRAM_MAX);
    if shown.is_empty() { "a program".to_owned() } else { shown }
}

fn is_kernel_server(dir: &Path) -> bool {
    let name = fs::read_to_string(dir.join("comm")).unwrap_or_default();
    KERNEL_SERVERS.iter().any(|server| name.starts_with(server))
}

/// Returns whether an error says that a process, or its descriptor, has gone meanwhile.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == ErrorKind::NotFound
        || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Write as _, os::unix::fs::symlink};

    use super::*;
    use crate::beneath::{Dir, FileId};

    fn wanted(path: &Path) -> SoughtFile {
        let root = Dir::open(path.parent().expect("in a directory")).expect("opened");
        let name = path.file_name().expect("a name").to_owned();
        let id = root.file_id(Path::new(&name)).expect("asked").expect("there");
        SoughtFile { id, name }
    }

    /// A directory that looks like `/proc` to this module.
    struct FakeProc(tempfile::TempDir);

    impl FakeProc {
        /// Every process can be seen: there is a first one, and this is its namespace.
        fn seeing_all() -> Self {
            let proc = Self(tempfile::tempdir().expect("a directory"));
            fs::create_dir_all(proc.0.path().join("self/ns")).expect("made");
            symlink(FIRST_NAMESPACE, proc.0.path().join("self/ns/pid")).expect("linked");
            proc.process(1, "systemd");
            proc
        }

        fn process(&self, process: u32, program: &str) -> PathBuf {
            let dir = self.0.path().join(process.to_string());
            fs::create_dir_all(dir.join("fd")).expect("made");
            fs::create_dir_all(dir.join("fdinfo")).expect("made");
            fs::write(dir.join("comm"), format!("{program}\n")).expect("written");
            dir
        }

        fn opens(&self, process: u32, number: u32, target: &Path, fdinfo: &str) {
            let dir = self.process(process, "recorder");
            symlink(target, dir.join("fd").join(number.to_string())).expect("linked");
            fs::write(dir.join("fdinfo").join(number.to_string()), fdinfo).expect("written");
        }

        fn find(&self, files: &[SoughtFile]) -> Vec<Openness> {
            Processes { proc: self.0.path().to_owned() }.find(files)
        }
    }

    fn recording() -> (tempfile::TempDir, PathBuf, u64) {
        let tree = tempfile::tempdir().expect("a directory");
        let path = tree.path().join("a.mp3");
        fs::write(&path, "x").expect("written");
        let inode = wanted(&path).id.inode;
        (tree, path, inode)
    }

    fn open(process: u32) -> Openness {
        Openness::Open(WritingProcess { program: "recorder".into(), process })
    }

    #[test]
    fn a_writer_is_told_by_its_flags_and_a_reader_is_none() {
        let (_tree, path, inode) = recording();
        for (flags, expected) in [
            ("0100000", Openness::Closed),
            ("0100001", open(812)),
            ("0102002", open(812)),
            ("010000000", Openness::Closed), // a path alone: neither read nor written
            ("nonsense", Openness::Closed),
        ] {
            let proc = FakeProc::seeing_all();
            proc.opens(
                812,
                7,
                &path,
                &format!("pos:\t0\nflags:\t{flags}\nmnt_id:\t29\nino:\t{inode}\n"),
            );
            assert_eq!(proc.find(&[wanted(&path)]), [expected], "{flags}");
        }
    }

    #[test]
    fn an_older_kernel_without_inodes_is_asked_by_the_file_name() {
        let (tree, path, _) = recording();
        let other = tree.path().join("sub");
        fs::create_dir(&other).expect("made");
        fs::write(other.join("a.mp3"), "another file").expect("written");
        let proc = FakeProc::seeing_all();
        proc.opens(812, 7, &other.join("a.mp3"), "pos:\t0\nflags:\t0100001\n");
        assert_eq!(proc.find(&[wanted(&path)]), [Openness::Closed]);
        proc.opens(813, 7, &path, "pos:\t0\nflags:\t0100001\n");
        assert_eq!(proc.find(&[wanted(&path)]), [open(813)]);
    }

    #[test]
    fn a_file_of_the_same_inode_on_another_device_is_another_file() {
        let (_tree, path, inode) = recording();
        let proc = FakeProc::seeing_all();
        proc.opens(812, 7, &path, &format!("flags:\t0100001\nino:\t{inode}\n"));
        let mut elsewhere = wanted(&path);
        elsewhere.id = FileId { device: elsewhere.id.device + 1, ..elsewhere.id };
        assert_eq!(proc.find(&[elsewhere, wanted(&path)]), [Openness::Closed, open(812)]);
    }

    #[test]
    fn only_what_is_seen_whole_says_that_nobody_has_it_open() {
        let (_tree, path, inode) = recording();
        let files = [wanted(&path)];
        let hidden = FakeProc::seeing_all();
        fs::create_dir_all(hidden.0.path().join("77")).expect("made");
        fs::write(hidden.0.path().join("77/fd"), "it cannot be listed").expect("written");
        assert_eq!(hidden.find(&files), [Openness::Unknown], "one process hides its files");
        hidden.opens(812, 7, &path, &format!("flags:\t0100001\nino:\t{inode}\n"));
        assert_eq!(hidden.find(&files), [open(812)], "what is seen is seen all the same");
        let contained = FakeProc::seeing_all();
        fs::remove_file(contained.0.path().join("self/ns/pid")).expect("removed");
        symlink("pid:[4026532190]", contained.0.path().join("self/ns/pid")).expect("linked");
        assert_eq!(
            contained.find(&files),
            [Openness::Unknown],
            "a container does not show the host"
        );
        let invisible = FakeProc::seeing_all();
        fs::remove_dir_all(invisible.0.path().join("1")).expect("removed");
        assert_eq!(
            invisible.find(&files),
            [Openness::Unknown],
            "the first process is always there"
        );
        let serving = FakeProc::seeing_all();
        serving.process(90, "nfsd");
        assert_eq!(
            serving.find(&files),
            [Openness::Unknown],
            "a server in the kernel shows no files"
        );
        let gone = FakeProc::seeing_all();
        fs::create_dir(gone.0.path().join("99")).expect("made");
        assert_eq!(
            gone.find(&files),
            [Openness::Closed],
            "a process that ended meanwhile has nothing open"
        );
        let nothing = Processes { proc: "/nonexistent".into() };
        assert_eq!(nothing.find(&files), [Openness::Unknown]);
    }

    #[test]
    fn a_name_of_a_program_can_do_nothing_to_a_terminal() {
        let (_tree, path, inode) = recording();
        let proc = FakeProc::seeing_all();
        proc.opens(812, 7, &path, &format!("flags:\t01\nino:\t{inode}\n"));
        proc.process(812, "a\u{1b}[31m\nb");
        let found = proc.find(&[wanted(&path)]);
        assert_eq!(
            found,
            [Openness::Open(WritingProcess { program: "a\\u{1b}[31m b".into(), process: 812 })]
        );
    }

    #[test]
    fn this_machine_shows_who_writes() {
        let (tree, path, _) = recording();
        let other = tree.path().join("b.mp3");
        fs::write(&other, "y").expect("written");
        let linked = tree.path().join("c.mp3");
        fs::hard_link(&path, &linked).expect("linked");
        let files = [wanted(&path), wanted(&other), wanted(&linked)];
        let reader = File::open(&path).expect("opened");
        let none = Processes::default().find(&files);
        assert!(!none.iter().any(|found| matches!(found, Openness::Open(_))), "{none:?}");
        let mut writer = File::options().append(true).open(&path).expect("opened");
        writer.write_all(b"z").expect("written");
        let found = Processes::default().find(&files);
        let is_open = found
            .iter()
            .map(|found| matches!(found, Openness::Open(by) if by.process == std::process::id()));
        assert_eq!(is_open.collect::<Vec<_>>(), [true, false, true], "by whatever name: {found:?}");
        drop((reader, writer));
    }
}

//! The files that a confined process may open by a path: Landlock.
//!
//! Files that are open already stay open, wherever they lie. Everything else is denied: to open,
//! list, make, remove, rename, run, and (where the kernel knows rules for it) to cut, to bind and
//! to connect to.

use std::{
    fs::File,
    io,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::{ConfineError, Role, refused_or_failed, system_error};

/// The newest version of Landlock whose rules are asked for; an older kernel enforces those that it knows.
const NEWEST: ABI = ABI::V10;

/// Directories of shared libraries, and of systems that keep each program with its libraries in one store.
const LIBRARIES: [&str; 9] = [
    "/lib",
    "/lib32",
    "/lib64",
    "/usr/lib",
    "/usr/lib32",
    "/usr/lib64",
    "/usr/local/lib",
    "/nix/store",
    "/gnu/store",
];

/// Directories of programs: ffmpeg may be a script that becomes the real one.
const PROGRAMS: [&str; 4] = ["/bin", "/usr/bin", "/usr/libexec", "/usr/local/bin"];

/// Files by which the loader finds libraries.
const LOADER: [&str; 2] = ["/etc/ld.so.cache", "/etc/ld.so.preload"];

/// The files that a process may open by path.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Directories whose files are read, and run where the role runs programs.
    code: Vec<PathBuf>,
    /// Files that are read.
    read: Vec<PathBuf>,
    /// Devices that are read and written.
    written: Vec<PathBuf>,
    /// Open files that are opened again by their name below `/proc`, and whether they are written.
    again: Vec<(File, bool)>,
}

impl Reach {
    /// Returns the files that every program needs: its libraries.
    #[must_use]
    pub(crate) fn for_libraries() -> Self {
        Self {
            code: LIBRARIES.map(PathBuf::from).to_vec(),
            read: LOADER.map(PathBuf::from).to_vec(),
            written: Vec::new(),
            again: Vec::new(),
        }
    }

    /// Returns what a process needs that becomes `program`: programs, libraries, and those that lie beside it as in
    /// `ffmpeg/bin` and `ffmpeg/lib`.
    #[must_use]
    pub(crate) fn for_program(program: &Path) -> Self {
        let mut reach = Self::for_libraries();
        reach.code.extend(PROGRAMS.map(PathBuf::from));
        let real = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
        let bin = real.parent().filter(|dir| dir.file_name().is_some_and(|name| name == "bin"));
        reach.code.extend(bin.and_then(Path::parent).map(|above| above.join("lib")));
        reach.code.push(real);
        reach
    }

    /// Adds a file or a directory that is read.
    #[must_use]
    pub(crate) fn with_read(mut self, path: impl Into<PathBuf>) -> Self {
        self.read.push(path.into());
        self
    }

    /// Adds a device that is read and written.
    #[must_use]
    pub(crate) fn with_written(mut self, path: impl Into<PathBuf>) -> Self {
        self.written.push(path.into());
        self
    }

    /// Adds a program, or a directory of programs, that is run.
    #[must_use]
    pub(crate) fn with_program(mut self, path: impl Into<PathBuf>) -> Self {
        self.code.push(path.into());
        self
    }

    /// Adds an open descriptor that may be opened again by its name below `/proc`; one that is no file needs nothing.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated or asked.
    pub(crate) fn with_open(mut self, descriptor: impl AsFd, is_written: bool) -> io::Result<Self> {
        let file = File::from(descriptor.as_fd().try_clone_to_owned()?);
        if file.metadata()?.is_file() {
            self.again.push((file, is_written));
        }
        Ok(self)
    }
}

/// Keeps this thread from all files but those in `reach`; returns whether the kernel does it.
pub(super) fn restrict_files(role: Role, reach: &Reach) -> Result<bool, ConfineError> {
    let ruleset = Ruleset::default();
    // Why there is no Landlock: the library does not say, and a filter looks to it like an old kernel.
    let why = io::Error::last_os_error();
    let failed = |error| refused_or_failed("landlock_create_ruleset", system_error(&error));
    let mut asked = ruleset.handle_access(AccessFs::from_all(NEWEST));
    if !role.has_network() {
        asked = asked.and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(NEWEST)));
    }
    let asked = asked.and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)));
    let created = asked.and_then(Ruleset::create).map_err(failed)?;
    let status = with_rules(created, role, reach)?
        .restrict_self()
        .map_err(|error| refused_or_failed("landlock_restrict_self", system_error(&error)))?;
    let is_missing = !matches!(status.landlock, LandlockStatus::Available { .. });
    if is_missing && why.kind() == io::ErrorKind::PermissionDenied {
        return Err(ConfineError::Refused { call: "landlock_create_ruleset" });
    }
    Ok(status.ruleset != RulesetStatus::NotEnforced)
}

fn with_rules(
    mut ruleset: RulesetCreated,
    role: Role,
    reach: &Reach,
) -> Result<RulesetCreated, ConfineError> {
    let runs = if role.runs_programs() { AccessFs::Execute.into() } else { BitFlags::EMPTY };
    for path in &reach.code {
        ruleset = with_path(ruleset, path, AccessFs::ReadFile | AccessFs::ReadDir | runs)?;
    }
    for path in &reach.read {
        ruleset = with_path(ruleset, path, AccessFs::ReadFile | AccessFs::ReadDir)?;
    }
    for path in &reach.written {
        ruleset = with_path(ruleset, path, AccessFs::ReadFile | AccessFs::WriteFile)?;
    }
    for (file, is_written) in &reach.again {
        let reads = BitFlags::from(AccessFs::ReadFile);
        let writes = AccessFs::WriteFile | AccessFs::Truncate;
        ruleset = with_rule(ruleset, file, if *is_written { reads | writes } else { reads })?;
    }
    Ok(ruleset)
}

/// Allows what lies at a path; one that is not there needs no rule.
fn with_path(
    ruleset: RulesetCreated,
    path: &Path,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, ConfineError> {
    let Ok(opened) = PathFd::new(path) else { return Ok(ruleset) };
    let is_directory = path.is_dir();
    // A file is neither listed nor anything else that only a directory is.
    with_rule(
        ruleset,
        opened,
        if is_directory { access } else { access & !BitFlags::from(AccessFs::ReadDir) },
    )
}

fn with_rule(
    ruleset: RulesetCreated,
    at: impl AsFd,
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, ConfineError> {
    let added = ruleset.add_rule(PathBeneath::new(at, access));
    added.map_err(|error| refused_or_failed("landlock_add_rule", system_error(&error)))
}

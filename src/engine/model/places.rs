//! The places of an installation.
//!
//! The first place that has one counts, and no other is looked at: what is used, what
//! `engine status` shows and what `engine install` repairs are always the same.

use std::path::{Path, PathBuf};

use super::{InstallError, Package};
use crate::config::{Environment, Settings};

/// The directory of models in a state directory.
const IN_STATE: &str = "model";

/// The directory of models in a person's directory of data.
const IN_DATA: &str = "minuted";

/// The directory of the models of whisper, beside the installations.
const WHISPER: &str = "whisper";

/// The directory of the configurations of system services: their files are their own, not a
/// person's.
const SYSTEM: &str = "/etc";

/// The directories that may hold installations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The state directory, where there is a configuration.
    state_dir: Option<PathBuf>,
    /// The person's directory of data, where there is a person. To a system service nobody's data
    /// counts: what root has there, the service's own user could not open.
    data_home: Option<PathBuf>,
}

impl Places {
    /// Returns the places for a configuration, or for a person who has none.
    #[must_use]
    pub fn of(settings: Option<&Settings>, env: &Environment) -> Self {
        let is_system = settings.is_some_and(|settings| settings.file.starts_with(SYSTEM));
        Self {
            state_dir: settings.map(|settings| settings.state_dir.clone()),
            data_home: env.data_home().filter(|_| !is_system),
        }
    }

    /// Returns the installation directories of `package` in the order in which they are looked for.
    #[must_use]
    pub fn all(&self, package: &Package) -> Vec<PathBuf> {
        [self.state_base(), self.data_base()]
            .into_iter()
            .flatten()
            .map(|base| base.join(package.dir_name()))
            .collect()
    }

    /// Returns the installation directory that counts: the first that is there, whatever its
    /// condition.
    #[must_use]
    pub fn dir_of(&self, package: &Package) -> Option<PathBuf> {
        self.all(package).into_iter().find(|dir| dir.symlink_metadata().is_ok())
    }

    /// Returns the directory that [`super::install()`] makes or repairs.
    ///
    /// # Errors
    /// [`InstallError::NoPlace`] without a home and a configuration.
    pub fn target(&self, package: &Package) -> Result<PathBuf, InstallError> {
        self.dir_of(package)
            .or_else(|| {
                Some(self.data_base().or_else(|| self.state_base())?.join(package.dir_name()))
            })
            .ok_or(InstallError::NoPlace)
    }

    /// Returns the directory of the models of whisper that counts: the first that is there.
    #[must_use]
    pub(crate) fn whisper_dir(&self) -> Option<PathBuf> {
        let bases = [self.state_base(), self.data_base()].into_iter().flatten();
        bases.map(|base| base.join(WHISPER)).find(|dir| dir.symlink_metadata().is_ok())
    }

    /// Returns the directory into which a model of whisper is installed; `None` without a home and a configuration.
    #[must_use]
    pub(crate) fn whisper_target(&self) -> Option<PathBuf> {
        self.whisper_dir()
            .or_else(|| Some(self.data_base().or_else(|| self.state_base())?.join(WHISPER)))
    }

    /// Returns the state directory, when `dir` lies in it: that one is made for its owner alone.
    #[must_use]
    pub fn state_dir_above(&self, dir: &Path) -> Option<&Path> {
        self.state_dir.as_deref().filter(|state_dir| dir.starts_with(state_dir))
    }

    fn state_base(&self) -> Option<PathBuf> {
        self.state_dir.as_ref().map(|dir| dir.join(IN_STATE))
    }

    fn data_base(&self) -> Option<PathBuf> {
        self.data_home.as_ref().map(|dir| dir.join(IN_DATA))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    const HOME: &str = "/home/ann";

    fn env(home: &str) -> Environment {
        Environment { home: Some(home.into()), ..Environment::default() }
    }

    fn settings(file: &str, state_dir: &Path) -> Settings {
        let text = format!(
            "state_dir = {:?}\n[services.paxs]\nkind = \"paxs\"\n[[folder]]\nname = \"a\"\npath = \"/srv/a\"\n\
             attendees = [{{ name = \"Ann\", email = \"ann@example.com\" }}]\n",
            state_dir.display().to_string()
        );
        config::parse(&text, Path::new(file), &env(HOME)).expect("sound")
    }

    fn target(settings: Option<&Settings>, env: &Environment) -> PathBuf {
        Places::of(settings, env).target(Package::of("x86_64").expect("pinned")).expect("a place")
    }

    #[test]
    fn a_person_installs_among_their_data_and_a_service_in_its_state() {
        let (own, system) = ("/home/ann/.config/minuted/config.toml", "/etc/minuted/config.toml");
        let state = Path::new("/nowhere/state");
        let shown = [
            target(None, &env(HOME)),
            target(None, &Environment { xdg_data_home: Some("/data".into()), ..env(HOME) }),
            target(Some(&settings(own, state)), &env(HOME)),
            target(Some(&settings(system, state)), &env(HOME)),
            target(Some(&settings(own, state)), &Environment::default()),
        ];
        insta::assert_snapshot!(shown.map(|path| path.display().to_string()).join("\n"), @r"
        /home/ann/.local/share/minuted/moonshine-tiny-en-0.0.73
        /data/minuted/moonshine-tiny-en-0.0.73
        /home/ann/.local/share/minuted/moonshine-tiny-en-0.0.73
        /nowhere/state/model/moonshine-tiny-en-0.0.73
        /nowhere/state/model/moonshine-tiny-en-0.0.73
        ");
        let nowhere = Places::of(None, &Environment::default())
            .target(Package::of("x86_64").expect("pinned"));
        assert!(matches!(nowhere, Err(InstallError::NoPlace)));
    }

    #[test]
    fn what_is_there_is_what_counts_the_state_directory_first() {
        let dir = tempfile::tempdir().expect("a directory");
        let (home, state) = (dir.path().join("home"), dir.path().join("state"));
        let package = Package::of("x86_64").expect("pinned");
        let settings = settings("/home/ann/.config/minuted/config.toml", &state);
        let places = Places::of(Some(&settings), &env(home.to_str().expect("UTF-8")));
        assert_eq!(places.dir_of(package), None);
        let system = Settings { file: "/etc/minuted/config.toml".into(), ..settings.clone() };
        let of_system = Places::of(Some(&system), &env(home.to_str().expect("UTF-8")));
        let mut all = places.all(package);
        assert_eq!(of_system.all(package), all[..1], "a service has no home");
        all.reverse();
        for dir in all {
            std::fs::create_dir_all(&dir).expect("made");
            assert_eq!(places.dir_of(package).as_ref(), Some(&dir));
            assert_eq!(places.target(package).expect("a place"), dir);
        }
    }
}

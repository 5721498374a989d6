//! The environment, read once: nothing else in minuted asks for a variable.

use std::{ffi::OsString, path::PathBuf, sync::OnceLock};

use super::secret_file::Secret;

/// Variables of the environment that minuted knows. An empty variable is as good as none, and so is
/// a relative directory, as the XDG base directory specification has it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// `$HOME`.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`.
    pub xdg_config_home: Option<PathBuf>,
    /// `$XDG_DATA_HOME`.
    pub xdg_data_home: Option<PathBuf>,
    /// `$XDG_STATE_HOME`.
    pub xdg_state_home: Option<PathBuf>,
    /// `$PATH`, where programs lie.
    pub path: Option<OsString>,
    /// `$CREDENTIALS_DIRECTORY`, where systemd puts a service's credentials.
    pub credentials_directory: Option<PathBuf>,
    /// `$MINUTED_CONFIG`, the config file.
    pub minuted_config: Option<PathBuf>,
    /// `$RUST_LOG`, a filter that wins over `log.level`.
    pub rust_log: Option<String>,
    /// `$MINUTED_DIE`: the effect at which a debug build dies; see [`crate::effect`].
    #[cfg(debug_assertions)]
    pub die: Option<String>,
    /// `$MINUTED_CLOCK`: the file by which a debug build sets its clock; see [`crate::clock`].
    #[cfg(debug_assertions)]
    pub clock: Option<PathBuf>,
    /// `$JOURNAL_STREAM`: systemd names the stream its journal reads.
    pub journal_stream: Option<String>,
    /// `$NO_COLOR` is set.
    pub no_color: bool,
    /// `$SUDO_UID`: the number of the user who typed `sudo`, where this process was started by it.
    pub sudo_uid: Option<u32>,
}

impl Environment {
    /// Returns the environment of this process, as it was when it was first asked for.
    pub fn get() -> &'static Self {
        static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
        ENVIRONMENT.get_or_init(|| Self::from_variables(variable))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let directory = |name: &str| set(name).map(PathBuf::from).filter(|path| path.is_absolute());
        Self {
            home: directory("HOME"),
            xdg_config_home: directory("XDG_CONFIG_HOME"),
            xdg_data_home: directory("XDG_DATA_HOME"),
            xdg_state_home: directory("XDG_STATE_HOME"),
            path: set("PATH"),
            credentials_directory: directory("CREDENTIALS_DIRECTORY"),
            minuted_config: set("MINUTED_CONFIG").map(PathBuf::from),
            rust_log: set("RUST_LOG").and_then(|filter| filter.into_string().ok()),
            #[cfg(debug_assertions)]
            die: set("MINUTED_DIE").and_then(|effect| effect.into_string().ok()),
            #[cfg(debug_assertions)]
            clock: set("MINUTED_CLOCK").map(PathBuf::from),
            journal_stream: set("JOURNAL_STREAM").and_then(|stream| stream.into_string().ok()),
            no_color: set("NO_COLOR").is_some(),
            sudo_uid: set("SUDO_UID").and_then(|uid| uid.to_str()?.parse().ok()),
        }
    }

    /// Returns a secret that lies in a variable of this process, as it is now; it is kept nowhere
    /// else.
    #[must_use]
    pub fn secret(name: &str) -> Option<Secret> {
        variable(name)?.into_string().ok().filter(|secret| !secret.is_empty()).map(Into::into)
    }

    /// Returns the directory of a person's config files: `$XDG_CONFIG_HOME`, else `~/.config`.
    pub(super) fn config_home(&self) -> Option<PathBuf> {
        self.xdg_config_home.clone().or_else(|| Some(self.home.as_ref()?.join(".config")))
    }

    /// Returns the directory of a person's data: `$XDG_DATA_HOME`, else `~/.local/share`.
    #[must_use]
    pub fn data_home(&self) -> Option<PathBuf> {
        self.xdg_data_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/share")))
    }

    /// Returns the directory of a person's state: `$XDG_STATE_HOME`, else `~/.local/state`.
    pub(super) fn state_home(&self) -> Option<PathBuf> {
        self.xdg_state_home.clone().or_else(|| Some(self.home.as_ref()?.join(".local/state")))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the door")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn whatever_the_environment_holds_a_directory_is_absolute_and_a_path_is_not_empty(
            values in prop::collection::vec(prop::option::of(prop::collection::vec(1_u8..=255, 0..12)), 9)
        ) {
            let names = ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "CREDENTIALS_DIRECTORY", "MINUTED_CONFIG",
                "RUST_LOG", "JOURNAL_STREAM", "NO_COLOR"];
            let value = |name: &str| values[names.iter().position(|known| *known == name)?].clone().map(OsString::from_vec);
            let env = Environment::from_variables(value);
            let directories = [&env.home, &env.xdg_config_home, &env.xdg_data_home, &env.xdg_state_home, &env.credentials_directory];
            for directory in directories.into_iter().flatten().chain(&env.config_home()).chain(&env.data_home()).chain(&env.state_home()) {
                prop_assert!(directory.is_absolute(), "{:?}", directory);
            }
            prop_assert!(env.minuted_config.is_none_or(|path| !path.as_os_str().is_empty()));
        }
    }

    #[test]
    fn empty_variables_and_relative_directories_are_as_good_as_none() {
        let env = Environment::from_variables(|name| match name {
            "HOME" => Some("/home/ann".into()),
            "XDG_CONFIG_HOME" => Some("relative".into()),
            "XDG_STATE_HOME" | "MINUTED_CONFIG" | "NO_COLOR" => Some(OsString::new()),
            _other => None,
        });
        assert_eq!(env, Environment { home: Some("/home/ann".into()), ..Environment::default() });
        assert_eq!(env.config_home(), Some("/home/ann/.config".into()));
        assert_eq!(env.data_home(), Some("/home/ann/.local/share".into()));
        assert_eq!(env.state_home(), Some("/home/ann/.local/state".into()));
    }
}

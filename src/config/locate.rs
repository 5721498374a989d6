//! Finding and reading the config file.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    document,
    environment::Environment,
    error::{ConfigError, FILE_BYTES_MAX},
    settings::Settings,
};

/// The config of a system service.
const SYSTEM: &str = "/etc/minuted/config.toml";

/// Returns the config file: `explicit`, else `$MINUTED_CONFIG`, else the person's own, else the
/// system's.
///
/// A file that was named is returned without a look at it: [`load`] reports if it is missing.
///
/// # Errors
/// [`ConfigError::NotFound`] when none was named and none is there.
pub(crate) fn locate(explicit: Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    locate_in(explicit, Environment::get(), Path::new(SYSTEM))
}

fn locate_in(
    explicit: Option<PathBuf>,
    env: &Environment,
    system: &Path,
) -> Result<PathBuf, ConfigError> {
    if let Some(named) = explicit.or_else(|| env.minuted_config.clone()) {
        return Ok(named);
    }
    let places: Vec<PathBuf> = own_file(env).into_iter().chain([system.to_owned()]).collect();
    match places.iter().find(|place| place.exists()) {
        Some(found) => Ok(found.clone()),
        None => Err(ConfigError::NotFound { places }),
    }
}

/// Returns the config file of a system service.
pub(crate) fn system_file() -> &'static Path {
    Path::new(SYSTEM)
}

/// Returns a person's own config file; `None` without a home.
pub(crate) fn own_file(env: &Environment) -> Option<PathBuf> {
    env.config_home().map(|home| home.join("minuted/config.toml"))
}

/// Reads and checks a config file.
///
/// # Errors
/// When it cannot be read, or has mistakes: then all of them are in the error.
pub(crate) fn load(file: &Path) -> Result<Settings, ConfigError> {
    load_with_text(file).map(|(settings, _)| settings)
}

/// Reads and checks a config file; returns its text as well.
///
/// # Errors
/// As [`load`].
pub(crate) fn load_with_text(file: &Path) -> Result<(Settings, String), ConfigError> {
    let file = std::path::absolute(file).map_err(|source| classify_io_error(file, source))?;
    let text = read_text(&file)?;
    Ok((parse(&text, &file, Environment::get())?, text))
}

/// Checks the text of a config file. `file` is where it lies: relative secrets and the default
/// state directory depend on it.
///
/// # Errors
/// [`ConfigError::Invalid`] with all mistakes of the text.
pub(crate) fn parse(text: &str, file: &Path, env: &Environment) -> Result<Settings, ConfigError> {
    document::read_document(text, file, env).map_err(|report| ConfigError::Invalid { report })
}

fn read_text(file: &Path) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    let opened = File::open(file).map_err(|source| classify_io_error(file, source))?;
    opened
        .take(FILE_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| classify_io_error(file, source))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_BYTES_MAX) {
        return Err(ConfigError::TooLarge { file: file.to_owned() });
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.split(|byte| *byte == b'\n').count();
        ConfigError::NotUtf8 { file: file.to_owned(), line }
    })
}

fn classify_io_error(file: &Path, source: io::Error) -> ConfigError {
    let file = file.to_owned();
    if source.kind() == io::ErrorKind::NotFound {
        ConfigError::Missing { file }
    } else {
        ConfigError::Unreadable { file, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(home: &Path) -> Environment {
        Environment { home: Some(home.to_owned()), ..Environment::default() }
    }

    #[test]
    fn the_file_that_is_named_wins_then_the_variable_then_the_persons_then_the_systems() {
        let home = tempfile::tempdir().expect("a directory");
        let (own, system) =
            (home.path().join(".config/minuted/config.toml"), home.path().join("etc.toml"));
        let mut env = env(home.path());
        std::fs::write(&system, "").expect("written");
        assert_eq!(locate_in(None, &env, &system).expect("found"), system);
        std::fs::create_dir_all(own.parent().expect("a parent")).expect("made");
        std::fs::write(&own, "").expect("written");
        assert_eq!(locate_in(None, &env, &system).expect("found"), own);
        env.minuted_config = Some("/variable".into());
        assert_eq!(locate_in(None, &env, &system).expect("named"), Path::new("/variable"));
        assert_eq!(
            locate_in(Some("named".into()), &env, &system).expect("named"),
            Path::new("named")
        );
    }

    #[test]
    fn a_config_that_is_nowhere_names_all_places_and_the_way_out() {
        let error = locate_in(None, &env(Path::new("/nowhere")), Path::new("/nowhere/etc.toml"))
            .expect_err("none");
        insta::assert_snapshot!(error.render(false), @r"
        no configuration; looked for `/nowhere/.config/minuted/config.toml`, `/nowhere/etc.toml`
        hint: run `minuted init`, on a server `sudo minuted init`, or name a file with --config FILE
        ");
        let missing = |file: &str| ConfigError::Missing { file: file.into() }.render(false);
        insta::assert_snapshot!([missing(SYSTEM), missing("/srv/a b.toml")].join("\n"), @r"
        no configuration at `/etc/minuted/config.toml`
        hint: run `sudo minuted init`, or name another file with --config FILE
        no configuration at `/srv/a b.toml`
        hint: run `minuted --config '/srv/a b.toml' init`, or name another file with --config FILE
        ");
    }

    #[test]
    fn what_cannot_be_a_config_file_says_why() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            load(&path).expect_err(name)
        };
        assert!(matches!(load(&dir.path().join("missing")), Err(ConfigError::Missing { .. })));
        assert!(matches!(load(dir.path()), Err(ConfigError::Unreadable { .. })));
        assert!(matches!(
            write("bytes", b"a = 1\nb = \"\xff\"\n"),
            ConfigError::NotUtf8 { line: 2, .. }
        ));
        assert!(matches!(write("large", &vec![b'#'; (1 << 20) + 1]), ConfigError::TooLarge { .. }));
        assert!(matches!(write("other", b"x = 1"), ConfigError::Invalid { .. }));
    }
}

//! The installed models of whisper: files that `minuted engine install FILE` has copied, each under
//! its name and a hash of its content.

use std::{
    fs::{self, DirBuilder, File, Permissions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{
    NotWeights, Weights, look,
    processor::{UnsupportedProcessor, check_processor},
};
use crate::{config::WhisperModel, effect::Effect, engine::model::Places, text::ShellCommand};

/// The extension of a model.
const EXTENSION: &str = "bin";

/// Hex digits of the hash in a file's name.
const HASH_DIGITS: usize = 16;

/// Bytes of a model at most: the largest, large-v3, has 3.1 GB.
const SIZE_MAX: u64 = 16 << 30;

/// Bytes that are copied at once.
const BLOCK: usize = 1 << 20;

/// A model that is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstalledModel {
    /// Its name, such as `base`.
    pub name: String,
    /// Its file and its languages.
    pub weights: Weights,
}

/// An error of the installation of a model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WhisperInstallError {
    /// The file is no model.
    #[error("`{path}` cannot be used: {reason}")]
    NotAModel {
        /// The file.
        path: String,
        /// The reason.
        reason: NotWeights,
    },
    /// The file's name holds no letter or digit that a model could be named by.
    #[error("`{path}` has no name that a model could have")]
    NoName {
        /// The file.
        path: String,
    },
    /// There is neither a home nor a configuration.
    #[error("there is no directory for models: `HOME` is not set, and there is no configuration")]
    NoPlace,
    /// The file system failed.
    #[error("cannot store the model in `{dir}`: {reason}")]
    Io {
        /// The directory.
        dir: String,
        /// The error of the file system.
        reason: io::Error,
    },
}

/// The reason that whisper has no model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWhisperModel {
    /// None would run on this machine.
    #[error(transparent)]
    Processor(#[from] UnsupportedProcessor),
    /// None of many languages is installed.
    #[error("no model of whisper is installed")]
    NoneInstalled,
    /// The one that is named is not installed.
    #[error("no model `{name}` of whisper is installed")]
    NotInstalled {
        /// Its name.
        name: String,
    },
    /// The file that is named cannot be used.
    #[error("the model of whisper, `{path}`, cannot be used: {reason}")]
    Unusable {
        /// The file.
        path: String,
        /// The reason.
        reason: NotWeights,
    },
}

impl NoWhisperModel {
    /// Returns the cure.
    #[must_use]
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Processor(_) => UnsupportedProcessor::HINT.to_owned(),
            Self::NoneInstalled => {
                "fetch a model, such as ggml-base.bin, and minuted engine install FILE".to_owned()
            }
            Self::NotInstalled { name } => {
                let install = ShellCommand::new("minuted engine install")
                    .add_word(format!("ggml-{name}.bin"));
                format!("fetch that model, and {}", String::from(install))
            }
            Self::Unusable { .. } => {
                "write the path of a ggml file of whisper.cpp to `model`".to_owned()
            }
        }
    }
}

/// Returns the model that the config names; without a name the largest installed one of many languages.
///
/// # Errors
/// [`NoWhisperModel`].
pub(crate) fn choose_model(
    places: &Places,
    model: Option<&WhisperModel>,
) -> Result<Weights, NoWhisperModel> {
    check_processor()?;
    match model {
        None => {
            let found = find_multilingual(places);
            found.map(|model| model.weights).ok_or(NoWhisperModel::NoneInstalled)
        }
        Some(WhisperModel::Installed(name)) => {
            let found = find_model(places, name);
            found
                .map(|model| model.weights)
                .ok_or_else(|| NoWhisperModel::NotInstalled { name: name.clone() })
        }
        Some(WhisperModel::File(path)) => look(path).map_err(|reason| NoWhisperModel::Unusable {
            path: crate::text::printable_path(path),
            reason,
        }),
    }
}

/// Returns the installed models, by name. A directory that cannot be read has none.
pub(crate) fn list_models(places: &Places) -> Vec<InstalledModel> {
    let mut models = places.whisper_dir().map(|dir| list_in(&dir)).unwrap_or_default();
    models.sort_by(|a, b| a.name.cmp(&b.name));
    models
}

/// Returns the installed model of this name.
pub(crate) fn find_model(places: &Places, name: &str) -> Option<InstalledModel> {
    list_models(places).into_iter().find(|model| model.name == name)
}

/// Returns the largest installed model that knows other languages than English.
pub(crate) fn find_multilingual(places: &Places) -> Option<InstalledModel> {
    let models = list_models(places).into_iter().filter(|model| model.weights.is_multilingual);
    models.max_by_key(|model| model.weights.size)
}

fn list_in(dir: &Path) -> Vec<InstalledModel> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let path = entry.path();
            let name = installed_name(&path)?;
            Some(InstalledModel { name, weights: look(&path).ok()? })
        })
        .collect()
}

/// Returns the name of the model in a file `NAME-HASH.bin`; `None` for another file.
fn installed_name(path: &Path) -> Option<String> {
    let stem = path.file_name()?.to_str()?.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    let (name, hash) = stem.rsplit_once('-')?;
    let is_hash = hash.len() == HASH_DIGITS && hash.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_hash && !name.is_empty()).then(|| name.to_owned())
}

/// Returns the name of a model by its file: `base` for `ggml-base.bin`.
fn model_name(path: &Path) -> Option<String> {
    let stem = path.file_stem()?.to_str()?.to_lowercase();
    let stem = stem.strip_prefix("ggml-").unwrap_or(&stem);
    let is_fit = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '_' | '-');
    let name: String = stem.chars().filter(|letter| is_fit(*letter)).collect();
    let name = name.trim_matches(['.', '-', '_']).to_owned();
    (!name.is_empty()).then_some(name)
}

/// Copies the model in `file`, and removes another one of its name. Nobody sees half of it.
///
/// # Errors
/// [`WhisperInstallError`]; nothing is changed then.
pub(crate) fn install_model(
    places: &Places,
    file: &Path,
) -> Result<InstalledModel, WhisperInstallError> {
    let shown = || crate::text::printable_path(file);
    let not_a_model = |reason| WhisperInstallError::NotAModel { path: shown(), reason };
    let weights = look(file).map_err(not_a_model)?;
    if weights.size > SIZE_MAX {
        return Err(not_a_model(NotWeights::NoGgml));
    }
    let name = model_name(file).ok_or_else(|| WhisperInstallError::NoName { path: shown() })?;
    let dir = places.whisper_target().ok_or(WhisperInstallError::NoPlace)?;
    let stored = store_file(&dir, &name, file).map_err(|reason| WhisperInstallError::Io {
        dir: crate::text::printable_path(&dir),
        reason,
    })?;
    let weights = look(&stored).map_err(not_a_model)?;
    Ok(InstalledModel { name, weights })
}

fn store_file(dir: &Path, name: &str, file: &Path) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o755).create(dir)?;
    // It goes with the process, unless it gets its name.
    let mut temporary = tempfile::Builder::new().prefix(".").suffix(".part").tempfile_in(dir)?;
    let hash = copy_hashed(file, temporary.as_file_mut())?;
    temporary.as_file().set_permissions(Permissions::from_mode(0o644))?;
    temporary.as_file().sync_all()?;
    let stored = dir.join(format!("{name}-{}.{EXTENSION}", &hash[..HASH_DIGITS]));
    // The same content in a new file would be another model to those who know it by its time.
    if look(&stored).is_err() {
        Effect::PlaceWhisperModel
            .during(|| temporary.persist(&stored).map_err(|error| error.error))?;
        File::open(dir)?.sync_all()?;
    }
    let others =
        list_in(dir).into_iter().filter(|model| model.name == name && model.weights.path != stored);
    for other in others {
        Effect::RetireWhisperModel.during(|| fs::remove_file(&other.weights.path))?;
    }
    Ok(stored)
}

/// Copies a file; returns the BLAKE3 of its content.
fn copy_hashed(from: &Path, to: &mut File) -> io::Result<String> {
    let mut source = File::open(from)?;
    let mut hasher = blake3::Hasher::new();
    let mut block = vec![0; BLOCK];
    loop {
        let read = source.read(&mut block)?;
        if read == 0 {
            return Ok(hasher.finalize().to_hex().to_string());
        }
        hasher.update(&block[..read]);
        to.write_all(&block[..read])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Environment, engine::whisper::testing::empty_model};

    fn places(home: &Path) -> Places {
        Places::of(None, &Environment { home: Some(home.to_owned()), ..Environment::default() })
    }

    #[test]
    fn a_model_is_stored_under_its_name_and_hash_and_found_by_its_name() {
        let home = tempfile::tempdir().expect("a directory");
        let places = places(home.path());
        let file = home.path().join("ggml-base.bin");
        fs::write(&file, empty_model(51_865)).expect("written");
        let installed = install_model(&places, &file).expect("installed");
        assert_eq!(installed.name, "base");
        assert_eq!(find_model(&places, "base"), Some(installed.clone()));
        assert_eq!(find_model(&places, "tiny"), None);
        assert_eq!(install_model(&places, &file).expect("installed again"), installed);
        assert_eq!(fs::read(&installed.weights.path).expect("read"), empty_model(51_865));
    }

    #[test]
    fn another_model_of_the_same_name_replaces_the_first_and_the_largest_of_many_languages_is_taken()
     {
        let home = tempfile::tempdir().expect("a directory");
        let places = places(home.path());
        assert_eq!(find_multilingual(&places), None);
        let file = home.path().join("ggml-base.bin");
        for more in [0, 7] {
            let mut bytes = empty_model(51_865);
            bytes.resize(bytes.len() + more, 0);
            fs::write(&file, bytes).expect("written");
            install_model(&places, &file).expect("installed");
            assert_eq!(list_models(&places).len(), 1);
        }
        let english = home.path().join("ggml-large.en.bin");
        let mut bytes = empty_model(51_864);
        bytes.resize(bytes.len() + 100, 0);
        fs::write(&english, bytes).expect("written");
        install_model(&places, &english).expect("installed");
        let names: Vec<String> = list_models(&places).into_iter().map(|model| model.name).collect();
        assert_eq!(names, ["base", "large.en"]);
        assert_eq!(find_multilingual(&places).expect("one").name, "base");
    }

    #[test]
    fn what_is_no_model_is_refused_and_leaves_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let places = places(home.path());
        let file = home.path().join("ggml-base.bin");
        fs::write(&file, b"PK\x03\x04 is a wheel").expect("written");
        let refused = install_model(&places, &file).expect_err("no model").to_string();
        assert!(refused.ends_with("it is not a ggml file of whisper.cpp"), "{refused}");
        let hidden = home.path().join("....bin");
        fs::write(&hidden, empty_model(51_865)).expect("written");
        assert!(matches!(install_model(&places, &hidden), Err(WhisperInstallError::NoName { .. })));
        assert!(list_models(&places).is_empty() && places.whisper_dir().is_none());
    }

    #[test]
    fn names_are_those_of_the_files_without_what_all_have() {
        for (file, name) in [
            ("ggml-large-v3-turbo-q5_0.bin", Some("large-v3-turbo-q5_0")),
            ("/srv/tiny.en.bin", Some("tiny.en")),
            ("GGML-Small.bin", Some("small")),
            ("ggml-.bin", None),
        ] {
            assert_eq!(model_name(Path::new(file)).as_deref(), name, "{file}");
        }
    }
}

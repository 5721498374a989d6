//! whisper.cpp: other languages, in a build that has it.
//!
//! A person brings the model, a ggml file; here it is looked at before native code reads it.
//! `installed` keeps those that `minuted engine install FILE` has copied, and `processor` knows whether whisper.cpp runs on
//! this machine. With the Cargo feature `whisper` alone, `native` loads a model and turns sound into words, and `windows`
//! hands them back to the pieces that were recognised together.

pub(crate) mod installed;
#[cfg(feature = "whisper")]
pub(super) mod native;
pub(crate) mod processor;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
#[cfg(test)]
mod testing;
#[cfg(feature = "whisper")]
mod windows;

use std::{
    fs::{File, Metadata},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use rustix::fs::{Mode, OFlags};

use crate::text::printable_path;

/// The first bytes of a ggml file of whisper.cpp ("ggml", as a number of the machine).
const MAGIC: u32 = 0x6767_6d6c;

/// Bytes of the head of a model: the magic, and the numbers that `whisper_model_load` reads behind
/// it, 11 of 32 bits.
const HEAD: usize = 4 * (1 + 11);

/// Tokens of a model that knows more than English, at least (`whisper_vocab::is_multilingual`).
const TOKENS_OF_MANY: i32 = 51_865;

/// Bounds of the numbers: tokens, and the width of sound and of text. The largest model has 51,866
/// and 1,280.
const TOKENS: std::ops::RangeInclusive<i32> = 1..=200_000;
const WIDTH: std::ops::RangeInclusive<i32> = 1..=8_192;

/// A model that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Weights {
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
    /// True when it knows more than English.
    pub is_multilingual: bool,
    /// The identity of the model: a hash of its name, size and mtime, for the content of a gigabyte
    /// is not read for that.
    pub hash: String,
}

/// The reason that a file is no model.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotWeights {
    /// The file is missing, or may not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The path is a directory, a pipe, or something else.
    #[error("it is not a file")]
    NoFile,
    /// The file is of another kind.
    #[error("it is not a ggml file of whisper.cpp")]
    NoGgml,
}

/// Returns whether a file begins as a model of whisper.cpp does.
pub(crate) fn is_ggml(path: &Path) -> bool {
    let mut magic = [0; 4];
    let read = open_model(path).and_then(|mut file| file.read_exact(&mut magic));
    read.is_ok() && magic == MAGIC.to_le_bytes()
}

fn open_model(path: &Path) -> io::Result<File> {
    // A pipe would be waited for.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Looks at the first bytes of the model at `path`.
///
/// # Errors
/// [`NotWeights`].
pub(crate) fn look(path: &Path) -> Result<Weights, NotWeights> {
    let mut file = open_model(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(NotWeights::NoFile);
    }
    let mut bytes = [0; HEAD];
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(NotWeights::NoGgml);
        }
        read => read?,
    }
    let head = read_head(&bytes).ok_or(NotWeights::NoGgml)?;
    Ok(Weights {
        path: path.to_owned(),
        size: metadata.len(),
        is_multilingual: head.tokens >= TOKENS_OF_MANY,
        hash: hash_file(path, &metadata),
    })
}

/// The head of a model, as far as it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ModelHead {
    /// Its tokens.
    tokens: i32,
    /// The width of sound, and of text.
    sound: i32,
    text: i32,
}

/// Reads the head of a model; `None` of another file.
fn read_head(bytes: &[u8]) -> Option<ModelHead> {
    let (magic, numbers) = bytes.get(..HEAD)?.split_first_chunk()?;
    let number = |at: usize| Some(i32::from_le_bytes(*numbers[at * 4..].first_chunk()?));
    let head = ModelHead { tokens: number(0)?, sound: number(2)?, text: number(6)? };
    let is_plausible =
        TOKENS.contains(&head.tokens) && WIDTH.contains(&head.sound) && WIDTH.contains(&head.text);
    (*magic == MAGIC.to_le_bytes() && is_plausible).then_some(head)
}

fn hash_file(path: &Path, metadata: &Metadata) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    for number in
        [metadata.len(), metadata.mtime().cast_unsigned(), metadata.mtime_nsec().cast_unsigned()]
    {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().to_hex()[..32].to_owned()
}

impl Weights {
    /// Returns MiB of memory that a child with this model may ask for. The weights lie in memory
    /// whole, and working on them takes about as much again where they are small (measured: 324 MB
    /// with 75, 442 MB with 148).
    #[must_use]
    pub(crate) fn memory_mib(&self) -> u64 {
        const BESIDES: u64 = 1024;
        BESIDES.saturating_add(self.size / 1024 / 1024 / 2 * 3)
    }

    /// Returns the languages that it knows, for a person.
    #[must_use]
    pub(crate) fn languages(&self) -> &'static str {
        if self.is_multilingual { "99 languages" } else { "English" }
    }

    /// Fails, with the reason, when the model does not know the language.
    ///
    /// # Errors
    /// The message for a person.
    pub(crate) fn understands(&self, language: Option<&str>) -> Result<(), String> {
        match language.filter(|language| !self.is_multilingual && *language != "en") {
            Some(language) => Err(format!(
                "the model `{}` knows English alone, not `{language}`: name one of many languages, without `.en`",
                printable_path(&self.path)
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn model(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join(name);
        fs::write(&path, bytes).expect("written");
        (dir, path)
    }

    #[test]
    fn a_model_says_how_large_it_is_and_whether_it_knows_more_than_english() {
        let (_dir, path) = model("ggml-tiny.bin", &testing::empty_model(51_865));
        let many = look(&path).expect("a model");
        assert!(many.is_multilingual && many.size > 64_000 && many.memory_mib() >= 1024);
        assert_eq!((many.understands(Some("de")), many.understands(None)), (Ok(()), Ok(())));
        fs::write(&path, testing::empty_model(51_864)).expect("written");
        let english = look(&path).expect("a model");
        assert!(!english.is_multilingual && english.hash.len() == 32);
        assert_eq!((english.understands(Some("en")), english.understands(None)), (Ok(()), Ok(())));
        assert!(
            english
                .understands(Some("de"))
                .expect_err("it does not")
                .contains("knows English alone, not `de`")
        );
    }

    #[test]
    fn a_model_that_was_replaced_is_another_one() {
        let (dir, path) = model("ggml-tiny.bin", &testing::empty_model(51_865));
        let first = look(&path).expect("a model").hash;
        assert_eq!(look(&path).expect("a model").hash, first);
        let later = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        File::options()
            .write(true)
            .open(&path)
            .and_then(|file| file.set_modified(later))
            .expect("touched");
        let second = look(&path).expect("a model").hash;
        let other = dir.path().join("other.bin");
        fs::rename(&path, &other).expect("renamed");
        assert!(first != second && second != look(&other).expect("a model").hash);
    }

    #[test]
    fn what_is_no_model_is_not_handed_to_native_code() {
        let whole = testing::empty_model(51_865);
        let mut wide = whole.clone();
        wide[12..16].copy_from_slice(&i32::MAX.to_le_bytes());
        for bytes in [&b"GGUF"[..], b"", &whole[..20], &[0; 100], &wide] {
            let (_dir, path) = model("model.bin", bytes);
            assert!(matches!(look(&path), Err(NotWeights::NoGgml)), "{bytes:?}");
        }
        let (dir, _path) = model("model.bin", b"");
        assert!(matches!(look(dir.path()), Err(NotWeights::NoFile)));
        assert!(matches!(look(&dir.path().join("gone")), Err(NotWeights::Io(_))));
    }
}

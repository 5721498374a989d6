//! A secret of minuted's own in the state directory: 256 random bits, as one line that only the owner can read.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::{drafts, effect::Effect};

/// Bytes of a secret: 256 bits.
pub(super) const SECRET_BYTES: usize = 32;

/// Bytes of the file that are read.
const FILE_BYTES_MAX: u64 = 256;

/// The file of a secret.
#[derive(Debug)]
pub(super) struct SecretFile {
    state_dir: PathBuf,
    name: &'static str,
    /// The command that makes another.
    cure: &'static str,
}

impl SecretFile {
    pub(super) fn new(state_dir: &Path, name: &'static str, cure: &'static str) -> Self {
        Self { state_dir: state_dir.to_owned(), name, cure }
    }

    /// Returns the secret, which is made where there is none.
    pub(super) fn read_or_make(&self) -> io::Result<[u8; SECRET_BYTES]> {
        match self.read() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make(),
            done => done,
        }
    }

    /// Returns the secret.
    ///
    /// # Errors
    /// Of the kind [`io::ErrorKind::NotFound`] where there is none.
    pub(super) fn read(&self) -> io::Result<[u8; SECRET_BYTES]> {
        let file = File::open(self.state_dir.join(self.name))?;
        let text = io::read_to_string(io::Read::take(file, FILE_BYTES_MAX))?;
        let broken = || {
            let what = format!("`{}` is broken: {} makes another", self.name, self.cure);
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        let bytes = URL_SAFE_NO_PAD.decode(text.trim()).map_err(|_| broken())?;
        bytes.try_into().map_err(|_| broken())
    }

    /// Makes a new secret in the place of the one that is there.
    pub(super) fn make(&self) -> io::Result<[u8; SECRET_BYTES]> {
        let secret = random_bytes()?;
        self.remove_drafts()?;
        let mut draft = drafts::create_draft(&self.state_dir, &self.draft_prefix())?;
        writeln!(draft, "{}", as_text(&secret))?;
        draft.as_file().sync_all()?;
        Effect::SaveSecret.during(|| {
            draft.persist(self.state_dir.join(self.name)).map_err(|error| error.error)?;
            File::open(&self.state_dir)?.sync_all()
        })?;
        Ok(secret)
    }

    /// Removes what a crash has left.
    fn remove_drafts(&self) -> io::Result<()> {
        let abandoned = drafts::list_abandoned(&self.state_dir, &self.draft_prefix())?;
        abandoned.iter().try_for_each(|name| std::fs::remove_file(self.state_dir.join(name)))
    }

    fn draft_prefix(&self) -> String {
        format!(".{}-", self.name)
    }
}

/// Returns a secret as the text that stands in its file.
pub(super) fn as_text(secret: &[u8; SECRET_BYTES]) -> String {
    URL_SAFE_NO_PAD.encode(secret)
}

/// Returns a new secret that stands in no file.
pub(super) fn random_text() -> io::Result<String> {
    Ok(as_text(&random_bytes()?))
}

fn random_bytes() -> io::Result<[u8; SECRET_BYTES]> {
    let mut bytes = [0; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes)
}

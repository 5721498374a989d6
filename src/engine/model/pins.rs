//! The pinned files of an installation, to the byte.
//!
//! The package is `moonshine-voice` 0.0.73 of the Python package index, MIT, by Moonshine AI; later
//! versions carry no weights. The numbers below are those of its two wheels for Linux, as
//! `pip download` gave them (`--platform manylinux_2_34_x86_64`, `--platform manylinux_2_31_aarch64`)
//! on 2026-11-22; the weights in both are the same bytes. A new version is a new set of numbers here,
//! and nothing else.

use std::{
    fmt,
    io::{self, Read},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};

use super::InstallError;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha256([u8; 32]);

impl Sha256 {
    /// Returns the hash that 64 lower-case hexadecimal digits say.
    ///
    /// # Panics
    /// When they are not that: a pin is checked when minuted is compiled.
    #[must_use]
    pub const fn from_hex(hex: &str) -> Self {
        let hex = hex.as_bytes();
        assert!(hex.len() == 64, "64 digits");
        let mut bytes = [0; 32];
        let mut at = 0;
        while at < 32 {
            bytes[at] = hex_digit(hex[2 * at]) << 4 | hex_digit(hex[2 * at + 1]);
            at += 1;
        }
        Self(bytes)
    }

    /// Returns the hash of the rest of a reader, and its length in bytes.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_reader(reader: impl Read) -> io::Result<(Self, u64)> {
        copy_hashed(reader, &mut io::sink())
    }
}

const fn hex_digit(character: u8) -> u8 {
    match character {
        b'0'..=b'9' => character - b'0',
        b'a'..=b'f' => character - b'a' + 10,
        _ => panic!("a lower-case hexadecimal digit"),
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Copies all that is left to read, and returns its hash and its length in bytes.
pub(super) fn copy_hashed(
    mut reader: impl Read,
    writer: &mut impl io::Write,
) -> io::Result<(Sha256, u64)> {
    /// Bytes at once: enough to keep the disk busy.
    const CHUNK: usize = 64 << 10;
    let mut context = Context::new(&SHA256);
    let mut length = 0_u64;
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = match reader.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        writer.write_all(&chunk[..read])?;
        context.update(&chunk[..read]);
        length = length.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
    let hash = context.finish();
    Ok((Sha256(hash.as_ref().try_into().expect("SHA-256 has 32 bytes")), length))
}

/// One file that is taken from the wheel: an entry of it, or a range of bytes in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinnedFile {
    /// The name of its entry in the wheel.
    pub entry: &'static str,
    /// The first of its bytes in the entry; `None` for a file that is the whole entry.
    pub offset: Option<u64>,
    /// Its name once installed: one component.
    pub name: &'static str,
    /// Bytes.
    pub size: u64,
    /// Its hash.
    pub sha256: Sha256,
    /// Its licence, with the name of the work where it is not the package's own.
    pub licence: &'static str,
}

impl PinnedFile {
    /// Returns whether a regular file of this name and size lies in `dir`.
    #[must_use]
    pub fn is_there(&self, dir: &Path) -> bool {
        dir.join(self.name)
            .symlink_metadata()
            .is_ok_and(|found| found.is_file() && found.len() == self.size)
    }
}

/// One version of the model and its runtime, for one kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Package {
    /// The name of the model.
    pub model: &'static str,
    /// The name of its project in the Python package index.
    pub project: &'static str,
    /// The version of both.
    pub version: &'static str,
    /// The machine, in the words of `uname -m`.
    pub arch: &'static str,
    /// The machine, in the words of pip; it names the oldest glibc.
    pub platform: &'static str,
    /// The name and version of the runtime.
    pub runtime_version: &'static str,
    /// The size of the wheel in bytes.
    pub wheel_size: u64,
    /// The hash of the wheel.
    pub wheel_sha256: Sha256,
    /// See [`super::Model::encoder`].
    pub encoder: PinnedFile,
    /// See [`super::Model::decoder`].
    pub decoder: PinnedFile,
    /// See [`super::Model::tokenizer`].
    pub tokenizer: PinnedFile,
    /// See [`super::Model::runtime`].
    pub runtime: PinnedFile,
    /// The licence of these four.
    pub licence: PinnedFile,
    /// See [`super::VoiceModels::segmentation`].
    pub segmentation: PinnedFile,
    /// See [`super::VoiceModels::embedding`].
    pub embedding: PinnedFile,
}

impl Package {
    /// Returns the package for the machine that minuted was built for.
    ///
    /// # Errors
    /// [`InstallError::Unsupported`] when there is none.
    pub fn here() -> Result<&'static Self, InstallError> {
        let found = Self::of(std::env::consts::ARCH)
            .filter(|_| cfg!(all(target_os = "linux", target_env = "gnu")));
        found.ok_or(InstallError::Unsupported { arch: std::env::consts::ARCH })
    }

    /// Returns the package for a kind of machine.
    #[must_use]
    pub fn of(arch: &str) -> Option<&'static Self> {
        [&X86_64, &AARCH64].into_iter().find(|package| package.arch == arch)
    }

    /// Returns the name of the directory of an installation.
    #[must_use]
    pub fn dir_name(&self) -> String {
        format!("{}-{}", self.model, self.version)
    }

    /// Returns all files of an installation.
    #[must_use]
    pub fn files(&self) -> [&PinnedFile; 7] {
        let [encoder, decoder, tokenizer, runtime, licence] = self.recogniser_files();
        let [segmentation, embedding] = self.voice_files();
        [encoder, decoder, tokenizer, runtime, licence, segmentation, embedding]
    }

    /// Returns the files without which nothing is transcribed.
    #[must_use]
    pub fn recogniser_files(&self) -> [&PinnedFile; 5] {
        [&self.encoder, &self.decoder, &self.tokenizer, &self.runtime, &self.licence]
    }

    /// Returns the files without which transcripts have no speakers. Installations of earlier
    /// versions of minuted lack them.
    #[must_use]
    pub fn voice_files(&self) -> [&PinnedFile; 2] {
        [&self.segmentation, &self.embedding]
    }

    /// Returns the bytes of an installation.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files().iter().map(|pinned| pinned.size).sum()
    }
}

/// The licence of the package, the recogniser and the runtime.
const MIT: &str = "MIT";

/// The entry of the wheel that holds the models of voices as ranges of its bytes. It is a library,
/// which is neither kept nor loaded.
const LIBRARY: &str = "moonshine_voice/libmoonshine.so";

const X86_64: Package = Package {
    model: "moonshine-tiny-en",
    project: "moonshine-voice",
    version: "0.0.73",
    arch: "x86_64",
    platform: "manylinux_2_34_x86_64",
    runtime_version: "ONNX Runtime 1.23.2",
    wheel_size: 56_320_672,
    wheel_sha256: Sha256::from_hex(
        "6461c8097ed78d054c46b4c821143008a07b5fa1f4169674493ccfa06c1407db",
    ),
    encoder: PinnedFile {
        entry: "moonshine_voice/assets/tiny-en/encoder_model.ort",
        offset: None,
        name: "encoder_model.ort",
        size: 13_281_600,
        sha256: Sha256::from_hex(
            "94e90a4654fc45cdfedb77c4c08e1739f48862998e58fada384b25118134f221",
        ),
        licence: MIT,
    },
    decoder: PinnedFile {
        entry: "moonshine_voice/assets/tiny-en/decoder_model_merged.ort",
        offset: None,
        name: "decoder_model_merged.ort",
        size: 30_412_256,
        sha256: Sha256::from_hex(
            "cf524c4862d36e9e5ab032eddc73637efd822d70e868ac575cf1a46e1e4708a0",
        ),
        licence: MIT,
    },
    tokenizer: PinnedFile {
        entry: "moonshine_voice/assets/tiny-en/tokenizer.bin",
        offset: None,
        name: "tokenizer.bin",
        size: 249_974,
        sha256: Sha256::from_hex(
            "6884b35fd6377d4c4d32336a0bc152f36b64d1e45b6503683cdc238250a8472d",
        ),
        licence: MIT,
    },
    runtime: PinnedFile {
        entry: "moonshine_voice.libs/libonnxruntime-13ab8084.so.1",
        offset: None,
        name: "libonnxruntime.so.1",
        size: 22_346_464,
        sha256: Sha256::from_hex(
            "c0995ae1102b871426e7bddf625451d6c19f12d0b6d79786218cbb77c2de865c",
        ),
        licence: MIT,
    },
    licence: PinnedFile {
        entry: "moonshine_voice-0.0.73.dist-info/licenses/LICENSE",
        offset: None,
        name: "LICENSE",
        size: 1_070,
        sha256: Sha256::from_hex(
            "5da20e09cad096fb153b6c80b26c270027f9601285c498e571fc74fee5ab7157",
        ),
        licence: MIT,
    },
    segmentation: PinnedFile {
        entry: LIBRARY,
        offset: Some(10_766_656),
        name: "segmentation.ort",
        size: 1_594_080,
        sha256: Sha256::from_hex(
            "9715e3996ef181252aa1cc0c9398060f42b2c984c2fb65e3604262555e2efb1a",
        ),
        licence: "CC BY 4.0, pyannote community-1",
    },
    embedding: PinnedFile {
        entry: LIBRARY,
        offset: Some(12_360_768),
        name: "embedding.ort",
        size: 6_975_920,
        sha256: Sha256::from_hex(
            "6e4af7d49562e6e7042672e444d6394935cb2c23c3a7dd4919da45922b91735b",
        ),
        licence: "CC BY 4.0, WeSpeaker",
    },
};

const AARCH64: Package = Package {
    arch: "aarch64",
    platform: "manylinux_2_31_aarch64",
    wheel_size: 55_048_900,
    wheel_sha256: Sha256::from_hex(
        "d01e1343bfeb436a59f7d8562566d4b2f2a526297328d776a13d1544887aec61",
    ),
    runtime: PinnedFile {
        entry: "moonshine_voice.libs/libonnxruntime-ab8c4363.so.1",
        offset: None,
        name: "libonnxruntime.so.1",
        size: 18_762_288,
        sha256: Sha256::from_hex(
            "2723a421531e984cf053ead965b8ea00c88a0353dce17b622bc82e752ef6752f",
        ),
        licence: MIT,
    },
    segmentation: PinnedFile { offset: Some(10_390_400), ..X86_64.segmentation },
    embedding: PinnedFile { offset: Some(11_984_512), ..X86_64.embedding },
    ..X86_64
};

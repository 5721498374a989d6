//! A package small enough to be made in a test: a wheel like the real one, and the pins of what is
//! in it.

use std::{
    fs::File,
    io::Write as _,
    path::{Path, PathBuf},
};

use zip::write::SimpleFileOptions;

use super::{Package, PinnedFile, Sha256};

/// Writes a wheel into `dir`; returns it and its package. Different `salt`, different content.
pub(super) fn package_of(dir: &Path, salt: &str) -> (Package, PathBuf) {
    let path = dir.join(format!("small-{salt}.whl"));
    let mut package = *Package::of("x86_64").expect("pinned");
    let mut wheel = zip::ZipWriter::new(File::create(&path).expect("made"));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    wheel.start_file("moonshine_voice/__init__.py", options).expect("begun");
    wheel.write_all(b"raise SystemExit('never run')").expect("written");
    let files = [
        &mut package.encoder,
        &mut package.decoder,
        &mut package.tokenizer,
        &mut package.runtime,
        &mut package.licence,
    ];
    for pinned in files {
        let content = content(pinned, salt);
        wheel.start_file(pinned.entry, options).expect("begun");
        wheel.write_all(&content).expect("written");
        let (sha256, size) = Sha256::of_reader(content.as_slice()).expect("read");
        *pinned = PinnedFile { size, sha256, ..*pinned };
    }
    let mut library = b"the code of a library".to_vec();
    for pinned in [&mut package.segmentation, &mut package.embedding] {
        let content = content(pinned, salt);
        let (sha256, size) = Sha256::of_reader(content.as_slice()).expect("read");
        *pinned = PinnedFile { size, sha256, offset: Some(library.len() as u64), ..*pinned };
        library.extend_from_slice(&content);
    }
    library.extend_from_slice(b"and the end of it");
    wheel.start_file(package.segmentation.entry, options).expect("begun");
    wheel.write_all(&library).expect("written");
    wheel.finish().expect("finished");
    let (sha256, size) = Sha256::of_reader(File::open(&path).expect("opened")).expect("read");
    package.wheel_sha256 = sha256;
    package.wheel_size = size;
    (package, path)
}

/// Returns the content of a pinned file in the wheel.
pub(super) fn content(pinned: &PinnedFile, salt: &str) -> Vec<u8> {
    format!("{salt} {}\n", pinned.name).repeat(10_000).into_bytes()
}

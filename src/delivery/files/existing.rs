//! Notes that lie beside a recording already, and what their front matter proves. All of it blocks.

use std::{
    ffi::{OsStr, OsString},
    io::Read as _,
    path::Path,
};

use super::{
    names::{add_number, fitting_names, notes_name_within},
    paths::notes_directory,
};
use crate::{
    beneath::Dir,
    config::{Folder, Format},
    delivery::render::{Proof, proof_of, sound_of},
    job::{Key, Sound},
    store::Job,
    text::printable_path,
};

/// The front matter that proves whose notes a file holds lies in its first so many bytes.
const HEAD_BYTES: u64 = 4096;

/// Numbered names that are looked at for notes that exist already: a person rarely keeps more versions.
pub(super) const NUMBERS_LOOKED_AT: u32 = 5;

/// Returns where whole notes with this job's key lie already, if they do: another host, or minuted before its queue was
/// lost, made them. Blocks.
#[must_use]
pub(crate) fn find_notes(folder: &Folder, job: &Job) -> Option<String> {
    let wanted = Proof { key: job.key.clone(), partial: false };
    notes_beside(folder, &job.path)
        .into_iter()
        .find_map(|(path, proof)| (proof == wanted).then_some(path))
}

/// Returns the notes that lie in the place of those of a recording, each with what it proves.
fn notes_beside(folder: &Folder, recording: &Path) -> Vec<(String, Proof)> {
    let (base, inner) = notes_directory(folder, recording);
    let Ok(dir) = Dir::open(&base).and_then(|base| base.descend(&inner)) else { return Vec::new() };
    let most = dir.name_bytes_max();
    let name =
        |keep, most| notes_name_within(recording, &folder.notes_name, Format::Md, keep, most);
    let plain: Vec<OsString> = [false, true]
        .into_iter()
        .flat_map(|keep| fitting_names(most, |most| name(keep, most)))
        .collect();
    let candidates = plain
        .iter()
        .flat_map(|name| (1..=NUMBERS_LOOKED_AT).map(|number| add_number(name, number)));
    let shown = |name: OsString| printable_path(&base.join(&inner).join(name));
    candidates
        .filter_map(|name| head_proof(&dir, &name).map(|proof| (shown(name), proof)))
        .collect()
}

/// Returns the last generation that the notes in the place of those of a recording tell of, of whatever content; 0 where
/// there are none. Blocks.
#[must_use]
pub(crate) fn generation_beside(folder: &Folder, recording: &Path) -> u32 {
    let is_of_folder = |key: &Key| key.folder == folder.id && key.is_believable();
    let of_folder =
        notes_beside(folder, recording).into_iter().filter(|(_, proof)| is_of_folder(&proof.key));
    of_folder.map(|(_, proof)| proof.key.generation).max().unwrap_or_default()
}

/// Returns what the front matter of a file proves, if it has one.
pub(crate) fn head_proof(dir: &Dir, name: &OsStr) -> Option<Proof> {
    proof_of(&read_head(dir, name, HEAD_BYTES)?)
}

/// Returns the name of the recording's sound that the front matter of a file has, if it has one.
pub(crate) fn head_sound(dir: &Dir, name: &OsStr) -> Option<Sound> {
    sound_of(&read_head(dir, name, HEAD_BYTES)?)
}

pub(super) fn read_head(dir: &Dir, name: &OsStr, bytes_max: u64) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    dir.open_file(Path::new(name)).ok()?.take(bytes_max).read_to_end(&mut head).ok()?;
    Some(head)
}

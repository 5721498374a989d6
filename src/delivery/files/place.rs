//! Notes as files: whole or not at all, never through a link, never over what a person wrote.
//!
//! Every step may be repeated after a crash: bytes that are there already are adopted, temporary files are swept.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
};

use rustix::{fs::AtFlags, io::Errno};

use super::{
    FileError,
    names::add_number,
    temporary::{Temporary, missing_is_fine},
};
use crate::{
    beneath::{Dir, Entry, Stamp},
    delivery::render::{
        Proof,
        front::{HEAD_BYTES, is_sealed},
        proof_of,
    },
    effect::Effect,
    job::Key,
};

/// A file that holds what it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placed {
    /// Its name in the directory; a number is in it when the plain name was taken.
    pub name: OsString,
    /// BLAKE3 of the bytes it was given, in hex: the proof, later, that no person has edited it. For a file that
    /// another host made it is the hash of what would have been written here, so that theirs is never replaced.
    pub digest: String,
}

/// The file that this job has written before, by the queue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Existing<'a> {
    /// No file.
    None,
    /// This file.
    Ours {
        /// Its name.
        name: &'a OsStr,
        /// The digest of what was written.
        digest: &'a str,
        /// The digests of what was about to replace it: a crash came before that was recorded.
        intended: &'a [String],
    },
}

/// Numbers that are tried for a name that is taken.
pub(super) const NUMBERS_MAX: u32 = 999;

/// No notes are larger; a file above this is not minuted's and is not read to find out. 256 MiB.
const NOTES_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Places `bytes` in `dir` under `name`, or under the next free numbered name.
///
/// `mode` is less the umask. `key` is the job of notes with front matter: a file that carries it was made by another
/// host, or before the ledger was lost, and is adopted as it is; but for one that lacks what failed, which is replaced
/// while it is unedited. So is what this job wrote before: left alone once edited, and not made again once deleted.
///
/// # Errors
/// By what the caller does next; see [`FileError`]. Nothing half-written is left under `name`.
pub(crate) fn place_bytes(
    dir: &Dir,
    name: &OsStr,
    bytes: &[u8],
    mode: u32,
    key: Option<&Key>,
    existing: Existing<'_>,
) -> Result<Placed, FileError> {
    let file = NewFile { dir, bytes, mode, digest: digest_of(bytes) };
    match existing {
        Existing::None => file.under_a_free_name(name, key),
        Existing::Ours { name: before, digest, intended } => match inspect_entry(dir, before)? {
            ExistingEntry::Nothing => Err(FileError::Deleted { name: before.to_owned() }),
            ExistingEntry::File(is) if is == file.digest => file.adopt_file(before),
            ExistingEntry::File(is) if is == digest || intended.contains(&is) => {
                file.replace_file(before, &is, name)
            }
            // Edited: it is the person's now. A key in it proves nothing, it is ours in any case.
            ExistingEntry::File(_) | ExistingEntry::Other => file.under_a_free_name(name, None),
        },
    }
}

/// The file that this job wrote, as it is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotesFileState {
    /// As minuted left it.
    Unchanged,
    /// A person has edited it, or put something else in its place.
    Edited,
    /// A person has deleted it.
    Deleted,
}

/// Returns whether a file is as this job wrote it, by the digest of that and of what was about to replace it.
///
/// # Errors
/// As [`place_bytes`].
pub(super) fn notes_file_state(
    dir: &Dir,
    name: &OsStr,
    digest: &str,
    intended: &[String],
) -> Result<NotesFileState, FileError> {
    Ok(match inspect_entry(dir, name)? {
        ExistingEntry::Nothing => NotesFileState::Deleted,
        ExistingEntry::File(is) if is == digest || intended.contains(&is) => {
            NotesFileState::Unchanged
        }
        ExistingEntry::File(_) | ExistingEntry::Other => NotesFileState::Edited,
    })
}

/// Removes the file `name` that this job wrote, unless a person has edited it. Returns whether it is gone.
///
/// # Errors
/// As [`place_bytes`].
pub(crate) fn remove_ours(dir: &Dir, name: &OsStr, digest: &str) -> Result<bool, FileError> {
    let at = |error| FileError::for_entry(dir, name, error);
    match inspect_entry(dir, name)? {
        ExistingEntry::Nothing => Ok(true),
        ExistingEntry::File(is) if is == digest => {
            let clear = || dir.unlink(name).or_else(missing_is_fine).and_then(|()| dir.sync());
            Effect::ClearFile.during(clear).map_err(at)?;
            Ok(true)
        }
        ExistingEntry::File(_) | ExistingEntry::Other => Ok(false),
    }
}

/// Returns the BLAKE3 of `bytes` in hex, as [`Placed::digest`] has it.
#[must_use]
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The bytes on their way to a name.
struct NewFile<'a> {
    dir: &'a Dir,
    bytes: &'a [u8],
    mode: u32,
    digest: String,
}

impl<'a> NewFile<'a> {
    fn placed_as(&self, name: &OsStr) -> Placed {
        Placed { name: name.to_owned(), digest: self.digest.clone() }
    }

    /// Adopts bytes that are there already, once they are durable: a crash may have come before
    /// that.
    fn adopt_file(&self, name: &OsStr) -> Result<Placed, FileError> {
        let durable = || {
            self.dir.open_file(Path::new(name))?.sync_all()?;
            self.dir.sync()
        };
        durable().map_err(|error| FileError::for_entry(self.dir, name, error))?;
        Ok(self.placed_as(name))
    }

    fn write_temporary(&self) -> io::Result<Temporary<'a>> {
        let (temporary, mut file) = Temporary::create_in(self.dir, self.mode)?;
        file.write_all(self.bytes)?;
        file.sync_all()?;
        Ok(temporary)
    }

    fn under_a_free_name(&self, name: &OsStr, key: Option<&Key>) -> Result<Placed, FileError> {
        let mut temporary = None;
        for number in 1..=NUMBERS_MAX {
            let candidate = add_number(name, number);
            let at = |error| FileError::for_entry(self.dir, &candidate, error);
            if self.is_there(&candidate, key)? {
                return self.adopt_file(&candidate);
            }
            if let Some(digest) =
                key.map(|key| self.incomplete_digest(&candidate, key)).transpose()?.flatten()
            {
                return self.replace_file(&candidate, &digest, name);
            }
            if self.dir.entry(Path::new(&candidate)).map_err(at)?.is_some() {
                continue;
            }
            let temporary = match &mut temporary {
                Some(temporary) => temporary,
                none => none.insert(self.write_temporary().map_err(at)?),
            };
            match Effect::PlaceFile.during(|| temporary.rename_new(&candidate)) {
                Ok(()) => return Ok(self.placed_as(&candidate)),
                // Someone was faster; it may even be another host with these very notes.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    if self.is_there(&candidate, key)? {
                        return self.adopt_file(&candidate);
                    }
                }
                Err(error) => return Err(at(error)),
            }
        }
        Err(FileError::for_entry(self.dir, name, io::ErrorKind::AlreadyExists.into()))
    }

    /// Returns whether a file with exactly these bytes, or notes with this key, is there.
    fn is_there(&self, name: &OsStr, key: Option<&Key>) -> Result<bool, FileError> {
        let Some(file) = open(self.dir, name)? else { return Ok(false) };
        let read = || {
            let mut head = Vec::new();
            (&file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
            if proof_of(&head).is_some_and(|proof| Some(&proof.key) == key && !proof.partial) {
                return Ok(true);
            }
            if file.metadata()?.len() != self.bytes.len() as u64 || !self.bytes.starts_with(&head) {
                return Ok(false);
            }
            let mut hasher = blake3::Hasher::new();
            hasher.update(&head).update_reader(&file)?;
            Ok(hasher.finalize().to_hex().as_str() == self.digest)
        };
        read().map_err(|error| FileError::for_entry(self.dir, name, error))
    }

    /// Returns the digest of notes of this job that lack what failed, where they are as minuted wrote them.
    fn incomplete_digest(&self, name: &OsStr, key: &Key) -> Result<Option<String>, FileError> {
        let Some(file) = open(self.dir, name)? else { return Ok(None) };
        let read = || {
            let mut text = Vec::new();
            (&file).take(HEAD_BYTES as u64).read_to_end(&mut text)?;
            if proof_of(&text) != Some(Proof { key: key.clone(), partial: true }) {
                return Ok(None);
            }
            file.take(NOTES_BYTES_MAX).read_to_end(&mut text)?;
            Ok(is_sealed(&text).then(|| digest_of(&text)))
        };
        read().map_err(|error| FileError::for_entry(self.dir, name, error))
    }

    /// Replaces what this job wrote. It is looked at again last of all, for a person who saves at this moment.
    fn replace_file(
        &self,
        before: &OsStr,
        digest: &str,
        name: &OsStr,
    ) -> Result<Placed, FileError> {
        let at = |error| FileError::for_entry(self.dir, before, error);
        let mut temporary = self.write_temporary().map_err(at)?;
        match inspect_entry(self.dir, before)? {
            ExistingEntry::File(is) if is == digest => {
                Effect::ReplaceFile.during(|| temporary.rename_over(before)).map_err(at)?;
                Ok(self.placed_as(before))
            }
            ExistingEntry::Nothing => Err(FileError::Deleted { name: before.to_owned() }),
            ExistingEntry::File(_) | ExistingEntry::Other => self.under_a_free_name(name, None),
        }
    }
}

/// The entry under a name.
enum ExistingEntry {
    Nothing,
    /// A file of that digest; empty for one that is too large to be notes.
    File(String),
    /// A link, a directory, …: never ours.
    Other,
}

fn inspect_entry(dir: &Dir, name: &OsStr) -> Result<ExistingEntry, FileError> {
    let at = |error| FileError::for_entry(dir, name, error);
    match dir.entry(Path::new(name)).map_err(at)? {
        // An empty place and a vanished directory answer alike; only the first is a person's doing.
        None => match rustix::fs::statat(dir.fd(), ".", AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if stat.st_nlink > 0 => Ok(ExistingEntry::Nothing),
            Ok(_) => Err(at(Errno::NOENT.into())),
            Err(error) => Err(at(error.into())),
        },
        Some(Entry::File(Stamp { size, .. })) if size > NOTES_BYTES_MAX => {
            Ok(ExistingEntry::File(String::new()))
        }
        Some(Entry::File(_)) => match open(dir, name)? {
            Some(file) => {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(file.take(NOTES_BYTES_MAX)).map_err(at)?;
                Ok(ExistingEntry::File(hasher.finalize().to_hex().to_string()))
            }
            None => Ok(ExistingEntry::Other),
        },
        Some(Entry::Directory | Entry::Other) => Ok(ExistingEntry::Other),
    }
}

/// Opens a regular file; `None` for what is none, or is gone.
fn open(dir: &Dir, name: &OsStr) -> Result<Option<File>, FileError> {
    match dir.entry(Path::new(name)) {
        Ok(Some(Entry::File(_))) => {}
        Ok(Some(Entry::Directory | Entry::Other) | None) => return Ok(None),
        Err(error) => return Err(FileError::for_entry(dir, name, error)),
    }
    match dir.open_file(Path::new(name)) {
        Ok(file) => Ok(Some(file)),
        // Replaced by a link or a FIFO since, gone, or a person's private file: in no case ours to adopt.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::PermissionDenied
            ) || error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) =>
        {
            Ok(None)
        }
        Err(error) => Err(FileError::for_entry(dir, name, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;
    use crate::delivery::files::remove_leftovers;
    use crate::job::Content;

    struct Place {
        root: tempfile::TempDir,
        dir: Dir,
    }

    impl Place {
        fn new() -> Self {
            let root = tempfile::tempdir().expect("a directory");
            let dir = Dir::open(root.path()).expect("opened");
            Self { root, dir }
        }

        fn place(&self, text: &str, existing: Existing<'_>) -> Result<Placed, FileError> {
            place_bytes(
                &self.dir,
                OsStr::new("talk.notes.md"),
                text.as_bytes(),
                0o660,
                None,
                existing,
            )
        }

        fn fresh(&self, text: &str) -> Placed {
            self.place(text, Existing::None).expect("placed")
        }

        fn again(&self, text: &str, before: &Placed) -> Result<Placed, FileError> {
            self.place(
                text,
                Existing::Ours { name: &before.name, digest: &before.digest, intended: &[] },
            )
        }

        fn write(&self, name: &str, text: &str) {
            fs::write(self.root.path().join(name), text).expect("written");
        }

        fn read(&self, name: impl AsRef<Path>) -> String {
            fs::read_to_string(self.root.path().join(name)).expect("read")
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.root.path()).expect("listed");
            let mut names: Vec<_> = entries
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
                .collect();
            names.sort();
            names
        }
    }

    fn key(generation: u32) -> Key {
        Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: "sales".into(),
            generation,
        }
    }

    fn notes(key: &Key, text: &str) -> String {
        format!("---\nminuted: {key}\n---\n{text}\n")
    }

    #[test]
    fn a_new_file_holds_its_bytes_and_nothing_else_is_left() {
        let place = Place::new();
        let placed = place.fresh("notes");
        assert_eq!(placed, Placed { name: "talk.notes.md".into(), digest: digest_of(b"notes") });
        assert_eq!((place.read("talk.notes.md").as_str(), place.names().len()), ("notes", 1));
        let mode = fs::metadata(place.root.path().join("talk.notes.md"))
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o007, 0, "the mode asked for is never widened");
    }

    #[test]
    fn a_crash_between_write_and_record_leaves_one_file() {
        let place = Place::new();
        assert_eq!(place.fresh("notes"), place.fresh("notes"));
        assert_eq!(place.names(), ["talk.notes.md"]);
        let first = place.fresh("notes");
        let second = place.again("better notes", &first).expect("replaced");
        assert_eq!(
            place.again("better notes", &first).expect("the replacement is known again"),
            second
        );
        assert_eq!(
            (place.read("talk.notes.md").as_str(), place.names().len()),
            ("better notes", 1)
        );
    }

    #[test]
    fn a_file_that_minuted_did_not_write_is_never_replaced() {
        let place = Place::new();
        place.write("talk.notes.md", "mine");
        fs::create_dir(place.root.path().join("talk.notes.2.md")).expect("made");
        let placed = place.fresh("notes");
        assert_eq!(placed.name, "talk.notes.3.md");
        assert_eq!(place.fresh("notes"), placed, "a second run finds the first one's file");
        assert_eq!(
            (place.read("talk.notes.md"), place.read("talk.notes.3.md")),
            ("mine".into(), "notes".into())
        );
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let place = Place::new();
        place.write("victim", "precious");
        symlink("victim", place.root.path().join("talk.notes.md")).expect("linked");
        symlink("nowhere", place.root.path().join("talk.notes.2.md")).expect("linked");
        assert_eq!(place.fresh("notes").name, "talk.notes.3.md");
        assert_eq!(place.read("victim"), "precious");
        assert!(!place.root.path().join("nowhere").exists());
    }

    #[test]
    fn a_link_put_in_the_place_of_our_notes_is_not_followed() {
        let place = Place::new();
        let before = place.fresh("notes");
        place.write("victim", "notes");
        fs::remove_file(place.root.path().join("talk.notes.md")).expect("removed");
        symlink("victim", place.root.path().join("talk.notes.md")).expect("linked");
        assert_eq!(place.again("better notes", &before).expect("placed").name, "talk.notes.2.md");
        assert_eq!(place.read("victim"), "notes");
    }

    #[test]
    fn an_edited_note_is_never_replaced() {
        let place = Place::new();
        let key = key(1);
        let before = place.fresh(&notes(&key, "notes"));
        place.write("talk.notes.md", &notes(&key, "notes, and my own thoughts"));
        let existing = Existing::Ours { name: &before.name, digest: &before.digest, intended: &[] };
        let (name, bytes) = (OsStr::new("talk.notes.md"), notes(&key, "better notes"));
        let placed =
            super::place_bytes(&place.dir, name, bytes.as_bytes(), 0o660, Some(&key), existing)
                .expect("placed");
        assert_eq!(placed.name, "talk.notes.2.md");
        let again =
            super::place_bytes(&place.dir, name, bytes.as_bytes(), 0o660, Some(&key), existing)
                .expect("placed");
        assert_eq!((again, place.names().len()), (placed, 2));
        assert!(place.read("talk.notes.md").contains("my own thoughts"));
    }

    #[test]
    fn a_deleted_note_is_not_made_again() {
        let place = Place::new();
        let before = place.fresh("notes");
        fs::remove_file(place.root.path().join("talk.notes.md")).expect("removed");
        for text in ["notes", "better notes"] {
            assert!(matches!(place.again(text, &before), Err(FileError::Deleted { .. })));
        }
        assert!(place.names().is_empty());
    }

    #[test]
    fn a_directory_that_vanished_is_no_deletion() {
        let place = Place::new();
        let before = place.fresh("notes");
        fs::remove_dir_all(place.root.path()).expect("removed");
        assert!(matches!(place.again("better", &before), Err(FileError::DirectoryGone { .. })));
        assert!(matches!(
            place.place("notes", Existing::None),
            Err(FileError::DirectoryGone { .. })
        ));
    }

    #[test]
    fn notes_of_this_job_by_another_host_are_adopted_and_never_replaced() {
        let place = Place::new();
        place.write("talk.notes.md", &notes(&key(1), "made elsewhere"));
        let put = |text: &str, generation, existing| {
            let key = key(generation);
            let bytes = notes(&key, text);
            super::place_bytes(
                &place.dir,
                OsStr::new("talk.notes.md"),
                bytes.as_bytes(),
                0o660,
                Some(&key),
                existing,
            )
        };
        let adopted = put("made here", 1, Existing::None).expect("adopted");
        assert_eq!(
            (adopted.name.as_os_str(), place.names().len()),
            (OsStr::new("talk.notes.md"), 1)
        );
        let before = Existing::Ours { name: &adopted.name, digest: &adopted.digest, intended: &[] };
        let newer = put("newer", 1, before).expect("placed");
        assert_eq!(newer.name, "talk.notes.2.md");
        assert_eq!(put("redone", 2, Existing::None).expect("placed").name, "talk.notes.3.md");
        assert!(place.read("talk.notes.md").contains("made elsewhere"));
    }

    #[test]
    fn whole_notes_take_the_place_of_partial_ones_that_nobody_has_edited_also_without_the_ledger() {
        let partial = |key: &Key| {
            let text = format!(
                "---\npartial: true\ndigest: {}\nminuted: {key}\n---\nhalf\n",
                crate::delivery::render::seal::BLANK
            );
            crate::delivery::render::front::seal_partial(text)
        };
        let put = |place: &Place, text: &str| {
            super::place_bytes(
                &place.dir,
                OsStr::new("talk.notes.md"),
                text.as_bytes(),
                0o660,
                Some(&key(1)),
                Existing::None,
            )
        };
        let place = Place::new();
        place.write("talk.notes.md", &partial(&key(1)));
        let placed = put(&place, &notes(&key(1), "whole")).expect("placed");
        assert_eq!(placed, put(&place, &notes(&key(1), "whole")).expect("there"));
        assert_eq!(
            (place.read("talk.notes.md"), place.names().len()),
            (notes(&key(1), "whole"), 1)
        );
        assert_eq!(
            put(&place, &partial(&key(1))).expect("whole notes stand").name,
            "talk.notes.md"
        );
        for others in
            [partial(&key(1)).replace("half", "half, and my own thoughts"), partial(&key(2))]
        {
            let place = Place::new();
            place.write("talk.notes.md", &others);
            for _ in 0..2 {
                let placed = put(&place, &notes(&key(1), "whole")).expect("placed");
                assert_eq!(placed.name, "talk.notes.2.md");
            }
            assert_eq!((place.read("talk.notes.md"), place.names().len()), (others, 2));
        }
    }

    #[test]
    fn what_this_job_wrote_is_removed_unless_edited() {
        let place = Place::new();
        let ours = place.fresh("it failed");
        place.write("talk.notes.md", "it failed; I asked IT");
        assert!(!remove_ours(&place.dir, &ours.name, &ours.digest).expect("looked at"));
        place.write("talk.notes.md", "it failed");
        assert!(remove_ours(&place.dir, &ours.name, &ours.digest).expect("removed"));
        assert!(remove_ours(&place.dir, &ours.name, &ours.digest).expect("gone already"));
        assert!(place.names().is_empty());
    }

    #[test]
    fn only_temporary_files_that_no_living_process_makes_are_swept() {
        let place = Place::new();
        let (_own, _) = Temporary::create_in(&place.dir, 0o600).expect("made");
        let make = |name: &str| File::create(place.root.path().join(name)).expect("made");
        let others = make(".minuted-fedcba9876543210.tmp");
        rustix::fs::flock(&others, rustix::fs::FlockOperation::LockExclusive).expect("locked");
        for name in [
            ".minuted-0123456789abcdef.tmp",
            ".minuted-0123456789abcdeg.tmp",
            ".minuted-notes.tmp",
            "talk.tmp",
        ] {
            make(name);
        }
        assert_eq!(remove_leftovers(&place.dir).expect("swept"), 1);
        assert_eq!(place.names().len(), 5);
        assert!(!place.names().contains(&".minuted-0123456789abcdef.tmp".to_owned()));
    }

    #[test]
    fn writers_that_race_for_a_name_all_keep_their_bytes() {
        let place = Place::new();
        let texts: Vec<String> = (0..8).map(|number| format!("notes {number}")).collect();
        let mut placed: Vec<(OsString, &String)> = std::thread::scope(|scope| {
            let place = &place;
            let running: Vec<_> = texts
                .iter()
                .map(|text| scope.spawn(move || (place.fresh(text).name, text)))
                .collect();
            running.into_iter().map(|thread| thread.join().expect("no writer panics")).collect()
        });
        for (name, text) in &placed {
            assert_eq!(place.read(name), **text);
        }
        placed.sort();
        placed.dedup_by(|one, other| one.0 == other.0);
        assert_eq!((placed.len(), place.names().len()), (8, 8));
    }

    #[test]
    fn a_name_of_255_bytes_is_written_and_a_longer_one_says_so() {
        let place = Place::new();
        let put = |name: &str| {
            super::place_bytes(&place.dir, OsStr::new(name), b"x", 0o600, None, Existing::None)
        };
        assert!(put(&"n".repeat(255)).is_ok());
        assert!(matches!(put(&"n".repeat(256)), Err(FileError::NameTooLong { .. })));
        assert_eq!(place.names().len(), 1, "no temporary file is left");
    }

    #[test]
    fn each_refusal_of_the_system_says_what_to_do() {
        let dir = Dir::open(Path::new("/")).expect("opened");
        let message = |errno: Errno| {
            FileError::for_entry(&dir, OsStr::new("talk.notes.md"), errno.into()).to_string()
        };
        let all =
            [Errno::ROFS, Errno::ACCESS, Errno::NOSPC, Errno::NOENT, Errno::NAMETOOLONG, Errno::IO]
                .map(message);
        let user = |text: &str| {
            let begin = text.find("u:").map_or(0, |at| at + 2);
            text[begin..].split(':').next().unwrap_or_default().to_owned()
        };
        let all = all.join("\n").replace(&format!("u:{}:", user(&all[1])), "u:USER:");
        insta::assert_snapshot!(all, @"
        `/` is read-only; under systemd regenerate the drop-in (`minuted systemd-drop-in`) and restart
        no permission to write in `/`; grant it: sudo setfacl -R -m u:USER:rwX,d:u:USER:rwX '/'
        no space left in `/`
        the directory `/` is gone
        the name `talk.notes.md` is too long for the file system of `/`
        failed to write `talk.notes.md` in `/`
        ");
        for errno in [Errno::IO, Errno::NXIO, Errno::TIMEDOUT, Errno::REMOTEIO] {
            assert!(
                matches!(
                    FileError::for_entry(&dir, OsStr::new("x"), errno.into()),
                    FileError::Failing { .. }
                ),
                "{errno}"
            );
        }
        assert!(matches!(
            FileError::for_entry(&dir, OsStr::new("x"), Errno::NOTCONN.into()),
            FileError::DirectoryGone { .. }
        ));
        assert!(matches!(
            FileError::for_entry(&dir, OsStr::new("x"), Errno::DQUOT.into()),
            FileError::NoSpace { .. }
        ));
        assert!(matches!(
            FileError::for_entry(&dir, OsStr::new("x"), Errno::PERM.into()),
            FileError::Denied { .. }
        ));
        assert!(matches!(
            FileError::for_entry(&dir, OsStr::new("x"), Errno::STALE.into()),
            FileError::DirectoryGone { .. }
        ));
    }
}

//! The readers of a file: its permissions and its POSIX ACL, as the kernel hands them out.
//!
//! The layout of the attribute is that of `linux/posix_acl_xattr.h`: a version in four bytes, then for each entry a tag
//! and permissions in two bytes each and an id in four, all little-endian. Who is let in is decided as in acl(5).

use std::os::fd::AsFd;

use rustix::fs::{fgetxattr, fstat};

/// The attribute that holds the ACL of a file.
const ACCESS: &str = "system.posix_acl_access";

/// The attribute that holds what new files in a directory inherit.
const DEFAULT: &str = "system.posix_acl_default";

/// Bytes of an attribute: the kernel's own limit.
const BYTES_MAX: usize = 1 << 16;

const VERSION: u32 = 2;

const READ: u16 = 4;
const WRITE: u16 = 2;

/// An entry of an ACL: to whom it applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Owner,
    User(u32),
    OwningGroup,
    Group(u32),
    Mask,
    Other,
}

/// The entries of an ACL with their permissions, in the kernel's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acl(Vec<(Tag, u16)>);

impl Acl {
    /// Reads the bytes of the attribute; `None` where they are of another layout.
    #[must_use]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (version, entries) = bytes.split_first_chunk()?;
        if u32::from_le_bytes(*version) != VERSION || entries.len() % 8 != 0 {
            return None;
        }
        let entry = |entry: &[u8]| {
            let word = |at: usize| Some(u16::from_le_bytes([*entry.get(at)?, *entry.get(at + 1)?]));
            let id = u32::from_le_bytes(*entry.last_chunk()?);
            let tag = match word(0)? {
                0x01 => Tag::Owner,
                0x02 => Tag::User(id),
                0x04 => Tag::OwningGroup,
                0x08 => Tag::Group(id),
                0x10 => Tag::Mask,
                0x20 => Tag::Other,
                _ => return None,
            };
            Some((tag, word(2)? & 7))
        };
        entries.chunks(8).map(entry).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Returns the ACL that says the same as permission bits.
    fn of_mode(mode: u32) -> Self {
        let bits = |shift: u32| u16::try_from(mode >> shift & 7).unwrap_or_default();
        Self(vec![(Tag::Owner, bits(6)), (Tag::OwningGroup, bits(3)), (Tag::Other, bits(0))])
    }

    fn find_permissions(&self, tag: Tag) -> Option<u16> {
        self.0.iter().find(|(found, _)| *found == tag).map(|(_, permissions)| *permissions)
    }

    /// Returns the permissions of an entry that the mask limits.
    fn apply_mask(&self, permissions: u16) -> u16 {
        permissions & self.find_permissions(Tag::Mask).unwrap_or(7)
    }
}

/// The owner, the group and the permissions of a file or directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Permissions {
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    acl: Acl,
    /// True if new files in this directory inherit an ACL, so that no umask applies.
    pub is_inherited: bool,
}

impl Permissions {
    /// Returns the permissions of an open file or directory.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub(crate) fn read_from(file: impl AsFd) -> std::io::Result<Self> {
        let stat = fstat(&file)?;
        // A file system without ACLs has none.
        let attribute = |name: &str| {
            let mut bytes = vec![0; BYTES_MAX];
            let length = fgetxattr(&file, name, &mut bytes[..]).ok()?;
            bytes.truncate(length);
            Some(bytes)
        };
        let acl = attribute(ACCESS).and_then(|bytes| Acl::parse(&bytes));
        Ok(Self {
            uid: stat.st_uid,
            gid: stat.st_gid,
            acl: acl.unwrap_or_else(|| Acl::of_mode(stat.st_mode)),
            is_inherited: attribute(DEFAULT).is_some(),
        })
    }

    /// Returns these permissions with other permission bits, where no ACL says more.
    #[must_use]
    pub(crate) fn with_mode(&self, mode: u32) -> Self {
        Self { acl: Acl::of_mode(mode), ..self.clone() }
    }

    /// Returns whether a user who is in these groups may read it.
    #[must_use]
    pub(crate) fn lets_user_read(&self, uid: u32, groups: &[u32]) -> bool {
        if uid == 0 {
            return true;
        }
        if uid == self.uid {
            return self
                .acl
                .find_permissions(Tag::Owner)
                .is_some_and(|permissions| permissions & READ != 0);
        }
        if let Some(permissions) = self.acl.find_permissions(Tag::User(uid)) {
            return self.acl.apply_mask(permissions) & READ != 0;
        }
        let of_groups: Vec<u16> = groups.iter().flat_map(|gid| self.of_group(*gid)).collect();
        if of_groups.is_empty() {
            self.lets_others_read()
        } else {
            of_groups.iter().any(|one| one & READ != 0)
        }
    }

    /// Returns whether the members of a group may read it.
    #[must_use]
    pub(crate) fn lets_group_read(&self, gid: u32) -> bool {
        let found = self.of_group(gid);
        if found.is_empty() {
            self.lets_others_read()
        } else {
            found.iter().any(|one| one & READ != 0)
        }
    }

    /// Returns whether the members of a group may write to it.
    #[must_use]
    pub(crate) fn lets_group_write(&self, gid: u32) -> bool {
        self.of_group(gid).iter().any(|one| one & WRITE != 0)
    }

    /// Returns the permissions of the entries for a group.
    fn of_group(&self, gid: u32) -> Vec<u16> {
        let owning = self.acl.find_permissions(Tag::OwningGroup).filter(|_| gid == self.gid);
        let named = self.acl.find_permissions(Tag::Group(gid));
        owning
            .into_iter()
            .chain(named)
            .map(|permissions| self.acl.apply_mask(permissions))
            .collect()
    }

    fn lets_others_read(&self) -> bool {
        self.acl.find_permissions(Tag::Other).is_some_and(|permissions| permissions & READ != 0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An entry as the kernel has it: tag, permissions, id.
    type Raw = (u16, u16, u32);

    /// The bytes of an ACL, written by hand from the kernel's header.
    fn bytes(entries: &[Raw]) -> Vec<u8> {
        let mut bytes = VERSION.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            bytes.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    const NOBODY: u32 = u32::MAX;

    fn permissions(entries: &[Raw]) -> Permissions {
        Permissions {
            uid: 998,
            gid: 998,
            acl: Acl::parse(&bytes(entries)).expect("an ACL"),
            is_inherited: true,
        }
    }

    /// Notes of the user 998 in a folder of Ann's (1000), by what was granted there; who reads them: Ann by her own
    /// entry or as one of the group 1000, the group 1000, others.
    #[test]
    fn who_reads_notes_is_decided_as_the_kernel_does() {
        let base = [(0x01, 6, NOBODY), (0x04, 5, NOBODY), (0x20, 0, NOBODY)];
        let table: [(&str, &[Raw], [bool; 2]); 6] = [
            ("minuted alone", &[(0x02, 7, 998), (0x10, 6, NOBODY)], [false, false]),
            ("the owner", &[(0x02, 7, 998), (0x02, 7, 1000), (0x10, 6, NOBODY)], [true, false]),
            ("the group", &[(0x02, 7, 998), (0x08, 7, 1000), (0x10, 6, NOBODY)], [true, true]),
            (
                "the group, which the mask keeps out",
                &[(0x08, 7, 1000), (0x10, 0, NOBODY)],
                [false, false],
            ),
            (
                "the owner, who is kept out by an entry",
                &[(0x02, 0, 1000), (0x08, 7, 1000)],
                [false, true],
            ),
            ("nobody", &[], [false, false]),
        ];
        for (what, entries, read) in table {
            let notes = permissions(&[&base, entries].concat());
            assert_eq!(
                [notes.lets_user_read(1000, &[1000]), notes.lets_group_read(1000)],
                read,
                "{what}"
            );
            assert!(notes.lets_user_read(0, &[]) && notes.lets_user_read(998, &[]), "{what}");
        }
        let setgid = Permissions { gid: 1000, ..permissions(&base) };
        assert!(
            setgid.lets_user_read(1000, &[1000])
                && setgid.lets_group_read(1000)
                && !setgid.lets_group_read(5)
        );
        assert!(!setgid.lets_group_write(1000), "its entry reads alone");
        let open = setgid.with_mode(0o604);
        assert!(
            open.lets_group_read(5) && !open.lets_group_read(1000),
            "others may, the group may not"
        );
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn any_bytes_are_an_acl_or_none(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let acl = Acl::parse(&bytes);
            prop_assert!(acl.is_none() || bytes.len() % 8 == 4);
        }
    }
}

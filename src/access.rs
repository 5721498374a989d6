//! How the user that minuted runs as is let into what belongs to others: commands for a person to type.

mod acl;

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{fs::Access, io::Errno};

pub(crate) use acl::Permissions;

use crate::text::{ShellCommand, printable};

/// The table of users.
const USERS: &str = "/etc/passwd";

/// The table of groups.
const GROUPS: &str = "/etc/group";

/// Returns the commands that let minuted read and write in a directory: `x` on what stands in the way above it, and all
/// that is and will be below it.
#[must_use]
pub(crate) fn setfacl_commands(dir: &Path) -> Vec<String> {
    let user = own_user_name();
    let mut commands = traverse_commands(dir, &user);
    commands.push(set_acl("sudo setfacl -R -m", &acl_entries(&user), dir));
    commands
}

/// Returns the entries of an ACL that let a user read and write all that is and will be below a
/// directory.
#[must_use]
pub(crate) fn acl_entries(user: &str) -> String {
    format!("u:{user}:rwX,d:u:{user}:rwX")
}

/// Returns the command that lets people read what minuted writes into a directory, now and later: its owner, and its
/// group with the rights that the group has in the directory.
#[must_use]
pub(crate) fn grant_people(dir: &Path, owner: Option<u32>, group: Option<(u32, &str)>) -> String {
    let owner = owner.map(|uid| ('u', user_name(uid).unwrap_or_else(|| uid.to_string()), "rwX"));
    let group = group
        .map(|(gid, rights)| ('g', group_name(gid).unwrap_or_else(|| gid.to_string()), rights));
    let entries = owner.into_iter().chain(group).map(|(kind, name, rights)| {
        let entry = format!("{kind}:{name}:{rights}");
        format!("{entry},d:{entry}")
    });
    set_acl("sudo setfacl -R -m", &entries.collect::<Vec<_>>().join(","), dir)
}

/// Returns the commands that let minuted read one file.
#[must_use]
pub(crate) fn grant_reading(file: &Path) -> Vec<String> {
    let user = own_user_name();
    let mut commands = traverse_commands(file, &user);
    commands.push(set_acl("sudo setfacl -m", &format!("u:{user}:r"), file));
    commands
}

/// Returns whether an error says that minuted lacks a right.
#[must_use]
pub(crate) fn is_denied(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ACCESS | Errno::PERM))
}

/// Returns whether an error says that there is no room, on the disk or in a quota.
#[must_use]
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::NOSPC | Errno::DQUOT))
}

fn set_acl(words: &'static str, entries: &str, path: &Path) -> String {
    ShellCommand::new(words).add_word(entries).add_path(path).into()
}

fn traverse_commands(path: &Path, user: &str) -> Vec<String> {
    let closed = path
        .ancestors()
        .skip(1)
        .filter(|parent| rustix::fs::access(*parent, Access::EXEC_OK).is_err());
    let above: Vec<PathBuf> = closed.map(Path::to_owned).collect();
    above
        .iter()
        .rev()
        .map(|parent| set_acl("sudo setfacl -m", &format!("u:{user}:x"), parent))
        .collect()
}

/// Returns the name of the user that this process acts as, from the system's list; its number where that has none.
fn own_user_name() -> String {
    let uid = rustix::process::geteuid().as_raw();
    user_name(uid).unwrap_or_else(|| uid.to_string())
}

/// Returns the name of a user in the system's table, if it has one there.
#[must_use]
pub(crate) fn user_name(uid: u32) -> Option<String> {
    name_in(&std::fs::read_to_string(USERS).unwrap_or_default(), uid)
}

/// Returns the numbers of a user and of its first group in the system's table, if it is there.
#[must_use]
pub(crate) fn find_user(name: &str) -> Option<(u32, u32)> {
    user_in(&std::fs::read_to_string(USERS).unwrap_or_default(), name)
}

fn user_in(users: &str, name: &str) -> Option<(u32, u32)> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let user = users.lines().map(fields).find(|fields| fields[0] == name)?;
    Some((user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?))
}

/// Returns the name of a group in the system's table, if it has one there.
#[must_use]
pub(crate) fn group_name(gid: u32) -> Option<String> {
    name_in(&std::fs::read_to_string(GROUPS).unwrap_or_default(), gid)
}

/// Returns the groups of a user by the system's tables; `None` where these do not know the user.
#[must_use]
pub(crate) fn groups_of(uid: u32) -> Option<Vec<u32>> {
    let read = |table| std::fs::read_to_string(table).unwrap_or_default();
    groups_in(&read(USERS), &read(GROUPS), uid)
}

fn groups_in(users: &str, groups: &str, uid: u32) -> Option<Vec<u32>> {
    let number = |line: &str, field: usize| line.split(':').nth(field)?.parse::<u32>().ok();
    let user = users.lines().find(|line| number(line, 2) == Some(uid))?;
    let name = user.split(':').next().filter(|name| !name.is_empty())?;
    let is_member = |line: &&str| {
        line.split(':').nth(3).is_some_and(|all| all.split(',').any(|one| one == name))
    };
    let more = groups.lines().filter(is_member).filter_map(|line| number(line, 2));
    Some(number(user, 3).into_iter().chain(more).collect())
}

/// Finds a name by its number; the tables of users and of groups have both at the same places.
fn name_in(table: &str, uid: u32) -> Option<String> {
    let of_line = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid).then(|| printable(name).into_owned())
    };
    table.lines().find_map(of_line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_table_or_not_at_all() {
        let table = "root:x:0:0:root:/root:/bin/sh\nbroken\n:x:5::\nminuted:x:998:998::/var/lib/minuted:/bin/false\n";
        assert_eq!(name_in(table, 998).as_deref(), Some("minuted"));
        assert_eq!((name_in(table, 5), name_in(table, 99)), (None, None));
        assert_eq!(user_in(table, "minuted"), Some((998, 998)));
        assert_eq!((user_in(table, "broken"), user_in(table, "ann")), (None, None));
    }

    #[test]
    fn the_groups_of_a_user_are_the_first_and_those_that_name_it() {
        let users = "ann:x:1000:100:Ann:/home/ann:/bin/sh\nbo:x:1001:1001::/home/bo:/bin/sh\n";
        let groups = "users:x:100:\nsales:x:200:bo,ann\nboard:x:300:anna\nbroken\n";
        assert_eq!(groups_in(users, groups, 1000), Some(vec![100, 200]));
        assert_eq!(groups_in(users, groups, 7), None);
    }

    #[test]
    fn people_are_let_in_by_one_line() {
        let shown = [
            grant_people(Path::new("/srv/sales"), Some(0), Some((0, "rX"))),
            grant_people(Path::new("/srv/sales"), Some(4_000_000_000), None),
        ];
        insta::assert_snapshot!(shown.join("\n"), @r"
        sudo setfacl -R -m u:root:rwX,d:u:root:rwX,g:root:rX,d:g:root:rX '/srv/sales'
        sudo setfacl -R -m u:4000000000:rwX,d:u:4000000000:rwX '/srv/sales'
        ");
    }

    #[test]
    fn what_is_to_be_typed_is_quoted_and_names_who_asks() {
        let user = own_user_name();
        let shown = [
            setfacl_commands(Path::new("/tmp/Ann's talks")),
            grant_reading(Path::new("/tmp/a b.wav")),
        ]
        .concat();
        insta::assert_snapshot!(shown.join("\n").replace(&format!("u:{user}:"), "u:USER:"), @r"
        sudo setfacl -R -m u:USER:rwX,d:u:USER:rwX '/tmp/Ann'\''s talks'
        sudo setfacl -m u:USER:r '/tmp/a b.wav'
        ");
    }
}

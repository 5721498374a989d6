//! The readers of the notes in a folder: the people that it belongs to should be among them.

use std::path::Path;

use super::Finding;
use crate::{
    access::{Permissions, grant_people, group_name, groups_of, user_name},
    text::printable_path,
};

/// The bits that the unit's `UMask=` takes from the mode of notes where no ACL is inherited.
const UNIT_UMASK: u32 = 0o007;

/// Says which of the owner and the group of a directory could not read notes that are written there as those of `trial`
/// were, with the line that lets them.
pub(super) fn find_shut_out_readers(
    subject: &str,
    path: &Path,
    mode: u32,
    trial: &Permissions,
    dir: &Permissions,
) -> Option<Finding> {
    // The umask of whoever types this command says nothing: that of the service counts.
    let notes = if dir.is_inherited { trial.clone() } else { trial.with_mode(mode & !UNIT_UMASK) };
    // Where the tables do not know the owner, its group is most likely that of its directory.
    let groups = groups_of(dir.uid).unwrap_or_else(|| vec![dir.gid]);
    let owner = Some(dir.uid).filter(|uid| !notes.lets_user_read(*uid, &groups));
    let group = Some(dir.gid)
        .filter(|gid| *gid != 0 && dir.lets_group_read(*gid) && !notes.lets_group_read(*gid));
    let who = [
        owner.map(|uid| {
            format!(
                "{}, whose directory it is,",
                user_name(uid).unwrap_or_else(|| format!("user {uid}"))
            )
        }),
        group
            .map(|gid| format!("its group {}", group_name(gid).unwrap_or_else(|| gid.to_string()))),
    ];
    let who: Vec<String> = who.into_iter().flatten().collect();
    if who.is_empty() {
        return None;
    }
    let message =
        format!("notes in {} could not be read by {}", printable_path(path), who.join(" and "));
    let message = message.trim_end_matches(',');
    if mode & 0o060 == 0 {
        return Some(Finding::note(
            subject,
            format!("{message}: file_mode = \"{mode:04o}\" keeps others out"),
        ));
    }
    let rights = if dir.lets_group_write(dir.gid) { "rwX" } else { "rX" };
    let cure = grant_people(path, owner, group.map(|gid| (gid, rights)));
    Some(Finding::warning(subject, message, cure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_of_ones_own_needs_nothing() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = crate::beneath::Dir::open(home.path()).expect("opened");
        let notes = crate::delivery::try_out(&dir, 0o660).expect("it works");
        let own = Permissions::read_from(dir.fd()).expect("asked");
        assert_eq!(find_shut_out_readers("folder a", home.path(), 0o660, &notes, &own), None);
    }

    #[test]
    fn people_who_own_the_directory_and_cannot_read_are_told_the_line() {
        let home = tempfile::tempdir().expect("a directory");
        let dir = crate::beneath::Dir::open(home.path()).expect("opened");
        let trial = crate::delivery::try_out(&dir, 0o660).expect("it works");
        let (uid, gid) = (trial.uid + 4_000_000, trial.gid + 4_000_000);
        let of_others = |mode| {
            let mut dir = trial.with_mode(mode);
            (dir.uid, dir.gid, dir.is_inherited) = (uid, gid, false);
            dir
        };
        let told = |file_mode, dir_mode| {
            let found = find_shut_out_readers(
                "folder a",
                Path::new("/srv/a"),
                file_mode,
                &trial,
                &of_others(dir_mode),
            );
            found.map(|found| {
                format!(
                    "{:?}: {} | {}",
                    found.level,
                    found.message,
                    found.hint.as_deref().unwrap_or("-")
                )
            })
        };
        let all = [told(0o660, 0o770), told(0o660, 0o750), told(0o660, 0o700), told(0o600, 0o750)];
        let all = all.map(Option::unwrap_or_default).join("\n");
        let all = all.replace(&uid.to_string(), "UID").replace(&gid.to_string(), "GID");
        insta::assert_snapshot!(all, @r#"
        Warning: notes in /srv/a could not be read by user UID, whose directory it is, and its group UID | sudo setfacl -R -m u:UID:rwX,d:u:UID:rwX,g:UID:rwX,d:g:UID:rwX '/srv/a'
        Warning: notes in /srv/a could not be read by user UID, whose directory it is, and its group UID | sudo setfacl -R -m u:UID:rwX,d:u:UID:rwX,g:UID:rX,d:g:UID:rX '/srv/a'
        Warning: notes in /srv/a could not be read by user UID, whose directory it is | sudo setfacl -R -m u:UID:rwX,d:u:UID:rwX '/srv/a'
        Note: notes in /srv/a could not be read by user UID, whose directory it is, and its group UID: file_mode = "0600" keeps others out | -
        "#);
    }
}

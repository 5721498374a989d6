//! The confinement of ffmpeg and of the recogniser: can they be kept from everything but the recording?

use super::Finding;
use crate::{
    config::{Convert, Kind, Settings},
    confine::{Enforced, NEEDED},
    dropin::assignments,
    engine::trial::{self, Trial},
};

/// The confinement of a child where everything works.
const CONFINED: &str =
    "ffmpeg and the recogniser reach the open recording and what they must read, and nothing else";

/// Returns whether this configuration has children at work on recordings, or on what strangers wrote.
pub(super) fn has_children(settings: &Settings) -> bool {
    let recognises =
        settings.services.values().any(|service| matches!(service.kind, Kind::Ondevice(_)));
    recognises
        || settings.folders.iter().any(|folder| folder.convert == Convert::Ffmpeg)
        || super::notifiers::runs_programs(settings)
}

/// Tries the confinement, and looks whether the unit that is installed allows it: `units` are the texts of the unit and
/// its drop-ins, where that is what runs or will run.
pub(super) fn try_confinement(settings: &Settings, units: Option<&[String]>) -> Vec<Finding> {
    if !has_children(settings) {
        return Vec::new();
    }
    let trial = trial::try_confinement().unwrap_or_else(|error| Trial::Failed(error.to_string()));
    [Some(describe_trial(trial)), units.and_then(missing_calls)].into_iter().flatten().collect()
}

fn describe_trial(trial: Trial) -> Finding {
    let subject = "confinement";
    match trial {
        Trial::Confined(Enforced { files: true, calls: true }) => Finding::ok(subject, CONFINED),
        Trial::Confined(Enforced { files, calls }) => {
            Finding::note(subject, describe_lack(files, calls))
        }
        Trial::Refused(error) => Finding::error(subject, error, unit_remedy()),
        Trial::Failed(error) => {
            Finding::error(subject, error, "see whether this kernel or its container is at fault")
        }
    }
}

/// Says what a kernel does without.
fn describe_lack(has_files: bool, has_calls: bool) -> String {
    let files = "no Landlock (Linux 5.13, and `landlock` in its list of security modules): ffmpeg and the recogniser may \
                 open what minuted may open";
    let calls = "no filters of system calls: ffmpeg and the recogniser may use the network";
    let lacks = [(has_files, files), (has_calls, calls)];
    let lacks: Vec<&str> =
        lacks.into_iter().filter(|(has, _)| !has).map(|(_, lack)| lack).collect();
    format!("this kernel has {}", lacks.join("; and "))
}

fn unit_remedy() -> String {
    format!("allow it, in the unit or in the profile of the container:\nSystemCallFilter={NEEDED}")
}

/// Looks at the unit's own list of system calls, for the trial does not run below it.
fn missing_calls(units: &[String]) -> Option<Finding> {
    let mut permitted: Vec<String> = Vec::new();
    for (_, value) in
        units.iter().flat_map(|unit| assignments(unit)).filter(|(key, _)| key == "SystemCallFilter")
    {
        // An empty value takes back what was assigned before; what is taken away is no list of what is permitted.
        if value.is_empty() {
            permitted.clear();
        } else if !value.starts_with('~') {
            permitted.extend(value.split_whitespace().map(str::to_owned));
        }
    }
    let is_there = |call: &str| {
        permitted.iter().any(|word| word == call || word == "@sandbox" || word == "@known")
    };
    let missing: Vec<&str> = NEEDED.split(' ').filter(|call| !is_there(call)).collect();
    if permitted.is_empty() || missing.is_empty() {
        return None;
    }
    let message =
        format!("the unit's SystemCallFilter= lacks {}: recordings wait for it", missing.join(" "));
    Some(Finding::error(
        "confinement of the unit",
        message,
        format!("take the unit of this version, or\n{}", unit_remedy()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_kernel_lacks_is_a_note_and_what_a_filter_refuses_an_error() {
        let told = |trial| {
            let found = describe_trial(trial);
            format!(
                "{:?}: {} | {}",
                found.level,
                found.message,
                found.hint.as_deref().unwrap_or("-").replace('\n', " ")
            )
        };
        let enforced = |files, calls| told(Trial::Confined(Enforced { files, calls }));
        let all = [
            enforced(true, true),
            enforced(false, true),
            enforced(false, false),
            told(Trial::Refused("a filter refuses `seccomp`".to_owned())),
        ];
        insta::assert_snapshot!(all.join("\n"), @"
        Ok: ffmpeg and the recogniser reach the open recording and what they must read, and nothing else | -
        Note: this kernel has no Landlock (Linux 5.13, and `landlock` in its list of security modules): ffmpeg and the recogniser may open what minuted may open | -
        Note: this kernel has no Landlock (Linux 5.13, and `landlock` in its list of security modules): ffmpeg and the recogniser may open what minuted may open; and no filters of system calls: ffmpeg and the recogniser may use the network | -
        Error: a filter refuses `seccomp` | allow it, in the unit or in the profile of the container: SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp
        ");
    }

    #[test]
    fn a_unit_that_forbids_it_is_told_and_those_that_ship_do_not() {
        for unit in [
            include_str!("../../../systemd/minuted.service"),
            include_str!("../../../systemd/user/minuted.service"),
            "[Service]\nExecStart=/usr/bin/minuted run\n",
            "[Service]\nSystemCallFilter=~@privileged\n",
        ] {
            assert_eq!(missing_calls(&[unit.to_owned()]), None);
        }
        let old = "[Service]\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged\n"
            .to_owned();
        let found = missing_calls(std::slice::from_ref(&old)).expect("found");
        assert!(
            found.message.contains("lacks landlock_create_ruleset landlock_add_rule"),
            "{}",
            found.message
        );
        let more = format!("[Service]\nSystemCallFilter={NEEDED}\n");
        assert_eq!(missing_calls(&[old, more]), None);
    }
}

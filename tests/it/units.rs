//! The units promise what the code does.

use minuted::testing::exit;

const UNITS: [(&str, &str); 2] = [
    ("minuted.service", include_str!("../../systemd/minuted.service")),
    ("user/minuted.service", include_str!("../../systemd/user/minuted.service")),
];

/// The values of `key=` in a unit, in order.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn what_no_restart_can_heal_is_not_started_again() {
    for (name, unit) in UNITS {
        let hopeless = format!("{} {}", exit::USAGE, exit::CONFIG);
        assert_eq!(values(unit, "RestartPreventExitStatus"), [hopeless], "{name}");
        assert_eq!(values(unit, "Restart"), ["on-failure"], "{name}");
    }
}

#[test]
fn the_daemon_has_its_20_seconds_to_stop_and_tells_of_itself() {
    for (name, unit) in UNITS {
        let stop: u64 = values(unit, "TimeoutStopSec")[0].parse().expect("seconds");
        assert!(stop > 20, "{name}");
        assert_eq!(
            (values(unit, "Type"), values(unit, "WatchdogSec")),
            (vec!["notify"], vec!["60"]),
            "{name}"
        );
    }
}

/// `minuted systemd-drop-in` names what is not seen or not writable by these lines, and nothing else.
#[test]
fn the_sandbox_is_the_one_that_the_drop_in_opens() {
    let (_, unit) = UNITS[0];
    let lines =
        ["ProtectSystem=strict", "ProtectHome=tmpfs", "PrivateTmp=yes", "StateDirectory=minuted"];
    for line in lines.into_iter().chain(["LogsDirectory=minuted"]) {
        assert!(unit.lines().any(|other| other == line), "{line}");
    }
}

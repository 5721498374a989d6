//! The exit codes: an interface that the unit's `RestartPreventExitStatus=2 78` and scripts rely on.

/// The command did what it should.
pub const OK: u8 = 0;
/// It failed; also when a recording failed under `add --wait` or `run --once`.
pub const FAILURE: u8 = 1;
/// The command line makes no sense (clap's own code).
pub const USAGE: u8 = 2;
/// The configuration is wrong (`EX_CONFIG` of sysexits.h), or the queue is damaged or newer:
/// starting again cannot help.
pub const CONFIG: u8 = 78;

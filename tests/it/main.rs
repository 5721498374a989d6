//! The integration tests: the real binary and the real queue against stateful models of the outside.

mod analyses;
mod answers;
mod architecture;
mod breaker;
mod commands;
mod contract;
mod convert;
mod crash;
mod delivery;
mod disk;
mod engine;
mod engine_audio;
#[cfg(target_arch = "x86_64")] // its snapshots show the sizes of that machine's wheel
mod engine_install;
mod faults;
mod hostile;
mod hostile_answers;
mod hostile_folder;
mod koldan;
mod load;
mod mail;
mod mailing;
mod main_job;
mod meetingbaas;
mod moving;
mod ondevice;
mod openai;
mod panics;
mod poison;
mod queue_file;
mod recovery;
mod saled;
mod secrets;
mod service_manager;
mod sidecars;
mod sign_in;
mod sources;
mod support;
mod tls;
mod told;
mod units;
mod walk;
mod watching;
mod webhook;
#[cfg(feature = "whisper")]
mod whisper;

//! The integration tests: the real binary and the real queue against stateful models of the outside.

mod analyses;
mod architecture;
mod breaker;
mod commands;
mod crash;
mod delivery;
mod faults;
mod hostile;
mod hostile_answers;
mod hostile_folder;
mod load;
mod mail;
mod mailing;
mod main_job;
mod panics;
mod poison;
mod recovery;
mod secrets;
mod service_manager;
mod sign_in;
mod support;
mod tls;
mod units;
mod walk;
mod watching;

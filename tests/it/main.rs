//! The integration tests: the real binary and the real queue against stateful models of the outside.

mod analyses;
mod architecture;
mod delivery;
mod faults;
mod hostile;
mod mail;
mod main_job;
mod sign_in;
mod support;
mod units;
mod watching;

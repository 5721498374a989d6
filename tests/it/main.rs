//! The integration tests: the real binary and the real queue against stateful models of the outside.

mod architecture;
mod mail;
mod main_job;
mod support;
mod units;

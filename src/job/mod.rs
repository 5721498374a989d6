//! What a job is: its key, its stages, its states and what may happen to it. Pure: no I/O, no clock, no async.
//!
//! `now` and jitter are arguments, so that every rule here is tested without waiting.

pub mod findings;
pub mod key;
pub mod outcome;
pub mod retry;
pub mod stage;
pub mod state;

pub use findings::{Findings, Report, Segment, Status};
pub use key::{Content, Key};
pub use outcome::Outcome;
pub use stage::Stage;
pub use state::{Event, IllegalTransition, State, Wait};

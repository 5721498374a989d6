//! A job: its key, its stages, its states and its events. Pure: no I/O, no clock, no async.
//!
//! `now` and jitter are arguments, so that every rule here is tested without waiting.

pub mod bound;
pub mod details;
pub mod findings;
pub mod history;
pub mod hold_reason;
pub mod key;
pub mod plan;
pub mod remote;
pub mod retry;
pub mod setback;
pub mod shown;
pub mod sound;
pub mod stage;
pub mod state;

pub use bound::Bound;
pub use details::Details;
pub use findings::{Findings, Report, Segment, Status, spoken};
pub use history::{EventKind, HistoryEvent};
pub use hold_reason::{EndedBy, HoldReason, Urgency};
pub use key::{Content, Key};
pub use plan::{Plan, Told};
pub use remote::Remote;
pub use setback::{Setback, Suspect};
pub use shown::{JobState, WaitReason};
pub use sound::Sound;
pub use stage::Stage;
pub use state::{Event, IllegalTransition, State, Wait};

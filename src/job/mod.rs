//! A job: its key, its stages, its states and its events. Pure: no I/O, no clock, no async.
//!
//! `now` and jitter are arguments, so that every rule here is tested without waiting.

pub(crate) mod bound;
pub(crate) mod calendar_match;
pub(crate) mod details;
pub(crate) mod findings;
pub(crate) mod history;
pub(crate) mod hold_reason;
pub(crate) mod key;
pub(crate) mod plan;
pub(crate) mod remote;
pub(crate) mod retry;
pub(crate) mod setback;
pub(crate) mod shown;
pub(crate) mod sound;
pub(crate) mod speaker_names;
pub(crate) mod stage;
pub(crate) mod state;

pub(crate) use bound::Bound;
pub(crate) use calendar_match::{
    CalendarAnswer, CalendarMatch, EventCandidate, EventSnapshot, NoEventReason,
};
pub(crate) use details::Details;
pub use findings::Findings;
pub use findings::Report;
pub use findings::Segment;
pub use findings::Status;
pub(crate) use findings::{
    FOREIGN_NOTE, Item, ItemKind, ItemQuote, UNCLEAR, confidence_from_log, is_silence, spoken_words,
};
pub(crate) use history::{EventKind, HistoryEvent};
pub(crate) use hold_reason::{EndedBy, HoldReason};
pub use key::{Content, Key};
pub(crate) use plan::{DetailsSource, Plan};
pub(crate) use remote::Remote;
pub(crate) use setback::{Setback, Suspect};
pub(crate) use shown::{JobState, WaitReason};
pub use sound::Sound;
pub(crate) use speaker_names::{NamingError, SpeakerNames};
pub(crate) use stage::Stage;
pub(crate) use state::{Event, IllegalTransition, State, Wait};

//! The state of the model: pure, with time and randomness passed in.
//!
//! What each part knows lies with it ([`super::tokens`], [`super::sessions`], [`super::recordings`],
//! [`super::analyses`]); here is what they share.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    analyses::{Analysis, Report, Requested},
    sessions::Meeting,
    tokens::Tokens,
};

/// One moment in both times.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// For what takes time.
    pub(super) at: Instant,
    /// For what is told.
    pub(super) wall: Timestamp,
}

impl Moment {
    /// Returns this moment.
    pub(super) fn now() -> Self {
        Self { at: Instant::now(), wall: minuted::testing::clock::now() }
    }
}

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The HTTP status.
    pub(super) status: u16,
    /// The JSON body.
    pub(super) body: Value,
}

impl Refusal {
    /// Returns a refusal that says why.
    pub(super) fn new(status: u16, detail: &str) -> Self {
        Self { status, body: json!({ "detail": detail }) }
    }

    /// Returns a 400.
    pub(super) fn bad(detail: &str) -> Self {
        Self::new(400, detail)
    }

    /// Returns a 404.
    pub(super) fn missing(what: &str) -> Self {
        Self::new(404, &format!("{what} not found"))
    }
}

/// Where ids and tokens come from: a keyed stream, so that one seed gives one history.
#[derive(Debug)]
pub(super) struct Ids {
    seed: [u8; 32],
    count: u64,
}

impl Ids {
    /// Returns the stream of this seed.
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self { seed, count: 0 }
    }

    /// Returns 128 bits in hex.
    pub(super) fn token(&mut self) -> String {
        self.count += 1;
        blake3::keyed_hash(&self.seed, &self.count.to_le_bytes()).to_hex()[..32].to_owned()
    }

    /// Returns an id in the form of a UUID, as the documents show them.
    pub(super) fn uuid(&mut self) -> String {
        let hex = self.token();
        format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    }
}

/// A meeting and the reports of its active recording.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) meeting: Meeting,
    pub(super) reports: Vec<Report>,
}

/// Everything that the stand-in knows.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) ids: Ids,
    pub(super) tokens: Tokens,
    /// In the order in which they were made.
    pub(super) meetings: BTreeMap<u64, Entry>,
    /// From the id of a meeting to its place.
    pub(super) places: BTreeMap<String, u64>,
    /// How many meetings were ever made.
    pub(super) made: u64,
    pub(super) requested: Vec<Requested>,
    /// How many of the next reports of a kind will fail.
    pub(super) failing: BTreeMap<Analysis, u32>,
    /// Since when nothing is completed any more.
    pub(super) stalled: Option<Instant>,
}

impl Model {
    /// Returns an empty model.
    pub(super) fn new(seed: [u8; 32]) -> Self {
        Self {
            ids: Ids::new(seed),
            tokens: Tokens::default(),
            meetings: BTreeMap::new(),
            places: BTreeMap::new(),
            made: 0,
            requested: Vec::new(),
            failing: BTreeMap::new(),
            stalled: None,
        }
    }

    /// Returns the meeting of that id.
    pub(super) fn entry(&self, id: &str) -> Result<&Entry, Refusal> {
        let place = self.places.get(id);
        place.and_then(|place| self.meetings.get(place)).ok_or_else(|| Refusal::missing("session"))
    }

    /// Returns the meeting of that id, to change it.
    pub(super) fn entry_mut(&mut self, id: &str) -> Result<&mut Entry, Refusal> {
        let place = self.places.get(id);
        place
            .and_then(|place| self.meetings.get_mut(place))
            .ok_or_else(|| Refusal::missing("session"))
    }

    /// Removes a meeting, as if it had never been; returns whether it was there.
    pub(super) fn vanish(&mut self, id: &str) -> bool {
        self.places.remove(id).and_then(|place| self.meetings.remove(&place)).is_some()
    }
}

/// What the tests of the model share.
pub(super) mod testing {
    use std::time::Duration;

    use super::*;

    /// Returns a model that is the same each time.
    pub(in super::super) fn model() -> Model {
        Model::new([7; 32])
    }

    /// Returns the moment `after` another.
    pub(in super::super) fn later(moment: Moment, after: Duration) -> Moment {
        Moment { at: moment.at + after, wall: moment.wall + after }
    }
}

//! The durable queue.

mod sighting;

pub use sighting::{Settled, Sighting, Verdict};

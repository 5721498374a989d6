//! Stand-in until it is there.
use crate::{config::Attendee, job::Segment};
/// x
#[derive(Debug)]
pub struct Talk<'a> {
    /// x
    pub segments: &'a [Segment],
    /// x
    pub attendees: &'a [Attendee],
    /// x
    pub recorded: jiff::Zoned,
}
/// x
#[derive(Debug)]
pub struct Extract;
/// x
#[must_use]
pub fn extract(_talk: &Talk<'_>) -> Extract {
    Extract
}
impl Extract {
    /// x
    #[must_use]
    pub fn markdown(&self) -> String {
        "*Automatic extract, no language model.*\n".into()
    }
}

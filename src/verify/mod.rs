//! Items that a language model proposes, checked against the transcript that it read.
//!
//! The model names the numbers of the lines that say an item. An item whose words are not there is
//! dropped and counted, a doubtful one is marked, and each one that is kept has the words that were
//! said and their time. A misreading of the right words is not found this way: that is what the
//! quote is for.
//!
//! | file | task |
//! |---|---|
//! | `lines` | segments → numbered lines without fillers |
//! | `proposals` | the schema of the answer, and the answer → proposals, read leniently |
//! | `repair` | JSON that is cut off or wrapped in prose → JSON |
//! | `words` | words with content, numbers, words of time |
//! | `evidence` | what the cited lines say: words, numbers, days, names |
//! | `check` | proposals → items |
//!
//! Pure and deterministic: the same answer to the same transcript gives the same items.

#[cfg(test)]
mod cases;
mod check;
mod evidence;
mod lines;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod proposals;
mod repair;
mod words;

pub(crate) use self::{
    check::{Checked, Meeting, SummaryPoint, check_proposals},
    lines::{NumberedLine, NumberedLines},
    proposals::{ItemSchema, Proposals, parse_proposals},
};

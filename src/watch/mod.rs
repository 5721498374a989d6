//! Folders to settled recordings: hints, scans, settling, a look at the media. The only user of notify.
//!
//! Events are hints that something may have happened at a path. A scan at start and every `rescan` is the truth. Both
//! feed one table of what is known and one of what is settling; when a file has been quiet for long enough it is looked
//! into, hashed, and given to the queue through [`FolderQueue`].
//!
//! ```text
//! hints ──▶ scanner.look ─┐                       ┌─▶ queue.take_recordings (a batch, one commit)
//! timer ──▶ scanner.scan ─┴▶ settling files ─▶ examine ─▶ known (never looked at again)
//! ```

pub(crate) mod date;
pub(crate) mod examine;
mod folder_queue;
mod foreign;
pub(crate) mod handle;
mod holes;
pub(crate) mod media;
pub(crate) mod names;
pub(crate) mod once;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
pub(crate) mod scanner;
pub(crate) mod settle;
mod task;
mod turns;
pub(crate) mod view;
pub(crate) mod why;

#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use folder_queue::{FolderQueue, WorkerLink};
pub(crate) use handle::{BacklogDecision, FolderHandle, open_folder_channel};
pub(crate) use once::{settle_now, survey_folder};
pub(crate) use scanner::{WatchMode, mounts, walk::DEPTH_MAX};
pub(crate) use task::run;
pub(crate) use view::FolderView;
pub(crate) use why::explain;

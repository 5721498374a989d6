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

pub mod date;
pub mod examine;
mod folder_queue;
mod foreign;
pub mod handle;
mod holes;
pub mod media;
pub mod names;
pub mod once;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
pub mod scanner;
pub mod settle;
mod task;
mod turns;
pub mod view;
pub mod why;

#[cfg(test)]
mod open_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use folder_queue::{FolderQueue, QueueErrorHandler, WorkerLink};
pub use handle::{BacklogDecision, FolderEnd, FolderHandle, NotWatched, open_folder_channel};
pub use once::{UntakenFile, settle_now, survey_folder};
pub use scanner::{FolderTrouble, WatchMode, mounts, walk::DEPTH_MAX};
pub use task::{run, run_with};
pub use view::{FolderSnapshot, FolderView, LastScan, SettlingFileView};
pub use why::{FileExplanation, explain};

//! The words by which people and scripts see a job: its state, and the reason for which it waits.

use crate::words::words;

words! {
    /// The state of a job, without what the queue knows besides.
    pub enum JobState {
        /// The job can go on at once.
        Ready = "ready",
        /// A worker has it.
        Running = "running",
        /// The job waits; [`WaitReason`] names the cause.
        Waiting = "waiting",
        /// Its notes are where they belong.
        Done = "done",
        /// The job failed.
        Failed = "failed",
        /// The job was skipped.
        Skipped = "skipped",
        /// The job was cancelled.
        Cancelled = "cancelled",
    }
}

words! {
    /// The reason for which a job waits.
    pub enum WaitReason {
        /// The service works on its results.
        Analysis = "analysis",
        /// Its next attempt is not due.
        Retry = "retry",
        /// The service cannot be asked now.
        Service = "service",
        /// A person has to sign in at the service.
        SignIn = "sign_in",
        /// Its file, or a file beside it, is not as it should be.
        File = "file",
        /// Its folder is held.
        Folder = "folder",
        /// The disk is full.
        Disk = "disk",
        /// A daily limit of its folder or its service is used up.
        Budget = "budget",
    }
}

impl JobState {
    /// Returns whether nothing more happens to the job by itself.
    #[must_use]
    pub const fn is_over(self) -> bool {
        match self {
            Self::Done | Self::Failed | Self::Skipped | Self::Cancelled => true,
            Self::Ready | Self::Running | Self::Waiting => false,
        }
    }
}

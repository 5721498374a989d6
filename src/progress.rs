//! How far a piece of work is: counted where the bytes go, read where a person looks.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes sent of bytes in all.
#[derive(Debug, Default)]
pub struct Progress {
    sent: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// Begins anew with `total` bytes.
    pub fn start(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
        self.sent.store(0, Ordering::Relaxed);
    }

    /// Counts `bytes` more as sent.
    pub fn add(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Returns bytes sent and bytes in all; 0 of 0 before the start.
    #[must_use]
    pub fn read(&self) -> (u64, u64) {
        (self.sent.load(Ordering::Relaxed), self.total.load(Ordering::Relaxed))
    }

    /// Returns whether every byte is sent.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let (sent, total) = self.read();
        total > 0 && sent >= total
    }
}

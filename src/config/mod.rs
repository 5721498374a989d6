//! File and environment → typed, validated settings.

mod settings;

pub use settings::*;

//! minuted: drop a recording into a folder; get its minutes beside it.

#[cfg(test)]
mod alone;
pub mod beneath;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod control;
pub mod daemon;
pub mod deliver;
pub mod dropin;
pub mod effect;
pub mod exit;
pub mod http;
pub mod job;
pub mod logging;
pub mod pipeline;
pub mod progress;
pub mod queue;
pub mod service_manager;
pub mod services;
pub mod signals;
pub mod standin;
pub mod text;
pub mod watch;
pub mod worker;

//! minuted: drop a recording into a folder; get its minutes beside it.
//!
//! This page is the map of the source. `docs/ARCHITECTURE.md` names the place of each rule, the
//! invariants and the test that holds each; `CONTRIBUTING.md` says how to add a service, a key, a
//! command or a state. The commands, keys and files that people rely on are in `README.md` and
//! `docs/`; how a part works is in the documentation of its module.
//!
//! ```text
//!  folder ──▶ settle ──▶ job ──▶ create ──▶ upload ──▶ analyse ──▶ deliver ──▶ done
//!  (watch)    (watch)   (store)  └──────── pipeline, services ───┘ (delivery)
//!                          ▲                      │
//!                          └─── worker: claim, run one stage, record the result ───┐
//!                                                                                  │
//!  commands ──▶ control (Unix socket) ──▶ daemon: starts, reloads and stops all ───┘
//! ```
//!
//! The rooms, from top to bottom. Each uses only those below it, and `tests/it/architecture.rs`
//! fails when one does not:
//!
//! | room | task |
//! |---|---|
//! | `commands/` | one file per command of the program |
//! | `daemon/` | starts, reloads and drains everything else |
//! | `web/` | serves the page |
//! | `webhook/` | takes the calls of vendors |
//! | `control/` | answers commands over a Unix socket |
//! | `watch/` | finds settled recordings in folders |
//! | `worker/` | claims jobs, runs one stage at a time, records the outcome |
//! | `pipeline/` | the stages: create, upload, analyse |
//! | `sources/` | fetches recordings that are kept elsewhere |
//! | `delivery/` | delivers notes: files, mails, the fate of the recording |
//! | `runtime/` | the state that the loops share: settings in force, signals, holds |
//! | `services/` | talks to the programs that make the notes, one folder per kind |
//! | `calendar/` | finds the event that a recording is of |
//! | `engine/` | recognises speech on this machine |
//! | `http/` | makes every call to a server, within limits |
//! | `store/` | keeps jobs, deliveries, holds and history in a database |
//! | `verify/` | compares what a language model says with the transcript |
//! | `extract/` | finds decisions, actions and questions in a transcript |
//! | `job/` | the pure core: states, stages, events, retry policy |
//! | `confine/` | takes rights away from child processes |
//! | `config/` | turns files and environment into validated settings |
//!
//! The remaining modules are the base that any room may use: time, paths without links, text that
//! is safe to show, names of effects.
//!
//! Four rules hold everywhere:
//!
//! - The intent is on disk before an effect, and its result before the next effect. Each effect has a
//!   name in `effect.rs`; tests kill the process before and after each.
//! - Only the queue retries. A stage reports a setback and whose fault it was; the worker decides.
//! - Every loop derives its work from the queue or the folder. A message between tasks only says
//!   "look again", so a lost one costs time and nothing else.
//! - Everything from outside is hostile: names, answers, recordings. It is shown only through
//!   `text.rs`, opened only through `beneath.rs`, and decoded only in a confined process.

mod access;
#[cfg(test)]
mod alone;
mod beneath;
#[cfg(test)]
mod budget;
mod calendar;
mod certificate;
mod cli;
mod clock;
mod commands;
mod config;
mod confine;
mod control;
mod daemon;
mod delivery;
mod drafts;
mod dropin;
mod effect;
mod engine;
mod exit;
mod extract;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod hint;
mod http;
mod job;
mod last_words;
mod logging;
mod media_types;
mod memory;
mod open_files;
mod pipeline;
mod progress;
mod runtime;
mod service_manager;
mod services;
mod signals;
mod sources;
mod store;
mod tcp_listener;
#[doc(hidden)]
pub mod testing;
mod text;
mod verify;
mod watch;
mod web;
mod webhook;
mod words;
mod worker;

pub use commands::main;

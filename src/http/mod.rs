//! The only user of reqwest: one client an origin, and a limit on everything.
//!
//! A [`Client`] talks to one base URL and builds every address from it, so that a token can not go
//! anywhere else. It follows no redirect: a streamed body can not be sent twice, and a redirected
//! token is a lost token. Answers are read up to a cap. One call is one attempt; only the queue
//! retries.
//!
//! Proxies are those of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, less
//! `NO_PROXY`), read once when the client is built; a base URL on this machine is never reached
//! through one.

mod answer;
mod body;
mod cause;
mod client;
mod document;
mod download;
mod elsewhere;
mod flow;
mod hook;
#[cfg(test)]
pub(crate) mod loopback;
mod public;
#[cfg(test)]
mod tests;
mod upload;

pub(crate) use answer::Answer;
pub use client::CallLimits;
pub(crate) use client::{BuildError, Client, Request, TransportError};
pub(crate) use document::{DocumentError, DocumentTag, FetchedDocument, fetch_document};
pub(crate) use download::{Download, Fetched};
pub use elsewhere::Elsewhere;
pub(crate) use elsewhere::FetchError;
pub(crate) use hook::{Hook, HookCall};
pub(crate) use upload::{FileBody, UploadError};

/// The cap of an ordinary JSON answer: a page of twenty meetings has some tens of KiB, so this is
/// generous.
pub(crate) const JSON_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The cap of the answer with the analyses: a day of talk with a time for every word stays below
/// it.
pub(crate) const ANALYSES_BYTES_MAX: usize = 64 * 1024 * 1024;

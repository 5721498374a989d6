//! What the tests share.

pub(crate) mod browser;
#[expect(dead_code, reason = "properties are tried by the tests in `src`")]
#[path = "../../../src/budget.rs"]
pub(crate) mod budget;
pub(crate) mod calendar;
pub(crate) mod chance;
pub(crate) mod control;
pub(crate) mod engine;
pub(crate) mod house;
pub(crate) mod koldan;
pub(crate) mod ledger;
pub(crate) mod media;
pub(crate) mod meetingbaas;
pub(crate) mod openai;
pub(crate) mod page;
pub(crate) mod paxs;
pub(crate) mod receivers;
pub(crate) mod rows;
pub(crate) mod saled;
pub(crate) mod server;
pub(crate) mod services;
pub(crate) mod sign_in;
pub(crate) mod smtp;
pub(crate) mod sound;
pub(crate) mod tls;
pub(crate) mod told;
#[cfg(feature = "whisper")]
#[path = "../../../src/engine/whisper/testing.rs"]
pub(crate) mod whisper;

//! What the tests share.

#[path = "../../../src/budget.rs"]
pub(crate) mod budget;
pub(crate) mod chance;
pub(crate) mod house;
pub(crate) mod ledger;
pub(crate) mod smtp;
pub(crate) mod told;

//! What the tests share.

#[path = "../../../src/budget.rs"]
pub(crate) mod budget;
pub(crate) mod house;
pub(crate) mod smtp;
pub(crate) mod told;

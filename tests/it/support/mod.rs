//! What the tests share.

pub(crate) mod house;
pub(crate) mod smtp;
pub(crate) mod told;

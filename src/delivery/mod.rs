//! Everything after "the results are there": notes to files and mail, the fate of the recording here and at its service.
//!
//! The results of a job and the list of its deliveries ([`plan`]) are recorded in one commit. The runner makes each of
//! them with its own tries: files ([`files`]), mails ([`mail`]), and what a service is asked ([`remote`]). What is
//! written is made of the results in [`render`].
//!
//! A notification would be one more kind of delivery: a row in [`DeliveryKind`](crate::store::DeliveryKind) and a lane in
//! [`Lane`](crate::store::Lane), a target in `plan`, and a file beside `mail` that the runner calls for it.

mod context;
pub mod files;
mod in_flight;
pub mod mail;
mod outcome;
pub mod plan;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod remote;
pub mod render;
mod runner;

pub use files::{
    FileError, Temporary, find_notes, generation_beside, head_proof, head_sound, is_temporary, sweep, try_out,
};
pub use mail::{Letter, LetterForm, Limits, MailError, Mailer, Notice, SMTP, mail_works, message_id, recipient};
pub use plan::post_delivery_actions;
pub use render::{Minutes, Proof, key_of};
pub use runner::DeliveryRunner;

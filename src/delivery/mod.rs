//! Everything after "the results are there": notes to files and mail, the fate of the recording here and at its service.
//!
//! The results of a job and the list of its deliveries ([`plan`]) are recorded in one commit. The runner makes each of
//! them with its own tries: files ([`files`]), mails ([`mail`]), and what a service is asked ([`remote`]). What is
//! written is made of the results in [`render`]. Where the folder keeps recordings only so long, [`expiry`] deletes them later.
//!
//! Notifications ([`notifications`]) have a ledger and a runner of their own: no job waits for them.

mod context;
mod expiry;
pub(crate) mod files;
mod in_flight;
pub(crate) mod mail;
pub(crate) mod notifications;
mod outcome;
pub(crate) mod plan;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod remote;
pub(crate) mod render;
mod runner;

pub(crate) use context::read_minutes;
pub use files::is_temporary;
pub(crate) use files::{
    NotesFileState, Temporary, find_notes, find_notes_state, generation_beside, head_proof,
    head_sound, remove_leftovers, try_out,
};
pub use mail::DigestEntry;
pub use mail::Letter;
pub use mail::LetterForm;
pub use mail::MailError;
pub use mail::MailLimits;
pub use mail::Mailer;
pub use mail::message_id;
pub(crate) use mail::{SMTP, mail_works, recipient_mailbox};
pub(crate) use plan::post_delivery_actions;
pub use render::Minutes;
pub(crate) use render::{Paragraph, Proof, key_of};
pub(crate) use runner::DeliveryRunner;

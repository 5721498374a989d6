//! Notes to files and mail.
//!
//! What a service found becomes [`Minutes`]; they are rendered to the bytes of a file ([`notes`]), placed beside the
//! recording without ever touching what a person wrote ([`files`]), or composed into a [`Letter`] and mailed
//! ([`mail`]). Everything that comes from a service or a file name is hostile here: it may neither run, nor forge the
//! front matter, nor reach a header. Only this module knows lettre.

pub mod address;
mod conversation;
mod direction;
pub mod failed;
mod file_error;
pub mod files;
mod formats;
mod front;
mod html;
pub mod letter;
mod limited;
pub mod mail;
mod mail_error;
mod markdown;
mod message;
pub mod names;
pub mod notes;
mod plain;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod quoted;
mod refusals;
pub mod relocate;
mod seal;
mod subtitles;
mod templates;
mod temporary;

pub use address::{allowed, message_id, recipient};
pub use files::{Existing, FileError, Placed, place, remove_ours, sweep, try_out};
pub use letter::{Kept, Letter, LetterForm, Notice};
pub use lettre::message::Mailbox as Recipient;
pub use mail::{MailError, Mailer};
pub use names::{failed_name, failed_name_within, fitting_names, names, names_within, numbered};
pub use notes::{Minutes, Proof, key_of, proof_of, sound_of};
pub use refusals::Comparison;
pub use relocate::{relocate, relocate_as, relocate_closed};
pub use temporary::Temporary;

//! A trial of the confinement: whether a child of this process could be confined here and now.

use std::{io, process::Command};

use serde::{Deserialize, Serialize};

use super::run::this_program;
use crate::confine::{ConfineError, Enforced, Reach, Role, confine_process};

/// The outcome of the trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Trial {
    /// As far as the kernel can.
    Confined(Enforced),
    /// Not at all: a filter forbids it.
    Refused(String),
    /// Not at all, for another reason.
    Failed(String),
}

/// Confines this process, which is of no other use then.
#[must_use]
pub(crate) fn confine_for_trial() -> Trial {
    match confine_process(Role::Recogniser, &Reach::for_libraries()) {
        Ok(enforced) => Trial::Confined(enforced),
        Err(error @ ConfineError::Refused { .. }) => Trial::Refused(error.to_string()),
        Err(error @ ConfineError::Failed(_)) => Trial::Failed(error.to_string()),
    }
}

/// Has a child confine itself.
///
/// # Errors
/// When it cannot be started, or is not understood.
pub(crate) fn try_confinement() -> io::Result<Trial> {
    let output =
        Command::new(this_program()).args(["engine-work", "--trial"]).env_clear().output()?;
    Ok(serde_json::from_slice(&output.stdout)?)
}

//! What Koldan's own lists tell of the config: templates that are not there, limits that are used up, rights that
//! lack.

use serde_json::Value;

use super::Finding;
use crate::{
    config::{Kind, Settings},
    services::koldan::{FORBIDDEN, describe_quotas, missing_template},
    text::one_line,
};

/// The cure of a template that is not there.
const CURE: &str =
    "name one that is there: prompt_template = \"…\" in the folder or in the service";

/// Returns what the profile of a service tells, where it is Koldan.
pub(super) fn describe_profile(settings: &Settings, name: &str, profile: &Value) -> Vec<Finding> {
    let Some(kind @ Kind::Koldan(koldan)) =
        settings.services.get(name).map(|service| &service.kind)
    else {
        return Vec::new();
    };
    let may_write = profile["may_write"].as_bool().unwrap_or(true);
    let forbidden = (!may_write).then(|| {
        let what =
            format!("it may read, and is forbidden to have anything made (403): {FORBIDDEN}");
        Finding::error(format!("service {name}"), what, kind.sign_in_cure(name))
    });
    let unwritten = koldan.folders.iter().filter_map(|(folder, wanted)| {
        let why = missing_template(profile, wanted.as_deref())?;
        let subject = format!("notes of folder {folder}");
        Some(Finding::error(subject, one_line(&why, 600), CURE))
    });
    let subject = format!("quota of {name}");
    let quotas = describe_quotas(profile).into_iter().map(|(told, is_spent)| {
        if is_spent {
            Finding::warning(
                &*subject,
                told,
                "its recordings wait and go on by themselves when there is more",
            )
        } else {
            Finding::ok(&*subject, told)
        }
    });
    forbidden.into_iter().chain(unwritten).chain(quotas).collect()
}

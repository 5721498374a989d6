//! The sources: is the key there, does a list come, is there a folder for what it brings?

use super::{CheckFindings, CommandFailure, Finding};
use crate::{
    config::{Settings, Source},
    control::VendorAccount,
    services::CallError,
    sources::meetingbaas::suggest_cure,
    text::{error_chain, one_line, printable_path},
};

/// Tries each source by a list of one.
pub(super) async fn check_sources(
    settings: &Settings,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    for source in &settings.sources {
        let read = VendorAccount::open(settings, source)?.check_access().await;
        findings.add(describe_source(source, read))?;
        findings.add(describe_target(settings, source))?;
    }
    Ok(())
}

fn describe_source(source: &Source, read: Result<(), CallError>) -> Finding {
    let subject = format!("source {}", source.name);
    let place = &source.base_url;
    let api = source.api.as_str();
    match read {
        Ok(()) => Finding::ok(subject, format!("{place} answers, and the key reads ({api})")),
        Err(error) => {
            let message = one_line(&error_chain(&error), 300);
            let hint = suggest_cure(source, &error)
                .unwrap_or_else(|| format!("look whether api = \"{api}\" is the key's version"));
            Finding::error(subject, message, hint)
        }
    }
}

/// Says where its recordings go; how the folder itself stands is tried with the folders.
fn describe_target(settings: &Settings, source: &Source) -> Finding {
    let subject = format!("source {}, into", source.name);
    let Some(folder) = settings.folder(&source.into) else {
        return Finding::error(
            subject,
            "there is no such folder",
            "write the name of a [[folder]]",
        );
    };
    let path = printable_path(&folder.path);
    if folder.path.is_dir() {
        return Finding::ok(
            subject,
            format!("its recordings go to folder {} ({path})", folder.name),
        );
    }
    let hint = format!("see folder {} above; until then nothing is fetched", folder.name);
    Finding::error(
        subject,
        format!("its recordings would go to {path}, which is no directory"),
        hint,
    )
}

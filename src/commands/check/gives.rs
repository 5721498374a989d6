//! The abilities of each service, as far as they are known before it is asked.

use std::{collections::BTreeSet, sync::Arc};

use tokio_util::task::TaskTracker;

use super::{CheckFindings, CommandFailure, Finding};
use crate::{
    config::{Abilities, Analysis, Kind, Notes, Settings},
    runtime::LiveConfig,
};

/// Says of each service what a folder may ask of it.
pub(super) fn list_abilities(
    settings: &Arc<Settings>,
    findings: &mut CheckFindings,
) -> Result<(), CommandFailure> {
    let live = LiveConfig::build(Arc::clone(settings), &TaskTracker::new(), None)?;
    for (name, handle) in &live.services {
        let abilities = handle.settings.abilities();
        let takes: BTreeSet<&str> = handle.service.accepted_extensions().iter().copied().collect();
        let takes = takes.into_iter().collect::<Vec<_>>().join(" ");
        let only_writes =
            matches!(&handle.settings.kind, Kind::Openai(openai) if !openai.transcribes);
        let told = if only_writes {
            "the notes of other services; it is sent no recording".to_owned()
        } else {
            format!("{}; it takes {takes}", describe_abilities(&abilities))
        };
        findings.add(Finding::ok(format!("service {name}, gives"), told))?;
        if only_writes && !handle.settings.daily_limit.is_zero() {
            findings.add(Finding::note(
                format!("service {name}, daily_limit"),
                "has no effect: it counts the hours of recordings, and this service is sent none",
            ))?;
        }
    }
    Ok(())
}

fn describe_abilities(abilities: &Abilities) -> String {
    let speakers = if abilities.speakers { " with speakers" } else { "" };
    let mut told = vec![format!("a transcription{speakers}")];
    let by = if abilities.follows_instruction { ", by an instruction if there is one" } else { "" };
    told.push(match abilities.notes {
        Notes::WithUpload | Notes::WhenAsked => format!("a meeting note{by}"),
        Notes::Extracted => "a meeting note that minuted extracts".to_owned(),
    });
    let more = [Analysis::KeyPoints, Analysis::Sentiment]
        .into_iter()
        .filter(|more| abilities.analyses.contains(more));
    told.extend(more.map(|more| more.as_str().to_owned()));
    let can = [
        (abilities.needs_attendees, "needs attendees"),
        (abilities.progress, "reports its progress"),
        (abilities.cancels, "ends what is cancelled"),
        (abilities.deletes, "deletes (on_success_remote)"),
    ];
    let can: Vec<&str> = can.into_iter().filter_map(|(can, word)| can.then_some(word)).collect();
    let can = if can.is_empty() { String::new() } else { format!("; it {}", can.join(", ")) };
    format!("{}{can}", told.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Environment, parse};

    #[test]
    fn a_service_says_what_a_folder_may_ask_of_it() {
        let text = "[services.a]\nkind = \"koldan\"\napi_key_file = \"k\"\n[services.b]\nkind = \"ondevice\"\n\
                    [services.c]\nkind = \"paxs\"\n";
        let settings =
            parse(text, std::path::Path::new("/etc/minuted/config.toml"), Environment::get())
                .expect("right");
        let told = settings
            .services
            .values()
            .map(|service| describe_abilities(&service.kind.abilities()))
            .collect::<Vec<_>>();
        insta::assert_snapshot!(told.join("\n"), @r"
        a transcription; a meeting note; it ends what is cancelled, deletes (on_success_remote)
        a transcription with speakers; a meeting note that minuted extracts; it reports its progress
        a transcription with speakers; a meeting note, by an instruction if there is one; key_points; sentiment; it needs attendees
        ");
    }
}

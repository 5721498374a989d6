//! Templates of summaries, which people make at Koldan: found by name or by id.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{KoldanService, wire};
use crate::{
    http::Request,
    services::{CallError, pacer::Priority},
    text::one_line,
};

/// Paths of the lists of templates, in another part of Koldan than all else.
const TEMPLATES: [&str; 4] = ["api", "v1", "session-history", "summary-prompt-templates"];
const ASSIGNED: [&str; 5] =
    ["api", "v1", "session-history", "summary-prompt-templates", "assigned"];

/// Time for which a list is trusted: each poll of a summary needs it, and people rarely change it.
const BELIEVED: Duration = Duration::from_secs(300);

/// Templates that are kept, and templates that an error names.
const TEMPLATES_MAX: usize = 500;
const NAMED_MAX: usize = 20;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// The file that holds the template of an unfinished summary.
pub(super) const TEMPLATE: &str = "template.json";

/// The list of templates, with the time at which it was read.
#[derive(Debug)]
pub(super) struct CachedTemplates {
    at: Instant,
    templates: Arc<[NoteTemplate]>,
}

/// A template of summaries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct NoteTemplate {
    /// The id that a request names.
    pub(super) id: String,
    /// The name that people gave it.
    pub(super) name: String,
    /// True where it is assigned to this account.
    pub(super) is_assigned: bool,
}

impl KoldanService {
    /// Chooses a template by name or id; without either, the only one that is assigned, else the
    /// only one. The inner error lists the templates that there are. A cached list may confirm a
    /// template, but not that one is missing.
    pub(super) async fn choose_template(
        &self,
        wanted: Option<&str>,
    ) -> Result<Result<NoteTemplate, String>, CallError> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known
                .as_ref()
                .filter(|known| known.at.elapsed() < BELIEVED)
                .map(|known| Arc::clone(&known.templates))
        };
        if let Some(Ok(template)) = known.map(|known_pair| choose_among(&known_pair, wanted)) {
            return Ok(Ok(template));
        }
        Ok(choose_among(&self.read_templates().await?, wanted))
    }

    /// Reads both lists again.
    pub(super) async fn read_templates(&self) -> Result<Arc<[NoteTemplate]>, CallError> {
        let all = self.template_list(&TEMPLATES).await?;
        let assigned = self.template_list(&ASSIGNED).await?;
        if all.is_none() && assigned.is_none() {
            let message = "it knows no templates of summaries (404); check base_url".to_owned();
            return Err(CallError::service_alone(message));
        }
        let templates: Arc<[NoteTemplate]> =
            merge_lists(&all.unwrap_or_default(), &assigned.unwrap_or_default()).into();
        let known = CachedTemplates { at: Instant::now(), templates: Arc::clone(&templates) };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(templates)
    }

    /// Drops the cached list, which is out of date.
    pub(super) fn forget_templates(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Reads one list of templates; `None` where the server has no such list. (unknown): whether
    /// both lists come in pages. A server without pages answers the second page with the first.
    async fn template_list(&self, path: &[&str]) -> Result<Option<Vec<Value>>, CallError> {
        match self.read_list(path, &[], Priority::High).await {
            Ok(list) => Ok(Some(list)),
            Err(CallError::Refused { status: 400, .. }) => {
                let page = self.read_json_if_found(Request::get(path), Priority::High).await?;
                page.map(|page| Ok(wire::page_entries(&page)?.0)).transpose()
            }
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Merges both lists.
fn merge_lists(all: &[Value], assigned: &[Value]) -> Vec<NoteTemplate> {
    let mut templates: Vec<NoteTemplate> = Vec::new();
    for (entry, is_assigned) in all
        .iter()
        .map(|entry| (entry, false))
        .chain(assigned.iter().map(|entry| (entry, true)))
        .take(2 * TEMPLATES_MAX)
    {
        let Some(template) = parse_template(entry, is_assigned) else { continue };
        match templates.iter_mut().find(|known| known.id == template.id) {
            Some(known) => known.is_assigned |= is_assigned,
            None => templates.push(template),
        }
    }
    templates
}

fn parse_template(entry: &Value, is_assigned: bool) -> Option<NoteTemplate> {
    let inner = ["promptTemplate", "summaryPromptTemplate", "template"]
        .iter()
        .find_map(|name| entry.get(name));
    let entry = inner.filter(|inner| inner.is_object()).unwrap_or(entry);
    let id = wire::id_at(entry, &["uuid", "id"])?;
    let name =
        ["name", "title", "label"].iter().find_map(|name| entry.get(name)?.as_str()).unwrap_or(&id);
    Some(NoteTemplate { name: one_line(name, NAME_CHARS_MAX), id, is_assigned })
}

/// Chooses one of the templates. The error lists them where none fits, or several do.
fn choose_among(templates: &[NoteTemplate], wanted: Option<&str>) -> Result<NoteTemplate, String> {
    let Some(wanted) = wanted else { return choose_only(templates) };
    if let Some(template) =
        templates.iter().find(|template| template.id.eq_ignore_ascii_case(wanted))
    {
        return Ok(template.clone());
    }
    let name = fold_name(wanted);
    let alike: Vec<&NoteTemplate> =
        templates.iter().filter(|template| fold_name(&template.name) == name).collect();
    let exact: Vec<&NoteTemplate> =
        alike.iter().copied().filter(|template| template.name == wanted).collect();
    let assigned: Vec<&NoteTemplate> =
        alike.iter().copied().filter(|template| template.is_assigned).collect();
    for candidates in [&alike, &exact, &assigned] {
        if let [template] = candidates.as_slice() {
            return Ok((*template).clone());
        }
    }
    let shown = one_line(wanted, NAME_CHARS_MAX);
    if alike.is_empty() {
        return Err(format!("there is no template `{shown}`; {}", list_template_names(templates)));
    }
    let ids: Vec<_> =
        alike.iter().take(NAMED_MAX).map(|template| format!("`{}`", template.id)).collect();
    Err(format!(
        "{} templates are called `{shown}`: write the id of one, {}",
        alike.len(),
        ids.join(" or ")
    ))
}

/// Returns a name in the form in which names are compared.
fn fold_name(name: &str) -> String {
    one_line(name, NAME_CHARS_MAX).to_lowercase()
}

/// Chooses the template for a config that names none.
fn choose_only(templates: &[NoteTemplate]) -> Result<NoteTemplate, String> {
    let assigned: Vec<&NoteTemplate> =
        templates.iter().filter(|template| template.is_assigned).collect();
    match (assigned.as_slice(), templates) {
        ([template], _) => Ok((*template).clone()),
        ([], [template]) => Ok(template.clone()),
        (_, _) => Err(format!(
            "`prompt_template` names none, and there is not just one; {}",
            list_template_names(templates)
        )),
    }
}

fn list_template_names(templates: &[NoteTemplate]) -> String {
    if templates.is_empty() {
        return "this account has none: make one at Koldan, or assign one to it".to_owned();
    }
    let names: Vec<_> =
        templates.iter().take(NAMED_MAX).map(|template| format!("`{}`", template.name)).collect();
    let more = templates.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("there are {}{more}", names.join(", "))
}

/// Returns the reason why the template of the config is not among a profile's; `None` where it is.
#[must_use]
pub(crate) fn missing_template(profile: &Value, wanted: Option<&str>) -> Option<String> {
    let templates: Vec<NoteTemplate> =
        serde_json::from_value(profile["templates"].clone()).unwrap_or_default();
    choose_among(&templates, wanted).err()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn templates() -> Vec<NoteTemplate> {
        let all = [
            json!({"uuid": "u1", "name": "Protocol"}),
            json!({"id": 7, "title": "סיכום פגישה"}),
            json!({"uuid": "u3", "name": "twice"}),
            json!({"uuid": "u4", "name": "Twice"}),
            json!({"name": "without an id"}),
        ];
        merge_lists(
            &all,
            &[
                json!({"template": {"uuid": "u1", "name": "Protocol"}}),
                json!({"uuid": "u5", "name": "own"}),
            ],
        )
    }

    #[test]
    fn a_template_is_found_by_its_id_and_by_its_name() {
        let id =
            |wanted: &str| choose_among(&templates(), Some(wanted)).map(|template| template.id);
        assert_eq!(id("u1").as_deref(), Ok("u1"));
        assert_eq!(id("protocol").as_deref(), Ok("u1"));
        assert_eq!(id("סיכום פגישה").as_deref(), Ok("7"));
        assert_eq!(id("Twice").as_deref(), Ok("u4"), "the exact one of several");
        assert!(templates()[0].is_assigned && !templates()[1].is_assigned);
    }

    #[test]
    fn what_is_not_found_is_told_with_what_there_is() {
        let told = |templates: &[NoteTemplate], wanted| {
            choose_among(templates, wanted).expect_err("none fits")
        };
        insta::assert_snapshot!(told(&templates(), Some("Minutes\n")), @"there is no template `Minutes`; there are `Protocol`, `סיכום פגישה`, `twice`, `Twice`, `own`");
        insta::assert_snapshot!(told(&templates(), Some("TWICE")), @"2 templates are called `TWICE`: write the id of one, `u3` or `u4`");
        insta::assert_snapshot!(told(&templates(), None), @"`prompt_template` names none, and there is not just one; there are `Protocol`, `סיכום פגישה`, `twice`, `Twice`, `own`");
        insta::assert_snapshot!(told(&[], Some("x")), @"there is no template `x`; this account has none: make one at Koldan, or assign one to it");
        assert_eq!(
            choose_among(&templates()[..3], None).map(|template| template.id).as_deref(),
            Ok("u1"),
            "assigned alone"
        );
    }
}

//! The templates of summaries, which a person has made at Koldan: by name or by id.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::{Koldan, wire};
use crate::{
    http::Request,
    services::{CallError, pacer::Priority},
    text::one_line,
};

/// Where they are listed; another part of Koldan than all else.
const TEMPLATES: [&str; 4] = ["api", "v1", "session-history", "summary-prompt-templates"];
const ASSIGNED: [&str; 5] = ["api", "v1", "session-history", "summary-prompt-templates", "assigned"];

/// How long a list is believed: each look at a summary needs it, and a person changes it once in a while.
const BELIEVED: Duration = Duration::from_secs(300);

/// Templates that are kept, and named where none fits.
const TEMPLATES_MAX: usize = 500;
const NAMED_MAX: usize = 20;

/// Characters of a name.
const NAME_CHARS_MAX: usize = 100;

/// The file that keeps the template of a summary under way.
pub(super) const TEMPLATE: &str = "template.json";

/// A list as it was then.
#[derive(Debug)]
pub(super) struct Known {
    at: Instant,
    templates: Arc<[Template]>,
}

/// A template.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Template {
    /// What it is asked for by.
    pub(super) id: String,
    /// What people call it.
    pub(super) name: String,
    /// Whether it is assigned to this account.
    pub(super) is_assigned: bool,
}

impl Koldan {
    /// Returns the template that is wanted, by name or id; without a wish the only one that is assigned, else the only
    /// one. Where there is none, says which there are. A list of a moment ago is good enough to find it in, not to miss it.
    pub(super) async fn template(&self, wanted: Option<&str>) -> Result<Result<Template, String>, CallError> {
        let known = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.as_ref().filter(|known| known.at.elapsed() < BELIEVED).map(|known| Arc::clone(&known.templates))
        };
        if let Some(Ok(template)) = known.map(|known| chosen(&known, wanted)) {
            return Ok(Ok(template));
        }
        Ok(chosen(&self.read_templates().await?, wanted))
    }

    /// Reads the lists anew.
    pub(super) async fn read_templates(&self) -> Result<Arc<[Template]>, CallError> {
        let all = self.template_list(&TEMPLATES).await?;
        let assigned = self.template_list(&ASSIGNED).await?;
        if all.is_none() && assigned.is_none() {
            let message = "it knows no templates of summaries (404); check base_url".to_owned();
            return Err(CallError::service_alone(message));
        }
        let templates: Arc<[Template]> = merged(&all.unwrap_or_default(), &assigned.unwrap_or_default()).into();
        let known = Known { at: Instant::now(), templates: Arc::clone(&templates) };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
        Ok(templates)
    }

    /// Forgets the list: it is not true any more.
    pub(super) fn forget_templates(&self) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// (unknown): whether both lists come in pages; one without pages answers the second as the first.
    async fn template_list(&self, path: &[&str]) -> Result<Option<Vec<Value>>, CallError> {
        match self.list(path, &[], Priority::High).await {
            Ok(list) => Ok(Some(list)),
            Err(CallError::Refused { status: 400, .. }) => {
                let page = self.json_if(Request::get(path), Priority::High).await?;
                page.map(|page| Ok(wire::entries(&page)?.0)).transpose()
            }
            Err(CallError::Refused { status: 404 | 405 | 410, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Puts both lists together.
fn merged(all: &[Value], assigned: &[Value]) -> Vec<Template> {
    let mut templates: Vec<Template> = Vec::new();
    for (entry, is_assigned) in
        all.iter().map(|entry| (entry, false)).chain(assigned.iter().map(|entry| (entry, true))).take(2 * TEMPLATES_MAX)
    {
        let Some(template) = template(entry, is_assigned) else { continue };
        match templates.iter_mut().find(|known| known.id == template.id) {
            Some(known) => known.is_assigned |= is_assigned,
            None => templates.push(template),
        }
    }
    templates
}

fn template(entry: &Value, is_assigned: bool) -> Option<Template> {
    let inner = ["promptTemplate", "summaryPromptTemplate", "template"].iter().find_map(|name| entry.get(name));
    let entry = inner.filter(|inner| inner.is_object()).unwrap_or(entry);
    let id = wire::id_at(entry, &["uuid", "id"])?;
    let name = ["name", "title", "label"].iter().find_map(|name| entry.get(name)?.as_str()).unwrap_or(&id);
    Some(Template { name: one_line(name, NAME_CHARS_MAX), id, is_assigned })
}

/// Chooses a template; says which there are where none fits, or several do.
fn chosen(templates: &[Template], wanted: Option<&str>) -> Result<Template, String> {
    let Some(wanted) = wanted else { return only(templates) };
    if let Some(template) = templates.iter().find(|template| template.id.eq_ignore_ascii_case(wanted)) {
        return Ok(template.clone());
    }
    let name = |text: &str| one_line(text, NAME_CHARS_MAX).to_lowercase();
    let alike: Vec<&Template> = templates.iter().filter(|template| name(&template.name) == name(wanted)).collect();
    let exact: Vec<&Template> = alike.iter().copied().filter(|template| template.name == wanted).collect();
    let assigned: Vec<&Template> = alike.iter().copied().filter(|template| template.is_assigned).collect();
    for candidates in [&alike, &exact, &assigned] {
        if let [template] = candidates.as_slice() {
            return Ok((*template).clone());
        }
    }
    let shown = one_line(wanted, NAME_CHARS_MAX);
    if alike.is_empty() {
        return Err(format!("there is no template `{shown}`; {}", named(templates)));
    }
    let ids: Vec<_> = alike.iter().take(NAMED_MAX).map(|template| format!("`{}`", template.id)).collect();
    Err(format!("{} templates are called `{shown}`: write the id of one, {}", alike.len(), ids.join(" or ")))
}

/// The template of a config that names none.
fn only(templates: &[Template]) -> Result<Template, String> {
    let assigned: Vec<&Template> = templates.iter().filter(|template| template.is_assigned).collect();
    match (assigned.as_slice(), templates) {
        ([template], _) => Ok((*template).clone()),
        ([], [template]) => Ok(template.clone()),
        (_, _) => Err(format!("`prompt_template` names none, and there is not just one; {}", named(templates))),
    }
}

fn named(templates: &[Template]) -> String {
    if templates.is_empty() {
        return "this account has none: make one at Koldan, or assign one to it".to_owned();
    }
    let names: Vec<_> = templates.iter().take(NAMED_MAX).map(|template| format!("`{}`", template.name)).collect();
    let more = templates.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("there are {}{more}", names.join(", "))
}

/// Returns why the template that a config wants is none of a profile's, if it is not.
#[must_use]
pub fn missing(profile: &Value, wanted: Option<&str>) -> Option<String> {
    let templates: Vec<Template> = serde_json::from_value(profile["templates"].clone()).unwrap_or_default();
    chosen(&templates, wanted).err()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn templates() -> Vec<Template> {
        let all = [
            json!({"uuid": "u1", "name": "Protocol"}),
            json!({"id": 7, "title": "סיכום פגישה"}),
            json!({"uuid": "u3", "name": "twice"}),
            json!({"uuid": "u4", "name": "Twice"}),
            json!({"name": "without an id"}),
        ];
        merged(&all, &[json!({"template": {"uuid": "u1", "name": "Protocol"}}), json!({"uuid": "u5", "name": "own"})])
    }

    #[test]
    fn a_template_is_found_by_its_id_and_by_its_name() {
        let id = |wanted: &str| chosen(&templates(), Some(wanted)).map(|template| template.id);
        assert_eq!(id("u1").as_deref(), Ok("u1"));
        assert_eq!(id("protocol").as_deref(), Ok("u1"));
        assert_eq!(id("סיכום פגישה").as_deref(), Ok("7"));
        assert_eq!(id("Twice").as_deref(), Ok("u4"), "the exact one of several");
        assert!(templates()[0].is_assigned && !templates()[1].is_assigned);
    }

    #[test]
    fn what_is_not_found_is_told_with_what_there_is() {
        let told = |templates: &[Template], wanted| chosen(templates, wanted).expect_err("none fits");
        insta::assert_snapshot!(told(&templates(), Some("Minutes\n")), @"there is no template `Minutes`; there are `Protocol`, `סיכום פגישה`, `twice`, `Twice`, `own`");
        insta::assert_snapshot!(told(&templates(), Some("TWICE")), @"2 templates are called `TWICE`: write the id of one, `u3` or `u4`");
        insta::assert_snapshot!(told(&templates(), None), @"`prompt_template` names none, and there is not just one; there are `Protocol`, `סיכום פגישה`, `twice`, `Twice`, `own`");
        insta::assert_snapshot!(told(&[], Some("x")), @"there is no template `x`; this account has none: make one at Koldan, or assign one to it");
        assert_eq!(chosen(&templates()[..3], None).map(|template| template.id).as_deref(), Ok("u1"), "assigned alone");
    }
}

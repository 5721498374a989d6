//! The plan of a job: the settings of its folder, overridden by metadata that is closer to the recording.
//!
//! The order is the folder, the sub-folders from the outermost in, the event of its calendar, the source that it came from,
//! its own sidecar. Each wins key by key; attendees are one key.

use std::sync::Arc;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    StageContext, await_answer, event,
    sidecar::{self, Sidecars, Trouble},
    title::{TITLE_MAX, make_title},
};
use crate::{
    clock,
    config::{Abilities, Attendee, ENGLISH, Folder, MeetingDate, Sidecar, sidecar_of},
    job::{CalendarAnswer, CalendarMatch, Details, DetailsSource, Plan, Setback},
    store::Job,
    text::{one_line, printable_path, strip_to_line},
};

/// People of one meeting that are taken from a source; a sidecar with more has a mistake.
const ATTENDEES_MAX: usize = 500;

/// Returns the settings of a job that begins.
///
/// # Errors
/// [`Setback::InvalidMetadata`] where something is wrong with what others know, or nobody is named and the service needs it.
pub(crate) async fn plan_job(context: &StageContext, job: &Job) -> Result<Plan, Setback> {
    let sidecars = if context.folder.sidecars {
        read_sidecars(context, job).await?
    } else {
        Sidecars::default()
    };
    let source = context.queue.sources().find_details(&job.key).await?;
    let mut layers = order_layers(sidecars, source, job.recorded);
    let calendar = if is_told_whole(&layers) {
        None
    } else {
        let told = layers.layers.iter().rev().find_map(|layer| layer.details.date);
        event::find_event(context, job, told).await?
    };
    layers.insert_event(calendar.as_ref());
    let mut plan = limit_to_abilities(
        merge_layers(context, job, layers.layers),
        context.service_settings.abilities(),
    );
    plan.details_source.remarks.extend(calendar.as_ref().and_then(event::remark_on));
    plan.calendar = calendar;
    refuse_unable(context, job, &plan)?;
    Ok(plan)
}

async fn read_sidecars(context: &StageContext, job: &Job) -> Result<Sidecars, Setback> {
    let folder = Arc::clone(&context.folder);
    let service = context.service_settings.clone();
    let path = job.path.clone();
    let stamp = job.stamp;
    let now = clock::now();
    let look =
        tokio::task::spawn_blocking(move || sidecar::read(&folder, &service, &path, stamp, now));
    await_answer(look).await?.map_err(|trouble| match trouble {
        Trouble::Lost(error) => Setback::FileLost { error },
        Trouble::Fresh(until) => Setback::Snooze { until },
        Trouble::Invalid(mistakes) => invalid_metadata(&mistakes.join("; ")),
    })
}

fn invalid_metadata(what: &str) -> Setback {
    Setback::InvalidMetadata { error: anyhow::anyhow!("it is not clear how to take it: {what}") }
}

/// Metadata that overrides the folder's, and where the attendees came from.
struct DetailsLayer {
    details: Details,
    from: String,
    /// The BLAKE3 of the recording's own sidecar.
    digest: Option<String>,
}

/// The layers in order; a later one wins.
struct DetailsLayers {
    layers: Vec<DetailsLayer>,
    /// The place of the calendar's, after those of sub-folders.
    event_place: usize,
}

impl DetailsLayers {
    /// Adds what an event gives.
    fn insert_event(&mut self, found: Option<&CalendarMatch>) {
        let Some(CalendarMatch { answer: CalendarAnswer::Taken { event }, .. }) = found else {
            return;
        };
        let details = Details {
            title: Some(event.title.clone()),
            attendees: Some(event.attendees.clone()),
            ..Details::default()
        };
        let layer = DetailsLayer { details, from: "calendar".to_owned(), digest: None };
        self.layers.insert(self.event_place, layer);
    }
}

/// Returns whether what is nearer than a calendar gives all that a calendar could give: then none is asked.
fn is_told_whole(layers: &DetailsLayers) -> bool {
    let nearer = &layers.layers[layers.event_place..];
    nearer.iter().any(|layer| layer.details.title.is_some())
        && nearer.iter().any(|layer| layer.details.attendees.is_some())
}

/// Returns the layers in order, without the calendar's.
fn order_layers(
    sidecars: Sidecars,
    source: Option<(String, Details)>,
    recorded: Timestamp,
) -> DetailsLayers {
    let of = |sidecar: Sidecar, from: &str, digest| DetailsLayer {
        details: sidecar_details(sidecar, recorded),
        from: from.to_owned(),
        digest,
    };
    let event_place = sidecars.directories.len();
    let directories =
        sidecars.directories.into_iter().map(|sidecar| of(sidecar, "sub-folder", None));
    let source = source.map(|(from, details)| DetailsLayer { details, from, digest: None });
    let own = sidecars.own.map(|(sidecar, digest)| of(sidecar, "sidecar", Some(digest)));
    DetailsLayers { layers: directories.chain(source).chain(own).collect(), event_place }
}

fn sidecar_details(sidecar: Sidecar, recorded: Timestamp) -> Details {
    let Sidecar { title, date, attendees, instruction, language, speakers } = sidecar;
    let date = date.map(|when| meeting_time(when, recorded, &TimeZone::system()));
    Details { title, date, attendees, instruction, language, speakers }
}

/// Returns when a meeting was. A day without an hour takes the hour of a recording that tells the same day.
fn meeting_time(when: MeetingDate, recorded: Timestamp, zone: &TimeZone) -> Timestamp {
    match when {
        MeetingDate::At(at) => at,
        MeetingDate::Local(local) => zone.to_timestamp(local).unwrap_or(recorded),
        MeetingDate::On(day) if zone.to_datetime(recorded).date() == day => recorded,
        MeetingDate::On(day) => {
            zone.to_timestamp(day.to_datetime(jiff::civil::Time::midnight())).unwrap_or(recorded)
        }
    }
}

/// Merges the settings of the folder with the layers above them.
fn merge_layers(context: &StageContext, job: &Job, layers: Vec<DetailsLayer>) -> Plan {
    let folder = &context.folder;
    let mut plan = Plan {
        service: context.service.name().to_owned(),
        title: String::new(),
        attendees: folder.attendees.clone(),
        analyses: folder.analyses.clone(),
        instruction: folder.instruction.clone(),
        language: folder.language.clone(),
        speakers: folder.speakers,
        meeting_type: context.service_settings.kind.meeting_type(),
        silent: false,
        details_source: DetailsSource::default(),
        calendar: None,
    };
    for DetailsLayer { details, from, digest } in layers {
        if let Some(attendees) = details.attendees {
            plan.attendees = named_people(attendees);
            plan.details_source.attendees_from = Some(from);
        }
        if let Some(title) =
            details.title.map(|title| clean_title(&title)).filter(|title| !title.is_empty())
        {
            plan.title = title;
        }
        if let Some(instruction) = details.instruction {
            plan.instruction =
                Some(instruction).filter(|instruction| !instruction.trim().is_empty());
        }
        plan.language = details.language.or(plan.language);
        plan.speakers = details.speakers.unwrap_or(plan.speakers);
        plan.details_source.date = details.date.or(plan.details_source.date);
        plan.details_source.sidecar = digest.or(plan.details_source.sidecar);
    }
    if plan.title.is_empty() {
        plan.title = make_title(
            &folder.title,
            &folder.name,
            &job.path,
            plan.details_source.date.unwrap_or(job.recorded),
        );
    }
    plan
}

/// Returns a title from outside on one line, no longer than one that minuted makes.
fn clean_title(title: &str) -> String {
    one_line(&strip_to_line(title), TITLE_MAX)
}

/// Returns the named people: each address once, each with a name that can be seen.
fn named_people(named: Vec<Attendee>) -> Vec<Attendee> {
    let mut once = std::collections::HashSet::new();
    let named = named.into_iter().filter_map(|person| {
        let email = person.email.trim().to_owned();
        let name = Some(strip_to_line(&person.name))
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| email.clone());
        (email.contains('@') && once.insert(email.to_lowercase())).then_some(Attendee {
            name,
            email,
            ..person
        })
    });
    named.take(ATTENDEES_MAX).collect()
}

/// Leaves out what the job's service cannot give: a folder's settings are those of its own service, and a transcript
/// that a source gives is another one.
fn limit_to_abilities(mut plan: Plan, abilities: Abilities) -> Plan {
    plan.analyses.retain(|analysis| abilities.analyses.contains(analysis));
    if plan.analyses.is_empty() {
        plan.analyses = abilities.analyses.to_vec();
    }
    plan.instruction = plan.instruction.filter(|_| abilities.follows_instruction);
    plan
}

/// Refuses what the service cannot follow and what it cannot do without. A folder's own settings were checked with the
/// config, a sidecar's when it was read.
fn refuse_unable(context: &StageContext, job: &Job, plan: &Plan) -> Result<(), Setback> {
    let folder = &context.folder;
    let kind = &context.service_settings.kind;
    if plan.attendees.is_empty() && kind.abilities().needs_attendees {
        return Err(invalid_metadata(&missing_attendees(folder, job, plan)));
    }
    let language = plan
        .language
        .as_deref()
        .filter(|language| *language != ENGLISH && plan.language != folder.language);
    if let Some(language) = language.filter(|_| kind.is_english_only()) {
        let language = one_line(language, 20);
        return Err(invalid_metadata(&format!(
            "its source says that `{language}` is spoken, and service `{}` understands English only; choose another \
             service for the folder",
            plan.service
        )));
    }
    Ok(())
}

/// Returns the message for a recording without attendees, with the text to write and its place.
fn missing_attendees(folder: &Folder, job: &Job, plan: &Plan) -> String {
    let example = "attendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]";
    let cure = if folder.sidecars {
        format!("write {example} into `{}`", printable_path(&sidecar_of(&job.path)))
    } else {
        format!("write {example} for the folder, or sidecars = true and the same into a sidecar")
    };
    format!("no attendees are named, and service `{}` needs them; {cure}", plan.service)
}

#[cfg(test)]
mod tests {
    use jiff::civil::{date, datetime};

    use super::*;

    #[test]
    fn a_day_takes_the_hour_of_a_recording_of_that_day() {
        let recorded: Timestamp = "2026-11-22T14:30:00Z".parse().expect("a time");
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let of = |when| meeting_time(when, recorded, &zone).to_string();
        assert_eq!(of(MeetingDate::On(date(2026, 11, 22))), "2026-11-22T14:30:00Z");
        assert_eq!(of(MeetingDate::On(date(2026, 11, 20))), "2026-11-19T22:00:00Z");
        assert_eq!(
            of(MeetingDate::Local(datetime(2026, 11, 20, 9, 0, 0, 0))),
            "2026-11-20T07:00:00Z"
        );
        assert_eq!(of(MeetingDate::At(Timestamp::UNIX_EPOCH)), "1970-01-01T00:00:00Z");
    }

    #[test]
    fn people_of_a_source_are_named_once_each_and_so_that_they_can_be_seen() {
        let person = |name: &str, email: &str| Attendee {
            name: name.into(),
            email: email.into(),
            role: None,
        };
        let named = vec![
            person("Ann\u{202e} Lee\r\n", " ann@example.com "),
            person("Ann again", "ANN@example.com"),
            person("\u{200f}", "bo@example.com"),
            person("Nobody", ""),
            person("No address", "room 7"),
        ];
        assert_eq!(
            named_people(named),
            [person("Ann Lee", "ann@example.com"), person("bo@example.com", "bo@example.com")]
        );
        let crowd = (0..1_000).map(|n| person("A", &format!("a{n}@example.com"))).collect();
        assert_eq!(named_people(crowd).len(), ATTENDEES_MAX);
    }
}

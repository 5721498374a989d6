//! `[[folder]]`: rules, defaults, services and mail put together.

use std::{collections::BTreeMap, path::PathBuf, sync::LazyLock};

use toml::Spanned;

use super::{
    diagnostic::{Diagnostic, Diagnostics, Span, ValueError},
    email::Email,
    folder::{
        Folder, FolderKeys, Format, LimitKeys, Limits, OnSuccess, OnSuccessRemote, Recipients,
        Target,
    },
    kinds::{Kind, SpeakersKey},
    notes_by::unknown_service,
    reader::{Table, TableKeys as _},
    services::{Service, Services, refuse_analyses},
    speakers::Speakers,
    table_keys::join_keys,
    values,
    words::{fit_for_message, in_backticks, join_alternatives},
};

/// Folders of one minuted. Each has a scan of its own, and each is compared with each.
const FOLDERS_MAX: usize = 1_000;

/// The keys of `[defaults]`.
pub(super) static DEFAULTS: LazyLock<Vec<&str>> =
    LazyLock::new(|| join_keys(&[FolderKeys::KNOWN, LimitKeys::KNOWN]));

/// The keys of `[[folder]]`: what only a folder may hold, then [`DEFAULTS`].
pub(super) static FOLDER: LazyLock<Vec<&str>> =
    LazyLock::new(|| join_keys(&[&["name", "id", "path"], &DEFAULTS]));

/// A folder as the file has it, its rules with the defaults.
pub(super) struct RawFolder<'a> {
    table: Table<'a>,
    name: Option<Spanned<String>>,
    id: Option<Spanned<String>>,
    /// The directory.
    pub(super) path: Option<Spanned<PathBuf>>,
    /// Its other keys, with the defaults.
    pub(super) keys: FolderKeys,
    /// Its bounds, with the defaults.
    limits: LimitKeys,
    /// `attendees` stands in its table or in `[defaults]`, with or without mistakes.
    has_attendees: bool,
    /// A source fetches recordings into it.
    is_fed: bool,
}

impl RawFolder<'_> {
    /// Returns its title in messages.
    pub(super) fn message_title(&self) -> String {
        match &self.name {
            Some(name) => format!("folder `{}`", fit_for_message(name.get_ref())),
            None => "this folder".to_owned(),
        }
    }

    /// Returns its name and its id, to which sources refer.
    pub(super) fn name_and_id(&self) -> Option<(String, String)> {
        let name = self.name.as_ref()?.get_ref();
        Some((name.clone(), self.id.as_ref().map_or(name, |id| id.get_ref()).clone()))
    }

    /// Returns the name of its service, where it has one.
    pub(super) fn service_name(&self) -> Option<&String> {
        self.keys.service.as_ref().map(Spanned::get_ref)
    }

    /// Returns whether a source, a calendar or a sidecar may name attendees: a recording without any then waits
    /// for them.
    fn may_get_attendees(&self) -> bool {
        self.is_fed
            || self.keys.calendar.is_some()
            || self.keys.sidecars.as_ref().is_some_and(|sidecars| *sidecars.get_ref())
    }
}

/// The keys that `[defaults]` gives.
struct Defaults {
    keys: FolderKeys,
    limits: LimitKeys,
    has_attendees: bool,
}

/// Reads all folders.
pub(super) fn read_folders<'a>(root: &Table<'a>, diagnostics: &Diagnostics) -> Vec<RawFolder<'a>> {
    let defaults = root.read_table("defaults", &DEFAULTS);
    let defaults = Defaults {
        keys: FolderKeys::from_table(&defaults),
        limits: LimitKeys::from_table(&defaults),
        has_attendees: defaults.has_key("attendees"),
    };
    let Some(tables) = root.read_tables("folder", "in `[[folder]]`", &FOLDER) else {
        return Vec::new();
    };
    if tables.get_ref().len() > FOLDERS_MAX {
        let what =
            format!("{} folders, and at most {FOLDERS_MAX} are watched", tables.get_ref().len());
        diagnostics.add_at(
            tables.span(),
            what,
            "watch a directory above them with `recursive = true`",
        );
    }
    let tables = tables.into_inner().into_iter().flatten().take(FOLDERS_MAX);
    let folders: Vec<_> = tables.map(|table| read_folder(table, &defaults, diagnostics)).collect();
    refuse_twice(
        "name",
        folders.iter().filter_map(|folder| Some((folder.name.as_ref()?, true))),
        diagnostics,
    );
    // A folder without an id has its name for one; for two such only their names are reported.
    let ids = folders.iter().filter_map(|folder| {
        Some((folder.id.as_ref().or(folder.name.as_ref())?, folder.id.is_some()))
    });
    refuse_twice("id", ids, diagnostics);
    folders
}

fn read_folder<'a>(
    table: Table<'a>,
    defaults: &Defaults,
    diagnostics: &Diagnostics,
) -> RawFolder<'a> {
    table.require_key("path", "write path = \"/…\": the directory that is watched");
    let path = table.read_text("path", values::parse_absolute_path);
    let name = table
        .read_text("name", values::parse_name)
        .or_else(|| name_of(&table, path.as_ref(), diagnostics));
    RawFolder {
        name,
        id: table.read_text("id", values::parse_name),
        path,
        keys: FolderKeys::from_table(&table).or_defaults(defaults.keys.clone()),
        limits: LimitKeys::from_table(&table).or_defaults(defaults.limits.clone()),
        has_attendees: table.is_present("attendees") || defaults.has_attendees,
        is_fed: false,
        table,
    }
}

/// A folder without a name has that of its directory, if that is fit to be one.
fn name_of(
    table: &Table<'_>,
    path: Option<&Spanned<PathBuf>>,
    diagnostics: &Diagnostics,
) -> Option<Spanned<String>> {
    if table.is_present("name") {
        return None;
    }
    let path = path?;
    let last = path.get_ref().file_name().unwrap_or_default().to_string_lossy().into_owned();
    if let Ok(name) = values::parse_name(&last) {
        return Some(Spanned::new(path.span(), name));
    }
    let what = format!(
        "this folder has no `name`, and that of its directory, {}, is not fit for one",
        in_backticks(&last)
    );
    diagnostics.add_at(path.span(), what, "write name = \"…\": what it is called everywhere");
    None
}

/// Refuses two equal texts of which one at least was written as this key.
fn refuse_twice<'a>(
    key: &str,
    texts: impl Iterator<Item = (&'a Spanned<String>, bool)>,
    diagnostics: &Diagnostics,
) {
    let mut seen: BTreeMap<&str, (Span, bool)> = BTreeMap::new();
    for (text, written) in texts {
        match seen.get(text.get_ref().as_str()) {
            Some((first, first_written)) if written || *first_written => {
                let what = format!("two folders have the {key} {}", in_backticks(text.get_ref()));
                let help = format!("write another {key} for one of them");
                diagnostics.add(
                    Diagnostic::at_span(text.span(), what, help)
                        .with_second_place(first.clone(), "first here"),
                );
            }
            Some(_) => {}
            None => {
                seen.insert(text.get_ref(), (text.span(), written));
            }
        }
    }
}

/// Combines a folder with its service and the mail settings; `None` when one of them has a mistake.
///
/// `fed` holds the ids of the folders that a source fills.
pub(super) fn complete_folder(
    mut raw: RawFolder<'_>,
    services: &Services,
    candidates: &[&str],
    email: Option<&Email>,
    email_configured: bool,
    fed: &[&str],
    diagnostics: &Diagnostics,
) -> Option<Folder> {
    raw.is_fed = raw.name_and_id().is_some_and(|(_, id)| fed.contains(&&*id));
    let service = choose_service(&raw, services, candidates, diagnostics);
    if let Some(service) = service.as_ref().and_then(|name| services.complete.get(name)) {
        refuse_unable(&raw, service, diagnostics);
        raw.keys
            .language
            .as_ref()
            .inspect(|language| refuse_language(language, &service.kind, diagnostics));
        // In `[defaults]` it is for the folders whose service tells voices apart.
        let own = raw.keys.speakers.as_ref().filter(|_| raw.table.is_present("speakers"));
        own.inspect(|speakers| refuse_speakers(speakers, &service.kind, diagnostics));
    }
    require_md(&raw, diagnostics);
    let limits = check_limits(&raw, diagnostics);
    if sends_mail(&raw.keys) {
        check_mail(&raw, email, email_configured, diagnostics);
    }
    move_recordings(&mut raw, diagnostics);
    let service = services.complete.get(&service?)?;
    let name = raw.name?.into_inner();
    let id = raw.id.map_or_else(|| name.clone(), Spanned::into_inner);
    let path = raw.path?.into_inner();
    raw.keys.or_defaults(keys_of(service)).into_settings(name, id, path, limits)
}

/// Returns the keys that a folder takes from its service by default.
fn keys_of(service: &Service) -> FolderKeys {
    FolderKeys {
        service: Some(without_place(service.name.clone())),
        instruction: Some(without_place(service.instruction.clone())),
        analyses: Some(without_place(service.analyses.clone())),
        ..FolderKeys::default()
    }
}

/// Wraps a value that does not stand in the folder's table.
fn without_place<T>(value: T) -> Spanned<T> {
    Spanned::new(0..0, value)
}

fn sends_mail(keys: &FolderKeys) -> bool {
    keys.deliver.as_ref().is_some_and(|deliver| deliver.get_ref().contains(&Target::Email))
}

/// Returns the name of the folder's service, which may be a service with mistakes of its own.
fn choose_service(
    raw: &RawFolder<'_>,
    services: &Services,
    candidates: &[&str],
    diagnostics: &Diagnostics,
) -> Option<String> {
    if let Some(service) = &raw.keys.service {
        if services.names.contains(service.get_ref()) {
            return Some(service.get_ref().clone());
        }
        // Without any service that mistake is reported already.
        if !services.names.is_empty() {
            diagnostics.add_error(
                service.span(),
                unknown_service(service.get_ref(), candidates.iter().copied()),
            );
        }
        return None;
    }
    let must_name = if sends_mail(&raw.keys) {
        "sends mail, so it must name its service"
    } else if candidates.len() > 1 {
        "must name one of the services"
    } else {
        return candidates.first().map(|name| (*name).to_owned());
    };
    if !raw.table.is_present("service") && !services.names.is_empty() {
        let names = join_alternatives(candidates.iter().copied());
        let help = format!("add service = {}", names.replace('`', "\""));
        diagnostics.add_at(raw.table.span(), format!("{} {must_name}", raw.message_title()), help);
    }
    None
}

/// Refuses keys that the folder's service cannot fulfil.
fn refuse_unable(raw: &RawFolder<'_>, service: &Service, diagnostics: &Diagnostics) {
    let abilities = service.abilities();
    let kind = &service.kind;
    if abilities.needs_attendees && !raw.may_get_attendees() {
        require_attendees(raw, diagnostics);
    }
    if let Some(analyses) = &raw.keys.analyses {
        refuse_analyses(kind.as_str(), abilities, analyses, diagnostics);
    }
    raw.keys
        .instruction
        .as_ref()
        .inspect(|instruction| refuse_instruction(instruction.span(), service, diagnostics));
    // In `[defaults]` it may wait for the folders whose service has templates.
    if let Some(span) =
        raw.table.key_span("prompt_template").filter(|_| !matches!(kind, Kind::Koldan(_)))
    {
        let what = format!("a service of kind `{}` knows no templates", kind.as_str());
        diagnostics.add_at(
            span,
            what,
            "remove it, or choose a service that does: kind = \"koldan\"",
        );
    }
    if let Some(remote) = &raw.keys.on_success_remote
        && *remote.get_ref() != OnSuccessRemote::Keep
        && !abilities.deletes
    {
        let what = format!("a service of kind `{}` deletes nothing", kind.as_str());
        diagnostics.add_at(remote.span(), what, "write \"keep\", or choose a service that does");
    }
}

/// Refuses an instruction that the service would not follow.
pub(super) fn refuse_instruction(span: Span, service: &Service, diagnostics: &Diagnostics) {
    let kind = &service.kind;
    // A transcript that a source gives is no service of the folder: there it is left out.
    if !service.abilities().follows_instruction && !matches!(kind, Kind::SourceTranscript) {
        let what = format!("a service of kind `{}` follows no instruction", kind.as_str());
        diagnostics.add_at(span, what, kind.instruction_cure());
    }
}

/// Refuses a language that the engine does not understand: it would hear English in it.
pub(super) fn refuse_language(language: &Spanned<String>, kind: &Kind, diagnostics: &Diagnostics) {
    if language.get_ref() != values::ENGLISH && kind.is_english_only() {
        let what = format!(
            "the folder's service understands English only, not {}",
            in_backticks(language.get_ref())
        );
        diagnostics.add_at(language.span(), what, kind.language_cure());
    }
}

/// Refuses a number of speakers that the service would not keep to.
pub(super) fn refuse_speakers(
    speakers: &Spanned<Speakers>,
    kind: &Kind,
    diagnostics: &Diagnostics,
) {
    let (what, help) = match (speakers.get_ref(), kind.abilities().speakers_key) {
        (Speakers::Auto, _) | (_, SpeakersKey::Count) | (Speakers::Off, SpeakersKey::Switch) => {
            return;
        }
        (Speakers::Exactly(_), SpeakersKey::Switch) => (
            format!("a service of kind `{}` keeps to no number of speakers", kind.as_str()),
            "write \"auto\" or \"off\", or choose a service that does: kind = \"ondevice\"",
        ),
        (Speakers::Exactly(_) | Speakers::Off, SpeakersKey::Ignored) => (
            format!("a service of kind `{}` cannot be told about speakers", kind.as_str()),
            "remove `speakers`, or choose a service that can: kind = \"ondevice\"",
        ),
    };
    // A transcript that a source gives is no service of the folder: there it is left out.
    if !matches!(kind, Kind::SourceTranscript) {
        diagnostics.add_at(speakers.span(), what, help);
    }
}

fn require_attendees(raw: &RawFolder<'_>, diagnostics: &Diagnostics) {
    let span = match &raw.keys.attendees {
        Some(attendees) if attendees.get_ref().is_empty() => attendees.span(),
        None if !raw.has_attendees => raw.table.span(),
        Some(_) | None => return,
    };
    let help = "write attendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }]";
    diagnostics.add_at(
        span,
        format!("{} has no attendees, and its service needs them", raw.message_title()),
        help,
    );
}

fn require_md(raw: &RawFolder<'_>, diagnostics: &Diagnostics) {
    let beside =
        raw.keys.deliver.as_ref().is_none_or(|deliver| deliver.get_ref().contains(&Target::Beside));
    let Some(formats) =
        raw.keys.formats.as_ref().filter(|formats| !formats.get_ref().contains(&Format::Md))
    else {
        return;
    };
    if beside {
        let what = "`formats` is without `md`, and notes beside the recording need it";
        diagnostics.add_at(formats.span(), what, "add \"md\", or take \"beside\" out of `deliver`");
    }
}

/// Returns how long and how large recordings may be, and refuses limits that nothing meets.
fn check_limits(raw: &RawFolder<'_>, diagnostics: &Diagnostics) -> Limits {
    let limits = raw.limits.clone().into_settings().expect("no limit is required");
    if let Some(min) =
        raw.limits.min_duration.as_ref().filter(|_| limits.min_duration > limits.max_duration)
    {
        let what = format!(
            "{} takes no recording: `min_duration` is more than `max_duration`",
            raw.message_title()
        );
        diagnostics.add_at(min.span(), what, "lower `min_duration`, or raise `max_duration`");
    }
    limits
}

/// Puts `move_to` into `on_success`.
fn move_recordings(raw: &mut RawFolder<'_>, diagnostics: &Diagnostics) {
    let move_to = raw.keys.move_to.take();
    if let Some(OnSuccess::Move(to)) = raw.keys.on_success.as_mut().map(Spanned::get_mut) {
        *to = move_to.map_or_else(|| to.clone(), Spanned::into_inner);
    } else if let Some(span) = raw.table.key_span("move_to") {
        // In `[defaults]` it may wait for the folders that move.
        let help = "add on_success = \"move\", or remove `move_to`";
        diagnostics.add_at(span, "`move_to` without `on_success = \"move\"`", help);
    }
}

/// Refuses mail that would never be sent.
fn check_mail(
    raw: &RawFolder<'_>,
    email: Option<&Email>,
    configured: bool,
    diagnostics: &Diagnostics,
) {
    let Some(deliver) = &raw.keys.deliver else { return };
    if !configured {
        let help = "add an [email] table with `from`, `smtp` and `allow`, or take \"email\" out";
        diagnostics.add_at(deliver.span(), "mail without an `[email]` table", help);
    }
    let Some(email) = email else { return };
    match &raw.keys.email_to {
        Some(to) => match to.get_ref() {
            Recipients::List(list) => {
                let refused = list
                    .iter()
                    .map(|mailbox| mailbox.email.to_string())
                    .filter(|to| !email.permits(to));
                refused.for_each(|address| {
                    diagnostics.add_error(to.span(), address_not_allowed(&address));
                });
            }
            Recipients::Attendees => check_attendees(raw, email, &deliver.span(), diagnostics),
        },
        None => check_attendees(raw, email, &deliver.span(), diagnostics),
    }
}

/// Attendees from outside may go without mail; when all of them do, no mail is sent at all.
fn check_attendees(raw: &RawFolder<'_>, email: &Email, deliver: &Span, diagnostics: &Diagnostics) {
    if raw.may_get_attendees() {
        return;
    }
    let people = raw.keys.attendees.as_ref().map_or(&[][..], |attendees| attendees.get_ref());
    let has_attendees = match &raw.keys.attendees {
        Some(_) => !people.is_empty() || raw.table.is_present("attendees"),
        None => raw.has_attendees,
    };
    if !has_attendees {
        let help = "write attendees = [{ name = \"Ann Lee\", email = \"ann@example.com\" }], or `email_to`";
        diagnostics.add_at(
            deliver.clone(),
            format!("{} mails its attendees, and has none", raw.message_title()),
            help,
        );
    }
    if let Some(first) =
        people.first().filter(|_| !people.iter().any(|person| email.permits(&person.email)))
    {
        let what = format!(
            "{} mails its attendees, and `email.allow` permits none of them",
            raw.message_title()
        );
        diagnostics.add_at(deliver.clone(), what, address_not_allowed(&first.email).help);
    }
}

fn address_not_allowed(address: &str) -> ValueError {
    let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
    let help = format!(
        "add \"{}\" or \"@{}\" to `allow` in [email]",
        fit_for_message(address),
        fit_for_message(domain)
    );
    ValueError::new(format!("`email.allow` does not permit {}", in_backticks(address)), help)
}

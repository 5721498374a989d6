//! What `[[folder]]` and `[defaults]` have in common, as the file says it.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use lettre::Address;
use toml::Spanned;

use super::{
    diagnostic::{Flaw, Mistake, Mistakes, Span},
    durations::Bounds,
    folder::{Backlog, Convert, Format, Globs, OnSuccessRemote, Recipients, Target, Transcript, Watch},
    keys,
    reader::Table,
    settings::{Analysis, Attendee},
    sizes, values,
    words::{meant, quoted},
};

/// How long a file must be quiet.
const SETTLE: Bounds = Bounds::ms(10, 86_400_000);
/// How often everything is looked at.
const RESCAN: Bounds = Bounds::ms(100, 86_400_000);
/// The shortest recording that is taken; a longer bound would skip whole meetings.
const MIN_DURATION: Bounds = Bounds::ms(0, 3_600_000);
/// The longest recording that is taken: 1,000 hours are the latest time that is believed of anything.
const MAX_DURATION: Bounds = Bounds::ms(1_000, 3_600_000_000);

const WATCH: &[(&str, Watch)] = &[("auto", Watch::Auto), ("native", Watch::Native), ("poll", Watch::Poll)];
const BACKLOG: &[(&str, Backlog)] = &[("process", Backlog::Process), ("skip", Backlog::Skip), ("ask", Backlog::Ask)];
const CONVERT: &[(&str, Convert)] = &[("no", Convert::No), ("ffmpeg", Convert::Ffmpeg)];
const DELIVER: &[(&str, Target)] = &[("beside", Target::Beside), ("email", Target::Email)];
const FORMATS: &[(&str, Format)] =
    &[("md", Format::Md), ("txt", Format::Txt), ("srt", Format::Srt), ("vtt", Format::Vtt), ("json", Format::Json)];
const ON_SUCCESS: &[(&str, Success)] = &[("keep", Success::Keep), ("move", Success::Move), ("delete", Success::Delete)];
const ON_SUCCESS_REMOTE: &[(&str, OnSuccessRemote)] =
    &[("keep", OnSuccessRemote::Keep), ("delete", OnSuccessRemote::Delete), ("purge", OnSuccessRemote::Purge)];

const TRANSCRIPT: &[(&str, Transcript)] = &[("make", Transcript::Make), ("reuse", Transcript::Reuse)];

/// `on_success` without the place that `move_to` gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Success {
    /// `keep`
    Keep,
    /// `move`
    Move,
    /// `delete`
    Delete,
}

/// `attendees`: those without a mistake, and how many the file has.
#[derive(Debug, Clone)]
pub(super) struct Attendees {
    pub(super) people: Vec<Attendee>,
    pub(super) written: usize,
}

/// The rules of a folder; a rule that the file does not give, or gives wrongly, is absent.
#[derive(Clone, Default)]
pub(super) struct Rules {
    pub(super) attendees: Option<Spanned<Attendees>>,
    pub(super) service: Option<Spanned<String>>,
    pub(super) instruction: Option<Spanned<Option<String>>>,
    pub(super) prompt_template: Option<Spanned<String>>,
    pub(super) analyses: Option<Spanned<Vec<Analysis>>>,
    pub(super) language: Option<Spanned<String>>,
    pub(super) recursive: Option<Spanned<bool>>,
    pub(super) include: Option<Spanned<Globs>>,
    pub(super) exclude: Option<Spanned<Globs>>,
    pub(super) watch: Option<Spanned<Watch>>,
    pub(super) settle: Option<Spanned<Duration>>,
    pub(super) rescan: Option<Spanned<Duration>>,
    pub(super) backlog: Option<Spanned<Backlog>>,
    pub(super) convert: Option<Spanned<Convert>>,
    pub(super) title: Option<Spanned<String>>,
    pub(super) deliver: Option<Spanned<Vec<Target>>>,
    pub(super) notes_dir: Option<Spanned<PathBuf>>,
    pub(super) notes_name: Option<Spanned<String>>,
    pub(super) email_to: Option<Spanned<Recipients>>,
    pub(super) formats: Option<Spanned<Vec<Format>>>,
    pub(super) on_success: Option<Spanned<Success>>,
    pub(super) move_to: Option<Spanned<PathBuf>>,
    pub(super) transcript: Option<Spanned<Transcript>>,
    pub(super) on_success_remote: Option<Spanned<OnSuccessRemote>>,
    pub(super) file_mode: Option<Spanned<u32>>,
    pub(super) sidecars: Option<Spanned<bool>>,
    pub(super) min_duration: Option<Spanned<Duration>>,
    pub(super) max_duration: Option<Spanned<Duration>>,
    pub(super) max_size: Option<Spanned<u64>>,
}

impl Rules {
    /// Reads the rules in `table`.
    pub(super) fn read(table: &Table<'_>, mistakes: &Mistakes) -> Self {
        Self {
            attendees: attendees(table, mistakes),
            service: table.text("service", values::name),
            instruction: table.text("instruction", values::instruction),
            prompt_template: table.text("prompt_template", values::line),
            analyses: table.some("analyses", values::analysis),
            language: table.text("language", values::language),
            recursive: table.flag("recursive"),
            include: globs(table, "include", mistakes),
            exclude: globs(table, "exclude", mistakes),
            watch: table.word("watch", WATCH),
            settle: table.duration("settle", SETTLE),
            rescan: table.duration("rescan", RESCAN),
            backlog: table.word("backlog", BACKLOG),
            convert: table.word("convert", CONVERT),
            title: table.text("title", values::title),
            deliver: table.words("deliver", DELIVER),
            notes_dir: table.text("notes_dir", values::absolute_path),
            notes_name: table.text("notes_name", values::notes_name),
            email_to: recipients(table),
            formats: table.words("formats", FORMATS),
            on_success: table.word("on_success", ON_SUCCESS),
            move_to: table.text("move_to", values::path_below),
            transcript: table.word("transcript", TRANSCRIPT),
            on_success_remote: table.word("on_success_remote", ON_SUCCESS_REMOTE),
            file_mode: table.text("file_mode", values::file_mode),
            sidecars: table.flag("sidecars"),
            min_duration: table.duration("min_duration", MIN_DURATION),
            max_duration: table.duration("max_duration", MAX_DURATION),
            max_size: table.text("max_size", sizes::parse),
        }
    }

    /// Returns these rules, and those of `defaults` where there is none.
    pub(super) fn or(self, defaults: Self) -> Self {
        Self {
            attendees: self.attendees.or(defaults.attendees),
            service: self.service.or(defaults.service),
            instruction: self.instruction.or(defaults.instruction),
            prompt_template: self.prompt_template.or(defaults.prompt_template),
            analyses: self.analyses.or(defaults.analyses),
            language: self.language.or(defaults.language),
            recursive: self.recursive.or(defaults.recursive),
            include: self.include.or(defaults.include),
            exclude: self.exclude.or(defaults.exclude),
            watch: self.watch.or(defaults.watch),
            settle: self.settle.or(defaults.settle),
            rescan: self.rescan.or(defaults.rescan),
            backlog: self.backlog.or(defaults.backlog),
            convert: self.convert.or(defaults.convert),
            title: self.title.or(defaults.title),
            deliver: self.deliver.or(defaults.deliver),
            notes_dir: self.notes_dir.or(defaults.notes_dir),
            notes_name: self.notes_name.or(defaults.notes_name),
            email_to: self.email_to.or(defaults.email_to),
            formats: self.formats.or(defaults.formats),
            on_success: self.on_success.or(defaults.on_success),
            move_to: self.move_to.or(defaults.move_to),
            transcript: self.transcript.or(defaults.transcript),
            on_success_remote: self.on_success_remote.or(defaults.on_success_remote),
            file_mode: self.file_mode.or(defaults.file_mode),
            sidecars: self.sidecars.or(defaults.sidecars),
            min_duration: self.min_duration.or(defaults.min_duration),
            max_duration: self.max_duration.or(defaults.max_duration),
            max_size: self.max_size.or(defaults.max_size),
        }
    }
}

/// Reads `attendees`.
pub(super) fn attendees(table: &Table<'_>, mistakes: &Mistakes) -> Option<Spanned<Attendees>> {
    let tables = table.tables("attendees", "in an attendee", keys::ATTENDEE)?;
    let (span, tables) = (tables.span(), tables.into_inner());
    let written = tables.len();
    let mut seen = BTreeMap::new();
    let mut people = Vec::new();
    for table in tables.into_iter().flatten() {
        let email = table.text("email", values::address);
        if let Some(email) = &email {
            refuse_twice(email, &mut seen, mistakes);
        }
        people.extend(attendee(&table, email));
    }
    Some(Spanned::new(span, Attendees { people, written }))
}

fn refuse_twice(email: &Spanned<Address>, seen: &mut BTreeMap<String, Span>, mistakes: &Mistakes) {
    let address = email.get_ref().to_string();
    if let Some(first) = seen.insert(address.to_lowercase(), email.span()) {
        let what = format!("{} attends twice", quoted(&address));
        mistakes.add(Mistake::at(email.span(), what, "remove one of the two").also(first, "first here"));
    }
}

fn attendee(table: &Table<'_>, email: Option<Spanned<Address>>) -> Option<Attendee> {
    let example = "write { name = \"Ann Lee\", email = \"ann@example.com\" }";
    table.require("name", example);
    table.require("email", example);
    let name = table.text("name", values::line);
    let role = table.text("role", values::line).map(Spanned::into_inner);
    Some(Attendee { name: name?.into_inner(), email: email?.into_inner().to_string(), role })
}

fn globs(table: &Table<'_>, key: &'static str, mistakes: &Mistakes) -> Option<Spanned<Globs>> {
    let patterns = table.list(key, values::glob)?;
    let span = patterns.span();
    if key == "include" && table.item(key).is_some_and(|item| item.is_empty_list()) {
        let help = "write include = [\"*\"] for everything";
        mistakes.add(Mistake::at(span.clone(), "`include` is empty: no file would be taken", help));
    }
    match values::globs(patterns.into_inner().into_iter().map(Spanned::into_inner).collect()) {
        Ok(globs) => Some(Spanned::new(span, globs)),
        Err(flaw) => {
            mistakes.flaw(span, flaw);
            None
        }
    }
}

fn recipients(table: &Table<'_>) -> Option<Spanned<Recipients>> {
    let item = table.item("email_to")?;
    if item.is_list() {
        let list = table.some("email_to", values::mailbox)?;
        return Some(Spanned::new(list.span(), Recipients::List(list.into_inner())));
    }
    item.text(|text| match text {
        "attendees" => Ok(Recipients::Attendees),
        _address if values::mailbox(text).is_ok() => {
            Err(Flaw::new("one address, where a list is expected", format!("write email_to = [\"{text}\"]")))
        }
        _other => {
            let help = match meant(text, ["attendees"]) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "write \"attendees\", or a list of addresses: [\"ann@example.com\"]".to_owned(),
            };
            Err(Flaw::new(format!("{} is neither `attendees` nor a list of addresses", quoted(text)), help))
        }
    })
}

//! The notes of a recording: what a service found, as one document. Pure and deterministic: the same minutes give the
//! same bytes, so that notes that are there already are recognised after a crash.

use std::sync::Arc;

use jiff::Zoned;

use super::{
    direction::Letters,
    front::{self, Proof},
    html::html_fragment,
    items::write_items,
    markdown::section_content,
    turns::{Paragraph, each_paragraph},
    vault::{Vault, wikilink},
};
use crate::{
    config::{Analysis, Attendee},
    job::{Findings, Key, Report, Segment, Sound, Status},
    text::{escape_markdown, format_clock, strip_to_line},
};

/// Everything that notes say.
#[derive(Debug, Clone, PartialEq)]
pub struct Minutes {
    /// The job.
    pub key: Key,
    /// The name of the recording's sound, where it has one.
    pub sound: Option<Sound>,
    /// The title of the meeting.
    pub title: String,
    /// The time of the meeting, in the zone of this machine.
    pub recorded: Zoned,
    /// The recording's file name, fit to be shown.
    pub recording: String,
    /// The folder's name.
    pub folder: String,
    /// The attendees.
    pub attendees: Vec<Attendee>,
    /// The source of the attendees, where it was not the folder.
    pub attendees_from: Option<String>,
    /// The language that was spoken, ISO 639-1, where the folder or somebody else says so.
    pub language: Option<String>,
    /// The service's name in the config.
    pub service: String,
    /// The service's id of the meeting.
    pub meeting: Option<String>,
    /// The sentence about the missing parts, for notes that are not complete.
    pub warning: Option<String>,
    /// The vault in which the notes lie, where they have links.
    pub vault: Option<Vault>,
    /// The results; those that are not completed are left out.
    pub reports: Arc<[Report]>,
}

impl Minutes {
    /// Returns the notes in Markdown, sealed.
    pub(in crate::delivery) fn sealed_markdown(&self) -> String {
        let mut text = self.front_matter();
        self.write_body(&mut text, self.vault.as_ref());
        front::seal_partial(text)
    }

    /// Returns the Markdown below the front matter: title, warning and sections, in the order of [`Analysis::ALL`]. It has no
    /// links to people: mail and JSON are read outside the vault.
    pub(in crate::delivery) fn markdown_body(&self) -> String {
        let mut out = String::new();
        self.write_body(&mut out, None);
        out
    }

    /// Returns the notes without the transcript, as an HTML fragment of harmless elements.
    #[must_use]
    pub(crate) fn sections_html(&self) -> String {
        let mut out = String::new();
        self.write_head(&mut out);
        let title = strip_to_line(&self.title);
        for analysis in Analysis::ALL {
            match self.findings_of(analysis) {
                Some(found) if analysis == Analysis::Transcription => {
                    add_headed(&mut out, "Summary", found.summary.as_deref().unwrap_or_default());
                }
                Some(found) => write_sections(&mut out, analysis, found, &title, None),
                None => {}
            }
        }
        html_fragment(&out)
    }

    /// Returns the transcript by turns; empty where the service gives none with segments.
    #[must_use]
    pub(crate) fn paragraphs(&self) -> Vec<Paragraph> {
        let mut paragraphs = Vec::new();
        each_paragraph(self.segments(), |paragraph| paragraphs.push(paragraph.clone()));
        paragraphs
    }

    /// Writes the body behind what stands in `out`, piece by piece: a long transcript is held once.
    fn write_body(&self, out: &mut String, vault: Option<&Vault>) {
        let title = strip_to_line(&self.title);
        out.push_str("# ");
        out.push_str(&escape_markdown(&title));
        self.write_head(out);
        for analysis in Analysis::ALL {
            if let Some(found) = self.findings_of(analysis) {
                write_sections(out, analysis, found, &title, vault);
            }
        }
        out.push('\n');
    }

    /// Writes the warning and the remarks.
    fn write_head(&self, out: &mut String) {
        if let Some(warning) = &self.warning {
            add_part(out, &format!("> **Incomplete:** {}", escape_markdown(warning)));
        }
        for remark in self.reports.iter().flat_map(|report| &report.findings.remarks) {
            add_part(out, &format!("> {}", escape_markdown(&strip_to_line(remark))));
        }
    }

    /// Returns what was found by an analysis, if it completed; the last report wins.
    pub(in crate::delivery) fn findings_of(&self, analysis: Analysis) -> Option<&Findings> {
        let completed =
            |report: &&Report| report.analysis == analysis && report.status == Status::Completed;
        self.reports.iter().rev().find(completed).map(|report| &report.findings)
    }

    /// Returns the writer of the meeting note, where it is not the service itself.
    pub(in crate::delivery) fn notes_by(&self) -> Option<&str> {
        self.findings_of(Analysis::MeetingNote)?.notes_by.as_deref()
    }

    /// Returns what was said, empty when the service does not tell.
    pub(in crate::delivery) fn segments(&self) -> &[Segment] {
        self.findings_of(Analysis::Transcription).map_or(&[], |found| &found.segments)
    }

    /// Returns whether the notes read from right to left: most letters of what was found do. The title and the names of
    /// files are often in Latin letters all the same.
    pub(in crate::delivery) fn is_right_to_left(&self) -> bool {
        let mut letters = Letters::default();
        for found in Analysis::ALL.into_iter().filter_map(|analysis| self.findings_of(analysis)) {
            let texts = [&found.markdown, &found.summary].into_iter().flatten();
            texts.for_each(|text| letters.count_letters(text));
            found.items.iter().for_each(|item| letters.count_letters(&item.text));
            found.segments.iter().for_each(|segment| letters.count_letters(&segment.text));
        }
        letters.are_right_to_left()
    }

    /// Returns the time of the meeting to the second, RFC 3339, with the offset of its zone.
    pub(in crate::delivery) fn meeting_date(&self) -> String {
        self.recorded.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
    }

    /// Returns the length of the recording as hours, minutes and seconds, where it is known.
    pub(in crate::delivery) fn duration(&self) -> Option<String> {
        self.findings_of(Analysis::Transcription)?.duration.and_then(format_clock)
    }

    /// Returns the language that was spoken: as it was set, else as it was recognised.
    pub(in crate::delivery) fn language(&self) -> Option<String> {
        let recognised = || self.findings_of(Analysis::Transcription)?.language.as_deref();
        self.language
            .as_deref()
            .or_else(recognised)
            .map(strip_to_line)
            .filter(|language| !language.is_empty())
    }

    fn front_matter(&self) -> String {
        let attendees: Vec<String> =
            self.attendees.iter().map(|person| self.attendee_scalar(person)).collect();
        let mut fields = vec![
            ("title", front::quote_scalar(&strip_to_line(&self.title))),
            ("date", self.meeting_date()),
        ];
        fields.extend(self.duration().map(|duration| ("duration", duration)));
        fields.extend([
            ("recording", front::yaml_scalar(&strip_to_line(&self.recording))),
            ("folder", front::yaml_scalar(&strip_to_line(&self.folder))),
            ("attendees", format!("[{}]", attendees.join(", "))),
        ]);
        fields.extend(
            self.attendees_from
                .as_deref()
                .map(|from| ("attendees_from", front::yaml_scalar(&strip_to_line(from)))),
        );
        fields.extend(self.language().map(|language| ("language", front::yaml_scalar(&language))));
        fields.push(("service", front::yaml_scalar(&strip_to_line(&self.service))));
        fields
            .extend(self.notes_by().map(|by| ("notes_by", front::yaml_scalar(&strip_to_line(by)))));
        fields.extend(
            self.meeting
                .as_deref()
                .map(|meeting| ("meeting", front::yaml_scalar(&strip_to_line(meeting)))),
        );
        fields.extend(self.is_right_to_left().then(|| ("dir", "rtl".to_owned())));
        fields.extend(self.vault_fields());
        let proof = Proof { key: self.key.clone(), partial: self.warning.is_some() };
        front::front_matter(&fields, &proof, self.sound.as_ref())
    }

    /// Returns an attendee as YAML: a link in a vault, else name and address.
    fn attendee_scalar(&self, person: &Attendee) -> String {
        // What a link is made of needs no escape, and a vault finds it only as it is.
        match self.vault.as_ref().and_then(|_| wikilink(&person.name)) {
            Some(link) => format!("\"{link}\""),
            None => front::quote_scalar(&attendee_line(person)),
        }
    }

    /// Returns the fields of notes in a vault: the tags, and the title as the name by which other pages may link here.
    fn vault_fields(&self) -> Vec<front::Field> {
        let Some(vault) = &self.vault else { return Vec::new() };
        let title = strip_to_line(&self.title);
        vec![("tags", yaml_list(vault.tags())), ("aliases", yaml_list(&[title]))]
    }
}

/// Returns a list of YAML on one line.
fn yaml_list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| front::quote_scalar(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// Returns an attendee as a person reads it: `Ann Lee <ann@example.com>`.
pub(in crate::delivery) fn attendee_line(person: &Attendee) -> String {
    strip_to_line(&format!("{} <{}>", person.name, person.email))
}

/// The level of headings inside our own sections; the meeting note stands directly below the title.
const IN_SECTION: usize = 3;
const IN_NOTE: usize = 2;

/// Writes the sections of one analysis, each with its heading. `title` is the heading that a note need not repeat.
fn write_sections(
    out: &mut String,
    analysis: Analysis,
    found: &Findings,
    title: &str,
    vault: Option<&Vault>,
) {
    let text = found.markdown.as_deref().or(found.summary.as_deref()).unwrap_or_default();
    match analysis {
        Analysis::MeetingNote => {
            add_part(out, &section_content(text, title, IN_NOTE));
            write_items(out, &found.items, vault);
        }
        Analysis::KeyPoints => add_headed(out, "Key points", text),
        Analysis::Sentiment => add_headed(out, "Sentiment", text),
        Analysis::Transcription => {
            add_headed(out, "Summary", found.summary.as_deref().unwrap_or_default());
            write_transcript(out, found, vault);
        }
    }
}

fn write_transcript(out: &mut String, found: &Findings, vault: Option<&Vault>) {
    let before = out.len();
    each_paragraph(&found.segments, |paragraph| {
        if out.len() == before {
            add_part(out, "## Transcript");
        }
        add_part(out, &paragraph.to_markdown(vault));
    });
    if out.len() == before {
        add_headed(out, "Transcript", found.markdown.as_deref().unwrap_or_default());
    }
}

fn add_headed(out: &mut String, heading: &str, markdown: &str) {
    let content = section_content(markdown, heading, IN_SECTION);
    if !content.trim().is_empty() {
        add_part(out, &format!("## {heading}"));
        add_part(out, &content);
    }
}

/// Adds a part that says something, with an empty line before it.
pub(super) fn add_part(out: &mut String, part: &str) {
    if !part.trim().is_empty() {
        out.push_str("\n\n");
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saphyr::LoadableYamlNode as _;

    use super::*;
    use crate::job::{Content, SpeakerNames};
    use crate::{config::Format, delivery::render::key_of};

    fn report(analysis: Analysis, findings: Findings) -> Report {
        Report {
            analysis,
            status: Status::Completed,
            id: None,
            findings,
            error: None,
            raw: String::new(),
        }
    }

    fn markdown(text: &str) -> Findings {
        Findings { markdown: Some(text.into()), ..Findings::default() }
    }

    fn segment(start: f64, speaker: &str, text: &str) -> Segment {
        Segment {
            start: Some(start),
            end: Some(start + 2.0),
            speaker: Some(speaker.into()),
            text: text.into(),
            ..Segment::default()
        }
    }

    fn minutes(title: &str) -> Minutes {
        let attendee = |name: &str, email: &str| Attendee {
            name: name.into(),
            email: email.into(),
            role: None,
        };
        Minutes {
            key: Key {
                content: Content::from_hash(&blake3::hash(b"talk")),
                folder: "sales".into(),
                generation: 1,
            },
            sound: None,
            title: title.into(),
            recorded: "2026-11-22T10:00:00.75+01:00[Europe/Berlin]".parse().expect("a time"),
            recording: "talk.wav".into(),
            folder: "sales".into(),
            attendees: vec![
                attendee("Ann Lee", "ann@example.com"),
                attendee("Bo \"B\" Chen", "bo@example.com"),
            ],
            attendees_from: None,
            language: None,
            service: "paxs".into(),
            meeting: Some("93ac7e2d-0000-4000-8000-000000000000".into()),
            warning: None,
            vault: None,
            reports: Arc::default(),
        }
    }

    fn whole() -> Minutes {
        let spoken = Findings {
            duration: Some(1872.4),
            language: Some("en".into()),
            summary: Some("We met.".into()),
            segments: vec![
                segment(0.0, "Ann", "Good morning."),
                segment(2.0, "Ann", "Shall we *begin*?"),
                segment(5.0, "Bo", "Yes."),
                segment(60.0, "Bo", "[ ] <later>"),
            ],
            ..Findings::default()
        };
        Minutes {
            reports: Arc::new([
                report(Analysis::Transcription, spoken),
                report(Analysis::KeyPoints, markdown("# Key points\n\n# First\n\n- one")),
                report(
                    Analysis::MeetingNote,
                    markdown("# Weekly sales\n\n## Decisions\n\n- ship it\n"),
                ),
            ]),
            ..minutes("Weekly sales")
        }
    }

    #[test]
    fn notes_in_a_vault_link_the_people_who_are_known_by_name() {
        let minutes = whole();
        let mut speakers = SpeakerNames::default();
        speakers.assign("Speaker 2=Ann", &["Speaker 2".to_owned()]).expect("a name");
        let tags = ["meeting".to_owned()];
        let vault = Vault::new("sales", &tags, &minutes.attendees, &speakers);
        let linked = Minutes { vault: Some(vault), ..minutes.clone() };
        let text = linked.render(Format::Md);
        for line in [
            "attendees: [\"[[Ann Lee]]\", \"[[Bo B Chen]]\"]",
            "tags: [\"sales\", \"meeting\"]",
            "aliases: [\"Weekly sales\"]",
            "**[[Ann]]** [00:00:00] Good morning. Shall we \\*begin\\*?",
            "**Bo** [00:00:05] Yes.",
        ] {
            assert!(text.lines().any(|is| is == line), "{line}\n{text}");
        }
        let front = text.split("---\n").nth(1).expect("front matter");
        saphyr::Yaml::load_from_str(front).expect("YAML");
        for format in [Format::Txt, Format::Srt, Format::Vtt, Format::Json] {
            assert_eq!(linked.render(format), minutes.render(format));
        }
        assert_eq!(linked.markdown_body(), minutes.markdown_body());
    }

    #[test]
    fn notes_are_what_the_design_shows() {
        insta::assert_snapshot!(whole().render(Format::Md), @r#"
        ---
        title: "Weekly sales"
        date: 2026-11-22T10:00:00+01:00
        duration: 00:31:12
        recording: talk.wav
        folder: sales
        attendees: ["Ann Lee <ann@example.com>", "Bo \"B\" Chen <bo@example.com>"]
        language: en
        service: paxs
        meeting: 93ac7e2d-0000-4000-8000-000000000000
        minuted: b3-5c692b042adac8b0aa0b284e07a6e7d0.sales.1
        ---
        # Weekly sales

        ## Decisions

        - ship it

        ## Key points

        ### First

        - one

        ## Summary

        We met.

        ## Transcript

        **Ann** [00:00:00] Good morning. Shall we \*begin\*?

        **Bo** [00:00:05] Yes.

        **Bo** [00:01:00] \[ \] \<later>
        "#);
    }

    #[test]
    fn the_language_that_was_set_goes_before_the_one_that_was_recognised() {
        assert_eq!(whole().language().as_deref(), Some("en"));
        assert_eq!(
            Minutes { language: Some("de".into()), ..whole() }.language().as_deref(),
            Some("de")
        );
        assert_eq!((minutes("T").language(), minutes("T").duration()), (None, None));
    }

    #[test]
    fn the_transcript_is_text_for_people() {
        insta::assert_snapshot!(whole().render(Format::Txt), @r#"
        Weekly sales
        2026-11-22T10:00:00+01:00
        Ann Lee <ann@example.com>, Bo "B" Chen <bo@example.com>

        [00:00:00] Ann: Good morning. Shall we *begin*?

        [00:00:05] Bo: Yes.

        [00:01:00] Bo: [ ] <later>
        "#);
    }

    #[test]
    fn json_holds_everything_under_the_promised_names() {
        let value: serde_json::Value =
            serde_json::from_str(&whole().render(Format::Json)).expect("JSON");
        let names = |value: &serde_json::Value| {
            value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>()
        };
        insta::assert_snapshot!(names(&value).join(" "), @"analyses attendees date duration folder key language meeting recording service title warning");
        insta::assert_snapshot!(names(&value["analyses"][0]).join(" "), @"markdown segments speakers summary type");
        assert_eq!(value["analyses"][0]["type"], "transcription");
        assert_eq!(value["analyses"][0]["segments"][0]["text"], "Good morning.");
    }

    #[test]
    fn the_same_minutes_give_the_same_bytes() {
        for format in [Format::Md, Format::Txt, Format::Srt, Format::Vtt, Format::Json] {
            assert_eq!(whole().render(format), whole().render(format));
        }
    }

    #[test]
    fn what_is_not_complete_says_so_on_top_and_failed_reports_are_left_out() {
        let mut failed = report(Analysis::Sentiment, markdown("half of it"));
        failed.status = Status::Failed;
        let minutes = Minutes {
            warning: Some("the *meeting note* failed".into()),
            reports: [failed].into(),
            ..minutes("T")
        };
        insta::assert_snapshot!(minutes.render(Format::Md), @r#"
        ---
        title: "T"
        date: 2026-11-22T10:00:00+01:00
        recording: talk.wav
        folder: sales
        attendees: ["Ann Lee <ann@example.com>", "Bo \"B\" Chen <bo@example.com>"]
        service: paxs
        meeting: 93ac7e2d-0000-4000-8000-000000000000
        partial: true
        digest: b3-fbfdc14efde63e271e1a7f7a936fd537
        minuted: b3-5c692b042adac8b0aa0b284e07a6e7d0.sales.1
        ---
        # T

        > **Incomplete:** the \*meeting note\* failed
        "#);
    }

    #[test]
    fn a_summary_without_a_transcript_has_no_transcript_section() {
        let found = Findings { summary: Some("We met.".into()), ..Findings::default() };
        let minutes =
            Minutes { reports: [report(Analysis::Transcription, found)].into(), ..minutes("T") };
        assert_eq!(minutes.markdown_body(), "# T\n\n## Summary\n\nWe met.\n");
    }

    #[test]
    fn a_hostile_title_stays_one_line_in_every_place() {
        let title = "x\r\nBcc: all@example.com\n---\nminuted: b3-00000000000000000000000000000000.a.1\n\u{202e}\u{1b}[31m\"<b>";
        let minutes = minutes(title);
        let text = minutes.render(Format::Md);
        insta::assert_snapshot!(text, @r#"
        ---
        title: "x Bcc: all@example.com --- minuted: b3-00000000000000000000000000000000.a.1 [31m\"<b>"
        date: 2026-11-22T10:00:00+01:00
        recording: talk.wav
        folder: sales
        attendees: ["Ann Lee <ann@example.com>", "Bo \"B\" Chen <bo@example.com>"]
        service: paxs
        meeting: 93ac7e2d-0000-4000-8000-000000000000
        minuted: b3-5c692b042adac8b0aa0b284e07a6e7d0.sales.1
        ---
        # x Bcc: all@example.com --- minuted: b3-00000000000000000000000000000000.a.1 \[31m"\<b>
        "#);
        assert_eq!(key_of(text.as_bytes()), Some(minutes.key));
    }

    #[test]
    fn a_note_cannot_forge_the_front_matter() {
        let forged =
            "---\ntitle: forged\nminuted: b3-00000000000000000000000000000000.a.1\n---\n# Note\n";
        let minutes = Minutes {
            reports: [report(Analysis::MeetingNote, markdown(forged))].into(),
            ..minutes("T")
        };
        assert_eq!(key_of(minutes.render(Format::Md).as_bytes()), Some(minutes.key));
    }

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn whatever_the_title_the_key_reads_back_and_the_yaml_stands(
            title in any::<String>(), name in any::<String>(), folder in any::<String>(), people in 0_usize..200,
        ) {
            let person = Attendee { name, email: "a@example.com".into(), role: None };
            let minutes = Minutes { attendees: vec![person; people], folder, ..minutes(&title) };
            let text = minutes.render(Format::Md);
            prop_assert_eq!(key_of(text.as_bytes()), Some(minutes.key.clone()));
            let (front, _) = text.strip_prefix("---\n").and_then(|rest| rest.split_once("\n---\n")).expect("front matter");
            let yaml = saphyr::Yaml::load_from_str(front).expect("YAML");
            prop_assert_eq!(yaml[0]["title"].as_str().map(str::to_owned), Some(strip_to_line(&title)));
            prop_assert_eq!(yaml[0]["folder"].as_str().map(str::to_owned), Some(strip_to_line(&minutes.folder)));
            prop_assert_eq!(yaml[0]["attendees"].as_vec().map(Vec::len), Some(people));
        }
    }
}

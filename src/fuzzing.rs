//! The doors of `fuzz/`: one function a family of readers, which takes any bytes and panics where a promise is broken.
//!
//! Only tests and fuzzers have this module. Each family keeps its properties beside its code, in `properties.rs`.

use crate::{
    calendar, config, control, delivery,
    engine::whisper,
    job::{Content, Key},
    services::paxs,
    text, verify, watch,
};

/// Reads what lies in a drop folder: the head of a recording, names, the head of notes.
pub fn files(bytes: &[u8]) {
    watch::properties::head(bytes);
    watch::properties::sound(bytes);
    watch::properties::name(bytes);
    delivery::properties::file_names(bytes);
    delivery::properties::head(bytes);
}

/// Reads an answer of the service and makes notes of what it says, in every format.
pub fn answers(bytes: &[u8]) {
    let reports = paxs::properties::answer(bytes);
    if !reports.is_empty() {
        delivery::properties::rendered(reports, "Talk");
    }
    delivery::properties::notes(bytes);
}

/// Reads the answer of a model about a transcript.
pub fn proposals(bytes: &[u8]) {
    verify::properties::answer(bytes);
}

/// Reads the head of a model of whisper.
pub fn models(bytes: &[u8]) {
    whisper::properties::head(bytes);
}

/// Reads a calendar and chooses an event of it.
pub fn calendars(bytes: &[u8]) {
    calendar::properties::calendar(bytes);
}

/// Shows the Markdown of a service.
pub fn markdown(bytes: &[u8]) {
    delivery::properties::markdown(bytes);
}

/// Reads a configuration. The keys of its jobs read back, in notes and in descriptions.
pub fn config(bytes: &[u8]) {
    let Some(settings) = config::properties::config(bytes) else { return };
    for folder in settings.folders {
        let key = Key {
            content: Content::from_hash(&blake3::hash(bytes)),
            folder: folder.id,
            generation: 7,
        };
        assert_eq!(key.to_string().parse::<Key>().as_ref(), Ok(&key));
        let description =
            format!("{}\nminuted:{}\n\n{}", folder.name, folder.title, key.marker_line());
        assert_eq!(Key::from_description(&description), Some(key));
    }
}

/// Reads what is a line: a question on the control socket, a key, a person, a subject; and shows any text.
pub fn lines(bytes: &[u8]) {
    control::properties::line(bytes);
    delivery::properties::mail_head(bytes);
    let said = String::from_utf8_lossy(bytes);
    if let Ok(key) = said.parse::<Key>() {
        assert_eq!(key.to_string(), said);
    }
    let shown = text::printable(&said);
    assert!(!shown.chars().any(text::is_unprintable), "{shown:?}");
    assert_eq!(text::printable(&shown), shown);
    let line = text::one_line(&said, 80);
    assert!(line.chars().count() <= 80 && !line.contains('\n'), "{line:?}");
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::{prelude::*, sample::Index};

    use super::*;
    use crate::budget::cases;

    /// The seeds of a target, as `fuzz/` has them.
    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
        let entries = std::fs::read_dir(directory).expect("seeds for every target");
        let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        let seeds: Vec<_> = paths.iter().map(|path| std::fs::read(path).expect("a seed")).collect();
        assert!(!seeds.is_empty());
        seeds
    }

    /// What is wrong with bytes that were right.
    #[derive(Debug, Clone)]
    enum Fault {
        Flip(Index, u8),
        Cut(Index),
        Remove(Index, Index),
        Repeat(Index, Index),
        Insert(Index, Vec<u8>),
        /// A length that is a lie.
        Number(Index, u64),
    }

    /// Bytes that some reader looks for.
    const WORDS: [&str; 40] = [
        "\0",
        "\n",
        "\r\n",
        "\u{202e}",
        "\u{1b}[2J",
        "\u{feff}",
        "\"",
        "\\",
        "{",
        "}",
        "[",
        "]",
        "<",
        ">",
        "- ",
        "> ",
        "`",
        "```\n",
        "](javascript:",
        "<script>",
        "&Tab;",
        "| ",
        "moov",
        "mdat",
        "RIFF",
        "data",
        "ds64",
        "\u{ff}",
        "2026-11-22",
        "minuted: ",
        "---\n",
        "null",
        "1e999",
        "-1",
        "NaN",
        "\"session_id\":\"x\",",
        "[[folder]]\n",
        "{stem}",
        "99999999999999999999",
        "é",
    ];

    fn fault() -> impl Strategy<Value = Fault> {
        let index = any::<Index>;
        prop_oneof![
            (index(), any::<u8>()).prop_map(|(at, byte)| Fault::Flip(at, byte)),
            index().prop_map(Fault::Cut),
            (index(), index()).prop_map(|(from, to)| Fault::Remove(from, to)),
            (index(), index()).prop_map(|(from, to)| Fault::Repeat(from, to)),
            (index(), prop::sample::select(&WORDS[..]))
                .prop_map(|(at, word)| Fault::Insert(at, word.into())),
            (index(), any::<u64>()).prop_map(|(at, number)| Fault::Number(at, number)),
        ]
    }

    fn apply(mut bytes: Vec<u8>, fault: Fault) -> Vec<u8> {
        let len = bytes.len();
        let place = |at: Index| at.index(len + 1);
        let between =
            |from: Index, to: Index| place(from).min(place(to))..place(from).max(place(to));
        match fault {
            Fault::Flip(..) | Fault::Number(..) if len < 8 => {}
            Fault::Flip(at, byte) => bytes[at.index(len)] ^= byte,
            Fault::Number(at, number) => {
                let at = at.index(len - 7);
                bytes[at..at + 8].copy_from_slice(&number.to_be_bytes());
            }
            Fault::Cut(at) => bytes.truncate(place(at)),
            Fault::Remove(from, to) => drop(bytes.drain(between(from, to))),
            Fault::Repeat(from, to) => {
                let again = bytes[between(from, to)].to_vec();
                bytes.extend(again);
            }
            Fault::Insert(at, word) => drop(bytes.splice(place(at)..place(at), word)),
        }
        bytes
    }

    fn spoilt(target: &str) -> impl Strategy<Value = Vec<u8>> + use<> {
        let faults = prop::collection::vec(fault(), 0..8);
        (prop::sample::select(seeds(target)), faults)
            .prop_map(|(seed, faults)| faults.into_iter().fold(seed, apply))
    }

    proptest! {
        #![proptest_config(cases(128))]

        #[test]
        fn files_are_read_whatever_they_hold(bytes in spoilt("files")) {
            files(&bytes);
        }

        #[test]
        fn answers_are_read_whatever_they_say(bytes in spoilt("answers")) {
            answers(&bytes);
        }

        #[test]
        fn proposals_are_read_whatever_they_say(bytes in spoilt("proposals")) {
            proposals(&bytes);
        }

        #[test]
        fn models_are_read_whatever_they_hold(bytes in spoilt("models")) {
            models(&bytes);
        }

        #[test]
        fn calendars_are_read_whatever_they_hold(bytes in spoilt("calendars")) {
            calendars(&bytes);
        }

        #[test]
        fn markdown_is_shown_whatever_it_says(bytes in spoilt("markdown")) {
            markdown(&bytes);
        }

        #[test]
        fn configurations_are_read_whatever_they_say(bytes in spoilt("config")) {
            config(&bytes);
        }

        #[test]
        fn lines_are_read_whatever_they_say(bytes in spoilt("lines")) {
            lines(&bytes);
        }
    }

    #[test]
    fn every_seed_keeps_every_promise() {
        let every =
            |name: &str, target: fn(&[u8])| seeds(name).into_iter().for_each(|seed| target(&seed));
        every("files", files);
        every("answers", answers);
        every("proposals", proposals);
        every("models", models);
        every("calendars", calendars);
        every("markdown", markdown);
        every("config", config);
        every("lines", lines);
    }
}

//! The title of a meeting, made of the recording's name and place.

use std::{
    ffi::OsStr,
    path::{Component, Path},
};

use jiff::{Timestamp, tz::TimeZone};

use crate::text::{one_line, strip_accents};

/// Characters of a title; what a service's own pages show at most on a line or two.
pub(super) const TITLE_MAX: usize = 200;

/// Words that say nothing of a meeting, in lower case and without accents. A name that holds nothing but them, numbers and
/// dates is no title. Grows by a line.
const EMPTY_WORDS: &[&str] = &[
    // What programs call any recording, in the languages of phones and desktops.
    "audio audios sound voice memo memos note only video videos movie clip film file files media screen capture track",
    "recording recordings record recorded rec new untitled unnamed unknown default copy final",
    "aufnahme aufnahmen audioaufnahme bildschirmaufnahme bildschirmaufzeichnung aufzeichnung sprachaufnahme sprachmemo",
    "sprachnotiz sprachnachricht neue neuer neues unbenannt unbenannte ohne titel titel spur datei ton kopie",
    "enregistrement enregistrements nouvel nouveau nouvelle vocal vocale memo ecran piste sans titre fichier seul l d copie",
    "grabacion grabaciones nueva nuevo nota voz pantalla pista sin titulo archivo sonido solo copia",
    "registrazione registrazioni nuova vocale schermo traccia senza titolo",
    "gravacao gravacoes nova tela ecra faixa sem audio arquivo",
    "opname opnamen nieuwe spraakmemo schermopname geluid spoor naamloos zonder",
    "nagranie nowe bez tytulu inspelning ny skarminspelning optagelse optage nauhoite",
    "録音 録画 新規録音 画面収録 录音 录屏 新录音 屏幕录制 錄音 녹음 새로운 화면 기록",
    // Zoom's own files, here and in its cloud.
    "zoom gmt utc gallery speaker view shared active avo gvo cc as with playback",
    // Between a date and its time, and behind it.
    "at um am pm las alle ore kl om de del of the",
    "mon tue wed thu fri sat sun monday tuesday wednesday thursday friday saturday sunday",
    "jan feb mar apr may jun jul aug sep sept oct nov dec january february march april june july august september october",
    "november december",
];

/// Codes in front of a number, as devices and messengers count: without a number each could be a word.
const COUNTER_WORDS: &[&str] = &[
    "a p m o tr trk take part ch mic ste tascam dr ds dm ws ls vn ln dw wa ptt aud vid img mvi mov dsc dscn dscf mah clip",
    "gopr gh gx gp gl dji pxl sam c x t z h s r signal whatsapp bandicam obs replay desktop vlc olympus sony edirol",
    "voicerecord voicerecording myrec audiorec",
];

/// Returns the title of a recording, by the folder's template; dates are local, as the people at the meeting saw them.
///
/// Where the recording's name says nothing, the nearest sub-folder whose name does stands in its place, unless the
/// template names the sub-folder itself.
pub(super) fn make_title(
    template: &str,
    folder: &str,
    recording: &Path,
    recorded: Timestamp,
) -> String {
    let local = recorded.to_zoned(TimeZone::system());
    let part = |name: Option<&OsStr>| {
        name.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let parent = part(recording.parent().and_then(Path::file_name));
    let stem = || match telling_parent(recording).filter(|_| !template.contains("{parent}")) {
        Some(parent) => parent,
        None => part(recording.file_stem()),
    };
    // One pass: what a file name holds is never taken for a placeholder.
    let mut filled = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(open) = rest.find('{') {
        filled.push_str(&rest[..open]);
        rest = &rest[open..];
        let close = rest.find('}').map_or(rest.len(), |close| close + 1);
        match &rest[..close] {
            "{stem}" => filled.push_str(&stem()),
            "{folder}" => filled.push_str(folder),
            "{date}" => filled.push_str(&local.strftime("%F").to_string()),
            "{time}" => filled.push_str(&local.strftime("%H:%M").to_string()),
            "{parent}" => filled.push_str(if parent.is_empty() { folder } else { &parent }),
            other => filled.push_str(other),
        }
        rest = &rest[close..];
    }
    filled.push_str(rest);
    let filled = one_line(&filled, TITLE_MAX);
    if filled.is_empty() { folder.to_owned() } else { filled }
}

/// Returns the name of the nearest directory below the folder that says something, where the recording's own says nothing.
fn telling_parent(recording: &Path) -> Option<String> {
    let stem = recording.file_stem().unwrap_or_default().to_string_lossy();
    if !says_nothing(&stem) {
        return None;
    }
    let directories =
        recording.parent()?.components().rev().filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            Component::Prefix(_)
            | Component::RootDir
            | Component::CurDir
            | Component::ParentDir => None,
        });
    directories.into_iter().find(|name| !says_nothing(name))
}

/// Returns whether a name holds nothing but numbers, dates and words that any recording may be called by.
fn says_nothing(name: &str) -> bool {
    let name = strip_accents(name).to_lowercase();
    let has_number = name.contains(|character: char| character.is_ascii_digit());
    let is_in = |words: &[&str], word: &str| {
        words.iter().any(|row| row.split(' ').any(|known| known == word))
    };
    let mut words =
        name.split(|character: char| !character.is_alphabetic()).filter(|word| !word.is_empty());
    words.all(|word| is_in(EMPTY_WORDS, word) || has_number && is_in(COUNTER_WORDS, word))
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt as _;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(crate::budget::cases(256))]

        #[test]
        fn whatever_a_recording_is_called_its_title_is_one_line_that_says_something(
            name in prop::collection::vec(1_u8..=255, 1..300), second in -2_000_000_000_i64..8_000_000_000,
            template in "(\\{stem\\}|\\{parent\\}|\\{date\\}|\\{time\\}|\\{folder\\}| ){1,4}",
        ) {
            let recorded = Timestamp::from_second(second).expect("in range");
            let title = make_title(&template, "sales", Path::new(OsStr::from_bytes(&name)), recorded);
            prop_assert!(!title.trim().is_empty() && title.chars().count() <= TITLE_MAX, "{:?}", title);
            prop_assert!(!title.contains(crate::text::is_unprintable), "{:?}", title);
        }
    }

    #[test]
    fn a_name_that_says_nothing_is_told_from_one_that_does() {
        for name in [
            "audio_only",
            "audio_only_1",
            "video1",
            "zoom_0",
            "recording",
            "Recording (3)",
            "New Recording 7",
            "audio",
            "audio1234567890",
            "GMT20210105-150000_Recording",
            "GMT20210105-150000_Recording_gallery_1920x1080",
            "20210105_103000",
            "2021-01-05 at 10.30.00 PM",
            "5 Jan 2021",
            "1001",
            "05",
            "Track 1",
            "REC001",
            "STE-003",
            "ZOOM0001",
            "TASCAM_0001",
            "DS_0001",
            "GOPR0001",
            "VID_20210105_103000",
            "AUD-20210105-WA0001",
            "signal-2021-01-05-103000",
            "untitled",
            "Voice 001",
            "Voice Memo",
            "Screen Recording 2021-01-05 at 3.04.05\u{202f}PM",
            "Neue Aufnahme 7",
            "Sprachmemo",
            "Bildschirmaufnahme 2021-01-05 um 10.30.00",
            "Unbenannt",
            "Ohne Titel 2",
            "Nouvel enregistrement 3",
            "Enregistrement de l’écran 2021-01-05",
            "Sans titre",
            "Nueva grabación 2",
            "Grabacio\u{301}n de pantalla",
            "Sin título",
            "Nuova registrazione",
            "Nova gravação 4",
            "Nieuwe opname",
            "新規録音 3",
            "---",
        ] {
            assert!(says_nothing(name), "{name}");
        }
        for name in [
            "talk",
            "Weekly",
            "call-1001",
            "a",
            "Signal",
            "Part of the plan",
            "2021-01-05 Weekly sales",
            "Audio strategy",
            "Zoom with Ann",
            "Aufnahme Vorstand",
            "Sprint 7",
            "会議",
        ] {
            assert!(!says_nothing(name), "{name}");
        }
    }

    #[test]
    fn where_a_name_says_nothing_the_sub_folder_that_does_stands_in_its_place() {
        let recorded = Timestamp::UNIX_EPOCH;
        for (template, recording, expected) in [
            (
                "{stem}",
                "2021-01-05 10.30.00 Weekly 123456789/audio_only.mp3",
                "2021-01-05 10.30.00 Weekly 123456789",
            ),
            ("{stem}", "Weekly/2021/01/05/audio_only.mp3", "Weekly"),
            ("{stem}", "Weekly/2021-01-05.mp3", "Weekly"),
            ("{stem}", "Weekly/board.mp3", "board"),
            ("{stem}", "audio_only.mp3", "audio_only"),
            ("{stem}", "2021/01/05/audio_only.mp3", "audio_only"),
            ("{folder}: {stem}", "Weekly/zoom_0.mp4", "sales: Weekly"),
            ("{parent}: {stem}", "Weekly/zoom_0.mp4", "Weekly: zoom_0"),
            ("{parent}", "audio_only.mp3", "sales"),
            ("{folder}", "Weekly/zoom_0.mp4", "sales"),
        ] {
            assert_eq!(
                make_title(template, "sales", Path::new(recording), recorded),
                expected,
                "{template} {recording}"
            );
        }
    }

    #[test]
    fn a_name_is_not_taken_for_a_template() {
        let recorded = Timestamp::UNIX_EPOCH;
        assert_eq!(
            make_title("{stem} of {folder}", "sales", Path::new("a/{folder}{stem}.wav"), recorded),
            "{folder}{stem} of sales"
        );
    }
}

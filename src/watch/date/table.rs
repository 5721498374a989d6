//! Names of recordings as recorders, call recorders and meeting tools write them, with the date that each tells. Grows by a
//! line.

use std::path::Path;

use jiff::{Timestamp, civil, tz::TimeZone};

use super::recorded_by;

/// The date in a name.
#[derive(Clone, Copy)]
enum Tells {
    /// A moment, wherever this machine is.
    At(&'static str),
    /// A time of the place where this machine is.
    Local(&'static str),
    /// A day: its midnight here.
    Day(&'static str),
    /// No date: the mtime stands.
    Nothing,
}

use Tells::{At, Day, Local, Nothing};

/// No later date is plausible.
const MTIME: &str = "2026-11-20T12:00:00Z";

const TABLE: &[(&str, Tells)] = &[
    // A zone that the name states.
    ("GMT20210105-150000_Recording.mp3", At("2021-01-05T15:00:00Z")), // Zoom's cloud
    ("GMT20210105-150000_Recording_gallery_1920x1080.mp4", At("2021-01-05T15:00:00Z")),
    ("Standup-20231024_140006UTC-Meeting Recording.mp3", At("2023-10-24T14:00:06Z")), // Teams
    ("OpenFreq_20260727T151530Z.mp3", At("2026-07-27T15:15:30Z")),
    ("20210105T103000.123Z.wav", At("2021-01-05T10:30:00Z")),
    ("2021-01-05T10-30-00Z.wav", At("2021-01-05T10:30:00Z")),
    ("20220614_113922.459+0200_out_800003322.mp3", At("2022-06-14T09:39:22Z")), // BCR
    ("20220614_113922.459-0500_in_+15551234567.m4a", At("2022-06-14T16:39:22Z")),
    ("20220614-113922.459-0500_in.m4a", At("2022-06-14T16:39:22Z")),
    ("2021-01-05T10:30:00+01:00.wav", At("2021-01-05T09:30:00Z")),
    ("2021-01-05T10:30:00-05:00.wav", At("2021-01-05T15:30:00Z")),
    ("2021-01-05T103000+0530.wav", At("2021-01-05T05:00:00Z")),
    ("2021-01-05 10:30:00 +0100.wav", At("2021-01-05T09:30:00Z")),
    ("2021-01-05 10.30.00 -0500.wav", At("2021-01-05T15:30:00Z")),
    ("2021-01-05 10.30.00 -1001.wav", Local("2021-01-05T10:30:00")),
    ("Queens_20230502_010000_Z.WAV", At("2023-05-02T01:00:00Z")), // field recorders
    ("2008-11-07_11-22-04-123456-+0700.mp4", At("2008-11-07T04:22:04Z")), // MediaMTX
    ("2021-01-05T10.30.00+02.00.wav", At("2021-01-05T08:30:00Z")),
    ("Weekly (2021-01-05 at 10:00 GMT-7).mp4", At("2021-01-05T17:00:00Z")), // Meet
    ("Weekly (2021-01-05 at 10_00 GMT+5_30).mp4", At("2021-01-05T04:30:00Z")),
    ("Weekly - 2024_01_05 10_00 EST - Recording.mp4", At("2024-01-05T15:00:00Z")),
    ("Weekly – 2024_07_05 10_00 CEST – Recording.mp4", At("2024-07-05T08:00:00Z")),
    ("2021-01-05 10.30.00 UTC+2 call.wav", At("2021-01-05T08:30:00Z")),
    ("2021-01-05 10.30.00 (UTC).wav", At("2021-01-05T10:30:00Z")),
    ("2021.08.06 - 02.30 PM UTC - Weekly - 123.mp3", At("2021-08-06T14:30:00Z")),
    ("UTC_20210105_103000.wav", At("2021-01-05T10:30:00Z")),
    ("call-1609860600123.mp3", At("2021-01-05T15:30:00.123Z")),
    ("1609860600.12.wav", At("2021-01-05T15:30:00Z")), // Asterisk's unique id
    // The first half of the day and the second.
    ("WhatsApp Audio 2021-01-05 at 10.30.00 PM.mp3", Local("2021-01-05T22:30:00")),
    ("WhatsApp Audio 2021-01-05 at 10.30.00.mpeg", Local("2021-01-05T10:30:00")),
    ("WhatsApp Audio 2021-01-05 um 10.30.00.opus", Local("2021-01-05T10:30:00")),
    ("Screen Recording 2020-09-04 at 9.12.10 PM.mp3", Local("2020-09-04T21:12:10")), // macOS
    ("Screen Recording 2021-01-05 at 3.04.05\u{202f}PM.mp3", Local("2021-01-05T15:04:05")),
    ("Screen Recording 2021-01-05 at 12.04.05 AM.mov", Local("2021-01-05T00:04:05")),
    ("Screen Recording 2021-01-05 at 12.04.05 PM.mov", Local("2021-01-05T12:04:05")),
    ("Bildschirmaufnahme 2021-01-05 um 10.30.00.mov", Local("2021-01-05T10:30:00")),
    ("Enregistrement de l’écran 2021-01-05 à 10.30.00.mov", Local("2021-01-05T10:30:00")),
    ("Grabación de pantalla 2021-01-05 a las 3.04.05 p. m..mov", Local("2021-01-05T15:04:05")),
    ("Registrazione schermo 2021-01-05 alle 10.30.00.mov", Local("2021-01-05T10:30:00")),
    ("Skärminspelning 2021-01-05 kl. 10.30.00.mov", Local("2021-01-05T10:30:00")),
    ("録音 2021-01-05 午後3.04.05.m4a", Local("2021-01-05T15:04:05")),
    ("录屏2021-01-05 下午3.04.05.mov", Local("2021-01-05T15:04:05")),
    ("2021年1月5日 10時30分.m4a", Local("2021-01-05T10:30:00")),
    ("2021-01-05 03.04 p.m. board.m4a", Local("2021-01-05T15:04:00")),
    ("2021-01-05 3pm board.m4a", Local("2021-01-05T15:00:00")),
    ("2021-01-05 0230PM.m4a", Local("2021-01-05T14:30:00")),
    ("2021-01-05 15.30 PM.m4a", Local("2021-01-05T15:30:00")),
    // A time of wherever the recorder was.
    ("2021-01-05 10-30-00.mkv", Local("2021-01-05T10:30:00")), // OBS
    ("Replay 2021-01-05 10-30-00.mp4", Local("2021-01-05T10:30:00")),
    ("2021-01-05_10-30-00.mkv", Local("2021-01-05T10:30:00")),
    ("2021-01-05-10-30-00-1001.wav", Local("2021-01-05T10:30:00")),
    ("20210105-103000-1000.wav", Local("2021-01-05T10:30:00")), // an extension, no offset
    ("20210105-103000-101-1000.wav", Local("2021-01-05T10:30:00")), // two of them
    ("20210105T103000.wav", Local("2021-01-05T10:30:00")),
    ("20210105103000.wav", Local("2021-01-05T10:30:00")),
    ("20210105103000123.wav", Local("2021-01-05T10:30:00")),
    ("202101051030.wav", Local("2021-01-05T10:30:00")),
    ("2021_0105_103000_0001F.mp4", Local("2021-01-05T10:30:00")), // dashboard cameras
    ("Recording_20210105_103000.m4a", Local("2021-01-05T10:30:00")), // Android
    ("VID_20210105_103000.mp4", Local("2021-01-05T10:30:00")),
    ("PXL_20210105_103000123.mp4", Local("2021-01-05T10:30:00")),
    ("Call recording Ann_210105_103000.m4a", Local("2021-01-05T10:30:00")), // Samsung
    ("Ann(0123456789)_20210105103000.mp3", Local("2021-01-05T10:30:00")),   // Xiaomi
    ("[Ann]_1001-1002_20210105103000(123).wav", Local("2021-01-05T10:30:00")), // 3CX
    ("out-5551234567-1001-20210105-103000-1609860600.12.wav", Local("2021-01-05T10:30:00")), // FreePBX
    ("q-600-20121130-20210105-103000-1609860600.12.mp3", Local("2021-01-05T10:30:00")),
    ("external-1001-+15551234567-20210105-103000.wav", Local("2021-01-05T10:30:00")),
    ("signal-2021-01-05-10-30-00-123.m4a", Local("2021-01-05T10:30:00")), // Signal
    ("signal-2021-01-05-103000.m4a", Local("2021-01-05T10:30:00")),
    ("Weekly-20210105 1530-1.mp4", Local("2021-01-05T15:30:00")), // Webex
    ("Weekly-20210105_103000-Meeting Recording.mp4", Local("2021-01-05T10:30:00")), // Teams
    ("210105-103000.WAV", Local("2021-01-05T10:30:00")),          // Zoom's H recorders
    ("Desktop 2021.01.05 - 10.30.00.01.DVR.mp4", Local("2021-01-05T10:30:00")), // ShadowPlay
    ("bandicam 2021-01-05 10-30-00-123.mp4", Local("2021-01-05T10:30:00")),
    ("My recording 2021_01_05_10_30_00.m4a", Local("2021-01-05T10:30:00")),
    ("2021 01 05 10 30 00.wav", Local("2021-01-05T10:30:00")),
    ("2021-01-05 10h30.wav", Local("2021-01-05T10:30:00")),
    ("2021-01-05 10h30m07s.wav", Local("2021-01-05T10:30:07")),
    ("2021-01-05 Tue 10.30.wav", Local("2021-01-05T10:30:00")),
    ("2021-01-05 notes of 10.30.wav", Day("2021-01-05")),
    ("31.12.2020 10.30 board.wav", Local("2020-12-31T10:30:00")),
    ("31-12-2020_10-30-00.wav", Local("2020-12-31T10:30:00")),
    ("12-31-2020 10-30 AM.wav", Local("2020-12-31T10:30:00")),
    ("5 Jan 2021 10.30.wav", Local("2021-01-05T10:30:00")),
    ("Jan 5, 2021, 10.30 PM.wav", Local("2021-01-05T22:30:00")),
    ("2008-11-07_11-22-04-123456.mp4", Local("2008-11-07T11:22:04")), // MediaMTX
    ("2023_12_22_20_46_18.m4a", Local("2023-12-22T20:46:18")),        // Simple Voice Recorder
    ("2016-07-22-075522-call_Ann.m4a", Local("2016-07-22T07:55:22")),
    ("Take (10-17-2021,  9-27-32 AM to 10-17-2021, 10-18-11 AM).wav", Local("2021-10-17T09:27:32")),
    ("20210105_103000_Zoe.wav", Local("2021-01-05T10:30:00")),
    // A bare day.
    ("2021-01-05.wav", Day("2021-01-05")),
    ("2021-1-5 board.wav", Day("2021-01-05")),
    ("2021.01.05 board.wav", Day("2021-01-05")),
    ("board 20210105.wav", Day("2021-01-05")),
    ("AUD-20210105-WA0001.opus", Day("2021-01-05")), // WhatsApp
    ("PTT-20210105-WA0001.opus", Day("2021-01-05")),
    ("05.01.2021 Vorstand.wav", Day("2021-01-05")),
    ("5. Januar 2021.wav", Day("2021-01-05")),
    ("5. März 2021.wav", Day("2021-03-05")),
    ("5. Ma\u{308}rz 2021.wav", Day("2021-03-05")),
    ("January 5th, 2021.wav", Day("2021-01-05")),
    ("5 de enero de 2021.wav", Day("2021-01-05")),
    ("5 février 2021.wav", Day("2021-02-05")),
    ("05Jan2021.wav", Day("2021-01-05")),
    ("2021-Jan-05.wav", Day("2021-01-05")),
    ("20201130-20210105 both.wav", Day("2020-11-30")),
    ("2020-11-30 2021-01-05.wav", Day("2020-11-30")),
    // No date at all.
    ("talk.wav", Nothing),
    ("New Recording 7.qta", Nothing), // Voice Memos
    ("audio_only.m4a", Nothing),
    ("audio1234567890.m4a", Nothing), // Zoom
    ("zoom_0.mp4", Nothing),
    ("ZOOM0001.WAV", Nothing),
    ("STE-003.WAV", Nothing),
    ("TASCAM_0001.wav", Nothing),
    ("REC001.mp3", Nothing),
    ("DS240105.WMA", Nothing),
    ("GH010001.MP4", Nothing),
    ("240105_0001.wav", Nothing),
    ("call-1001.mp3", Nothing),
    ("+491701234567.mp3", Nothing),
    ("491701234567.mp3", Nothing),
    ("2125551234.mp3", Nothing),
    ("1202611224.mp3", Nothing),
    ("1234567890.mp3", Nothing),
    ("20261122091.mp3", Nothing),
    ("2021010510301.mp3", Nothing),
    ("867530912345678.mp3", Nothing),
    ("3f2504e0-4f89-2011-1105-0305e82c3301.wav", Nothing),
    ("05-01-2021-10-30-00.wav", Nothing), // of January or of May
    ("05_01_2021 10_30.wav", Nothing),
    ("2021-13-05.wav", Nothing),
    ("2021-02-30.wav", Nothing),
    ("1280x720.mp4", Nothing),
    ("v2.10.3.mp3", Nothing),
    ("555-2012-1130.mp3", Nothing),
    ("2036-01-02 10.30.00.mp3", Nothing), // later than it was written
    ("2026-11-28 10.30.00.mp3", Nothing),
    // The directories above it.
    ("2021-01-05 10.30.00 Weekly 123456789/audio_only.mp3", Local("2021-01-05T10:30:00")), // Zoom
    ("2021/01/05/call-1001.mp3", Day("2021-01-05")),
    ("2021/1/5/call-1001.mp3", Day("2021-01-05")),
    ("2021/January/05/call-1001.mp3", Day("2021-01-05")),
    ("2021/01 - Jan/05/call-1001.mp3", Day("2021-01-05")),
    ("2021/2021-01/05/call-1001.mp3", Day("2021-01-05")),
    ("calls/2021/01/05/10/call-1001.mp3", Day("2021-01-05")),
    ("2020-12-31/2021-01-05/a/b/talk.mp3", Day("2021-01-05")),
    ("2020-12-31/2021-01-05 10.30.mp3", Local("2021-01-05T10:30:00")),
    ("2021/01/05/103000-1001.mp3", Local("2021-01-05T10:30:00")),
    ("2021-01-05/10-30-00.mp4", Local("2021-01-05T10:30:00")),
    ("2021-01-05/10.30.00 PM.mp4", Local("2021-01-05T22:30:00")),
    ("2021-01-05 10.30.00/2021-01-05.mp3", Local("2021-01-05T10:30:00")),
    ("2036-01-02/2021-01-05 a/talk.mp3", Day("2021-01-05")),
    ("2021/13/05/talk.mp3", Nothing),
    ("123/45/67/talk.mp3", Nothing),
];

#[test]
fn each_name_tells_its_date_wherever_the_machine_is() {
    let mut faults = Vec::new();
    let mtime: Timestamp = MTIME.parse().expect("a time");
    for name in ["America/New_York", "Europe/Berlin", "UTC"] {
        let zone = TimeZone::get(name).expect("a zone");
        for (path, tells) in TABLE {
            let civil = |text: &str| {
                text.parse::<civil::DateTime>().expect("a time").to_zoned(zone.clone())
            };
            let expected = match tells {
                At(text) => text.parse().expect("a time"),
                Local(text) => civil(text).expect("a moment").timestamp(),
                Day(text) => civil(&format!("{text}T00:00:00")).expect("a moment").timestamp(),
                Nothing => mtime,
            };
            let mtime_ns = i64::try_from(mtime.as_nanosecond()).expect("in range");
            let found = recorded_by(mtime, None, Path::new(path), mtime_ns, &zone);
            if found != expected {
                faults.push(format!("{name}: `{path}` tells {found}, not {expected}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

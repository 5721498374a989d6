//! Delivery by mail: the real binary and a real conversation with a mail server.

use std::{fs, os::unix::fs::PermissionsExt as _};

use mail_parser::{MessageParser, MimeHeaders as _};
use minuted::testing::{delivery::message_id, store::Store};
use serde_json::Value;

use crate::support::{
    house::{Daemon, House, until},
    paxs::Call,
    smtp::{Received, Step},
};

/// The addresses of the house's attendees.
const BOTH: [&str; 2] = ["ann@example.com", "bo@example.com"];

/// One recipient, so that the order of mails is known.
const TO_ANN: &str = "deliver = [\"email\"]\nemail_to = [\"Ann Lee <ann@example.com>\"]";

/// The mails that one address has got.
fn mails_to(house: &House, address: &str) -> Vec<Received> {
    house.smtp.received().into_iter().filter(|mail| mail.to == [address]).collect()
}

fn id_of(mail: &Received) -> String {
    let parsed = MessageParser::default().parse(&mail.raw).expect("a mail");
    parsed.message_id().expect("an id").to_owned()
}

fn text_of(mail: &Received) -> String {
    let parsed = MessageParser::default().parse(&mail.raw).expect("a mail");
    format!("{}\n{}", parsed.subject().expect("a subject"), parsed.body_text(0).expect("a text"))
}

/// The Message-ID that the first version of a job's notes has for `address`.
fn expected_id(job: &Value, version: u32, address: &str) -> String {
    let key = job["key"].as_str().expect("a key").parse().expect("a key");
    let from = "Minutes <minutes@example.com>".parse().expect("a mailbox");
    message_id(&key, version, address, &from).trim_matches(['<', '>']).to_owned()
}

fn delivery<'a>(job: &'a Value, target: &str) -> &'a Value {
    let deliveries = job["deliveries"].as_array().expect("a ledger");
    deliveries.iter().find(|delivery| delivery["target"] == target).expect("a delivery")
}

/// Replaces text of the configuration.
fn edit(house: &House, from: &str, to: &str) {
    let text = fs::read_to_string(house.config()).expect("read");
    assert!(text.contains(from), "{text}");
    fs::write(house.config(), text.replace(from, to)).expect("written");
}

/// Starts the daemon anew: the operator's mail is seen to at the start, and then every 20 s.
fn restart(house: &House, daemon: Daemon) -> Daemon {
    assert_eq!(daemon.stop().code(), Some(0), "{}", house.log());
    house.start()
}

/// What the operator is still to be told, as the queue keeps it; no daemon may run.
fn untold(house: &House) -> Vec<String> {
    let queue = Store::open(&house.state_dir()).expect("a queue");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (notices, _) = runtime.block_on(queue.holds().list_unsent_notices(100)).expect("read");
    notices.into_iter().map(|notice| notice.text).collect()
}

#[test]
fn each_attendee_gets_one_mail_with_the_notes_in_three_forms() {
    let house = House::new();
    house.configure("deliver = [\"email\"]\ntitle = \"Call {stem}\"");
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    for address in BOTH {
        let mails = mails_to(&house, address);
        assert_eq!(mails.len(), 1, "to {address}");
        let mail = MessageParser::default().parse(&mails[0].raw).expect("a mail");
        assert_eq!(mail.subject(), Some("Call talk"));
        assert_eq!(id_of(&mails[0]), expected_id(&job, 1, address));
        let text = mail.body_text(0).expect("text");
        assert!(text.trim_start().starts_with("Call talk"), "{text}");
        assert!(mail.body_html(0).expect("HTML").contains("<h1>Call talk</h1>"));
        let attached = mail.attachment(0).expect("an attachment");
        assert_eq!(attached.attachment_name(), Some("talk.notes.md"));
        assert!(
            String::from_utf8_lossy(attached.contents())
                .contains(job["key"].as_str().expect("a key"))
        );
    }
    assert_eq!((house.smtp.received().len(), house.smtp.faults()), (2, vec![]));
    assert_eq!(house.files(), ["talk.wav"], "only mailed, so nothing lies beside it");
}

#[test]
fn a_list_of_addresses_gets_the_very_notes_that_lie_beside_the_recording() {
    let house = House::new();
    house
        .configure("deliver = [\"beside\", \"email\"]\nemail_to = [\"Team <team@example.com>\", \"TEAM@example.com\"]");
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    let mails = house.smtp.received();
    assert_eq!(mails.len(), 1, "an address that is named twice gets one mail");
    let mail = MessageParser::default().parse(&mails[0].raw).expect("a mail");
    let beside = fs::read(house.path("talk.notes.md")).expect("written");
    assert_eq!(mail.attachment(0).expect("an attachment").contents(), beside);
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

#[test]
fn an_attendee_outside_allow_is_withheld_nobody_is_alarmed_and_retry_sends_it_once_it_is_allowed() {
    let house = House::new();
    house.configure("deliver = [\"email\"]\non_success = \"move\"");
    edit(&house, "ann@example.com", "ann@elsewhere.test");
    let daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    assert_eq!(delivery(&job, "ann@elsewhere.test")["state"], "withheld", "{job}");
    assert_eq!(delivery(&job, "bo@example.com")["state"], "done", "{job}");
    assert_eq!(delivery(&job, "move")["state"], "done", "it waits for no guest: {job}");
    assert_eq!(job["error"], Value::Null, "{job}");
    let reason = delivery(&job, "ann@elsewhere.test")["error"].as_str().expect("a reason");
    assert!(reason.contains("email.allow"), "{job}");
    let why = house.why("talk.wav");
    assert!(
        why.contains("is withheld: `email.allow`") && why.contains("`allow` in [email]"),
        "{why}"
    );
    let shown = String::from_utf8(house.run(&["job", "1"]).stdout).expect("UTF-8");
    assert!(shown.contains("ann@elsewhere.test") && shown.contains("withheld"), "{shown}");
    let checked = String::from_utf8(house.run(&["check"]).stdout).expect("UTF-8");
    assert!(checked.contains("1 attendee is outside `allow` and gets no mail"), "{checked}");

    assert!(house.run(&["retry", "1"]).status.success(), "it is looked at again");
    until("it is withheld again", || {
        (house.logged("INFO", "a mail of job 1 is withheld") == 2).then_some(())
    });
    assert_eq!(mails_to(&house, "ann@elsewhere.test").len(), 0, "and not allowed yet");
    edit(&house, "allow = [\"@example.com\"]", "allow = [\"*\"]");
    let daemon = restart(&house, daemon);
    assert!(house.run(&["retry", "1"]).status.success());
    until("it is sent", || mails_to(&house, "ann@elsewhere.test").pop());
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(untold(&house), Vec::<String>::new(), "nothing was alarmed");
    let counts = ["ann@elsewhere.test", "bo@example.com", "it@example.com"]
        .map(|to| mails_to(&house, to).len());
    assert_eq!(counts, [1, 1, 0]);
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
}

#[test]
fn a_mail_server_that_is_down_is_waited_for_and_never_touches_the_meeting_again() {
    let house = House::new();
    house.configure("deliver = [\"beside\", \"email\"]");
    house.smtp.down(true);
    let daemon = house.start();
    house.drop_recording("talk.wav");
    let job = until("both mails were tried twice", || {
        let job = house.job_if("talk.wav")?;
        BOTH.iter()
            .all(|to| {
                let deliveries = job["deliveries"].as_array().map_or(&[][..], Vec::as_slice);
                deliveries
                    .iter()
                    .any(|row| row["target"] == *to && row["attempts"].as_u64() >= Some(2))
            })
            .then_some(job)
    });
    assert_eq!((&job["stage"], &job["attempts"]), (&"deliver".into(), &0.into()), "{job}");
    assert!(house.path("talk.notes.md").exists(), "what needs no mail is delivered");
    assert_eq!(house.notices("mail cannot be sent"), 0, "nobody is told before an hour");

    house.smtp.refuse_recipient("ann@example.com", 550);
    house.smtp.down(false);
    house.wait_for("talk.wav", "failed");
    let _daemon = restart(&house, daemon);
    let told = until("the operator is told", || mails_to(&house, "it@example.com").pop());
    assert!(
        text_of(&told).starts_with("minuted: 1 thing needs attention"),
        "the outage is not among what is told"
    );
    assert_eq!(mails_to(&house, "bo@example.com").len(), 1);
    let snapshot = house.standin.snapshot();
    assert_eq!((snapshot.meetings.len(), snapshot.count(Call::Upload)), (1, 1));
}

#[test]
fn a_passing_refusal_is_tried_again_until_the_mail_is_taken() {
    let house = House::new();
    house.configure(TO_ANN);
    house.smtp.fail_next(451);
    house.smtp.fail_next_at(Step::Recipient, 450, "greylisted");
    house.smtp.fail_next_at(Step::Content, 452, "no room");
    house.smtp.lose_next_answer_at(Step::Greeting);
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    assert_eq!(mails_to(&house, "ann@example.com").len(), 1);
    assert_eq!(delivery(&job, "ann@example.com")["attempts"], 4, "{job}");
    assert_eq!(job["attempts"], 0, "a mail server's failures are not the recording's");
}

#[test]
fn a_refused_recipient_fails_alone_and_retry_sends_only_the_missing_mail() {
    let house = House::new();
    house.configure("deliver = [\"beside\", \"email\"]");
    house.smtp.refuse_recipient("ann@example.com", 550);
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "failed");
    let states = BOTH.map(|to| delivery(&job, to)["state"].as_str().expect("a state").to_owned());
    assert_eq!(states, ["failed", "done"], "{job}");
    let before =
        fs::metadata(house.path("talk.notes.md")).expect("written").modified().expect("a time");

    house.smtp.accept_recipient("ann@example.com");
    assert!(house.run(&["retry", "1"]).status.success());
    let job = house.wait_for("talk.wav", "done");
    assert_eq!(BOTH.map(|to| mails_to(&house, to).len()), [1, 1]);
    assert_eq!(
        id_of(&mails_to(&house, "ann@example.com")[0]),
        expected_id(&job, 1, "ann@example.com")
    );
    assert_eq!(
        fs::metadata(house.path("talk.notes.md")).expect("there").modified().expect("a time"),
        before
    );
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
    assert_eq!(job["error"], Value::Null, "what was mended is not told any more");
}

#[test]
fn the_operator_gets_one_mail_for_many_failures_and_the_next_one_waits_its_quarter_of_an_hour() {
    let house = House::new();
    house.configure(TO_ANN);
    house.smtp.refuse_recipient("ann@example.com", 550);
    let daemon = house.start();
    let names = ["a.wav", "b.wav", "c.wav"];
    for name in names {
        house.drop_recording(name);
    }
    for name in names {
        house.wait_for(name, "failed");
    }
    let daemon = restart(&house, daemon);
    let told = text_of(&until("the operator is told", || mails_to(&house, "it@example.com").pop()));
    assert!(told.starts_with("minuted: 3 things need attention"), "{told}");
    assert!(names.iter().all(|name| told.contains(name)), "{told}");

    house.drop_recording("late.wav");
    house.wait_for("late.wav", "failed");
    let daemon = restart(&house, daemon);
    house.drop_recording("later.wav");
    house.wait_for("later.wav", "failed");
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(mails_to(&house, "it@example.com").len(), 1);
    let kept = untold(&house);
    assert!(
        kept.len() == 2 && kept[0].contains("late.wav") && kept[1].contains("later.wav"),
        "{kept:?}"
    );
}

#[test]
fn a_lost_sign_in_is_told_once_and_not_once_a_job() {
    let house = House::new();
    let daemon = house.start();
    house.standin.revoke_all();
    let names = ["a.wav", "b.wav", "c.wav"];
    for name in names {
        house.drop_recording(name);
    }
    for name in names {
        until("it waits for a person", || {
            house.state(name)?;
            (house.job(name)["waits_for"] == "sign_in").then_some(())
        });
    }
    let daemon = restart(&house, daemon);
    let told = text_of(&until("the operator is told", || mails_to(&house, "it@example.com").pop()));
    assert!(told.starts_with("minuted: 1 thing needs attention"), "{told}");
    assert!(told.contains("minuted login paxs"), "{told}");

    let daemon = restart(&house, daemon);
    house.sign_in();
    for name in names {
        house.wait_for(name, "done");
    }
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!((untold(&house), house.smtp.received().len()), (vec![], 1));
}

#[test]
fn a_mail_that_may_have_gone_out_is_sent_again_under_the_same_id() {
    for (point, sent) in [("mail:before", 1), ("mail:after", 2)] {
        let house = House::new();
        house.configure(TO_ANN);
        let mut daemon = house.spawn(&[("MINUTED_DIE", point)]);
        house.drop_recording("talk.wav");
        until(point, || daemon.was_killed().then_some(()));
        let _daemon = house.start();
        let job = house.wait_for("talk.wav", "done");
        let ids: Vec<String> = mails_to(&house, "ann@example.com").iter().map(id_of).collect();
        assert_eq!(ids, vec![expected_id(&job, 1, "ann@example.com"); sent], "killed at {point}");
        assert_eq!(house.standin.snapshot().meetings.len(), 1);
    }
}

#[test]
fn a_lost_word_of_the_server_makes_a_second_mail_with_the_same_id_and_no_third() {
    let house = House::new();
    house.configure(TO_ANN);
    house.smtp.lose_next_answer_at(Step::Content);
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    let job = house.wait_for("talk.wav", "done");
    let ids: Vec<String> = house.smtp.received().iter().map(id_of).collect();
    assert_eq!(ids, vec![expected_id(&job, 1, "ann@example.com"); 2]);
}

#[test]
fn the_password_file_is_read_at_each_mail_and_never_shown() {
    let house = House::new();
    house.configure(TO_ANN);
    house.smtp.require_login("minutes", "open sesame");
    edit(
        &house,
        "tls = \"none\" }",
        "tls = \"none\", username = \"minutes\", password_file = \"smtp-password\" }",
    );
    let file = house.dir.path().join("smtp-password");
    fs::write(&file, "a wrong word\n").expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
    let directory = house.dir.path().to_str().expect("UTF-8");
    let _daemon = house.spawn(&[("CREDENTIALS_DIRECTORY", directory)]);
    house.drop_recording("talk.wav");
    until("the server refused it", || house.log().contains("answered 535").then_some(()));
    fs::write(&file, "open sesame\n").expect("written");
    let job = house.wait_for("talk.wav", "done");
    assert_eq!(mails_to(&house, "ann@example.com").len(), 1);
    for secret in ["open sesame", "a wrong word"] {
        assert!(!house.log().contains(secret) && !job.to_string().contains(secret));
    }
}

#[test]
fn more_analyses_are_mailed_as_a_new_version_only_when_asked() {
    let house = House::new();
    house.configure("deliver = [\"beside\", \"email\"]\nemail_to = [\"ann@example.com\"]");
    let _daemon = house.start();
    house.drop_recording("talk.wav");
    house.wait_for("talk.wav", "done");
    let notes = || fs::read_to_string(house.path("talk.notes.md")).unwrap_or_default();
    assert!(house.run(&["analyse", "1", "--types", "key_points"]).status.success());
    until("the notes are written anew", || notes().contains("## Key points").then_some(()));
    house.wait_for("talk.wav", "done");
    assert_eq!(house.smtp.received().len(), 1, "nobody asked for a mail");

    assert!(house.run(&["analyse", "1", "--types", "sentiment", "--mail"]).status.success());
    until("the new notes are mailed", || (house.smtp.received().len() > 1).then_some(()));
    let job = house.wait_for("talk.wav", "done");
    let mails = house.smtp.received();
    let ids: Vec<String> = mails.iter().map(id_of).collect();
    assert_eq!(
        ids,
        [expected_id(&job, 1, "ann@example.com"), expected_id(&job, 3, "ann@example.com")]
    );
    assert!(text_of(&mails[1]).contains("Sentiment"), "{}", text_of(&mails[1]));
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
    assert_eq!(house.files(), ["talk.notes.md", "talk.wav"]);
}

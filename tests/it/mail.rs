//! Mail, against a real conversation: what arrives, and whose fault it is when nothing does.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf, time::Duration};

use lettre::message::Mailbox;
use mail_parser::{Message, MessageParser, MimeHeaders as _};
use minuted::testing::{
    config::{Allow, Analysis, Attendee, Email, Format, Smtp, Tls},
    delivery::{DigestEntry, Letter, MailError, MailLimits, Mailer, Minutes, message_id},
    job::{Content, Findings, Key, Report, Status},
};

use crate::support::smtp::{Received, SmtpServer, Step};

fn mailbox(text: &str) -> Mailbox {
    text.parse().expect("a mailbox")
}

fn ann() -> Mailbox {
    mailbox("Ann Lee <ann@example.com>")
}

fn email(server: &SmtpServer) -> Email {
    Email {
        from: mailbox("Minutes <minutes@example.com>"),
        failures_to: vec![mailbox("it@operators.test"), mailbox("night@operators.test")],
        allow: vec![Allow::Domain("example.com".into())],
        smtp: Smtp {
            host: "127.0.0.1".into(),
            port: server.port(),
            tls: Tls::None,
            username: None,
            password_file: None,
            insecure: false,
        },
    }
}

fn mailer(server: &SmtpServer) -> Mailer {
    Mailer::new(&email(server))
}

/// A mailer that signs in with what stands in the file.
fn signing_in(
    server: &SmtpServer,
    password: &str,
    mode: u32,
) -> (Mailer, PathBuf, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("smtp-password");
    fs::write(&file, password).expect("written");
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("set");
    let mut email = email(server);
    email.smtp.username = Some("minutes".into());
    email.smtp.password_file = Some(file.clone());
    (Mailer::new(&email), file, dir)
}

fn minutes(title: &str, note: &str) -> Minutes {
    let findings = Findings { markdown: Some(note.into()), ..Findings::default() };
    Minutes {
        key: Key {
            content: Content::from_hash(&blake3::hash(b"talk")),
            folder: "sales".into(),
            generation: 1,
        },
        sound: None,
        title: title.into(),
        recorded: "2026-11-22T09:00:00+00:00[UTC]".parse().expect("a time"),
        recording: "talk.wav".into(),
        folder: "sales".into(),
        attendees: vec![Attendee {
            name: "Ann Lee".into(),
            email: "ann@example.com".into(),
            role: None,
        }],
        attendees_from: None,
        language: None,
        service: "paxs".into(),
        meeting: None,
        warning: None,
        vault: None,
        reports: [Report {
            analysis: Analysis::MeetingNote,
            status: Status::Completed,
            id: None,
            findings,
            error: None,
            raw: String::new(),
        }]
        .into(),
    }
}

fn letter_of(minutes: &Minutes) -> Letter {
    let id = message_id(&minutes.key, 1, "ann@example.com", &mailbox("minutes@example.com"));
    Letter::from_minutes(minutes, id, "talk.notes.md".as_ref())
}

fn letter() -> Letter {
    letter_of(&minutes("Weekly sales", "- **ship** it\n"))
}

fn only(server: &SmtpServer) -> Received {
    let mut received = server.received();
    assert_eq!(received.len(), 1, "one mail");
    assert_eq!(server.faults(), Vec::<String>::new());
    received.remove(0)
}

fn parsed(raw: &[u8]) -> Message<'_> {
    MessageParser::default().parse(raw).expect("a message")
}

fn id_of(received: &Received) -> String {
    parsed(&received.raw).message_id().expect("an id").to_owned()
}

fn is_later(outcome: &Result<(), MailError>) -> bool {
    matches!(outcome, Err(MailError::Later { .. }))
}

fn is_setup(outcome: &Result<(), MailError>) -> bool {
    matches!(outcome, Err(MailError::Setup { .. }))
}

#[tokio::test]
async fn notes_arrive_as_text_as_a_page_and_as_a_file() {
    let server = SmtpServer::start();
    let minutes = minutes(
        "Übung — weekly",
        "- **ship** it <script>alert(1)</script>\n\n[go](javascript:x)\n",
    );
    let letter = letter_of(&minutes);
    mailer(&server).send_notes(&ann(), &letter).await.expect("sent");
    let received = only(&server);
    assert_eq!(
        (received.from.as_str(), received.to),
        ("minutes@example.com", vec!["ann@example.com".to_owned()])
    );
    let mail = parsed(&received.raw);
    assert_eq!(mail.subject(), Some("Übung — weekly"));
    assert_eq!(mail.message_id(), Some(letter.message_id.trim_matches(['<', '>'])));
    assert_eq!(mail.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert!(mail.date().is_some());
    let (text, html) = (mail.body_text(0).expect("text"), mail.body_html(0).expect("HTML"));
    assert!(text.contains("- ship it <script>alert(1)</script>"), "{text}");
    assert!(
        html.starts_with("<!doctype html>") && html.contains("<meta charset=\"utf-8\">"),
        "{html}"
    );
    assert!(
        html.contains("<strong>ship</strong> it &lt;script&gt;") && !html.contains("href"),
        "{html}"
    );
    let attached: Vec<_> = mail.attachments().collect();
    assert_eq!(attached.len(), 1);
    assert_eq!(attached[0].attachment_name(), Some("talk.notes.md"));
    assert_eq!(attached[0].contents(), minutes.render(Format::Md).as_bytes());
}

#[tokio::test]
async fn a_line_with_a_single_dot_arrives() {
    let server = SmtpServer::start();
    let letter = letter_of(&minutes("Dots", "one\n.\ntwo\n..\n.three\n\n```\n.\n.\n```\n"));
    mailer(&server).send_notes(&ann(), &letter).await.expect("sent");
    let received = only(&server);
    let mail = parsed(&received.raw);
    let attached = mail.attachments().next().expect("attached");
    assert_eq!(attached.contents(), letter.markdown.as_bytes());
    assert!(letter.markdown.contains("\n.\ntwo\n..\n.three\n"));
    assert_eq!(
        mail.body_text(0).expect("text").replace("\r\n", "\n").trim_end(),
        letter.text.trim_end()
    );
}

#[tokio::test]
async fn a_hostile_title_or_name_reaches_no_header_but_its_own() {
    let server = SmtpServer::start();
    let hostile = "x\r\nBcc: all@example.com\r\n\r\n\u{202e}\u{1b}[31m\0\"<b>";
    let letter = Letter {
        attachment: format!("a\r\nX: y/{hostile}.md"),
        ..letter_of(&minutes(hostile, "note"))
    };
    let letter = Letter { subject: hostile.into(), ..letter };
    let to = Mailbox::new(Some(hostile.into()), "ann@example.com".parse().expect("an address"));
    mailer(&server).send_notes(&to, &letter).await.expect("sent");
    let received = only(&server);
    assert_eq!(received.to, ["ann@example.com"]);
    let mail = parsed(&received.raw);
    let names: Vec<String> = mail.headers().iter().map(|header| header.name().to_owned()).collect();
    insta::assert_snapshot!(names.join(" "), @"Date Message-ID From To Subject Auto-Submitted MIME-Version Content-Type");
    let subject = mail.subject().expect("a subject");
    assert!(
        subject.starts_with("x Bcc: all@example.com") && !subject.contains(char::is_control),
        "{subject}"
    );
    assert_eq!(mail.to().map(|to| to.iter().count()), Some(1));
}

#[tokio::test]
async fn who_is_not_allowed_gets_nothing_and_the_server_is_not_even_asked() {
    let server = SmtpServer::start();
    for address in ["ann@example.com.evil.org", "ann@sub.example.com"] {
        let outcome = mailer(&server).send_notes(&mailbox(address), &letter()).await;
        assert_eq!(outcome, Err(MailError::NotAllowed));
    }
    assert_eq!(server.conversations(), 0);
}

#[tokio::test]
async fn a_refused_recipient_is_refused_for_good_and_a_busy_one_is_not() {
    let server = SmtpServer::start();
    server.refuse_recipient("ann@example.com", 550);
    let outcome = mailer(&server).send_notes(&ann(), &letter()).await;
    assert!(matches!(outcome, Err(MailError::Refused { code: Some(550), .. })), "{outcome:?}");
    server.refuse_recipient("bo@example.com", 451);
    assert!(is_later(&mailer(&server).send_notes(&mailbox("bo@example.com"), &letter()).await));
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_passing_refusal_at_any_step_is_for_later_and_then_it_goes_through() {
    for step in Step::ALL {
        let server = SmtpServer::start();
        server.require_login("minutes", "secret");
        let (mailer, _file, _dir) = signing_in(&server, "secret\n", 0o600);
        server.fail_next_at(step, 421, "4.3.2 try later");
        let outcome = mailer.send_notes(&ann(), &letter()).await;
        assert!(is_later(&outcome), "{step:?}: {outcome:?}");
        assert!(server.received().is_empty(), "{step:?}");
        mailer.send_notes(&ann(), &letter()).await.expect("sent now");
        only(&server);
    }
}

#[tokio::test]
async fn a_final_refusal_is_the_mails_at_its_recipient_and_content_and_else_the_set_ups() {
    for step in Step::ALL {
        let server = SmtpServer::start();
        server.require_login("minutes", "secret");
        let (mailer, _file, _dir) = signing_in(&server, "secret", 0o400);
        server.fail_next_at(step, 554, "5.7.1 no");
        let outcome = mailer.send_notes(&ann(), &letter()).await;
        match step {
            Step::Greeting | Step::Hello | Step::Auth | Step::Sender => {
                assert!(is_setup(&outcome), "{step:?}: {outcome:?}");
            }
            Step::Recipient | Step::Data | Step::Content => {
                assert!(
                    matches!(outcome, Err(MailError::Refused { code: Some(554), .. })),
                    "{step:?}: {outcome:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_is_left_within_the_limits() {
    let limits = MailLimits {
        connect: Duration::from_millis(300),
        command: Duration::from_millis(300),
        message: Duration::from_millis(300),
    };
    for step in Step::ALL {
        let server = SmtpServer::start();
        server.require_login("minutes", "secret");
        let (mailer, _file, _dir) = signing_in(&server, "secret", 0o600);
        server.silent_next_at(step);
        let outcome = mailer.with_limits(limits).send_notes(&ann(), &letter()).await;
        assert!(is_later(&outcome), "{step:?}: {outcome:?}");
        assert!(server.received().is_empty(), "{step:?}");
    }
}

#[tokio::test]
async fn a_dead_server_is_for_later() {
    let server = SmtpServer::start();
    let mailer = mailer(&server);
    server.down(true);
    assert!(is_later(&mailer.send_notes(&ann(), &letter()).await));
    server.down(false);
    server.fail_next(451);
    assert!(is_later(&mailer.send_notes(&ann(), &letter()).await));
    mailer.send_notes(&ann(), &letter()).await.expect("sent now");
    only(&server);
    drop(server);
    assert!(is_later(&mailer.send_notes(&ann(), &letter()).await));
}

#[tokio::test]
async fn a_mail_whose_answer_was_lost_is_sent_again_under_the_same_id() {
    let server = SmtpServer::start();
    server.lose_next_answer_at(Step::Content);
    assert!(is_later(&mailer(&server).send_notes(&ann(), &letter()).await));
    mailer(&server).send_notes(&ann(), &letter()).await.expect("sent");
    let received = server.received();
    assert_eq!(received.len(), 2);
    assert_eq!(id_of(&received[0]), id_of(&received[1]));
}

#[tokio::test]
async fn a_wrong_password_is_for_the_operator_and_never_in_the_message() {
    let server = SmtpServer::start();
    server.require_login("minutes", "right");
    let (mailer, file, _dir) = signing_in(&server, "wrong-hunter2\n", 0o600);
    let outcome = mailer.verify_setup().await;
    insta::assert_snapshot!(outcome.as_ref().expect_err("refused").to_string(), @"the mail server `127.0.0.1` answered 535: 5.7.8 wrong name or password");
    assert!(is_setup(&outcome));
    // Base64 of the name and the password, as a server repeats a command that it does not know.
    server.fail_next_at(
        Step::Auth,
        500,
        "wrong-hunter2 AUTH PLAIN AG1pbnV0ZXMAd3JvbmctaHVudGVyMg==",
    );
    let repeated = mailer.verify_setup().await.expect_err("refused").to_string();
    assert!(!repeated.contains("hunter2") && !repeated.contains("AG1pbnV0ZXM"), "{repeated}");
    fs::write(&file, "right\r\n").expect("written");
    mailer.verify_setup().await.expect("the file is read anew");
    mailer.send_notes(&ann(), &letter()).await.expect("sent");
}

#[tokio::test]
async fn a_password_that_everyone_can_read_is_refused_with_the_cure() {
    let server = SmtpServer::start();
    server.require_login("minutes", "secret");
    let (mailer, file, _dir) = signing_in(&server, "secret", 0o644);
    let outcome = mailer.verify_setup().await;
    assert!(is_setup(&outcome));
    let cure = format!("chmod o= {}", file.display());
    assert!(outcome.expect_err("refused").to_string().contains(&cure));
    assert_eq!(server.conversations(), 0);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o440)).expect("set");
    mailer.verify_setup().await.expect("a credential of systemd looks so");
    fs::remove_file(&file).expect("removed");
    assert!(is_later(&mailer.verify_setup().await));
}

#[tokio::test]
async fn a_server_that_cannot_protect_the_conversation_gets_neither_password_nor_mail() {
    let server = SmtpServer::start();
    server.require_login("minutes", "secret");
    let mut email = email(&server);
    email.smtp.tls = Tls::Starttls;
    let outcome = Mailer::new(&email).send_notes(&ann(), &letter()).await;
    assert!(is_setup(&outcome), "{outcome:?}");
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_server_without_tls_where_tls_is_asked_for_is_for_later() {
    let server = SmtpServer::start();
    let mut email = email(&server);
    email.smtp.tls = Tls::Tls;
    email.smtp.host = "localhost".into();
    let outcome = Mailer::new(&email).send_notes(&ann(), &letter()).await;
    assert!(is_later(&outcome), "{outcome:?}");
    assert!(server.received().is_empty());
}

fn notices(count: usize) -> Vec<DigestEntry> {
    let at = "2026-11-22T09:00:00Z".parse().expect("a time");
    (1..=count)
        .map(|n| DigestEntry {
            at,
            text: format!("talk-{n}.wav failed\nhint: minuted retry {n}\u{1b}[2J"),
        })
        .collect()
}

#[tokio::test]
async fn the_operators_are_told_each_in_a_mail_of_their_own() {
    let server = SmtpServer::start();
    mailer(&server).send_digest(&notices(2)).await.expect("told");
    let received = server.received();
    let to: Vec<_> = received.iter().map(|mail| mail.to.join(",")).collect();
    assert_eq!(to, ["it@operators.test", "night@operators.test"]);
    let mail = parsed(&received[0].raw);
    insta::assert_snapshot!(format!("{}\n\n{}", mail.subject().expect("a subject"), mail.body_text(0).expect("text").replace('\r', "")), @r"
    minuted: 2 things need attention

    minuted needs attention:

    2026-11-22 09:00 UTC
      talk-1.wav failed
      hint: minuted retry 1\u{1b}[2J

    2026-11-22 09:00 UTC
      talk-2.wav failed
      hint: minuted retry 2\u{1b}[2J

    `minuted status` shows how things stand, `minuted why FILE` what a recording waits for.
    ");
    mailer(&server).send_digest(&notices(2)).await.expect("told again");
    assert_eq!(id_of(&server.received()[2]), id_of(&received[0]));
    mailer(&server).send_digest(&notices(3)).await.expect("told more");
    assert_ne!(id_of(&server.received()[4]), id_of(&received[0]));
    assert_eq!(server.faults(), Vec::<String>::new());
}

#[tokio::test]
async fn a_wrong_operator_does_not_keep_the_other_from_being_told() {
    let server = SmtpServer::start();
    server.refuse_recipient("it@operators.test", 550);
    mailer(&server).send_digest(&notices(1)).await.expect("one was told");
    assert_eq!(only(&server).to, ["night@operators.test"]);
    server.refuse_recipient("night@operators.test", 550);
    assert!(mailer(&server).send_digest(&notices(1)).await.is_err());
}

#[tokio::test]
async fn a_test_mail_goes_to_whom_the_operator_names() {
    let server = SmtpServer::start();
    mailer(&server).verify_setup().await.expect("verified");
    assert!(server.received().is_empty(), "verifying leaves no trace");
    mailer(&server).send_test(&mailbox("someone@elsewhere.test")).await.expect("sent");
    assert_eq!(only(&server).to, ["someone@elsewhere.test"]);
}

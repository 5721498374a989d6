//! Whose fault it is that a mail is refused: each step of the conversation with each code, and what follows from it.

use std::fs;

use lettre::message::Mailbox;
use mail_parser::{MessageParser, MimeHeaders as _};
use minuted::testing::{
    config::{Allow, Email, Smtp, Tls},
    delivery::{Letter, LetterForm, MailError, Mailer},
};
use serde_json::Value;

use crate::support::{
    house::{House, until},
    smtp::{Received, SmtpServer, Step},
};

/// What becomes of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The server is waited for.
    Server,
    /// The set-up is wrong: the server waits for a person.
    Setup,
    /// This recipient alone is waited for.
    Recipient,
    /// The recipient is refused for good.
    Refused,
    /// It is compared with other mails, whether it is the content or the set-up.
    Content,
    /// It is sent again in a smaller form.
    TooLarge,
}

/// Who is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refuses {
    One,
    Everyone,
}

const LATER: [u16; 6] = [421, 450, 451, 452, 454, 455];
const NEVER: [u16; 13] = [500, 501, 502, 503, 504, 521, 541, 550, 551, 553, 554, 555, 556];
const SIGN_IN: [u16; 4] = [530, 534, 535, 538];

/// Answers whose enhanced code tells more than their step, each with its verdict: a new one is a line.
const DETAILED: [(Step, &str, Refuses, Verdict); 22] = [
    (Step::Sender, "552 too much", Refuses::One, Verdict::TooLarge),
    (Step::Sender, "552 5.3.4 message too big", Refuses::One, Verdict::TooLarge),
    (Step::Sender, "554 5.3.4 message too big", Refuses::One, Verdict::TooLarge),
    (Step::Recipient, "552 too much", Refuses::One, Verdict::TooLarge),
    (Step::Recipient, "552 5.2.2 mailbox full", Refuses::One, Verdict::Refused),
    (Step::Recipient, "552 5.2.3 too long for this mailbox", Refuses::One, Verdict::TooLarge),
    (Step::Recipient, "452 4.2.2 mailbox full", Refuses::One, Verdict::Recipient),
    (Step::Recipient, "450 4.2.0 greylisted", Refuses::One, Verdict::Recipient),
    (Step::Recipient, "454 4.7.1 relay access denied", Refuses::Everyone, Verdict::Server),
    (Step::Recipient, "554 5.7.1 relay access denied", Refuses::Everyone, Verdict::Setup),
    (Step::Recipient, "554 5.7.1 relay access denied", Refuses::One, Verdict::Refused),
    (Step::Recipient, "550 5.1.1 no such user", Refuses::One, Verdict::Refused),
    (Step::Recipient, "550 5.1.8 bad sender's address", Refuses::One, Verdict::Setup),
    (Step::Recipient, "553 5.1.7 bad sender's address", Refuses::One, Verdict::Setup),
    (Step::Recipient, "504 5.5.2 helo name refused", Refuses::Everyone, Verdict::Setup),
    (Step::Recipient, "450 4.7.1 helo name refused", Refuses::Everyone, Verdict::Server),
    (Step::Data, "552 too much", Refuses::One, Verdict::TooLarge),
    (Step::Content, "552 too much", Refuses::One, Verdict::TooLarge),
    (Step::Content, "554 5.3.4 message too big", Refuses::One, Verdict::TooLarge),
    (Step::Content, "552 5.7.0 blocked for its content", Refuses::One, Verdict::Content),
    (Step::Content, "550 5.7.8 sign in", Refuses::One, Verdict::Setup),
    (Step::Content, "451 4.7.1 later", Refuses::One, Verdict::Server),
];

/// The verdict on an answer without an enhanced code.
fn plain(step: Step, code: u16, refuses: Refuses) -> Verdict {
    match (step, code, refuses) {
        (Step::Recipient, 421, _) => Verdict::Server,
        (Step::Recipient, 400..500, Refuses::One) => Verdict::Recipient,
        (_, 400..500, _) => Verdict::Server,
        (_, 530 | 534 | 535 | 538, _)
        | (Step::Greeting | Step::Hello | Step::Auth | Step::Sender, _, _)
        | (Step::Recipient, _, Refuses::Everyone) => Verdict::Setup,
        (Step::Recipient, _, Refuses::One) => Verdict::Refused,
        (Step::Data | Step::Content, _, _) => Verdict::Content,
    }
}

fn mailbox(text: &str) -> Mailbox {
    text.parse().expect("a mailbox")
}

/// A mailer that signs in.
fn mailer(server: &SmtpServer, dir: &tempfile::TempDir) -> Mailer {
    let file = dir.path().join("smtp-password");
    fs::write(&file, "secret").expect("written");
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("set");
    server.require_login("minutes", "secret");
    Mailer::new(&Email {
        from: mailbox("Minutes <minutes@example.com>"),
        failures_to: vec![mailbox("it@operators.test")],
        allow: vec![Allow::Anyone],
        smtp: Smtp {
            host: "127.0.0.1".into(),
            port: server.port(),
            tls: Tls::None,
            username: Some("minutes".into()),
            password_file: Some(file),
            insecure: false,
        },
    })
}

fn letter(form: LetterForm, lines: usize) -> Letter {
    let text = "- Ann will send the revised quote to the customer by Friday.\n".repeat(lines);
    Letter {
        message_id: "<id@example.com>".into(),
        subject: "Weekly sales".into(),
        html: format!("<!doctype html>\n<pre>{text}</pre>\n"),
        markdown: text.clone(),
        text,
        attachment: "talk.notes.md".into(),
        form,
    }
}

fn verdict(sent: Result<(), MailError>) -> Option<Verdict> {
    Some(match sent.err()? {
        MailError::Later { is_alone: false, .. } => Verdict::Server,
        MailError::Later { is_alone: true, .. } => Verdict::Recipient,
        MailError::Setup { .. } => Verdict::Setup,
        MailError::TooLarge { .. } => Verdict::TooLarge,
        MailError::Refused { is_content: false, .. } => Verdict::Refused,
        MailError::Refused { is_content: true, .. } => Verdict::Content,
        MailError::NotAllowed => return None,
    })
}

#[tokio::test]
async fn each_refusal_at_each_step_has_its_verdict_and_the_next_mail_goes_through() {
    let mut rows: Vec<(Step, String, Refuses, Verdict)> = Vec::new();
    for step in Step::ALL {
        for code in LATER.into_iter().chain(NEVER).chain(SIGN_IN) {
            for refuses in [Refuses::One, Refuses::Everyone] {
                rows.push((step, format!("{code} no"), refuses, plain(step, code, refuses)));
            }
        }
    }
    rows.extend(
        DETAILED
            .map(|(step, answer, refuses, verdict)| (step, answer.to_owned(), refuses, verdict)),
    );
    let dir = tempfile::tempdir().expect("a directory");
    let mut wrong = Vec::new();
    for (step, answer, refuses, expected) in rows {
        let server = SmtpServer::start();
        let mailer = mailer(&server, &dir);
        match refuses {
            Refuses::Everyone => server.refuse_at(step, &answer),
            Refuses::One => {
                let (code, text) = answer.split_once(' ').expect("a code and a text");
                server.fail_next_at(step, code.parse().expect("a code"), text);
            }
        }
        let ann = mailbox("Ann Lee <ann@example.com>");
        let sent = mailer.send_notes(&ann, &letter(LetterForm::Whole, 1)).await;
        if verdict(sent.clone()) != Some(expected) {
            wrong.push(format!("{step:?} {answer:?} {refuses:?}: {sent:?}, not {expected:?}"));
        }
        server.accept_at(step);
        mailer
            .send_notes(&ann, &letter(LetterForm::Whole, 1))
            .await
            .expect("it recovers without help");
        assert_eq!((server.received().len(), server.faults()), (1, vec![]), "{step:?} {answer}");
    }
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn notes_of_18_kb_fit_a_server_that_takes_50_once_the_file_is_left_out() {
    let dir = tempfile::tempdir().expect("a directory");
    for is_told in [true, false] {
        let server = SmtpServer::start();
        let mailer = mailer(&server, &dir);
        server.limit_size(50_000, is_told);
        let ann = mailbox("ann@example.com");
        let whole = mailer.send_notes(&ann, &letter(LetterForm::Whole, 300)).await;
        assert_eq!(verdict(whole), Some(Verdict::TooLarge), "told: {is_told}");
        mailer.send_notes(&ann, &letter(LetterForm::WithoutFile, 300)).await.expect("it fits");
        let received = server.received();
        assert_eq!((received.len(), server.faults()), (1, vec![]));
        assert!(received[0].raw.len() < 45_000, "{} bytes", received[0].raw.len());
        server.limit_size(25_000, is_told);
        let readable = mailer.send_notes(&ann, &letter(LetterForm::WithoutFile, 300)).await;
        assert_eq!(verdict(readable), Some(Verdict::TooLarge), "told: {is_told}");
        mailer.send_notes(&ann, &letter(LetterForm::TextAlone, 300)).await.expect("it fits");
        let received = server.received();
        let mail = MessageParser::default().parse(&received[1].raw).expect("a mail");
        assert_eq!((mail.attachment_count(), mail.html_body_count()), (0, 1));
        assert!(mail.body_text(0).expect("text").contains("Ann will send"));
    }
}

fn text_of(mail: &Received) -> String {
    let parsed = MessageParser::default().parse(&mail.raw).expect("a mail");
    parsed.body_text(0).expect("a text").into_owned()
}

const TO_ANN: &str =
    "deliver = [\"beside\", \"email\"]\nemail_to = [\"ann@example.com\"]\ntitle = \"{stem}\"";

#[test]
fn a_mail_that_is_too_large_is_sent_without_its_file_and_says_where_that_is() {
    for is_told in [true, false] {
        let house = House::new();
        house.configure(TO_ANN);
        let _daemon = house.start();
        house.drop_recording("one.wav");
        house.wait_for("one.wav", "done");
        let whole = house.smtp.received()[0].raw.len();
        house.smtp.limit_size(whole - 100, is_told);
        house.drop_recording("two.wav");
        house.wait_for("two.wav", "done");
        let received = house.smtp.received();
        let mail = MessageParser::default().parse(&received[1].raw).expect("a mail");
        assert!(
            mail.attachment(0).and_then(|file| file.attachment_name().map(str::to_owned)).is_none(),
            "{is_told}"
        );
        assert!(
            text_of(&received[1]).contains("it is beside the recording"),
            "{}",
            text_of(&received[1])
        );
        assert_eq!((received.len(), house.smtp.faults()), (2, vec![]));
    }
}

/// The mail of a job, as `job` shows it.
fn mail_of(house: &House, name: &str) -> Option<Value> {
    let job = house.job_if(name)?;
    job["deliveries"].as_array()?.iter().find(|delivery| delivery["kind"] == "mail").cloned()
}

#[test]
fn what_is_refused_to_everyone_waits_and_is_charged_to_nobody() {
    for (step, answer) in [
        (Step::Sender, "553 5.7.1 sender address rejected: not owned by user"),
        (Step::Recipient, "554 5.7.1 relay access denied"),
        (Step::Content, "550 5.7.26 unauthenticated mail is blocked"),
    ] {
        let house = House::new();
        house.configure(TO_ANN);
        house.smtp.refuse_at(step, answer);
        let _daemon = house.start();
        let names = ["one.wav", "two.wav", "three.wav"];
        for name in names {
            house.drop_recording(name);
        }
        for name in names {
            until("it was tried again and again", || {
                mail_of(&house, name).filter(|mail| mail["attempts"].as_u64() >= Some(5))
            });
            assert_eq!(house.job(name)["stage"], "deliver", "{step:?}");
        }
        assert_eq!(
            house.status()["mail"]["detail"].as_str().map(|told| told.contains("5.7.")),
            Some(true)
        );
        house.smtp.accept_at(step);
        for name in names {
            house.wait_for(name, "done");
        }
        assert_eq!((house.smtp.received().len(), house.notices("")), (3, 0), "{step:?}");
    }
}

#[test]
fn one_mail_that_is_refused_for_its_content_fails_alone_and_holds_up_no_other() {
    let house = House::new();
    house.configure(TO_ANN);
    house.smtp.refuse_text("Subject: bad", "554 5.7.1 blocked for its content");
    let _daemon = house.start();
    for name in ["bad.wav", "good.wav"] {
        house.drop_recording(name);
    }
    house.wait_for("good.wav", "done");
    let job = house.wait_for("bad.wav", "failed");
    assert!(job["error"].as_str().expect("an error").contains("blocked for its content"), "{job}");
    house.drop_recording("fine.wav");
    house.wait_for("fine.wav", "done");
    assert_eq!(house.smtp.received().len(), 2);
}

//! Bounds on what servers may send: each is applied before anything is held.

use std::{
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    thread,
};

use lettre::message::Mailbox;
use minuted::testing::{
    config::{Email, Smtp, Tls},
    delivery::{MailError, Mailer},
};

/// Bytes that may have left a server when it is cut off: what is let through, and what the kernel buffers on both sides.
const SENT_MAX: usize = 32 << 20;

/// Bytes that a hostile server goes on to send before it counts as not bounded.
const SENT_ENOUGH: usize = 128 << 20;

/// Starts a mail server that answers each command with the next of these, then sends `endless` until it is cut off. Returns its
/// port, and how many bytes it could send.
fn hostile_mail_server(
    answers: &'static [&str],
    endless: &'static str,
) -> (u16, thread::JoinHandle<usize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let serve = move || {
        let (mut stream, _) = listener.accept().expect("a client");
        for answer in answers {
            stream.write_all(answer.as_bytes()).expect("sent");
            assert!(stream.read(&mut [0; 1024]).expect("a command") > 0);
        }
        let part = endless.repeat((1 << 16) / endless.len());
        let mut sent = 0;
        while sent < SENT_ENOUGH && stream.write_all(part.as_bytes()).is_ok() {
            sent += part.len();
        }
        sent
    };
    (port, thread::spawn(serve))
}

#[tokio::test]
async fn a_mail_server_that_sends_without_end_is_cut_off() {
    let mailbox: Mailbox = "minutes@example.com".parse().expect("a mailbox");
    let rows: &[(&str, &'static [&str], &'static str, Tls)] = &[
        ("a greeting without a line end", &[], "220 a", Tls::Starttls),
        ("a greeting without a line end, in clear", &[], "a", Tls::None),
        ("a greeting of many lines", &[], "220-a\r\n", Tls::Starttls),
        ("an answer without a line end", &["220 x\r\n"], "250-a", Tls::Starttls),
        ("an answer of many lines", &["220 x\r\n"], "250-SIZE\r\n", Tls::Starttls),
        ("an answer to STARTTLS", &["220 x\r\n", "250-x\r\n250 STARTTLS\r\n"], "a", Tls::Starttls),
        ("a record of TLS", &[], "\u{16}\u{3}\u{3}\u{7f}", Tls::Tls),
    ];
    for (what, answers, endless, tls) in rows {
        let (port, served) = hostile_mail_server(answers, endless);
        let smtp = Smtp {
            host: "127.0.0.1".into(),
            port,
            tls: *tls,
            username: None,
            password_file: None,
            insecure: false,
        };
        let email = Email { from: mailbox.clone(), failures_to: vec![], allow: vec![], smtp };
        let error = Mailer::new(&email).verify_setup().await.expect_err(what);
        let sent = served.join().expect("served");
        assert!(sent < SENT_MAX, "{what}: {sent} bytes");
        assert!(
            matches!(error, MailError::Later { .. } | MailError::Setup { .. }),
            "{what}: {error:?}"
        );
        if what.contains("line") {
            assert!(
                error.to_string().contains("more than 262144 bytes or 1000 lines"),
                "{what}: {error}"
            );
        }
    }
}

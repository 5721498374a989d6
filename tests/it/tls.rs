//! TLS: whoever cannot prove to be the server gets nothing, and the operator is told why and what to do.

use std::{fs, os::unix::fs::PermissionsExt as _};

use serde_json::Value;

use crate::support::{
    house::{Daemon, House, until},
    paxs::Call,
    tls::{Authority, Door, InTheClear, Kind, Way},
};

/// Lets the house reach its stand-in at `https://localhost:<port>`, signed in there.
fn move_to_https(house: &House, port: u16) {
    let origin = format!("https://localhost:{port}");
    let change = |text: String| text.replace(&house.standin.base_url(), &origin);
    house.edit_config(change);
    let tokens = house.state_dir().join("tokens-paxs.json");
    let text = fs::read_to_string(&tokens).expect("signed in");
    fs::write(&tokens, change(text)).expect("written");
}

/// A daemon that trusts this authority besides.
fn start_trusting(house: &House, authority: &Authority) -> Daemon {
    house.listening(house.spawn(&[authority.trusted()]))
}

/// What is shown by `check`, run by hand without a daemon.
fn check(house: &House, authority: &Authority) -> String {
    let (name, value) = authority.trusted();
    let output = house.command(&["check"]).env(name, value).output().expect("run");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Nothing but the service is at fault, it was told once with `cause` and `cure`, and `check` says the same.
fn assert_held_up(house: &House, authority: &Authority, cause: &str, cure: &str) {
    let told = |text: &str| {
        assert!(text.contains(cause) && text.contains(cure), "no `{cause}`, `{cure}`: {text}");
    };
    let daemon = start_trusting(house, authority);
    house.drop_recording("talk.mp3");
    let service = house.wait_for_service("down");
    told(service["detail"].as_str().expect("a reason"));
    assert_eq!(house.wait_until_waits("talk.mp3", "service")["attempts"], 0);
    until("it was tried again", || (house.logged("", "cannot be read yet") >= 3).then_some(()));
    house.assert_reported_once("does not work");
    daemon.stop();
    told(&check(house, authority));
    assert!(house.standin.snapshot().meetings.is_empty());
}

#[test]
fn a_certificate_that_this_machine_trusts_is_all_it_takes() {
    let house = House::new();
    let authority = Authority::new(house.dir.path());
    let port =
        url::Url::parse(&house.standin.base_url()).expect("an address").port().expect("a port");
    let door = Door::open(&authority, Way::Tls(Kind::Good), port);
    move_to_https(&house, door.port());
    let _daemon = start_trusting(&house, &authority);
    house.drop_recording("talk.mp3");
    assert_eq!(house.wait_for("talk.mp3", "done")["attempts"], 0);
    assert_eq!(house.standin.snapshot().meetings.len(), 1);
    assert!(
        door.heard().contains("Bearer "),
        "this is how a token would show at the doors of the other tests"
    );
    assert_eq!(house.notices(""), 0);
}

#[test]
fn a_server_that_cannot_prove_its_name_gets_no_token_and_no_recording() {
    let cases = [
        (Kind::OtherName, "not valid for name", "base_url"),
        (Kind::Expired, "certificate expired", "clock"),
        (Kind::SelfSigned, "certificate", "SSL_CERT_FILE"),
        (Kind::OwnAuthority, "CaUsedAsEndEntity", "basicConstraints=critical,CA:FALSE"),
    ];
    std::thread::scope(|scope| {
        for (kind, cause, cure) in cases {
            scope.spawn(move || {
                let house = House::new();
                let authority = Authority::new(house.dir.path());
                let port = url::Url::parse(&house.standin.base_url())
                    .expect("an address")
                    .port()
                    .expect("a port");
                let door = Door::open(&authority, Way::Tls(kind), port);
                move_to_https(&house, door.port());
                let before = house.standin.calls().len();
                assert_held_up(&house, &authority, cause, cure);
                assert_eq!(
                    (door.heard(), house.standin.calls().len()),
                    (String::new(), before),
                    "{kind:?}"
                );
            });
        }
    });
}

#[test]
fn a_server_that_speaks_no_tls_where_https_is_asked_for_hears_nothing_in_the_clear() {
    let house = House::new();
    let authority = Authority::new(house.dir.path());
    let server = InTheClear::start();
    move_to_https(&house, server.port);
    assert_held_up(&house, &authority, "https://localhost", "http://");
    let heard = server.heard();
    let tokens: Value = serde_json::from_slice(
        &fs::read(house.state_dir().join("tokens-paxs.json")).expect("there"),
    )
    .expect("JSON");
    assert!(!heard.is_empty(), "it was spoken to");
    for secret in [&tokens["pair"]["access_token"], &tokens["pair"]["refresh_token"]] {
        assert!(!heard.contains(secret.as_str().expect("a token")));
    }
    assert!(!heard.contains("Bearer") && !heard.contains("/api/"), "{heard}");
    assert_eq!(house.standin.snapshot().count(Call::CreateSession), 0);
}

/// A house that mails through this door with a name and a password.
fn mail_through(house: &House, door: &Door, tls: &str) {
    let password = house.dir.path().join("password");
    fs::write(&password, "open sesame").expect("written");
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("changed");
    house.smtp.require_login("minutes", "open sesame");
    house.configure("deliver = [\"beside\", \"email\"]");
    let before = format!("host = \"127.0.0.1\", port = {}, tls = \"none\"", house.smtp.port());
    let after = format!(
        "host = \"localhost\", port = {}, tls = \"{tls}\", username = \"minutes\", password_file = \"{}\"",
        door.port(),
        password.display()
    );
    house.edit_config(|text| text.replace(&before, &after));
}

#[test]
fn mail_goes_out_by_both_ways_of_tls() {
    for (word, way) in [("tls", Way::Tls(Kind::Good)), ("starttls", Way::Starttls(Kind::Good))] {
        let house = House::new();
        let authority = Authority::new(house.dir.path());
        let door = Door::open(&authority, way, house.smtp.port());
        mail_through(&house, &door, word);
        let _daemon = start_trusting(&house, &authority);
        house.drop_recording("talk.mp3");
        house.wait_for("talk.mp3", "done");
        assert_eq!((house.smtp.received().len(), house.smtp.faults()), (2, vec![]), "{word}");
        assert!(
            door.heard().contains("AUTH"),
            "this is how a password would show at the doors of the other test"
        );
        let checked = house.run(&["check"]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    }
}

#[test]
fn a_mail_server_that_cannot_prove_its_name_or_stops_protecting_gets_neither_password_nor_mail() {
    let cases = [
        ("tls", Way::Tls(Kind::OtherName), "not valid for name"),
        ("tls", Way::Tls(Kind::Expired), "certificate expired"),
        ("tls", Way::Tls(Kind::SelfSigned), "certificate"),
        ("starttls", Way::Starttls(Kind::OtherName), "not valid for name"),
        ("starttls", Way::Starttls(Kind::Expired), "certificate expired"),
        ("starttls", Way::Starttls(Kind::SelfSigned), "certificate"),
        ("starttls", Way::NoStarttls, "STARTTLS"),
    ];
    std::thread::scope(|scope| {
        for (word, way, cause) in cases {
            scope.spawn(move || {
                let house = House::new();
                let authority = Authority::new(house.dir.path());
                let door = Door::open(&authority, way, house.smtp.port());
                mail_through(&house, &door, word);
                let daemon = start_trusting(&house, &authority);
                house.drop_recording("talk.mp3");
                let job = until("its mails wait", || {
                    house.state("talk.mp3")?;
                    let job = house.job("talk.mp3");
                    let mails = job["deliveries"]
                        .as_array()?
                        .iter()
                        .filter(|delivery| delivery["kind"] == "mail");
                    let waiting = mails
                        .filter(|mail| mail["error"].is_string() && mail["state"] == "due")
                        .count();
                    (waiting == 2).then_some(job)
                });
                assert!(job["deliveries"].to_string().contains(cause), "{way:?}: {job:#}");
                assert!(house.path("talk.notes.md").exists(), "the notes do not wait for the mail");
                daemon.stop();
                let shown = check(&house, &authority);
                assert!(shown.contains(cause), "{way:?}: {shown}");
                let heard = door.heard();
                assert!(
                    !heard.contains("AUTH") && !heard.contains("MAIL FROM"),
                    "{way:?}: {heard}"
                );
                assert_eq!(house.smtp.received(), [], "{way:?}");
            });
        }
    });
}

#[test]
fn a_mail_server_whose_certificate_is_refused_is_told_of_with_the_cure_and_once() {
    let cases = [
        ("tls", Way::Tls(Kind::OtherName), "check `host` of [email] smtp"),
        ("tls", Way::Tls(Kind::Expired), "check the clock"),
        ("tls", Way::Tls(Kind::SelfSigned), "SSL_CERT_FILE"),
        ("tls", Way::Tls(Kind::OwnAuthority), "the certificate is its own CA"),
        ("starttls", Way::Starttls(Kind::OwnAuthority), "basicConstraints=critical,CA:FALSE"),
        ("starttls", Way::Tls(Kind::Good), "waits for TLS on port"),
        ("starttls", Way::Tls(Kind::SelfSigned), "set tls = \"tls\" in [email] smtp"),
    ];
    std::thread::scope(|scope| {
        for (word, way, cure) in cases {
            scope.spawn(move || {
                let house = House::new();
                let authority = Authority::new(house.dir.path());
                let door = Door::open(&authority, way, house.smtp.port());
                mail_through(&house, &door, word);
                let shown = check(&house, &authority);
                assert!(shown.contains(cure), "{word} {way:?}: {shown}");
                assert!(!shown.contains("error: Connection error: Connection"), "{shown}");
                assert!(!door.heard().contains("AUTH") && house.smtp.received().is_empty());
            });
        }
    });
}

//! The receiver of webhooks: the real daemon, a vendor with state, and callers of every kind.

use std::{
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    time::Duration,
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use minuted::testing::effect::When;
use rustix::process::Signal;

use crate::support::{
    house::{House, until, until_told},
    meetingbaas::{Baas, Bot, Call, KEY},
    page::{Page, http_table},
    rows::each,
};

/// What the vendor shows as the secret of a webhook: the example of Svix's documents.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Its bytes.
const SECRET_BYTES: [u8; 24] = [
    0x31, 0xf2, 0x90, 0xf6, 0xbf, 0x06, 0x29, 0x8a, 0xab, 0x4f, 0x08, 0xd4, 0x3c, 0x3f, 0x08, 0x2c,
    0xf6, 0x48, 0xa3, 0x62, 0xda, 0x2d, 0xa4, 0xb0,
];

/// A house whose source `bots` would ask on its own tomorrow.
struct Post {
    house: House,
    vendor: Baas,
    port: u16,
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .port()
}

impl Post {
    fn new(api: &str) -> Self {
        let post = Self { house: House::new(), vendor: Baas::start(), port: free_port() };
        post.vendor.give_key(post.house.dir.path());
        let file = post.house.dir.path().join("hook");
        fs::write(&file, format!("{SECRET}\n")).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        post.configure(api, post.port);
        post
    }

    fn configure(&self, api: &str, port: u16) {
        let secret = if api == "v2" { "webhook_secret_file = \"hook\"\n" } else { "" };
        let source = self.vendor.source(
            api,
            "sales",
            &format!("name = \"bots\"\nevery = \"24h\"\n{secret}"),
        );
        self.house.configure_all(
            "",
            "",
            &format!("{source}\n[webhook]\nlisten = \"127.0.0.1:{port}\"\n"),
        );
    }

    /// Waits until the source has asked by itself, once and for today.
    fn settled(&self) {
        until_told(|| self.house.log(), || (self.looks() > 0).then_some(()));
        until_told(|| self.house.log(), || self.call("GET", "/", &[], b"").map(drop));
    }

    fn looks(&self) -> usize {
        self.vendor.count(Call::List)
    }

    /// Makes a call; `None` where nobody answers.
    fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<u16> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a string takes all");
        }
        // Whoever refuses a body may close before it was read.
        let sent = stream
            .write_all(format!("{head}\r\n").as_bytes())
            .and_then(|()| stream.write_all(body));
        let mut answer = String::new();
        let read = stream.read_to_string(&mut answer);
        if answer.is_empty() {
            assert!(sent.is_err() || read.is_err() || answer.is_empty());
            return None;
        }
        let (head, body) = answer.split_once("\r\n\r\n").expect("a whole head");
        assert_eq!(body, "", "an answer is a number alone: {head}");
        head.split(' ').nth(1)?.parse().ok()
    }

    fn post(&self, headers: &[(&str, &str)], body: &[u8]) -> Option<u16> {
        self.call("POST", "/meetingbaas/bots", headers, body)
    }

    /// Calls as the vendor signs, at a time in seconds from now.
    fn signed(&self, body: &[u8], off: i64) -> Option<u16> {
        let time = (minuted::testing::clock::now().as_second() + off).to_string();
        let signature = format!("v1,AAAA {}", signature("msg_1", &time, body));
        self.post(
            &[("svix-id", "msg_1"), ("svix-timestamp", &time), ("svix-signature", &signature)],
            body,
        )
    }
}

fn signature(id: &str, time: &str, body: &[u8]) -> String {
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &SECRET_BYTES), &signed);
    format!("v1,{}", STANDARD.encode(tag))
}

fn about(bot: &str) -> Vec<u8> {
    format!("{{\"event\":\"complete\",\"data\":{{\"bot_id\":\"{bot}\",\"mp4\":\"http://127.0.0.1:1/evil\"}}}}")
        .into_bytes()
}

#[test]
fn a_death_while_a_recording_is_hastened_loses_and_doubles_nothing() {
    each([When::Before, When::After], |when| {
        let post = Post::new("v1");
        let minutes = Duration::from_secs(60);
        let working = Bot {
            audio: false,
            video: false,
            ..Bot::sitting("Weekly", minuted::testing::clock::now() - 40 * minutes)
        };
        // Its files are not there yet, and tomorrow is soon enough for a look that nobody asks for.
        let bot = post
            .vendor
            .add(Bot { ended: Some(minuted::testing::clock::now() + minutes), ..working });
        let call = || post.post(&[("x-meeting-baas-api-key", KEY)], &about(&bot));
        let mut daemon =
            post.house.spawn(&[("MINUTED_DIE", &format!("HastenRecordings:{when:?}:1"))]);
        let dies = || {
            // Nobody answers before it listens, and after it died.
            call();
            daemon.was_killed().then_some(())
        };
        until_told(|| format!("it dies: {}", post.house.log()), dies);
        let _daemon = post.house.start();
        for of in &mut post.vendor.state().bots {
            (of.audio, of.video) = (true, true);
        }
        let done = || {
            call();
            (post.house.count("done") == 1).then_some(())
        };
        until_told(|| post.house.log(), done);
        assert_eq!(
            (post.house.jobs().len(), post.house.standin.snapshot().meetings.len()),
            (1, 1),
            "{when:?}"
        );
    });
}

#[test]
fn a_webhook_has_its_source_look_at_once() {
    for api in ["v1", "v2"] {
        let post = Post::new(api);
        let bot = post
            .vendor
            .add(Bot::sitting("Weekly", minuted::testing::clock::now() - Duration::from_secs(600)));
        let _daemon = post.house.start();
        post.settled();
        post.vendor.end(&bot);
        let called = || match api {
            "v1" => post.post(&[("x-meeting-baas-api-key", KEY)], &about(&bot)),
            _signed => post.signed(&about(&bot), 0),
        };
        // Sent again, as vendors do, it is no second recording.
        assert_eq!([called(), called()], [Some(200), Some(200)], "{api}");
        until_told(|| post.house.log(), || (post.house.count("done") == 1).then_some(()));
        assert_eq!(called(), Some(200));
        assert_eq!(
            (post.house.jobs().len(), post.house.standin.snapshot().meetings.len()),
            (1, 1),
            "{api}"
        );
    }
}

#[test]
fn who_proves_nothing_learns_a_number_and_has_nobody_look() {
    let post = Post::new("v1");
    let _daemon = post.house.start();
    post.settled();
    let looks = post.looks();
    let key = "x-meeting-baas-api-key";
    let body = about("93ac7e2d-0000-4000-8000-000000000000");
    assert_eq!(post.post(&[], &body), Some(401));
    for wrong in ["", "wrong", &KEY[1..], &KEY.to_uppercase(), &format!("{KEY}x")] {
        assert_eq!(post.post(&[(key, wrong)], &body), Some(401), "{wrong}");
    }
    assert_eq!(post.post(&[(key, KEY), (key, KEY)], &body), Some(401), "twice is not once");
    assert_eq!(post.signed(&body, 0), Some(401), "a signature is not the proof of version 1");
    for (method, path, expected) in [
        ("GET", "/meetingbaas/bots", 405),
        ("DELETE", "/meetingbaas/bots", 405),
        ("POST", "/", 404),
        ("POST", "/meetingbaas/", 404),
        ("POST", "/meetingbaas/other", 404),
        ("POST", "/meetingbaas/bots/../bots", 404),
        ("POST", "/meetingbaas/bots/", 404),
    ] {
        assert_eq!(
            post.call(method, path, &[(key, KEY)], &body),
            Some(expected),
            "{method} {path}"
        );
    }
    assert_eq!(post.looks(), looks);
    let log = post.house.log();
    assert_eq!(
        log.lines()
            .filter(|line| line.contains("WARN") && line.contains("a webhook for source `bots`"))
            .count(),
        1,
        "{log}"
    );
    assert!(log.contains("it has no `x-meeting-baas-api-key`") && !log.contains(KEY), "{log}");
}

#[test]
fn a_signature_is_of_the_body_the_secret_and_the_time() {
    let post = Post::new("v2");
    let _daemon = post.house.start();
    post.settled();
    let looks = post.looks();
    let body = about("b-1");
    for off in [-301 - 5, 301 + 5, -86_400] {
        assert_eq!(post.signed(&body, off), Some(401), "{off}");
    }
    let time = minuted::testing::clock::now().as_second().to_string();
    let right = signature("msg_1", &time, &body);
    let of = |id: &str, time: &str, signature: &str, body: &[u8]| {
        post.post(&[("svix-id", id), ("svix-timestamp", time), ("svix-signature", signature)], body)
    };
    assert_eq!(of("msg_2", &time, &right, &body), Some(401));
    assert_eq!(of("msg_1", &time, &right, &about("b-2")), Some(401));
    assert_eq!(of("msg_1", &time, &right.replace("v1,", "v2,"), &body), Some(401));
    assert_eq!(of("msg_1", &time, "", &body), Some(401));
    assert_eq!(
        post.post(&[("x-meeting-baas-api-key", KEY)], &body),
        Some(401),
        "the key is not the proof of version 2"
    );
    assert_eq!(post.looks(), looks);
    assert_eq!(of("msg_1", &time, &right, &body), Some(200));
    until_told(|| post.house.log(), || (post.looks() > looks).then_some(()));
    let log = post.house.log();
    assert!(!log.contains(SECRET.trim_start_matches("whsec_")) && !log.contains(&right), "{log}");
    // Without its secret nothing is proved; it is read anew at each call.
    fs::remove_file(post.house.dir.path().join("hook")).expect("removed");
    assert_eq!(of("msg_1", &time, &right, &body), Some(401));
}

#[test]
fn neither_huge_nor_slow_nor_broken_calls_hold_others_up() {
    let post = Post::new("v1");
    let mut daemon = post.house.start();
    post.settled();
    let looks = post.looks();
    let key = [("x-meeting-baas-api-key", KEY)];
    // The words of a very long meeting: they are not read, and the source looks all the same.
    assert_eq!(post.post(&key, &vec![b' '; 6 << 20]), Some(200));
    until_told(|| post.house.log(), || (post.looks() > looks).then_some(()));
    assert_ne!(post.post(&[("x-meeting-baas-api-key", "wrong")], &vec![b' '; 6 << 20]), Some(200));
    for garbage in [
        &b"\x16\x03\x01\x02\x00"[..],
        b"GET",
        &vec![b'A'; 100_000],
        b"POST / HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, post.port)).expect("connected");
        // It may be closed while it is being sent.
        drop(stream.write_all(garbage));
    }
    let slow: Vec<TcpStream> = (0..80)
        .map(|_| {
            let mut stream =
                TcpStream::connect((Ipv4Addr::LOCALHOST, post.port)).expect("connected");
            stream.write_all(b"POST /meetingbaas/bots HTTP/1.1\r\nx-a: ").expect("sent");
            stream
        })
        .collect();
    assert_eq!(post.post(&key, &about("b-1")), Some(200), "those before it were given up");
    drop(slow);
    assert_eq!(daemon.ended(), None);
}

#[test]
fn calls_without_a_proof_are_one_line_of_the_log_however_many_they_are() {
    let post = Post::new("v2");
    let _daemon = post.house.start();
    post.settled();
    let looks = post.looks();
    let body = about("b-1");
    for _ in 0..600 {
        assert_eq!(post.post(&[], &body), Some(401));
    }
    let crowd: Vec<(String, String)> =
        (0..2_000).map(|n| (format!("x-{n}"), "y".to_owned())).collect();
    let crowd: Vec<(&str, &str)> = crowd.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert!([None, Some(431)].contains(&post.post(&crowd, &body)));
    assert_eq!(post.looks(), looks);
    let is_told =
        |line: &&str| line.contains("WARN") && line.contains("a webhook for source `bots`");
    let told = post.house.log().lines().filter(is_told).count();
    assert_eq!(told, 1, "{}", post.house.log());
}

#[test]
fn a_port_that_is_taken_is_told_once_and_tried_again_and_a_reload_moves_it() {
    let mut post = Post::new("v1");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, post.port)).expect("still free");
    let daemon = post.house.start();
    until_told(
        || post.house.log(),
        || post.house.log().contains("webhooks cannot be accepted at").then_some(()),
    );
    post.house.drop_recording("talk.mp3");
    post.house.wait_for("talk.mp3", "done");
    drop(taken);
    post.settled();
    assert_eq!(
        post.house.log().lines().filter(|line| line.contains("ERROR")).count(),
        1,
        "{}",
        post.house.log()
    );
    let before = post.port;
    post.port = free_port();
    post.configure("v1", post.port);
    daemon.signal(Signal::HUP);
    post.settled();
    until("the old port is given back", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, before)).is_err().then_some(())
    });
    post.house.configure_all(
        "",
        "",
        &post.vendor.source("v1", "sales", "name = \"bots\"\nevery = \"24h\"\n"),
    );
    daemon.signal(Signal::HUP);
    until("nothing is listened at", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, post.port)).is_err().then_some(())
    });
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn check_tells_what_to_enter_at_the_vendor_and_what_is_missing() {
    let post = Post::new("v2");
    let check = || String::from_utf8_lossy(&post.house.run(&["check"]).stdout).into_owned();
    let told = check();
    let enter = format!(
        "enter https://YOUR-HOST/meetingbaas/bots at the vendor, and have your proxy pass it on to http://127.0.0.1:{}/meetingbaas/bots",
        post.port
    );
    assert!(
        told.contains(&format!("127.0.0.1:{} is free", post.port)) && told.contains(&enter),
        "{told}"
    );
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, post.port)).expect("free");
    assert!(check().contains("cannot listen at"), "{}", check());
    drop(taken);
    post.house.edit_config(|text| text.replace("webhook_secret_file = \"hook\"", ""));
    assert!(check().contains("add webhook_secret_file"), "{}", check());
}

#[test]
fn the_port_of_the_page_takes_webhooks_too_and_a_reload_knows_other_sources() {
    let mut post = Post::new("v1");
    post.port = free_port();
    let table = http_table(post.port);
    let configure = |name: &str| {
        let keys = format!("name = \"{name}\"\nevery = \"24h\"\n");
        let source = post.vendor.source("v1", "sales", &keys);
        post.house.configure_all("", "", &format!("{source}\n{table}"));
    };
    configure("bots");
    let bot = post
        .vendor
        .add(Bot::sitting("Weekly", minuted::testing::clock::now() - Duration::from_secs(600)));
    let daemon = post.house.start();
    let page = Page { house: &post.house, port: post.port, cookie: String::new() };
    until_told(|| post.house.log(), || (post.looks() > 0).then_some(()));
    post.vendor.end(&bot);
    let proof = [("x-meeting-baas-api-key", KEY)];
    let called = |path: &str, headers: &[(&str, &str)]| {
        page.try_ask("POST", path, headers, &about(&bot)).map(|answer| answer.code)
    };
    until("the page is served", || called("/meetingbaas/other", &proof));
    assert_eq!(called("/meetingbaas/bots", &[]), Some(401));
    assert_eq!(called("/meetingbaas/other", &proof), Some(404));
    let [key] = proof;
    assert_eq!(called("/meetingbaas/bots", &[key, ("host", "evil.example")]), Some(421));
    assert_eq!(called("/meetingbaas/bots", &proof), Some(200));
    until_told(|| post.house.log(), || (post.house.count("done") == 1).then_some(()));
    let checked = post.house.run(&["check"]);
    let checked = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(checked.contains("https://YOUR-HOST/meetingbaas/bots"), "{checked}");
    configure("calls");
    daemon.signal(Signal::HUP);
    until("the other source is known", || {
        (called("/meetingbaas/calls", &proof) == Some(200)).then_some(())
    });
    assert_eq!(called("/meetingbaas/bots", &proof), Some(404));
}

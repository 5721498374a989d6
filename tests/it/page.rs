//! The page over HTTP: who may see it, what it does, and what hostile names and requests cannot do.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::symlink,
    time::{Duration, UNIX_EPOCH},
};

use rustix::process::Signal;

use crate::support::{
    house::{House, recording, until, until_told},
    page::{Page, free_port, http_table, multipart},
    rows::each,
};

/// A house with the page at a free port, whose folder has these keys.
fn house_with_page(folder_keys: &str) -> (House, u16) {
    let (house, port) = (House::new(), free_port());
    house.configure_all("", folder_keys, &http_table(port));
    (house, port)
}

#[test]
fn no_port_is_open_unless_the_configuration_says_so_and_a_reload_opens_and_closes_it() {
    let (house, port) = (House::new(), free_port());
    let daemon = house.start();
    let refused = house.run(&["page"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("no `[http]`") && said.contains("hint: "), "{said}");
    let sockets = fs::read_to_string(format!("/proc/{}/net/tcp", daemon.pid())).expect("read");
    let inodes: Vec<_> = fs::read_dir(format!("/proc/{}/fd", daemon.pid()))
        .expect("listed")
        .filter_map(|entry| fs::read_link(entry.expect("an entry").path()).ok())
        .filter_map(|link| {
            link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned)
        })
        .collect();
    let listens = |line: &str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        fields.get(3) == Some(&"0A")
            && fields.get(9).is_some_and(|inode| inodes.iter().any(|own| own == inode))
    };
    assert!(!sockets.lines().any(listens), "{sockets}");
    house.configure_all("", "", &http_table(port));
    daemon.signal(Signal::HUP);
    let page = Page::enter(&house, port);
    assert_eq!(page.get("/").code, 200);
    house.configure("");
    daemon.signal(Signal::HUP);
    until("the port is closed", || {
        page.try_ask("GET", "/healthz", &[], b"").is_none().then_some(())
    });
}

#[test]
fn a_link_opens_the_page_once_and_a_new_token_signs_everybody_out() {
    let (house, port) = house_with_page("");
    let daemon = house.start();
    let mut page = Page::enter(&house, port);
    let link = page.link();
    assert_eq!(page.ask("GET", &link, &[], b"").code, 200);
    assert_eq!(page.ask("GET", &link, &[], b"").code, 401, "a link is good once");
    assert_eq!(page.ask("GET", "/enter?code=", &[], b"").code, 401);
    assert_eq!(page.ask("GET", "/", &[], b"").code, 401);
    assert!(page.get("/").body.contains("Overview"));
    let _daemon = house.start_anew(daemon);
    until("the page is back", || page.try_ask("GET", "/healthz", &[], b""));
    assert_eq!(page.get("/").code, 200, "a session outlives a restart");
    let unused = page.link();
    assert_eq!(house.json(&["page", "--new-token"])["sessions_ended"], true);
    let out = page.get("/");
    assert!(out.code == 401 && out.body.contains("minuted page"), "{out:?}");
    assert_eq!(page.ask("GET", &unused, &[], b"").code, 401, "earlier links are worth nothing");
    page.sign_in();
    assert_eq!(page.get("/").code, 200);
    page.cookie = "minuted=9999999999.AAAA.0000".to_owned();
    assert_eq!(page.get("/").code, 401);
}

#[test]
fn a_session_ends_after_its_thirty_days() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    house.set_clock(31 * 86_400);
    until("the session has ended", || (page.get("/").code == 401).then_some(()));
}

#[test]
fn requests_that_other_pages_make_change_and_show_nothing() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let own = format!("http://127.0.0.1:{port}");
    let cookie = page.cookie.as_str();
    let refused: [(&[(&str, &str)], u16); 7] = [
        (&[("cookie", cookie)], 403),
        (&[("cookie", cookie), ("origin", "https://evil.example")], 403),
        (&[("cookie", cookie), ("origin", "null")], 403),
        (&[("cookie", cookie), ("origin", "http://127.0.0.1:1")], 403),
        (&[("cookie", cookie), ("sec-fetch-site", "same-site")], 403),
        (&[("origin", &own)], 401),
        (&[("cookie", cookie), ("origin", &own), ("host", "evil.example")], 421),
    ];
    for (headers, code) in refused {
        let answer = page.ask("POST", "/folders/sales/pause", headers, b"");
        assert_eq!(answer.code, code, "{headers:?}");
    }
    for host in ["evil.example", "evil.example:80", "127.0.0.1", ""] {
        let answer = page.ask("GET", "/", &[("cookie", cookie), ("host", host)], b"");
        assert!(answer.code == 421 && !answer.body.contains("sales"), "{host}: {answer:?}");
    }
    assert_eq!(page.ask("GET", "/folders/sales/pause", &[("cookie", cookie)], b"").code, 405);
    let folders = &house.json(&["status"])["folders"];
    assert_eq!(folders[0]["trouble"], serde_json::Value::Null, "nothing was paused");
}

#[test]
fn every_answer_carries_the_headers_that_confine_it() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let evil = page.ask("GET", "/", &[("host", "evil.example")], b"");
    let answers = ["/", "/jobs", "/jobs/1", "/none", "/style.css", "/script.js", "/healthz"];
    for answer in
        answers.map(|path| page.get(path)).into_iter().chain([evil, page.ask("GET", "/", &[], b"")])
    {
        let policy = answer.header("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none';"), "{policy}");
        assert!(
            !policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert_eq!(answer.header("x-frame-options"), Some("DENY"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("same-origin"));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let html = page.get("/").body;
    assert!(!html.contains("style=") && !html.contains("onclick"), "nothing inline: {html}");
    for elsewhere in ["=\"http", "=\"//", "url("] {
        assert!(!html.contains(elsewhere), "nothing from elsewhere: {html}");
    }
}

#[test]
fn folders_are_paused_resumed_and_scanned() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    assert_eq!(
        page.act("/folders/sales/pause", ""),
        "folder `sales` is paused: nothing new is begun there"
    );
    house.drop_recording("talk.mp3");
    house.wait_until_waits("talk.mp3", "folder");
    let overview = page.get("/").body;
    assert!(overview.contains("paused: a person paused it"), "{overview}");
    assert!(overview.contains("action=\"/folders/sales/resume\""), "{overview}");
    assert_eq!(page.act("/folders/sales/resume", ""), "folder `sales` goes on");
    house.wait_for("talk.mp3", "done");
    assert!(page.act("/scan", "").contains("1 folder"), "scanned");
    let missing = page.post("/folders/none/pause", "");
    assert!(
        missing.code == 404 && missing.body.contains("there is no folder `none`"),
        "{missing:?}"
    );
}

#[test]
fn recordings_are_found_shown_retried_made_again_and_cancelled() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    house.standin.stall_analysis(true);
    for name in ["alpha.mp3", "beta.mp3"] {
        house.drop_recording(name);
        house.wait_until_waits(name, "analysis");
    }
    let listed = page.get("/jobs?q=ALPH&state=working&folder=sales").body;
    assert!(listed.contains("alpha.mp3") && !listed.contains("beta.mp3"), "{listed}");
    assert!(page.get("/jobs?q=gamma").body.contains("No recording matches."));
    assert!(page.get("/jobs?state=done").body.contains("No recording matches."));
    let id = &house.job("beta.mp3")["id"];
    assert!(page.get(&format!("/jobs/{id}")).body.contains("/cancel"));
    assert!(page.act(&format!("/jobs/{id}/cancel"), "").contains("cancelled"));
    assert_eq!(house.job("beta.mp3")["state"], "cancelled");
    assert!(page.act(&format!("/jobs/{id}/retry"), "").contains(&format!("job {id}")));
    house.standin.stall_analysis(false);
    house.wait_for("alpha.mp3", "done");
    house.wait_for("beta.mp3", "done");
    let shown = page.get(&format!("/jobs/{id}")).body;
    for part in ["beta.notes.md", "Transcript", "Story", "notes md: done", "Make it again"] {
        assert!(shown.contains(part), "`{part}` in {shown}");
    }
    assert!(page.act(&format!("/jobs/{id}/redo"), "").contains("a new meeting and new notes"));
    until("it is made again", || house.path("beta.notes.2.md").exists().then_some(()));
    assert_eq!(page.get("/jobs/999").code, 404);
    assert_eq!(page.post("/jobs/999/retry", "").code, 404);
    for path in ["/jobs/x", "/jobs/-1", "/jobs?before=x"] {
        assert!((400..500).contains(&page.get(path).code), "{path}");
    }
}

#[test]
fn names_and_words_of_recordings_are_text_on_every_page() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let names = [
        "<img src=x onerror=alert(1)>.mp3",
        "\"><script>alert(1)</script>.mp3".replace('/', "\u{2215}").leak(),
        "a\u{202e}3pm.exe.mp3",
        "{{7*7}}.mp3",
    ];
    for name in names {
        house.drop_recording(name);
    }
    house.wait_for_all(names.len(), "done");
    let pages = ["/", "/jobs", "/jobs?q=%3Cimg", "/jobs/1", "/jobs/2", "/jobs/3", "/jobs/4"];
    for path in pages {
        let html = page.get(path).body;
        assert!(!html.contains("<img") && !html.contains("<script>"), "{path}: {html}");
        assert!(!html.contains("\u{202e}") && !html.contains("49.mp3"), "{path}: {html}");
    }
    let listed = page.get("/jobs").body;
    assert!(listed.contains("&lt;img src=x onerror=alert(1)&gt;.mp3"), "{listed}");
}

#[test]
fn a_recording_that_is_dropped_onto_the_page_becomes_a_job_with_its_own_time() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let answer = page.upload("sales", "C:\\Users\\ann\\talk one.mp3", &recording("talk one.mp3"));
    assert_eq!(answer.code, 303, "{answer:?}");
    let job = house.wait_for("talk one.mp3", "done");
    assert_eq!(job["path"], house.path("talk one.mp3").to_str().expect("UTF-8"));
    let modified = fs::metadata(house.path("talk one.mp3")).expect("there").modified();
    assert_eq!(modified.expect("a time"), UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    let answer = page.upload("sales", "talk one.mp3", &recording("another.mp3"));
    assert_eq!(answer.code, 303, "{answer:?}");
    house.wait_for("talk one.2.mp3", "done");
}

#[test]
fn an_upload_that_is_no_recording_or_breaks_off_leaves_nothing() {
    let (house, port) = house_with_page("max_size = \"1MiB\"\n");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let sound = recording("talk.mp3");
    for (name, content, why) in [
        ("", &sound[..], "no file was chosen"),
        ("notes.txt", &sound, "is no recording that folder `sales` takes"),
        (".hidden.mp3", &sound, "is no name for a file"),
        ("..", &sound, "is no name for a file"),
        ("empty.mp3", b"", "is empty"),
        ("large.mp3", &vec![7; 1_100_000], "is larger than `max_size` = 1MiB"),
    ] {
        let answer = page.upload("sales", name, content);
        assert!(answer.code == 409 && answer.body.contains(why), "{name}: {answer:?}");
    }
    assert_eq!(page.upload("none", "talk.mp3", &sound).code, 404);
    let evil =
        [("cookie", page.cookie.as_str()), ("content-type", "multipart/form-data; boundary=XX")];
    let answer =
        page.ask("POST", "/folders/sales/recordings", &evil, &multipart("talk.mp3", &sound));
    assert_eq!(answer.code, 403);
    // Half of the body, then nothing more.
    let own = page.own_headers();
    let mut headers: Vec<(&str, &str)> =
        own.iter().map(|(name, value)| (*name, value.as_str())).collect();
    headers.push(("content-type", "multipart/form-data; boundary=XX"));
    let body = multipart("talk.mp3", &sound);
    let mut half =
        page.connect("POST", "/folders/sales/recordings", &headers, body.len()).expect("connected");
    half.write_all(&body[..body.len() / 2]).expect("sent");
    let hidden = || {
        let entries = fs::read_dir(house.folder())
            .expect("listed")
            .map(|entry| entry.expect("one").file_name());
        entries.filter(|name| name.to_string_lossy().starts_with(".minuted-")).count()
    };
    until("it is being written", || (hidden() == 1).then_some(()));
    drop(half);
    until("it is gone", || (hidden() == 0).then_some(()));
    assert_eq!(house.files(), Vec::<String>::new());
    assert_eq!(house.json(&["jobs"]), serde_json::json!([]));
}

#[test]
fn a_recording_is_sent_in_parts_and_no_link_is_followed() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let path = house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    let size = fs::metadata(&path).expect("there").len();
    let whole = page.get("/jobs/1/recording");
    assert_eq!((whole.code, whole.header("content-type")), (200, Some("audio/mpeg")));
    assert_eq!(whole.header("content-length"), Some(size.to_string().as_str()));
    let headers = [("cookie", page.cookie.as_str()), ("range", "bytes=2-5")];
    let part = page.ask("GET", "/jobs/1/recording", &headers, b"");
    assert_eq!((part.code, part.header("content-length")), (206, Some("4")));
    assert_eq!(part.header("content-range"), Some(format!("bytes 2-5/{size}").as_str()));
    assert_eq!(page.ask("GET", "/jobs/1/recording", &[], b"").code, 401);
    fs::rename(&path, house.dir.path().join("elsewhere")).expect("moved");
    symlink("/etc/passwd", &path).expect("linked");
    let answer = page.get("/jobs/1/recording");
    assert!(answer.code == 404 && !answer.body.contains("root:"), "{answer:?}");
}

#[test]
fn a_browser_is_told_of_changes_until_its_session_ends() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let mut stream =
        page.connect("GET", "/live", &[("cookie", &page.cookie)], 0).expect("connected");
    house.drop_recording("talk.mp3");
    let mut seen = String::new();
    let mut bytes = [0; 1024];
    while !seen.contains("event: change") {
        let count = stream.read(&mut bytes).expect("read");
        assert!(count > 0, "the stream ended: {seen}");
        seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
    }
    house.json(&["page", "--new-token"]);
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("it ends by itself");
}

#[test]
fn a_health_check_names_kinds_of_trouble_and_nothing_else() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    assert_eq!(page.ask("GET", "/healthz", &[], b"").body, r#"{"status":"ok","trouble":[]}"#);
    page.act("/folders/sales/pause", "");
    assert_eq!(page.ask("GET", "/healthz", &[], b"").code, 200, "a person paused it");
    page.act("/folders/sales/resume", "");
    house.standin.revoke_all();
    house.drop_recording("talk.mp3");
    house.wait_for_service("signed_out");
    let answer = page.ask("GET", "/healthz", &[], b"");
    assert_eq!(answer.code, 503);
    assert_eq!(answer.body, r#"{"status":"trouble","trouble":["service"]}"#);
    let overview = page.get("/").body;
    assert!(overview.contains("minuted login paxs"), "what to do: {overview}");
}

#[test]
fn a_port_that_is_taken_holds_up_nothing_and_is_told_once() {
    let (house, port) = house_with_page("");
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).expect("free");
    let _daemon = house.start();
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    house.assert_logged("ERROR", "the page cannot be served", 1);
    drop(taken);
    let page = Page::enter(&house, port);
    assert_eq!(page.get("/").code, 200);
}

#[test]
fn a_death_around_the_key_of_the_sessions_leaves_a_page_that_opens() {
    each(["SaveSecret:before", "SaveSecret:after"], |point| {
        let (house, port) = house_with_page("");
        let mut daemon = house.spawn(&[("MINUTED_DIE", point)]);
        let page = Page { house: &house, port, cookie: String::new() };
        until("the page is served", || page.try_ask("GET", "/healthz", &[], b""));
        let link = page.link();
        assert!(page.try_ask("GET", &link, &[], b"").is_none());
        until("it dies there", || daemon.was_killed().then_some(()));
        let _daemon = house.start();
        let page = Page::enter(&house, port);
        assert_eq!(page.get("/").code, 200);
        let left: Vec<_> = fs::read_dir(house.state_dir())
            .expect("listed")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name.to_string_lossy().starts_with(".page.key-"))
            .collect();
        until_told(|| format!("{left:?}"), || left.is_empty().then_some(()));
    });
}

#[test]
fn a_person_signs_in_on_the_page_and_recordings_go_on() {
    let (house, port) = house_with_page("");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    assert!(!page.get("/").body.contains("/sign-in"), "nobody needs to sign in");
    house.standin.revoke_all();
    house.drop_recording("talk.mp3");
    house.wait_for_service("signed_out");
    assert!(page.get("/").body.contains("action=\"/services/paxs/sign-in\""));
    let own = "/services/paxs/sign-in";
    assert!(page.get(own).body.contains("<button>Sign in</button>"));
    let begun = page.post(own, "");
    assert_eq!((begun.code, begun.header("location")), (303, Some(own)));
    let is_done = || page.get(own).body.contains("Signed in. Recordings go on.").then_some(());
    until("somebody has signed in", is_done);
    house.wait_for("talk.mp3", "done");
    let unknown = page.post("/services/none/sign-in", "");
    assert!(unknown.code == 404 && unknown.body.contains("the services are: paxs"), "{unknown:?}");
}

#[test]
fn settling_files_are_shown_with_their_reason_and_the_last_days_in_numbers() {
    let (house, port) = house_with_page("settle = \"1h\"\n");
    let _daemon = house.start();
    let page = Page::enter(&house, port);
    let empty = page.get("/").body;
    assert!(empty.contains("The last 30 days") && !empty.contains("<svg"), "{empty}");
    fs::write(house.path("evil <b>.mp3"), recording("evil.mp3")).expect("written");
    let shown = until("it settles", || {
        let shown = page.get("/").body;
        shown.contains("evil &lt;b&gt;.mp3: ").then_some(shown)
    });
    assert!(shown.contains("Settling files of sales"), "{shown}");
    assert!(!shown.contains("last recording"), "{shown}");
    page.upload("sales", "talk.mp3", &recording("talk.mp3"));
    house.wait_for("talk.mp3", "done");
    let shown = page.get("/").body;
    for part in
        ["<dt>notes made</dt><dd>1</dd>", "<svg", "1 recording of", "last recording ", "usual time"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

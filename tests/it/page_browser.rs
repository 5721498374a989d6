//! The page in a real browser. Skipped, with a message, where Chromium is not installed.

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    thread,
};

use serde_json::json;

use crate::support::{
    browser::Browser,
    house::{House, recording, until},
    page::{free_port, http_table},
};

/// A house with the page, its daemon, and a browser that is signed in.
struct Visit {
    browser: Browser,
    house: House,
    port: u16,
}

impl Visit {
    fn begin() -> Option<Self> {
        let browser = Browser::start()?;
        let (house, port) = (House::new(), free_port());
        house.configure_all("", "", &http_table(port));
        Some(Self { browser, house, port })
    }

    fn own(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Follows the link of `minuted page`.
    fn sign_in(&self) {
        let link = self.house.json(&["page"])["link"].as_str().expect("a link").to_owned();
        self.browser.go(&link);
        self.browser.wait_for_text("h1", "Overview");
    }

    fn go(&self, path: &str) {
        self.browser.go(&self.own(path));
    }

    /// Clicks, and waits for the message that says what became of it.
    fn act(&self, selector: &str, message: &str) {
        self.browser.find(selector).click();
        self.browser.wait_for_text("[role=status]", message);
    }

    /// Opens the page of a recording.
    fn open_job(&self, name: &str) {
        let id = self.house.job(name)["id"].to_string();
        self.go(&format!("/jobs/{id}"));
    }
}

#[test]
fn everything_a_person_does_is_done_in_the_browser() {
    let Some(visit) = Visit::begin() else { return };
    let (browser, house) = (&visit.browser, &visit.house);
    let _daemon = house.start();
    visit.sign_in();
    // A recording is dropped, and shows up without a reload.
    let outside = house.dir.path().join("board meeting.mp3");
    fs::write(&outside, recording("board meeting.mp3")).expect("written");
    browser.find("form.drop input[type=file]").type_text(outside.to_str().expect("UTF-8"));
    visit.act("form.drop button", "board meeting.mp3: queued as job 1");
    house.wait_for("board meeting.mp3", "done");
    browser.wait_for_text("#folders", "done1");
    // It is found, opened, listened to from a line.
    visit.go("/jobs");
    browser.find("input[name=q]").type_text("board");
    browser.find("form.search button").click();
    browser.find("#jobs tbody a").click();
    browser.wait_for_text("#state", "done");
    browser.wait_for_text("#notes", "Decisions");
    let lines = "return document.querySelectorAll('.transcript .at').length";
    assert!(browser.run(lines, &json!([])).as_u64() > Some(1));
    browser.find(".transcript p:nth-child(2) .at").click();
    // The recording is shorter than the transcript says: the player goes to its end.
    let sought = "return document.getElementById('player').currentTime";
    until("the player goes there", || {
        (browser.run(sought, &json!([])).as_f64()? > 0.0).then_some(())
    });
    // A speaker gets a name.
    let field = browser.find("form.speaker input[name=name]");
    field.clear();
    field.type_text("Ann <Lee>");
    visit.act("form.speaker button", "is Ann <Lee>");
    until("the notes have the name", || {
        let notes = fs::read_to_string(house.path("board meeting.notes.md")).ok()?;
        notes.contains("Ann").then_some(())
    });
    // It is made again.
    visit.open_job("board meeting.mp3");
    browser.find("#actions summary").click();
    visit.act("#actions details button", "a new meeting and new notes");
    until("it is made again", || house.path("board meeting.notes.2.md").exists().then_some(()));
    // The folder is paused; one that waits is cancelled and taken up again.
    visit.go("/");
    visit.act("form[action='/folders/sales/pause'] button", "is paused");
    house.drop_recording("second.mp3");
    house.wait_until_waits("second.mp3", "folder");
    visit.open_job("second.mp3");
    browser.find("#actions summary").click();
    visit.act("#actions details button", "cancelled");
    visit.act("#actions form[action$='/retry'] button", "job");
    visit.go("/");
    visit.act("form[action='/folders/sales/resume'] button", "goes on");
    house.wait_for("second.mp3", "done");
    visit.act("form[action='/scan'] button", "1 folder");
    // And out.
    browser.find("form.leave button").click();
    browser.wait_for_text("h1", "Signed out");
    visit.go("/jobs");
    browser.wait_for_text("h1", "Signed out");
}

#[test]
fn what_needs_a_person_is_settled_in_the_browser() {
    let Some(visit) = Visit::begin() else { return };
    let (browser, house) = (&visit.browser, &visit.house);
    house.configure_all("", r#"backlog = "ask""#, &http_table(visit.port));
    let evil = "<img src=x onerror=\"document.title='evil'\">.mp3";
    house.drop_recording(evil);
    // So many that minuted asks.
    (0..20).for_each(|number| drop(house.drop_recording(&format!("{number}.mp3"))));
    let _daemon = house.start();
    visit.sign_in();
    // Somebody decides about what was there before.
    browser.wait_for_text("#attention", "old recordings");
    visit.act("#attention button[name=process][value=true]", "are queued");
    house.wait_for_all(21, "done");
    visit.open_job(evil);
    browser.wait_for_text("h1", "<img src=x");
    assert_eq!(browser.run("return document.images.length", &json!([])), 0);
    assert_ne!(browser.run("return document.title", &json!([])), "evil");
    // The service wants a sign-in, which its own page would ask for: here it approves at once.
    house.standin.revoke_all();
    house.drop_recording("talk.mp3");
    house.wait_for_service("signed_out");
    visit.go("/");
    browser.find("#attention form[action='/services/paxs/sign-in'] button").click();
    browser.wait_for_text("#sign-in", "Signed in. Recordings go on.");
    house.wait_for("talk.mp3", "done");
    visit.go("/");
    browser.wait_for_text("#attention", "Nothing needs attention.");
}

#[test]
fn without_script_the_page_does_the_same() {
    let Some(visit) = Visit::begin() else { return };
    let (browser, house) = (&visit.browser, &visit.house);
    let _daemon = house.start();
    visit.sign_in();
    browser.allow_script(false);
    visit.go("/");
    let outside = house.dir.path().join("talk.mp3");
    fs::write(&outside, recording("talk.mp3")).expect("written");
    browser.find("form.drop input[type=file]").type_text(outside.to_str().expect("UTF-8"));
    browser.find("form.drop button").click();
    let job = house.wait_for("talk.mp3", "done");
    browser.find("[role=status]");
    visit.go(&format!("/jobs/{}", job["id"]));
    browser.find(".transcript .at[href$='#t=0.0']");
    browser.find("audio[controls]");
    visit.go("/");
    browser.find("form[action='/folders/sales/pause'] button").click();
    browser.find("form[action='/folders/sales/resume'] button");
}

#[test]
fn what_happens_shows_without_a_reload_and_so_does_a_daemon_that_went_away() {
    let Some(visit) = Visit::begin() else { return };
    let (browser, house) = (&visit.browser, &visit.house);
    let daemon = house.start();
    visit.sign_in();
    browser.run("window.isLoadedOnce = true", &json!([]));
    house.drop_recording("talk.mp3");
    house.wait_for("talk.mp3", "done");
    browser.wait_for_text("#folders", "done1");
    daemon.kill();
    until("the browser notices", || {
        browser.run("return 'lost' in document.body.dataset", &json!([])).as_bool()?.then_some(())
    });
    let _daemon = house.start();
    until("the browser is back", || {
        (!browser.run("return 'lost' in document.body.dataset", &json!([])).as_bool()?)
            .then_some(())
    });
    house.drop_recording("second.mp3");
    house.wait_for("second.mp3", "done");
    browser.wait_for_text("#folders", "done2");
    assert_eq!(browser.run("return window.isLoadedOnce", &json!([])), true, "never loaded again");
    house.json(&["page", "--new-token"]);
    house.drop_recording("third.mp3");
    browser.wait_for_text("h1", "Signed out");
}

#[test]
fn another_page_in_the_same_browser_reads_and_changes_nothing() {
    let Some(visit) = Visit::begin() else { return };
    let (browser, house) = (&visit.browser, &visit.house);
    let _daemon = house.start();
    visit.sign_in();
    let page = visit.own("");
    let html = format!(
        "<!doctype html><title>evil</title><body><iframe src='{page}/'></iframe>\
         <form id=f method=post action='{page}/folders/sales/pause'></form></body>"
    );
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: text/html\r\ncontent-length: ";
            drop(stream.write_all(format!("{head}{}\r\n\r\n{html}", html.len()).as_bytes()));
        }
    });
    // The same host, another port: the cookie goes along, the origin does not match.
    browser.go(&format!("http://127.0.0.1:{port}/"));
    let read = "const done = fetch(arguments[0], { credentials: 'include' }).then(a => a.text(), () => 'refused'); return done";
    assert_eq!(browser.run(read, &json!([visit.own("/")])), "refused");
    let change = "return fetch(arguments[0], { method: 'POST', credentials: 'include', mode: 'no-cors' }).then(() => 'sent', () => 'refused')";
    browser.run(change, &json!([visit.own("/folders/sales/pause")]));
    browser.run("document.getElementById('f').submit()", &json!([]));
    browser.wait_for_text("body", "does not come from the page itself");
    assert_eq!(house.json(&["status"])["folders"][0]["trouble"], json!(null), "nothing was paused");
    let name = "<img src=x onerror=window.ran=1>.mp3";
    house.drop_recording(name);
    house.wait_for(name, "done");
    for path in ["/", "/jobs", "/jobs/1"] {
        visit.go(path);
        browser.find("main");
        assert_eq!(browser.run("return window.ran === undefined", &json!([])), true, "{path}");
    }
    visit.go("/jobs");
    browser.wait_for_text("#jobs", name);
}

/// What a person who does not see, or uses no mouse, needs of a page; returns what is missing.
const ACCESSIBILITY: &str = r"
    const faults = [];
    const fault = (what, element) => faults.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
    if (!document.documentElement.lang) faults.push('no language');
    if (!document.title.trim()) faults.push('no title');
    if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
    if (document.querySelectorAll('main').length !== 1) faults.push('not one main');
    let level = 1;
    for (const heading of document.querySelectorAll('h1,h2,h3,h4')) {
      const own = Number(heading.tagName[1]);
      if (own > level + 1) fault('a level is skipped', heading);
      level = own;
    }
    const name = e => (e.getAttribute('aria-label') || e.textContent || '').trim();
    for (const e of document.querySelectorAll('a,button,summary')) if (!name(e)) fault('no name', e);
    for (const e of document.querySelectorAll('input:not([type=hidden]),select,textarea'))
      if (!e.labels.length && !e.getAttribute('aria-label')) fault('no label', e);
    for (const e of document.querySelectorAll('progress')) if (!e.getAttribute('aria-label')) fault('no label', e);
    for (const e of document.querySelectorAll('th')) if (!e.scope) fault('no scope', e);
    for (const e of document.querySelectorAll('[aria-labelledby]'))
      if (e.textContent.trim() && !document.getElementById(e.getAttribute('aria-labelledby'))) fault('no such label', e);
    const ids = [...document.querySelectorAll('[id]')].map(e => e.id);
    ids.filter((id, at) => ids.indexOf(id) !== at).forEach(id => faults.push(`twice: ${id}`));
    for (const e of document.querySelectorAll('[tabindex]')) if (e.tabIndex > 0) fault('an order of its own', e);
    const light = color => {
      const [r, g, b] = color.match(/[\d.]+/g).slice(0, 3).map(v => v / 255)
        .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const back = e => {
      for (; e; e = e.parentElement) {
        const color = getComputedStyle(e).backgroundColor;
        if (!/, 0\)$/.test(color) && color !== 'transparent') return color;
      }
      return 'rgb(255, 255, 255)';
    };
    for (const e of document.querySelectorAll('p,a,button,h1,h2,h3,li,td,th,dt,dd,span,code,label,summary')) {
      if (!e.textContent.trim() || !e.getClientRects().length || e.matches('.skip')) continue;
      const [one, two] = [light(getComputedStyle(e).color), light(back(e))].sort((a, b) => b - a);
      if ((one + 0.05) / (two + 0.05) < 4.5) fault('little contrast', e);
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push(`wider than the window: ${document.documentElement.scrollWidth}`);
    return faults;
";

#[test]
fn every_page_is_fit_for_all_in_both_colours_wide_and_narrow() {
    let Some(visit) = Visit::begin() else { return };
    let (browser, house) = (&visit.browser, &visit.house);
    let _daemon = house.start();
    house.drop_recording("Weekly sales 2026-11-22 10.00.mp3");
    house.drop_recording(&format!("{}.mp3", "a name without a space ".replace(' ', "_").repeat(5)));
    house.wait_for_all(2, "done");
    house.standin.revoke_all();
    house.drop_recording("Planning.mp3");
    house.wait_for_service("signed_out");
    visit.sign_in();
    // Pictures for the documentation, where somebody asks for them.
    let pictures = std::env::vars_os().find(|(name, _)| name == "MINUTED_TEST_PICTURES");
    for scheme in ["light", "dark"] {
        for width in [1100, 360] {
            browser.prefer(scheme);
            browser.resize(width, 1000);
            for path in ["/", "/jobs", "/jobs/1", "/jobs/2", "/jobs/999"] {
                visit.go(path);
                let faults = browser.run(ACCESSIBILITY, &json!([]));
                assert_eq!(faults, json!([]), "{path} at {width}, {scheme}");
                if let Some((_, directory)) = &pictures {
                    let name = format!("page{}-{width}-{scheme}.png", path.replace('/', "-"));
                    browser.save_picture(&Path::new(directory).join(name));
                }
            }
        }
    }
}

#[test]
fn the_page_is_used_with_the_keyboard_alone() {
    let Some(visit) = Visit::begin() else { return };
    let (browser, house) = (&visit.browser, &visit.house);
    let _daemon = house.start();
    visit.sign_in();
    visit.go("/");
    // Tab reaches the first link, and each control that a mouse reaches.
    let reached = r"
        const wanted = [...document.querySelectorAll('a,button,input:not([type=hidden]),select,summary')]
          .filter(e => e.getClientRects().length);
        return wanted.filter(e => { e.focus(); return document.activeElement !== e; }).map(e => e.outerHTML);
    ";
    assert_eq!(browser.run(reached, &json!([])), json!([]));
    browser.find("form[action='/folders/sales/pause'] button").type_text("\u{E007}");
    browser.wait_for_text("[role=status]", "is paused");
    assert_eq!(browser.address().split('?').next(), Some(visit.own("/").as_str()));
}

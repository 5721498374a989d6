//! A real browser: Chromium, driven through its chromedriver by the protocol `WebDriver` of the W3C.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{house::until, page::free_port, sound::program};

/// The key under which an element is named (W3C, `WebDriver`, 12.2).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    profile: tempfile::TempDir,
}

/// An element of the page that is shown.
pub(crate) struct Element<'b> {
    browser: &'b Browser,
    id: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        drop(self.call("DELETE", "", &Value::Null));
        drop(self.driver.kill());
        drop(self.driver.wait());
    }
}

impl Browser {
    /// Starts a browser, or says that the test is skipped. With `MINUTED_REQUIRE_BROWSER` it fails instead.
    pub(crate) fn start() -> Option<Self> {
        let found = program("chromedriver").zip(program("chromium"));
        if found.is_none() {
            let is_required =
                std::env::vars_os().any(|(name, _)| name == "MINUTED_REQUIRE_BROWSER");
            assert!(
                !is_required,
                "the browser is required: apt-get install chromium chromium-driver"
            );
        }
        let (driver, chromium) = found?;
        let profile = tempfile::tempdir().expect("a directory");
        let port = free_port();
        let driver = Command::new(driver)
            .arg(format!("--port={port}"))
            .env("HOME", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut browser = Self { driver, port, session: String::new(), profile };
        until("the driver answers", || browser.request("GET", "/status", &Value::Null).ok());
        let data = browser.profile.path().join("data");
        let arguments = [
            "--headless=new".to_owned(),
            "--no-sandbox".to_owned(),
            "--disable-gpu".to_owned(),
            "--disable-dev-shm-usage".to_owned(),
            "--autoplay-policy=no-user-gesture-required".to_owned(),
            "--window-size=1100,1000".to_owned(),
            format!("--user-data-dir={}", data.display()),
        ];
        let options = json!({ "args": arguments, "binary": chromium });
        let wanted =
            json!({ "capabilities": { "alwaysMatch": { "goog:chromeOptions": options } } });
        let made = browser.request("POST", "/session", &wanted).expect("a session");
        made["sessionId"].as_str().expect("an id").clone_into(&mut browser.session);
        Some(browser)
    }

    pub(crate) fn go(&self, address: &str) {
        self.call("POST", "/url", &json!({ "url": address })).expect("loaded");
    }

    pub(crate) fn address(&self) -> String {
        self.call("GET", "/url", &Value::Null).expect("shown").as_str().expect("a text").to_owned()
    }

    /// Waits for an element.
    pub(crate) fn find(&self, selector: &str) -> Element<'_> {
        until(selector, || self.find_now(selector))
    }

    /// Returns an element, if it is there.
    pub(crate) fn find_now(&self, selector: &str) -> Option<Element<'_>> {
        let wanted = json!({ "using": "css selector", "value": selector });
        let found = self.call("POST", "/element", &wanted).ok()?;
        Some(Element { browser: self, id: found[ELEMENT].as_str()?.to_owned() })
    }

    /// Waits until an element shows a text.
    pub(crate) fn wait_for_text(&self, selector: &str, text: &str) {
        until(&format!("`{text}` in {selector}"), || {
            let shown = self.run(
                "return document.querySelector(arguments[0])?.textContent ?? ''",
                &json!([selector]),
            );
            shown.as_str()?.contains(text).then_some(())
        });
    }

    /// Runs script in the page and returns what it returns.
    pub(crate) fn run(&self, script: &str, arguments: &Value) -> Value {
        let call = json!({ "script": script, "args": arguments });
        self.call("POST", "/execute/sync", &call).expect("it runs")
    }

    /// Makes the window as wide, and as tall.
    pub(crate) fn resize(&self, width: u32, height: u32) {
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Has the page see that a person prefers dark.
    pub(crate) fn prefer(&self, scheme: &str) {
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Turns script on or off.
    pub(crate) fn allow_script(&self, allowed: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": !allowed }));
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        let call = json!({ "cmd": command, "params": parameters });
        self.call("POST", "/goog/cdp/execute", &call).expect("done");
    }

    /// Writes a picture of the window.
    pub(crate) fn save_picture(&self, file: &Path) {
        let picture = self.call("GET", "/screenshot", &Value::Null).expect("a picture");
        let bytes = STANDARD.decode(picture.as_str().expect("a text")).expect("base64");
        std::fs::write(file, bytes).expect("written");
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        self.request(method, &format!("/session/{}{path}", self.session), body)
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> Result<Value, String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .map_err(|error| error.to_string())?;
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).map_err(|error| error.to_string())?;
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).map_err(|error| error.to_string())?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().map_err(|_| "no length")?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).map_err(|error| error.to_string())?;
        let value: Value = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        match value["value"].get("error") {
            Some(error) => Err(format!("{error}: {}", value["value"]["message"])),
            None => Ok(value["value"].clone()),
        }
    }
}

impl Element<'_> {
    pub(crate) fn click(&self) {
        self.call("/click", &json!({})).expect("clicked");
    }

    /// Types a text; for a field of files it is the path of one.
    pub(crate) fn type_text(&self, text: &str) {
        self.call("/value", &json!({ "text": text })).expect("typed");
    }

    pub(crate) fn clear(&self) {
        self.call("/clear", &json!({})).expect("cleared");
    }

    fn call(&self, path: &str, body: &Value) -> Result<Value, String> {
        self.browser.call("POST", &format!("/element/{}{path}", self.id), body)
    }
}

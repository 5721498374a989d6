//! The page as a browser without script sees it: requests over HTTP, one connection each.

use std::{
    fmt::Write as _,
    io::{Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
};

use super::house::{House, until};

/// A house whose daemon serves the page.
pub(crate) struct Page<'h> {
    pub(crate) house: &'h House,
    pub(crate) port: u16,
    /// The session.
    pub(crate) cookie: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct PageAnswer {
    pub(crate) code: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl PageAnswer {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find_map(|(key, value)| key.eq_ignore_ascii_case(name).then_some(value))
    }
}

/// A port that is free now.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// The table of the configuration that serves the page.
pub(crate) fn http_table(port: u16) -> String {
    format!("[http]\nlisten = \"127.0.0.1:{port}\"\n")
}

impl<'h> Page<'h> {
    /// Waits until the page is served, and signs in.
    pub(crate) fn enter(house: &'h House, port: u16) -> Self {
        let mut page = Self { house, port, cookie: String::new() };
        until("the page is served", || page.try_ask("GET", "/healthz", &[], b""));
        page.sign_in();
        page
    }

    /// Follows a new link.
    pub(crate) fn sign_in(&mut self) {
        let answer = self.ask("GET", &self.link(), &[], b"");
        assert_eq!(answer.code, 200, "{answer:?}");
        let cookie = answer.header("set-cookie").expect("a cookie");
        cookie.split(';').next().expect("a pair").clone_into(&mut self.cookie);
    }

    /// A new link, without scheme and host.
    pub(crate) fn link(&self) -> String {
        let link = self.house.json(&["page"])["link"].as_str().expect("a link").to_owned();
        let start = format!("http://127.0.0.1:{}", self.port);
        link.strip_prefix(&start).expect("the page's own address").to_owned()
    }

    /// The headers of a page of ours.
    pub(crate) fn own_headers(&self) -> [(&'static str, String); 2] {
        [("cookie", self.cookie.clone()), ("origin", format!("http://127.0.0.1:{}", self.port))]
    }

    pub(crate) fn get(&self, path: &str) -> PageAnswer {
        self.ask("GET", path, &[("cookie", &self.cookie)], b"")
    }

    /// Sends a form as the page does.
    pub(crate) fn post(&self, path: &str, form: &str) -> PageAnswer {
        let own = self.own_headers();
        let mut headers: Vec<(&str, &str)> =
            own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("content-type", "application/x-www-form-urlencoded"));
        self.ask("POST", path, &headers, form.as_bytes())
    }

    /// Sends a form and follows where it leads; returns the message that is shown.
    pub(crate) fn act(&self, path: &str, form: &str) -> String {
        let answer = self.post(path, form);
        assert_eq!(answer.code, 303, "{answer:?}");
        let shown = self.get(answer.header("location").expect("a place"));
        let message = shown.body.split_once("role=\"status\">").expect("a message").1;
        message.split('<').next().expect("a text").to_owned()
    }

    /// Adds a file to a folder as a form does.
    pub(crate) fn upload(&self, folder: &str, name: &str, content: &[u8]) -> PageAnswer {
        let own = self.own_headers();
        let mut headers: Vec<(&str, &str)> =
            own.iter().map(|(name, value)| (*name, value.as_str())).collect();
        headers.push(("content-type", "multipart/form-data; boundary=XX"));
        self.ask(
            "POST",
            &format!("/folders/{folder}/recordings"),
            &headers,
            &multipart(name, content),
        )
    }

    pub(crate) fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> PageAnswer {
        self.try_ask(method, path, headers, body).expect("an answer")
    }

    /// Makes a request; `None` where nobody answers.
    pub(crate) fn try_ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<PageAnswer> {
        let mut stream = self.connect(method, path, headers, body.len())?;
        // Whoever refuses a body may close before it was read.
        drop(stream.write_all(body));
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let code = head.split(' ').nth(1)?.parse().ok()?;
        Some(PageAnswer { code, head: head.to_owned(), body: body.to_owned() })
    }

    /// Sends the head of a request.
    pub(crate) fn connect(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        length: usize,
    ) -> Option<TcpStream> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).ok()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "host") {
            write!(head, "host: 127.0.0.1:{}\r\n", self.port).expect("a string takes all");
        }
        if method == "POST" {
            write!(head, "content-length: {length}\r\n").expect("a string takes all");
        }
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").expect("a string takes all");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        Some(stream)
    }
}

/// A form with one file, as browsers send it; a quote in the name is escaped as they do.
pub(crate) fn multipart(name: &str, content: &[u8]) -> Vec<u8> {
    let name = name.replace('"', "%22");
    let mut body =
        b"--XX\r\ncontent-disposition: form-data; name=\"modified\"\r\n\r\n1700000000000\r\n"
            .to_vec();
    body.extend_from_slice(
        format!("--XX\r\ncontent-disposition: form-data; name=\"recording\"; filename=\"{name}\"\r\n\r\n").as_bytes(),
    );
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--XX--\r\n");
    body
}

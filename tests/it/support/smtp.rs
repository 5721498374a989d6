//! A mail server with state: it speaks SMTP on loopback, keeps what it is given, and fails where it is told to.
//!
//! It is strict where real servers are lenient: a bare line feed, a line that is too long, a dot that is not stuffed or
//! a byte beyond ASCII is noted as a fault of the client. It runs on threads of its own, so that a test may drive the
//! library as well as the binary against it.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// A step of the conversation at which the server can be told to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Greeting,
    Hello,
    Auth,
    Sender,
    Recipient,
    Data,
    Content,
}

impl Step {
    pub(crate) const ALL: [Self; 7] = [
        Self::Greeting,
        Self::Hello,
        Self::Auth,
        Self::Sender,
        Self::Recipient,
        Self::Data,
        Self::Content,
    ];
}

/// A mail as it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Header and body, dots unstuffed, line ends as they were sent.
    pub(crate) raw: Vec<u8>,
}

/// What happens at a step instead of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    /// This answer.
    Answer(String),
    /// No answer at all, for as long as the client waits.
    Silence,
    /// The step is carried out, and the connection closed without a word.
    Lost,
}

#[derive(Debug, Default)]
struct State {
    received: Vec<Received>,
    faults: Vec<String>,
    conversations: usize,
    login: Option<(String, String)>,
    refused: Vec<(String, u16)>,
    troubles: Vec<(Step, Trouble)>,
    /// Answers that a step gets each time.
    refusing: Vec<(Step, String)>,
    /// A mail that holds this text is refused so.
    refused_text: Option<(String, String)>,
    size: Option<SizeLimit>,
    down: bool,
}

/// The largest mail that a server takes.
#[derive(Debug, Clone, Copy)]
struct SizeLimit {
    bytes: usize,
    /// Whether it tells.
    is_told: bool,
}

/// What is told of a mail that is too large.
const TOO_LARGE: &str = "552 5.3.4 message too big";

/// The server; it ends with this value.
#[derive(Debug)]
pub(crate) struct SmtpServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

impl SmtpServer {
    /// Starts a server that takes every mail.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (state, stopped) = (Arc::new(Mutex::default()), Arc::new(AtomicBool::new(false)));
        let server = Self { address, state: Arc::clone(&state), stopped: Arc::clone(&stopped) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&state);
                thread::spawn(move || Conversation::hold(stream, &state));
            }
        });
        server
    }

    /// Where it listens, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// The mails taken so far.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// What the client did against the protocol.
    pub(crate) fn faults(&self) -> Vec<String> {
        self.state().faults.clone()
    }

    /// How often someone connected.
    pub(crate) fn conversations(&self) -> usize {
        self.state().conversations
    }

    /// Asks for a sign-in from now on.
    pub(crate) fn require_login(&self, username: &str, password: &str) {
        self.state().login = Some((username.to_owned(), password.to_owned()));
    }

    /// Answers this recipient with `code` from now on.
    pub(crate) fn refuse_recipient(&self, address: &str, code: u16) {
        self.state().refused.push((address.to_owned(), code));
    }

    /// Takes mail for this recipient again.
    pub(crate) fn accept_recipient(&self, address: &str) {
        self.state().refused.retain(|(refused, _)| refused != address);
    }

    /// Fails the next mail at its beginning.
    pub(crate) fn fail_next(&self, code: u16) {
        self.fail_next_at(Step::Sender, code, "not now");
    }

    /// Fails the next time that step is reached.
    pub(crate) fn fail_next_at(&self, step: Step, code: u16, text: &str) {
        self.state().troubles.push((step, Trouble::Answer(format!("{code} {text}"))));
    }

    /// Gives that step this answer, each time until [`Self::accept_at`].
    pub(crate) fn refuse_at(&self, step: Step, answer: &str) {
        self.state().refusing.push((step, answer.to_owned()));
    }

    /// Takes that step again.
    pub(crate) fn accept_at(&self, step: Step) {
        self.state().refusing.retain(|(refused, _)| *refused != step);
    }

    /// Refuses every mail in whose bytes this text stands.
    pub(crate) fn refuse_text(&self, text: &str, answer: &str) {
        self.state().refused_text = Some((text.to_owned(), answer.to_owned()));
    }

    /// Takes no mail above so many bytes, and tells so at EHLO or not before it has read it.
    pub(crate) fn limit_size(&self, bytes: usize, is_told: bool) {
        self.state().size = Some(SizeLimit { bytes, is_told });
    }

    /// Does not answer the next time that step is reached, until the client goes away.
    pub(crate) fn silent_next_at(&self, step: Step) {
        self.state().troubles.push((step, Trouble::Silence));
    }

    /// Does the next such step, and closes the connection instead of saying so.
    pub(crate) fn lose_next_answer_at(&self, step: Step) {
        self.state().troubles.push((step, Trouble::Lost));
    }

    /// Closes every connection at once, or no longer.
    pub(crate) fn down(&self, down: bool) {
        self.state().down = down;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no conversation panics")
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the listener, which then sees that it is to stop.
        drop(TcpStream::connect(self.address));
    }
}

/// A client that says nothing for so long is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// RFC 5321 § 4.5.3.1: a command line has 512 bytes at most, a line of text 1,000.
const COMMAND_BYTES: usize = 512;
const TEXT_BYTES: usize = 1000;

/// Why a conversation ends: the client left, or was left.
struct Over;

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Self {
        Self
    }
}

struct Conversation<'a> {
    reader: BufReader<TcpStream>,
    state: &'a Mutex<State>,
    signed_in: bool,
    from: Option<String>,
    to: Vec<String>,
}

impl<'a> Conversation<'a> {
    fn hold(stream: TcpStream, state: &'a Mutex<State>) {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a timeout");
        let reader = BufReader::new(stream);
        let mut conversation = Self { reader, state, signed_in: false, from: None, to: Vec::new() };
        // However it ends: what counts is in the state.
        drop(conversation.run());
    }

    fn state(&self) -> MutexGuard<'a, State> {
        self.state.lock().expect("no conversation panics")
    }

    fn run(&mut self) -> Result<(), Over> {
        self.state().conversations += 1;
        if self.state().down {
            return Ok(());
        }
        self.answer(Step::Greeting, "220 mail.test ready")?;
        loop {
            let line = self.line(COMMAND_BYTES)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let (verb, argument) = line.split_once(' ').unwrap_or((&line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.hello()?,
                "AUTH" => self.auth(argument)?,
                "MAIL" => self.sender(argument)?,
                "RCPT" => self.recipient(argument)?,
                "DATA" => self.data()?,
                "RSET" => {
                    self.forget();
                    self.say("250 reset")?;
                }
                "NOOP" => self.say("250 fine")?,
                "QUIT" => return self.say("221 bye"),
                _ => self.say("500 what?")?,
            }
        }
    }

    fn hello(&mut self) -> Result<(), Over> {
        let auth = if self.state().login.is_some() { "250-AUTH PLAIN LOGIN\r\n" } else { "" };
        let size = match self.state().size {
            Some(SizeLimit { bytes, is_told: true }) => format!("250 SIZE {bytes}"),
            Some(SizeLimit { is_told: false, .. }) => "250 HELP".to_owned(),
            None => "250 SIZE 50000000".to_owned(),
        };
        self.answer(Step::Hello, &format!("250-mail.test\r\n{auth}{size}")).map(drop)
    }

    fn auth(&mut self, argument: &str) -> Result<(), Over> {
        let (mechanism, initial) = argument.split_once(' ').unwrap_or((argument, ""));
        let given = match mechanism.to_ascii_uppercase().as_str() {
            "PLAIN" => {
                let plain = if initial.is_empty() { self.ask("334 ")? } else { decoded(initial) };
                let mut parts = plain.splitn(3, '\0').skip(1).map(str::to_owned);
                (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
            }
            "LOGIN" => (self.ask("334 VXNlcm5hbWU6")?, self.ask("334 UGFzc3dvcmQ6")?),
            _ => return self.say("504 unknown mechanism"),
        };
        let right = self.state().login.as_ref() == Some(&given);
        let answer = if right { "235 welcome" } else { "535 5.7.8 wrong name or password" };
        self.signed_in = self.answer(Step::Auth, answer)? && right;
        Ok(())
    }

    fn ask(&mut self, question: &str) -> Result<String, Over> {
        self.say(question)?;
        let line = self.line(COMMAND_BYTES)?;
        Ok(decoded(&String::from_utf8_lossy(&line)))
    }

    fn sender(&mut self, argument: &str) -> Result<(), Over> {
        if self.state().login.is_some() && !self.signed_in {
            return self.say("530 5.7.0 sign in first");
        }
        self.forget();
        let told = argument
            .split_whitespace()
            .find_map(|word| word.strip_prefix("SIZE=")?.parse::<usize>().ok());
        let size = self.state().size;
        match (size, told) {
            (Some(SizeLimit { is_told: true, .. }) | None, None) => {
                self.note("no SIZE, though it was asked for");
            }
            (Some(SizeLimit { is_told: false, .. }), Some(_)) => {
                self.note("a SIZE that nobody asked for");
            }
            (Some(SizeLimit { bytes, .. }), Some(told)) if told > bytes => {
                return self.say(TOO_LARGE);
            }
            (_, _) => {}
        }
        if self.answer(Step::Sender, "250 sender taken")? {
            self.from = Some(in_brackets(argument));
        }
        Ok(())
    }

    fn recipient(&mut self, argument: &str) -> Result<(), Over> {
        let to = in_brackets(argument);
        let refused =
            self.state().refused.iter().find(|(address, _)| *address == to).map(|(_, code)| *code);
        if let Some(code) = refused {
            return self.say(&format!("{code} no such person"));
        }
        if self.answer(Step::Recipient, "250 recipient taken")? {
            self.to.push(to);
        }
        Ok(())
    }

    fn data(&mut self) -> Result<(), Over> {
        let Some(from) = self.from.clone().filter(|_| !self.to.is_empty()) else {
            self.note("DATA before MAIL and RCPT");
            return self.say("503 not yet");
        };
        if !self.answer(Step::Data, "354 go on")? {
            return Ok(());
        }
        let raw = self.content()?;
        let has = |text: &str| String::from_utf8_lossy(&raw).contains(text);
        let too_large = self.state().size.is_some_and(|size| raw.len() > size.bytes);
        let refused = self
            .state()
            .refused_text
            .clone()
            .filter(|(text, _)| has(text))
            .map(|(_, answer)| answer);
        if let Some(answer) = refused.or_else(|| too_large.then(|| TOO_LARGE.to_owned())) {
            self.forget();
            return self.say(&answer);
        }
        let refused = self.trouble(Step::Content);
        if !matches!(refused, Some(Trouble::Answer(_) | Trouble::Silence)) {
            let to = std::mem::take(&mut self.to);
            self.state().received.push(Received { from, to, raw });
        }
        self.forget();
        self.answer_with(refused, "250 taken").map(drop)
    }

    /// The mail up to its single dot.
    fn content(&mut self) -> Result<Vec<u8>, Over> {
        let mut raw = Vec::new();
        loop {
            let line = self.line(TEXT_BYTES)?;
            if line == b"." {
                return Ok(raw);
            }
            if !line.is_ascii() {
                self.note("a byte beyond ASCII, which was not agreed on");
            }
            let unstuffed = line.strip_prefix(b".").unwrap_or(&line);
            if unstuffed.len() < line.len() && !unstuffed.starts_with(b".") {
                self.note("a line begins with a dot that was not doubled");
            }
            raw.extend_from_slice(unstuffed);
            raw.extend_from_slice(b"\r\n");
        }
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    /// Reads a line without its end.
    fn line(&mut self, bytes_max: usize) -> Result<Vec<u8>, Over> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line)?;
        if line.len() > bytes_max {
            self.note("a line is too long");
        }
        let Some(text) = line.strip_suffix(b"\n") else { return Err(Over) };
        let text = text.strip_suffix(b"\r").unwrap_or_else(|| {
            self.note("a bare line feed");
            text
        });
        if text.contains(&b'\r') {
            self.note("a bare carriage return");
        }
        Ok(text.to_vec())
    }

    fn note(&self, fault: &str) {
        self.state().faults.push(fault.to_owned());
    }

    fn trouble(&self, step: Step) -> Option<Trouble> {
        let mut state = self.state();
        if let Some(at) = state.troubles.iter().position(|(planned, _)| *planned == step) {
            return Some(state.troubles.remove(at).1);
        }
        let refused = state.refusing.iter().find(|(refused, _)| *refused == step);
        refused.map(|(_, answer)| Trouble::Answer(answer.clone()))
    }

    /// Answers, and returns whether it was the usual answer.
    fn answer(&mut self, step: Step, usual: &str) -> Result<bool, Over> {
        let trouble = self.trouble(step);
        self.answer_with(trouble, usual)
    }

    fn answer_with(&mut self, trouble: Option<Trouble>, usual: &str) -> Result<bool, Over> {
        match trouble {
            None => self.say(usual).map(|()| true),
            Some(Trouble::Answer(answer)) => self.say(&answer).map(|()| false),
            Some(Trouble::Lost) => Err(Over),
            Some(Trouble::Silence) => {
                while !self.reader.fill_buf()?.is_empty() {
                    let heard = self.reader.buffer().len();
                    self.reader.consume(heard);
                }
                Err(Over)
            }
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Over> {
        Ok(self.reader.get_mut().write_all(format!("{text}\r\n").as_bytes())?)
    }
}

fn in_brackets(argument: &str) -> String {
    let inside = argument.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inside.map_or_else(|| argument.to_owned(), |(address, _)| address.to_owned())
}

fn decoded(text: &str) -> String {
    let bytes = mail_parser::decoders::base64::base64_decode(text.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

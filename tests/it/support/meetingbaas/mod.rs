//! Meeting BaaS with state, in both versions at once: bots that join, end and fail, files that lie at another origin and
//! whose addresses expire, calendars; it counts what it was asked, keeps every exchange, and fails where it is told to.
//!
//! `v1` and `v2` make the answers, as the vendor's documents have them; `contract.rs` holds every exchange against those.

mod http;
mod store;
mod v1;
mod v2;

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use store::Spoil;

/// The key that the vendor asks for.
pub(crate) const KEY: &str = "mb-canary-7d41";

/// The header that it asks for it in.
pub(crate) const KEY_HEADER: &str = "x-meeting-baas-api-key";

/// The calls, whatever the version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    List,
    Recording,
    Delete,
    Join,
    Planned,
    Leave,
    Retranscribe,
    Calendars,
    Events,
    Event,
    Schedule,
    Unschedule,
}

/// What happens instead of the answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// This status with this body; nothing is done.
    Status(u16, String),
    /// This status, with so many seconds to wait in a header; nothing is done.
    RetryAfter(u16, u32),
    /// This status, with so many seconds to wait in the body of version 2; nothing is done.
    RetryAfterInBody(u16, u32),
    /// It is done, and the connection closed without a word.
    Lost,
    /// It is done, and a page says so with status 200.
    Page,
    /// It is done, after so long.
    Slow(Duration),
}

/// How every answer differs from the document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Twist {
    /// The field is nowhere.
    Drop(&'static str),
    /// The field has this value, wherever it is.
    Put(&'static str, Value),
    /// The field is called so.
    Rename(&'static str, &'static str),
    /// Each object has one more.
    Add(&'static str, Value),
}

/// A bot.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "what the vendor has of it, each by itself")]
pub(crate) struct Bot {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) meeting_url: String,
    pub(crate) created: Timestamp,
    pub(crate) joined: Option<Timestamp>,
    pub(crate) ended: Option<Timestamp>,
    /// The code and the words of a failure.
    pub(crate) failed: Option<(String, String)>,
    pub(crate) deleted: bool,
    /// Whether there is audio: WAV in version 1, FLAC in version 2, each bot's its own.
    pub(crate) audio: bool,
    /// Whether there is video.
    pub(crate) video: bool,
    /// Who said what, when.
    pub(crate) said: Vec<(f64, f64, &'static str, &'static str)>,
    /// The event that it was sent to.
    pub(crate) event: Option<String>,
    pub(crate) extra: Value,
    /// Whether it is to be transcribed.
    pub(crate) transcribed: bool,
}

impl Bot {
    /// A bot of this name that sat in a meeting for half an hour and left two hours ago.
    pub(crate) fn ended(name: &str) -> Self {
        let ended = minuted::testing::clock::now() - Duration::from_secs(7200);
        Self { ended: Some(ended), ..Self::sitting(name, ended - Duration::from_secs(1800)) }
    }

    /// A bot that is in a meeting since then.
    pub(crate) fn sitting(name: &str, joined: Timestamp) -> Self {
        Self {
            id: String::new(),
            name: name.to_owned(),
            meeting_url: format!("https://meet.example/{name}"),
            created: joined - Duration::from_secs(60),
            joined: Some(joined),
            ended: None,
            failed: None,
            deleted: false,
            audio: true,
            video: true,
            said: vec![
                (0.5, 2.0, "Ann Lee", "Good morning."),
                (2.5, 6.0, "Bo Chen", "We decided to ship on Friday."),
            ],
            event: None,
            extra: Value::Null,
            transcribed: true,
        }
    }

    /// A bot that nobody let in.
    pub(crate) fn failed(name: &str) -> Self {
        let failed = Some((
            "BOT_NOT_ACCEPTED".to_owned(),
            "The bot was not accepted into the meeting".to_owned(),
        ));
        Self {
            failed,
            joined: None,
            audio: false,
            video: false,
            said: Vec::new(),
            ..Self::ended(name)
        }
    }

    /// What it recorded, in a file of this extension.
    pub(crate) fn recorded(&self, extension: &str) -> Vec<u8> {
        super::house::recording(&format!("{}.{extension}", self.id))
    }

    /// The file of its transcript in version 2.
    pub(crate) fn transcript(&self) -> Value {
        v2::transcript(self)
    }

    fn is_over(&self) -> bool {
        self.ended.is_some()
    }
}

/// A bot that is to join later.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) meeting_url: String,
    pub(crate) at: Timestamp,
}

/// A calendar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Calendar {
    pub(crate) id: String,
    pub(crate) email: String,
}

/// An event of a calendar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) series: String,
    pub(crate) calendar: String,
    pub(crate) title: String,
    pub(crate) starts: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) meeting_url: String,
    /// Addresses, with names.
    pub(crate) attendees: Vec<(&'static str, Option<&'static str>)>,
    /// What the bot is called that is to join it, with its `extra`.
    pub(crate) bot: Option<(String, Value)>,
}

/// One exchange, as `contract.rs` looks at it.
#[derive(Debug, Clone)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    /// With the query.
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
    pub(crate) status: u16,
    /// What was answered; `None` where the answer is not the document's: a fault, a twist.
    pub(crate) answer: Option<Value>,
}

/// A file as it was fetched from the store.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) status: u16,
}

/// What the vendor is and has seen.
#[derive(Debug)]
pub(crate) struct State {
    /// The key that it asks for; a person may make a new one.
    pub(crate) key: String,
    /// Whether the key is of the kind that cannot read.
    pub(crate) sending_only: bool,
    pub(crate) bots: Vec<Bot>,
    pub(crate) planned: Vec<Planned>,
    pub(crate) calendars: Vec<Calendar>,
    pub(crate) events: Vec<Event>,
    /// A page of a list holds no more.
    pub(crate) page_max: usize,
    /// Five deletions are allowed within it.
    pub(crate) deletes_window: Duration,
    /// How answers differ from the document.
    pub(crate) twists: Vec<Twist>,
    /// The bot whose answers alone differ, where it is one.
    pub(crate) twisted: Option<String>,
    /// The calls that were made, in order, also those that failed.
    pub(crate) calls: Vec<Call>,
    /// The bots that were transcribed again.
    pub(crate) retranscribed: Vec<String>,
    /// What has happened on the wire.
    pub(crate) exchanges: Vec<Exchange>,
    /// What was fetched from the store.
    pub(crate) fetched: Vec<Fetched>,
    ids: u64,
    store: String,
    /// What lies at the store's addresses: the bot and the file.
    addresses: BTreeMap<String, (String, String)>,
    deletes: Vec<Instant>,
    once: Vec<(Call, Fault)>,
    always: Vec<(Call, Fault)>,
    spoil_once: Vec<Spoil>,
    /// The bot whose files the store fails to give.
    pub(crate) broken: Option<String>,
    spoil_always: Option<Spoil>,
}

impl State {
    /// A new id, as both versions have them.
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("6b0c3f1e-0000-4000-8000-{:012x}", self.ids)
    }

    /// A bot that is known.
    pub(crate) fn bot(&mut self, id: &str) -> Option<&mut Bot> {
        self.bots.iter_mut().find(|bot| bot.id == id)
    }

    /// The files of a bot now, at addresses that nobody was given before.
    fn address(&mut self, bot: &str, file: &str) -> String {
        let token = format!("t{:08}", self.addresses.len());
        self.addresses.insert(token.clone(), (bot.to_owned(), file.to_owned()));
        format!("{}/bots/{bot}/{file}?X-Amz-Signature={token}", self.store)
    }

    /// Counts a deletion; `false` when there were five within the window.
    fn may_delete(&mut self) -> bool {
        let window = self.deletes_window;
        self.deletes.retain(|at| at.elapsed() < window);
        self.deletes.push(Instant::now());
        self.deletes.len() <= 5
    }
}

/// The vendor; it ends with this value.
pub(crate) struct Baas {
    api: SocketAddr,
    store: SocketAddr,
    state: Arc<Mutex<State>>,
    stopped: Arc<AtomicBool>,
}

impl Baas {
    /// Starts a vendor without a bot.
    pub(crate) fn start() -> Self {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let (api, store) = (bind(), bind());
        let address = |listener: &TcpListener| listener.local_addr().expect("bound");
        let state = State {
            key: KEY.to_owned(),
            sending_only: false,
            bots: Vec::new(),
            planned: Vec::new(),
            calendars: Vec::new(),
            events: Vec::new(),
            page_max: usize::MAX,
            deletes_window: Duration::from_secs(60),
            twists: Vec::new(),
            twisted: None,
            calls: Vec::new(),
            retranscribed: Vec::new(),
            exchanges: Vec::new(),
            fetched: Vec::new(),
            ids: 0,
            store: format!("http://{}", address(&store)),
            addresses: BTreeMap::new(),
            deletes: Vec::new(),
            once: Vec::new(),
            always: Vec::new(),
            spoil_once: Vec::new(),
            broken: None,
            spoil_always: None,
        };
        let baas = Self {
            api: address(&api),
            store: address(&store),
            state: Arc::new(Mutex::new(state)),
            stopped: Arc::new(AtomicBool::new(false)),
        };
        baas.listen(api, http::serve);
        baas.listen(store, store::serve);
        baas
    }

    fn listen(&self, listener: TcpListener, serve: fn(&TcpStream, &Mutex<State>)) {
        let (state, stopped) = (Arc::clone(&self.state), Arc::clone(&self.stopped));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                let state = Arc::clone(&state);
                thread::spawn(move || serve(&stream, &state));
            }
        });
    }

    /// Its origin.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// What it is and has seen.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it holds the state")
    }

    /// Writes the key into a file of this directory.
    pub(crate) fn give_key(&self, directory: &Path) -> PathBuf {
        let file = directory.join("baas-key");
        fs::write(&file, format!("{}\n", self.state().key)).expect("written");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("set");
        file
    }

    /// A `[[source]]` of this version whose key is the file `baas-key` beside the config.
    pub(crate) fn source(&self, api: &str, into: &str, keys: &str) -> String {
        let mut text = format!(
            "[[source]]\nkind = \"meetingbaas\"\napi = \"{api}\"\nbase_url = \"{}\"\n",
            self.base_url()
        );
        writeln!(text, "api_key_file = \"baas-key\"\ninto = \"{into}\"\n{keys}")
            .expect("a string takes all");
        text
    }

    /// Adds a bot, and returns its id.
    pub(crate) fn add(&self, bot: Bot) -> String {
        let mut state = self.state();
        let id = state.id();
        state.bots.push(Bot { id: id.clone(), ..bot });
        id
    }

    /// The meeting of a bot ends now.
    pub(crate) fn end(&self, id: &str) {
        self.state().bot(id).expect("a bot").ended = Some(minuted::testing::clock::now());
    }

    /// Adds a calendar, and returns its id.
    pub(crate) fn add_calendar(&self, email: &str) -> String {
        let mut state = self.state();
        let id = state.id();
        state.calendars.push(Calendar { id: id.clone(), email: email.to_owned() });
        id
    }

    /// Adds an event of an hour, and returns its id. Its meeting's address is that of a bot with this name.
    pub(crate) fn add_event(
        &self,
        calendar: &str,
        title: &str,
        name: &str,
        starts: Timestamp,
        attendees: &[(&'static str, Option<&'static str>)],
    ) -> String {
        let mut state = self.state();
        let (id, series) = (state.id(), state.id());
        state.events.push(Event {
            id: id.clone(),
            series,
            calendar: calendar.to_owned(),
            title: title.to_owned(),
            starts,
            ends: starts + Duration::from_secs(3600),
            meeting_url: format!("https://meet.example/{name}"),
            attendees: attendees.to_vec(),
            bot: None,
        });
        id
    }

    /// The next call of this kind fails so.
    pub(crate) fn fail_next(&self, call: Call, fault: Fault) {
        self.state().once.push((call, fault));
    }

    /// Every call of this kind fails so.
    pub(crate) fn fail_always(&self, call: Call, fault: Fault) {
        self.state().always.push((call, fault));
    }

    /// The next file is spoilt so.
    pub(crate) fn spoil_next(&self, spoil: Spoil) {
        self.state().spoil_once.push(spoil);
    }

    /// Every file is spoilt so.
    pub(crate) fn spoil_always(&self, spoil: Spoil) {
        self.state().spoil_always = Some(spoil);
    }

    /// Nothing fails any more.
    pub(crate) fn clear_faults(&self) {
        let mut state = self.state();
        state.once.clear();
        state.always.clear();
        state.spoil_once.clear();
        state.spoil_always = None;
    }

    /// Every address that was given to anybody is worth nothing any more.
    pub(crate) fn expire_addresses(&self) {
        for (bot, _) in self.state().addresses.values_mut() {
            bot.clear();
        }
    }

    /// How often a call was made.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.state().calls.iter().filter(|made| **made == call).count()
    }

    /// How often a file whose path ends so was sent whole.
    pub(crate) fn downloads(&self, end: &str) -> usize {
        self.state()
            .fetched
            .iter()
            .filter(|fetched| fetched.status == 200 && fetched.path.ends_with(end))
            .count()
    }

    /// Fails when the key, or anything else that proves who asks, went to the store.
    pub(crate) fn assert_the_key_stayed_home(&self) {
        let state = self.state();
        for fetched in &state.fetched {
            let told = format!("{:?}", fetched.headers).to_lowercase();
            assert!(!told.contains(&state.key) && !told.contains(KEY_HEADER), "{told}");
            assert!(!told.contains("authorization") && !told.contains("cookie"), "{told}");
        }
    }
}

impl Drop for Baas {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        drop((TcpStream::connect(self.api), TcpStream::connect(self.store)));
    }
}

/// What a call is answered with.
struct Answer {
    status: u16,
    body: Value,
}

fn ok(body: Value) -> Answer {
    Answer { status: 200, body }
}

/// The items of a page from a cursor on, and the next cursor.
fn page(items: Vec<Value>, limit: usize, cursor: Option<&str>) -> (Vec<Value>, Value) {
    let from =
        cursor.and_then(|cursor| cursor.strip_prefix("after=")?.parse().ok()).unwrap_or(0_usize);
    let to = (from + limit).min(items.len());
    let next = if to < items.len() { json!(format!("after={to}")) } else { Value::Null };
    (items.into_iter().take(to).skip(from).collect(), next)
}

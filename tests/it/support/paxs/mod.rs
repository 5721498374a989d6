//! A model of the service PAXS with state.
//!
//! It is strict where the documents are ([`Options`] chooses where they are silent), it takes its time like a real
//! service, and it fails when told to ([`Fault`]). It remembers what was done to it ([`Snapshot`]), so that a test
//! asks what became of the world instead of prescribing calls.
//!
//! The pure model (`state`, `tokens`, and what `sessions`, `recordings` and `analyses` add to it) knows neither sockets
//! nor the time; `front` owns the sockets and carries out the faults.

mod analyses;
mod auth;
mod call;
mod extract;
mod faults;
mod front;
mod intake;
mod options;
mod recordings;
mod sessions;
mod spoil;
mod state;
mod tests;
mod tokens;
mod words;

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use analyses::{Analysis, Requested};
pub(crate) use call::{Call, Record};
pub(crate) use faults::Fault;
pub(crate) use options::{Envelope, Options, Quirk};
pub(crate) use sessions::Meeting;
pub(crate) use tokens::TokenPair;

use call::Book;
use faults::Faults;
use front::Door;
use state::{Model, Moment};

/// A running stand-in. Clones are the same one; it stops with its last clone.
#[derive(Debug, Clone)]
pub(crate) struct Standin {
    shared: Shared,
    _life: Arc<Life>,
}

/// The serving thread, which ends with the last handle.
#[derive(Debug)]
struct Life {
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Life {
    fn drop(&mut self) {
        self.stop.cancel();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::debug!("the stand-in's thread had panicked");
        }
    }
}

/// What the accept loop and the handlers share. It keeps nothing alive but itself.
#[derive(Debug, Clone)]
struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    address: SocketAddr,
    door: Door,
    world: Mutex<World>,
}

/// Everything that changes.
#[derive(Debug)]
struct World {
    options: Options,
    model: Model,
    faults: Faults,
    book: Book,
    down: bool,
}

impl Shared {
    fn new(address: SocketAddr, options: Options) -> io::Result<Self> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(io::Error::other)?;
        let door = Door { wanted: watch::Sender::new(true), open: watch::Sender::new(true) };
        let (model, faults, book) = (Model::new(seed), Faults::default(), Book::default());
        let world = Mutex::new(World { options, model, faults, book, down: false });
        Ok(Self(Arc::new(Inner { address, door, world })))
    }

    fn address(&self) -> SocketAddr {
        self.0.address
    }

    fn base_url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    fn door(&self) -> &Door {
        &self.0.door
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the title of a meeting and the name of its recording, for faults that are for some of them.
    fn about(&self, meeting: &str) -> Vec<String> {
        let world = self.world();
        let Ok(entry) = world.model.entry(meeting) else { return Vec::new() };
        let name = entry.meeting.recording.as_ref().map(|recording| recording.name.clone());
        name.into_iter().chain([entry.meeting.title.clone()]).collect()
    }
}

/// Where and how long it lives.
impl Standin {
    /// Starts on a free port of loopback, in a thread with a runtime of its own.
    pub(crate) fn start(options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (shared, stop) =
            (Shared::new(listener.local_addr()?, options)?, CancellationToken::new());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = shared.clone();
        // A listener belongs to the runtime in which it is adopted: that of the thread, not that of the caller.
        let serving = async move {
            front::serve(served, front::adopt(listener).expect("a listener of loopback")).await;
        };
        let serving = stop.clone().run_until_cancelled_owned(serving);
        let body = move || runtime.block_on(serving).unwrap_or_default();
        let thread = std::thread::Builder::new().name("stand-in".to_owned()).spawn(body)?;
        Ok(Self { shared, _life: Arc::new(Life { stop, thread: Some(thread) }) })
    }

    /// Returns its origin, `http://127.0.0.1:PORT`.
    pub(crate) fn base_url(&self) -> String {
        self.shared.base_url()
    }

    /// Closes the port and every connection, or opens it again. It comes about soon after: see
    /// [`Self::until_listening`].
    pub(crate) fn refuse_connections(&self, refuse: bool) {
        self.shared.door().wanted.send_replace(!refuse);
    }

    /// Waits until the port is open, or closed.
    pub(crate) async fn until_listening(&self, listening: bool) {
        let mut open = self.shared.door().open.subscribe();
        let told = open.wait_for(|open| *open == listening).await.is_ok();
        debug_assert!(told, "the sender lives in this very handle");
    }

    /// Changes its options from now on. What has begun keeps its time.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Options)) {
        change(&mut self.shared.world().options);
    }
}

/// What was there before.
impl Standin {
    /// Puts a meeting into the list as the newest, whatever `created` says, as if somebody had made it then. Returns
    /// its id.
    pub(crate) fn plant_meeting(
        &self,
        title: &str,
        description: &str,
        created: Timestamp,
    ) -> String {
        self.shared.world().model.plant(title, description, created)
    }
}

/// The sign-in.
impl Standin {
    /// Agrees to a sign-in for the person; the next poll has the code.
    pub(crate) fn approve(&self, state: &str) {
        self.shared.world().model.tokens.decide(state, true);
    }

    /// Refuses a sign-in for the person.
    pub(crate) fn deny(&self, state: &str) {
        self.shared.world().model.tokens.decide(state, false);
    }

    /// Returns a fresh pair of tokens, as if somebody had signed in.
    pub(crate) fn issue_pair(&self) -> TokenPair {
        let world = &mut *self.shared.world();
        world.model.tokens.issue(Moment::now().at, &world.options, &mut world.model.ids)
    }

    /// Makes every token invalid.
    pub(crate) fn revoke_all(&self) {
        self.shared.world().model.tokens.revoke_all();
    }

    /// Lets every access token expire now; refresh tokens stay.
    pub(crate) fn expire_access_tokens(&self) {
        self.shared.world().model.tokens.expire_access();
    }
}

/// What goes wrong.
impl Standin {
    /// Plants a fault for the next such call. Several are met one after the other.
    pub(crate) fn fail_next(&self, call: Call, fault: Fault) {
        self.shared.world().faults.plant(call, "", fault, Some(1));
    }

    /// Plants a fault for every such call until [`Self::clear_faults`].
    pub(crate) fn fail_always(&self, call: Call, fault: Fault) {
        self.shared.world().faults.plant(call, "", fault, None);
    }

    /// Plants a fault for the next `times` such calls, or all, that are about a meeting or a file whose title or
    /// name holds `needle`.
    pub(crate) fn fail_matching(&self, call: Call, needle: &str, fault: Fault, times: Option<u32>) {
        self.shared.world().faults.plant(call, needle, fault, times);
    }

    /// Takes every planted fault back.
    pub(crate) fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// Answers every call with 503, or no longer.
    pub(crate) fn down(&self, down: bool) {
        self.shared.world().down = down;
    }

    /// Lets the next `count` transcriptions fail; 0 takes it back.
    pub(crate) fn fail_transcriptions(&self, count: u32) {
        self.fail_analyses(Analysis::Transcription, count);
    }

    /// Lets the next `count` meeting notes fail, automatic ones and requested ones; 0 takes it back.
    pub(crate) fn fail_notes(&self, count: u32) {
        self.fail_analyses(Analysis::MeetingNote, count);
    }

    /// Lets the next `count` analyses of a kind fail, counted as they begin; 0 takes it back.
    pub(crate) fn fail_analyses(&self, analysis: Analysis, count: u32) {
        self.shared.world().model.fail(analysis, count);
    }

    /// Keeps every analysis that is not done at `processing`, or lets them go on.
    pub(crate) fn stall_analysis(&self, stall: bool) {
        self.shared.world().model.stalled = stall.then(|| Moment::now().at);
    }

    /// Removes a meeting: it answers 404 from now on. Returns whether it was there.
    pub(crate) fn vanish(&self, meeting: &str) -> bool {
        self.shared.world().model.vanish(meeting)
    }
}

/// What became of it, for a test to look at.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// The meetings in the order in which they were made; those that vanished are missing.
    pub(crate) meetings: Vec<Meeting>,
    /// The requests for analyses in the order in which they came; refused ones are missing.
    pub(crate) requested: Vec<Requested>,
    /// How often each call came, whatever its answer.
    pub(crate) counts: BTreeMap<Call, u64>,
    /// How often a pair of tokens was given for a refresh token.
    pub(crate) refreshes: u64,
    /// How many families of tokens died because a refresh token was used again.
    pub(crate) families_revoked: u64,
    /// The most uploads that ran at once.
    pub(crate) uploads_at_once_max: usize,
}

impl Snapshot {
    /// Returns how often a call came.
    pub(crate) fn count(&self, call: Call) -> u64 {
        self.counts.get(&call).copied().unwrap_or_default()
    }
}

/// What was done to it.
impl Standin {
    /// Returns how it stands.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let world = self.shared.world();
        Snapshot {
            meetings: world.model.meetings.values().map(|entry| entry.meeting.clone()).collect(),
            requested: world.model.requested.clone(),
            counts: world.book.counts(),
            refreshes: world.model.tokens.refreshes,
            families_revoked: world.model.tokens.families_revoked,
            uploads_at_once_max: world.book.uploads_at_once_max(),
        }
    }

    /// Returns the calls in the order in which they came, the last 100,000.
    pub(crate) fn calls(&self) -> Vec<Record> {
        self.shared.world().book.records()
    }

    /// Returns how many of a call run now.
    pub(crate) fn running(&self, call: Call) -> usize {
        self.shared.world().book.running(call)
    }
}

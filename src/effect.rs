//! The registry of effects: everything minuted does that outlives the process has a name here.
//!
//! Each effect passes through [`Effect::before`] and [`Effect::after`]. In a debug build one of these points can be told
//! to do harm, above all to kill the process as `kill -9` would (see [`arm`]); the crash tests walk the whole registry that way. In a release
//! build the points are nothing.

/// Something that outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The queue: files were seen.
    See,
    /// The queue: files are gone.
    Gone,
    /// The queue: settled recordings become jobs.
    Take,
    /// The queue: a folder is met.
    Meet,
    /// The queue: a worker takes a job.
    Claim,
    /// The queue: a meeting is about to be created.
    IntendCreate,
    /// The queue: it was not created after all.
    Uncreate,
    /// The queue: the meeting's id.
    Created,
    /// The queue: the recording's id.
    Uploaded,
    /// The queue: results are about to be asked for.
    IntendRequest,
    /// The queue: they were asked for.
    Requested,
    /// The queue: a job waits for results again.
    Await,
    /// The queue: the results, and what is delivered because of them.
    Analysed,
    /// The queue: the notes exist already.
    AlreadyDone,
    /// The queue: a failure that counts, with attempts left.
    RetryLater,
    /// The queue: the last failure.
    Fail,
    /// The queue: a job goes back until later.
    Snooze,
    /// The queue: a job's file is gone.
    LoseFile,
    /// The queue: a delivery is done.
    Delivered,
    /// The queue: a delivery waits.
    DeliverLater,
    /// The queue: a delivery has failed.
    DeliveryFailed,
    /// The queue: something is held, or not any more.
    Hold,
    /// The queue: what a person asked of a job or a folder.
    Command,
    /// The queue: a file is charged with a crash.
    Charge,
    /// The queue: its own upkeep.
    Upkeep,
    /// The service: a meeting is created.
    CallCreate,
    /// The service: a recording is sent.
    CallUpload,
    /// The service: results are asked for.
    CallRequest,
    /// A mark says that a file is being parsed.
    Mark,
    /// The mark is taken back.
    Unmark,
    /// A token pair is written.
    SaveTokens,
    /// A temporary file becomes the notes.
    PlaceFile,
    /// The word of a failure is removed.
    ClearFile,
    /// The recording is moved or deleted.
    Dispose,
    /// A mail is sent.
    Mail,
}

/// Before or after an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// Right before.
    Before,
    /// Right after.
    After,
}

impl Effect {
    /// All effects.
    pub const ALL: [Self; 35] = [
        Self::See,
        Self::Gone,
        Self::Take,
        Self::Meet,
        Self::Claim,
        Self::IntendCreate,
        Self::Uncreate,
        Self::Created,
        Self::Uploaded,
        Self::IntendRequest,
        Self::Requested,
        Self::Await,
        Self::Analysed,
        Self::AlreadyDone,
        Self::RetryLater,
        Self::Fail,
        Self::Snooze,
        Self::LoseFile,
        Self::Delivered,
        Self::DeliverLater,
        Self::DeliveryFailed,
        Self::Hold,
        Self::Command,
        Self::Charge,
        Self::Upkeep,
        Self::CallCreate,
        Self::CallUpload,
        Self::CallRequest,
        Self::Mark,
        Self::Unmark,
        Self::SaveTokens,
        Self::PlaceFile,
        Self::ClearFile,
        Self::Dispose,
        Self::Mail,
    ];

    /// Marks the point right before the effect.
    pub fn before(self) {
        point(self, When::Before);
    }

    /// Marks the point right after the effect.
    pub fn after(self) {
        point(self, When::After);
    }
}

/// The point at which this process comes to harm, how often it passes there before (0: each time), and how.
#[cfg(debug_assertions)]
static HARM: std::sync::OnceLock<(String, std::sync::atomic::AtomicU32, Harm)> = std::sync::OnceLock::new();

/// What happens at the point.
#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// The process dies as by `kill -9`.
    Kill,
    /// The thread panics.
    Panic,
    /// The thread stands still for an hour, as on a dead disk.
    Hang,
}

/// Arms a point: `Created:after` dies there the first time, `Created:after:3` the third time, `Created:after:1:panic`
/// panics, `Created:after:0:hang` stands still there each time.
#[cfg(debug_assertions)]
pub fn arm(spec: &str) {
    let mut parts = spec.splitn(4, ':');
    let (effect, when) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let nth = parts.next().and_then(|nth| nth.parse().ok()).unwrap_or(1);
    let harm = match parts.next() {
        Some("panic") => Harm::Panic,
        Some("hang") => Harm::Hang,
        Some(_) | None => Harm::Kill,
    };
    // Armed once, at the start: a second time changes nothing.
    drop(HARM.set((format!("{effect}:{when}").to_lowercase(), nth.into(), harm)));
}

#[cfg(debug_assertions)]
fn point(effect: Effect, when: When) {
    let Some((armed, left, harm)) = HARM.get() else { return };
    if format!("{effect:?}:{when:?}").to_lowercase() != *armed {
        return;
    }
    let is_each = left.load(std::sync::atomic::Ordering::SeqCst) == 0;
    if is_each || left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst) == 1 {
        if !is_each {
            // Never again: 0 would mean each time.
            left.store(u32::MAX, std::sync::atomic::Ordering::SeqCst);
        }
        suffer(*harm, effect);
    }
}

#[cfg(debug_assertions)]
fn suffer(harm: Harm, effect: Effect) {
    match harm {
        Harm::Kill => {
            let killed = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            debug_assert!(killed.is_ok(), "a process may kill itself");
        }
        Harm::Panic => panic!("armed at {effect:?}"),
        #[expect(clippy::disallowed_methods, reason = "a thread that stands still is what is asked for")]
        Harm::Hang => std::thread::sleep(std::time::Duration::from_secs(3600)),
    }
}

#[cfg(not(debug_assertions))]
fn point(_: Effect, _: When) {}

//! The registry of effects: everything minuted does that outlives the process has a name here.
//!
//! Each effect is done within [`Effect::during`] or [`Effect::during_async`], which mark the points right before and
//! right after it. In a debug build one of these points can be told
//! to do harm, above all to kill the process as `kill -9` would (see [`arm`]); the crash tests walk the whole registry
//! that way. In a release build the points are nothing. `tests/it/architecture.rs` fails where something lasting is done
//! without a name.

/// Makes the registry: the effects, and the list of all of them.
macro_rules! effects {
    ($($(#[$doc:meta])+ $name:ident,)+) => {
        /// Something that outlives the process, or is asked of a service on the way to it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Effect {
            $($(#[$doc])+ $name,)+
        }

        impl Effect {
            /// All effects.
            pub const ALL: &[Self] = &[$(Self::$name,)+];
        }
    };
}

effects! {
    /// The queue: its file is made.
    Make,
    /// The queue: its tables are made, or brought to this version.
    Migrate,
    /// The queue: times move with a clock that was set.
    FollowClock,
    /// The queue: its log is moved into the file.
    Checkpoint,
    /// The queue: proof that it works.
    Alive,
    /// The queue: jobs that a crash has interrupted.
    Recover,
    /// The queue: old jobs are forgotten.
    Prune,
    /// The queue: it is new, or a copy from another time.
    MarkRestored,
    /// The queue: a value is remembered.
    Remember,
    /// The queue: what a service's list tells.
    TakeMarkers,
    /// The queue: what the notes on disk tell.
    TakeNotes,
    /// The queue: files were seen.
    See,
    /// The queue: files are gone.
    Gone,
    /// The queue: settled recordings become jobs.
    Take,
    /// The queue: a folder is met.
    Meet,
    /// The queue: jobs that wait for a file try again.
    WakeFiles,
    /// The queue: what could not be written to a folder tries again.
    WakeDeliveries,
    /// The queue: jobs whose file is gone for good.
    CancelLost,
    /// The queue: files that a service takes now.
    Reconsider,
    /// The queue: the settings of folders that left.
    KeepFormer,
    /// The queue: what becomes of old files.
    DecideBacklog,
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
    /// The queue: they were not asked for after all.
    Unrequested,
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
    /// The queue: a job ends without notes: by its last failure, or because there is no sound in its recording.
    Fail,
    /// The queue: a job goes back until later.
    Snooze,
    /// The queue: a job's file is gone.
    LoseFile,
    /// The queue: a delivery is done, or withheld.
    Delivered,
    /// The queue: a delivery waits.
    DeliverLater,
    /// The queue: a delivery has failed.
    DeliveryFailed,
    /// The queue: the recordings of a folder get the time at which they are deleted.
    ScheduleDeletions,
    /// The queue: a recording whose time was over stays for now.
    PutOffDeletion,
    /// The queue: a recording whose time was over is gone, or stays for good.
    RecordExpired,
    /// The queue: something is held.
    Hold,
    /// The queue: the operator is told of what has been held for long.
    TellHold,
    /// The queue: the operator is told that a daily limit is used up.
    ReportLimit,
    /// The queue: something is not held any more.
    Release,
    /// The queue: jobs that were put off because of a service try again.
    WakeJobs,
    /// The queue: the operator was told.
    NoticesSent,
    /// The queue: a file is charged with a crash.
    Charge,
    /// The queue: a job that has nothing left to deliver.
    Settle,
    /// The queue: a person retries a job.
    Retry,
    /// The queue: a person gives a job up.
    Cancel,
    /// The queue: a person has a job done anew.
    Redo,
    /// The queue: a person wants more analyses.
    Reanalyse,
    /// The queue: a person names speakers.
    NameSpeakers,
    /// The queue: notes are about to be replaced.
    IntendRewrite,
    /// The queue: a source is met.
    MeetSource,
    /// The queue: the list of a source was read to its end.
    WalkSource,
    /// The queue: the list of a source shows what is new.
    FindRecordings,
    /// The queue: a person wants a recording of a source.
    WantRecording,
    /// The queue: recordings that were not there yet are looked at now.
    HastenRecordings,
    /// The queue: a recording of a source is tried again later.
    FetchLater,
    /// The queue: a recording of a source cannot be had.
    FetchFailed,
    /// The queue: a file that was fetched is about to get its name.
    IntendPlace,
    /// The queue: it has its name.
    PlaceFetched,
    /// The queue: a vendor is about to be asked to delete its copy.
    IntendDeletion,
    /// The queue: what the vendor said to that.
    RecordDeletion,
    /// The queue: a notifier was told.
    NotificationSent,
    /// The queue: a notification is tried again later.
    NotifyLater,
    /// The queue: a notification is given up.
    NotificationFailed,
    /// The queue: a receiver wants no more notifications.
    StopNotifier,
    /// The queue: what waited for a notifier that was removed ends.
    EndNotifications,
    /// A file that was fetched gets its name in a folder.
    PlaceRecording,
    /// The source: the vendor is asked to delete its copy.
    CallDeletion,
    /// The service: tokens are asked for; a refresh token is spent.
    CallTokens,
    /// The service: the list is read for what was done before.
    CallMarkers,
    /// The service: the list is read for a meeting whose answer was lost.
    CallFind,
    /// The service: a meeting is created.
    CallCreate,
    /// The service: a meeting is read for a recording whose answer was lost.
    CallAttachments,
    /// The service: a recording is sent.
    CallUpload,
    /// The service: results are read.
    CallLook,
    /// The service: results are asked for.
    CallRequest,
    /// The source: a bot is sent to a meeting.
    SendBot,
    /// The source: a bot is called back.
    RecallBot,
    /// The source: a recording is transcribed again.
    Retranscribe,
    /// The source: a bot is planned for an event.
    ScheduleBot,
    /// The source: it is not planned any more.
    UnscheduleBot,
    /// The service: what it works on for a job that was given up ends.
    CallCancel,
    /// The service: what it keeps of a recording is deleted.
    CallDispose,
    /// The calendar: it is fetched or read for a recording.
    ReadCalendar,
    /// A mark says that a file is being parsed.
    Parse,
    /// It is taken back.
    Parsed,
    /// A transcript that is kept on this machine is written, or a piece of the work on it.
    PlaceTranscript,
    /// What is kept of a recording is removed.
    ForgetTranscript,
    /// A converted recording gets its name.
    PlaceConverted,
    /// A converted recording is removed.
    ForgetConverted,
    /// A token pair is written.
    SaveTokens,
    /// A sign-in that was refused is struck out.
    StrikeOut,
    /// The tokens are removed.
    ForgetTokens,
    /// The key of the page's sessions, or the token of the API, is written.
    SaveSecret,
    /// The mark beside the queue is written.
    Mark,
    /// The control socket is made.
    Listen,
    /// The control socket is removed.
    Hush,
    /// The number beside the queue is written: of meetings that were asked for.
    CountCreation,
    /// A copy of the queue gets its name.
    Backup,
    /// A recording that a person adds gets its name.
    Add,
    /// A configuration that `init` writes gets its name, or takes the place of the one it extends.
    PlaceConfiguration,
    /// The engine: the file of finished pieces is made, or taken up.
    BeginPieces,
    /// The engine: finished pieces are synced.
    KeepPieces,
    /// A file that `check` has made gets another name.
    TryOut,
    /// A temporary file becomes the notes.
    PlaceFile,
    /// A temporary file replaces the notes.
    ReplaceFile,
    /// The word of a failure is removed.
    ClearFile,
    /// The recording is moved or deleted.
    Dispose,
    /// The recording is deleted, because its time is over.
    DeleteExpired,
    /// A damaged model is moved away.
    RetireModel,
    /// The directory of a model gets its name.
    PlaceModel,
    /// A model of whisper gets its name.
    PlaceWhisperModel,
    /// A model of whisper is removed, because another one of its name has come.
    RetireWhisperModel,
    /// A mail with notes, or a test, is sent.
    Mail,
    /// A mail to the operator is sent.
    Digest,
    /// A notifier is told: a request, or a program that is run.
    Notify,
    /// The monitor of the dead man's switch is called.
    Ping,
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
    /// Does the work that is this effect.
    pub fn during<T>(self, work: impl FnOnce() -> T) -> T {
        self.before();
        let done = work();
        self.after();
        done
    }

    /// Does the work that is this effect and waits.
    pub async fn during_async<T>(self, work: impl Future<Output = T>) -> T {
        self.before();
        let done = work.await;
        self.after();
        done
    }

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
static HARM: std::sync::OnceLock<(String, std::sync::atomic::AtomicU32, Harm)> =
    std::sync::OnceLock::new();

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
pub(crate) fn arm(spec: &str) {
    let mut parts = spec.splitn(4, ':');
    let effect = parts.next().unwrap_or_default();
    let when = parts.next().unwrap_or_default();
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
            let killed = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            );
            debug_assert!(killed.is_ok(), "a process may kill itself");
        }
        Harm::Panic => panic!("armed at {effect:?}"),
        #[expect(
            clippy::disallowed_methods,
            reason = "a thread that stands still is what is asked for"
        )]
        Harm::Hang => std::thread::sleep(std::time::Duration::from_secs(3600)),
    }
}

#[cfg(not(debug_assertions))]
fn point(_: Effect, _: When) {}

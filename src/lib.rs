//! minuted: drop a recording into a folder; get its minutes beside it.
//!
//! This page is the map of the source. What a person may rely on (commands, keys, files) is in the README and in
//! `config.example.toml`; how a part works is in the documentation of its module.
//!
//! # The way of a recording
//!
//! ```text
//!  folder ──hint or scan──▶ settle ──▶ job ──▶ create ──▶ upload ──▶ analyse ──▶ deliver ──▶ done
//!           (watch)                    (queue) └─────────── pipeline ──────────┘  (deliver)
//! ```
//!
//! A recording lies in a folder because a person, a recorder or a sync tool put it there, or because a source of
//! [`sources`] did: that lists what its vendor keeps, and fetches each recording once for ever.
//!
//! 1. [`watch`] looks. An event of the kernel ([`watch::hints`]) only says where to look; a scan ([`watch::scan`]) at
//!    start and at every `rescan` is the truth. A file whose path and stamp are known ([`watch::known`]) costs one
//!    `fstatat` and no read.
//! 2. A file that is new [settles](watch::settle): its stamp stays the same for as long as the folder says, nobody has it
//!    open for writing as far as can be known ([`open_files`]), and its head does not show a recorder still at work
//!    ([`watch::media`]). Then it is [examined](watch::examine): read once from end to end, for the hash of its content
//!    and of its [sound](watch::media::sound).
//! 3. Through the trait [`watch::Ledger`] the settled file reaches the [`queue`]. There the content, and where that is not
//!    known the sound, decides whether it is a new [`job`], one to be tried again, or a copy to be skipped. Its
//!    [`job::Key`] is its name in the world.
//! 4. [`worker::claims`] claims jobs, folders in turn, and runs one stage after the other: [`pipeline::create`] makes
//!    the meeting or finds the one that is there, [`pipeline::upload`] streams the file. Each is written against the
//!    trait [`services::Service`], of which there are six: [`services::paxs`] and [`services::koldan`], whose results come
//!    later; [`services::saled`], [`services::openai`] and [`services::ondevice`], whose upload is the work itself (that
//!    of the last in a child process, the [`engine`]); and [`services::given`], the transcripts that a source brings.
//! 5. The job now waits: a timer in [`worker::looks`], nothing else. [`pipeline::analyse`] decides at each look whether
//!    to wait on, to ask again, or to take the results.
//! 6. The results and the list of [deliveries](queue::Delivery) are recorded in one commit. [`worker::deliveries`] makes
//!    each of them with [`pipeline::deliver`]: [`deliver::notes`] renders, [`deliver::files`] places,
//!    [`deliver::mail`] mails, [`deliver::relocate()`] moves the recording. A job is done when every one is.
//!
//! A stage that does not finish returns a [`job::Setback`], which says whose fault it was; the worker alone turns that
//! into an attempt, a pause of the service (a [breaker](services::breaker)), a hold for a person ([`queue::Hold`]) or a
//! failure.
//!
//! # Where to change what
//!
//! | to change | look in |
//! |---|---|
//! | which extensions are media, and what reads each | [`media_types`] |
//! | which names are temporary or another program's | [`watch::names`], `watch/foreign.rs` |
//! | how deep and how broad a folder is read | [`watch::scan`]; whose turn it is to read: `watch/turns.rs` |
//! | how long and how large a recording may be | [`config::Limits`]; found by [`watch::examine`], told by [`job::Bound`] |
//! | how long a container says that it is | [`watch::media`] |
//! | when a recording was made | [`watch::date`], `watch/date/` |
//! | when a file is finished | [`watch::settle`], [`watch::media`]; who has it open: [`open_files`] |
//! | which files are examined again although their stamps are known | `queue/folder.rs` (`reconsider…`), `worker/reconsidered.rs` |
//! | what is new, what is a copy | `queue/intake.rs`; the reasons for skipping, `queue/skip.rs` |
//! | in which containers a remux is recognised | [`watch::media::sound`], a file for each container |
//! | the tables and their constraints | `queue/schema/`, a new file for each version |
//! | the states of a job, what counts, the delays | [`job::state`], [`job::setback`], [`job::retry`] |
//! | what the service is asked for, and when again | [`pipeline::analyse`] |
//! | the calls of PAXS, and what is accepted as an answer | `services/paxs/calls.rs`, `wire.rs`, `reports.rs` |
//! | what an HTTP status means | `services/answers.rs` |
//! | whose failure it is: the service's, the set-up's or the recording's | [`services::breaker`]; `services/trial.rs`, `services/openai/judge.rs` |
//! | what is shown of a page that a server or a proxy answers | `text/page.rs` |
//! | how a recording becomes words on this machine | [`engine`] |
//! | what ffmpeg and the recogniser may reach, and what they may take | [`confine`]; `engine/limits.rs`, `engine/memory_kills.rs` |
//! | what of a file is heard, and what the notes say was not | [`engine::audio`] |
//! | which folder gets a slot, who makes room for whom | `worker/slots.rs` |
//! | what a folder takes, what is converted before it is sent | [`pipeline::convert`], [`engine::audio::convert`] |
//! | another kind of service | [`services`]: the trait, a folder beside `paxs`; [`config`]: its kind; [`worker::Live`] |
//! | the files of the on-device engine, and how they come here | [`engine::model`] |
//! | the calls to a server of OpenAI's shape, how a long transcript is cut and merged | `services/openai/` |
//! | the jobs at a SaLED, what becomes of one that it forgot | `services/saled/` |
//! | what servers of several kinds answer alike | `services/lenient.rs` |
//! | the calls of Koldan, what is accepted as an answer, what is deleted there | `services/koldan/` |
//! | where recordings come from besides folders, the calls of Meeting BaaS | [`sources`]; `sources/meetingbaas/` |
//! | the vendor's documents, and what is held against them | `tests/specs/`, `tests/it/contract.rs` |
//! | what is kept of a recording for a service without a memory | `services/keep.rs` |
//! | what is known better than the folder knows it | [`pipeline::details`], [`pipeline::sidecar`]; `config/sidecar.rs` reads it |
//! | what a vendor's call may do, and how it proves itself | [`webhook`] |
//! | how recordings come from elsewhere, once for ever | [`sources`]: `engine.rs` (the loop), `fetch.rs` (one recording), `queue/fetched.rs` (its row) |
//! | the transcripts that a source gives | [`services::given`] |
//! | how the sign-in is kept | `services/paxs/refresh.rs`, `tokens.rs` |
//! | limits of a call, the upload itself | [`http`] |
//! | what is told of a certificate that is refused | [`certificate`] |
//! | whose fault a refused mail is | `deliver/mail_error.rs`, `deliver/refusals.rs`; the table is in `tests/it/refusals.rs` |
//! | what notes look like | [`deliver::notes`]; mails and the word of a failure: `deliver/templates/` |
//! | what a transcript alone is made into: decisions, actions, questions | [`extract`]; tried on `tests/meetings/` |
//! | names of notes, what is overwritten | [`mod@deliver::names`], [`deliver::files`] |
//! | a key of the configuration | `config/keys.rs`, its reader beside it, [`config::Settings`], `config.example.toml` |
//! | a command | [`cli`], a file in `commands/`, a [`control::Request`] and its answer in `control/` |
//! | what is tried by `check` | `commands/check/` |
//! | what becomes of a file that kills its reader | [`last_words`], `queue/crash.rs`, [`watch::examine`] |
//! | what runs in the daemon | [`daemon`]; what it does by the clock: `daemon/keeper.rs` |
//! | what happens with a new or a restored queue | `daemon/reconcile.rs` |
//! | the stand-in of PAXS behind `demo` and the tests | [`standin`] |
//! | what holds for any bytes from outside | `properties.rs` beside each reader; `fuzzing.rs` and `fuzz/` feed them |
//!
//! Modules know only those below them: `main` → [`commands`] → [`daemon`] → [`control`] → [`worker`] → [`pipeline`] →
//! [`sources`] → [`services`], [`deliver`], [`watch`] → [`engine`], [`extract`], [`http`], [`queue`] → [`job`] → [`config`] → [`access`],
//! [`beneath`], [`certificate`], [`clock`], [`confine`], [`effect`], [`exit`], [`media_types`], [`open_files`], [`progress`], [`text`].
//! The exact table, and which crate has its one door where, is
//! `tests/it/architecture.rs`, which fails when it is not so.
//!
//! # Invariants
//!
//! - **Intent before effect, result before the next effect.** Whatever outlives the process has a name in
//!   [`effect::Effect`] and passes it. Tests kill the process before and after each.
//! - **What a function of the [`queue`] has returned is on disk.** One function, one transaction; one thread writes.
//! - **A result is recorded by compare-and-set** on the job's state. Zero rows is an error, never ignored.
//! - **Nudges carry nothing.** Every loop derives what to do from the queue or the folder; a lost nudge costs time.
//! - **The content is the identity**, and of the content the sound; not the name, the inode or the time. A path is only
//!   where it was seen last.
//! - **What somebody writes is left alone**: before a recording is sent, moved or deleted, it is asked again who has it
//!   open ([`open_files`]).
//! - **Nothing below a folder is opened by its whole path**: [`beneath`] goes by descriptor and follows no link.
//! - **What came from outside is shown only through [`text`]**: names, answers, configuration.
//! - **A refresh token is used once**: one refresh at a time in the process and between processes, the new pair on disk
//!   before its first use.
//! - **Bytes that minuted renders are deterministic**: after a crash its own notes are recognised as such.
//! - **`job`, `extract`, `breaker`, `trial`, `settle` and [`pipeline::analyse::decide`] are pure**: the time and the jitter are arguments.
//! - **Wall time comes from [`clock`], waiting from `tokio::time`, the environment from [`config::Environment`]**.
//!
//! Deliberately absent:
//!
//! - *Retries below the queue.* A service, a mail and a file get one try; the queue knows when to try again.
//! - *A total time limit on an upload.* Only standing still is limited.
//! - *Redirects, cookies, a connection to another origin than the configured one*, but for the files of a source, which
//!   are fetched where its vendor says and without anything that proves who asks.
//! - *A thread, a connection or a write for a job that waits for its analysis.*
//! - *Trust in file times.* Quiet is what minuted has observed itself.
//! - *Deleting at the service unasked*: only a folder's `on_success_remote` does, after everything else is done.
//! - *A core, a tracer.* The process's memory holds tokens; [`memory`] keeps it closed.
//! - *A network port*, but for that of [`webhook`] where the config asks for it, on this machine alone. Commands use a Unix
//!   socket that its owner alone can open.
//! - *A reach of what reads hostile bytes.* ffmpeg and the recogniser are processes that open no file but what they must
//!   read, and know no network and no other process ([`confine`]). What they need from elsewhere is opened before.
//! - *`unsafe` code*, and a browser opened unasked.
//!
//! # Glossary
//!
//! | word | meaning |
//! |---|---|
//! | recording | an audio or video file in a watched folder |
//! | folder | a configured directory with its own attendees and rules; its `id` is part of the job's key |
//! | source | who keeps recordings elsewhere; what ended there is fetched into a folder |
//! | service | what turns a recording into notes |
//! | source | who keeps recordings of meetings elsewhere: what it has is fetched into a folder |
//! | sidecar | a file beside a recording that knows its title, date, attendees, instruction or language better than the folder |
//! | meeting | the container that a service keeps for one recording |
//! | analysis | one result of a service: transcription, meeting note, key points, sentiment |
//! | notes | the Markdown document made of the analyses |
//! | job | the durable record of taking one recording to its notes; key `b3-<32 hex>.<folder id>.<generation>` |
//! | stage | create → upload → analyse → deliver |
//! | attempt | one failure that was the recording's own; one counter a job, reset only by `retry` |
//! | delivery | one place where notes go, one file or one mail to one recipient, with tries of its own |
//! | marker | the last line of a meeting's description, `minuted:<key>`, by which it is found again |
//! | sighting | what the queue remembers of one file in a folder: its stamp, and what became of it |
//! | hold | why the jobs of a service or a folder, or all new work, must wait; the operator is told once |
//! | hint, nudge | a message that only says "look again" |
//! | generation | 1, and one more with each `redo` |

pub mod access;
#[cfg(test)]
mod alone;
pub mod beneath;
#[cfg(test)]
mod budget;
pub mod certificate;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod confine;
pub mod control;
pub mod daemon;
pub mod deliver;
pub mod dropin;
pub mod effect;
pub mod engine;
pub mod exit;
pub mod extract;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
pub mod job;
pub mod last_words;
pub mod logging;
pub mod media_types;
pub mod memory;
pub mod open_files;
pub mod pipeline;
pub mod progress;
pub mod queue;
pub mod service_manager;
pub mod services;
pub mod signals;
pub mod sources;
pub mod standin;
pub mod text;
pub mod watch;
pub mod webhook;
mod words;
pub mod worker;

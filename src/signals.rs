//! What the outside tells a running daemon: stop, or read the configuration again.
//!
//! The only user of signal-hook. One thread sleeps in the kernel until a signal comes; nothing wakes before that.

use std::{
    io,
    sync::{Arc, atomic::AtomicBool},
    thread,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ},
    flag,
    iterator::{Handle, Signals as Arrivals},
};
use tokio::sync::watch;

use crate::exit;

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// SIGTERM or SIGINT: finish what must be finished, then end.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The signals of this process, from [`start`] on.
///
/// They are levels, not a queue: any number of reloads that nobody has taken yet is one, and a stop overtakes them.
#[derive(Debug)]
pub(crate) struct Signals {
    arrived: watch::Receiver<Arrived>,
    taken: Arrived,
    arrivals: Handle,
}

/// How many of each have come.
#[derive(Debug, Default, Clone, Copy)]
struct Arrived {
    stops: u64,
    reloads: u64,
}

/// Takes over the signals of this process.
///
/// From now on the first SIGTERM or SIGINT is told by [`Signals::next`]; the second ends the process at once with
/// exit code 1, from the signal handler itself, so that it works when everything else is stuck. A file that would
/// outgrow its limit (`LimitFSIZE=`) is an error of the write instead of the end of the process.
///
/// # Errors
/// When a handler or the thread cannot be had.
pub(crate) fn start() -> io::Result<Signals> {
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(
            signal,
            i32::from(exit::FAILURE),
            Arc::clone(&stopping),
        )?;
        flag::register(signal, Arc::clone(&stopping))?;
    }
    // Its default ends the process; with any handler the write fails with EFBIG and is handled like a full disk.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;

    let mut arrivals = Arrivals::new([SIGTERM, SIGINT, SIGHUP])?;
    let handle = arrivals.handle();
    let (sender, arrived) = watch::channel(Arrived::default());
    thread::Builder::new().name("minuted-signals".to_owned()).spawn(move || {
        for signal in arrivals.forever() {
            sender.send_modify(|arrived| match signal {
                SIGHUP => arrived.reloads += 1,
                _ => arrived.stops += 1,
            });
        }
    })?;
    Ok(Signals { arrived, taken: Arrived::default(), arrivals: handle })
}

impl Signals {
    /// Waits for the next signal that asks for something. Dropping the future loses none.
    pub(crate) async fn next(&mut self) -> Signal {
        loop {
            let arrived = *self.arrived.borrow_and_update();
            if arrived.stops > self.taken.stops {
                self.taken.stops = arrived.stops;
                return Signal::Stop;
            }
            if arrived.reloads > self.taken.reloads {
                self.taken.reloads = arrived.reloads;
                return Signal::Reload;
            }
            if self.arrived.changed().await.is_err() {
                // The thread only ends with this value; without it no signal can come.
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.arrivals.close();
    }
}

#[cfg(test)]
mod tests {
    use signal_hook::low_level::raise;

    use super::*;
    use crate::alone;

    fn wait(signals: &mut Signals) -> Signal {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(signals.next())
    }

    #[test]
    fn a_hangup_is_a_reload_and_a_termination_a_stop() {
        if !alone::is_child() {
            alone::pass("signals::tests::a_hangup_is_a_reload_and_a_termination_a_stop", &[]);
            return;
        }
        let mut signals = start().expect("started");
        raise(SIGHUP).expect("raised");
        assert_eq!(wait(&mut signals), Signal::Reload);
        raise(SIGTERM).expect("raised");
        assert_eq!(wait(&mut signals), Signal::Stop);
    }

    #[test]
    fn a_second_stop_ends_the_process_at_once_though_nobody_listens() {
        if !alone::is_child() {
            let output = alone::run(
                "signals::tests::a_second_stop_ends_the_process_at_once_though_nobody_listens",
                &[],
            );
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("outlived the first\n"),
                "{output:?}"
            );
            return;
        }
        let _signals = start().expect("started");
        raise(SIGINT).expect("raised");
        println!("outlived the first");
        raise(SIGTERM).expect("raised");
        std::process::exit(0);
    }

    #[test]
    fn a_file_size_limit_does_not_end_the_process() {
        if !alone::is_child() {
            alone::pass("signals::tests::a_file_size_limit_does_not_end_the_process", &[]);
            return;
        }
        let _signals = start().expect("started");
        let limit = rustix::process::Rlimit { current: Some(1), maximum: Some(1) };
        let file = tempfile::tempfile().expect("a file");
        rustix::process::setrlimit(rustix::process::Resource::Fsize, limit).expect("limited");
        let error = io::Write::write_all(&mut &file, b"too much").expect_err("too much");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn reloads_that_nobody_has_taken_are_one_and_a_stop_overtakes_them() {
        let (sender, arrived) = watch::channel(Arrived { stops: 1, reloads: 5 });
        let handle = Arrivals::new([SIGHUP]).expect("registered").handle();
        let mut signals = Signals { arrived, taken: Arrived::default(), arrivals: handle };
        assert_eq!(wait(&mut signals), Signal::Stop);
        assert_eq!(wait(&mut signals), Signal::Reload);
        sender.send_modify(|arrived| arrived.stops += 1);
        assert_eq!(wait(&mut signals), Signal::Stop);
    }
}

//! The states of a job and the events that lead from one to the next, as a total function.

use crate::job::JobState;

use jiff::Timestamp;

use super::Stage;

/// The state of a job. The CHECKs of the queue's tables say the same in SQL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Runs as soon as a worker is free and `due` has come. Set when a recording is taken in, when a service failed by
    /// its own fault (`due` is then the time of the next probe), when a crash interrupted a stage, and by `retry`. In
    /// `Deliver` the ledger of deliveries says what is done next.
    Ready {
        /// The stage that runs next.
        stage: Stage,
        /// Not before this.
        due: Timestamp,
    },
    /// A worker of this process has it. After a crash it is `Ready` again, and no attempt is
    /// counted.
    Running {
        /// The stage that runs.
        stage: Stage,
    },
    /// A state in which nothing runs and nothing is held.
    Waiting {
        /// The stage that follows.
        stage: Stage,
        /// For what.
        on: Wait,
    },
    /// Notes are delivered. Left when a person wants more analyses, or the mails that are held; `redo` makes another job.
    Done,
    /// The last attempt failed, or no retry can help. Left by `retry`, or when its content is dropped again.
    Failed,
    /// Recorded, not worked on: its content is done already, no service takes it, it exceeds a bound of its folder, or
    /// there is no sound in it. A job that was begun ends here for the last two alone.
    Skipped,
    /// A person cancelled it, or its file is gone for good. Left by `retry`, or when its content is dropped again.
    Cancelled,
}

/// The cause of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// The service works on it; polls are timers in memory.
    Analysis,
    /// The delay after a failure of its own.
    Retry {
        /// Its end.
        due: Timestamp,
    },
    /// Its file is gone or cannot be read.
    File {
        /// Since when.
        since: Timestamp,
    },
}

/// An event in the life of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A worker takes it.
    Claim,
    /// Its stage is done; the same worker goes on with the next, or the job waits for its analysis or its deliveries.
    Advance,
    /// The service has been asked; its answer is waited for.
    Await,
    /// A wait until `until` without a failure of its own; also: the service failed.
    Snooze {
        /// The time at which it can go on.
        until: Timestamp,
    },
    /// A failure of its own with attempts left: it goes on from `from` after `due`.
    Retry {
        /// The stage that is repeated.
        from: Stage,
        /// The time of the event.
        due: Timestamp,
    },
    /// A failure of its own, the last one.
    Fail,
    /// Its recording is not worked on after all: there is no sound in it, or too much.
    Skip,
    /// Its file cannot be read.
    LoseFile {
        /// The time at which that was seen.
        at: Timestamp,
    },
    /// Its file is back, or a person or a drop of the same content asks for it again.
    Resume {
        /// The stage at which it goes on.
        from: Stage,
        /// The time of the event.
        due: Timestamp,
    },
    /// More analyses are asked of a job that is done.
    Reopen {
        /// The time of the event.
        due: Timestamp,
    },
    /// Held deliveries of a finished job are released.
    Redeliver {
        /// The time of the event.
        due: Timestamp,
    },
    /// A person gives it up, or its file is gone for good.
    Cancel,
    /// The process died while it ran.
    Recover {
        /// The start of the new process.
        at: Timestamp,
    },
}

/// A pair of state and event that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state:?} cannot take {event:?}")]
pub struct IllegalTransition {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

impl State {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// [`IllegalTransition`], naming both, when the pair makes no sense.
    pub fn apply(&self, event: &Event) -> Result<Self, IllegalTransition> {
        let illegal = || IllegalTransition { state: self.clone(), event: event.clone() };
        match event {
            Event::Claim => match self {
                Self::Ready { stage, .. } | Self::Waiting { stage, on: Wait::Retry { .. } } => {
                    Ok(Self::Running { stage: *stage })
                }
                Self::Waiting { on: Wait::Analysis | Wait::File { .. }, .. }
                | Self::Running { .. }
                | Self::Done
                | Self::Failed
                | Self::Skipped
                | Self::Cancelled => Err(illegal()),
            },
            Event::Advance => self.working_stage().map(Self::after_stage).ok_or_else(illegal),
            Event::Await => match self {
                Self::Running { stage: Stage::Analyse }
                | Self::Waiting { on: Wait::Analysis, .. } => {
                    Ok(Self::Waiting { stage: Stage::Analyse, on: Wait::Analysis })
                }
                Self::Ready { .. }
                | Self::Running { stage: Stage::Create | Stage::Upload | Stage::Deliver }
                | Self::Waiting { on: Wait::Retry { .. } | Wait::File { .. }, .. }
                | Self::Done
                | Self::Failed
                | Self::Skipped
                | Self::Cancelled => Err(illegal()),
            },
            Event::Snooze { until } => match self {
                Self::Running { stage } => Ok(Self::Ready { stage: *stage, due: *until }),
                Self::Ready { .. }
                | Self::Waiting { .. }
                | Self::Done
                | Self::Failed
                | Self::Skipped
                | Self::Cancelled => Err(illegal()),
            },
            Event::Retry { from, due } => match self.working_stage() {
                Some(_) => Ok(Self::Waiting { stage: *from, on: Wait::Retry { due: *due } }),
                None => Err(illegal()),
            },
            Event::Fail => self.working_stage().map(|_| Self::Failed).ok_or_else(illegal),
            Event::Skip => match self.working_stage() {
                Some(Stage::Create | Stage::Upload | Stage::Analyse) => Ok(Self::Skipped),
                Some(Stage::Deliver) | None => Err(illegal()),
            },
            Event::LoseFile { at } => match self.stage() {
                Some(stage @ (Stage::Create | Stage::Upload)) => {
                    Ok(Self::Waiting { stage, on: Wait::File { since: *at } })
                }
                Some(Stage::Analyse | Stage::Deliver) | None => Err(illegal()),
            },
            Event::Resume { from, due } => match self {
                Self::Waiting { on: Wait::File { .. } | Wait::Retry { .. }, .. }
                | Self::Failed
                | Self::Cancelled
                | Self::Ready { .. } => Ok(Self::Ready { stage: *from, due: *due }),
                Self::Running { .. }
                | Self::Waiting { on: Wait::Analysis, .. }
                | Self::Done
                | Self::Skipped => Err(illegal()),
            },
            Event::Reopen { due } => match self {
                Self::Done => Ok(Self::Ready { stage: Stage::Analyse, due: *due }),
                Self::Ready { .. }
                | Self::Running { .. }
                | Self::Waiting { .. }
                | Self::Failed
                | Self::Skipped
                | Self::Cancelled => Err(illegal()),
            },
            Event::Redeliver { due } => match self {
                Self::Done => Ok(Self::Ready { stage: Stage::Deliver, due: *due }),
                Self::Ready { .. }
                | Self::Running { .. }
                | Self::Waiting { .. }
                | Self::Failed
                | Self::Skipped
                | Self::Cancelled => Err(illegal()),
            },
            Event::Cancel => match self {
                Self::Ready { .. } | Self::Running { .. } | Self::Waiting { .. } | Self::Failed => {
                    Ok(Self::Cancelled)
                }
                Self::Done | Self::Skipped | Self::Cancelled => Err(illegal()),
            },
            Event::Recover { at } => match self {
                Self::Running { stage } => Ok(Self::Ready { stage: *stage, due: *at }),
                Self::Ready { .. }
                | Self::Waiting { .. }
                | Self::Done
                | Self::Failed
                | Self::Skipped
                | Self::Cancelled => Err(illegal()),
            },
        }
    }

    /// Returns the stage of a job that is not finished.
    #[must_use]
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Ready { stage, .. } | Self::Running { stage } | Self::Waiting { stage, .. } => {
                Some(*stage)
            }
            Self::Done | Self::Failed | Self::Skipped | Self::Cancelled => None,
        }
    }

    /// Returns whether the job stays in this state until a person acts.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.stage().is_none()
    }

    /// Returns the state as people see it, and as its column holds it.
    #[must_use]
    pub const fn shown_state(&self) -> JobState {
        match self {
            Self::Ready { .. } => JobState::Ready,
            Self::Running { .. } => JobState::Running,
            Self::Waiting { .. } => JobState::Waiting,
            Self::Done => JobState::Done,
            Self::Failed => JobState::Failed,
            Self::Skipped => JobState::Skipped,
            Self::Cancelled => JobState::Cancelled,
        }
    }

    /// Returns the stage whose outcome may be recorded now: of a claimed job, of one that is looked
    /// at, of one that delivers.
    fn working_stage(&self) -> Option<Stage> {
        match self {
            Self::Running { stage } | Self::Waiting { stage, on: Wait::Analysis } => Some(*stage),
            Self::Ready { stage: Stage::Deliver, .. } => Some(Stage::Deliver),
            Self::Ready { .. }
            | Self::Waiting { on: Wait::Retry { .. } | Wait::File { .. }, .. }
            | Self::Done
            | Self::Failed
            | Self::Skipped
            | Self::Cancelled => None,
        }
    }

    fn after_stage(stage: Stage) -> Self {
        match stage {
            Stage::Create => Self::Running { stage: Stage::Upload },
            Stage::Upload => Self::Waiting { stage: Stage::Analyse, on: Wait::Analysis },
            Stage::Analyse => Self::Ready { stage: Stage::Deliver, due: Timestamp::UNIX_EPOCH },
            Stage::Deliver => Self::Done,
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown_state().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time() -> impl Strategy<Value = Timestamp> {
        (0_i64..1_000_000).prop_map(|second| Timestamp::from_second(second).expect("in range"))
    }

    fn stage() -> impl Strategy<Value = Stage> {
        proptest::sample::select(Stage::ALL.to_vec())
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Claim),
            Just(Event::Advance),
            Just(Event::Await),
            Just(Event::Fail),
            Just(Event::Cancel),
            Just(Event::Skip),
            time().prop_map(|until| Event::Snooze { until }),
            time().prop_map(|at| Event::LoseFile { at }),
            time().prop_map(|at| Event::Recover { at }),
            time().prop_map(|due| Event::Reopen { due }),
            time().prop_map(|due| Event::Redeliver { due }),
            (stage(), time()).prop_map(|(from, due)| Event::Retry { from, due }),
            (stage(), time()).prop_map(|(from, due)| Event::Resume { from, due }),
        ]
    }

    /// The state that follows from each state and event, written down apart from the code. `=`
    /// keeps the stage, a bare `ready` or `retry` takes the event's, `-` is refused.
    const TABLE: &str = "
                           claim     advance       await    snooze  retry fail   lose  resume reopen        redeliver     cancel    recover nosound
        ready    create    running=  -             -        -       -     -      file= ready  -             -             cancelled -       -
        ready    upload    running=  -             -        -       -     -      file= ready  -             -             cancelled -       -
        ready    analyse   running=  -             -        -       -     -      -     ready  -             -             cancelled -       -
        ready    deliver   running=  done          -        -       retry failed -     ready  -             -             cancelled -       -
        running  create    -         running:upload -       ready=  retry failed file= -      -             -             cancelled ready=  skipped
        running  upload    -         analysis      -        ready=  retry failed file= -      -             -             cancelled ready=  skipped
        running  analyse   -         ready:deliver analysis ready=  retry failed -     -      -             -             cancelled ready=  skipped
        running  deliver   -         done          -        ready=  retry failed -     -      -             -             cancelled ready=  -
        analysis analyse   -         ready:deliver analysis -       retry failed -     -      -             -             cancelled -       skipped
        retry    create    running=  -             -        -       -     -      file= ready  -             -             cancelled -       -
        retry    upload    running=  -             -        -       -     -      file= ready  -             -             cancelled -       -
        retry    analyse   running=  -             -        -       -     -      -     ready  -             -             cancelled -       -
        retry    deliver   running=  -             -        -       -     -      -     ready  -             -             cancelled -       -
        file     create    -         -             -        -       -     -      file= ready  -             -             cancelled -       -
        file     upload    -         -             -        -       -     -      file= ready  -             -             cancelled -       -
        done     -         -         -             -        -       -     -      -     -      ready:analyse ready:deliver -         -       -
        failed   -         -         -             -        -       -     -      -     ready  -             -             cancelled -       -
        skipped  -         -         -             -        -       -     -      -     -      -             -             -         -       -
        cancelled -        -         -             -        -       -     -      -     ready  -             -             -         -       -
    ";

    fn stage_named(name: &str) -> Option<Stage> {
        Stage::parse(name)
    }

    /// A job of the model: the name of where it stands, its stage, and the time that belongs to that.
    type Fact = (&'static str, Option<Stage>, Timestamp);

    fn fact(state: &State) -> Fact {
        let never = Timestamp::UNIX_EPOCH;
        match state {
            State::Ready { stage, due } => ("ready", Some(*stage), *due),
            State::Running { stage } => ("running", Some(*stage), never),
            State::Waiting { stage, on: Wait::Analysis } => ("analysis", Some(*stage), never),
            State::Waiting { stage, on: Wait::Retry { due } } => ("retry", Some(*stage), *due),
            State::Waiting { stage, on: Wait::File { since } } => ("file", Some(*stage), *since),
            State::Done => ("done", None, never),
            State::Failed => ("failed", None, never),
            State::Skipped => ("skipped", None, never),
            State::Cancelled => ("cancelled", None, never),
        }
    }

    /// The column of an event, the stage that it names and its time.
    fn columns(event: &Event) -> (&'static str, Option<Stage>, Timestamp) {
        let never = Timestamp::UNIX_EPOCH;
        match event {
            Event::Claim => ("claim", None, never),
            Event::Advance => ("advance", None, never),
            Event::Await => ("await", None, never),
            Event::Snooze { until } => ("snooze", None, *until),
            Event::Retry { from, due } => ("retry", Some(*from), *due),
            Event::Fail => ("fail", None, never),
            Event::LoseFile { at } => ("lose", None, *at),
            Event::Resume { from, due } => ("resume", Some(*from), *due),
            Event::Reopen { due } => ("reopen", None, *due),
            Event::Redeliver { due } => ("redeliver", None, *due),
            Event::Cancel => ("cancel", None, never),
            Event::Skip => ("nosound", None, never),
            Event::Recover { at } => ("recover", None, *at),
        }
    }

    /// Returns the next state by the table; `None` is a refusal.
    fn looked_up((kind, stage, _): Fact, event: &Event) -> Option<Fact> {
        let mut rows =
            TABLE.lines().filter(|row| !row.trim().is_empty()).map(|row| row.split_whitespace());
        let (column, from, at) = columns(event);
        let column =
            rows.next()?.position(|name| name == column).expect("a column for every event");
        let stage_name = stage.map_or("-", Stage::as_str);
        let mut row = rows
            .find(|row| row.clone().take(2).eq([kind, stage_name]))
            .expect("a row for every state");
        let cell = row.nth(2 + column).expect("a cell for every column");
        let (to, named) = cell.split_once(':').unwrap_or((cell.trim_end_matches('='), ""));
        let names = [
            "ready",
            "running",
            "analysis",
            "retry",
            "file",
            "done",
            "failed",
            "skipped",
            "cancelled",
        ];
        let to = *names.iter().find(|name| **name == to)?;
        let stage = match to {
            "analysis" => Some(Stage::Analyse),
            "done" | "failed" | "skipped" | "cancelled" => None,
            _ if cell.ends_with('=') => stage,
            _ => stage_named(named).or(from),
        };
        let has_time = ["ready", "retry", "file"].contains(&to);
        Some((to, stage, if has_time { at } else { Timestamp::UNIX_EPOCH }))
    }

    /// Every state in which a job can be, and some in which it cannot.
    fn every_state() -> Vec<State> {
        let at = Timestamp::from_second(7).expect("in range");
        let mut states = vec![State::Done, State::Failed, State::Skipped, State::Cancelled];
        states.push(State::Waiting { stage: Stage::Analyse, on: Wait::Analysis });
        for &stage in Stage::ALL {
            states.push(State::Ready { stage, due: at });
            states.push(State::Running { stage });
            states.push(State::Waiting { stage, on: Wait::Retry { due: at } });
            if stage < Stage::Analyse {
                states.push(State::Waiting { stage, on: Wait::File { since: at } });
            }
        }
        states
    }

    #[test]
    fn every_pair_of_state_and_event_is_as_the_table_has_it() {
        let at = Timestamp::from_second(99).expect("in range");
        let mut events = vec![
            Event::Claim,
            Event::Advance,
            Event::Await,
            Event::Fail,
            Event::Cancel,
            Event::Skip,
        ];
        events.extend([Event::Snooze { until: at }, Event::LoseFile { at }]);
        events.extend([
            Event::Recover { at },
            Event::Reopen { due: at },
            Event::Redeliver { due: at },
        ]);
        events.extend(Stage::ALL.iter().map(|&from| Event::Retry { from, due: at }));
        events.extend(Stage::ALL.iter().map(|&from| Event::Resume { from, due: at }));
        for state in every_state() {
            for event in &events {
                let applied = state.apply(event).ok().as_ref().map(fact);
                assert_eq!(applied, looked_up(fact(&state), event), "{state:?} {event:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(crate::budget::cases(64))]

        #[test]
        fn a_job_and_its_model_have_the_same_history(events in proptest::collection::vec(event(), 0..80)) {
            let mut state = State::Ready { stage: Stage::Create, due: Timestamp::UNIX_EPOCH };
            let (mut history, mut model) = (vec![fact(&state)], vec![fact(&state)]);
            for event in &events {
                if let Ok(next) = state.apply(event) {
                    history.push(fact(&next));
                    state = next;
                }
                model.extend(looked_up(model[model.len() - 1], event));
            }
            prop_assert_eq!(history, model);
        }

        #[test]
        fn whatever_happens_a_job_stays_in_a_state_that_makes_sense(events in proptest::collection::vec(event(), 0..60)) {
            let mut state = State::Ready { stage: Stage::Create, due: Timestamp::UNIX_EPOCH };
            for event in events {
                let Ok(next) = state.apply(&event) else { continue };
                // What has ended is left only by a person, or by a drop of the same content.
                if state.is_final() && !next.is_final() {
                    let asked = matches!(event, Event::Resume { .. } | Event::Reopen { .. } | Event::Redeliver { .. });
                    prop_assert!(asked, "{state:?} by {event:?}");
                }
                if let State::Waiting { stage, on: Wait::File { .. } } = next {
                    prop_assert!(stage < Stage::Analyse, "the file is needed no more in {stage}");
                }
                if let State::Waiting { stage, on: Wait::Analysis } = next {
                    prop_assert_eq!(stage, Stage::Analyse);
                }
                state = next;
            }
        }
    }

    #[test]
    fn the_good_way_is_claim_and_advance() {
        let mut state = State::Ready { stage: Stage::Create, due: Timestamp::UNIX_EPOCH };
        let events = [Event::Claim, Event::Advance, Event::Advance, Event::Advance, Event::Advance];
        for event in events {
            state = state.apply(&event).expect("legal");
        }
        assert_eq!(state, State::Done);
    }

    #[test]
    fn a_transition_that_makes_no_sense_names_both() {
        let error = State::Done.apply(&Event::Claim).expect_err("illegal").to_string();
        assert!(error.contains("Done") && error.contains("Claim"), "{error}");
    }
}

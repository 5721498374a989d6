//! The calendars that were read: in memory alone, and as new as a recording needs them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};

use super::{
    files::{self, CalendarError, FetchedVersion},
    occurrences::{CalendarExcerpt, TimeWindow, list_occurrences},
};
use crate::{
    config::{CalendarLocation, CalendarSettings},
    effect::Effect,
    text::{error_chain, one_line},
};

/// A calendar that could not be fetched is not asked for again before this: many recordings may need it at once.
const PAUSE: Duration = Duration::from_secs(30);

/// Characters of an error that are kept.
const ERROR_MAX: usize = 300;

/// The calendars of the configuration, as they were last read.
#[derive(Debug, Default)]
pub(crate) struct CalendarShelf {
    calendars: Mutex<HashMap<String, Arc<ShelvedCalendar>>>,
    /// The time before which everything that was read is too old.
    expired: Mutex<Option<Timestamp>>,
}

/// A calendar that cannot be read now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnreadableCalendar {
    /// The error, on one line.
    pub(crate) error: String,
    /// The remedy.
    pub(crate) hint: &'static str,
    /// The first time in a row.
    pub(crate) since: Timestamp,
}

#[derive(Debug)]
struct ShelvedCalendar {
    settings: CalendarSettings,
    state: tokio::sync::Mutex<ShelfState>,
}

#[derive(Debug, Default)]
struct ShelfState {
    fetched: Option<FetchedCalendar>,
    failure: Option<ReadFailure>,
}

#[derive(Debug)]
struct FetchedCalendar {
    text: Bytes,
    version: FetchedVersion,
    at: Timestamp,
}

#[derive(Debug)]
struct ReadFailure {
    found: UnreadableCalendar,
    at: Timestamp,
    not_before: Timestamp,
}

impl CalendarShelf {
    /// Has every calendar read again before the next recording: a person has changed something.
    pub(crate) fn expire(&self, now: Timestamp) {
        *self.expired.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// Returns the events of a calendar in a window, as new as a recording that ended then needs them.
    ///
    /// # Errors
    /// When the calendar cannot be read.
    pub(crate) async fn list_events(
        &self,
        calendar: &CalendarSettings,
        window: TimeWindow,
        ended: Timestamp,
        now: Timestamp,
    ) -> Result<CalendarExcerpt, UnreadableCalendar> {
        let shelved = self.find(calendar);
        let mut state = shelved.state.lock().await;
        let expired = *self.expired.lock().unwrap_or_else(PoisonError::into_inner);
        let ended = expired.map_or(ended, |expired| ended.max(expired.min(now)));
        let was_failing = state.failure.is_some();
        if let Some(failure) = &mut state.failure
            && expired.is_some_and(|expired| failure.at < expired)
        {
            failure.not_before = now;
        }
        let read =
            Effect::ReadCalendar.during_async(state.read(&shelved.settings, ended, now)).await;
        let read = match read {
            Ok(texts) => excerpt(texts, window)
                .await
                .map_err(|error| state.fail(&error, calendar.every, now)),
            Err(failure) => Err(failure),
        };
        match &state.failure {
            None if was_failing => tracing::info!("calendar `{}` can be read again", calendar.name),
            Some(ReadFailure { found, .. }) if !was_failing => {
                let UnreadableCalendar { error, hint, .. } = found;
                tracing::warn!("calendar `{}` cannot be read: {error}; {hint}", calendar.name);
            }
            Some(_) | None => {}
        }
        read
    }

    /// Returns the calendar's place on the shelf; a new one where its settings are others.
    fn find(&self, calendar: &CalendarSettings) -> Arc<ShelvedCalendar> {
        let mut calendars = self.calendars.lock().unwrap_or_else(PoisonError::into_inner);
        match calendars.get(&calendar.name) {
            Some(known) if known.settings == *calendar => Arc::clone(known),
            Some(_) | None => {
                let new = ShelvedCalendar {
                    settings: calendar.clone(),
                    state: tokio::sync::Mutex::default(),
                };
                let new = Arc::new(new);
                calendars.insert(calendar.name.clone(), Arc::clone(&new));
                new
            }
        }
    }
}

impl ShelfState {
    async fn read(
        &mut self,
        calendar: &CalendarSettings,
        ended: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Bytes>, UnreadableCalendar> {
        let url_file = match &calendar.location {
            CalendarLocation::Path(path) => {
                let path = path.clone();
                let read = tokio::task::spawn_blocking(move || files::read_path(&path)).await;
                let read = read.unwrap_or(Err(CalendarError::Bug));
                return read
                    .inspect(|_| self.failure = None)
                    .map_err(|error| self.fail(&error, calendar.every, now));
            }
            CalendarLocation::Address(url_file) => url_file,
        };
        if let Some(fetched) = &self.fetched
            && is_fresh(fetched.at, ended, now, calendar.every)
        {
            return Ok(vec![fetched.text.clone()]);
        }
        if let Some(failure) = &self.failure
            && now < failure.not_before
        {
            return self.last_good(ended).ok_or_else(|| failure.found.clone());
        }
        let known = self.fetched.as_ref().map(|fetched| &fetched.version);
        match files::fetch(url_file, known).await {
            Ok(Some((text, version))) => {
                self.fetched = Some(FetchedCalendar { text: text.clone(), version, at: now });
                self.failure = None;
                Ok(vec![text])
            }
            Ok(None) => {
                self.failure = None;
                let text = self.fetched.as_mut().map(|fetched| {
                    fetched.at = now;
                    fetched.text.clone()
                });
                Ok(text.into_iter().collect())
            }
            Err(error) => {
                let found = self.fail(&error, calendar.every, now);
                self.last_good(ended).ok_or(found)
            }
        }
    }

    /// Returns what was fetched after the recording had ended, however old it is by now: it has what was entered before.
    fn last_good(&self, ended: Timestamp) -> Option<Vec<Bytes>> {
        let fetched = self.fetched.as_ref().filter(|fetched| fetched.at >= ended)?;
        Some(vec![fetched.text.clone()])
    }

    fn fail(
        &mut self,
        error: &CalendarError,
        every: Duration,
        now: Timestamp,
    ) -> UnreadableCalendar {
        let since = self.failure.as_ref().map_or(now, |failure| failure.found.since.min(now));
        let pause = error.pause().unwrap_or_default().max(PAUSE.min(every));
        let found = UnreadableCalendar {
            error: one_line(&error_chain(error), ERROR_MAX),
            hint: error.hint(),
            since,
        };
        let not_before = now.saturating_add(pause).unwrap_or(now);
        self.failure = Some(ReadFailure { found: found.clone(), at: now, not_before });
        found
    }
}

/// Returns whether what was fetched at a time serves a recording that ended at another. An event may be entered until the
/// recording begins, and corrected while it runs.
fn is_fresh(fetched: Timestamp, ended: Timestamp, now: Timestamp, every: Duration) -> bool {
    let age = now.duration_since(fetched);
    fetched >= ended && !age.is_negative() && age.unsigned_abs() < every
}

/// Parses texts beside the tasks: a large calendar takes a while.
async fn excerpt(texts: Vec<Bytes>, window: TimeWindow) -> Result<CalendarExcerpt, CalendarError> {
    let parse = move || list_occurrences(&texts, window, &TimeZone::system());
    tokio::task::spawn_blocking(parse).await.map_err(|_| CalendarError::Bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_calendar_is_fetched_again_for_a_recording_that_ended_after_the_last_fetch() {
        let at = |minute: u32| {
            format!("2026-11-30T10:{minute:02}:00Z").parse::<Timestamp>().expect("a time")
        };
        let every = Duration::from_secs(900);
        for (fetched, ended, now, expected) in [
            (10, 5, 11, true),
            (10, 5, 24, true),
            (10, 5, 25, false),
            (10, 11, 12, false),
            (10, 10, 10, true),
            // A clock that was set back.
            (30, 5, 11, false),
        ] {
            assert_eq!(
                is_fresh(at(fetched), at(ended), at(now), every),
                expected,
                "{fetched} {ended} {now}"
            );
        }
    }
}

//! Meeting BaaS: bots that sit in meetings and leave recordings, in both versions of its protocol.
//!
//! The versions share nothing but the header of the key: an account and what it keeps belong to one of them. What a
//! version calls differently ends in its file; above it there is one [`MeetingBaas`].
//!
//! | file | what it does |
//! |---|---|
//! | `session` | one call: the key, the pace, what an answer means |
//! | `v1`, `v2` | the calls of a version: what has ended, one recording, its deletion |
//! | `bots1`, `bots2` | the calls that send bots, and those about calendars |
//! | `availability` | what can be had of a recording: its files, its details |
//! | `shapes` | what is sent and shown, whatever the version |
//! | `wire` | what is read from answers |
//!
//! Assumptions where a version's document is silent are marked with the word "Assumed".

mod availability;
mod bots1;
mod bots2;
mod session;
mod shapes;
mod v1;
mod v2;
mod wire;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

pub use self::shapes::BotJoin;
pub use self::shapes::BotSchedule;
use self::shapes::EventLocation;
pub(crate) use self::shapes::{Bot, BotCallError, Calendar, CalendarEvent};
use super::{Recording, RecordingPage, Source};
use crate::{
    config::{self, ApiKey, SourceApi},
    effect::Effect,
    http::{BuildError, CallLimits, Elsewhere},
    job::Suspect,
    services::{
        CallError,
        http_service::{Credentials, HttpService, KeyHeader},
        pacer::Pacer,
    },
};

/// Deletions in [`DELETES_WINDOW`] that the vendor allows a key (the document of version 1; version 2 gives no number).
const DELETES_MAX: usize = 5;

/// The time in which they are counted, with a second for the clocks.
const DELETES_WINDOW: Duration = Duration::from_secs(61);

/// The default name of a bot.
pub(crate) const BOT_NAME: &str = "minuted";

/// An account at Meeting BaaS.
#[derive(Debug)]
pub struct MeetingBaas {
    name: String,
    api: SourceApi,
    base_url: Url,
    http: HttpService,
    elsewhere: Elsewhere,
    /// The times of the last deletions.
    deletes: Mutex<VecDeque<Instant>>,
}

impl MeetingBaas {
    /// Returns the account of one `[[source]]`. `pacer` is shared by all its users.
    ///
    /// # Errors
    /// When the HTTP client cannot be built.
    pub fn new(
        source: &config::Source,
        request_timeout: Duration,
        pacer: Arc<Pacer>,
    ) -> Result<Self, BuildError> {
        let limits = CallLimits::new(request_timeout);
        let place = ApiKey::File(source.api_key_file.clone());
        let credentials = Credentials { place, header: KeyHeader::Named(session::KEY_HEADER) };
        Ok(Self {
            name: source.name.clone(),
            api: source.api,
            base_url: source.base_url.clone(),
            http: HttpService::new(&source.base_url, limits, pacer, Some(credentials))?,
            elsewhere: Elsewhere::new(&source.base_url, limits)?,
            deletes: Mutex::default(),
        })
    }

    /// Sends a bot to a meeting, now or later, and returns its id. One attempt: a bot costs money.
    pub async fn send_bot(&self, join: &BotJoin<'_>) -> Result<String, CallError> {
        let send = async {
            match self.api {
                SourceApi::V1 => self.send_bot_v1(join).await,
                SourceApi::V2 => self.send_bot_v2(join).await,
            }
        };
        Effect::SendBot.during_async(send).await
    }

    /// Has a bot leave its meeting, or never join it.
    pub async fn recall_bot(&self, bot: &str) -> Result<(), CallError> {
        let recall = async {
            match self.api {
                SourceApi::V1 => self.recall_bot_v1(bot).await,
                SourceApi::V2 => self.recall_bot_v2(bot).await,
            }
        };
        Effect::RecallBot.during_async(recall).await
    }

    /// Has the vendor transcribe a recording, again or for the first time.
    ///
    /// # Errors
    /// [`BotCallError::Lacks`] in version 2, whose document has no such call.
    pub async fn request_transcription(&self, bot: &str) -> Result<(), BotCallError> {
        if self.api == SourceApi::V2 {
            let what = "version 2 of Meeting BaaS has no call that transcribes again; \
                        it transcribes what a bot records that was sent with `--transcribe`";
            return Err(BotCallError::Lacks(what));
        }
        Ok(Effect::Retranscribe.during_async(self.request_transcription_v1(bot)).await?)
    }

    /// Returns the newest bots, those that are still to join first.
    pub async fn list_bots(&self) -> Result<Vec<Bot>, CallError> {
        match self.api {
            SourceApi::V1 => self.list_bots_v1().await,
            SourceApi::V2 => self.list_bots_v2().await,
        }
    }

    /// Returns the calendars that are connected to the account.
    pub async fn list_calendars(&self) -> Result<Vec<Calendar>, CallError> {
        match self.api {
            SourceApi::V1 => self.list_calendars_v1().await,
            SourceApi::V2 => self.list_calendars_v2().await,
        }
    }

    /// Returns what is to come in a calendar; without its id, in all of them.
    pub async fn list_events(
        &self,
        calendar: Option<&str>,
    ) -> Result<Vec<CalendarEvent>, CallError> {
        let all = match calendar {
            Some(id) => vec![id.to_owned()],
            None => self.list_calendars().await?.into_iter().map(|calendar| calendar.id).collect(),
        };
        let mut events = Vec::new();
        for id in all {
            events.extend(match self.api {
                SourceApi::V1 => self.list_events_v1(&id).await?,
                SourceApi::V2 => self.list_events_v2(&id).await?,
            });
        }
        events.sort_by_key(|event| event.starts);
        Ok(events)
    }

    /// Has a bot join the meeting of an event, or of its whole series.
    pub async fn schedule_bot(&self, event: &str, plan: &BotSchedule<'_>) -> Result<(), CallError> {
        let place = self.locate_event(event).await?;
        let schedule = async {
            match &place {
                None => self.schedule_bot_v1(event, plan).await,
                Some(place) => self.schedule_bot_v2(event, place, plan).await,
            }
        };
        Effect::ScheduleBot.during_async(schedule).await
    }

    /// Has no bot join the meeting of an event, or of its whole series.
    pub async fn unschedule_bot(&self, event: &str, whole_series: bool) -> Result<(), CallError> {
        let place = self.locate_event(event).await?;
        let unschedule = async {
            match &place {
                None => self.unschedule_bot_v1(event, whole_series).await,
                Some(place) => self.unschedule_bot_v2(event, place, whole_series).await,
            }
        };
        Effect::UnscheduleBot.during_async(unschedule).await
    }

    /// Returns where an event is, which version 2 wants to know and version 1 does not.
    async fn locate_event(&self, event: &str) -> Result<Option<EventLocation>, CallError> {
        match self.api {
            SourceApi::V1 => Ok(None),
            SourceApi::V2 => self.locate_event_v2(event).await.map(Some),
        }
    }

    /// Counts a deletion, or says how long none is allowed.
    fn count_deletion(&self) -> Result<(), CallError> {
        let mut deletes = self.deletes.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        deletes.retain(|at| now.duration_since(*at) < DELETES_WINDOW);
        if let Some(first) = deletes.front().filter(|_| deletes.len() >= DELETES_MAX) {
            let after = Some(DELETES_WINDOW.saturating_sub(now.duration_since(*first)));
            let message = format!("Meeting BaaS allows {DELETES_MAX} deletions a minute");
            return Err(CallError::Unavailable {
                message,
                after,
                uncertain: false,
                suspect: Suspect::Service,
            });
        }
        deletes.push_back(now);
        Ok(())
    }
}

#[async_trait]
impl Source for MeetingBaas {
    fn name(&self) -> &str {
        &self.name
    }

    async fn check_access(&self) -> Result<Value, CallError> {
        let read = match self.api {
            SourceApi::V1 => self.check_access_v1().await,
            SourceApi::V2 => self.check_access_v2().await,
        };
        read.map(|()| serde_json::json!({ "base_url": self.base_url.as_str(), "api": self.api.as_str() }))
    }

    async fn list_ended(
        &self,
        since: Timestamp,
        cursor: Option<&str>,
    ) -> Result<RecordingPage, CallError> {
        match self.api {
            SourceApi::V1 => self.list_ended_v1(since, cursor).await,
            SourceApi::V2 => self.list_ended_v2(since, cursor).await,
        }
    }

    async fn get_recording(&self, id: &str) -> Result<Recording, CallError> {
        match self.api {
            SourceApi::V1 => self.get_recording_v1(id).await,
            SourceApi::V2 => self.get_recording_v2(id).await,
        }
    }

    async fn delete_recording(&self, id: &str) -> Result<(), CallError> {
        self.count_deletion()?;
        match self.api {
            SourceApi::V1 => self.delete_recording_v1(id).await,
            SourceApi::V2 => self.delete_recording_v2(id).await,
        }
    }
}

/// Returns the cure of a failed call; `None` where the error itself says enough.
#[must_use]
pub(crate) fn suggest_cure(source: &config::Source, error: &CallError) -> Option<String> {
    let file = crate::text::printable_path(&source.api_key_file);
    match error {
        CallError::SignedOut { .. } => Some(format!(
            "put the account's key into `{file}`, and look whether api = \"{}\" is its version; the new key is used without a \
             restart",
            source.api.as_str()
        )),
        CallError::Forbidden { .. } => Some(format!(
            "make a key with full access in the account's settings, and put it into `{file}`"
        )),
        CallError::Unavailable { .. } => {
            Some("check base_url, the network and the vendor".to_owned())
        }
        CallError::Refused { .. } | CallError::File(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn source() -> config::Source {
        config::Source {
            name: "baas".into(),
            api: SourceApi::V1,
            base_url: "https://api.meetingbaas.com".parse().expect("a URL"),
            api_key_file: "/nowhere/key".into(),
            into: "sales".into(),
            every: Duration::from_secs(300),
            since: None,
            delete_after: false,
            webhook_secret_file: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn five_deletions_a_minute_are_asked_for_and_the_sixth_says_how_long_it_waits() {
        let pacer = Arc::new(Pacer::new(NonZeroU32::MIN));
        let baas = MeetingBaas::new(&source(), Duration::from_secs(5), pacer).expect("a client");
        for _ in 0..DELETES_MAX {
            assert!(baas.count_deletion().is_ok());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        let refused = baas.count_deletion();
        let Err(CallError::Unavailable { after: Some(after), uncertain: false, .. }) = refused
        else {
            panic!("{refused:?}")
        };
        assert_eq!(after, Duration::from_secs(56));
        tokio::time::advance(after).await;
        assert!(baas.count_deletion().is_ok());
        assert!(baas.count_deletion().is_err(), "one of the five is a minute ago, not more");
    }

    #[tokio::test]
    async fn without_a_key_nobody_is_called_and_the_cure_names_the_file() {
        let pacer = Arc::new(Pacer::new(NonZeroU32::MIN));
        let baas = MeetingBaas::new(&source(), Duration::from_secs(5), pacer).expect("a client");
        let error = baas.check_access().await.expect_err("no key");
        assert!(matches!(error, CallError::SignedOut { .. }), "{error}");
        let cure = suggest_cure(&source(), &error).expect("a cure");
        assert!(cure.contains("`/nowhere/key`") && cure.contains("api = \"v1\""), "{cure}");
    }
}

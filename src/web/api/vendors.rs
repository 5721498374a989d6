//! Operations on the account at a source: bots that sit in meetings, and calendars.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Deserialize;
use serde_json::json;

use super::{
    handlers::ApiAnswer,
    problem::{ApiBody, ApiPath, ApiQuery},
};
use crate::{
    control::{BotOrder, EventBotOrder},
    web::Web,
};

pub(super) async fn list_bots(
    State(web): State<Arc<Web>>,
    ApiPath(source): ApiPath<String>,
) -> ApiAnswer {
    Ok(Json(json!(web.service.vendor_account(&source)?.list_bots().await?)))
}

/// A bot to send.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BotBody {
    url: String,
    at: Option<String>,
    name: Option<String>,
    #[serde(default)]
    transcribe: bool,
}

pub(super) async fn send_bot(
    State(web): State<Arc<Web>>,
    ApiPath(source): ApiPath<String>,
    ApiBody(body): ApiBody<BotBody>,
) -> ApiAnswer {
    let order = BotOrder {
        url: &body.url,
        at: body.at.as_deref(),
        name: body.name.as_deref(),
        transcribe: body.transcribe,
    };
    Ok(Json(web.service.vendor_account(&source)?.send_bot(&order).await?))
}

pub(super) async fn recall_bot(
    State(web): State<Arc<Web>>,
    ApiPath((source, bot)): ApiPath<(String, String)>,
) -> ApiAnswer {
    Ok(Json(web.service.vendor_account(&source)?.recall_bot(&bot).await?))
}

pub(super) async fn retranscribe(
    State(web): State<Arc<Web>>,
    ApiPath((source, bot)): ApiPath<(String, String)>,
) -> ApiAnswer {
    Ok(Json(web.service.vendor_account(&source)?.retranscribe(&bot).await?))
}

pub(super) async fn list_calendars(
    State(web): State<Arc<Web>>,
    ApiPath(source): ApiPath<String>,
) -> ApiAnswer {
    Ok(Json(json!(web.service.vendor_account(&source)?.list_calendars().await?)))
}

/// The query of events.
#[derive(Deserialize)]
pub(super) struct EventsQuery {
    calendar: Option<String>,
}

pub(super) async fn list_events(
    State(web): State<Arc<Web>>,
    ApiPath(source): ApiPath<String>,
    ApiQuery(query): ApiQuery<EventsQuery>,
) -> ApiAnswer {
    let account = web.service.vendor_account(&source)?;
    Ok(Json(json!(account.list_events(query.calendar.as_deref()).await?)))
}

/// A bot to send to an event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ScheduleBody {
    name: Option<String>,
    #[serde(default)]
    transcribe: bool,
    #[serde(default)]
    series: bool,
}

pub(super) async fn schedule_bot(
    State(web): State<Arc<Web>>,
    ApiPath((source, event)): ApiPath<(String, String)>,
    ApiBody(body): ApiBody<ScheduleBody>,
) -> ApiAnswer {
    let order = EventBotOrder {
        event: &event,
        name: body.name.as_deref(),
        transcribe: body.transcribe,
        whole_series: body.series,
    };
    Ok(Json(web.service.vendor_account(&source)?.schedule_bot(&order).await?))
}

/// The meetings that a bot no longer joins.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UnscheduleBody {
    #[serde(default)]
    series: bool,
}

pub(super) async fn unschedule_bot(
    State(web): State<Arc<Web>>,
    ApiPath((source, event)): ApiPath<(String, String)>,
    ApiBody(body): ApiBody<UnscheduleBody>,
) -> ApiAnswer {
    Ok(Json(web.service.vendor_account(&source)?.unschedule_bot(&event, body.series).await?))
}

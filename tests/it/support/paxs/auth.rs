//! The two ways to sign in, and the token endpoint.

use axum::{
    Json,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::{
    Shared,
    extract::JsonBody,
    state::{Moment, Refusal},
    tokens::SignIn,
};

/// The query of the authorize page.
#[derive(Debug, Deserialize)]
pub(super) struct AuthorizeQuery {
    response_type: Option<String>,
    state: Option<String>,
    flow: Option<String>,
    redirect_uri: Option<String>,
}

/// The query of a poll.
#[derive(Debug, Deserialize)]
pub(super) struct PollQuery {
    state: Option<String>,
}

/// The body of the token endpoint.
#[derive(Deserialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
pub(super) enum Grant {
    /// A code for the first pair.
    AuthorizationCode { code: String, redirect_uri: String },
    /// A refresh token for the next pair.
    RefreshToken { refresh_token: String },
}

/// `GET /api/oauth/provider/authorize`
pub(super) async fn authorize(
    State(shared): State<Shared>,
    Query(query): Query<AuthorizeQuery>,
) -> Result<Response, Refusal> {
    if query.response_type.as_deref() != Some("code") {
        return Err(Refusal::bad("response_type must be code"));
    }
    let state = required_state(query.state)?;
    match (query.flow.as_deref(), query.redirect_uri) {
        (Some("agent"), None) => Ok(agent_page(&shared, &state)),
        (None, Some(redirect_uri)) => callback(&shared, &state, &redirect_uri),
        (Some(_) | None, _) => Err(Refusal::bad("either flow=agent or a redirect_uri is required")),
    }
}

/// Begins the agent flow and shows the person how it stands.
fn agent_page(shared: &Shared, state: &str) -> Response {
    let mut world = shared.world();
    world.model.tokens.begin(state);
    let words = if world.options.auto_approve {
        world.model.tokens.decide(state, true);
        "Approved. You may close this page."
    } else {
        "Waiting for approval at the stand-in."
    };
    Html(format!("<!doctype html><title>Stand-in</title><p>{words}</p>")).into_response()
}

/// Sends the browser back to the program that asked, with a code or with the person's refusal.
fn callback(shared: &Shared, state: &str, redirect_uri: &str) -> Result<Response, Refusal> {
    let mut target = loopback(redirect_uri)?;
    let mut world = shared.world();
    let now = Moment::now().at;
    let model = &mut world.model;
    if model.tokens.standing(state) == SignIn::Denied {
        target.query_pairs_mut().append_pair("error", "access_denied");
    } else {
        let code = model.tokens.code(redirect_uri, now, &mut model.ids);
        target.query_pairs_mut().append_pair("code", &code);
    }
    target.query_pairs_mut().append_pair("state", state);
    Ok((StatusCode::FOUND, [(header::LOCATION, String::from(target))]).into_response())
}

/// Returns a place on this machine; a code goes nowhere else.
fn loopback(redirect_uri: &str) -> Result<Url, Refusal> {
    let url = Url::parse(redirect_uri).ok().filter(|url| url.scheme() == "http");
    let url = url.filter(|url| matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")));
    url.ok_or_else(|| Refusal::bad("redirect_uri must be http on loopback"))
}

/// `GET /api/oauth/provider/poll`
///
/// A state that nobody has opened yet is pending: polling begins before the person follows the link.
pub(super) async fn poll(
    State(shared): State<Shared>,
    Query(query): Query<PollQuery>,
) -> Result<Json<Value>, Refusal> {
    let state = required_state(query.state)?;
    let redirect_uri = agent_redirect(&shared);
    let mut world = shared.world();
    if world.options.auto_approve && world.model.tokens.standing(&state) == SignIn::Pending {
        world.model.tokens.decide(&state, true);
    }
    let model = &mut world.model;
    match model.tokens.complete(&state, &redirect_uri, Moment::now().at, &mut model.ids) {
        SignIn::Pending | SignIn::Approved => Ok(Json(json!({ "status": "pending" }))),
        SignIn::Complete { code } => Ok(Json(json!({ "status": "complete", "code": code }))),
        SignIn::Denied => Err(Refusal { status: 400, body: json!({ "error": "access_denied" }) }),
    }
}

/// `POST /api/oauth/provider/token`
pub(super) async fn token(
    State(shared): State<Shared>,
    JsonBody(grant): JsonBody<Grant>,
) -> Result<Json<Value>, Refusal> {
    let mut world = shared.world();
    let options = world.options.clone();
    let (now, model) = (Moment::now().at, &mut world.model);
    let pair = match grant {
        Grant::AuthorizationCode { code, redirect_uri } => {
            model.tokens.exchange(&code, &redirect_uri, now, &options, &mut model.ids)?
        }
        Grant::RefreshToken { refresh_token } => {
            model.tokens.rotate(&refresh_token, now, &options, &mut model.ids)?
        }
    };
    Ok(Json(pair.answer()))
}

/// The `redirect_uri` that belongs to the agent flow, in the documents.
fn agent_redirect(shared: &Shared) -> String {
    format!("{}/api/oauth/provider/agent-callback", shared.base_url())
}

fn required_state(state: Option<String>) -> Result<String, Refusal> {
    state.filter(|state| !state.is_empty()).ok_or_else(|| Refusal::bad("state is required"))
}

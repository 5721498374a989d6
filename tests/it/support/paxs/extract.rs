//! What a handler takes from a request before it begins: the sign-in, and a JSON body.

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::{
    Shared,
    state::{Moment, Refusal},
};

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.status).expect("the model refuses with statuses that exist");
        (status, Json(self.body)).into_response()
    }
}

/// Proof that the caller is signed in.
#[derive(Debug)]
pub(super) struct SignedIn;

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Refusal> {
        let token = bearer(&parts.headers)
            .ok_or_else(|| Refusal::new(401, "a bearer token is required"))?;
        if shared.world().model.tokens.admits(token, Moment::now().at) {
            Ok(Self)
        } else {
            Err(Refusal::new(401, "the access token is expired or unknown"))
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// A JSON body: of that content type (415), of that shape (400).
#[derive(Debug)]
pub(super) struct JsonBody<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Shared> for JsonBody<T> {
    type Rejection = Refusal;

    async fn from_request(request: Request, shared: &Shared) -> Result<Self, Refusal> {
        if !is_json(request.headers()) {
            return Err(Refusal::new(415, "the body must be application/json"));
        }
        let body = Bytes::from_request(request, shared).await;
        let body = body.map_err(|rejection| {
            Refusal::new(rejection.status().as_u16(), "the body could not be read")
        })?;
        serde_json::from_slice(&body).map(Self).map_err(|error| Refusal::bad(&error.to_string()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value
        .split(';')
        .next()
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

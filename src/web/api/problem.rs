//! Errors as RFC 9457 has them, and the parts of a request that end in one.

use axum::{
    Json,
    extract::{
        FromRequest, FromRequestParts, Path, Query, Request,
        rejection::{JsonRejection, PathRejection, QueryRejection},
    },
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::control::Refusal;

/// The media type of a problem.
const MEDIA_TYPE: &str = "application/problem+json";

/// An error of the API.
#[derive(Debug)]
pub(super) struct Problem {
    code: StatusCode,
    detail: String,
    hint: Option<String>,
}

/// A problem as it is sent. Its type is that of RFC 9457, 4.2.1: the code says it all.
#[derive(Serialize)]
struct ProblemDocument<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
}

impl Problem {
    pub(super) fn new(code: StatusCode, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), hint: None }
    }

    /// Adds what helps.
    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let code = if refusal.is_unknown { StatusCode::NOT_FOUND } else { StatusCode::CONFLICT };
        Self { code, detail: refusal.message, hint: refusal.hint }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = ProblemDocument {
            r#type: "about:blank",
            title: self.code.canonical_reason().unwrap_or("Error"),
            status: self.code.as_u16(),
            detail: &self.detail,
            hint: self.hint.as_deref(),
        };
        let mut response = (self.code, Json(document)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        response
    }
}

/// The places of a path.
pub(super) struct ApiPath<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for ApiPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Path::from_request_parts(parts, state).await;
        read.map(|Path(places)| Self(places)).map_err(|error: PathRejection| {
            // Where a number belongs and none is, nothing is there.
            Problem::new(StatusCode::NOT_FOUND, error.body_text())
        })
    }
}

/// The query.
pub(super) struct ApiQuery<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for ApiQuery<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(query)| Self(query)).map_err(|error: QueryRejection| {
            Problem::new(StatusCode::BAD_REQUEST, error.body_text())
        })
    }
}

/// The body, which is JSON.
pub(super) struct ApiBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = Json::from_request(request, state).await;
        read.map(|Json(body)| Self(body))
            .map_err(|error: JsonRejection| Problem::new(error.status(), error.body_text()))
    }
}

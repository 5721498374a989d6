//! The API: what the commands do, for programs that send its token.
//!
//! [`OPERATIONS`](operations::OPERATIONS) lists everything: the routes, the `OpenAPI` document and the page about the API
//! are made of it. Answers are the JSON of the commands, and every error is a problem of RFC 9457.

mod handlers;
mod machine;
mod openapi;
pub(super) mod operations;
mod problem;
mod vendors;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};

use self::problem::Problem;
use super::Web;

/// Where the API is.
pub(super) const PREFIX: &str = "/api/v1";

/// The document that describes it; everybody who reaches the port may read it.
pub(super) const DOCUMENT: &str = "/api/v1/openapi.json";

/// Bytes of a body that is JSON: a few names at most.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// Returns the routes below [`PREFIX`].
pub(super) fn routes() -> Router<Arc<Web>> {
    let mut router = Router::new().route("/openapi.json", get(openapi::show));
    for operation in operations::OPERATIONS {
        router = router.route(operation.path, (operation.route)());
    }
    router
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .fallback(|| async { Problem::new(StatusCode::NOT_FOUND, "there is no such operation") })
        .method_not_allowed_fallback(|| async {
            Problem::new(StatusCode::METHOD_NOT_ALLOWED, "the operation takes another method")
        })
}

/// Returns the answer to a request without the token; `None` where it has it.
pub(super) async fn refuse(web: &Web, headers: &HeaderMap) -> Option<Response> {
    let given = bearer_token(headers).map(str::to_owned);
    let access = Arc::clone(web.service.api_access());
    let checked = tokio::task::spawn_blocking(move || {
        given.map_or(Ok(false), |given| access.is_token(&given))
    });
    let is_good = checked.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
    match is_good {
        Ok(true) => None,
        Ok(false) => {
            let problem = Problem::new(StatusCode::UNAUTHORIZED, "the token is missing or wrong")
                .hint("send `Authorization: Bearer TOKEN`; `minuted page --api-token` prints the token");
            let mut response = problem.into_response();
            let scheme = HeaderValue::from_static("Bearer realm=\"minuted\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            Some(response)
        }
        Err(error) => {
            tracing::error!("the token of the API cannot be read: {error}");
            let what = "the token of the API cannot be read; the log says why";
            Some(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, what).into_response())
        }
    }
}

/// Returns the token that a request carries.
fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

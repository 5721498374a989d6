//! Who may: the host that was asked, the session, the origin of a change; and the headers of every answer.
//!
//! A browser on this machine visits other pages, too, and what those send arrives here with the same address. So the host
//! must be one of ours (else a name that points to this machine would read the page), a change must come from the page
//! itself, and the cookie goes along with requests of the page alone.

use std::sync::Arc;

use axum::{
    extract::{Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{Web, api, pages};
use crate::{clock, config::HttpServer, control::SESSION_LIFE, webhook::WEBHOOK_PREFIX};

/// Where nothing but the page itself may run, be shown or be sent to.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; media-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The headers of every answer.
const HEADERS: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // With "no-referrer" a browser would send the origin of our own forms as null.
    (header::REFERRER_POLICY, "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// Checks a request before anything reads it, and completes the answer.
pub(super) async fn check_request(
    State(web): State<Arc<Web>>,
    request: Request,
    next: Next,
) -> Response {
    let refusal = refuse(&web, request.method(), request.uri().path(), request.headers()).await;
    let mut response = match refusal {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What stands on the page is for nobody else, and old a moment later.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Returns the answer to a request that is not allowed.
async fn refuse(web: &Web, method: &Method, path: &str, headers: &HeaderMap) -> Option<Response> {
    let host = text_of(headers, &header::HOST);
    if !host.is_some_and(|host| is_our_host(&web.settings, host)) {
        let what = "this address is not the one that minuted expects; see `url` in [http]";
        return Some((StatusCode::MISDIRECTED_REQUEST, what).into_response());
    }
    if matches!(path, "/enter" | "/healthz" | "/style.css" | "/script.js" | api::DOCUMENT) {
        return None;
    }
    if path.starts_with(WEBHOOK_PREFIX) {
        return None;
    }
    if path == "/metrics" && !web.settings.is_reached_from_outside() {
        return None;
    }
    let is_for_programs = path == "/metrics"
        || path
            .strip_prefix(api::PREFIX)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_for_programs {
        return api::refuse(web, headers).await;
    }
    if !has_session(web, headers) {
        return Some(pages::show_signed_out());
    }
    let is_change = !matches!(*method, Method::GET | Method::HEAD);
    if is_change && !is_of_page(&web.settings, headers) {
        let what = "this request does not come from the page itself";
        return Some(pages::show_problem(StatusCode::FORBIDDEN, what, None));
    }
    None
}

fn text_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Returns whether a host with its port is this machine's, or that of `url`.
fn is_our_host(settings: &HttpServer, host: &str) -> bool {
    our_origins(settings).any(|origin| {
        origin.split_once("://").is_some_and(|(_, ours)| ours.eq_ignore_ascii_case(host))
    })
}

/// Returns whether a request was sent by a page of ours.
fn is_of_page(settings: &HttpServer, headers: &HeaderMap) -> bool {
    match text_of(headers, &header::ORIGIN) {
        Some(origin) => our_origins(settings).any(|ours| ours.eq_ignore_ascii_case(origin)),
        None => text_of(headers, &HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
    }
}

/// Returns the origins under which the page is reached.
fn our_origins(settings: &HttpServer) -> impl Iterator<Item = String> {
    let port = settings.listen.port();
    let names = ["127.0.0.1", "localhost", "[::1]"];
    let local = names.into_iter().map(move |name| format!("http://{name}:{port}"));
    let own = settings.listen.ip().is_loopback().then(|| format!("http://{}", settings.listen));
    local.chain(own).chain(settings.url.is_some().then(|| settings.origin()))
}

/// The name of the cookie. The prefix has a browser take it over TLS alone, and from this host alone.
fn cookie_name(settings: &HttpServer) -> &'static str {
    if settings.is_tls() { "__Host-minuted" } else { "minuted" }
}

fn has_session(web: &Web, headers: &HeaderMap) -> bool {
    session_of(web, headers)
        .is_some_and(|session| web.service.page_access().is_session(&session, clock::now()))
}

/// Returns the session that a request carries, good or not.
pub(super) fn session_of(web: &Web, headers: &HeaderMap) -> Option<String> {
    let name = cookie_name(&web.settings);
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs =
        cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim().to_owned())
}

/// The query of `/enter`.
#[derive(Deserialize)]
pub(super) struct EnterQuery {
    #[serde(default)]
    code: String,
}

/// Exchanges a code for a session.
pub(super) async fn enter(
    State(web): State<Arc<Web>>,
    Query(query): Query<EnterQuery>,
) -> Response {
    let access = web.service.page_access();
    if !access.use_code(&query.code) {
        return pages::show_signed_out();
    }
    match access.make_session(clock::now()) {
        Ok(session) => {
            let cookie = cookie(&web.settings, &session, SESSION_LIFE.as_secs());
            // A redirection would be part of the visit from elsewhere, and would not carry the cookie.
            ([(header::SET_COOKIE, cookie)], pages::show_entered()).into_response()
        }
        Err(error) => {
            tracing::error!("failed to keep the key of the page's sessions: {error}");
            pages::show_problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the key of the sessions cannot be kept; the log says why",
                None,
            )
        }
    }
}

/// Forgets the session in this browser.
pub(super) async fn leave(State(web): State<Arc<Web>>) -> Response {
    let gone = cookie(&web.settings, "", 0);
    ([(header::SET_COOKIE, gone)], pages::show_signed_out()).into_response()
}

fn cookie(settings: &HttpServer, value: &str, seconds: i64) -> String {
    let secure = if settings.is_tls() { "; Secure" } else { "" };
    let name = cookie_name(settings);
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: Option<&str>) -> HttpServer {
        HttpServer {
            listen: "127.0.0.1:8765".parse().expect("an address"),
            url: url.map(|url| url.parse().expect("a URL")),
            behind_proxy: false,
        }
    }

    #[test]
    fn only_names_of_this_machine_and_the_url_are_our_hosts() {
        let local = settings(None);
        for host in ["127.0.0.1:8765", "localhost:8765", "LOCALHOST:8765", "[::1]:8765"] {
            assert!(is_our_host(&local, host), "{host}");
        }
        for host in [
            "",
            "127.0.0.1",
            "localhost",
            "localhost:80",
            "evil.example:8765",
            "minutes.example.com",
        ] {
            assert!(!is_our_host(&local, host), "{host}");
        }
        let proxied = settings(Some("https://minutes.example.com"));
        assert!(is_our_host(&proxied, "minutes.example.com"));
        assert!(!is_our_host(&proxied, "minutes.example.com:8765"));
        assert!(is_our_host(&settings(Some("https://a.example:8443")), "a.example:8443"));
    }

    #[test]
    fn a_change_comes_from_the_page_itself() {
        let sent = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            is_of_page(&settings(Some("https://minutes.example.com")), &headers)
        };
        assert!(sent("origin", "http://127.0.0.1:8765"));
        assert!(sent("origin", "https://minutes.example.com"));
        assert!(sent("sec-fetch-site", "same-origin"));
        for origin in
            ["null", "http://127.0.0.1:9999", "http://minutes.example.com", "https://evil.example"]
        {
            assert!(!sent("origin", origin), "{origin}");
        }
        assert!(!sent("sec-fetch-site", "same-site"));
        assert!(!sent("accept", "*/*"));
    }

    #[test]
    fn a_cookie_is_for_this_page_alone() {
        assert_eq!(
            cookie(&settings(None), "x", 60),
            "minuted=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            cookie(&settings(Some("https://minutes.example.com")), "x", 60),
            "__Host-minuted=x; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
    }
}

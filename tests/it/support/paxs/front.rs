//! The sockets: an accept loop and a front before the router that can do what no router can: reset, close, hang.

use std::{io, net::SocketAddr};

use axum::{
    Router,
    body::Body,
    extract::DefaultBodyLimit,
    http::{HeaderMap, HeaderValue, Request, Uri, header},
    response::Response,
    routing::{get, post},
};
use hyper::{
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use jiff::fmt::rfc2822;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Duration,
};

use super::{
    Shared, analyses, auth,
    call::Call,
    faults::Fault,
    intake::Intake,
    recordings, sessions,
    spoil::{self, Cut},
    state::Moment,
};

/// The longest JSON body, in bytes. Far more than any call needs.
const JSON_MAX: usize = 1024 * 1024;

/// The most connections at once; more wait in the listen queue. Ten times what a test opens, well below the usual
/// 1,024 descriptors of a process.
const CONNECTIONS_MAX: usize = 500;

/// How long the accept loop waits before it tries again what failed: to take its port back, to accept when
/// descriptors are short.
const AGAIN: Duration = Duration::from_millis(10);

/// Whether the stand-in listens: what is wanted and what is.
#[derive(Debug)]
pub(super) struct Door {
    /// Wanted, set by the holder.
    pub(super) wanted: watch::Sender<bool>,
    /// So, set by the accept loop.
    pub(super) open: watch::Sender<bool>,
}

/// Accepts until it is dropped. Connections are closed with it, and whenever the door is shut.
pub(super) async fn serve(shared: Shared, listener: TcpListener) {
    let (router, address) = (router(shared.clone()), shared.address());
    let mut wanted = shared.door().wanted.subscribe();
    // Declared first, dropped last: the port is free when the door says so.
    let _shut = Shut(shared.clone());
    let mut listener = Some(listener);
    loop {
        let socket = match listener.take() {
            Some(socket) => socket,
            None => rebind(address).await,
        };
        shared.door().open.send_replace(true);
        tokio::select! {
            () = accept(&shared, &socket, &router) => {}
            _ = wanted.wait_for(|wanted| !wanted) => {}
        }
        drop(socket);
        shared.door().open.send_replace(false);
        if wanted.wait_for(|wanted| *wanted).await.is_err() {
            return;
        }
    }
}

/// Says that the port is closed, when serving has ended.
struct Shut(Shared);

impl Drop for Shut {
    fn drop(&mut self) {
        self.0.door().open.send_replace(false);
    }
}

/// Takes the same port again, as soon as it is free.
async fn rebind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

async fn accept(shared: &Shared, listener: &TcpListener, router: &Router) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(converse(shared.clone(), router.clone(), stream));
                }
                Err(_) => tokio::time::sleep(AGAIN).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection to its end, which is a reset where a fault wants it.
async fn converse(shared: Shared, router: Router, stream: TcpStream) {
    let service = service_fn(move |request| answer(shared.clone(), router.clone(), request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let Err(error) = (&mut connection).await else { return };
    if cut_of(&error) == Some(Cut::Reset) {
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::debug!("the stand-in could not reset a connection: {error}");
        }
    }
}

fn cut_of(error: &hyper::Error) -> Option<Cut> {
    std::error::Error::source(error)?.downcast_ref::<Cut>().copied()
}

/// Keeps the book of one call from its head to its answer, also when the caller leaves.
struct Entered {
    shared: Shared,
    call: Call,
    number: u64,
}

impl Entered {
    fn new(shared: &Shared, call: Call, path: &str) -> Self {
        let number = shared.world().book.begin(call, path, Moment::now().wall);
        Self { shared: shared.clone(), call, number }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.shared.world().book.end(self.call);
    }
}

/// Answers one request: the fault that it meets, around the work of the router.
async fn answer(
    shared: Shared,
    router: Router,
    request: Request<Incoming>,
) -> Result<Response, Cut> {
    let call = Call::of(request.method(), request.uri().path());
    let entered = Entered::new(&shared, call, request.uri().path());
    let (parts, body) = request.into_parts();
    let intake = Intake::new(body);
    let fault = planted(&shared, call, &parts.uri, &intake).await;
    if fault.is_some() {
        shared.world().book.fault(entered.number);
    }
    let mut result = match fault {
        Some(Planted::Down) => refuse(&intake, Ok(spoil::down())).await,
        Some(Planted::Fault(fault)) => {
            faulty(&fault, router, Request::from_parts(parts, intake)).await
        }
        None => work(router, Request::from_parts(parts, intake)).await,
    };
    if let Ok(answer) = &mut result {
        shared.world().book.answer(entered.number, answer.status().as_u16());
        date(&shared, answer);
    }
    result
}

/// Says what time it is by the stand-in's own clock.
fn date(shared: &Shared, answer: &mut Response) {
    let told = shared.world().options.told(Moment::now().wall);
    let told = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&told);
    if let Some(told) = told.ok().and_then(|told| HeaderValue::try_from(told).ok()) {
        answer.headers_mut().insert(header::DATE, told);
    }
}

enum Planted {
    Down,
    Fault(Fault),
}

/// Returns what goes wrong with this call, if something does.
async fn planted(shared: &Shared, call: Call, uri: &Uri, intake: &Intake) -> Option<Planted> {
    if shared.world().down {
        return Some(Planted::Down);
    }
    let subjects = if shared.world().faults.ask_subjects(call) {
        subjects(shared, call, uri, intake).await
    } else {
        Vec::new()
    };
    shared.world().faults.take(call, &subjects).map(Planted::Fault)
}

/// Returns what a call is about: the title of its meeting, the name of its file, as far as they can be known.
async fn subjects(shared: &Shared, call: Call, uri: &Uri, intake: &Intake) -> Vec<String> {
    match call {
        Call::CreateSession => title_of(&body_json(intake).await).into_iter().collect(),
        Call::RequestAnalysis => {
            let body = body_json(intake).await;
            shared.about(body["session_id"].as_str().unwrap_or_default())
        }
        Call::Upload => {
            let mut about = shared.about(&query_session(uri));
            about.extend(file_name(intake).await);
            about
        }
        Call::Analysis => shared.about(&query_session(uri)),
        Call::GetSession => shared.about(uri.path().rsplit('/').next().unwrap_or_default()),
        Call::Authorize
        | Call::Poll
        | Call::Token
        | Call::Profile
        | Call::ListSessions
        | Call::Unknown => Vec::new(),
    }
}

fn title_of(body: &serde_json::Value) -> Option<String> {
    body["title"].as_str().map(str::to_owned)
}

async fn body_json(intake: &Intake) -> serde_json::Value {
    let body = intake.look_ahead(JSON_MAX, |_| false).await;
    serde_json::from_slice(&body).unwrap_or_default()
}

fn query_session(uri: &Uri) -> String {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs
        .into_iter()
        .find(|(name, _)| name == "session_id")
        .map(|(_, id)| id.into_owned())
        .unwrap_or_default()
}

/// How far into an upload its file name is looked for, in bytes.
const NAME_WITHIN: usize = 64 * 1024;

/// Returns the head of the file's part, which holds its name.
async fn file_name(intake: &Intake) -> Option<String> {
    let head = intake.look_ahead(NAME_WITHIN, |head| file_part(head).is_some()).await;
    file_part(&head)
}

fn file_part(head: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(head);
    let (_, name) = text.split_once("filename")?;
    name.split_once("\r\n\r\n").map(|(headers, _)| headers.to_owned())
}

/// Carries out a fault, with the work before, after or not at all.
async fn faulty(fault: &Fault, router: Router, request: Request<Intake>) -> Result<Response, Cut> {
    if matches!(fault, Fault::ResetMidBody) {
        let length = content_length(request.headers());
        if length == Some(0) {
            return Err(Cut::Reset);
        }
        request
            .body()
            .cut_after(length.map_or(CUT_AFTER_MAX, |length| CUT_AFTER_MAX.min(length / 2)));
    }
    if let Fault::Slow { bytes_per_second } = fault {
        request.body().slow_down(*bytes_per_second);
    }
    if matches!(fault, Fault::EarlyStatus(_) | Fault::ResetBefore | Fault::Hang) {
        return spoil::before(fault).await.expect("these come before the work");
    }
    match spoil::before(fault).await {
        Some(result) => refuse(request.body(), result).await,
        None => spoil::after(fault, work(router, request).await?).await,
    }
}

/// An upload that breaks off does so after half of it, at most after so many bytes.
const CUT_AFTER_MAX: u64 = 64 * 1024;

fn content_length(headers: &HeaderMap) -> Option<u64> {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return None;
    }
    Some(
        headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .unwrap_or(0),
    )
}

/// Answers without work, once the request has come in.
async fn refuse(intake: &Intake, result: Result<Response, Cut>) -> Result<Response, Cut> {
    intake.clone().pour_away().await;
    result
}

/// Lets the router answer, and reads what it left of the request.
async fn work(router: Router, request: Request<Intake>) -> Result<Response, Cut> {
    let intake = request.body().clone();
    let answer = TowerToHyperService::new(router).call(request.map(Body::new)).await;
    let answer = answer.unwrap_or_else(|never| match never {});
    intake.clone().pour_away().await;
    if intake.is_cut() { Err(Cut::Reset) } else { Ok(answer) }
}

fn router(shared: Shared) -> Router {
    let uploads = post(recordings::upload).layer(DefaultBodyLimit::disable());
    Router::new()
        .route("/api/oauth/provider/authorize", get(auth::authorize))
        .route("/api/oauth/provider/poll", get(auth::poll))
        .route("/api/oauth/provider/token", post(auth::token))
        .route("/api/users/me", get(sessions::profile))
        .route("/api/sessions", post(sessions::create).get(sessions::list))
        .route("/api/sessions/{id}", get(sessions::details))
        .route("/api/recordings", uploads)
        .route("/api/recordings/{id}/analysis", get(analyses::reports))
        .route("/api/analysis/request", post(analyses::request))
        .layer(DefaultBodyLimit::max(JSON_MAX))
        .with_state(shared)
}

/// Makes a listener of the standard library one of this runtime.
pub(super) fn adopt(listener: std::net::TcpListener) -> io::Result<TcpListener> {
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

//! The service against real sockets: sign-in, uploads and walks.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    num::NonZeroU32,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::Notify,
};
use tokio_util::task::TaskTracker;

use super::{
    Freshness, LoginError, PaxsService, SignIn,
    tokens::{SavedSignIn, TokenPair, TokenStore},
};
use crate::{
    beneath::Stamp,
    clock,
    config::{self, Analysis, MeetingType},
    http::{
        CallLimits,
        loopback::{LoopbackReply, SeenRequest, Server, read_head, read_request},
    },
    job::{Content, Key, Status},
    progress::Progress,
    services::{CallError, FileFault, NotesService as _, Upload, pacer::Pacer},
};

const LONG: Duration = Duration::from_secs(60);

/// A service with its state directory.
struct Desk {
    dir: tempfile::TempDir,
    base: url::Url,
    tasks: TaskTracker,
}

impl Desk {
    fn new(server: &Server) -> Self {
        Self {
            dir: tempfile::tempdir().expect("a directory"),
            base: server.base.clone(),
            tasks: TaskTracker::new(),
        }
    }

    fn store(&self) -> TokenStore {
        TokenStore::new(self.dir.path(), "paxs", self.base.origin().ascii_serialization())
    }

    /// Signs in with the access token `a1`, of an hour that began `age_s` seconds ago.
    fn signed_in(self, age_s: i64) -> Self {
        let obtained = clock::now() - SignedDuration::from_secs(age_s);
        let expires = obtained + SignedDuration::from_hours(1);
        let pair = TokenPair {
            access: "a1".into(),
            refresh: "r1".into(),
            since: obtained,
            obtained,
            expires,
        };
        self.store().save_pair(&pair).expect("saved");
        self
    }

    fn paxs(&self) -> PaxsService {
        self.paxs_with(CallLimits { request: LONG, stall: LONG, answer: LONG })
    }

    fn paxs_with(&self, limits: CallLimits) -> PaxsService {
        let paxs = config::Paxs { base_url: self.base.clone(), meeting_type: MeetingType::Group };
        let settings = config::Service {
            daily_limit: Duration::ZERO,
            name: "paxs".into(),
            kind: config::Kind::Paxs(paxs.clone()),
            at_once: None,
            analyses: vec![Analysis::Transcription],
            instruction: None,
            poll: config::Poll { first: LONG, every: LONG, timeout: LONG, patience: LONG },
            notes: None,
            request_timeout: limits.request,
        };
        let pacer = Arc::new(Pacer::new(NonZeroU32::new(1000).expect("not zero")));
        PaxsService::with_limits(
            &settings,
            &paxs,
            self.dir.path(),
            pacer,
            self.tasks.clone(),
            limits,
        )
        .expect("a service")
    }

    fn saved_access(&self) -> Option<String> {
        match self.store().load_sign_in().expect("loaded") {
            SavedSignIn::Pair(pair) => {
                Some(secrecy::ExposeSecret::expose_secret(&pair.access).to_owned())
            }
            SavedSignIn::SignedOut(_) => None,
        }
    }
}

const TOKEN: &str = "POST /api/oauth/provider/token";
const ME: &str = "GET /api/users/me";

/// Gives `a2`, `a3`, … for `r1`, `r2`, …; any other refresh token is refused.
fn next_pair(seen: &SeenRequest, given: &AtomicUsize) -> LoopbackReply {
    let n = given.fetch_add(1, Ordering::SeqCst) + 2;
    if seen.json()["refresh_token"] != format!("r{}", n - 1) {
        return LoopbackReply::Body(400, r#"{"detail":"refresh token reuse"}"#.into());
    }
    pair(n)
}

fn pair(n: usize) -> LoopbackReply {
    LoopbackReply::json(
        &json!({"access_token": format!("a{n}"), "refresh_token": format!("r{n}"), "expires_in": 3600}),
    )
}

/// A server whose tokens rotate; `valid` says from which access token on it takes them.
async fn rotating(valid: usize) -> Server {
    let given = Arc::new(AtomicUsize::new(0));
    Server::start(move |seen| {
        let given = Arc::clone(&given);
        async move {
            if seen.line() == TOKEN {
                // Slow enough that everybody waits.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return next_pair(&seen, &given);
            }
            let n: usize = seen.bearer().trim_start_matches('a').parse().unwrap_or(0);
            if n < valid {
                LoopbackReply::Body(401, r#"{"detail":"expired"}"#.into())
            } else {
                LoopbackReply::json(&json!({"n": n}))
            }
        }
    })
    .await
}

// --- refresh ---

#[tokio::test]
async fn sixteen_calls_at_once_make_one_refresh() {
    let server = rotating(2).await;
    let desk = Desk::new(&server).signed_in(0);
    let paxs = desk.paxs();
    for profile in join_all((0..16).map(|_| paxs.read_profile())).await {
        assert_eq!(profile.expect("a profile"), json!({"n": 2}));
    }
    assert_eq!(server.count(TOKEN), 1);
    assert_eq!(desk.saved_access().as_deref(), Some("a2"));
}

#[tokio::test]
async fn two_processes_make_one_refresh() {
    let server = rotating(2).await;
    let desk = Desk::new(&server).signed_in(4000);
    let one = desk.paxs();
    let other = desk.paxs();
    let (one, other) = tokio::join!(one.read_profile(), other.read_profile());
    assert_eq!(
        (one.expect("a profile"), other.expect("a profile")),
        (json!({"n": 2}), json!({"n": 2}))
    );
    assert_eq!(server.count(TOKEN), 1);
}

#[tokio::test]
async fn a_401_is_answered_by_one_refresh_and_the_call_once_more() {
    let server = rotating(2).await;
    let desk = Desk::new(&server).signed_in(0);
    assert_eq!(desk.paxs().read_profile().await.expect("a profile"), json!({"n": 2}));
    let lines: Vec<_> = server.seen().iter().map(|seen| seen.line().to_owned()).collect();
    assert_eq!(lines, [ME, TOKEN, ME]);
}

#[tokio::test]
async fn a_fresh_token_that_is_refused_too_is_a_missing_sign_in_and_heals() {
    let server = rotating(3).await;
    let desk = Desk::new(&server).signed_in(0);
    let paxs = desk.paxs();
    assert!(matches!(paxs.read_profile().await, Err(CallError::SignedOut { .. })));
    assert!(matches!(paxs.signed_in(), SignIn::No { .. }));
    assert_eq!(server.count(TOKEN), 1, "no second refresh for one call");
    assert!(paxs.read_profile().await.is_ok());
    assert!(matches!(paxs.signed_in(), SignIn::Yes { .. }));
}

#[tokio::test]
async fn a_token_near_its_end_is_refreshed_before_the_call() {
    let server = rotating(2).await;
    let desk = Desk::new(&server).signed_in(3400);
    desk.paxs().read_profile().await.expect("a profile");
    assert_eq!(server.seen()[0].line(), TOKEN);
    assert_eq!(server.count(ME), 1);
}

#[tokio::test]
async fn the_new_pair_is_on_disk_before_it_is_used() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("tokens-paxs.json");
    let server = Server::start(move |seen| {
        let saved = fs::read_to_string(&file).unwrap_or_default();
        async move {
            match seen.line() {
                TOKEN => pair(2),
                _ => LoopbackReply::json(
                    &json!({"saved": saved.contains("\"a2\"") && saved.contains("\"r2\"")}),
                ),
            }
        }
    })
    .await;
    let desk = Desk { dir, base: server.base.clone(), tasks: TaskTracker::new() }.signed_in(4000);
    assert_eq!(desk.paxs().read_profile().await.expect("a profile"), json!({"saved": true}));
}

#[tokio::test]
async fn a_refresh_is_finished_and_saved_though_its_caller_went_away() {
    let asked = Arc::new(Notify::new());
    let told = Arc::clone(&asked);
    let server = Server::start(move |_| {
        let told = Arc::clone(&told);
        async move {
            told.notify_one();
            tokio::time::sleep(Duration::from_millis(50)).await;
            pair(2)
        }
    })
    .await;
    let desk = Desk::new(&server).signed_in(4000);
    let paxs = desk.paxs();
    tokio::select! {
        result = paxs.read_profile() => panic!("{result:?}"),
        () = asked.notified() => {}
    }
    desk.tasks.close();
    desk.tasks.wait().await;
    assert_eq!(desk.saved_access().as_deref(), Some("a2"));
}

#[tokio::test]
async fn a_lost_answer_to_a_refresh_ends_nothing_and_the_next_try_tells() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        let asked = Arc::clone(&asked);
        async move {
            match seen.line() {
                TOKEN if asked.fetch_add(1, Ordering::SeqCst) == 0 => LoopbackReply::Hangup,
                TOKEN => pair(2),
                _ => LoopbackReply::json(&json!({})),
            }
        }
    })
    .await;
    let desk = Desk::new(&server).signed_in(4000);
    let paxs = desk.paxs();
    let error = paxs.read_profile().await.expect_err("lost");
    assert!(matches!(error, CallError::Unavailable { uncertain: false, .. }), "{error}");
    assert_eq!(desk.saved_access().as_deref(), Some("a1"));
    assert!(matches!(paxs.signed_in(), SignIn::Yes { .. }));
    assert!(paxs.read_profile().await.is_ok());
}

#[tokio::test]
async fn those_who_wait_for_a_refresh_that_is_lost_do_not_try_the_token_again() {
    let server = Server::start(async |_| {
        tokio::time::sleep(Duration::from_millis(50)).await;
        LoopbackReply::Hangup
    })
    .await;
    let desk = Desk::new(&server).signed_in(4000);
    let paxs = desk.paxs();
    for result in join_all((0..16).map(|_| paxs.read_profile())).await {
        assert!(matches!(result, Err(CallError::Unavailable { .. })));
    }
    assert_eq!(server.count(TOKEN), 1);
}

#[tokio::test]
async fn a_token_endpoint_that_is_down_stops_nobody_while_the_token_serves() {
    let server = Server::start(async |seen| match seen.line() {
        TOKEN => LoopbackReply::Body(503, String::new()),
        _ => LoopbackReply::json(&json!({})),
    })
    .await;
    let desk = Desk::new(&server).signed_in(3400);
    let paxs = desk.paxs();
    assert!(paxs.read_profile().await.is_ok());
    assert!(paxs.read_profile().await.is_ok());
    assert_eq!(server.count(TOKEN), 1, "it is left alone for a while");
}

#[tokio::test]
async fn a_refused_refresh_token_is_never_tried_again() {
    let server =
        Server::start(async |_| LoopbackReply::Body(400, r#"{"detail":"revoked r1"}"#.into()))
            .await;
    let desk = Desk::new(&server).signed_in(4000);
    let paxs = desk.paxs();
    for _ in 0..3 {
        assert!(matches!(paxs.read_profile().await, Err(CallError::SignedOut { .. })));
    }
    let SignIn::No { reason } = desk.paxs().signed_in() else { panic!("signed in") };
    insta::assert_snapshot!(reason, @"the service refused it (400): revoked […]");
    assert!(matches!(desk.paxs().read_profile().await, Err(CallError::SignedOut { .. })));
    assert_eq!(server.count(TOKEN), 1);
}

#[tokio::test]
async fn no_refresh_token_is_spent_where_the_next_could_not_be_saved() {
    let server = rotating(2).await;
    let desk = Desk::new(&server).signed_in(4000);
    set_mode(desk.dir.path(), 0o777);
    let paxs = desk.paxs();
    assert!(matches!(paxs.read_profile().await, Err(CallError::SignedOut { .. })));
    assert_eq!(server.seen().len(), 0);
    set_mode(desk.dir.path(), 0o700);
    assert!(paxs.read_profile().await.is_ok());
}

#[tokio::test]
async fn a_pair_that_could_not_be_saved_is_kept_and_used_only_once_it_is() {
    let dir = tempfile::tempdir().expect("a directory");
    let place = dir.path().to_owned();
    let server = Server::start(move |seen| {
        if seen.line() == TOKEN {
            // Between the rehearsal and the saving.
            set_mode(&place, 0o777);
        }
        let reply = if seen.line() == TOKEN {
            pair(2)
        } else {
            LoopbackReply::json(&json!({"token": seen.bearer()}))
        };
        async { reply }
    })
    .await;
    let desk = Desk { dir, base: server.base.clone(), tasks: TaskTracker::new() }.signed_in(4000);
    let paxs = desk.paxs();
    for _ in 0..2 {
        let error = paxs.read_profile().await.expect_err("not saved");
        assert!(matches!(error, CallError::Unavailable { uncertain: false, .. }), "{error}");
    }
    set_mode(desk.dir.path(), 0o700);
    assert_eq!(paxs.read_profile().await.expect("a profile"), json!({"token": "a2"}));
    assert_eq!((server.count(TOKEN), desk.saved_access().as_deref()), (1, Some("a2")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn calls_that_begin_while_a_pair_is_saved_wait_for_it() {
    let server = Server::start(async |seen| match seen.line() {
        TOKEN => pair(2),
        _ => LoopbackReply::json(&json!({"token": seen.bearer()})),
    })
    .await;
    for _ in 0..24 {
        let desk = Desk::new(&server).signed_in(4000);
        let paxs = desk.paxs();
        let calls = (0..48_u32).map(async |n| {
            tokio::time::sleep(Duration::from_micros(250) * n).await;
            paxs.read_profile().await
        });
        for result in join_all(calls).await {
            assert_eq!(result.expect("a profile"), json!({"token": "a2"}));
        }
    }
    assert_eq!(server.count(TOKEN), 24);
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).expect("set");
}

#[tokio::test]
async fn without_a_sign_in_nothing_is_asked_until_someone_signs_in_elsewhere() {
    let server = rotating(1).await;
    let desk = Desk::new(&server);
    let paxs = desk.paxs();
    let error = paxs.read_profile().await.expect_err("signed out");
    insta::assert_snapshot!(error, @"not signed in: nobody has signed in");
    assert_eq!(server.seen().len(), 0);
    let desk = desk.signed_in(0);
    assert!(paxs.read_profile().await.is_ok());
    drop(desk);
}

#[tokio::test]
async fn an_idle_daemon_stays_signed_in() {
    let server = rotating(1).await;
    let desk = Desk::new(&server).signed_in(0);
    let paxs = desk.paxs();
    let now = clock::now();
    assert_eq!(paxs.keep_fresh(now).await, Freshness::Fine { days_left: 29 });
    assert_eq!(server.count(TOKEN), 0);
    let later = now + SignedDuration::from_hours(8 * 24);
    assert_eq!(
        paxs.keep_fresh(later).await,
        Freshness::Fine { days_left: 22 },
        "days of the new pair"
    );
    assert_eq!(server.count(TOKEN), 1);
    let down = Server::start(async |_| LoopbackReply::Body(500, "oh".into())).await;
    let desk = Desk::new(&down).signed_in(9 * 24 * 3600);
    let Freshness::Failing { days_left: 21, message } = desk.paxs().keep_fresh(now).await else {
        panic!("not failing")
    };
    assert!(!message.is_empty());
}

#[tokio::test]
async fn logging_out_forgets() {
    let server = rotating(1).await;
    let desk = Desk::new(&server).signed_in(0);
    let paxs = desk.paxs();
    assert!(paxs.sign_out().await.expect("removed"));
    assert!(!paxs.sign_out().await.expect("nothing there"));
    assert!(matches!(paxs.read_profile().await, Err(CallError::SignedOut { .. })));
    assert_eq!(desk.saved_access(), None);
}

// --- login ---

#[tokio::test]
async fn the_agent_flow_outlasts_faults_and_ends_in_a_sign_in() {
    let polls = Arc::new(AtomicUsize::new(0));
    let server = Server::start(move |seen| {
        let poll = || polls.fetch_add(1, Ordering::SeqCst);
        let reply = if seen.line() == TOKEN {
            pair(1)
        } else if seen.line().starts_with("GET /api/oauth/provider/poll?state=") {
            match poll() {
                0 => LoopbackReply::Body(503, String::new()),
                1 => LoopbackReply::Hangup,
                2 | 3 => LoopbackReply::json(&json!({"status": "pending"})),
                _ => LoopbackReply::json(&json!({"status": "complete", "code": "the-code"})),
            }
        } else {
            LoopbackReply::json(&json!({}))
        };
        async { reply }
    })
    .await;
    let desk = Desk::new(&server);
    let paxs = desk.paxs();
    let login = paxs.agent_login().expect("begun").every(Duration::from_millis(1));
    let query: BTreeMap<_, _> = login.link().query_pairs().into_owned().collect();
    assert_eq!((query["response_type"].as_str(), query["flow"].as_str()), ("code", "agent"));
    let grant = login.wait_for_grant(|_| {}).await.expect("granted");
    paxs.exchange_grant(&grant).await.expect("exchanged");
    assert!(matches!(paxs.signed_in(), SignIn::Yes { .. }));
    assert_eq!(desk.saved_access().as_deref(), Some("a1"));
    let sent = server.seen().last().expect("a request").json();
    let redirect_uri = format!("{}api/oauth/provider/agent-callback", server.base);
    let expected = json!({"grant_type": "authorization_code", "code": "the-code", "redirect_uri": redirect_uri});
    assert_eq!(sent, expected);
    assert!(!format!("{login:?} {grant:?}").contains("the-code"));
}

#[tokio::test]
async fn a_refused_poll_ends_the_agent_flow_with_what_was_said() {
    let server =
        Server::start(async |_| LoopbackReply::Body(410, r#"{"detail":"state expired"}"#.into()))
            .await;
    let error = Desk::new(&server)
        .paxs()
        .agent_login()
        .expect("begun")
        .wait_for_grant(|_| {})
        .await
        .expect_err("refused");
    insta::assert_snapshot!(error, @"the sign-in was refused: the service refused it (410): state expired");
}

#[tokio::test]
async fn a_code_that_is_refused_is_not_shown() {
    let server = Server::start(async |seen| {
        LoopbackReply::Body(400, format!("bad code {}", seen.json()["code"]))
    })
    .await;
    let desk = Desk::new(&server);
    let paxs = desk.paxs();
    let grant = super::Grant::new("the-secret-code".into(), "x".into());
    let error = paxs.exchange_grant(&grant).await.expect_err("refused").to_string();
    assert!(error.contains("bad code") && !error.contains("the-secret-code"), "{error}");
    assert_eq!(desk.saved_access(), None);
}

/// What a browser does.
async fn visit(port: u16, target: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer
}

#[tokio::test]
async fn the_callback_flow_takes_only_the_redirect_with_its_state() {
    let server = rotating(1).await;
    let paxs = Desk::new(&server).paxs();
    let login = paxs.callback_login(0).await.expect("listening");
    let query: BTreeMap<_, _> = login.link().query_pairs().into_owned().collect();
    assert!(!query.contains_key("flow"));
    let redirect: url::Url = query["redirect_uri"].parse().expect("a URL");
    let port = redirect.port().expect("a port");
    let state = &query["state"];
    // A browser opens connections ahead and leaves them silent.
    let silent = TcpStream::connect(("127.0.0.1", port)).await.expect("connected");
    let browse = async {
        assert!(visit(port, "/favicon.ico").await.starts_with("HTTP/1.1 404"));
        assert!(visit(port, "/callback?code=evil&state=guess").await.starts_with("HTTP/1.1 400"));
        assert!(visit(port, "/callback?error=evil").await.starts_with("HTTP/1.1 400"));
        assert!(
            visit(port, &format!("/callback?code=good&state={state}"))
                .await
                .contains("You are signed in")
        );
    };
    let (grant, ()) = tokio::join!(login.wait_for_grant(), browse);
    let grant = grant.expect("granted");
    assert_eq!(secrecy::ExposeSecret::expose_secret(&grant.code), "good");
    assert_eq!(grant.redirect_uri, format!("http://localhost:{port}/callback"));
    drop(silent);
}

#[tokio::test]
async fn an_error_in_the_redirect_is_told() {
    let server = rotating(1).await;
    let paxs = Desk::new(&server).paxs();
    let login = paxs.callback_login(0).await.expect("listening");
    let query: BTreeMap<_, _> = login.link().query_pairs().into_owned().collect();
    let port = query["redirect_uri"].parse::<url::Url>().expect("a URL").port().expect("a port");
    let target = format!(
        "/callback?error=access_denied&error_description=by%0AAnn&state={}",
        query["state"]
    );
    let (result, _) = tokio::join!(login.wait_for_grant(), visit(port, &target));
    insta::assert_snapshot!(result.expect_err("refused"), @"the sign-in was refused: access_denied: by Ann");
    let taken = paxs.callback_login(port).await;
    assert!(matches!(taken, Err(LoginError::Listen { .. })));
}

// --- uploads ---

fn recording(size: u64) -> (tempfile::NamedTempFile, Upload) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    file.as_file().set_len(size).expect("lengthened");
    let open = File::open(file.path()).expect("opened");
    let stamp = Stamp::of(&open).expect("known");
    let progress = Arc::new(Progress::default());
    (
        file,
        Upload {
            file: open,
            stamp,
            content: None,
            name: "talk.wav".into(),
            mime: "audio/wav",
            language: None,
            expected_words: Vec::new(),
            speakers: crate::config::Speakers::Auto,
            given_up: Vec::new(),
            length_max: None,
            progress,
        },
    )
}

#[tokio::test]
async fn a_recording_goes_with_its_meeting_in_the_query_and_in_the_form() {
    let server = Server::start(async |_| LoopbackReply::json(&json!({"attachment_id": 77}))).await;
    let desk = Desk::new(&server).signed_in(0);
    let (_file, upload) = recording(3);
    assert_eq!(desk.paxs().upload_recording("s 1", upload).await.expect("an id"), "77");
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "POST /api/recordings?session_id=s+1");
    let body = String::from_utf8_lossy(&seen.body);
    assert!(body.contains("name=\"session_id\"\r\n\r\ns 1\r\n"), "{body}");
    assert!(
        body.contains(
            "name=\"file\"; filename=\"talk.wav\"\r\nContent-Type: audio/wav\r\n\r\n\0\0\0\r\n"
        ),
        "{body}"
    );
}

#[tokio::test]
async fn an_upload_that_gets_a_401_is_sent_once_more_from_its_start() {
    let server = rotating(2).await;
    let desk = Desk::new(&server).signed_in(0);
    let (_file, upload) = recording(1000);
    let progress = Arc::clone(&upload.progress);
    // The answer has no id: it is asked for again, and adopted.
    assert!(matches!(
        desk.paxs().upload_recording("s", upload).await,
        Err(CallError::Unavailable { uncertain: true, .. })
    ));
    let lengths: Vec<_> = server.seen().iter().map(|seen| seen.body.len()).collect();
    assert_eq!((server.count("POST /api/recordings"), lengths[0]), (2, lengths[2]));
    assert_eq!(progress.read(), (1000, 1000));
}

#[tokio::test]
async fn a_401_that_shows_only_as_a_reset_is_found_by_a_cheap_read() {
    let given = Arc::new(AtomicUsize::new(0));
    let uploads = Arc::new(AtomicUsize::new(0));
    let given_there = Arc::clone(&given);
    let uploads_there = Arc::clone(&uploads);
    let server = Server::raw(move |mut stream| {
        let given = Arc::clone(&given_there);
        let uploads = Arc::clone(&uploads_there);
        async move {
            let mut peeked = vec![0; 64];
            let n = stream.peek(&mut peeked).await.unwrap_or(0);
            let is_upload = peeked[..n].starts_with(b"POST /api/recordings");
            if is_upload && uploads.fetch_add(1, Ordering::SeqCst) == 0 {
                // Closing with unread bytes resets the connection; what was answered is lost.
                read_head(&mut stream).await;
                return;
            }
            let Some(seen) = read_request(&mut stream).await else { return };
            let (status, body) = match seen.line() {
                TOKEN => {
                    given.fetch_add(1, Ordering::SeqCst);
                    (200, json!({"access_token": "a2", "refresh_token": "r2", "expires_in": 3600}))
                }
                _ if seen.bearer() == "a2" => (200, json!({"id": "r"})),
                _ => (401, json!({})),
            };
            let body = body.to_string();
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all((head + &body).as_bytes()).await.ok();
        }
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    let (_file, upload) = recording(64 * 1024 * 1024);
    assert_eq!(desk.paxs().upload_recording("s", upload).await.expect("an id"), "r");
    assert_eq!((uploads.load(Ordering::SeqCst), given.load(Ordering::SeqCst)), (2, 1));
}

#[tokio::test]
async fn a_reset_under_a_good_token_is_not_sent_again() {
    let uploads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&uploads);
    let server = Server::raw(move |mut stream| {
        let uploads = Arc::clone(&counted);
        async move {
            let Some((head, _)) = read_head(&mut stream).await else { return };
            if head.starts_with(ME) {
                stream
                    .write_all(
                        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
                    )
                    .await
                    .ok();
            } else {
                uploads.fetch_add(1, Ordering::SeqCst);
            }
        }
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    let (_file, upload) = recording(64 * 1024 * 1024);
    let error = desk.paxs().upload_recording("s", upload).await.expect_err("reset");
    assert!(matches!(error, CallError::Unavailable { uncertain: false, .. }), "{error}");
    assert_eq!(uploads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_early_413_and_a_close_is_a_refusal_or_a_failure_that_was_certainly_not_carried_out() {
    let server = Server::raw(async |mut stream| {
        let Some((head, _)) = read_head(&mut stream).await else { return };
        // The cheap read afterwards succeeds.
        let status = if head.starts_with("GET") { "200 OK" } else { "413 Too Large" };
        let answer =
            format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}");
        stream.write_all(answer.as_bytes()).await.ok();
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    let paxs = desk.paxs();
    for _ in 0..10 {
        let (_file, upload) = recording(16 * 1024 * 1024);
        let error = paxs.upload_recording("s", upload).await.expect_err("refused");
        let is_expected = matches!(
            error,
            CallError::Refused { status: 413, .. }
                | CallError::Unavailable { uncertain: false, .. }
        );
        assert!(is_expected, "{error:?}");
    }
}

#[tokio::test]
async fn a_recording_that_changed_is_the_files_fault() {
    let server = rotating(1).await;
    let desk = Desk::new(&server).signed_in(0);
    let (file, upload) = recording(1000);
    file.as_file().set_len(1001).expect("grown");
    assert!(matches!(
        desk.paxs().upload_recording("s", upload).await,
        Err(CallError::File(FileFault::Changed))
    ));
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn a_token_that_would_end_during_the_upload_is_refreshed_before() {
    let server = rotating(1).await;
    let desk = Desk::new(&server).signed_in(2000);
    let (_file, mut upload) = recording(1000);
    let paxs = desk.paxs();
    // ModelOutput to be 4 GiB; that it is not is found right after.
    upload.stamp.size = 4 * 1024 * 1024 * 1024;
    assert!(matches!(
        paxs.upload_recording("s", upload).await,
        Err(CallError::File(FileFault::Changed))
    ));
    assert_eq!(server.count(TOKEN), 1);
}

// --- answers ---

async fn answering(reply: LoopbackReply) -> (Server, Desk) {
    let server = Server::start(move |_| {
        let reply = reply.clone();
        async { reply }
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    (server, desk)
}

#[tokio::test]
async fn what_was_not_promised_is_unavailable() {
    let redirect =
        "HTTP/1.1 302 X\r\nLocation: https://evil.example/?x\r\nContent-Length: 0\r\n\r\n";
    for reply in [
        LoopbackReply::Body(200, "<html>Sign in to the hotel's network</html>".into()),
        LoopbackReply::Body(200, "[".repeat(1_000_000)),
        LoopbackReply::Body(200, "\"hello\"".into()),
        LoopbackReply::Body(500, "{}".into()),
        LoopbackReply::Raw(redirect.into()),
        LoopbackReply::Raw("not HTTP at all\r\n\r\n".into()),
        LoopbackReply::Hangup,
    ] {
        let (_server, desk) = answering(reply.clone()).await;
        let paxs = desk.paxs();
        for error in [
            paxs.create_meeting(&meeting()).await.expect_err("broken"),
            paxs.read_reports("s", "r").await.expect_err("broken"),
            paxs.find_meeting(&meeting().key, "t", clock::now()).await.expect_err("broken"),
            paxs.list_markers().await.expect_err("broken"),
            paxs.list_meetings(1).await.expect_err("broken"),
            paxs.list_attachments("s").await.expect_err("broken"),
        ] {
            assert!(
                matches!(error, CallError::Unavailable { uncertain: true, .. }),
                "{reply:?}: {error}"
            );
        }
    }
}

#[tokio::test]
async fn a_redirect_says_what_to_check() {
    let redirect =
        "HTTP/1.1 302 X\r\nLocation: https://evil.example/a?token=1\r\nContent-Length: 0\r\n\r\n";
    let (_server, desk) = answering(LoopbackReply::Raw(redirect.into())).await;
    let error = desk.paxs().read_profile().await.expect_err("redirected");
    insta::assert_snapshot!(error, @"redirect to `https://evil.example/a` is not followed; check base_url");
}

#[tokio::test]
async fn retry_after_reaches_the_caller() {
    let busy = "HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
    let (_server, desk) = answering(LoopbackReply::Raw(busy.into())).await;
    let error = desk.paxs().read_profile().await.expect_err("busy");
    let CallError::Unavailable { after, uncertain: false, .. } = error else { panic!("{error}") };
    assert_eq!(after, Some(Duration::from_secs(7)));
}

#[tokio::test]
async fn results_are_read_as_they_come() {
    let content =
        json!({"content": {"transcription": {"segments": [{"start": 0, "text": "Hello"}]}}})
            .to_string();
    let answer = json!([{"id": 5, "analysis_type": "transcription", "status": "completed", "report_content": content}]);
    let (server, desk) = answering(LoopbackReply::json(&answer)).await;
    let reports = desk.paxs().read_reports("s", "r/1").await.expect("reports");
    assert_eq!(
        (reports[0].status, reports[0].findings.segments[0].text.as_str()),
        (Status::Completed, "Hello")
    );
    assert_eq!(reports[0].raw, content);
    assert_eq!(server.seen()[0].line(), "GET /api/recordings/r%2F1/analysis?session_id=s");
    let (_server, desk) = answering(LoopbackReply::Body(200, "[]".into())).await;
    assert_eq!(desk.paxs().read_reports("s", "r").await.expect("none yet"), []);
}

// --- walks ---

fn key(folder: &str) -> Key {
    Key {
        content: Content::from_hash(&blake3::hash(b"talk")),
        folder: folder.into(),
        generation: 1,
    }
}

fn meeting() -> crate::services::NewMeeting {
    crate::services::NewMeeting {
        title: "Talk".into(),
        description: String::new(),
        key: key("sales"),
        attendees: vec![],
    }
}

fn page_of(seen: &SeenRequest) -> usize {
    let url =
        url::Url::parse("http://x").expect("a URL").join(&seen.line()[4..]).expect("a target");
    let page =
        url.query_pairs().find(|(name, _)| name == "page").map(|(_, page)| page.into_owned());
    page.and_then(|page| page.parse().ok()).unwrap_or(1)
}

/// A server with these meetings, in pages of `page_size` whatever is asked.
async fn listing(meetings: Vec<Value>, page_size: usize) -> (Server, Desk) {
    let server = Server::start(move |seen| {
        let id = seen.line().strip_prefix("GET /api/sessions/").map(str::to_owned);
        let reply = if let Some(id) = id {
            let found = meetings.iter().find(|meeting| meeting["id"] == id.as_str());
            let mut details = found.cloned().unwrap_or_default();
            details["description"] = details["hidden"].take();
            LoopbackReply::json(&details)
        } else {
            let page = page_of(&seen) - 1;
            LoopbackReply::json(
                &json!({"items": meetings.iter().skip(page * page_size).take(page_size).collect::<Vec<_>>()}),
            )
        };
        async { reply }
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    (server, desk)
}

fn at(hour: i64) -> String {
    (Timestamp::from_second(1_800_000_000).expect("in range") - SignedDuration::from_hours(hour))
        .to_string()
}

fn ours(id: &str, hour: i64) -> Value {
    json!({"id": id, "title": "Talk", "description": format!("x\n{}", key("sales").marker_line()), "created_at": at(hour)})
}

fn others(hours: impl Iterator<Item = i64>) -> Vec<Value> {
    hours
        .map(|hour| json!({"id": format!("o{hour}"), "title": "Other", "description": "", "created_at": at(hour)}))
        .collect()
}

#[tokio::test]
async fn a_short_page_is_not_the_end_of_the_list() {
    let mut meetings = others(0..12);
    meetings.push(ours("mine", 12));
    let (_server, desk) = listing(meetings, 5).await;
    let since = Timestamp::from_second(1_800_000_000).expect("in range");
    assert_eq!(
        desk.paxs().find_meeting(&key("sales"), "Talk", since).await.expect("walked").as_deref(),
        Some("mine")
    );
    assert_eq!(desk.paxs().find_meeting(&key("other"), "Talk", since).await.expect("walked"), None);
}

#[tokio::test]
async fn a_newest_first_list_is_walked_only_to_a_day_before_the_intent() {
    let (server, desk) = listing(others(0..400), 20).await;
    let since = Timestamp::from_second(1_800_000_000).expect("in range");
    assert_eq!(desk.paxs().find_meeting(&key("sales"), "Talk", since).await.expect("walked"), None);
    assert_eq!(server.count("GET /api/sessions?"), 2);
}

#[tokio::test]
async fn an_oldest_first_list_is_walked_to_its_end() {
    let mut meetings = others((100..160).rev());
    meetings.push(ours("mine", 0));
    let (_server, desk) = listing(meetings, 20).await;
    let since = Timestamp::from_second(1_800_000_000).expect("in range");
    assert_eq!(
        desk.paxs().find_meeting(&key("sales"), "Talk", since).await.expect("walked").as_deref(),
        Some("mine")
    );
}

/// A server that knows of no pages: the newest meetings each time, `page_size` of them up to `cap`.
async fn without_pages(meetings: Vec<Value>, cap: usize, total: bool) -> (Server, Desk) {
    let server = Server::start(move |seen| {
        let asked = seen
            .line()
            .split_once("page_size=")
            .and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
        let items: Vec<_> = meetings.iter().take(cap.min(asked.unwrap_or(cap))).collect();
        let mut answer = json!({"items": items});
        if total {
            answer["total"] = meetings.len().into();
        }
        let reply = LoopbackReply::json(&answer);
        async { reply }
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    (server, desk)
}

#[tokio::test]
async fn a_server_that_ignores_the_page_is_asked_for_all_at_once() {
    for (meetings, cap, total, asked) in
        [(7, 100, false, 3), (45, 100, false, 3), (20, 20, true, 2), (60, 100, true, 3)]
    {
        let mut list = others(0..meetings - 1);
        list.push(ours("mine", 500));
        let (server, desk) = without_pages(list, cap, total).await;
        assert_eq!(desk.paxs().list_markers().await.expect("walked").len(), 1, "{meetings}");
        assert_eq!(server.seen().len(), asked, "{meetings}");
    }
}

#[tokio::test]
async fn a_server_that_ignores_the_page_and_may_hold_more_back_proves_nothing() {
    for (meetings, cap, total) in
        [(300, 20, false), (300, 50, false), (300, 100, false), (45, 20, true)]
    {
        let mut list = others((0..meetings - 1).rev());
        list.push(ours("mine", 0));
        let (_server, desk) = without_pages(list, cap, total).await;
        assert!(
            matches!(desk.paxs().list_markers().await, Err(CallError::Unavailable { .. })),
            "{meetings} {cap}"
        );
        let found = desk.paxs().find_meeting(&key("sales"), "Talk", clock::now()).await;
        assert!(found.is_err(), "a second meeting would be made: {found:?}");
    }
}

#[tokio::test]
async fn a_last_page_that_comes_again_for_ever_is_the_end() {
    let server = Server::start(async |seen| match page_of(&seen) {
        1 => LoopbackReply::json(&json!(others(0..20))),
        _ => LoopbackReply::json(&json!(others(20..40))),
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    assert_eq!(desk.paxs().list_markers().await.expect("walked"), []);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn descriptions_that_the_list_leaves_out_are_fetched_where_the_title_matches() {
    let hidden = format!("x\n{}", key("sales").marker_line());
    let meetings = vec![
        json!({"id": "a", "title": "Other", "hidden": hidden}),
        json!({"id": "b", "title": "Talk", "hidden": "of a person"}),
        json!({"id": "c", "title": "Talk", "hidden": hidden}),
    ];
    let (server, desk) = listing(meetings, 20).await;
    let paxs = desk.paxs();
    assert_eq!(
        paxs.find_meeting(&key("sales"), "Talk", clock::now()).await.expect("walked").as_deref(),
        Some("c")
    );
    assert_eq!(server.count("GET /api/sessions/"), 2);
    let markers = paxs.list_markers().await.expect("walked");
    assert_eq!(markers, [(key("sales"), "a".to_owned()), (key("sales"), "c".to_owned())]);
}

#[tokio::test]
async fn a_404_behind_the_first_page_is_the_end_and_for_the_first_it_is_an_error() {
    let server = Server::start(async |seen| match page_of(&seen) {
        1 => LoopbackReply::json(&json!([ours("mine", 0)])),
        _ => LoopbackReply::Body(404, r#"{"detail":"Invalid page."}"#.into()),
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    assert_eq!(
        desk.paxs().list_markers().await.expect("walked"),
        [(key("sales"), "mine".to_owned())]
    );
    let (_server, desk) = answering(LoopbackReply::Body(404, String::new())).await;
    assert!(matches!(
        desk.paxs().list_markers().await,
        Err(CallError::Refused { status: 404, .. })
    ));
}

/// A list of meetings of minuted, newest first, in pages of five; what happens to it before each request of a page, by
/// the number of that request, and whether that request fails.
async fn unsteady(
    count: usize,
    change: impl Fn(usize, &mut Vec<String>) -> bool + Send + Sync + 'static,
) -> (Server, Desk, Arc<std::sync::Mutex<Vec<String>>>) {
    let meetings: Vec<String> = (0..count).map(|number| format!("m{number}")).collect();
    let meetings = Arc::new(std::sync::Mutex::new(meetings));
    let asked = AtomicUsize::new(0);
    let shared = Arc::clone(&meetings);
    let server = Server::start(move |seen| {
        let mut meetings = shared.lock().expect("held for a moment");
        let fails = change(asked.fetch_add(1, Ordering::SeqCst) + 1, &mut meetings);
        let page = meetings.iter().skip((page_of(&seen) - 1) * 5).take(5);
        let description = key("sales").marker_line();
        let items: Vec<_> =
            page.map(|id| json!({"id": id, "title": "Talk", "description": description})).collect();
        let reply = if fails {
            LoopbackReply::Body(502, String::new())
        } else {
            LoopbackReply::json(&json!(items))
        };
        async { reply }
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    (server, desk, meetings)
}

/// Walks until it succeeds; returns what was found and the tries it took.
async fn walked(paxs: &PaxsService) -> (Vec<String>, usize) {
    for tries in 1..100 {
        if let Ok(found) = paxs.list_markers().await {
            let mut ids: Vec<String> = found.into_iter().map(|(_, id)| id).collect();
            ids.sort();
            return (ids, tries);
        }
    }
    panic!("the walk came to no end");
}

#[tokio::test]
async fn a_walk_that_errors_interrupt_goes_on_where_it_was_while_meetings_are_made() {
    let (server, desk, meetings) = unsteady(100, |asked, meetings| {
        if asked % 3 == 0 && asked < 30 {
            meetings.insert(0, format!("new{asked}"));
        }
        asked % 4 == 0
    })
    .await;
    let (found, tries) = walked(&desk.paxs()).await;
    let mut all = meetings.lock().expect("held for a moment").clone();
    all.sort();
    assert_eq!(found, all, "each of them once");
    assert!(
        tries > 3 && server.seen().len() < 80,
        "{tries} tries, {} requests",
        server.seen().len()
    );
}

#[tokio::test]
async fn a_walk_that_an_error_interrupts_misses_nothing_when_meetings_are_deleted_meanwhile() {
    for (deleted, count) in [(3, 100), (12, 100), (30, 100), (99, 100)] {
        let (_server, desk, meetings) = unsteady(count, move |asked, meetings| {
            if asked == 8 {
                meetings.drain(..deleted);
            }
            asked == 7
        })
        .await;
        let (found, tries) = walked(&desk.paxs()).await;
        assert_eq!(tries, 2);
        let left = meetings.lock().expect("held for a moment");
        assert!(left.iter().all(|id| found.contains(id)), "{deleted}: {found:?}");
    }
}

#[tokio::test]
async fn a_search_that_errors_interrupt_comes_to_its_end() {
    let (server, desk, _meetings) = unsteady(100, |asked, _| asked % 5 == 0).await;
    let paxs = desk.paxs();
    let other = key("other");
    let mut tries = 1;
    while paxs.find_meeting(&other, "Talk", clock::now()).await.is_err() {
        tries += 1;
        assert!(tries < 50, "the walk came to no end");
    }
    assert!(
        tries > 2 && server.seen().len() < 60,
        "{tries} tries, {} requests",
        server.seen().len()
    );
    let ours = key("sales");
    let found = [
        paxs.find_meeting(&ours, "Talk", clock::now()).await,
        paxs.find_meeting(&ours, "Talk", clock::now()).await,
    ];
    assert!(found.into_iter().flatten().flatten().any(|id| id == "m0"));
}

#[tokio::test]
async fn an_incomplete_walk_proves_nothing() {
    let server = Server::start(async |seen| match page_of(&seen) {
        3 => LoopbackReply::Body(502, String::new()),
        page => LoopbackReply::json(&json!([{"id": page}])),
    })
    .await;
    let desk = Desk::new(&server).signed_in(0);
    assert!(matches!(desk.paxs().list_markers().await, Err(CallError::Unavailable { .. })));
    let found = desk.paxs().find_meeting(&key("sales"), "Talk", clock::now()).await;
    assert!(matches!(found, Err(CallError::Unavailable { .. })));
    let (_server, desk) =
        answering(LoopbackReply::Body(200, r#"[{"title":"no id"}]"#.into())).await;
    assert!(desk.paxs().list_markers().await.is_err());
}

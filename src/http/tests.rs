//! The client against real sockets that misbehave.

use std::{fs::File, io::Write as _, sync::Arc, time::Duration};

use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::Notify,
};

use super::{
    CallLimits, Client, FileBody, Request, UploadError,
    loopback::{LoopbackReply, SeenRequest, Server, read_head},
};
use crate::{beneath::Stamp, progress::Progress};

/// Long enough for a busy machine, short enough for a test that waits for it.
const SHORT: Duration = Duration::from_millis(300);
const LONG: Duration = Duration::from_secs(60);

fn limits() -> CallLimits {
    CallLimits { request: LONG, stall: LONG, answer: LONG }
}

fn client(server: &Server, limits: CallLimits) -> Client {
    Client::new(&server.base, limits).expect("a client")
}

/// A file of `size` bytes that are not all the same, open for reading, with its place.
fn recording(size: u64) -> (tempfile::NamedTempFile, File, Stamp) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    let begin: Vec<u8> =
        (0..size.min(100_000)).map(|n| u8::try_from(n % 251).expect("small")).collect();
    file.write_all(&begin).expect("written");
    file.as_file().set_len(size).expect("lengthened");
    let open = File::open(file.path()).expect("opened");
    let stamp = Stamp::of(&open).expect("known");
    (file, open, stamp)
}

fn body(file: File, stamp: Stamp, progress: &Arc<Progress>) -> FileBody<'static> {
    let progress = Arc::clone(progress);
    FileBody {
        file,
        stamp,
        content: None,
        name: "talk.wav",
        mime: "audio/wav",
        fields: &[("session_id", "a/b")],
        progress,
    }
}

/// More than all the buffers on the way can hold.
const BIG: u64 = 64 * 1024 * 1024;

/// Reads until `bytes` have come or the other side is gone; returns how many did.
async fn drain(stream: &mut tokio::net::TcpStream, bytes: usize) -> usize {
    let mut buffer = vec![0; 64 * 1024];
    let mut got = 0;
    while got < bytes {
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(n) => got += n,
        }
    }
    got
}

#[tokio::test]
async fn ids_are_encoded_and_cannot_leave_their_place() {
    let server = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let client = client(&server, limits());
    client
        .send(&Request::get(&["api", "a/../b?c#d%2e", "x"]).query("q", "a&b=c d"))
        .await
        .expect("an answer");
    assert_eq!(server.seen()[0].line(), "GET /api/a%2F..%2Fb%3Fc%23d%252e/x?q=a%26b%3Dc+d");
    for segment in ["", ".", ".."] {
        assert!(!client.send(&Request::get(&["api", segment])).await.expect_err("refused").sent);
    }
    assert!(server.seen()[0].header("user-agent").is_some_and(|name| name.starts_with("minuted/")));
}

#[tokio::test]
async fn a_base_url_with_a_path_keeps_it() {
    let server = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let base = server.base.join("paxs/").expect("a URL");
    let client = Client::new(&base, limits()).expect("a client");
    client.send(&Request::get(&["api"])).await.expect("an answer");
    assert_eq!(server.seen()[0].line(), "GET /paxs/api");
}

#[tokio::test]
async fn a_password_in_the_base_url_is_not_sent() {
    let server = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let base = server.base.as_str().replace("http://", "http://ann:pass@").parse().expect("a URL");
    let client = Client::new(&base, limits()).expect("a client");
    let token = SecretString::from("t");
    client.send(&Request::get(&["api"]).bearer(&token)).await.expect("an answer");
    let head = server.seen()[0].head.clone();
    assert_eq!(head.to_lowercase().matches("authorization:").count(), 1, "{head}");
    assert!(!client.origin().contains("ann"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_its_target_never_hears_of_us() {
    let other = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let to = other.base.clone();
    let server = Server::start(move |_| {
        let head =
            format!("HTTP/1.1 307 Moved\r\nLocation: {to}x?secret=1\r\nContent-Length: 0\r\n\r\n");
        async { LoopbackReply::Raw(head) }
    })
    .await;
    let token = SecretString::from("t");
    let request = Request::get(&["a"]).bearer(&token);
    let answer = client(&server, limits()).send(&request).await.expect("an answer");
    assert_eq!((answer.status, answer.location), (307, Some(format!("{}x", other.base))));
    assert_eq!(other.seen().len(), 0);
}

/// A head of an answer, its body, and what comes of it: the body that is taken, or `None` for an
/// error.
type BrokenAnswer = (&'static str, &'static str, &'static str, Option<&'static str>);

#[tokio::test]
async fn an_answer_that_breaks_the_rules_is_an_error_or_one_answer() {
    let rows: [BrokenAnswer; 8] = [
        ("shorter than it says", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "{}", None),
        (
            "longer than it says",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
            "{}evil",
            Some("{}"),
        ),
        (
            "two lengths",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n",
            "{}xx",
            None,
        ),
        ("a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n", "{}", None),
        (
            "chunks that are none",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "zz\r\n{}",
            None,
        ),
        (
            "a second answer",
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n",
            "{}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            Some("{}"),
        ),
        (
            "packed",
            "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n",
            "\u{1f}x",
            Some("\u{1f}x"),
        ),
        (
            "a cookie",
            "HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 2\r\n\r\n",
            "{}",
            Some("{}"),
        ),
    ];
    for (what, head, body, expected) in rows {
        let heard: std::sync::Arc<std::sync::Mutex<String>> = std::sync::Arc::default();
        let log = std::sync::Arc::clone(&heard);
        let server = Server::raw(move |mut stream| {
            let log = std::sync::Arc::clone(&log);
            async move {
                while let Some((asked, _)) = read_head(&mut stream).await {
                    log.lock().expect("not poisoned").push_str(&asked.to_lowercase());
                    stream.write_all(format!("{head}{body}").as_bytes()).await.ok();
                    if expected.is_none() {
                        break;
                    }
                }
            }
        })
        .await;
        let client = client(&server, limits());
        for _ in 0..2 {
            let answer = client.send(&Request::get(&["a"])).await;
            let taken = answer.as_ref().ok().map(|answer| &answer.body[..]);
            assert_eq!(taken, expected.map(str::as_bytes), "{what}: {answer:?}");
        }
        assert!(!heard.lock().expect("not poisoned").contains("cookie"), "{what}");
    }
}

#[tokio::test]
async fn heads_without_end_are_cut_off() {
    for part in
        ["X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n", "a", "\r\n\r\nHTTP/1.1 103 Early Hints\r\n"]
    {
        let server = Server::raw(async move |mut stream| {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 103 Early Hints\r\nX: ").await.ok();
            let parts = part.repeat(1000);
            while stream.write_all(parts.as_bytes()).await.is_ok() {}
        })
        .await;
        let limits = CallLimits { request: SHORT, stall: SHORT, answer: SHORT };
        let outcome = client(&server, limits).send(&Request::get(&["a"])).await;
        assert!(outcome.is_err(), "{part:?}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_file_is_an_answer_without_one() {
    let server = Server::start(|_| {
        let head =
            "HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n"
                .to_owned();
        async { LoopbackReply::Raw(head) }
    })
    .await;
    let answer = client(&server, limits()).send(&Request::get(&["a"])).await.expect("an answer");
    assert_eq!((answer.status, answer.body.len()), (302, 0));
}

#[tokio::test]
async fn an_endless_answer_is_cut_off_at_its_cap() {
    let server = Server::raw(async |mut stream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok();
        while stream.write_all(&[b'['; 4096]).await.is_ok() {}
    })
    .await;
    let error = client(&server, limits())
        .send(&Request::get(&["a"]).bytes_max(100_000))
        .await
        .expect_err("too long");
    assert!(error.sent && error.message.contains("longer than 100000 bytes"), "{error}");
}

#[tokio::test]
async fn an_answer_that_drips_is_cut_off_in_time() {
    let server = Server::raw(async |mut stream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await.ok();
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    let limits = CallLimits { request: SHORT, ..limits() };
    let error = client(&server, limits).send(&Request::get(&["a"])).await.expect_err("too slow");
    assert!(error.sent && error.message.contains("no answer from"), "{error}");
}

#[tokio::test]
async fn a_service_that_is_not_there_was_sent_nothing_and_the_error_holds_no_secret() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("bound");
    let base =
        format!("http://{}", listener.local_addr().expect("an address")).parse().expect("a URL");
    drop(listener);
    let client = Client::new(&base, limits()).expect("a client");
    let token = SecretString::from("top-secret");
    let request = Request::get(&["api"]).query("state", "hidden").bearer(&token);
    let error = client.send(&request).await.expect_err("refused");
    let shown = format!("{error} {error:?}");
    assert!(!error.sent && shown.contains("Connection refused"), "{shown}");
    assert!(!shown.contains("hidden") && !shown.contains("top-secret"), "{shown}");
}

#[tokio::test]
async fn a_hangup_may_have_been_carried_out() {
    let server = Server::start(async |_| LoopbackReply::Hangup).await;
    let error =
        client(&server, limits()).send(&Request::post(&["a"])).await.expect_err("no answer");
    assert!(error.sent, "{error}");
}

#[tokio::test]
async fn an_upload_is_the_announced_bytes_and_no_others() {
    let server = Server::start(async |_| LoopbackReply::Body(201, r#"{"id":1}"#.into())).await;
    let (file, open, stamp) = recording(1_234_567);
    let progress = Arc::default();
    let request = Request::post(&["up"]).query("session_id", "a/b");
    let answer = client(&server, limits())
        .upload(&request, body(open, stamp, &progress))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 201);
    assert_eq!(progress.read(), (1_234_567, 1_234_567));
    let seen = &server.seen()[0];
    assert_eq!(seen.line(), "POST /up?session_id=a%2Fb");
    assert_eq!(seen.header("transfer-encoding"), None);
    assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
    let boundary = seen
        .header("content-type")
        .and_then(|kind| kind.split_once("boundary="))
        .expect("a boundary")
        .1;
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"session_id\"\r\n\r\na/b\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"talk.wav\"\r\nContent-Type: audio/wav\r\n\r\n"
    );
    let expected = [
        head.as_bytes(),
        &std::fs::read(file.path()).expect("read"),
        format!("\r\n--{boundary}--\r\n").as_bytes(),
    ]
    .concat();
    assert!(seen.body == expected, "the body is another one");
}

#[tokio::test]
async fn an_upload_starts_at_the_start_wherever_the_file_stood() {
    let server = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let (_file, mut open, stamp) = recording(1000);
    std::io::Seek::seek(&mut open, std::io::SeekFrom::End(0)).expect("moved");
    let progress = Arc::default();
    client(&server, limits())
        .upload(&Request::post(&["up"]), body(open, stamp, &progress))
        .await
        .expect("an answer");
    assert_eq!(progress.read(), (1000, 1000));
}

#[tokio::test]
async fn an_empty_file_is_sent_as_one() {
    let server = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let (_file, open, stamp) = recording(0);
    let answer = client(&server, limits())
        .upload(&Request::post(&["up"]), body(open, stamp, &Arc::default()))
        .await;
    assert_eq!(answer.expect("an answer").status, 200);
}

#[tokio::test]
async fn two_uploads_of_one_open_file_take_no_bytes_from_each_other() {
    let server = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let (file, open, stamp) = recording(BIG / 8);
    let again = open.try_clone().expect("another descriptor");
    let client = client(&server, limits());
    let request = Request::post(&["up"]);
    let (one, other) = tokio::join!(
        client.upload(&request, body(open, stamp, &Arc::default())),
        client.upload(&request, body(again, stamp, &Arc::default()))
    );
    assert_eq!([one, other].map(|answer| answer.expect("an answer").status), [200, 200]);
    let content = std::fs::read(file.path()).expect("there");
    for seen in server.seen() {
        let begin = b"audio/wav\r\n\r\n";
        let at = seen.body.windows(begin.len()).position(|window| window == begin).expect("a file")
            + begin.len();
        assert!(seen.body[at..].starts_with(&content));
    }
}

#[tokio::test]
async fn a_call_may_have_a_limit_of_its_own() {
    let server = Server::raw(async |_stream| std::future::pending::<()>().await).await;
    let error = client(&server, limits())
        .send(&Request::get(&["slow"]).within(SHORT))
        .await
        .expect_err("no answer");
    assert!(error.message.contains("within 300ms"), "{error}");
}

#[tokio::test]
async fn another_file_under_the_name_is_not_sent_at_all() {
    let server = Server::start(async |_| LoopbackReply::Body(200, "{}".into())).await;
    let (_file, _, stamp) = recording(1000);
    let (_other, open, _) = recording(1000);
    let result = client(&server, limits())
        .upload(&Request::post(&["up"]), body(open, stamp, &Arc::default()))
        .await;
    assert_eq!(result.expect_err("another file"), UploadError::Changed);
    assert_eq!(server.seen().len(), 0);
}

/// Uploads a big file of which the server takes the rest only when `touch` has been done to it.
async fn touched_midway(touch: impl FnOnce(&File)) -> (UploadError, usize) {
    let begun = Arc::new(Notify::new());
    let go_on = Arc::new(Notify::new());
    let got = Arc::new(tokio::sync::Mutex::new(0));
    let begun_there = Arc::clone(&begun);
    let go_on_there = Arc::clone(&go_on);
    let got_there = Arc::clone(&got);
    let server = Server::raw(move |mut stream| {
        let begun = Arc::clone(&begun_there);
        let go_on = Arc::clone(&go_on_there);
        let got = Arc::clone(&got_there);
        async move {
            let mut got = got.lock().await;
            read_head(&mut stream).await;
            begun.notify_one();
            go_on.notified().await;
            *got = drain(&mut stream, usize::MAX).await;
        }
    })
    .await;
    let (file, open, stamp) = recording(BIG);
    let client = client(&server, limits());
    let progress = Arc::default();
    let request = Request::post(&["up"]);
    let upload = client.upload(&request, body(open, stamp, &progress));
    let meddle = async {
        begun.notified().await;
        touch(file.as_file());
        go_on.notify_one();
    };
    let (result, ()) = tokio::join!(upload, meddle);
    let got = *got.lock().await;
    (result.expect_err("it changed"), got)
}

#[tokio::test]
async fn a_file_that_grows_during_the_upload_is_never_sent_as_whole() {
    let (error, got) = touched_midway(|mut file| {
        file.set_len(BIG + 5).expect("grown");
        file.flush().expect("flushed");
    })
    .await;
    assert_eq!(error, UploadError::Changed);
    assert!(
        u64::try_from(got).expect("small") <= BIG + 1000,
        "the closing boundary was not sent: {got}"
    );
}

#[tokio::test]
async fn a_file_that_shrinks_during_the_upload_is_never_sent_as_whole() {
    let (error, got) = touched_midway(|file| file.set_len(BIG - 5).expect("shrunk")).await;
    assert_eq!(error, UploadError::Changed);
    assert!(u64::try_from(got).expect("small") < BIG);
}

#[tokio::test]
async fn a_file_rewritten_in_place_during_the_upload_is_never_sent_as_whole() {
    let (error, _) = touched_midway(|file| {
        std::os::unix::fs::FileExt::write_all_at(file, b"other", 0).expect("written");
        file.set_modified(std::time::UNIX_EPOCH).expect("set");
    })
    .await;
    assert_eq!(error, UploadError::Changed);
}

#[tokio::test]
async fn a_stalled_server_is_given_up_and_little_was_read_ahead() {
    let server = Server::raw(async |mut stream| {
        read_head(&mut stream).await;
        std::future::pending::<()>().await;
    })
    .await;
    let (_file, open, stamp) = recording(8 * 1024 * 1024 * 1024);
    let progress = Arc::default();
    let limits = CallLimits { stall: SHORT, ..limits() };
    let result =
        client(&server, limits).upload(&Request::post(&["up"]), body(open, stamp, &progress)).await;
    let Err(UploadError::Transport(error)) = result else { panic!("{result:?}") };
    assert!(
        !error.sent && error.message.contains("took no byte of the upload for 300ms"),
        "{error}"
    );
    assert!(progress.read().0 < 64 * 1024 * 1024, "{:?}", progress.read());
}

#[tokio::test]
async fn a_server_that_takes_everything_and_says_nothing_is_given_up_as_uncertain() {
    let server = Server::raw(async |mut stream| {
        drain(&mut stream, usize::MAX).await;
    })
    .await;
    let (_file, open, stamp) = recording(1000);
    let limits = CallLimits { answer: SHORT, ..limits() };
    let result = client(&server, limits)
        .upload(&Request::post(&["up"]), body(open, stamp, &Arc::default()))
        .await;
    let Err(UploadError::Transport(error)) = result else { panic!("{result:?}") };
    assert!(error.sent && error.message.contains("after the last byte"), "{error}");
}

#[tokio::test]
async fn a_slow_server_that_keeps_taking_is_never_given_up() {
    let server = Server::raw(async |mut stream| {
        let (head, rest) = read_head(&mut stream).await.expect("a request");
        let length = SeenRequest { head, body: vec![] }
            .header("content-length")
            .expect("a length")
            .parse()
            .expect("a number");
        let mut left: usize = length;
        left -= rest.len();
        // Much longer in all than the limit on standing still.
        while left > 0 {
            left = left.saturating_sub(drain(&mut stream, left.min(6 * 1024 * 1024)).await);
            tokio::time::sleep(SHORT / 3).await;
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.ok();
        drain(&mut stream, usize::MAX).await;
    })
    .await;
    let (_file, open, stamp) = recording(BIG);
    let limits = CallLimits { stall: SHORT * 2, ..limits() };
    let result = client(&server, limits)
        .upload(&Request::post(&["up"]), body(open, stamp, &Arc::default()))
        .await;
    assert_eq!(result.expect("an answer").status, 200);
}

#[tokio::test]
async fn an_early_refusal_is_heard_and_ends_the_upload() {
    let ended = Arc::new(Notify::new());
    let told = Arc::clone(&ended);
    let server = Server::raw(move |mut stream| {
        let told = Arc::clone(&told);
        async move {
            read_head(&mut stream).await;
            stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n").await.ok();
            // The client must stop by itself: all of it would be far more.
            let got = drain(&mut stream, usize::MAX).await;
            assert!(u64::try_from(got).expect("small") < 4 * BIG);
            told.notify_one();
        }
    })
    .await;
    let (_file, open, stamp) = recording(8 * 1024 * 1024 * 1024);
    let result = client(&server, limits())
        .upload(&Request::post(&["up"]), body(open, stamp, &Arc::default()))
        .await;
    assert_eq!(result.expect("an answer").status, 413);
    ended.notified().await;
}

#[tokio::test]
async fn success_before_the_whole_recording_was_sent_is_none() {
    let server = Server::raw(async |mut stream| {
        read_head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").await.ok();
        drain(&mut stream, usize::MAX).await;
    })
    .await;
    let (_file, open, stamp) = recording(8 * 1024 * 1024 * 1024);
    let result = client(&server, limits())
        .upload(&Request::post(&["up"]), body(open, stamp, &Arc::default()))
        .await;
    let Err(UploadError::Transport(error)) = result else { panic!("{result:?}") };
    assert!(!error.sent && error.message.contains("before it had the whole recording"), "{error}");
}

#[tokio::test]
async fn a_reset_midway_was_not_sent_whole() {
    let server = Server::raw(async |mut stream| {
        read_head(&mut stream).await;
        // Closing with unread bytes resets the connection.
    })
    .await;
    let (_file, open, stamp) = recording(BIG);
    let result = client(&server, limits())
        .upload(&Request::post(&["up"]), body(open, stamp, &Arc::default()))
        .await;
    let Err(UploadError::Transport(error)) = result else { panic!("{result:?}") };
    assert!(!error.sent, "{error}");
}

#[tokio::test]
async fn dropping_an_upload_ends_it() {
    let ended = Arc::new(Notify::new());
    let begun = Arc::new(Notify::new());
    let told = Arc::clone(&ended);
    let met = Arc::clone(&begun);
    let server = Server::raw(move |mut stream| {
        let told = Arc::clone(&told);
        let met = Arc::clone(&met);
        async move {
            read_head(&mut stream).await;
            met.notify_one();
            drain(&mut stream, usize::MAX).await;
            told.notify_one();
        }
    })
    .await;
    let (_file, open, stamp) = recording(1024 * 1024 * 1024 * 1024);
    let client = client(&server, limits());
    let request = Request::post(&["up"]);
    tokio::select! {
        result = client.upload(&request, body(open, stamp, &Arc::default())) => panic!("{result:?}"),
        () = begun.notified() => {}
    }
    ended.notified().await;
}

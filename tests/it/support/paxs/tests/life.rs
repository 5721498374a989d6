//! Starting, going away, coming back.

use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{
    client::{Caller, listen},
    protocol::until,
};
use crate::support::paxs::{Call, Fault, Options, Standin};

fn address(standin: &Standin) -> String {
    standin.base_url().trim_start_matches("http://").to_owned()
}

#[tokio::test]
async fn a_standin_that_is_down_answers_503_to_everything() {
    let caller = Caller::quick();
    caller.standin.down(true);
    for path in ["/api/users/me", "/api/oauth/provider/poll?state=s", "/elsewhere"] {
        assert_eq!(caller.get(path).await.status(), 503, "{path}");
    }
    caller.standin.down(false);
    assert_eq!(caller.get("/api/users/me").await.status(), 200);
    assert_eq!(caller.get("/elsewhere").await.status(), 404);
}

#[tokio::test]
async fn a_closed_port_refuses_and_opens_again_with_its_state() {
    let caller = Caller::quick();
    caller.create("a").await;
    caller.standin.refuse_connections(true);
    caller.standin.until_listening(false).await;
    let refused = TcpStream::connect(address(&caller.standin)).await.expect_err("closed");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    caller.standin.refuse_connections(false);
    caller.standin.until_listening(true).await;
    assert_eq!(caller.get("/api/users/me").await.status(), 200);
    assert_eq!(caller.standin.snapshot().meetings.len(), 1);
}

#[tokio::test]
async fn the_end_of_the_last_handle_ends_what_hangs() {
    let caller = Caller::quick();
    let address = address(&caller.standin);
    caller.standin.fail_next(Call::Profile, Fault::Hang);
    let mut stream = caller.connect().await;
    let request = caller.head("GET /api/users/me", "text/plain", 0);
    stream.write_all(request.as_bytes()).await.expect("sent");
    until(|| caller.standin.running(Call::Profile) == 1).await;
    drop(caller);
    let heard = listen(&mut stream).await;
    assert!(heard.bytes.is_empty(), "{heard:?}");
    TcpStream::connect(address).await.expect_err("closed");
}

#[test]
fn a_standin_in_a_thread_serves_other_runtimes_and_ends_with_its_last_handle() {
    let standin = Standin::start(Options::default()).expect("loopback");
    let address = address(&standin);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let caller = Caller::of(standin.clone());
    assert_eq!(runtime.block_on(caller.get("/api/users/me")).status(), 200);
    drop(caller);
    drop(standin);
    assert!(runtime.block_on(TcpStream::connect(address)).is_err());
}

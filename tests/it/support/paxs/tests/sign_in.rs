//! Both flows, and what a token is good for.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::client::Caller;
use crate::support::paxs::{Call, Options};

const TOKEN: &str = "/api/oauth/provider/token";

fn agent_callback(caller: &Caller) -> String {
    format!("{}/api/oauth/provider/agent-callback", caller.standin.base_url())
}

#[tokio::test]
async fn the_agent_flow_waits_for_the_person() {
    let caller = Caller::new(Options::default());
    let poll = || caller.get("/api/oauth/provider/poll?state=s1");
    assert_eq!(poll().await.json(), json!({ "status": "pending" }), "before the page is opened");
    let page =
        caller.get("/api/oauth/provider/authorize?response_type=code&state=s1&flow=agent").await;
    assert_eq!((page.status(), page.body().contains("Waiting")), (200, true));
    assert_eq!(poll().await.json(), json!({ "status": "pending" }));
    caller.standin.approve("s1");
    let code = poll().await.json();
    assert_eq!(code["status"], "complete");
    let grant = |redirect: &str| json!({ "grant_type": "authorization_code", "code": code["code"], "redirect_uri": redirect });
    let pair = caller.post(TOKEN, &grant(&agent_callback(&caller))).await.json();
    assert_eq!((&pair["expires_in"], &pair["token_type"]), (&json!(3600), &json!("Bearer")));
    assert_eq!(pair["scope"], "session media analysis user:read");
    let signed_in = Caller {
        standin: caller.standin.clone(),
        token: pair["access_token"].as_str().expect("one").into(),
    };
    assert_eq!(signed_in.get("/api/users/me").await.status(), 200);
    assert_eq!(
        caller.post(TOKEN, &grant(&agent_callback(&caller))).await.status(),
        400,
        "a code is good once"
    );
}

#[tokio::test]
async fn auto_approval_needs_nobody() {
    let caller = Caller::new(Options { auto_approve: true, ..Options::default() });
    let code = caller.get("/api/oauth/provider/poll?state=s1").await.json();
    assert_eq!(code["status"], "complete");
}

#[tokio::test]
async fn a_refused_sign_in_says_so_in_both_flows() {
    let caller = Caller::new(Options { auto_approve: true, ..Options::default() });
    caller.standin.deny("s1");
    assert_eq!(caller.get("/api/oauth/provider/poll?state=s1").await.status(), 400);
    let link = "/api/oauth/provider/authorize?response_type=code&state=s1&redirect_uri=http://localhost:9/callback";
    let place = caller.get(link).await.header("location").expect("a place");
    assert_eq!(place, "http://localhost:9/callback?error=access_denied&state=s1");
}

#[tokio::test]
async fn the_callback_flow_comes_back_with_code_and_state() {
    let caller = Caller::new(Options::default());
    let link = "/api/oauth/provider/authorize?response_type=code&state=a%26b&redirect_uri=http://localhost:9/callback";
    let heard = caller.get(link).await;
    assert_eq!(heard.status(), 302);
    let place = heard.header("location").expect("a place");
    let code = place
        .strip_prefix("http://localhost:9/callback?code=")
        .and_then(|rest| rest.strip_suffix("&state=a%26b"));
    let grant = |redirect: &str| json!({ "grant_type": "authorization_code", "code": code.expect("a code"), "redirect_uri": redirect });
    assert_eq!(caller.post(TOKEN, &grant("http://localhost:9/callback")).await.status(), 200);
    let abroad =
        "/api/oauth/provider/authorize?response_type=code&state=s&redirect_uri=http://example.com/";
    assert_eq!(caller.get(abroad).await.status(), 400);
}

#[tokio::test]
async fn a_dead_refresh_token_ends_the_sign_in() {
    let caller = Caller::new(Options::default());
    let first = caller.standin.issue_pair();
    let grant =
        json!({ "grant_type": "refresh_token", "refresh_token": first.refresh.expose_secret() });
    let second = caller.post(TOKEN, &grant).await.json();
    assert_eq!(caller.post(TOKEN, &grant).await.json(), json!({ "error": "invalid_grant" }));
    let grant = json!({ "grant_type": "refresh_token", "refresh_token": second["refresh_token"] });
    assert_eq!(caller.post(TOKEN, &grant).await.status(), 400);
    let snapshot = caller.standin.snapshot();
    assert_eq!(
        (snapshot.refreshes, snapshot.families_revoked, snapshot.count(Call::Token)),
        (1, 1, 3)
    );
    assert_eq!(caller.get("/api/users/me").await.status(), 200, "another family");
    caller.standin.revoke_all();
    assert_eq!(caller.get("/api/users/me").await.status(), 401);
}

#[tokio::test]
async fn the_token_endpoint_takes_json_alone() {
    let caller = Caller::new(Options::default());
    let call = format!("POST {TOKEN}");
    let heard =
        caller.send(&call, "application/x-www-form-urlencoded", b"grant_type=refresh_token").await;
    assert_eq!(heard.status(), 415);
    assert_eq!(caller.post(TOKEN, &json!({ "grant_type": "password" })).await.status(), 400);
}

#[tokio::test]
async fn access_can_expire_while_the_refresh_token_stays() {
    let caller = Caller::new(Options::default());
    let pair = caller.standin.issue_pair();
    caller.standin.expire_access_tokens();
    assert_eq!(caller.get("/api/users/me").await.status(), 401);
    let grant =
        json!({ "grant_type": "refresh_token", "refresh_token": pair.refresh.expose_secret() });
    assert_eq!(caller.post(TOKEN, &grant).await.status(), 200);
}

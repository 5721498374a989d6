//! The recipes of docs/notifications.md, each against a model of what the vendor documents.

use std::fs;

use serde_json::{Value, json};

use crate::{
    notifications::command,
    support::{
        house::{House, until},
        receivers::Chat,
        rows::each,
    },
};

/// A name of a stranger's, with the marks of every chat.
const NAME: &str = "talk <!channel> & [x](http:) *b*.wav";

#[test]
fn each_chat_gets_what_its_documents_describe() {
    let kinds = ["slack", "teams", "matrix", "homeassistant"];
    each(kinds, |kind| {
        let house = House::new();
        let chat = Chat::start();
        let script = include_str!("../../examples/notify-chat.py");
        let table = command(&house, script, "network = true\nevents = [\"notes.ready\"]");
        house.configure_all("", "", &format!("[http]\nlisten = \"127.0.0.1:18765\"\n{table}"));
        let settings = json!({
            "kind": kind, "url": format!("http://{}", chat.address()), "token": "s3cret",
            "room": "!room:example.com", "service": "notify/mobile_app_phone",
        });
        let beside = house.dir.path().join("hook/notify-chat.json");
        fs::write(beside, settings.to_string()).expect("written");
        // The page's port is not opened: a test of the shape needs the link alone.
        let _daemon = house.start();
        house.drop_recording(NAME);
        let posted = until("it is posted", || chat.state().posted.first().cloned());
        check_shape(kind, &posted.0, &posted.1, &posted.2);
        assert!(!house.log().contains("s3cret"), "{}", house.log());
    });
}

fn check_shape(kind: &str, line: &str, authorization: &str, body: &Value) {
    let keys: Vec<_> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    match kind {
        "slack" => {
            assert_eq!(keys, ["text"]);
            let text = body["text"].as_str().expect("a text");
            assert!(text.starts_with("*Notes ready: ") && !text.contains("<!channel>"), "{text}");
        }
        "teams" => {
            assert_eq!(keys, ["$schema", "actions", "body", "type", "version"]);
            assert_eq!((&body["type"], &body["version"]), (&"AdaptiveCard".into(), &"1.4".into()));
            let blocks = body["body"].as_array().expect("blocks");
            assert!(blocks.iter().all(|block| block["type"] == "TextBlock"));
            assert_eq!(body["actions"][0]["type"], "Action.OpenUrl");
        }
        "matrix" => {
            let path =
                "PUT /_matrix/client/v3/rooms/%21room%3Aexample.com/send/m.room.message/msg_";
            assert!(line.starts_with(path), "{line}");
            assert_eq!(authorization, "Bearer s3cret");
            assert_eq!(keys, ["body", "format", "formatted_body", "msgtype"]);
            assert_eq!(body["msgtype"], "m.text");
            let html = body["formatted_body"].as_str().expect("a text");
            assert!(!html.contains("<!channel>"), "{html}");
        }
        "homeassistant" => {
            assert!(line.starts_with("POST /api/services/notify/mobile_app_phone "), "{line}");
            assert_eq!(authorization, "Bearer s3cret");
            assert_eq!(keys, ["data", "message", "title"]);
        }
        other => unreachable!("{other}"),
    }
}

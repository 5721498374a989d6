//! `[webhook]`: the listener for calls of the sources' vendors.

use std::net::SocketAddr;

use super::{diagnostic::ValueError, reader::Table, table_keys::table_keys, words::in_backticks};

/// The cure for a missing or a wrong address.
const EXAMPLE: &str = "write listen = \"127.0.0.1:8787\"";

table_keys! {
    /// Listener for webhooks.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Webhook from WebhookKeys {
        /// The address and the port: on this machine alone.
        listen: SocketAddr = read_text(parse_listen), required EXAMPLE;
    }
}

/// Reads `[webhook]`; `None` where there is none or it has mistakes.
pub(super) fn read_webhook(root: &Table<'_>) -> Option<Webhook> {
    root.read_keys::<WebhookKeys>("webhook")?.into_inner().into_settings()
}

/// An address of this machine that is not reached from others, and a port.
fn parse_listen(text: &str) -> Result<SocketAddr, ValueError> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(ValueError::new(
            format!("{} is not an address with a port", in_backticks(text)),
            EXAMPLE,
        ));
    };
    if !address.ip().is_loopback() {
        let what =
            format!("{} can be reached from other machines, in the clear", in_backticks(text));
        let help =
            format!("{EXAMPLE}, and have a reverse proxy with TLS pass on what comes from outside");
        return Err(ValueError::new(what, help));
    }
    if address.port() == 0 {
        return Err(ValueError::new("port 0 is another port at each start", EXAMPLE));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_taken_on_this_machine_alone() {
        for text in ["127.0.0.1:8787", "[::1]:8787", "127.1.2.3:1"] {
            assert!(parse_listen(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "8787",
            "localhost:8787",
            "127.0.0.1",
            "127.0.0.1:0",
            "127.0.0.1:65536",
            "http://127.0.0.1:1",
        ] {
            assert!(parse_listen(text).is_err(), "{text}");
        }
        for text in [
            "0.0.0.0:8787",
            "192.168.0.7:8787",
            "[::]:8787",
            "[fe80::1]:8787",
            "[::ffff:127.0.0.1]:8787",
        ] {
            let error = parse_listen(text).expect_err(text);
            assert!(error.help.contains("reverse proxy"), "{error:?}");
        }
    }
}

//! `[webhook]`: where calls of the vendors of sources are taken.

use std::net::SocketAddr;

use super::{diagnostic::Flaw, reader::Table, table_keys::table_keys, words::quoted};

const EXAMPLE: &str = "write listen = \"127.0.0.1:8787\"";

table_keys! {
    /// Where webhooks are taken.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct Webhook from WebhookKeys {
        /// The address and the port: on this machine alone.
        listen: SocketAddr = text(listen), required EXAMPLE;
    }
}

/// Reads `[webhook]`; `None` where there is none or it has mistakes.
pub(super) fn read(root: &Table<'_>) -> Option<Webhook> {
    root.keys::<WebhookKeys>("webhook")?.into_inner().settings()
}

/// An address of this machine that is not reached from others, and a port.
fn listen(text: &str) -> Result<SocketAddr, Flaw> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(Flaw::new(format!("{} is not an address with a port", quoted(text)), EXAMPLE));
    };
    if !address.ip().is_loopback() {
        let what = format!("{} can be reached from other machines, in the clear", quoted(text));
        let help = format!("{EXAMPLE}, and have a reverse proxy with TLS pass on what comes from outside");
        return Err(Flaw::new(what, help));
    }
    if address.port() == 0 {
        return Err(Flaw::new("port 0 is another port at each start", EXAMPLE));
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn webhooks_are_taken_on_this_machine_alone() {
        for text in ["127.0.0.1:8787", "[::1]:8787", "127.1.2.3:1"] {
            assert!(listen(text).is_ok(), "{text}");
        }
        for text in ["", "8787", "localhost:8787", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:65536", "http://127.0.0.1:1"]
        {
            assert!(listen(text).is_err(), "{text}");
        }
        for text in ["0.0.0.0:8787", "192.168.0.7:8787", "[::]:8787", "[fe80::1]:8787", "[::ffff:127.0.0.1]:8787"] {
            let flaw = listen(text).expect_err(text);
            assert!(flaw.help.contains("reverse proxy"), "{flaw:?}");
        }
    }
}

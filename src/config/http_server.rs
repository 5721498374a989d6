//! `[http]`: the server of the page, the API, `/healthz` and `/metrics`.

use std::net::SocketAddr;

use url::Url;

use super::{
    diagnostic::{Diagnostics, ValueError},
    reader::{Table, TableKeys as _},
    table_keys::table_keys,
    values::is_loopback,
    words::in_backticks,
};

/// The cure for a missing or a wrong address.
const EXAMPLE: &str = "write listen = \"127.0.0.1:8765\"";

table_keys! {
    /// The server of the page and the API.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub struct HttpServer from HttpServerKeys {
        /// The address and the port.
        listen: SocketAddr = read_text(parse_listen), required EXAMPLE;
        /// The address that browsers use, where it is another one: scheme, host and port.
        url: Url = read_text(parse_origin);
        /// Whether the port is reached through a reverse proxy or a published port alone.
        behind_proxy: bool = read_flag(), default false;
    }
}

impl HttpServer {
    /// Returns the address of the page as a browser reaches it, such as `http://127.0.0.1:8765`.
    #[must_use]
    pub fn origin(&self) -> String {
        match &self.url {
            Some(url) => url.origin().ascii_serialization(),
            None => format!("http://{}", self.listen),
        }
    }

    /// Returns whether browsers reach the page over TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme() == "https")
    }

    /// Returns whether others than programs of this machine may reach the port.
    #[must_use]
    pub fn is_reached_from_outside(&self) -> bool {
        self.behind_proxy || self.url.is_some()
    }
}

/// Reads `[http]`; `None` where there is none or it has mistakes.
pub(super) fn read_http_server(root: &Table<'_>, diagnostics: &Diagnostics) -> Option<HttpServer> {
    if !root.is_present("http") {
        return None;
    }
    let table = root.read_table("http", HttpServerKeys::KNOWN);
    let http = HttpServerKeys::from_table(&table).into_settings()?;
    let item = table.find_item("listen")?;
    let is_open = !http.listen.ip().is_loopback();
    if is_open && !(http.behind_proxy && http.url.is_some()) {
        let what = format!(
            "{} can be reached from other machines, in the clear",
            in_backticks(&http.listen.to_string())
        );
        let help = format!(
            "{EXAMPLE}; or, where only a reverse proxy with TLS reaches it: behind_proxy = true and url = \"https://…\""
        );
        diagnostics.add_at(item.span(), what, help);
    }
    Some(http)
}

fn parse_listen(text: &str) -> Result<SocketAddr, ValueError> {
    let Ok(address) = text.parse::<SocketAddr>() else {
        return Err(ValueError::new(
            format!("{} is not an address with a port", in_backticks(text)),
            EXAMPLE,
        ));
    };
    if address.port() == 0 {
        return Err(ValueError::new("port 0 is another port at each start", EXAMPLE));
    }
    Ok(address)
}

/// A scheme, a host and a port; http only for this machine, because the page's cookie is a secret.
fn parse_origin(text: &str) -> Result<Url, ValueError> {
    const HELP: &str = "write what stands in the browser, such as \"https://minutes.example.com\"";
    let wrong = |what: &str| Err(ValueError::new(format!("{} {what}", in_backticks(text)), HELP));
    let Ok(url) = text.parse::<Url>() else { return wrong("is not a URL") };
    let Some(host) = url.host_str() else { return wrong("names no host") };
    let has_more = url.path() != "/" || url.query().is_some() || url.fragment().is_some();
    if has_more || !url.username().is_empty() || url.password().is_some() {
        return wrong("is more than scheme, host and port");
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_loopback(host) => Ok(url),
        _other => wrong("is not https, and not this machine"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_no_more() {
        for text in [
            "https://minutes.example.com",
            "https://minutes.example.com:8443/",
            "http://127.0.0.1:8765",
            "http://localhost:8765",
        ] {
            assert!(parse_origin(text).is_ok(), "{text}");
        }
        for text in [
            "",
            "minutes.example.com",
            "http://minutes.example.com",
            "https://a.example/minuted",
            "https://a.example/?x",
            "https://ann:secret@a.example",
            "ftp://a.example",
        ] {
            assert!(parse_origin(text).is_err(), "{text}");
        }
    }
}

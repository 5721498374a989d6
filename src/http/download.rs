//! Downloads from an address that a service gives: in pieces, in constant memory, under a watchdog.

use bytes::Bytes;
use reqwest::header::CONTENT_ENCODING;
use tokio::time::{Duration, Instant};
use url::Url;

use super::{Answer, Elsewhere, FetchError, TransportError, cause, public::RefusedAddress};

/// Bytes of the answer of a store that refuses: enough to say why.
const REFUSAL_BYTES_MAX: usize = 16 * 1024;

/// Minimum bytes in [`PACE_SPAN`]: a byte a minute would keep a download alive for ever.
const PACE_BYTES_MIN: u64 = 64 * 1024;

/// The time over which the pace is measured: a line may stall for a while and go on.
const PACE_SPAN: Duration = Duration::from_secs(300);

/// A running download.
#[derive(Debug)]
pub struct Download {
    response: reqwest::Response,
    host: String,
    stall: Duration,
    pace: DownloadPace,
    /// Its length in bytes, where the store gives it.
    pub length: Option<u64>,
    /// The content type that the store gives, printable.
    pub content_type: Option<String>,
}

/// The answer of a store.
#[derive(Debug)]
pub enum Fetched {
    /// The file comes.
    File(Download),
    /// Anything but 200, with the answer of the store.
    Refused(Answer),
}

impl Elsewhere {
    /// Begins to fetch the file at an address. Nothing of ours is sent there: the address is the
    /// permission.
    ///
    /// # Errors
    /// When no answer came, or the address is one that is not fetched.
    pub async fn fetch(&self, url: &Url) -> Result<Fetched, FetchError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let limits = self.limits();
        let late = || TransportError {
            message: format!("no answer from `{host}`"),
            begun: true,
            sent: true,
        };
        let asked = tokio::time::timeout(limits.request, self.prepare_get(url).await?.send());
        let response = asked.await.map_err(|_| late())?.map_err(|error| unreached(&host, error))?;
        if response.status().as_u16() != 200 {
            return Ok(Fetched::Refused(read_refusal(response, limits.request).await));
        }
        // A compressed answer has another length than its header gives, and it was not requested.
        let is_packed = response.headers().contains_key(CONTENT_ENCODING);
        let length = response.content_length().filter(|_| !is_packed);
        let head = Answer::new(200, response.headers(), Bytes::new());
        let content_type = head.content_type;
        let stall = limits.stall;
        let pace = DownloadPace::starting_at(Instant::now());
        Ok(Fetched::File(Download { response, host, stall, pace, length, content_type }))
    }
}

impl Download {
    /// Returns the next piece, `None` at the end.
    ///
    /// # Errors
    /// When it is cut, or stands still.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, TransportError> {
        let Ok(piece) = tokio::time::timeout(self.stall, self.response.chunk()).await else {
            let message = format!("`{}` sent no byte for {:?}", self.host, self.stall);
            return Err(TransportError { message, begun: true, sent: true });
        };
        let piece = piece.map_err(|error| transport_error(&self.host, error))?;
        let bytes = piece.as_ref().map_or(0, |piece| piece.len() as u64);
        if piece.is_some() && !self.pace.is_fast_enough(bytes, Instant::now()) {
            let message = format!(
                "`{}` sends too slowly: under {PACE_BYTES_MIN} bytes in {PACE_SPAN:?}",
                self.host
            );
            return Err(TransportError { message, begun: true, sent: true });
        }
        Ok(piece)
    }
}

/// The bytes received in the current span.
#[derive(Debug)]
struct DownloadPace {
    since: Instant,
    bytes: u64,
}

impl DownloadPace {
    fn starting_at(now: Instant) -> Self {
        Self { since: now, bytes: 0 }
    }

    /// Counts received bytes; returns whether they are enough so far.
    fn is_fast_enough(&mut self, bytes: u64, now: Instant) -> bool {
        self.bytes += bytes;
        if now.duration_since(self.since) < PACE_SPAN {
            return true;
        }
        let is_fast_enough = self.bytes >= PACE_BYTES_MIN;
        *self = Self::starting_at(now);
        is_fast_enough
    }
}

/// Reads the answer of a store that refuses a file, as far as it comes in time.
async fn read_refusal(mut response: reqwest::Response, limit: Duration) -> Answer {
    let mut body = Vec::new();
    let read = async {
        while let Ok(Some(piece)) = response.chunk().await {
            let room = REFUSAL_BYTES_MAX.saturating_sub(body.len());
            body.extend_from_slice(&piece[..piece.len().min(room)]);
            if room == 0 {
                break;
            }
        }
    };
    if tokio::time::timeout(limit, read).await.is_err() {
        tracing::trace!("a store did not say why it gives no file");
    }
    Answer::new(response.status().as_u16(), response.headers(), body.into())
}

fn unreached(host: &str, error: reqwest::Error) -> FetchError {
    match RefusedAddress::in_causes_of(&error) {
        Some(refused) => refused.clone().into(),
        None => transport_error(host, error).into(),
    }
}

fn transport_error(host: &str, error: reqwest::Error) -> TransportError {
    let begun = !(error.is_connect() || error.is_builder());
    let phase = if begun { "no whole file from" } else { "cannot reach" };
    TransportError {
        message: format!("{phase} `{host}`: {}", cause::error_chain(error)),
        begun,
        sent: begun,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{
        CallLimits,
        loopback::{LoopbackReply, Server},
    };

    async fn fetch(reply: &str) -> (Result<Vec<u8>, TransportError>, Server) {
        let reply = reply.to_owned();
        let server = Server::start(move |_| {
            let reply = LoopbackReply::Raw(reply.clone());
            async move { reply }
        })
        .await;
        let limits = CallLimits::new(Duration::from_secs(60));
        let elsewhere = Elsewhere::new(&server.base, limits).expect("a client");
        let url = server.base.join("/store/talk.flac?X-Signature=abc").expect("a URL");
        let fetched = async {
            let fetched = elsewhere.fetch(&url).await.map_err(|error| match error {
                FetchError::Transport(error) => error,
                FetchError::Address(why) => panic!("refused: {why}"),
            });
            match fetched? {
                Fetched::Refused(answer) => Err(TransportError {
                    message: format!("{} {:?}", answer.status, answer.body),
                    begun: true,
                    sent: true,
                }),
                Fetched::File(mut file) => {
                    let mut bytes = Vec::new();
                    while let Some(piece) = file.piece().await? {
                        bytes.extend_from_slice(&piece);
                    }
                    Ok(bytes)
                }
            }
        };
        (fetched.await, server)
    }

    #[tokio::test]
    async fn a_file_comes_whole_and_nothing_that_proves_anything_is_sent() {
        let (fetched, server) = fetch("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntalk").await;
        assert_eq!(fetched.expect("fetched"), b"talk");
        let seen = server.seen();
        let names = seen[0].head.to_lowercase();
        for header in ["authorization", "api-key", "cookie", "referer"] {
            assert!(!names.contains(header), "{names}");
        }
    }

    #[tokio::test]
    async fn a_file_that_is_cut_is_no_file() {
        let (fetched, _server) = fetch("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ntalk").await;
        assert!(fetched.expect_err("cut").begun);
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed_and_a_refusal_is_read() {
        let (moved, server) =
            fetch("HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n").await;
        assert!(moved.expect_err("moved").message.starts_with("302"));
        assert_eq!(server.seen().len(), 1);
        let (gone, _server) =
            fetch("HTTP/1.1 403 Forbidden\r\nContent-Length: 7\r\n\r\nexpired").await;
        assert!(gone.expect_err("gone").message.contains("expired"));
    }

    #[test]
    fn a_trickle_stands_still() {
        let begun = Instant::now();
        let mut pace = DownloadPace::starting_at(begun);
        assert!(pace.is_fast_enough(1, begun + PACE_SPAN / 2));
        assert!(!pace.is_fast_enough(1, begun + PACE_SPAN * 2));
        assert!(pace.is_fast_enough(PACE_BYTES_MIN, begun + PACE_SPAN * 4));
    }
}

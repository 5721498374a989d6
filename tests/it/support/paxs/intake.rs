//! The body of a request on its way in: read ahead, slowed down, cut off or poured away.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use axum::body::HttpBody;
use bytes::Bytes;
use futures_util::future::poll_fn;
use hyper::body::{Frame, Incoming};
use tokio::time::{Duration, Instant, Sleep};

/// A request's body, shared between the handler that reads it and the connection that must know how far it got.
#[derive(Debug, Clone)]
pub(super) struct Intake(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct Inner {
    body: Incoming,
    /// What was read ahead.
    ahead: VecDeque<Bytes>,
    /// Bytes given out.
    given: u64,
    /// After so many bytes the body breaks off.
    cut_after: Option<u64>,
    cut: bool,
    /// Bytes a second.
    speed: Option<u64>,
    rest: Option<Pin<Box<Sleep>>>,
}

impl Intake {
    /// Takes a body.
    pub(super) fn new(body: Incoming) -> Self {
        let ahead = VecDeque::new();
        Self(Arc::new(Mutex::new(Inner {
            body,
            ahead,
            given: 0,
            cut_after: None,
            cut: false,
            speed: None,
            rest: None,
        })))
    }

    /// Lets the body break off after so many bytes.
    pub(super) fn cut_after(&self, bytes: u64) {
        self.inner().cut_after = Some(bytes);
    }

    /// Returns whether it did.
    pub(super) fn is_cut(&self) -> bool {
        self.inner().cut
    }

    /// Lets the body through at so many bytes a second.
    pub(super) fn slow_down(&self, bytes_per_second: u64) {
        self.inner().speed = Some(bytes_per_second.max(1));
    }

    /// Returns the beginning of the body, as far as `enough` wants or `bytes_max` allows; it stays to be read.
    pub(super) async fn look_ahead(
        &self,
        bytes_max: usize,
        enough: impl Fn(&[u8]) -> bool,
    ) -> Vec<u8> {
        let mut head = Vec::new();
        while head.len() < bytes_max && !enough(&head) {
            let frame = poll_fn(|cx| Pin::new(&mut self.inner().body).poll_frame(cx)).await;
            let Some(Ok(frame)) = frame else { break };
            if let Ok(chunk) = frame.into_data() {
                head.extend_from_slice(&chunk);
                self.inner().ahead.push_back(chunk);
            }
        }
        head
    }

    /// Reads what nobody wanted, so that the answer is not lost in a reset.
    pub(super) async fn pour_away(mut self) {
        while let Some(Ok(_)) = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx)).await {}
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Intake {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        self.inner().poll_frame(cx)
    }
}

impl Inner {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        if self.cut || self.cut_after.is_some_and(|limit| self.given >= limit) {
            self.cut = true;
            return Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionReset).into())));
        }
        let frame = match self.ahead.pop_front() {
            Some(chunk) => Some(Ok(Frame::data(chunk))),
            None => ready!(Pin::new(&mut self.body).poll_frame(cx)),
        };
        if let Some(Ok(frame)) = &frame {
            self.count(frame.data_ref().map_or(0, Bytes::len));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn count(&mut self, bytes: usize) {
        self.given += bytes as u64;
        if let Some(speed) = self.speed {
            let micros = (bytes as u64).saturating_mul(1_000_000) / speed;
            self.rest = Some(Box::pin(tokio::time::sleep_until(
                Instant::now() + Duration::from_micros(micros),
            )));
        }
    }
}

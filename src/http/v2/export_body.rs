//! The body of an export.
//!
//! A page is written while the next one is read, so that neither the database nor the connection waits for the other.
//! There is never more than one page on its way, and one in memory beside it: the connection asks for the next chunk when
//! its client has room for it. A client that reads nothing is given up by the connection.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use std::vec;

use actix_web::web::Bytes;
use futures_util::future::{LocalBoxFuture, MaybeDone, maybe_done};
use futures_util::{FutureExt as _, Stream, stream};
use tokio::time::Instant;

use crate::domain::{Error, User};
use crate::net::Draining;
use crate::service::{ExportPage, ExportPermit, Rest};
use crate::transfer::Encoder;

/// The most bytes of a chunk, which fits into a connection's write buffer.
const CHUNK: usize = 7 << 10;
/// How many bytes are written before the first of them is sent: some chunks, of which the last is not much smaller.
const WRITTEN: usize = 8 * CHUNK;

/// Why a body ends before its end. The connection closes without the last chunk, so that the client notices.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the token of an export has expired")]
    TokenExpired,
    #[error("the service shuts down")]
    Draining,
    #[error("an export cannot go on: {0}")]
    Failed(#[from] Error),
    #[error("an export cannot be compressed: {0}")]
    Compression(#[from] io::Error),
}

/// The body of an export, as far as it was not sent.
pub(super) struct ExportBody {
    /// `None` when the end was written.
    encoder: Option<Encoder>,
    /// What was written and not sent.
    written: Bytes,
    /// What was read and not written.
    users: vec::IntoIter<User>,
    /// The next page, on its way. `None` after the last one.
    next: Option<Pin<Box<NextPage>>>,
    permit: ExportPermit,
    draining: Draining,
    /// When the token expires. `None` if that is beyond the range of the clock.
    end: Option<Instant>,
}

type NextPage = MaybeDone<LocalBoxFuture<'static, Result<ExportPage, Error>>>;

impl ExportBody {
    /// The body that begins with this page, and may take up to `time_left`.
    pub(super) fn new(
        encoder: Encoder,
        (users, rest): ExportPage,
        permit: ExportPermit,
        draining: Draining,
        time_left: Duration,
    ) -> Self {
        let end = Instant::now().checked_add(time_left);
        let (users, next) = (users.into_iter(), rest.map(read));
        Self { encoder: Some(encoder), written: Bytes::new(), users, next, permit, draining, end }
    }

    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Broken>> {
        stream::try_unfold(self, Self::chunk)
    }

    /// The next chunk. `None` at the end.
    async fn chunk(mut self) -> Result<Option<(Bytes, Self)>, Broken> {
        self.check_time()?;
        if self.written.is_empty() {
            self.write().await?;
        }
        if self.written.is_empty() {
            return Ok(None);
        }
        let length = self.written.len().min(CHUNK);
        Ok(Some((self.written.split_to(length), self)))
    }

    fn check_time(&self) -> Result<(), Broken> {
        if self.draining.is_draining() {
            Err(Broken::Draining)
        } else if self.end.is_some_and(|end| end <= Instant::now()) {
            Err(Broken::TokenExpired)
        } else {
            Ok(())
        }
    }

    /// Writes the next chunks, unless the end was written.
    async fn write(&mut self) -> Result<(), Broken> {
        let Some(mut encoder) = self.encoder.take() else { return Ok(()) };
        loop {
            let users = self.users.len();
            while encoder.ready() < WRITTEN
                && let Some(user) = self.users.next()
            {
                encoder.user(&user)?;
            }
            self.permit.metrics.sent(users - self.users.len());
            if encoder.ready() >= WRITTEN {
                self.written = encoder.take().into();
                self.encoder = Some(encoder);
                return Ok(());
            }
            if !self.turn_page().await? {
                self.written = encoder.finish()?.into();
                self.permit.metrics.complete();
                return Ok(());
            }
        }
    }

    /// Waits for the next page, and has the one after it read. Returns whether there was one.
    async fn turn_page(&mut self) -> Result<bool, Broken> {
        let Some(mut next) = self.next.take() else { return Ok(false) };
        next.as_mut().await;
        let Some(page) = next.as_mut().take_output() else { return Ok(false) };
        let (users, rest) = page?;
        self.users = users.into_iter();
        self.next = rest.map(read);
        if let Some(next) = &mut self.next {
            // Sends the query. Nobody waits for the answer until this page is written.
            poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await.is_ready();
        }
        Ok(true)
    }
}

fn read(rest: Rest) -> Pin<Box<NextPage>> {
    Box::pin(maybe_done(rest.next_page().boxed_local()))
}

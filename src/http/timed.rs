//! A connection that waits for nobody for ever.
//!
//! actix bounds the first head of a connection, and then only how long it lies idle: not the heads that follow, not the rest
//! of a body whose request has been answered already, not a client that does not take its answers.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// How long a connection waits for its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the rest of a request's head, from its first byte on; before the first one, for TLS too.
    pub(super) head: Duration,
    /// For a request to begin.
    pub(super) idle: Duration,
    /// For the client to take what it is sent.
    pub(super) answer: Duration,
}

/// What a connection is waiting for.
#[derive(Clone, Copy)]
enum Phase {
    /// A request, since then.
    Idle(Instant),
    /// The head of a request that has begun to arrive, since then; or what is left of a body that nobody reads any more.
    Arriving(Instant),
    /// An answer: whatever that waits for has bounds of its own.
    Answering,
}

/// Tells a connection when one of its requests is being answered. Clones share one state.
#[derive(Clone)]
pub(super) struct Turns(Rc<Cell<Phase>>);

impl Turns {
    /// The head of a request is complete.
    pub(super) fn begin(&self) {
        self.0.set(Phase::Answering);
    }

    /// Its answer is ready.
    pub(super) fn end(&self) {
        self.0.set(Phase::Idle(Instant::now()));
    }
}

/// The connection. When its patience is at an end it reads as if the client had hung up.
pub(super) struct Timed {
    stream: TcpStream,
    patience: Patience,
    phase: Rc<Cell<Phase>>,
    /// Since when the client has not taken all that it was sent.
    blocked: Option<Instant>,
    /// Rings when patience may be at an end, or earlier: to put a timer off costs next to nothing, to bring it forward
    /// does not, and there are several changes of phase in each request.
    alarm: Pin<Box<Sleep>>,
    over: bool,
}

impl Timed {
    /// Begins to wait for the first request.
    pub(super) fn new(stream: TcpStream, patience: Patience) -> Self {
        let now = Instant::now();
        let phase = Rc::new(Cell::new(Phase::Arriving(now)));
        let alarm = Box::pin(sleep_until(now + patience.head));
        Self { stream, patience, phase, blocked: None, alarm, over: false }
    }

    pub(super) fn turns(&self) -> Turns {
        Turns(Rc::clone(&self.phase))
    }

    fn due(&self) -> Option<Instant> {
        let phase = match self.phase.get() {
            Phase::Idle(since) => Some(since + self.patience.idle),
            Phase::Arriving(since) => Some(since + self.patience.head),
            Phase::Answering => None,
        };
        let blocked = self.blocked.map(|since| since + self.patience.answer);
        [phase, blocked].into_iter().flatten().min()
    }

    /// Whether patience is at an end; if not, sees to it that the task is woken when it is.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.over && self.alarm.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let due = self.due().unwrap_or(now + self.patience.head);
            if due <= now {
                self.over = true;
                // What it has not taken by now it shall not have: otherwise the kernel would keep on trying.
                let _ = self.stream.set_zero_linger();
            } else {
                self.alarm.as_mut().reset(due);
            }
        }
        self.over
    }

    fn wait_from_now(&mut self, change: impl FnOnce(&mut Self, Instant)) {
        let now = Instant::now();
        change(self, now);
        if let Some(due) = self.due() {
            self.alarm.as_mut().reset(due);
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if buffer.filled().len() > before && matches!(self.phase.get(), Phase::Idle(_)) {
            self.wait_from_now(|this, now| this.phase.set(Phase::Arriving(now)));
        }
        read
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        if written.is_ready() {
            return written;
        }
        if self.blocked.is_none() {
            self.wait_from_now(|this, now| this.blocked = Some(now));
        }
        if self.is_over(cx) { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }

    /// Comes when all has been written that there was.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.blocked = None;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

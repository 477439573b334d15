//! A connection that waits for nobody for ever.
//!
//! actix bounds the first head of a connection, and then only how long it lies idle: not the heads that follow, not the rest
//! of a body whose request has been answered already, not a client that does not take its answers.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// How much is read at once, in bytes.
const PIECE: usize = 4 << 10;

/// How long a connection waits for its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// For the rest of a request's head, from its first byte on; before the first one, for TLS too.
    pub(super) head: Duration,
    /// For a request to begin.
    pub(super) idle: Duration,
    /// For the client to make room, once the buffers of what it is sent are full.
    pub(super) answer: Duration,
}

/// What a connection is waiting for.
#[derive(Clone, Copy)]
enum Phase {
    /// A request, since then.
    Idle(Instant),
    /// The head of a request that has begun to arrive, since then; or what is left of a body that nobody reads any more.
    Arriving(Instant),
    /// A body: whoever reads it bounds its size and time.
    Receiving,
    /// An answer: whatever that waits for has bounds of its own.
    Answering,
    /// The client, to take the rest of an answer that was ready then.
    Sending(Instant),
}

/// What a connection and the requests on it know of each other.
struct State {
    phase: Cell<Phase>,
    /// Whether an answer is being made while it is sent.
    streams: Cell<bool>,
    /// Whether the connection is one of those that are accepted beyond the most.
    is_in_reserve: bool,
}

/// Tells a connection how far the request on it is. Clones share one state.
#[derive(Clone)]
pub(super) struct Turns(Rc<State>);

impl Turns {
    /// A head is complete.
    pub(super) fn begin(&self) {
        self.0.phase.set(Phase::Answering);
    }

    /// The body is wanted.
    pub(super) fn receive(&self) {
        self.0.phase.set(Phase::Receiving);
    }

    /// The body is complete.
    pub(super) fn received(&self) {
        self.0.phase.set(Phase::Answering);
    }

    /// The answer is ready, or, if it streams, its head.
    pub(super) fn end(&self, now: std::time::Instant) {
        if !self.0.streams.get() {
            self.0.phase.set(Phase::Sending(now.into()));
        }
    }

    /// For an answer that is made while it is sent: it is ready when this is dropped.
    pub(super) fn stream(&self) -> Streaming {
        self.0.streams.set(true);
        Streaming(self.clone())
    }

    /// Whether only what is open to everybody is answered here, and once.
    pub(super) fn is_in_reserve(&self) -> bool {
        self.0.is_in_reserve
    }
}

/// Keeps a connection from being taken for idle between two pieces of an answer.
pub(super) struct Streaming(Turns);

impl Drop for Streaming {
    fn drop(&mut self) {
        let Self(turns) = self;
        turns.0.streams.set(false);
        turns.end(std::time::Instant::now());
    }
}

/// The connection. When its patience is at an end it reads as if the client had hung up.
pub(super) struct Timed {
    stream: TcpStream,
    patience: Patience,
    state: Rc<State>,
    /// How many bytes were read since the task last had nothing to read.
    in_a_row: usize,
    /// Since when the client has not taken all that it was sent.
    blocked: Option<Instant>,
    /// Rings when patience may be at an end, or earlier: to put a timer off costs next to nothing, to bring it forward
    /// does not, and there are several changes of phase in each request.
    alarm: Pin<Box<Sleep>>,
    /// Whether the alarm knows whom to wake.
    is_watched: bool,
    over: bool,
}

impl Timed {
    /// Begins to wait for the first request.
    pub(super) fn new(stream: TcpStream, patience: Patience, is_in_reserve: bool) -> Self {
        let now = Instant::now();
        let state = State { phase: Cell::new(Phase::Arriving(now)), streams: Cell::new(false), is_in_reserve };
        let alarm = Box::pin(sleep_until(now + patience.head));
        Self {
            stream,
            patience,
            state: Rc::new(state),
            in_a_row: 0,
            blocked: None,
            alarm,
            is_watched: false,
            over: false,
        }
    }

    pub(super) fn turns(&self) -> Turns {
        Turns(Rc::clone(&self.state))
    }

    fn due(&self) -> Option<Instant> {
        let phase = match self.state.phase.get() {
            Phase::Idle(since) => Some(since + self.patience.idle),
            Phase::Arriving(since) => Some(since + self.patience.head),
            Phase::Receiving | Phase::Answering | Phase::Sending(_) => None,
        };
        let blocked = self.blocked.map(|since| since + self.patience.answer);
        [phase, blocked].into_iter().flatten().min()
    }

    /// Whether patience is at an end; if not, sees to it that the task is woken when it is.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        // The task stays the same, so the alarm knows already whom to wake: to look at it is cheaper than to poll it.
        if self.is_watched && !self.alarm.is_elapsed() {
            return self.over;
        }
        self.is_watched = true;
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

    fn set_alarm(&mut self) {
        if let Some(due) = self.due() {
            // One that has rung has forgotten whom it woke.
            self.is_watched &= !self.alarm.is_elapsed();
            self.alarm.as_mut().reset(due);
        }
    }

    /// Bounds the wait for a client that takes nothing of what was to be written.
    fn wait_for_room(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            return written;
        }
        if self.blocked.is_none() {
            self.blocked = Some(Instant::now());
            self.set_alarm();
        }
        if self.is_over(cx) { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }

    fn has_read(&mut self, bytes: usize) {
        self.in_a_row += bytes;
        if let Phase::Idle(_) = self.state.phase.get() {
            self.state.phase.set(Phase::Arriving(Instant::now()));
            self.set_alarm();
        }
    }
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_over(cx) {
            return Poll::Ready(Ok(()));
        }
        // Whoever does not listen is not heard. What is written next wakes the task.
        if self.blocked.is_some() {
            return Poll::Pending;
        }
        if self.in_a_row >= PIECE {
            // The requests in it come first.
            self.in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Not a part of the buffer: without unsafe code that would have to be zeroed first, all of it at each read.
        let mut space = [MaybeUninit::uninit(); PIECE];
        let mut space = ReadBuf::uninit(&mut space);
        let mut piece = space.take(buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut piece);
        let bytes = piece.filled().len();
        buffer.put_slice(piece.filled());
        if bytes > 0 {
            self.has_read(bytes);
        } else {
            self.in_a_row = 0;
        }
        read
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait_for_room(cx, written)
    }

    /// TLS has what it says in pieces, and writes once only when it gives a connection up: the last of them is the alert that
    /// says why.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.wait_for_room(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// Comes when all has been written that there was.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.blocked.take().is_some() {
            // It may be read again.
            cx.waker().wake_by_ref();
        }
        if let Phase::Sending(since) = self.state.phase.get() {
            self.state.phase.set(Phase::Idle(since));
            if self.due().is_some_and(|due| due < self.alarm.deadline()) {
                self.set_alarm();
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

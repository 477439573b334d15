use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::phase::{CurrentPhase, Phase};
use super::state::ConnectionState;

/// The most bytes read at once.
const READ_CHUNK: usize = 4 << 10;

/// How long a connection waits for its client.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timeouts {
    /// From the first byte of a head to its last. The first head, and the TLS handshake before it, count from the
    /// beginning of the connection.
    pub(super) head: Duration,
    /// Until the next request begins.
    pub(super) idle: Duration,
    /// Until the client makes room, once the buffers that it does not read are full.
    pub(super) write: Duration,
}

/// A TCP connection with timeouts. After a timeout it reads as if the client had hung up.
pub(super) struct TimedStream {
    stream: TcpStream,
    timeouts: Timeouts,
    state: ConnectionState,
    /// How many bytes were read since the last read that found none.
    read_in_a_row: usize,
    /// Since when the client has left no room for what is to be written.
    blocked_since: Option<Instant>,
    /// Fires when the timeout may be over, or earlier. Each request changes the phase several times; to defer a timer
    /// costs almost nothing, but to bring it forward does.
    timer: Pin<Box<Sleep>>,
    /// Whether the timer holds the task's waker.
    is_timer_polled: bool,
    has_timed_out: bool,
}

impl TimedStream {
    /// Starts to wait for the first request.
    pub(super) fn new(stream: TcpStream, timeouts: Timeouts, is_in_reserve: bool) -> Self {
        let now = Instant::now();
        let timer = Box::pin(sleep_until(now + timeouts.head));
        Self {
            stream,
            timeouts,
            state: ConnectionState { phase: CurrentPhase::new(Phase::Arriving(now)), is_in_reserve },
            read_in_a_row: 0,
            blocked_since: None,
            timer,
            is_timer_polled: false,
            has_timed_out: false,
        }
    }

    pub(super) fn state(&self) -> ConnectionState {
        self.state.clone()
    }

    /// When the current wait ends, if it is bounded.
    fn deadline(&self) -> Option<Instant> {
        let phase = match self.state.phase.get() {
            Phase::Idle(since) => Some(since + self.timeouts.idle),
            Phase::Arriving(since) => Some(since + self.timeouts.head),
            Phase::Handling | Phase::Flushing(_) => None,
        };
        let blocked = self.blocked_since.map(|since| since + self.timeouts.write);
        [phase, blocked].into_iter().flatten().min()
    }

    /// Whether the deadline has passed. If not, the task is woken when it does.
    fn has_timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        // A connection stays in one task, so the timer keeps its waker, and a look at the timer is cheaper than a poll.
        if self.is_timer_polled && !self.timer.is_elapsed() {
            return self.has_timed_out;
        }
        self.is_timer_polled = true;
        while !self.has_timed_out && self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            let deadline = self.deadline().unwrap_or(now + self.timeouts.head);
            if deadline <= now {
                self.has_timed_out = true;
                self.give_up_client();
            } else {
                self.timer.as_mut().reset(deadline);
            }
        }
        self.has_timed_out
    }

    /// The kernel must not go on sending what a client has not read by now. One that only idles sees an orderly end.
    fn give_up_client(&self) {
        let only_idles = matches!(self.state.phase.get(), Phase::Idle(_)) && self.blocked_since.is_none();
        if !only_idles {
            let _ = self.stream.set_zero_linger();
        }
    }

    fn reset_timer(&mut self) {
        if let Some(deadline) = self.deadline() {
            // A timer that has fired has dropped the waker.
            self.is_timer_polled &= !self.timer.is_elapsed();
            self.timer.as_mut().reset(deadline);
        }
    }

    /// Bounds the wait for a client that reads nothing of what is to be written.
    fn wait_for_room(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if written.is_ready() {
            return written;
        }
        if self.blocked_since.is_none() {
            self.blocked_since = Some(Instant::now());
            self.reset_timer();
        }
        if self.has_timed_out(cx) { Poll::Ready(Err(io::ErrorKind::TimedOut.into())) } else { Poll::Pending }
    }

    fn note_read(&mut self, bytes: usize) {
        self.read_in_a_row += bytes;
        if let Phase::Idle(_) = self.state.phase.get() {
            self.state.phase.set(Phase::Arriving(Instant::now()));
            self.reset_timer();
        }
    }
}

impl AsyncRead for TimedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_timed_out(cx) {
            return Poll::Ready(Ok(()));
        }
        // The service reads no more requests while their sender does not read its responses. The next write wakes the
        // task.
        if self.blocked_since.is_some() {
            return Poll::Pending;
        }
        if self.read_in_a_row >= READ_CHUNK {
            // actix then answers the requests in it before it reads more.
            self.read_in_a_row = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        // Not a part of the caller's buffer: without unsafe code, each read would have to zero all of that first.
        let mut space = [MaybeUninit::uninit(); READ_CHUNK];
        let mut space = ReadBuf::uninit(&mut space);
        let mut chunk = space.take(buffer.remaining());
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut chunk);
        let bytes = chunk.filled().len();
        buffer.put_slice(chunk.filled());
        if bytes > 0 {
            self.note_read(bytes);
        } else {
            self.read_in_a_row = 0;
        }
        read
    }
}

impl AsyncWrite for TimedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wait_for_room(cx, written)
    }

    /// rustls has several records to write, and writes only once before it gives a connection up. The last record is
    /// the alert that says why.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wait_for_room(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// actix flushes once everything that it had is written.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.blocked_since.take().is_some() {
            // Reading may go on.
            cx.waker().wake_by_ref();
        }
        if let Phase::Flushing(since) = self.state.phase.get() {
            self.state.phase.set(Phase::Idle(since));
            if self.deadline().is_some_and(|deadline| deadline < self.timer.deadline()) {
                self.reset_timer();
            }
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

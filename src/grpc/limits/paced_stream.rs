//! Slows down reading from unauthenticated clients: one chunk of a call per slot, and nothing while the client does not
//! read.
//!
//! h2 parses everything it receives before a call can be rejected, keeps the largest buffer it ever needed for as long
//! as the connection lasts, and keeps a pending response for each call it has accepted. 10 KiB that are sent can cost
//! 300 KiB.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{Frames, Passed};
use super::in_flight::InFlightCalls;
use super::scheduler::ReadSlot;

/// A connection that is read at full speed only once its client is authenticated.
pub(crate) struct PacedStream<S> {
    stream: S,
    /// The part of the preface that was already read from the stream and must be read again.
    preface: &'static [u8],
    calls: Rc<InFlightCalls>,
    frames: Frames,
    slot: ReadSlot,
    /// Whether the client does not read at the moment.
    is_stalled: bool,
    /// The task that waits for the client to read.
    reader: Option<Waker>,
}

impl<S> PacedStream<S> {
    /// Wraps a stream from which this preface was already read.
    pub(crate) fn new(preface: &'static [u8], stream: S, calls: Rc<InFlightCalls>, max_head_bytes: u32) -> Self {
        let (frames, slot) = (Frames::new(max_head_bytes), ReadSlot::on_this_thread());
        Self { stream, preface, calls, frames, slot, is_stalled: false, reader: None }
    }

    /// Records whether a write was blocked.
    fn wrote<T>(&mut self, written: Poll<T>) -> Poll<T> {
        self.is_stalled = written.is_pending();
        if !self.is_stalled
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> PacedStream<S> {
    /// Reads up to the end of a frame's header or payload.
    fn poll_read_chunk(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_stalled || self.calls.must_stop_reading() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        ready!(self.slot.poll_acquire(cx));
        let most = self.frames.up_to_boundary().min(buffer.remaining());
        let mut chunk = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut chunk) else {
            // Leaves the slot to connections that have something to read.
            self.slot.release();
            return Poll::Pending;
        };
        read?;
        if self.frames.pass(chunk.filled())? == Passed::CallChunk {
            self.slot.release();
        }
        let length = chunk.filled().len();
        self.calls.add_unauthenticated_bytes(length);
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.preface.is_empty() {
            let (now, later) = self.preface.split_at(self.preface.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.preface = later;
            return Poll::Ready(Ok(()));
        }
        if self.calls.is_authenticated() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        self.poll_read_chunk(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.wrote(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

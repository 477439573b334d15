//! How fast a connection is read whose client has shown no token yet: a piece of a call a turn, and none while that client does
//! not read. h2 parses whatever it gets before anybody may decide on the first of it, keeps the largest it ever had for as
//! long as the connection lasts, and has an answer wait in memory for each call that it took: 300 KiB for 10 KiB that were sent.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frames::{Frames, Passed};
use super::turns::Turns;
use super::under_way::UnderWay;

/// A connection that is read as far as its client may be trusted.
pub(super) struct Paced<S> {
    stream: S,
    /// What was read of it to see what it is.
    unread: &'static [u8],
    calls: Rc<UnderWay>,
    frames: Frames,
    turns: Turns,
    /// Whether the client takes nothing at present, and who waits for that to end.
    is_stuck: bool,
    reader: Option<Waker>,
}

impl<S> Paced<S> {
    /// One that has begun with these bytes.
    pub(super) fn new(unread: &'static [u8], stream: S, calls: Rc<UnderWay>, max_head_bytes: u32) -> Self {
        let (frames, turns) = (Frames::new(max_head_bytes), Turns::new());
        Self { stream, unread, calls, frames, turns, is_stuck: false, reader: None }
    }

    /// Takes note of what became of a write.
    fn wrote<T>(&mut self, written: Poll<T>) -> Poll<T> {
        self.is_stuck = written.is_pending();
        if !self.is_stuck
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> Paced<S> {
    /// Reads no further than to the end of a frame's head or payload.
    fn read_piece(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.is_stuck || self.calls.have_been_too_much() {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        ready!(self.turns.poll(cx));
        let most = self.frames.up_to_boundary().min(buffer.remaining());
        let mut piece = ReadBuf::new(buffer.initialize_unfilled_to(most));
        let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(cx, &mut piece) else {
            // Others have something to say.
            self.turns.end();
            return Poll::Pending;
        };
        read?;
        if self.frames.pass(piece.filled())? == Passed::PieceOfCall {
            self.turns.end();
        }
        let length = piece.filled().len();
        self.calls.hear(length);
        buffer.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let (now, later) = self.unread.split_at(self.unread.len().min(buffer.remaining()));
            buffer.put_slice(now);
            self.unread = later;
            return Poll::Ready(Ok(()));
        }
        if self.calls.is_known() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        self.read_piece(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
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
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, pieces);
        self.wrote(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

//! Ends calls whose clients leave no room for the response. TCP timeouts do not cover this: HTTP/2 has flow control of
//! its own, so a response without room waits, sends nothing, and keeps its memory, while TCP sees a client that reads.
//! After `RESPONSE_TIMEOUT` without room the call ends, and its stream is reset.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    static CURRENT: Stall;
}

/// Since when a call has been waiting for its client to make room, if it is. Clones share the state.
#[derive(Clone, Default)]
pub(crate) struct Stall(Rc<Cell<Option<Instant>>>);

impl Stall {
    /// The state of the current call.
    pub(crate) fn current() -> Self {
        CURRENT
            .try_with(|stall| {
                stall.set(true);
                stall.clone()
            })
            .unwrap_or_default()
    }

    /// Records a poll of the body, which happens only when there is room. If the poll returned a frame, then the next
    /// poll depends on the client, so the call is waiting for it.
    pub(crate) fn set(&self, is_waiting_for_client: bool) {
        self.0.set(is_waiting_for_client.then(Instant::now));
    }
}

/// A call, from its request to the end of its response. Ends early, which resets its stream, when the client has made
/// no room for as long as the timeout.
pub(crate) struct StallTimeout<F> {
    call: Pin<Box<F>>,
    stall: Stall,
    timeout: Duration,
    /// Fires at the timeout or earlier. `None` while the call is not waiting for its client.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> StallTimeout<F> {
    pub(crate) fn new(call: F, timeout: Duration) -> Self {
        Self { call: Box::pin(call), stall: Stall::default(), timeout, timer: None }
    }
}

impl<F: Future<Output = ()>> Future for StallTimeout<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { call, stall, timeout, timer } = &mut *self;
        if CURRENT.sync_scope(stall.clone(), || call.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = stall.0.get() else {
            *timer = None;
            return Poll::Pending;
        };
        let due = since + *timeout;
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        timer.as_mut().poll(cx)
    }
}

//! A bound for clients that make no room for their answers. HTTP/2 has flow control of its own, of which TCP's time-outs know
//! nothing: an answer without room waits, asks for nothing, and holds what it has.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

tokio::task_local! {
    static WAITING: Waiting;
}

/// Since when a call waits for its client to make room, if it does. Clones share one.
#[derive(Clone, Default)]
pub(super) struct Waiting(Rc<Cell<Option<Instant>>>);

impl Waiting {
    /// That of the call that runs here.
    pub(super) fn of_this_call() -> Self {
        WAITING
            .try_with(|waiting| {
                waiting.for_client(true);
                waiting.clone()
            })
            .unwrap_or_default()
    }

    /// The body was asked for more, for there is room. If it has some, the next time that it is asked is up to the client.
    pub(super) fn for_client(&self, it_does: bool) {
        self.0.set(it_does.then(Instant::now));
    }
}

/// A call, from its request to the end of its answer. It ends, and with that its stream, when its client takes nothing for as long
/// as its patience.
pub(super) struct Call<F> {
    work: Pin<Box<F>>,
    waiting: Waiting,
    patience: Duration,
    /// Rings when patience is at an end, or earlier; none while it is not waited for the client.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<F: Future> Call<F> {
    pub(super) fn new(work: F, patience: Duration) -> Self {
        Self { work: Box::pin(work), waiting: Waiting::default(), patience, alarm: None }
    }
}

impl<F: Future<Output = ()>> Future for Call<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { work, waiting, patience, alarm } = &mut *self;
        if WAITING.sync_scope(waiting.clone(), || work.as_mut().poll(cx)).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = waiting.0.get() else {
            *alarm = None;
            return Poll::Pending;
        };
        let due = since + *patience;
        let alarm = alarm.get_or_insert_with(|| Box::pin(sleep_until(due)));
        if alarm.deadline() != due {
            alarm.as_mut().reset(due);
        }
        alarm.as_mut().poll(cx)
    }
}

use std::mem::take;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

/// In place of tokio's, as far as it is used: `notify_waiters` ends the waits that have begun by then. A wait begins when
/// its future is made, not when it is polled.
#[derive(Debug, Default)]
pub struct Notify(Mutex<Waiters>);

#[derive(Debug, Default)]
struct Waiters {
    /// How often these were notified.
    calls: usize,
    wakers: Vec<Waker>,
}

impl Notify {
    pub fn notify_waiters(&self) {
        let mut waiters = self.0.lock().unwrap();
        waiters.calls += 1;
        let wakers = take(&mut waiters.wakers);
        drop(waiters);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub fn notified(&self) -> Notified<'_> {
        Notified { notify: self, calls: self.0.lock().unwrap().calls }
    }
}

pub struct Notified<'a> {
    notify: &'a Notify,
    /// How often the waiters had been notified when this wait began.
    calls: usize,
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut waiters = self.notify.0.lock().unwrap();
        if waiters.calls != self.calls {
            return Poll::Ready(());
        }
        waiters.wakers.push(context.waker().clone());
        Poll::Pending
    }
}

//! A call of the event log that may hang.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Semaphore};
use std::task::{Context, Wake, Waker};
use std::thread;

use super::blocking_call::BlockingCall;
use crate::check;
use crate::domain::Error;
use crate::metrics::HungCalls;
use crate::storage::database::pool::watchdog_models::Watched;
use crate::storage::database::workers::abandoned_calls::AbandonedCalls;
use crate::tasks::run;

/// A call is answered or abandoned. Either way its caller goes on, and finds the permit free.
pub fn a_call_is_answered_or_abandoned() {
    check(|| {
        let watched = Watched::new(2);
        let permits = Arc::new(Semaphore::new(1));
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        let abandoned = Arc::new(AbandonedCalls::new(HungCalls::default(), 1));
        let (call, mut answer) = BlockingCall::new(permit, abandoned);
        let thread = thread::spawn(move || {
            let is_abandoned = watched.call(&call.on_hang());
            call.answer(Ok::<_, Error>(7));
            is_abandoned
        });
        let answer = run(poll_fn(|context| {
            let waker = Arc::new(NeedsPermit { permits: Arc::clone(&permits), caller: context.waker().clone() });
            Pin::new(&mut answer).poll(&mut Context::from_waker(&waker.into()))
        }));
        assert_eq!(permits.available_permits(), 1);
        let is_abandoned = thread.join().unwrap();
        assert_eq!(answer.is_err(), is_abandoned);
        assert!(matches!(answer, Err(_) | Ok(Ok(7))));
    });
}

/// The waker of a caller that needs a permit at once.
struct NeedsPermit {
    permits: Arc<Semaphore>,
    caller: Waker,
}

impl Wake for NeedsPermit {
    fn wake(self: Arc<Self>) {
        assert_eq!(self.permits.available_permits(), 1);
        self.caller.wake_by_ref();
    }
}

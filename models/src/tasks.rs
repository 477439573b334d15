//! Runs futures on the threads of a model, as the service's runtime does: a task is polled when it was woken, and only
//! then. A task that nobody wakes is never polled again, even if another task of its thread is.

use real_std::sync::atomic::{AtomicBool, Ordering};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Wake};

use loom::sync::Notify;

/// A task's waker. loom knows of the wake-up of the thread, which is all that a thread waits for.
struct TaskWaker {
    is_woken: AtomicBool,
    thread: Arc<Notify>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Relaxed);
        self.thread.notify();
    }
}

/// Runs one future to its end.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let mut output = None;
    run_all(&mut [pin!(async { output = Some(future.await) })]);
    output.unwrap()
}

/// Runs futures to their ends, on this thread.
pub(crate) fn run_all(tasks: &mut [Pin<&mut dyn Future<Output = ()>>]) {
    let thread = Arc::new(Notify::new());
    let waker = || Arc::new(TaskWaker { is_woken: AtomicBool::new(true), thread: Arc::clone(&thread) });
    let mut tasks = Vec::from_iter(tasks.iter_mut().map(|task| (task, waker())));
    while !tasks.is_empty() {
        let mut has_polled = false;
        tasks.retain_mut(|(task, waker)| {
            if !waker.is_woken.swap(false, Ordering::Relaxed) {
                return true;
            }
            has_polled = true;
            task.as_mut().poll(&mut Context::from_waker(&Arc::clone(waker).into())).is_pending()
        });
        if !has_polled {
            thread.wait();
        }
    }
}

//! A timer that is precise to microseconds. tokio's is to milliseconds, more than most answers take.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::unix::pipe::Receiver;

/// The kernel's timer, a file that becomes readable. Of tokio's types the end of a pipe is the one that waits for any
/// such file without unsafe code.
pub(super) struct Timer {
    file: Receiver,
    /// How much later than it was set for the timer wakes the thread, in half of the cases.
    lead: Duration,
}

/// A thread is not kept awake for longer than this before a request is due.
const LONGEST_LEAD: Duration = Duration::from_micros(60);
const STEP: Duration = Duration::from_micros(1);
/// Requests that follow each other faster than this keep the thread awake anyway.
const BUSY: Duration = Duration::from_micros(200);
/// The timer is not worth a shorter wait.
const SHORT: Duration = Duration::from_micros(10);

impl Timer {
    pub(super) fn new() -> io::Result<Self> {
        let file = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { file: Receiver::from_owned_fd_unchecked(file)?, lead: Duration::ZERO })
    }

    /// Returns at this time or as soon as possible after it. The thread wakes some tens of microseconds before, and then
    /// does what else there is to do: a sleep that ends in time mostly ends late.
    pub(super) async fn sleep_until(&mut self, at: Instant) -> io::Result<()> {
        let now = Instant::now();
        let wait = at.saturating_duration_since(now);
        let lead = if wait < BUSY { Duration::ZERO } else { self.lead };
        if wait > SHORT {
            let shorter = wait.saturating_sub(lead);
            self.sleep(shorter).await?;
            let over = Instant::now().saturating_duration_since(now + shorter);
            // It follows the median, which a few long delays do not move.
            let longer = if over > self.lead { self.lead + STEP } else { self.lead.saturating_sub(STEP) };
            self.lead = longer.min(LONGEST_LEAD);
        }
        while Instant::now() < at {
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn sleep(&mut self, wait: Duration) -> io::Result<()> {
        // The timer takes zero for "never".
        let wait = wait.max(Duration::from_nanos(1));
        let once = Itimerspec { it_interval: timespec(Duration::ZERO), it_value: timespec(wait) };
        timerfd_settime(&self.file, TimerfdTimerFlags::empty(), &once)?;
        // Eight bytes come. After a read that could have had more, tokio does not try another one in vain.
        let mut bytes = [0; 16];
        poll_fn(|context| Pin::new(&mut self.file).poll_read(context, &mut ReadBuf::new(&mut bytes))).await
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX), tv_nsec: duration.subsec_nanos().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_never_ends_early() {
        let mut timer = Timer::new().unwrap();
        for micros in [1, 50, 900, 1_500, 20_000, 3] {
            let at = Instant::now() + Duration::from_micros(micros);
            timer.sleep_until(at).await.unwrap();
            assert!(Instant::now() >= at, "{micros}");
        }
        timer.sleep_until(Instant::now().checked_sub(Duration::from_millis(1)).unwrap()).await.unwrap();
    }
}

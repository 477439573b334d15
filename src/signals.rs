//! SIGTERM and SIGINT, on a thread with its own runtime, so that nothing else can block them. It ends the process half
//! a second after the grace period, or at the second signal.

use std::io;
use std::time::Duration;

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Time to write the last line of the log when the process ends at once.
const LAST_LINE: Duration = Duration::from_millis(50);
/// How much longer than its grace period a shutdown may take: time for the last lines of the log, and for whatever
/// delays the shutdown itself.
const MARGIN: Duration = Duration::from_millis(500);

/// Watches for signals. The receiver yields the name of the first. From then on the thread ends the process after the
/// grace period, or at once at a second signal.
///
/// # Errors
/// When the system provides no thread, or signals cannot be received.
pub fn watch(grace: Duration) -> io::Result<oneshot::Receiver<&'static str>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let in_runtime = runtime.enter();
    let signals = Signals::new()?;
    drop(in_runtime);
    let (notify, first) = oneshot::channel();
    let work = move || runtime.block_on(end_on_signals(signals, notify, grace));
    std::thread::Builder::new().name("signals".to_owned()).spawn(work)?;
    Ok(first)
}

async fn end_on_signals(mut signals: Signals, notify: oneshot::Sender<&'static str>, grace: Duration) {
    let name = signals.next().await;
    // The receiver may already be gone: the service has ended or is about to.
    let _ = notify.send(name);
    match timeout(grace + MARGIN, signals.next()).await {
        Ok(name) => log::warn!("{name} again: ending at once"),
        Err(_) => log::error!("something hangs beyond SHUTDOWN_GRACE: ending at once"),
    }
    // Another thread writes the log, and nothing else waits for it here.
    sleep(LAST_LINE).await;
    std::process::exit(1);
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

//! SIGTERM and SIGINT, heard by a thread of their own: it can end the process whatever else hangs.

use std::io;
use std::time::Duration;

use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// How long the last line of the log may take, when the process ends at once.
const LAST_LINE: Duration = Duration::from_millis(50);
/// How much longer than its grace the end may take. It is for the last lines of the log, and for whatever keeps the end itself
/// from noticing that its time is up.
const MARGIN: Duration = Duration::from_millis(500);

/// Tells of the first signal. From then on the process has only this grace: the thread ends it after that, and at a second
/// signal at once.
///
/// # Errors
/// When the system gives no thread, or signals cannot be heard.
pub fn first(grace: Duration) -> io::Result<oneshot::Receiver<&'static str>> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let in_runtime = runtime.enter();
    let signals = Signals::new()?;
    drop(in_runtime);
    let (tell, first) = oneshot::channel();
    let work = move || runtime.block_on(watch(signals, tell, grace));
    std::thread::Builder::new().name("signals".to_owned()).spawn(work)?;
    Ok(first)
}

async fn watch(mut signals: Signals, tell: oneshot::Sender<&'static str>, grace: Duration) {
    let name = signals.next().await;
    // Whoever was to hear it has ended already, or is about to.
    let _ = tell.send(name);
    match timeout(grace + MARGIN, signals.next()).await {
        Ok(name) => log::warn!("{name} again: ending at once"),
        Err(_) => log::error!("something hangs beyond SHUTDOWN_GRACE: ending at once"),
    }
    // The log is written by a thread of its own, which nobody else waits for here.
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

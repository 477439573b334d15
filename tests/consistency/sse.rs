use std::mem;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Client;
use tokio::time::timeout;
use user_service_checker::Event;

use crate::events;

/// A stream that is silent for longer is given up: it sends something every few seconds.
pub const SILENCE: Duration = Duration::from_secs(20);

/// What one reader has been told since the last round.
#[derive(Clone, Default)]
pub struct Inbox(pub Arc<Mutex<Vec<Event>>>);

impl Inbox {
    pub fn put(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }

    pub fn has(&self, is_wanted: impl Fn(&Event) -> bool) -> bool {
        self.0.lock().unwrap().iter().rev().any(is_wanted)
    }

    /// Takes what has been told until now.
    pub fn take(&self) -> Vec<Event> {
        mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Reads the events at a URL into an inbox, from those after `last` on, until the stream ends or is silent.
pub async fn follow_sse(http: &Client, url: &str, token: &str, last: &mut u64, inbox: &Inbox) -> Option<()> {
    let request = http.get(url).bearer_auth(token).header("last-event-id", last.to_string());
    let mut response = timeout(SILENCE, request.send()).await.ok()?.ok()?;
    if response.status() != 200 {
        return None;
    }
    let mut unread = Vec::new();
    loop {
        unread.extend(timeout(SILENCE, response.chunk()).await.ok()?.ok()??);
        while let Some(end) = unread.windows(2).position(|bytes| bytes == b"\n\n") {
            let block: Vec<u8> = unread.drain(..end + 2).collect();
            let block = String::from_utf8(block).expect("a stream is UTF-8");
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let id = field("id")?.parse().expect("a number");
            if let Some(data) = field("data") {
                let value = serde_json::from_str(data).expect("data is JSON");
                inbox.put(events::of_json(id, &value).unwrap_or_else(|| panic!("no event: {value}")));
            }
            *last = id;
        }
    }
}

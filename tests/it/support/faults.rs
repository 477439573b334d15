use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

const DELAY: Duration = Duration::from_millis(200);
const REFUSAL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// A proxy between a client and the server that damages some exchanges, in either direction.
pub struct Faults {
    address: String,
    dice: Arc<Dice>,
}

/// What the proxy does with bytes that arrive together, mostly a whole request or answer.
#[derive(Clone, Copy, Debug)]
enum DeliveryOutcome {
    Pass,
    Delay,
    /// Drops the bytes and closes the connection.
    Cut,
    /// Forwards half of the bytes and closes the connection.
    Truncate,
    /// Answers the client in the server's place, whether or not the server has received the request.
    Refuse,
}

/// A seeded sequence of outcomes. Which bytes get which outcome depends on the clients and the network.
struct Dice {
    seed: u64,
    percent: u64,
    thrown: AtomicU64,
    spoilt: AtomicU64,
}

impl Faults {
    /// Damages this percentage of exchanges, half of them in the request and half in the answer.
    pub async fn before(upstream: &str, percent: u64, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let dice = Arc::new(Dice { seed, percent, thrown: AtomicU64::new(0), spoilt: AtomicU64::new(0) });
        tokio::spawn(accept(listener, upstream.to_owned(), Arc::clone(&dice)));
        Self { address, dice }
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// How often the proxy has done damage.
    pub fn spoilt(&self) -> u64 {
        self.dice.spoilt.load(Relaxed)
    }
}

impl Dice {
    fn throw(&self) -> DeliveryOutcome {
        let mut hasher = DefaultHasher::new();
        (self.seed, self.thrown.fetch_add(1, Relaxed)).hash(&mut hasher);
        let number = hasher.finish();
        // Of 200, not 100: each exchange passes twice.
        if number % 200 >= self.percent {
            return DeliveryOutcome::Pass;
        }
        self.spoilt.fetch_add(1, Relaxed);
        match number / 200 % 8 {
            0 => DeliveryOutcome::Delay,
            1..=3 => DeliveryOutcome::Cut,
            4 | 5 => DeliveryOutcome::Truncate,
            _ => DeliveryOutcome::Refuse,
        }
    }
}

async fn accept(listener: TcpListener, upstream: String, dice: Arc<Dice>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(server) = TcpStream::connect(&upstream).await else { continue };
        tokio::spawn(pass(client, server, Arc::clone(&dice)));
    }
}

/// Forwards bytes until a side or an outcome ends the connection.
async fn pass(client: TcpStream, server: TcpStream, dice: Arc<Dice>) {
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, mut to_client), (from_server, mut to_server)) = (client.into_split(), server.into_split());
    let refused = tokio::select! {
        refused = one_way(from_client, &mut to_server, &dice) => refused,
        refused = one_way(from_server, &mut to_client, &dice) => refused,
    };
    if refused {
        let _ = to_client.write_all(REFUSAL).await;
    }
}

/// Forwards one direction. Returns whether the proxy must answer in the server's place.
async fn one_way(mut from: OwnedReadHalf, to: &mut OwnedWriteHalf, dice: &Dice) -> bool {
    let mut bytes = vec![0; 64 * 1024];
    loop {
        let Ok(length @ 1..) = from.read(&mut bytes).await else { return false };
        let fate = dice.throw();
        let passed = match fate {
            DeliveryOutcome::Pass | DeliveryOutcome::Delay => &bytes[..length],
            DeliveryOutcome::Truncate => &bytes[..length / 2],
            DeliveryOutcome::Cut => return false,
            DeliveryOutcome::Refuse => return true,
        };
        if matches!(fate, DeliveryOutcome::Delay) {
            sleep(DELAY).await;
        }
        if to.write_all(passed).await.is_err() || matches!(fate, DeliveryOutcome::Truncate) {
            return false;
        }
    }
}

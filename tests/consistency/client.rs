use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::{sleep, timeout};
use user_service_checker::{Call, Operation, Outcome, Protocol};

use crate::clock::now;
use crate::freshness::{Asked, Seen};
use crate::grpc::Grpc;
use crate::keyed;
use crate::outcome::Answer;
use crate::plan;
use crate::rest::Rest;
use crate::round::Round;
use crate::world::World;

/// One client: it sends one call at a time, now over REST and now over gRPC, now to one replica and now to another.
pub struct Client {
    number: u32,
    world: Arc<World>,
    rng: Rng,
    rest: Rest,
    seen: Seen,
    /// A connection to each replica, with the address that it leads to.
    grpc: Vec<Option<(String, Grpc)>>,
}

/// Where a call was sent last, and the answer with its position.
struct Sent {
    replica: usize,
    answered: (Answer, Option<i64>),
}

impl Client {
    pub fn new(number: u32, world: &Arc<World>, rng: Rng) -> Self {
        let grpc = world.replicas.iter().map(|_| None).collect();
        Self { number, world: Arc::clone(world), rng, rest: Rest::new(&world.token), seen: Seen::default(), grpc }
    }

    /// Calls until the round's clients are to stop.
    pub async fn run(&mut self, round: &Round, lane: usize) {
        while !round.is_over() {
            let group = round.group(lane);
            let operation = plan::next(&group, &mut self.rng);
            let call = self.call(operation, round).await;
            let is_served = !matches!(call.outcome, Outcome::Refused | Outcome::Unknown);
            group.note(&call);
            round.record(call);
            // Clients that are refused at once would otherwise fill the history with that.
            if !is_served {
                sleep(Duration::from_millis(self.rng.u64(20..80))).await;
            }
        }
    }

    /// Makes one call, and says what became of it.
    pub async fn call(&mut self, operation: Operation, round: &Round) -> Call {
        let replica = self.rng.usize(..self.world.replicas.len());
        self.call_at(replica, operation, round).await
    }

    /// Makes one call of a replica.
    pub async fn call_at(&mut self, replica: usize, operation: Operation, round: &Round) -> Call {
        let protocol = if self.rng.bool() { Protocol::Rest } else { Protocol::Grpc };
        let hangs_up = self.world.hang_ups.load(Relaxed) && self.rng.u32(..6) == 0;
        let limit = if hangs_up { Duration::from_micros(self.rng.u64(..6_000)) } else { Duration::from_mins(1) };
        let mut asked = self.seen.ask(&operation, self.world.kind.max_staleness(), &mut self.rng);
        asked.idempotency_key = keyed::key(&operation, &mut self.rng);
        let start = now();
        let answered = timeout(limit, self.send(replica, protocol, &operation, &asked)).await;
        let mut sent = Sent { replica, answered: answered.unwrap_or((Answer::Lost, None)) };
        if asked.idempotency_key.is_some() {
            sent = self.repeat(sent, protocol, &operation, &asked, round).await;
        }
        let Sent { replica, answered: (answer, position) } = sent;
        // An answer may be as old as the client allows: as if it had asked so much earlier.
        let staleness = u64::try_from(asked.staleness.as_nanos()).expect("seconds");
        let start = start.saturating_sub(staleness);
        let (end, outcome) = match answer {
            Answer::Known(outcome) => (Some(now()), outcome),
            Answer::Unsent => (Some(now()), Outcome::Refused),
            Answer::Lost => (None, Outcome::Unknown),
            Answer::Impossible(what) => {
                round.object(what);
                (None, Outcome::Unknown)
            }
        };
        if let Some(flaw) = self.seen.learn(replica, &asked, &operation, &outcome, position) {
            round.object(flaw);
        }
        Call { client: self.number, protocol, operation, start, end, outcome }
    }

    /// Sends a write again, with the same idempotency key and to any replica, until its outcome is known. Some are sent once
    /// more, and must get the same answer.
    async fn repeat(
        &mut self,
        mut sent: Sent,
        protocol: Protocol,
        operation: &Operation,
        asked: &Asked,
        round: &Round,
    ) -> Sent {
        for _ in 0..keyed::ATTEMPTS {
            if !keyed::is_open(&sent.answered.0) {
                break;
            }
            sleep(keyed::pause(&mut self.rng)).await;
            let replica = self.rng.usize(..self.world.replicas.len());
            let (answer, position) = self.send(replica, protocol, operation, asked).await;
            sent = Sent { replica, answered: (keyed::after_open(answer), position) };
        }
        if keyed::is_done(&sent.answered.0) && self.rng.u32(..4) == 0 {
            let replica = self.rng.usize(..self.world.replicas.len());
            let (again, _) = self.send(replica, protocol, operation, asked).await;
            if let Some(flaw) = keyed::contradiction(&sent.answered.0, &again) {
                round.object(flaw);
            }
        }
        sent
    }

    async fn send(
        &mut self,
        replica: usize,
        protocol: Protocol,
        operation: &Operation,
        asked: &Asked,
    ) -> (Answer, Option<i64>) {
        let addresses = self.world.replicas[replica].addresses();
        match protocol {
            Protocol::Rest => self.rest.call(&addresses.rest, operation, asked).await,
            Protocol::Grpc => {
                let kept = self.grpc[replica].take().filter(|(address, _)| *address == addresses.grpc);
                let (_, grpc) = self.grpc[replica].insert(kept.unwrap_or_else(|| {
                    let grpc = Grpc::new(&addresses.grpc, &self.world.token);
                    (addresses.grpc, grpc)
                }));
                grpc.call(operation, asked).await
            }
            Protocol::Sql => panic!("the service does not speak SQL"),
        }
    }
}

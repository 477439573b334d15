//! What breaks while clients are at work. Each fault begins, lasts for a moment, and is undone before it returns.

pub mod clock;
mod database;
mod failover;
mod locks;
mod network;
mod patroni;
mod service;
mod upkeep;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tokio::time::sleep;

use crate::arguments::Arguments;
use crate::world::{Kind, World};

/// What `--faults` calls the operator, who works while faults strike.
const OPERATOR: &str = "operator";

/// What may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    KillService,
    FreezeService,
    FreezePostgres,
    StopPostgres,
    CrashPostgres,
    DelayNetwork,
    JitterNetwork,
    CutNetwork,
    SwallowQuestions,
    SwallowAnswers,
    LockRow,
    LockTable,
    LockAdvisory,
    HoldPlace,
    LockFile,
    TerminateBackends,
    VacuumFull,
    Reindex,
    HangUp,
    JumpClock,
    Failover,
    IsolateLeader,
    SeverLeader,
    KillPatroni,
    KillLeader,
    Switchover,
}

impl Fault {
    const ALL: [Self; 26] = [
        Self::KillService,
        Self::FreezeService,
        Self::FreezePostgres,
        Self::StopPostgres,
        Self::CrashPostgres,
        Self::DelayNetwork,
        Self::JitterNetwork,
        Self::CutNetwork,
        Self::SwallowQuestions,
        Self::SwallowAnswers,
        Self::LockRow,
        Self::LockTable,
        Self::LockAdvisory,
        Self::HoldPlace,
        Self::LockFile,
        Self::TerminateBackends,
        Self::VacuumFull,
        Self::Reindex,
        Self::HangUp,
        Self::JumpClock,
        Self::Failover,
        Self::IsolateLeader,
        Self::SeverLeader,
        Self::KillPatroni,
        Self::KillLeader,
        Self::Switchover,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::KillService => "kill-service",
            Self::FreezeService => "freeze-service",
            Self::FreezePostgres => "freeze-postgres",
            Self::StopPostgres => "stop-postgres",
            Self::CrashPostgres => "crash-postgres",
            Self::DelayNetwork => "delay-network",
            Self::JitterNetwork => "jitter-network",
            Self::CutNetwork => "cut-network",
            Self::SwallowQuestions => "swallow-questions",
            Self::SwallowAnswers => "swallow-answers",
            Self::LockRow => "lock-row",
            Self::LockTable => "lock-table",
            Self::LockAdvisory => "lock-advisory",
            Self::HoldPlace => "hold-place",
            Self::LockFile => "lock-file",
            Self::TerminateBackends => "terminate-backends",
            Self::VacuumFull => "vacuum-full",
            Self::Reindex => "reindex",
            Self::HangUp => "hang-up",
            Self::JumpClock => "jump-clock",
            Self::Failover => "failover",
            Self::IsolateLeader => "isolate-leader",
            Self::SeverLeader => "sever-leader",
            Self::KillPatroni => "kill-patroni",
            Self::KillLeader => "kill-leader",
            Self::Switchover => "switchover",
        }
    }

    fn can_strike(self, kind: Kind) -> bool {
        match self {
            Self::KillService | Self::FreezeService => true,
            Self::IsolateLeader | Self::SeverLeader | Self::KillPatroni | Self::KillLeader | Self::Switchover => {
                kind == Kind::Patroni
            }
            // Each round there has few faults, and those of Patroni last long: they are what it is for.
            _ if kind == Kind::Patroni => false,
            Self::HangUp => true,
            Self::JumpClock => clock::is_installed(),
            Self::LockFile => kind == Kind::Sqlite,
            Self::Failover => kind.has_a_standby(),
            // Without its standby, a primary that comes back would lose what nobody waits for: that is the failover's part.
            Self::StopPostgres | Self::CrashPostgres => kind != Kind::Sqlite && !kind.has_a_standby(),
            _ => kind != Kind::Sqlite,
        }
    }

    async fn strike(self, world: &World, rng: &mut Rng) {
        match self {
            Self::KillService => service::kill(world, rng).await,
            Self::FreezeService => service::freeze(world, rng).await,
            Self::FreezePostgres => database::freeze(world, rng).await,
            Self::StopPostgres => database::stop(world, rng).await,
            Self::CrashPostgres => database::crash(world, rng).await,
            Self::DelayNetwork => network::delay(world, rng).await,
            Self::JitterNetwork => network::jitter(world, rng).await,
            Self::CutNetwork => network::cut(world, rng).await,
            Self::SwallowQuestions => network::swallow_questions(world, rng).await,
            Self::SwallowAnswers => network::swallow_answers(world, rng).await,
            Self::LockRow => locks::row(world, rng).await,
            Self::LockTable => locks::table(world, rng).await,
            Self::LockAdvisory => locks::advisory(world, rng).await,
            Self::HoldPlace => locks::place(world, rng).await,
            Self::LockFile => locks::file(world, rng).await,
            Self::TerminateBackends => upkeep::terminate_backends(world, rng).await,
            Self::VacuumFull => upkeep::vacuum_full(world, rng).await,
            Self::Reindex => upkeep::reindex(world, rng).await,
            Self::HangUp => hang_up(world, rng).await,
            Self::JumpClock => clock::jump(world, rng).await,
            Self::Failover => failover::fail_over(world, rng).await,
            Self::IsolateLeader => patroni::isolate(world, rng).await,
            Self::SeverLeader => patroni::sever(world, rng).await,
            Self::KillPatroni => patroni::kill(world, rng).await,
            Self::KillLeader => patroni::kill_leader(world, rng).await,
            Self::Switchover => patroni::switch_over(world, rng).await,
        }
    }
}

/// The faults of a world: those that were asked for, or in the short run kill and freeze, or all.
pub fn chosen(kind: Kind, arguments: &Arguments) -> Vec<Fault> {
    let short = [Fault::KillService, Fault::FreezeService, Fault::FreezePostgres];
    let is_wanted = |fault: &Fault| match arguments.faults.as_slice() {
        [] => arguments.minutes.is_some() || short.contains(fault),
        names => names.iter().any(|name| name == fault.name()),
    };
    Fault::ALL.into_iter().filter(|fault| fault.can_strike(kind) && is_wanted(fault)).collect()
}

/// Whether an operator changes users by SQL all the while: unless only other faults were asked for.
pub fn has_operator(kind: Kind, arguments: &Arguments) -> bool {
    kind != Kind::Patroni && (arguments.faults.is_empty() || arguments.faults.iter().any(|name| name == OPERATOR))
}

/// Lets one fault after another strike, with pauses, until the deadline. Returns those that did.
pub async fn strike(world: &Arc<World>, faults: &[Fault], rng: &mut Rng, deadline: Instant) -> Vec<Fault> {
    let mut struck = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let pause = millis(rng, 500..3_000);
        if faults.is_empty() || left < pause + Duration::from_secs(1) {
            sleep(left).await;
            return struck;
        }
        sleep(pause).await;
        // The world with a standby is there for it.
        let fails_over = rng.u32(..3) == 0 && faults.contains(&Fault::Failover);
        let any = faults[rng.usize(..faults.len())];
        let fault = if fails_over { Fault::Failover } else { any };
        fault.strike(world, &mut rng.fork()).await;
        struck.push(fault);
    }
}

/// A client breaks off calls.
async fn hang_up(world: &World, rng: &mut Rng) {
    world.hang_ups.store(true, Relaxed);
    sleep(millis(rng, 500..1_500)).await;
    world.hang_ups.store(false, Relaxed);
}

/// A time of this range, short ones more often.
fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range.clone()).min(rng.u64(range)))
}

use std::collections::{BTreeMap, HashSet};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep;
use user_service_checker::{Call, History, Operation, Outcome};

use crate::arguments::Arguments;
use crate::client::Client;
use crate::control::Control;
use crate::faults::{self, Fault};
use crate::group::Group;
use crate::operator::Operator;
use crate::plan;
use crate::readers::Readers;
use crate::verdict::{Evidence, Verdict, judge};
use crate::world::{Kind, World};

const CLIENTS: u32 = 12;
/// The number of the one who changes users by SQL.
const OPERATOR: u32 = CLIENTS + 1;
/// How many groups there are at a time: a fault leaves each with the unknown outcomes of its own clients only.
pub const LANES: usize = 2;
/// After so long the faults pause, and the history is judged.
const LENGTH: Duration = Duration::from_secs(25);
/// Longer than the service, or a statement of it, goes on after its client has given up (`DB_DEADLINE`).
const AFTERMATH: Duration = Duration::from_millis(2_500);

/// Some seconds of clients and faults, judged on their own.
pub struct Round {
    number: usize,
    groups: Mutex<Vec<Arc<Group>>>,
    lanes: Vec<Mutex<Arc<Group>>>,
    calls: Mutex<Vec<Call>>,
    objections: Mutex<Vec<String>>,
    is_over: AtomicBool,
    next_group: AtomicUsize,
}

/// What a world's rounds came to.
#[derive(Default)]
struct Totals {
    calls: usize,
    by_sql: usize,
    unknown: usize,
    refused: usize,
    faults: BTreeMap<&'static str, usize>,
    /// Of checks, in seconds.
    longest_check: f64,
    convicted: usize,
    /// Rounds in which the control is convicted.
    control: usize,
    /// Of these, those in which the service is convicted too.
    beside_control: usize,
}

/// Runs one world for its time, and prints a line; false when it was convicted.
pub async fn run(kind: Kind, arguments: &Arguments) -> bool {
    let faults = faults::chosen(kind, arguments);
    let world = World::start(kind, faults.contains(&Fault::JumpClock)).await;
    let mut rng = plan::rng(arguments.seed, kind.name(), 0);
    let mut readers = Readers::start(&world, &mut rng).await;
    let client = |number| Client::new(number, &world, plan::rng(arguments.seed, kind.name(), number.into()));
    let mut clients = Vec::from_iter((1..=CLIENTS).map(client));
    let operator = faults::has_operator(kind, arguments);
    let operator_rng = || plan::rng(arguments.seed, kind.name(), OPERATOR.into());
    let mut operator = operator.then(|| Operator::new(OPERATOR, &world, operator_rng()));
    let (began, mut totals, mut ids) = (Instant::now(), Totals::default(), HashSet::new());
    for number in 1.. {
        let left = arguments.time().saturating_sub(began.elapsed());
        if left < Duration::from_secs(2) || arguments.until_convicted && totals.convicted > 0 {
            break;
        }
        let round = Arc::new(Round::new(number));
        let control = Control::start(&world, number, &mut rng).await;
        let deadline = Instant::now() + left.min(LENGTH);
        let operating = operator.take().map(|operator| tokio::spawn(operator.run(Arc::clone(&round))));
        let struck = round.clients_under_faults(&world, &mut clients, &faults, &mut rng, deadline).await;
        if let Some(operating) = operating {
            operator = Some(operating.await.expect("the operator's work"));
        }
        let last = round.rest(&world, &mut clients[0]).await;
        readers.told_of(&last).await;
        let control = control.finish().await;
        let evidence = Evidence {
            label: format!("{}-{}-{number}", kind.name(), arguments.seed),
            history: History { calls: mem::take(&mut *round.calls.lock().unwrap()) },
            control,
            readers: readers.take(),
            objections: mem::take(&mut *round.objections.lock().unwrap()),
        };
        let verdict = judge(&world, evidence, &mut ids, arguments.keep).await;
        totals.add(&verdict, &struck);
    }
    println!("{}", totals.line(kind, arguments.seed, began.elapsed()));
    totals.convicted == 0
}

impl Round {
    fn new(number: usize) -> Self {
        let groups = Vec::from_iter((0..LANES).map(|lane| group(number, lane)));
        Self {
            number,
            lanes: groups.iter().cloned().map(Mutex::new).collect(),
            groups: Mutex::new(groups),
            calls: Mutex::default(),
            objections: Mutex::default(),
            is_over: AtomicBool::new(false),
            next_group: AtomicUsize::new(LANES),
        }
    }

    /// Whether clients are to stop.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Relaxed)
    }

    /// The group that a lane's clients are at work on.
    pub fn group(&self, lane: usize) -> Arc<Group> {
        let mut group = self.lanes[lane].lock().unwrap();
        if group.is_full() {
            let number = self.next_group.fetch_add(1, Relaxed);
            *group = self::group(self.number, number);
            self.groups.lock().unwrap().push(Arc::clone(&group));
        }
        Arc::clone(&group)
    }

    pub fn record(&self, call: Call) {
        self.calls.lock().unwrap().push(call);
    }

    /// Takes note of an answer that the service must never give.
    pub fn object(&self, what: String) {
        self.objections.lock().unwrap().push(what);
    }

    /// Has clients call while faults strike; returns the faults when both have ended.
    async fn clients_under_faults(
        self: &Arc<Self>,
        world: &Arc<World>,
        clients: &mut Vec<Client>,
        faults: &[Fault],
        rng: &mut fastrand::Rng,
        deadline: Instant,
    ) -> Vec<Fault> {
        let mut running = JoinSet::new();
        for (number, mut client) in clients.drain(..).enumerate() {
            let round = Arc::clone(self);
            running.spawn(async move {
                client.run(&round, number % LANES).await;
                (number, client)
            });
        }
        let struck = faults::strike(world, faults, rng, deadline).await;
        self.is_over.store(true, Relaxed);
        let mut back = running.join_all().await;
        back.sort_by_key(|(number, _)| *number);
        clients.extend(back.into_iter().map(|(_, client)| client));
        struck
    }

    /// When all faults are over, looks at every user once more, and makes a last change, whose name it returns.
    async fn rest(&self, world: &World, client: &mut Client) -> String {
        world.ready().await;
        sleep(AFTERMATH).await;
        let groups = self.groups.lock().unwrap().clone();
        for group in groups {
            self.insist(client, || Operation::List { name_prefix: group.prefix.clone() }).await;
            for user in group.known() {
                self.insist(client, || Operation::Get { id: user.id }).await;
            }
        }
        let last = Group::new(format!("r{}last-", self.number), false);
        let mut rng = fastrand::Rng::with_seed(0);
        let create = || Operation::Create { name: last.name(), email: last.address(&mut rng) };
        let call = self.insist(client, create).await;
        match call.operation {
            Operation::Create { name, .. } => name,
            _ => String::new(),
        }
    }

    /// Makes a call until it is executed.
    async fn insist(&self, client: &mut Client, mut operation: impl FnMut() -> Operation) -> Call {
        for _ in 0..100 {
            let call = client.call(operation(), self).await;
            self.record(call.clone());
            if !matches!(call.outcome, Outcome::Refused | Outcome::Unknown) {
                return call;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("the service does not serve after the faults: {:?}", self.calls.lock().unwrap().last());
    }
}

/// A new group; every third is calm.
fn group(round: usize, number: usize) -> Arc<Group> {
    Arc::new(Group::new(format!("r{round}g{number}-"), number % 3 == 1))
}

impl Totals {
    fn add(&mut self, verdict: &Verdict, struck: &[Fault]) {
        self.calls += verdict.calls;
        self.by_sql += verdict.by_sql;
        self.unknown += verdict.unknown;
        self.refused += verdict.refused;
        self.longest_check = self.longest_check.max(verdict.check.as_secs_f64());
        // Where plain connections see no order either, the service is not to blame.
        self.convicted += usize::from(verdict.is_convicted && !verdict.is_control_convicted);
        self.beside_control += usize::from(verdict.is_convicted && verdict.is_control_convicted);
        self.control += usize::from(verdict.is_control_convicted);
        for fault in struck {
            *self.faults.entry(fault.name()).or_default() += 1;
        }
    }

    fn line(&self, kind: Kind, seed: u64, time: Duration) -> String {
        let faults = Vec::from_iter(self.faults.iter().map(|(name, count)| format!("{name} {count}")));
        format!(
            "{}: seed {seed}, {} operations ({} by SQL), {} unknown, {} refused; faults: {}; {}{}; {:.0} s, longest check {:.1} s",
            kind.name(),
            self.calls,
            self.by_sql,
            self.unknown,
            self.refused,
            if faults.is_empty() { "none".to_owned() } else { faults.join(", ") },
            if self.convicted == 0 { "no violation".to_owned() } else { format!("{} VIOLATIONS", self.convicted) },
            if kind == Kind::Patroni { self.beside() } else { String::new() },
            time.as_secs_f64(),
            self.longest_check
        )
    }

    /// What is reported, and not counted.
    fn beside(&self) -> String {
        format!("; control: {}, the service in the same rounds: {}", self.control, self.beside_control)
    }
}

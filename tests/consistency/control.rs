//! The control: plain connections of libpq to the same cluster, beside the service. They show where PostgreSQL itself
//! is not linearizable, such as while a primary goes on that nobody fenced.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Text};
use diesel::{Connection as _, OptionalExtension as _, PgConnection, QueryResult, RunQueryDsl as _};
use diesel::{ConnectionResult, sql_query};
use fastrand::Rng;
use tokio::task::{JoinSet, spawn_blocking};
use user_service_checker::{Call, History, Operation, Outcome, Protocol, User};

use crate::clock::now;
use crate::row::Row;
use crate::world::{Store, World};

const CLIENTS: u32 = 6;
/// Each is a row, which clients replace and read.
const REGISTERS: u64 = 4;
/// After so long a client gives a call up, as the service does (`DB_DEADLINE`), and opens another connection.
const DEADLINE: Duration = Duration::from_secs(2);
/// In random order, so that some clients reach the new primary while the old one goes on, whichever is named first.
const OPTIONS: &str = "connect_timeout=2&tcp_user_timeout=5000&load_balance_hosts=random";
const COLUMNS: &str = "id, name, email, version";

/// The clients of one round.
pub struct Control {
    running: JoinSet<Vec<Call>>,
    is_over: Arc<AtomicBool>,
    setup: Option<Client>,
}

/// A client with a connection of its own, which it replaces when that fails.
struct Client {
    number: u32,
    url: String,
    connection: Option<PgConnection>,
    registers: Vec<User>,
    /// What its names begin with.
    prefix: String,
    names: usize,
    calls: Vec<Call>,
}

impl Control {
    /// Makes new registers and starts the clients; without Patroni there is no control.
    pub async fn start(world: &World, round: usize, rng: &mut Rng) -> Self {
        let mut control = Self { running: JoinSet::new(), is_over: Arc::default(), setup: None };
        let Store::Patroni(patroni) = &world.store else { return control };
        let url = format!("{}&{OPTIONS}", patroni.url());
        let prefix = |number| format!("r{round}c{number}-");
        let mut setup = Client::new(0, url.clone(), prefix(0), Vec::new());
        setup = spawn_blocking(|| {
            setup.make_registers();
            setup
        })
        .await
        .expect("the registers of the control");
        for number in 1..=CLIENTS {
            let mut client = Client::new(number, url.clone(), prefix(number), setup.registers.clone());
            let (mut rng, is_over) = (rng.fork(), Arc::clone(&control.is_over));
            control.running.spawn_blocking(move || {
                client.run(&mut rng, &is_over);
                client.calls
            });
        }
        control.setup = Some(setup);
        control
    }

    /// Stops the clients, reads each register once more, and returns the history.
    pub async fn finish(mut self) -> History {
        self.is_over.store(true, Relaxed);
        let running = mem::take(&mut self.running);
        let mut calls = Vec::from_iter(running.join_all().await.into_iter().flatten());
        if let Some(mut client) = self.setup.take() {
            let last = spawn_blocking(|| {
                client.read_registers();
                client.calls
            });
            calls.extend(last.await.expect("the control reads its registers"));
        }
        History { calls }
    }
}

/// When the harness gives up, its threads must end too.
impl Drop for Control {
    fn drop(&mut self) {
        self.is_over.store(true, Relaxed);
    }
}

impl Client {
    fn new(number: u32, url: String, prefix: String, registers: Vec<User>) -> Self {
        Self { number, url, connection: None, registers, prefix, names: 0, calls: Vec::new() }
    }

    fn make_registers(&mut self) {
        let table = "CREATE TABLE IF NOT EXISTS control
            (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text, email text, version bigint)";
        let mut connection = self.take_connection().expect("a primary");
        connection.batch_execute(table).expect("the table of the control");
        for register in 0..REGISTERS {
            let create =
                Operation::Create { name: self.name(), email: format!("{}{register}@example.com", self.prefix) };
            let Outcome::User(user) = self.call(create) else { panic!("no register of the control") };
            self.registers.push(user);
        }
    }

    /// Half of the clients only read, so that their connections stay where they are while writes fail.
    fn run(&mut self, rng: &mut Rng, is_over: &AtomicBool) {
        while !is_over.load(Relaxed) {
            let register = rng.choice(&self.registers).expect("a register").clone();
            let operation = if self.number.is_multiple_of(2) && rng.bool() {
                Operation::Put { id: register.id, name: self.name(), email: register.email, if_match: None }
            } else {
                Operation::Get { id: register.id }
            };
            self.call(operation);
            thread::sleep(Duration::from_millis(rng.u64(5..20)));
        }
    }

    fn read_registers(&mut self) {
        self.connection = None;
        for register in self.registers.clone() {
            let outcome = self.call(Operation::Get { id: register.id });
            assert_ne!(outcome, Outcome::Unknown, "the control reads its registers when the cluster is whole");
        }
    }

    /// Makes a call if there is a connection. After an error, a write may have been executed.
    fn call(&mut self, operation: Operation) -> Outcome {
        let Ok(connection) = self.take_connection() else { return Outcome::Unknown };
        let start = now();
        let answer = within_deadline(connection, &operation);
        let end = answer.is_some().then(now);
        let (outcome, connection) = answer.map_or((Outcome::Unknown, None), |(outcome, it)| (outcome, Some(it)));
        self.connection = connection;
        let (client, protocol) = (self.number, Protocol::Rest);
        self.calls.push(Call { client, protocol, operation, start, end, outcome: outcome.clone() });
        outcome
    }

    fn take_connection(&mut self) -> ConnectionResult<PgConnection> {
        self.connection.take().map_or_else(|| PgConnection::establish(&self.url), Ok)
    }

    /// A name that no other write gives.
    fn name(&mut self) -> String {
        self.names += 1;
        format!("{}{}", self.prefix, self.names)
    }
}

/// Makes a call on a thread of its own; without an answer in time, the thread is left alone with the connection.
fn within_deadline(mut connection: PgConnection, operation: &Operation) -> Option<(Outcome, PgConnection)> {
    let (sender, receiver) = mpsc::channel();
    let operation = operation.clone();
    thread::spawn(move || {
        if let Ok(outcome) = execute(&mut connection, &operation) {
            let _ = sender.send((outcome, connection));
        }
    });
    receiver.recv_timeout(DEADLINE).ok()
}

fn execute(connection: &mut PgConnection, operation: &Operation) -> QueryResult<Outcome> {
    let row: Option<Row> = match operation {
        Operation::Create { name, email } => {
            let insert = format!("INSERT INTO control (name, email, version) VALUES ($1, $2, 1) RETURNING {COLUMNS}");
            sql_query(insert).bind::<Text, _>(name).bind::<Text, _>(email).get_result(connection).optional()?
        }
        Operation::Put { id, name, .. } => {
            let update =
                format!("UPDATE control SET name = $1, version = version + 1 WHERE id = $2 RETURNING {COLUMNS}");
            sql_query(update).bind::<Text, _>(name).bind::<BigInt, _>(signed(*id)).get_result(connection).optional()?
        }
        Operation::Get { id } => {
            let select = format!("SELECT {COLUMNS} FROM control WHERE id = $1");
            sql_query(select).bind::<BigInt, _>(signed(*id)).get_result(connection).optional()?
        }
        other => panic!("the control does not {other}"),
    };
    Ok(row.map_or(Outcome::NotFound, |row| Outcome::User(row.user())))
}

fn signed(id: u64) -> i64 {
    i64::try_from(id).expect("an id of PostgreSQL")
}

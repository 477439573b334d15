//! An operator, who changes users by SQL while the service runs. Such a change has no event and leaves the version as it was;
//! all the same nobody may see the old name after it.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{OptionalExtension as _, QueryResult, RunQueryDsl as _, sql_query};
use fastrand::Rng;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use user_service_checker::{Call, Operation, Outcome, Protocol};

use crate::attributes;
use crate::client::Client;
use crate::clock::now;
use crate::round::{LANES, Round};
use crate::row::Row;
use crate::support::Connection;
use crate::world::World;

/// A client with one connection to the database, which it replaces when that fails.
pub struct Operator {
    number: u32,
    world: Arc<World>,
    rng: Rng,
    connection: Option<Connection>,
    /// Its calls of the service.
    client: Client,
}

impl Operator {
    pub fn new(number: u32, world: &Arc<World>, mut rng: Rng) -> Self {
        let client = Client::new(number, world, rng.fork());
        Self { number, world: Arc::clone(world), rng, connection: None, client }
    }

    /// Renames users until the round's clients are to stop. Looks at each user before, so that every replica has it in memory,
    /// and after, before anything else has made a replica forget it.
    pub async fn run(mut self, round: Arc<Round>) -> Self {
        while !round.is_over() {
            let group = round.group(self.rng.usize(..LANES));
            if let Some(user) = group.user(&mut self.rng) {
                self.look(user.id, &round).await;
                if let Some(call) = self.rename(user.id, group.name()).await {
                    group.note(&call);
                    round.record(call);
                    self.look(user.id, &round).await;
                }
            }
            sleep(self.pause()).await;
        }
        self
    }

    /// Gets a user from every replica.
    async fn look(&mut self, id: u64, round: &Round) {
        for replica in 0..self.world.replicas.len() {
            let call = self.client.call_at(replica, Operation::Get { id }, round).await;
            round.record(call);
        }
    }

    /// On PostgreSQL each statement empties the service's memory, so now and then there is a while without.
    fn pause(&mut self) -> Duration {
        let range = if self.rng.u32(..25) == 0 { 1_000..4_000 } else { 5..150 };
        Duration::from_millis(self.rng.u64(range))
    }

    /// Renames a user. After an error, it may have been executed. `None` if there was no connection.
    async fn rename(&mut self, id: u64, name: String) -> Option<Call> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.world.operator().await?,
        };
        let operation = Operation::Rename { id, name: name.clone() };
        let hold = (self.rng.u32(..4) == 0).then(|| Duration::from_millis(self.rng.u64(50..500)));
        let start = now();
        let (row, connection) = spawn_blocking(move || (rename(&mut connection, id, &name, hold), connection))
            .await
            .expect("a statement beside the service");
        let (client, protocol) = (self.number, Protocol::Sql);
        let (end, outcome) = match row {
            Ok(row) => {
                self.connection = Some(connection);
                (Some(now()), row.map_or(Outcome::NotFound, |row| Outcome::User(row.user())))
            }
            Err(_) => (None, Outcome::Unknown),
        };
        Some(Call { client, protocol, operation, start, end, outcome })
    }
}

/// Renames a user. The names of this harness are in small letters, so each is its own key.
///
/// `hold`: on PostgreSQL, how long the transaction goes on after that. Its place in the log is empty meanwhile, and batches
/// of the service commit beyond it. On SQLite it would only keep all other writers waiting.
fn rename(connection: &mut Connection, id: u64, name: &str, hold: Option<Duration>) -> QueryResult<Option<Row>> {
    let attributes = attributes::of(name);
    let update = format!(
        "UPDATE users SET name = '{name}', name_key = '{name}', attributes = '{attributes}' WHERE id = {id}
        RETURNING id, name, email, version"
    );
    match connection {
        Connection::Sqlite(connection) => sql_query(update).get_result(connection).optional(),
        Connection::Postgres(connection) => {
            let Some(hold) = hold else { return sql_query(update).get_result(connection).optional() };
            connection.batch_execute("BEGIN")?;
            let row = sql_query(update).get_result(connection).optional()?;
            thread::sleep(hold);
            connection.batch_execute("COMMIT")?;
            Ok(row)
        }
    }
}

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::millis;
use crate::world::World;

/// The advisory lock of the service's migrations, `LOCK` in src/storage/database/schema/migrations.rs.
const MIGRATIONS: i64 = 0x7573_6572_735f_6462;

/// Another client holds the rows of the users that were changed last.
pub async fn row(world: &World, rng: &mut Rng) {
    let lock = format!("SELECT id FROM users ORDER BY id DESC LIMIT {} FOR UPDATE", rng.u32(1..6));
    hold(world, rng, lock).await;
}

/// Another client holds the table, against writers or against everybody.
pub async fn table(world: &World, rng: &mut Rng) {
    let (table, mode) = (rng.choice(["users", "events"]), rng.choice(["SHARE", "ACCESS EXCLUSIVE"]));
    hold(world, rng, format!("LOCK TABLE {} IN {} MODE", table.unwrap(), mode.unwrap())).await;
}

/// Another client holds the advisory lock of migrations, as a replica that starts does.
pub async fn advisory(world: &World, rng: &mut Rng) {
    hold(world, rng, format!("SELECT pg_advisory_xact_lock({MIGRATIONS})")).await;
}

/// Another client takes places in the log of events that the service is about to draw, one after another, and gives each
/// back. A batch that draws one waits, and then commits after batches of other replicas with higher places; or it waits for
/// too long, and leaves a place that nobody fills.
pub async fn place(world: &World, rng: &mut Rng) {
    let end = Instant::now() + Duration::from_millis(rng.u64(1_000..2_000));
    let mut rng = rng.fork();
    world
        .beside(move |connection| {
            while Instant::now() < end {
                // The first is drawn at once, and waited for as long as it is held.
                connection.run(&format!(
                    "BEGIN; INSERT INTO events (id, kind, user_id, version, occurred_at, salt)
                     SELECT last_value + ahead, 2, 0, 0, now(), 0
                     FROM events_id_seq, unnest(ARRAY[{}, {}]) AS ahead ON CONFLICT DO NOTHING",
                    rng.u32(1..=2),
                    rng.u32(3..=6)
                ));
                // The service waits 50 ms for a lock.
                thread::sleep(Duration::from_millis(rng.u64(20..=45)));
                connection.run("ROLLBACK");
            }
        })
        .await;
}

/// Another process writes to the SQLite file.
pub async fn file(world: &World, rng: &mut Rng) {
    let time = millis(rng, 50..3_000);
    world
        .beside(move |connection| {
            connection.run("BEGIN IMMEDIATE");
            thread::sleep(time);
            connection.run("ROLLBACK");
        })
        .await;
}

async fn hold(world: &World, rng: &mut Rng, lock: String) {
    let time = millis(rng, 50..3_000);
    world
        .beside(move |connection| {
            connection.run(&format!("BEGIN; {lock}"));
            thread::sleep(time);
            connection.run("ROLLBACK");
        })
        .await;
}

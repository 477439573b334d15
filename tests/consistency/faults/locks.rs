use std::thread;

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

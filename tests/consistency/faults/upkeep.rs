use fastrand::Rng;

use crate::world::World;

/// Ends some of the service's connections.
pub async fn terminate_backends(world: &World, rng: &mut Rng) {
    let share = rng.choice(["0.2", "0.5", "1"]).unwrap();
    run(world, format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'user-service' AND random() < {share}"
    ))
    .await;
}

/// Writes a table anew, under a lock that keeps everybody out.
pub async fn vacuum_full(world: &World, rng: &mut Rng) {
    run(world, format!("VACUUM FULL {}", rng.choice(["users", "events"]).unwrap())).await;
}

/// Builds a table's indexes anew.
pub async fn reindex(world: &World, rng: &mut Rng) {
    let how = rng.choice(["TABLE", "TABLE CONCURRENTLY"]).unwrap();
    run(world, format!("REINDEX {how} {}", rng.choice(["users", "events"]).unwrap())).await;
}

async fn run(world: &World, sql: String) {
    world.beside(move |connection| connection.run(&sql)).await;
}

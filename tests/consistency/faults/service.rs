use fastrand::Rng;
use tokio::time::sleep;

use super::millis;
use crate::replica::Replica;
use crate::world::World;

/// SIGKILL, and another process some time later.
pub async fn kill(world: &World, rng: &mut Rng) {
    let replica = any(world, rng);
    replica.kill();
    sleep(millis(rng, 0..1_000)).await;
    replica.restart().await;
}

/// SIGSTOP and SIGCONT: for a moment, or for longer than its calls have.
pub async fn freeze(world: &World, rng: &mut Rng) {
    let replica = any(world, rng);
    replica.freeze();
    sleep(millis(rng, 50..3_000)).await;
    replica.thaw();
}

fn any<'world>(world: &'world World, rng: &mut Rng) -> &'world Replica {
    &world.replicas[rng.usize(..world.replicas.len())]
}

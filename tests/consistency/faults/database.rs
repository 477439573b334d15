use fastrand::Rng;
use tokio::time::sleep;

use super::millis;
use crate::world::World;

/// SIGSTOP and SIGCONT of the server and all its processes.
pub async fn freeze(world: &World, rng: &mut Rng) {
    let primary = world.postgres().primary.lock().await;
    primary.freeze();
    sleep(millis(rng, 50..3_500)).await;
    primary.thaw();
}

/// Stopped fast: transactions are rolled back, connections ended.
pub async fn stop(world: &World, rng: &mut Rng) {
    let mut primary = world.postgres().primary.lock().await;
    primary.shut_down();
    sleep(millis(rng, 0..1_500)).await;
    primary.start().await;
}

/// Stopped immediately, as a crash does: it recovers from its log.
pub async fn crash(world: &World, rng: &mut Rng) {
    let mut primary = world.postgres().primary.lock().await;
    primary.crash();
    sleep(millis(rng, 0..1_500)).await;
    primary.start().await;
}

use fastrand::Rng;
use tokio::time::sleep;

use super::millis;
use crate::world::World;

/// The leader is cut off from the other nodes and from etcd. Clients still reach it.
pub async fn isolate(world: &World, rng: &mut Rng) {
    depose(world, rng, "isolate", "join").await;
}

/// The leader is cut off from everybody.
pub async fn sever(world: &World, rng: &mut Rng) {
    depose(world, rng, "sever", "join").await;
}

/// The leader's Patroni is killed: its PostgreSQL goes on as a primary that nobody fences.
pub async fn kill(world: &World, rng: &mut Rng) {
    depose(world, rng, "kill-patroni", "start-patroni").await;
}

/// The leader's PostgreSQL is killed; its Patroni starts it again, or another node takes over.
pub async fn kill_leader(world: &World, rng: &mut Rng) {
    let patroni = world.patroni();
    let (leader, _) = patroni.whole().await;
    patroni.tell(format!("kill-postgres {leader}")).await;
    sleep(millis(rng, 0..3_000)).await;
    patroni.whole().await;
}

/// The leader hands over to its synchronous standby, as before maintenance.
pub async fn switch_over(world: &World, rng: &mut Rng) {
    let patroni = world.patroni();
    let (leader, standby) = patroni.whole().await;
    patroni.tell(format!("switchover {leader} {standby}")).await;
    sleep(millis(rng, 0..3_000)).await;
    patroni.whole().await;
}

/// Does something to the leader and undoes it: mostly after another node took over, sometimes before that.
async fn depose(world: &World, rng: &mut Rng, fault: &str, remedy: &str) {
    let patroni = world.patroni();
    let (leader, _) = patroni.whole().await;
    patroni.tell(format!("{fault} {leader}")).await;
    if rng.u32(..4) > 0 {
        patroni.succeeded(leader).await;
    }
    sleep(millis(rng, 500..8_000)).await;
    patroni.tell(format!("{remedy} {leader}")).await;
    patroni.whole().await;
}

use fastrand::Rng;
use tokio::time::sleep;

use super::millis;
use crate::world::{Kind, World, replicate};

/// The primary is killed, its standby promoted and found by the service, and a new standby made in the old one's place.
pub async fn fail_over(world: &World, rng: &mut Rng) {
    let cluster = world.postgres();
    let mut primary = cluster.primary.lock().await;
    let mut standby = cluster.standby.lock().await;
    let successor = standby.take().expect("a standby");
    primary.crash();
    sleep(millis(rng, 0..1_000)).await;
    // Nobody follows it yet: its commits must not wait.
    successor.connect().run("ALTER SYSTEM SET synchronous_standby_names = ''");
    successor.promote();
    successor.connect().run("SELECT pg_reload_conf()");
    if world.kind == Kind::FailoverAddress {
        cluster.proxies[0].lead_to(successor.address());
    }
    *primary = successor;
    sleep(millis(rng, 500..2_000)).await;
    let follower = replicate(&primary).await;
    if world.kind == Kind::FailoverHosts {
        let old = cluster.proxies.iter().find(|proxy| !proxy.leads_to(&primary.address())).expect("two hosts");
        old.lead_to(follower.address());
    }
    *standby = Some(follower);
}

use std::time::Duration;

use fastrand::Rng;
use tokio::time::sleep;

use super::millis;
use crate::proxy::{Mode, Proxy};
use crate::world::World;

/// Every message takes longer, up to a fifth of a second.
pub async fn delay(world: &World, rng: &mut Rng) {
    let time = Duration::from_millis(rng.u64(2..200));
    set(world, Mode::Delay(time));
    sleep(millis(rng, 300..3_000)).await;
    set(world, Mode::Pass);
}

/// Every message takes a time of its own: of two statements, the one that read first may be answered last.
pub async fn jitter(world: &World, rng: &mut Rng) {
    let most = Duration::from_millis(rng.u64(5..40));
    set(world, Mode::Jitter(most));
    sleep(millis(rng, 1_000..4_000)).await;
    set(world, Mode::Pass);
}

/// All connections end, and for a while there are no new ones.
pub async fn cut(world: &World, rng: &mut Rng) {
    set(world, Mode::Refuse);
    cut_all(world);
    sleep(millis(rng, 0..1_500)).await;
    set(world, Mode::Pass);
}

/// What the service sends does not arrive; the connections stay open.
pub async fn swallow_questions(world: &World, rng: &mut Rng) {
    swallow(world, rng, Mode::SwallowQuestions).await;
}

/// What PostgreSQL answers does not arrive: it may have committed.
pub async fn swallow_answers(world: &World, rng: &mut Rng) {
    swallow(world, rng, Mode::SwallowAnswers).await;
}

async fn swallow(world: &World, rng: &mut Rng, mode: Mode) {
    set(world, mode);
    sleep(millis(rng, 50..3_000)).await;
    // With a part of its bytes lost, no connection can go on.
    set(world, Mode::Refuse);
    cut_all(world);
    set(world, Mode::Pass);
}

fn set(world: &World, mode: Mode) {
    proxies(world).for_each(|proxy| proxy.set(mode));
}

fn cut_all(world: &World) {
    proxies(world).for_each(Proxy::cut);
}

fn proxies(world: &World) -> impl Iterator<Item = &Proxy> {
    world.postgres().proxies.iter()
}

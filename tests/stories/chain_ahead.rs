//! A chain whose clock is ahead of everybody's: on regtest somebody has moved it on.

use regtest::operator::Unit;

use crate::world::{World, pay};

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_opens_all_the_same() {
    let world = World::start(Unit::Seconds).await;
    world.regtest.node().generate_after(11, 3 * 3600).await.unwrap();
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 1_000, "one");
}

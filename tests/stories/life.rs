//! The whole life of a channel, in both units, funded from VTXOs, from boarding coins, and off chain.

use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::FundingChoice;

use crate::world::{World, eventually, pay, sats};

async fn life(unit: Unit) {
    let world = World::start(unit).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 60_000).await;
    assert_eq!(payer.balance().await.unwrap().in_channels, sats(60_000));

    for number in 0..20 {
        let received = pay(&payer, &receiver, &id, 1_000, &format!("order {number}"));
        assert_eq!(received.amount, sats(1_000 * (number + 1)));
        assert_eq!(received.increase, sats(1_000));
    }
    payer.acknowledge(&receiver.receipt(&id, None).unwrap()).unwrap();
    assert!(payer.channel(&id).unwrap().acknowledged);

    receiver.close_channel(&id).await.unwrap();
    eventually("the payer sees the close", async || {
        payer.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Closed)
    })
    .await;
    world.settle(&receiver).await;
    world.settle(&payer).await;
    assert_eq!(receiver.balance().await.unwrap().settled, sats(20_000));
    assert_eq!(payer.balance().await.unwrap().settled, sats(80_000));
    let report = receiver.watch(&id).await.unwrap();
    assert_eq!(report.state, ChannelState::Settled);
}

#[tokio::test(flavor = "multi_thread")]
async fn life_in_seconds() {
    life(Unit::Seconds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn life_in_blocks() {
    life(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn straight_from_boarding_coins() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.wallet("payer").await;
    let receiver = world.wallet("receiver").await;
    // How long batches live is not in GetInfo: some batch must have been seen for terms that fit this short one.
    world.board(&payer, 20_000).await;
    world.settle(&payer).await;
    world.board(&payer, 50_000).await;
    let (_, accept) = world.agree_from(&payer, &receiver, 40_000, FundingChoice::BatchFromBoarding).await;
    let id = payer.open_channel(&accept).await.unwrap();
    world.confirm(&payer, &receiver, &id).await;
    pay(&payer, &receiver, &id, 40_000, "everything");
    receiver.close_channel(&id).await.unwrap();
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.settled, balance.total()), (sats(30_000), sats(30_000)));
    assert_eq!(receiver.balance().await.unwrap().preconfirmed, sats(40_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn opened_off_chain_and_closed() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open_offchain(&payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 7_000, "one");
    pay(&payer, &receiver, &id, 1, "a single sat");
    receiver.close_channel(&id).await.unwrap();
    assert_eq!(receiver.balance().await.unwrap().preconfirmed, sats(7_001));
    eventually("the payer sees the close", async || {
        payer.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Closed)
    })
    .await;
    assert_eq!(payer.balance().await.unwrap().total(), sats(42_999));
}

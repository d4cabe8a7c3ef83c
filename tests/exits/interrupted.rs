//! Exits that are killed at any moment, reorganised, or half done by others.

use std::time::Duration;

use regtest::operator::Unit;
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{EventKind, ExitStage};

use crate::stage::{advance, finish, fund, in_a_batch, pair, small, state, told, unroll, wait};
use crate::world::{World, pay, sats};

/// The process dies at every moment there is: each run gets a little longer to live than the one before.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = in_a_batch(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    receiver.exit_channel(&id).await.unwrap();
    receiver.close().unwrap();
    let mut rounds = 0;
    let mut patience = Duration::ZERO;
    loop {
        rounds += 1;
        assert!(rounds < 400, "not done after {rounds} runs");
        let receiver = world.wallet("receiver").await;
        let run = tokio::time::timeout(patience, receiver.advance_exits()).await;
        receiver.close().unwrap();
        patience += Duration::from_millis(4);
        let Ok(infos) = run else { continue };
        patience = Duration::ZERO;
        let Some(info) = infos.unwrap().into_iter().next() else { break };
        assert_eq!(info.problem, None);
        match info.stage {
            ExitStage::Waiting { until, unit } => wait(&world, (until, unit)).await,
            _ => world.mine(1).await,
        }
    }
    let receiver = world.wallet("receiver").await;
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    for wanted in ["began", "claimed"] {
        let count = told(&receiver, |kind| match kind {
            EventKind::ExitBegan { .. } => wanted == "began",
            EventKind::ExitClaimed { .. } => wanted == "claimed",
            _ => false,
        });
        assert_eq!(count, 1, "{wanted}");
    }
}

/// The last block goes, and two come that have nothing of it.
async fn take_back(world: &World) {
    let node = world.regtest.node();
    let tip = node.tip().await.unwrap();
    node.invalidate(&tip.hash).await.unwrap();
    // Another miner, who knows nothing of it.
    let address = virtual_channels::wallet::Keys::from_mnemonic(
        &World::mnemonic("miner"),
        virtual_channels::channel::Network::Regtest,
    )
    .unwrap()
    .chain_address(0)
    .unwrap();
    for _ in 0..2 {
        let arguments = vec![serde_json::json!(address.to_string()), serde_json::json!([])];
        node.call("generateblock", arguments).await.unwrap();
    }
}

/// Two blocks with the way in them go, and come again without it.
#[tokio::test(flavor = "multi_thread")]
async fn reorganised() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[20_000]).await;
    world.mine(3).await;
    world.regtest.stop_operator().await;
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let first = unroll(&world, &receiver).await;

    take_back(&world).await;
    let info = advance(&receiver).await;
    assert!(matches!(info.stage, ExitStage::Unrolling { .. }), "{info:?}");
    assert_eq!(info.problem, None);
    world.mine(1).await;
    let again = unroll(&world, &receiver).await;
    assert!(again.0 > first.0, "the wait begins anew: {again:?} after {first:?}");
    wait(&world, again).await;
    assert!(matches!(advance(&receiver).await.stage, ExitStage::Claiming));
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);

    // The block with the claim goes as well.
    take_back(&world).await;
    let report = receiver.maintain().await.unwrap();
    assert_eq!(report.exits.iter().map(|exit| exit.channel_id).collect::<Vec<_>>(), [Some(id)]);
    assert_eq!(state(&receiver, &id), ChannelState::Exiting);
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    // Six blocks later nobody asks any more.
    let remembered = || {
        let store = Store::open(&world.path("receiver")).unwrap();
        let found = store.read(|db| db.meta("ended-exits")).unwrap();
        store.close().unwrap();
        found.is_some()
    };
    assert!(remembered());
    world.mine(6).await;
    receiver.maintain().await.unwrap();
    assert!(!remembered());
}

/// Others broadcast the way, in whole or in part, before and meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn others_broadcast_it() {
    let (world, payer, receiver) = pair(Unit::Seconds).await;
    let id = in_a_batch(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    let funding = receiver.channel(&id).unwrap().funding;
    let store = Store::open(&world.path("receiver")).unwrap();
    let branch = store.read(|db| db.branch(&funding)).unwrap().unwrap();
    store.close().unwrap();
    for node in &branch.nodes {
        let answer = world.regtest.node().cpfp(&node.tx, sats(2_000)).await.unwrap();
        assert_eq!(answer["package_msg"], "success", "{answer}");
        // It is in the mempool: nothing to do. It is in a block: on to the next.
        receiver.exit_channel(&id).await.unwrap();
        let info = advance(&receiver).await;
        assert_eq!(info.problem, None);
        world.mine(1).await;
    }
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    // Its own coins were not needed, not even for the claim.
    let has = receiver.onchain_balance().await.unwrap().confirmed;
    assert!(has > sats(31_500), "{has}");
}

//! Both sides are on chain, and only one can have it.

use regtest::operator::Unit;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::ExitStage;

use crate::stage::{advance, finish, fund, leave, pair, small, state, unroll, wait};
use crate::world::{eventually, sats};

/// The receiver comes so late that the payer's refund is in the mempool already: it outbids it, and what it was paid is
/// its own.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_outbids_a_refund_in_the_mempool() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    for wallet in [&payer, &receiver] {
        fund(&world, wallet, &[20_000]).await;
    }
    world.regtest.stop_operator().await;
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &payer).await;
    wait(&world, until).await;
    assert_eq!(advance(&payer).await.stage, ExitStage::Claiming);

    let info = receiver.exit_channel(&id).await.unwrap();
    assert_eq!(info.stage, ExitStage::Claiming, "{:?}", info.problem);
    world.mine(1).await;
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    let info = finish(&world, &payer).await;
    assert_eq!((info.stage, info.amount), (ExitStage::Done, sats(18_000)));
    assert_eq!(state(&payer, &id), ChannelState::Settled);
}

/// The payer puts a closed channel on chain, hoping that nobody looks. The operator answers with the checkpoint, and the
/// receiver follows with the ark transaction.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_unrolls_after_the_close() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    receiver.close_channel(&id).await.unwrap();
    for wallet in [&payer, &receiver] {
        fund(&world, wallet, &[20_000]).await;
    }
    let funding = receiver.channel(&id).unwrap().funding;
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    eventually("the operator's checkpoint", async || world.regtest.node().utxo(&funding).await.unwrap().is_none())
        .await;
    world.mine(1).await;

    receiver.exit_channel(&id).await.unwrap();
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    // The payer wanted everything; what it gets is its rest, by the leaf that is its own.
    let info = leave(&world, &payer).await;
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(17_500) && info.amount < sats(18_000), "{}", info.amount);
}

/// The payer's refund is in the mempool before the closed channel's checkpoint: the receiver outbids it with that.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_outbids_a_refund_in_the_mempool() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    payer.close().unwrap();
    receiver.close_channel(&id).await.unwrap();
    world.regtest.stop_operator().await;
    // It does not know of the close.
    let payer = world.wallet("payer").await;
    for wallet in [&payer, &receiver] {
        fund(&world, wallet, &[20_000]).await;
    }
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &payer).await;
    wait(&world, until).await;
    assert_eq!(advance(&payer).await.stage, ExitStage::Claiming);

    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    let info = leave(&world, &payer).await;
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Settled));
}

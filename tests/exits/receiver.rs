//! The receiver leaves with what it was paid.

use regtest::operator::Unit;
use virtual_channels::channel::ChannelError;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitReason, ExitStage, WalletError};

use crate::stage::{
    advance, finish, fund, in_a_batch, leave, off_chain, on_chain, pair, state, told, unroll, wait, wait_almost,
};
use crate::world::{pay, sats};

async fn from_a_batch(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    let id = in_a_batch(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;

    let info = receiver.exit_channel(&id).await.unwrap();
    assert_eq!((info.channel_id, info.reason, info.amount), (Some(id), ExitReason::Asked, sats(12_000)));
    let levels = receiver.channel(&id).unwrap().levels;
    assert!(levels >= 2, "a tree with levels");
    assert_eq!((info.stage, info.problem), (ExitStage::Unrolling { done: 0, of: levels }, None));
    assert_eq!(state(&receiver, &id), ChannelState::Exiting);
    assert!(payer.pay(&id, sats(1), "the payer may still sign", None).is_ok());
    world.mine(1).await;

    let until = unroll(&world, &receiver).await;
    wait_almost(&world, until).await;
    assert_eq!(advance(&receiver).await.stage, ExitStage::Waiting { until: until.0, unit: until.1 });
    wait(&world, until).await;
    let info = finish(&world, &receiver).await;
    assert_eq!(info.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
    assert_eq!(receiver.channel(&id).unwrap().result, info.claim);
    assert_eq!(told(&receiver, |kind| matches!(kind, EventKind::ExitBegan { .. })), 1);
    let claimed = EventKind::ExitClaimed { outpoint: info.outpoint, txid: info.claim.unwrap(), amount: info.amount };
    assert_eq!(told(&receiver, |kind| *kind == claimed), 1);
    // Two levels and the exit, each with its child, at 1 sat a vbyte: the claim pays for itself.
    assert!(info.amount > sats(11_500) && info.amount < sats(12_000), "{}", info.amount);
    let left = receiver.onchain_balance().await.unwrap();
    assert!(left.confirmed > sats(30_000) && left.confirmed < sats(32_000), "{}", left.confirmed);
    on_chain(&receiver, left.confirmed).await;
}

async fn preconfirmed(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    let id = off_chain(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;
    let quote = receiver.exit_quote(&id, None).await.unwrap();
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    // Tree, checkpoint and ark transaction, one after the other.
    assert!(quote.levels >= 4 && quote.transactions == quote.levels, "{quote:?}");
    assert_eq!((quote.coins, quote.claimed, quote.missing), (1, sats(12_000), sats(0)));
    // What it said is what it cost, but for the size of a child, which was a guess.
    let has = receiver.onchain_balance().await.unwrap().confirmed;
    let said = sats(20_000) - quote.fee + quote.claimed - quote.claim_fee;
    let (more, less) = (has.max(said), has.min(said));
    assert!(more - less < sats(20), "{has} left, {said} said");
    assert_eq!(quote.claimed - quote.fee - quote.claim_fee, quote.net);
}

#[tokio::test(flavor = "multi_thread")]
async fn preconfirmed_in_blocks() {
    preconfirmed(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn preconfirmed_in_seconds() {
    preconfirmed(Unit::Seconds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_batch_in_blocks() {
    from_a_batch(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_batch_in_seconds() {
    from_a_batch(Unit::Seconds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_paid_is_nothing_to_leave_with() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    world.board(&payer, 50_000).await;
    world.settle(&payer).await;
    let id = world.open(&payer, &receiver, 30_000).await;
    let error = receiver.exit_channel(&id).await.unwrap_err();
    assert!(matches!(*error, WalletError::Channel(ChannelError::NothingPaid)), "{error}");
    assert_eq!(state(&receiver, &id), ChannelState::Open);
    assert_eq!(receiver.exits().unwrap(), []);
}

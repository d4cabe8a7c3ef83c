//! The payer leaves: with everything, when the receiver does nothing, or with what is left.

use bitcoin::Psbt;
use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::ChannelId;
use virtual_channels::operator::Operator;
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{EventKind, ExitStage, Wallet, WalletError};

use crate::coins::all_done;
use crate::stage::{advance, finish, fund, leave, off_chain, pair, small, state, told, unroll, wait, wait_almost};
use crate::world::{World, pay, sats};

async fn alone(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &payer, &[20_000]).await;
    receiver.close().unwrap();
    world.regtest.stop_operator().await;

    let info = payer.exit_channel(&id).await.unwrap();
    assert_eq!(info.amount, sats(30_000), "everything, if nobody else comes");
    world.mine(1).await;
    let until = unroll(&world, &payer).await;
    wait_almost(&world, until).await;
    assert!(matches!(advance(&payer).await.stage, ExitStage::Waiting { .. }), "before d2");
    wait(&world, until).await;
    let info = finish(&world, &payer).await;
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Refunded));
    assert!(info.amount > sats(29_500) && info.amount < sats(30_000), "{}", info.amount);

    // The receiver was away all the time: what it was paid is gone, and it is told.
    let receiver = world.wallet("receiver").await;
    receiver.exit_channel(&id).await.unwrap();
    assert_eq!(state(&receiver, &id), ChannelState::Exiting, "one block and one look are not the end");
    world.mine(5).await;
    advance(&receiver).await;
    assert_eq!(state(&receiver, &id), ChannelState::Exiting);
    world.mine(1).await;
    advance(&receiver).await;
    assert_eq!(state(&receiver, &id), ChannelState::Lost);
    assert_eq!(told(&receiver, |kind| matches!(kind, EventKind::ExitLost { .. })), 1);
    assert_eq!(receiver.exits().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_after_d2_in_blocks() {
    alone(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_after_d2_in_seconds() {
    alone(Unit::Seconds).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_from_a_preconfirmed_channel() {
    let (world, payer, receiver) = pair(Unit::Seconds).await;
    let id = off_chain(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    fund(&world, &payer, &[20_000]).await;
    world.regtest.stop_operator().await;
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    assert_eq!(leave(&world, &payer).await.stage, ExitStage::Done);
    assert_eq!(state(&payer, &id), ChannelState::Refunded);
}

/// Both leave: the receiver's exit update pays the payer what is left, and that ends the payer's exit.
async fn rest(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &payer, &[20_000]).await;
    world.regtest.stop_operator().await;
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    unroll(&world, &payer).await;

    // The payer paid for the way; the receiver has no coins at all, and its claim pays for itself.
    assert_eq!(receiver.onchain_balance().await.unwrap().confirmed, sats(0));
    let receivers = receiver.exit_channel(&id).await.unwrap();
    assert_eq!(receivers.problem, None);
    let until = unroll(&world, &receiver).await;
    wait(&world, until).await;
    let claim = finish(&world, &receiver).await;
    assert!(claim.amount > sats(11_500), "{}", claim.amount);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);

    let info = finish(&world, &payer).await;
    assert_eq!((info.stage, info.amount, info.claim), (ExitStage::Done, sats(18_000), claim.claim));
    assert_eq!(state(&payer, &id), ChannelState::Settled);
    let before = payer.onchain_balance().await.unwrap().confirmed;
    assert!(before > sats(37_000), "{before}: the fee coins and the rest");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_leaves_in_blocks() {
    rest(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_receiver_leaves_in_seconds() {
    rest(Unit::Seconds).await;
}

/// A refund that the operator has answered and does not finalize.
async fn refund_answered() -> (World, Wallet, Wallet, ChannelId) {
    let (world, payer, receiver) = pair(Unit::Seconds).await;
    let id = small(&world, &payer, &receiver).await;
    let locktime = u64::from(payer.channel(&id).unwrap().locktime.to_consensus_u32());
    let tip = world.regtest.node().tip().await.unwrap();
    world.regtest.node().generate_after(12, locktime - tip.time + 1).await.unwrap();
    world.regtest.operator().await.faults().always(Call::FinalizeTx, Action::Drop);
    payer.refund(&id).await.unwrap_err();
    (world, payer, receiver, id)
}

/// Somebody finalizes the refund with garbage: dead for the operator, which lives, and good on chain. The operator's own
/// answer to the branch that comes on chain is no other transaction.
#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_refund_goes_on_chain() {
    let (world, payer, receiver, id) = refund_answered().await;
    fund(&world, &payer, &[20_000]).await;
    let operator = world.regtest.operator().await;
    let submission = operator.faults().submissions().pop().unwrap();
    let [ark, checkpoint] =
        [&submission.signed_ark_tx, &submission.checkpoint_txs[0]].map(|text| text.parse::<Psbt>().unwrap());
    operator.faults().clear();
    drop(operator);
    // The books name the transaction; its checkpoint without signatures is garbage enough.
    let thief = Operator::connect(world.regtest.operator_url()).await.unwrap();
    thief.finalize_txid(ark.unsigned_tx.compute_txid(), &[checkpoint]).await.unwrap_err();
    let refused = payer.refund(&id).await.unwrap_err();
    assert!(matches!(*refused, WalletError::OutcomeUnknown { .. }), "{refused}");

    payer.exit_channel(&id).await.unwrap();
    let info = leave(&world, &payer).await;
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Refunded));
    assert!(info.amount > sats(29_500), "{}", info.amount);
    // The receiver came too late.
    for _ in 0..8 {
        receiver.maintain().await.unwrap();
        world.mine(1).await;
    }
    assert_eq!(state(&receiver, &id), ChannelState::Lost);
}

/// The refund was submitted and answered, and is never finalized: its transactions are the way, without a wait for d2.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_never_finalized() {
    let (world, payer, _receiver, id) = refund_answered().await;
    fund(&world, &payer, &[20_000]).await;
    world.regtest.stop_operator().await;

    let info = payer.exit_channel(&id).await.unwrap();
    let levels = payer.channel(&id).unwrap().levels + 2;
    assert_eq!(info.stage, ExitStage::Unrolling { done: 0, of: levels }, "the branch, checkpoint and ark transaction");
    let info = leave(&world, &payer).await;
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Refunded));
    assert!(info.amount > sats(29_500), "{}", info.amount);
    assert_eq!(payer.resume().await.unwrap().0, 0, "the refund has ended with the exit");
}

/// The same, and the receiver's exit update is first: what the payer wanted never comes to be, and nobody asks for it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_the_receiver_forestalls() {
    let (world, payer, receiver, id) = refund_answered().await;
    for wallet in [&payer, &receiver] {
        fund(&world, wallet, &[20_000]).await;
    }
    world.regtest.stop_operator().await;
    receiver.exit_channel(&id).await.unwrap();
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    assert_eq!(leave(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(leave(&world, &payer).await.stage, ExitStage::Done);
    assert_eq!(state(&payer, &id), ChannelState::Settled);
    // Its change beside the channel.
    all_done(&world, &payer).await;
    for _ in 0..2 {
        world.mine(6).await;
        assert_eq!(payer.advance_exits().await.unwrap(), []);
    }
    let store = Store::open(&world.path("payer")).unwrap();
    assert!(store.read(|db| db.meta("ended-exits")).unwrap().is_none(), "its end is beyond doubt");
    store.close().unwrap();
    let of_channel = payer.channel(&id).unwrap().funding;
    let began = |kind: &EventKind| matches!(kind, EventKind::ExitBegan { outpoint, .. } if *outpoint == of_channel);
    assert_eq!((told(&payer, began), state(&payer, &id)), (1, ChannelState::Settled));
}

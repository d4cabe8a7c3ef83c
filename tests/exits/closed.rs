//! Channels that were closed through an operator which is gone before the result is settled: checkpoint and ark
//! transaction go on chain, and each side takes its own VTXO.

use regtest::operator::{Action, Call, Knob, Unit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{ExitReason, ExitStage};

use crate::stage::{fund, leave, pair, small, state};
use crate::world::{eventually, sats};

async fn both(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    let id = small(&world, &payer, &receiver).await;
    receiver.close_channel(&id).await.unwrap();
    eventually("the payer sees it", async || payer.watch(&id).await.is_ok_and(|r| r.state == ChannelState::Closed))
        .await;
    fund(&world, &receiver, &[20_000]).await;
    world.regtest.stop_operator().await;

    let info = receiver.exit_channel(&id).await.unwrap();
    assert_eq!(info.amount, sats(12_000));
    let levels = receiver.channel(&id).unwrap().levels + 2;
    assert_eq!(info.stage, ExitStage::Unrolling { done: 0, of: levels }, "the branch, checkpoint and ark transaction");
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(11_500) && info.amount < sats(12_000), "{}", info.amount);

    // Everything is on chain already, by the other side: the payer needs no coins.
    let info = payer.exit_channel(&id).await.unwrap();
    assert_eq!((info.amount, info.problem), (sats(18_000), None));
    let info = leave(&world, &payer).await;
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(17_500), "{}", info.amount);
    // The change of the opening stood in the same transaction, and is claimed there, too.
    assert!(payer.onchain_balance().await.unwrap().confirmed >= info.amount);
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_and_not_settled_in_blocks() {
    both(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_and_not_settled_in_seconds() {
    both(Unit::Seconds).await;
}

/// The operator answers all the time, and settles whatever it is given: what is being left is not among that.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_goes_into_no_batch() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    receiver.close_channel(&id).await.unwrap();
    fund(&world, &receiver, &[20_000]).await;
    // It would pay for the checkpoint, sooner or later.
    world.regtest.operator().await.faults().turn(Knob::NoCheckpoint);
    receiver.exit_channel(&id).await.unwrap();
    assert_eq!(receiver.maintain().await.unwrap().settled, None);
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
}

/// The payer's change stands beside the channel. When the receiver leaves after a close, long settled for the payer, the
/// change comes on chain, too, and the payer claims it there by itself.
#[tokio::test(flavor = "multi_thread")]
async fn change_beside_a_settled_channel() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    receiver.close_channel(&id).await.unwrap();
    eventually("the payer sees it", async || payer.watch(&id).await.is_ok_and(|r| r.state == ChannelState::Closed))
        .await;
    world.settle(&payer).await;
    world.mine(1).await;
    payer.maintain().await.unwrap();
    assert_eq!(state(&payer, &id), ChannelState::Settled);
    let before = payer.balance().await.unwrap().total();

    fund(&world, &receiver, &[20_000]).await;
    // It would pay for the checkpoint, sooner or later.
    world.regtest.operator().await.faults().turn(Knob::NoCheckpoint);
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    leave(&world, &receiver).await;
    eventually("the payer leaves, too", async || !payer.maintain().await.unwrap().exits.is_empty()).await;
    let exits = payer.exits().unwrap();
    let [exit] = exits.as_slice() else { panic!("{exits:?}") };
    assert_eq!((exit.channel_id, exit.reason), (None, ExitReason::Unrolled));
    let info = leave(&world, &payer).await;
    assert_eq!(info.stage, ExitStage::Done);
    let after = payer.balance().await.unwrap().total() + payer.onchain_balance().await.unwrap().confirmed;
    assert!(after + sats(500) > before && after < before, "{before} became {after}");
}

/// The operator has answered the submission and never finalizes: the answer is stored, and is the way.
#[tokio::test(flavor = "multi_thread")]
async fn answered_and_never_finalized() {
    let (world, payer, receiver) = pair(Unit::Seconds).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[20_000]).await;
    let operator = world.regtest.operator().await;
    operator.faults().always(Call::FinalizeTx, Action::Drop);
    drop(operator);
    receiver.close_channel(&id).await.unwrap_err();
    assert_eq!(state(&receiver, &id), ChannelState::Closing);
    world.regtest.stop_operator().await;

    receiver.exit_channel(&id).await.unwrap();
    let (left, errors) = receiver.resume().await.unwrap();
    assert!(left == 1 && errors.is_empty(), "only the exit is left, and it needs no operator: {errors:?}");
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));

    // The payer never heard of a close; it follows what is on chain to its own output.
    let info = payer.exit_channel(&id).await.unwrap();
    assert_eq!(info.problem, None);
    let info = leave(&world, &payer).await;
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(17_500) && info.amount < sats(18_000), "{}", info.amount);
}

/// The operator went away before it answered: nothing but the exit update is safe, and there is nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn submitted_into_the_void() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &receiver, &[20_000]).await;
    let operator = world.regtest.operator().await;
    operator.faults().always(Call::SubmitTx, Action::Drop);
    drop(operator);
    receiver.close_channel(&id).await.unwrap_err();
    assert_eq!(state(&receiver, &id), ChannelState::Closing);
    world.regtest.stop_operator().await;
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    assert_eq!(receiver.resume().await.unwrap().0, 0, "the close has ended with the exit");
}

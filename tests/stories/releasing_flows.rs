//! The database is let go of in the middle of flows that wait for the network: the money is right afterwards.

use std::time::Duration;

use regtest::operator::{Action, Call, Knob, Phase, Unit};
use tokio::task::JoinHandle;
use virtual_channels::channel::ChannelId;
use virtual_channels::store::{ChannelState, StoreError};
use virtual_channels::wallet::{Step, Wallet, WalletError};

use crate::opening_faults::Opening;
use crate::opening_killed::wait_for;
use crate::world::{World, eventually, pay, refused, sats};

/// A flow that came to the released database ends with that error, soon.
async fn ends_released<T: std::fmt::Debug + Send + 'static>(flow: JoinHandle<Result<T, Box<WalletError>>>) {
    let ended = tokio::time::timeout(Duration::from_secs(60), flow).await.expect("it ends").unwrap();
    let error = refused(ended);
    assert!(matches!(error, WalletError::Store(StoreError::Released)), "{error}");
}

/// An agreed opening. The progress of how the payer came to its money is not waited for.
async fn agreed() -> Opening {
    let opening = Opening::agreed().await;
    opening.payer.pending_events(1_000).unwrap();
    opening
}

async fn resumed(wallet: &Wallet) {
    wallet.reopen_database().unwrap();
    eventually("resumed", async || wallet.resume().await.is_ok_and(|(left, _)| left == 0)).await;
}

async fn settling(phase: Phase, reached: Step) {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.wallet("wallet").await;
    world.board(&wallet, 30_000).await;
    let operator = world.regtest.operator().await;
    operator.faults().turn(Knob::Stall(phase));
    let flow = tokio::spawn({
        let wallet = wallet.clone();
        async move { wallet.settle(false).await }
    });
    wait_for(&wallet, reached).await;
    wallet.release_database().unwrap();
    operator.faults().clear();
    ends_released(flow).await;
    resumed(&wallet).await;
    world.mine(1).await;
    eventually("settled", async || wallet.balance().await.is_ok_and(|b| b.settled == sats(30_000))).await;
    assert_eq!(wallet.balance().await.unwrap().total(), sats(30_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_before_the_branch_is_stored() {
    settling(Phase::Signatures, Step::TreeSigned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settling_after_the_branch_is_stored() {
    settling(Phase::Broadcast, Step::BranchStored).await;
}

/// Back before the flow notices: it is gone on with all the same.
#[tokio::test(flavor = "multi_thread")]
async fn settling_while_the_app_sleeps_for_a_moment() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.wallet("wallet").await;
    world.board(&wallet, 30_000).await;
    let operator = world.regtest.operator().await;
    operator.faults().turn(Knob::Stall(Phase::Broadcast));
    let flow = tokio::spawn({
        let wallet = wallet.clone();
        async move { wallet.settle(false).await }
    });
    wait_for(&wallet, Step::BranchStored).await;
    wallet.release_database().unwrap();
    wallet.reopen_database().unwrap();
    operator.faults().clear();
    assert_eq!(flow.await.unwrap().unwrap().amount, sats(30_000));
}

struct Closing {
    world: World,
    payer: Wallet,
    receiver: Wallet,
    id: ChannelId,
}

async fn closing(call: Call) {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open_offchain(&payer, &receiver, 40_000).await;
    pay(&payer, &receiver, &id, 7_000, "a");
    let case = Closing { world, payer, receiver, id };
    let operator = case.world.regtest.operator().await;
    let before = operator.faults().seen(call);
    operator.faults().once(call, Action::Delay(Duration::from_secs(3)));
    let flow = tokio::spawn({
        let (receiver, id) = (case.receiver.clone(), case.id);
        async move { receiver.close_channel(&id).await }
    });
    eventually("the call", async || operator.faults().seen(call) > before).await;
    case.receiver.release_database().unwrap();
    ends_released(flow).await;
    resumed(&case.receiver).await;
    assert_eq!(case.receiver.channel(&case.id).unwrap().state, ChannelState::Closed);
    assert_eq!(case.receiver.balance().await.unwrap().total(), sats(7_000));
    eventually("the payer sees it", async || {
        case.payer.watch(&case.id).await.is_ok_and(|report| report.state == ChannelState::Closed)
    })
    .await;
    assert_eq!(case.payer.balance().await.unwrap().total(), sats(43_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_before_the_answer_is_stored() {
    closing(Call::SubmitTx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_before_the_end_is_stored() {
    closing(Call::FinalizeTx).await;
}

/// The receiver lets go while it co-signs in the background, and the batch makes the channel without a trace of it in
/// the receiver's file: it is found when the file is back, without being asked to.
async fn cosigning(phase: Phase, reached: Step) {
    let opening = agreed().await;
    opening.turn(Knob::Stall(phase)).await;
    let flow = tokio::spawn({
        let (payer, accept) = (opening.payer.clone(), opening.accept.clone());
        async move { payer.open_channel(&accept).await }
    });
    wait_for(&opening.payer, reached).await;
    opening.receiver.release_database().unwrap();
    opening.release(Knob::Stall(phase)).await;
    let id = tokio::time::timeout(Duration::from_secs(60), flow).await.expect("opens").unwrap().unwrap();
    opening.receiver.reopen_database().unwrap();
    opening.works(&id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cosigning_before_the_branch_is_stored() {
    cosigning(Phase::Signatures, Step::TreeSigned).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cosigning_after_the_branch_is_stored() {
    cosigning(Phase::Broadcast, Step::BranchStored).await;
}

/// The payer lets go before it stored the branch: nothing is signed away, and resuming opens while the Accept lasts.
#[tokio::test(flavor = "multi_thread")]
async fn opening_goes_on_where_it_was() {
    let opening = agreed().await;
    opening.turn(Knob::Stall(Phase::Signatures)).await;
    let flow = tokio::spawn({
        let (payer, accept) = (opening.payer.clone(), opening.accept.clone());
        async move { payer.open_channel(&accept).await }
    });
    wait_for(&opening.payer, Step::TreeSigned).await;
    opening.payer.release_database().unwrap();
    opening.release(Knob::Stall(Phase::Signatures)).await;
    ends_released(flow).await;
    opening.payer.reopen_database().unwrap();
    eventually("the opening goes on", async || {
        let _ = opening.payer.resume().await;
        opening.payer.channels().unwrap().len() == 1
    })
    .await;
    let id = opening.payer.channels().unwrap()[0].id;
    opening.works(&id).await;
}

//! Own VTXOs that somebody else has put on chain, or what they were made from.

use bitcoin::OutPoint;
use regtest::operator::{Action, Call, Knob, Unit};
use virtual_channels::channel::ChannelId;
use virtual_channels::channel::branch::{Branch, BranchNode};
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{ExitReason, ExitStage};

use crate::coins::all_done;
use crate::signed_away::coin;
use crate::stage::{finish, fund, pair, small, state, wait};
use crate::world::{World, sats};

/// Somebody else pays for the branch of a VTXO.
async fn put_on_chain(world: &World, name: &str, outpoint: OutPoint) {
    let nodes = branch_of(world, name, outpoint).nodes;
    publish(world, nodes.iter()).await;
}

fn branch_of(world: &World, name: &str, outpoint: OutPoint) -> Branch {
    let store = Store::open(&world.path(name)).unwrap();
    let branch = store.read(|db| db.branch(&outpoint)).unwrap().unwrap();
    store.close().unwrap();
    branch
}

async fn publish(world: &World, nodes: impl Iterator<Item = &BranchNode>) {
    for node in nodes {
        let answer = world.regtest.node().cpfp(&node.tx, sats(1_000)).await.unwrap();
        assert_eq!(answer["package_msg"], "success", "{answer}");
        world.mine(1).await;
    }
}

/// A VTXO that is on chain already is claimed by maintenance alone, without any coin for fees.
#[tokio::test(flavor = "multi_thread")]
async fn what_others_put_on_chain_is_claimed() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.wallet("payer").await;
    let coin = coin(&world, &payer).await;
    put_on_chain(&world, "payer", coin).await;
    let exits = payer.maintain().await.unwrap().exits;
    assert_eq!(
        exits.iter().map(|exit| (exit.outpoint, exit.reason)).collect::<Vec<_>>(),
        [(coin, ExitReason::Unrolled)]
    );
    let done = all_done(&world, &payer).await;
    assert!(done.len() == 1 && done[0].amount > sats(49_000), "{done:?}");
    assert_eq!(payer.onchain_balance().await.unwrap().confirmed, done[0].amount);
}

/// The same with a channel: the receiver's on-chain wallet has never held anything.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_on_chain_and_an_empty_fee_wallet() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id: ChannelId = small(&world, &payer, &receiver).await;
    let funding = receiver.channel(&id).unwrap().funding;
    put_on_chain(&world, "receiver", funding).await;
    world.regtest.stop_operator().await;
    assert_eq!(receiver.onchain_balance().await.unwrap().confirmed, sats(0));
    let exits = receiver.maintain().await.unwrap().exits;
    let ExitStage::Waiting { until, unit } = exits[0].stage else { panic!("{exits:?}") };
    wait(&world, (until, unit)).await;
    let info = finish(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(11_000), "{}", info.amount);
    assert_eq!(receiver.onchain_balance().await.unwrap().confirmed, info.amount);
}

/// Its former owner puts the coin on chain that a payment was made from, and would take it back after the exit delay. The
/// operator is gone: the payee's maintenance goes on from there, before that.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_coin_was_made_from_is_put_on_chain() {
    made_from_something_on_chain(true).await;
}

/// The same, and the operator answers, but neither shows anything nor does anything about it.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_coin_was_made_from_and_books_that_fail() {
    made_from_something_on_chain(false).await;
}

async fn made_from_something_on_chain(gone: bool) {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let spent = coin(&world, &payer).await;
    payer.send(&receiver.new_ark_address().unwrap(), sats(20_000)).await.unwrap();
    world.regtest.operator().await.change(|settings| settings.fees.offchain_input = "21000.0".into());
    assert_eq!(receiver.maintain().await.unwrap().kept, 1, "settling would cost more than it is worth");
    fund(&world, &receiver, &[10_000]).await;
    assert_eq!(receiver.maintain().await.unwrap().exits, []);
    if gone {
        world.regtest.stop_operator().await;
    } else {
        let operator = world.regtest.operator().await;
        operator.faults().always(Call::GetVtxos, Action::AnswerError);
        operator.faults().turn(Knob::NoCheckpoint);
    }

    put_on_chain(&world, "payer", spent).await;
    let exits = receiver.maintain().await.unwrap().exits;
    let begun: Vec<_> = exits.iter().map(|exit| (exit.amount, exit.reason)).collect();
    assert_eq!(begun, [(sats(20_000), ExitReason::AncestorUnrolled)]);
    world.mine(1).await;
    assert!(world.regtest.node().utxo(&spent).await.unwrap().is_none(), "the checkpoint is first");
    let done = all_done(&world, &receiver).await;
    assert!(done.len() == 1 && done[0].amount > sats(19_000), "{done:?}");
}

/// What a close paid was sent on; the payer puts the channel on chain all the same. Nothing is this side's any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_whose_money_was_sent_on() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    let funding = receiver.channel(&id).unwrap().funding;
    receiver.close_channel(&id).await.unwrap();
    receiver.send(&payer.new_ark_address().unwrap(), sats(12_000)).await.unwrap();
    put_on_chain(&world, "receiver", funding).await;
    let report = receiver.maintain().await.unwrap();
    assert!(report.errors.is_empty() && report.exits.is_empty(), "{report:?}");
    assert_eq!(state(&receiver, &id), ChannelState::Closed);
}

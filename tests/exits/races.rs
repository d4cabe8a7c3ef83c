//! Both sides are on chain, and only one can have it.

use bitcoin::{OutPoint, ScriptBuf, Transaction, TxIn, Witness};
use regtest::operator::Unit;
use virtual_channels::channel::exit::OwnExit;
use virtual_channels::channel::network::Network;
use virtual_channels::channel::{Channel, ChannelId, ChannelTerms};
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{ExitProblem, ExitStage, KeyUse, Keys, Wallet};

use crate::stage::{advance, finish, fund, leave, pair, small, state, unroll, wait};
use crate::world::{World, eventually, sats};

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

/// The same against what a payer may make with its key: any transaction by its own leaf, and others that spend from it. The
/// receiver pays more than all of them.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_outbids_whatever_the_payer_made() {
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
    let (hostile, child) = hostile_refund(&world, &payer, &id);
    let node = world.regtest.node();
    node.broadcast(&hostile).await.unwrap();
    node.broadcast(&child).await.unwrap();

    let info = receiver.exit_channel(&id).await.unwrap();
    assert_eq!(info.stage, ExitStage::Claiming, "{:?}", info.problem);
    world.mine(1).await;
    assert!(node.transaction(&hostile.compute_txid()).await.unwrap().is_none(), "it has been replaced");
    assert_eq!(finish(&world, &receiver).await.stage, ExitStage::Done);
    assert_eq!(state(&receiver, &id), ChannelState::Settled);
}

/// One that came too late for that has lost, and says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_of_another_form_ends_the_receivers_exit() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = small(&world, &payer, &receiver).await;
    fund(&world, &payer, &[20_000]).await;
    world.regtest.stop_operator().await;
    payer.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let until = unroll(&world, &payer).await;
    wait(&world, until).await;
    let (hostile, _) = hostile_refund(&world, &payer, &id);
    world.regtest.node().broadcast(&hostile).await.unwrap();
    world.mine(1).await;
    let info = receiver.exit_channel(&id).await.unwrap();
    assert_eq!(info.problem, Some(ExitProblem::Conflict { outpoint: info.outpoint, spent_by: hostile.compute_txid() }));
    world.mine(6).await;
    assert_eq!(advance(&receiver).await.stage, ExitStage::Unrolling { done: 0, of: 1 });
    world.mine(1).await;
    assert_eq!(advance(&receiver).await.stage, ExitStage::Lost);
    assert_eq!(state(&receiver, &id), ChannelState::Lost);
}

/// Everything by the payer's own leaf to whoever takes it, at 20 sats a vbyte, and one that spends this at about 30.
fn hostile_refund(world: &World, payer: &Wallet, id: &ChannelId) -> (Transaction, Transaction) {
    let store = Store::open(&world.path("payer")).unwrap();
    let record = store.read(|db| db.channel(id)).unwrap().unwrap().record;
    store.close().unwrap();
    let terms = ChannelTerms::from_canonical(&record.terms).unwrap();
    let channel = Channel::new(terms, payer.channel(id).unwrap().funding).unwrap();
    let keys = Keys::from_mnemonic(&World::mnemonic("payer"), Network::Regtest).unwrap();
    let keypair = keys.keypair(KeyUse::Payer, record.key_index).unwrap();
    let anybody = ScriptBuf::from_bytes(vec![0x51]);
    let (outpoint, prevout) = (channel.funding, channel.prevout());
    let leaf = channel.unilateral_leaf().unwrap();
    let own = OwnExit { outpoint, prevout, leaf, delay: terms.d2, to: anybody.to_p2wsh() };
    let hostile = own.claim(sats(20 * own.vsize()), &keypair).unwrap().unwrap();
    let mut child = hostile.clone();
    child.input[0] = TxIn {
        previous_output: OutPoint::new(hostile.compute_txid(), 0),
        witness: Witness::from_slice(&[anybody.as_bytes()]),
        ..TxIn::default()
    };
    child.output[0].value -= sats(30 * 100);
    (hostile, child)
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

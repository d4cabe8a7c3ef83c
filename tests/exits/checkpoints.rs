//! Ways with several checkpoints: what was made off chain from what was made off chain.

use regtest::operator::Unit;
use virtual_channels::channel::ChannelId;
use virtual_channels::store::{ChannelState, Store};
use virtual_channels::wallet::{Acceptance, ExitStage, FundingChoice, InviteRequest, ProposeRequest, Wallet};

use crate::coins::all_done;
use crate::signed_away::coin_of;
use crate::stage::{fund, leave, off_chain, pair, state};
use crate::world::{World, pay, request, sats};

/// How many off-chain transactions stand in the stored branch of a channel: each has no cosigners, and so has its checkpoint.
fn offchain_nodes(world: &World, name: &str, wallet: &Wallet, id: &ChannelId) -> usize {
    let store = Store::open(&world.path(name)).unwrap();
    let branch = store.read(|db| db.branch(&wallet.channel(id).unwrap().funding)).unwrap().unwrap();
    branch.nodes.iter().filter(|node| node.cosigners.is_empty()).count()
}

/// A channel from two coins of two batches has a checkpoint for each: they go out side by side.
async fn two_inputs(unit: Unit) {
    let (world, payer, receiver) = pair(unit).await;
    for amount in [20_000, 20_001] {
        coin_of(&world, &payer, amount).await;
    }
    let id = world.open_offchain(&payer, &receiver, 35_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    assert_eq!(offchain_nodes(&world, "receiver", &receiver, &id), 3);
    fund(&world, &receiver, &[10_000, 10_000]).await;
    world.regtest.stop_operator().await;
    let quote = receiver.exit_quote(&id, None).await.unwrap();
    assert_eq!((quote.coins, quote.transactions, quote.levels), (2, 5, 3));
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(11_500), "{}", info.amount);
    // The payer's part, and its change, are on chain, too.
    let mut done = payer.maintain().await.unwrap().exits;
    done.retain(|exit| exit.stage == ExitStage::Done);
    done.extend(all_done(&world, &payer).await);
    let sum: u64 = done.iter().map(|exit| exit.amount.to_sat()).sum();
    assert!(sum > 40_001 - 12_000 - 2_000, "{done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_inputs_in_blocks() {
    two_inputs(Unit::Blocks).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_inputs_in_seconds() {
    two_inputs(Unit::Seconds).await;
}

/// A channel made from a channel that was made off chain: tree, checkpoint, ark transaction, and both once more.
#[tokio::test(flavor = "multi_thread")]
async fn a_channel_from_a_channel() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    coin_of(&world, &payer, 50_000).await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let asked = ProposeRequest { lifetime: Some(130), ..request(30_000, FundingChoice::Offchain) };
    let old = payer.propose(&invite, &asked).await.unwrap().channel_id.unwrap();
    let locktime = payer.channel(&old).unwrap().locktime.to_consensus_u32();
    world.mine(locktime - world.regtest.node().tip().await.unwrap().height).await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let proposal = payer.propose(&invite, &request(30_000, FundingChoice::Refund(old))).await.unwrap();
    let Acceptance::Open(id) = receiver.accept(&proposal.offer).await.unwrap() else { panic!("open at once") };
    pay(&payer, &receiver, &id, 12_000, "one");
    assert_eq!(offchain_nodes(&world, "receiver", &receiver, &id), 4);
    for wallet in [&payer, &receiver] {
        fund(&world, wallet, &[10_000]).await;
    }
    world.regtest.stop_operator().await;
    let quote = receiver.exit_quote(&id, None).await.unwrap();
    assert_eq!((quote.coins, quote.transactions, quote.levels), (1, 5, 5));
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    let info = payer.exit_channel(&id).await.unwrap();
    assert_eq!((info.stage, state(&payer, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(17_500) && info.amount <= sats(18_000), "{}", info.amount);
}

/// The close of a preconfirmed channel, not settled: its checkpoint and ark transaction come after those of the channel.
#[tokio::test(flavor = "multi_thread")]
async fn the_close_of_a_preconfirmed_channel() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    let id = off_chain(&world, &payer, &receiver, 30_000).await;
    pay(&payer, &receiver, &id, 12_000, "one");
    receiver.close_channel(&id).await.unwrap();
    fund(&world, &receiver, &[10_000]).await;
    world.regtest.stop_operator().await;
    let quote = receiver.exit_quote(&id, None).await.unwrap();
    let levels = receiver.channel(&id).unwrap().levels;
    assert_eq!((quote.coins, quote.levels), (1, levels + 2));
    receiver.exit_channel(&id).await.unwrap();
    world.mine(1).await;
    let info = leave(&world, &receiver).await;
    assert_eq!((info.stage, state(&receiver, &id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(11_500), "{}", info.amount);
}

/// The change of change: two payments from one coin.
#[tokio::test(flavor = "multi_thread")]
async fn the_change_of_change() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    coin_of(&world, &payer, 50_000).await;
    for _ in 0..2 {
        payer.send(&receiver.new_ark_address().unwrap(), sats(10_000)).await.unwrap();
    }
    fund(&world, &payer, &[10_000]).await;
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.amount).collect::<Vec<_>>(), [sats(30_000)]);
    let ExitStage::Unrolling { of, .. } = begun[0].stage else { panic!("{begun:?}") };
    assert_eq!(of, 5);
    world.mine(1).await;
    let done = all_done(&world, &payer).await;
    assert!(done.len() == 1 && done[0].amount > sats(29_000), "{done:?}");
}

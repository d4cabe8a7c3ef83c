//! Off-chain transactions that the operator has signed before it was gone: what they have made is left with.

use bitcoin::{OutPoint, Txid};
use regtest::operator::{Action, Call, Unit};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{EventKind, ExitReason, FundingChoice, InviteRequest, Wallet, WalletError};

use crate::coins::all_done;
use crate::expiring::{at_the_last_moment, height};
use crate::signed_away::coin;
use crate::stage::{fund, pair, state, told};
use crate::world::{World, refused, request, sats};

/// A payment from a coin of 50 000, that the operator signed and did not finalize, with the operator gone. The
/// wallet is opened again: nothing runs.
async fn paid_and_gone(world: &World, payer: Wallet, receiver: &Wallet, amount: u64) -> (Wallet, Txid) {
    world.regtest.operator().await.faults().always(Call::FinalizeTx, Action::Drop);
    let error = refused(payer.send(&receiver.new_ark_address().unwrap(), sats(amount)).await);
    let WalletError::OutcomeUnknown { ark_txid } = error else { panic!("{error}") };
    payer.close().unwrap();
    let payer = world.wallet("payer").await;
    fund(world, &payer, &[10_000, 10_000]).await;
    world.regtest.stop_operator().await;
    (payer, ark_txid)
}

/// The change comes back, and the payee has its part beside it: after the change, which comes first.
#[tokio::test(flavor = "multi_thread")]
async fn the_change_of_a_payment_leaves() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    coin(&world, &payer).await;
    let (payer, ark_txid) = paid_and_gone(&world, payer, &receiver, 20_000).await;
    let begun = payer.exit_coins().await.unwrap();
    assert_eq!(begun.iter().map(|exit| exit.amount).collect::<Vec<_>>(), [sats(30_000)]);
    assert_eq!(begun[0].outpoint.txid, ark_txid);
    world.mine(1).await;
    let done = all_done(&world, &payer).await;
    assert!(done.len() == 1 && done[0].amount > sats(29_000), "{done:?}");
    let paid = world.regtest.node().utxo(&OutPoint::new(ark_txid, 1)).await.unwrap();
    assert_eq!(paid.map(|output| output.value), Some(sats(20_000)), "the payee's");
    assert_eq!(payer.resume().await.unwrap().0, 0, "the payment is over");
    assert!(payer.exit_coins().await.unwrap().is_empty());
}

/// Nothing comes back of it, or less than that costs: it stays with the payment, for the operator to come back.
async fn waits(amount: u64) {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    coin(&world, &payer).await;
    let (payer, _) = paid_and_gone(&world, payer, &receiver, amount).await;
    assert!(payer.exit_coins().await.unwrap().is_empty());
    world.regtest.start_operator().await.unwrap();
    world.regtest.operator().await.faults().clear();
    let (left, errors) = payer.resume().await.unwrap();
    assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
    assert_eq!(receiver.balance().await.unwrap().total(), sats(amount));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_without_change_waits() {
    waits(50_000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_with_little_change_waits() {
    waits(49_500).await;
}

/// Nobody asks: before the coin expires its change is left by maintenance.
#[tokio::test(flavor = "multi_thread")]
async fn the_change_leaves_before_it_expires() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    coin(&world, &payer).await;
    let settled_at = height(&world).await;
    let (payer, ark_txid) = paid_and_gone(&world, payer, &receiver, 20_000).await;
    let exits = at_the_last_moment(&world, &payer, settled_at).await;
    let told: Vec<_> = exits.iter().map(|exit| (exit.outpoint.txid, exit.amount, exit.reason)).collect();
    assert_eq!(told, [(ark_txid, sats(30_000), ExitReason::Deadline)]);
}

/// An opening off chain: the payer has the channel, which nobody else has heard of, and takes all of it back.
#[tokio::test(flavor = "multi_thread")]
async fn the_channel_of_an_opening_leaves() {
    let (world, payer, receiver) = pair(Unit::Blocks).await;
    coin(&world, &payer).await;
    world.regtest.operator().await.faults().always(Call::FinalizeTx, Action::Drop);
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let error = refused(payer.propose(&invite, &request(30_000, FundingChoice::Offchain)).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    payer.close().unwrap();
    let payer = world.wallet("payer").await;
    fund(&world, &payer, &[10_000, 10_000]).await;
    world.regtest.stop_operator().await;
    let begun = payer.exit_coins().await.unwrap();
    let channel = begun.iter().find_map(|exit| exit.channel_id).unwrap();
    assert_eq!(begun.iter().map(|exit| exit.amount.to_sat()).sum::<u64>(), 50_000, "{begun:?}");
    assert_eq!(told(&payer, |kind| matches!(kind, EventKind::ChannelOpened)), 1);
    world.mine(1).await;
    assert_eq!(all_done(&world, &payer).await.len(), 2);
    assert_eq!(state(&payer, &channel), ChannelState::Refunded);
}

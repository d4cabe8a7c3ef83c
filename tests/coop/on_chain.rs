//! What was begun together and is ended on chain, since the other side or the operator is gone.

use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::AuthorisationPolicy::{AtOpen, OnClose};
use virtual_channels::channel::ChannelError;
use virtual_channels::store::{ChannelState, FlowKind};
use virtual_channels::wallet::{ExitStage, WalletError};

use crate::case::{CAPACITY, case};
use crate::refund_into::ripe;
use crate::stage::{fund, leave, state};
use crate::world::{refused, sats};

const PAID: u64 = 20_000;

/// The payer authorises on close and is away: the receiver leaves with its exit update.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_who_should_grant_is_away() {
    let case = case(Unit::Seconds, OnClose, None).await;
    case.paid(PAID, "a");
    case.payer.close().unwrap();
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::GrantNeeded { .. })), "{error}");
    assert_eq!(state(&case.receiver, &case.id), ChannelState::Open);
    fund(&case.world, &case.receiver, &[20_000]).await;
    // An operator that is there puts its own checkpoint on chain, and pays for it: its child may be the dearer one.
    case.world.regtest.stop_operator().await;
    let info = case.receiver.exit_channel(&case.id).await.unwrap();
    assert_eq!(info.amount, sats(PAID));
    case.world.mine(1).await;
    let info = leave(&case.world, &case.receiver).await;
    assert_eq!((info.stage, state(&case.receiver, &case.id)), (ExitStage::Done, ChannelState::Settled));
    assert!(info.amount > sats(PAID - 500), "{}", info.amount);
}

/// The operator signs a release, never finalizes it, and goes away: the payer puts it on chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_is_never_finalized() {
    let case = case(Unit::Seconds, AtOpen, None).await;
    let grant = case.receiver.release_channel(&case.id).await.unwrap();
    case.fault(Call::FinalizeTx, Action::Drop).await;
    refused(case.payer.close_with(&grant).await);
    assert_eq!(case.step("payer", FlowKind::Release).as_deref(), Some("answered"));
    fund(&case.world, &case.payer, &[20_000]).await;
    case.world.regtest.stop_operator().await;
    let info = case.payer.exit_channel(&case.id).await.unwrap();
    assert_eq!((info.amount, case.step("payer", FlowKind::Release)), (sats(CAPACITY), None));
    case.world.mine(1).await;
    let info = leave(&case.world, &case.payer).await;
    assert_eq!((info.stage, state(&case.payer, &case.id)), (ExitStage::Done, ChannelState::Refunded));
    assert!(info.amount > sats(CAPACITY - 500), "{}", info.amount);
}

/// The same with a refund into a new channel: that channel comes on chain, and is left by its payer.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_into_a_new_channel_that_is_never_finalized() {
    let case = ripe(Unit::Seconds).await;
    case.fault(Call::FinalizeTx, Action::Drop).await;
    refused(case.propose_into(CAPACITY).await);
    assert_eq!(case.step("payer", FlowKind::Refund).as_deref(), Some("answered"));
    fund(&case.world, &case.payer, &[20_000]).await;
    case.world.regtest.stop_operator().await;
    let info = case.payer.exit_channel(&case.id).await.unwrap();
    assert_eq!((info.amount, case.step("payer", FlowKind::Refund)), (sats(CAPACITY), None));
    assert_eq!(state(&case.payer, &case.id), ChannelState::Refunded);
    let new = info.channel_id.unwrap();
    assert!(new != case.id && state(&case.payer, &new) == ChannelState::Exiting);
    case.world.mine(1).await;
    let info = leave(&case.world, &case.payer).await;
    assert_eq!((info.stage, state(&case.payer, &new)), (ExitStage::Done, ChannelState::Refunded));
    assert!(info.amount > sats(CAPACITY - 500), "{}", info.amount);
}

//! The payer authorises on close only, and never does: the receiver cannot close through the operator.

use std::sync::Arc;

use regtest::operator::Unit;
use virtual_channels::channel::{AuthorisationPolicy, ChannelError};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{
    Acceptance, ExitReason, ExitStage, FundingChoice, InviteRequest, ProposeRequest, WalletError,
};

use crate::case::{Ahead, CAPACITY, Case};
use crate::stage::fund;
use crate::world::{World, eventually, pay, refused, request, sats};

/// A channel in a batch whose payer keeps the checkpoint's signature.
async fn on_close() -> Case {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", CAPACITY).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest { on_close: true, ..InviteRequest::default() }).unwrap();
    let choice =
        ProposeRequest { authorisation: AuthorisationPolicy::OnClose, ..request(CAPACITY, FundingChoice::Batch) };
    let proposal = payer.propose(&invite, &choice).await.unwrap();
    let Acceptance::Accepted(accept) = receiver.accept(&proposal.offer).await.unwrap() else { panic!("in a batch") };
    let id = payer.open_channel(&accept).await.unwrap();
    world.confirm(&payer, &receiver, &id).await;
    pay(&payer, &receiver, &id, 7_000, "first");
    Case { world, payer, receiver, id, clock: Arc::new(Ahead::default()) }
}

/// It waits for a grant as long as it may; then it leaves on chain with all it was paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_never_grants_the_close() {
    let case = on_close().await;
    fund(&case.world, &case.receiver, &[10_000, 10_000]).await;
    case.payer.close().unwrap();
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::GrantNeeded { .. })), "{error}");
    assert_eq!(case.state(), ChannelState::Open, "nothing has begun");
    let exit_by = case.receiver.channel(&case.id).unwrap().exit_by;
    let tip = case.world.regtest.node().tip().await.unwrap();
    case.world.mine(exit_by as u32 - tip.height).await;
    let leaves = async || {
        case.receiver.maintain().await.unwrap();
        case.state() == ChannelState::Exiting
    };
    eventually("the exit", leaves).await;
    let info = case.receiver.exits().unwrap().remove(0);
    assert_eq!((info.reason, info.amount), (ExitReason::Deadline, sats(7_000)));
    assert_eq!(case.drive(&case.receiver, info).await.stage, ExitStage::Done);
    assert_eq!(case.state(), ChannelState::Settled);
}

//! What a channel rests on: a commitment transaction that confirms and stays, books that say so, and the answers of an
//! off-chain opening.

use bitcoin::{Amount, OutPoint};
use regtest::operator::{Action, Call, Claim, Knob, Unit};
use virtual_channels::channel::{ChannelError, ChannelId};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Acceptance, FundingChoice, InviteRequest, WalletError};

use crate::opening::{shown, with_clock};
use crate::opening_faults::{CAPACITY, Opening, WHOLE};
use crate::world::{World, eventually, pay, refused, request, sats};

#[tokio::test(flavor = "multi_thread")]
async fn commitment_transaction_never_confirms() {
    let opening = Opening::agreed().await;
    opening.turn_once(Knob::HoldCommitment).await;
    let Opening { world, payer, receiver, accept } = &opening;
    let id = payer.open_channel(accept).await.unwrap();
    world.mine(3).await;
    eventually("the receiver's channel", async || receiver.channel(&id).is_ok()).await;
    for wallet in [payer, receiver] {
        let report = wallet.watch(&id).await.unwrap();
        assert_eq!((report.state, report.confirmations), (ChannelState::Confirming, 0));
    }
    let before = (shown(payer).await, shown(receiver).await);
    assert_eq!(before.0.1.total(), sats(WHOLE));
    let error = refused(payer.pay(&id, sats(1_000), "too early", None));
    let WalletError::WrongState { channel_id, state, .. } = error else { panic!("{error}") };
    assert_eq!((channel_id, state), (id, ChannelState::Confirming));
    let error = refused(receiver.close_channel(&id).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::NothingPaid)), "{error}");
    assert_eq!((shown(payer).await, shown(receiver).await), before);
}

/// A boarding coin whose batch is never broadcast is not counted beside the channel, and comes back when the batch is
/// nowhere to be seen for long.
#[tokio::test(flavor = "multi_thread")]
async fn boarding_coin_of_a_batch_that_is_never_broadcast() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 1_000).await;
    world.board(&payer, WHOLE).await;
    payer.close().unwrap();
    let (payer, clock) = with_clock(&world, "payer").await;
    let receiver = world.wallet("receiver").await;
    world.regtest.operator().await.faults().turn_once(Knob::HoldCommitment);
    let (_, accept) = world.agree_from(&payer, &receiver, CAPACITY, FundingChoice::BatchFromBoarding).await;
    payer.open_channel(&accept).await.unwrap();
    let balance = payer.balance().await.unwrap();
    assert_eq!((balance.boarding, balance.in_channels), (Amount::ZERO, sats(CAPACITY)));
    assert_eq!(balance.total(), sats(WHOLE + 1_000));
    clock.by(601);
    assert_eq!(payer.balance().await.unwrap().boarding, sats(WHOLE));
}

/// Another's double spend takes the commitment out of the chain for good: neither side calls it open any more.
#[tokio::test(flavor = "multi_thread")]
async fn commitment_reorged_out() {
    let opening = Opening::agreed().await;
    let Opening { world, payer, receiver, accept } = &opening;
    let id = payer.open_channel(accept).await.unwrap();
    world.confirm(payer, receiver, &id).await;
    pay(payer, receiver, &id, 5_000, "before");
    let late = payer.pay(&id, sats(500), "late", None).unwrap();
    let node = world.regtest.node();
    let tip = node.tip().await.unwrap().height;
    let block = node.block_hash(tip).await.unwrap().unwrap();
    node.invalidate(&block).await.unwrap();
    for wallet in [payer, receiver] {
        eventually("not open", async || {
            wallet.watch(&id).await.is_ok_and(|report| report.state == ChannelState::Confirming)
        })
        .await;
        assert_eq!(wallet.balance().await.unwrap().settled, Amount::ZERO);
    }
    let error = refused(payer.pay(&id, sats(1_000), "meanwhile", None));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Confirming, .. }), "{error}");
    let error = refused(receiver.receive(&late.message));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Confirming, .. }), "{error}");
    // It confirms again: so does the channel, with what was paid.
    world.confirm(payer, receiver, &id).await;
    pay(payer, receiver, &id, 1_000, "after");
    assert_eq!(receiver.balance().await.unwrap().receivable, sats(6_500));
}

/// What the operator claims of the funding VTXO before it is counted.
async fn claimed(claim: Claim, what: &str) {
    let opening = Opening::agreed().await;
    let Opening { world, payer, receiver, accept } = &opening;
    let id = payer.open_channel(accept).await.unwrap();
    eventually("the receiver's channel", async || receiver.channel(&id).is_ok()).await;
    let funding = receiver.channel(&id).unwrap().funding;
    world.mine(1).await;
    eventually("open", async || payer.watch(&id).await.is_ok_and(|r| r.state == ChannelState::Open)).await;
    let payment = payer.pay(&id, sats(1_000), "uncounted", None).unwrap();
    world.regtest.operator().await.faults().claim(funding, claim);
    let before = shown(receiver).await;
    let seen = async || receiver.watch(&id).await.err().map(|error| error.to_string()).unwrap_or_default();
    eventually(what, async || seen().await.contains(what)).await;
    let error = refused(receiver.watch(&id).await);
    assert!(matches!(error, WalletError::FundingNotUsable { .. } | WalletError::Channel(_)), "{error}");
    assert_eq!(shown(receiver).await, before);
    assert_eq!(receiver.channel(&id).unwrap().state, ChannelState::Confirming);
    // The payer pays into its own channel; the receiver does not count it.
    let error = refused(receiver.receive(&payment.message));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Confirming, .. }), "{error}");
    world.regtest.operator().await.faults().clear();
    eventually("open", async || receiver.watch(&id).await.is_ok_and(|r| r.state == ChannelState::Open)).await;
    assert_eq!(receiver.receive(&payment.message).unwrap().amount, sats(1_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_reported_spent() {
    claimed(Claim { spent: Some(true), ..Claim::default() }, "is spent").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_reported_swept() {
    claimed(Claim { swept: Some(true), ..Claim::default() }, "is swept").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_reported_unrolled() {
    claimed(Claim { unrolled: Some(true), ..Claim::default() }, "is on chain").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn funding_expires_too_soon() {
    let soon = i64::try_from(virtual_channels::wallet::Clock::now(&virtual_channels::wallet::SystemClock::default()))
        .unwrap()
        + 30;
    claimed(Claim { expires_at: Some(soon), ..Claim::default() }, "deadlines do not fit").await;
}

async fn offchain_proposal(opening: &Opening) -> Result<virtual_channels::wallet::Proposal, Box<WalletError>> {
    let invite = opening.receiver.create_invite(&InviteRequest::default()).unwrap();
    opening.payer.propose(&invite, &request(CAPACITY, FundingChoice::Offchain)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn preconfirmed_above_the_receivers_cap() {
    let world = World::start(Unit::Blocks).await;
    let payer = world.rich("payer", 150_000).await;
    let receiver = world.wallet("receiver").await;
    let invite = receiver.create_invite(&InviteRequest::default()).unwrap();
    let proposal = payer.propose(&invite, &request(100_001, FundingChoice::Offchain)).await.unwrap();
    let before = shown(&receiver).await;
    let error = refused(receiver.accept(&proposal.offer).await);
    let WalletError::PreconfirmedTooLarge { capacity, limit } = error else { panic!("{error}") };
    assert_eq!((capacity, limit), (sats(100_001), sats(100_000)));
    assert_eq!(shown(&receiver).await, before);
    assert_eq!(payer.balance().await.unwrap().total(), sats(150_000));
}

/// The answer to a call of an off-chain opening never comes, or is of no use: the money is held, not lost, and
/// resuming finds the channel, with the offer that the receiver needs.
async fn offchain_answer_lost(call: Call, action: Action) {
    let opening = Opening::agreed().await;
    opening.world.regtest.operator().await.faults().once(call, action);
    let id = match offchain_proposal(&opening).await {
        Ok(proposal) => proposal.channel_id.unwrap(),
        Err(_) => {
            let balance = opening.payer.balance().await.unwrap();
            assert_eq!((balance.pending, balance.total()), (sats(WHOLE), sats(WHOLE)));
            let (left, errors) = opening.payer.resume().await.unwrap();
            assert!(left == 0 && errors.is_empty(), "{errors:?}");
            opening.payer.channels().unwrap()[0].id
        }
    };
    let balance = opening.payer.balance().await.unwrap();
    assert_eq!((balance.pending, balance.in_channels), (Amount::ZERO, sats(CAPACITY)));
    assert_eq!(balance.total(), sats(WHOLE));
    let offer = opening.payer.offer(&id).unwrap();
    let Acceptance::Open(accepted) = opening.receiver.accept(&offer).await.unwrap() else { panic!("off chain") };
    assert_eq!(accepted, id);
    pay(&opening.payer, &opening.receiver, &id, 1_000, "works");
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_answer_lost() {
    offchain_answer_lost(Call::SubmitTx, Action::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_answered_with_an_error() {
    offchain_answer_lost(Call::SubmitTx, Action::AnswerError).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_answered_with_garbage() {
    offchain_answer_lost(Call::SubmitTx, Action::Garbage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_submit_never_arrives() {
    offchain_answer_lost(Call::SubmitTx, Action::Drop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_finalize_answer_lost() {
    offchain_answer_lost(Call::FinalizeTx, Action::LoseAnswer).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_finalize_never_arrives() {
    offchain_answer_lost(Call::FinalizeTx, Action::Drop).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_finalize_answered_with_an_error() {
    offchain_answer_lost(Call::FinalizeTx, Action::AnswerError).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn off_chain_refused_holds_nothing() {
    let opening = Opening::agreed().await;
    let refuse = Action::Refuse(regtest::operator::Code::VtxoRecoverable, "not now".into());
    opening.world.regtest.operator().await.faults().once(Call::SubmitTx, refuse);
    let before = shown(&opening.payer).await;
    let error = offchain_proposal(&opening).await.unwrap_err();
    let code = virtual_channels::operator::code::VTXO_RECOVERABLE;
    assert!(matches!(&*error, WalletError::Operator(error) if error.is(code)), "{error}");
    assert_eq!(shown(&opening.payer).await, before);
    assert!(matches!(refused(opening.payer.offer(&ChannelId([1; 32]))), WalletError::NotFound));
}

/// Both sides of an off-chain opening look at the funding VTXO themselves.
#[tokio::test(flavor = "multi_thread")]
async fn off_chain_funding_that_is_not_there() {
    let opening = Opening::agreed().await;
    let proposal = offchain_proposal(&opening).await.unwrap();
    let funding = opening.payer.channel(&proposal.channel_id.unwrap()).unwrap().funding;
    let before = shown(&opening.receiver).await;
    let mut offer = proposal.offer.clone();
    offer.funding = virtual_channels::channel::message::Funding::Offchain { outpoint: OutPoint { vout: 1, ..funding } };
    let error = refused(opening.receiver.accept(&offer).await);
    assert!(matches!(error, WalletError::FundingNotUsable { .. }), "{error}");
    for (claim, what) in [
        (Claim { spent: Some(true), ..Claim::default() }, "is spent"),
        (Claim { swept: Some(true), ..Claim::default() }, "is swept"),
        (Claim { unrolled: Some(true), ..Claim::default() }, "is on chain"),
    ] {
        opening.world.regtest.operator().await.faults().claim(funding, claim);
        let error = refused(opening.receiver.accept(&proposal.offer).await);
        assert!(matches!(&error, WalletError::FundingNotUsable { what: found } if found == what), "{error}");
    }
    assert_eq!(shown(&opening.receiver).await, before);
    opening.world.regtest.operator().await.faults().clear();
    opening.receiver.accept(&proposal.offer).await.unwrap();
    let other = offchain_offer_again(&opening, &proposal.offer).await;
    assert!(matches!(other, WalletError::Channel(ChannelError::InviteUsed)), "{other}");
}

/// A second channel for the same invite.
async fn offchain_offer_again(opening: &Opening, offer: &virtual_channels::channel::message::Offer) -> WalletError {
    let mut again = offer.clone();
    again.terms.capacity = sats(CAPACITY - 1);
    let point = OutPoint::new(bitcoin::Txid::from_raw_hash(bitcoin::hashes::Hash::all_zeros()), 3);
    again.funding = virtual_channels::channel::message::Funding::Offchain { outpoint: point };
    refused(opening.receiver.accept(&again).await)
}

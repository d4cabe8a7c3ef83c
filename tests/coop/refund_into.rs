//! A refund straight into a new channel.

use bitcoin::Amount;
use regtest::operator::{Action, Call, Code, Unit};
use virtual_channels::channel::AuthorisationPolicy::{AtOpen, OnClose};
use virtual_channels::channel::{ChannelError, ChannelId};
use virtual_channels::store::{ChannelState, FlowKind, FundingKind};
use virtual_channels::wallet::{
    Acceptance, EventKind, FundingChoice, InviteRequest, Proposal, ProposeRequest, WalletError,
};

use crate::case::{CAPACITY, Case, FUNDS, case, invite, kinds, request};
use crate::world::{pay, refused, sats};

/// A channel that leaves time for another one before its VTXO expires, with its locktime passed.
pub async fn ripe(unit: Unit) -> Case {
    let lifetime = match unit {
        Unit::Seconds => 30_000,
        Unit::Blocks => 130,
    };
    let case = case(unit, AtOpen, Some(lifetime)).await;
    case.pass_locktime().await;
    case
}

impl Case {
    fn request_into(&self, capacity: u64) -> ProposeRequest {
        ProposeRequest { capacity: sats(capacity), ..request(FundingChoice::Refund(self.id), AtOpen, None) }
    }

    pub async fn propose_into(&self, capacity: u64) -> Result<Proposal, Box<WalletError>> {
        let invite = self.receiver.create_invite(&invite()).unwrap();
        self.payer.propose(&invite, &self.request_into(capacity)).await
    }

    /// The new channel carries payments and is closed.
    async fn new_channel_works(&self, id: &ChannelId) {
        assert_eq!(self.state("payer"), ChannelState::Refunded);
        assert_eq!(self.step("payer", FlowKind::Refund), None);
        let offer = self.payer.offer(id).unwrap();
        let Acceptance::Open(accepted) = self.receiver.accept(&offer).await.unwrap() else { panic!("open at once") };
        assert_eq!(accepted, *id);
        let [payer, receiver] = [&self.payer, &self.receiver].map(|wallet| wallet.channel(id).unwrap());
        assert_eq!(payer.funding_kind, FundingKind::Offchain);
        assert_eq!(
            (payer.expiry, payer.close_by, payer.exit_by),
            (receiver.expiry, receiver.close_by, receiver.exit_by)
        );
        let old = self.payer.channel(&self.id).unwrap();
        assert_eq!(payer.levels, old.levels + 2, "a checkpoint and an ark transaction more");
        assert!(payer.expiry <= old.expiry, "it expires with the old one");
        pay(&self.payer, &self.receiver, id, 3_000, "in the new one");
        self.receiver.close_channel(id).await.unwrap();
        assert_eq!(self.receiver.balance().await.unwrap().preconfirmed, sats(3_000));
        assert_eq!(self.total(&self.payer).await, FUNDS - 3_000);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_capacity_in_both_units() {
    for unit in [Unit::Seconds, Unit::Blocks] {
        let case = ripe(unit).await;
        let quote =
            case.payer.quote_open(&case.receiver.create_invite(&invite()).unwrap(), &case.request_into(CAPACITY)).await;
        assert_eq!(quote.unwrap().fee, Amount::ZERO);
        let proposal = case.propose_into(CAPACITY).await.unwrap();
        let id = proposal.channel_id.unwrap();
        let events = kinds(&case.payer);
        assert!(events.iter().any(|kind| matches!(kind, EventKind::ChannelRefunded { .. })), "{events:?}");
        case.new_channel_works(&id).await;
        case.no_checkpoint_was_signed_early().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_smaller_one_with_change() {
    let case = ripe(Unit::Seconds).await;
    let error = refused(case.propose_into(CAPACITY + 1).await);
    assert!(matches!(error, WalletError::InsufficientFunds { .. }), "{error}");
    let error = refused(case.propose_into(CAPACITY - 100).await);
    assert!(matches!(error, WalletError::AmountTooSmall { amount, .. } if amount == sats(100)), "{error}");
    let proposal = case.propose_into(40_000).await.unwrap();
    let result = case.row("payer").result.unwrap();
    assert!(result.outpoint.is_some_and(|change| change.txid == result.txid && change.vout == 1));
    assert_eq!(case.payer.balance().await.unwrap().in_channels, sats(40_000));
    case.new_channel_works(&proposal.channel_id.unwrap()).await;
}

/// Not before the locktime, not where the VTXO does not live long enough, not without the receiver's consent: each
/// with its figures, and nothing begun.
#[tokio::test(flavor = "multi_thread")]
async fn refused_before_anything_is_spent() {
    let early = case(Unit::Seconds, AtOpen, None).await;
    let error = refused(early.propose_into(CAPACITY).await);
    assert!(matches!(error, WalletError::LocktimeNotReached { .. }), "{error}");
    // The default locktime leaves no time for a second channel.
    early.pass_locktime().await;
    let error = refused(early.propose_into(CAPACITY).await);
    let WalletError::Channel(ChannelError::DeadlinesDoNotFit { locktime, expiry, close_by, now, .. }) = error else {
        panic!("{error}")
    };
    assert!(close_by < now && locktime < expiry, "{locktime} {expiry} {close_by} {now}");

    let case = ripe(Unit::Seconds).await;
    let online = InviteRequest { offchain_funding: false, ..InviteRequest::default() };
    let online = case.receiver.create_invite(&online).unwrap();
    let error = refused(case.payer.propose(&online, &case.request_into(CAPACITY)).await);
    assert!(matches!(error, WalletError::Channel(ChannelError::FundingKindRefused { .. })), "{error}");
    let own = case.payer.create_invite(&invite()).unwrap();
    let error = refused(case.receiver.propose(&own, &case.request_into(CAPACITY)).await);
    assert!(matches!(error, WalletError::WrongRole { .. }), "{error}");
    for case in [&early, &case] {
        assert_eq!((case.state("payer"), case.step("payer", FlowKind::Refund)), (ChannelState::Open, None));
    }
    case.payer.refund(&case.id).await.unwrap();
    let error = refused(case.propose_into(CAPACITY).await);
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Refunded, .. }), "{error}");
}

/// The terms are in the journal first: whenever the process ends, the channel is found again.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step() {
    for (call, step) in [(Call::SubmitTx, "built"), (Call::FinalizeTx, "answered")] {
        for action in [Action::Drop, Action::LoseAnswer] {
            let mut case = ripe(Unit::Seconds).await;
            case.fault(call, action).await;
            let silent = if call == Call::SubmitTx { Call::GetPendingTx } else { Call::GetVtxos };
            case.fault(silent, Action::Drop).await;
            let error = refused(case.propose_into(CAPACITY).await);
            assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
            assert_eq!(case.step("payer", FlowKind::Refund).as_deref(), Some(step));
            case.reopen_and_resume("payer").await;
            let channels = case.payer.channels().unwrap();
            let new = channels.iter().find(|channel| channel.id != case.id).unwrap().id;
            case.new_channel_works(&new).await;
        }
    }
}

/// Finalized, and killed before the new channel was stored.
#[tokio::test(flavor = "multi_thread")]
async fn killed_before_the_new_channel_is_stored() {
    let mut case = ripe(Unit::Seconds).await;
    case.fault(Call::GetVtxoChain, Action::Drop).await;
    let error = refused(case.propose_into(CAPACITY).await);
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    assert_eq!((case.state("payer"), case.payer.channels().unwrap().len()), (ChannelState::Refunding, 1));
    case.reopen_and_resume("payer").await;
    let new = case.payer.channels().unwrap()[1].id;
    case.new_channel_works(&new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_refuses() {
    let case = ripe(Unit::Seconds).await;
    case.fault(Call::SubmitTx, Action::Refuse(Code::InvalidVtxoScript, "on purpose".into())).await;
    let error = refused(case.propose_into(CAPACITY).await);
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    assert_eq!((case.state("payer"), case.step("payer", FlowKind::Refund)), (ChannelState::Open, None));
    let proposal = case.propose_into(CAPACITY).await.unwrap();
    case.new_channel_works(&proposal.channel_id.unwrap()).await;
}

/// The receiver of the old channel closes first: the payer learns it, and there is no new channel.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_closed_first() {
    let case = case(Unit::Seconds, AtOpen, Some(30_000)).await;
    case.paid(2_000, "a");
    case.pass_locktime().await;
    let txid = case.receiver.close_channel(&case.id).await.unwrap();
    let error = refused(case.propose_into(CAPACITY).await);
    assert!(matches!(error, WalletError::AlreadySpent { spent_by: Some(by), .. } if by == txid), "{error}");
    assert_eq!((case.state("payer"), case.payer.channels().unwrap().len()), (ChannelState::Closed, 1));
    assert_eq!(case.total(&case.payer).await, FUNDS - 2_000);
}

/// The receiver checks the whole branch, through the old channel: what does not fit is refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_believes_nothing() {
    let case = ripe(Unit::Seconds).await;
    let mut proposal = case.propose_into(CAPACITY).await.unwrap();
    let good = proposal.offer.clone();
    proposal.offer.terms.capacity = sats(CAPACITY - 1);
    let error = refused(case.receiver.accept(&proposal.offer).await);
    assert!(matches!(error, WalletError::FundingNotUsable { .. }), "{error}");
    proposal.offer = good.clone();
    proposal.offer.terms.authorisation = OnClose;
    // Another channel, by its terms; the same address: the receiver's invite decides, and here it takes both.
    assert_ne!(proposal.offer.id(), good.id());
    let Acceptance::Open(id) = case.receiver.accept(&good).await.unwrap() else { panic!("open") };
    assert_eq!(Some(id), proposal.channel_id);
}

//! Giving back a channel in which nothing was paid, before its locktime.

use bitcoin::Amount;
use regtest::operator::{Action, Call, Code, Unit};
use virtual_channels::channel::AuthorisationPolicy::AtOpen;
use virtual_channels::channel::message::{CloseGrant, CloseRequest};
use virtual_channels::store::{ChannelState, FlowKind};
use virtual_channels::wallet::{EventKind, Wallet, WalletError};

use crate::case::{Case, FUNDS, case, kinds};
use crate::world::{World, eventually, refused, sats};

async fn unused() -> Case {
    case(Unit::Seconds, AtOpen, None).await
}

impl Case {
    async fn released(&self) -> CloseGrant {
        let grant = self.receiver.release_channel(&self.id).await.unwrap();
        CloseGrant::parse(&grant.to_text().unwrap()).unwrap()
    }

    /// The payer has everything, and nobody has anything left to do.
    async fn is_given_back(&self) {
        let row = self.row("payer");
        assert_eq!((row.hot.state, self.step("payer", FlowKind::Release)), (ChannelState::Closed, None));
        assert!(row.result.unwrap().outpoint.is_some() && row.submit_answer.is_some());
        let balance = self.payer.balance().await.unwrap();
        assert_eq!((balance.total(), balance.in_channels), (sats(FUNDS), Amount::ZERO));
        assert_eq!(self.state("receiver"), ChannelState::Closed);
        assert_eq!(self.row("receiver").result.unwrap().txid, row.result.unwrap().txid, "both know it by its id");
        assert_eq!(self.receiver.balance().await.unwrap().total(), Amount::ZERO);
        self.no_checkpoint_was_signed_early().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn at_once_and_before_the_locktime() {
    for unit in [Unit::Seconds, Unit::Blocks] {
        let case = case(unit, AtOpen, None).await;
        let grant = case.released().await;
        assert!(kinds(&case.receiver).iter().any(|kind| matches!(kind, EventKind::ChannelClosed { .. })));
        let txid = case.payer.close_with(&grant).await.unwrap();
        assert_eq!(case.row("payer").result.unwrap().txid, txid);
        case.is_given_back().await;
        // What came of it can be spent.
        case.world.settle(&case.payer).await;
        eventually("the result is settled", async || {
            case.payer.watch(&case.id).await.is_ok_and(|report| report.state == ChannelState::Settled)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_asks_for_it() {
    let case = unused().await;
    let request = case.payer.request_close(&case.id).unwrap();
    let request = CloseRequest::parse(&request.to_text().unwrap()).unwrap();
    let grant = case.receiver.grant_close(&request).await.unwrap();
    assert_eq!(case.state("payer"), ChannelState::Open, "asking changes nothing");
    case.payer.close_with(&grant).await.unwrap();
    case.is_given_back().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn not_one_in_which_something_was_paid() {
    let case = unused().await;
    let lost = case.pay(1_000, "on its way");
    // The payer says so, and a receiver that releases all the same must not be asked by mistake.
    let request = case.payer.request_close(&case.id).unwrap();
    let error = refused(case.receiver.grant_close(&request).await);
    assert!(matches!(error, WalletError::Paid { amount, .. } if amount == sats(1_000)), "{error}");
    case.receiver.receive(&lost).unwrap();
    let before = case.row("receiver");
    let error = refused(case.receiver.release_channel(&case.id).await);
    assert!(matches!(error, WalletError::Paid { amount, .. } if amount == sats(1_000)), "{error}");
    assert_eq!(case.row("receiver"), before);
    let error = refused(case.payer.release_channel(&case.id).await);
    assert!(matches!(error, WalletError::WrongRole { .. }), "{error}");
}

/// Receiving and giving back exclude each other, whichever comes first, in one process or two.
#[tokio::test(flavor = "multi_thread")]
async fn no_payment_counts_afterwards() {
    let case = unused().await;
    let update = case.pay(1_000, "late");
    let other = case.world.wallet("receiver").await;
    let released = case.receiver.release_channel(&case.id);
    let (released, received) = tokio::join!(released, async { other.receive(&update) });
    match (released.map_err(|error| *error), received.map_err(|error| *error)) {
        (Ok(_), Err(WalletError::WrongState { state: ChannelState::Closed, .. }))
        | (Err(WalletError::Paid { .. }), Ok(_)) => {}
        both => panic!("{both:?}"),
    }
    // In order: refused for good.
    let case = unused().await;
    let update = case.pay(1_000, "late");
    let grant = case.released().await;
    let error = refused(case.receiver.receive(&update));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closed, .. }), "{error}");
    assert_eq!(case.row("receiver").hot.update, None);
    case.payer.close_with(&grant).await.unwrap();
    case.is_given_back().await;
}

/// Killed after each step of either side.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_every_step() {
    let lost = [(Call::SubmitTx, "built"), (Call::FinalizeTx, "answered")];
    for (call, step) in lost {
        for action in [Action::Drop, Action::LoseAnswer] {
            let mut case = unused().await;
            case.released().await;
            // The message was lost with the process: it is signed again.
            case.reopen("receiver").await;
            let grant = case.released().await;
            case.fault(call, action.clone()).await;
            let silent = if call == Call::SubmitTx { Call::GetPendingTx } else { Call::GetVtxos };
            case.fault(silent, Action::Drop).await;
            let error = refused(case.payer.close_with(&grant).await);
            assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
            assert_eq!(case.step("payer", FlowKind::Release).as_deref(), Some(step));
            assert_eq!(case.state("payer"), ChannelState::Closing);
            let error = refused(case.payer.pay(&case.id, sats(1), "late", None));
            assert!(matches!(error, WalletError::WrongState { .. }), "{error}");
            case.reopen_and_resume("payer").await;
            case.is_given_back().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_refuses_it_for_now() {
    let mut case = unused().await;
    let grant = case.released().await;
    case.fault(Call::SubmitTx, Action::Refuse(Code::VtxoBanned, "for a while".into())).await;
    let error = refused(case.payer.close_with(&grant).await);
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    assert_eq!(case.step("payer", FlowKind::Release).as_deref(), Some("refused"));
    // The receiver's signatures are kept.
    case.reopen_and_resume("payer").await;
    case.is_given_back().await;
}

/// The receiver gives back what its other phone was paid in, and that one closes: the payer sees it, though it has begun
/// to take everything.
#[tokio::test(flavor = "multi_thread")]
async fn the_receivers_other_phone_closes_it() {
    let mut case = unused().await;
    case.receiver.close().unwrap();
    std::fs::copy(case.world.path("receiver"), case.world.path("other phone")).unwrap();
    let other = Wallet::open(case.world.config("other phone"), &World::mnemonic("receiver")).await.unwrap();
    case.receiver = case.world.wallet("receiver").await;
    other.receive(&case.pay(1_000, "to the other phone")).unwrap();
    let grant = case.released().await;
    case.fault(Call::SubmitTx, Action::Refuse(Code::VtxoBanned, "for a while".into())).await;
    refused(case.payer.close_with(&grant).await);
    let txid = other.close_channel(&case.id).await.unwrap();
    let error = refused(case.payer.close_with(&grant).await);
    assert!(matches!(error, WalletError::AlreadySpent { spent_by: Some(by), .. } if by == txid), "{error}");
    let row = case.row("payer");
    assert_eq!((row.hot.state, row.result.unwrap().txid), (ChannelState::Closed, txid));
    assert_eq!(case.step("payer", FlowKind::Release), None);
    assert_eq!(case.total(&case.payer).await, FUNDS - 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_checkpoint_script_changes_meanwhile() {
    let case = unused().await;
    let old = case.released().await;
    case.change(|settings| settings.checkpoint_delay += 512).await;
    let error = refused(case.payer.close_with(&old).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
    assert_eq!(case.state("payer"), ChannelState::Open);
    // Changed when it was begun already.
    let new = case.released().await;
    case.fault(Call::SubmitTx, Action::Drop).await;
    refused(case.payer.close_with(&new).await);
    case.change(|settings| settings.checkpoint_delay += 512).await;
    let error = refused(case.payer.close_with(&new).await);
    assert!(matches!(error, WalletError::ReauthorisationNeeded { .. }), "{error}");
    let newest = case.released().await;
    case.payer.close_with(&newest).await.unwrap();
    case.is_given_back().await;
}

/// A release that the operator never takes ends with the refund.
#[tokio::test(flavor = "multi_thread")]
async fn refused_until_the_locktime() {
    let case = unused().await;
    let grant = case.released().await;
    let no = Action::Refuse(Code::InvalidVtxoScript, "never".into());
    case.fault(Call::SubmitTx, no.clone()).await;
    refused(case.payer.close_with(&grant).await);
    case.fault(Call::SubmitTx, no.clone()).await;
    let error = refused(case.payer.refund(&case.id).await);
    assert!(matches!(error, WalletError::LocktimeNotReached { .. }), "{error}");
    assert!(case.step("payer", FlowKind::Release).is_some());
    case.pass_locktime().await;
    case.fault(Call::SubmitTx, no).await;
    case.payer.refund(&case.id).await.unwrap();
    assert_eq!(case.state("payer"), ChannelState::Refunded);
    assert_eq!(case.step("payer", FlowKind::Release), None);
    assert_eq!(case.total(&case.payer).await, FUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_of_somebody_else_or_for_another_channel() {
    let case = unused().await;
    let other = unused().await;
    let mut wrong = other.released().await;
    let error = refused(case.payer.close_with(&wrong).await);
    assert!(matches!(error, WalletError::NotFound), "{error}");
    wrong.channel_id = case.id;
    let error = refused(case.payer.close_with(&wrong).await);
    assert!(matches!(error, WalletError::Channel(_)), "{error}");
    assert_eq!((case.state("payer"), case.step("payer", FlowKind::Release)), (ChannelState::Open, None));
    // The right one, by the wrong side.
    let right = case.released().await;
    let error = refused(case.receiver.close_with(&right).await);
    assert!(matches!(error, WalletError::WrongRole { .. }), "{error}");
    // Taken once, it is of no use again.
    case.payer.close_with(&right).await.unwrap();
    let error = refused(case.payer.close_with(&right).await);
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closed, .. }), "{error}");
    case.is_given_back().await;
}

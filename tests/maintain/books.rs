//! An operator whose books lie: they say of a channel that it has ended, and nothing that anybody signed bears them out.

use bitcoin::hashes::Hash;
use bitcoin::{OutPoint, Psbt, Txid};
use regtest::operator::{Action, Call, Claim, Code, Unit, wire};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{ExitReason, WalletError};

use crate::case::{CAPACITY, Case, PAID, maintained, reasons};
use crate::world::{eventually, refused, sats};

/// Of a transaction that does not exist.
fn lie() -> Txid {
    Txid::from_byte_array([7; 32])
}

impl Case {
    /// From now on the books show that `ark_txid` has spent the channel, and its outputs, too.
    async fn books_say_spent_by(&self, ark_txid: Txid) {
        let funding = self.payer.channel(&self.id).unwrap().funding;
        let operator = self.world.regtest.operator().await;
        let outpoint = wire::IndexerOutpoint { txid: ark_txid.to_string(), vout: 0 };
        let output = wire::IndexerVtxo { outpoint: Some(outpoint), ..operator.vtxo(&funding).unwrap() };
        assert!(operator.put_vtxo(&output));
        let claim = Claim { spent: Some(true), ark_txid: Some(ark_txid), ..Claim::default() };
        operator.faults().claim(funding, claim);
    }

    /// The id of the ark transaction that came in last, whatever was answered.
    async fn submitted(&self) -> Txid {
        let submissions = self.world.regtest.operator().await.faults().submissions();
        let ark: Psbt = submissions.last().unwrap().signed_ark_tx.parse().unwrap();
        ark.unsigned_tx.compute_txid()
    }

    /// And it takes nothing of the channel any more.
    async fn refuses(&self, code: Code) {
        let refusal = Action::Refuse(code, "a lie".into());
        self.world.regtest.operator().await.faults().always(Call::SubmitTx, refusal);
    }
}

/// A close that nobody signed: the payer leaves before its last moment.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_is_none_does_not_keep_the_payer() {
    let case = Case::new(Unit::Blocks).await;
    case.books_say_spent_by(lie()).await;
    case.refuses(Code::VtxoAlreadySpent).await;
    let info = case.payer.channel(&case.id).unwrap();
    case.mine_to(u64::from(info.locktime.to_consensus_u32())).await;
    let report = maintained(&case.payer).await;
    assert!(report.exits.is_empty() && report.changed.is_empty(), "{report:?}");
    case.mine_to(info.payer_exit_by).await;
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Refunded);
    assert_eq!(reasons(&case.payer), [ExitReason::NotFinalized]);
    case.has_on_chain(&case.payer, CAPACITY - 3_000, 1_000_000).await;
}

/// A batch that has not expired cannot have been swept.
#[tokio::test(flavor = "multi_thread")]
async fn swept_before_its_time_does_not_keep_the_payer() {
    let case = Case::unpaid(Unit::Blocks).await;
    let info = case.payer.channel(&case.id).unwrap();
    let claim = Claim { swept: Some(true), ..Claim::default() };
    case.world.regtest.operator().await.faults().claim(info.funding, claim);
    case.refuses(Code::VtxoRecoverable).await;
    case.mine_to(info.payer_exit_by).await;
    assert_eq!(case.left_alone(&case.payer).await, ChannelState::Refunded);
    assert_eq!(reasons(&case.payer), [ExitReason::Deadline]);
}

/// A refund that nobody signed: the receiver, late as it is, gets what it was paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_refund_that_is_none_does_not_end_the_receivers_claim() {
    let case = Case::new(Unit::Blocks).await;
    let info = case.receiver.channel(&case.id).unwrap();
    case.mine_to(u64::from(info.locktime.to_consensus_u32())).await;
    case.books_say_spent_by(lie()).await;
    case.refuses(Code::VtxoAlreadySpent).await;
    let report = maintained(&case.receiver).await;
    assert!(report.exits.is_empty(), "a refund may take a moment to be shown: {report:?}");
    assert_ne!(case.state(&case.receiver), ChannelState::Lost);
    case.mine_to(info.payer_exit_by).await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    case.has_on_chain(&case.receiver, PAID - 3_000, PAID).await;
}

/// The close was submitted and never answered; the books call it done. Without the operator's signatures the receiver has
/// nothing in hand, and leaves in time.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_without_the_operators_signatures_is_not_done() {
    let case = Case::new(Unit::Blocks).await;
    case.refuses(Code::VtxoAlreadySpent).await;
    refused(case.receiver.close_channel(&case.id).await);
    case.books_say_spent_by(case.submitted().await).await;
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    assert_eq!(case.state(&case.receiver), ChannelState::Closing);
    let info = case.receiver.channel(&case.id).unwrap();
    case.mine_to(info.exit_by).await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    case.has_on_chain(&case.receiver, PAID - 3_000, PAID).await;
}

/// The same with a payment off chain: the coin stays this wallet's until the operator has signed.
#[tokio::test(flavor = "multi_thread")]
async fn a_payment_without_the_operators_signatures_is_not_done() {
    let case = Case::new(Unit::Blocks).await;
    let before = case.payer.balance().await.unwrap().total();
    let address = case.receiver.ark_address().unwrap();
    case.world.regtest.operator().await.faults().once(Call::SubmitTx, Action::Drop);
    let error = refused(case.payer.send(&address, sats(5_000)).await);
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    case.books_say_spent_by(case.submitted().await).await;
    case.refuses(Code::VtxoAlreadySpent).await;
    let (left, errors) = case.payer.resume().await.unwrap();
    assert!(left == 1 && matches!(errors.as_slice(), [WalletError::OutcomeUnknown { .. }]), "{left} {errors:?}");
    assert_eq!(case.payer.balance().await.unwrap().total(), before);
    // Once it is signed it is done.
    case.world.regtest.operator().await.faults().clear();
    let (left, errors) = case.payer.resume().await.unwrap();
    assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
    let arrived = async || case.receiver.balance().await.is_ok_and(|balance| balance.preconfirmed == sats(5_000));
    eventually("the payment", arrived).await;
}

/// A close whose transactions are not shown is none yet for the payer, whose remainder hangs on them.
#[tokio::test(flavor = "multi_thread")]
async fn a_close_that_is_not_shown_is_asked_for_again() {
    let case = Case::new(Unit::Blocks).await;
    case.receiver.close_channel(&case.id).await.unwrap();
    case.world.regtest.operator().await.faults().always(Call::GetVirtualTxs, Action::Garbage);
    let report = maintained(&case.payer).await;
    assert!(report.exits.is_empty() && report.changed.is_empty(), "{report:?}");
    assert_eq!(case.state(&case.payer), ChannelState::Open);
    case.world.regtest.operator().await.faults().clear();
    maintained(&case.payer).await;
    assert_eq!(case.state(&case.payer), ChannelState::Closed);
}

/// The receiver's output of the close is in no batch, whatever the books say, and they name one that is confirmed.
#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_is_none_does_not_end_a_closed_channel() {
    let case = Case::new(Unit::Blocks).await;
    let txid = case.receiver.close_channel(&case.id).await.unwrap();
    let batch = case.branch().nodes[0].tx.input[0].previous_output.txid;
    let claim = Claim { spent: Some(true), settled_by: Some(batch), ..Claim::default() };
    case.world.regtest.operator().await.faults().claim(OutPoint::new(txid, 0), claim);
    maintained(&case.receiver).await;
    assert_eq!(case.state(&case.receiver), ChannelState::Closed);
    case.mine_to(case.receiver.channel(&case.id).unwrap().payer_exit_by).await;
    assert_eq!(case.left_alone(&case.receiver).await, ChannelState::Settled);
    assert_eq!(reasons(&case.receiver), [ExitReason::Deadline]);
    case.has_on_chain(&case.receiver, PAID - 3_000, PAID).await;
}

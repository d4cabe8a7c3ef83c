//! An operator whose books lie: they say of a channel that it has ended, and nothing that anybody signed bears them out.

use bitcoin::Txid;
use bitcoin::hashes::Hash;
use regtest::operator::{Action, Call, Claim, Code, Unit, wire};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::ExitReason;

use crate::case::{CAPACITY, Case, PAID, maintained, reasons};

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

//! Closing, row by row: whatever the operator, the payer or a crash does to it, nothing is lost, nothing is signed
//! twice, and it can be gone on with.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use bitcoin::{Psbt, Txid};
use regtest::operator::{Action, Call, Claim, Settings, Unit};
use virtual_channels::channel::{ChannelError, ChannelId};
use virtual_channels::store::{ChannelRow, ChannelState, FlowKind, Store};
use virtual_channels::wallet::{Wallet, WalletError};

use crate::offline;
use crate::world::{World, eventually, pay, refused, sats};

const FUNDS: u64 = 100_000;
const CAPACITY: u64 = 60_000;
pub const PAID: u64 = 2_000;

/// A channel in which something has been paid, and what the operator had seen when that was done.
pub struct Case {
    pub world: World,
    pub payer: Wallet,
    pub receiver: Wallet,
    pub id: ChannelId,
    submitted: usize,
    finalized: u64,
}

pub async fn case() -> Case {
    case_of(PAID).await
}

async fn case_of(paid: u64) -> Case {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", FUNDS).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open_offchain(&payer, &receiver, CAPACITY).await;
    if paid > 0 {
        pay(&payer, &receiver, &id, paid, "all");
    }
    let mut case = Case { world, payer, receiver, id, submitted: 0, finalized: 0 };
    case.submitted = case.submissions().await.len();
    case.finalized = case.seen(Call::FinalizeTx).await;
    case
}

impl Case {
    pub async fn fault(&self, call: Call, action: Action) {
        self.world.regtest.operator().await.faults().once(call, action);
    }

    pub async fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.world.regtest.operator().await.change(change);
    }

    async fn seen(&self, call: Call) -> u64 {
        self.world.regtest.operator().await.faults().seen(call)
    }

    async fn finalizations(&self) -> u64 {
        self.seen(Call::FinalizeTx).await - self.finalized
    }

    /// What has been submitted since the channel was opened: the ark transactions. No checkpoint among it was signed.
    pub async fn submissions(&self) -> Vec<Txid> {
        let all = self.world.regtest.operator().await.faults().submissions();
        let mut txids = Vec::new();
        for submission in all.iter().skip(self.submitted) {
            for checkpoint in &submission.checkpoint_txs {
                let checkpoint = Psbt::from_str(checkpoint).unwrap();
                assert!(checkpoint.inputs.iter().all(|input| input.tap_script_sigs.is_empty()), "a signed checkpoint");
            }
            txids.push(Psbt::from_str(&submission.signed_ark_tx).unwrap().unsigned_tx.compute_txid());
        }
        txids
    }

    /// How many different ark transactions that were.
    async fn different_submissions(&self) -> usize {
        self.submissions().await.into_iter().collect::<BTreeSet<_>>().len()
    }

    pub fn row(&self, name: &str) -> ChannelRow {
        offline::row(&self.world.path(name), &self.id)
    }

    fn state(&self) -> ChannelState {
        self.row("receiver").hot.state
    }

    /// The step of the flow in the journal, if there is one.
    pub fn step(&self, name: &str, kind: FlowKind) -> Option<String> {
        let store = Store::open(&self.world.path(name)).unwrap();
        store.read(|db| db.flows_of(kind)).unwrap().pop().map(|flow| flow.step)
    }

    pub fn close_step(&self) -> Option<String> {
        self.step("receiver", FlowKind::Close)
    }

    pub async fn close_refused(&self) -> WalletError {
        refused(self.receiver.close_channel(&self.id).await)
    }

    /// Refused while nothing had begun: the channel is as it was.
    pub async fn refused_and_open(&self) -> WalletError {
        let before = self.row("receiver");
        let error = self.close_refused().await;
        let after = self.row("receiver");
        assert_eq!((after.hot, after.authorisation), (before.hot, before.authorisation), "{error}");
        assert_eq!(self.close_step(), None);
        assert!(self.submissions().await.is_empty());
        error
    }

    /// Refused on the way: nothing was finalized, and what was paid is still there.
    pub async fn refused_and_closing(&self) -> WalletError {
        let before = self.row("receiver").hot.update;
        let error = self.close_refused().await;
        let row = self.row("receiver");
        assert_eq!((row.hot.state, row.hot.update), (ChannelState::Closing, before), "{error}");
        assert_eq!(self.finalizations().await, 0, "{error}");
        assert!(self.close_step().is_some());
        error
    }

    /// As after a crash: the wallet is opened again from its file and goes on.
    async fn crash_and_resume(&mut self) {
        self.receiver.close().unwrap();
        self.receiver = self.world.wallet("receiver").await;
        let (left, errors) = self.receiver.resume().await.unwrap();
        assert_eq!(left, 0, "{errors:?}");
        assert!(errors.is_empty(), "{errors:?}");
    }

    /// Everybody has what belongs to them, and one ark transaction did it.
    pub async fn closed_at(&self, amount: u64) {
        let row = self.row("receiver");
        assert_eq!(row.hot.state, ChannelState::Closed);
        assert_eq!(self.close_step(), None);
        let result = row.result.unwrap();
        assert_eq!(self.submissions().await.last(), Some(&result.txid));
        assert_eq!(self.receiver.balance().await.unwrap().preconfirmed, sats(amount));
        eventually("the payer sees the close", async || {
            self.payer.watch(&self.id).await.is_ok_and(|report| report.state == ChannelState::Closed)
        })
        .await;
        assert_eq!(self.payer.balance().await.unwrap().total(), sats(FUNDS - amount));
        assert!(self.row("payer").submit_answer.is_some(), "what the payer's remainder depends on is kept");
    }

    pub async fn closes(&self) {
        self.receiver.close_channel(&self.id).await.unwrap();
        self.closed_at(PAID).await;
        assert_eq!(self.different_submissions().await, 1);
    }

    /// In `closing`, with nothing at the operator.
    pub async fn begun(&self) {
        self.fault(Call::SubmitTx, Action::Drop).await;
        let error = self.refused_and_closing().await;
        assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    }
}

pub fn is_unknown(error: &WalletError) -> bool {
    matches!(error, WalletError::OutcomeUnknown { .. })
}

#[tokio::test(flavor = "multi_thread")]
async fn with_zero_payments() {
    let case = case_of(0).await;
    let error = case.refused_and_open().await;
    assert!(matches!(error, WalletError::Channel(ChannelError::NothingPaid)), "{error}");
    pay(&case.payer, &case.receiver, &case.id, PAID, "still open");
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_n_payments_and_twice() {
    let case = case().await;
    for n in 0..10 {
        pay(&case.payer, &case.receiver, &case.id, 1, &format!("{n}"));
    }
    case.receiver.close_channel(&case.id).await.unwrap();
    case.closed_at(PAID + 10).await;
    let before = case.row("receiver");
    let again = case.close_refused().await;
    assert!(matches!(again, WalletError::WrongState { state: ChannelState::Closed, .. }), "{again}");
    assert_eq!(case.row("receiver"), before);
    // The payer learns it, too, and pays no more.
    let late = refused(case.payer.pay(&case.id, sats(1), "late", None));
    assert!(matches!(late, WalletError::WrongState { state: ChannelState::Closed, .. }), "{late}");
}

#[tokio::test(flavor = "multi_thread")]
async fn at_full_capacity() {
    let case = case_of(CAPACITY).await;
    case.receiver.close_channel(&case.id).await.unwrap();
    case.closed_at(CAPACITY).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_wallets_on_one_database_close_at_once() {
    let case = case().await;
    let other = case.world.wallet("receiver").await;
    let (one, two) = tokio::join!(case.receiver.close_channel(&case.id), other.close_channel(&case.id));
    assert!(one.is_ok() || two.is_ok(), "{one:?} {two:?}");
    let _ = other.resume().await.unwrap();
    case.closed_at(PAID).await;
    assert_eq!(case.different_submissions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_submit_before_the_answer_is_stored() {
    let mut case = case().await;
    case.fault(Call::SubmitTx, Action::LoseAnswer).await;
    case.fault(Call::GetPendingTx, Action::Drop).await;
    let error = case.refused_and_closing().await;
    assert!(is_unknown(&error), "{error}");
    assert_eq!((case.close_step().as_deref(), case.row("receiver").submit_answer), (Some("built"), None));
    // The lost answer may have broken the connection before the second call came to its fault.
    case.world.regtest.operator().await.faults().clear();
    case.crash_and_resume().await;
    case.closed_at(PAID).await;
    assert_eq!(case.different_submissions().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_the_answer_is_stored() {
    let mut case = case().await;
    case.fault(Call::FinalizeTx, Action::Drop).await;
    let error = case.close_refused().await;
    assert!(is_unknown(&error), "{error}");
    assert_eq!(case.close_step().as_deref(), Some("answered"));
    assert!(case.row("receiver").submit_answer.is_some(), "what a way on chain needs");
    case.crash_and_resume().await;
    case.closed_at(PAID).await;
    assert_eq!(case.submissions().await.len(), 1, "it was not submitted again");
}

#[tokio::test(flavor = "multi_thread")]
async fn crash_after_finalize() {
    let mut case = case().await;
    case.fault(Call::FinalizeTx, Action::LoseAnswer).await;
    case.fault(Call::GetVtxos, Action::Drop).await;
    let error = case.close_refused().await;
    assert!(is_unknown(&error), "{error}");
    assert_eq!((case.state(), case.close_step().as_deref()), (ChannelState::Closing, Some("answered")));
    // The lost answer may have broken the connection before the second call came to its fault.
    case.world.regtest.operator().await.faults().clear();
    case.crash_and_resume().await;
    case.closed_at(PAID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_unreachable() {
    let mut case = case().await;
    case.world.regtest.stop_operator().await;
    let before = case.row("receiver");
    let error = case.close_refused().await;
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    assert_eq!((case.row("receiver"), case.close_step()), (before, None));
    case.world.regtest.start_operator().await.unwrap();
    case.begun().await;
    case.world.regtest.stop_operator().await;
    let error = case.close_refused().await;
    assert!(matches!(error, WalletError::Operator(_) | WalletError::OutcomeUnknown { .. }), "{error}");
    assert_eq!(case.state(), ChannelState::Closing);
    case.world.regtest.start_operator().await.unwrap();
    case.crash_and_resume().await;
    case.closed_at(PAID).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_does_not_answer_in_time() {
    let case = case().await;
    case.fault(Call::SubmitTx, Action::Hang).await;
    let error = case.refused_and_closing().await;
    assert!(is_unknown(&error), "{error}");
    case.closes().await;
}

/// The caller's future is dropped while FinalizeTx runs: that call goes on, for arkd fails a transaction for good whose
/// call is torn out of the wire.
#[tokio::test(flavor = "multi_thread")]
async fn the_app_gives_up_waiting_while_it_is_finalized() {
    let case = case().await;
    case.fault(Call::FinalizeTx, Action::Delay(Duration::from_secs(2))).await;
    {
        let closing = case.receiver.close_channel(&case.id);
        tokio::pin!(closing);
        let finalizing = eventually("the last call", async || case.finalizations().await > 0);
        tokio::select! {
            result = &mut closing => panic!("{result:?}"),
            () = finalizing => {}
        }
    }
    let closed = async || case.payer.watch(&case.id).await.is_ok_and(|report| report.state == ChannelState::Closed);
    eventually("the payer sees the close", closed).await;
    assert_eq!((case.state(), case.close_step().as_deref()), (ChannelState::Closing, Some("answered")));
    case.receiver.resume().await.unwrap();
    assert_eq!((case.state(), case.finalizations().await), (ChannelState::Closed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_app_gives_up_waiting() {
    let case = case().await;
    case.fault(Call::SubmitTx, Action::Hang).await;
    {
        let closing = case.receiver.close_channel(&case.id);
        tokio::pin!(closing);
        let submitted = eventually("the submission", async || !case.submissions().await.is_empty());
        tokio::select! {
            result = &mut closing => panic!("{result:?}"),
            () = submitted => {}
        }
    }
    assert_eq!(case.state(), ChannelState::Closing);
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_restored_from_a_file_older_than_the_authorisation() {
    let mut case = case_of(0).await;
    case.receiver.close().unwrap();
    let copy = case.world.path("copy of the receiver");
    std::fs::copy(case.world.path("receiver"), &copy).unwrap();
    case.receiver = case.world.wallet("receiver").await;
    pay(&case.payer, &case.receiver, &case.id, PAID, "a");
    case.payer.acknowledge(&case.receiver.receipt(&case.id, None).unwrap()).unwrap();
    case.receiver.close().unwrap();
    offline::restore(&case.world.path("receiver"), &copy);
    case.receiver = case.world.wallet("receiver").await;

    let mut latest = case.payer.latest_update(&case.id).unwrap().message;
    assert!(latest.authorisation.take().is_some());
    let error = refused(case.receiver.receive(&latest));
    assert!(matches!(error, WalletError::Channel(ChannelError::MissingAuthorisation { .. })), "{error}");
    let again = case.payer.reauthorise(&case.id).await.unwrap().message;
    assert_eq!(case.receiver.receive(&again).unwrap().amount, sats(PAID));
    case.closes().await;
}

/// The payer believes its own terms, not the books.
#[tokio::test(flavor = "multi_thread")]
async fn the_payer_is_told_of_a_close_that_is_none() {
    let case = case().await;
    let funding = case.row("payer").record.funding;
    let claim = Claim { spent: Some(true), ..Claim::default() };
    case.world.regtest.operator().await.faults().claim(funding, claim);
    assert_eq!(case.payer.watch(&case.id).await.unwrap().state, ChannelState::Open);
    case.world.regtest.operator().await.faults().clear();
    // Submitted, and not finalized yet: nothing is decided.
    case.fault(Call::FinalizeTx, Action::Drop).await;
    case.close_refused().await;
    let report = case.payer.watch(&case.id).await.unwrap();
    assert_eq!((report.state, report.spent_by.is_some()), (ChannelState::Open, true));
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_withholds_the_transactions_of_a_close() {
    let case = case().await;
    case.receiver.close_channel(&case.id).await.unwrap();
    case.fault(Call::GetVirtualTxs, Action::Garbage).await;
    // The payer's remainder depends on them: without them it is none.
    assert_eq!(case.payer.watch(&case.id).await.unwrap().state, ChannelState::Open);
    assert_eq!(case.row("payer").submit_answer, None);
    assert_eq!(case.payer.watch(&case.id).await.unwrap().state, ChannelState::Closed);
    assert!(case.row("payer").submit_answer.is_some());
    assert_eq!(case.payer.balance().await.unwrap().total(), sats(FUNDS - PAID));
}

//! Refunding, row by row: only after the locktime as the chain counts it, exactly one of payer and receiver, and no
//! lost answer strands the money.

use bitcoin::Txid;
use regtest::operator::{Action, Call, Code, Unit};
use virtual_channels::channel::ChannelId;
use virtual_channels::operator::{Operator, code};
use virtual_channels::store::{ChannelRow, ChannelState, FlowKind, HotRow, Store};
use virtual_channels::wallet::{Clock, SystemClock, Wallet, WalletError};

use crate::offline::{self, FakeClock};
use crate::world::{World, eventually, pay, refused, sats};

const FUNDS: u64 = 100_000;
const CAPACITY: u64 = 60_000;
const PAID: u64 = 2_000;

struct Case {
    world: World,
    payer: Wallet,
    receiver: Wallet,
    id: ChannelId,
    locktime: u64,
}

async fn case_in(unit: Unit) -> Case {
    let world = World::start(unit).await;
    let payer = world.rich("payer", FUNDS).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open_offchain(&payer, &receiver, CAPACITY).await;
    pay(&payer, &receiver, &id, PAID, "a");
    let locktime = payer.channel(&id).unwrap().locktime.to_consensus_u32().into();
    Case { world, payer, receiver, id, locktime }
}

/// A channel whose locktime has passed by the chain's median time.
async fn ripe() -> Case {
    let case = case_in(Unit::Seconds).await;
    case.pass_time().await;
    case
}

impl Case {
    async fn pass_time(&self) {
        let ahead = self.locktime - SystemClock::default().now() + 60;
        self.world.regtest.node().generate_after(11, ahead).await.unwrap();
        eventually("the chain's time", async || {
            self.world.regtest.node().tip().await.is_ok_and(|tip| tip.median_time >= self.locktime)
        })
        .await;
    }

    async fn fault(&self, call: Call, action: Action) {
        self.world.regtest.operator().await.faults().once(call, action);
    }

    async fn submissions(&self) -> usize {
        self.world.regtest.operator().await.faults().submissions().len()
    }

    fn row(&self) -> ChannelRow {
        offline::row(&self.world.path("payer"), &self.id)
    }

    fn step(&self) -> Option<String> {
        let store = Store::open(&self.world.path("payer")).unwrap();
        store.read(|db| db.flows_of(FlowKind::Refund)).unwrap().pop().map(|flow| flow.step)
    }

    async fn refund_refused(&self) -> WalletError {
        refused(self.payer.refund(&self.id).await)
    }

    /// Refused, and everything as it was.
    async fn refused_and_open(&self) -> WalletError {
        let before = self.row().hot;
        let error = self.refund_refused().await;
        let after = self.row().hot;
        // A look at the channel may be part of it.
        let before = HotRow { last_watch: after.last_watch, ..before };
        assert!(after == before && self.step().is_none(), "{error}");
        error
    }

    async fn crash_and_resume(&mut self) {
        self.payer.close().unwrap();
        self.payer = self.world.wallet("payer").await;
        let (left, errors) = self.payer.resume().await.unwrap();
        assert!(left == 0 && errors.is_empty(), "{left} {errors:?}");
    }

    async fn refunded(&self) {
        let row = self.row();
        assert_eq!((row.hot.state, self.step()), (ChannelState::Refunded, None));
        assert!(row.result.unwrap().outpoint.is_some());
        let balance = self.payer.balance().await.unwrap();
        assert_eq!((balance.total(), balance.in_channels), (sats(FUNDS), sats(0)));
    }

    async fn refunds(&self) -> Txid {
        let txid = self.payer.refund(&self.id).await.unwrap();
        assert_eq!(self.row().result.unwrap().txid, txid);
        self.refunded().await;
        txid
    }
}

fn not_reached(error: WalletError) -> (u64, u64) {
    match error {
        WalletError::LocktimeNotReached { locktime, now, .. } => (locktime, now),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_and_after_the_locktime_by_median_time() {
    let mut case = case_in(Unit::Seconds).await;
    let submitted = case.submissions().await;
    let (locktime, now) = not_reached(case.refused_and_open().await);
    assert!(locktime == case.locktime && now < locktime, "{now} {locktime}");

    // A wall clock ahead of it does not count.
    case.payer.close().unwrap();
    let mut config = case.world.config("payer");
    config.clock = FakeClock::at(case.locktime + 3_600);
    case.payer = Wallet::open(config, &World::mnemonic("payer")).await.unwrap();
    let (_, now) = not_reached(case.refused_and_open().await);
    assert!(now < case.locktime, "{now}");

    // Nor does a single block: the median of the last eleven is what counts.
    let ahead = case.locktime - SystemClock::default().now() + 60;
    case.world.regtest.node().generate_after(1, ahead).await.unwrap();
    let (_, now) = not_reached(case.refused_and_open().await);
    assert!(now < case.locktime, "{now}");
    assert_eq!(case.submissions().await, submitted, "nothing was asked of the operator");

    case.world.mine(10).await;
    eventually("the refund", async || case.payer.refund(&case.id).await.is_ok()).await;
    case.refunded().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_and_after_the_locktime_by_height() {
    let case = case_in(Unit::Blocks).await;
    let height = case.world.regtest.node().tip().await.unwrap().height;
    case.world.mine(case.locktime as u32 - height - 1).await;
    assert_eq!(not_reached(case.refused_and_open().await), (case.locktime, case.locktime - 1));
    case.world.mine(1).await;
    eventually("the refund", async || case.payer.refund(&case.id).await.is_ok()).await;
    case.refunded().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_payer_and_only_once() {
    let case = ripe().await;
    let error = refused(case.receiver.refund(&case.id).await);
    assert!(matches!(error, WalletError::WrongRole { .. }), "{error}");
    case.refunds().await;
    let before = case.row();
    let error = case.refund_refused().await;
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Refunded, .. }), "{error}");
    let error = refused(case.payer.pay(&case.id, sats(1), "late", None));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Refunded, .. }), "{error}");
    assert_eq!(case.row(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_closed_first() {
    let case = ripe().await;
    let txid = case.receiver.close_channel(&case.id).await.unwrap();
    let error = case.refund_refused().await;
    let WalletError::AlreadySpent { channel_id, spent_by } = error else { panic!("{error}") };
    assert_eq!((channel_id, spent_by), (case.id, Some(txid)));
    // The payer has learnt of the close: the rest is its own.
    assert_eq!((case.row().hot.state, case.step()), (ChannelState::Closed, None));
    assert_eq!(case.row().result.unwrap().txid, txid);
    assert_eq!(case.payer.balance().await.unwrap().total(), sats(FUNDS - PAID));
    let error = case.refund_refused().await;
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closed, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payers_watch_sees_the_close() {
    let case = ripe().await;
    let txid = case.receiver.close_channel(&case.id).await.unwrap();
    eventually("the close", async || {
        case.payer.watch(&case.id).await.is_ok_and(|report| report.state == ChannelState::Closed)
    })
    .await;
    assert_eq!(case.row().result.unwrap().txid, txid);
    let error = case.refund_refused().await;
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closed, .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_payer_refunded_first() {
    let case = ripe().await;
    let txid = case.refunds().await;
    let error = refused(case.receiver.close_channel(&case.id).await);
    let WalletError::AlreadySpent { channel_id, spent_by } = error else { panic!("{error}") };
    assert_eq!((channel_id, spent_by), (case.id, Some(txid)));
    let report = case.receiver.watch(&case.id).await.unwrap();
    assert_eq!(report.spent_by, Some(txid));
    let balance = case.receiver.balance().await.unwrap();
    assert_eq!((balance.preconfirmed, balance.settled), (sats(0), sats(0)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_that_exactly_one_wins() {
    let case = ripe().await;
    let (refund, close) = tokio::join!(case.payer.refund(&case.id), case.receiver.close_channel(&case.id));
    let (loser, winner) = match (refund, close) {
        (Ok(txid), Err(error)) => (error, txid),
        (Err(error), Ok(txid)) => (error, txid),
        both => panic!("{both:?}"),
    };
    let WalletError::AlreadySpent { spent_by, .. } = *loser else { panic!("{loser}") };
    assert_eq!(spent_by, Some(winner));
    let total = case.payer.balance().await.unwrap().total() + case.receiver.balance().await.unwrap().total();
    assert_eq!(total, sats(FUNDS));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_refuses() {
    let case = ripe().await;
    case.fault(Call::SubmitTx, Action::Refuse(Code::InvalidVtxoScript, "on purpose".into())).await;
    let error = case.refused_and_open().await;
    let WalletError::Operator(error) = error else { panic!("{error}") };
    assert!(error.is(code::INVALID_VTXO_SCRIPT), "{error}");
    // An operator whose own view of the chain is behind.
    let tip = (1, case.locktime - 1);
    case.world.regtest.operator().await.change(|settings| settings.pretend_tip = Some(tip));
    let (locktime, _) = not_reached(case.refused_and_open().await);
    assert_eq!(locktime, case.locktime);
    case.world.regtest.operator().await.change(|settings| settings.pretend_tip = None);
    case.refunds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_away() {
    let case = ripe().await;
    case.world.regtest.stop_operator().await;
    let error = case.refused_and_open().await;
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    case.world.regtest.start_operator().await.unwrap();
    case.refunds().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_submit_is_lost() {
    let mut case = ripe().await;
    case.fault(Call::SubmitTx, Action::LoseAnswer).await;
    case.fault(Call::GetPendingTx, Action::Drop).await;
    let error = case.refund_refused().await;
    let WalletError::OutcomeUnknown { ark_txid } = error else { panic!("{error}") };
    assert_eq!(case.step().as_deref(), Some("built"));
    // The lost answer may have broken the connection before the second call came to its fault.
    case.world.regtest.operator().await.faults().clear();
    case.crash_and_resume().await;
    case.refunded().await;
    assert_eq!(case.row().result.unwrap().txid, ark_txid, "the very transaction that the operator holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_finalize_is_lost() {
    let mut case = ripe().await;
    case.fault(Call::FinalizeTx, Action::LoseAnswer).await;
    case.fault(Call::GetVtxos, Action::Drop).await;
    let error = case.refund_refused().await;
    let WalletError::OutcomeUnknown { ark_txid } = error else { panic!("{error}") };
    assert_eq!((case.step().as_deref(), case.row().hot.state), (Some("answered"), ChannelState::Refunding));
    // The lost answer may have broken the connection before the second call came to its fault.
    case.world.regtest.operator().await.faults().clear();
    // Meanwhile the books show the VTXO as spent: by our own refund, not by the receiver.
    assert_eq!(case.payer.watch(&case.id).await.unwrap().state, ChannelState::Refunding);
    case.crash_and_resume().await;
    case.refunded().await;
    assert_eq!(case.row().result.unwrap().txid, ark_txid);
}

#[tokio::test(flavor = "multi_thread")]
async fn our_finalize_is_dropped() {
    let mut case = ripe().await;
    case.fault(Call::FinalizeTx, Action::Drop).await;
    let error = case.refund_refused().await;
    assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    case.crash_and_resume().await;
    case.refunded().await;
}

/// An operator that takes the refund and answers something of no use: a new refund would pay another address and could
/// never be accepted, so it is the same one that goes on.
#[tokio::test(flavor = "multi_thread")]
async fn the_operator_takes_it_and_answers_garbage() {
    for action in [Action::Garbage, Action::AnswerError] {
        let case = ripe().await;
        case.fault(Call::SubmitTx, action).await;
        case.fault(Call::GetPendingTx, Action::Garbage).await;
        case.refund_refused().await;
        assert_eq!((case.step().as_deref(), case.row().hot.state), (Some("built"), ChannelState::Open));
        case.refunds().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_submitted_and_never_finalized() {
    let case = ripe().await;
    case.fault(Call::FinalizeTx, Action::Drop).await;
    let error = refused(case.receiver.close_channel(&case.id).await);
    let WalletError::OutcomeUnknown { ark_txid } = error else { panic!("{error}") };
    // The VTXO is spent in the books, and nobody has anything yet: that is said, and nothing is decided.
    for _ in 0..2 {
        let error = case.refused_and_open().await;
        let WalletError::AlreadySpent { spent_by, .. } = error else { panic!("{error}") };
        assert_eq!(spent_by, Some(ark_txid));
    }
    assert!(case.payer.channel(&case.id).unwrap().payer_exit_by > case.locktime, "there is time to act on chain");
    assert_eq!(case.receiver.close_channel(&case.id).await.unwrap(), ark_txid);
    let error = case.refund_refused().await;
    assert!(matches!(error, WalletError::AlreadySpent { .. }), "{error}");
    assert_eq!(case.row().hot.state, ChannelState::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_poisons_the_refund() {
    let mut case = ripe().await;
    let clock = FakeClock::at(case.locktime);
    case.payer.close().unwrap();
    let mut config = case.world.config("payer");
    config.clock = clock.clone();
    case.payer = Wallet::open(config, &World::mnemonic("payer")).await.unwrap();
    case.fault(Call::FinalizeTx, Action::Drop).await;
    let error = case.refund_refused().await;
    let WalletError::OutcomeUnknown { ark_txid } = error else { panic!("{error}") };
    // The books name the transaction, so the receiver can spoil it.
    let submission = case.world.regtest.operator().await.faults().submissions().pop().unwrap();
    let unsigned: bitcoin::Psbt = submission.checkpoint_txs[0].parse().unwrap();
    let thief = Operator::connect(case.world.regtest.operator_url()).await.unwrap();
    assert!(thief.finalize_txid(ark_txid, &[unsigned]).await.is_err());
    let first = case.refund_refused().await;
    assert!(matches!(first, WalletError::OutcomeUnknown { .. }), "{first}");
    clock.advance(61);
    let error = case.refund_refused().await;
    assert!(matches!(error, WalletError::FinalizeFailed { ark_txid: dead, .. } if dead == ark_txid), "{error}");
    // What a way on chain needs is kept.
    let row = case.row();
    assert_eq!((row.hot.state, case.step().as_deref()), (ChannelState::Refunding, Some("answered")));
    assert!(row.submit_answer.is_some());
}

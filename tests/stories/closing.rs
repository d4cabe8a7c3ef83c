//! Closing, row by row: whatever the operator, the payer or a crash does to it, nothing is lost, nothing is signed
//! twice, and it can be gone on with.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::{Psbt, Txid};
use regtest::operator::{Action, Call, Code, Knob, Settings, Unit};
use virtual_channels::channel::{ChannelError, ChannelId};
use virtual_channels::operator::{Operator, OperatorError, code};
use virtual_channels::store::{ChannelRow, ChannelState, FlowKind, Store};
use virtual_channels::wallet::{Wallet, WalletError};

use crate::offline::{self, FakeClock};
use crate::world::{World, eventually, pay, refused, sats};

const FUNDS: u64 = 100_000;
const CAPACITY: u64 = 60_000;
const PAID: u64 = 2_000;

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

    fn close_step(&self) -> Option<String> {
        self.step("receiver", FlowKind::Close)
    }

    async fn close_refused(&self) -> WalletError {
        refused(self.receiver.close_channel(&self.id).await)
    }

    /// Refused while nothing had begun: the channel is as it was.
    async fn refused_and_open(&self) -> WalletError {
        let before = self.row("receiver");
        let error = self.close_refused().await;
        let after = self.row("receiver");
        assert_eq!((after.hot, after.authorisation), (before.hot, before.authorisation), "{error}");
        assert_eq!(self.close_step(), None);
        assert!(self.submissions().await.is_empty());
        error
    }

    /// Refused on the way: nothing was finalized, and what was paid is still there.
    async fn refused_and_closing(&self) -> WalletError {
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
    async fn closed_at(&self, amount: u64) {
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
    }

    async fn closes(&self) {
        self.receiver.close_channel(&self.id).await.unwrap();
        self.closed_at(PAID).await;
        assert_eq!(self.different_submissions().await, 1);
    }

    /// In `closing`, with nothing at the operator.
    async fn begun(&self) {
        self.fault(Call::SubmitTx, Action::Drop).await;
        let error = self.refused_and_closing().await;
        assert!(matches!(error, WalletError::OutcomeUnknown { .. }), "{error}");
    }
}

fn refusal(error: &WalletError) -> Option<i32> {
    match error {
        WalletError::Operator(error) => error.arkd().and_then(|arkd| arkd.code),
        _ => None,
    }
}

fn is_unknown(error: &WalletError) -> bool {
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
async fn the_operator_answers_garbage() {
    let case = case().await;
    // It has taken the transaction: only the same one can be gone on with.
    case.fault(Call::SubmitTx, Action::Garbage).await;
    case.fault(Call::GetPendingTx, Action::Garbage).await;
    let error = case.refused_and_closing().await;
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    case.fault(Call::GetPendingTx, Action::RawGarbage).await;
    let error = case.refused_and_closing().await;
    assert!(is_unknown(&error), "{error}");
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_answers_with_an_error_after_it_took_the_transaction() {
    let case = case().await;
    case.fault(Call::SubmitTx, Action::AnswerError).await;
    case.fault(Call::GetPendingTx, Action::Drop).await;
    let error = case.refused_and_closing().await;
    assert!(is_unknown(&error), "{error}");
    // `submissions` has looked: it holds no signed checkpoint.
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_refuses_after_it_saw_the_transaction() {
    let case = case().await;
    for wrong in [Code::Internal, Code::InvalidSignature, Code::ArkTxMismatch, Code::TxTooLarge] {
        case.fault(Call::SubmitTx, Action::Refuse(wrong, "on purpose".into())).await;
        let error = case.refused_and_closing().await;
        assert!(refusal(&error).is_some(), "{error}");
        assert_eq!(case.close_step().as_deref(), Some("built"));
    }
    // It has signatures over the ark transaction at this amount: no other amount is ever signed.
    let more = case.payer.pay(&case.id, sats(500), "more", None).unwrap().message;
    let before = case.row("receiver");
    let error = refused(case.receiver.receive(&more));
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Closing, .. }), "{error}");
    assert_eq!(case.row("receiver"), before);
    case.closes().await;
}

/// A wrong answer to SubmitTx: nothing is finalized, no checkpoint is signed, and the honest answer closes the channel.
async fn wrong_answer(knob: Knob) {
    let case = case().await;
    case.world.regtest.operator().await.faults().turn_once(knob);
    // Without this the honest answer would be found at once.
    case.fault(Call::GetPendingTx, Action::Status(tonic::Code::Internal, "not now".into())).await;
    let error = case.refused_and_closing().await;
    assert!(matches!(error, WalletError::Operator(_)), "{error}");
    assert_eq!((case.close_step().as_deref(), case.row("receiver").submit_answer), (Some("built"), None));
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_on_the_checkpoint() {
    wrong_answer(Knob::WrongCheckpointSignature).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signature_on_the_checkpoint() {
    wrong_answer(Knob::MissingCheckpointSignature).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_checkpoint() {
    wrong_answer(Knob::OtherCheckpoint).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_signature_on_the_ark_transaction() {
    wrong_answer(Knob::WrongArkSignature).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_signature_on_the_ark_transaction() {
    wrong_answer(Knob::MissingArkSignature).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_raised_above_the_amount() {
    let case = case().await;
    case.change(|settings| settings.vtxo_min = 5_000).await;
    let error = case.refused_and_open().await;
    let WalletError::Channel(ChannelError::ImpossibleAmount { amount, min, above, .. }) = error else {
        panic!("{error}")
    };
    assert_eq!((amount, min, above), (sats(PAID), sats(5_000), Some(sats(5_000))));
    case.change(|settings| settings.vtxo_min = 1).await;
    case.begun().await;
    case.change(|settings| settings.vtxo_min = 5_000).await;
    let error = case.refused_and_closing().await;
    assert_eq!(refusal(&error), Some(code::AMOUNT_TOO_LOW), "{error}");
    let WalletError::Operator(error) = error else { panic!("{error}") };
    assert_eq!(error.arkd().unwrap().number("amount"), Some(PAID as f64));
    case.change(|settings| settings.vtxo_min = 1).await;
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digest_mismatch() {
    let case = case().await;
    case.begun().await;
    // Something that clients are told of changes: the first try is refused, the second has the new digest.
    case.change(|settings| settings.fees.offchain_input = "1.0".into()).await;
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn digest_mismatch_that_does_not_end() {
    let case = case().await;
    for _ in 0..2 {
        case.fault(Call::SubmitTx, Action::Refuse(Code::DigestMismatch, "again".into())).await;
    }
    let error = case.refused_and_closing().await;
    assert_eq!(refusal(&error), Some(code::DIGEST_MISMATCH), "{error}");
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn vtxo_already_unrolled() {
    let case = case().await;
    case.fault(Call::SubmitTx, Action::Refuse(Code::VtxoAlreadyUnrolled, "on chain".into())).await;
    let error = case.refused_and_closing().await;
    assert!(matches!(error, WalletError::Unrolled { channel_id } if channel_id == case.id), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn vtxo_recoverable_since_it_expired() {
    let case = case().await;
    case.change(|settings| settings.clock_shift += 10 * 24 * 3600).await;
    let error = case.refused_and_closing().await;
    let WalletError::Expired { channel_id, amount } = error else { panic!("{error}") };
    assert_eq!((channel_id, amount), (case.id, sats(PAID)), "what is lost is said plainly");
}

#[tokio::test(flavor = "multi_thread")]
async fn vtxo_banned_passes() {
    let case = case().await;
    case.fault(Call::SubmitTx, Action::Refuse(Code::VtxoBanned, "for a while".into())).await;
    let error = case.refused_and_closing().await;
    let WalletError::Operator(error) = error else { panic!("{error}") };
    assert!(error.is_banned());
    case.closes().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_finalizes_with_garbage_first() {
    let mut case = case().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let clock = FakeClock::at(now);
    case.receiver.close().unwrap();
    let mut config = case.world.config("receiver");
    config.clock = clock.clone();
    case.receiver = Wallet::open(config, &World::mnemonic("receiver")).await.unwrap();
    case.fault(Call::FinalizeTx, Action::Drop).await;
    let error = case.close_refused().await;
    assert!(is_unknown(&error), "{error}");

    // Whoever knows the id can spoil it: a checkpoint without signatures is enough.
    let ark_txid = case.submissions().await[0];
    let submission = case.world.regtest.operator().await.faults().submissions().pop().unwrap();
    let unsigned = Psbt::from_str(&submission.checkpoint_txs[0]).unwrap();
    let thief = Operator::connect(case.world.regtest.operator_url()).await.unwrap();
    let spoilt = thief.finalize_txid(ark_txid, &[unsigned]).await;
    assert!(matches!(&spoilt, Err(error) if error.is(code::INVALID_SIGNATURE)), "{spoilt:?}");

    let first = case.close_refused().await;
    assert!(is_unknown(&first), "one look is not enough: {first}");
    clock.advance(61);
    for _ in 0..2 {
        let error = case.close_refused().await;
        let WalletError::FinalizeFailed { ark_txid: dead, .. } = error else { panic!("{error}") };
        assert_eq!(dead, ark_txid);
    }
    // Checkpoint and ark transaction can still go on chain: everything for that stays.
    let row = case.row("receiver");
    assert_eq!((row.hot.state, row.hot.amount()), (ChannelState::Closing, sats(PAID)));
    assert!(row.submit_answer.is_some() && row.authorisation.is_some());
    assert_eq!(case.close_step().as_deref(), Some("answered"));
    // The payer sees nothing finished.
    assert_eq!(case.payer.watch(&case.id).await.unwrap().state, ChannelState::Open);
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

    let latest = case.payer.latest_update(&case.id).unwrap().message;
    let error = refused(case.receiver.receive(&latest));
    assert!(matches!(error, WalletError::Channel(ChannelError::MissingAuthorisation { .. })), "{error}");
    let again = case.payer.reauthorise(&case.id).await.unwrap().message;
    assert_eq!(case.receiver.receive(&again).unwrap().amount, sats(PAID));
    case.closes().await;
}

/// Not one of arkd's own answers may be taken for a refusal when it is none.
#[test]
fn what_a_transport_error_is() {
    let error = OperatorError::Timeout { call: "SubmitTx", seconds: 30 };
    assert!(error.is_transport() && error.arkd().is_none());
}

//! Closing with an operator that refuses, changes, lies or breaks.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::Psbt;
use regtest::operator::{Action, Call, Code, Knob};
use virtual_channels::channel::ChannelError;
use virtual_channels::operator::{Operator, code};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Wallet, WalletError};

use crate::closing::{PAID, case, is_unknown};
use crate::offline::FakeClock;
use crate::world::{World, refused, sats};

fn refusal(error: &WalletError) -> Option<i32> {
    match error {
        WalletError::Operator(error) => error.arkd().and_then(|arkd| arkd.code),
        _ => None,
    }
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

#[tokio::test(flavor = "multi_thread")]
async fn limits_raised_above_the_amount() {
    let case = case().await;
    case.change(|settings| settings.vtxo_min = 5_000).await;
    let error = case.refused_and_open().await;
    let WalletError::Channel(ChannelError::ImpossibleAmount(error)) = error else { panic!("{error}") };
    assert_eq!((error.amount, error.min, error.above), (sats(PAID), sats(5_000), Some(sats(5_000))));
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

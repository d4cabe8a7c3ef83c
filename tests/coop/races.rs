//! After the locktime both sides may submit: one wins, and the other learns it.

use bitcoin::{Amount, Psbt};
use regtest::operator::{Action, Call, Unit};
use virtual_channels::channel::AuthorisationPolicy::AtOpen;
use virtual_channels::store::{ChannelState, FlowKind};
use virtual_channels::wallet::{EventKind, WalletError};

use crate::case::{Case, FUNDS, case, kinds};
use crate::world::{refused, sats};

const PAID: u64 = 2_000;

async fn ripe(unit: Unit, paid: u64) -> Case {
    let case = case(unit, AtOpen, None).await;
    if paid > 0 {
        case.paid(paid, "a");
    }
    case.pass_locktime().await;
    case
}

fn lost(case: &Case) -> Option<Amount> {
    kinds(&case.receiver).into_iter().find_map(|kind| match kind {
        EventKind::ChannelLost { amount, .. } => Some(amount),
        _ => None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn both_at_once() {
    for unit in [Unit::Seconds, Unit::Blocks] {
        let case = ripe(unit, PAID).await;
        let (refund, close) = tokio::join!(case.payer.refund(&case.id), case.receiver.close_channel(&case.id));
        let (loser, winner, payer_won) = match (refund, close) {
            (Ok(txid), Err(error)) => (error, txid, true),
            (Err(error), Ok(txid)) => (error, txid, false),
            both => panic!("{both:?}"),
        };
        assert!(matches!(*loser, WalletError::AlreadySpent { spent_by: Some(by), .. } if by == winner), "{loser}");
        // The loser may have looked before the winner was done.
        case.payer.watch(&case.id).await.unwrap();
        let _ = case.receiver.close_channel(&case.id).await;
        let states = (case.state("payer"), case.state("receiver"));
        if payer_won {
            assert_eq!(states, (ChannelState::Refunded, ChannelState::Lost));
            assert_eq!(lost(&case), Some(sats(PAID)));
            assert_eq!(case.step("receiver", FlowKind::Close), None);
        } else {
            assert_eq!(states, (ChannelState::Closed, ChannelState::Closed));
            assert_eq!(case.row("payer").result.unwrap().txid, winner);
            assert!(case.row("payer").submit_answer.is_some(), "its remainder depends on it");
        }
        assert_eq!(case.total(&case.payer).await + case.total(&case.receiver).await, FUNDS);
    }
}

/// The receiver is refused, and says what it has lost.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_is_refused() {
    let mut case = ripe(Unit::Seconds, PAID).await;
    let txid = case.payer.refund(&case.id).await.unwrap();
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::AlreadySpent { spent_by: Some(by), .. } if by == txid), "{error}");
    assert_eq!((case.state("receiver"), lost(&case)), (ChannelState::Lost, Some(sats(PAID))));
    assert_eq!(case.row("receiver").result.unwrap().txid, txid);
    case.reopen_and_resume("receiver").await;
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::WrongState { state: ChannelState::Lost, .. }), "{error}");
    assert_eq!(case.receiver.balance().await.unwrap().total(), Amount::ZERO);
}

/// Only a refund that is proven, final and after the locktime ends the receiver's claim.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_refund_ends_nothing() {
    let case = ripe(Unit::Seconds, PAID).await;
    // Submitted, not final.
    case.fault(Call::FinalizeTx, Action::Drop).await;
    refused(case.payer.refund(&case.id).await);
    let error = refused(case.receiver.close_channel(&case.id).await);
    assert!(matches!(error, WalletError::AlreadySpent { .. }), "{error}");
    assert_eq!(case.state("receiver"), ChannelState::Closing);
    case.payer.refund(&case.id).await.unwrap();
    // Final, but the operator does not show it.
    case.world.regtest.operator().await.faults().always(Call::GetVirtualTxs, Action::Garbage);
    refused(case.receiver.close_channel(&case.id).await);
    assert_eq!(case.state("receiver"), ChannelState::Closing);
    case.world.regtest.operator().await.faults().clear();
    refused(case.receiver.close_channel(&case.id).await);
    assert_eq!((case.state("receiver"), lost(&case)), (ChannelState::Lost, Some(sats(PAID))));
}

/// The transactions that a refund needs on chain are kept before it is finalized, with every signature.
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_refund_keeps_the_operators_signatures() {
    let case = ripe(Unit::Seconds, PAID).await;
    case.fault(Call::FinalizeTx, Action::Drop).await;
    refused(case.payer.refund(&case.id).await);
    let row = case.row("payer");
    let answer: serde_json::Value = serde_json::from_slice(&row.submit_answer.unwrap()).unwrap();
    let ark: Psbt = answer["ark"].as_str().unwrap().parse().unwrap();
    let checkpoint: Psbt = answer["checkpoints"][0].as_str().unwrap().parse().unwrap();
    for psbt in [&ark, &checkpoint] {
        assert_eq!(psbt.inputs[0].tap_script_sigs.len(), 2, "payer and operator");
    }
    assert_eq!(checkpoint.unsigned_tx.input[0].previous_output, row.record.funding);
}

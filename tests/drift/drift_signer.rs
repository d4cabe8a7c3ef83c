//! The operator changes its key: the old one signs until its cutoff, and channels under it end before.

use virtual_channels::channel::ChannelError;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{Clock, ExitReason, ExitStage, WalletError};

use crate::case::{PAID, UNITS, paid};
use crate::griefing_onchain::funded;
use crate::world::{eventually, pay, refused, sats};

/// Until the cutoff less the reserve payments go on; then the receiver takes none, and closes by itself.
#[tokio::test(flavor = "multi_thread")]
async fn before_the_cutoff_payments_go_on_and_the_close_comes_sooner() {
    let case = paid(UNITS[0]).await;
    let early = case.receiver.channel(&case.id).unwrap();
    let cutoff = case.clock.now() + 20_000;
    case.change(|settings| settings.rotate_signer("another", cutoff as i64)).await;
    case.look().await;
    let info = case.receiver.channel(&case.id).unwrap();
    assert!(info.close_by < early.close_by && info.close_by < cutoff, "{} {cutoff}", info.close_by);
    assert_eq!(info.exit_by, early.exit_by, "the way on chain needs no operator");
    pay(&case.payer, &case.receiver, &case.id, 500, "next");
    assert!(case.receiver.maintain().await.unwrap().changed.is_empty());

    case.clock.by(info.close_by - case.clock.now() + 1);
    let error = refused(case.payer.pay(&case.id, sats(1), "late", None));
    assert!(matches!(error, WalletError::PastCloseBy { .. }), "{error}");
    let report = case.receiver.maintain().await.unwrap();
    let after: Vec<ChannelState> = report.changed.iter().map(|change| change.after).collect();
    assert_eq!(after, [ChannelState::Closed], "{:?}", report.errors);
    assert_eq!(case.receiver.balance().await.unwrap().total(), sats(PAID + 500));
}

/// After the cutoff the operator signs nothing under the old key, and the wallet asks for nothing under it.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_cutoff_nothing_goes_through_the_operator() {
    for unit in UNITS {
        let case = paid(unit).await;
        let past = case.clock.now() as i64 - 60;
        case.change(|settings| settings.rotate_signer("another", past)).await;
        let before = case.row("receiver").hot.update;
        let error = case.close_refused().await;
        assert!(matches!(error, WalletError::Channel(ChannelError::WrongOperator { .. })), "{error}");
        assert_eq!(case.state(), ChannelState::Open);
        case.look().await;
        let error = refused(case.payer.pay(&case.id, sats(1), "late", None));
        assert!(matches!(error, WalletError::Channel(ChannelError::WrongOperator { .. })), "{error}");
        assert_eq!(case.row("receiver").hot.update, before, "what was paid is there, for the way on chain");
    }
}

/// Maintenance sees that nothing can be had through the operator any more, and leaves.
#[tokio::test(flavor = "multi_thread")]
async fn after_the_cutoff_the_receiver_leaves_on_chain() {
    for unit in UNITS {
        let case = funded(unit).await;
        let past = case.clock.now() as i64 - 60;
        case.change(|settings| settings.rotate_signer("another", past)).await;
        let leaves = async || {
            case.receiver.maintain().await.unwrap();
            case.state() == ChannelState::Exiting
        };
        eventually("the exit", leaves).await;
        let info = case.receiver.exits().unwrap().remove(0);
        assert_eq!((info.reason, info.amount), (ExitReason::OperatorRefuses, sats(PAID)));
        assert_eq!(case.drive(&case.receiver, info).await.stage, ExitStage::Done);
        assert_eq!(case.state(), ChannelState::Settled);
    }
}

/// A key without a cutoff is as good as the new one.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_without_a_cutoff_changes_nothing() {
    let case = paid(UNITS[1]).await;
    let early = case.receiver.channel(&case.id).unwrap().close_by;
    case.change(|settings| settings.rotate_signer("another", 0)).await;
    case.look().await;
    assert_eq!(case.receiver.channel(&case.id).unwrap().close_by, early);
    pay(&case.payer, &case.receiver, &case.id, 500, "next");
    case.closes_at(PAID + 500).await;
}

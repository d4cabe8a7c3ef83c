//! The operator builds checkpoints with another script after a restart: signatures for the old one close nothing.

use regtest::operator::Unit;
use regtest::operator::script::{Delay, Leaf};
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::{KeyUse, WalletError};

use crate::case::{PAID, UNITS, paid};
use crate::world::{pay, refused, sats};

/// Another delay than the operator of the tests begins with.
fn other_delay(unit: Unit) -> u32 {
    match unit {
        Unit::Blocks => 12,
        Unit::Seconds => 1_024,
    }
}

/// The receiver has heard of it, the payer has not: money that could not be claimed through the operator is not taken,
/// until the payer has signed again.
#[tokio::test(flavor = "multi_thread")]
async fn the_receiver_takes_nothing_for_a_script_that_is_no_longer_built() {
    for unit in UNITS {
        let case = paid(unit).await;
        case.change(|settings| settings.checkpoint_delay = other_delay(unit)).await;
        case.receiver.watch(&case.id).await.unwrap();
        let blind = case.payer.pay(&case.id, sats(500), "blind", None).unwrap().message;
        let before = case.row("receiver");
        let error = refused(case.receiver.receive(&blind));
        assert!(matches!(error, WalletError::ReauthorisationNeeded { channel_id } if channel_id == case.id), "{error}");
        assert_eq!(case.row("receiver"), before);

        let again = case.payer.reauthorise(&case.id).await.unwrap();
        assert_eq!((again.amount, again.repeated), (sats(PAID + 500), true));
        assert_eq!(case.receiver.receive(&again.message).unwrap().increase, sats(500));
        // That was all: payments go on, and the channel closes.
        pay(&case.payer, &case.receiver, &case.id, 100, "next");
        case.closes_at(PAID + 600).await;
    }
}

/// A payer that has looked for itself signs for the new script by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_looks_authorises_with_its_next_payment() {
    for unit in UNITS {
        let case = paid(unit).await;
        case.change(|settings| settings.checkpoint_delay = other_delay(unit)).await;
        case.look().await;
        let payment = case.payer.pay(&case.id, sats(500), "next", None).unwrap().message;
        assert!(payment.authorisation.is_some());
        assert_eq!(case.receiver.receive(&payment).unwrap().increase, sats(500));
        case.closes_at(PAID + 500).await;
    }
}

/// A receipt names an amount alone: one for the amount that was signed again may be from before, and the receiver may not
/// have the new Authorisation. Payments bring it until there is one for more.
#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_from_before_is_not_one_for_the_new_script() {
    let case = paid(Unit::Seconds).await;
    let old = case.receiver.receipt(&case.id, None).unwrap();
    let acknowledged = |receipt| {
        case.payer.acknowledge(receipt).unwrap();
        case.row("payer").hot.acknowledged
    };
    assert!(acknowledged(&old));
    case.change(|settings| settings.checkpoint_delay = other_delay(Unit::Seconds)).await;
    // It never arrives.
    case.payer.reauthorise(&case.id).await.unwrap();
    assert!(!acknowledged(&old));
    case.receiver.watch(&case.id).await.unwrap();
    let next = case.payer.pay(&case.id, sats(500), "next", None).unwrap().message;
    assert!(!acknowledged(&old) && next.authorisation.is_some());
    assert_eq!(case.receiver.receive(&next).unwrap().increase, sats(500));
    assert!(acknowledged(&case.receiver.receipt(&case.id, None).unwrap()));
    assert_eq!(case.payer.pay(&case.id, sats(1), "last", None).unwrap().message.authorisation, None);
}

/// A checkpoint that somebody else could take back is signed by nobody; what was signed before stays.
#[tokio::test(flavor = "multi_thread")]
async fn a_script_with_another_key_is_signed_by_neither() {
    let case = paid(Unit::Seconds).await;
    let stranger = case.key("payer", KeyUse::Payer).xonly();
    let script = Leaf::after(Delay::from_setting(512), stranger).script;
    case.change(|settings| settings.checkpoint_script = Some(script)).await;
    let (payer, receiver) = (case.row("payer"), case.row("receiver"));
    let error = refused(case.payer.reauthorise(&case.id).await);
    assert!(matches!(&error, WalletError::Operator(_)) && error.to_string().contains("is not acceptable"), "{error}");
    case.close_refused().await;
    assert_eq!((case.row("payer"), case.row("receiver").hot.state), (payer, ChannelState::Open));
    assert_eq!(case.row("receiver").hot.update, receiver.hot.update);
    // The operator goes back to its own: nothing was lost.
    case.change(|settings| settings.checkpoint_script = None).await;
    case.closes_at(PAID).await;
}

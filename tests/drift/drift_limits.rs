//! The operator's limits move over a channel's amounts: what cannot be closed is not paid, and what has been paid can
//! be brought within them by paying more.

use virtual_channels::channel::ChannelError;
use virtual_channels::store::ChannelState;
use virtual_channels::wallet::WalletError;

use crate::case::{PAID, UNITS, paid};
use crate::world::{pay, refused, sats};

fn amount_error(error: &WalletError) -> bool {
    matches!(error, WalletError::Channel(ChannelError::ImpossibleAmount(_)))
}

/// A minimum above what has been paid.
#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_above_what_was_paid() {
    for unit in UNITS {
        let case = paid(unit).await;
        case.change(|settings| settings.vtxo_min = 10_000).await;
        let error = case.close_refused().await;
        assert!(amount_error(&error), "{error}");
        assert_eq!(case.state(), ChannelState::Open, "nothing has begun");
        // The receiver knows by now, the payer does not.
        let small = case.payer.pay(&case.id, sats(500), "small", None).unwrap().message;
        let error = refused(case.receiver.receive(&small));
        assert!(amount_error(&error), "{error}");
        assert_eq!(case.row("receiver").hot.amount(), sats(PAID));
        case.look().await;
        let error = refused(case.payer.pay(&case.id, sats(500), "small again", None));
        assert!(amount_error(&error), "{error}");
        // The payer's own copy is 500 ahead of the receiver's.
        assert_eq!(pay(&case.payer, &case.receiver, &case.id, 7_500, "enough").amount, sats(10_000));
        case.closes_at(10_000).await;
    }
}

/// A maximum below what is left to the payer: the remainder would be too large.
#[tokio::test(flavor = "multi_thread")]
async fn a_maximum_below_what_is_left() {
    let case = paid(UNITS[0]).await;
    case.change(|settings| settings.vtxo_max = 30_000).await;
    case.look().await;
    let error = case.close_refused().await;
    assert!(amount_error(&error), "{error}");
    assert_eq!(case.state(), ChannelState::Open);
    assert_eq!(pay(&case.payer, &case.receiver, &case.id, 8_000, "enough").amount, sats(10_000));
    let error = refused(case.payer.pay(&case.id, sats(20_001), "too much", None));
    assert!(amount_error(&error), "{error}");
    case.closes_at(10_000).await;
}

/// Limits that come back: the channel closes as it is.
#[tokio::test(flavor = "multi_thread")]
async fn limits_that_come_back() {
    let case = paid(UNITS[1]).await;
    case.change(|settings| settings.vtxo_min = 10_000).await;
    case.close_refused().await;
    case.change(|settings| settings.vtxo_min = 1).await;
    case.closes_at(PAID).await;
}

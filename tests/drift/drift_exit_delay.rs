//! The operator raises its exit delay above d1: it spends such a VTXO off chain no more, and says so.

use regtest::operator::Unit;
use virtual_channels::operator::code;
use virtual_channels::wallet::WalletError;

use crate::case::{PAID, UNITS, paid};
use crate::world::{pay, sats};

fn raised(unit: Unit) -> u32 {
    match unit {
        Unit::Blocks => 40,
        Unit::Seconds => 2_048,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn above_d1_the_close_is_refused_and_nothing_is_lost() {
    for unit in UNITS {
        let case = paid(unit).await;
        let before = case.row("receiver").hot.update;
        case.change(|settings| settings.exit_delay = raised(unit)).await;
        let error = case.close_refused().await;
        let WalletError::Operator(error) = error else { panic!("{error}") };
        assert!(error.is(code::INVALID_VTXO_SCRIPT), "{error}");
        assert_eq!(case.row("receiver").hot.update, before);
    }
}

/// Up to d1 nothing changes.
#[tokio::test(flavor = "multi_thread")]
async fn lowered_it_changes_nothing() {
    let case = paid(Unit::Seconds).await;
    case.change(|settings| settings.exit_delay = 512).await;
    case.look().await;
    assert_eq!(pay(&case.payer, &case.receiver, &case.id, 10, "next").amount, sats(PAID + 10));
    case.closes_at(PAID + 10).await;
}

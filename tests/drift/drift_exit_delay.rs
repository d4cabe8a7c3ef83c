//! The operator raises its exit delay above d1: it spends such a VTXO off chain no more, and says so.

use regtest::operator::Unit;
use virtual_channels::channel::ChannelError;
use virtual_channels::operator::code;
use virtual_channels::wallet::WalletError;

use crate::case::{PAID, UNITS, paid};
use crate::world::{pay, refused, sats};

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

/// What could never be closed with the operator is paid by nobody and taken by nobody. What is held stays.
#[tokio::test(flavor = "multi_thread")]
async fn above_d1_no_new_money_is_paid_or_taken() {
    for unit in UNITS {
        let case = paid(unit).await;
        let delay = case.payer.channel(&case.id).unwrap().d1.value();
        let signed = case.payer.pay(&case.id, sats(500), "before", None).unwrap().message;
        let mut former = 0;
        case.change(|settings| former = std::mem::replace(&mut settings.exit_delay, raised(unit))).await;
        case.look().await;
        let (before, minimum) = (case.row("receiver").hot.update, u64::from(raised(unit)));
        let pays = case.payer.pay(&case.id, sats(10), "after", None).map(drop);
        for error in [pays, case.receiver.receive(&signed).map(drop)].map(refused) {
            let WalletError::Channel(ChannelError::DelayTooShort { delay: d1, minimum: least }) = error else {
                panic!("{error}")
            };
            assert_eq!((d1, least), (delay, minimum));
        }
        assert_eq!(case.row("receiver").hot.update, before);
        assert!(case.receiver.request_close(&case.id).unwrap().exactly, "nothing more is taken with a grant");
        let again = case.payer.pay(&case.id, sats(500), "before", None).unwrap();
        assert!(again.repeated && again.message.update == signed.update, "what was signed can be had again");
        // Lowered again it is taken.
        case.change(|settings| settings.exit_delay = former).await;
        case.look().await;
        assert_eq!(case.receiver.receive(&signed).unwrap().amount, sats(PAID + 500));
        assert_eq!(pay(&case.payer, &case.receiver, &case.id, 10, "after").amount, sats(PAID + 510));
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

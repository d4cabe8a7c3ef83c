//! The operator raises its fees: they are of batches, so a channel pays and closes as before, and settling what came
//! of it says what it costs now.

use virtual_channels::wallet::WalletError;

use crate::case::{PAID, UNITS, paid};
use crate::world::{pay, refused, sats};

#[tokio::test(flavor = "multi_thread")]
async fn raised_fees_cost_only_batches() {
    for unit in UNITS {
        let case = paid(unit).await;
        case.change(|settings| {
            settings.fees.offchain_input = "300.0".into();
            settings.fees.offchain_output = "200.0".into();
        })
        .await;
        // Neither side has heard of it, or needs to.
        pay(&case.payer, &case.receiver, &case.id, 1_000, "next");
        case.closes_at(PAID + 1_000).await;
        let quote = case.receiver.quote_settle(true).await.unwrap();
        assert_eq!(quote.fee, sats(500));
        let settled = case.receiver.settle(true).await.unwrap();
        assert_eq!((settled.amount, settled.fee), (sats(PAID + 500), sats(500)));
    }
}

/// Fees above what a close brought: it stays where it is, and is worth what it says until it expires.
#[tokio::test(flavor = "multi_thread")]
async fn fees_above_what_was_paid() {
    let case = paid(UNITS[0]).await;
    case.change(|settings| settings.fees.offchain_input = "2500.0".into()).await;
    case.closes_at(PAID).await;
    let error = refused(case.receiver.settle(true).await);
    let WalletError::FeesLeaveTooLittle { fee, .. } = error else { panic!("{error}") };
    assert_eq!(fee, sats(2_500));
    assert_eq!(case.receiver.balance().await.unwrap().preconfirmed, sats(PAID));
}

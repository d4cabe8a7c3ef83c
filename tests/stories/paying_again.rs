//! Paying the same twice, and payers that have forgotten something.

use virtual_channels::channel::ChannelError;
use virtual_channels::channel::message::UpdateMessage;
use virtual_channels::wallet::WalletError;

use crate::paying::{message, pair};
use crate::world::{refused, sats};

/// The update that a stale or forked answer carries.
fn shown(error: WalletError) -> UpdateMessage {
    match error {
        WalletError::Channel(ChannelError::Stale { stored, .. } | ChannelError::Forked { stored, .. }) => {
            message(*stored)
        }
        other => panic!("{other:?}"),
    }
}

fn is_stale(error: &WalletError) -> bool {
    matches!(error, WalletError::Channel(ChannelError::Stale { .. }))
}

#[tokio::test]
async fn the_same_payment_id_twice() {
    let pair = pair().await;
    let first = pair.pay(1_000, "order 7");
    let again = pair.pay(1_000, "order 7");
    assert!(!first.repeated && again.repeated);
    assert_eq!((again.amount, &again.message), (first.amount, &first.message));
    pair.pay(500, "order 8");
    let late = pair.pay(1_000, "order 7");
    assert_eq!((late.amount, late.repeated), (sats(1_500), true), "the latest update, nothing added");
    for id in ["", &"x".repeat(257)] {
        let error = refused(pair.payer.pay(&pair.channel.id, sats(500), id, None));
        assert!(matches!(error, WalletError::InvalidPaymentId { limit: 256 }), "{error}");
    }
}

#[tokio::test]
async fn a_payment_id_older_than_the_ring() {
    let pair = pair().await;
    pair.pay(1_000, "old");
    for n in 0..63 {
        pair.pay(1, &format!("{n}"));
    }
    assert!(pair.pay(1_000, "old").repeated, "the 64th from the end is still known");
    pair.pay(1, "one more");
    let again = pair.pay(1_000, "old");
    assert_eq!((again.amount, again.repeated), (sats(1_000 + 64 + 1_000), false), "as documented: it is a new payment");
}

#[tokio::test]
async fn stale_and_the_payer_catches_up() {
    let mut pair = pair().await;
    pair.both(1_000, "a");
    pair.back_up_payer("backup").await;
    pair.both(500, "b");
    pair.payer_restored_from("backup").await;
    let refused_update = pair.pay(100, "c").message;
    let error = pair.receive_refused(&refused_update);
    assert!(is_stale(&error));
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    // Whether "c" had been paid before the backup was put back cannot be known: it adds nothing.
    assert!(pair.pay(100, "c").repeated);
    assert_eq!(pair.both(100, "d"), sats(1_600));
}

#[tokio::test]
async fn forked_and_the_payer_catches_up() {
    let mut pair = pair().await;
    pair.both(1_000, "a");
    pair.back_up_payer("backup").await;
    pair.both(500, "b");
    pair.payer_restored_from("backup").await;
    let error = pair.receive_refused(&pair.pay(2_000, "c").message);
    assert!(!is_stale(&error));
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    let row = pair.place.row("payer", &pair.channel.id);
    assert_eq!((row.hot.amount(), row.hot.high), (sats(1_500), sats(3_000)), "what was signed may still be claimed");
    // The refused payment is signed again on the new base, under its own id, once.
    let again = pair.pay(2_000, "c");
    assert_eq!((again.amount, again.repeated), (sats(3_500), false));
    assert_eq!(pair.receiver.receive(&again.message).unwrap().increase, sats(2_000));
    assert!(pair.pay(2_000, "c").repeated);
}

#[tokio::test]
async fn forked_at_the_same_amount() {
    let mut pair = pair().await;
    pair.both(1_000, "a");
    pair.back_up_payer("backup").await;
    pair.both(300, "b");
    pair.both(200, "c");
    pair.payer_restored_from("backup").await;
    let error = pair.receive_refused(&pair.pay(500, "d").message);
    assert!(!is_stale(&error));
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    assert!(pair.pay(500, "d").repeated, "whether it has been paid only a person can say");
    assert_eq!(pair.both(500, "d, again"), sats(2_000));
}

/// What an update was built on nobody has signed: a receiver that says something else of the payer's latest is paid once.
#[tokio::test]
async fn an_invented_fork_pays_nothing() {
    let pair = pair().await;
    pair.both(1_000, "a");
    for previous in [0, 1, 999] {
        let mut latest = pair.pay(1_000, "b").message;
        assert_eq!(latest.update.amount, sats(2_000));
        latest.update.previous = sats(previous);
        let before = pair.place.row("payer", &pair.channel.id);
        assert_eq!(pair.payer.catch_up(&latest).unwrap(), sats(2_000));
        assert_eq!(pair.place.row("payer", &pair.channel.id), before, "nothing is taken over");
    }
    assert!(pair.pay(1_000, "b").repeated);
    assert_eq!(pair.both(1, "c"), sats(2_001));
}

#[tokio::test]
async fn replayed_and_nothing_to_catch_up() {
    let pair = pair().await;
    let first = pair.pay(1_000, "a").message;
    pair.receiver.receive(&first).unwrap();
    pair.both(500, "b");
    let error = pair.receive_refused(&first);
    assert!(is_stale(&error));
    // The payer has forgotten nothing: what it is shown is its own latest, or older.
    let before = pair.place.row("payer", &pair.channel.id);
    assert_eq!(pair.payer.catch_up(&shown(error)).unwrap(), sats(1_500));
    assert_eq!(pair.payer.catch_up(&first).unwrap(), sats(1_500), "a receiver cannot lower the base");
    assert_eq!(pair.place.row("payer", &pair.channel.id), before);
}

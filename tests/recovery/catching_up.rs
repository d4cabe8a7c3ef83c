//! A payer whose phone was set back to an old copy of its file, end to end: the receiver refuses with what it has, the
//! payer recognises its own signature, and pays on.

use std::path::Path;

use regtest::operator::Unit;
use virtual_channels::channel::{ChannelError, ChannelId, UpdateMessage};
use virtual_channels::wallet::{Wallet, WalletError};

use crate::lost::{hand_over, latest};
use crate::world::{World, eventually, pay, refused, sats};

/// Puts a copy of the file back; the wallet must be closed.
fn put_back(world: &World, name: &str, copy: &Path) {
    let path = world.path(name);
    for extra in ["db-wal", "db-shm"] {
        let _ = std::fs::remove_file(path.with_extension(extra));
    }
    std::fs::copy(copy, path).unwrap();
}

/// What the receiver shows when it refuses, as text.
fn shown(error: WalletError) -> UpdateMessage {
    let stored = match error {
        WalletError::Channel(ChannelError::Stale { stored, .. } | ChannelError::Forked { stored, .. }) => *stored,
        other => panic!("{other:?}"),
    };
    hand_over(&UpdateMessage { update: stored, authorisation: None, memo: None })
}

/// A channel of 50 000 in which 5 000 were paid when the copy was made, and 20 000 when the phone was set back.
async fn set_back(world: &World) -> (Wallet, Wallet, ChannelId) {
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 50_000).await;
    pay(&payer, &receiver, &id, 5_000, "one");
    payer.close().unwrap();
    let copy = world.path("copy");
    std::fs::copy(world.path("payer"), &copy).unwrap();
    let payer = world.wallet("payer").await;
    pay(&payer, &receiver, &id, 10_000, "two");
    pay(&payer, &receiver, &id, 5_000, "three");
    payer.close().unwrap();
    put_back(world, "payer", &copy);
    (world.wallet("payer").await, receiver, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn stale_then_caught_up_then_closed() {
    let world = World::start(Unit::Blocks).await;
    let (payer, receiver, id) = set_back(&world).await;
    assert_eq!(payer.channel(&id).unwrap().amount, sats(5_000));
    // Less than the receiver has.
    let payment = payer.pay(&id, sats(2_000), "four", None).unwrap();
    let stored = shown(refused(receiver.receive(&hand_over(&payment.message))));
    assert_eq!(payer.catch_up(&stored).unwrap(), sats(20_000));
    assert_eq!(pay(&payer, &receiver, &id, 2_000, "five").amount, sats(22_000));
    receiver.close_channel(&id).await.unwrap();
    eventually("the rest", async || {
        payer.watch(&id).await.unwrap();
        payer.balance().await.is_ok_and(|balance| balance.total() == sats(78_000))
    })
    .await;
    assert_eq!(receiver.balance().await.unwrap().total(), sats(22_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn forked_then_caught_up() {
    let world = World::start(Unit::Seconds).await;
    let (payer, receiver, id) = set_back(&world).await;
    // More than the receiver has, built on what it had long ago.
    let payment = payer.pay(&id, sats(30_000), "four", None).unwrap();
    assert_eq!(payment.amount, sats(35_000));
    let stored = shown(refused(receiver.receive(&hand_over(&payment.message))));
    assert_eq!(payer.catch_up(&stored).unwrap(), sats(20_000));
    // What it may owe is not forgotten: it did sign 35 000.
    let info = payer.channel(&id).unwrap();
    assert_eq!((info.amount, info.high), (sats(20_000), sats(35_000)));
    // The refused payment is made again under its id.
    let again = pay(&payer, &receiver, &id, 30_000, "four");
    assert_eq!(again.amount, sats(50_000));
}

/// The receiver's latest update is enough; no payment has to be refused first.
#[tokio::test(flavor = "multi_thread")]
async fn shown_before_anything_is_paid() {
    let world = World::start(Unit::Blocks).await;
    let (payer, receiver, id) = set_back(&world).await;
    assert_eq!(payer.catch_up(&latest(&receiver, &id)).unwrap(), sats(20_000));
    assert_eq!(payer.catch_up(&latest(&receiver, &id)).unwrap(), sats(20_000), "twice is once");
    assert_eq!(pay(&payer, &receiver, &id, 1_000, "four").amount, sats(21_000));
}

/// The channel was closed meanwhile: the old file learns it from the books.
#[tokio::test(flavor = "multi_thread")]
async fn closed_while_the_file_was_old() {
    let world = World::start(Unit::Blocks).await;
    let (payer, receiver, id) = set_back(&world).await;
    receiver.close_channel(&id).await.unwrap();
    eventually("the rest", async || {
        payer.watch(&id).await.unwrap();
        payer.balance().await.is_ok_and(|balance| balance.total() == sats(80_000))
    })
    .await;
    assert!(matches!(refused(payer.pay(&id, sats(1_000), "four", None)), WalletError::WrongState { .. }));
}

//! Waiting for changes: whatever a wallet stores wakes those who show it, and nothing else does.

use std::time::Duration;

use regtest::operator::Unit;
use virtual_channels::channel::ChannelId;
use virtual_channels::store::StoreError;
use virtual_channels::wallet::{Wallet, WalletError};

use crate::world::{World, pay, sats};

/// The version now.
async fn version(wallet: &Wallet) -> u64 {
    wallet.next_change(0).await.expect("a version")
}

/// Whether somebody who waits is woken by `work`.
async fn wakes<T>(wallet: &Wallet, work: impl Future<Output = T>) -> T {
    let seen = version(wallet).await;
    let other = wallet.clone();
    let waiting = tokio::spawn(async move { other.next_change(seen).await });
    let done = work.await;
    let woken = tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("is woken");
    assert!(woken.unwrap().unwrap() > seen);
    done
}

async fn watch(wallet: &Wallet, id: &ChannelId) {
    wallet.watch(id).await.expect("a report");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_step_of_a_channel_wakes() {
    let world = World::start(Unit::Seconds).await;
    let (payer, receiver) = (world.wallet("payer").await, world.wallet("receiver").await);
    world.board(&payer, 100_000).await;
    wakes(&payer, payer.settle(false)).await.unwrap();
    world.mine(1).await;
    let (_, accept) = wakes(&receiver, world.agree(&payer, &receiver, 60_000)).await;
    let opening = wakes(&receiver, payer.open_channel(&accept));
    let id = wakes(&payer, opening).await.unwrap();
    wakes(&payer, wakes(&receiver, world.confirm(&payer, &receiver, &id))).await;
    let paying = async { pay(&payer, &receiver, &id, 1_000, "one") };
    wakes(&payer, wakes(&receiver, paying)).await;
    wakes(&payer, watch(&payer, &id)).await;
    wakes(&receiver, watch(&receiver, &id)).await;
    wakes(&receiver, receiver.close_channel(&id)).await.unwrap();

    let waiting = tokio::spawn({
        let (wallet, seen) = (payer.clone(), version(&payer).await);
        async move { wallet.next_change(seen).await }
    });
    payer.close().unwrap();
    for closed in [waiting.await.unwrap(), payer.next_change(0).await, payer.next_change(7).await] {
        assert!(
            matches!(closed.as_ref().map_err(|error| &**error), Err(WalletError::Store(StoreError::Closed))),
            "{closed:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_wakes_nobody() {
    let world = World::start(Unit::Seconds).await;
    let payer = world.rich("payer", 50_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open_offchain(&payer, &receiver, 30_000).await;
    let payment = payer.pay(&id, sats(1_000), "one", None).unwrap().message;
    receiver.receive(&payment).unwrap();
    let seen = (version(&payer).await, version(&receiver).await);

    assert!(payer.pay(&id, sats(1_000), "one", None).unwrap().repeated);
    payer.pay(&id, sats(1_000_000), "too much", None).unwrap_err();
    payer.latest_update(&id).unwrap();
    payer.channels().unwrap();
    payer.pending_events(10).unwrap();
    assert_eq!(receiver.receive(&payment).unwrap().increase, sats(0));
    receiver.receipt(&id, None).unwrap();
    assert_eq!((version(&payer).await, version(&receiver).await), seen);

    let waiting = payer.next_change(seen.0);
    assert!(tokio::time::timeout(Duration::from_millis(100), waiting).await.is_err());
    payer.pay(&id, sats(1_000), "two", None).unwrap();
    assert_eq!(payer.next_change(seen.0).await.unwrap(), seen.0 + 1);
}

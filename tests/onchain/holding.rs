//! What the wallet knows of its coins.

use virtual_channels::store::{Store, StoreError};
use virtual_channels::wallet::{OnchainBalance, Wallet};

use crate::purse::{fund, holds, pay_in, script_of, world};
use crate::world::{World, sats};

#[tokio::test(flavor = "multi_thread")]
async fn an_address_receives() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    let address = wallet.onchain_address().unwrap();
    assert!(script_of(&address).is_p2tr());
    assert_eq!(address, wallet.onchain_address().unwrap(), "the same until it was used");
    holds(&wallet, 0, 0).await;

    pay_in(&world, &wallet, &[20_000, 5_000]).await;
    holds(&wallet, 0, 25_000).await;
    world.mine(1).await;
    holds(&wallet, 25_000, 0).await;
    let next = wallet.onchain_address().unwrap();
    assert_ne!(next, address, "an address for each payment");
    fund(&world, &wallet, &[1_000]).await;
    holds(&wallet, 26_000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_there_after_a_restart_and_without_the_file() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    // Addresses beyond the first, and change: no gap of more than 20.
    for amount in [10_000, 20_000, 30_000] {
        fund(&world, &wallet, &[amount]).await;
    }
    let address = wallet.onchain_address().unwrap();
    wallet.close().unwrap();
    let wallet = world.wallet("wallet").await;
    assert_eq!(wallet.onchain_address().unwrap(), address);
    holds(&wallet, 60_000, 0).await;

    let mut config = world.config("wallet");
    config.database = world.path("another file");
    let restored = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    assert_eq!(restored.onchain_balance().await.unwrap(), OnchainBalance { confirmed: sats(60_000), pending: sats(0) });
    assert_eq!(restored.onchain_address().unwrap(), address, "and no address twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reorganisation_takes_a_confirmation_back() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    let node = world.regtest.node();
    fund(&world, &wallet, &[20_000]).await;
    holds(&wallet, 20_000, 0).await;
    let tip = node.tip().await.unwrap();
    node.invalidate(&tip.hash).await.unwrap();
    holds(&wallet, 0, 20_000).await;
    world.mine(2).await;
    holds(&wallet, 20_000, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_stored_is_a_cache_and_no_secret() {
    let world = world().await;
    let wallet = world.wallet("wallet").await;
    fund(&world, &wallet, &[20_000]).await;
    let store = Store::open(&world.path("wallet")).unwrap();
    let stored = || store.read::<_, StoreError>(|db| db.meta("onchain")).unwrap().unwrap();
    let good = String::from_utf8(stored()).unwrap();
    // Public transactions and numbers: not even the account's public key, which would tell all addresses.
    assert!(!good.contains("prv") && !good.contains("pub"), "{good}");
    let elsewhere = good.replace("\"height\":", "\"height\":9");
    for damaged in ["", "{}", "[", &good[..good.len() / 2], &elsewhere] {
        store.write::<_, StoreError>(|db| db.set_meta("onchain", damaged.as_bytes())).unwrap();
        holds(&wallet, 20_000, 0).await;
    }
    assert_eq!(stored(), good.into_bytes());
}

//! One mnemonic with two operators: two wallets over two files in one process, beside each other.

use regtest::operator::Unit;
use virtual_channels::store::StoreError;
use virtual_channels::wallet::{Wallet, WalletError};

use crate::world::{World, pay, refused, sats};

#[tokio::test(flavor = "multi_thread")]
async fn two_wallets_beside_each_other() {
    let (one, two) = tokio::join!(World::start(Unit::Blocks), World::start(Unit::Blocks));
    let (mine, other) = tokio::join!(one.rich("me", 50_000), two.rich("me", 40_000));
    let (shop, market) = (one.wallet("shop").await, two.wallet("shop").await);
    let (first, second) = tokio::join!(one.open(&mine, &shop, 30_000), two.open(&other, &market, 20_000));
    assert_ne!(first, second);
    pay(&mine, &shop, &first, 4_000, "same id");
    pay(&other, &market, &second, 3_000, "same id");
    let (closed, ended) = tokio::join!(shop.close_channel(&first), market.close_channel(&second));
    closed.unwrap();
    ended.unwrap();
    for (world, wallet, id, total) in [(&one, &mine, first, 46_000), (&two, &other, second, 37_000)] {
        wallet.watch(&id).await.unwrap();
        assert_eq!(wallet.balance().await.unwrap().total(), sats(total));
        assert_eq!(wallet.channels().unwrap().len(), 1);
        world.mine(1).await;
    }
    // Neither knows the other's channel.
    assert!(matches!(refused(mine.channel(&second)), WalletError::NotFound));
    assert!(matches!(refused(other.channel(&first)), WalletError::NotFound));
}

/// A file stays with the network and seed it was made for.
#[tokio::test(flavor = "multi_thread")]
async fn one_file_is_not_for_two_seeds() {
    let world = World::start(Unit::Blocks).await;
    world.wallet("me").await.close().unwrap();
    let error = refused(Wallet::open(world.config("me"), &World::mnemonic("you")).await);
    assert!(matches!(error, WalletError::Store(StoreError::OtherWallet)), "{error}");
}

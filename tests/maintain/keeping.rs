//! Coins are kept safe: renewed for a fair fee, and with all that is needed to take them out without the operator.

use std::sync::Arc;

use regtest::operator::{Claim, Unit};
use virtual_channels::store::Store;
use virtual_channels::wallet::{Clock, SystemClock, Wallet};

use crate::case::{Stopped, maintained};
use crate::world::{World, eventually, sats};

/// A coin that came off chain, and is too dear to settle: its branch is fetched once, and verified.
#[tokio::test(flavor = "multi_thread")]
async fn branches_of_coins_are_kept() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 50_000).await;
    let shop = world.wallet("shop").await;
    wallet.send(&shop.ark_address().unwrap(), sats(20_000)).await.unwrap();
    world.regtest.operator().await.change(|settings| settings.fees.offchain_input = "1000.0".into());
    eventually("the coin", async || shop.balance().await.is_ok_and(|b| b.total() == sats(20_000))).await;
    let report = maintained(&shop).await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!((report.kept, report.settled, report.fee_refused), (1, None, Some(sats(1_000))));
    let report = maintained(&shop).await;
    assert_eq!((report.kept, report.fee_refused), (0, Some(sats(1_000))));
    let store = Store::open(&world.path("shop")).unwrap();
    let stored = store.read(|db| db.branch_outpoints()).unwrap();
    assert_eq!(stored.len(), 1);
    let branch = store.read(|db| db.branch(&stored[0])).unwrap().unwrap();
    assert_eq!(branch.nodes.last().unwrap().tx.compute_txid(), stored[0].txid);
}

/// Renewed a while before it expires; for a fee that is more than leaving on chain would cost it is not.
#[tokio::test(flavor = "multi_thread")]
async fn an_expiring_coin_pays_no_ransom() {
    let world = World::start(Unit::Blocks).await;
    let wallet = world.rich("wallet", 50_000).await;
    wallet.close().unwrap();
    let store = Store::open(&world.path("wallet")).unwrap();
    let coin = store.read(|db| db.branch_outpoints()).unwrap()[0];
    let mut config = world.config("wallet");
    let now = SystemClock::default().now() + 60;
    config.clock = Arc::new(Stopped(now));
    let wallet = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    // The last 58 blocks of a batch, which arkd counts as seconds, are time to renew.
    let claim = Claim { expires_at: Some(i64::try_from(now + 50).unwrap()), ..Claim::default() };
    let operator = world.regtest.operator().await;
    operator.faults().claim(coin, claim);
    operator.change(|settings| settings.fees.offchain_input = "20000.0".into());
    drop(operator);
    // 20 000 sats are less than half of it, and far more than an exit costs.
    let report = maintained(&wallet).await;
    assert_eq!((report.settled, report.fee_refused), (None, Some(sats(20_000))));
    // 550 are more than a hundredth.
    world.regtest.operator().await.change(|settings| settings.fees.offchain_input = "550.0".into());
    let report = maintained(&wallet).await;
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.settled.unwrap().fee, sats(550));
}

//! An app that follows the operator's news, and stops in the middle.

use std::time::Duration;

use regtest::operator::{Action, Call, Unit};
use virtual_channels::ffi::{Network, Wallet, WalletConfig};

use crate::opened::sats;
use crate::world::{World, eventually};

/// arkd fails a transaction for good when the call that finalizes it is torn out of the wire.
#[tokio::test(flavor = "multi_thread")]
async fn given_up_while_it_finalizes() {
    let world = World::start(Unit::Seconds).await;
    world.rich("payer", 10_000).await.close().unwrap();
    let shop = world.wallet("shop").await;
    let config = WalletConfig {
        database_path: world.path("payer").to_str().unwrap().into(),
        network: Network::Regtest,
        operator_url: world.regtest.operator_url().into(),
        esplora_url: world.regtest.esplora_url().into(),
        confirmations: None,
        max_preconfirmed: None,
        max_blind_seconds: None,
        proxy: None,
    };
    let payer = Wallet::open(config, World::mnemonic("payer"), None).await.unwrap();
    let operator = world.regtest.operator().await;
    // Nothing has come of the first two calls: the payment is still to be finalized.
    operator.faults().always(Call::FinalizeTx, Action::Drop);
    payer.send(shop.ark_address().unwrap(), sats(3_000)).await.unwrap_err();
    operator.faults().clear();
    operator.faults().once(Call::FinalizeTx, Action::Delay(Duration::from_secs(2)));
    let before = operator.faults().seen(Call::FinalizeTx);
    drop(operator);
    let following = tokio::spawn(payer.clone().live(1));
    eventually("finalizing", async || world.regtest.operator().await.faults().seen(Call::FinalizeTx) > before).await;
    following.abort();
    assert!(following.await.unwrap_err().is_cancelled());
    drop(payer);
    eventually("the payment", async || shop.balance().await.is_ok_and(|balance| balance.total().to_sat() == 3_000))
        .await;
    assert_eq!(world.regtest.operator().await.faults().seen(Call::FinalizeTx), before + 1);
}

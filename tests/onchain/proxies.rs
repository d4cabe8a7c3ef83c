//! Behind a proxy all questions go through it: whose addresses these are is nobody else's business.

use std::collections::HashMap;

use virtual_channels::chain::ChainError;
use virtual_channels::wallet::{Wallet, WalletError};

use crate::liar::Liar;
use crate::proxy_server::{ProxyServer, Speaks};
use crate::purse::{elsewhere, holds, pay_in, world};
use crate::world::{World, refused, sats};

async fn through(speaks: Speaks) {
    let world = world().await;
    let liar = Liar::start(world.regtest.esplora_url()).await;
    let address = |url: &str| url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let names = HashMap::from([
        ("operator.invalid:7070".to_owned(), address(world.regtest.operator_url())),
        ("chain.invalid:80".to_owned(), address(liar.url())),
    ]);
    let proxy = ProxyServer::start(speaks, names).await;
    let mut config = world.config("wallet");
    config.operator_url = "http://operator.invalid:7070".to_owned();
    config.esplora_url = "http://chain.invalid".to_owned();
    config.proxy = Some(proxy.url().to_owned());
    let wallet = Wallet::open(config.clone(), &World::mnemonic("wallet")).await.unwrap();
    pay_in(&world, &wallet, &[20_000]).await;
    world.mine(1).await;
    holds(&wallet, 20_000, 0).await;
    let to = bitcoin::Address::from_script(&elsewhere(0).script_pubkey, bitcoin::Network::Regtest).unwrap().to_string();
    wallet.send_onchain(&to, Some(sats(5_000)), None).await.unwrap();
    assert!(proxy.asked().iter().any(|asked| asked == "chain.invalid:80"));
    wallet.close().unwrap();

    // The server could be reached, and is not, when the proxy is away.
    config.esplora_url = liar.url().to_owned();
    drop(proxy);
    liar.asked();
    let wallet = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    wallet.onchain_address().unwrap();
    for error in [
        refused(wallet.sync_onchain().await),
        refused(wallet.onchain_balance().await),
        refused(wallet.send_onchain(&to, None, None).await),
    ] {
        assert!(matches!(error, WalletError::Chain(ChainError::Unreachable { .. })), "{error}");
    }
    assert_eq!(liar.asked(), Vec::<String>::new(), "nothing went around it");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_socks5() {
    through(Speaks::Socks5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_http_connect() {
    through(Speaks::Connect).await;
}

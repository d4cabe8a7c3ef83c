//! Wallets behind a proxy: everything goes through it, names are its to look up, and nothing goes around it.

use std::collections::HashMap;

use regtest::operator::{Call, Unit};
use virtual_channels::chain::ChainError;
use virtual_channels::operator::OperatorError;
use virtual_channels::wallet::{Wallet, WalletConfig, WalletError};

use crate::proxy_server::{ProxyServer, Speaks};
use crate::world::{World, eventually, refused, sats};

const OPERATOR: &str = "operator.invalid:7070";
const CHAIN: &str = "chain.invalid:80";

/// The world's servers under names that only the proxy knows.
async fn behind(world: &World, speaks: Speaks) -> (ProxyServer, WalletConfig) {
    let address = |url: &str| url.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let names = HashMap::from([
        (OPERATOR.to_owned(), address(world.regtest.operator_url())),
        (CHAIN.to_owned(), address(world.regtest.esplora_url())),
    ]);
    let proxy = ProxyServer::start(speaks, names).await;
    let mut config = world.config("wallet");
    config.operator_url = format!("http://{OPERATOR}");
    config.esplora_url = "http://chain.invalid".to_owned();
    config.proxy = Some(proxy.url().to_owned());
    (proxy, config)
}

async fn whole_life(speaks: Speaks) {
    let world = World::start(Unit::Blocks).await;
    let (proxy, config) = behind(&world, speaks).await;
    let wallet = Wallet::open(config, &World::mnemonic("wallet")).await.unwrap();
    world.board(&wallet, 30_000).await;
    world.settle(&wallet).await;
    let shop = world.wallet("shop").await;
    wallet.send(&shop.ark_address().unwrap(), sats(5_000)).await.unwrap();
    eventually("sent", async || shop.balance().await.is_ok_and(|b| b.total() == sats(5_000))).await;
    let asked = proxy.asked();
    for target in [OPERATOR, CHAIN] {
        assert!(asked.iter().any(|asked| asked == target), "{asked:?}");
    }
    assert!(asked.iter().all(|asked| [OPERATOR, CHAIN].contains(&asked.as_str())), "{asked:?}");
    // Connections are kept: one for the operator, a few for the chain.
    assert!(asked.len() < 20, "{asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn through_socks5() {
    whole_life(Speaks::Socks5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_http_connect() {
    whole_life(Speaks::Connect).await;
}

/// Both servers could be reached without the proxy, and are not.
async fn dead(speaks: Speaks) {
    let world = World::start(Unit::Blocks).await;
    let _ = world.wallet("wallet").await;
    let (proxy, mut config) = behind(&world, speaks).await;
    config.operator_url = world.regtest.operator_url().to_owned();
    config.esplora_url = world.regtest.esplora_url().to_owned();
    drop(proxy);
    let calls = async || {
        let operator = world.regtest.operator().await;
        [Call::GetInfo, Call::GetVtxos].map(|call| operator.faults().seen(call))
    };
    let before = calls().await;
    let wallet = Wallet::open(config.clone(), &World::mnemonic("wallet")).await.unwrap();
    wallet.ark_address().unwrap();
    let error = refused(wallet.balance().await);
    assert!(matches!(error, WalletError::Operator(OperatorError::Unreachable { .. })), "{error}");
    let error = refused(wallet.settle(false).await);
    assert!(matches!(error, WalletError::Operator(OperatorError::Unreachable { .. })), "{error}");
    let report = wallet.maintain().await.unwrap();
    assert!(
        report.errors.iter().any(|failed| matches!(failed.error, WalletError::Chain(ChainError::Unreachable { .. }))),
        "{:?}",
        report.errors
    );
    config.database = world.path("another");
    assert!(Wallet::open(config, &World::mnemonic("another")).await.is_err());
    assert_eq!(calls().await, before, "nothing went around it");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_around_a_dead_socks5() {
    dead(Speaks::Socks5).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_around_a_dead_http_proxy() {
    dead(Speaks::Connect).await;
}

/// A proxy that knows neither name.
#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_refuses() {
    let world = World::start(Unit::Blocks).await;
    for speaks in [Speaks::Socks5, Speaks::Connect] {
        let proxy = ProxyServer::start(speaks, HashMap::new()).await;
        let mut config = world.config("wallet");
        config.proxy = Some(proxy.url().to_owned());
        let error = refused(Wallet::open(config, &World::mnemonic("wallet")).await);
        assert!(matches!(error, WalletError::Operator(OperatorError::Unreachable { .. })), "{error}");
        assert!(!proxy.asked().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_proxy_is_refused() {
    let world = World::start(Unit::Blocks).await;
    for wrong in ["", "127.0.0.1:9050", "socks4://127.0.0.1:9050", "http://127.0.0.1", "http://a:b@127.0.0.1:1"] {
        let mut config = world.config("wallet");
        config.proxy = Some(wrong.to_owned());
        let error = refused(Wallet::open(config, &World::mnemonic("wallet")).await);
        assert!(matches!(error, WalletError::InvalidUrl { .. }), "{wrong}: {error}");
    }
    assert!(!world.path("wallet").exists());
}

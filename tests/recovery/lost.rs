//! A phone that is lost, and the new one.

use std::collections::HashSet;

use regtest::operator::Unit;
use virtual_channels::channel::ChannelId;
use virtual_channels::channel::UpdateMessage;
use virtual_channels::wallet::{EventKind, RestoreReport, Wallet, WalletConfig, WalletError};

use crate::world::{World, sats};

/// A payer with 100 000 sats, a receiver, and a channel of 40 000 that was opened in a batch.
pub async fn opened(unit: Unit) -> (World, Wallet, Wallet, ChannelId) {
    let world = World::start(unit).await;
    let payer = world.rich("payer", 100_000).await;
    let receiver = world.wallet("receiver").await;
    let id = world.open(&payer, &receiver, 40_000).await;
    (world, payer, receiver, id)
}

/// A new, empty file for the wallet of this name.
pub fn new_phone(world: &World, name: &str, phone: &str) -> WalletConfig {
    WalletConfig { database: world.path(&format!("{name}-{phone}")), ..world.config(name) }
}

/// The wallet of this name on a new phone; the old one is closed and never opened again.
pub async fn lose(world: &World, name: &str, wallet: Wallet, backup: Option<&str>) -> (Wallet, RestoreReport) {
    wallet.close().unwrap();
    restore(world, name, "new", backup).await.expect("restores")
}

pub async fn restore(
    world: &World,
    name: &str,
    phone: &str,
    backup: Option<&str>,
) -> Result<(Wallet, RestoreReport), Box<WalletError>> {
    Wallet::restore(new_phone(world, name, phone), &World::mnemonic(name), backup).await
}

/// Hands a payment over as text.
pub fn hand_over(message: &UpdateMessage) -> UpdateMessage {
    UpdateMessage::parse(&message.to_text().unwrap()).unwrap()
}

/// The latest update of a channel, as its holder shows it.
pub fn latest(wallet: &Wallet, id: &ChannelId) -> UpdateMessage {
    hand_over(&wallet.latest_update(id).unwrap().message)
}

/// No coin was spent that the wallet did not spend itself.
pub fn assert_not_surprised(wallet: &Wallet) {
    for event in wallet.pending_events(1_000).unwrap() {
        assert!(!matches!(event.kind, EventKind::SeedUsedElsewhere { .. }), "{event:?}");
    }
}

/// Addresses and payouts that a wallet has shown: every one of them once.
pub fn assert_all_new(shown: &[String], fresh: &[String]) {
    let all: HashSet<&String> = shown.iter().chain(fresh).collect();
    assert_eq!(all.len(), shown.len() + fresh.len(), "{shown:?} {fresh:?}");
}

/// Sum of amounts.
pub fn total(coins: &[virtual_channels::wallet::FoundCoin]) -> bitcoin::Amount {
    coins.iter().fold(sats(0), |sum, coin| sum + coin.amount)
}

//! Wallets as an app opens them.

use std::sync::Arc;

use virtual_channels::ffi::{Clock, InviteRequest, Network, Sats, Wallet, WalletConfig, WalletError};

use crate::ready::Side;

/// Nobody answers there.
const NOWHERE: &str = "http://127.0.0.1:1";

pub fn config(side: &Side) -> WalletConfig {
    WalletConfig {
        database_path: side.path.to_str().unwrap().into(),
        network: Network::Regtest,
        operator_url: NOWHERE.into(),
        esplora_url: NOWHERE.into(),
        confirmations: None,
        max_preconfirmed: None,
        max_blind_seconds: None,
        proxy: None,
    }
}

pub async fn open(side: &Side, clock: Option<Arc<dyn Clock>>) -> Result<Arc<Wallet>, WalletError> {
    Wallet::open(config(side), side.words.clone(), clock).await
}

pub fn sats(amount: u64) -> Sats {
    Sats(amount)
}

/// With the defaults that Kotlin and Swift see.
pub fn invite() -> InviteRequest {
    InviteRequest {
        min_capacity: None,
        max_capacity: None,
        min_lifetime: None,
        max_lifetime: None,
        delay_margin: 0,
        batch_funding: true,
        offchain_funding: true,
        on_close: false,
        valid_seconds: 86_400,
        memo: None,
    }
}

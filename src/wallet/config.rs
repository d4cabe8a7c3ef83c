//! What a wallet needs to be told.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::Amount;

use super::clock::{Clock, SystemClock};
use crate::channel::Network;

/// How a wallet is set up. Only the first four have no default.
#[derive(Clone)]
pub struct WalletConfig {
    /// The SQLite file; created where it does not exist.
    pub database: PathBuf,
    pub network: Network,
    /// arkd's gRPC address, `https://…` (or `http://…` on regtest).
    pub operator_url: String,
    /// An Esplora API, `https://…`.
    pub esplora_url: String,
    /// Confirmations of the commitment transaction that make a channel open and a VTXO settled.
    pub confirmations: u32,
    /// The largest preconfirmed channel this wallet takes as receiver.
    pub max_preconfirmed: Amount,
    /// As receiver: how long after the last look at the chain new money is still taken, in seconds. `None`: a quarter
    /// of d2 (preconfirmed channels: a quarter of the checkpoint delay).
    pub max_blind_seconds: Option<u64>,
    /// The longest that a run of maintenance waits for closes before it looks at the channels and leaves what must be left.
    pub closes_limit: Duration,
    /// A proxy for operator and chain server: `socks5://host:port`, which looks up their names (Tor), or
    /// `http://host:port` (CONNECT). With one nothing goes around it.
    pub proxy: Option<String>,
    pub clock: Arc<dyn Clock>,
}

impl WalletConfig {
    /// Sane defaults: 1 confirmation on regtest, 2 elsewhere; 100 000 sats preconfirmed.
    pub fn new(
        database: impl Into<PathBuf>,
        network: Network,
        operator_url: impl Into<String>,
        esplora_url: impl Into<String>,
    ) -> Self {
        Self {
            database: database.into(),
            network,
            operator_url: operator_url.into(),
            esplora_url: esplora_url.into(),
            confirmations: if network == Network::Regtest { 1 } else { 2 },
            max_preconfirmed: Amount::from_sat(100_000),
            max_blind_seconds: None,
            closes_limit: Duration::from_secs(120),
            proxy: None,
            clock: Arc::new(SystemClock::default()),
        }
    }
}

//! How a wallet is set up.

use bitcoin::Amount;

use super::Sats;
use crate::channel;
use crate::wallet;

/// A Bitcoin network. Mutinynet is a signet with blocks every 30 seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Enum)]
pub enum Network {
    /// Real money.
    Bitcoin,
    /// Testnet 3.
    Testnet,
    /// The default signet.
    Signet,
    /// A signet with blocks every 30 seconds.
    Mutinynet,
    /// A chain of one's own, for tests.
    Regtest,
}

impl From<Network> for channel::Network {
    fn from(network: Network) -> Self {
        match network {
            Network::Bitcoin => Self::Bitcoin,
            Network::Testnet => Self::Testnet,
            Network::Signet => Self::Signet,
            Network::Mutinynet => Self::Mutinynet,
            Network::Regtest => Self::Regtest,
        }
    }
}

/// How a wallet is set up.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct WalletConfig {
    /// The SQLite file; created where it does not exist.
    pub database_path: String,
    /// All addresses, keys and messages are for it.
    pub network: Network,
    /// arkd's gRPC address: `https://…`, or `http://…` on regtest.
    pub operator_url: String,
    /// An Esplora API.
    pub esplora_url: String,
    /// Confirmations that make a channel open and a VTXO settled; by default 2, on regtest 1.
    #[uniffi(default = None)]
    pub confirmations: Option<u32>,
    /// The largest preconfirmed channel taken as receiver; by default 100 000.
    #[uniffi(default = None)]
    pub max_preconfirmed: Option<Sats>,
    /// As receiver: how long after the last look at the chain new money is still taken. By default a quarter of d2.
    #[uniffi(default = None)]
    pub max_blind_seconds: Option<u64>,
    /// A proxy for operator and chain server: `socks5://host:port`, which looks up their names (Tor), or
    /// `http://host:port` (CONNECT). With one nothing goes around it. Without a name and password.
    #[uniffi(default = None)]
    pub proxy: Option<String>,
}

impl From<WalletConfig> for wallet::WalletConfig {
    fn from(config: WalletConfig) -> Self {
        let network = config.network.into();
        let mut full = Self::new(config.database_path, network, config.operator_url, config.esplora_url);
        full.confirmations = config.confirmations.unwrap_or(full.confirmations);
        full.max_preconfirmed = config.max_preconfirmed.map_or(full.max_preconfirmed, Amount::from);
        full.max_blind_seconds = config.max_blind_seconds;
        full.proxy = config.proxy;
        full
    }
}

//! What can go wrong with the chain's server.

/// Why something with the Esplora server did not work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("the chain server at {url} cannot be reached: {why}")]
    Unreachable { url: String, why: String },
    #[error("the chain server's answer to {call} is not usable: {what}")]
    BadAnswer { call: &'static str, what: String },
    #[error("the chain server does not list all coins of an address: there are too many")]
    TooManyCoins,
    /// The transaction (or the package) was not taken.
    #[error("the network did not take the transaction: {reason}")]
    Rejected { reason: String },
}

impl ChainError {
    /// Refused because a lock has not run out yet.
    pub fn is_too_early(&self) -> bool {
        matches!(self, Self::Rejected { reason } if reason.contains("non-BIP68-final") || reason.contains("non-final"))
    }

    /// Refused because it is in a block or in the mempool already.
    pub fn is_known(&self) -> bool {
        let known = ["already in block chain", "already in utxo set", "txn-already-known", "txn-already-in-mempool"];
        matches!(self, Self::Rejected { reason } if known.iter().any(|text| reason.contains(text)))
    }
}

//! What can go wrong on the chain side.

use bitcoin::Amount;

/// A failure of the node, or of a call to it.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// No Bitcoin Core of version 29 or later was found; `scripts/bitcoind.sh` builds one.
    #[error("no bitcoind ≥ 29: set BITCOIND, put it on the PATH, or run scripts/bitcoind.sh (looked at: {looked})")]
    NotFound {
        /// The places that were looked at, comma separated.
        looked: String,
    },
    /// bitcoind was started but did not come up.
    #[error("bitcoind did not start: {0}")]
    Start(String),
    /// bitcoind answered with an error.
    #[error("{method}: {message} (code {code})")]
    Rpc {
        /// The RPC method.
        method: String,
        /// Bitcoin Core's error code, such as -25 or -26 for a refused transaction.
        code: i32,
        /// Bitcoin Core's text, such as `non-BIP68-final`.
        message: String,
    },
    /// The call did not reach bitcoind, or its answer was not JSON.
    #[error("{method}: {message}")]
    Transport {
        /// The RPC method.
        method: String,
        /// What the HTTP or JSON layer said.
        message: String,
    },
    /// bitcoind's answer has another shape than expected.
    #[error("{method}: unexpected answer: {answer}")]
    Answer {
        /// The RPC method.
        method: String,
        /// The answer, or the part that was not understood.
        answer: String,
    },
    /// The faucet has not enough mature coins at the moment; mining gives it more.
    #[error("the faucet has {has} in {coins} usable coins, {wanted} is wanted")]
    Funds {
        /// What was to be paid, fee included.
        wanted: Amount,
        /// What the usable coins add up to.
        has: Amount,
        /// How many usable coins there are.
        coins: usize,
    },
    /// A transaction to be paid for has no P2A output.
    #[error("transaction {0} has no P2A output")]
    NoAnchor(bitcoin::Txid),
    /// A blocking task ended early, because the runtime shuts down or it panicked.
    #[error("task: {0}")]
    Task(String),
}

impl NodeError {
    /// Bitcoin Core's error code, if it was bitcoind that refused.
    pub fn code(&self) -> Option<i32> {
        match self {
            Self::Rpc { code, .. } => Some(*code),
            _ => None,
        }
    }
}

//! The test side: a real Bitcoin Core on regtest with a faucet, Esplora over it, and an Ark operator.
//!
//! Nothing about the chain is imitated: [`Node`] runs `bitcoind`, so consensus, mempool policy, median time past and
//! reorgs are the real ones.

mod bitcoind;
mod coins;
mod error;
pub mod node;

pub mod index;

pub use node::{Confirmed, Node, NodeError, Tip};

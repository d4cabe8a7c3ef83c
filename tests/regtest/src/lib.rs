//! The test side: a real Bitcoin Core on regtest with a faucet, Esplora over it, and an Ark operator.
//!
//! Nothing about the chain is imitated: [`Node`] runs `bitcoind`, so consensus, mempool policy, median time past and
//! reorgs are the real ones. [`Regtest`] starts all of it on free loopback ports; several stand side by side.

mod bitcoind;
mod coins;
mod error;
pub mod esplora;
mod faucet;
pub mod index;
mod meddle;
pub mod node;
pub mod operator;
mod regtest;
mod seat;
mod server;

pub use esplora::{Esplora, Mode};
pub use node::{Confirmed, Node, NodeError, Tip};
pub use regtest::{Builder, Regtest, RegtestError};

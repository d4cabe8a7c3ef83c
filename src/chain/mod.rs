//! The Bitcoin chain, through an Esplora server.

mod error;
mod esplora;
mod history;
mod http;
mod median;
mod server;
mod told;

pub use error::ChainError;
pub use esplora::{Chain, Coin, Fees, Spend, Tip, TxStatus};
pub use history::{Entry, History, TxFee};

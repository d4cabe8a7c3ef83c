//! The main job, for real: a channel opened in a batch, a thousand offline payments, closed, settled; then one opened
//! off chain, and refunded.
//!
//! Without settings it runs against a bitcoind on regtest and an Ark operator of the project's own. With `OPERATOR` and
//! `ESPLORA` it runs against any arkd; `FAUCET` names a server with `/faucet/{address}/{sats}` and `/mine/{n}?after=`.
//! `UNIT=block` makes the embedded operator count in blocks.

mod account;
mod backend;
mod story;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    backend::tell("demo", story::run()).await
}

//! Leaving without the operator: two channels and some change, then the operator is gone for good, and both sides get
//! their money on chain.
//!
//! Without settings it runs against a bitcoind on regtest and an Ark operator of the project's own, which is killed.
//! With `OPERATOR` and `ESPLORA` the channels are opened on any arkd; afterwards the wallets are opened again with an
//! operator's address where nobody answers. `FAUCET` names a server with `/faucet/{address}/{sats}` and
//! `/mine/{n}?after=`; without it the demo prints what to pay, and waits as long as the chain takes. `UNIT=block` makes
//! the embedded operator count in blocks.

#[path = "../demo/backend.rs"]
#[allow(dead_code)]
mod backend;
mod story;

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    backend::tell("exit-demo", story::run()).await
}

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
    let started = std::time::Instant::now();
    match story::run().await {
        Ok(()) => {
            println!("\ntook {:.1} s", started.elapsed().as_secs_f64());
            println!("exit-demo: ok");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("\nexit-demo: failed after {:.1} s: {error}", started.elapsed().as_secs_f64());
            ExitCode::FAILURE
        }
    }
}

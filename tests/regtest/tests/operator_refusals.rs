//! Bad requests, and the codes that a real arkd 0.9.15 gave them: ours must give the same.
//!
//! `SLOW=1 ARKD=http://… FAUCET=host:port cargo test -p regtest --test operator_refusals --features real-arkd -- theirs --nocapture` asks a running arkd
//! and compares it with the list again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod operator_support;
mod refusals;

use operator_support::target::Target;
use regtest::operator::Unit;

/// One line a request: its name, the gRPC status (0: accepted), and arkd's code (-: none).
const RECORDED: &str = include_str!("refusals/arkd-0.9.15.txt");

fn compare(answers: Vec<String>) {
    let recorded: Vec<&str> = RECORDED.lines().collect();
    for (ours, theirs) in answers.iter().zip(&recorded) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(answers.len(), recorded.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_in_seconds() {
    compare(refusals::all(&Target::ours(Unit::Seconds, 10).await).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_in_blocks() {
    compare(refusals::all(&Target::ours(Unit::Blocks, 10).await).await);
}

#[cfg(feature = "real-arkd")]
#[tokio::test(flavor = "multi_thread")]
async fn theirs() {
    let target = Target::real().expect("ARKD and FAUCET say where it is");
    let answers = refusals::all(&target).await;
    answers.iter().for_each(|a| println!("{a}"));
    compare(answers);
}

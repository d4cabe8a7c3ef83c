//! The same bytes as a real arkd and its SDKs: addresses, trees, transactions, proofs, branches.

#[path = "../common/recorded.rs"]
#[allow(dead_code)]
mod recorded;

mod exits;
mod intents;
mod offchain;
mod trees;

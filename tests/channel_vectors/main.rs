//! The same bytes as a real arkd and its SDKs: addresses, trees, transactions, proofs, branches.

#[path = "../common/pair.rs"]
#[allow(dead_code)]
mod pair;
#[path = "../common/recorded.rs"]
#[allow(dead_code)]
mod recorded;

mod branches;
mod exits;
mod flips;
mod intents;
mod judge;
mod offchain;
mod trees;

//! Leaving on chain by the library itself, with the operator gone: every transaction is taken by a real bitcoind.

#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod receiver;
mod stage;

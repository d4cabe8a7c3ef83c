//! Leaving on chain by the library itself, with the operator gone: every transaction is taken by a real bitcoind.

#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod answered;
mod boarding;
mod checkpoints;
mod closed;
mod coins;
mod dust;
mod expiring;
mod fees;
mod interrupted;
mod lost;
mod payer;
mod quotes;
mod races;
mod receiver;
mod signed_away;
mod stage;
mod unrolled;

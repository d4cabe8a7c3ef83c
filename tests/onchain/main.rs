//! The small on-chain wallet: what it holds, what it pays for, and whom it asks.

// A part of it is used here.
#[allow(dead_code)]
#[path = "../stories/world.rs"]
mod world;

mod children;
mod holding;
mod purse;

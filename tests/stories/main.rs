//! Stories of whole wallets over a real bitcoind and the Ark operator of `tests/regtest`, one module a story.
//!
//! One test program, so that it is linked once. Every test has a chain and an operator of its own.

mod exits;
mod life;
mod opening;
mod opening_faults;
mod two_processes;
mod world;

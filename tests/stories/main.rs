//! Stories of whole wallets over a real bitcoind and the Ark operator of `tests/regtest`, one module a story.
//!
//! One test program, so that it is linked once. Every test has a chain and an operator of its own;
//! those of `paying` and `receiving` need neither.

mod chain_ahead;
mod changes;
mod closing;
mod closing_hostile;
mod closing_operator;
mod coins;
mod dust;
mod exits;
mod lagging_books;
mod life;
mod offering;
mod offline;
mod opening;
mod opening_faults;
mod opening_funding;
mod opening_killed;
mod paying;
mod paying_again;
mod paying_files;
mod proxies;
mod proxy_server;
mod receiving;
mod refunding;
mod releasing;
mod releasing_flows;
mod several_operators;
mod sums;
mod two_phones;
mod two_processes;
mod world;

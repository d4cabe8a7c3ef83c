//! The small on-chain wallet: what it holds, what it pays for, and whom it asks.

#[path = "../stories/proxy_server.rs"]
mod proxy_server;
// A part of it is used here.
#[allow(dead_code)]
#[path = "../stories/world.rs"]
mod world;

mod children;
mod holding;
mod hostile;
mod liar;
mod proxies;
mod purse;
mod sending;

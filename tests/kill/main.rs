//! `kill -9`: a child process is killed with SIGKILL at a random moment, or while a chosen call to the operator is
//! under way, and whatever it leaves behind must add up.
//!
//! The child is this test program again, told by an environment variable what to do ([`child`]).

#[path = "../exits/stage.rs"]
#[allow(dead_code)]
mod on_chain;
#[path = "../common/pair.rs"]
#[allow(dead_code)]
mod pair;
#[path = "../common/ready.rs"]
#[allow(dead_code)]
mod ready;
#[path = "../common/spoken.rs"]
mod spoken;
#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod child;
mod close;
mod exit;
mod flows;
mod open;
mod pay;
mod receive;
mod stage;
mod syncs;

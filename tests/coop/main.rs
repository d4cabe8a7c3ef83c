//! Ending a channel with more than the receiver's close: together with the payer, by giving it back, by a refund into
//! a new channel, and when both sides are in a hurry. Over a real bitcoind and the operator of `tests/regtest`.

#[path = "../stories/offline.rs"]
#[allow(dead_code)]
mod offline;
#[path = "../exits/stage.rs"]
#[allow(dead_code)]
mod stage;
#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod case;
mod giving_back;
mod on_chain;
mod on_close;
mod races;
mod refund_into;
mod script_drift;

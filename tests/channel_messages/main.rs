//! What the two sides hand each other: round trips, damage, and anything at all from a hostile peer.

#[path = "../common/messages.rs"]
#[allow(dead_code)]
mod messages;
#[path = "../common/pair.rs"]
#[allow(dead_code)]
mod pair;

mod damage;
mod fuzz;
mod round_trips;

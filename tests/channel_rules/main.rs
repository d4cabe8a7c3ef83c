//! What the protocol refuses, and with which figures. A test's name is the row it stands for.

#[path = "../common/messages.rs"]
#[allow(dead_code)]
mod messages;
#[path = "../common/pair.rs"]
#[allow(dead_code)]
mod pair;

mod amounts;
mod authorisations;
mod branches;
mod catching_up;
mod close_messages;
mod deadlines;
mod offchain;
mod offers;
mod operator;
mod signatures;

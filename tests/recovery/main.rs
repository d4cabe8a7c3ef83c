//! Lost phones: restoring from the mnemonic, from the static backup, and with the other side's help.

#[path = "../common/pair.rs"]
#[allow(dead_code)]
mod pair;
#[path = "../exits/stage.rs"]
#[allow(dead_code)]
mod stage;
#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod backups;
mod catching_up;
mod decoding;
mod killed;
mod leaving;
mod lost;
mod mnemonic;
mod peers;
mod pending;

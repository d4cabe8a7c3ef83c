//! Stories of maintenance: what a wallet does by itself, over a real bitcoind and the Ark operator of `tests/regtest`.

mod books;
mod case;
mod clocks;
mod deadlines;
mod half_dead;
mod hostile;
mod keeping;
mod live;
mod lost;
mod many;
mod runs;
#[allow(dead_code)]
#[path = "../stories/world.rs"]
mod world;

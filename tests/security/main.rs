//! What must never happen: a secret in a file, a record or an error; time running backwards; a wallet that goes on
//! after it was closed or after its file was taken away; rooms that know what they must not know.

#[path = "../common/pair.rs"]
#[allow(dead_code)]
mod pair;
#[path = "../common/ready.rs"]
#[allow(dead_code)]
mod ready;
#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

mod calls;
mod cases;
mod clock;
mod closed;
mod files;
mod house;
mod secrets;
mod together;
mod zeroised;

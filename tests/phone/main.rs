//! What the app of a phone may do to the library: a clock, a log sink and calls of its own, through the exported API.

#[path = "../common/pair.rs"]
#[allow(dead_code)]
mod pair;
#[path = "../common/ready.rs"]
#[allow(dead_code)]
mod ready;
#[path = "../stories/world.rs"]
#[allow(dead_code)]
mod world;

#[cfg(target_os = "linux")]
mod alone;
mod clock;
mod following;
#[cfg(target_os = "linux")]
mod leaving;
#[cfg(target_os = "linux")]
mod log;
mod opened;
#[cfg(target_os = "linux")]
mod release;

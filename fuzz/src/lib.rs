//! The targets, for libFuzzer. The same files are part of the test in `tests/fuzz`, which gives them the same modules
//! beside.
#![allow(dead_code, reason = "shared helpers of tests: not every target uses all of them")]

#[path = "../../tests/common/messages.rs"]
pub mod messages;
#[path = "../../tests/common/pair.rs"]
pub mod pair;
#[path = "../../tests/common/ready.rs"]
pub mod ready;
pub mod targets;

/// arkd's messages.
#[allow(clippy::all)]
pub mod wire {
    tonic::include_proto!("ark.v1");
}

//! What is fuzzed: every place where bytes from outside become something that the library believes.
//!
//! A target takes any bytes, panics when a promise is broken, and says whether the bytes got all the way through the
//! checks. What it needs besides is made once and the same every time.

pub mod answers;
mod answers_seeds;
mod backups;
pub mod batch;
mod batch_recorded;
pub mod branch;
pub mod chain;
pub mod codecs;
mod grpc;
mod http;
mod input;
pub mod messages;
pub mod proxies;
pub mod receive;
mod recorded;
mod stored;
mod tree;

pub use input::Writer;

/// One target.
pub struct Target {
    /// The name of its libFuzzer program and of its folder in the corpus.
    pub name: &'static str,
    pub run: fn(&[u8]) -> bool,
    /// Inputs to begin with. Signatures in them are fresh every time.
    pub seeds: fn() -> Vec<(String, Vec<u8>)>,
}

/// All of them.
pub const ALL: [Target; 8] = [
    Target { name: "messages", run: messages::run, seeds: messages::seeds },
    Target { name: "codecs", run: codecs::run, seeds: codecs::seeds },
    Target { name: "branch", run: branch::run, seeds: branch::seeds },
    Target { name: "answers", run: answers::run, seeds: answers::seeds },
    Target { name: "batch", run: batch::run, seeds: batch::seeds },
    Target { name: "chain", run: chain::run, seeds: chain::seeds },
    Target { name: "proxies", run: proxies::run, seeds: proxies::seeds },
    Target { name: "receive", run: receive::run, seeds: receive::seeds },
];

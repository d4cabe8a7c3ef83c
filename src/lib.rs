//! Payment channels inside Ark VTXOs.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

pub mod chain;
pub mod channel;
pub mod operator;
pub mod store;
pub mod wallet;

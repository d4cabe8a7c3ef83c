//! arkd: the wire, its errors, batches, off-chain transactions and the indexer.
//!
//! Everything that comes in is decoded and checked here, once, into types that cannot be wrong. Every call has a
//! deadline, every answer a bound. Nothing here remembers anything between two calls but the operator's last info.

mod batch;
mod branch;
mod calls;
mod client;
mod decode;
mod error;
mod events;
mod indexer;
mod info;
mod intents;
mod node;
mod offchain;
#[cfg(test)]
mod recorded;
mod subscription;
mod vtxo;

pub use batch::{
    BatchInput, BatchObserver, BatchOutcome, BatchOutput, BatchPlan, CosignPlan, CosignStream, FundedLeaf, InputKind,
    Veto, cosign, join, open_cosign_stream,
};
pub use branch::{ChainKind, ChainLink};
pub use client::{BUILD_VERSION, Operator};
pub use error::{ArkdError, OperatorError, Phase, code};
pub use offchain::{PendingTx, SubmitAnswer};
pub use subscription::{ScriptEvent, ScriptSubscription};
pub use vtxo::Vtxo;

/// Messages as they are on the wire, generated.
#[allow(dead_code, clippy::all, clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
pub(crate) mod wire {
    include!(concat!(env!("OUT_DIR"), "/ark.v1.rs"));
}

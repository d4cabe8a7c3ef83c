//! Batches: one party's side of the session that makes VTXOs.
//!
//! [`join`] registers an intent and sees it through; [`cosign`] only signs the tree that somebody else's intent asks
//! for. Both check every transaction before a nonce or a signature leaves, and hand the signed branches to the
//! [`BatchObserver`] before anything irrevocable does.

mod commitment;
mod connectors;
mod cosign;
mod forfeit;
mod join;
mod plan;
#[cfg(test)]
mod replay;
mod send;
mod session;
mod signer;
#[cfg(test)]
mod tests;
mod tree;

use std::time::Duration;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{OutPoint, Transaction, TxOut, Txid};
use secp256k1::Keypair;

pub use cosign::{CosignStream, cosign, open_cosign_stream};
pub use join::join;

use super::error::OperatorError;
use crate::channel::Delay;
use crate::channel::branch::Branch;
use crate::channel::intent::IntentInput;

/// How an input leaves its owner's hands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputKind {
    /// A VTXO: its owner signs a forfeit transaction that counts only beside the commitment transaction.
    Vtxo,
    /// A confirmed coin at a boarding address (or an unrolled VTXO): its owner signs the commitment transaction.
    Boarding,
    /// An expired or swept VTXO: nothing to sign but the intent.
    Recoverable,
}

/// One coin that goes into a batch. Its key is erased when it is dropped, as in the plans below.
#[derive(Clone)]
pub struct BatchInput {
    /// The coin and the leaf that signs both the intent and the forfeit or commitment transaction.
    pub coin: IntentInput,
    pub kind: InputKind,
    /// The owner's key in that leaf.
    pub keypair: Keypair,
}

impl Drop for BatchInput {
    fn drop(&mut self) {
        self.keypair.non_secure_erase();
    }
}

/// One output that a batch makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BatchOutput {
    /// A VTXO.
    Offchain(TxOut),
    /// An output of the commitment transaction.
    Onchain(TxOut),
}

impl BatchOutput {
    pub fn txout(&self) -> &TxOut {
        match self {
            Self::Offchain(output) | Self::Onchain(output) => output,
        }
    }
}

/// What one intent asks for.
#[derive(Clone)]
pub struct BatchPlan {
    pub inputs: Vec<BatchInput>,
    /// In the order of the intent. What the inputs hold beyond them is the operator's fee.
    pub outputs: Vec<BatchOutput>,
    /// Our key in the tree: fresh for every batch.
    pub cosigner: Keypair,
    /// Others that co-sign our branch.
    pub other_cosigners: Vec<PublicKey>,
    /// When the intent ends (unix seconds, 0: never).
    pub expire_at: u64,
    /// How long to wait for a batch that takes the intent.
    pub patience: Duration,
}

impl Drop for BatchPlan {
    fn drop(&mut self) {
        self.cosigner.non_secure_erase();
    }
}

/// What a party that only co-signs agreed to.
#[derive(Clone)]
pub struct CosignPlan {
    pub cosigner: Keypair,
    /// The inputs of the intent: by them the operator tells that its batch failed.
    pub payer_inputs: Vec<OutPoint>,
    /// The VTXO that must come out.
    pub leaf: TxOut,
    pub other_cosigners: Vec<PublicKey>,
}

impl Drop for CosignPlan {
    fn drop(&mut self) {
        self.cosigner.non_secure_erase();
    }
}

/// Stops a session; nothing irrevocable has left when it is honoured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veto(pub String);

impl From<Veto> for OperatorError {
    fn from(veto: Veto) -> Self {
        Self::Veto { why: veto.0 }
    }
}

/// Follows a session and may stop it. A call returns before the session goes on.
pub trait BatchObserver: Send {
    /// The operator has queued the intent. Not called for a co-signer.
    fn registered(&mut self, _intent_id: &str) -> Result<(), Veto> {
        Ok(())
    }

    /// A batch with our intent (or, for a co-signer, with our leaf) has started; its VTXOs can be swept `expiry`
    /// after the commitment transaction confirms. For [`join`] this is before the registration is confirmed.
    fn started(&mut self, _batch_id: &str, _expiry: Delay) -> Result<(), Veto> {
        Ok(())
    }

    /// Our tree signatures are out.
    fn signed(&mut self) {}

    /// All checks passed and the branches are signed. What the outcome holds must be durable when this returns: after
    /// it, and only then, forfeits and commitment inputs are signed and sent.
    fn ready(&mut self, outcome: &BatchOutcome) -> Result<(), Veto>;
}

/// A VTXO that a batch made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FundedLeaf {
    pub outpoint: OutPoint,
    pub output: TxOut,
    /// Signed, from the commitment transaction down to it.
    pub branch: Branch,
}

/// What a batch came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchOutcome {
    pub batch_id: String,
    /// Unsigned: its id is final, its signatures are the operator's business.
    pub commitment: Transaction,
    pub commitment_txid: Txid,
    /// Counted from the commitment's confirmation.
    pub expiry: Delay,
    /// In the order of the plan's off-chain outputs.
    pub leaves: Vec<FundedLeaf>,
}

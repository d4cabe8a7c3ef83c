//! Whether an off-chain transaction of this wallet is final. The books alone do not say so: what is final has every
//! signature, and those are asked for and verified.

use bitcoin::{OutPoint, Psbt, Txid};

use super::Wallet;
use super::error::Result;
use super::offchain::Job;
use crate::channel::psbt::verified_signature;
use crate::operator::{Operator, SubmitAnswer};

/// How a submitted transaction stands.
pub(super) enum Ending {
    /// Its outputs are not in the operator's books.
    Open,
    /// The books have its outputs, and the operator shows no signatures that bear that out.
    Claimed,
    /// It is final. With the operator's answer, as it came or should have come.
    Proven(Box<SubmitAnswer>),
}

impl Wallet {
    /// Looks how a transaction stands; an error when nobody answers.
    pub(super) async fn ending(&self, operator: &Operator, job: &Job) -> Result<Ending> {
        if !self.outputs_exist(operator, job.tx.txid()).await? {
            return Ok(Ending::Open);
        }
        let checkpoints = job.tx.checkpoints.iter().map(|checkpoint| checkpoint.tx.compute_txid());
        let wanted: Vec<Txid> = checkpoints.chain([job.tx.txid()]).collect();
        let shown = match operator.virtual_txs(&wanted).await {
            Ok(shown) => shown,
            Err(error) if error.is_transport() => return Err(error.into()),
            Err(_) => return Ok(Ending::Claimed),
        };
        Ok(proof(job, shown).map_or(Ending::Claimed, |answer| Ending::Proven(Box::new(answer))))
    }

    /// Whether the outputs of an ark transaction are in the operator's books.
    pub(super) async fn outputs_exist(&self, operator: &Operator, ark_txid: Txid) -> Result<bool> {
        Ok(!operator.vtxos_by_outpoints(&[OutPoint::new(ark_txid, 0)]).await?.is_empty())
    }
}

/// The operator's signatures on everything, and this wallet's own on the checkpoints, which it gives last of all.
fn proof(job: &Job, mut shown: Vec<Psbt>) -> Option<SubmitAnswer> {
    let ark_txid = job.tx.txid();
    let ark = shown.swap_remove(shown.iter().position(|psbt| psbt.unsigned_tx.compute_txid() == ark_txid)?);
    let answer = SubmitAnswer::check(&job.tx, ark, shown, job.operator).ok()?;
    for ((checkpoint, signer), psbt) in job.tx.checkpoints.iter().zip(&job.signers).zip(&answer.checkpoints) {
        let prevouts = std::slice::from_ref(&checkpoint.prevout);
        verified_signature(psbt, 0, &checkpoint.tx, prevouts, &checkpoint.vtxo_leaf, signer.own.xonly()).ok()?;
    }
    Some(answer)
}

//! Branches of the wallet's own VTXOs: without them only the operator could put those on chain.

use std::collections::HashSet;

use bitcoin::OutPoint;

use super::super::error::Result;
use super::super::offchain::Job;
use super::super::{Wallet, WalletError};
use crate::channel::branch::{Branch, BranchNode, MAX_NODES};
use crate::channel::offchain::OperatorSignatures;
use crate::store::ScriptKind;

impl Wallet {
    /// Stores the branches of this wallet's outputs of an off-chain transaction that is final: those of its inputs, its
    /// checkpoints, and itself.
    pub(in crate::wallet) fn keep_outputs(&self, job: &Job, operator: &OperatorSignatures) -> Result<()> {
        let signed = job.transactions(operator)?;
        let Some(ark) = signed.last() else { return Ok(()) };
        let txid = ark.compute_txid();
        self.store.write::<_, WalletError>(|db| {
            let mut own = Vec::new();
            for (output, vout) in ark.output.iter().zip(0..) {
                if db.script(&output.script_pubkey)?.is_some_and(|own| own.kind == ScriptKind::Vtxo) {
                    own.push(OutPoint::new(txid, vout));
                }
            }
            let mut nodes: Vec<BranchNode> = Vec::new();
            let mut inside = HashSet::new();
            for checkpoint in &job.tx.checkpoints {
                let Some(spent) = checkpoint.tx.input.first().map(|input| input.previous_output) else { return Ok(()) };
                // What is not known is fetched from the operator at a later look.
                let Some(branch) = db.branch(&spent)? else { return Ok(()) };
                nodes.extend(branch.nodes.into_iter().filter(|node| inside.insert(node.tx.compute_txid())));
            }
            nodes.extend(signed.iter().map(|tx| BranchNode { tx: tx.clone(), cosigners: Vec::new() }));
            if nodes.len() > MAX_NODES {
                return Ok(());
            }
            let branch = Branch { nodes };
            own.iter().try_for_each(|outpoint| Ok(db.put_branch(outpoint, &branch)?))
        })
    }
}

//! Branches of the wallet's own VTXOs: without them only the operator could put those on chain.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint};

use super::super::error::Result;
use super::super::offchain::Job;
use super::super::{Wallet, WalletError};
use crate::channel::branch::{Branch, BranchNode, MAX_NODES};
use crate::channel::offchain::OperatorSignatures;
use crate::store::{Db, ScriptKind};

impl Wallet {
    /// Stores the branches of this wallet's outputs of an off-chain transaction that is final.
    pub(in crate::wallet) fn keep_outputs(&self, job: &Job, operator: &OperatorSignatures) -> Result<()> {
        self.store.write::<_, Box<WalletError>>(|db| match branch_below(db, job, operator)? {
            Some(branch) => keep_own(db, &branch),
            // It is fetched from the operator at a later look.
            None => Ok(()),
        })
    }
}

/// The branch of what an off-chain transaction makes: those of its inputs, its checkpoints, and itself. `None` where that
/// of an input is not known, or it is too large.
pub(super) fn branch_below(db: &Db<'_>, job: &Job, operator: &OperatorSignatures) -> Result<Option<Branch>> {
    let mut nodes: Vec<BranchNode> = Vec::new();
    let mut inside = HashSet::new();
    for checkpoint in &job.tx.checkpoints {
        let Some(spent) = checkpoint.tx.input.first().map(|input| input.previous_output) else { return Ok(None) };
        let Some(branch) = db.sound_branch(&spent)? else { return Ok(None) };
        nodes.extend(branch.nodes.into_iter().filter(|node| inside.insert(node.tx.compute_txid())));
    }
    let signed = job.transactions(operator)?;
    nodes.extend(signed.into_iter().map(|tx| BranchNode { tx, cosigners: [].into() }));
    Ok((nodes.len() <= MAX_NODES).then_some(Branch { nodes }))
}

/// Stores a branch for those outputs of its last transaction that are this wallet's.
pub(super) fn keep_own(db: &Db<'_>, branch: &Branch) -> Result<()> {
    own_outputs(db, branch)?.iter().try_for_each(|(outpoint, _)| Ok(db.put_branch(outpoint, branch)?))
}

/// The outputs of its last transaction that are this wallet's.
pub(super) fn own_outputs(db: &Db<'_>, branch: &Branch) -> Result<Vec<(OutPoint, Amount)>> {
    let Some(leaf) = branch.leaf() else { return Ok(Vec::new()) };
    let txid = leaf.compute_txid();
    let mut own = Vec::new();
    for (output, vout) in leaf.output.iter().zip(0..) {
        if db.script(&output.script_pubkey)?.is_some_and(|own| own.kind == ScriptKind::Vtxo) {
            own.push((OutPoint::new(txid, vout), output.value));
        }
    }
    Ok(own)
}

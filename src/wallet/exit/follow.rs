//! Somebody else spends the channel on chain: what that leaves for this side.

use bitcoin::Transaction;

use super::super::Wallet;
use super::super::error::Result;
use super::data::{Claim, Hex, corrupt};
use super::drive::{Exit, Look};
use super::{ExitProblem, ExitStage};
use crate::chain::Spend;
use crate::channel::exit::{ChannelSpend, output_to};

impl Wallet {
    /// `spend` takes the output that is to be claimed, and is not the claim.
    pub(super) async fn follow(&self, look: &mut Look, exit: &mut Exit, spend: Spend) -> Result<()> {
        exit.data.problem = Some(ExitProblem::Conflict { outpoint: exit.target(), spent_by: spend.txid });
        let deep = spend.status.confirmations(look.tip.height) >= self.config.confirmations;
        let Some(tx) = self.net.chain.transaction(spend.txid).await? else { return Ok(()) };
        let Some(loaded) = exit.loaded.clone() else {
            // A coin of ours that somebody else could spend: it had been signed away.
            return if deep { self.finish_lost(exit, spend.txid) } else { Ok(()) };
        };
        let party = loaded.own_side();
        match loaded.channel.spend_of(&tx) {
            ChannelSpend::ExitUpdate { .. } => {
                exit.data.claimed_by = Some(spend.txid);
                exit.data.problem = None;
                exit.data.stage = match spend.status.confirmations(look.tip.height) {
                    0 => ExitStage::Claiming,
                    confirmations => ExitStage::Claimed { confirmations },
                };
                if !deep {
                    return Ok(());
                }
                self.finish_other(exit, &tx, output_to(&tx, &party.chain_payout.script()))
            }
            ChannelSpend::UnilateralRefund if deep => self.finish_lost(exit, spend.txid),
            ChannelSpend::UnilateralRefund if !spend.status.is_confirmed() => {
                // In the mempool it is a race still.
                let cost = self.cost_of(spend.txid).await?;
                let spends =
                    |tx: &&Transaction| tx.input.iter().any(|input| input.previous_output == loaded.channel.funding);
                match exit.path.nodes().iter().find(spends).cloned() {
                    Some(checkpoint) => self.send_package(look, exit, &checkpoint, &[], Some(cost)).await,
                    None => self.send_claim(look, exit, Some(cost)).await,
                }
            }
            ChannelSpend::UnilateralRefund => Ok(()),
            ChannelSpend::Other => self.follow_checkpoint(look, exit, &tx, deep).await,
        }
    }

    /// The channel went into a checkpoint. The ark transaction that spends it has an output for this side; whoever
    /// broadcasts it, that is what is claimed.
    async fn follow_checkpoint(
        &self,
        look: &mut Look,
        exit: &mut Exit,
        checkpoint: &Transaction,
        deep: bool,
    ) -> Result<()> {
        let loaded = exit.loaded.clone().ok_or_else(corrupt)?;
        let party = loaded.own_side();
        let first = bitcoin::OutPoint::new(checkpoint.compute_txid(), 0);
        let Some(next) = self.net.chain.outspend(first).await? else { return Ok(()) };
        let Some(ark) = self.net.chain.transaction(next.txid).await? else { return Ok(()) };
        let script = party.ark_payout.script();
        let Some((outpoint, amount)) = output_to(&ark, &script) else {
            // Nothing for this side: swept, or a close in which nothing was left.
            let deep = deep && next.status.confirmations(look.tip.height) >= self.config.confirmations;
            return if deep { self.finish_lost(exit, next.txid) } else { Ok(()) };
        };
        exit.data.problem = None;
        exit.data.then = vec![Hex(checkpoint.clone()), Hex(ark)];
        exit.data.claim = Claim::Own { outpoint, script, to: party.chain_payout.script() };
        exit.data.amount = amount;
        exit.data.stage = ExitStage::Unrolling { done: 0, of: exit.path.nodes().len() as u32 + 2 };
        self.keep_exit(exit)
    }
}

//! Somebody else spends the channel on chain: what that leaves for this side.

use bitcoin::Transaction;

use super::super::Wallet;
use super::super::error::Result;
use super::data::{Claim, Hex, corrupt};
use super::drive::{Exit, Look};
use super::ended::spends;
use super::{ExitProblem, ExitStage};
use crate::chain::Spend;
use crate::channel::branch::is_signed_offchain;
use crate::channel::exit::{ChannelSpend, output_to};

impl Wallet {
    /// `spend` takes the output that is to be claimed, and is not the claim.
    pub(super) async fn follow(&self, look: &mut Look, exit: &mut Exit, spend: Spend) -> Result<()> {
        let target = exit.target();
        exit.data.problem = Some(ExitProblem::Conflict { outpoint: target, spent_by: spend.txid });
        let confirmations = spend.status.confirmations(look.tip.height);
        let tx = self.net.chain.transaction(spend.txid).await?;
        let Some(tx) = tx.filter(|tx| spends(tx, &target) || spends(tx, &exit.data.outpoint)) else { return Ok(()) };
        let Some(loaded) = exit.loaded.clone() else {
            // A coin of ours that somebody else could spend: it had been signed away.
            let lost = self.is_lost(look, exit, target, (spend.txid, confirmations));
            return if lost { self.finish_lost(exit, spend.txid) } else { Ok(()) };
        };
        let party = loaded.own_side();
        match loaded.channel.spend_of(&tx) {
            ChannelSpend::ExitUpdate { .. } => {
                exit.data.claimed_by = Some(spend.txid);
                exit.data.problem = None;
                exit.data.stage = match confirmations {
                    0 => ExitStage::Claiming,
                    confirmations => ExitStage::Claimed { confirmations },
                };
                if confirmations < self.config.confirmations {
                    return Ok(());
                }
                self.finish_other(exit, &tx, output_to(&tx, &party.chain_payout.script()))
            }
            ChannelSpend::UnilateralRefund if !spend.status.is_confirmed() => {
                // In the mempool it is a race still.
                let rival = self.rival(spend.txid).await?;
                let spends =
                    |tx: &&Transaction| tx.input.iter().any(|input| input.previous_output == loaded.channel.funding);
                match exit.path.nodes().iter().find(spends).cloned() {
                    Some(checkpoint) => self.send_package(look, exit, &checkpoint, &[], Some(rival)).await,
                    None => self.send_claim(look, exit, Some(rival)).await,
                }
            }
            ChannelSpend::UnilateralRefund => {
                let lost = self.is_lost(look, exit, loaded.channel.funding, (spend.txid, confirmations));
                if lost { self.finish_lost(exit, spend.txid) } else { Ok(()) }
            }
            ChannelSpend::Other => self.follow_checkpoint(look, exit, &tx, confirmations).await,
        }
    }

    /// The channel went into a checkpoint. The ark transaction that spends it has an output for this side; whoever
    /// broadcasts it, that is what is claimed.
    async fn follow_checkpoint(
        &self,
        look: &mut Look,
        exit: &mut Exit,
        checkpoint: &Transaction,
        confirmations: u32,
    ) -> Result<()> {
        let loaded = exit.loaded.clone().ok_or_else(corrupt)?;
        let party = loaded.own_side();
        let first = bitcoin::OutPoint::new(checkpoint.compute_txid(), 0);
        let Some(next) = self.net.chain.outspend(first).await? else { return Ok(()) };
        let Some(ark) = self.net.chain.transaction(next.txid).await? else { return Ok(()) };
        let script = party.ark_payout.script();
        // A chain server may make up what a transaction id does not tell: who signed.
        let signed = is_signed_offchain(checkpoint, &[loaded.channel.prevout()])
            && ark.input.iter().all(|input| input.previous_output == first)
            && checkpoint.output.first().is_some_and(|output| is_signed_offchain(&ark, std::slice::from_ref(output)));
        let Some((outpoint, amount)) = output_to(&ark, &script).filter(|_| signed) else {
            // Nothing for this side: swept, or a close in which nothing was left.
            let confirmations = confirmations.min(next.status.confirmations(look.tip.height));
            let lost = self.is_lost(look, exit, first, (next.txid, confirmations));
            return if lost { self.finish_lost(exit, next.txid) } else { Ok(()) };
        };
        exit.data.problem = None;
        exit.data.then = vec![Hex(checkpoint.clone()), Hex(ark)];
        exit.data.claim = Claim::Own { outpoint, script, to: party.chain_payout.script() };
        exit.data.amount = amount;
        exit.data.stage = ExitStage::Unrolling { done: 0, of: exit.path.nodes().len() as u32 + 2 };
        self.keep_exit(exit)
    }
}

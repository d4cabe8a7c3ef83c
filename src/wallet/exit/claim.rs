//! The end of the way: the VTXO is on chain, waits for its delay, and is claimed.

use bitcoin::{Amount, BlockHash, Transaction};

use super::super::error::Result;
use super::super::keys::SecretKeypair;
use super::super::onchain::OwnedOutput;
use super::super::{Wallet, WalletError};
use super::children::{fee, is_stuck, sane};
use super::data::{Claim, corrupt};
use super::drive::{Exit, Look};
use super::rival::Rival;
use super::{ExitProblem, ExitStage};
use crate::chain::{Spend, TxStatus};
use crate::channel::exit::{OwnExit, output_to};
use crate::channel::{ChannelError, Delay, Unit};

/// A claim, ready to be sent.
pub(super) enum ClaimTx {
    /// Without a fee: it takes a child.
    Signed(Transaction),
    /// Pays for itself.
    Own(Box<OwnExit>, SecretKeypair),
}

impl Wallet {
    pub(super) async fn at_the_end(
        &self,
        look: &mut Look,
        exit: &mut Exit,
        height: u32,
        hash: BlockHash,
    ) -> Result<()> {
        match self.net.chain.outspend(exit.target()).await? {
            Some(spend) => self.spent(look, exit, spend).await,
            None => {
                let (until, unit) = self.ripe_at(claim_delay(self, exit)?, height, hash).await?;
                let now = match unit {
                    Unit::Blocks => u64::from(look.tip.height),
                    Unit::Seconds => look.tip.median_time_past,
                };
                exit.data.stage = ExitStage::Waiting { until, unit };
                if now < until {
                    return Ok(());
                }
                self.send_claim(look, exit, None).await
            }
        }
    }

    /// From when on the next block may hold the claim of an output that was confirmed in that block: a height, or a
    /// median time past.
    pub(super) async fn ripe_at(&self, delay: Delay, height: u32, hash: BlockHash) -> Result<(u64, Unit)> {
        let start = match delay.unit() {
            // The next block is one above the tip.
            Unit::Blocks => u64::from(height).saturating_sub(1),
            // BIP68 counts from the median time past before the block.
            Unit::Seconds => self.net.chain.median_time_before(hash).await?,
        };
        Ok((start.saturating_add(delay.value()), delay.unit()))
    }

    /// Sends the claim, outbidding what `over` says.
    pub(super) async fn send_claim(&self, look: &mut Look, exit: &mut Exit, over: Option<Rival>) -> Result<()> {
        match self.claim_tx(exit)? {
            ClaimTx::Signed(tx) => {
                let own = self.first_output(&tx)?;
                self.send_package(look, exit, &tx, &own, over).await?;
                exit.data.claimed_by = Some(tx.compute_txid());
            }
            ClaimTx::Own(own, owner) => {
                let vsize = own.vsize();
                let floor = over.map_or(Amount::ZERO, |rival| rival.outbid_alone(vsize));
                let fee = fee(sane(look.rate, exit.data.budget(None), vsize), vsize).max(floor);
                let Some(tx) = own.claim(fee, &owner)? else {
                    exit.data.problem = Some(ExitProblem::NothingLeft { amount: own.prevout.value, fee });
                    return Ok(());
                };
                exit.data.claimed_by = Some(self.net.chain.broadcast(&tx).await?);
            }
        }
        exit.data.stage = ExitStage::Claiming;
        Ok(())
    }

    /// The claim of an exit, signed.
    pub(super) fn claim_tx(&self, exit: &Exit) -> Result<ClaimTx> {
        let loaded = || exit.loaded.as_ref().ok_or_else(corrupt);
        Ok(match &exit.data.claim {
            Claim::ExitUpdate => {
                let loaded = loaded()?;
                let hot = self.store.read(|db| db.hot(&loaded.channel.id))?.ok_or(WalletError::NotFound)?;
                let update = hot.update.ok_or(ChannelError::NothingPaid)?;
                ClaimTx::Signed(update.exit_transaction(&loaded.channel, &loaded.keypair)?)
            }
            Claim::UnilateralRefund => {
                let loaded = loaded()?;
                ClaimTx::Signed(loaded.channel.signed_unilateral_refund(&loaded.keypair)?)
            }
            Claim::Own { outpoint, script, to } => {
                let own = self.own_script(script)?;
                let prevout = exit.path.output(outpoint).cloned().ok_or_else(corrupt)?;
                let exit = OwnExit {
                    outpoint: *outpoint,
                    prevout,
                    leaf: self.tree_of(&own)?.leaf(1)?,
                    delay: own.delay.ok_or_else(corrupt)?,
                    to: to.clone(),
                };
                ClaimTx::Own(Box::new(exit), self.keys.keypair(Self::key_use(&own), own.key_index)?)
            }
        })
    }

    /// The first output of a claim, which is ours: its child can pay out of it.
    fn first_output(&self, tx: &Transaction) -> Result<Vec<OwnedOutput>> {
        let output = tx.output.first().ok_or_else(corrupt)?;
        let own = self.own_script(&output.script_pubkey)?;
        Ok(vec![OwnedOutput { vout: 0, key_index: own.key_index }])
    }

    /// The output at the end is spent: by our claim, or by somebody else.
    async fn spent(&self, look: &mut Look, exit: &mut Exit, spend: Spend) -> Result<()> {
        let claim = self.claim_tx(exit)?;
        let found = match &claim {
            ClaimTx::Signed(tx) => (tx.compute_txid() == spend.txid).then(|| tx.clone()),
            ClaimTx::Own(own, _) => {
                let tx = self.net.chain.transaction(spend.txid).await?;
                tx.filter(|tx| output_to(tx, &own.to).is_some())
            }
        };
        let Some(tx) = found else { return self.follow(look, exit, spend).await };
        exit.data.claimed_by = Some(spend.txid);
        if let TxStatus::Confirmed { .. } = spend.status {
            let confirmations = spend.status.confirmations(look.tip.height);
            exit.data.stage = ExitStage::Claimed { confirmations };
            if confirmations >= self.config.confirmations {
                self.finish_claim(exit, &tx).await?;
            }
            return Ok(());
        }
        exit.data.stage = ExitStage::Claiming;
        match &claim {
            ClaimTx::Signed(tx) => {
                let own = self.first_output(tx)?;
                self.keep_up(look, exit, tx, &own).await
            }
            ClaimTx::Own(own, _) => match self.net.chain.fee_of(spend.txid).await? {
                Some(paid)
                    if is_stuck(paid.fee, fee(sane(look.rate, exit.data.budget(None), own.vsize()), own.vsize())) =>
                {
                    self.send_claim(look, exit, Some(Rival::child(paid.fee))).await
                }
                _ => Ok(()),
            },
        }
    }
}

/// How long the output at the end must have been on chain.
pub(super) fn claim_delay(wallet: &Wallet, exit: &Exit) -> Result<Delay> {
    let terms = exit.loaded.as_ref().map(|loaded| loaded.channel.terms);
    match &exit.data.claim {
        Claim::ExitUpdate => Ok(terms.ok_or_else(corrupt)?.d1),
        Claim::UnilateralRefund => Ok(terms.ok_or_else(corrupt)?.d2),
        Claim::Own { script, .. } => Ok(wallet.own_script(script)?.delay.ok_or_else(corrupt)?),
    }
}

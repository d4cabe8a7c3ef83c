//! Packages: a transaction without a fee, and the child that pays for both.

use std::collections::HashSet;

use bitcoin::{Amount, FeeRate, OutPoint, Transaction};

use super::super::coins::sum;
use super::super::error::Result;
use super::super::onchain::OwnedOutput;
use super::super::{Wallet, WalletError};
use super::ExitProblem;
use super::drive::{Exit, Look};
use super::rival::Rival;
use crate::chain::{ChainError, TxStatus};
use crate::channel::exit::anchor_of;

/// A rate that is never too much.
const LOW: FeeRate = FeeRate::from_sat_per_vb_u32(10);

/// So many exits may wait for the coins of others without a word: a block or two later it is their turn.
const FEW: usize = 3;

/// A child with one coin is no larger, in virtual bytes.
const USUAL_CHILD: u64 = 200;

impl Wallet {
    /// Sends `parent` with a child that pays for both, out of `own` outputs of the parent where they are enough. `over`:
    /// what a transaction in its way, or the child that is there, pays, and this must outbid.
    pub(super) async fn send_package(
        &self,
        look: &mut Look,
        exit: &mut Exit,
        parent: &Transaction,
        own: &[OwnedOutput],
        over: Option<Rival>,
    ) -> Result<()> {
        let txid = parent.compute_txid();
        // The one that is stored may have left already, in a former process or before a reorganisation.
        if let (None, Some(child)) = (over, exit.data.child_of(&txid)) {
            match self.net.chain.broadcast_package(&[parent.clone(), child.clone()]).await {
                Ok(()) => {
                    look.sent.insert(txid);
                    let vsize = (parent.vsize() + child.vsize()) as u64;
                    look.waiting |= look.is_enough(exit.data.paid_for(&txid), vsize);
                    return Ok(());
                }
                Err(error @ ChainError::Rejected { .. }) if error.is_too_early() => return Err(error.into()),
                Err(ChainError::Rejected { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if over.is_some_and(|rival| sum([rival.fee, exit.data.paid_beside(Some(&txid))]) >= exit.data.amount) {
            // Not worth it: whoever pays that wants it more.
            return Ok(());
        }
        let rate = sane(look.rate, exit.data.budget_of(parent), parent.vsize() as u64 + USUAL_CHILD);
        let mut made = self.new_child(look, parent, own, over, rate);
        if lacks_coins(&made) {
            // It comes back as change in the next block.
            if over.is_none() && look.waiting {
                look.without_coins += 1;
                if look.without_coins > FEW
                    && let Err(error) = &made
                {
                    exit.data.problem = ExitProblem::of_coins(error);
                }
                return Ok(());
            }
            if self.forget_beaten(look).await? {
                made = self.new_child(look, parent, own, over, rate);
            }
        }
        // What the coins are enough for is better than nothing, and the app is told what is missing.
        if over.is_none()
            && let Err(error) = &made
            && let Some(problem) = ExitProblem::of_coins(error)
            && rate > LOW
            && let Ok(child) = self.new_child(look, parent, own, over, LOW)
        {
            exit.data.problem = Some(problem);
            made = Ok(child);
        }
        let (child, fee) = made?;
        let vsize = (parent.vsize() + child.vsize()) as u64;
        look.taken.extend(child.input.iter().map(|input| input.previous_output));
        exit.data.set_child(txid, child.clone(), fee);
        self.keep_exit(exit)?;
        self.net.chain.broadcast_package(&[parent.clone(), child]).await?;
        look.sent.insert(txid);
        look.waiting |= look.is_enough(fee, vsize);
        Ok(())
    }

    fn new_child(
        &self,
        look: &Look,
        parent: &Transaction,
        own: &[OwnedOutput],
        over: Option<Rival>,
        rate: FeeRate,
    ) -> Result<(Transaction, Amount)> {
        // The coins of a former child of the same parent are free again with it.
        let txid = parent.compute_txid();
        let kept = look.kept.iter().filter(|child| child.parent != txid).flat_map(|child| &child.tx.0.input);
        let avoid: Vec<OutPoint> = look.taken.iter().copied().chain(kept.map(|input| input.previous_output)).collect();
        let size = parent.vsize() as u64;
        let at_least = |vsize: u64| over.map_or(Amount::ZERO, |rival| rival.outbid(size, vsize));
        let gone = &look.beaten;
        let (child, paid) = self.paying_child(parent, rate, at_least(USUAL_CHILD), own, &avoid, gone)?;
        let vsize = child.vsize() as u64;
        match over {
            Some(_) if vsize > USUAL_CHILD => {
                self.paying_child(parent, rate, at_least(vsize + USUAL_CHILD), own, &avoid, gone)
            }
            _ => Ok((child, paid)),
        }
    }

    /// Children of former runs that are neither in a block nor in the mempool hold no coins back any more where nothing
    /// else is there to pay with: others paid for their parents. Whether there were any.
    async fn forget_beaten(&self, look: &mut Look) -> Result<bool> {
        let before = look.kept.len();
        let mut beaten = HashSet::new();
        for child in &look.kept {
            let txid = child.tx.0.compute_txid();
            if self.net.chain.status(txid).await? == TxStatus::Unknown {
                beaten.insert(txid);
            }
        }
        look.kept.retain(|child| !beaten.contains(&child.tx.0.compute_txid()));
        look.beaten.extend(beaten);
        Ok(look.kept.len() < before)
    }

    /// `parent` is in the mempool: whoever pays for it, it should be enough for the rate of today.
    pub(super) async fn keep_up(
        &self,
        look: &mut Look,
        exit: &mut Exit,
        parent: &Transaction,
        own: &[OwnedOutput],
    ) -> Result<()> {
        let Some(anchor) = anchor_of(parent) else { return Ok(()) };
        let Some(spend) = self.net.chain.outspend(anchor).await? else {
            return self.send_package(look, exit, parent, own, None).await;
        };
        let Some(paid) = self.net.chain.fee_of(spend.txid).await? else { return Ok(()) };
        let vsize = (parent.weight() + paid.weight).to_vbytes_ceil();
        let own_child = exit.data.child_of(&parent.compute_txid());
        look.waiting |=
            own_child.is_some_and(|child| child.compute_txid() == spend.txid) && look.is_enough(paid.fee, vsize);
        let budget = exit.data.budget_of(parent);
        if is_stuck(paid.fee, fee(sane(look.rate, budget, vsize), vsize)) {
            return self.send_package(look, exit, parent, own, Some(Rival::child(paid.fee))).await;
        }
        Ok(())
    }
}

/// A fee at a rate; one that no number holds is more than anybody has.
pub(super) fn fee(rate: FeeRate, vsize: u64) -> Amount {
    rate.fee_vb(vsize).unwrap_or(Amount::MAX_MONEY)
}

/// The rate, but no more than the budget allows, or 10 sats a vbyte where that is more.
pub(super) fn sane(rate: FeeRate, budget: Amount, vsize: u64) -> FeeRate {
    let most = budget.to_sat().checked_div(vsize).and_then(FeeRate::from_sat_per_vb);
    rate.min(most.unwrap_or(LOW).max(LOW))
}

impl Look {
    /// Whether a fee is about what the rate of today asks for: what waits with less may wait for long.
    pub(super) fn is_enough(&self, paid: Amount, vsize: u64) -> bool {
        !is_stuck(paid, fee(self.rate, vsize))
    }
}

fn lacks_coins<T>(made: &Result<T>) -> bool {
    matches!(made.as_ref().map_err(|error| &**error), Err(WalletError::InsufficientFeeCoins { .. }))
}

/// Whether what is paid is so far below what the rate of today asks for that replacing is worth its cost.
pub(super) fn is_stuck(paid: Amount, wanted: Amount) -> bool {
    wanted.to_sat().saturating_mul(4) > paid.to_sat().saturating_mul(5)
}

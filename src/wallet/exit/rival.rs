//! What is in the way of a transaction, and what it takes to be in a block before that.

use bitcoin::{Amount, FeeRate, Txid, Weight};

use super::super::Wallet;
use super::super::coins::sum;
use super::super::error::Result;
use super::children::fee;
use crate::chain::{TxFee, TxStatus};

/// What a transaction must pay beyond what it replaces, by its own size: nodes' usual setting.
const INCREMENT: FeeRate = FeeRate::from_sat_per_vb_u32(1);

/// Transactions that spend from a rival are counted up to this many: nodes hold no more that hang together.
const MOST: usize = 64;

/// Unconfirmed transactions that are replaced by what outbids them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rival {
    /// What they pay together.
    pub fee: Amount,
    /// What a miner gets for them, at best.
    rate: FeeRate,
    /// Only the child of the parent is replaced, which stays.
    is_child: bool,
}

impl Rival {
    /// Another child on the anchor of a parent that is in the mempool.
    pub fn child(fee: Amount) -> Self {
        Self { fee, rate: FeeRate::ZERO, is_child: true }
    }

    /// What a child of that size must pay for itself and its parent.
    pub fn outbid(&self, parent: u64, child: u64) -> Amount {
        let all = parent.saturating_add(child);
        let replacing = if self.is_child { child } else { all };
        sum([self.fee, fee(INCREMENT, replacing)]).max(sum([fee(self.rate, all), Amount::ONE_SAT]))
    }

    /// What a transaction of that size must pay that takes no child.
    pub fn outbid_alone(&self, vsize: u64) -> Amount {
        self.outbid(0, vsize)
    }
}

impl Wallet {
    /// What a transaction in the mempool and all that spend from it pay.
    pub(super) async fn rival(&self, txid: Txid) -> Result<Rival> {
        let mut found: Vec<(Txid, TxFee)> = Vec::new();
        let mut open = vec![txid];
        while let Some(txid) = open.pop() {
            if found.len() == MOST || found.iter().any(|(known, _)| *known == txid) {
                continue;
            }
            let Some(paid) = self.net.chain.fee_of(txid).await? else { continue };
            found.push((txid, paid));
            let spends = self.net.chain.outspends(txid).await?.unwrap_or_default();
            open.extend(spends.into_iter().flatten().filter(|spend| spend.status == TxStatus::Mempool).map(|s| s.txid));
        }
        let paid: Vec<TxFee> = found.into_iter().map(|(_, paid)| paid).collect();
        Ok(Rival { fee: sum(paid.iter().map(|paid| paid.fee)), rate: best_rate(&paid), is_child: false })
    }
}

/// The rate of the first one with those others that raise it.
fn best_rate(paid: &[TxFee]) -> FeeRate {
    let rate = |fee: Amount, weight: Weight| {
        let sats_per_kwu = fee.to_sat().saturating_mul(1_000).checked_div(weight.to_wu()).unwrap_or(0);
        FeeRate::from_sat_per_kwu(sats_per_kwu.saturating_add(1))
    };
    let Some((first, others)) = paid.split_first() else { return FeeRate::ZERO };
    let (mut fee, mut weight) = (first.fee, first.weight);
    let mut others: Vec<&TxFee> = others.iter().collect();
    others.sort_by_key(|paid| std::cmp::Reverse(rate(paid.fee, paid.weight)));
    for other in others.into_iter().take_while(|other| rate(other.fee, other.weight) > rate(first.fee, first.weight)) {
        (fee, weight) = (sum([fee, other.fee]), weight + other.weight);
    }
    rate(fee, weight)
}

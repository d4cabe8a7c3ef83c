//! What became of this side's outputs of closes. The books do not say so alone: what took one this wallet has signed, or
//! another phone with its seed has, whose signature is verified.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, Txid};
use tokio::time::{Instant, timeout_at};

use super::result_of;
use super::sky::Sky;
use crate::log::note;
use crate::store::{ChannelRow, SignedAway};
use crate::wallet::Wallet;
use crate::wallet::error::Result;

/// Outputs that the books call spent, by something that is not known here, and that one look asks about.
const A_LOOK: usize = 16;

/// What is known of outputs of closes.
#[derive(Default)]
pub(super) struct Results {
    /// Those that are not this wallet's any more.
    taken: HashSet<OutPoint>,
    /// What each was signed away for.
    spends: HashMap<OutPoint, Vec<SignedAway>>,
}

impl Wallet {
    pub(super) async fn results(&self, rows: &[ChannelRow], sky: &Sky<'_>, until: Instant) -> Result<Results> {
        let outpoints: Vec<OutPoint> = rows.iter().filter_map(result_of).collect();
        if outpoints.is_empty() {
            return Ok(Results::default());
        }
        self.learn_results(&outpoints, sky, until).await?;
        // What only waits for a block may never get into one, and nothing is left of the old batch then.
        let asking = self.taken_by_chain(|outpoint| outpoints.contains(outpoint));
        let taken = match timeout_at(until, asking).await {
            Ok(taken) => taken?.in_a_block,
            // Another look will tell.
            Err(_) => outpoints.iter().copied().collect(),
        };
        let spends = self.spends_of(&outpoints)?;
        Ok(Results { taken, spends })
    }

    fn spends_of(&self, outpoints: &[OutPoint]) -> Result<HashMap<OutPoint, Vec<SignedAway>>> {
        self.store.read(|db| outpoints.iter().map(|outpoint| Ok((*outpoint, db.signed_away_of(outpoint)?))).collect())
    }

    /// Asks for the transactions that have spent outputs which this phone has not spent.
    async fn learn_results(&self, outpoints: &[OutPoint], sky: &Sky<'_>, until: Instant) -> Result<()> {
        let known = self.spends_of(outpoints)?;
        let is_known = |outpoint: &OutPoint| known.get(outpoint).is_some_and(|spends| !spends.is_empty());
        let spent = outpoints.iter().filter(|outpoint| !is_known(outpoint));
        let spent = spent.filter_map(|outpoint| sky.vtxo(outpoint).flatten()).filter(|vtxo| vtxo.spent);
        for vtxo in spent.take(A_LOOK) {
            let learnt = async { self.learn_spend(self.net.operator().await?, vtxo).await };
            match timeout_at(until, learnt).await {
                Ok(Err(error)) if error.is_released() => return Err(error),
                Ok(Err(error)) => note!(Info, "what spent {} is not known: {error}", vtxo.outpoint),
                Ok(Ok(())) => {}
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }
}

impl Results {
    /// Transactions of which the chain is to say whether they are confirmed.
    pub fn batches(&self) -> impl Iterator<Item = Txid> {
        self.spends.values().flatten().filter(|spend| !spend.is_final).map(|spend| spend.spent_by)
    }

    /// Whether this side's output of a close is gone.
    pub fn is_spent(&self, row: &ChannelRow) -> bool {
        result_of(row).is_some_and(|outpoint| self.taken.contains(&outpoint))
    }

    /// Confirmations of the batch that it went into.
    pub fn settled(&self, row: &ChannelRow, sky: &Sky<'_>) -> Result<Option<u32>> {
        let Some(outpoint) = result_of(row) else { return Ok(None) };
        let settled_by = sky.vtxo(&outpoint).flatten().and_then(|vtxo| vtxo.settled_by);
        let mut most = None;
        for spend in self.spends.get(&outpoint).into_iter().flatten() {
            let confirmations = match spend.is_final {
                false => sky.confirmations(&spend.spent_by)?,
                // Buried, or made off chain: only what the books call it is asked.
                true if settled_by == Some(spend.spent_by) => u32::MAX,
                true => continue,
            };
            most = most.max(Some(confirmations));
        }
        Ok(most.filter(|confirmations| *confirmations > 0))
    }
}

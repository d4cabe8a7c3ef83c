//! Own VTXOs that somebody else put on chain, or what they were made from: the operator takes them no more, and they are claimed
//! there.

use std::collections::HashSet;

use bitcoin::{OutPoint, Txid};

use super::super::Wallet;
use super::super::error::Result;
use super::ExitReason;
use super::coins::OwnVtxo;

/// Transactions that are looked for on chain in one run, beside those that the operator calls unrolled.
const A_RUN: usize = 32;

impl Wallet {
    /// Begins to leave with own VTXOs that the chain shows in a block, or what they were made from: its former owner could take
    /// it back after a while. A payer's change stands in the transaction of its channel, and comes on chain when the receiver
    /// leaves. Asks the operator once for every hundred coins, and the chain for those that it calls unrolled and some others,
    /// which it may not know of, or not tell.
    pub(in crate::wallet) async fn begin_unrolled_coins(&self, ask_operator: bool) -> Result<()> {
        let vtxos = self.unspent_vtxos()?;
        let origins: Vec<Vec<OutPoint>> = vtxos.iter().map(|vtxo| vtxo.branch.origins(vtxo.outpoint)).collect();
        // An own VTXO may be on chain though what it was made from is not asked about in this run.
        let outpoints: Vec<OutPoint> =
            distinct(origins.iter().flatten().chain(vtxos.iter().map(|vtxo| &vtxo.outpoint)));
        if outpoints.is_empty() {
            return Ok(());
        }
        let transactions: Vec<Txid> = distinct(outpoints.iter().map(|outpoint| &outpoint.txid));
        // The others of another part at every run.
        let first = self.now().wall as usize % transactions.len();
        let some = transactions.iter().cycle().skip(first).take(transactions.len().min(A_RUN));
        let mut asked: HashSet<Txid> = some.copied().collect();
        let mut failed = None;
        if ask_operator {
            match self.unrolled_in_books(&outpoints).await {
                Ok(unrolled) => asked.extend(unrolled),
                // The chain is asked all the same.
                Err(error) => failed = Some(error),
            }
        }
        let mut on_chain = HashSet::new();
        for txid in asked {
            match self.net.chain.status(txid).await {
                Ok(status) if status.is_confirmed() => drop(on_chain.insert(txid)),
                Ok(_) => {}
                Err(error) => failed = Some(error.into()),
            }
        }
        let (mut unrolled, mut above) = (Vec::new(), Vec::new());
        for (vtxo, origins) in vtxos.into_iter().zip(origins) {
            if on_chain.contains(&vtxo.outpoint.txid) {
                unrolled.push(vtxo);
            } else if origins.iter().any(|origin| on_chain.contains(&origin.txid)) {
                above.push(vtxo);
            }
        }
        self.begin_all(unrolled, ExitReason::Unrolled).await?;
        self.begin_all(above, ExitReason::AncestorUnrolled).await?;
        failed.map_or(Ok(()), Err)
    }

    async fn unrolled_in_books(&self, outpoints: &[OutPoint]) -> Result<Vec<Txid>> {
        let books = self.net.operator().await?.vtxos_by_outpoints(outpoints).await?;
        Ok(books.into_iter().filter(|vtxo| vtxo.unrolled).map(|vtxo| vtxo.outpoint.txid).collect())
    }

    async fn begin_all(&self, vtxos: Vec<OwnVtxo>, reason: ExitReason) -> Result<()> {
        if !vtxos.is_empty() {
            self.begin_worthwhile(vtxos, reason).await?;
        }
        Ok(())
    }
}

/// Each once, in order.
fn distinct<'a, T: Copy + Eq + std::hash::Hash + 'a>(all: impl Iterator<Item = &'a T>) -> Vec<T> {
    let mut seen = HashSet::new();
    all.copied().filter(|one| seen.insert(*one)).collect()
}

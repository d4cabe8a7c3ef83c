//! Own VTXOs that somebody else put on chain: the operator takes them no more, and they are claimed there.

use std::collections::HashSet;

use bitcoin::OutPoint;

use super::super::Wallet;
use super::super::error::Result;
use super::ExitReason;

/// VTXOs that are looked for on chain in one run, beside those that the operator calls unrolled.
const A_RUN: usize = 16;

impl Wallet {
    /// Begins to leave with own VTXOs that the chain shows in a block. A payer's change stands in the transaction of its
    /// channel, and comes on chain when the receiver leaves. Asks the operator once for every hundred coins, and the chain
    /// for those that it calls unrolled and some others, which it may not know of, or not tell.
    pub(in crate::wallet) async fn begin_unrolled_coins(&self, ask_operator: bool) -> Result<()> {
        let vtxos = self.unspent_vtxos()?;
        if vtxos.is_empty() {
            return Ok(());
        }
        let outpoints: Vec<OutPoint> = vtxos.iter().map(|vtxo| vtxo.outpoint).collect();
        // The others of another part at every run.
        let first = self.now().wall as usize % vtxos.len();
        let some = outpoints.iter().cycle().skip(first).take(vtxos.len().min(A_RUN));
        let mut asked: HashSet<OutPoint> = some.copied().collect();
        if ask_operator {
            let books = self.net.operator().await?.vtxos_by_outpoints(&outpoints).await?;
            asked.extend(books.into_iter().filter(|vtxo| vtxo.unrolled && !vtxo.spent).map(|vtxo| vtxo.outpoint));
        }
        let mut there = Vec::new();
        for vtxo in vtxos.into_iter().filter(|vtxo| asked.contains(&vtxo.outpoint)) {
            if self.net.chain.status(vtxo.outpoint.txid).await?.is_confirmed() {
                there.push(vtxo);
            }
        }
        if !there.is_empty() {
            self.begin_worthwhile(there, ExitReason::Unrolled).await?;
        }
        Ok(())
    }
}

//! Own VTXOs that somebody else put on chain: the operator takes them no more, and they are claimed there.

use std::collections::HashSet;

use bitcoin::OutPoint;

use super::super::error::Result;
use super::super::signed_away::maybe_gone;
use super::super::{Wallet, WalletError};
use super::ExitReason;

impl Wallet {
    /// Begins to leave with own VTXOs that the operator's books call unrolled and the chain shows in a block. A payer's
    /// change stands in the transaction of its channel, and comes on chain when the receiver leaves. Asks the operator
    /// once for every hundred coins.
    pub(in crate::wallet) async fn begin_unrolled_coins(&self) -> Result<()> {
        let stored = self.store.read::<_, WalletError>(|db| {
            let channels: HashSet<OutPoint> = db.channels()?.into_iter().map(|row| row.record.funding).collect();
            let gone = maybe_gone(db)?;
            let outpoints = db.branch_outpoints()?.into_iter();
            Ok(outpoints.filter(|own| !channels.contains(own) && !gone.contains(own)).collect::<Vec<_>>())
        })?;
        if stored.is_empty() {
            return Ok(());
        }
        let info = self.info()?;
        let vtxos = self.net.operator().await?.vtxos_by_outpoints(&stored).await?;
        for vtxo in vtxos.into_iter().filter(|vtxo| vtxo.unrolled && !vtxo.spent) {
            if !self.net.chain.status(vtxo.outpoint.txid).await?.is_confirmed() {
                continue;
            }
            let begun = self.store.write::<_, WalletError>(|db| {
                let Some(branch) = db.branch(&vtxo.outpoint)? else { return Ok(false) };
                self.begin_coin_exit(db, &info, vtxo.outpoint, &branch, ExitReason::Unrolled)
            })?;
            if begun {
                self.events.ring();
            }
        }
        Ok(())
    }
}

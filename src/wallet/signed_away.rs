//! Coins that were signed away, and whether that has taken them: by the chain's word, not by anybody's books.
//!
//! A forfeit spends its coin together with an output of the batch's commitment transaction. While that is in no block the
//! coin is still its owner's, whatever the operator says, and can be left with.

use std::collections::HashSet;

use bitcoin::{OutPoint, Txid};

use super::batch::InputData;
use super::error::Result;
use super::{Wallet, WalletError};
use crate::chain::TxStatus;
use crate::channel::exit::ExitPath;
use crate::channel::psbt::verified_signature;
use crate::channel::script::default_vtxo;
use crate::operator::{Operator, Vtxo};
use crate::store::{Db, ScriptKind};

/// Fewer confirmations than this are not final, whatever the wallet counts as settled.
const LEAST: u32 = 6;

/// Coins that are looked into in one run.
const A_RUN: usize = 16;

impl Wallet {
    /// Confirmations after which nothing is taken back.
    pub(super) fn final_depth(&self) -> u32 {
        self.config.confirmations.max(LEAST)
    }

    /// Remembers what these coins are signed away for: commitment transactions, which take them once they are in a block.
    pub(super) fn sign_away<'a>(
        &self,
        db: &Db<'_>,
        inputs: &[InputData],
        commitments: impl IntoIterator<Item = &'a Txid>,
    ) -> Result<()> {
        self.expect_spent(db, inputs)?;
        for commitment in commitments {
            inputs.iter().try_for_each(|input| db.sign_away(&input.outpoint, commitment, false))?;
        }
        Ok(())
    }

    /// The coins that are not this wallet's any more: those of off-chain transactions that are final, and those of batches
    /// whose commitment transaction the chain server knows. What cannot be looked up counts as gone.
    pub(super) async fn taken(&self) -> Result<HashSet<OutPoint>> {
        let rows = self.store.read::<_, WalletError>(|db| Ok(db.signed_away()?))?;
        let mut taken: HashSet<OutPoint> = rows.iter().filter(|row| row.is_final).map(|row| row.outpoint).collect();
        let open: Vec<_> = rows.into_iter().filter(|row| !taken.contains(&row.outpoint)).collect();
        let commitments: HashSet<Txid> = open.iter().map(|row| row.spent_by).collect();
        let mut buried = Vec::new();
        for commitment in commitments {
            match self.commitment_depth(commitment).await {
                Ok(None) => continue,
                Ok(Some(depth)) if depth >= self.final_depth() => buried.push(commitment),
                Ok(Some(_)) => {}
                Err(error) if error.is_released() => return Err(error),
                Err(_) => {}
            }
            taken.extend(open.iter().filter(|row| row.spent_by == commitment).map(|row| row.outpoint));
        }
        if !buried.is_empty() {
            self.store.write::<_, WalletError>(|db| buried.iter().try_for_each(|txid| Ok(db.has_taken(txid)?)))?;
        }
        Ok(taken)
    }

    /// Confirmations of a transaction; `None` when the chain server does not know it.
    async fn commitment_depth(&self, txid: Txid) -> Result<Option<u32>> {
        let status = self.net.chain.status(txid).await?;
        if status == TxStatus::Unknown {
            return Ok(None);
        }
        Ok(Some(status.confirmations(self.net.chain.tip().await?.height)))
    }

    /// Coins that the books call spent, by a transaction that this wallet knows nothing of: asks the operator for it, some
    /// a run. Where it carries the signature of the coin's key, another phone with this seed made it.
    pub(super) async fn learn_spends(&self) -> Result<()> {
        let told = self.store.read::<_, WalletError>(|db| {
            let known: HashSet<OutPoint> = db.signed_away()?.into_iter().map(|row| row.outpoint).collect();
            let mut told = Vec::new();
            for coin in db.known_coins()?.into_iter().filter(|coin| coin.done && !coin.boarding) {
                if !known.contains(&coin.outpoint) && db.branch(&coin.outpoint)?.is_some() {
                    told.push(coin.outpoint);
                }
            }
            Ok(told)
        })?;
        if told.is_empty() {
            return Ok(());
        }
        // Others at another run.
        let first = self.now().wall as usize % told.len();
        let some: Vec<OutPoint> = told.iter().cycle().skip(first).take(told.len().min(A_RUN)).copied().collect();
        let operator = self.net.operator().await?;
        for vtxo in operator.vtxos_by_outpoints(&some).await?.iter().filter(|vtxo| vtxo.spent) {
            self.learn_spend(operator, vtxo).await?;
        }
        Ok(())
    }

    /// One such coin. A spend that is not shown, or not signed by the coin's key, is only the operator's word: but where
    /// a batch has made a VTXO of this wallet, too, its commitment transaction decides.
    pub(super) async fn learn_spend(&self, operator: &Operator, vtxo: &Vtxo) -> Result<()> {
        if let Some(commitment) = vtxo.settled_by
            && self.store.read::<_, WalletError>(|db| pays_us(db, &commitment, &vtxo.outpoint))?
        {
            return self.store.write(|db| Ok(db.sign_away(&vtxo.outpoint, &commitment, false)?));
        }
        let Some(spent_by) = vtxo.spent_by else { return Ok(()) };
        let Some(psbt) = operator.virtual_txs(&[spent_by]).await?.pop() else { return Ok(()) };
        let own = self.own_script(&vtxo.script)?;
        let tx = &psbt.unsigned_tx;
        let Some(index) = tx.input.iter().position(|input| input.previous_output == vtxo.outpoint) else {
            return Ok(());
        };
        let prevouts: Option<Vec<_>> = psbt.inputs.iter().map(|input| input.witness_utxo.clone()).collect();
        let (Some(prevouts), Some(delay)) = (prevouts, own.delay) else { return Ok(()) };
        let key = self.keys.keypair(Self::key_use(&own), own.key_index)?.xonly();
        let leaf = default_vtxo(key, own.operator, delay)?.leaf(0)?;
        if verified_signature(&psbt, index, tx, &prevouts, &leaf, key).is_err() {
            return Ok(());
        }
        // A forfeit takes its coin once the batch is on chain; a checkpoint has it.
        let taken_by = vtxo.settled_by.filter(|_| tx.input.len() > 1);
        self.store.write(|db| Ok(db.sign_away(&vtxo.outpoint, &taken_by.unwrap_or(spent_by), taken_by.is_none())?))
    }
}

/// Whether a stored branch leads from a commitment transaction to another coin of this wallet.
fn pays_us(db: &Db<'_>, commitment: &Txid, coin: &OutPoint) -> Result<bool> {
    for outpoint in db.branch_outpoints()?.into_iter().filter(|outpoint| outpoint != coin) {
        let Some(branch) = db.branch(&outpoint)? else { continue };
        let path = ExitPath::new(&branch, []);
        let Some(output) = path.output(&outpoint).filter(|_| path.roots().contains(commitment)) else { continue };
        if db.script(&output.script_pubkey)?.is_some_and(|own| own.kind == ScriptKind::Vtxo) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Coins that are gone for good, as far as is stored.
pub(super) fn gone_for_good(db: &Db<'_>) -> Result<HashSet<OutPoint>> {
    Ok(db.signed_away()?.into_iter().filter(|row| row.is_final).map(|row| row.outpoint).collect())
}

/// Coins that may be gone, as far as is stored.
pub(super) fn maybe_gone(db: &Db<'_>) -> Result<HashSet<OutPoint>> {
    Ok(db.signed_away()?.into_iter().map(|row| row.outpoint).collect())
}

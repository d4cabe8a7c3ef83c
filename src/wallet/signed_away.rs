//! Coins that were signed away, and whether that has taken them: by the chain's word, not by anybody's books.
//!
//! A forfeit spends its coin together with an output of the batch's commitment transaction. While that is in no block the
//! coin is still its owner's, whatever the operator says, and can be left with.

use std::collections::HashSet;

use bitcoin::{OutPoint, Txid};
use futures_util::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};

use super::batch::{InputData, encode};
use super::error::Result;
use super::{Wallet, WalletError};
use crate::chain::TxStatus;
use crate::channel::psbt::verified_signature;
use crate::channel::script::default_vtxo;
use crate::operator::{Operator, Vtxo};
use crate::store::Db;

/// Fewer confirmations than this are not final, whatever the wallet counts as settled.
const LEAST: u32 = 6;

/// A look so many seconds later is another one, where no block has come meanwhile.
const APART: u64 = 600;

const BURIED_KEY: &str = "buried-batches";

/// Coins that are looked into in one run.
const A_RUN: usize = 16;

/// Commitment transactions that are asked for together.
const AT_ONCE: usize = 8;

/// Levels of a tree of connectors that are followed.
const CONNECTOR_LEVELS: usize = 16;

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
        let mut any = false;
        for commitment in commitments {
            inputs.iter().try_for_each(|input| db.sign_away(&input.outpoint, commitment, false))?;
            any = true;
        }
        // Coins that nothing was signed for are this wallet's as before.
        if any { self.expect_spent(db, inputs) } else { Ok(()) }
    }

    /// The coins that are not this wallet's any more: those of off-chain transactions that are final, and those of batches
    /// whose commitment transaction the chain server knows, confirmed or not. What cannot be looked up counts as gone.
    pub(super) async fn taken(&self) -> Result<HashSet<OutPoint>> {
        Ok(self.taken_by_chain(|_| true).await?.seen)
    }

    /// The same, of some coins only, and told apart by whether a block has it.
    pub(super) async fn taken_by_chain(&self, is_asked: impl Fn(&OutPoint) -> bool) -> Result<Taken> {
        let mut rows = self.store.read::<_, Box<WalletError>>(|db| Ok(db.signed_away()?))?;
        rows.retain(|row| is_asked(&row.outpoint));
        let mut taken = Taken::default();
        taken.in_a_block.extend(rows.iter().filter(|row| row.is_final).map(|row| row.outpoint));
        taken.seen.clone_from(&taken.in_a_block);
        rows.retain(|row| !taken.seen.contains(&row.outpoint));
        if rows.is_empty() {
            return Ok(taken);
        }
        let commitments: HashSet<Txid> = rows.iter().map(|row| row.spent_by).collect();
        let tip = self.net.chain.tip().await.map(|tip| tip.height);
        let asking = commitments.into_iter().map(|txid| async move { (txid, self.net.chain.status(txid).await) });
        let answers: Vec<_> = stream::iter(asking).buffer_unordered(AT_ONCE).collect().await;
        let mut buried = Vec::new();
        for (commitment, status) in answers {
            let of_it = || rows.iter().filter(|row| row.spent_by == commitment).map(|row| row.outpoint);
            match (status, &tip) {
                (Ok(TxStatus::Unknown), _) => continue,
                (Ok(status), Ok(tip)) if status.is_confirmed() => {
                    taken.in_a_block.extend(of_it());
                    if status.confirmations(*tip) >= self.final_depth() {
                        buried.push(commitment);
                    }
                }
                _ => {}
            }
            taken.seen.extend(of_it());
        }
        if let Ok(height) = tip {
            let asked: HashSet<Txid> = rows.iter().map(|row| row.spent_by).collect();
            self.have_taken(&asked, &buried, height)?;
        }
        Ok(taken)
    }

    /// Of commitment transactions that were asked about these are deep. What an earlier look has said, too, is gone for good:
    /// one answer of a chain server is not enough for that.
    fn have_taken(&self, asked: &HashSet<Txid>, buried: &[Txid], height: u32) -> Result<()> {
        let now = self.now().wall;
        let known = self.store.read(buried_once)?;
        let mut once = known.clone();
        once.retain(|look| !asked.contains(&look.txid) || buried.contains(&look.txid));
        let mut twice = Vec::new();
        for txid in buried {
            match once.iter().find(|look| look.txid == *txid) {
                Some(first) if are_apart((first.height, first.at), (height, now)) => twice.push(*txid),
                Some(_) => {}
                None => once.push(Buried { txid: *txid, height, at: now }),
            }
        }
        once.retain(|look| !twice.contains(&look.txid));
        if once == known {
            return Ok(());
        }
        self.store.write::<_, Box<WalletError>>(|db| {
            twice.iter().try_for_each(|txid| db.has_taken(txid))?;
            Ok(db.set_meta(BURIED_KEY, &encode(&once)?)?)
        })
    }

    /// Coins that the books call spent, by a transaction that this wallet knows nothing of: asks the operator for it, some
    /// a run. Where it carries the signature of the coin's key, another phone with this seed made it.
    pub(super) async fn learn_spends(&self) -> Result<()> {
        let told = self.store.read::<_, Box<WalletError>>(|db| {
            let known: HashSet<OutPoint> = db.signed_away()?.into_iter().map(|row| row.outpoint).collect();
            let mut told = Vec::new();
            for coin in db.known_coins()?.into_iter().filter(|coin| coin.done && !coin.boarding) {
                if !known.contains(&coin.outpoint) && db.sound_branch(&coin.outpoint)?.is_some() {
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

    /// One such coin. What the books say is only the operator's word: a spend counts where it is shown and the coin's key
    /// has signed it, as a checkpoint that both sides have signed, or as a forfeit, which takes its coin once the batch
    /// that its connector comes from is on chain. An intent's proof is signed by the same key, and is neither.
    pub(super) async fn learn_spend(&self, operator: &Operator, vtxo: &Vtxo) -> Result<()> {
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
        let has_signed = |key| verified_signature(&psbt, index, tx, &prevouts, &leaf, key).is_ok();
        if !has_signed(key) {
            return Ok(());
        }
        match (tx.input.as_slice(), vtxo.settled_by) {
            ([_], _) if has_signed(own.operator) => {
                self.store.write(|db| Ok(db.sign_away(&vtxo.outpoint, &spent_by, true)?))
            }
            ([first, second], Some(batch)) => {
                let connector = if index == 0 { second } else { first }.previous_output.txid;
                if !comes_from(operator, connector, batch).await? {
                    return Ok(());
                }
                self.store.write(|db| Ok(db.sign_away(&vtxo.outpoint, &batch, false)?))
            }
            _ => Ok(()),
        }
    }
}

/// A look that showed a commitment transaction as deep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Buried {
    txid: Txid,
    height: u32,
    at: u64,
}

fn buried_once(db: &Db<'_>) -> Result<Vec<Buried>> {
    let Some(data) = db.meta(BURIED_KEY)? else { return Ok(Vec::new()) };
    Ok(serde_json::from_slice(&data).map_err(|_| WalletError::CorruptFlow { what: "the buried batches" })?)
}

/// Whether a look at that height and time is another one than an earlier look.
pub(super) fn are_apart(first: (u32, u64), now: (u32, u64)) -> bool {
    now.0 > first.0 || now.1 >= first.1.saturating_add(APART)
}

/// Whether a connector hangs on a commitment transaction: ids all the way up, which nobody can forge.
async fn comes_from(operator: &Operator, connector: Txid, commitment: Txid) -> Result<bool> {
    let mut at = connector;
    for _ in 0..CONNECTOR_LEVELS {
        let Some(node) = operator.virtual_txs(&[at]).await?.pop() else { return Ok(false) };
        let [input] = node.unsigned_tx.input.as_slice() else { return Ok(false) };
        at = input.previous_output.txid;
        if at == commitment {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Coins that were signed away, and that the chain shows as taken.
#[derive(Default)]
pub(super) struct Taken {
    /// For good, or by a batch that is in a block.
    pub in_a_block: HashSet<OutPoint>,
    /// Those, and by batches that wait for a block or cannot be looked up.
    pub seen: HashSet<OutPoint>,
}

/// Coins that are gone for good, as far as is stored.
pub(super) fn gone_for_good(db: &Db<'_>) -> Result<HashSet<OutPoint>> {
    Ok(db.signed_away()?.into_iter().filter(|row| row.is_final).map(|row| row.outpoint).collect())
}

/// Coins that may be gone, as far as is stored.
pub(super) fn maybe_gone(db: &Db<'_>) -> Result<HashSet<OutPoint>> {
    Ok(db.signed_away()?.into_iter().map(|row| row.outpoint).collect())
}

//! What tests write straight into the books, to bring about a state that takes long to reach by itself.

use std::time::Instant;

use bitcoin::{OutPoint, ScriptBuf, Transaction, Txid};

use super::Operator;
use super::state::{Stage, Vtxo};
use super::wire::IndexerVtxo;

impl Operator {
    /// Puts a VTXO into the books as the indexer shows it; false when it is not well formed.
    pub fn put_vtxo(&self, shown: &IndexerVtxo) -> bool {
        let Some(vtxo) = read(shown) else { return false };
        self.shared.with_book(|book| {
            book.order.retain(|o| *o != vtxo.outpoint);
            book.add(vtxo);
        });
        true
    }

    /// Marks a VTXO as unrolled; false when it is unknown.
    pub fn mark_unrolled(&self, outpoint: &OutPoint) -> bool {
        self.mark(outpoint, |v| v.unrolled = true)
    }

    /// Marks a VTXO as swept; false when it is unknown.
    pub fn mark_swept(&self, outpoint: &OutPoint) -> bool {
        self.mark(outpoint, |v| v.swept = true)
    }

    /// The books say that this off-chain transaction has spent the VTXO by this checkpoint; false when the VTXO is unknown.
    /// Nobody need have signed it: that is what an operator writes that gives a VTXO away.
    pub fn mark_spent(&self, outpoint: &OutPoint, checkpoint: Txid, ark_txid: Txid) -> bool {
        self.mark(outpoint, |v| {
            (v.spent, v.spent_by, v.ark_txid) = (true, Some(checkpoint), Some(ark_txid));
            v.spent_since = Some(Instant::now());
        })
    }

    /// The signed commitment transaction of a batch in the books, whether it was broadcast or not.
    pub fn commitment(&self, txid: &Txid) -> Option<Transaction> {
        self.shared.with_book(|book| book.batches.get(txid).map(|batch| batch.commitment.clone()))
    }

    /// An accepted transaction can never be finalized from now on, as after a FinalizeTx that somebody spoilt; false when
    /// there is no such transaction.
    pub fn poison(&self, ark_txid: &Txid) -> bool {
        self.shared.with_book(|book| {
            let waiting = book.offchain.get_mut(ark_txid).filter(|t| t.stage == Stage::Accepted);
            waiting.map(|tx| tx.stage = Stage::Failed).is_some()
        })
    }

    /// Sets when a VTXO expires (unix seconds); false when it is unknown.
    pub fn set_expiry(&self, outpoint: &OutPoint, expires_at: i64) -> bool {
        self.mark(outpoint, |v| v.expires_at = expires_at)
    }

    fn mark(&self, outpoint: &OutPoint, change: impl FnOnce(&mut Vtxo)) -> bool {
        self.shared.with_book(|book| book.vtxos.get_mut(outpoint).map(change).is_some())
    }

    /// Convicts an output script once; the third time bans it.
    pub fn convict(&self, script: &ScriptBuf, reason: &str) {
        let (settings, now) = (self.shared.settings(), self.shared.now());
        self.shared.with_book(|book| book.bans.convict(script.clone(), reason, now, settings.ban_duration));
    }

    /// Empties the queue of intents and frees what they held.
    pub fn forget_intents(&self) {
        self.shared.with_book(|book| {
            book.queue.clear();
            book.locked.clear();
        });
    }
}

fn read(shown: &IndexerVtxo) -> Option<Vtxo> {
    let place = shown.outpoint.as_ref()?;
    let txid = |text: &str| if text.is_empty() { Some(None) } else { text.parse::<Txid>().ok().map(Some) };
    let script = ScriptBuf::from_hex(&shown.script).ok()?;
    let commitment_txids = shown.commitment_txids.iter().map(|t| t.parse().ok()).collect::<Option<Vec<Txid>>>()?;
    Some(Vtxo {
        outpoint: OutPoint::new(place.txid.parse().ok()?, place.vout),
        amount: shown.amount,
        key: script.as_bytes().get(2..)?.try_into().ok()?,
        root: *commitment_txids.first()?,
        commitment_txids,
        settled_by: txid(&shown.settled_by)?,
        spent_by: txid(&shown.spent_by)?,
        ark_txid: txid(&shown.ark_txid)?,
        spent: shown.is_spent,
        unrolled: shown.is_unrolled,
        swept: shown.is_swept,
        preconfirmed: shown.is_preconfirmed,
        created_at: shown.created_at,
        expires_at: shown.expires_at,
        depth: shown.depth,
        made: Instant::now(),
        spent_since: None,
    })
}

//! A close as the payer sees it: its remainder depends on the checkpoint and the ark transaction, so both are fetched,
//! built again from the terms, verified and kept.

use bitcoin::{Amount, OutPoint, Psbt, Transaction, TxOut, Txid};

use super::error::Result;
use super::loaded::LoadedChannel;
use super::offchain::AnswerData;
use super::{Wallet, WalletError};
use crate::channel::psbt::{ARK_FIELD, TAPTREE_FIELD, verified_signature, witness};
use crate::channel::script::{CheckpointScript, Leaf};
use crate::channel::transactions::set_witness;
use crate::channel::{Channel, ChannelError};
use crate::operator::{Operator, Vtxo};
use crate::store::ChannelRow;

/// A close that is the one agreed on.
pub(super) struct SeenClose {
    /// The payer's remainder.
    pub outpoint: Option<OutPoint>,
    /// Both transactions with all signatures, where the operator shows them.
    pub transactions: Option<AnswerData>,
}

impl Wallet {
    /// Whether `ark_txid` is a close of the channel: `None` for a transaction of any other kind, whatever the operator
    /// says of it.
    pub(super) async fn seen_close(
        &self,
        operator: &Operator,
        row: &ChannelRow,
        loaded: &LoadedChannel,
        ark_txid: Txid,
    ) -> Result<Option<SeenClose>> {
        let script = loaded.channel.terms.payer.ark_payout.script();
        let rest = operator.vtxos_by_scripts(std::slice::from_ref(&script)).await?;
        let rest = rest.into_iter().find(|vtxo| vtxo.outpoint.txid == ark_txid);
        let outpoint = rest.as_ref().map(|vtxo| vtxo.outpoint);
        match fetch(operator, &loaded.channel, ark_txid).await {
            Ok(transactions) => Ok(Some(SeenClose { outpoint, transactions: Some(transactions) })),
            // Not shown, or not as it should be. The id alone says enough, where the checkpoint script is known.
            Err(_) if self.is_close(row, loaded, ark_txid, rest.as_ref())? => {
                Ok(Some(SeenClose { outpoint, transactions: None }))
            }
            Err(_) => Ok(None),
        }
    }

    /// Whether the close under the stored Authorisation, with this remainder, has that id.
    fn is_close(&self, row: &ChannelRow, loaded: &LoadedChannel, ark_txid: Txid, rest: Option<&Vtxo>) -> Result<bool> {
        let stored = self.store.read(|db| self.authorised(db, loaded, &row.hot))?;
        let rest = rest.map_or(Amount::ZERO, |vtxo| vtxo.amount);
        let (Some(stored), Some(amount)) = (stored, row.record.capacity.checked_sub(rest)) else { return Ok(false) };
        Ok(amount <= row.hot.high && loaded.channel.close(&stored.authorisation.script, amount)?.txid() == ark_txid)
    }
}

/// Checkpoint and ark transaction with the signatures of payer, receiver and operator.
async fn fetch(operator: &Operator, channel: &Channel, ark_txid: Txid) -> Result<AnswerData> {
    let malformed = |what| WalletError::from(ChannelError::MalformedTransaction { what });
    let missing = |txid| WalletError::from(ChannelError::MissingCheckpoint { txid });
    let ark = operator.virtual_txs(&[ark_txid]).await?.pop().ok_or_else(|| missing(ark_txid))?;
    let input = ark.unsigned_tx.input.first().ok_or_else(|| malformed("ark transaction without inputs"))?;
    let checkpoint_txid = input.previous_output.txid;
    let checkpoint = operator.virtual_txs(&[checkpoint_txid]).await?.pop().ok_or_else(|| missing(checkpoint_txid))?;
    verify(channel, &ark, &checkpoint)?;
    Ok(AnswerData { ark: ark.to_string(), checkpoints: vec![checkpoint.to_string()] })
}

/// Whether the operator shows a close of the channel with the signatures of all three.
pub(super) async fn is_signed_close(operator: &Operator, channel: &Channel, ark_txid: Txid) -> bool {
    fetch(operator, channel, ark_txid).await.is_ok()
}

/// What [`fetch`] stored, as it goes on chain: checkpoint, then ark transaction.
pub(super) fn signed_close(channel: &Channel, stored: &AnswerData) -> Result<Vec<Transaction>> {
    let corrupt = || WalletError::CorruptFlow { what: "a close that was seen" };
    let parse = |text: &String| text.parse::<Psbt>().map_err(|_| corrupt());
    let checkpoint = parse(stored.checkpoints.first().ok_or_else(corrupt)?)?;
    verify(channel, &parse(&stored.ark)?, &checkpoint)
}

/// Builds the close again, and gives it the signatures of payer, receiver and operator, each of them verified.
fn verify(channel: &Channel, ark: &Psbt, checkpoint: &Psbt) -> Result<Vec<Transaction>> {
    let malformed = |what| WalletError::from(ChannelError::MalformedTransaction { what });
    let amount = ark.unsigned_tx.output.first().ok_or_else(|| malformed("ark transaction without outputs"))?.value;
    let script = checkpoint_script(ark, 0).ok_or_else(|| malformed("ark transaction without its checkpoint's tree"))?;
    // What the receiver gave back is signed by the same keys.
    let close = match channel.release(&script)? {
        release if release.txid() == ark.unsigned_tx.compute_txid() => release,
        _ => channel.close(&script, amount)?,
    };
    let terms = &channel.terms;
    close.check_answer(ark, std::slice::from_ref(checkpoint), terms.operator)?;
    let own = close.checkpoint(0)?;
    // In the order of the keys in the forfeit leaf.
    let keys = [terms.payer.key, terms.receiver.key, terms.operator];
    let each = |psbt: &Psbt, tx: &Transaction, prevout: TxOut, leaf: &Leaf| {
        let signatures =
            keys.iter().map(|key| verified_signature(psbt, 0, tx, std::slice::from_ref(&prevout), leaf, *key));
        let signatures = signatures.collect::<std::result::Result<Vec<_>, ChannelError>>()?;
        let mut signed = tx.clone();
        set_witness(&mut signed, witness(leaf, &signatures));
        Ok::<_, ChannelError>(signed)
    };
    Ok(vec![
        each(checkpoint, &own.tx, own.prevout.clone(), &own.vtxo_leaf)?,
        each(ark, &close.ark, own.output(), &own.leaf)?,
    ])
}

/// The operator's leaf of the checkpoint that an input of the ark transaction spends: the first of the tree beside it. What it
/// is worth shows when the transaction is built again with it.
pub(super) fn checkpoint_script(ark: &Psbt, index: usize) -> Option<CheckpointScript> {
    let input = ark.inputs.get(index)?;
    let is_tree = |key: &&bitcoin::psbt::raw::Key| key.type_value == ARK_FIELD && key.key == TAPTREE_FIELD;
    let tree = input.unknown.iter().find(|(key, _)| is_tree(key)).map(|(_, tree)| tree)?;
    // Depth, leaf version, length, script.
    let [_, _, length, rest @ ..] = tree.as_slice() else { return None };
    CheckpointScript::parse(bitcoin::Script::from_bytes(rest.get(..usize::from(*length))?)).ok()
}

//! A close that somebody else has made: what it pays this side depends on the checkpoint and the ark transaction, so both
//! are fetched, built again from the terms, verified and kept.

use bitcoin::{OutPoint, Psbt, ScriptBuf, Transaction, TxOut, Txid};

use super::WalletError;
use super::error::Result;
use super::offchain::AnswerData;
use crate::channel::exit::output_to;
use crate::channel::psbt::{ARK_FIELD, TAPTREE_FIELD, verified_signature, witness};
use crate::channel::script::{CheckpointScript, Leaf};
use crate::channel::transactions::set_witness;
use crate::channel::{Channel, ChannelError};
use crate::operator::{Operator, OperatorError};

/// A close of the channel, with the signatures of payer, receiver and operator.
pub(super) struct SeenClose {
    /// What pays the script that was asked about, if anything does.
    pub outpoint: Option<OutPoint>,
    pub transactions: AnswerData,
}

/// The close that the operator shows under this id, and what of it pays `script`; `None` for a transaction of any other
/// kind, and for one that is not shown, whatever the books say of it. An error only when nobody answers.
pub(super) async fn seen_close(
    operator: &Operator,
    channel: &Channel,
    ark_txid: Txid,
    script: &ScriptBuf,
) -> std::result::Result<Option<SeenClose>, OperatorError> {
    let Some(ark) = shown(operator, ark_txid).await? else { return Ok(None) };
    let Some(input) = ark.unsigned_tx.input.first() else { return Ok(None) };
    let Some(checkpoint) = shown(operator, input.previous_output.txid).await? else { return Ok(None) };
    let Ok(signed) = verify(channel, &ark, &checkpoint) else { return Ok(None) };
    let outpoint = signed.last().and_then(|ark| output_to(ark, script)).map(|(outpoint, _)| outpoint);
    Ok(Some(SeenClose {
        outpoint,
        transactions: AnswerData { ark: ark.to_string(), checkpoints: vec![checkpoint.to_string()] },
    }))
}

/// A transaction as the operator shows it.
async fn shown(operator: &Operator, txid: Txid) -> std::result::Result<Option<Psbt>, OperatorError> {
    match operator.virtual_txs(&[txid]).await {
        Ok(mut shown) => Ok(shown.pop()),
        Err(error) if error.is_transport() => Err(error),
        Err(_) => Ok(None),
    }
}

/// What [`seen_close`] showed, or this wallet made, as it goes on chain: checkpoint, then ark transaction.
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

//! The commitment transaction: our outputs in it, and our signatures on our boarding inputs.

use bitcoin::{Psbt, Transaction, TxOut};

use super::BatchInput;
use super::tree::BATCH_OUTPUT;
use crate::channel::psbt;
use crate::operator::error::OperatorError;

/// Whether every wanted output is there, each at a place of its own; with a tree, output 0 is the tree's.
pub(super) fn check_outputs(commitment: &Transaction, wanted: &[TxOut], has_tree: bool) -> Result<(), OperatorError> {
    let first = if has_tree { BATCH_OUTPUT as usize + 1 } else { 0 };
    let mut free: Vec<&TxOut> = commitment.output.iter().skip(first).collect();
    for output in wanted {
        let place = free.iter().position(|candidate| *candidate == output).ok_or_else(|| {
            let script = output.script_pubkey.to_hex_string();
            OperatorError::refuse(format!("the commitment transaction does not pay {} to {script}", output.value))
        })?;
        free.swap_remove(place);
    }
    Ok(())
}

/// Signs our boarding inputs of a checked commitment transaction; `None` when there are none.
pub(super) fn sign_boarding(commitment: &Psbt, inputs: &[&BatchInput]) -> Result<Option<Psbt>, OperatorError> {
    if inputs.is_empty() {
        return Ok(None);
    }
    let mut signed = commitment.clone();
    // A signature covers what all inputs spend; those of others are the operator's word, which can only spoil it.
    let mut prevouts = Vec::with_capacity(signed.inputs.len());
    for (txin, input) in signed.unsigned_tx.input.iter().zip(&signed.inputs) {
        let ours = inputs.iter().find(|ours| ours.coin.outpoint == txin.previous_output);
        let prevout = match ours {
            Some(ours) => ours.coin.prevout.clone(),
            None => input
                .witness_utxo
                .clone()
                .ok_or_else(|| OperatorError::refuse(format!("what {} holds is not told", txin.previous_output)))?,
        };
        prevouts.push(prevout);
    }
    for ours in inputs {
        let place = signed
            .unsigned_tx
            .input
            .iter()
            .position(|txin| txin.previous_output == ours.coin.outpoint)
            .ok_or_else(|| OperatorError::refuse(format!("{} is not spent", ours.coin.outpoint)))?;
        let leaf = ours.coin.tree.leaf(ours.coin.leaf)?;
        let message = psbt::sighash(&signed.unsigned_tx, place, &prevouts, &leaf)?;
        let signature = psbt::sign(&message, &ours.keypair);
        // arkd reads the first leaf of an input.
        if let Some(input) = signed.inputs.get_mut(place) {
            input.tap_scripts.clear();
        }
        psbt::describe(&mut signed, place, &ours.coin.prevout, &ours.coin.tree, &leaf)?;
        psbt::add_signature(&mut signed, place, &leaf, ours.keypair.x_only_public_key().0, signature)?;
    }
    Ok(Some(signed))
}

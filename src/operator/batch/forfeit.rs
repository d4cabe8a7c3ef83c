//! Forfeit transactions: the VTXO and its connector, to the operator.

use bitcoin::{Psbt, ScriptBuf, Sequence, TxOut, absolute};

use super::BatchInput;
use super::connectors::Connector;
use crate::channel::offchain::{anchor, unsigned_input, version3};
use crate::channel::psbt;
use crate::operator::error::OperatorError;

/// Builds and signs the forfeit of one VTXO.
pub(super) fn sign(
    input: &BatchInput,
    connector: &Connector,
    forfeit_script: &ScriptBuf,
) -> Result<Psbt, OperatorError> {
    let mut forfeit = build(input, connector, forfeit_script)?;
    let leaf = input.coin.tree.leaf(input.coin.leaf)?;
    let prevouts = [input.coin.prevout.clone(), connector.output.clone()];
    let message = psbt::sighash(&forfeit.unsigned_tx, 0, &prevouts, &leaf)?;
    let signature = psbt::sign(&message, &input.keypair);
    psbt::add_signature(&mut forfeit, 0, &leaf, input.keypair.x_only_public_key().0, signature)?;
    Ok(forfeit)
}

/// Version 3, VTXO first, everything to the operator, an anchor; a leaf with a locktime carries it over.
fn build(input: &BatchInput, connector: &Connector, forfeit_script: &ScriptBuf) -> Result<Psbt, OperatorError> {
    let coin = &input.coin;
    let value = coin
        .prevout
        .value
        .checked_add(connector.output.value)
        .ok_or_else(|| OperatorError::refuse("a connector of more money than there is"))?;
    let sequence = if coin.locktime.is_some() { Sequence::ENABLE_LOCKTIME_NO_RBF } else { Sequence::MAX };
    let tx = version3(
        coin.locktime.unwrap_or(absolute::LockTime::ZERO),
        vec![unsigned_input(coin.outpoint, sequence), unsigned_input(connector.outpoint, Sequence::MAX)],
        vec![TxOut { value, script_pubkey: forfeit_script.clone() }, anchor()],
    );
    let mut forfeit = psbt::new(tx)?;
    psbt::describe(&mut forfeit, 0, &coin.prevout, &coin.tree, &coin.tree.leaf(coin.leaf)?)?;
    if let Some(input) = forfeit.inputs.get_mut(1) {
        input.witness_utxo = Some(connector.output.clone());
    }
    Ok(forfeit)
}

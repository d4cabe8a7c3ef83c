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

#[cfg(test)]
mod tests {
    use super::super::InputKind;
    use super::super::connectors::Connectors;
    use super::super::tests::Recorded;
    use super::*;
    use crate::channel::intent::IntentInput;
    use crate::channel::script::default_vtxo;
    use crate::operator::recorded::{UNITS, keypair, load, psbt};

    #[test]
    fn forfeits_equal_the_recorded_ones() {
        let mut compared = 0;
        for unit in UNITS {
            for (name, prefix) in [("life", ""), ("batch", "many.")] {
                let file = load(&format!("{name}-{unit}"));
                let batch = Recorded::new(&file, &format!("{prefix}events.payer"));
                let owner = keypair(&file["keys"]["payer"]);
                let tree =
                    default_vtxo(owner.x_only_public_key().0, batch.info.signer, batch.info.unilateral_exit_delay);
                let tree = tree.unwrap();
                for call in file["calls"].as_array().unwrap() {
                    for sent in call["body"]["signedForfeitTxs"].as_array().into_iter().flatten() {
                        let sent = psbt(sent);
                        let prevout = sent.inputs[0].witness_utxo.clone().unwrap();
                        if prevout.script_pubkey != tree.script_pubkey() {
                            continue;
                        }
                        let outpoint = sent.unsigned_tx.input[0].previous_output;
                        let mut connectors = Connectors::default();
                        for (node, topics) in &batch.connectors {
                            connectors.add(node.unsigned_tx.clone(), topics).unwrap();
                        }
                        let Ok(assigned) = connectors.assign(&[outpoint], &batch.commitment.unsigned_tx) else {
                            continue;
                        };
                        let input = BatchInput {
                            coin: IntentInput::unlocked(outpoint, prevout.value, tree.clone(), 0),
                            kind: InputKind::Vtxo,
                            keypair: owner,
                        };
                        let built = sign(&input, &assigned[0], &batch.info.forfeit_script).unwrap();
                        assert_eq!(built.unsigned_tx, sent.unsigned_tx);
                        assert_eq!(built.inputs[0].tap_scripts, sent.inputs[0].tap_scripts);
                        assert_eq!(built.inputs[1].witness_utxo, sent.inputs[1].witness_utxo);
                        assert_eq!(built.inputs[0].tap_script_sigs.len(), 1);
                        compared += 1;
                    }
                }
            }
        }
        assert_eq!(compared, 4);
    }
}

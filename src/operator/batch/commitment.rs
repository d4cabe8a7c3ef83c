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

#[cfg(test)]
mod tests {
    use bitcoin::{Amount, ScriptBuf};

    use super::*;
    use crate::channel::intent::IntentInput;
    use crate::channel::script::default_vtxo;
    use crate::channel::{Delay, SECP256K1};
    use crate::operator::batch::InputKind;
    use crate::operator::decode;
    use crate::operator::recorded::{UNITS, keypair, load, psbt, text};

    #[test]
    fn boarding_inputs_are_signed_as_recorded() {
        for unit in UNITS {
            let file = load(&format!("life-{unit}"));
            let info = &file["GetInfo"]["response"];
            let owner = keypair(&file["keys"]["payer"]);
            let operator = decode::public_key("", text(&info["signerPubkey"])).unwrap().x_only_public_key().0;
            let delay = Delay::from_arkd(text(&info["boardingExitDelay"]).parse().unwrap()).unwrap();
            let tree = default_vtxo(owner.x_only_public_key().0, operator, delay).unwrap();
            let sent = file["calls"].as_array().unwrap().iter().find_map(|call| {
                let commitment = call["body"]["signedCommitmentTx"].as_str()?;
                (!commitment.is_empty()).then(|| psbt(&call["body"]["signedCommitmentTx"]))
            });
            let sent = sent.unwrap();
            let inputs = sent.unsigned_tx.input.iter().zip(&sent.inputs);
            let ours = inputs.clone().position(|(_, input)| {
                input.witness_utxo.as_ref().is_some_and(|prevout| prevout.script_pubkey == tree.script_pubkey())
            });
            let ours = ours.unwrap();
            let outpoint = sent.unsigned_tx.input[ours].previous_output;
            let value = sent.inputs[ours].witness_utxo.as_ref().unwrap().value;
            let mut commitment = sent.clone();
            commitment.inputs[ours] = Default::default();
            let coin = IntentInput::unlocked(outpoint, value, tree, 0);
            let input = BatchInput { coin, kind: InputKind::Boarding, keypair: owner };
            let signed = sign_boarding(&commitment, &[&input]).unwrap().unwrap();
            assert_eq!(signed.unsigned_tx, sent.unsigned_tx);
            assert_eq!(signed.inputs[ours].tap_scripts, sent.inputs[ours].tap_scripts);
            // The recorded signature is for the same message.
            let leaf = input.coin.tree.leaf(0).unwrap();
            let prevouts: Vec<TxOut> = sent.inputs.iter().map(|input| input.witness_utxo.clone().unwrap()).collect();
            let message = psbt::sighash(&signed.unsigned_tx, ours, &prevouts, &leaf).unwrap();
            for psbt in [&sent, &signed] {
                let (_, signature) = psbt.inputs[ours].tap_script_sigs.first_key_value().unwrap();
                let key = owner.x_only_public_key().0;
                SECP256K1.verify_schnorr(&signature.signature, &message, &key).unwrap();
            }

            assert!(sign_boarding(&commitment, &[]).unwrap().is_none());
            let mut elsewhere = input.clone();
            elsewhere.coin.outpoint.vout += 1;
            assert!(sign_boarding(&commitment, &[&elsewhere]).is_err());
            commitment.inputs[1 - ours].witness_utxo = None;
            assert!(sign_boarding(&commitment, &[&input]).is_err());
        }
    }

    #[test]
    fn each_output_has_a_place_of_its_own() {
        let output = |sats: u64| TxOut { value: Amount::from_sat(sats), script_pubkey: ScriptBuf::new_op_return([]) };
        let tx = crate::channel::offchain::version3(
            bitcoin::absolute::LockTime::ZERO,
            vec![],
            vec![output(5), output(5), output(7)],
        );
        assert!(check_outputs(&tx, &[output(7), output(5)], true).is_ok());
        assert!(check_outputs(&tx, &[output(5), output(5)], false).is_ok());
        assert!(check_outputs(&tx, &[output(5), output(5)], true).is_err());
        assert!(check_outputs(&tx, &[output(8)], false).is_err());
        assert!(check_outputs(&tx, &[], true).is_ok());
    }
}

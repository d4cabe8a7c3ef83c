//! Virtual transactions as PSBTs: who co-signed, and the witnesses their signatures make.

use bitcoin::psbt;
use bitcoin::script::Instruction;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Psbt, Script, Transaction, Witness, XOnlyPublicKey};

use super::error::OperatorError;
use crate::channel::psbt::ARK_FIELD;

const CALL: &str = "a transaction tree";

/// The key of arkd's field with a co-signer, followed by its index as four bytes.
const COSIGNER_FIELD: &[u8] = b"cosigner";

/// More than any node has.
const MAX_COSIGNERS: usize = 1024;

/// The keys that co-sign input 0, sorted; empty for what is no tree node. No key comes twice, not even with the other
/// parity: nonces are told apart by the x coordinate.
pub(super) fn cosigners(psbt: &Psbt) -> Result<Vec<PublicKey>, OperatorError> {
    let mut keys: Vec<PublicKey> = Vec::new();
    let Some(input) = psbt.inputs.first() else { return Ok(keys) };
    for (key, value) in &input.unknown {
        if key.type_value != ARK_FIELD || !is_cosigner(&key.key) {
            continue;
        }
        let cosigner =
            PublicKey::from_slice(value).map_err(|_| OperatorError::bad(CALL, "a co-signer that is no key"))?;
        keys.push(cosigner);
        if keys.len() > MAX_COSIGNERS {
            return Err(OperatorError::bad(CALL, format!("more than {MAX_COSIGNERS} co-signers")));
        }
    }
    keys.sort_unstable_by_key(PublicKey::serialize);
    let mut seen: Vec<XOnlyPublicKey> = keys.iter().map(|key| key.x_only_public_key().0).collect();
    seen.sort_unstable();
    seen.dedup();
    if seen.len() != keys.len() {
        return Err(OperatorError::bad(CALL, "a co-signer comes twice"));
    }
    Ok(keys)
}

fn is_cosigner(key: &[u8]) -> bool {
    key.strip_prefix(COSIGNER_FIELD).is_some_and(|index| index.len() == 4)
}

/// The transaction with the witnesses that the PSBT's signatures make; inputs without them stay empty.
pub(super) fn with_witnesses(psbt: Psbt) -> Transaction {
    let mut tx = psbt.unsigned_tx;
    for (input, signed) in tx.input.iter_mut().zip(&psbt.inputs) {
        input.witness = witness(signed);
    }
    tx
}

fn witness(input: &psbt::Input) -> Witness {
    if let Some(witness) = &input.final_script_witness {
        return witness.clone();
    }
    if let Some(signature) = &input.tap_key_sig {
        return Witness::from_slice(&[signature.serialize().as_ref()]);
    }
    // Own transactions have one leaf; of several, the one that is fully signed is meant.
    for (control, (script, version)) in &input.tap_scripts {
        let leaf = bitcoin::TapLeafHash::from_script(script, *version);
        let signatures: Option<Vec<_>> = keys(script)
            .iter()
            .rev()
            .map(|key| input.tap_script_sigs.get(&(*key, leaf)).map(|signature| signature.serialize()))
            .collect();
        let Some(signatures) = signatures.filter(|signatures| !signatures.is_empty()) else { continue };
        let mut witness = Witness::new();
        for signature in signatures {
            witness.push(signature.as_ref() as &[u8]);
        }
        witness.push(script.as_bytes());
        witness.push(control.serialize());
        return witness;
    }
    Witness::new()
}

/// The keys of a leaf, in its order.
fn keys(script: &Script) -> Vec<XOnlyPublicKey> {
    let pushes = script.instructions().filter_map(|part| match part {
        Ok(Instruction::PushBytes(bytes)) if bytes.len() == 32 => XOnlyPublicKey::from_slice(bytes.as_bytes()).ok(),
        _ => None,
    });
    pushes.take(16).collect()
}

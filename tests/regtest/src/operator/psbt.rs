//! PSBTs: arkd's own fields, and the signatures on taproot leaves.

use std::collections::BTreeMap;
use std::str::FromStr;

use bitcoin::key::{Keypair, Secp256k1};
use bitcoin::psbt::{Input, Psbt, raw};
use bitcoin::secp256k1::Message;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::{self, ControlBlock, LeafVersion};
use bitcoin::{PublicKey, ScriptBuf, TxOut, Weight, Witness, XOnlyPublicKey};

use super::script::{Leaf, Lock, unspendable};

const ARK_FIELD: u8 = 0xde;

/// Reads a base64 PSBT.
pub fn decode(text: &str) -> Result<Psbt, String> {
    Psbt::from_str(text).map_err(|e| e.to_string())
}

fn key(name: &[u8]) -> raw::Key {
    raw::Key { type_value: ARK_FIELD, key: name.to_vec() }
}

fn find<'a>(input: &'a Input, name: &[u8]) -> Option<&'a Vec<u8>> {
    input.unknown.iter().find(|(k, _)| k.key.windows(name.len()).any(|w| w == name)).map(|(_, v)| v)
}

/// The revealed scripts of an input's output (field `taptree`), or None when the field is missing.
pub fn revealed_scripts(input: &Input) -> Option<Result<Vec<ScriptBuf>, String>> {
    find(input, b"taptree").map(|bytes| decode_scripts(bytes))
}

fn decode_scripts(mut bytes: &[u8]) -> Result<Vec<ScriptBuf>, String> {
    let mut scripts = Vec::new();
    while !bytes.is_empty() {
        // Depth and leaf version are skipped, as arkd does.
        let rest = bytes.get(2..).ok_or("truncated taptree")?;
        let (length, rest) = compact_size(rest).ok_or("truncated taptree")?;
        let script = rest.get(..length).ok_or("truncated taptree")?;
        scripts.push(ScriptBuf::from_bytes(script.to_vec()));
        bytes = &rest[length..];
    }
    Ok(scripts)
}

fn compact_size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (first, rest) = bytes.split_first()?;
    let width = match first {
        253 => 2,
        254 => 4,
        255 => 8,
        small => return Some((usize::from(*small), rest)),
    };
    let mut value = [0u8; 8];
    value[..width].copy_from_slice(rest.get(..width)?);
    Some((usize::try_from(u64::from_le_bytes(value)).ok()?, &rest[width..]))
}

/// Writes the field `taptree`: depths as of a tree that leans left, as arkd writes them.
pub fn reveal_scripts(input: &mut Input, scripts: &[ScriptBuf]) {
    let mut bytes = Vec::new();
    for (i, script) in scripts.iter().enumerate() {
        bytes.push((i + 1).min(scripts.len() - 1) as u8);
        bytes.push(0xc0);
        bytes.extend(bitcoin::consensus::serialize(&bitcoin::VarInt(script.len() as u64)));
        bytes.extend(script.as_bytes());
    }
    input.unknown.insert(key(b"taptree"), bytes);
}

/// Writes one field `cosigner` for each key, numbered.
pub fn set_cosigners(input: &mut Input, keys: &[PublicKey]) {
    for (i, one) in keys.iter().enumerate() {
        let mut name = b"cosigner".to_vec();
        name.extend((i as u32).to_be_bytes());
        input.unknown.insert(key(&name), one.to_bytes());
    }
}

/// Writes the field `expiry`: a BIP68 sequence in as few little-endian bytes as a script number takes.
pub fn set_expiry(input: &mut Input, sequence: u32) {
    let mut bytes = sequence.to_le_bytes().to_vec();
    while bytes.len() > 1 && bytes.last() == Some(&0) {
        bytes.pop();
    }
    if bytes.last().is_some_and(|b| b & 0x80 != 0) {
        bytes.push(0);
    }
    input.unknown.insert(key(b"expiry"), bytes);
}

/// The only leaf of an input, if there is exactly one.
pub fn only_leaf(input: &Input) -> Option<(&ControlBlock, &ScriptBuf)> {
    match input.tap_scripts.len() {
        1 => input.tap_scripts.iter().next().map(|(control, (script, _))| (control, script)),
        _ => None,
    }
}

/// The outputs that the inputs say they spend; all must say it.
pub fn prevouts(psbt: &Psbt) -> Result<Vec<TxOut>, String> {
    psbt.inputs
        .iter()
        .enumerate()
        .map(|(i, input)| input.witness_utxo.clone().ok_or(format!("missing witness utxo for input {i}")))
        .collect()
}

/// How [`verify_leaf_signatures`] judges inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsigned {
    /// An input without any signature is an error.
    Refuse,
    /// It is left out.
    Skip,
}

/// Checks every signature on every leaf of the inputs that carry exactly one leaf, and that all keys of the leaf but those in
/// `absent_allowed` have signed. Returns the inputs that are signed.
pub fn verify_leaf_signatures(
    psbt: &Psbt,
    prevouts: &[TxOut],
    absent_allowed: &[XOnlyPublicKey],
    unsigned: Unsigned,
) -> Result<Vec<usize>, String> {
    let secp = Secp256k1::verification_only();
    let mut cache = SighashCache::new(&psbt.unsigned_tx);
    let mut signed = Vec::new();
    for (index, input) in psbt.inputs.iter().enumerate() {
        let Some((control, script)) = only_leaf(input) else { continue };
        let prevout = prevouts.get(index).ok_or(format!("prevout {index} not found"))?;
        if !prevout.script_pubkey.is_p2tr() {
            continue;
        }
        let leaf = Leaf::parse(script)?;
        if matches!(leaf.lock, Lock::Condition | Lock::ConditionAfter(_)) {
            return Err(format!("condition not met for input {index}"));
        }
        if !belongs(control, script, prevout) {
            return Err(format!("invalid control block for input {index}"));
        }
        if input.tap_script_sigs.is_empty() {
            if unsigned == Unsigned::Refuse && leaf.keys.iter().any(|k| !absent_allowed.contains(k)) {
                return Err(format!("input {index} has no tapscript signatures"));
            }
            continue;
        }
        for ((signer, leaf_hash), signature) in &input.tap_script_sigs {
            if *leaf_hash != leaf.hash() {
                return Err(format!("invalid leaf hash for a signature of input {index}"));
            }
            let hash = cache
                .taproot_script_spend_signature_hash(
                    index,
                    &Prevouts::All(prevouts),
                    *leaf_hash,
                    signature.sighash_type,
                )
                .map_err(|e| format!("no signature hash for input {index}: {e}"))?;
            secp.verify_schnorr(&signature.signature, &Message::from(hash), signer)
                .map_err(|_| format!("invalid signature for input {index}, pubkey {signer}"))?;
        }
        for wanted in &leaf.keys {
            let present = input.tap_script_sigs.keys().any(|(k, _)| k == wanted);
            if !present && !absent_allowed.contains(wanted) {
                return Err(format!("missing signature for {wanted}"));
            }
        }
        signed.push(index);
    }
    Ok(signed)
}

/// Does the leaf belong to the output?
pub fn belongs(control: &ControlBlock, script: &ScriptBuf, prevout: &TxOut) -> bool {
    let secp = Secp256k1::verification_only();
    let key = prevout.script_pubkey.as_bytes().get(2..).and_then(|k| XOnlyPublicKey::from_slice(k).ok());
    let commits = |key| control.verify_taproot_commitment(&secp, key, script);
    control.internal_key == unspendable() && key.is_some_and(commits)
}

/// Adds this key's signature to every input whose leaf names it.
pub fn sign_leaves(
    psbt: &mut Psbt,
    prevouts: &[TxOut],
    signer: &Keypair,
    only: Option<&[usize]>,
) -> Result<(), String> {
    let secp = Secp256k1::new();
    let public = signer.x_only_public_key().0;
    let tx = psbt.unsigned_tx.clone();
    let mut cache = SighashCache::new(&tx);
    for (index, input) in psbt.inputs.iter_mut().enumerate() {
        if only.is_some_and(|o| !o.contains(&index)) {
            continue;
        }
        let Some((_, script)) = only_leaf(input) else { continue };
        let leaf = Leaf::parse(script)?;
        if !leaf.keys.contains(&public) {
            continue;
        }
        let sighash_type = bitcoin::TapSighashType::Default;
        let hash = cache
            .taproot_script_spend_signature_hash(index, &Prevouts::All(prevouts), leaf.hash(), sighash_type)
            .map_err(|e| e.to_string())?;
        let signature = secp.sign_schnorr(&Message::from(hash), signer);
        input.tap_script_sigs.insert((public, leaf.hash()), taproot::Signature { signature, sighash_type });
    }
    Ok(())
}

/// The witness of a leaf spend from the signatures of an input; `stand_in` keys count as signed by 64 zero bytes (to weigh a
/// transaction before the operator has signed).
pub fn leaf_witness(input: &Input, stand_in: &[XOnlyPublicKey]) -> Result<Witness, String> {
    let (control, script) = only_leaf(input).ok_or("no leaf to spend")?;
    let leaf = Leaf::parse(script)?;
    let mut witness = Witness::new();
    for signer in leaf.keys.iter().rev() {
        match input.tap_script_sigs.get(&(*signer, leaf.hash())) {
            Some(signature) => witness.push(signature.to_vec()),
            None if stand_in.contains(signer) => witness.push([0u8; 64]),
            None => return Err(format!("missing signature for pubkey {signer}")),
        }
    }
    witness.push(script.as_bytes());
    witness.push(control.serialize());
    Ok(witness)
}

/// The weight of the transaction once every leaf is signed.
pub fn signed_weight(psbt: &Psbt, stand_in: &[XOnlyPublicKey]) -> Result<Weight, String> {
    let mut tx = psbt.unsigned_tx.clone();
    for (input, txin) in psbt.inputs.iter().zip(&mut tx.input) {
        txin.witness = leaf_witness(input, stand_in)?;
    }
    Ok(tx.weight())
}

/// Puts a leaf into an input.
pub fn set_leaf(input: &mut Input, control: ControlBlock, script: ScriptBuf) {
    input.tap_scripts = BTreeMap::from([(control, (script, LeafVersion::TapScript))]);
}

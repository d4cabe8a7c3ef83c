//! PSBTs as arkd wants them: one tap leaf an input, and the whole tree in an unknown field.

use bitcoin::psbt::raw;
use bitcoin::secp256k1::schnorr;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::{LeafVersion, Signature};
use bitcoin::{Psbt, TapSighashType, Transaction, TxOut, Witness, XOnlyPublicKey};
use secp256k1::{Keypair, Message, SECP256K1};

use super::script::Leaf;
use super::{ChannelError, TapTree};

/// Type of arkd's unknown PSBT input fields.
pub const ARK_FIELD: u8 = 0xde;

/// Key of the field with the tree of the spent output.
pub const TAPTREE_FIELD: &[u8] = b"taptree";

/// An unsigned PSBT over `tx`.
pub fn new(tx: Transaction) -> Result<Psbt, ChannelError> {
    Psbt::from_unsigned_tx(tx).map_err(|_| ChannelError::MalformedTransaction { what: "transaction is not unsigned" })
}

/// Fills input `index`: the output it spends, the leaf it spends it by, and the tree that leaf is in.
pub fn describe(
    psbt: &mut Psbt,
    index: usize,
    prevout: &TxOut,
    tree: &TapTree,
    leaf: &Leaf,
) -> Result<(), ChannelError> {
    let input = psbt.inputs.get_mut(index).ok_or(ChannelError::MalformedTransaction { what: "input missing" })?;
    input.witness_utxo = Some(prevout.clone());
    input.tap_scripts.insert(leaf.control.clone(), (leaf.script.clone(), LeafVersion::TapScript));
    let key = raw::Key { type_value: ARK_FIELD, key: TAPTREE_FIELD.to_vec() };
    input.unknown.insert(key, tree.encode());
    Ok(())
}

/// Puts a SIGHASH_DEFAULT signature of `key` for `leaf` into input `index`.
pub fn add_signature(
    psbt: &mut Psbt,
    index: usize,
    leaf: &Leaf,
    key: XOnlyPublicKey,
    signature: schnorr::Signature,
) -> Result<(), ChannelError> {
    let input = psbt.inputs.get_mut(index).ok_or(ChannelError::MalformedTransaction { what: "input missing" })?;
    let signature = Signature { signature, sighash_type: TapSighashType::Default };
    input.tap_script_sigs.insert((key, leaf.hash), signature);
    Ok(())
}

/// The BIP341 message of a script-path spend of input `index` by `leaf`, SIGHASH_DEFAULT.
pub fn sighash(tx: &Transaction, index: usize, prevouts: &[TxOut], leaf: &Leaf) -> Result<Message, ChannelError> {
    SighashCache::new(tx)
        .taproot_script_spend_signature_hash(index, &Prevouts::All(prevouts), leaf.hash, TapSighashType::Default)
        .map(Message::from)
        .map_err(|_| ChannelError::MalformedTransaction { what: "inputs and spent outputs do not match" })
}

/// A BIP340 signature with fresh auxiliary randomness.
pub fn sign(message: &Message, keypair: &Keypair) -> schnorr::Signature {
    SECP256K1.sign_schnorr(message, keypair)
}

/// Whether `signature` is `key`'s over `message`.
pub fn verify(message: &Message, key: &XOnlyPublicKey, signature: &schnorr::Signature) -> bool {
    SECP256K1.verify_schnorr(signature, message, key).is_ok()
}

/// The signature of `key` for `leaf` in input `index` of a PSBT from outside, if it is SIGHASH_DEFAULT and valid
/// over `tx` (our own transaction, not the PSBT's).
pub fn verified_signature(
    psbt: &Psbt,
    index: usize,
    tx: &Transaction,
    prevouts: &[TxOut],
    leaf: &Leaf,
    key: XOnlyPublicKey,
) -> Result<schnorr::Signature, ChannelError> {
    let missing = || ChannelError::MissingSignature { key: key.into() };
    let input = psbt.inputs.get(index).ok_or_else(missing)?;
    let signature = input.tap_script_sigs.get(&(key, leaf.hash)).ok_or_else(missing)?;
    if signature.sighash_type != TapSighashType::Default {
        return Err(ChannelError::SighashType { got: signature.sighash_type as u8 });
    }
    let message = sighash(tx, index, prevouts, leaf)?;
    if !verify(&message, &key, &signature.signature) {
        return Err(ChannelError::InvalidSignature { what: "operator's signature" });
    }
    Ok(signature.signature)
}

/// The witness that spends by `leaf`: signatures in reverse order of the leaf's keys, script, control block.
pub fn witness(leaf: &Leaf, signatures_in_key_order: &[schnorr::Signature]) -> Witness {
    let mut witness = Witness::new();
    for signature in signatures_in_key_order.iter().rev() {
        witness.push(signature.as_ref());
    }
    witness.push(leaf.script.as_bytes());
    witness.push(leaf.control.serialize());
    witness
}

//! Key-path signatures of the on-chain wallet.

use bitcoin::key::TapTweak;
use bitcoin::sighash::{Prevouts, SighashCache, TapSighashType};
use bitcoin::{Transaction, TxOut, Witness};
use secp256k1::SECP256K1;

use super::super::WalletError;
use super::super::error::Result;
use super::super::keys::Keys;
use super::state::OwnKey;

/// What an own input's witness weighs is known before it is signed: one signature, SIGHASH_DEFAULT.
pub(super) fn unsigned_witness() -> Witness {
    Witness::from_slice(&[[0u8; 64]])
}

/// Signs the inputs that have a key; `inputs` has the spent output and the key of each.
pub(super) fn sign(keys: &Keys, tx: &mut Transaction, inputs: &[(TxOut, Option<OwnKey>)]) -> Result<()> {
    let refused = || WalletError::KeyDerivation;
    let spent: Vec<&TxOut> = inputs.iter().map(|(output, _)| output).collect();
    let mut witnesses = Vec::with_capacity(inputs.len());
    let mut cache = SighashCache::new(&*tx);
    for (index, (output, key)) in inputs.iter().enumerate() {
        let Some(key) = key else {
            witnesses.push(Witness::new());
            continue;
        };
        let message = cache.taproot_key_spend_signature_hash(index, &Prevouts::All(&spent), TapSighashType::Default);
        let message = message.map_err(|_| refused())?.into();
        let mut tweaked = keys.keypair(key.key_use, key.index)?.tap_tweak(SECP256K1, None).to_keypair();
        let public = tweaked.x_only_public_key().0;
        let signature = SECP256K1.sign_schnorr(&message, &tweaked);
        tweaked.non_secure_erase();
        let ours = output.script_pubkey.is_p2tr() && output.script_pubkey.as_bytes().ends_with(&public.serialize());
        if !ours || SECP256K1.verify_schnorr(&signature, &message, &public).is_err() {
            return Err(Box::new(refused()));
        }
        witnesses.push(Witness::from_slice(&[signature.serialize()]));
    }
    for (input, witness) in tx.input.iter_mut().zip(witnesses) {
        input.witness = witness;
    }
    Ok(())
}

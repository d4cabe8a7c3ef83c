//! MuSig2 over the tree: one fresh nonce a node, used once.

use std::collections::{BTreeMap, HashMap};

use bitcoin::hashes::Hash;
use bitcoin::hex::DisplayHex;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Txid, XOnlyPublicKey};
use musig::musig::{
    AggregatedNonce, KeyAggCache, PartialSignature, PublicNonce, SecretNonce, Session, SessionSecretRand,
    new_nonce_pair,
};
use secp256k1::Keypair;
use secp256k1::rand::RngCore;
use secp256k1::rand::rngs::OsRng;

use super::tree::{SigningNode, SigningTree};
use crate::channel::branch;
use crate::operator::decode;
use crate::operator::error::OperatorError;

/// Our part in signing one tree. Its secret nonces live here and nowhere else: a second session makes new ones.
pub(super) struct TreeSigner {
    keypair: musig::Keypair,
    own: XOnlyPublicKey,
    slots: HashMap<Txid, Slot>,
    signatures: BTreeMap<Txid, PartialSignature>,
}

struct Slot {
    /// Gone after the first signature.
    secret: Option<SecretNonce>,
    public: PublicNonce,
    /// With the sweep leaf's tweak.
    key: KeyAggCache,
    cosigners: Vec<PublicKey>,
    message: [u8; 32],
}

/// A nonce that has not signed would give the key away to whoever finds it beside the signature of another session.
impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(secret) = &mut self.secret {
            secret.non_secure_erase();
        }
    }
}

impl Drop for TreeSigner {
    fn drop(&mut self) {
        self.keypair.non_secure_erase();
    }
}

impl TreeSigner {
    /// Makes a nonce for every node of a checked tree.
    pub(super) fn new(tree: &SigningTree, keypair: &Keypair) -> Result<Self, OperatorError> {
        let slots = tree.nodes.iter().map(|node| Ok((node.txid, slot(tree, node, keypair)?)));
        let refused = |_| OperatorError::refuse("our co-signer key is not usable");
        Ok(Self {
            keypair: musig::Keypair::from_secret_bytes(keypair.secret_bytes()).map_err(refused)?,
            own: keypair.x_only_public_key().0,
            slots: slots.collect::<Result<_, OperatorError>>()?,
            signatures: BTreeMap::new(),
        })
    }

    /// Our public nonces by transaction id, as arkd wants them.
    pub(super) fn nonces(&self) -> HashMap<String, String> {
        self.slots
            .iter()
            .map(|(txid, slot)| (txid.to_string(), slot.public.serialize().to_lower_hex_string()))
            .collect()
    }

    /// Signs a node with the nonces of all its co-signers, which the operator collected (by x-only key). A node that
    /// was signed before, or is none of ours, is left alone: a nonce never signs twice.
    pub(super) fn sign(&mut self, txid: Txid, nonces: &HashMap<String, String>) -> Result<(), OperatorError> {
        let Some(slot) = self.slots.get_mut(&txid) else { return Ok(()) };
        if slot.secret.is_none() {
            return Ok(());
        }
        let mut collected = Vec::with_capacity(slot.cosigners.len());
        for cosigner in &slot.cosigners {
            let key = cosigner.x_only_public_key().0;
            let text = nonces
                .get(&key.to_string())
                .ok_or_else(|| OperatorError::refuse(format!("{txid}: the nonce of {key} is missing")))?;
            let nonce = PublicNonce::from_byte_array(&decode::bytes::<66>("TreeNonces", text)?)
                .map_err(|_| OperatorError::refuse(format!("{txid}: the nonce of {key} is no nonce")))?;
            if key == self.own && nonce.serialize() != slot.public.serialize() {
                return Err(OperatorError::refuse(format!("{txid}: our nonce was exchanged")));
            }
            collected.push(nonce);
        }
        if collected.is_empty() {
            return Err(OperatorError::refuse(format!("{txid}: no co-signers")));
        }
        let Some(secret) = slot.secret.take() else { return Ok(()) };
        let together = AggregatedNonce::new(&collected.iter().collect::<Vec<_>>());
        let session = Session::new(&slot.key, together, &slot.message);
        self.signatures.insert(txid, session.partial_sign(secret, &self.keypair, &slot.key));
        Ok(())
    }

    /// All our partial signatures, once every node has one.
    pub(super) fn signatures(&self) -> Option<HashMap<String, String>> {
        if self.signatures.len() != self.slots.len() {
            return None;
        }
        let encoded = self.signatures.iter();
        Some(encoded.map(|(txid, part)| (txid.to_string(), part.serialize().to_lower_hex_string())).collect())
    }
}

fn slot(tree: &SigningTree, node: &SigningNode, keypair: &Keypair) -> Result<Slot, OperatorError> {
    let refused = |what: &str| OperatorError::refuse(format!("{}: {what}", node.txid));
    let mut key = branch::aggregate(&node.node.cosigners)?;
    let internal =
        XOnlyPublicKey::from_slice(&key.agg_pk().to_byte_array()).map_err(|_| refused("no aggregate key"))?;
    let tweak = branch::sweep_tweak(internal, tree.forfeit_key, tree.expiry).to_byte_array();
    let tweak = musig::Scalar::from_be_bytes(tweak).map_err(|_| refused("the tweak is no scalar"))?;
    key.pubkey_xonly_tweak_add(&tweak).map_err(|_| refused("the tweak cannot be added"))?;
    let message = node.message()?;
    let secret_key =
        musig::SecretKey::from_secret_bytes(keypair.secret_bytes()).map_err(|_| refused("our key is not usable"))?;
    let public_key = musig::PublicKey::from_slice(&keypair.public_key().serialize())
        .map_err(|_| refused("our key is not usable"))?;
    let (secret, public) = new_nonce_pair(
        SessionSecretRand::assume_uniformly_random(fresh_bytes()?),
        Some(&key),
        Some(secret_key),
        public_key,
        Some(&message),
        Some(fresh_bytes()?),
    );
    Ok(Slot { secret: Some(secret), public, key, cosigners: node.node.cosigners.to_vec(), message })
}

/// 32 bytes of the operating system's randomness, never all zero.
fn fresh_bytes() -> Result<[u8; 32], OperatorError> {
    let mut bytes = [0; 32];
    OsRng
        .try_fill_bytes(&mut bytes)
        .ok()
        .filter(|()| bytes != [0; 32])
        .map(|()| bytes)
        .ok_or_else(|| OperatorError::Plan { what: "the operating system gives no randomness".into() })
}

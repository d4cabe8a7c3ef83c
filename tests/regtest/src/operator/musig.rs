//! MuSig2 over the trees: keys are sorted by their compressed form and tweaked with the sweep leaf.

use std::collections::{BTreeMap, HashMap};

use bitcoin::hashes::Hash;
use bitcoin::hex::FromHex;
use bitcoin::secp256k1::{SecretKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::TapTweakHash;
use bitcoin::{PublicKey, TapNodeHash, TapSighashType, Transaction, TxOut, Txid, XOnlyPublicKey};
use musig::musig::{
    AggregatedNonce, KeyAggCache, PartialSignature, PublicNonce, SecretNonce, Session, SessionSecretRand,
    new_nonce_pair,
};
use musig::{Keypair, Scalar};
use rand::RngCore;

use super::tree::TxTree;

/// Public nonces of one cosigner, by transaction. As in arkd nobody looks whether they are points before they are added up.
pub type Nonces = BTreeMap<String, [u8; 66]>;
/// Partial signatures of one cosigner, by transaction. Bytes that are no signature are a crime, judged with the others.
pub type Signatures = BTreeMap<String, Vec<u8>>;

/// The sorted keys without repetition (keys that differ only in their parity count as one).
pub fn canonical(keys: &[PublicKey]) -> Vec<PublicKey> {
    let mut seen = std::collections::HashSet::new();
    let mut unique: Vec<PublicKey> =
        keys.iter().filter(|k| seen.insert(k.inner.x_only_public_key().0)).copied().collect();
    unique.sort_by_key(|k| k.inner.serialize());
    unique
}

fn point(key: &PublicKey) -> Result<musig::PublicKey, String> {
    musig::PublicKey::from_byte_array_compressed(key.inner.serialize()).map_err(|e| e.to_string())
}

fn cache(keys: &[PublicKey], tweak: Option<TapNodeHash>) -> Result<(KeyAggCache, XOnlyPublicKey), String> {
    let points = canonical(keys).iter().map(point).collect::<Result<Vec<_>, _>>()?;
    if points.is_empty() {
        return Err("no pubkeys".into());
    }
    let mut cache = KeyAggCache::new(&points.iter().collect::<Vec<_>>());
    let internal = to_x_only(&cache.agg_pk())?;
    let Some(root) = tweak else { return Ok((cache, internal)) };
    let tweak = TapTweakHash::from_key_and_tweak(internal, Some(root));
    let tweak = Scalar::from_be_bytes(tweak.to_byte_array()).map_err(|e| e.to_string())?;
    let output = cache.pubkey_xonly_tweak_add(&tweak).map_err(|e| e.to_string())?;
    Ok((cache, to_x_only(&output.x_only_public_key().0)?))
}

fn to_x_only(key: &musig::XOnlyPublicKey) -> Result<XOnlyPublicKey, String> {
    XOnlyPublicKey::from_slice(&key.to_byte_array()).map_err(|e| e.to_string())
}

/// The output key that all these keys sign for. A single key without a tweak is taken as it is.
pub fn output_key(keys: &[PublicKey], tweak: Option<TapNodeHash>) -> Result<XOnlyPublicKey, String> {
    match (keys, tweak) {
        ([only], None) => Ok(only.inner.x_only_public_key().0),
        _ => cache(keys, tweak).map(|(_, key)| key),
    }
}

struct Node {
    keys: Vec<PublicKey>,
    cache: KeyAggCache,
    output_key: XOnlyPublicKey,
    message: [u8; 32],
    secret: Option<SecretNonce>,
    aggregate: Option<AggregatedNonce>,
}

/// The operator's side of one tree: it signs with a key of its own and puts everybody's parts together.
pub struct TreeSigning {
    nodes: BTreeMap<Txid, Node>,
    own: Keypair,
    own_key: PublicKey,
    nonces: HashMap<XOnlyPublicKey, Nonces>,
    signatures: HashMap<XOnlyPublicKey, Signatures>,
}

impl TreeSigning {
    /// Prepares all nodes and the operator's nonces.
    pub fn new(tree: &TxTree, batch_output: &TxOut, sweep: TapNodeHash, own: &SecretKey) -> Result<Self, String> {
        let keypair = Keypair::from_secret_bytes(own.secret_bytes()).map_err(|e| e.to_string())?;
        let own_key = PublicKey::new(own.public_key(&bitcoin::key::Secp256k1::signing_only()));
        let mut nodes = BTreeMap::new();
        let mut nonces = Nonces::new();
        for (node, prevout) in tree.with_prevouts(batch_output) {
            let tx = &node.psbt.unsigned_tx;
            let (cache, output_key) = cache(&node.cosigners, Some(sweep))?;
            let message = key_spend_message(tx, prevout)?;
            let (secret, public) = new_nonce_pair(
                SessionSecretRand::assume_uniformly_random(random()),
                Some(&cache),
                None,
                musig::PublicKey::from_keypair(&keypair),
                Some(&message),
                Some(random()),
            );
            let txid = tx.compute_txid();
            nonces.insert(txid.to_string(), public.serialize());
            let keys = node.cosigners.clone();
            nodes.insert(txid, Node { keys, cache, output_key, message, secret: Some(secret), aggregate: None });
        }
        let own_x = own_key.inner.x_only_public_key().0;
        let nonces = HashMap::from([(own_x, nonces)]);
        Ok(TreeSigning { nodes, own: keypair, own_key, nonces, signatures: HashMap::new() })
    }

    /// Takes a cosigner's nonces.
    pub fn add_nonces(&mut self, key: &PublicKey, nonces: Nonces) {
        self.nonces.insert(key.inner.x_only_public_key().0, nonces);
    }

    /// One node's nonces by x-only key (hex both).
    pub fn nonces_of(&self, txid: &Txid) -> Result<HashMap<String, String>, String> {
        let node = self.nodes.get(txid).ok_or("unknown transaction")?;
        node.keys
            .iter()
            .map(|key| {
                let x = key.inner.x_only_public_key().0;
                let nonce = self.nonces.get(&x).and_then(|n| n.get(&txid.to_string()));
                let nonce = nonce.ok_or_else(|| format!("missing nonce for cosigner key {x} and txid {txid}"))?;
                Ok((x.to_string(), hex(nonce)))
            })
            .collect()
    }

    /// Adds all nonces up: hex by txid.
    pub fn aggregate(&mut self) -> Result<HashMap<String, String>, String> {
        let mut result = HashMap::new();
        for (txid, node) in &mut self.nodes {
            let mut parts = Vec::new();
            for key in &node.keys {
                let x = key.inner.x_only_public_key().0;
                let nonces = self.nonces.get(&x).ok_or(format!("nonces not set for cosigner key {key}"))?;
                let nonce = nonces.get(&txid.to_string()).ok_or(format!("missing nonce for cosigner key {key}"))?;
                parts.push(PublicNonce::from_byte_array(nonce).map_err(|e| format!("bad nonce of {key}: {e:?}"))?);
            }
            let aggregate = AggregatedNonce::new(&parts.iter().collect::<Vec<_>>());
            result.insert(txid.to_string(), hex(&aggregate.serialize()));
            node.aggregate = Some(aggregate);
        }
        Ok(result)
    }

    /// The operator signs every node, once.
    pub fn sign(&mut self) -> Result<(), String> {
        let mut own = Signatures::new();
        for (txid, node) in &mut self.nodes {
            let aggregate = node.aggregate.ok_or("nonces not set")?;
            let secret = node.secret.take().ok_or("nonce already used")?;
            let session = Session::new(&node.cache, aggregate, &node.message);
            let signature = session.partial_sign(secret, &self.own, &node.cache);
            own.insert(txid.to_string(), signature.serialize().to_vec());
        }
        self.signatures.insert(self.own_key.inner.x_only_public_key().0, own);
        Ok(())
    }

    /// Checks and takes a cosigner's partial signatures; an error is a crime of that cosigner.
    pub fn add_signatures(&mut self, key: &PublicKey, signatures: Signatures) -> Result<(), String> {
        let x = key.inner.x_only_public_key().0;
        let nonces = self.nonces.get(&x).ok_or(format!("missing musig2 nonces for pubkey {x}"))?;
        for (txid, node) in &self.nodes {
            let Some(member) = node.keys.iter().find(|k| k.inner.x_only_public_key().0 == x) else { continue };
            let id = txid.to_string();
            let signature = signatures.get(&id).ok_or(format!("missing musig2 signature for tx {txid}"))?;
            let signature = parse_signature(signature).ok_or(format!("invalid signature for txid {txid}"))?;
            let nonce = nonces.get(&id).ok_or(format!("missing musig2 nonce for txid {txid}"))?;
            let nonce = PublicNonce::from_byte_array(nonce).map_err(|e| format!("{e:?}"))?;
            let aggregate = node.aggregate.ok_or(format!("missing combined nonce for txid {txid}"))?;
            let session = Session::new(&node.cache, aggregate, &node.message);
            if !session.partial_verify(&node.cache, &signature, &nonce, point(member)?) {
                return Err(format!("invalid signature for txid {txid}"));
            }
        }
        self.signatures.insert(x, signatures);
        Ok(())
    }

    /// The finished Schnorr signatures, each checked.
    pub fn finish(&self) -> Result<BTreeMap<Txid, schnorr::Signature>, String> {
        let secp = bitcoin::key::Secp256k1::verification_only();
        let mut result = BTreeMap::new();
        for (txid, node) in &self.nodes {
            let aggregate = node.aggregate.ok_or("nonces not set")?;
            let session = Session::new(&node.cache, aggregate, &node.message);
            let mut parts = Vec::new();
            for key in &node.keys {
                let own = self.signatures.get(&key.inner.x_only_public_key().0);
                let bytes = own.and_then(|s| s.get(&txid.to_string())).and_then(|b| parse_signature(b));
                parts.push(bytes.ok_or(format!("missing signature of {key}"))?);
            }
            let bytes = session.partial_sig_agg(&parts.iter().collect::<Vec<_>>()).assume_valid().to_byte_array();
            let signature = schnorr::Signature::from_slice(&bytes).map_err(|e| e.to_string())?;
            let message = bitcoin::secp256k1::Message::from_digest(node.message);
            secp.verify_schnorr(&signature, &message, &node.output_key).map_err(|e| e.to_string())?;
            result.insert(*txid, signature);
        }
        Ok(result)
    }
}

/// What a key-path spend of a one-input transaction signs.
fn key_spend_message(tx: &Transaction, prevout: TxOut) -> Result<[u8; 32], String> {
    let prevouts = [prevout];
    SighashCache::new(tx)
        .taproot_key_spend_signature_hash(0, &Prevouts::All(&prevouts), TapSighashType::Default)
        .map(|h| h.to_byte_array())
        .map_err(|e| e.to_string())
}

/// Reads what SubmitTreeNonces carries: 66 bytes in hex by txid.
pub fn read_nonces(nonces: &HashMap<String, String>) -> Result<Nonces, String> {
    let read = |text: &String| <[u8; 66] as FromHex>::from_hex(text).map_err(|e| format!("expected 66 bytes: {e}"));
    nonces.iter().map(|(txid, text)| Ok((txid.clone(), read(text)?))).collect()
}

/// Reads what SubmitTreeSignatures carries: 32 bytes in hex by txid.
pub fn read_signatures(signatures: &HashMap<String, String>) -> Result<Signatures, String> {
    let read = |text: &String| Vec::from_hex(text).map_err(|e| e.to_string());
    signatures.iter().map(|(txid, text)| Ok((txid.clone(), read(text)?))).collect()
}

fn parse_signature(bytes: &[u8]) -> Option<PartialSignature> {
    PartialSignature::from_byte_array(bytes.try_into().ok()?).ok()
}

fn hex(bytes: &[u8]) -> String {
    bitcoin::hex::DisplayHex::to_lower_hex_string(bytes)
}

/// Fresh randomness.
pub fn random() -> [u8; 32] {
    let mut bytes = [0u8; 32];
    rand::thread_rng().fill_bytes(&mut bytes);
    bytes
}

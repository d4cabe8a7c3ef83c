//! One party's part in signing a tree.

use std::collections::HashMap;

use bitcoin::hashes::Hash;
use bitcoin::key::Secp256k1;
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::SecretKey;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{OutPoint, TapNodeHash, TapSighashType, Txid, XOnlyPublicKey};
use musig::musig::{AggregatedNonce, KeyAggCache, SecretNonce, Session, SessionSecretRand, new_nonce_pair};
use regtest::operator::script::{Delay, Leaf};
use regtest::operator::wire;

use super::hex;

#[derive(Default)]
pub struct Run {
    pub batch: String,
    pub expiry: u32,
    pub tree: Vec<(Psbt, Vec<String>)>,
    pub connectors: Vec<(Psbt, Vec<String>)>,
    pub commitment: Option<Psbt>,
    pub nodes: HashMap<Txid, Signing>,
}

pub struct Signing {
    cache: KeyAggCache,
    key: XOnlyPublicKey,
    message: [u8; 32],
    secret: Option<SecretNonce>,
}

fn cosigners(packet: &Psbt) -> Vec<musig::PublicKey> {
    let fields = packet.inputs[0].unknown.iter().filter(|(k, _)| k.key.starts_with(b"cosigner"));
    fields.map(|(_, v)| musig::PublicKey::from_byte_array_compressed(v[..].try_into().unwrap()).unwrap()).collect()
}

impl Run {
    pub fn make_nonces(&mut self, own: &SecretKey, forfeit: XOnlyPublicKey) -> HashMap<String, String> {
        let sweep = TapNodeHash::from(Leaf::after(Delay::from_setting(self.expiry), forfeit).hash());
        let commitment = self.commitment.as_ref().unwrap();
        let mut outputs = HashMap::from([(
            OutPoint::new(commitment.unsigned_tx.compute_txid(), 0),
            commitment.unsigned_tx.output[0].clone(),
        )]);
        for (packet, _) in &self.tree {
            let txid = packet.unsigned_tx.compute_txid();
            outputs.extend(
                packet.unsigned_tx.output.iter().enumerate().map(|(i, o)| (OutPoint::new(txid, i as u32), o.clone())),
            );
        }
        let keypair = musig::Keypair::from_secret_bytes(own.secret_bytes()).unwrap();
        let public = musig::PublicKey::from_keypair(&keypair);
        let mut result = HashMap::new();
        for (packet, _) in &self.tree {
            let keys = cosigners(packet);
            assert!(keys.is_sorted_by_key(|k| k.serialize()), "cosigners are sorted");
            if !keys.contains(&public) {
                continue;
            }
            let mut cache = KeyAggCache::new(&keys.iter().collect::<Vec<_>>());
            let internal = XOnlyPublicKey::from_slice(&cache.agg_pk().to_byte_array()).unwrap();
            let tweak = bitcoin::TapTweakHash::from_key_and_tweak(internal, Some(sweep)).to_byte_array();
            let full = cache.pubkey_xonly_tweak_add(&musig::Scalar::from_be_bytes(tweak).unwrap()).unwrap();
            let key = XOnlyPublicKey::from_slice(&full.x_only_public_key().0.to_byte_array()).unwrap();
            let tx = &packet.unsigned_tx;
            let prevout = outputs.get(&tx.input[0].previous_output).expect("the parent is known").clone();
            assert_eq!(&prevout.script_pubkey.as_bytes()[2..], key.serialize(), "the parent pays the aggregated key");
            assert_eq!(prevout.value, tx.output.iter().map(|o| o.value).sum(), "amounts add up");
            let message = SighashCache::new(tx)
                .taproot_key_spend_signature_hash(0, &Prevouts::All(&[prevout]), TapSighashType::Default)
                .unwrap()
                .to_byte_array();
            let rand = SessionSecretRand::assume_uniformly_random(regtest::operator::musig::random());
            let (secret, nonce) = new_nonce_pair(rand, Some(&cache), None, public, Some(&message), None);
            result.insert(tx.compute_txid().to_string(), hex(&nonce.serialize()));
            self.nodes.insert(tx.compute_txid(), Signing { cache, key, message, secret: Some(secret) });
        }
        result
    }

    pub fn sign(&mut self, own: &SecretKey, aggregated: &HashMap<String, String>) -> HashMap<String, String> {
        let keypair = musig::Keypair::from_secret_bytes(own.secret_bytes()).unwrap();
        self.nodes
            .iter_mut()
            .filter_map(|(txid, node)| {
                let nonce: AggregatedNonce = aggregated[&txid.to_string()].parse().unwrap();
                let session = Session::new(&node.cache, nonce, &node.message);
                let signature = session.partial_sign(node.secret.take()?, &keypair, &node.cache);
                Some((txid.to_string(), hex(&signature.serialize())))
            })
            .collect()
    }

    pub fn check(&self, signature: &wire::TreeSignatureEvent) {
        let Some(node) = self.nodes.get(&signature.txid.parse::<Txid>().unwrap()) else { return };
        let bytes = <Vec<u8> as bitcoin::hex::FromHex>::from_hex(&signature.signature).unwrap();
        let parsed = bitcoin::secp256k1::schnorr::Signature::from_slice(&bytes).unwrap();
        let message = bitcoin::secp256k1::Message::from_digest(node.message);
        Secp256k1::new().verify_schnorr(&parsed, &message, &node.key).expect("the tree signature verifies");
    }
}

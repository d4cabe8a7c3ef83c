//! Recorded batches, replayed: what arkd sent is accepted, and refused when anything in it is changed.

use std::collections::HashMap;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, OutPoint, Psbt, TxOut, Txid, XOnlyPublicKey, absolute};
use musig::musig::{AggregatedNonce, PartialSignature, Session as MusigSession};
use secp256k1::Keypair;
use serde_json::Value;

use super::signer::TreeSigner;
use super::tree::{SigningTree, TreeNodes, TreeTerms};
use crate::channel::script::default_vtxo;
use crate::channel::{Delay, OperatorInfo, branch};
use crate::operator::error::OperatorError;
use crate::operator::events::Event;
use crate::operator::recorded::{UNITS, keypair, load, script};
use crate::operator::{decode, info, recorded, wire};

/// A recorded batch as one side saw it.
pub(super) struct Recorded {
    pub(super) info: OperatorInfo,
    expiry: Delay,
    nodes: Vec<Psbt>,
    pub(super) commitment: Psbt,
    /// Signatures by node.
    signatures: Vec<(Txid, [u8; 64])>,
    nonces: Vec<(Txid, HashMap<String, String>)>,
    pub(super) connectors: Vec<(Psbt, Vec<String>)>,
    cosigners: Vec<PublicKey>,
    pub(super) leaf: TxOut,
}

/// The keys of a stream: each attempt has fresh ones.
pub(super) fn cosigner_names(events: &str) -> [String; 2] {
    let attempt = if events.starts_with("unsigned1") { ".2" } else { "" };
    ["payer", "receiver"].map(|side| format!("{side}_cosigner{attempt}"))
}

fn file_info(file: &Value) -> OperatorInfo {
    let unit = if file["channels"][0]["d1"]["unit"] == "blocks" { "blocks" } else { "seconds" };
    let mut answer = recorded::info(unit);
    let said = &file["calls"].as_array().unwrap().iter().find(|call| call["path"] == "/v1/info").unwrap()["answer"];
    for (field, name) in [
        (&mut answer.signer_pubkey, "signerPubkey"),
        (&mut answer.forfeit_pubkey, "forfeitPubkey"),
        (&mut answer.forfeit_address, "forfeitAddress"),
        (&mut answer.checkpoint_tapscript, "checkpointTapscript"),
    ] {
        *field = recorded::text(&said[name]).to_owned();
    }
    info::decode(answer).unwrap()
}

impl Recorded {
    pub(super) fn new(file: &Value, events: &str) -> Self {
        let keys = &file["keys"];
        let cosigners = cosigner_names(events).map(|name| keypair(&keys[name]).public_key());
        let mut batch = Self {
            info: file_info(file),
            expiry: Delay::blocks(1).unwrap(),
            nodes: Vec::new(),
            commitment: Psbt::from_unsigned_tx(crate::channel::offchain::version3(
                absolute::LockTime::ZERO,
                vec![],
                vec![],
            ))
            .unwrap(),
            signatures: Vec::new(),
            nonces: Vec::new(),
            connectors: Vec::new(),
            cosigners: cosigners.to_vec(),
            leaf: TxOut { value: Amount::ZERO, script_pubkey: script(&file["channels"][0]["script"]) },
        };
        let mut final_commitment = None;
        for event in recorded::frames(file, events) {
            match event {
                Event::BatchStarted(event) => batch.expiry = Delay::from_arkd(event.batch_expiry).unwrap(),
                Event::TreeTx(event) if event.batch_index == 0 => {
                    batch.nodes.push(decode::psbt("", &event.tx).unwrap());
                }
                Event::TreeTx(event) => batch.connectors.push((decode::psbt("", &event.tx).unwrap(), event.topic)),
                Event::TreeSigningStarted(event) => {
                    batch.commitment = decode::psbt("", &event.unsigned_commitment_tx).unwrap();
                }
                Event::TreeNonces(event) => batch.nonces.push((event.txid.parse().unwrap(), event.nonces)),
                Event::TreeSignature(event) => {
                    batch.signatures.push((event.txid.parse().unwrap(), decode::bytes("", &event.signature).unwrap()))
                }
                Event::BatchFinalization(event) => final_commitment = Some(event.commitment_tx),
                _ => {}
            }
        }
        if let Some(commitment) = final_commitment {
            assert_eq!(decode::psbt("", &commitment).unwrap().unsigned_tx, batch.commitment.unsigned_tx);
        }
        let outputs = batch.nodes.iter().flat_map(|node| &node.unsigned_tx.output);
        let value = outputs.clone().find(|output| output.script_pubkey == batch.leaf.script_pubkey).unwrap().value;
        batch.leaf.value = value;
        batch
    }

    fn check(&self) -> Result<SigningTree, OperatorError> {
        let mut nodes = TreeNodes::default();
        for node in &self.nodes {
            nodes.add(node.clone())?;
        }
        let terms = TreeTerms {
            forfeit_key: self.info.forfeit_key,
            expiry: self.expiry,
            cosigners: &self.cosigners,
            outputs: std::slice::from_ref(&self.leaf),
        };
        nodes.check(&self.commitment.unsigned_tx, &terms)
    }

    fn refused(&self, why: &str) {
        assert!(
            matches!(self.check(), Err(OperatorError::TreeRefused { .. } | OperatorError::BadAnswer { .. })),
            "{why}"
        );
    }
}

pub(super) fn all() -> Vec<Recorded> {
    let mut batches = Vec::new();
    for unit in UNITS {
        for (file, prefix) in [("life", ""), ("batch", "many.")] {
            let file = load(&format!("{file}-{unit}"));
            batches.extend(["payer", "receiver"].map(|side| Recorded::new(&file, &format!("{prefix}events.{side}"))));
        }
    }
    batches
}

#[test]
fn recorded_trees_are_accepted_and_their_branches_verify() {
    for batch in all() {
        let mut tree = batch.check().unwrap();
        assert!(!tree.is_signed());
        for (txid, signature) in &batch.signatures {
            tree.add_signature(*txid, signature).unwrap();
        }
        assert!(tree.is_signed());
        let branches = tree.branches(std::slice::from_ref(&batch.leaf)).unwrap();
        assert_eq!(branches.len(), 1);
        assert_eq!(branches[0].2.nodes.len(), batch.nodes.len());
    }
}

#[test]
fn a_changed_signature_is_refused() {
    for batch in all() {
        let (txid, signature) = batch.signatures[0];
        for bit in 0..512 {
            let mut signature = signature;
            signature[bit / 8] ^= 1 << (bit % 8);
            assert!(batch.check().unwrap().add_signature(txid, &signature).is_err(), "{bit}");
        }
    }
}

#[test]
fn every_changed_bit_of_a_node_is_refused() {
    // Both sides of a batch saw the same tree.
    for batch in all().into_iter().step_by(2) {
        for index in 0..batch.nodes.len() {
            let bytes = bitcoin::consensus::serialize(&batch.nodes[index].unsigned_tx);
            for bit in 0..bytes.len() * 8 {
                let mut bytes = bytes.clone();
                bytes[bit / 8] ^= 1 << (bit % 8);
                let Ok(tx) = bitcoin::consensus::deserialize::<bitcoin::Transaction>(&bytes) else { continue };
                if tx.input.len() != 1 || tx.input.iter().any(|input| !input.script_sig.is_empty()) {
                    continue;
                }
                let mut nodes = batch.nodes.clone();
                nodes[index].outputs.resize(tx.output.len(), Default::default());
                nodes[index].unsigned_tx = tx;
                // A change below our branch moves other people's money; ours and the way to it stay as agreed.
                let changed = Recorded { nodes, ..copy(&batch) };
                if let Ok(tree) = changed.check() {
                    assert!(elsewhere(&batch, &changed, index), "node {index}, bit {bit}");
                    drop(tree);
                }
            }
        }
    }
}

/// Whether two trees differ only in outputs that are not ours and that nothing of ours hangs on.
fn elsewhere(batch: &Recorded, changed: &Recorded, index: usize) -> bool {
    let (before, after) = (&batch.nodes[index].unsigned_tx, &changed.nodes[index].unsigned_tx);
    let last = index + 1 == batch.nodes.len();
    let same_inputs = before.input == after.input && before.version == after.version;
    let others = before.output.iter().zip(&after.output).filter(|(before, after)| before != after);
    last && same_inputs && others.clone().count() == 1 && others.clone().all(|(before, _)| *before != batch.leaf)
}

fn copy(batch: &Recorded) -> Recorded {
    Recorded {
        info: batch.info.clone(),
        expiry: batch.expiry,
        nodes: batch.nodes.clone(),
        commitment: batch.commitment.clone(),
        signatures: batch.signatures.clone(),
        nonces: batch.nonces.clone(),
        connectors: batch.connectors.clone(),
        cosigners: batch.cosigners.clone(),
        leaf: batch.leaf.clone(),
    }
}

#[test]
fn other_terms_are_refused() {
    for batch in all() {
        let stranger = Keypair::from_seckey_slice(secp256k1::SECP256K1, &[7; 32]).unwrap();
        let mut other = copy(&batch);
        other.expiry = Delay::at_least(batch.expiry.unit(), batch.expiry.value() + 512).unwrap();
        other.refused("another expiry");
        let mut other = copy(&batch);
        other.info.forfeit_key = batch.info.signer;
        other.refused("another sweep key");
        let mut other = copy(&batch);
        other.cosigners.push(stranger.public_key());
        other.refused("a co-signer that is not there");
        let mut other = copy(&batch);
        other.leaf.value += Amount::ONE_SAT;
        other.refused("another amount");
        let mut other = copy(&batch);
        other.leaf.script_pubkey =
            default_vtxo(stranger.x_only_public_key().0, batch.info.signer, batch.expiry).unwrap().script_pubkey();
        other.refused("another script");
        let mut other = copy(&batch);
        other.commitment.unsigned_tx.output[0].value += Amount::ONE_SAT;
        other.refused("another commitment");
        let mut other = copy(&batch);
        other.nodes.remove(0);
        other.refused("no root");
        let mut other = copy(&batch);
        other.nodes.pop();
        other.refused("no leaf");
        let mut other = copy(&batch);
        other.nodes.clear();
        other.refused("nothing");
    }
}

#[test]
fn nodes_from_elsewhere_and_double_spends_are_refused() {
    let batches = all();
    let mut mixed = copy(&batches[0]);
    mixed.nodes.extend(batches[2].nodes.clone());
    mixed.refused("nodes of another batch");
    let mut twice = copy(&batches[0]);
    let mut rival = twice.nodes[0].clone();
    rival.unsigned_tx.lock_time = absolute::LockTime::from_consensus(1);
    twice.nodes.push(rival);
    twice.refused("an output spent twice");
    let mut many = TreeNodes::default();
    let refused = (0..1000).find_map(|lock| {
        let mut node = batches[0].nodes[0].clone();
        node.unsigned_tx.lock_time = absolute::LockTime::from_consensus(lock);
        many.add(node).err()
    });
    assert!(matches!(refused, Some(OperatorError::TreeRefused { .. })));
}

#[test]
fn a_cosigner_that_comes_twice_is_refused() {
    let batch = &all()[0];
    let mut node = batch.nodes[0].clone();
    let (key, value) = node.inputs[0].unknown.iter().find(|(key, _)| key.key.starts_with(b"cosigner")).unwrap();
    let (mut key, mut value) = (key.clone(), value.clone());
    key.key[11] = 0x55;
    // The other parity counts as the same.
    value[0] ^= 1;
    node.inputs[0].unknown.insert(key, value);
    assert!(TreeNodes::default().add(node).is_err());
}

/// The recorded aggregate signatures cannot be made again (their secret nonces are gone), so the other signers are
/// played here.
#[test]
fn two_signers_of_ours_and_an_operator_sign_a_node() {
    let file = load("life-seconds");
    let mut batch = Recorded::new(&file, "events.payer");
    let keypairs = [&file["keys"]["payer_cosigner"], &file["keys"]["receiver_cosigner"]].map(keypair);
    // The operator's own tree key is not recorded: a node with ours only, on a commitment that fits.
    batch.nodes.truncate(1);
    let keep = batch.cosigners.clone();
    batch.nodes[0].inputs[0].unknown.retain(|_, value| keep.iter().any(|key| key.serialize()[..] == value[..]));
    let script = branch::tree_output_script(&keep, batch.info.forfeit_key, batch.expiry).unwrap();
    batch.commitment.unsigned_tx.output[0].script_pubkey = script;
    batch.nodes[0].unsigned_tx.input[0].previous_output = OutPoint::new(batch.commitment.unsigned_tx.compute_txid(), 0);
    let mut tree = batch.check().unwrap();
    let txid = tree.nodes[0].txid;

    let mut signers = keypairs.each_ref().map(|keypair| TreeSigner::new(&tree, keypair).unwrap());
    let id = txid.to_string();
    let nonces: HashMap<String, String> = keypairs
        .iter()
        .zip(&signers)
        .map(|(keypair, signer)| (keypair.x_only_public_key().0.to_string(), signer.nonces()[&id].clone()))
        .collect();

    // A missing nonce, a changed one of ours, one that is none.
    let own = keypairs[0].x_only_public_key().0.to_string();
    let other = keypairs[1].x_only_public_key().0.to_string();
    let mut spoiled = nonces.clone();
    spoiled.remove(&other);
    assert!(signers[0].sign(txid, &spoiled).is_err());
    let mut spoiled = nonces.clone();
    spoiled.insert(own, nonces[&other].clone());
    assert!(signers[0].sign(txid, &spoiled).is_err());
    let mut spoiled = nonces.clone();
    spoiled.insert(other.clone(), "00".repeat(66));
    assert!(signers[0].sign(txid, &spoiled).is_err());
    assert!(signers[0].signatures().is_none());

    let parts: Vec<PartialSignature> = signers
        .iter_mut()
        .map(|signer| {
            signer.sign(txid, &nonces).unwrap();
            let first = signer.signatures().unwrap();
            // Again, with other nonces: the answer does not change, nothing new is signed.
            let mut changed = nonces.clone();
            changed.insert(other.clone(), TreeSigner::new(&tree, &keypairs[1]).unwrap().nonces()[&id].clone());
            signer.sign(txid, &changed).unwrap();
            assert_eq!(signer.signatures().unwrap(), first);
            PartialSignature::from_byte_array(&decode::bytes("", &first[&id]).unwrap()).unwrap()
        })
        .collect();

    let mut key = branch::aggregate(&keep).unwrap();
    let internal = XOnlyPublicKey::from_slice(&key.agg_pk().to_byte_array()).unwrap();
    let tweak = branch::sweep_tweak(internal, tree.forfeit_key, tree.expiry).to_byte_array();
    key.pubkey_xonly_tweak_add(&musig::Scalar::from_be_bytes(tweak).unwrap()).unwrap();
    let nonces: Vec<_> = nonces
        .values()
        .map(|nonce| musig::musig::PublicNonce::from_byte_array(&decode::bytes("", nonce).unwrap()).unwrap())
        .collect();
    let together = AggregatedNonce::new(&nonces.iter().collect::<Vec<_>>());
    let session = MusigSession::new(&key, together, &tree.nodes[0].message().unwrap());
    let signature = session.partial_sig_agg(&parts.iter().collect::<Vec<_>>()).assume_valid();
    tree.add_signature(txid, &signature.to_byte_array()).unwrap();
    assert!(tree.is_signed());
}

#[test]
fn recorded_nonces_are_keyed_as_the_signer_expects() {
    for batch in all() {
        let tree = batch.check().unwrap();
        assert_eq!(batch.nonces.len(), tree.nodes.len());
        for (txid, nonces) in &batch.nonces {
            let node = tree.nodes.iter().find(|node| node.txid == *txid).unwrap();
            for cosigner in node.node.cosigners.iter() {
                assert!(nonces.contains_key(&cosigner.x_only_public_key().0.to_string()));
            }
        }
    }
}

#[test]
fn every_recorded_frame_is_known() {
    let mut count = 0;
    for name in ["life", "batch"] {
        for unit in UNITS {
            let file = load(&format!("{name}-{unit}"));
            for key in file.as_object().unwrap().keys().filter_map(|key| key.strip_suffix(".frames")) {
                let events = recorded::frames(&file, key);
                assert!(matches!(events[0], wire::get_event_stream_response::Event::StreamStarted(_)));
                assert_eq!(events.len(), file[key].as_array().unwrap().len());
                count += events.len();
            }
        }
    }
    assert!(count > 150, "{count}");
}

//! Parties whose keys are all known: whatever transaction a target makes up, it can sign it rightly.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::key::TapTweak;
use bitcoin::secp256k1::PublicKey;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{ScriptBuf, TapSighashType, Transaction, TxOut, Witness, XOnlyPublicKey, absolute};
use secp256k1::{Keypair, SECP256K1, Scalar};
use virtual_channels::channel::branch::{sweep_root, tree_output_script};
use virtual_channels::channel::script::{cltv_multisig, csv_multisig, multisig};
use virtual_channels::channel::{Delay, TapTree, psbt};

use crate::pair::{keypair, rng};

/// Seven co-signers and owners (the last is the operator), and the operator's forfeit key.
pub struct Parties {
    pub keys: Vec<Keypair>,
    pub forfeit: XOnlyPublicKey,
    pub expiry: Delay,
    pub locktime: absolute::LockTime,
    /// Scripts of VTXOs, each with the keys of its leaves.
    pub vtxos: Vec<(TapTree, Vec<Vec<usize>>)>,
    /// What the keys of a set sign with together, by the set as bits.
    together: Mutex<HashMap<u8, Keypair>>,
}

const OPERATOR: usize = 6;

pub fn parties() -> &'static Parties {
    static PARTIES: OnceLock<Parties> = OnceLock::new();
    PARTIES.get_or_init(Parties::new)
}

impl Parties {
    fn new() -> Self {
        let mut rng = rng(4_000);
        let keys: Vec<Keypair> = (0..7).map(|_| keypair(&mut rng)).collect();
        let key = |index: usize| keys[index].x_only_public_key().0;
        let delay = Delay::seconds(86_528).expect("a delay");
        let locktime = absolute::LockTime::from_consensus(1_700_000_000);
        let both = |owner| [key(owner), key(OPERATOR)];
        let trees = [
            (vec![multisig(&both(0)), csv_multisig(delay, &[key(0)])], vec![vec![0, OPERATOR], vec![0]]),
            (
                vec![
                    multisig(&[key(0), key(1), key(OPERATOR)]),
                    cltv_multisig(locktime, &both(0)),
                    csv_multisig(delay, &[key(0), key(1)]),
                    csv_multisig(delay, &[key(0)]),
                ],
                vec![vec![0, 1, OPERATOR], vec![0, OPERATOR], vec![0, 1], vec![0]],
            ),
            // A checkpoint's: the operator after a delay, or the owner and the operator.
            (vec![csv_multisig(delay, &[key(OPERATOR)]), multisig(&both(0))], vec![vec![OPERATOR], vec![0, OPERATOR]]),
            (vec![multisig(&[key(2)])], vec![vec![2]]),
        ];
        let vtxos = trees.into_iter().map(|(leaves, keys)| (TapTree::new(leaves).expect("a tree"), keys)).collect();
        let forfeit = keypair(&mut rng).x_only_public_key().0;
        let expiry = Delay::seconds(604_672).expect("a delay");
        Self { keys, forfeit, expiry, locktime, vtxos, together: Mutex::default() }
    }

    /// The keys of a set; an empty one is all of them.
    pub fn cosigners(&self, set: u8) -> Vec<PublicKey> {
        let set = if set & 0x7f == 0 { 0x7f } else { set };
        self.keys.iter().enumerate().filter(|(at, _)| set & 1 << at != 0).map(|(_, key)| key.public_key()).collect()
    }

    /// The output that a set of co-signers spends in a batch tree.
    pub fn tree_script(&self, set: u8) -> ScriptBuf {
        tree_output_script(&self.cosigners(set), self.forfeit, self.expiry).expect("co-signers")
    }

    /// Signs the key path of a tree node's first input.
    pub fn sign_tree(&self, tx: &mut Transaction, prevouts: &[TxOut], set: u8) {
        let message = SighashCache::new(&*tx).taproot_key_spend_signature_hash(
            0,
            &Prevouts::All(prevouts),
            TapSighashType::Default,
        );
        let Ok(message) = message else { return };
        let signature = psbt::sign(&message.into(), &self.together(set));
        tx.input[0].witness = Witness::from_slice(&[signature.as_ref()]);
    }

    /// Signs an input that spends a VTXO by one of its leaves.
    pub fn sign_leaf(&self, tx: &mut Transaction, input: usize, prevouts: &[TxOut], vtxo: usize, leaf: usize) {
        let (tree, keys) = &self.vtxos[vtxo];
        let signing = &keys[leaf];
        let leaf = tree.leaf(leaf).expect("a leaf");
        let Ok(message) = psbt::sighash(tx, input, prevouts, &leaf) else { return };
        let signatures: Vec<_> = signing.iter().map(|key| psbt::sign(&message, &self.keys[*key])).collect();
        tx.input[input].witness = psbt::witness(&leaf, &signatures);
    }

    /// The secret key of the aggregate (BIP327, all secrets known), tweaked with the sweep leaf.
    fn together(&self, set: u8) -> Keypair {
        let mut known = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(set).or_insert_with(|| {
            let wanted = self.cosigners(set);
            let mut keys: Vec<_> = self.keys.iter().filter(|key| wanted.contains(&key.public_key())).collect();
            keys.sort_unstable_by_key(|key| key.public_key().serialize());
            let list: Vec<u8> = keys.iter().flat_map(|key| key.public_key().serialize()).collect();
            let list = tagged(b"KeyAgg list", &list);
            let parts = keys.iter().enumerate().map(|(index, key)| match index {
                // All keys differ, so the second is the one whose coefficient is 1.
                1 => key.secret_key(),
                _ => {
                    let public = key.public_key().serialize();
                    let coefficient = tagged(b"KeyAgg coefficient", &[list.as_slice(), &public].concat());
                    let coefficient = Scalar::from_be_bytes(coefficient).expect("a scalar");
                    key.secret_key().mul_tweak(&coefficient).expect("a key")
                }
            });
            let secret = parts.reduce(|sum, part| sum.add_tweak(&part.into()).expect("a key")).expect("keys");
            let root = sweep_root(self.forfeit, self.expiry);
            Keypair::from_secret_key(SECP256K1, &secret).tap_tweak(SECP256K1, Some(root)).to_keypair()
        })
    }
}

fn tagged(tag: &[u8], bytes: &[u8]) -> [u8; 32] {
    let tag = sha256::Hash::hash(tag);
    let mut engine = sha256::Hash::engine();
    [tag.as_ref(), tag.as_ref(), bytes].iter().for_each(|part| engine.input(part));
    sha256::Hash::from_engine(engine).to_byte_array()
}

//! Branches that are signed by everybody and still are no way out.

use std::collections::HashMap;

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::key::TapTweak;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxOut, Witness, absolute};
use secp256k1::{Keypair, SECP256K1, Scalar};
use virtual_channels::channel::branch::{
    Branch, BranchContext, BranchNode, BranchReport, MAX_LEVELS, is_signed_offchain, sweep_root, tree_output_script,
};
use virtual_channels::channel::offchain::{Checkpoint, OffchainInput, OffchainTx, anchor, unsigned_input, version3};
use virtual_channels::channel::script::{Leaf, cltv_multisig, csv_multisig, multisig};
use virtual_channels::channel::{ChannelError, Delay, TapTree, Unit, psbt};

use crate::pair::{Pair, keypair, outpoint, rng, sats};

const VALUE: u64 = 100_000;

/// A batch of one cosigner, a VTXO of the payer in it, and an ark transaction from it into a channel.
struct World {
    pair: Pair,
    cosigner: Keypair,
    expiry: Delay,
    root: OutPoint,
    vtxo: TapTree,
    locktime: absolute::LockTime,
}

impl World {
    fn new() -> Self {
        let pair = Pair::new(95, Unit::Seconds, VALUE);
        let owner = pair.payer.x_only_public_key().0;
        let operator = pair.operator.x_only_public_key().0;
        let locktime = absolute::LockTime::from_consensus(1_700_000_000);
        let vtxo = TapTree::new(vec![
            multisig(&[owner, operator]),
            cltv_multisig(locktime, &[owner, operator]),
            csv_multisig(pair.channel.terms.d1, &[owner]),
            csv_multisig(pair.channel.terms.d2, &[owner]),
        ]);
        let mut rng = rng(96);
        Self {
            cosigner: keypair(&mut rng),
            expiry: Delay::seconds(604_672).unwrap(),
            root: outpoint(&mut rng),
            vtxo: vtxo.unwrap(),
            pair,
            locktime,
        }
    }

    fn batch_script(&self) -> ScriptBuf {
        tree_output_script(&[self.cosigner.public_key()], self.pair.info.forfeit_key, self.expiry).unwrap()
    }

    /// A tree node that pays `outputs` out of `parent`.
    fn tree_node(&self, parent: OutPoint, outputs: Vec<TxOut>) -> BranchNode {
        let value = outputs.iter().map(|output| output.value).sum();
        let mut tx = version3(absolute::LockTime::ZERO, vec![unsigned_input(parent, Sequence::MAX)], outputs);
        self.sign_tree(&mut tx, value);
        BranchNode { tx, cosigners: [self.cosigner.public_key()].into() }
    }

    fn sign_tree(&self, tx: &mut Transaction, value: Amount) {
        let prevouts = [TxOut { value, script_pubkey: self.batch_script() }];
        let message = SighashCache::new(&*tx)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&prevouts), TapSighashType::Default)
            .unwrap();
        // MuSig2 of one key: the key times its coefficient.
        let own = self.cosigner.public_key().serialize();
        let list = tagged(b"KeyAgg list", &own);
        let coefficient = tagged(b"KeyAgg coefficient", &[list.as_slice(), &own].concat());
        let secret = self.cosigner.secret_key().mul_tweak(&Scalar::from_be_bytes(coefficient).unwrap()).unwrap();
        let root = sweep_root(self.pair.info.forfeit_key, self.expiry);
        let tweaked = Keypair::from_secret_key(SECP256K1, &secret).tap_tweak(SECP256K1, Some(root));
        let signature = psbt::sign(&message.into(), &tweaked.to_keypair());
        tx.input[0].witness = Witness::from_slice(&[signature.as_ref()]);
    }

    fn p2tr(&self, value: u64) -> TxOut {
        TxOut { value: sats(value), script_pubkey: self.pair.channel.terms.payer.chain_payout.script() }
    }

    fn channel_output(&self) -> TxOut {
        self.pair.channel.prevout()
    }

    /// A tree with the VTXO, its checkpoint, and the ark transaction, all signed; `change` may spoil the last two
    /// before they are signed.
    fn offchain(&self, leaf: usize, change: impl Fn(&mut Transaction, &mut Transaction)) -> Branch {
        let script_pubkey = self.vtxo.script_pubkey();
        let tree = self.tree_node(self.root, vec![TxOut { value: sats(VALUE), script_pubkey }, anchor()]);
        let input = OffchainInput {
            outpoint: OutPoint::new(tree.tx.compute_txid(), 0),
            amount: sats(VALUE),
            tree: self.vtxo.clone(),
            leaf,
            locktime: (leaf == 1).then_some(self.locktime),
        };
        let built = OffchainTx::new(&[input], &self.pair.script(), vec![self.channel_output()]).unwrap();
        let Checkpoint { mut tx, prevout, vtxo_leaf, leaf, .. } = built.checkpoints[0].clone();
        let mut ark = built.ark.clone();
        change(&mut tx, &mut ark);
        ark.input[0].previous_output.txid = tx.compute_txid();
        let output = tx.output[0].clone();
        self.sign_leaf(&mut ark, &output, &leaf);
        self.sign_leaf(&mut tx, &prevout, &vtxo_leaf);
        let node = |tx| BranchNode { tx, cosigners: [].into() };
        Branch { nodes: vec![tree, node(tx), node(ark)] }
    }

    fn sign_leaf(&self, tx: &mut Transaction, prevout: &TxOut, leaf: &Leaf) {
        let message = psbt::sighash(tx, 0, std::slice::from_ref(prevout), leaf).unwrap();
        let signatures = [&self.pair.payer, &self.pair.operator].map(|pair| psbt::sign(&message, pair));
        tx.input[0].witness = psbt::witness(leaf, &signatures);
    }

    fn verify(&self, branch: &Branch) -> Result<BranchReport, ChannelError> {
        let commitment = TxOut { value: sats(VALUE), script_pubkey: self.batch_script() };
        let commitment_outputs = HashMap::from([(self.root, commitment)]);
        let context = BranchContext {
            commitment_outputs: &commitment_outputs,
            forfeit_key: self.pair.info.forfeit_key,
            expiry: self.expiry,
        };
        let last = &branch.nodes.last().unwrap().tx;
        branch.verify(&context, OutPoint::new(last.compute_txid(), 0), &self.channel_output())
    }

    fn refused(&self, branch: &Branch, node: usize, what: &str) {
        let txid = branch.nodes[node].tx.compute_txid();
        let what = format!("{txid}: {what}");
        assert_eq!(self.verify(branch), Err(ChannelError::InvalidBranch { what }));
    }
}

fn tagged(tag: &[u8], bytes: &[u8]) -> [u8; 32] {
    let tag = sha256::Hash::hash(tag);
    let mut engine = sha256::Hash::engine();
    for part in [tag.as_byte_array(), tag.as_byte_array(), bytes] {
        engine.input(part);
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}

#[test]
fn a_good_branch_passes() {
    let world = World::new();
    let direct = Branch { nodes: vec![world.tree_node(world.root, vec![world.channel_output(), anchor()])] };
    assert_eq!(world.verify(&direct).unwrap().levels, 1);
    let branch = world.offchain(0, |_, _| {});
    let report = world.verify(&branch).unwrap();
    assert_eq!((report.levels, report.expiry), (3, Some(world.expiry)));
    assert_eq!(report.commitments, [world.root.txid]);
    // By a leaf with a locktime that the transactions carry.
    let branch = world.offchain(1, |_, _| {});
    assert_eq!(branch.nodes[2].tx.lock_time, world.locktime);
    assert_eq!(world.verify(&branch).unwrap().levels, 3);
}

#[test]
fn amounts_that_do_not_add_up() {
    let world = World::new();
    for change in [|value: Amount| value + sats(1), |value: Amount| value - sats(1)] {
        let branch =
            world.offchain(0, |_, ark| ark.output.insert(1, TxOut { value: change(sats(1_000)), ..world.p2tr(0) }));
        world.refused(&branch, 2, "amounts do not add up");
        let branch = world.offchain(0, |checkpoint, _| checkpoint.output[0].value = change(sats(VALUE)));
        world.refused(&branch, 1, "amounts do not add up");
    }
    let outputs = vec![world.channel_output(), world.p2tr(1_000), anchor()];
    let mut node = world.tree_node(world.root, outputs);
    world.sign_tree(&mut node.tx, sats(VALUE));
    world.refused(&Branch { nodes: vec![node] }, 0, "amounts do not add up");
    // Sums that overflow.
    let huge = TxOut { value: Amount::MAX, ..world.p2tr(0) };
    let branch = world.offchain(0, |_, ark| ark.output.insert(1, huge.clone()));
    world.refused(&branch, 2, "amounts do not add up");
}

#[test]
fn transactions_that_would_have_to_wait() {
    let world = World::new();
    for sequence in [Sequence::from_height(10), Sequence::ZERO, Sequence::ENABLE_RBF_NO_LOCKTIME] {
        let branch = world.offchain(0, |_, ark| ark.input[0].sequence = sequence);
        world.refused(&branch, 2, "a sequence would make it wait");
        let branch = world.offchain(0, |checkpoint, _| checkpoint.input[0].sequence = sequence);
        world.refused(&branch, 1, "a sequence would make it wait");
    }
    for locktime in [1_000, 4_000_000_000] {
        let branch = world.offchain(0, |_, ark| {
            ark.lock_time = absolute::LockTime::from_consensus(locktime);
            ark.input[0].sequence = Sequence::ENABLE_LOCKTIME_NO_RBF;
        });
        world.refused(&branch, 2, "a locktime that no leaf asks for would make it wait");
    }
    // Longer than its leaf asks for.
    let later = absolute::LockTime::from_consensus(world.locktime.to_consensus_u32() + 1);
    let branch = world.offchain(1, |_, ark| ark.lock_time = later);
    world.refused(&branch, 2, "a locktime that no leaf asks for would make it wait");
    // Shorter, or none, or with the sequence that switches it off: the leaf is not satisfied.
    let branch = world.offchain(1, |_, ark| ark.lock_time = absolute::LockTime::ZERO);
    world.refused(&branch, 2, "leaf is not a multisig");
    let branch = world.offchain(1, |_, ark| ark.input[0].sequence = Sequence::MAX);
    world.refused(&branch, 2, "leaf is not a multisig");
    // A tree node is final.
    let mut node = world.tree_node(world.root, vec![world.channel_output(), anchor()]);
    node.tx.lock_time = absolute::LockTime::from_consensus(5);
    world.sign_tree(&mut node.tx, sats(VALUE));
    world.refused(&Branch { nodes: vec![node.clone()] }, 0, "a tree node must be final");
    node.tx.lock_time = absolute::LockTime::ZERO;
    node.tx.input[0].sequence = Sequence::from_height(1);
    world.sign_tree(&mut node.tx, sats(VALUE));
    world.refused(&Branch { nodes: vec![node] }, 0, "a tree node must be final");
}

#[test]
fn transactions_that_no_node_relays() {
    let world = World::new();
    let branch = world.offchain(0, |_, ark| ark.output.insert(1, world.p2tr(329)));
    world.refused(&branch, 2, "an output beside the anchor is dust");
    let branch = world.offchain(0, |_, ark| ark.output.insert(1, anchor()));
    world.refused(&branch, 2, "an output beside the anchor is dust");
    let branch = world.offchain(0, |_, ark| ark.output.extend(vec![world.p2tr(330); 250]));
    world.refused(&branch, 2, "the last output is no anchor");
    let branch = world.offchain(0, |_, ark| {
        ark.output.splice(1..1, vec![world.p2tr(330); 250]);
    });
    world.refused(&branch, 2, "too heavy to relay");
    let branch = world.offchain(0, |_, ark| drop(ark.output.pop()));
    world.refused(&branch, 2, "the last output is no anchor");
    let branch = world.offchain(0, |_, ark| ark.version = bitcoin::transaction::Version::TWO);
    world.refused(&branch, 2, "version is not 3");
    let branch = world.offchain(0, |checkpoint, _| checkpoint.output[1].value = sats(1));
    world.refused(&branch, 1, "the last output is no anchor");
}

/// An output that only looks like a batch: the payer alone could spend it twice.
#[test]
fn a_tree_below_an_offchain_transaction() {
    let world = World::new();
    let mut branch = world.offchain(0, |_, ark| ark.output[0].script_pubkey = world.batch_script());
    let parent = OutPoint::new(branch.nodes[2].tx.compute_txid(), 0);
    branch.nodes.push(world.tree_node(parent, vec![world.channel_output(), anchor()]));
    let txid = branch.nodes[3].tx.compute_txid();
    let what = format!("{txid} is a tree node below an off-chain transaction");
    assert_eq!(world.verify(&branch), Err(ChannelError::InvalidBranch { what }));
}

/// Without cosigners nobody knows what else the output's key commits to: another sweep leaf, or a single owner.
#[test]
fn a_key_path_spend_that_names_no_cosigners() {
    let world = World::new();
    let mut node = world.tree_node(world.root, vec![world.channel_output(), anchor()]);
    node.cosigners = [].into();
    let txid = node.tx.compute_txid();
    let what = format!("{txid} spends a commitment transaction without cosigners");
    assert_eq!(world.verify(&Branch { nodes: vec![node] }), Err(ChannelError::InvalidBranch { what }));

    // Deeper down a key path is no path of an off-chain transaction.
    let inner = TxOut { value: sats(VALUE), script_pubkey: world.batch_script() };
    let first = world.tree_node(world.root, vec![inner, anchor()]);
    let parent = OutPoint::new(first.tx.compute_txid(), 0);
    let mut second = world.tree_node(parent, vec![world.channel_output(), anchor()]);
    let branch = Branch { nodes: vec![first.clone(), second.clone()] };
    assert_eq!(world.verify(&branch).unwrap().levels, 2);
    second.cosigners = [].into();
    world.refused(&Branch { nodes: vec![first, second] }, 1, "an input is not signed");
}

#[test]
fn wrong_sweep_leaf_or_cosigners() {
    let world = World::new();
    let good = Branch { nodes: vec![world.tree_node(world.root, vec![world.channel_output(), anchor()])] };
    let what = "its input is not its cosigners' key with the operator's sweep leaf";
    let mut branch = good.clone();
    branch.nodes[0].cosigners = [world.pair.payer.public_key()].into();
    world.refused(&branch, 0, what);
    let mut branch = good.clone();
    branch.nodes[0].cosigners = [&branch.nodes[0].cosigners[..], &[world.pair.payer.public_key()]].concat().into();
    world.refused(&branch, 0, what);
    let mut branch = good.clone();
    branch.nodes[0].cosigners = vec![world.pair.payer.public_key(); 1_025].into();
    let what = "1025 cosigners".to_string();
    assert_eq!(world.verify(&branch), Err(ChannelError::InvalidBranch { what }));
}

#[test]
fn deeper_than_can_be_unrolled() {
    let world = World::new();
    let inner = TxOut { value: sats(VALUE), script_pubkey: world.batch_script() };
    let mut parent = world.root;
    let mut nodes = Vec::new();
    for level in 1..=MAX_LEVELS + 1 {
        let mut to_here = nodes.clone();
        to_here.push(world.tree_node(parent, vec![world.channel_output(), anchor()]));
        let result = world.verify(&Branch { nodes: to_here }).map(|report| report.levels);
        let refused = Err(ChannelError::BranchTooDeep { levels: level, limit: MAX_LEVELS });
        assert_eq!(result, if level <= MAX_LEVELS { Ok(level) } else { refused });
        let node = world.tree_node(parent, vec![inner.clone(), anchor()]);
        parent = OutPoint::new(node.tx.compute_txid(), 0);
        nodes.push(node);
    }
}

#[test]
fn witnesses_that_are_not_exactly_the_signatures() {
    let world = World::new();
    let good = world.offchain(0, |_, _| {});
    for node in 0..3 {
        let witness: Vec<Vec<u8>> = good.nodes[node].tx.input[0].witness.to_vec();
        let with = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut witness = witness.clone();
            change(&mut witness);
            let mut branch = good.clone();
            branch.nodes[node].tx.input[0].witness = Witness::from_slice(&witness);
            assert!(world.verify(&branch).is_err(), "{node}");
        };
        with(&|witness| witness.clear());
        with(&|witness| drop(witness.pop()));
        with(&|witness| drop(witness.remove(0)));
        with(&|witness| witness.insert(0, Vec::new()));
        with(&|witness| witness.push(vec![0x50, 1, 2, 3]));
        with(&|witness| {
            let first = witness.remove(0);
            witness.push(first);
            witness.push(Vec::new());
        });
        // SIGHASH_DEFAULT is 64 bytes; a byte more is another type.
        for byte in [0x00, 0x01, 0x03, 0x81, 0x83] {
            with(&|witness| witness[0].push(byte));
        }
        with(&|witness| witness[0] = vec![0; 64]);
        with(&|witness| witness.iter_mut().for_each(Vec::clear));
        with(&|witness| witness.extend(std::iter::repeat_n(vec![7; 64], 1_000)));
    }
}

#[test]
fn what_is_spent_twice_is_no_way_out() {
    let world = World::new();
    let good = world.offchain(0, |_, _| {});
    assert!(world.verify(&good).is_ok());
    let refused = |branch: &Branch, outpoint: OutPoint| {
        let what = format!("{outpoint} is spent twice");
        assert_eq!(world.verify(branch), Err(ChannelError::InvalidBranch { what }));
    };
    // The same transaction again, and another one beside it.
    let checkpoint = good.nodes[1].tx.input[0].previous_output;
    let mut again = good.clone();
    again.nodes.insert(1, good.nodes[1].clone());
    refused(&again, checkpoint);
    let mut beside = good.clone();
    beside.nodes.insert(
        1,
        world.offchain(0, |tx, _| tx.output[0].script_pubkey = world.p2tr(1).script_pubkey).nodes[1].clone(),
    );
    refused(&beside, checkpoint);
    // One transaction that spends an output twice, and makes twice as much of it.
    let mut doubled = good.clone();
    let ark = &mut doubled.nodes[2].tx;
    ark.input.push(ark.input[0].clone());
    ark.output[0].value *= 2;
    refused(&doubled, good.nodes[2].tx.input[0].previous_output);
}

/// A branch is what its owner pays to put on chain: nothing in it spends the VTXO, or leads elsewhere.
#[test]
fn what_does_not_lead_to_the_vtxo() {
    let world = World::new();
    let beyond = world.offchain(0, |_, _| {});
    let tree = &beyond.nodes[0].tx;
    let vtxo = OutPoint::new(tree.compute_txid(), 0);
    let refused = |branch: &Branch, target: OutPoint, expected: &TxOut, value: u64, what: String| {
        let commitment = TxOut { value: sats(value), script_pubkey: world.batch_script() };
        let commitment_outputs = HashMap::from([(world.root, commitment)]);
        let (forfeit_key, expiry) = (world.pair.info.forfeit_key, world.expiry);
        let context = BranchContext { commitment_outputs: &commitment_outputs, forfeit_key, expiry };
        let result = branch.verify(&context, target, expected);
        assert_eq!(result, Err(ChannelError::InvalidBranch { what }));
    };
    // It goes on, and spends what it should bring.
    refused(&beyond, vtxo, &tree.output[0], VALUE, format!("{vtxo} is not in its last transaction"));

    // Two leaves of one tree: the other one is somebody else's.
    let inner = TxOut { value: sats(VALUE), script_pubkey: world.batch_script() };
    let fork = world.tree_node(world.root, vec![inner.clone(), inner, anchor()]);
    let parent = |vout| OutPoint::new(fork.tx.compute_txid(), vout);
    let [other, own] = [0, 1].map(|vout| world.tree_node(parent(vout), vec![world.channel_output(), anchor()]));
    let (idle, target) = (other.tx.compute_txid(), OutPoint::new(own.tx.compute_txid(), 0));
    let branch = Branch { nodes: vec![fork, other, own] };
    refused(&branch, target, &world.channel_output(), 2 * VALUE, format!("{idle} leads nowhere"));
}

/// What a chain server shows as the spend of a channel: its id says nothing about who signed.
#[test]
fn a_spend_that_nobody_signed() {
    let world = World::new();
    let good = world.offchain(0, |_, _| {});
    for node in 1..3 {
        let (tx, prevout) = (good.nodes[node].tx.clone(), good.nodes[node - 1].tx.output[0].clone());
        assert!(is_signed_offchain(&tx, std::slice::from_ref(&prevout)));
        assert!(!is_signed_offchain(&tx, &[]));
        assert!(!is_signed_offchain(&tx, &[prevout.clone(), prevout.clone()]));
        assert!(!is_signed_offchain(&tx, &[TxOut { value: prevout.value + sats(1), ..prevout.clone() }]));
        let mut bare = tx.clone();
        bare.input[0].witness = Witness::new();
        assert!(!is_signed_offchain(&bare, std::slice::from_ref(&prevout)));
        let mut other = tx;
        other.output[0].value -= sats(1);
        assert!(!is_signed_offchain(&other, &[prevout]), "the signature is another transaction's");
    }
}

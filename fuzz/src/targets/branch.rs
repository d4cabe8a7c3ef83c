//! Branches: any set of transactions that everybody signed, and any damage to it.
//!
//! The bytes are a plan: which outputs a transaction spends, what it makes, what is odd about it. The target builds and
//! signs it, because a changed byte in a signed transaction would never get further than its signature. A branch that
//! is taken must be a way out: looked at again here, by other code.

use std::collections::{HashMap, HashSet};

use bitcoin::hashes::Hash;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid, absolute, consensus, transaction};
use virtual_channels::channel::branch::{Branch, BranchContext, BranchNode, MAX_LEVELS, MAX_NODES};
use virtual_channels::channel::offchain::{anchor, unsigned_input, version3};

use super::Writer;
use super::input::Input;
use super::tree::{Parties, parties};

/// More than a branch may have, so that the limit is reached.
const MOST: usize = MAX_NODES + 4;

/// Who can spend an output.
#[derive(Clone, Copy)]
enum Owner {
    Tree(u8),
    Vtxo(usize),
    Nobody,
}

/// What is odd about a transaction, a bit each.
mod odd {
    pub const OFF_TREE: u8 = 1;
    pub const UNSIGNED: u8 = 2;
    pub const NO_ANCHOR: u8 = 4;
    pub const LOCKTIME: u8 = 8;
    pub const SEQUENCE: u8 = 16;
    pub const VERSION: u8 = 32;
    pub const COSIGNERS: u8 = 64;
    pub const AMOUNTS: u8 = 128;
}

/// A branch while it is made.
struct Plan {
    outputs: Vec<(OutPoint, TxOut, Owner)>,
    nodes: Vec<BranchNode>,
}

pub fn run(data: &[u8]) -> bool {
    let mut input = Input::new(data);
    if input.byte() == 0xff {
        return raw(&mut input);
    }
    let parties = parties();
    let mut plan = Plan { outputs: Vec::new(), nodes: Vec::new() };
    for root in 0..1 + input.byte() % 2 {
        let set = input.byte();
        let output = TxOut { value: Amount::from_sat(1_000_000), script_pubkey: parties.tree_script(set) };
        plan.outputs.push((OutPoint::new(Txid::from_byte_array([root; 32]), 0), output, Owner::Tree(set)));
    }
    let commitments: HashMap<OutPoint, TxOut> =
        plan.outputs.iter().map(|(outpoint, output, _)| (*outpoint, output.clone())).collect();
    let (spoil, wanted) = ([input.byte(), input.byte(), input.byte()], input.byte());
    while !input.is_empty() && plan.nodes.len() < MOST {
        plan.node(&mut input, parties);
    }
    let (target, mut expected, _) =
        plan.outputs[plan.outputs.len() - 1 - usize::from(wanted) % plan.outputs.len()].clone();
    if spoil[0] == 200 {
        expected.value += Amount::ONE_SAT;
    }
    let mut branch = Branch { nodes: plan.nodes };
    damage(&mut branch.nodes, spoil);
    verify(&branch, &commitments, target, &expected, parties)
}

/// Transactions byte for byte, behind their number of co-signers.
fn raw(input: &mut Input<'_>) -> bool {
    let parties = parties();
    let mut branch = Branch::default();
    while !input.is_empty() && branch.nodes.len() < MOST {
        let set = input.byte();
        let Ok(tx) = consensus::deserialize::<Transaction>(input.piece()) else { continue };
        let cosigners = if set == 0 { Vec::new() } else { parties.cosigners(set) };
        branch.nodes.push(BranchNode { tx, cosigners: cosigners.into() });
    }
    let Some(leaf) = branch.leaf() else { return false };
    let Some(expected) = leaf.output.first().cloned() else { return false };
    let target = OutPoint::new(leaf.compute_txid(), 0);
    let spent = branch.outpoints();
    let batch = TxOut { value: Amount::from_sat(1_000_000), script_pubkey: parties.tree_script(1) };
    let commitments = spent.first().map(|outpoint| (*outpoint, batch)).into_iter().collect();
    verify(&branch, &commitments, target, &expected, parties)
}

impl Plan {
    fn node(&mut self, input: &mut Input<'_>, parties: &Parties) {
        let flags = input.byte();
        let has = |bit: u8| flags & bit != 0;
        let spends: Vec<(OutPoint, TxOut, Owner)> = match input.byte() {
            count @ 0xf0.. => (0..count & 3).map(|_| self.pick(input.byte())).collect(),
            one => vec![self.pick(one)],
        };
        let prevouts: Vec<TxOut> = spends.iter().map(|(_, output, _)| output.clone()).collect();
        let total = prevouts.iter().fold(0u64, |sum, output| sum.saturating_add(output.value.to_sat()));
        let mut left = Amount::from_sat(total);
        let (mut outputs, mut owners) = (Vec::new(), Vec::new());
        let makes = input.byte() % 5;
        for index in 0..makes {
            let (owner, script_pubkey) = made(input, parties);
            // In equal parts, unless a part is named.
            let share = match input.byte() {
                0 => left / u64::from(makes - index),
                part => left.min(Amount::from_sat(u64::from(part) * 100)),
            };
            left -= share;
            owners.push(owner);
            outputs.push(TxOut { value: share, script_pubkey });
        }
        if let Some(last) = outputs.last_mut() {
            last.value += left;
        }
        if has(odd::AMOUNTS)
            && let Some(first) = outputs.first_mut()
        {
            first.value = Amount::from_sat(u64::from(input.number()) << (input.byte() % 33));
        }
        if !has(odd::NO_ANCHOR) {
            outputs.push(anchor());
            owners.push(Owner::Nobody);
        }
        let sequence = if has(odd::SEQUENCE) { Sequence(input.number()) } else { Sequence::MAX };
        let locktime = match (has(odd::LOCKTIME), input.byte()) {
            (false, _) => absolute::LockTime::ZERO,
            (true, 0) => parties.locktime,
            (true, _) => absolute::LockTime::from_consensus(input.number()),
        };
        let inputs = spends.iter().map(|(outpoint, ..)| unsigned_input(*outpoint, sequence)).collect();
        let mut tx = version3(locktime, inputs, outputs);
        if has(odd::VERSION) {
            tx.version = transaction::Version(i32::from(input.byte()));
        }
        let mut cosigners = Vec::new();
        for (index, (.., owner)) in spends.iter().enumerate() {
            match *owner {
                Owner::Tree(set) => {
                    cosigners = parties.cosigners(set);
                    if index == 0 && !has(odd::UNSIGNED) {
                        parties.sign_tree(&mut tx, &prevouts, set);
                    }
                }
                Owner::Vtxo(vtxo) if !has(odd::UNSIGNED) => {
                    let leaf = usize::from(input.byte()) % parties.vtxos[vtxo].1.len();
                    parties.sign_leaf(&mut tx, index, &prevouts, vtxo, leaf);
                }
                _ => {}
            }
        }
        match (has(odd::OFF_TREE), has(odd::COSIGNERS)) {
            (_, true) => cosigners = parties.cosigners(input.byte()),
            (true, false) => cosigners.clear(),
            (false, false) => {}
        }
        let txid = tx.compute_txid();
        let made = tx.output.iter().zip(owners).enumerate();
        let made = made.map(|(vout, (output, owner))| (OutPoint::new(txid, vout as u32), output.clone(), owner));
        let mut made: Vec<_> = made.collect();
        // The first output is the last one made: what the next transaction spends, if nothing else is said.
        made.reverse();
        self.outputs.extend(made);
        self.nodes.push(BranchNode { tx, cosigners: cosigners.into() });
    }

    /// An output made so far, counted from the last.
    fn pick(&self, back: u8) -> (OutPoint, TxOut, Owner) {
        let back = usize::from(back);
        if back == 0xef {
            let output = TxOut { value: Amount::from_sat(1_000_000), script_pubkey: ScriptBuf::new() };
            return (OutPoint::null(), output, Owner::Nobody);
        }
        self.outputs[self.outputs.len() - 1 - back % self.outputs.len()].clone()
    }
}

/// A new output: whose, and its script.
fn made(input: &mut Input<'_>, parties: &Parties) -> (Owner, ScriptBuf) {
    match input.byte() % 4 {
        0 => {
            let set = input.byte();
            (Owner::Tree(set), parties.tree_script(set))
        }
        1 | 2 => {
            let vtxo = usize::from(input.byte()) % parties.vtxos.len();
            (Owner::Vtxo(vtxo), parties.vtxos[vtxo].0.script_pubkey())
        }
        _ => (Owner::Nobody, ScriptBuf::from_bytes(input.piece().to_vec())),
    }
}

/// Something done to the finished branch.
fn damage(nodes: &mut Vec<BranchNode>, [what, one, other]: [u8; 3]) {
    if nodes.is_empty() {
        return;
    }
    let (at, to) = (usize::from(one) % nodes.len(), usize::from(other) % nodes.len());
    match what {
        201 => drop(nodes.remove(at)),
        202 => nodes.swap(at, to),
        203 => nodes.insert(to, nodes[at].clone()),
        204 => {
            if let Some(input) = nodes[at].tx.input.first_mut() {
                let mut items = input.witness.to_vec();
                if let Some(item) = items.first_mut().filter(|item| !item.is_empty()) {
                    let place = usize::from(other) % item.len();
                    item[place] ^= 1;
                }
                input.witness = items.into();
            }
        }
        205 => nodes[at].cosigners = [].into(),
        _ => {}
    }
}

fn verify(
    branch: &Branch,
    commitments: &HashMap<OutPoint, TxOut>,
    target: OutPoint,
    expected: &TxOut,
    parties: &Parties,
) -> bool {
    let context =
        BranchContext { commitment_outputs: commitments, forfeit_key: parties.forfeit, expiry: parties.expiry };
    let (_, _) = (branch.vtxo_transactions(), branch.cosigned_by(&parties.cosigners(1)[0]));
    let Ok(report) = branch.verify(&context, target, expected) else { return false };
    assert!(branch.nodes.len() <= MAX_NODES && report.levels <= MAX_LEVELS);
    assert!(report.commitments.iter().all(|txid| commitments.keys().any(|outpoint| outpoint.txid == *txid)));
    // On chain, one after the other: every coin is there, is spent once, and is worth what goes out of it.
    let mut coins = commitments.clone();
    for node in &branch.nodes {
        let mut sum = Amount::ZERO;
        for input in &node.tx.input {
            let coin = coins.remove(&input.previous_output).expect("spends what is there, once");
            sum += coin.value;
            assert!(!input.witness.is_empty());
        }
        assert_eq!(sum, node.tx.output.iter().map(|output| output.value).sum());
        let txid = node.tx.compute_txid();
        let made = node.tx.output.iter().enumerate();
        coins.extend(made.map(|(vout, output)| (OutPoint::new(txid, vout as u32), output.clone())));
    }
    assert_eq!(coins.get(&target), Some(expected));
    let txids: HashSet<Txid> = branch.nodes.iter().map(|node| node.tx.compute_txid()).collect();
    assert_eq!(txids.len(), branch.nodes.len());
    true
}

pub fn seeds() -> Vec<(String, Vec<u8>)> {
    // One root of all co-signers, no damage, the last output is the target.
    let start = Writer::default().bytes(&[0, 0, 0, 0, 0, 0, 0]);
    // Spends the last output, makes two: a tree node's and a VTXO.
    let tree = |set: u8| [0, 0, 2, 0, set, 0, 1, 0, 0, 0];
    let leaf = [0, 0, 1, 1, 0, 0, 0];
    // The VTXO to a checkpoint, and the checkpoint to a VTXO of four leaves.
    let checkpoint = [odd::OFF_TREE, 0, 1, 1, 2, 0, 0, 0];
    let ark = [odd::OFF_TREE, 0, 1, 1, 1, 0, 0, 1];
    let batch = start.clone().bytes(&tree(3)).bytes(&tree(5)).bytes(&leaf);
    let preconfirmed = batch.clone().bytes(&checkpoint).bytes(&ark);
    let deep = (0..12).fold(start.clone(), |deep, _| deep.bytes(&tree(3)));
    // Spent by the leaf with a locktime, which asks for a sequence that is not final.
    let late = odd::OFF_TREE | odd::LOCKTIME | odd::SEQUENCE;
    let refund = preconfirmed.clone().bytes(&[late, 0, 1, 1, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0, 1]);
    // Together with the VTXO that the second tree node made.
    let joined = preconfirmed.clone().bytes(&[odd::OFF_TREE, 0xf2, 0, 7, 1, 1, 1, 0, 0, 0, 0]);
    let mut seeds = vec![
        ("batch", batch),
        ("preconfirmed", preconfirmed.clone()),
        ("too-deep", deep),
        ("refund", refund),
        ("joined", joined),
    ];
    for damage in 200..=205 {
        let mut damaged = preconfirmed.clone();
        damaged.0[3..6].copy_from_slice(&[damage, 1, 2]);
        seeds.push((["value", "lost", "swapped", "twice", "flipped", "off-tree"][usize::from(damage - 200)], damaged));
    }
    seeds.into_iter().map(|(name, seed)| (name.to_owned(), seed.0)).collect()
}

//! The transactions of a batch that lead to our outputs, checked before anything of ours is signed.

use std::collections::HashMap;

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{PublicKey, schnorr};
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::{OutPoint, Psbt, Sequence, TapSighashType, Transaction, TxOut, Txid, Witness, XOnlyPublicKey, absolute};
use secp256k1::{Message, SECP256K1};

use crate::channel::Delay;
use crate::channel::branch::{self, Branch, BranchContext, BranchNode, MAX_LEVELS, MAX_NODES};
use crate::channel::offchain::anchor;
use crate::operator::error::OperatorError;
use crate::operator::node;

/// The tree hangs on this output of the commitment transaction.
pub(super) const BATCH_OUTPUT: u32 = 0;

/// What the tree must be.
pub(super) struct TreeTerms<'a> {
    pub(super) forfeit_key: XOnlyPublicKey,
    pub(super) expiry: Delay,
    /// Keys that every node must have among its co-signers: ours and those agreed on.
    pub(super) cosigners: &'a [PublicKey],
    /// Outputs that the tree must have.
    pub(super) outputs: &'a [TxOut],
}

/// The nodes as they come in.
#[derive(Default)]
pub(super) struct TreeNodes {
    nodes: HashMap<Txid, BranchNode>,
}

impl TreeNodes {
    /// Takes a node in; the same one twice counts once.
    pub(super) fn add(&mut self, psbt: Psbt) -> Result<(), OperatorError> {
        let cosigners = node::cosigners(&psbt)?;
        let tx = psbt.unsigned_tx;
        self.nodes.insert(tx.compute_txid(), BranchNode { tx, cosigners: cosigners.into() });
        if self.nodes.len() > MAX_NODES {
            return Err(OperatorError::refuse(format!("more than {MAX_NODES} transactions in our branch")));
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Checks everything that can be checked before signatures.
    pub(super) fn check(&self, commitment: &Transaction, terms: &TreeTerms<'_>) -> Result<SigningTree, OperatorError> {
        let root = OutPoint::new(commitment.compute_txid(), BATCH_OUTPUT);
        let batch_output = commitment
            .output
            .get(BATCH_OUTPUT as usize)
            .ok_or_else(|| OperatorError::refuse("the commitment transaction has no output"))?;
        let spenders = self.spenders()?;
        let mut tree = SigningTree {
            nodes: Vec::new(),
            index: HashMap::new(),
            leaves: Vec::new(),
            commitment_output: (root, batch_output.clone()),
            forfeit_key: terms.forfeit_key,
            expiry: terms.expiry,
        };
        // Down from the commitment transaction, level by level: what is not reached does not belong to the batch.
        let mut level = vec![(root, batch_output.clone())];
        for depth in 0.. {
            let mut next = Vec::new();
            for (outpoint, prevout) in level {
                let Some(txid) = spenders.get(&outpoint) else { continue };
                if depth == MAX_LEVELS {
                    return Err(OperatorError::refuse(format!("the tree is deeper than {MAX_LEVELS} levels")));
                }
                let node = self.nodes.get(txid).ok_or_else(|| OperatorError::refuse("a node is missing"))?;
                check_node(*txid, node, &prevout, terms)?;
                let outputs = node.tx.output.iter().enumerate();
                next.extend(outputs.map(|(vout, output)| (OutPoint::new(*txid, vout as u32), output.clone())));
                tree.index.insert(*txid, tree.nodes.len());
                tree.nodes.push(SigningNode { txid: *txid, node: node.clone(), prevout });
            }
            if next.is_empty() {
                break;
            }
            level = next;
        }
        if tree.nodes.len() != self.nodes.len() {
            let what = format!("{} of {} nodes hang on the commitment", tree.nodes.len(), self.nodes.len());
            return Err(OperatorError::refuse(what));
        }
        tree.leaves = find_outputs(&tree.nodes, &spenders, terms.outputs)?;
        Ok(tree)
    }

    /// Which node spends which output.
    fn spenders(&self) -> Result<HashMap<OutPoint, Txid>, OperatorError> {
        let mut spenders = HashMap::new();
        for (txid, node) in &self.nodes {
            let [input] = node.tx.input.as_slice() else {
                return Err(OperatorError::refuse(format!("{txid} has {} inputs", node.tx.input.len())));
            };
            if spenders.insert(input.previous_output, *txid).is_some() {
                return Err(OperatorError::refuse(format!("{} is spent twice", input.previous_output)));
            }
        }
        Ok(spenders)
    }
}

fn check_node(txid: Txid, node: &BranchNode, prevout: &TxOut, terms: &TreeTerms<'_>) -> Result<(), OperatorError> {
    let refuse = |what: String| OperatorError::refuse(format!("{txid}: {what}"));
    let tx = &node.tx;
    if tx.version.0 != 3 || tx.lock_time != absolute::LockTime::ZERO {
        return Err(refuse("it is not a final transaction of version 3".into()));
    }
    if tx.input.iter().any(|input| input.sequence != Sequence::MAX) {
        return Err(refuse("its input is not final".into()));
    }
    if tx.output.last() != Some(&anchor()) {
        return Err(refuse("its last output is no anchor".into()));
    }
    let total: u64 = tx.output.iter().map(|output| output.value.to_sat()).fold(0, u64::saturating_add);
    if total != prevout.value.to_sat() {
        return Err(refuse(format!("{total} sats go out, {} come in", prevout.value.to_sat())));
    }
    if let Some(absent) = terms.cosigners.iter().find(|key| !node.cosigners.contains(key)) {
        return Err(refuse(format!("{absent} is not among its co-signers")));
    }
    if branch::tree_output_script(&node.cosigners, terms.forfeit_key, terms.expiry)? != prevout.script_pubkey {
        return Err(refuse("what it spends is not its co-signers' key with the agreed sweep leaf".into()));
    }
    Ok(())
}

/// Where the wanted outputs are: each at a place of its own, and not spent by the tree itself.
fn find_outputs(
    nodes: &[SigningNode],
    spenders: &HashMap<OutPoint, Txid>,
    wanted: &[TxOut],
) -> Result<Vec<OutPoint>, OperatorError> {
    let mut found: Vec<OutPoint> = Vec::with_capacity(wanted.len());
    for output in wanted {
        let place = nodes
            .iter()
            .flat_map(|node| {
                let outputs = node.node.tx.output.iter().enumerate();
                outputs.map(|(vout, output)| (OutPoint::new(node.txid, vout as u32), output))
            })
            .find(|(outpoint, candidate)| {
                *candidate == output && !found.contains(outpoint) && !spenders.contains_key(outpoint)
            });
        let (outpoint, _) = place.ok_or_else(|| {
            let what = format!("no output of {} to {}", output.value, output.script_pubkey.to_hex_string());
            OperatorError::refuse(what)
        })?;
        found.push(outpoint);
    }
    Ok(found)
}

/// A node with the output it spends.
pub(super) struct SigningNode {
    pub(super) txid: Txid,
    pub(super) node: BranchNode,
    pub(super) prevout: TxOut,
}

impl SigningNode {
    /// What its co-signers sign together.
    pub(super) fn message(&self) -> Result<[u8; 32], OperatorError> {
        SighashCache::new(&self.node.tx)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&[&self.prevout]), TapSighashType::Default)
            .map(|hash| hash.to_byte_array())
            .map_err(|_| OperatorError::refuse(format!("{}: nothing to sign", self.txid)))
    }
}

/// A tree that was checked: worth signing.
pub(super) struct SigningTree {
    /// Parents first.
    pub(super) nodes: Vec<SigningNode>,
    index: HashMap<Txid, usize>,
    /// Where the wanted outputs are, in their order.
    leaves: Vec<OutPoint>,
    commitment_output: (OutPoint, TxOut),
    pub(super) forfeit_key: XOnlyPublicKey,
    pub(super) expiry: Delay,
}

impl SigningTree {
    pub(super) fn commitment_txid(&self) -> Txid {
        self.commitment_output.0.txid
    }

    /// Takes in the final signature of a node, if it is one of ours. An invalid one is refused.
    pub(super) fn add_signature(&mut self, txid: Txid, signature: &[u8; 64]) -> Result<(), OperatorError> {
        let Some(node) = self.index.get(&txid).and_then(|index| self.nodes.get_mut(*index)) else { return Ok(()) };
        let invalid = || OperatorError::refuse(format!("{txid}: its signature is invalid"));
        let key = node.prevout.script_pubkey.as_bytes().get(2..).unwrap_or_default();
        let key = XOnlyPublicKey::from_slice(key).map_err(|_| invalid())?;
        let parsed = schnorr::Signature::from_slice(signature).map_err(|_| invalid())?;
        let message = Message::from_digest(node.message()?);
        SECP256K1.verify_schnorr(&parsed, &message, &key).map_err(|_| invalid())?;
        if let Some(input) = node.node.tx.input.first_mut() {
            input.witness = Witness::from_slice(&[signature]);
        }
        Ok(())
    }

    pub(super) fn is_signed(&self) -> bool {
        self.nodes.iter().all(|node| node.node.tx.input.iter().all(|input| !input.witness.is_empty()))
    }

    /// The wanted outputs with their branches, each verified as a whole.
    pub(super) fn branches(&self, wanted: &[TxOut]) -> Result<Vec<(OutPoint, TxOut, Branch)>, OperatorError> {
        let commitment_outputs = HashMap::from([self.commitment_output.clone()]);
        let context = BranchContext {
            commitment_outputs: &commitment_outputs,
            forfeit_key: self.forfeit_key,
            expiry: self.expiry,
        };
        let branches = self.leaves.iter().zip(wanted).map(|(leaf, output)| {
            let branch = self.branch(leaf.txid);
            branch.verify(&context, *leaf, output)?;
            Ok((*leaf, output.clone(), branch))
        });
        branches.collect()
    }

    /// The nodes from the root down to `txid`.
    fn branch(&self, txid: Txid) -> Branch {
        let mut nodes = Vec::new();
        let mut next = Some(txid);
        while let Some(node) = next.and_then(|txid| self.index.get(&txid)).and_then(|index| self.nodes.get(*index)) {
            nodes.push(node.node.clone());
            next = node.node.tx.input.first().map(|input| input.previous_output.txid);
        }
        nodes.reverse();
        Branch { nodes }
    }
}

//! The trees of a batch: VTXOs hang on a binary tree, connectors on one with four branches. Every node is a transaction of its
//! own, zero fee, with an anchor.

use bitcoin::absolute::LockTime;
use bitcoin::psbt::Psbt;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, PublicKey, ScriptBuf, Sequence, TapNodeHash, Transaction, TxIn, TxOut, Txid, Witness};

use super::script::{anchor, anchor_script};
use super::{musig, psbt};

/// Branches a node of VTXOs has.
pub const VTXO_RADIX: usize = 2;
/// Branches a node of connectors has.
pub const CONNECTOR_RADIX: usize = 4;

/// What one leaf transaction pays, and who signs for it.
#[derive(Clone, Debug)]
pub struct LeafPlan {
    /// Its outputs, without the anchor.
    pub outputs: Vec<TxOut>,
    /// Its signers.
    pub cosigners: Vec<PublicKey>,
}

/// A tree before it hangs on a transaction.
#[derive(Clone, Debug)]
pub struct TreePlan {
    /// All signers of the node, sorted.
    pub cosigners: Vec<PublicKey>,
    /// The node's outputs without the anchor; with children, output i pays child i.
    pub outputs: Vec<TxOut>,
    /// The branches.
    pub children: Vec<TreePlan>,
    /// The script of the output that the node spends.
    pub input_script: ScriptBuf,
}

impl TreePlan {
    fn new(
        cosigners: &[PublicKey],
        outputs: Vec<TxOut>,
        children: Vec<TreePlan>,
        tweak: Option<TapNodeHash>,
    ) -> Result<Self, String> {
        let cosigners = musig::canonical(cosigners);
        let key = musig::output_key(&cosigners, tweak)?;
        let tweaked = bitcoin::key::TweakedPublicKey::dangerous_assume_tweaked(key);
        Ok(TreePlan { cosigners, outputs, children, input_script: ScriptBuf::new_p2tr_tweaked(tweaked) })
    }

    /// Plans a tree over the leaves.
    pub fn over(leaves: Vec<LeafPlan>, tweak: Option<TapNodeHash>, radix: usize) -> Result<TreePlan, String> {
        let mut nodes = leaves
            .into_iter()
            .map(|l| TreePlan::new(&l.cosigners, l.outputs, Vec::new(), tweak))
            .collect::<Result<Vec<_>, _>>()?;
        while nodes.len() > 1 {
            nodes = level(nodes, tweak, radix)?;
        }
        nodes.pop().ok_or("no receivers provided".into())
    }

    /// What the node needs as its input.
    pub fn amount(&self) -> Amount {
        self.outputs.iter().map(|o| o.value).sum()
    }

    /// The output that carries the whole tree.
    pub fn root_output(&self) -> TxOut {
        TxOut { value: self.amount(), script_pubkey: self.input_script.clone() }
    }

    /// Makes the transactions; `expiry` is the sequence of the sweep leaf (VTXO trees only).
    pub fn hang(&self, input: OutPoint, expiry: Option<u32>) -> TxTree {
        let tx = Transaction {
            version: Version(3),
            lock_time: LockTime::ZERO,
            input: vec![TxIn {
                previous_output: input,
                script_sig: ScriptBuf::new(),
                sequence: Sequence::MAX,
                witness: Witness::new(),
            }],
            output: self.outputs.iter().cloned().chain([anchor()]).collect(),
        };
        let txid = tx.compute_txid();
        let mut node = Psbt::from_unsigned_tx(tx).expect("no signatures in it yet");
        psbt::set_cosigners(&mut node.inputs[0], &self.cosigners);
        if let Some(expiry) = expiry {
            psbt::set_expiry(&mut node.inputs[0], expiry);
        }
        let children = self.children.iter().enumerate();
        let children = children.map(|(i, c)| c.hang(OutPoint::new(txid, i as u32), expiry)).collect();
        TxTree { psbt: node, cosigners: self.cosigners.clone(), children }
    }
}

/// One level up: full groups get a parent, what is left over waits for the next level.
fn level(mut nodes: Vec<TreePlan>, tweak: Option<TapNodeHash>, radix: usize) -> Result<Vec<TreePlan>, String> {
    let radix = radix.min(nodes.len());
    let rest = nodes.split_off(nodes.len() - nodes.len() % radix);
    let mut groups = Vec::new();
    while !nodes.is_empty() {
        let children: Vec<_> = nodes.drain(..radix).collect();
        let cosigners: Vec<_> = children.iter().flat_map(|c| c.cosigners.clone()).collect();
        let outputs = children.iter().map(TreePlan::root_output).collect();
        groups.push(TreePlan::new(&cosigners, outputs, children, tweak)?);
    }
    groups.extend(rest);
    Ok(groups)
}

/// A tree of transactions: child i spends output i.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct TxTree {
    pub psbt: Psbt,
    pub cosigners: Vec<PublicKey>,
    pub children: Vec<TxTree>,
}

impl TxTree {
    /// The node's id.
    pub fn txid(&self) -> Txid {
        self.psbt.unsigned_tx.compute_txid()
    }

    /// All nodes, parents before their children.
    pub fn nodes(&self) -> Vec<&TxTree> {
        let mut all = vec![self];
        all.extend(self.children.iter().flat_map(TxTree::nodes));
        all
    }

    /// All nodes, to be changed.
    pub fn for_each_mut(&mut self, change: &mut impl FnMut(&mut TxTree)) {
        change(self);
        self.children.iter_mut().for_each(|c| c.for_each_mut(change));
    }

    /// The nodes without children.
    pub fn leaves(&self) -> Vec<&TxTree> {
        self.nodes().into_iter().filter(|n| n.children.is_empty()).collect()
    }

    /// Every node with the output it spends.
    pub fn with_prevouts(&self, root: &TxOut) -> Vec<(&TxTree, TxOut)> {
        let mut all = vec![(self, root.clone())];
        for (child, output) in self.children.iter().zip(&self.psbt.unsigned_tx.output) {
            all.extend(child.with_prevouts(output));
        }
        all
    }

    /// The nodes from the root to the one with this id.
    pub fn branch(&self, txid: &Txid) -> Option<Vec<&TxTree>> {
        if self.txid() == *txid {
            return Some(vec![self]);
        }
        let mut rest = self.children.iter().find_map(|c| c.branch(txid))?;
        rest.insert(0, self);
        Some(rest)
    }

    /// The cosigners as topics: compressed keys in hex.
    pub fn topics(&self) -> Vec<String> {
        self.cosigners.iter().map(PublicKey::to_string).collect()
    }

    /// The outputs that carry value, with their places.
    pub fn paying_outputs(&self) -> impl Iterator<Item = (OutPoint, &TxOut)> {
        let txid = self.txid();
        let outputs = self.psbt.unsigned_tx.output.iter().enumerate();
        outputs
            .filter(|(_, o)| o.script_pubkey != anchor_script())
            .map(move |(i, o)| (OutPoint::new(txid, i as u32), o))
    }
}

//! The branch: the virtual transactions from commitment transactions down to a VTXO.
//!
//! It is what a unilateral exit broadcasts, level by level. Nothing of it is believed: every input must spend an
//! output of the branch or of a commitment transaction, and every signature is verified.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bitcoin::secp256k1::PublicKey;
use bitcoin::sighash::{Prevouts, SighashCache};
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TapNodeHash, TapTweakHash};
use bitcoin::{OutPoint, ScriptBuf, Sequence, TapSighashType, Transaction, TxOut, Txid, XOnlyPublicKey, absolute};
use secp256k1::SECP256K1;

use super::offchain::anchor;
use super::script::csv_multisig;
use super::{ChannelError, Delay};

/// The deepest branch that is taken.
pub const MAX_LEVELS: usize = 11;

/// The most transactions a branch may have.
pub const MAX_NODES: usize = 64;

/// Nodes relay a version 3 transaction up to this weight (10 000 vB).
const MAX_WEIGHT: u64 = 40_000;

/// One transaction of a branch, with its witnesses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchNode {
    pub tx: Transaction,
    /// Keys that co-signed, for nodes of a batch tree; empty for checkpoints and ark transactions. Branches of one batch may
    /// share them: there can be a thousand.
    pub cosigners: Arc<[PublicKey]>,
}

/// Parents before children; the last transaction holds the VTXO.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Branch {
    pub nodes: Vec<BranchNode>,
}

/// What a verified branch amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BranchReport {
    /// Transactions that must confirm one after the other.
    pub levels: usize,
    /// Weight of all transactions, without the fee-paying children.
    pub weight: u64,
    /// The commitment transactions it hangs on.
    pub commitments: Vec<Txid>,
    /// When the operator may sweep, counted from the commitment's confirmation; `None` when no tree node is in it.
    pub expiry: Option<Delay>,
}

/// What the checks need from outside.
pub struct BranchContext<'a> {
    /// Outputs of commitment transactions, from the chain.
    pub commitment_outputs: &'a HashMap<OutPoint, TxOut>,
    /// The operator's forfeit key: in every sweep leaf.
    pub forfeit_key: XOnlyPublicKey,
    /// The batch expiry in the sweep leaves. Every node is recomputed with it.
    pub expiry: Delay,
}

impl Branch {
    /// The transaction with the VTXO.
    pub fn leaf(&self) -> Option<&Transaction> {
        self.nodes.last().map(|node| &node.tx)
    }

    /// The transactions that make VTXOs on the way: checkpoints, ark transactions, the tree leaves they spend, and the
    /// last. A confirmed one means that somebody takes this very branch on chain; nodes above are others' business, too.
    pub fn vtxo_transactions(&self) -> Vec<Txid> {
        let off_tree = |node: &&BranchNode| node.cosigners.is_empty();
        let spent: Vec<Txid> = self
            .nodes
            .iter()
            .filter(off_tree)
            .flat_map(|node| node.tx.input.iter().map(|input| input.previous_output.txid))
            .collect();
        let last = self.nodes.len().saturating_sub(1);
        let makes = |(index, node): (usize, &BranchNode)| {
            let txid = node.tx.compute_txid();
            (index == last || node.cosigners.is_empty() || spent.contains(&txid)).then_some(txid)
        };
        self.nodes.iter().enumerate().filter_map(makes).collect()
    }

    /// The outputs of trees that `target` was made from off chain; itself where it stands in one. Whoever had one of them may
    /// put it on chain.
    pub fn origins(&self, target: OutPoint) -> Vec<OutPoint> {
        let in_tree = |node: &&BranchNode| !node.cosigners.is_empty();
        let tree: HashSet<Txid> = self.nodes.iter().filter(in_tree).map(|node| node.tx.compute_txid()).collect();
        let made = self.nodes.iter().filter(|node| node.cosigners.is_empty());
        let spent = made.flat_map(|node| node.tx.input.iter().map(|input| input.previous_output));
        let mut origins: Vec<OutPoint> = spent.filter(|spent| tree.contains(&spent.txid)).collect();
        if origins.is_empty() {
            origins.push(target);
        }
        origins
    }

    /// Every outpoint an exit passes through: what a watcher looks at.
    pub fn outpoints(&self) -> Vec<OutPoint> {
        self.nodes.iter().flat_map(|node| node.tx.input.iter().map(|input| input.previous_output)).collect()
    }

    /// Whether `key` is among the cosigners of every tree node. If so (and the branch verifies) nobody can sign another
    /// tree in this one's place without its owner; if not, the others can.
    pub fn cosigned_by(&self, key: &PublicKey) -> bool {
        let mut tree = self.nodes.iter().filter(|node| !node.cosigners.is_empty()).peekable();
        tree.peek().is_some() && tree.all(|node| node.cosigners.contains(key))
    }

    /// Verifies the whole branch down to `target`, which must be `expected`.
    pub fn verify(
        &self,
        context: &BranchContext<'_>,
        target: OutPoint,
        expected: &TxOut,
    ) -> Result<BranchReport, ChannelError> {
        let refuse = |what: String| ChannelError::InvalidBranch { what };
        if self.nodes.is_empty() || self.nodes.len() > MAX_NODES {
            return Err(refuse(format!("{} transactions", self.nodes.len())));
        }
        // Outputs of the branch so far, with the level of their transaction and whether it is of a batch tree.
        let mut outputs: HashMap<OutPoint, (TxOut, usize, bool)> = HashMap::new();
        let mut spent = HashSet::new();
        let mut commitments = Vec::new();
        let mut report = BranchReport { levels: 0, weight: 0, commitments: Vec::new(), expiry: None };
        for node in &self.nodes {
            let txid = node.tx.compute_txid();
            let in_tree = !node.cosigners.is_empty();
            check_shape(&node.tx)?;
            let mut prevouts = Vec::with_capacity(node.tx.input.len());
            let mut level = 0;
            for input in &node.tx.input {
                let outpoint = input.previous_output;
                // The chain takes one of two spends only, and none of a transaction that spends the same output twice.
                if !spent.insert(outpoint) {
                    return Err(refuse(format!("{outpoint} is spent twice")));
                }
                let (prevout, parent_level) = match outputs.get(&outpoint) {
                    Some((prevout, level, parent_in_tree)) => {
                        if in_tree && !parent_in_tree {
                            return Err(refuse(format!("{txid} is a tree node below an off-chain transaction")));
                        }
                        (prevout.clone(), *level)
                    }
                    None => {
                        let prevout = context
                            .commitment_outputs
                            .get(&outpoint)
                            .ok_or_else(|| refuse(format!("{txid} spends the unknown output {outpoint}")))?;
                        // Without its cosigners nothing says that the output is a batch at all.
                        if !in_tree {
                            return Err(refuse(format!("{txid} spends a commitment transaction without cosigners")));
                        }
                        commitments.push(outpoint.txid);
                        (prevout.clone(), 0)
                    }
                };
                level = level.max(parent_level + 1);
                prevouts.push(prevout);
            }
            if level > MAX_LEVELS {
                return Err(ChannelError::BranchTooDeep { levels: level, limit: MAX_LEVELS });
            }
            check_amounts(&node.tx, &prevouts)?;
            if in_tree {
                check_tree_node(node, &prevouts, context)?;
                report.expiry = Some(context.expiry);
            }
            check_signatures(&node.tx, &prevouts, in_tree)?;
            report.levels = report.levels.max(level);
            report.weight += node.tx.weight().to_wu();
            for (vout, output) in node.tx.output.iter().enumerate() {
                outputs.insert(OutPoint::new(txid, vout as u32), (output.clone(), level, in_tree));
            }
        }
        match outputs.get(&target) {
            Some((output, ..)) if output == expected => {}
            Some(_) => return Err(refuse(format!("{target} is not the agreed output"))),
            None => return Err(refuse(format!("{target} is not in it"))),
        }
        self.check_aim(target, &spent)?;
        commitments.sort_unstable();
        commitments.dedup();
        report.commitments = commitments;
        Ok(report)
    }

    /// All of it leads to `target`: the last transaction holds it, and each one before has an output that is spent on the
    /// way. So nothing in the branch spends the VTXO itself, and no transaction is paid for that brings nothing.
    fn check_aim(&self, target: OutPoint, spent: &HashSet<OutPoint>) -> Result<(), ChannelError> {
        let refuse = |what: String| ChannelError::InvalidBranch { what };
        if self.leaf().is_none_or(|leaf| leaf.compute_txid() != target.txid) {
            return Err(refuse(format!("{target} is not in its last transaction")));
        }
        let parents: HashSet<Txid> = spent.iter().map(|outpoint| outpoint.txid).collect();
        let idle = self.nodes.iter().rev().skip(1).map(|node| node.tx.compute_txid());
        match idle.into_iter().find(|txid| !parents.contains(txid)) {
            Some(txid) => Err(refuse(format!("{txid} leads nowhere"))),
            None => Ok(()),
        }
    }
}

/// Version 3, small enough to relay, anchor last and no other dust.
fn check_shape(tx: &Transaction) -> Result<(), ChannelError> {
    let refuse = |what: &str| ChannelError::InvalidBranch { what: format!("{}: {what}", tx.compute_txid()) };
    if tx.version.0 != 3 {
        return Err(refuse("version is not 3"));
    }
    if tx.input.is_empty() || tx.input.len() > MAX_NODES {
        return Err(refuse("number of inputs"));
    }
    if tx.output.last() != Some(&anchor()) {
        return Err(refuse("the last output is no anchor"));
    }
    if tx.weight().to_wu() > MAX_WEIGHT {
        return Err(refuse("too heavy to relay"));
    }
    let outputs = tx.output.iter().rev().skip(1);
    if outputs.into_iter().any(|output| output.value < output.script_pubkey.minimal_non_dust()) {
        return Err(refuse("an output beside the anchor is dust"));
    }
    Ok(())
}

/// Zero fee: the chain takes a dust anchor under no other condition.
fn check_amounts(tx: &Transaction, prevouts: &[TxOut]) -> Result<(), ChannelError> {
    let sum = |outputs: &[TxOut]| outputs.iter().try_fold(0u64, |sum, output| sum.checked_add(output.value.to_sat()));
    match (sum(prevouts), sum(&tx.output)) {
        (Some(input), Some(output)) if input == output => Ok(()),
        _ => Err(ChannelError::InvalidBranch { what: format!("{}: amounts do not add up", tx.compute_txid()) }),
    }
}

/// An off-chain transaction must not wait on chain for anything but the CLTV of its leaves, which had passed when the
/// operator signed it.
fn check_locks(tx: &Transaction, leaf_locks: &[absolute::LockTime]) -> Result<(), ChannelError> {
    let refuse = |what: &str| ChannelError::InvalidBranch { what: format!("{}: {what}", tx.compute_txid()) };
    let known = [Sequence::MAX, Sequence::ENABLE_LOCKTIME_NO_RBF];
    if tx.input.iter().any(|input| !known.contains(&input.sequence)) {
        return Err(refuse("a sequence would make it wait"));
    }
    if tx.lock_time != absolute::LockTime::ZERO && !leaf_locks.contains(&tx.lock_time) {
        return Err(refuse("a locktime that no leaf asks for would make it wait"));
    }
    Ok(())
}

/// A tree node: final, one input, and that input is the aggregate of its cosigners tweaked with the sweep leaf.
fn check_tree_node(node: &BranchNode, prevouts: &[TxOut], context: &BranchContext<'_>) -> Result<(), ChannelError> {
    let refuse = |what: &str| ChannelError::InvalidBranch { what: format!("{}: {what}", node.tx.compute_txid()) };
    let ([prevout], [input]) = (prevouts, node.tx.input.as_slice()) else {
        return Err(refuse("a tree node has one input"));
    };
    if node.tx.lock_time != absolute::LockTime::ZERO || input.sequence != Sequence::MAX {
        return Err(refuse("a tree node must be final"));
    }
    if tree_output_script(&node.cosigners, context.forfeit_key, context.expiry)? != prevout.script_pubkey {
        return Err(refuse("its input is not its cosigners' key with the operator's sweep leaf"));
    }
    Ok(())
}

/// The MuSig2 aggregate of `cosigners` (sorted, as arkd does), as bytes for [`tree_output_script`] and for signing.
pub fn aggregate(cosigners: &[PublicKey]) -> Result<musig::musig::KeyAggCache, ChannelError> {
    if cosigners.is_empty() || cosigners.len() > 1024 {
        return Err(ChannelError::InvalidBranch { what: format!("{} cosigners", cosigners.len()) });
    }
    let mut keys: Vec<[u8; 33]> = cosigners.iter().map(PublicKey::serialize).collect();
    keys.sort_unstable();
    let keys = keys
        .iter()
        .map(|key| musig::PublicKey::from_slice(key).map_err(|_| ChannelError::InvalidKey))
        .collect::<Result<Vec<_>, _>>()?;
    Ok(musig::musig::KeyAggCache::new(&keys.iter().collect::<Vec<_>>()))
}

/// The hash of the sweep leaf, the root of every tree node's output.
pub fn sweep_root(forfeit_key: XOnlyPublicKey, expiry: Delay) -> TapNodeHash {
    let script = csv_multisig(expiry, &[forfeit_key]);
    TapNodeHash::from(TapLeafHash::from_script(&script, LeafVersion::TapScript))
}

/// The output script a tree node's cosigners spend: their aggregate key, tweaked with the sweep leaf.
pub fn tree_output_script(
    cosigners: &[PublicKey],
    forfeit_key: XOnlyPublicKey,
    expiry: Delay,
) -> Result<ScriptBuf, ChannelError> {
    let aggregate = aggregate(cosigners)?.agg_pk();
    let internal = XOnlyPublicKey::from_slice(&aggregate.to_byte_array()).map_err(|_| ChannelError::InvalidKey)?;
    Ok(ScriptBuf::new_p2tr(SECP256K1, internal, Some(sweep_root(forfeit_key, expiry))))
}

/// The tweak that [`tree_output_script`] adds to the aggregate key.
pub fn sweep_tweak(internal: XOnlyPublicKey, forfeit_key: XOnlyPublicKey, expiry: Delay) -> TapTweakHash {
    TapTweakHash::from_key_and_tweak(internal, Some(sweep_root(forfeit_key, expiry)))
}

/// Whether `tx` spends `prevouts`, input by input, by leaves of checksigs and with all their signatures, as checkpoints and
/// ark transactions do.
pub fn is_signed_offchain(tx: &Transaction, prevouts: &[TxOut]) -> bool {
    !prevouts.is_empty() && tx.input.len() == prevouts.len() && check_signatures(tx, prevouts, false).is_ok()
}

/// Verifies every input's witness: a key-path spend in a batch tree, else a script-path spend by a leaf of checksigs.
fn check_signatures(tx: &Transaction, prevouts: &[TxOut], in_tree: bool) -> Result<(), ChannelError> {
    let txid = tx.compute_txid();
    let refuse = |what: &str| ChannelError::InvalidBranch { what: format!("{txid}: {what}") };
    let spent = Prevouts::All(prevouts);
    let mut cache = SighashCache::new(tx);
    let mut leaf_locks = Vec::new();
    for (index, (input, prevout)) in tx.input.iter().zip(prevouts).enumerate() {
        if !prevout.script_pubkey.is_p2tr() {
            return Err(refuse("spends an output that is not taproot"));
        }
        let key = prevout.script_pubkey.as_bytes().get(2..).unwrap_or_default();
        let key = XOnlyPublicKey::from_slice(key).map_err(|_| ChannelError::InvalidKey)?;
        let mut items: Vec<&[u8]> = input.witness.iter().collect();
        if in_tree {
            let [signature] = items.as_slice() else { return Err(refuse("an input is not signed")) };
            let message = cache
                .taproot_key_spend_signature_hash(index, &spent, TapSighashType::Default)
                .map_err(|_| refuse("no key-spend message"))?;
            check_schnorr(signature, &message.into(), &key).ok_or_else(|| refuse("signature is invalid"))?;
            continue;
        }
        let (Some(control), Some(script)) = (items.pop(), items.pop()) else {
            return Err(refuse("an input is not signed"));
        };
        let script = ScriptBuf::from_bytes(script.to_vec());
        let control = ControlBlock::decode(control).map_err(|_| refuse("control block"))?;
        if control.leaf_version != LeafVersion::TapScript || !control.verify_taproot_commitment(SECP256K1, key, &script)
        {
            return Err(refuse("the leaf is not in the spent output"));
        }
        let leaf = TapLeafHash::from_script(&script, LeafVersion::TapScript);
        let message = cache
            .taproot_script_spend_signature_hash(index, &spent, leaf, TapSighashType::Default)
            .map_err(|_| refuse("no script-spend message"))?
            .into();
        let (keys, lock) =
            checksig_keys(&script, tx, input.sequence).ok_or_else(|| refuse("leaf is not a multisig"))?;
        leaf_locks.extend(lock);
        if keys.is_empty() || keys.len() != items.len() {
            return Err(refuse("number of signatures"));
        }
        for (key, signature) in keys.iter().zip(items.iter().rev()) {
            check_schnorr(signature, &message, key).ok_or_else(|| refuse("signature is invalid"))?;
        }
    }
    if in_tree { Ok(()) } else { check_locks(tx, &leaf_locks) }
}

fn check_schnorr(signature: &[u8], message: &secp256k1::Message, key: &XOnlyPublicKey) -> Option<()> {
    // 64 bytes: SIGHASH_DEFAULT and nothing else.
    let signature = bitcoin::secp256k1::schnorr::Signature::from_slice(signature).ok()?;
    SECP256K1.verify_schnorr(&signature, message, key).ok()
}

/// The keys of `<k> CHECKSIGVERIFY … <k> CHECKSIG`, and the CLTV before them, if any, that the transaction satisfies.
fn checksig_keys(
    script: &ScriptBuf,
    tx: &Transaction,
    sequence: Sequence,
) -> Option<(Vec<XOnlyPublicKey>, Option<absolute::LockTime>)> {
    use bitcoin::opcodes::all::OP_CLTV;
    use bitcoin::script::Instruction;

    let parts = script.instructions_minimal().collect::<Result<Vec<_>, _>>().ok()?;
    let keys: Vec<XOnlyPublicKey> = parts
        .iter()
        .filter_map(|part| match part {
            Instruction::PushBytes(bytes) if bytes.len() == 32 => XOnlyPublicKey::from_slice(bytes.as_bytes()).ok(),
            _ => None,
        })
        .collect();
    let cltv = match parts.as_slice() {
        [Instruction::PushBytes(number), Instruction::Op(OP_CLTV), ..] => {
            let number = bitcoin::script::read_scriptint_non_minimal(number.as_bytes()).ok()?;
            Some(absolute::LockTime::from_consensus(u32::try_from(number).ok()?))
        }
        _ => None,
    };
    let rebuilt = match cltv {
        Some(locktime) if locktime.is_implied_by(tx.lock_time) && sequence != Sequence::MAX => {
            super::script::cltv_multisig(locktime, &keys)
        }
        Some(_) => return None,
        None => super::script::multisig(&keys),
    };
    (rebuilt == *script).then_some((keys, cltv))
}

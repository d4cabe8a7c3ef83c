//! The way out on chain: which transactions must confirm in which order, and what they say of the channel.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint, ScriptBuf, Transaction, TxOut, Txid, absolute, transaction};
use secp256k1::Keypair;

use super::branch::Branch;
use super::offchain::unsigned_input;
use super::script::{ANCHOR_SCRIPT, Leaf};
use super::transactions::set_witness;
use super::{Channel, ChannelError, Delay, psbt};

/// The transactions that put a VTXO on chain, parents before children; the last one holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitPath {
    nodes: Vec<Transaction>,
}

impl ExitPath {
    /// The path of a branch, and what follows it: the checkpoint and the ark transaction of a close.
    pub fn new(branch: &Branch, then: impl IntoIterator<Item = Transaction>) -> Self {
        let nodes = branch.nodes.iter().map(|node| node.tx.clone()).chain(then);
        Self { nodes: nodes.collect() }
    }

    pub fn nodes(&self) -> &[Transaction] {
        &self.nodes
    }

    /// The transaction at the end.
    pub fn last(&self) -> Option<&Transaction> {
        self.nodes.last()
    }

    /// The output at the end that `outpoint` names.
    pub fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        let holder = self.nodes.iter().find(|tx| tx.compute_txid() == outpoint.txid)?;
        holder.output.get(usize::try_from(outpoint.vout).ok()?)
    }

    fn inside(&self) -> HashSet<Txid> {
        self.nodes.iter().map(Transaction::compute_txid).collect()
    }

    /// The transactions outside the path that it spends from: commitment transactions.
    pub fn roots(&self) -> Vec<Txid> {
        let inside = self.inside();
        let mut roots: Vec<Txid> = parents(self.nodes.iter()).filter(|txid| !inside.contains(txid)).collect();
        roots.sort_unstable();
        roots.dedup();
        roots
    }

    /// How many transactions must confirm one after the other, of those that `confirmed` does not name.
    pub fn levels(&self, confirmed: &HashSet<Txid>) -> usize {
        self.by_level(confirmed).last().map_or(0, |(level, _)| *level)
    }

    /// How many of them go out together at most: each needs a coin that pays for it.
    pub fn width(&self, confirmed: &HashSet<Txid>) -> usize {
        let levels = self.by_level(confirmed);
        levels.iter().map(|(level, _)| levels.iter().filter(|(other, _)| other == level).count()).max().unwrap_or(0)
    }

    /// Levels from 1 with their transactions, in order.
    fn by_level(&self, confirmed: &HashSet<Txid>) -> Vec<(usize, Txid)> {
        let mut depth: Vec<(usize, Txid)> = Vec::with_capacity(self.nodes.len());
        for tx in self.nodes.iter().filter(|tx| !confirmed.contains(&tx.compute_txid())) {
            let above = parents([tx]).filter_map(|parent| depth.iter().find(|(_, txid)| *txid == parent));
            let level = above.map(|(level, _)| *level).max().unwrap_or(0) + 1;
            depth.push((level, tx.compute_txid()));
        }
        depth.sort_unstable_by_key(|(level, _)| *level);
        depth
    }
}

fn parents<'a>(txs: impl IntoIterator<Item = &'a Transaction>) -> impl Iterator<Item = Txid> {
    txs.into_iter().flat_map(|tx| tx.input.iter().map(|input| input.previous_output.txid))
}

/// The output of a zero-fee transaction by which anybody can pay for it.
pub fn anchor_of(tx: &Transaction) -> Option<OutPoint> {
    let vout = tx.output.iter().position(|output| output.script_pubkey.as_bytes() == ANCHOR_SCRIPT)?;
    Some(OutPoint::new(tx.compute_txid(), u32::try_from(vout).ok()?))
}

/// The first output of `tx` that pays to `script`.
pub fn output_to(tx: &Transaction, script: &ScriptBuf) -> Option<(OutPoint, Amount)> {
    let (vout, output) = tx.output.iter().enumerate().find(|(_, output)| output.script_pubkey == *script)?;
    Some((OutPoint::new(tx.compute_txid(), u32::try_from(vout).ok()?), output.value))
}

/// What a transaction that spends a channel VTXO on chain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelSpend {
    /// The receiver left with this amount.
    ExitUpdate { amount: Amount },
    /// The payer took everything back by the leaf that is its own, whatever it made of it.
    UnilateralRefund,
    /// A checkpoint, or something that nobody agreed to.
    Other,
}

impl Channel {
    /// What `tx` is, by building it again, or by the leaf it spends the channel with.
    pub fn spend_of(&self, tx: &Transaction) -> ChannelSpend {
        let txid = tx.compute_txid();
        let spending = tx.input.iter().find(|input| input.previous_output == self.funding);
        let leaf = spending.and_then(|input| input.witness.taproot_leaf_script());
        let is_payers = leaf
            .is_some_and(|leaf| self.unilateral_leaf().is_ok_and(|payers| payers.script.as_script() == leaf.script));
        if is_payers || txid == self.unilateral_refund().compute_txid() {
            return ChannelSpend::UnilateralRefund;
        }
        let amount = tx.output.first().map_or(Amount::ZERO, |output| output.value);
        match self.exit_update(amount) {
            Ok(exit) if exit.compute_txid() == txid => ChannelSpend::ExitUpdate { amount },
            _ => ChannelSpend::Other,
        }
    }
}

/// A VTXO on chain that its owner alone can spend after a delay.
#[derive(Debug, Clone)]
pub struct OwnExit {
    pub outpoint: OutPoint,
    pub prevout: TxOut,
    /// The leaf with the delay.
    pub leaf: Leaf,
    pub delay: Delay,
    /// Where the money goes.
    pub to: ScriptBuf,
}

impl OwnExit {
    /// What the claim takes in a block.
    pub fn vsize(&self) -> u64 {
        let mut tx = self.unsigned(self.prevout.value);
        let signature = [0; 64];
        let mut witness = bitcoin::Witness::new();
        witness.push(signature);
        witness.push(self.leaf.script.as_bytes());
        witness.push(self.leaf.control.serialize());
        set_witness(&mut tx, witness);
        tx.vsize() as u64
    }

    /// The claim, paying `fee` out of the amount; `None` when no more than dust is left. A later claim with a higher
    /// fee replaces it.
    pub fn claim(&self, fee: Amount, owner: &Keypair) -> Result<Option<Transaction>, ChannelError> {
        let left = self.prevout.value.checked_sub(fee).filter(|left| *left >= self.to.minimal_non_dust());
        let Some(left) = left else { return Ok(None) };
        let mut tx = self.unsigned(left);
        let message = psbt::sighash(&tx, 0, std::slice::from_ref(&self.prevout), &self.leaf)?;
        set_witness(&mut tx, psbt::witness(&self.leaf, &[psbt::sign(&message, owner)]));
        Ok(Some(tx))
    }

    fn unsigned(&self, value: Amount) -> Transaction {
        let input = vec![unsigned_input(self.outpoint, self.delay.sequence())];
        let output = vec![TxOut { value, script_pubkey: self.to.clone() }];
        // Not version 3: what spends its output need not be, either.
        Transaction { version: transaction::Version::TWO, lock_time: absolute::LockTime::ZERO, input, output }
    }
}

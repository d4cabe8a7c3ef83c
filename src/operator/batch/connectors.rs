//! Connectors: outputs of the batch that a forfeit transaction spends beside the VTXO, so that it is worth nothing
//! without the commitment transaction.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, Transaction, TxOut, Txid};

use crate::channel::branch::MAX_LEVELS;
use crate::channel::script::ANCHOR_SCRIPT;
use crate::operator::error::OperatorError;

/// Nodes of the connector tree that concern one intent.
const MAX_CONNECTOR_NODES: usize = 1024;

/// What all of them may hold, in bytes: the names of the VTXOs below a node are most of it.
const MAX_BYTES: usize = 16 << 20;

/// The nodes of the connector tree that lead to our connectors.
#[derive(Default)]
pub(super) struct Connectors {
    /// With the VTXOs whose connectors are at or below a node, in the order of its outputs.
    nodes: HashMap<Txid, (Transaction, Vec<String>)>,
    bytes: usize,
}

/// An output for a forfeit transaction to spend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connector {
    pub(super) outpoint: OutPoint,
    pub(super) output: TxOut,
}

impl Connectors {
    pub(super) fn add(&mut self, tx: Transaction, topics: &[String]) -> Result<(), OperatorError> {
        self.bytes += tx.total_size() + topics.iter().map(|topic| topic.len() + size_of::<String>()).sum::<usize>();
        if self.bytes > MAX_BYTES || self.nodes.len() >= MAX_CONNECTOR_NODES {
            return Err(OperatorError::refuse("the connector tree is too large"));
        }
        self.nodes.insert(tx.compute_txid(), (tx, topics.to_vec()));
        Ok(())
    }

    /// The connector of each of `vtxos`, in order: all different, all hanging on the commitment transaction.
    pub(super) fn assign(&self, vtxos: &[OutPoint], commitment: &Transaction) -> Result<Vec<Connector>, OperatorError> {
        let spent: HashSet<OutPoint> =
            self.nodes.values().flat_map(|(tx, _)| tx.input.iter().map(|input| input.previous_output)).collect();
        let mut taken = HashSet::new();
        let commitment_txid = commitment.compute_txid();
        vtxos
            .iter()
            .map(|vtxo| {
                let connector =
                    self.leaf(vtxo, &spent).ok_or_else(|| OperatorError::refuse(format!("no connector for {vtxo}")))?;
                if !taken.insert(connector.outpoint) {
                    return Err(OperatorError::refuse(format!("{} connects two VTXOs", connector.outpoint)));
                }
                self.check_descent(connector.outpoint.txid, commitment, commitment_txid)?;
                Ok(connector)
            })
            .collect()
    }

    /// The output that the operator means for `vtxo`.
    fn leaf(&self, vtxo: &OutPoint, spent: &HashSet<OutPoint>) -> Option<Connector> {
        let topic = vtxo.to_string();
        self.nodes.iter().find_map(|(txid, (tx, topics))| {
            let place = topics.iter().position(|candidate| *candidate == topic)?;
            let outputs = tx.output.iter().enumerate();
            let mut connectors = outputs.filter(|(_, output)| output.script_pubkey.as_bytes() != ANCHOR_SCRIPT);
            let (vout, output) = connectors.nth(place)?;
            let is_leaf = (0..tx.output.len()).all(|vout| !spent.contains(&OutPoint::new(*txid, vout as u32)));
            is_leaf.then(|| Connector { outpoint: OutPoint::new(*txid, vout as u32), output: output.clone() })
        })
    }

    /// Whether the transaction spends, through others of the tree, an output of the commitment transaction.
    fn check_descent(&self, txid: Txid, commitment: &Transaction, commitment_txid: Txid) -> Result<(), OperatorError> {
        let broken = || OperatorError::refuse(format!("connector {txid} does not hang on the commitment transaction"));
        let mut current = txid;
        for _ in 0..MAX_LEVELS {
            let (tx, _) = self.nodes.get(&current).ok_or_else(broken)?;
            let [input] = tx.input.as_slice() else { return Err(broken()) };
            let parent = input.previous_output;
            if parent.txid == commitment_txid {
                return commitment.output.get(parent.vout as usize).map(drop).ok_or_else(broken);
            }
            let (above, _) = self.nodes.get(&parent.txid).ok_or_else(broken)?;
            above.output.get(parent.vout as usize).ok_or_else(broken)?;
            current = parent.txid;
        }
        Err(broken())
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::Sequence;
    use bitcoin::hashes::Hash;

    use super::super::tests::all;
    use super::*;

    #[test]
    fn connectors_that_hang_in_the_air_are_refused() {
        let batch = &all()[0];
        let (node, topics) = &batch.connectors[0];
        let vtxo: OutPoint = topics[0].parse().unwrap();
        let commitment = &batch.commitment.unsigned_tx;
        let with = |tx: bitcoin::Transaction, topics: &[String]| {
            let mut connectors = Connectors::default();
            connectors.add(tx, topics).unwrap();
            connectors
        };
        let good = with(node.unsigned_tx.clone(), topics);
        assert!(good.assign(&[vtxo], commitment).is_ok());
        assert!(good.assign(&[], commitment).unwrap().is_empty());
        assert!(good.assign(&[vtxo, vtxo], commitment).is_err(), "one connector for two");
        assert!(good.assign(&[OutPoint { vout: 9, ..vtxo }], commitment).is_err(), "no connector");
        assert!(Connectors::default().assign(&[vtxo], commitment).is_err(), "nothing came");
        let mut tx = node.unsigned_tx.clone();
        tx.input[0].previous_output.txid = Txid::all_zeros();
        assert!(with(tx, topics).assign(&[vtxo], commitment).is_err(), "another batch's");
        let mut tx = node.unsigned_tx.clone();
        tx.input[0].previous_output.vout = 77;
        assert!(with(tx, topics).assign(&[vtxo], commitment).is_err(), "no such output");
        let mut tx = node.unsigned_tx.clone();
        tx.input[0].sequence = Sequence::ZERO;
        tx.input.push(tx.input[0].clone());
        assert!(with(tx, topics).assign(&[vtxo], commitment).is_err(), "two inputs");
    }
}

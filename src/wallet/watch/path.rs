//! A branch as a watcher sees it: what of it is on chain follows from which of its outpoints are spent by what.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, Txid};

use crate::chain::{Spend, TxStatus};
use crate::channel::branch::Branch;

/// What spends outpoints that were asked about.
pub(super) type Spends = HashMap<OutPoint, Option<Spend>>;

/// The way from commitment transactions down to a VTXO.
pub(super) struct Path {
    target: OutPoint,
    /// Parents first: each transaction with what it spends.
    steps: Vec<(Txid, Vec<OutPoint>)>,
    ids: HashSet<Txid>,
    /// Those that make the VTXO or one that it was made from.
    makers: HashSet<Txid>,
}

/// How far a VTXO is on its way on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OnChain {
    /// The transaction that makes the VTXO.
    pub made: TxStatus,
    /// The furthest of those that make the VTXO or one that it was made from. Others' exits put the upper nodes of a
    /// shared tree on chain, which means nothing yet.
    pub unrolled: Option<(Txid, TxStatus)>,
    /// What spends the VTXO on chain.
    pub spent: Option<Spend>,
    /// A transaction that is not of the branch spends what the branch needs: the VTXO cannot come on chain any more.
    pub cut: Option<Spend>,
}

impl OnChain {
    /// Nothing is known of the branch.
    pub const UNSEEN: Self = Self { made: TxStatus::Unknown, unrolled: None, spent: None, cut: None };
}

impl Path {
    pub fn of(branch: &Branch, target: OutPoint) -> Self {
        let inputs = |tx: &bitcoin::Transaction| tx.input.iter().map(|input| input.previous_output).collect::<Vec<_>>();
        let steps: Vec<_> = branch.nodes.iter().map(|node| (node.tx.compute_txid(), inputs(&node.tx))).collect();
        let ids = steps.iter().map(|(txid, _)| *txid).collect();
        Self { target, steps, ids, makers: branch.vtxo_transactions().into_iter().collect() }
    }

    /// The outpoints to ask about next, given what is known: outputs of commitment transactions first, and those of a
    /// transaction of the branch only once that is on chain. Empty when nothing more can be learned.
    pub fn frontier(&self, spends: &Spends) -> Vec<OutPoint> {
        let mut open = Vec::new();
        let on_chain = self.walk(spends, |outpoint, _, known| {
            if known.is_none() {
                open.push(outpoint);
            }
        });
        if on_chain.contains_key(&self.target.txid) && !spends.contains_key(&self.target) {
            open.push(self.target);
        }
        open
    }

    pub fn on_chain(&self, spends: &Spends) -> OnChain {
        let mut cut = None;
        let on_chain = self.walk(spends, |_, txid, known| {
            cut = cut.or(known.flatten().filter(|spend| spend.txid != txid));
        });
        let status = |txid: &Txid| on_chain.get(txid).copied().unwrap_or(TxStatus::Unknown);
        let mut unrolled = None;
        for (txid, _) in self.steps.iter().filter(|(txid, _)| self.makers.contains(txid)) {
            match (status(txid), unrolled) {
                (TxStatus::Unknown, _) => {}
                (TxStatus::Mempool, Some(_)) => {}
                (seen, _) => unrolled = Some((*txid, seen)),
            }
        }
        OnChain { made: status(&self.target.txid), unrolled, spent: spends.get(&self.target).copied().flatten(), cut }
    }

    /// Goes down as far as the branch is on chain, and answers which of it is. `see` gets every outpoint on the way, the
    /// transaction of the branch that spends it, and what is known to spend it.
    fn walk(
        &self,
        spends: &Spends,
        mut see: impl FnMut(OutPoint, Txid, Option<Option<Spend>>),
    ) -> HashMap<Txid, TxStatus> {
        let mut on_chain: HashMap<Txid, TxStatus> = HashMap::new();
        for (txid, inputs) in &self.steps {
            for outpoint in inputs {
                if self.ids.contains(&outpoint.txid) && !on_chain.contains_key(&outpoint.txid) {
                    continue;
                }
                let known = spends.get(outpoint).copied();
                see(*outpoint, *txid, known);
                if let Some(spend) = known.flatten().filter(|spend| spend.txid == *txid) {
                    on_chain.insert(*txid, spend.status);
                }
            }
        }
        on_chain
    }
}

#[cfg(test)]
mod tests {
    use bitcoin::absolute::LockTime;
    use bitcoin::hashes::Hash;
    use bitcoin::transaction::Version;
    use bitcoin::{Amount, BlockHash, ScriptBuf, Transaction, TxIn, TxOut};

    use super::*;
    use crate::channel::branch::BranchNode;

    fn tx(spends: &[OutPoint], outputs: u64) -> Transaction {
        let input = spends.iter().map(|outpoint| TxIn { previous_output: *outpoint, ..TxIn::default() }).collect();
        let output = (0..outputs).map(|n| TxOut { value: Amount::from_sat(n), script_pubkey: ScriptBuf::new() });
        Transaction { version: Version(3), lock_time: LockTime::ZERO, input, output: output.collect() }
    }

    fn out(tx: &Transaction, vout: u32) -> OutPoint {
        OutPoint::new(tx.compute_txid(), vout)
    }

    /// A root with two children, a leaf below the first, a checkpoint and an ark transaction below that.
    struct Case {
        root: OutPoint,
        txs: Vec<Transaction>,
        path: Path,
    }

    fn case() -> Case {
        let cosigner = bitcoin::secp256k1::SecretKey::from_slice(&[7; 32]).unwrap();
        let cosigner = cosigner.public_key(crate::channel::SECP256K1);
        let root = OutPoint::new(Txid::from_byte_array([9; 32]), 0);
        let top = tx(&[root], 3);
        let leaf = tx(&[out(&top, 0)], 2);
        let checkpoint = tx(&[out(&leaf, 0)], 2);
        let ark = tx(&[out(&checkpoint, 0)], 2);
        let txs = vec![top, leaf, checkpoint, ark];
        let node = |(index, tx): (usize, &Transaction)| BranchNode {
            tx: tx.clone(),
            cosigners: if index < 2 { [cosigner].into() } else { [].into() },
        };
        let branch = Branch { nodes: txs.iter().enumerate().map(node).collect() };
        let path = Path::of(&branch, out(&txs[3], 0));
        Case { root, txs, path }
    }

    fn confirmed(txid: Txid) -> Option<Spend> {
        let status = TxStatus::Confirmed { height: 5, hash: BlockHash::all_zeros(), time: 1 };
        Some(Spend { txid, status })
    }

    #[test]
    fn nothing_is_asked_below_what_is_unspent() {
        let case = case();
        let mut spends = Spends::new();
        assert_eq!(case.path.frontier(&spends), [case.root]);
        spends.insert(case.root, None);
        assert!(case.path.frontier(&spends).is_empty());
        let seen = case.path.on_chain(&spends);
        assert_eq!(seen, OnChain { made: TxStatus::Unknown, unrolled: None, spent: None, cut: None });
    }

    #[test]
    fn each_level_is_asked_once_the_one_above_is_on_chain() {
        let Case { root, txs, path } = case();
        let ids: Vec<Txid> = txs.iter().map(Transaction::compute_txid).collect();
        let mut spends = Spends::from([(root, confirmed(ids[0]))]);
        assert_eq!(path.frontier(&spends), [out(&txs[0], 0)]);
        assert_eq!(path.on_chain(&spends).unrolled, None, "others' business");
        spends.insert(out(&txs[0], 0), Some(Spend { txid: ids[1], status: TxStatus::Mempool }));
        assert_eq!(path.on_chain(&spends).unrolled, Some((ids[1], TxStatus::Mempool)), "the ancestor");
        spends.insert(out(&txs[0], 0), confirmed(ids[1]));
        assert_eq!(path.frontier(&spends), [out(&txs[1], 0)]);
        let seen = path.on_chain(&spends);
        assert!(seen.unrolled.is_some_and(|(txid, status)| txid == ids[1] && status.is_confirmed()));
        assert_eq!(seen.made, TxStatus::Unknown);
        spends.insert(out(&txs[1], 0), confirmed(ids[2]));
        spends.insert(out(&txs[2], 0), confirmed(ids[3]));
        assert_eq!(path.frontier(&spends), [out(&txs[3], 0)], "the VTXO itself comes last");
        spends.insert(out(&txs[3], 0), confirmed(ids[0]));
        assert!(path.frontier(&spends).is_empty());
        let seen = path.on_chain(&spends);
        assert!(seen.made.is_confirmed() && seen.cut.is_none());
        assert_eq!(seen.spent, confirmed(ids[0]));
    }

    #[test]
    fn another_spender_cuts_the_branch() {
        let Case { root, txs, path } = case();
        let ids: Vec<Txid> = txs.iter().map(Transaction::compute_txid).collect();
        let stranger = Txid::from_byte_array([3; 32]);
        let mut spends = Spends::from([(root, confirmed(ids[0])), (out(&txs[0], 0), confirmed(ids[1]))]);
        spends.insert(out(&txs[1], 0), confirmed(stranger));
        assert!(path.frontier(&spends).is_empty());
        let seen = path.on_chain(&spends);
        assert_eq!(seen.cut, confirmed(stranger));
        assert_eq!(seen.unrolled.map(|(txid, _)| txid), Some(ids[1]));
    }
}

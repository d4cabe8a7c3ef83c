//! Every transaction of the best chain and of the mempool, found by txid, by script and by the output it spends.
//!
//! It is brought up to date before each question, by what changed since the last one; blocks that a reorg took away
//! are undone first.

use std::collections::{BTreeSet, HashMap, HashSet};

use bitcoin::hashes::{Hash, sha256};
use bitcoin::{BlockHash, OutPoint, Script, Transaction, TxOut, Txid};
use serde_json::json;

use crate::node::{Confirmed, Node, NodeError};

/// A transaction, with what it spends.
pub struct Known {
    /// The transaction itself.
    pub tx: Transaction,
    /// The output each input spends; `None` for a coinbase.
    pub prevouts: Vec<Option<TxOut>>,
    /// Its block; `None` while in the mempool.
    pub confirmed: Option<Confirmed>,
    /// Grows with every transaction that is seen or confirmed, so that lists can be newest first.
    rank: u64,
}

/// The index. Empty at first; [`Index::sync`] fills it.
#[derive(Default)]
pub struct Index {
    blocks: Vec<(BlockHash, Vec<Txid>)>,
    txs: HashMap<Txid, Known>,
    scripts: HashMap<sha256::Hash, BTreeSet<Txid>>,
    spends: HashMap<OutPoint, (Txid, u32)>,
    /// Those of the mempool.
    waiting: HashSet<Txid>,
    ranks: u64,
    /// The node's count of changes that all this is of.
    seen: Option<u64>,
}

/// How often a look at a chain that keeps changing meanwhile is taken anew.
const ATTEMPTS: usize = 20;

impl Index {
    /// Catches up with the node.
    pub async fn sync(&mut self, node: &Node) -> Result<(), NodeError> {
        for _ in 0..ATTEMPTS {
            let changes = node.changes();
            if self.seen == Some(changes) {
                return Ok(());
            }
            let best: BlockHash = node.get("getbestblockhash", vec![]).await?;
            if self.follow_chain(node, best).await?
                && self.follow_mempool(node).await?
                // A block found between both looks would hide its transactions from either.
                && node.get::<BlockHash>("getbestblockhash", vec![]).await? == best
            {
                self.seen = Some(changes);
                return Ok(());
            }
        }
        Ok(())
    }

    /// A transaction of the chain or of the mempool.
    pub fn transaction(&self, txid: &Txid) -> Option<&Known> {
        self.txs.get(txid)
    }

    /// The transaction that spends an output, and by which input.
    pub fn spender(&self, outpoint: &OutPoint) -> Option<(Txid, u32)> {
        self.spends.get(outpoint).copied()
    }

    /// Transactions that pay to or spend from a script, newest first, those of the mempool before all others.
    pub fn history(&self, script: &sha256::Hash) -> Vec<(Txid, &Known)> {
        let txids = self.scripts.get(script).into_iter().flatten();
        let mut found: Vec<_> = txids.filter_map(|txid| Some((*txid, self.txs.get(txid)?))).collect();
        found.sort_by_key(|(_, known)| std::cmp::Reverse((known.confirmed.is_none(), known.rank)));
        found
    }

    /// Outputs to a script that neither the chain nor the mempool spends, oldest first.
    pub fn unspent(&self, script: &sha256::Hash) -> Vec<(OutPoint, &TxOut, Option<Confirmed>)> {
        let mut found = vec![];
        for (txid, known) in self.history(script).into_iter().rev() {
            for (output, vout) in known.tx.output.iter().zip(0..) {
                let outpoint = OutPoint { txid, vout };
                if script_hash(&output.script_pubkey) == *script && !self.spends.contains_key(&outpoint) {
                    found.push((outpoint, output, known.confirmed));
                }
            }
        }
        found
    }

    /// False when the chain changed meanwhile.
    async fn follow_chain(&mut self, node: &Node, best: BlockHash) -> Result<bool, NodeError> {
        if self.blocks.last().is_some_and(|(hash, _)| *hash == best) {
            return Ok(true);
        }
        let tip = node.tip().await?;
        while let Some((hash, _)) = self.blocks.last() {
            let height = self.blocks.len() as u32 - 1;
            if height <= tip.height && (*hash == tip.hash || node.block_hash(height).await? == Some(*hash)) {
                break;
            }
            for txid in self.blocks.pop().into_iter().flat_map(|(_, txids)| txids).rev() {
                self.forget(&txid);
            }
        }
        for height in self.blocks.len() as u32..=tip.height {
            let Some(hash) = node.block_hash(height).await? else { return Ok(false) };
            let block = node.block(hash).await?;
            if self.blocks.last().is_some_and(|(last, _)| *last != block.header.prev_blockhash) {
                return Ok(false);
            }
            let place = Confirmed { height, block_time: block.header.time.into(), block_hash: hash };
            let mut txids = vec![];
            for tx in block.txdata {
                let txid = tx.compute_txid();
                // What was in the mempool may have another witness here.
                self.forget(&txid);
                self.learn(txid, tx, Some(place));
                txids.push(txid);
            }
            self.blocks.push((hash, txids));
        }
        Ok(true)
    }

    /// False when the mempool changed meanwhile.
    async fn follow_mempool(&mut self, node: &Node) -> Result<bool, NodeError> {
        let pool: HashSet<Txid> = node.get("getrawmempool", vec![]).await?;
        for txid in self.waiting.difference(&pool).copied().collect::<Vec<_>>() {
            self.forget(&txid);
        }
        let mut new = vec![];
        for txid in pool.iter().filter(|txid| !self.txs.contains_key(*txid)) {
            match node.call("getrawtransaction", vec![json!(txid)]).await {
                Ok(raw) => new.push((*txid, Node::decode(&raw)?)),
                Err(e) if e.code().is_some() => return Ok(false),
                Err(e) => return Err(e),
            }
        }
        // Parents first, as what an input spends must be known.
        while !new.is_empty() {
            let before = new.len();
            let mut waiting = vec![];
            for (txid, tx) in new {
                let tx: Transaction = tx;
                if tx.input.iter().all(|i| self.txs.contains_key(&i.previous_output.txid)) {
                    self.learn(txid, tx, None);
                } else {
                    waiting.push((txid, tx));
                }
            }
            if waiting.len() == before {
                return Ok(false);
            }
            new = waiting;
        }
        Ok(true)
    }

    fn learn(&mut self, txid: Txid, tx: Transaction, confirmed: Option<Confirmed>) {
        let prevouts: Vec<_> = tx.input.iter().map(|i| self.output(&i.previous_output).cloned()).collect();
        for script in scripts(&tx, &prevouts) {
            self.scripts.entry(script).or_default().insert(txid);
        }
        for (input, vin) in tx.input.iter().zip(0..) {
            self.spends.insert(input.previous_output, (txid, vin));
        }
        self.ranks += 1;
        if confirmed.is_none() {
            self.waiting.insert(txid);
        }
        self.txs.insert(txid, Known { tx, prevouts, confirmed, rank: self.ranks });
    }

    fn forget(&mut self, txid: &Txid) {
        let Some(known) = self.txs.remove(txid) else { return };
        self.waiting.remove(txid);
        for script in scripts(&known.tx, &known.prevouts) {
            if let Some(txids) = self.scripts.get_mut(&script) {
                txids.remove(txid);
            }
        }
        for input in &known.tx.input {
            // A replacement may hold the place by now.
            if self.spends.get(&input.previous_output).is_some_and(|(by, _)| by == txid) {
                self.spends.remove(&input.previous_output);
            }
        }
    }

    fn output(&self, outpoint: &OutPoint) -> Option<&TxOut> {
        self.txs.get(&outpoint.txid)?.tx.output.get(outpoint.vout as usize)
    }
}

/// What Esplora calls a script hash: SHA-256 of the script, displayed in its own byte order.
pub fn script_hash(script: &Script) -> sha256::Hash {
    sha256::Hash::hash(script.as_bytes())
}

fn scripts(tx: &Transaction, prevouts: &[Option<TxOut>]) -> HashSet<sha256::Hash> {
    let outputs = tx.output.iter().chain(prevouts.iter().flatten());
    outputs.map(|o| script_hash(&o.script_pubkey)).collect()
}

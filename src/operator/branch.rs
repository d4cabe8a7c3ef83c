//! Branches from the indexer: what a unilateral exit needs, when it was not kept at the open.

use std::collections::{HashMap, HashSet};

use bitcoin::{OutPoint, Psbt, Txid};

use super::client::CALL_LIMIT;
use super::error::OperatorError;
use super::indexer::PAGE;
use super::node;
use super::{Operator, decode, wire};
use crate::channel::branch::{Branch, BranchNode, MAX_NODES};

/// Links of a chain that are read at most: far more than any branch that is taken.
const MAX_LINKS: usize = 4096;

/// What a transaction above a VTXO is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    Commitment,
    Tree,
    Checkpoint,
    Ark,
}

/// A transaction above a VTXO.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainLink {
    pub txid: Txid,
    pub kind: ChainKind,
    /// Unix seconds; 0 where the operator does not say.
    pub expires_at: u64,
    /// The transactions whose outputs it spends.
    pub spends: Vec<Txid>,
}

impl Operator {
    /// All transactions from the commitment transactions down to a VTXO, in no order.
    pub async fn vtxo_chain(&self, outpoint: OutPoint) -> Result<Vec<ChainLink>, OperatorError> {
        const CALL: &str = "GetVtxoChain";
        let outpoint = wire::IndexerOutpoint { txid: outpoint.txid.to_string(), vout: outpoint.vout };
        let request = wire::GetVtxoChainRequest { outpoint: Some(outpoint), ..Default::default() };
        let answer = self.ask(CALL_LIMIT, &request).await?;
        if answer.chain.len() > MAX_LINKS {
            return Err(OperatorError::bad(CALL, format!("{} transactions", answer.chain.len())));
        }
        answer.chain.into_iter().map(|link| link_of(CALL, link)).collect()
    }

    /// Virtual transactions with the signatures that the operator keeps, in no order.
    pub async fn virtual_txs(&self, txids: &[Txid]) -> Result<Vec<Psbt>, OperatorError> {
        const CALL: &str = "GetVirtualTxs";
        let mut found = Vec::new();
        for chunk in txids.chunks(PAGE as usize) {
            let request = wire::GetVirtualTxsRequest {
                txids: chunk.iter().map(Txid::to_string).collect(),
                page: Some(wire::IndexerPageRequest { size: PAGE, index: 1 }),
                auth: None,
            };
            let answer = self.ask(CALL_LIMIT, &request).await?;
            if answer.txs.len() > chunk.len() {
                return Err(OperatorError::bad(CALL, format!("{} of {} transactions", answer.txs.len(), chunk.len())));
            }
            for text in &answer.txs {
                let psbt = decode::psbt(CALL, text)?;
                if chunk.contains(&psbt.unsigned_tx.compute_txid()) {
                    found.push(psbt);
                }
            }
        }
        Ok(found)
    }

    /// The branch of a VTXO, from a batch or off chain: parents first, with their witnesses. It is not verified; that
    /// needs the commitment transactions from the chain ([`Branch::verify`]).
    pub async fn branch_of(&self, outpoint: OutPoint) -> Result<Branch, OperatorError> {
        let chain = self.vtxo_chain(outpoint).await?;
        let wanted: Vec<Txid> =
            chain.iter().filter(|link| link.kind != ChainKind::Commitment).map(|link| link.txid).collect();
        if wanted.is_empty() || wanted.len() > MAX_NODES {
            let what = format!("{} virtual transactions above {outpoint}, {MAX_NODES} are taken", wanted.len());
            return Err(OperatorError::bad("GetVtxoChain", what));
        }
        let psbts = self.virtual_txs(&wanted).await?;
        assemble(outpoint, psbts)
    }
}

fn link_of(call: &'static str, link: wire::IndexerChain) -> Result<ChainLink, OperatorError> {
    use wire::IndexerChainedTxType as Kind;
    let kind = match Kind::try_from(link.r#type) {
        Ok(Kind::Commitment) => ChainKind::Commitment,
        Ok(Kind::Tree) => ChainKind::Tree,
        Ok(Kind::Checkpoint) => ChainKind::Checkpoint,
        Ok(Kind::Ark) => ChainKind::Ark,
        _ => return Err(OperatorError::bad(call, format!("a transaction of kind {}", link.r#type))),
    };
    if link.spends.len() > MAX_NODES {
        return Err(OperatorError::bad(call, format!("a transaction that spends {}", link.spends.len())));
    }
    Ok(ChainLink {
        txid: decode::txid(call, &link.txid)?,
        kind,
        expires_at: u64::try_from(link.expires_at).unwrap_or(0),
        // arkd names a transaction here, and in other places one of its outputs.
        spends: link
            .spends
            .iter()
            .map(|spent| decode::txid(call, spent.split_once(':').map_or(spent.as_str(), |(txid, _)| txid)))
            .collect::<Result<Vec<_>, _>>()?,
    })
}

/// Puts the transactions that lead to `target` into order, parents first.
pub(super) fn assemble(target: OutPoint, psbts: Vec<Psbt>) -> Result<Branch, OperatorError> {
    const CALL: &str = "GetVirtualTxs";
    let mut nodes: HashMap<Txid, BranchNode> = HashMap::new();
    for psbt in psbts {
        let txid = psbt.unsigned_tx.compute_txid();
        let cosigners = node::cosigners(&psbt)?.into();
        nodes.insert(txid, BranchNode { tx: node::with_witnesses(psbt), cosigners });
    }
    if !nodes.contains_key(&target.txid) {
        return Err(OperatorError::bad(CALL, format!("{} is missing", target.txid)));
    }
    // Up from the target, keeping only what it hangs on.
    let mut needed = HashSet::from([target.txid]);
    let mut open = vec![target.txid];
    while let Some(txid) = open.pop() {
        let Some(node) = nodes.get(&txid) else { continue };
        for input in &node.tx.input {
            let parent = input.previous_output.txid;
            if nodes.contains_key(&parent) && needed.insert(parent) {
                open.push(parent);
            }
        }
    }
    // A transaction comes after all of its parents. Ids are hashes, so there is no cycle; each round takes at least
    // one all the same, or it ends.
    let mut ordered = Vec::with_capacity(needed.len());
    while !needed.is_empty() {
        let mut ready: Vec<Txid> = needed
            .iter()
            .filter(|txid| {
                nodes
                    .get(*txid)
                    .is_some_and(|node| node.tx.input.iter().all(|input| !needed.contains(&input.previous_output.txid)))
            })
            .copied()
            .collect();
        if ready.is_empty() {
            return Err(OperatorError::bad(CALL, "the transactions go in a circle"));
        }
        // The target has no children among them, so it stays last.
        ready.sort_unstable_by_key(|txid| (*txid == target.txid, *txid));
        for txid in ready {
            needed.remove(&txid);
            ordered.extend(nodes.remove(&txid));
        }
    }
    Ok(Branch { nodes: ordered })
}

#[cfg(test)]
mod tests {
    use bitcoin::{Amount, TxOut};

    use super::super::events::Event;
    use super::super::recorded::{UNITS, frames, load, psbt, script};
    use super::*;
    use crate::channel::branch::BranchContext;
    use crate::channel::{Delay, SECP256K1};

    fn txs(answer: &serde_json::Value) -> Vec<Psbt> {
        answer["txs"].as_array().unwrap().iter().map(psbt).collect()
    }

    #[test]
    fn a_branch_from_the_indexer_equals_the_one_from_the_stream() {
        for unit in UNITS {
            let file = load(&format!("life-{unit}"));
            let txs = txs(&file["GetVirtualTxs"]["response"]);
            let target = OutPoint::new(txs[0].unsigned_tx.compute_txid(), 0);
            let branch = assemble(target, txs).unwrap();
            let events = frames(&file, "events.receiver");
            let commitment = events.iter().find_map(|event| match event {
                Event::TreeSigningStarted(event) => Some(decode::psbt("", &event.unsigned_commitment_tx).unwrap()),
                _ => None,
            });
            let commitment = commitment.unwrap().unsigned_tx;
            let expiry = events.iter().find_map(|event| match event {
                Event::BatchStarted(event) => Some(Delay::from_arkd(event.batch_expiry).unwrap()),
                _ => None,
            });
            let root = OutPoint::new(commitment.compute_txid(), 0);
            let said = &file["GetInfo"]["response"];
            let forfeit_key = decode::public_key("", said["forfeitPubkey"].as_str().unwrap()).unwrap();
            let context = BranchContext {
                commitment_outputs: &HashMap::from([(root, commitment.output[0].clone())]),
                forfeit_key: forfeit_key.x_only_public_key().0,
                expiry: expiry.unwrap(),
            };
            let leaf = TxOut {
                value: Amount::from_sat(file["offchain"]["capacity"].as_u64().unwrap()),
                script_pubkey: script(&file["terms"]["script"]),
            };
            let report = branch.verify(&context, target, &leaf).unwrap();
            assert_eq!(report.levels, 1);
            assert_eq!(report.commitments, [root.txid]);
        }
    }

    #[test]
    fn preconfirmed_branches_come_parents_first_and_signed() {
        let file = load("drift-seconds");
        let txs = txs(&file["virtual.preconfirmed"]["response"]);
        let chain = file["chain.preconfirmed"]["response"]["chain"].as_array().unwrap();
        let id = |link: &serde_json::Value| link["txid"].as_str().unwrap().parse::<Txid>().unwrap();
        let target = OutPoint::new(id(&chain[0]), 0);
        // As the operator lists them, and the other way round.
        for txs in [txs.clone(), txs.into_iter().rev().collect()] {
            let branch = assemble(target, txs).unwrap();
            let order: Vec<Txid> = branch.nodes.iter().map(|node| node.tx.compute_txid()).collect();
            assert_eq!(order, [id(&chain[2]), id(&chain[1]), id(&chain[0])]);
            assert!(branch.nodes.iter().all(|node| node.tx.input.iter().all(|input| !input.witness.is_empty())));
            assert!(!branch.nodes[0].cosigners.is_empty());
            assert!(branch.nodes[1].cosigners.is_empty());
            // Checkpoint and ark transaction: the witnesses satisfy their leaves.
            for (index, parent) in [(1, 0), (2, 1)] {
                let tx = &branch.nodes[index].tx;
                let prevout = &branch.nodes[parent].tx.output[tx.input[0].previous_output.vout as usize];
                let witness: Vec<_> = tx.input[0].witness.iter().collect();
                let control = bitcoin::taproot::ControlBlock::decode(witness.last().unwrap()).unwrap();
                let leaf = bitcoin::ScriptBuf::from_bytes(witness[witness.len() - 2].to_vec());
                let key = bitcoin::XOnlyPublicKey::from_slice(&prevout.script_pubkey.as_bytes()[2..]).unwrap();
                assert!(control.verify_taproot_commitment(SECP256K1, key, &leaf));
            }
        }
    }

    #[test]
    fn what_does_not_lead_to_the_target_is_left_out() {
        let file = load("drift-seconds");
        let txs = txs(&file["virtual.preconfirmed"]["response"]);
        let root = txs.iter().find(|tx| !node::cosigners(tx).unwrap().is_empty()).unwrap();
        let target = OutPoint::new(root.unsigned_tx.compute_txid(), 0);
        assert_eq!(assemble(target, txs.clone()).unwrap().nodes.len(), 1);
        assert!(assemble(OutPoint::null(), txs).is_err());
        assert!(assemble(target, Vec::new()).is_err());
    }

    #[test]
    fn links_name_transactions_or_outputs() {
        let id = "a642f996e2c9385516994934fe70f9fb5ab23a20d1e9f47af83cec61cfe3fdda";
        let link = |spends: &str| wire::IndexerChain {
            txid: id.into(),
            expires_at: 5,
            r#type: 3,
            spends: vec![spends.to_owned()],
        };
        for spends in [id.to_owned(), format!("{id}:0")] {
            assert_eq!(link_of("", link(&spends)).unwrap().spends, [id.parse().unwrap()]);
        }
        assert!(link_of("", link("nonsense")).is_err());
        assert!(link_of("", wire::IndexerChain { r#type: 0, ..link(id) }).is_err());
    }
}

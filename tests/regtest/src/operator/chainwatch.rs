//! What the chain tells the operator: commitments confirm, VTXOs appear on chain, batches expire.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::psbt::Psbt;
use bitcoin::{OutPoint, Transaction, Txid};
use tokio::time::sleep;

use super::psbt;
use super::script::Delay;
use super::shared::Shared;
use super::state::{Book, Stage};
use super::subscription::Change;
use crate::node::Confirmed;

/// Looks at the mempool and at every new block, for ever.
pub async fn run(shared: Arc<Shared>) {
    let mut known = HashSet::new();
    loop {
        mempool(&shared, &mut known).await;
        if let Ok(tip) = shared.node.tip().await {
            let seen = shared.with_book(|b| b.watched);
            // After a reorg the blocks from the fork on are looked at again: going back a few blocks is enough for tests.
            let from = seen.map_or(tip.height.saturating_sub(1), |s| s.saturating_sub(6).min(tip.height));
            if seen != Some(tip.height) {
                for height in from..=tip.height {
                    if let Ok((hash, time, transactions)) = shared.node.block_transactions(height).await {
                        let confirmed = Confirmed { height, block_time: time, block_hash: hash };
                        let txids: Vec<Txid> = transactions.iter().map(Transaction::compute_txid).collect();
                        shared.with_book(|book| txids.iter().for_each(|t| confirm(book, t, &confirmed)));
                        if seen.is_none_or(|s| height > s) {
                            appeared(&shared, &txids).await;
                        }
                    }
                }
                shared.with_book(|b| b.watched = Some(tip.height));
            }
            expire(&shared, tip.height);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

/// arkd takes a VTXO for unrolled as soon as its transaction is in the mempool.
async fn mempool(shared: &Shared, known: &mut HashSet<Txid>) {
    let Ok(answer) = shared.node.call("getrawmempool", Vec::new()).await else { return };
    let listed = answer.as_array().into_iter().flatten().filter_map(|t| t.as_str()?.parse::<Txid>().ok());
    let now: HashSet<Txid> = listed.collect();
    let new: Vec<Txid> = now.difference(known).copied().collect();
    *known = now;
    appeared(shared, &new).await;
}

async fn appeared(shared: &Shared, txids: &[Txid]) {
    let answers: Vec<Transaction> = shared.with_book(|book| txids.iter().flat_map(|t| unrolled(book, t)).collect());
    for answer in answers {
        // One attempt when it is in the mempool and one when it is in a block, as arkd; whoever needs the answer on chain sends
        // it, too.
        let _ = shared.node.cpfp(&answer, bitcoin::Amount::from_sat(2_000)).await;
    }
}

fn confirm(book: &mut Book, txid: &Txid, confirmed: &Confirmed) {
    let Some(batch) = book.batches.get_mut(txid) else { return };
    if batch.confirmed.is_some_and(|c| c.block_hash == confirmed.block_hash) {
        return;
    }
    batch.confirmed = Some(*confirmed);
    // In seconds the expiry counts from the block's time once it is known; arkd leaves it alone in block units.
    if let Delay::Seconds(expiry) = Delay::from_setting(batch.expiry) {
        let expires_at = confirmed.block_time as i64 + i64::from(expiry);
        let leaves = book.vtxos.values_mut().filter(|v| v.root == *txid && !v.preconfirmed);
        leaves.for_each(|v| v.expires_at = expires_at);
    }
}

/// Marks the VTXOs that a transaction on chain holds; returns what the operator sends in answer to a spent one.
fn unrolled(book: &mut Book, txid: &Txid) -> Vec<Transaction> {
    let places: Vec<OutPoint> =
        book.vtxos.range(OutPoint::new(*txid, 0)..=OutPoint::new(*txid, u32::MAX)).map(|(o, _)| *o).collect();
    let mut answers = Vec::new();
    for place in places {
        let Some(vtxo) = book.vtxos.get_mut(&place) else { continue };
        vtxo.unrolled = true;
        if !vtxo.spent {
            continue;
        }
        let (settled_by, ark_txid) = (vtxo.settled_by, vtxo.ark_txid);
        let answer = match (settled_by, ark_txid) {
            (Some(commitment), _) => {
                book.batches.get(&commitment).and_then(|b| b.forfeits.get(&place)).and_then(finished)
            }
            (None, Some(ark)) => book
                .offchain
                .get(&ark)
                .filter(|t| t.stage == Stage::Finalized)
                .and_then(|t| t.checkpoints.values().find(|c| c.unsigned_tx.input[0].previous_output == place))
                .and_then(finished),
            (None, None) => None,
        };
        answers.extend(answer);
    }
    answers
}

/// The transaction of a fully signed PSBT; None while the operator's part of it is missing.
fn finished(packet: &Psbt) -> Option<Transaction> {
    let mut tx = packet.unsigned_tx.clone();
    for (input, slot) in packet.inputs.iter().zip(&mut tx.input) {
        slot.witness = psbt::leaf_witness(input, &[]).ok()?;
    }
    Some(tx)
}

/// Sweeps batches whose time has come: by height in block units, by the operator's clock in seconds.
fn expire(shared: &Shared, height: u32) {
    let now = shared.now();
    let changes = shared.with_book(|book| {
        let due = |batch: &super::state::Batch| {
            let Some(confirmed) = &batch.confirmed else { return false };
            !batch.swept
                && batch.tree.is_some()
                && match Delay::from_setting(batch.expiry) {
                    Delay::Blocks(blocks) => height >= confirmed.height + blocks,
                    Delay::Seconds(seconds) => now >= confirmed.block_time as i64 + i64::from(seconds),
                }
        };
        let due: Vec<Txid> = book.batches.iter().filter(|(_, b)| due(b)).map(|(t, _)| *t).collect();
        due.into_iter().map(|txid| sweep(book, txid)).collect::<Vec<_>>()
    });
    changes.iter().for_each(|c| shared.subscriptions.publish(c));
}

/// The batch and everything that descends from it is the operator's now; what is on chain already is not.
fn sweep(book: &mut Book, txid: Txid) -> Change {
    if let Some(batch) = book.batches.get_mut(&txid) {
        batch.swept = true;
    }
    let mut swept = Vec::new();
    let mut seen: HashSet<OutPoint> = HashSet::new();
    for vtxo in book.vtxos.values_mut() {
        if vtxo.commitment_txids.contains(&txid) && !vtxo.unrolled && seen.insert(vtxo.outpoint) {
            vtxo.swept = true;
            swept.push(vtxo.outpoint);
        }
    }
    Change { txid, tx: String::new(), made: Vec::new(), spent: Vec::new(), swept, checkpoints: Vec::new() }
}

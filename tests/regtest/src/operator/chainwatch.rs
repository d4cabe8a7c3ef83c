//! What the chain tells the operator: commitments confirm, VTXOs appear on chain, batches expire.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::{OutPoint, Transaction, Txid};
use tokio::time::sleep;

use super::script::Delay;
use super::shared::Shared;
use super::state::Book;
use super::{answers, sweep};
use crate::node::{Confirmed, Tip};

/// So many blocks are looked at again when there is a new one: a reorg of that depth is noticed.
const LOOK_BACK: u32 = 6;

/// Looks at the mempool and at every new block, for ever.
pub async fn run(shared: Arc<Shared>) {
    let (mut known, mut last, mut seen) = (HashSet::new(), None, None);
    loop {
        let changes = shared.node.changes();
        if seen != Some(changes) {
            mempool(&shared, &mut known).await;
            last = shared.node.tip().await.ok();
            if let Some(tip) = last {
                follow(&shared, tip).await;
                let followed = shared.with_book(|b| b.watched.is_some_and(|watched| watched.hash == tip.hash));
                seen = followed.then_some(changes);
            }
        }
        if let Some(tip) = last {
            sweep::batches(&shared, &tip).await;
            sweep::checkpoints(&shared, &tip).await;
        }
        answers::forfeit(&shared, &known).await;
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

/// Reads the blocks since the last look.
async fn follow(shared: &Shared, tip: Tip) {
    let seen = shared.with_book(|b| b.watched);
    if seen.is_some_and(|s| s.hash == tip.hash) {
        return;
    }
    let from = seen.map_or(tip.height.saturating_sub(1), |s| s.height.saturating_sub(LOOK_BACK).min(tip.height));
    let old = shared.with_book(|b| b.forget_blocks(from));
    for height in from..=tip.height {
        // Looked at again in a moment, since the tip is not noted.
        let Ok((hash, time, transactions)) = shared.node.block_transactions(height).await else { return };
        let confirmed = Confirmed { height, block_time: time, block_hash: hash };
        let txids: Vec<Txid> = transactions.iter().map(Transaction::compute_txid).collect();
        shared.with_book(|book| txids.iter().for_each(|t| confirm(book, t, &confirmed)));
        let new: Vec<Txid> = txids.into_iter().filter(|t| !old.contains(t)).collect();
        appeared(shared, &new).await;
    }
    shared.with_book(|b| b.watched = Some(tip));
}

/// Marks the VTXOs that these transactions put on chain, and answers for those that are spent.
async fn appeared(shared: &Shared, txids: &[Txid]) {
    let places = shared.with_book(|book| txids.iter().flat_map(|t| unrolled(book, t)).collect::<Vec<_>>());
    answers::spent(shared, &places).await;
}

/// The VTXOs of a transaction that is on chain.
fn unrolled(book: &mut Book, txid: &Txid) -> Vec<OutPoint> {
    let made = book.vtxos.range_mut(OutPoint::new(*txid, 0)..=OutPoint::new(*txid, u32::MAX));
    made.map(|(place, vtxo)| {
        vtxo.unrolled = true;
        *place
    })
    .collect()
}

fn confirm(book: &mut Book, txid: &Txid, confirmed: &Confirmed) {
    book.confirmed.insert(*txid, *confirmed);
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

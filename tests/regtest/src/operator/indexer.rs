//! The indexer: VTXOs by script or outpoint, what a VTXO hangs on, and the transactions of that chain.

use std::collections::HashSet;
use std::sync::Arc;

use bitcoin::secp256k1::schnorr;
use bitcoin::{OutPoint, Psbt, ScriptBuf, Txid, psbt};
use tonic::Status;

use super::faults::Knob;
use super::shared::Shared;
use super::state::{Book, Stage, Vtxo};
use super::wire;
use super::wire::IndexerChainedTxType as Kind;

/// A script must be P2TR in hex.
pub fn check_script(text: &str) -> Result<[u8; 32], Status> {
    if text.is_empty() {
        return Err(Status::invalid_argument("missing script"));
    }
    let script =
        ScriptBuf::from_hex(text).map_err(|_| Status::invalid_argument("invalid script format, must be hex"))?;
    if !script.is_p2tr() {
        return Err(Status::invalid_argument("invalid script, must be P2TR"));
    }
    let key = script.as_bytes()[2..].try_into().unwrap_or([0; 32]);
    bitcoin::XOnlyPublicKey::from_slice(&key)
        .map_err(|e| Status::invalid_argument(format!("invalid script, failed to extract tapkey: {e}")))?;
    Ok(key)
}

fn outpoint(text: &str) -> Result<OutPoint, Status> {
    let (txid, vout) = text.split_once(':').ok_or_else(|| Status::invalid_argument("invalid outpoint format"))?;
    let vout = vout.parse().map_err(|_| Status::invalid_argument(format!("invalid vout {vout}")))?;
    Ok(OutPoint::new(read_txid(txid)?, vout))
}

fn read_txid(text: &str) -> Result<Txid, Status> {
    text.parse().map_err(|_| Status::invalid_argument(format!("invalid txid {text}")))
}

type Paged<T> = (Vec<T>, Option<wire::IndexerPageResponse>);

/// Cuts a page out; without a request there is no page and no limit, as in arkd, which takes any size above nothing.
fn paginate<T>(items: Vec<T>, request: Option<&wire::IndexerPageRequest>) -> Result<Paged<T>, Status> {
    let Some(request) = request else { return Ok((items, None)) };
    if request.size <= 0 {
        return Err(Status::invalid_argument("invalid page size"));
    }
    if request.index < 0 {
        return Err(Status::invalid_argument("invalid page index"));
    }
    let size = request.size as usize;
    let number = (request.index as usize).max(1);
    let total = items.len().div_ceil(size);
    let page =
        wire::IndexerPageResponse { current: number as i32, next: (number + 1).min(total) as i32, total: total as i32 };
    Ok((items.into_iter().skip((number - 1) * size).take(size).collect(), Some(page)))
}

/// GetVtxos.
pub async fn vtxos(shared: Arc<Shared>, request: wire::GetVtxosRequest) -> Result<wire::GetVtxosResponse, Status> {
    let keys = request.scripts.iter().map(|s| check_script(s)).collect::<Result<HashSet<_>, _>>()?;
    let outpoints = request.outpoints.iter().map(|o| outpoint(o)).collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() && outpoints.is_empty() {
        return Err(Status::invalid_argument("missing outpoints or scripts filter"));
    }
    if !keys.is_empty() && !outpoints.is_empty() {
        return Err(Status::invalid_argument("outpoints and scripts filters are mutually exclusive"));
    }
    let filters = [
        request.spendable_only,
        request.spent_only,
        request.recoverable_only,
        request.pending_only,
        request.renewable_only,
    ];
    if !keys.is_empty() && filters.iter().filter(|f| **f).count() > 1 {
        return Err(Status::invalid_argument(
            "spendable, spent, recoverable, pending and renewable filters are mutually exclusive",
        ));
    }
    if request.after < 0 || request.before < 0 {
        return Err(Status::invalid_argument("after and before must be greater than or equal to 0"));
    }
    if request.before > 0 && request.after > 0 && request.before <= request.after {
        return Err(Status::invalid_argument("before must be greater than after"));
    }
    let now = shared.now();
    let found = shared.with_book(|book| match keys.is_empty() {
        true => outpoints.iter().filter_map(|o| book.seen(o)).collect::<Vec<_>>(),
        false => by_script(book, &keys, &request, now),
    });
    let shown = found.into_iter().filter_map(|v| show(&shared, v)).collect();
    let (vtxos, page) = paginate(shown, request.page.as_ref())?;
    Ok(wire::GetVtxosResponse { vtxos, page })
}

fn by_script(book: &Book, keys: &HashSet<[u8; 32]>, request: &wire::GetVtxosRequest, now: i64) -> Vec<Vtxo> {
    let theirs: Vec<OutPoint> =
        book.order.iter().filter(|o| book.vtxos.get(o).is_some_and(|v| keys.contains(&v.key))).copied().collect();
    if request.pending_only {
        return book.pending(&theirs);
    }
    let wanted = |v: &Vtxo| {
        let in_time = v.created_at >= request.after && (request.before == 0 || v.created_at <= request.before);
        in_time
            && (!request.spendable_only || !(v.spent || v.swept || v.unrolled))
            && (!request.spent_only || v.spent || v.swept || v.unrolled)
            && (!request.recoverable_only || (!v.requires_forfeit(now) && !v.spent && !v.unrolled))
            && (!request.renewable_only || !(v.spent || v.unrolled))
    };
    theirs.iter().filter_map(|o| book.seen(o)).filter(wanted).collect()
}

/// As it is shown, lies included.
fn show(shared: &Shared, mut vtxo: Vtxo) -> Option<wire::IndexerVtxo> {
    let faults = &shared.faults;
    if faults.holds(Knob::StaleNew) {
        return None;
    }
    if faults.holds(Knob::StaleSpent) {
        vtxo = Vtxo { spent: false, spent_by: None, ark_txid: None, settled_by: None, ..vtxo };
    }
    if let Some(claim) = faults.claimed(&vtxo.outpoint) {
        if claim.hidden {
            return None;
        }
        vtxo.spent = claim.spent.unwrap_or(vtxo.spent);
        vtxo.swept = claim.swept.unwrap_or(vtxo.swept);
        vtxo.unrolled = claim.unrolled.unwrap_or(vtxo.unrolled);
        vtxo.spent_by = claim.spent_by.or(vtxo.spent_by);
        vtxo.ark_txid = claim.ark_txid.or(vtxo.ark_txid);
        vtxo.settled_by = claim.settled_by.or(vtxo.settled_by);
        vtxo.expires_at = claim.expires_at.unwrap_or(vtxo.expires_at);
    }
    Some(vtxo.shown())
}

/// GetVtxoChain: the VTXO's transaction first, commitments last on each way down.
pub async fn chain(
    shared: Arc<Shared>,
    request: wire::GetVtxoChainRequest,
) -> Result<wire::GetVtxoChainResponse, Status> {
    let wanted = request.outpoint.ok_or_else(|| Status::invalid_argument("missing outpoint"))?;
    let start = OutPoint::new(read_txid(&wanted.txid)?, wanted.vout);
    let chain = shared.with_book(|book| walk(book, start)).map_err(Status::internal)?;
    let (chain, page) = paginate(chain, request.page.as_ref())?;
    Ok(wire::GetVtxoChainResponse { chain, page, auth_token: String::new(), next_page_token: String::new() })
}

fn walk(book: &Book, start: OutPoint) -> Result<Vec<wire::IndexerChain>, String> {
    let mut chain = Vec::new();
    let mut visited = HashSet::new();
    let mut frontier = vec![start];
    while !frontier.is_empty() {
        let vtxos: Vec<_> = frontier.iter().filter_map(|o| book.seen(o)).collect();
        if vtxos.is_empty() {
            return Err(format!("vtxo not found for outpoint: {frontier:?}"));
        }
        let mut next = Vec::new();
        for vtxo in vtxos {
            if !visited.insert(vtxo.outpoint) {
                continue;
            }
            let link = |txid: Txid, kind: Kind, spends: Vec<String>| wire::IndexerChain {
                txid: txid.to_string(),
                expires_at: vtxo.expires_at,
                r#type: kind as i32,
                spends,
            };
            if vtxo.preconfirmed {
                let txid = vtxo.outpoint.txid;
                let tx = book.offchain.get(&txid).ok_or("failed to retrieve offchain tx")?;
                let ids: Vec<String> = tx.checkpoints.keys().map(Txid::to_string).collect();
                chain.push(link(txid, Kind::Ark, ids));
                for (id, checkpoint) in &tx.checkpoints {
                    let spent = checkpoint.unsigned_tx.input[0].previous_output;
                    chain.push(link(*id, Kind::Checkpoint, vec![spent.to_string()]));
                    next.push(spent);
                }
                continue;
            }
            let batch = book.batches.get(&vtxo.root).ok_or("failed to retrieve batch")?;
            let branch = batch.tree.as_ref().and_then(|t| t.branch(&vtxo.outpoint.txid)).ok_or("no branch")?;
            let mut parent = vtxo.root;
            let mut links = vec![link(parent, Kind::Commitment, Vec::new())];
            for node in branch {
                links.push(link(node.txid(), Kind::Tree, vec![parent.to_string()]));
                parent = node.txid();
            }
            chain.extend(links.into_iter().rev());
        }
        next.retain(|o| !visited.contains(o));
        frontier = next;
    }
    Ok(chain)
}

/// GetVirtualTxs: PSBTs of tree, checkpoint and ark transactions, connectors and forfeits, in no promised order.
pub async fn virtual_txs(
    shared: Arc<Shared>,
    request: wire::GetVirtualTxsRequest,
) -> Result<wire::GetVirtualTxsResponse, Status> {
    if request.txids.is_empty() {
        return Err(Status::invalid_argument("missing txids"));
    }
    let wanted = request.txids.iter().map(|t| read_txid(t)).collect::<Result<HashSet<_>, _>>()?;
    let proofs = shared.faults.proofs();
    let mut found = shared.with_book(|book| {
        let trees = book.batches.values().flat_map(|b| b.tree.iter().chain(&b.connectors)).flat_map(|t| t.nodes());
        let mut found: Vec<Psbt> = trees.filter(|n| wanted.contains(&n.txid())).map(|n| n.psbt.clone()).collect();
        let signed = book.batches.values().flat_map(|b| b.forfeits.values()).chain(&proofs);
        found.extend(signed.filter(|packet| wanted.contains(&packet.unsigned_tx.compute_txid())).cloned());
        for (txid, tx) in book.offchain.iter().filter(|(_, t)| t.stage != Stage::Failed) {
            if wanted.contains(txid) {
                found.push(tx.ark_tx.clone());
            }
            let theirs = tx.checkpoints.iter().filter(|(id, _)| wanted.contains(*id));
            found.extend(theirs.map(|(_, checkpoint)| checkpoint.clone()));
        }
        found
    });
    if shared.faults.holds(Knob::WrongVirtualSignatures) {
        found.iter_mut().flat_map(|packet| &mut packet.inputs).for_each(spoil);
    }
    let (txs, page) = paginate(found.iter().map(Psbt::to_string).collect(), request.page.as_ref())?;
    Ok(wire::GetVirtualTxsResponse { txs, page, auth_token: String::new() })
}

/// Signatures that do not verify.
fn spoil(input: &mut psbt::Input) {
    let signatures = input.tap_key_sig.iter_mut().chain(input.tap_script_sigs.values_mut());
    for signature in signatures {
        let mut bytes = signature.signature.serialize();
        bytes[63] ^= 1;
        signature.signature = schnorr::Signature::from_slice(&bytes).expect("64 bytes");
    }
}

//! What the operator sends when somebody puts a VTXO on chain that is spent: the checkpoint of an off-chain transaction, the
//! forfeit of a batch.

use std::collections::HashSet;

use bitcoin::psbt::Psbt;
use bitcoin::{Amount, OutPoint, Transaction, Txid};

use super::faults::Knob;
use super::psbt;
use super::shared::Shared;
use super::state::{Book, Stage};
use super::tree::TxTree;
use super::wallet::Wallet;

/// Sats that a child pays for a transaction without a fee.
const FEE: Amount = Amount::from_sat(2_000);

/// A forfeit on its way to the chain: the connectors above it, parents first, then itself.
#[derive(Clone, Debug)]
pub struct Forfeiting {
    /// What it takes.
    pub vtxo: OutPoint,
    /// What has to be confirmed in this order.
    pub steps: Vec<Transaction>,
}

/// Answers for those of the VTXOs on chain that are spent: a checkpoint goes out at once, a forfeit is put on the list.
pub async fn spent(shared: &Shared, places: &[OutPoint]) {
    if !shared.faults.holds(Knob::NoForfeit) {
        let found: Vec<_> = shared.with_book(|book| {
            let wallet = shared.wallet();
            places.iter().filter_map(|p| forfeiting(book, &wallet, p, &shared.settings().signer_pairs())).collect()
        });
        shared.with_book(|book| {
            for one in found {
                if book.forfeiting.iter().all(|f| f.vtxo != one.vtxo) {
                    book.forfeiting.push(one);
                }
            }
        });
    }
    if shared.faults.holds(Knob::NoCheckpoint) {
        return;
    }
    let checkpoints: Vec<_> = shared.with_book(|book| places.iter().filter_map(|p| checkpoint(book, p)).collect());
    for checkpoint in checkpoints {
        // One attempt when the VTXO is in the mempool and one when it is in a block, as arkd; whoever needs the checkpoint on
        // chain sends it, too.
        let _ = shared.node.cpfp(&checkpoint, FEE).await;
    }
}

/// The final checkpoint that spends the VTXO, if there is one.
fn checkpoint(book: &Book, place: &OutPoint) -> Option<Transaction> {
    let vtxo = book.vtxos.get(place).filter(|v| v.spent && v.settled_by.is_none())?;
    let tx = book.offchain.get(&vtxo.ark_txid?).filter(|t| t.stage == Stage::Finalized)?;
    let packet = tx.checkpoints.values().find(|c| c.unsigned_tx.input[0].previous_output == *place)?;
    let mut tx = packet.unsigned_tx.clone();
    tx.input[0].witness = psbt::leaf_witness(&packet.inputs[0], &[]).ok()?;
    Some(tx)
}

/// The forfeit that takes the VTXO and the connectors it needs, all signed, if there is one.
fn forfeiting(book: &Book, wallet: &Wallet, place: &OutPoint, signers: &[bitcoin::key::Keypair]) -> Option<Forfeiting> {
    let vtxo = book.vtxos.get(place).filter(|v| v.spent)?;
    let batch = book.batches.get(&vtxo.settled_by?)?;
    let mut forfeit: Psbt = batch.forfeits.get(place)?.clone();
    let connectors: &TxTree = batch.connectors.as_ref()?;
    let inputs = &forfeit.unsigned_tx.input;
    let connector = inputs.iter().map(|i| i.previous_output).find(|p| p != place)?;
    let branch: HashSet<Txid> = connectors.branch(&connector.txid)?.iter().map(|n| n.txid()).collect();
    let mut steps = Vec::new();
    for (node, prevout) in connectors.with_prevouts(batch.commitment.output.get(1)?) {
        if branch.contains(&node.txid()) {
            let mut packet = node.psbt.clone();
            packet.inputs[0].witness_utxo = Some(prevout);
            steps.push(wallet.finish(&packet).ok()?);
        }
    }
    let prevouts = psbt::prevouts(&forfeit).ok()?;
    for signer in signers {
        psbt::sign_leaves(&mut forfeit, &prevouts, signer, None).ok()?;
    }
    steps.push(wallet.finish(&forfeit).ok()?);
    Some(Forfeiting { vtxo: *place, steps })
}

/// Takes every forfeit on the list one step further; each step waits for the one before it to be confirmed.
pub async fn forfeit(shared: &Shared, mempool: &HashSet<Txid>) {
    let waiting = shared.with_book(|book| {
        let confirmed = &book.confirmed;
        book.forfeiting.retain(|f| f.steps.iter().any(|s| !confirmed.contains_key(&s.compute_txid())));
        let next = |f: &Forfeiting| f.steps.iter().find(|s| !confirmed.contains_key(&s.compute_txid())).cloned();
        book.forfeiting.iter().filter_map(|f| Some((f.vtxo, next(f)?))).collect::<Vec<_>>()
    });
    for (vtxo, step) in waiting {
        if mempool.contains(&step.compute_txid()) {
            continue;
        }
        // Refused while the VTXO itself is unconfirmed: the next round tries again, until somebody else has spent it.
        let sent = shared.node.cpfp(&step, FEE).await;
        let taken = sent.is_ok_and(|answer| answer["package_msg"] == "success");
        if !taken && lost(shared, &vtxo).await {
            shared.with_book(|b| b.forfeiting.retain(|f| f.vtxo != vtxo));
        }
    }
}

/// Has the VTXO been spent by something else, for good?
async fn lost(shared: &Shared, vtxo: &OutPoint) -> bool {
    let on_chain = shared.with_book(|b| b.confirmed.contains_key(&vtxo.txid));
    on_chain && matches!(shared.node.utxo(vtxo).await, Ok(None))
}

//! What the operator takes back on chain once its time has come: expired batches by the sweep leaf of their trees, checkpoints
//! whose ark transaction never came by their own.

use std::collections::HashSet;

use bitcoin::absolute::LockTime;
use bitcoin::key::Secp256k1;
use bitcoin::psbt::Psbt;
use bitcoin::taproot::{ControlBlock, LeafVersion, TapLeafHash, TaprootMerkleBranch};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, TapNodeHash, Transaction, TxIn, TxOut, Txid, Witness};

use super::faults::Knob;
use super::musig;
use super::psbt;
use super::script::{Delay, Leaf, LeafTree};
use super::shared::Shared;
use super::state::{Batch, Book};
use super::subscription::Change;
use super::tree::TxTree;
use super::wallet::Coin;
use crate::node::{Confirmed, Tip};

/// Sats that a sweep pays, and the least that is worth one.
const FEE: Amount = Amount::from_sat(400);
const WORTH: Amount = Amount::from_sat(1_000);

/// An output that the operator takes by a leaf of its own.
struct Ripe {
    place: OutPoint,
    output: TxOut,
    control: ControlBlock,
    leaf: Leaf,
    /// What is swept in the books once this is sent.
    takes: Takes,
}

enum Takes {
    /// Everything that descends from this commitment.
    Batch(Txid),
    /// The VTXOs of a part of a tree and what descends from them.
    Part(Vec<OutPoint>),
    /// What descends from the VTXO that this checkpoint spends.
    Checkpoint(OutPoint),
}

/// Has the delay passed, by height in block units, else by the operator's clock or the chain's, whichever is ahead?
fn due(delay: Delay, confirmed: &Confirmed, tip: &Tip, now: i64) -> bool {
    match delay {
        Delay::Blocks(blocks) => tip.height >= confirmed.height + blocks,
        Delay::Seconds(seconds) => now.max(tip.median_time as i64) >= confirmed.block_time as i64 + i64::from(seconds),
    }
}

/// Sweeps what has expired of the batches' trees.
pub async fn batches(shared: &Shared, tip: &Tip) {
    if shared.faults.holds(Knob::NoSweep) {
        return;
    }
    let (now, sweep_leaf) = (shared.now(), shared.settings().sweep_leaf());
    let ripe: Vec<Ripe> = shared.with_book(|book| {
        let batches = book.batches.values().filter(|b| b.confirmed.is_some());
        batches.flat_map(|batch| expired(book, batch, &sweep_leaf, tip, now)).collect()
    });
    for one in ripe {
        take(shared, one).await;
    }
}

/// The outputs of a tree that are on chain, unspent and expired: the highest of each way down.
fn expired(book: &Book, batch: &Batch, current: &Leaf, tip: &Tip, now: i64) -> Vec<Ripe> {
    let (Some(tree), Some(root)) = (&batch.tree, batch.commitment.output.first()) else { return Vec::new() };
    let commitment = batch.commitment.compute_txid();
    let delay = Delay::from_setting(batch.expiry);
    let leaf = Leaf::after(delay, current.keys[0]);
    let mut ripe = Vec::new();
    for (node, output) in tree.with_prevouts(root) {
        let place = node.psbt.unsigned_tx.input[0].previous_output;
        let parent = book.confirmed.get(&place.txid);
        let open = !book.confirmed.contains_key(&node.txid()) && !book.swept.contains(&place);
        if !parent.is_some_and(|p| open && due(delay, p, tip, now)) {
            continue;
        }
        let Some(control) = control(node, &leaf) else { continue };
        let takes = match place.txid == commitment {
            true => Takes::Batch(commitment),
            false => Takes::Part(node.leaves().iter().flat_map(|l| l.paying_outputs().map(|(p, _)| p)).collect()),
        };
        ripe.push(Ripe { place, output, control, leaf: leaf.clone(), takes });
    }
    ripe
}

/// The way to the sweep leaf of the output that a node spends.
fn control(node: &TxTree, leaf: &Leaf) -> Option<ControlBlock> {
    let internal_key = musig::output_key(&node.cosigners, None).ok()?;
    let root = TapNodeHash::from(TapLeafHash::from_script(&leaf.script, LeafVersion::TapScript));
    let (_, output_key_parity) =
        bitcoin::key::TapTweak::tap_tweak(internal_key, &Secp256k1::verification_only(), Some(root));
    let merkle_branch = TaprootMerkleBranch::default();
    Some(ControlBlock { leaf_version: LeafVersion::TapScript, output_key_parity, internal_key, merkle_branch })
}

/// Sweeps checkpoints that are on chain without their ark transaction.
pub async fn checkpoints(shared: &Shared, tip: &Tip) {
    if shared.faults.holds(Knob::NoSweep) {
        return;
    }
    let now = shared.now();
    let ripe: Vec<Ripe> = shared.with_book(|book| {
        let all = book.offchain.values().flat_map(|tx| {
            let places = tx.ark_tx.unsigned_tx.input.iter().map(|i| i.previous_output);
            places.zip(&tx.ark_tx.inputs).map(move |(place, input)| (tx, place, input))
        });
        all.filter_map(|(tx, place, input)| {
            let confirmed = book.confirmed.get(&place.txid)?;
            let done = book.confirmed.contains_key(&tx.ark_tx.unsigned_tx.compute_txid());
            if done || book.swept.contains(&place) {
                return None;
            }
            let tree = LeafTree::parse(&psbt::revealed_scripts(input)?.ok()?).ok()?;
            let leaf = tree.leaves.iter().find(|l| l.is_exit())?.clone();
            if !due(leaf.exit_delay()?, confirmed, tip, now) {
                return None;
            }
            let spends = tx.checkpoints.get(&place.txid)?.unsigned_tx.input[0].previous_output;
            let control = tree.control_block(&leaf.script)?;
            Some(Ripe { place, output: input.witness_utxo.clone()?, control, leaf, takes: Takes::Checkpoint(spends) })
        })
        .collect()
    });
    for one in ripe {
        take(shared, one).await;
    }
}

/// Sends the sweep, and writes into the books what it took. Refused while the chain's clock is behind, or when the output is
/// spent: then nothing changes and the next round looks again.
async fn take(shared: &Shared, ripe: Ripe) {
    if ripe.output.value < WORTH {
        return;
    }
    let Some(tx) = transaction(shared, &ripe) else { return };
    if shared.node.broadcast(&tx).await.is_err() {
        return;
    }
    let back = Coin { outpoint: OutPoint::new(tx.compute_txid(), 0), output: tx.output[0].clone() };
    shared.wallet().add([back]);
    let swept = shared.with_book(|book| {
        book.swept.insert(ripe.place);
        mark(book, &ripe.takes)
    });
    shared.subscriptions.publish(&Change {
        txid: tx.compute_txid(),
        tx: bitcoin::consensus::encode::serialize_hex(&tx),
        made: Vec::new(),
        spent: Vec::new(),
        swept,
        checkpoints: Vec::new(),
    });
}

fn transaction(shared: &Shared, ripe: &Ripe) -> Option<Transaction> {
    let input = TxIn {
        previous_output: ripe.place,
        script_sig: ScriptBuf::new(),
        sequence: Sequence(ripe.leaf.exit_delay()?.sequence()),
        witness: Witness::new(),
    };
    let output = TxOut { value: ripe.output.value - FEE, script_pubkey: shared.wallet().script() };
    let tx = Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input: vec![input], output: vec![output] };
    let mut packet = Psbt::from_unsigned_tx(tx).ok()?;
    packet.inputs[0].witness_utxo = Some(ripe.output.clone());
    psbt::set_leaf(&mut packet.inputs[0], ripe.control.clone(), ripe.leaf.script.clone());
    shared.wallet().sign(&mut packet)
}

/// What the books call swept from now on.
fn mark(book: &mut Book, takes: &Takes) -> Vec<OutPoint> {
    let places: Vec<OutPoint> = match takes {
        Takes::Batch(txid) => {
            let theirs = book.vtxos.values().filter(|v| v.commitment_txids.contains(txid) && !v.unrolled);
            theirs.map(|v| v.outpoint).collect()
        }
        Takes::Part(leaves) => leaves.iter().flat_map(|l| descendants(book, l)).collect(),
        Takes::Checkpoint(spent) => descendants(book, spent),
    };
    for place in &places {
        if let Some(vtxo) = book.vtxos.get_mut(place) {
            vtxo.swept = true;
        }
    }
    places
}

/// The VTXO and everything that off-chain transactions made of it, one after the other.
fn descendants(book: &Book, start: &OutPoint) -> Vec<OutPoint> {
    let mut found = vec![*start];
    let mut seen = HashSet::from([*start]);
    let mut at = 0;
    while let Some(place) = found.get(at).copied() {
        at += 1;
        let Some(ark) = book.vtxos.get(&place).and_then(|v| v.ark_txid) else { continue };
        let made = book.vtxos.range(OutPoint::new(ark, 0)..=OutPoint::new(ark, u32::MAX)).map(|(o, _)| *o);
        found.extend(made.filter(|o| seen.insert(*o)));
    }
    found
}

//! The end of a batch: signed tree and connectors go out, forfeits and boarding signatures come in, the commitment is broadcast.

use std::time::Instant;

use bitcoin::Transaction;
use bitcoin::psbt::Psbt;

use super::commitment::Plan;
use super::events::{Routed, all};
use super::faults::{Knob, Phase};
use super::psbt;
use super::round::Batch as Running;
use super::round::{Failure, broken};
use super::script::Delay;
use super::state::{Batch, Registered, Vtxo};
use super::subscription::Change;
use super::tree::TxTree;
use super::wire;
use super::wire::get_event_stream_response::Event;

/// Ends the batch well, or says why not.
pub async fn finish(run: &Running, plan: Plan, tree: Option<TxTree>, intents: Vec<Registered>) -> Result<(), Failure> {
    run.publish(finalization_events(run, &plan, tree.as_ref()));
    run.phase(Phase::Forfeits).await?;
    let boarding: usize = intents.iter().map(|r| r.boarding.len()).sum();
    if !plan.forfeiting.is_empty() || boarding > 0 {
        run.until(run.rest(), |s| s.forfeits.complete() && s.boarding.len() == boarding).await;
    }
    let signers = run.settings.all_signers();
    // As in arkd nobody is convicted for a forfeit that is missing, only for one that is wrong.
    let forfeits =
        run.session(|s| s.forfeits.finish()).map_err(|e| broken(format!("failed to finalize round: {e}")))?;
    let crimes = run.session(|s| s.forfeits.crimes(&signers));
    if !crimes.is_empty() {
        return Err(broken("invalid forfeit txs signature").with_crimes(crimes));
    }
    let signed = sign(run, &plan)?;
    run.phase(Phase::Broadcast).await?;
    if !run.shared.faults.take(Knob::HoldCommitment) {
        let sent = run.shared.node.broadcast(&signed).await;
        sent.map_err(|e| broken(format!("failed to broadcast commitment tx: {e}")))?;
    }
    run.session(|s| s.coins.clear());
    run.shared.wallet().add(plan.change.clone());
    let record = Batch {
        commitment: signed.clone(),
        tree,
        connectors: plan.connectors.clone(),
        expiry: run.settings.batch_expiry,
        confirmed: None,
        forfeits,
    };
    let change = book(run, record, &intents);
    run.phase(Phase::Finalized).await?;
    if run.settings.auto_mine {
        // Before anybody is told, so that a test finds the block when it looks.
        let _ = run.shared.node.generate(1).await;
    }
    run.publish(vec![all(Event::BatchFinalized(wire::BatchFinalizedEvent {
        id: run.id.clone(),
        commitment_txid: signed.compute_txid().to_string(),
    }))]);
    run.shared.subscriptions.publish(&change);
    Ok(())
}

fn finalization_events(run: &Running, plan: &Plan, tree: Option<&TxTree>) -> Vec<Routed> {
    let faults = &run.shared.faults;
    let mut events = Vec::new();
    let nodes = tree.map(TxTree::nodes).unwrap_or_default();
    let last = nodes.len();
    for (i, node) in nodes.into_iter().enumerate() {
        let signature = node.psbt.inputs[0].tap_key_sig.map(|s| s.to_vec()).unwrap_or_default();
        let mut signature = bitcoin::hex::DisplayHex::to_lower_hex_string(&signature[..]);
        if i + 1 == last && faults.take(Knob::MissingTreeSignature) {
            continue;
        }
        if i + 1 == last && faults.take(Knob::WrongTreeSignature) {
            let first = if signature.starts_with('0') { "1" } else { "0" };
            signature.replace_range(..1, first);
        }
        let topics = node.topics();
        let event = Event::TreeSignature(wire::TreeSignatureEvent {
            id: run.id.clone(),
            topic: topics.clone(),
            batch_index: 0,
            txid: node.txid().to_string(),
            signature,
        });
        events.push(Routed { topics, event });
    }
    if let Some(connectors) = &plan.connectors {
        for node in connectors.nodes() {
            let topics = run.session(|s| s.forfeits.topics(node));
            events.push(run.tree_event(node, 1, topics));
        }
    }
    let mut shown = plan.commitment.clone();
    if faults.take(Knob::OtherCommitment) {
        shown.unsigned_tx.lock_time = bitcoin::absolute::LockTime::from_consensus(1);
    }
    events.push(all(Event::BatchFinalization(wire::BatchFinalizationEvent {
        id: run.id.clone(),
        commitment_tx: shown.to_string(),
    })));
    events
}

/// Puts boarding signatures in, adds the operator's, and signs the operator's own coins.
fn sign(run: &Running, plan: &Plan) -> Result<Transaction, Failure> {
    let mut packet: Psbt = plan.commitment.clone();
    let boarding = run.session(|s| s.boarding.clone());
    for (index, input) in boarding {
        packet.inputs[index].tap_scripts = input.tap_scripts;
        packet.inputs[index].tap_script_sigs = input.tap_script_sigs;
    }
    // Unsigned boarding inputs make the last step fail; as in arkd nobody is convicted for them.
    let prevouts = psbt::prevouts(&packet).map_err(broken)?;
    for signer in run.settings.signer_pairs() {
        psbt::sign_leaves(&mut packet, &prevouts, &signer, None)
            .map_err(|e| broken(format!("failed to sign boarding inputs of commitment tx: {e}")))?;
    }
    run.shared.wallet().finish(&packet).map_err(|e| broken(format!("failed to sign commitment tx: {e}")))
}

/// Writes the batch into the books.
fn book(run: &Running, record: Batch, intents: &[Registered]) -> Change {
    let now = run.shared.now();
    let txid = record.commitment.compute_txid();
    let expires_at = now + Delay::from_setting(record.expiry).seconds();
    let spent = intents.iter().flat_map(|r| &r.vtxos).map(|v| v.outpoint);
    let leaves = record.tree.iter().flat_map(TxTree::leaves).flat_map(TxTree::paying_outputs);
    let made: Vec<Vtxo> = leaves
        .map(|(outpoint, output)| Vtxo {
            outpoint,
            amount: output.value.to_sat(),
            key: output.script_pubkey.as_bytes()[2..].try_into().unwrap_or([0; 32]),
            commitment_txids: vec![txid],
            root: txid,
            settled_by: None,
            spent_by: None,
            ark_txid: None,
            spent: false,
            unrolled: false,
            swept: false,
            preconfirmed: false,
            created_at: now,
            expires_at,
            depth: 0,
            made: Instant::now(),
            spent_since: None,
        })
        .collect();
    run.shared.with_book(|b| {
        let mut gone = Vec::new();
        for outpoint in spent {
            if let Some(vtxo) = b.vtxos.get_mut(&outpoint) {
                vtxo.spent = true;
                vtxo.spent_since = Some(Instant::now());
                vtxo.settled_by = Some(txid);
                vtxo.spent_by = record.forfeits.get(&outpoint).map(|f| f.unsigned_tx.compute_txid());
                gone.push(vtxo.clone());
            }
        }
        made.iter().for_each(|v| b.add(v.clone()));
        let change = Change {
            txid,
            tx: bitcoin::consensus::encode::serialize_hex(&record.commitment),
            made,
            spent: gone,
            swept: Vec::new(),
            checkpoints: Vec::new(),
        };
        b.batches.insert(txid, record);
        change
    })
}

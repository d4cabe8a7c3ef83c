//! FinalizeTx and GetPendingTx.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bitcoin::psbt::Psbt;
use bitcoin::{OutPoint, Txid};
use tonic::Status;

use super::errors::{Code, Refusal, refuse};
use super::faults::Knob;
use super::intent::{Intent, ShortMessage};
use super::psbt::{self, Unsigned};
use super::register::{bad_input, in_time, verify_short};
use super::script::{LeafTree, anchor_script, is_sub_dust};
use super::shared::Shared;
use super::state::{Book, OffchainTx, Stage, Vtxo};
use super::subscription::Change;
use super::wire;

/// FinalizeTx: whatever goes wrong in it, the transaction is dead afterwards.
pub async fn finalize(
    shared: Arc<Shared>,
    request: wire::FinalizeTxRequest,
) -> Result<wire::FinalizeTxResponse, Status> {
    if request.ark_txid.is_empty() {
        return Err(Status::invalid_argument("missing ark txid"));
    }
    if request.final_checkpoint_txs.is_empty() {
        return Err(Status::invalid_argument("missing final checkpoint txs"));
    }
    let now = shared.now();
    let known = request.ark_txid.parse::<Txid>().ok();
    let change = shared.with_book(|book| {
        let found = known.and_then(|txid| Some((txid, book.offchain.get(&txid)?.clone())));
        let Some((txid, tx)) = found else {
            let text = format!("offchain tx {} not found", request.ark_txid);
            return Err(refuse(Code::TxNotFound, text).with("txid", &request.ark_txid));
        };
        let judged = judge(book, &tx, &request.final_checkpoint_txs);
        let Some(entry) = book.offchain.get_mut(&txid) else { return judged.map(|_| None) };
        match judged {
            Ok(checkpoints) => {
                entry.stage = Stage::Finalized;
                entry.checkpoints = checkpoints;
                let tx = entry.clone();
                Ok(Some(settle(book, txid, &tx, now)))
            }
            Err(refusal) => {
                if entry.stage == Stage::Accepted {
                    entry.stage = Stage::Failed;
                }
                Err(refusal)
            }
        }
    })?;
    if let Some(change) = change {
        shared.subscriptions.publish(&change);
    }
    Ok(wire::FinalizeTxResponse {})
}

/// The final checkpoints, if all is signed and nothing has been unrolled.
fn judge(book: &Book, tx: &OffchainTx, texts: &[String]) -> Result<BTreeMap<Txid, Psbt>, Refusal> {
    let mut given: HashMap<Txid, Psbt> = HashMap::new();
    for text in texts {
        let unsigned =
            || refuse(Code::InvalidSignature, format!("invalid signature in checkpoint tx {text}")).with("tx", text);
        let packet = psbt::decode(text).map_err(|_| unsigned())?;
        let prevouts = psbt::prevouts(&packet).map_err(|_| unsigned())?;
        psbt::verify_leaf_signatures(&packet, &prevouts, &[], Unsigned::Refuse).map_err(|_| unsigned())?;
        given.insert(packet.unsigned_tx.compute_txid(), packet);
    }
    for packet in given.values() {
        let Some(input) = packet.unsigned_tx.input.first() else { continue };
        let spent = input.previous_output;
        if book.vtxos.get(&spent).is_some_and(|v| v.unrolled) {
            let text = format!("{spent} already unrolled");
            return Err(refuse(Code::VtxoAlreadyUnrolled, text).with("vtxo_outpoint", spent));
        }
    }
    let own = tx.ark_tx.unsigned_tx.compute_txid();
    let mut last = BTreeMap::new();
    for (index, input) in tx.ark_tx.unsigned_tx.input.iter().enumerate() {
        let id = input.previous_output.txid;
        let packet = given.get(&id).ok_or_else(|| bad_input(id, index, format!("tx {id} not found")))?;
        let scripts = psbt::revealed_scripts(&tx.ark_tx.inputs[index])
            .and_then(Result::ok)
            .ok_or_else(|| bad_input(own, index, "missing taproot tree"))?;
        let expected =
            LeafTree::parse(&scripts).map_err(|e| bad_input(own, index, format!("invalid ark taproot tree: {e}")))?;
        if packet.unsigned_tx.output.first().map(|o| &o.script_pubkey) != Some(&expected.script_pubkey()) {
            return Err(bad_input(own, index, "invalid output script"));
        }
        last.insert(id, packet.clone());
    }
    if tx.stage != Stage::Accepted {
        let shown: Vec<_> = last.iter().map(|(id, p)| format!("{id}:{p}")).collect();
        let text = "failed to finalize offchain tx: not in a valid stage to finalize offchain tx";
        return Err(refuse(Code::Internal, text).with("final_checkpoint_txs", format!("map[{}]", shown.join(" "))));
    }
    Ok(last)
}

/// The new VTXOs exist from now on.
fn settle(book: &mut Book, txid: Txid, tx: &OffchainTx, now: i64) -> Change {
    let spends = tx.spends();
    let spent: Vec<Vtxo> = spends.iter().filter_map(|o| book.vtxos.get(o)).cloned().collect();
    let swept = spent.iter().any(|v| v.recoverable(now));
    let outputs = tx.ark_tx.unsigned_tx.output.iter().enumerate();
    let made: Vec<Vtxo> = outputs
        .filter(|(_, o)| o.script_pubkey != anchor_script() && o.script_pubkey.len() == 34)
        .map(|(vout, output)| Vtxo {
            outpoint: OutPoint::new(txid, vout as u32),
            amount: output.value.to_sat(),
            key: output.script_pubkey.as_bytes()[2..].try_into().unwrap_or([0; 32]),
            commitment_txids: tx.commitment_txids.clone(),
            root: tx.root,
            settled_by: None,
            spent_by: None,
            ark_txid: None,
            spent: false,
            unrolled: false,
            swept: swept || is_sub_dust(&output.script_pubkey),
            preconfirmed: true,
            created_at: tx.started_at,
            expires_at: tx.expires_at,
            depth: tx.depth,
            made: Instant::now(),
            spent_since: None,
        })
        .collect();
    made.iter().for_each(|v| book.add(v.clone()));
    let checkpoints = tx.checkpoints.iter();
    let checkpoints = checkpoints.map(|(id, c)| (c.unsigned_tx.input[0].previous_output, *id, c.to_string())).collect();
    Change { txid, tx: tx.ark_tx.to_string(), made, spent, swept: Vec::new(), checkpoints }
}

/// GetPendingTx: whoever proves a VTXO gets the accepted transaction that spends it.
pub async fn pending(
    shared: Arc<Shared>,
    request: wire::GetPendingTxRequest,
) -> Result<wire::GetPendingTxResponse, Status> {
    let Some(wire::get_pending_tx_request::Identifier::Intent(intent)) = request.identifier else {
        return Err(Status::invalid_argument("missing identifier"));
    };
    let intent: Intent<ShortMessage> =
        Intent::read(Some(intent), "get-pending-tx", "invalid get-pending-tx intent message")?;
    in_time(0, intent.message.expire_at, shared.now())?;
    let signers = shared.settings().all_signers();
    let outpoints = intent.outpoints();
    let vtxos = shared.with_book(|book| book.pending(&outpoints));
    if vtxos.is_empty() {
        return Ok(wire::GetPendingTxResponse::default());
    }
    for (i, outpoint) in outpoints.iter().enumerate() {
        check_coin(&intent, i + 1, vtxos.iter().find(|v| v.outpoint == *outpoint))?;
    }
    verify_short(&intent, &signers)?;
    let unsigned = shared.faults.take(Knob::UnsignedPending);
    let mut pending_txs: Vec<wire::PendingTx> = Vec::new();
    shared.with_book(|book| {
        for txid in vtxos.iter().filter_map(|v| v.ark_txid) {
            let text = txid.to_string();
            let Some(tx) = book.offchain.get(&txid).filter(|_| pending_txs.iter().all(|p| p.ark_txid != text)) else {
                continue;
            };
            let mut ark = tx.ark_tx.clone();
            if unsigned {
                ark.inputs
                    .iter_mut()
                    .for_each(|input| input.tap_script_sigs.retain(|(key, _), _| signers.contains(key)));
            }
            pending_txs.push(wire::PendingTx {
                ark_txid: text,
                final_ark_tx: ark.to_string(),
                signed_checkpoint_txs: tx.checkpoints.values().map(Psbt::to_string).collect(),
            });
        }
    });
    Ok(wire::GetPendingTxResponse { pending_txs })
}

fn check_coin(intent: &Intent<ShortMessage>, index: usize, vtxo: Option<&Vtxo>) -> Result<(), Status> {
    let input = &intent.proof.inputs[index];
    let bad = |text: String| Status::from(bad_input(intent.txid(), index, text));
    if input.tap_scripts.is_empty() {
        return Err(bad(format!("missing taproot leaf script on input {index}")));
    }
    let Some(vtxo) = vtxo else { return Ok(()) };
    let Some(utxo) = &input.witness_utxo else { return Err(Status::internal("something went wrong")) };
    if utxo.value.to_sat() != vtxo.amount {
        let text = format!("invalid witness utxo value: got {} expected {}", utxo.value.to_sat(), vtxo.amount);
        return Err(bad(text));
    }
    if utxo.script_pubkey != vtxo.script() {
        return Err(bad(format!(
            "invalid witness utxo script: got {:x} expected {:x}",
            utxo.script_pubkey,
            vtxo.script()
        )));
    }
    Ok(())
}

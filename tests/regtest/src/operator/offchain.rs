//! SubmitTx: everything is checked, rebuilt and compared; then the VTXOs are spent and the operator's signatures go out.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use bitcoin::psbt::Psbt;
use bitcoin::{OutPoint, ScriptBuf, Txid};
use tonic::Status;

use super::errors::{Code, Refusal, refuse};
use super::faults::Knob;
use super::outputs::check_outputs;
use super::psbt::{self, Unsigned};
use super::rebuild::{Rebuilt, Spend, rebuild};
use super::register::{bad_input, check_script};
use super::script::{Delay, FIRST_TIME, Leaf, LeafTree, Lock};
use super::settings::Settings;
use super::shared::Shared;
use super::state::{Book, OffchainTx, Stage, Vtxo};
use super::wire;
use crate::node::Tip;

/// A submission, decoded.
struct Submission {
    ark: Psbt,
    text: String,
    txid: Txid,
    /// By their ids.
    checkpoints: HashMap<Txid, Psbt>,
    spends: Vec<OutPoint>,
}

/// SubmitTx.
pub async fn submit(shared: Arc<Shared>, request: wire::SubmitTxRequest) -> Result<wire::SubmitTxResponse, Status> {
    if request.signed_ark_tx.is_empty() {
        return Err(Status::invalid_argument("missing signed ark tx"));
    }
    if request.checkpoint_txs.is_empty() {
        return Err(Status::invalid_argument("missing checkpoint txs"));
    }
    let submission = decode(request)?;
    let tip = shared.tip().await.map_err(|e| refuse(Code::Internal, e.to_string()))?;
    let settings = shared.settings();
    let now = shared.now();
    // One piece under the lock: nobody else can spend or lock the same VTXO in between.
    let accepted = shared.with_book(|book| {
        let vtxos = available(book, &submission, &settings, now)?;
        let rebuilt = judge(&submission, &vtxos, &settings, &tip, now)?;
        accept(book, &submission, &vtxos, rebuilt, &settings, now)
    })?;
    Ok(answer(&shared, &submission.txid, &accepted))
}

fn decode(request: wire::SubmitTxRequest) -> Result<Submission, Status> {
    let text = request.signed_ark_tx;
    let ark = psbt::decode(&text)
        .map_err(|e| refuse(Code::InvalidArkPsbt, format!("failed to parse tx: {e}")).with("tx", &text))?;
    let mut checkpoints = HashMap::new();
    let mut spends = Vec::new();
    for text in &request.checkpoint_txs {
        let packet = psbt::decode(text)
            .map_err(|e| refuse(Code::InvalidCheckpointPsbt, format!("failed to parse tx: {e}")).with("tx", text))?;
        let txid = packet.unsigned_tx.compute_txid();
        let Some(input) = packet.unsigned_tx.input.first() else {
            let text = format!("invalid checkpoint tx {txid}");
            return Err(refuse(Code::InvalidPsbtMissingInput, text).with("txid", txid).into());
        };
        let spent = input.previous_output;
        if spends.contains(&spent) {
            return Err(bad_input(txid, 0, format!("duplicated vtxo input {spent}")).into());
        }
        spends.push(spent);
        checkpoints.insert(txid, packet);
    }
    Ok(Submission { txid: ark.unsigned_tx.compute_txid(), ark, text, checkpoints, spends })
}

fn about(code: Code, vtxo: &OutPoint, text: &str) -> Refusal {
    refuse(code, format!("{vtxo} {text}")).with("vtxo_outpoint", vtxo)
}

/// The VTXOs of the submission, if nothing else holds them.
fn available(book: &Book, submission: &Submission, settings: &Settings, now: i64) -> Result<Vec<Vtxo>, Refusal> {
    if book.offchain.get(&submission.txid).is_some_and(|t| t.accepted.elapsed() >= book.lag) {
        let text = format!("duplicated offchain tx {}", submission.txid);
        return Err(refuse(Code::InvalidArkPsbt, text).with("tx", &submission.text));
    }
    let vtxos: Vec<Vtxo> = submission.spends.iter().filter_map(|o| book.seen(o)).collect();
    if vtxos.len() != submission.spends.len() {
        let list = |all: Vec<String>| format!("[{}]", all.join(" "));
        return Err(refuse(Code::VtxoNotFound, "some vtxos not found")
            .with("vtxo_outpoints", list(submission.spends.iter().map(OutPoint::to_string).collect()))
            .with("got_vtxos", list(vtxos.iter().map(|v| v.outpoint.to_string()).collect())));
    }
    for vtxo in &vtxos {
        book.bans
            .check(&vtxo.script(), settings, now)
            .map_err(|e| refuse(Code::VtxoBanned, e).with("vtxo_outpoint", vtxo.outpoint))?;
        if book.being_spent(&vtxo.outpoint) {
            return Err(about(Code::VtxoAlreadySpent, &vtxo.outpoint, "already spent"));
        }
    }
    match submission.spends.iter().find(|o| book.locked.contains(o)) {
        Some(locked) => Err(about(Code::VtxoAlreadyRegistered, locked, "already registered")),
        None => Ok(vtxos),
    }
}

/// Judges every input and output, and rebuilds the transactions.
fn judge(submission: &Submission, vtxos: &[Vtxo], settings: &Settings, tip: &Tip, now: i64) -> Result<Rebuilt, Status> {
    let mut unused: HashMap<OutPoint, &Vtxo> = vtxos.iter().map(|v| (v.outpoint, v)).collect();
    let mut spends = Vec::new();
    for (index, input) in submission.ark.unsigned_tx.input.iter().enumerate() {
        // arkd panics here, and its recovery answers this.
        let checkpoint = submission.checkpoints.get(&input.previous_output.txid);
        let checkpoint = checkpoint.ok_or_else(|| Status::internal("something went wrong"))?;
        let spent = checkpoint.unsigned_tx.input[0].previous_output;
        let scripts = revealed(checkpoint, index)?;
        let Some(vtxo) = unused.remove(&spent) else {
            let text = format!("can't find vtxo associated with checkpoint input {spent}");
            return Err(refuse(Code::Internal, text).into());
        };
        spends.push(judge_input(checkpoint, index, vtxo, scripts, settings, tip, now)?);
        if submission.ark.inputs[index].tap_scripts.is_empty() {
            let text = format!("missing taproot leaf script in ark tx input {index}");
            return Err(bad_input(submission.txid, index, text).into());
        }
    }
    check_signed(submission, settings)?;
    let outputs = check_outputs(&submission.ark.unsigned_tx, settings, &submission.text)?;
    let rebuilt = rebuild(spends, outputs, &settings.checkpoint_leaf())
        .map_err(|e| refuse(Code::Internal, format!("failed to rebuild ark transaction: {e}")))?;
    compare(submission, &rebuilt)?;
    let signers = settings.all_signers();
    let signed = psbt::prevouts(&submission.ark)
        .and_then(|p| psbt::verify_leaf_signatures(&submission.ark, &p, &signers, Unsigned::Refuse));
    if signed.is_err_and(|_| true) {
        let text = format!("invalid signature in ark tx {}", submission.txid);
        return Err(refuse(Code::InvalidSignature, text).with("tx", &submission.text).into());
    }
    Ok(rebuilt)
}

fn revealed(checkpoint: &Psbt, index: usize) -> Result<Vec<ScriptBuf>, Refusal> {
    let input = &checkpoint.inputs[0];
    let txid = checkpoint.unsigned_tx.compute_txid();
    let missing = |what: &str| bad_input(txid, index, format!("missing {what} on input {index}"));
    if input.witness_utxo.is_none() {
        return Err(missing("witness utxo"));
    }
    match input.tap_scripts.len() {
        0 => return Err(missing("tapscript leaf")),
        1 => {}
        n => {
            let text = format!("expected exactly one taproot leaf script on input {index}, got {n}");
            return Err(bad_input(txid, index, text));
        }
    }
    psbt::revealed_scripts(input).and_then(Result::ok).ok_or_else(|| missing("taptree"))
}

fn judge_input(
    checkpoint: &Psbt,
    index: usize,
    vtxo: &Vtxo,
    scripts: Vec<ScriptBuf>,
    settings: &Settings,
    tip: &Tip,
    now: i64,
) -> Result<Spend, Refusal> {
    let txid = checkpoint.unsigned_tx.compute_txid();
    let bad = |text: String| bad_input(txid, index, text);
    let tree =
        LeafTree::parse(&scripts).map_err(|e| bad(format!("failed to parse taptree field in tx {txid}: {e}")))?;
    if vtxo.spent {
        return Err(about(Code::VtxoAlreadySpent, &vtxo.outpoint, "already spent"));
    }
    if vtxo.unrolled {
        return Err(about(Code::VtxoAlreadyUnrolled, &vtxo.outpoint, "already unrolled"));
    }
    if vtxo.recoverable(now) {
        return Err(about(Code::VtxoRecoverable, &vtxo.outpoint, "is recoverable"));
    }
    check_script(settings, &tree, Delay::from_setting(settings.exit_delay), now).map_err(|e| {
        let list: Vec<_> = scripts.iter().map(|s| s.to_hex_string()).collect();
        refuse(Code::InvalidVtxoScript, e).with("tapscripts", format!("[{}]", list.join(" ")))
    })?;
    if tree.script_pubkey() != vtxo.script() {
        return Err(bad(format!("expected {:x}, got {:x}", vtxo.script(), tree.script_pubkey())));
    }
    let utxo = checkpoint.inputs[0].witness_utxo.clone().ok_or_else(|| bad("missing witness utxo".into()))?;
    if utxo.script_pubkey != vtxo.script() {
        let text = format!("witness utxo script mismatch: expected {:x}, got {:x}", vtxo.script(), utxo.script_pubkey);
        return Err(bad(text));
    }
    if utxo.value.to_sat() != vtxo.amount {
        let text = format!("witness utxo value mismatch: expected {}, got {}", vtxo.amount, utxo.value.to_sat());
        return Err(bad(text));
    }
    let (control, script) = psbt::only_leaf(&checkpoint.inputs[0]).ok_or_else(|| bad("missing leaf".into()))?;
    let leaf = Leaf::parse(script).map_err(bad)?;
    match leaf.lock {
        Lock::Until(until) => ripe(until, tip)?,
        Lock::None | Lock::Condition => {}
        _ => return Err(bad(format!("invalid spending tapscript on input {index}: {script:x}"))),
    }
    Ok(Spend {
        outpoint: vtxo.outpoint,
        amount: vtxo.amount,
        leaf,
        control: control.clone(),
        scripts,
        script_pubkey: vtxo.script(),
    })
}

/// An absolute lock must have passed: by height, or by median time past.
fn ripe(until: u32, tip: &Tip) -> Result<(), Refusal> {
    let (now, kind, unit) = match until < FIRST_TIME {
        true => (i64::from(tip.height), "height", "blockheight"),
        false => (tip.median_time as i64, "time", "blocktime"),
    };
    if i64::from(until) <= now {
        return Ok(());
    }
    // arkd prints the time even where it compares heights.
    let text = format!("{until} > {} ({unit})", tip.median_time);
    Err(refuse(Code::ForfeitClosureLocked, text)
        .number("locktime", until.into())
        .number("current_locktime", now)
        .with("type", kind))
}

/// Somebody but the operator must have signed every input; whether that is enough is judged later.
fn check_signed(submission: &Submission, settings: &Settings) -> Result<(), Refusal> {
    let own = settings.signer_key();
    for (index, input) in submission.ark.inputs.iter().enumerate() {
        if input.tap_script_sigs.is_empty() {
            let text = format!("missing tapscript spend sig in ark tx input {index}");
            return Err(bad_input(submission.txid, index, text));
        }
        if input.tap_script_sigs.keys().all(|(k, _)| *k == own) {
            let text = format!("tx {} is not signed", submission.txid);
            return Err(refuse(Code::ArkTxInputNotSigned, text)
                .with("txid", submission.txid)
                .number("input_index", index as i64));
        }
    }
    Ok(())
}

fn compare(submission: &Submission, rebuilt: &Rebuilt) -> Result<(), Refusal> {
    let (made, given) = (rebuilt.checkpoints.len(), submission.checkpoints.len());
    if made != given {
        let text = format!("invalid number of checkpoint txs, expected {made} got {given}");
        return Err(refuse(Code::CheckpointMismatch, text).with("expected_txid", ""));
    }
    for checkpoint in &rebuilt.checkpoints {
        let txid = checkpoint.unsigned_tx.compute_txid();
        if !submission.checkpoints.contains_key(&txid) {
            let text = format!("invalid checkpoint txs: {txid} not found");
            return Err(refuse(Code::CheckpointMismatch, text).with("expected_txid", submission.txid));
        }
    }
    let txid = rebuilt.ark.unsigned_tx.compute_txid();
    if txid != submission.txid {
        return Err(refuse(Code::ArkTxMismatch, format!("expected tx {txid}, got {}", submission.txid))
            .with("expected_txid", submission.txid)
            .with("got_txid", txid));
    }
    Ok(())
}

/// Signs, weighs, and spends the VTXOs in the books.
fn accept(
    book: &mut Book,
    submission: &Submission,
    vtxos: &[Vtxo],
    rebuilt: Rebuilt,
    settings: &Settings,
    now: i64,
) -> Result<OffchainTx, Status> {
    let failed = |e: String| Status::from(refuse(Code::Internal, format!("failed to sign ark tx: {e}")));
    let mut ark = submission.ark.clone();
    let prevouts = psbt::prevouts(&ark).map_err(failed)?;
    for signer in settings.signer_pairs() {
        psbt::sign_leaves(&mut ark, &prevouts, &signer, None).map_err(failed)?;
    }
    let weight = psbt::signed_weight(&ark, &[]).map_err(failed)?.to_wu();
    if weight > settings.max_tx_weight {
        return Err(refuse(Code::TxTooLarge, format!("ark tx weight is too high: {weight}"))
            .number("weight", weight as i64)
            .number("max_weight", settings.max_tx_weight as i64)
            .into());
    }
    let mut checkpoints = BTreeMap::new();
    for mut checkpoint in rebuilt.checkpoints {
        let prevouts = psbt::prevouts(&checkpoint).map_err(failed)?;
        for signer in settings.signer_pairs() {
            psbt::sign_leaves(&mut checkpoint, &prevouts, &signer, None).map_err(failed)?;
        }
        checkpoints.insert(checkpoint.unsigned_tx.compute_txid(), checkpoint);
    }
    let first = vtxos.iter().min_by_key(|v| v.expires_at).ok_or_else(|| failed("no vtxo".into()))?;
    let mut commitment_txids: Vec<Txid> = vtxos.iter().map(|v| v.root).collect();
    commitment_txids.sort();
    commitment_txids.dedup();
    let tx = OffchainTx {
        ark_tx: ark,
        checkpoints,
        stage: Stage::Accepted,
        accepted: Instant::now(),
        started_at: now,
        expires_at: first.expires_at,
        depth: vtxos.iter().map(|v| v.depth).max().unwrap_or(0) + 1,
        root: first.root,
        commitment_txids,
    };
    for (id, checkpoint) in &tx.checkpoints {
        if let Some(vtxo) = book.vtxos.get_mut(&checkpoint.unsigned_tx.input[0].previous_output) {
            vtxo.spent = true;
            vtxo.spent_since = Some(Instant::now());
            vtxo.spent_by = Some(*id);
            vtxo.ark_txid = Some(submission.txid);
        }
    }
    book.offchain.insert(submission.txid, tx.clone());
    Ok(tx)
}

/// The answer, honest or not.
fn answer(shared: &Shared, txid: &Txid, tx: &OffchainTx) -> wire::SubmitTxResponse {
    let faults = &shared.faults;
    let signers = shared.settings().all_signers();
    let mut ark = tx.ark_tx.clone();
    let mut checkpoints: Vec<Psbt> = tx.checkpoints.values().cloned().collect();
    let spoil = |packet: &mut Psbt, remove: bool| {
        for input in &mut packet.inputs {
            if remove {
                input.tap_script_sigs.retain(|(k, _), _| !signers.contains(k));
            }
            for ((key, _), signature) in &mut input.tap_script_sigs {
                if signers.contains(key) {
                    let mut bytes = signature.signature.serialize();
                    bytes[40] ^= 1;
                    signature.signature = bitcoin::secp256k1::schnorr::Signature::from_slice(&bytes).expect("64 bytes");
                }
            }
        }
    };
    if faults.take(Knob::WrongArkSignature) {
        spoil(&mut ark, false);
    }
    if faults.take(Knob::MissingArkSignature) {
        spoil(&mut ark, true);
    }
    if faults.take(Knob::WrongCheckpointSignature) {
        checkpoints.iter_mut().for_each(|c| spoil(c, false));
    }
    if faults.take(Knob::MissingCheckpointSignature) {
        checkpoints.iter_mut().for_each(|c| spoil(c, true));
    }
    if faults.take(Knob::OtherCheckpoint) {
        checkpoints.iter_mut().for_each(|c| c.unsigned_tx.output[0].value -= bitcoin::Amount::from_sat(1));
    }
    wire::SubmitTxResponse {
        ark_txid: txid.to_string(),
        final_ark_tx: ark.to_string(),
        signed_checkpoint_txs: checkpoints.iter().map(Psbt::to_string).collect(),
    }
}

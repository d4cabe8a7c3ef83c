//! RegisterIntent, EstimateIntentFee and DeleteIntent.

use std::collections::HashSet;
use std::time::Instant;

use bitcoin::psbt::Input;
use bitcoin::{Address, Network, OutPoint, ScriptBuf, TxOut, XOnlyPublicKey};
use tonic::Status;

use super::boarding::{self, Candidate};
use super::errors::{Code, Refusal, refuse};
use super::fees::{self, Shape};
use super::intent::{Intent, RegisterMessage, ShortMessage};
use super::script::{Delay, LeafTree};
use super::settings::Settings;
use super::shared::{Shared, uuid};
use super::state::{Book, Receiver, Registered, Vtxo};
use super::{psbt, wire};

/// The relative lock that a proof's input claims; None when its disable bit is set. Seconds count one less, as in BIP68.
pub fn claimed_delay(sequence: u32) -> Option<i64> {
    let value = i64::from(sequence & 0xffff);
    match sequence {
        s if s & (1 << 31) != 0 => None,
        s if s & (1 << 22) != 0 => Some((value << 9) - 1),
        _ => Some(value),
    }
}

/// Checks the times of a message.
pub fn in_time(valid_at: i64, expire_at: i64, now: i64) -> Result<(), Refusal> {
    let figures =
        |refusal: Refusal| refusal.number("valid_at", valid_at).number("expire_at", expire_at).number("now", now);
    if valid_at > 0 && now < valid_at {
        return Err(figures(refuse(Code::InvalidIntentTimerange, "proof of ownership not yet valid")));
    }
    if expire_at > 0 && now > expire_at {
        return Err(figures(refuse(Code::InvalidIntentTimerange, "proof of ownership expired")));
    }
    Ok(())
}

/// A refusal over one input of a PSBT.
pub fn bad_input(txid: impl ToString, index: usize, text: impl Into<String>) -> Refusal {
    refuse(Code::InvalidPsbtInput, text).with("txid", txid).number("input_index", index as i64)
}

fn bad_proof<M>(intent: &Intent<M>, text: impl Into<String>) -> Refusal {
    refuse(Code::InvalidIntentProof, text).with("proof", &intent.proof_text).with("message", &intent.message_text)
}

fn no_inputs<M>(intent: &Intent<M>) -> Refusal {
    refuse(Code::InvalidIntentPsbt, "proof misses inputs").with("tx", intent.txid())
}

/// Does the script please one of the operator's signers?
pub fn check_script(settings: &Settings, tree: &LeafTree, shortest: Delay, now: i64) -> Result<(), String> {
    let mut last = Ok(());
    for signer in settings.accepted_signers(now) {
        last = tree.validate(signer, shortest, settings.blocks_allowed());
        if last.is_ok() {
            return last;
        }
    }
    for signer in settings.all_signers() {
        if tree.validate(signer, shortest, settings.blocks_allowed()).is_ok() {
            return Err(format!("{signer} is a deprecated key"));
        }
    }
    last
}

/// Is the spent VTXO's witness output the one it claims?
fn check_prevout(intent_txid: impl ToString, index: usize, claimed: &TxOut, vtxo: &Vtxo) -> Result<(), Refusal> {
    let (got, expected) = (claimed.value.to_sat(), vtxo.amount);
    if got != expected {
        let text = format!("witness utxo value mismatch: got {got} expected {expected}");
        return Err(bad_input(intent_txid, index, text));
    }
    if claimed.script_pubkey != vtxo.script() {
        let text = format!("invalid witness utxo script: got {:x} expected {:x}", claimed.script_pubkey, vtxo.script());
        return Err(bad_input(intent_txid, index, text));
    }
    Ok(())
}

/// RegisterIntent.
pub async fn register(
    shared: std::sync::Arc<Shared>,
    request: wire::RegisterIntentRequest,
) -> Result<wire::RegisterIntentResponse, Status> {
    let intent: Intent<RegisterMessage> = Intent::read(request.intent, "register", "invalid intent message")?;
    let settings = shared.settings();
    let now = shared.now();
    let coins = shared.with_book(|book| collect(book, &intent, &settings, now))?;
    intent.verify(&settings.all_signers()).map_err(|e| bad_proof(&intent, format!("invalid intent proof: {e}")))?;
    shared.faults.note_proof(intent.proof.clone());
    weigh(&intent, &settings)?;
    if !intent.has_outputs() {
        return Err(bad_proof(&intent, "proof does not contain outputs").into());
    }
    let receivers = outputs(&intent, &settings)?;
    check_cosigners(&intent, &receivers, &shared.tree_public_key())?;
    check_fees(&intent, &settings, &coins, &receivers)?;
    let boarding = boarding::check(&shared.node, &settings, &intent.txid(), coins.boarding, now).await?;
    let registered =
        Registered { id: uuid(), at: Instant::now(), vtxos: coins.vtxos, boarding, receivers, message: intent.message };
    let id = registered.id.clone();
    shared.with_book(|book| push(book, registered))?;
    shared.wake.notify_one();
    Ok(wire::RegisterIntentResponse { intent_id: id })
}

/// An intent's coins, sorted.
struct Coins {
    vtxos: Vec<Vtxo>,
    boarding: Vec<Candidate>,
}

fn collect(book: &Book, intent: &Intent<RegisterMessage>, settings: &Settings, now: i64) -> Result<Coins, Refusal> {
    let outpoints = intent.outpoints();
    if outpoints.is_empty() {
        return Err(no_inputs(intent));
    }
    in_time(intent.message.valid_at, intent.message.expire_at, now)?;
    let mut seen = HashSet::new();
    let mut coins = Coins { vtxos: Vec::new(), boarding: Vec::new() };
    for (i, outpoint) in outpoints.iter().enumerate() {
        if !seen.insert(*outpoint) {
            return Err(bad_proof(intent, format!("duplicated input {outpoint}")));
        }
        let input = &intent.proof.inputs[i + 1];
        let txid = intent.txid();
        if input.tap_scripts.is_empty() {
            return Err(bad_input(txid, i + 1, format!("missing taproot leaf script on input {}", i + 1)));
        }
        let Some(utxo) = input.witness_utxo.clone() else {
            return Err(bad_input(txid, i + 1, format!("missing witness utxo for input {outpoint}")));
        };
        let outpoint_text = outpoint.to_string();
        if book.being_spent(outpoint) {
            let text = format!("vtxo {outpoint} is currently being spent");
            return Err(refuse(Code::VtxoAlreadySpent, text).with("vtxo_outpoint", outpoint_text));
        }
        let scripts = psbt::revealed_scripts(input).and_then(Result::ok).unwrap_or_default();
        let claimed = claimed_delay(intent.proof.unsigned_tx.input[i + 1].sequence.0);
        let candidate = |unrolled| Candidate {
            outpoint: *outpoint,
            utxo: utxo.clone(),
            scripts: scripts.clone(),
            claimed,
            unrolled,
        };
        let banned = |script: Result<ScriptBuf, String>| {
            script
                .and_then(|s| book.bans.check(&s, settings, now))
                .map_err(|e| refuse(Code::VtxoBanned, e).with("vtxo_outpoint", &outpoint_text))
        };
        let Some(vtxo) = book.seen(outpoint) else {
            if intent.message.onchain_output_indexes.as_ref().is_some_and(|o| !o.is_empty()) {
                return Err(bad_proof(intent, "cannot include onchain inputs and outputs"));
            }
            banned(LeafTree::parse(&scripts).map(|t| t.script_pubkey()))?;
            coins.boarding.push(candidate(false));
            continue;
        };
        banned(Ok(vtxo.script()))?;
        if vtxo.spent {
            let text = format!("input {outpoint} already spent");
            return Err(refuse(Code::VtxoAlreadySpent, text).with("vtxo_outpoint", &outpoint_text));
        }
        if vtxo.unrolled {
            coins.boarding.push(candidate(true));
        } else {
            check_vtxo(intent, settings, &vtxo, &utxo, &scripts, claimed, i + 1, now)?;
        }
        coins.vtxos.push(vtxo);
    }
    Ok(coins)
}

#[allow(clippy::too_many_arguments)]
fn check_vtxo(
    intent: &Intent<RegisterMessage>,
    settings: &Settings,
    vtxo: &Vtxo,
    utxo: &TxOut,
    scripts: &[ScriptBuf],
    claimed: Option<i64>,
    index: usize,
    now: i64,
) -> Result<(), Refusal> {
    let txid = intent.txid();
    let gap = settings.settlement_min_expiry_gap.as_secs() as i64;
    if gap > 0 && !vtxo.swept && vtxo.expires_at > now + gap {
        let text = format!("vtxo {} expires after {} (minExpiryGap: {gap}s)", vtxo.outpoint, now + gap);
        return Err(bad_input(txid, index, text));
    }
    check_prevout(txid, index, utxo, vtxo)?;
    if !vtxo.requires_forfeit(now) {
        return Ok(());
    }
    if scripts.is_empty() {
        return Err(bad_input(txid, index, format!("missing taptree for input {}", vtxo.outpoint)));
    }
    let bad_script = |text: String| {
        let list: Vec<_> = scripts.iter().map(|s| s.to_hex_string()).collect();
        refuse(Code::InvalidVtxoScript, text).with("tapscripts", format!("[{}]", list.join(" ")))
    };
    let tree = LeafTree::parse(scripts).map_err(|e| bad_script(format!("failed to parse vtxo taproot tree: {e}")))?;
    let smallest =
        tree.smallest_exit().ok_or_else(|| bad_script("failed to get smallest exit delay: no exit leaf".into()))?;
    check_script(settings, &tree, Delay::from_setting(settings.exit_delay), now)
        .map_err(|e| bad_script(format!("invalid vtxo script: {e}")))?;
    if let Some(claimed) = claimed {
        let wait = claimed - (now + smallest.seconds() - vtxo.created_at);
        if wait > 0 {
            return Err(bad_script(format!("vtxo script can be used for intent registration in {wait} seconds")));
        }
    }
    if tree.script_pubkey() != vtxo.script() {
        let text = format!("taproot key mismatch: got {:x} expected {:x}", tree.script_pubkey(), vtxo.script());
        return Err(bad_input(txid, index, text));
    }
    Ok(())
}

fn weigh(intent: &Intent<RegisterMessage>, settings: &Settings) -> Result<(), Status> {
    let weight = psbt::signed_weight(&intent.proof, &settings.all_signers())
        .map_err(|e| refuse(Code::Internal, format!("failed to finalize proof: {e}")))?;
    if weight.to_wu() > settings.max_tx_weight {
        return Err(refuse(Code::TxTooLarge, format!("proof weight is too high: {}", weight.to_wu()))
            .number("weight", weight.to_wu() as i64)
            .number("max_weight", settings.max_tx_weight as i64)
            .into());
    }
    Ok(())
}

fn outputs(intent: &Intent<RegisterMessage>, settings: &Settings) -> Result<Vec<Receiver>, Refusal> {
    let onchain_indexes = intent.message.onchain_output_indexes.as_deref().unwrap_or_default();
    let outputs = intent.proof.unsigned_tx.output.iter().enumerate();
    outputs
        .map(|(index, output)| {
            let onchain = onchain_indexes.contains(&(index as i64));
            let (least, most, kind) = match onchain {
                true => (settings.utxo_min, settings.utxo_max, "utxo"),
                false => (settings.dust as i64, settings.vtxo_max, "vtxo"),
            };
            let amount = output.value.to_sat() as i64;
            let figures = |r: Refusal| r.number("output_index", index as i64).number("amount", amount);
            if most >= 0 && amount > most {
                let text = format!("output {index} amount is higher than max {kind} amount: {most}");
                return Err(figures(refuse(Code::AmountTooHigh, text)).number("max_amount", most));
            }
            if amount < least {
                let text = format!("output {index} amount is lower than min {kind} amount: {least}");
                return Err(figures(refuse(Code::AmountTooLow, text)).number("min_amount", least));
            }
            let good = match onchain {
                true => Address::from_script(&output.script_pubkey, Network::Regtest).is_ok(),
                false => output.script_pubkey.is_p2tr(),
            };
            if !good {
                let text = format!("invalid script type for output {index}");
                return Err(refuse(Code::InvalidPkscript, text).with("script", output.script_pubkey.to_hex_string()));
            }
            Ok(Receiver { output: output.clone(), onchain })
        })
        .collect()
}

fn check_cosigners(intent: &Intent<RegisterMessage>, receivers: &[Receiver], own: &str) -> Result<(), Refusal> {
    let cosigners = intent.message.cosigners_public_keys.as_deref().unwrap_or_default();
    let bad = |text: String| {
        refuse(Code::InvalidIntentMessage, text).with("message", format!("map[type:{}]", intent.message.kind))
    };
    if receivers.iter().all(|r| r.onchain) {
        return Ok(());
    }
    if cosigners.is_empty() {
        return Err(bad("CosignersPublicKeys is required in intent message".into()));
    }
    if cosigners.iter().any(|c| c == own) {
        return Err(bad(format!("invalid cosigner pubkeys: {own} is used by us")));
    }
    Ok(())
}

fn check_fees(
    intent: &Intent<RegisterMessage>,
    settings: &Settings,
    coins: &Coins,
    receivers: &[Receiver],
) -> Result<(), Refusal> {
    let paid = intent.fees().map_err(|e| bad_proof(intent, format!("failed to compute intent fees: {e}")))?;
    let shape = Shape {
        offchain_inputs: coins.vtxos.iter().filter(|v| !v.unrolled).count(),
        onchain_inputs: coins.boarding.len(),
        offchain_outputs: receivers.iter().filter(|r| !r.onchain).count(),
        onchain_outputs: receivers.iter().filter(|r| r.onchain).count(),
    };
    let least = fees::least(&settings.fees, shape)
        .map_err(|e| refuse(Code::Internal, format!("failed to get intent fees: {e}")))?;
    if paid < least {
        return Err(refuse(Code::IntentInsufficientFee, format!("got {paid} min expected {least}"))
            .number("min_fee", least)
            .number("actual_fee", paid));
    }
    Ok(())
}

/// Puts an intent into the queue; a coin can wait in one intent only.
pub fn push(book: &mut Book, registered: Registered) -> Result<(), Refusal> {
    let waiting: HashSet<String> = book.queue.iter().flat_map(Registered::topics).collect();
    if let Some(twice) = registered.topics().iter().find(|t| waiting.contains(*t)) {
        let text = format!("failed to push intent: duplicated input, {twice} already registered by another intent");
        return Err(refuse(Code::Internal, text));
    }
    book.locked.extend(registered.vtxos.iter().map(|v| v.outpoint));
    book.queue.push(registered);
    Ok(())
}

/// EstimateIntentFee.
pub async fn estimate(
    shared: std::sync::Arc<Shared>,
    request: wire::EstimateIntentFeeRequest,
) -> Result<wire::EstimateIntentFeeResponse, Status> {
    let intent: Intent<RegisterMessage> =
        Intent::read(request.intent, "estimate-intent-fee", "invalid intent message")?;
    in_time(intent.message.valid_at, intent.message.expire_at, shared.now())?;
    let outpoints = intent.outpoints();
    if outpoints.is_empty() {
        return Err(no_inputs(&intent).into());
    }
    let onchain = intent.message.onchain_output_indexes.as_deref().unwrap_or_default();
    let shape = shared.with_book(|book| {
        let known = |o: &OutPoint| book.seen(o).is_some_and(|v| !v.unrolled);
        let spent = outpoints.iter().zip(&intent.proof.inputs[1..]).filter(|(_, i)| i.witness_utxo.is_some());
        let (offchain_inputs, onchain_inputs): (Vec<OutPoint>, Vec<OutPoint>) = spent.map(|(o, _)| *o).partition(known);
        let all = intent.proof.unsigned_tx.output.len();
        let onchain_outputs = (0..all).filter(|i| onchain.contains(&(*i as i64))).count();
        Shape {
            offchain_inputs: offchain_inputs.len(),
            onchain_inputs: onchain_inputs.len(),
            offchain_outputs: all - onchain_outputs,
            onchain_outputs,
        }
    });
    let fee = fees::least(&shared.settings().fees, shape)
        .map_err(|e| refuse(Code::Internal, format!("failed to evaluate fees: {e}")))?;
    Ok(wire::EstimateIntentFeeResponse { fee })
}

/// DeleteIntent: whoever proves one of a queued intent's VTXOs may take it out.
pub async fn delete(
    shared: std::sync::Arc<Shared>,
    request: wire::DeleteIntentRequest,
) -> Result<wire::DeleteIntentResponse, Status> {
    let intent: Intent<ShortMessage> = Intent::read(request.intent, "delete", "invalid delete intent message")?;
    in_time(0, intent.message.expire_at, shared.now())?;
    let signers = shared.settings().all_signers();
    let outpoints = intent.outpoints();
    for (i, outpoint) in outpoints.iter().enumerate() {
        check_owned(&shared, &intent, i + 1, outpoint, &intent.proof.inputs[i + 1]).await?;
    }
    verify_short(&intent, &signers)?;
    shared.with_book(|book| {
        let hit = |r: &Registered| r.vtxos.iter().any(|v| outpoints.contains(&v.outpoint));
        let gone: Vec<_> = book.queue.iter().filter(|r| hit(r)).flat_map(|r| r.vtxos.clone()).collect();
        if !book.queue.iter().any(hit) {
            return Err(refuse(Code::InvalidIntentProof, "no matching intents found for intent proof"));
        }
        book.queue.retain(|r| !hit(r));
        gone.iter().for_each(|v| {
            book.locked.remove(&v.outpoint);
        });
        Ok(())
    })?;
    Ok(wire::DeleteIntentResponse {})
}

/// The proof of a short message.
pub fn verify_short(intent: &Intent<ShortMessage>, signers: &[XOnlyPublicKey]) -> Result<(), Refusal> {
    intent.verify(signers).map_err(|e| bad_proof(intent, format!("invalid intent proof: {e}")))
}

async fn check_owned(
    shared: &Shared,
    intent: &Intent<ShortMessage>,
    index: usize,
    outpoint: &OutPoint,
    input: &Input,
) -> Result<(), Status> {
    if input.tap_scripts.is_empty() {
        let text = format!("missing taproot leaf script on input {index}");
        return Err(bad_input(intent.txid(), index, text).into());
    }
    let Some(claimed) = &input.witness_utxo else { return Err(Status::internal("something went wrong")) };
    if let Some(vtxo) = shared.with_book(|b| b.seen(outpoint)) {
        return Ok(check_prevout(intent.txid(), index, claimed, &vtxo)?);
    }
    let found = shared.node.transaction(&outpoint.txid).await.ok().flatten();
    let Some((tx, _)) = found else {
        let text = format!("failed to get boarding input tx {}", outpoint.txid);
        return Err(refuse(Code::TxNotFound, text).with("txid", outpoint.txid).into());
    };
    match tx.output.get(outpoint.vout as usize) {
        Some(output) if output == claimed => Ok(()),
        _ => Err(bad_input(intent.txid(), index, "pkscript mismatch").into()),
    }
}

//! Reads the recorded files and puts their calls to an operator.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod raw;

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::SecretKey;
use bitcoin::{OutPoint, ScriptBuf};
use regtest::operator::wire::ark_service_client::ArkServiceClient;
use regtest::operator::wire::{self, IndexerVtxo};
use regtest::operator::{Operator, Settings, psbt};
use serde_json::Value;
use tonic::Status;
use tonic::transport::Channel;

pub use raw::{details, recorded_details, send_raw, wire as wire_calls};

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../vectors/arkd-0.9.15")
}

fn load(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder().join(format!("{name}.json"))).unwrap()).unwrap()
}

fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn vtxo(v: &Value) -> IndexerVtxo {
    let flag = |name: &str| v[name].as_bool().unwrap_or_default();
    IndexerVtxo {
        outpoint: Some(wire::IndexerOutpoint {
            txid: text(&v["outpoint"]["txid"]),
            vout: number(&v["outpoint"]["vout"]) as u32,
        }),
        created_at: number(&v["createdAt"]),
        expires_at: number(&v["expiresAt"]),
        amount: number(&v["amount"]) as u64,
        script: text(&v["script"]),
        is_preconfirmed: flag("isPreconfirmed"),
        is_swept: flag("isSwept"),
        is_unrolled: flag("isUnrolled"),
        is_spent: flag("isSpent"),
        spent_by: text(&v["spentBy"]),
        commitment_txids: texts(&v["commitmentTxids"]),
        settled_by: text(&v["settledBy"]),
        ark_txid: text(&v["arkTxid"]),
        assets: Vec::new(),
        depth: number(&v["depth"]) as u32,
    }
}

fn place(v: &IndexerVtxo) -> OutPoint {
    let outpoint = v.outpoint.as_ref().unwrap();
    OutPoint::new(outpoint.txid.parse().unwrap(), outpoint.vout)
}

/// One file.
pub struct Recorded {
    pub calls: Vec<Value>,
    /// Every VTXO as it was shown first.
    first: HashMap<OutPoint, IndexerVtxo>,
    /// And as it was shown last.
    last: HashMap<OutPoint, IndexerVtxo>,
}

impl Recorded {
    pub fn read(name: &str) -> Recorded {
        let calls = load(name)["calls"].as_array().unwrap().clone();
        let (mut first, mut last) = (HashMap::new(), HashMap::new());
        for call in &calls {
            for shown in call["answer"]["vtxos"].as_array().into_iter().flatten().map(vtxo) {
                last.insert(place(&shown), shown.clone());
                first.entry(place(&shown)).or_insert(shown);
            }
        }
        Recorded { calls, first, last }
    }

    /// GetInfo as it was at or before a call.
    pub fn info(&self, at: usize) -> Option<wire::GetInfoResponse> {
        let before = self.calls[..=at].iter().rev().find(|c| text(&c["path"]) == "/v1/info");
        let a = &before?["answer"];
        let fee = &a["fees"]["intentFee"];
        Some(wire::GetInfoResponse {
            version: text(&a["version"]),
            signer_pubkey: text(&a["signerPubkey"]),
            forfeit_pubkey: text(&a["forfeitPubkey"]),
            forfeit_address: text(&a["forfeitAddress"]),
            checkpoint_tapscript: text(&a["checkpointTapscript"]),
            network: text(&a["network"]),
            session_duration: number(&a["sessionDuration"]),
            unilateral_exit_delay: number(&a["unilateralExitDelay"]),
            boarding_exit_delay: number(&a["boardingExitDelay"]),
            utxo_min_amount: number(&a["utxoMinAmount"]),
            utxo_max_amount: number(&a["utxoMaxAmount"]),
            vtxo_min_amount: number(&a["vtxoMinAmount"]),
            vtxo_max_amount: number(&a["vtxoMaxAmount"]),
            dust: number(&a["dust"]),
            fees: Some(wire::FeeInfo {
                intent_fee: Some(wire::IntentFeeInfo {
                    offchain_input: text(&fee["offchainInput"]),
                    offchain_output: text(&fee["offchainOutput"]),
                    onchain_input: text(&fee["onchainInput"]),
                    onchain_output: text(&fee["onchainOutput"]),
                }),
                tx_fee_rate: text(&a["fees"]["txFeeRate"]),
            }),
            digest: text(&a["digest"]),
            max_tx_weight: number(&a["maxTxWeight"]),
            max_op_return_outputs: number(&a["maxOpReturnOutputs"]),
            ..Default::default()
        })
    }

    /// Keys and checkpoint script of the arkd of the day.
    pub fn adopt(&self, settings: &mut Settings, at: usize) {
        let info = self.info(at).unwrap();
        // The signer key that the recording's arkd was started with.
        settings.signer =
            "afcd3fa10f82a05fddc9574fdb13b3991b568e89cc39a72ba4401df8abef35f0".parse::<SecretKey>().unwrap();
        settings.checkpoint_script = Some(ScriptBuf::from_hex(&info.checkpoint_tapscript).unwrap());
        settings.session = settings.session.max(std::time::Duration::from_secs(info.session_duration as u64));
    }

    /// Moves the operator's clock and tip to those of a call.
    pub fn clock(&self, operator: &Operator, at: usize) {
        let call = &self.calls[at];
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
        operator.change(|s| {
            s.clock_shift = number(&call["at"]) - now;
            s.pretend_tip = Some((number(&call["height"]) as u32, number(&call["median_time_past"]) as u64));
        });
    }

    /// Puts a VTXO into the books as it was when it was new (its flags apart from swept are the operator's own affair).
    pub fn put(&self, operator: &Operator, outpoint: &OutPoint) -> bool {
        if operator.vtxo(outpoint).is_some() {
            return true;
        }
        let Some(shown) = self.first.get(outpoint).cloned() else { return false };
        let new = IndexerVtxo {
            is_spent: false,
            is_unrolled: false,
            spent_by: String::new(),
            settled_by: String::new(),
            ark_txid: String::new(),
            // arkd moves the expiry when the commitment confirms.
            expires_at: self.last[outpoint].expires_at,
            ..shown
        };
        operator.put_vtxo(&new)
    }

    pub fn script(&self, outpoint: &OutPoint) -> ScriptBuf {
        ScriptBuf::from_hex(&self.first[outpoint].script).unwrap()
    }

    pub fn checkpoint_inputs(&self, at: usize) -> Vec<OutPoint> {
        let texts = texts(&self.calls[at]["body"]["checkpointTxs"]);
        let packets = texts.iter().filter_map(|t| psbt::decode(t).ok());
        packets.map(|p| p.unsigned_tx.input[0].previous_output).collect()
    }

    pub fn proof_inputs(&self, at: usize) -> Vec<OutPoint> {
        let proof = psbt::decode(&text(&self.calls[at]["body"]["intent"]["proof"])).unwrap();
        proof.unsigned_tx.input.iter().skip(1).map(|i| i.previous_output).collect()
    }
}

/// An intent as it was sent: where the file holds the message as an object, its bytes are in the proof.
fn intent(call: &Value) -> wire::Intent {
    let body = &call["body"]["intent"];
    let proof = text(&body["proof"]);
    let message = match body["message"].as_str() {
        Some(message) => message.to_owned(),
        None => {
            let packet = psbt::decode(&proof).unwrap();
            let own = packet.unknown.iter().find(|(k, _)| k.type_value == 9).expect("the message is in the proof");
            String::from_utf8(own.1.clone()).unwrap()
        }
    };
    wire::Intent { proof, message }
}

/// Every way to change one bit that matters: in signatures, and in the transaction.
fn changed(packet_text: &str) -> Vec<String> {
    let packet = psbt::decode(packet_text).unwrap();
    let mut all = Vec::new();
    for (i, input) in packet.inputs.iter().enumerate() {
        for key in input.tap_script_sigs.keys() {
            for bit in [0, 300] {
                let mut other = packet.clone();
                let signature = other.inputs[i].tap_script_sigs.get_mut(key).unwrap();
                let mut bytes = signature.signature.serialize();
                bytes[bit / 8] ^= 1 << (bit % 8);
                signature.signature = bitcoin::secp256k1::schnorr::Signature::from_slice(&bytes).unwrap();
                all.push(other);
            }
        }
    }
    for i in 0..packet.unsigned_tx.output.len() {
        let mut other = packet.clone();
        let value = &mut other.unsigned_tx.output[i].value;
        *value = bitcoin::Amount::from_sat(value.to_sat() ^ 1);
        all.push(other);
    }
    let mut other = packet.clone();
    other.unsigned_tx.lock_time =
        bitcoin::absolute::LockTime::from_consensus(packet.unsigned_tx.lock_time.to_consensus_u32() ^ 1);
    all.push(other);
    for i in 0..packet.unsigned_tx.input.len() {
        let mut other = packet.clone();
        other.unsigned_tx.input[i].previous_output.vout ^= 1;
        all.push(other);
    }
    all.iter().map(Psbt::to_string).collect()
}

/// Puts recorded calls to an operator.
pub struct Judge<'a> {
    operator: &'a Operator,
    recorded: &'a Recorded,
    ark: ArkServiceClient<Channel>,
    waiting: Vec<OutPoint>,
    pub judged: usize,
    pub flipped: usize,
    pub skipped: usize,
}

impl<'a> Judge<'a> {
    pub async fn new(operator: &'a Operator, recorded: &'a Recorded) -> Judge<'a> {
        let ark = ArkServiceClient::connect(operator.url()).await.unwrap();
        Judge { operator, recorded, ark, waiting: Vec::new(), judged: 0, flipped: 0, skipped: 0 }
    }

    pub async fn call(&mut self, at: usize) {
        let call = &self.recorded.calls[at];
        match text(&call["path"]).as_str() {
            "/v1/batch/registerIntent" => self.register(at).await,
            "/v1/batch/ack" => self.batch(),
            "/v1/batch/deleteIntent" => {
                let intent = intent(call);
                for proof in changed(&intent.proof) {
                    let other = wire::Intent { proof, ..intent.clone() };
                    self.refused(
                        self.ark.clone().delete_intent(wire::DeleteIntentRequest { intent: Some(other) }).await,
                    );
                }
                let result = self.ark.delete_intent(wire::DeleteIntentRequest { intent: Some(intent) }).await;
                self.same(at, result.map(|_| ()));
            }
            "/v1/tx/submit" => self.submit(at).await,
            "/v1/tx/finalize" => self.finalize(at).await,
            "/v1/tx/pending" => self.pending(at).await,
            _ => {}
        }
    }

    /// The batch of that day runs: it lets go of what waits, and settles what was settled.
    fn batch(&mut self) {
        self.operator.forget_intents();
        for outpoint in std::mem::take(&mut self.waiting) {
            if let Some(last) = self.recorded.last.get(&outpoint).filter(|v| !v.settled_by.is_empty()) {
                self.operator.put_vtxo(last);
            }
        }
    }

    #[track_caller]
    fn refused<T>(&mut self, result: Result<T, Status>) {
        assert!(
            result.is_err(),
            "a changed request was accepted, after {} calls and {} changes",
            self.judged,
            self.flipped
        );
        self.flipped += 1;
    }

    /// Ours and theirs must agree in everything but the wording.
    fn same(&mut self, at: usize, ours: Result<(), Status>) {
        let call = &self.recorded.calls[at];
        let theirs = call["answer"]["details"][0]["code"].as_i64();
        let name = format!("call {at} {}", text(&call["path"]));
        match (number(&call["status"]), ours) {
            (200, Ok(())) => {}
            (200, Err(e)) => panic!("{name}: arkd accepted, we said {e}"),
            (_, Ok(())) => panic!("{name}: arkd refused ({}), we accepted", call["answer"]["message"]),
            (_, Err(ours)) => {
                assert_eq!(details(&ours).map(|d| i64::from(d.code)), theirs, "{name}: {ours}");
                assert_eq!(ours.code() as i64, number(&call["answer"]["code"]), "{name}");
                let recorded = &call["answer"]["details"][0];
                let mine = details(&ours).unwrap();
                assert_eq!(mine.name, text(&recorded["name"]), "{name}");
                let keys =
                    |o: &Value| o.as_object().map(|m| m.keys().cloned().collect::<HashSet<_>>()).unwrap_or_default();
                let own: HashSet<String> = mine.metadata.keys().cloned().collect();
                assert_eq!(own, keys(&recorded["metadata"]), "{name}: metadata");
            }
        }
        self.judged += 1;
    }

    async fn register(&mut self, at: usize) {
        let known: Vec<bool> =
            self.recorded.proof_inputs(at).iter().map(|o| self.recorded.put(self.operator, o)).collect();
        if !known.iter().all(|k| *k) {
            self.skipped += 1;
            return;
        }
        let intent = intent(&self.recorded.calls[at]);
        if number(&self.recorded.calls[at]["status"]) == 200 {
            for proof in changed(&intent.proof) {
                let other = wire::Intent { proof, ..intent.clone() };
                let request = wire::RegisterIntentRequest { intent: Some(other) };
                self.refused(self.ark.clone().register_intent(request).await);
            }
            let other = wire::Intent { message: intent.message.replacen(":0", ":2000000000", 2), ..intent.clone() };
            let request = wire::RegisterIntentRequest { intent: Some(other) };
            self.refused(self.ark.clone().register_intent(request).await);
        }
        let result = self.ark.register_intent(wire::RegisterIntentRequest { intent: Some(intent) }).await;
        if result.is_ok() {
            self.waiting.extend(self.recorded.proof_inputs(at));
        }
        self.same(at, result.map(|_| ()));
    }

    async fn submit(&mut self, at: usize) {
        for outpoint in self.recorded.checkpoint_inputs(at) {
            self.recorded.put(self.operator, &outpoint);
        }
        let call = &self.recorded.calls[at];
        let body = &call["body"];
        let request = wire::SubmitTxRequest {
            signed_ark_tx: text(&body["signedArkTx"]),
            checkpoint_txs: texts(&body["checkpointTxs"]),
        };
        if number(&call["status"]) == 200 {
            for signed_ark_tx in changed(&request.signed_ark_tx) {
                let other = wire::SubmitTxRequest { signed_ark_tx, ..request.clone() };
                self.refused(self.ark.clone().submit_tx(other).await);
            }
            // Signatures on checkpoints are nobody's business before the finalization.
            for checkpoint in changed(&unsigned(&request.checkpoint_txs[0])) {
                let mut other = request.clone();
                other.checkpoint_txs[0] = checkpoint;
                self.refused(self.ark.clone().submit_tx(other).await);
            }
        }
        let result = self.ark.submit_tx(request).await;
        if let Ok(answer) = &result {
            let answer = answer.get_ref();
            let theirs = &self.recorded.calls[at]["answer"];
            assert_eq!(answer.ark_txid, text(&theirs["arkTxid"]));
            assert_eq!(strip(&answer.final_ark_tx), strip(&text(&theirs["finalArkTx"])));
            let mut ours: Vec<_> = answer.signed_checkpoint_txs.iter().map(|t| strip(t)).collect();
            let mut other: Vec<_> = texts(&theirs["signedCheckpointTxs"]).iter().map(|t| strip(t)).collect();
            ours.sort();
            other.sort();
            assert_eq!(ours, other, "call {at}");
        }
        self.same(at, result.map(|_| ()));
    }

    async fn finalize(&mut self, at: usize) {
        let body = &self.recorded.calls[at]["body"];
        let request = wire::FinalizeTxRequest {
            ark_txid: text(&body["arkTxid"]),
            final_checkpoint_txs: texts(&body["finalCheckpointTxs"]),
        };
        let result = self.ark.finalize_tx(request.clone()).await;
        if result.is_ok() {
            for (outpoint, theirs) in self.recorded.first.iter().filter(|(o, _)| o.txid.to_string() == request.ark_txid)
            {
                let ours = self.operator.vtxo(outpoint).expect("made");
                assert_eq!((ours.amount, &ours.script, ours.depth), (theirs.amount, &theirs.script, theirs.depth));
                assert_eq!(ours.commitment_txids, theirs.commitment_txids);
                assert_eq!(ours.expires_at, theirs.expires_at, "{outpoint}");
                assert!(ours.is_preconfirmed && (ours.created_at - theirs.created_at).abs() <= 2);
            }
        }
        self.same(at, result.map(|_| ()));
    }

    async fn pending(&mut self, at: usize) {
        let intent = intent(&self.recorded.calls[at]);
        let ask = |intent| wire::GetPendingTxRequest {
            identifier: Some(wire::get_pending_tx_request::Identifier::Intent(intent)),
        };
        let result = self.ark.get_pending_tx(ask(intent)).await;
        if let Ok(answer) = &result {
            let theirs = self.recorded.calls[at]["answer"]["pendingTxs"].as_array().unwrap();
            let ours: Vec<_> = answer.get_ref().pending_txs.iter().map(|p| p.ark_txid.clone()).collect();
            assert_eq!(ours, theirs.iter().map(|p| text(&p["arkTxid"])).collect::<Vec<_>>());
        }
        self.same(at, result.map(|_| ()));
    }
}

fn unsigned(packet: &str) -> String {
    let mut packet = psbt::decode(packet).unwrap();
    packet.inputs.iter_mut().for_each(|i| i.tap_script_sigs.clear());
    packet.to_string()
}

/// A PSBT with its signatures blanked (they are random), to compare everything else.
fn strip(packet: &str) -> String {
    let mut packet = psbt::decode(packet).unwrap();
    for input in &mut packet.inputs {
        for signature in input.tap_script_sigs.values_mut() {
            signature.signature = bitcoin::secp256k1::schnorr::Signature::from_slice(&[1; 64]).unwrap();
        }
    }
    packet.to_string()
}

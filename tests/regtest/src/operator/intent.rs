//! Intents: the messages in Go's JSON, and the BIP-322-like proof that goes with them.

use bitcoin::absolute::LockTime;
use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::psbt::Psbt;
use bitcoin::script::PushBytesBuf;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, XOnlyPublicKey};
use serde::{Deserialize, Serialize};
use tonic::Status;

use super::psbt::{self, Unsigned};
use super::wire;

/// What an intent asks for. Only `register` and `estimate-intent-fee` use all fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RegisterMessage {
    /// `register` or `estimate-intent-fee`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which outputs of the proof leave Ark.
    pub onchain_output_indexes: Option<Vec<i64>>,
    /// Not before (unix seconds, 0: any time).
    pub valid_at: i64,
    /// Not after (unix seconds, 0: any time).
    pub expire_at: i64,
    /// Who signs the tree with the operator (compressed keys, hex).
    pub cosigners_public_keys: Option<Vec<String>>,
}

/// `delete` and `get-pending-tx`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ShortMessage {
    /// `delete` or `get-pending-tx`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Not after (unix seconds, 0: any time).
    pub expire_at: i64,
}

/// A message that names its kind.
pub trait Message: Serialize + for<'a> Deserialize<'a> {
    /// Such as `delete`.
    fn kind(&self) -> &str;
}

impl Message for RegisterMessage {
    fn kind(&self) -> &str {
        &self.kind
    }
}

impl Message for ShortMessage {
    fn kind(&self) -> &str {
        &self.kind
    }
}

/// A decoded intent: the proof and what its message hashes to. As in arkd the message is read and written again, so text that
/// differs from Go's own bytes does not fit its proof.
pub struct Intent<M> {
    /// The proof: input 0 is the message, the others are the coins.
    pub proof: Psbt,
    /// The proof as it came.
    pub proof_text: String,
    /// The message.
    pub message: M,
    /// The message in Go's bytes.
    pub message_text: String,
}

impl<M: Message> Intent<M> {
    /// Reads a request's intent.
    pub fn read(intent: Option<wire::Intent>, kind: &str, wrong: &str) -> Result<Self, Status> {
        let intent = intent.ok_or_else(|| Status::invalid_argument("missing intent"))?;
        if intent.proof.is_empty() {
            return Err(Status::invalid_argument("missing intent proof"));
        }
        let proof = psbt::decode(&intent.proof)
            .map_err(|e| Status::invalid_argument(format!("failed to parse intent proof tx: {e}")))?;
        if intent.message.is_empty() {
            return Err(Status::invalid_argument("missing message"));
        }
        let message: M = serde_json::from_str(&intent.message).map_err(|_| Status::invalid_argument(wrong))?;
        if message.kind() != kind {
            return Err(Status::invalid_argument(wrong));
        }
        let message_text = serde_json::to_string(&message).map_err(|e| Status::internal(e.to_string()))?;
        Ok(Intent { proof, proof_text: intent.proof, message, message_text })
    }
}

impl<M> Intent<M> {
    /// The coins, without the message's input.
    pub fn outpoints(&self) -> Vec<OutPoint> {
        self.proof.unsigned_tx.input.iter().skip(1).map(|i| i.previous_output).collect()
    }

    /// The proof's id.
    pub fn txid(&self) -> Txid {
        self.proof.unsigned_tx.compute_txid()
    }

    /// Inputs minus outputs; less than nothing is an error.
    pub fn fees(&self) -> Result<i64, String> {
        let mut sum = 0i64;
        for (i, input) in self.proof.inputs.iter().enumerate() {
            let utxo = input.witness_utxo.as_ref().ok_or(format!("missing witness utxo for input {i}"))?;
            sum = sum.checked_add(utxo.value.to_sat() as i64).ok_or("amounts overflow")?;
        }
        for output in &self.proof.unsigned_tx.output {
            sum = sum.checked_sub(output.value.to_sat() as i64).ok_or("amounts overflow")?;
        }
        if sum < 0 { Err(format!("sum of inputs is smaller than sum of outputs (diff: {sum})")) } else { Ok(sum) }
    }

    /// Does the proof ask for outputs at all?
    pub fn has_outputs(&self) -> bool {
        let outputs = &self.proof.unsigned_tx.output;
        match outputs.as_slice() {
            [] => false,
            [only] => only.script_pubkey.as_bytes() != [0x6a],
            _ => true,
        }
    }

    /// Checks that input 0 commits to the message and that every coin's leaf is signed by all but the operator.
    pub fn verify(&self, operator: &[XOnlyPublicKey]) -> Result<(), String> {
        let tx = &self.proof.unsigned_tx;
        if tx.input.len() < 2 {
            return Err("invalid intent proof: expected at least 2 inputs".into());
        }
        if tx.output.is_empty() {
            return Err("invalid intent proof: expected at least 1 output".into());
        }
        let mut prevouts = psbt::prevouts(&self.proof)?;
        let to_spend = message_transaction(&self.message_text, prevouts[1].script_pubkey.clone());
        if tx.input[0].previous_output.txid != to_spend.compute_txid() {
            return Err("invalid intent proof: wrong tx hash in message input".into());
        }
        if tx.input[0].previous_output.vout != 0 {
            return Err("invalid intent proof: wrong output index in message input".into());
        }
        prevouts[0] = to_spend.output[0].clone();
        psbt::verify_leaf_signatures(&self.proof, &prevouts, operator, Unsigned::Refuse)
            .map_err(|e| format!("invalid intent proof: {e}"))?;
        for (i, input) in self.proof.inputs.iter().enumerate().skip(1) {
            if psbt::only_leaf(input).is_none() {
                return Err(format!("malformed input {i}: missing TaprootLeafScript"));
            }
        }
        Ok(())
    }
}

/// The transaction that carries the message: its hash in the input, the first coin's script in the output.
pub fn message_transaction(message: &str, script_pubkey: ScriptBuf) -> Transaction {
    let tag = sha256::Hash::hash(b"ark-intent-proof-message");
    let mut engine = sha256::Hash::engine();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    engine.input(message.as_bytes());
    let hash = sha256::Hash::from_engine(engine);
    let script_sig = ScriptBuf::builder()
        .push_opcode(bitcoin::opcodes::all::OP_PUSHBYTES_0)
        .push_slice(PushBytesBuf::from(hash.to_byte_array()))
        .into_script();
    Transaction {
        version: Version::non_standard(0),
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::all_zeros(), u32::MAX),
            script_sig,
            sequence: Sequence::ZERO,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value: Amount::ZERO, script_pubkey }],
    }
}

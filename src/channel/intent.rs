//! Intents: what a client asks of arkd, with a BIP322-like proof that it may spend the inputs.

use bitcoin::hashes::{Hash, HashEngine, sha256};
use bitcoin::opcodes::OP_0;
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::psbt::raw;
use bitcoin::script::{Builder, PushBytesBuf};
use bitcoin::secp256k1::{PublicKey, schnorr};
use bitcoin::{
    Amount, OutPoint, Psbt, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness, XOnlyPublicKey, absolute,
    transaction,
};
use secp256k1::{Keypair, Message};

use super::script::Leaf;
use super::{ChannelError, TapTree, psbt};

const PROOF_TAG: &[u8] = b"ark-intent-proof-message";

/// BIP322's global PSBT field for the signed message.
const SIGNED_MESSAGE_FIELD: u8 = 0x09;

/// What an intent asks for. `expire_at` and `valid_at` are unix seconds, 0 for no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentMessage {
    /// Join the next batch; `cosigners` are the keys that co-sign the tree, `onchain_outputs` the indexes of the
    /// proof's outputs that are paid on chain.
    Register { onchain_outputs: Vec<u32>, valid_at: u64, expire_at: u64, cosigners: Vec<PublicKey> },
    /// Tell the fee a [`IntentMessage::Register`] with the same contents would cost.
    EstimateFee { onchain_outputs: Vec<u32>, valid_at: u64, expire_at: u64, cosigners: Vec<PublicKey> },
    /// Take back the queued intents that use any of the proof's inputs.
    Delete { expire_at: u64 },
    /// List the submitted, not yet finalized transactions that spend the proof's inputs.
    GetPendingTx { expire_at: u64 },
}

impl IntentMessage {
    /// The exact bytes that arkd hashes: Go's JSON with the fields in this order.
    pub fn encode(&self) -> String {
        let register = |kind: &str, onchain: &[u32], valid_at: u64, expire_at: u64, cosigners: &[PublicKey]| {
            let onchain: Vec<String> = onchain.iter().map(u32::to_string).collect();
            let cosigners: Vec<String> = cosigners.iter().map(|key| format!("\"{key}\"")).collect();
            format!(
                "{{\"type\":\"{kind}\",\"onchain_output_indexes\":[{}],\"valid_at\":{valid_at},\
                 \"expire_at\":{expire_at},\"cosigners_public_keys\":[{}]}}",
                onchain.join(","),
                cosigners.join(",")
            )
        };
        match self {
            Self::Register { onchain_outputs, valid_at, expire_at, cosigners } => {
                register("register", onchain_outputs, *valid_at, *expire_at, cosigners)
            }
            Self::EstimateFee { onchain_outputs, valid_at, expire_at, cosigners } => {
                register("estimate-intent-fee", onchain_outputs, *valid_at, *expire_at, cosigners)
            }
            Self::Delete { expire_at } => format!("{{\"type\":\"delete\",\"expire_at\":{expire_at}}}"),
            Self::GetPendingTx { expire_at } => format!("{{\"type\":\"get-pending-tx\",\"expire_at\":{expire_at}}}"),
        }
    }
}

/// One coin an intent proves.
#[derive(Debug, Clone)]
pub struct IntentInput {
    pub outpoint: OutPoint,
    pub prevout: TxOut,
    pub tree: TapTree,
    /// Index of the leaf that signs.
    pub leaf: usize,
    /// [`Sequence::MAX`], or the CSV of the leaf.
    pub sequence: Sequence,
    /// The CLTV of the leaf, if it has one.
    pub locktime: Option<absolute::LockTime>,
}

impl IntentInput {
    /// A coin spent by a leaf without locks.
    pub fn unlocked(outpoint: OutPoint, amount: Amount, tree: TapTree, leaf: usize) -> Self {
        let prevout = TxOut { value: amount, script_pubkey: tree.script_pubkey() };
        Self { outpoint, prevout, tree, leaf, sequence: Sequence::MAX, locktime: None }
    }
}

/// An intent being signed: message and proof.
#[derive(Debug, Clone)]
pub struct Intent {
    message: String,
    psbt: Psbt,
    prevouts: Vec<TxOut>,
    /// The leaf of each proof input; the first stands for the message itself and shares the first coin's leaf.
    leaves: Vec<Leaf>,
}

impl Intent {
    /// The unsigned proof over `inputs` (at least one). `outputs` empty: one 0-sat OP_RETURN, for messages that create
    /// nothing.
    pub fn new(message: &IntentMessage, inputs: &[IntentInput], outputs: Vec<TxOut>) -> Result<Self, ChannelError> {
        let message = message.encode();
        let first = inputs.first().ok_or(ChannelError::MalformedTransaction { what: "intent without inputs" })?;
        let to_spend = to_spend(&message, &first.prevout.script_pubkey)?;
        let outputs = if outputs.is_empty() {
            vec![TxOut { value: Amount::ZERO, script_pubkey: Builder::new().push_opcode(OP_RETURN).into_script() }]
        } else {
            outputs
        };
        let txin = |previous_output, sequence| TxIn {
            previous_output,
            sequence,
            script_sig: ScriptBuf::new(),
            witness: Witness::new(),
        };
        let mut tx_inputs = vec![txin(OutPoint::new(to_spend.compute_txid(), 0), first.sequence)];
        tx_inputs.extend(inputs.iter().map(|input| txin(input.outpoint, input.sequence)));
        let lock_time = inputs
            .iter()
            .filter_map(|input| input.locktime)
            .max_by_key(|lock| lock.to_consensus_u32())
            .unwrap_or(absolute::LockTime::ZERO);
        let tx = Transaction { version: transaction::Version::TWO, lock_time, input: tx_inputs, output: outputs };

        let mut psbt = psbt::new(tx)?;
        let mut prevouts = vec![TxOut { value: Amount::ZERO, script_pubkey: first.prevout.script_pubkey.clone() }];
        let mut leaves = vec![first.tree.leaf(first.leaf)?];
        for input in inputs {
            prevouts.push(input.prevout.clone());
            leaves.push(input.tree.leaf(input.leaf)?);
        }
        let trees = std::iter::once(&first.tree).chain(inputs.iter().map(|input| &input.tree));
        for (index, ((prevout, leaf), tree)) in prevouts.iter().zip(&leaves).zip(trees).enumerate() {
            psbt::describe(&mut psbt, index, prevout, tree, leaf)?;
        }
        let key = raw::Key { type_value: SIGNED_MESSAGE_FIELD, key: Vec::new() };
        psbt.unknown.insert(key, message.clone().into_bytes());
        Ok(Self { message, psbt, prevouts, leaves })
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// The proof as it stands, with the signatures added so far.
    pub fn proof(&self) -> &Psbt {
        &self.psbt
    }

    /// Number of proof inputs: one for the message, then the coins.
    pub fn input_count(&self) -> usize {
        self.leaves.len()
    }

    /// What proof input `index` signs.
    pub fn sighash(&self, index: usize) -> Result<Message, ChannelError> {
        let leaf = self.leaves.get(index).ok_or(ChannelError::MalformedTransaction { what: "input missing" })?;
        psbt::sighash(&self.psbt.unsigned_tx, index, &self.prevouts, leaf)
    }

    /// Signs proof input `index`.
    pub fn sign_input(&mut self, index: usize, keypair: &Keypair) -> Result<schnorr::Signature, ChannelError> {
        let signature = psbt::sign(&self.sighash(index)?, keypair);
        self.add_signature(index, keypair.x_only_public_key().0, signature)?;
        Ok(signature)
    }

    /// Signs every proof input with one key.
    pub fn sign_all(&mut self, keypair: &Keypair) -> Result<Vec<schnorr::Signature>, ChannelError> {
        (0..self.input_count()).map(|index| self.sign_input(index, keypair)).collect()
    }

    /// Adds a signature made elsewhere.
    pub fn add_signature(
        &mut self,
        index: usize,
        key: XOnlyPublicKey,
        signature: schnorr::Signature,
    ) -> Result<(), ChannelError> {
        let leaf = self.leaves.get(index).ok_or(ChannelError::MalformedTransaction { what: "input missing" })?;
        psbt::add_signature(&mut self.psbt, index, leaf, key, signature)
    }

    /// Whether `signatures` are valid ones of `key`, one for each proof input in order.
    pub fn verify_all(&self, key: &XOnlyPublicKey, signatures: &[schnorr::Signature]) -> Result<(), ChannelError> {
        let invalid = ChannelError::InvalidSignature { what: "intent proof" };
        if signatures.len() != self.input_count() {
            return Err(invalid);
        }
        for (index, signature) in signatures.iter().enumerate() {
            if !psbt::verify(&self.sighash(index)?, key, signature) {
                return Err(invalid);
            }
        }
        Ok(())
    }
}

/// The virtual transaction whose output the proof's first input spends; it commits to the message.
fn to_spend(message: &str, script: &ScriptBuf) -> Result<Transaction, ChannelError> {
    let tag = sha256::Hash::hash(PROOF_TAG);
    let mut engine = sha256::Hash::engine();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    engine.input(message.as_bytes());
    let hash = sha256::Hash::from_engine(engine);
    let push = PushBytesBuf::from(hash.to_byte_array());
    Ok(Transaction {
        version: transaction::Version::non_standard(0),
        lock_time: absolute::LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::all_zeros(), u32::MAX),
            script_sig: Builder::new().push_opcode(OP_0).push_slice(push).into_script(),
            sequence: Sequence::ZERO,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value: Amount::ZERO, script_pubkey: script.clone() }],
    })
}

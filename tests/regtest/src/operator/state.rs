//! The operator's books: VTXOs, off-chain transactions, intents and batches. All of it lives in memory and survives a restart of
//! the operator within one test.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::{Duration, Instant};

use bitcoin::psbt::Psbt;
use bitcoin::{OutPoint, ScriptBuf, Transaction, TxOut, Txid};

use super::answers::Forfeiting;
use super::bans::Bans;
use super::intent::RegisterMessage;
use super::round::Session;
use super::tree::TxTree;
use super::wire;
use crate::node::{Confirmed, Tip};

/// One VTXO as the operator sees it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Vtxo {
    pub outpoint: OutPoint,
    pub amount: u64,
    /// The x-only key of the output (of the OP_RETURN where it is below dust).
    pub key: [u8; 32],
    pub commitment_txids: Vec<Txid>,
    /// The commitment that expires first.
    pub root: Txid,
    pub settled_by: Option<Txid>,
    /// The checkpoint or forfeit that spends it.
    pub spent_by: Option<Txid>,
    pub ark_txid: Option<Txid>,
    pub spent: bool,
    pub unrolled: bool,
    pub swept: bool,
    pub preconfirmed: bool,
    pub created_at: i64,
    pub expires_at: i64,
    pub depth: u32,
    pub made: Instant,
    pub spent_since: Option<Instant>,
}

impl Vtxo {
    /// Its output script; arkd always speaks of the P2TR one.
    pub fn script(&self) -> ScriptBuf {
        let mut bytes = vec![0x51, 0x20];
        bytes.extend(self.key);
        ScriptBuf::from_bytes(bytes)
    }

    /// Past its expiry by the operator's clock, or swept.
    pub fn recoverable(&self, now: i64) -> bool {
        self.swept || now > self.expires_at
    }

    /// A batch that takes it needs a forfeit for it.
    pub fn requires_forfeit(&self, now: i64) -> bool {
        !self.recoverable(now) && !self.unrolled
    }

    /// As the indexer shows it.
    pub fn shown(&self) -> wire::IndexerVtxo {
        let text = |txid: &Option<Txid>| txid.map(|t| t.to_string()).unwrap_or_default();
        wire::IndexerVtxo {
            outpoint: Some(wire::IndexerOutpoint { txid: self.outpoint.txid.to_string(), vout: self.outpoint.vout }),
            created_at: self.created_at,
            expires_at: self.expires_at,
            amount: self.amount,
            script: self.script().to_hex_string(),
            is_preconfirmed: self.preconfirmed,
            is_swept: self.swept,
            is_unrolled: self.unrolled,
            is_spent: self.spent,
            spent_by: text(&self.spent_by),
            commitment_txids: self.commitment_txids.iter().map(Txid::to_string).collect(),
            settled_by: text(&self.settled_by),
            ark_txid: text(&self.ark_txid),
            assets: Vec::new(),
            depth: self.depth,
        }
    }
}

/// How far an off-chain transaction got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Signed by the operator; its inputs are spent, its outputs do not exist.
    Accepted,
    /// Done.
    Finalized,
    /// A FinalizeTx went wrong: it can never be finalized.
    Failed,
}

/// An accepted off-chain transaction.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct OffchainTx {
    pub ark_tx: Psbt,
    /// By checkpoint txid: with the operator's signature, or final once finalized.
    pub checkpoints: BTreeMap<Txid, Psbt>,
    pub stage: Stage,
    pub accepted: Instant,
    pub started_at: i64,
    pub expires_at: i64,
    pub depth: u32,
    pub root: Txid,
    pub commitment_txids: Vec<Txid>,
}

impl OffchainTx {
    /// The VTXOs it spends, in the order of the ark transaction's inputs.
    pub fn spends(&self) -> Vec<OutPoint> {
        let inputs = self.ark_tx.unsigned_tx.input.iter();
        inputs
            .filter_map(|i| self.checkpoints.get(&i.previous_output.txid))
            .map(|c| c.unsigned_tx.input[0].previous_output)
            .collect()
    }
}

/// A coin on chain that an intent brings in.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Boarding {
    pub outpoint: OutPoint,
    pub utxo: TxOut,
    pub scripts: Vec<ScriptBuf>,
}

/// An output that an intent asks for.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Receiver {
    pub output: TxOut,
    pub onchain: bool,
}

/// A registered intent.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Registered {
    pub id: String,
    pub at: Instant,
    pub vtxos: Vec<Vtxo>,
    pub boarding: Vec<Boarding>,
    pub receivers: Vec<Receiver>,
    pub message: RegisterMessage,
}

impl Registered {
    /// The keys that sign this intent's leaf beside the operator's.
    pub fn cosigners(&self) -> &[String] {
        self.message.cosigners_public_keys.as_deref().unwrap_or_default()
    }

    /// The topics of its failure.
    pub fn topics(&self) -> Vec<String> {
        let vtxos = self.vtxos.iter().map(|v| v.outpoint.to_string());
        vtxos.chain(self.boarding.iter().map(|b| b.outpoint.to_string())).collect()
    }

    /// The scripts that pay for this intent's crimes.
    pub fn scripts(&self) -> HashSet<ScriptBuf> {
        let vtxos = self.vtxos.iter().map(Vtxo::script);
        vtxos.chain(self.boarding.iter().map(|b| b.utxo.script_pubkey.clone())).collect()
    }
}

/// A finished batch.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Batch {
    pub commitment: Transaction,
    pub tree: Option<TxTree>,
    /// What its forfeits hang on.
    pub connectors: Option<TxTree>,
    /// Blocks below 512, else seconds.
    pub expiry: u32,
    pub confirmed: Option<Confirmed>,
    /// Signed forfeits by the VTXO they take.
    pub forfeits: HashMap<OutPoint, Psbt>,
}

/// Everything the operator remembers.
#[derive(Default)]
#[allow(missing_docs)]
pub struct Book {
    pub vtxos: BTreeMap<OutPoint, Vtxo>,
    /// VTXOs in the order of their making.
    pub order: Vec<OutPoint>,
    pub offchain: HashMap<Txid, OffchainTx>,
    pub batches: HashMap<Txid, Batch>,
    pub queue: Vec<Registered>,
    /// VTXOs that an intent holds: SubmitTx refuses them.
    pub locked: HashSet<OutPoint>,
    pub session: Option<Session>,
    pub bans: Bans,
    /// The last block that was looked at.
    pub watched: Option<Tip>,
    /// Transactions of the chain since the operator looks at it.
    pub confirmed: HashMap<Txid, Confirmed>,
    /// Forfeits on their way to the chain.
    pub forfeiting: Vec<Forfeiting>,
    /// Outputs of trees and checkpoints that the operator has taken back.
    pub swept: HashSet<OutPoint>,
    /// How long the books are behind, see the settings.
    pub lag: Duration,
}

impl Book {
    /// Adds a VTXO that exists from now on.
    pub fn add(&mut self, vtxo: Vtxo) {
        self.order.push(vtxo.outpoint);
        self.vtxos.insert(vtxo.outpoint, vtxo);
    }

    /// Forgets the blocks from this height on, and says what was in them.
    pub fn forget_blocks(&mut self, from: u32) -> HashSet<Txid> {
        let gone = |c: &Confirmed| c.height >= from;
        let old = self.confirmed.iter().filter(|(_, c)| gone(c)).map(|(t, _)| *t).collect();
        self.confirmed.retain(|_, c| !gone(c));
        old
    }

    /// A VTXO as the lagging books show it.
    pub fn seen(&self, outpoint: &OutPoint) -> Option<Vtxo> {
        let vtxo = self.vtxos.get(outpoint).filter(|v| v.made.elapsed() >= self.lag)?.clone();
        match vtxo.spent_since.is_some_and(|s| s.elapsed() < self.lag) {
            true => Some(Vtxo { spent: false, spent_by: None, ark_txid: None, settled_by: None, ..vtxo }),
            false => Some(vtxo),
        }
    }

    /// True while an accepted, unfinished off-chain transaction spends the VTXO.
    pub fn being_spent(&self, outpoint: &OutPoint) -> bool {
        self.offchain.values().any(|t| t.stage == Stage::Accepted && t.spends().contains(outpoint))
    }

    /// The accepted transactions over these VTXOs whose outputs do not exist.
    pub fn pending(&self, outpoints: &[OutPoint]) -> Vec<Vtxo> {
        let open = |v: &Vtxo| {
            v.spent
                && !v.unrolled
                && v.settled_by.is_none()
                && v.ark_txid.is_some_and(|t| !self.order.iter().any(|o| o.txid == t))
        };
        outpoints.iter().filter_map(|o| self.seen(o)).filter(open).collect()
    }
}

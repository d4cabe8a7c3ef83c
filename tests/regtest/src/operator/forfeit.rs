//! Forfeits: a VTXO and its connector go to the operator's forfeit address.

use std::collections::{HashMap, HashSet};

use bitcoin::absolute::LockTime;
use bitcoin::psbt::Psbt;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness, XOnlyPublicKey};

use super::psbt::{self, Unsigned};
use super::script::{FIRST_TIME, Leaf, Lock, anchor};
use super::state::Vtxo;
use super::tree::TxTree;
use crate::node::Tip;

/// The forfeits that a batch waits for.
#[derive(Default)]
pub struct Forfeits {
    wanted: Vec<Vtxo>,
    connectors: HashMap<OutPoint, TxOut>,
    /// Which VTXO each connector is meant for.
    pub assigned: HashMap<OutPoint, OutPoint>,
    given: HashMap<OutPoint, (Psbt, OutPoint)>,
}

impl Forfeits {
    /// One connector for each VTXO, in order.
    pub fn new(wanted: Vec<Vtxo>, connectors: Option<&TxTree>) -> Forfeits {
        let leaves = connectors.map(TxTree::leaves).unwrap_or_default();
        let connectors: Vec<(OutPoint, TxOut)> =
            leaves.iter().flat_map(|l| l.paying_outputs().map(|(p, o)| (p, o.clone()))).collect();
        let assigned = connectors.iter().map(|(p, _)| *p).zip(wanted.iter().map(|v| v.outpoint)).collect();
        Forfeits { wanted, connectors: connectors.into_iter().collect(), assigned, given: HashMap::new() }
    }

    /// The topics of a connector node: the VTXOs it serves.
    pub fn topics(&self, node: &TxTree) -> Vec<String> {
        let outputs = node.leaves().into_iter().flat_map(|l| l.paying_outputs().map(|(p, _)| p));
        outputs.filter_map(|p| self.assigned.get(&p)).map(OutPoint::to_string).collect()
    }

    /// Have all come?
    pub fn complete(&self) -> bool {
        self.wanted.iter().all(|v| self.given.contains_key(&v.outpoint))
    }

    /// Takes signed forfeits: each must be exactly the transaction that the operator would build. Signatures are judged later.
    pub fn take(&mut self, texts: &[String], address: &ScriptBuf, tip: &Tip, dust: u64) -> Result<(), String> {
        if self.wanted.is_empty() || self.connectors.is_empty() {
            return Err("forfeit txs map not initialized".into());
        }
        let mut valid = Vec::new();
        for text in texts {
            let packet = psbt::decode(text)?;
            if packet.inputs.len() != 2 {
                continue;
            }
            let (vtxo, connector) = self.judge(&packet, address, tip, dust)?;
            valid.push((vtxo, (packet, connector)));
        }
        self.given.extend(valid);
        Ok(())
    }

    fn judge(&self, packet: &Psbt, address: &ScriptBuf, tip: &Tip, dust: u64) -> Result<(OutPoint, OutPoint), String> {
        let places: Vec<OutPoint> = packet.unsigned_tx.input.iter().map(|i| i.previous_output).collect();
        let at =
            places.iter().position(|p| self.connectors.contains_key(p)).ok_or("missing connector in forfeit tx")?;
        let connector = &self.connectors[&places[at]];
        let vtxo_at = 1 - at;
        let input = &packet.inputs[vtxo_at];
        if input.tap_script_sigs.is_empty() {
            return Err("missing taproot script spend sig for vtxo input, invalid forfeit tx".into());
        }
        let script = input.tap_scripts.values().next().map(|(s, _)| s);
        let script = script.ok_or("missing taproot leaf script for vtxo input, invalid forfeit tx")?;
        let vtxo = self.wanted.iter().find(|v| v.outpoint == places[vtxo_at]);
        let vtxo = vtxo.ok_or_else(|| format!("missing vtxo {}", places[vtxo_at]))?;
        let locktime = match Leaf::parse(script)?.lock {
            Lock::Until(until) => until,
            Lock::None | Lock::Condition => 0,
            _ => return Err("invalid forfeit closure script".into()),
        };
        let now = if locktime < FIRST_TIME { u64::from(tip.height) } else { tip.median_time };
        if u64::from(locktime) > now {
            return Err(format!("forfeit closure is CLTV locked, {locktime} > {now}"));
        }
        let sum = vtxo.amount + connector.value.to_sat();
        if sum < dust {
            return Err(format!("forfeit tx output amount is dust, {sum} < {dust}"));
        }
        let rebuilt = transaction(&places, vtxo_at, locktime, sum, address);
        if rebuilt.compute_txid() != packet.unsigned_tx.compute_txid() {
            return Err(format!(
                "invalid forfeit tx: expected txid {}, got {}",
                rebuilt.compute_txid(),
                packet.unsigned_tx.compute_txid()
            ));
        }
        Ok((vtxo.outpoint, places[at]))
    }

    /// The forfeits by VTXO once all are there; a connector may serve only once.
    pub fn finish(&self) -> Result<HashMap<OutPoint, Psbt>, String> {
        let mut used = HashSet::new();
        for vtxo in &self.wanted {
            let (_, connector) = self
                .given
                .get(&vtxo.outpoint)
                .ok_or_else(|| format!("missing forfeit tx for vtxo {}", vtxo.outpoint))?;
            if !used.insert(connector) {
                return Err(format!("connector {connector} for vtxo {} is used more than once", vtxo.outpoint));
            }
        }
        Ok(self.given.iter().map(|(k, (packet, _))| (*k, packet.clone())).collect())
    }

    /// The scripts of VTXOs whose forfeit is not signed by all but the operator, with what is wrong.
    pub fn crimes(&self, operator: &[XOnlyPublicKey]) -> Vec<(ScriptBuf, String)> {
        let judge = |vtxo: &Vtxo| {
            let (packet, connector) = self.given.get(&vtxo.outpoint)?;
            let inputs = packet.unsigned_tx.input.iter();
            let prevouts: Vec<TxOut> = inputs
                .map(|i| match self.connectors.get(&i.previous_output) {
                    Some(output) if i.previous_output == *connector => output.clone(),
                    _ => TxOut { value: Amount::from_sat(vtxo.amount), script_pubkey: vtxo.script() },
                })
                .collect();
            let verdict = psbt::prevouts(packet).and_then(|claimed| {
                if claimed != prevouts {
                    return Err("witness utxo mismatch".into());
                }
                let signed = psbt::verify_leaf_signatures(packet, &prevouts, operator, Unsigned::Refuse)?;
                if signed.is_empty() { Err("no signature".into()) } else { Ok(()) }
            });
            verdict.err().map(|reason| (vtxo.script(), reason))
        };
        self.wanted.iter().filter_map(judge).collect()
    }
}

fn transaction(places: &[OutPoint], vtxo_at: usize, locktime: u32, sum: u64, address: &ScriptBuf) -> Transaction {
    let input = places.iter().enumerate().map(|(i, place)| TxIn {
        previous_output: *place,
        script_sig: ScriptBuf::new(),
        sequence: if i == vtxo_at && locktime != 0 { Sequence(0xffff_fffe) } else { Sequence::MAX },
        witness: Witness::new(),
    });
    let pays = TxOut { value: Amount::from_sat(sum), script_pubkey: address.clone() };
    Transaction {
        version: Version(3),
        lock_time: LockTime::from_consensus(locktime),
        input: input.collect(),
        output: vec![pays, anchor()],
    }
}

//! Coins on chain that come into a batch: boarding outputs, and VTXOs that have been unrolled.

use bitcoin::{OutPoint, ScriptBuf, TxOut, Txid};
use tonic::Status;

use super::register::{bad_input, check_script};
use super::script::{Delay, LeafTree};
use super::settings::Settings;
use super::state::Boarding;
use crate::node::Node;

/// A coin that an intent names and that is no (living) VTXO.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Candidate {
    pub outpoint: OutPoint,
    pub utxo: TxOut,
    pub scripts: Vec<ScriptBuf>,
    /// The relative lock of the proof's input in seconds, if it has one.
    pub claimed: Option<i64>,
    pub unrolled: bool,
}

/// Checks all of them against the chain.
pub async fn check(
    node: &Node,
    settings: &Settings,
    intent: &Txid,
    candidates: Vec<Candidate>,
    now: i64,
) -> Result<Vec<Boarding>, Status> {
    let mut boarding = Vec::new();
    for candidate in candidates {
        let index = candidate.outpoint.vout as usize;
        if candidate.scripts.is_empty() {
            let text = format!("missing taptree for input {}", candidate.outpoint);
            return Err(bad_input(intent, index, text).into());
        }
        let output = validate(node, settings, &candidate, now)
            .await
            .map_err(|e| bad_input(intent, index, format!("failed to validate boarding input: {e}")))?;
        if output.script_pubkey != candidate.utxo.script_pubkey {
            let text = format!(
                "invalid witness utxo script: got {:x} expected {:x}",
                output.script_pubkey, candidate.utxo.script_pubkey
            );
            return Err(bad_input(intent, index, text).into());
        }
        if output.value != candidate.utxo.value {
            let (got, expected) = (output.value.to_sat(), candidate.utxo.value.to_sat());
            let text = format!("invalid witness utxo value: got {got} expected {expected}");
            return Err(bad_input(intent, index, text).into());
        }
        let tree = LeafTree::parse(&candidate.scripts).map_err(|e| bad_input(intent, index, e))?;
        if tree.script_pubkey() != output.script_pubkey {
            let text = format!(
                "invalid boarding utxo taproot key: got {:x} expected {:x}",
                output.script_pubkey,
                tree.script_pubkey()
            );
            return Err(bad_input(candidate.outpoint.txid, index, text).into());
        }
        boarding.push(Boarding { outpoint: candidate.outpoint, utxo: output, scripts: candidate.scripts });
    }
    Ok(boarding)
}

async fn validate(node: &Node, settings: &Settings, candidate: &Candidate, now: i64) -> Result<TxOut, String> {
    let tree = LeafTree::parse(&candidate.scripts)?;
    let txid = candidate.outpoint.txid;
    let found = node.transaction(&txid).await.map_err(|e| format!("failed to get tx {txid}: {e}"))?;
    let (tx, confirmed) = found.ok_or(format!("failed to get tx {txid}: not found"))?;
    let confirmed = confirmed.ok_or(format!("tx {txid} not confirmed"))?;
    let shortest = if candidate.unrolled { settings.exit_delay } else { settings.boarding_delay };
    check_script(settings, &tree, Delay::from_setting(shortest), now)
        .map_err(|e| format!("invalid vtxo script: {e}"))?;
    let exit = tree.smallest_exit().ok_or("failed to get exit delay: no exit leaf")?.seconds();
    // arkd compares its own clock with the block's, and counts a block as a second.
    let opens = confirmed.block_time as i64 + exit;
    if opens < now {
        return Err(format!("tx {txid} expired"));
    }
    if candidate.unrolled && opens < now + settings.unrolled_margin.as_secs() as i64 {
        return Err(format!("unrolled vtxo CSV expires too soon (within {:?})", settings.unrolled_margin));
    }
    if let Some(claimed) = candidate.claimed {
        let wait = claimed - (now + exit - confirmed.block_time as i64);
        if wait > 0 {
            return Err(format!("vtxo script can be used for intent registration in {wait} seconds"));
        }
    }
    let vout = candidate.outpoint.vout as usize;
    let output = tx.output.get(vout).cloned();
    let output =
        output.ok_or(format!("invalid vout index {vout} for tx {txid} (tx has {} outputs)", tx.output.len()))?;
    let amount = output.value.to_sat() as i64;
    if settings.utxo_max >= 0 && amount > settings.utxo_max {
        return Err(format!("boarding input amount is higher than max utxo amount:{}", settings.utxo_max));
    }
    if amount < settings.utxo_min {
        return Err(format!("boarding input amount is lower than min utxo amount:{}", settings.utxo_min));
    }
    Ok(output)
}

//! What a batch's commitment transaction looks like: batch output, connector output, what leaves Ark, change.

use bitcoin::hashes::Hash;
use bitcoin::key::Secp256k1;
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::SecretKey;
use bitcoin::{Amount, OutPoint, PublicKey, ScriptBuf, TapNodeHash, TxOut, Txid};

use super::faults::Knob;
use super::script::{Delay, Leaf};
use super::settings::{Settings, x_only};
use super::shared::Shared;
use super::state::{Registered, Vtxo};
use super::tree::{CONNECTOR_RADIX, LeafPlan, TreePlan, TxTree, VTXO_RADIX};
use super::wallet::Coin;

/// A batch before anybody signs.
pub struct Plan {
    /// The commitment transaction as clients see it.
    pub commitment: Psbt,
    /// The operator's coins in it.
    pub coins: Vec<Coin>,
    /// Its change.
    pub change: Option<Coin>,
    /// The VTXO tree, unless everything leaves Ark.
    pub tree: Option<TxTree>,
    /// The connectors, if anything is forfeited.
    pub connectors: Option<TxTree>,
    /// The hash of the sweep leaf: the tweak of every key in the tree.
    pub sweep: TapNodeHash,
    /// The VTXOs that need a forfeit, in order.
    pub forfeiting: Vec<Vtxo>,
}

/// Plans the batch of these intents and reserves coins for it.
pub fn plan(shared: &Shared, settings: &Settings, intents: &[Registered]) -> Result<Plan, String> {
    let faults = &shared.faults;
    let now = shared.now();
    let secp = Secp256k1::signing_only();
    let operator = PublicKey::new(shared.tree_key().public_key(&secp));
    let mut sweep_leaf = settings.sweep_leaf();
    if faults.take(Knob::WrongSweepKey) {
        let other = SecretKey::from_slice(&[9; 32]).map_err(|e| e.to_string())?;
        sweep_leaf = Leaf::after(Delay::from_setting(settings.batch_expiry), x_only(&other));
    }
    let sweep = TapNodeHash::from(sweep_leaf.hash());
    let mut leaves = leaves(intents, operator, faults.take_like(missing_cosigner))?;
    if faults.take(Knob::WrongLeafScript) {
        let wrong = ScriptBuf::new_p2tr(&Secp256k1::new(), x_only(&settings.forfeit), None);
        leaves.iter_mut().for_each(|l| l.outputs[0].script_pubkey = wrong.clone());
    }
    if faults.take(Knob::WrongLeafAmount) {
        leaves.iter_mut().for_each(|l| l.outputs[0].value -= Amount::from_sat(1));
    }
    let tree = match leaves.is_empty() {
        true => None,
        false => Some(TreePlan::over(leaves, Some(sweep), VTXO_RADIX)?),
    };
    let vtxos = intents.iter().flat_map(|r| &r.vtxos);
    let forfeiting: Vec<Vtxo> = vtxos.filter(|v| v.requires_forfeit(now)).cloned().collect();
    let connectors = connectors(settings, forfeiting.len())?;

    let receivers = intents.iter().flat_map(|r| &r.receivers).filter(|r| r.onchain);
    let mut leaving: std::collections::VecDeque<TxOut> = receivers.map(|r| r.output.clone()).collect();
    let mut outputs: Vec<TxOut> = tree.iter().map(TreePlan::root_output).collect();
    if let Some(connectors) = &connectors {
        // The connectors are output 1, whatever output 0 is.
        if outputs.is_empty() {
            outputs.push(leaving.pop_front().ok_or("onchain outputs required")?);
        }
        outputs.push(connectors.root_output());
    }
    outputs.extend(leaving);
    let boarding: Vec<_> = intents.iter().flat_map(|r| r.boarding.clone()).collect();
    let funded = shared.wallet().fund(outputs, &boarding, settings.sats_per_vbyte, settings.dust)?;
    let txid = funded.psbt.unsigned_tx.compute_txid();
    let connector_parent = match faults.take(Knob::ForeignConnector) {
        true => Txid::from_byte_array([8; 32]),
        false => txid,
    };
    Ok(Plan {
        tree: tree.map(|t| t.hang(OutPoint::new(txid, 0), Some(Delay::from_setting(settings.batch_expiry).sequence()))),
        connectors: connectors.map(|c| c.hang(OutPoint::new(connector_parent, 1), None)),
        commitment: funded.psbt,
        coins: funded.coins,
        change: funded.change,
        sweep,
        forfeiting,
    })
}

fn missing_cosigner(knob: &Knob) -> Option<usize> {
    match knob {
        Knob::MissingCosigner(place) => Some(*place),
        _ => None,
    }
}

/// One leaf for each intent that keeps something in Ark.
fn leaves(intents: &[Registered], operator: PublicKey, left_out: Option<usize>) -> Result<Vec<LeafPlan>, String> {
    let mut leaves = Vec::new();
    for intent in intents {
        let outputs: Vec<TxOut> = intent.receivers.iter().filter(|r| !r.onchain).map(|r| r.output.clone()).collect();
        if outputs.is_empty() {
            continue;
        }
        let mut cosigners = Vec::new();
        for (place, key) in intent.cosigners().iter().enumerate() {
            if left_out != Some(place) {
                cosigners.push(key.parse().map_err(|e| format!("failed to parse cosigner pubkey: {e}"))?);
            }
        }
        cosigners.push(operator);
        leaves.push(LeafPlan { outputs, cosigners });
    }
    Ok(leaves)
}

fn connectors(settings: &Settings, count: usize) -> Result<Option<TreePlan>, String> {
    if count == 0 {
        return Ok(None);
    }
    let key = settings.forfeit.x_only_public_key(&Secp256k1::signing_only()).0;
    let script_pubkey = ScriptBuf::new_p2tr(&Secp256k1::new(), key, None);
    let output_key =
        PublicKey::from_slice(&[&[2], &script_pubkey.as_bytes()[2..]].concat()).map_err(|e| e.to_string())?;
    let leaf = LeafPlan {
        outputs: vec![TxOut { value: Amount::from_sat(settings.dust), script_pubkey }],
        cosigners: vec![output_key],
    };
    TreePlan::over(vec![leaf; count], None, CONNECTOR_RADIX).map(Some)
}

//! GetInfo, decoded and checked.

use std::str::FromStr;

use bitcoin::secp256k1::PublicKey;
use bitcoin::{Address, Amount, ScriptBuf, XOnlyPublicKey};

use super::decode;
use super::error::{OperatorError, short};
use super::wire;
use crate::channel::operator_info::{DeprecatedSigner, FeePrograms};
use crate::channel::script::CheckpointScript;
use crate::channel::{ChannelError, Delay, Network, OperatorInfo};

const CALL: &str = "GetInfo";

/// What arkd allows a transaction where it does not say.
const DEFAULT_MAX_TX_WEIGHT: u64 = 40_000;

/// More former signers than any operator can have.
const MAX_DEPRECATED_SIGNERS: usize = 256;

pub(super) fn decode(answer: wire::GetInfoResponse) -> Result<OperatorInfo, OperatorError> {
    let network = Network::from_arkd(&answer.network).map_err(bad)?;
    let signer = key(&answer.signer_pubkey)?;
    let forfeit_key = key(&answer.forfeit_pubkey)?;
    let address = Address::from_str(&answer.forfeit_address)
        .ok()
        .and_then(|address| address.require_network(network.to_bitcoin()).ok())
        .ok_or_else(|| refuse(format!("forfeit address {:?} on {}", short(&answer.forfeit_address), network.name())))?;
    let checkpoint = ScriptBuf::from_hex(&answer.checkpoint_tapscript)
        .map_err(|_| refuse("the checkpoint script is not hex".into()))
        .and_then(|script| CheckpointScript::parse(&script).map_err(bad))?;
    checkpoint.check(network, &forfeit_key).map_err(bad)?;
    let unilateral_exit_delay = Delay::from_arkd(answer.unilateral_exit_delay).map_err(bad)?;
    let boarding_exit_delay = Delay::from_arkd(answer.boarding_exit_delay).map_err(bad)?;
    let dust = limit("dust", answer.dust)?.ok_or_else(|| refuse("no dust limit".into()))?;
    let fees = answer.fees.and_then(|fees| fees.intent_fee).unwrap_or_default();
    if answer.deprecated_signers.len() > MAX_DEPRECATED_SIGNERS {
        return Err(refuse(format!("{} deprecated signers", answer.deprecated_signers.len())));
    }
    let deprecated_signers = answer.deprecated_signers.iter().map(|signer| {
        let cutoff = u64::try_from(signer.cutoff_date).ok().filter(|cutoff| *cutoff > 0);
        Ok(DeprecatedSigner { key: key(&signer.pubkey)?, cutoff })
    });
    Ok(OperatorInfo {
        version: short(answer.version.trim_start_matches('v')),
        network,
        signer,
        forfeit_key,
        forfeit_script: address.script_pubkey(),
        checkpoint,
        unilateral_exit_delay,
        boarding_exit_delay,
        session_seconds: u64::try_from(answer.session_duration)
            .ok()
            .filter(|seconds| (1..=86_400).contains(seconds))
            .ok_or_else(|| refuse(format!("a session of {} s", answer.session_duration)))?,
        dust,
        vtxo_min: limit("vtxo_min_amount", answer.vtxo_min_amount)?.unwrap_or(dust),
        vtxo_max: limit("vtxo_max_amount", answer.vtxo_max_amount)?,
        utxo_min: limit("utxo_min_amount", answer.utxo_min_amount)?.unwrap_or(dust),
        utxo_max: limit("utxo_max_amount", answer.utxo_max_amount)?,
        fees: FeePrograms {
            offchain_input: fees.offchain_input,
            offchain_output: fees.offchain_output,
            onchain_input: fees.onchain_input,
            onchain_output: fees.onchain_output,
        },
        deprecated_signers: deprecated_signers.collect::<Result<Vec<_>, OperatorError>>()?,
        max_tx_weight: u64::try_from(answer.max_tx_weight)
            .ok()
            .filter(|weight| *weight > 0)
            .unwrap_or(DEFAULT_MAX_TX_WEIGHT),
        digest: short(&answer.digest),
    })
}

fn refuse(what: String) -> OperatorError {
    OperatorError::bad(CALL, what)
}

fn bad(error: ChannelError) -> OperatorError {
    refuse(error.to_string())
}

/// A compressed key, of which scripts use the x coordinate.
fn key(text: &str) -> Result<XOnlyPublicKey, OperatorError> {
    let key: PublicKey = decode::public_key(CALL, text)?;
    Ok(key.x_only_public_key().0)
}

/// An amount, or `None` for −1.
fn limit(name: &str, sats: i64) -> Result<Option<Amount>, OperatorError> {
    if sats == -1 {
        return Ok(None);
    }
    let sats = u64::try_from(sats).map_err(|_| refuse(format!("{name} is {sats}")))?;
    decode::amount(CALL, sats).map(Some)
}

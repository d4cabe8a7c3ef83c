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

/// The longest fee program, in bytes. They are kept, also in backups.
const MAX_FEE_PROGRAM: usize = 4096;

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
            offchain_input: fee_program(fees.offchain_input)?,
            offchain_output: fee_program(fees.offchain_output)?,
            onchain_input: fee_program(fees.onchain_input)?,
            onchain_output: fee_program(fees.onchain_output)?,
        },
        deprecated_signers: deprecated_signers.collect::<Result<Vec<_>, OperatorError>>()?,
        max_tx_weight: u64::try_from(answer.max_tx_weight)
            .ok()
            .filter(|weight| *weight > 0)
            .unwrap_or(DEFAULT_MAX_TX_WEIGHT),
        digest: short(&answer.digest),
    })
}

fn fee_program(program: String) -> Result<String, OperatorError> {
    match program.len() {
        0..=MAX_FEE_PROGRAM => Ok(program),
        length => Err(refuse(format!("a fee program of {length} bytes, {MAX_FEE_PROGRAM} are taken"))),
    }
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

#[cfg(test)]
mod tests {
    use super::super::recorded::{UNITS, info};
    use super::*;
    use crate::channel::Unit;

    #[test]
    fn recorded_infos_decode() {
        for (unit, kind) in UNITS.into_iter().zip([Unit::Blocks, Unit::Seconds]) {
            let info = decode(info(unit)).unwrap();
            assert_eq!(info.network, Network::Regtest);
            assert_eq!(info.unit(), kind);
            assert_eq!(info.checkpoint.delay.unit(), kind);
            assert_eq!(info.checkpoint.key, info.forfeit_key);
            assert_eq!((info.vtxo_min, info.vtxo_max), (Amount::ONE_SAT, None));
            assert_eq!((info.dust, info.utxo_min, info.utxo_max), (Amount::from_sat(330), Amount::from_sat(330), None));
            assert_eq!(info.max_tx_weight, 40_000);
            assert_eq!(info.digest.len(), 64);
        }
    }

    #[test]
    fn version_may_have_a_v_or_be_missing() {
        for (version, expected) in [("", ""), ("0.9.15", "0.9.15"), ("v0.9.15", "0.9.15")] {
            let info = decode(wire::GetInfoResponse { version: version.into(), ..info("blocks") }).unwrap();
            assert_eq!(info.version, expected);
        }
    }

    #[test]
    fn minus_one_is_dust_or_no_limit() {
        let info = decode(wire::GetInfoResponse {
            vtxo_min_amount: -1,
            vtxo_max_amount: 5000,
            utxo_max_amount: 0,
            ..info("seconds")
        })
        .unwrap();
        assert_eq!(info.vtxo_min, info.dust);
        assert_eq!(info.vtxo_max, Some(Amount::from_sat(5000)));
        assert_eq!(info.utxo_max, Some(Amount::ZERO));
    }

    #[test]
    fn nonsense_is_refused() {
        type Spoil = fn(&mut wire::GetInfoResponse);
        let spoils: [Spoil; 15] = [
            |info| info.network = "moon".into(),
            |info| info.network = "bitcoin".into(),
            |info| info.signer_pubkey = "02".into(),
            |info| info.forfeit_pubkey.truncate(64),
            |info| info.forfeit_pubkey = info.signer_pubkey.clone(),
            |info| info.forfeit_address = "bc1q".into(),
            |info| info.checkpoint_tapscript = "51".into(),
            |info| info.checkpoint_tapscript.push('0'),
            |info| info.unilateral_exit_delay = 0,
            |info| info.boarding_exit_delay = 1000,
            |info| info.session_duration = -5,
            |info| info.dust = -1,
            |info| info.vtxo_min_amount = -2,
            |info| info.utxo_max_amount = i64::MAX,
            |info| {
                let fees = info.fees.get_or_insert_default().intent_fee.get_or_insert_default();
                fees.onchain_output = format!("0{}", " ".repeat(MAX_FEE_PROGRAM));
            },
        ];
        for (index, spoil) in spoils.into_iter().enumerate() {
            let mut info = info("seconds");
            spoil(&mut info);
            assert!(matches!(decode(info), Err(OperatorError::BadAnswer { .. })), "{index}");
        }
    }
}

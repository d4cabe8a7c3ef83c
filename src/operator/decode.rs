//! Small pieces from outside: ids, scripts, keys, PSBTs.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bitcoin::hex::FromHex;
use bitcoin::secp256k1::PublicKey;
use bitcoin::{Amount, Psbt, ScriptBuf, Txid};

use super::error::{OperatorError, short};

/// No PSBT of ours or of the operator is longer, in base64 characters.
const PSBT_LIMIT: usize = 4 << 20;

pub(super) fn txid(call: &'static str, text: &str) -> Result<Txid, OperatorError> {
    Txid::from_str(text).map_err(|_| OperatorError::bad(call, format!("{:?} is no transaction id", short(text))))
}

/// An id that may be left empty.
pub(super) fn optional_txid(call: &'static str, text: &str) -> Result<Option<Txid>, OperatorError> {
    if text.is_empty() { Ok(None) } else { txid(call, text).map(Some) }
}

pub(super) fn script(call: &'static str, text: &str) -> Result<ScriptBuf, OperatorError> {
    ScriptBuf::from_hex(text).map_err(|_| OperatorError::bad(call, format!("{:?} is no script", short(text))))
}

pub(super) fn public_key(call: &'static str, text: &str) -> Result<PublicKey, OperatorError> {
    PublicKey::from_str(text).map_err(|_| OperatorError::bad(call, format!("{:?} is no public key", short(text))))
}

pub(super) fn bytes<const N: usize>(call: &'static str, text: &str) -> Result<[u8; N], OperatorError> {
    <[u8; N]>::from_hex(text)
        .map_err(|_| OperatorError::bad(call, format!("{:?} is not {N} bytes of hex", short(text))))
}

pub(super) fn amount(call: &'static str, sats: u64) -> Result<Amount, OperatorError> {
    let amount = Amount::from_sat(sats);
    if amount > Amount::MAX_MONEY {
        return Err(OperatorError::bad(call, format!("{sats} sats are more than there are")));
    }
    Ok(amount)
}

pub(super) fn psbt(call: &'static str, text: &str) -> Result<Psbt, OperatorError> {
    if text.len() > PSBT_LIMIT {
        return Err(OperatorError::bad(call, format!("a PSBT of {} characters", text.len())));
    }
    let bytes = STANDARD.decode(text).map_err(|_| OperatorError::bad(call, "a PSBT is not base64"))?;
    Psbt::deserialize(&bytes).map_err(|error| OperatorError::bad(call, format!("PSBT: {}", short(&error.to_string()))))
}

/// A PSBT as it goes out.
pub(super) fn encode_psbt(psbt: &Psbt) -> String {
    STANDARD.encode(psbt.serialize())
}

//! What an operator says of itself: the terms every channel with it depends on.

use bitcoin::{Amount, ScriptBuf, XOnlyPublicKey};
use serde::{Deserialize, Serialize};

use super::script::CheckpointScript;
use super::{ChannelError, Delay, Network, Unit};

/// A key the operator signed with before; VTXOs under it are accepted until `cutoff` (unix seconds, `None`: no end).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeprecatedSigner {
    pub key: XOnlyPublicKey,
    pub cutoff: Option<u64>,
}

/// The operator's fee programs (CEL) for intents; an empty string is no fee.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FeePrograms {
    pub offchain_input: String,
    pub offchain_output: String,
    pub onchain_input: String,
    pub onchain_output: String,
}

/// The decoded and checked answer of `GetInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperatorInfo {
    pub version: String,
    pub network: Network,
    /// The key in every forfeit and refund leaf.
    pub signer: XOnlyPublicKey,
    /// The key that sweeps expired batches and checkpoints.
    pub forfeit_key: XOnlyPublicKey,
    /// Where forfeit transactions pay to.
    pub forfeit_script: ScriptBuf,
    pub checkpoint: CheckpointScript,
    pub unilateral_exit_delay: Delay,
    pub boarding_exit_delay: Delay,
    /// How long a batch round takes, in seconds.
    pub session_seconds: u64,
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub dust: Amount,
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub vtxo_min: Amount,
    /// `None`: no limit.
    #[serde(with = "bitcoin::amount::serde::as_sat::opt")]
    pub vtxo_max: Option<Amount>,
    #[serde(with = "bitcoin::amount::serde::as_sat")]
    pub utxo_min: Amount,
    /// `None`: no limit. Zero: boarding is not allowed.
    #[serde(with = "bitcoin::amount::serde::as_sat::opt")]
    pub utxo_max: Option<Amount>,
    pub fees: FeePrograms,
    pub deprecated_signers: Vec<DeprecatedSigner>,
    pub max_tx_weight: u64,
    /// Hash of all settings; sent back with every call so that a change is noticed.
    pub digest: String,
}

impl OperatorInfo {
    /// Blocks or seconds: what all of this operator's locks are in.
    pub fn unit(&self) -> Unit {
        self.unilateral_exit_delay.unit()
    }

    /// The smallest amount a P2TR VTXO may have.
    pub fn min_amount(&self) -> Amount {
        self.vtxo_min.max(self.dust)
    }

    /// The largest amount a VTXO may have.
    pub fn max_amount(&self) -> Amount {
        self.vtxo_max.unwrap_or(Amount::MAX_MONEY)
    }

    /// Whether `key` is the operator's signer now, or a deprecated one before its cutoff (`now`: unix seconds).
    /// Answers the cutoff, if there is one.
    pub fn check_signer(&self, key: &XOnlyPublicKey, now: u64) -> Result<Option<u64>, ChannelError> {
        if *key == self.signer {
            return Ok(None);
        }
        match self.deprecated_signers.iter().find(|signer| signer.key == *key) {
            Some(DeprecatedSigner { cutoff: None, .. }) => Ok(None),
            Some(DeprecatedSigner { cutoff: Some(cutoff), .. }) if now < *cutoff => Ok(Some(*cutoff)),
            _ => Err(ChannelError::WrongOperator { expected: self.signer.into(), got: (*key).into() }),
        }
    }
}

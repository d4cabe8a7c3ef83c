//! What a wallet holds.

use super::Sats;
use crate::wallet;

/// Money by kind. Nothing is counted twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct Balance {
    /// On chain at boarding addresses, confirmed: settle it.
    pub boarding: Sats,
    /// On chain at boarding addresses, not confirmed yet.
    pub boarding_unconfirmed: Sats,
    /// VTXOs in a batch whose commitment transaction is confirmed.
    pub settled: Sats,
    /// VTXOs made off chain, or in a batch that is not confirmed yet.
    pub preconfirmed: Sats,
    /// Expired VTXOs: settling brings them back.
    pub recoverable: Sats,
    /// Held by something under way.
    pub pending: Sats,
    /// As payer: what has not been paid in channels that have not ended.
    pub in_channels: Sats,
    /// As receiver: what has been paid to us in channels that are not closed.
    pub receivable: Sats,
    /// All of it.
    pub total: Sats,
    /// There may be more at boarding addresses: the chain server does not list all of it. Anybody who sends hundreds of
    /// coins to an address can bring that about; VTXOs are counted and settled all the same.
    #[uniffi(default = false)]
    pub boarding_incomplete: bool,
}

impl From<wallet::Balance> for Balance {
    fn from(balance: wallet::Balance) -> Self {
        Self {
            boarding: balance.boarding.into(),
            boarding_unconfirmed: balance.boarding_unconfirmed.into(),
            settled: balance.settled.into(),
            preconfirmed: balance.preconfirmed.into(),
            recoverable: balance.recoverable.into(),
            pending: balance.pending.into(),
            in_channels: balance.in_channels.into(),
            receivable: balance.receivable.into(),
            total: balance.total().into(),
            boarding_incomplete: balance.boarding_incomplete,
        }
    }
}

/// The balance that was last seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct LastBalance {
    /// What the wallet held then.
    pub balance: Balance,
    /// When, in unix seconds; the same amounts may have been seen again up to ten minutes later.
    pub at: u64,
}

/// What a batch made of the wallet's coins.
#[derive(Debug, Clone, PartialEq, Eq, uniffi::Record)]
pub struct Settlement {
    /// The batch's transaction on chain.
    pub commitment_txid: String,
    /// In the new VTXO, or paid on chain.
    pub amount: Sats,
    /// What the operator took.
    pub fee: Sats,
}

impl From<wallet::Settlement> for Settlement {
    fn from(settlement: wallet::Settlement) -> Self {
        Self {
            commitment_txid: settlement.commitment_txid.to_string(),
            amount: settlement.amount.into(),
            fee: settlement.fee.into(),
        }
    }
}

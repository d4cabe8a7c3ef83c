//! What the wallet holds, by how final it is.

use bitcoin::Amount;

use super::Wallet;
use super::coins::{CoinKind, sum};
use super::error::Result;
use crate::store::{ChannelState, Role};

/// Money by kind, in sats. Nothing is counted twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// On chain at boarding addresses, confirmed.
    pub boarding: Amount,
    /// On chain at boarding addresses, not confirmed.
    pub boarding_unconfirmed: Amount,
    /// VTXOs in a batch whose commitment transaction is confirmed.
    pub settled: Amount,
    /// VTXOs made off chain, or in a batch that is not confirmed.
    pub preconfirmed: Amount,
    /// Expired VTXOs: settling brings them back.
    pub recoverable: Amount,
    /// Held by something under way.
    pub pending: Amount,
    /// As payer: what has not been paid in channels that are not ended.
    pub in_channels: Amount,
    /// As receiver: what has been paid to us in channels that are not closed.
    pub receivable: Amount,
}

impl Balance {
    /// Everything that is ours.
    pub fn total(&self) -> Amount {
        sum([
            self.boarding,
            self.boarding_unconfirmed,
            self.settled,
            self.preconfirmed,
            self.recoverable,
            self.pending,
            self.in_channels,
            self.receivable,
        ])
    }
}

impl Wallet {
    /// Asks operator and chain for the coins, and the store for the channels.
    pub async fn balance(&self) -> Result<Balance> {
        let mut balance = Balance::default();
        for coin in self.coins().await? {
            let place = match coin.kind {
                _ if coin.locked => &mut balance.pending,
                CoinKind::Boarding => &mut balance.boarding,
                CoinKind::Unconfirmed => &mut balance.boarding_unconfirmed,
                CoinKind::Settled => &mut balance.settled,
                CoinKind::Preconfirmed => &mut balance.preconfirmed,
                CoinKind::Recoverable => &mut balance.recoverable,
            };
            *place = sum([*place, coin.amount]);
        }
        for row in self.store.read(|db| db.channels())? {
            let alive = matches!(
                row.hot.state,
                ChannelState::Confirming
                    | ChannelState::Open
                    | ChannelState::Closing
                    | ChannelState::Refunding
                    | ChannelState::Exiting
            );
            match row.hot.role {
                _ if !alive => {}
                Role::Payer => {
                    let left = row.record.capacity.checked_sub(row.hot.high).unwrap_or(Amount::ZERO);
                    balance.in_channels = sum([balance.in_channels, left]);
                }
                Role::Receiver => balance.receivable = sum([balance.receivable, row.hot.amount()]),
            }
        }
        Ok(balance)
    }
}

//! What is due, and when something will be.

use std::time::Duration;

use bitcoin::Amount;

use super::coins::{Coin, CoinKind, sum};
use super::error::Result;
use super::maintain::{MaintenanceError, has_ended};
use super::{ChannelInfo, Wallet, WalletError};
use crate::channel::deadline::{Margins, assumed_batch_expiry};
use crate::channel::{OperatorInfo, Unit};
use crate::store::{ChannelState, Role};

/// What failed for the moment is tried again after so long, in seconds.
const RETRY: u64 = 15 * 60;

/// What failed for a reason that does not pass by itself is tried again after so long.
const RETRY_LATER: u64 = 6 * 3600;

/// The longest that the last look at the coins takes.
const COINS_LIMIT: Duration = Duration::from_secs(30);

/// A transaction may be confirmed after so long.
const BLOCK: u64 = 10 * 60;

/// The chain's median time past is about so far behind the clock: a locktime has passed so much later.
const CHAIN_LAG: u64 = 2 * 3600;

/// Settling costs at most this share of what is settled, or half of it when it expires otherwise.
const WORTH: u64 = 100;
const WORTH_EXPIRING: u64 = 2;

impl Wallet {
    /// Whether settling is due and worth its fee; `Some(true)`: settled coins expire soon and are to be renewed.
    pub(super) async fn settling_due(&self) -> Result<Option<bool>> {
        let coins = self.coins().await?;
        let info = self.info()?;
        let expiring = |coin: &Coin| !coin.locked && coin.expires_at > 0 && self.expires_in(coin, &info) == 0;
        let renew = coins.iter().any(|coin| coin.kind == CoinKind::Settled && expiring(coin));
        let waiting = coins.iter().any(|coin| !coin.locked && is_unsettled(coin));
        if !renew && !waiting {
            return Ok(None);
        }
        let coins = match self.coins_to_settle(renew).await {
            Err(WalletError::NothingToSettle) => return Ok(None),
            coins => coins?,
        };
        let total = sum(coins.iter().map(|coin| coin.amount));
        let fee = self.fee_to_settle(&coins).await?;
        let share = if coins.iter().any(expiring) { WORTH_EXPIRING } else { WORTH };
        let worth = fee.to_sat().saturating_mul(share) <= total.to_sat();
        let left = total.checked_sub(fee).unwrap_or(Amount::ZERO);
        Ok((worth && left >= info.min_amount()).then_some(renew))
    }

    /// How long until a VTXO must be renewed, in seconds: a day or so before it expires.
    fn expires_in(&self, coin: &Coin, info: &OperatorInfo) -> u64 {
        let unit = info.unit();
        let known = self.store.read::<_, WalletError>(|db| Ok(db.batch_expiry()?)).ok().flatten();
        let length = known.map_or_else(|| assumed_batch_expiry(unit), |expiry| expiry.value());
        // In blocks arkd counts a second a block.
        let left = coin.expires_at.saturating_sub(self.now().unix());
        seconds(unit, left.saturating_sub(Margins::of(unit, length).lead))
    }

    /// When maintenance should run next.
    pub(super) async fn next_run(&self, errors: &[MaintenanceError], left: usize) -> Result<Option<u64>> {
        let now = self.now().wall;
        let mut moments = Vec::new();
        if left > 0 {
            moments.push(now + RETRY);
        }
        moments.extend(errors.iter().map(|failed| now + if passes(&failed.error) { RETRY } else { RETRY_LATER }));
        let rows = self.store.read::<_, WalletError>(|db| Ok(db.channels()?))?;
        for row in rows.into_iter().filter(|row| !has_ended(row)) {
            match self.channel(&row.record.id) {
                Ok(info) => moments.extend(self.channel_moment(&info)),
                Err(_) => moments.push(now + RETRY_LATER),
            }
        }
        // Who does not answer has been noted already.
        if errors.is_empty() {
            let coins = tokio::time::timeout(COINS_LIMIT, self.coin_moments()).await;
            moments.extend(coins.ok().and_then(|moments| moments.ok()).unwrap_or_else(|| vec![now + RETRY]));
        }
        Ok(moments.into_iter().min().map(|moment| moment.max(now + 60)))
    }

    fn channel_moment(&self, info: &ChannelInfo) -> Option<u64> {
        let now = self.now();
        let at = |moment: u64| match info.unit {
            Unit::Seconds => moment,
            Unit::Blocks => now.wall + seconds(info.unit, moment.saturating_sub(now.height)),
        };
        let moment = match (info.state, info.role) {
            (ChannelState::Confirming, _) => now.wall + BLOCK,
            // It closes from `close_by` on, long before it must; and it looks in time to go on taking payments.
            (ChannelState::Open, Role::Receiver) => {
                let blind = info.takes_money_until.or(info.watch_by).map(|until| {
                    let margin = until.saturating_sub(now.wall) / 4;
                    until.saturating_sub(margin).max(now.wall + RETRY)
                });
                let close_by = if info.amount > Amount::ZERO { at(info.close_by).max(now.wall) } else { u64::MAX };
                blind.unwrap_or(u64::MAX).min(close_by)
            }
            (ChannelState::Open | ChannelState::Refunding, Role::Payer) => {
                let locktime = at(u64::from(info.locktime.to_consensus_u32())).saturating_add(match info.unit {
                    Unit::Seconds => CHAIN_LAG,
                    Unit::Blocks => 0,
                });
                locktime.max(now.wall + RETRY)
            }
            (ChannelState::Closing, _) => now.wall + RETRY,
            (ChannelState::Closed, _) => now.wall + RETRY_LATER,
            _ => return None,
        };
        (moment < u64::MAX).then_some(moment)
    }

    /// When coins are to be looked at again: on their way into a block, or to be renewed.
    async fn coin_moments(&self) -> Result<Vec<u64>> {
        let (info, now) = (self.info()?, self.now().wall);
        let coins = self.coins().await?;
        let moments = coins.iter().filter_map(|coin| match coin.kind {
            CoinKind::Unconfirmed => Some(now + BLOCK),
            // Not worth the fee, or held by something under way.
            CoinKind::Boarding => None,
            CoinKind::Recoverable => None,
            CoinKind::Preconfirmed | CoinKind::Settled => Some(now + self.expires_in(coin, &info).max(RETRY)),
        });
        Ok(moments.collect())
    }
}

/// Whether a coin is to be brought into a batch. One in a batch that is not confirmed yet only waits.
fn is_unsettled(coin: &Coin) -> bool {
    match coin.kind {
        CoinKind::Boarding | CoinKind::Recoverable => true,
        CoinKind::Preconfirmed => !coin.in_batch,
        CoinKind::Settled | CoinKind::Unconfirmed => false,
    }
}

/// A length in seconds; blocks may come a little faster than every ten minutes.
fn seconds(unit: Unit, length: u64) -> u64 {
    match unit {
        Unit::Seconds => length,
        Unit::Blocks => length.saturating_mul(540),
    }
}

/// Whether a failure may pass by itself.
fn passes(error: &WalletError) -> bool {
    match error {
        WalletError::Operator(error) => error.is_transport() || error.is_batch_failure() || error.is_registered(),
        WalletError::Chain(_)
        | WalletError::OutcomeUnknown { .. }
        | WalletError::BatchUndecided { .. }
        | WalletError::StillRunning { .. }
        | WalletError::NotConfirmed { .. } => true,
        error => error.is_released(),
    }
}

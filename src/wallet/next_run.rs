//! When something will be due.

use bitcoin::Amount;

use super::coins::{Coin, CoinKind};
use super::error::Result;
use super::maintain::{MaintenanceError, has_ended};
use super::watch::closed_exit_by;
use super::{ChannelInfo, ExitInfo, ExitProblem, ExitStage, Wallet, WalletError};
use crate::channel::deadline::{Margins, assumed_batch_expiry};
use crate::channel::{OperatorInfo, Unit};
use crate::store::{ChannelRow, ChannelState, Role};

/// What failed for the moment is tried again after so long, in seconds.
const RETRY: u64 = 15 * 60;

/// What failed for a reason that does not pass by itself is tried again after so long.
const RETRY_LATER: u64 = 6 * 3600;

/// A transaction may be confirmed after so long.
const BLOCK: u64 = 10 * 60;

const DAY: u64 = 24 * 3600;

/// The chain's median time past is about so far behind the clock: a locktime has passed so much later.
const CHAIN_LAG: u64 = 2 * 3600;

impl Wallet {
    /// How long until a VTXO must be renewed, in seconds: a day or so before it expires.
    pub(super) fn expires_in(&self, coin: &Coin, info: &OperatorInfo) -> u64 {
        let unit = info.unit();
        let known = self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?)).ok().flatten();
        let length = known.map_or_else(|| assumed_batch_expiry(unit), |expiry| expiry.value());
        // In blocks arkd counts a second a block.
        // By the chain as far as it is known: a clock that was wrong once renews nothing.
        let now = self.watched_at().max(self.now().median_time);
        let left = coin.expires_at.saturating_sub(now);
        seconds(unit, left.saturating_sub(Margins::of(unit, length).lead))
    }

    /// When maintenance should run next. `coins`: `None` where they cannot be seen. `leave_by`: when own VTXOs must be left.
    pub(super) fn next_run(
        &self,
        errors: &[MaintenanceError],
        left: usize,
        tried: bool,
        coins: Option<&[Coin]>,
        leave_by: Option<u64>,
    ) -> Result<Option<u64>> {
        let now = self.now().wall;
        let mut moments: Vec<u64> = leave_by.into_iter().collect();
        if left > 0 {
            moments.push(now + RETRY);
        }
        if tried || self.doubts_ends()? || self.doubts_taken_back()? {
            moments.push(now + RETRY_LATER);
        }
        moments.extend(errors.iter().map(|failed| now + if passes(&failed.error) { RETRY } else { RETRY_LATER }));
        moments.extend(self.exits()?.iter().map(|exit| self.exit_moment(exit)));
        let rows = self.sound_channels()?;
        for row in rows.into_iter().filter(|row| !has_ended(row)) {
            let closed = self.closed_moment(&row)?;
            match self.channel_info(row) {
                Ok(info) => moments.extend(self.channel_moment(&info).into_iter().chain(closed)),
                Err(_) => moments.push(now + RETRY_LATER),
            }
        }
        match coins {
            Some(coins) => moments.extend(self.coin_moments(coins)?),
            // Who does not answer has been noted already.
            None if errors.is_empty() => moments.push(now + RETRY),
            None => {}
        }
        Ok(moments.into_iter().min().map(|moment| moment.max(now + 60)))
    }

    /// A moment in the wall clock's counting.
    pub(super) fn at(&self, unit: Unit, moment: u64) -> u64 {
        let now = self.now();
        match unit {
            Unit::Seconds => moment,
            Unit::Blocks => now.wall + seconds(unit, moment.saturating_sub(now.height)),
        }
    }

    /// When an exit can go on.
    fn exit_moment(&self, exit: &ExitInfo) -> u64 {
        let now = self.now().wall;
        match (&exit.stage, &exit.problem) {
            // It waits for lower fees, and may wait long.
            (_, Some(ExitProblem::NothingLeft { .. })) => now + DAY,
            (_, Some(_)) => now + RETRY,
            (ExitStage::Waiting { until, unit }, None) => {
                let lag = if *unit == Unit::Seconds { CHAIN_LAG / 2 } else { 0 };
                self.at(*unit, *until).saturating_add(lag).max(now + BLOCK)
            }
            _ => now + BLOCK,
        }
    }

    /// When the output of a close that is in no batch yet must be taken out.
    fn closed_moment(&self, row: &ChannelRow) -> Result<Option<u64>> {
        if row.hot.state != ChannelState::Closed {
            return Ok(None);
        }
        let loaded = self.loaded(&row.record.id)?;
        let moment = self.at(loaded.unit(), closed_exit_by(row, &loaded, &self.now()));
        Ok(Some(moment.max(self.now().wall + RETRY)))
    }

    fn channel_moment(&self, info: &ChannelInfo) -> Option<u64> {
        let now = self.now();
        let at = |moment: u64| self.at(info.unit, moment);
        let moment = match (info.state, info.role) {
            // A batch that has not come in a day will hardly come.
            (ChannelState::Confirming, _) if now.wall > info.created_at.saturating_add(DAY) => now.wall + RETRY_LATER,
            (ChannelState::Confirming, _) => now.wall + BLOCK,
            (ChannelState::Open, Role::Receiver) if is_worthless(info, now.latest(info.unit)) => return None,
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
    fn coin_moments(&self, coins: &[Coin]) -> Result<Vec<u64>> {
        let (info, now) = (self.info()?, self.now().wall);
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

/// Whether nothing was received in a channel, and nothing can be any more.
fn is_worthless(info: &ChannelInfo, now: u64) -> bool {
    info.amount == Amount::ZERO && now >= info.expiry
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

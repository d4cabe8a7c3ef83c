//! The balance that was last seen, for when operator or chain cannot be asked.

use bitcoin::Amount;

use super::error::Result;
use super::{Balance, Wallet, WalletError};

const KEY: &str = "last-balance";

/// The same balance is written again after so many seconds: who waits for changes is not woken by every look.
const SAME_FOR: u64 = 600;

/// What [`Wallet::balance`] answered last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastBalance {
    pub balance: Balance,
    /// When, in unix seconds; the same amounts may have been seen again up to ten minutes later.
    pub at: u64,
}

impl LastBalance {
    fn numbers(&self) -> [u64; 10] {
        let balance = &self.balance;
        [
            self.at,
            balance.boarding.to_sat(),
            balance.boarding_unconfirmed.to_sat(),
            balance.settled.to_sat(),
            balance.preconfirmed.to_sat(),
            balance.recoverable.to_sat(),
            balance.pending.to_sat(),
            balance.in_channels.to_sat(),
            balance.receivable.to_sat(),
            u64::from(balance.boarding_incomplete),
        ]
    }

    fn of(numbers: [u64; 9], boarding_incomplete: bool) -> Self {
        let [at, amounts @ ..] = numbers;
        let [boarding, boarding_unconfirmed, settled, preconfirmed, recoverable, pending, in_channels, receivable] =
            amounts.map(Amount::from_sat);
        let balance = Balance {
            boarding,
            boarding_unconfirmed,
            settled,
            preconfirmed,
            recoverable,
            pending,
            in_channels,
            receivable,
            boarding_incomplete,
        };
        Self { balance, at }
    }
}

impl Wallet {
    /// What [`Wallet::balance`] answered last, and when; nothing where it never did. Needs no network.
    pub fn last_balance(&self) -> Result<Option<LastBalance>> {
        let Some(data) = self.store.read::<_, Box<WalletError>>(|db| Ok(db.meta(KEY)?))? else { return Ok(None) };
        let corrupt = || WalletError::CorruptFlow { what: "the last balance" };
        let numbers: Vec<u64> = serde_json::from_slice(&data).map_err(|_| corrupt())?;
        // Older versions wrote nine.
        let (numbers, more) = numbers.split_first_chunk().ok_or_else(corrupt)?;
        Ok(Some(LastBalance::of(*numbers, more.first().is_some_and(|incomplete| *incomplete > 0))))
    }

    pub(super) fn remember(&self, balance: Balance) -> Result<()> {
        let seen = LastBalance { balance, at: self.timestamp() };
        let known = self.last_balance()?;
        if known.is_some_and(|known| known.balance == balance && seen.at < known.at.saturating_add(SAME_FOR)) {
            return Ok(());
        }
        let data =
            serde_json::to_vec(&seen.numbers()).map_err(|_| WalletError::CorruptFlow { what: "the last balance" })?;
        self.store.write::<_, Box<WalletError>>(|db| Ok(db.set_meta(KEY, &data)?))
    }
}

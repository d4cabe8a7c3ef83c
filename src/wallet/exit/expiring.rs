//! Own VTXOs that nobody renews: before they expire they are left, without anybody being asked.

use std::collections::{HashMap, HashSet};

use bitcoin::{Amount, OutPoint, Txid};

use super::super::coins::{Coin, CoinKind};
use super::super::error::Result;
use super::super::signed_away::maybe_gone;
use super::super::{Wallet, WalletError};
use super::ExitReason;
use super::coins::OwnVtxo;
use crate::chain::Tip;
use crate::channel::deadline::{Margins, assumed_batch_expiry};
use crate::channel::{Delay, Unit};
use crate::log::note;
use crate::store::{ChannelState, Role};

/// Coins that the operator is asked about in one run because it does not show them.
const A_RUN: usize = 16;

impl Wallet {
    /// Begins to leave with own VTXOs that expire soon: `shown` are the coins as the operator shows them, which does not
    /// renew them, `None` where it does not answer. One that it hides, or calls spent and cannot show by what, is left, too. Only what is worth it at the fees of today. Needs only the chain.
    /// Answers whether anything began, and when the next one must be left, by the wall clock.
    ///
    /// The last moment leaves an hour for each level of the branch and half a day for the rest (less where batches are
    /// short): once the VTXO is on chain its expiry takes nothing any more.
    pub(in crate::wallet) async fn leave_expiring(
        &self,
        tip: &Tip,
        shown: Option<&[Coin]>,
    ) -> Result<(bool, Option<u64>)> {
        let unit = self.info()?.unit();
        let length = self.batch_length(unit)?;
        let margins = Margins::of(unit, length.value());
        let now = match unit {
            Unit::Blocks => u64::from(tip.height),
            // By the chain: a clock that was wrong once begins nothing.
            Unit::Seconds => self.watched_at().max(tip.median_time_past),
        };
        let (mut due, mut next, mut expiries) = (Vec::new(), None, HashMap::<Vec<Txid>, u64>::new());
        let beside = self.beside_channels()?;
        let (told, signed) = (self.told_spent()?, self.store.read(maybe_gone)?);
        let (mut questions, mut failed) = (A_RUN, None);
        for vtxo in self.own_coins()?.into_iter().filter(|vtxo| !beside.contains(&vtxo.outpoint.txid)) {
            let is_told = told.contains(&vtxo.outpoint);
            // An operator that answers may still hide a coin, or call it spent.
            let is_hidden = match shown {
                Some(coins) => !coins.iter().any(|coin| coin.outpoint == vtxo.outpoint),
                None => false,
            };
            let counts = match shown {
                Some(_) if is_hidden => !signed.contains(&vtxo.outpoint),
                Some(coins) => self.is_up(&vtxo, coins, unit),
                // Another phone may have spent it, and nobody can be asked.
                None => !is_told,
            };
            if !counts {
                continue;
            }
            let roots = vtxo.path.roots();
            let expiry = match expiries.get(&roots) {
                Some(expiry) => *expiry,
                // What is not confirmed does not expire.
                None => match self.expiry_of(&roots, length, unit).await.map_err(|error| *error) {
                    Ok(expiry) => *expiries.entry(roots).or_insert(expiry),
                    Err(WalletError::NotConfirmed { .. }) => continue,
                    Err(error) if error.is_released() => return Err(error.into()),
                    // One that cannot be looked up keeps no other in.
                    Err(error) => {
                        failed = Some(error.into());
                        continue;
                    }
                },
            };
            let way = margins.level.saturating_mul(vtxo.path.levels(&HashSet::new()) as u64);
            let leave_by = expiry.saturating_sub(way.saturating_add(margins.reserve));
            if now >= leave_by {
                if is_hidden {
                    if questions == 0 {
                        continue;
                    }
                    questions -= 1;
                    match self.is_proven_spent(&vtxo.outpoint).await {
                        Ok(false) => {}
                        Ok(true) => continue,
                        Err(error) if error.is_released() => return Err(error),
                        // It may answer the next time, while there is time.
                        Err(error) if now < leave_by.saturating_add(margins.reserve / 2) => {
                            failed = Some(error);
                            continue;
                        }
                        Err(error) => note!(Warn, "what spent {} is not shown: {error}", vtxo.outpoint),
                    }
                }
                due.push(vtxo);
            } else {
                let moment = self.at(unit, leave_by);
                next = Some(next.map_or(moment, |next: u64| next.min(moment)));
            }
        }
        if due.is_empty() {
            return failed.map_or(Ok((false, next)), Err);
        }
        if let Some(error) = failed {
            note!(Warn, "expiring coins: {error}");
        }
        let coins: HashSet<OutPoint> = due.iter().map(|vtxo| vtxo.outpoint).collect();
        let made = self.count_as_made(Some(&coins), ExitReason::Deadline).await?;
        let (begun, refused) = self.begin_worthwhile(due, ExitReason::Deadline).await?;
        for exit in refused {
            note!(Warn, "{} expires, and is not worth an exit: {:?}", exit.outpoint, exit.problem);
        }
        Ok((!begun.is_empty() || !made.is_empty(), next))
    }

    /// How long the operator's batches live, as far as is known.
    pub(super) fn batch_length(&self, unit: Unit) -> Result<Delay> {
        let known = self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?))?;
        known.map_or_else(|| Ok(Delay::at_least(unit, assumed_batch_expiry(unit))?), Ok)
    }

    /// Own VTXOs that are unspent as far as is stored, those left out that the books alone call spent: another phone may
    /// have spent them, and nobody was asked.
    pub(super) fn unspent_vtxos(&self) -> Result<Vec<OwnVtxo>> {
        let told = self.told_spent()?;
        let mut vtxos = self.own_coins()?;
        vtxos.retain(|vtxo| !told.contains(&vtxo.outpoint));
        Ok(vtxos)
    }

    /// Own VTXOs that are no channel's: what a close paid is left as the channel.
    fn own_coins(&self) -> Result<Vec<OwnVtxo>> {
        let closed = self.sound_channels()?.into_iter().filter(|row| row.hot.state == ChannelState::Closed);
        let results: HashSet<OutPoint> = closed.filter_map(|row| row.result?.outpoint).collect();
        let mut vtxos = self.own_vtxos()?;
        vtxos.retain(|vtxo| !results.contains(&vtxo.outpoint));
        Ok(vtxos)
    }

    /// Coins that the operator's books alone call spent.
    fn told_spent(&self) -> Result<HashSet<OutPoint>> {
        self.store.read(|db| {
            let signed = maybe_gone(db)?;
            let done = db.known_coins()?.into_iter().filter(|coin| coin.done && !signed.contains(&coin.outpoint));
            Ok(done.map(|coin| coin.outpoint).collect())
        })
    }

    /// Whether the operator, which answers, can show what spent a coin, signed by its key.
    async fn is_proven_spent(&self, outpoint: &OutPoint) -> Result<bool> {
        let operator = self.net.operator().await?;
        for vtxo in operator.vtxos_by_outpoints(&[*outpoint]).await?.iter().filter(|vtxo| vtxo.spent) {
            self.learn_spend(operator, vtxo).await?;
        }
        self.store.read(|db| Ok(maybe_gone(db)?.contains(outpoint)))
    }

    /// Transactions with a channel that is in use, and in which this side has money: a coin in one is left with the channel,
    /// which would come on chain with it.
    fn beside_channels(&self) -> Result<HashSet<Txid>> {
        use ChannelState::{Closing, Confirming, Open, Refunding};
        let rows = self.sound_channels()?;
        let used = rows.into_iter().filter(|row| {
            let money = match row.hot.role {
                Role::Payer => row.hot.high < row.record.capacity,
                Role::Receiver => row.hot.amount() > Amount::ZERO,
            };
            money && matches!(row.hot.state, Confirming | Open | Closing | Refunding)
        });
        Ok(used.map(|row| row.record.funding.txid).collect())
    }

    /// Whether a VTXO that the operator shows must be left when its last moment has come. Where its blocks last a second its
    /// own counting must say so, too.
    fn is_up(&self, vtxo: &OwnVtxo, coins: &[Coin], unit: Unit) -> bool {
        let Some(coin) = coins.iter().find(|coin| coin.outpoint == vtxo.outpoint) else { return false };
        let counts = unit == Unit::Seconds || self.info().is_ok_and(|info| self.expires_in(coin, &info) == 0);
        counts && coin.kind != CoinKind::Recoverable
    }
}

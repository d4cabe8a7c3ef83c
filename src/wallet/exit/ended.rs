//! Ends of exits that may not last. An exit that another transaction was first to is not ended by one look at that, or a few
//! blocks; and after its end, as after that of one that was claimed, the chain is still asked whether it is so.

use bitcoin::{OutPoint, Transaction, Txid};
use serde::{Deserialize, Serialize};

use super::super::error::Result;
use super::super::events::EventKind;
use super::super::signed_away::are_apart;
use super::super::{Wallet, WalletError};
use super::coins::unmark_left;
use super::data::{Claim, ExitData, exit_flow};
use super::drive::{Exit, Look};
use crate::log::note;
use crate::store::{ChannelState, Db};

/// After so many confirmations of what an exit was lost to nobody asks any more.
const BEYOND_DOUBT: u32 = 144;

/// Exits that are remembered at most; the oldest are forgotten first.
const MOST: usize = 100;

const KEY: &str = "ended-exits";

/// The first look that showed an exit as at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct End {
    /// What was wanted.
    pub outpoint: OutPoint,
    /// What took it: somebody else's transaction, or the claim.
    pub spent_by: Txid,
    pub height: u32,
    /// Unix seconds.
    pub at: u64,
}

impl Wallet {
    /// Whether an exit is lost to `spent_by`, which spends `outpoint`: it is deep, and an earlier look has said the same.
    pub(super) fn is_lost(
        &self,
        look: &Look,
        exit: &mut Exit,
        outpoint: OutPoint,
        (spent_by, confirmations): (Txid, u32),
    ) -> bool {
        if confirmations < self.final_depth() {
            return false;
        }
        let (height, at) = (look.tip.height, self.now().wall);
        match exit.data.end {
            Some(first) if (first.outpoint, first.spent_by) == (outpoint, spent_by) => {
                are_apart((first.height, first.at), (height, at))
            }
            _ => {
                exit.data.end = Some(End { outpoint, spent_by, height, at });
                false
            }
        }
    }

    /// Remembers an exit that ends, and by what.
    pub(super) fn remember_end(&self, db: &Db<'_>, data: &ExitData) -> Result<()> {
        let mut ended = ended_exits(db)?;
        ended.retain(|known| known.outpoint != data.outpoint);
        ended.push(data.clone());
        let first = ended.len().saturating_sub(MOST);
        put_ended(db, ended.get(first..).unwrap_or_default())
    }

    /// Whether there are exits whose end is still asked about.
    pub(in crate::wallet) fn doubts_ends(&self) -> Result<bool> {
        self.store.read(|db| Ok(!ended_exits(db)?.is_empty()))
    }

    /// Asks again about exits that have ended. Where the chain says something else now, the exit goes on.
    pub(super) async fn look_at_ended(&self, height: u32) -> Result<()> {
        for data in self.store.read::<_, Box<WalletError>>(ended_exits)? {
            let Some(end) = data.end else { continue };
            // Who does not answer has not said anything else.
            let Ok(spend) = self.net.chain.outspend(end.outpoint).await else { continue };
            let enough = if data.claimed_by == Some(end.spent_by) { self.final_depth() } else { BEYOND_DOUBT };
            match spend.filter(|spend| spend.txid == end.spent_by && spend.status.is_confirmed()) {
                Some(spend) if spend.status.confirmations(height) < enough => {}
                Some(_) => self.store.write(|db| forget_ended(db, &data.outpoint))?,
                // A server that lags says so, too, and knows it confirmed all the same. So it is with a batch that took the
                // coin: it spends it by a forfeit that comes on chain only where the coin does.
                None => match self.net.chain.status(end.spent_by).await {
                    Ok(status) if status.confirmations(height) >= BEYOND_DOUBT => {
                        self.store.write(|db| forget_ended(db, &data.outpoint))?;
                    }
                    Ok(status) if !status.is_confirmed() => self.bring_back(data)?,
                    _ => {}
                },
            }
        }
        Ok(())
    }

    fn bring_back(&self, mut data: ExitData) -> Result<()> {
        (data.end, data.problem, data.claimed_by) = (None, None, None);
        let (outpoint, reason, channel) = (data.outpoint, data.reason, data.channel_id()?);
        self.store.write::<_, Box<WalletError>>(|db| {
            forget_ended(db, &outpoint)?;
            if db.flow(&exit_flow(&outpoint))?.is_some() {
                return Ok(());
            }
            if let Some(id) = &channel {
                // The app may have let go of the channel.
                const ENDED: [ChannelState; 3] = [ChannelState::Lost, ChannelState::Settled, ChannelState::Refunded];
                if !db.channel(id)?.is_some_and(|row| ENDED.contains(&row.hot.state)) {
                    return Ok(());
                }
                db.set_state(id, &ENDED, ChannelState::Exiting)?;
            }
            if let Claim::Own { outpoint, .. } = &data.claim {
                unmark_left(db, outpoint)?;
            }
            self.insert_exit(db, &data)?;
            if channel.is_none() {
                db.lock_coins(&exit_flow(&outpoint), &[outpoint])?;
            }
            self.push_event(db, channel.as_ref(), &EventKind::ExitBegan { outpoint, reason })
        })?;
        note!(Warn, "exit of {outpoint}: goes on, what it had ended with is not there any more");
        self.events.ring();
        Ok(())
    }
}

/// Whether `tx` spends `outpoint`: a server may call anything a spender.
pub(super) fn spends(tx: &Transaction, outpoint: &OutPoint) -> bool {
    tx.input.iter().any(|input| input.previous_output == *outpoint)
}

fn ended_exits(db: &Db<'_>) -> Result<Vec<ExitData>> {
    let Some(data) = db.meta(KEY)? else { return Ok(Vec::new()) };
    // A second look at what has ended is worth less than those that have not.
    Ok(serde_json::from_slice(&data).unwrap_or_else(|error| {
        note!(Error, "the ended exits cannot be read: {error}");
        Vec::new()
    }))
}

fn put_ended(db: &Db<'_>, ended: &[ExitData]) -> Result<()> {
    if ended.is_empty() {
        return Ok(db.delete_meta(KEY)?);
    }
    Ok(db.set_meta(KEY, &super::super::batch::encode(&ended)?)?)
}

fn forget_ended(db: &Db<'_>, outpoint: &OutPoint) -> Result<()> {
    let mut ended = ended_exits(db)?;
    ended.retain(|known| known.outpoint != *outpoint);
    put_ended(db, &ended)
}

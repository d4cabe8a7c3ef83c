//! An exit that another transaction was first to. One look at that, or a few blocks, do not end it; and after its end the
//! chain is still asked whether it is so.

use bitcoin::{OutPoint, Transaction, Txid};
use serde::{Deserialize, Serialize};

use super::super::error::Result;
use super::super::events::EventKind;
use super::super::{Wallet, WalletError};
use super::coins::unmark_left;
use super::data::{Claim, ExitData, exit_flow};
use super::drive::{Exit, Look};
use crate::log::note;
use crate::store::{ChannelState, Db};

/// A look so many seconds later is another one, where no block has come meanwhile.
const APART: u64 = 600;

/// After so many confirmations nobody asks any more.
const BEYOND_DOUBT: u32 = 144;

/// Lost exits that are remembered at most; the oldest are forgotten first.
const MOST: usize = 100;

const KEY: &str = "lost-exits";

/// The first look that showed an exit as lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Losing {
    /// What was wanted.
    pub outpoint: OutPoint,
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
        match exit.data.losing {
            Some(first) if (first.outpoint, first.spent_by) == (outpoint, spent_by) => {
                height > first.height || at >= first.at.saturating_add(APART)
            }
            _ => {
                exit.data.losing = Some(Losing { outpoint, spent_by, height, at });
                false
            }
        }
    }

    /// Remembers an exit that ends as lost.
    pub(super) fn remember_lost(&self, db: &Db<'_>, data: &ExitData) -> Result<()> {
        let mut lost = lost_exits(db)?;
        lost.retain(|known| known.outpoint != data.outpoint);
        lost.push(data.clone());
        let first = lost.len().saturating_sub(MOST);
        put_lost(db, lost.get(first..).unwrap_or_default())
    }

    /// Whether there are lost exits that are still asked about.
    pub(in crate::wallet) fn doubts_losses(&self) -> Result<bool> {
        self.store.read(|db| Ok(!lost_exits(db)?.is_empty()))
    }

    /// Asks again about what was lost. Where the chain says something else now, the exit goes on.
    pub(super) async fn look_at_lost(&self, height: u32) -> Result<()> {
        for data in self.store.read::<_, WalletError>(lost_exits)? {
            let Some(losing) = data.losing else { continue };
            // Who does not answer has not said anything else.
            let Ok(spend) = self.net.chain.outspend(losing.outpoint).await else { continue };
            match spend.filter(|spend| spend.txid == losing.spent_by && spend.status.is_confirmed()) {
                Some(spend) if spend.status.confirmations(height) < BEYOND_DOUBT => {}
                Some(_) => self.store.write(|db| forget_lost(db, &data.outpoint))?,
                None => self.bring_back(data)?,
            }
        }
        Ok(())
    }

    fn bring_back(&self, mut data: ExitData) -> Result<()> {
        (data.losing, data.problem) = (None, None);
        let (outpoint, reason, channel) = (data.outpoint, data.reason, data.channel_id()?);
        self.store.write::<_, WalletError>(|db| {
            forget_lost(db, &outpoint)?;
            if db.flow(&exit_flow(&outpoint))?.is_some() {
                return Ok(());
            }
            if let Some(id) = &channel {
                // The app may have let go of the channel.
                if !db.channel(id)?.is_some_and(|row| row.hot.state == ChannelState::Lost) {
                    return Ok(());
                }
                db.set_state(id, &[ChannelState::Lost], ChannelState::Exiting)?;
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
        note!(Warn, "exit of {outpoint}: goes on, what it was lost to is not there any more");
        self.events.ring();
        Ok(())
    }
}

/// Whether `tx` spends `outpoint`: a server may call anything a spender.
pub(super) fn spends(tx: &Transaction, outpoint: &OutPoint) -> bool {
    tx.input.iter().any(|input| input.previous_output == *outpoint)
}

fn lost_exits(db: &Db<'_>) -> Result<Vec<ExitData>> {
    match db.meta(KEY)? {
        Some(data) => serde_json::from_slice(&data).map_err(|_| WalletError::CorruptFlow { what: "the lost exits" }),
        None => Ok(Vec::new()),
    }
}

fn put_lost(db: &Db<'_>, lost: &[ExitData]) -> Result<()> {
    if lost.is_empty() {
        return Ok(db.delete_meta(KEY)?);
    }
    Ok(db.set_meta(KEY, &super::super::batch::encode(&lost)?)?)
}

fn forget_lost(db: &Db<'_>, outpoint: &OutPoint) -> Result<()> {
    let mut lost = lost_exits(db)?;
    lost.retain(|known| known.outpoint != *outpoint);
    put_lost(db, &lost)
}

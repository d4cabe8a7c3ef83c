//! Looking, and answering what is dangerous: only what two looks agree on, since what is done cannot be undone.

use std::collections::HashMap;

use bitcoin::Txid;
use tokio::time::Instant;

use super::danger::Danger;
use super::{Looked, WatchReport};
use crate::chain::Tip;
use crate::channel::ChannelId;
use crate::log::note;
use crate::store::{ChannelResult, ChannelRow, ChannelState};
use crate::wallet::error::Result;
use crate::wallet::events::EventKind;
use crate::wallet::{ExitReason, Wallet, WalletError};

impl Wallet {
    /// One look at all of `rows`, and a second one at those that ask for an answer. `answers`: what this call may
    /// answer; where it may not, the channel is among those that are left.
    pub(in crate::wallet) async fn look_and_answer(
        &self,
        rows: Vec<ChannelRow>,
        tip: &Tip,
        ask_operator: bool,
        until: Instant,
        answers: impl Fn(Danger) -> bool,
    ) -> Result<(Vec<(ChannelId, Result<WatchReport>)>, Vec<ChannelId>)> {
        let mut looked = self.look_at(rows, tip, ask_operator, until).await?;
        let dangers = looked.iter().filter_map(|(id, looked)| Some((*id, looked.as_ref().ok()?.danger?)));
        let (suspected, left): (HashMap<ChannelId, Danger>, HashMap<ChannelId, Danger>) =
            dangers.partition(|(_, danger)| answers(*danger));
        if !suspected.is_empty() {
            self.answer(&suspected, ask_operator, until, &mut looked).await?;
        }
        let reports = looked.into_iter().map(|(id, looked)| (id, looked.map(|looked| looked.report)));
        Ok((reports.collect(), left.into_keys().collect()))
    }

    async fn answer(
        &self,
        suspected: &HashMap<ChannelId, Danger>,
        ask_operator: bool,
        until: Instant,
        looked: &mut [(ChannelId, Result<Looked>)],
    ) -> Result<()> {
        // Everything is asked again, the time too.
        let tip = match self.observe_tip().await {
            Ok(tip) => tip,
            Err(error) if error.is_released() => return Err(error),
            Err(error) => {
                // Nothing is done on one look; the other channels have theirs all the same.
                if let Some((_, first)) = looked.iter_mut().find(|(id, _)| suspected.contains_key(id)) {
                    *first = Err(error);
                }
                return Ok(());
            }
        };
        let rows = self.store.read::<_, Box<WalletError>>(|db| {
            suspected.keys().filter_map(|id| db.channel(id).transpose()).map(|row| Ok(row?)).collect::<Result<Vec<_>>>()
        })?;
        let again = self.look_at(rows, &tip, ask_operator, until).await?;
        for (id, again) in again {
            let Some((_, first)) = looked.iter_mut().find(|(known, _)| *known == id) else { continue };
            *first = match again {
                Ok(again) => self.answer_one(&id, again, suspected.get(&id).copied()).await,
                error => error,
            };
        }
        Ok(())
    }

    async fn answer_one(&self, id: &ChannelId, mut again: Looked, first: Option<Danger>) -> Result<Looked> {
        let Some(danger) = again.danger.filter(|danger| Some(*danger) == first) else { return Ok(again) };
        if matches!(danger, Danger::Leave(_)) && !danger.is_on_chain() {
            let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
            self.check_worth(&row).await?;
        }
        again.report.state = self.act_on(id, danger)?;
        Ok(again)
    }

    fn act_on(&self, id: &ChannelId, danger: Danger) -> Result<ChannelState> {
        note!(Warn, "channel {id}: {danger:?}");
        match danger {
            Danger::Leave(reason) => self.leave(id, reason)?,
            Danger::Gone(txid) => self.note_gone(id, txid)?,
        }
        self.events.ring();
        Ok(self.store.read(|db| db.hot(id))?.ok_or(WalletError::NotFound)?.state)
    }

    /// Begins to leave a channel on chain, where there is something to claim.
    fn leave(&self, id: &ChannelId, reason: ExitReason) -> Result<()> {
        let unrolled = matches!(reason, ExitReason::Unrolled | ExitReason::AncestorUnrolled);
        match self.begin_exit(id, reason).map_err(|error| *error) {
            Ok(()) if unrolled => self.store.write(|db| self.push_event(db, Some(id), &EventKind::ChannelUnrolled)),
            Ok(()) => Ok(()),
            // A receiver that was never paid has nothing to do with a channel that is on chain.
            Err(WalletError::Channel(crate::channel::ChannelError::NothingPaid)) => self.store.write(|db| {
                let from = [ChannelState::Confirming, ChannelState::Open];
                db.set_state(id, &from, ChannelState::Refunded)?;
                self.push_event(db, Some(id), &EventKind::ChannelUnrolled)
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// The channel cannot come on chain any more; what was paid in it, if anything, is lost.
    fn note_gone(&self, id: &ChannelId, txid: Txid) -> Result<()> {
        let close = crate::wallet::close::close_flow(id);
        self.store.write(|db| {
            let hot = db.hot(id)?.ok_or(WalletError::NotFound)?;
            let from = [ChannelState::Confirming, ChannelState::Open, ChannelState::Closing];
            let (state, event) = match hot.amount() {
                bitcoin::Amount::ZERO => (ChannelState::Refunded, EventKind::ChannelRefunded { txid }),
                amount => (ChannelState::Lost, EventKind::ChannelLost { amount, spent_by: txid }),
            };
            db.set_state(id, &from, state)?;
            db.set_result(id, &ChannelResult { txid, outpoint: None })?;
            db.delete_flow(&close)?;
            self.push_event(db, Some(id), &event)
        })
    }
}

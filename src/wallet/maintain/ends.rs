//! Channels that are to be closed or taken back now.

use bitcoin::Amount;

use super::{MaintenanceError, MaintenanceTask, Run, is_over, is_waiting};
use crate::channel::Unit;
use crate::store::{ChannelRow, ChannelState, Role};
use crate::wallet::close::close_flow;
use crate::wallet::error::Result;
use crate::wallet::refund::refund_flow;
use crate::wallet::take_back::AskedBy;
use crate::wallet::{Wallet, WalletError};

impl Run {
    /// Closes and refunds what is due and `wanted`, that with the earliest deadline first.
    pub(super) async fn act(&mut self, wanted: impl Fn(MaintenanceTask) -> bool) -> Result<()> {
        if !self.operator {
            return Ok(());
        }
        let mut rows = self.wallet.sound_channels()?;
        rows.retain(|row| is_waiting(row) && !self.begun.contains(&row.record.id));
        rows.sort_unstable_by_key(|row| row.record.expiry);
        for row in rows {
            let id = row.record.id;
            let due = self.due(&row);
            let due = self.note(MaintenanceTask::Look, Some(id), due).flatten();
            let Some(task) = due.filter(|task| wanted(*task)) else { continue };
            self.begun.insert(id);
            let wallet = self.wallet.clone();
            let done = self
                .to_its_end(async move {
                    match task {
                        MaintenanceTask::Refund => wallet.refund_asked_by(&id, AskedBy::Maintenance).await,
                        _ => wallet.close_channel(&id).await,
                    }
                })
                .await;
            // Somebody else may have been first, in this app or on the other side.
            let ended = |wallet: &Wallet| wallet.channel(&id).is_ok_and(|info| is_over(info.state));
            let Err(error) = done else { continue };
            if ended(&self.wallet) {
                continue;
            }
            match self.wallet.leaves_after(&row, &error).await {
                Some(reason) if self.worth_leaving(&row).await => {
                    let left = self.wallet.begin_exit(&id, reason);
                    self.note(MaintenanceTask::Exit, Some(id), left);
                    self.leave().await?;
                }
                _ => self.errors.push(MaintenanceError { task, channel_id: Some(id), error: *error }),
            }
        }
        Ok(())
    }

    async fn worth_leaving(&mut self, row: &ChannelRow) -> bool {
        let worth = self.wallet.check_worth(row).await;
        self.note(MaintenanceTask::Exit, Some(row.record.id), worth).is_some()
    }

    fn due(&self, row: &ChannelRow) -> Result<Option<MaintenanceTask>> {
        let wallet = &self.wallet;
        let (id, now) = (row.record.id, wallet.now());
        let loaded = wallet.loaded(&id)?;
        let begun = |flow: [u8; 32]| wallet.store.read::<_, Box<WalletError>>(|db| Ok(db.flow(&flow)?.is_some()));
        match row.hot.role {
            // One that was interrupted goes on, whatever the chain server does.
            Role::Receiver if row.hot.state == ChannelState::Closing => {
                Ok(begun(close_flow(&id))?.then_some(MaintenanceTask::Close))
            }
            Role::Receiver if row.hot.amount() > Amount::ZERO => {
                // Closing is one-way: a clock that was wrong for a moment does not lead to it while the chain says
                // otherwise.
                let latest = match (loaded.unit(), self.tip) {
                    (Unit::Seconds, Some(_)) => wallet.watched_at().max(now.median_time),
                    (Unit::Blocks, Some(tip)) => u64::from(tip.height),
                    (unit, None) => now.latest(unit),
                };
                let cutoff = wallet.info()?.check_signer(&loaded.channel.terms.operator, now.unix());
                let close_by = loaded.deadlines(&now, cutoff.unwrap_or(Some(0))).close_by;
                Ok((latest >= close_by).then_some(MaintenanceTask::Close))
            }
            Role::Payer => {
                let locktime = u64::from(loaded.channel.terms.locktime.to_consensus_u32());
                let passed = self.tip.is_some() && now.on_chain(loaded.unit()) >= locktime;
                // One that had begun was gone on with already; where it is refused for good there is another way.
                let due = !begun(refund_flow(&id))? || wallet.is_refund_refused(&id)?;
                Ok((passed && due).then_some(MaintenanceTask::Refund))
            }
            Role::Receiver => Ok(None),
        }
    }
}

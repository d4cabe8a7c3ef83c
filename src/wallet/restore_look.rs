//! After a restore: what became of the channels meanwhile, and what an exit will need.

use std::time::Duration;

use bitcoin::{OutPoint, Txid};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::error::Result;
use super::loaded::LoadedChannel;
use super::restore::{FoundCoin, RestoreReport, RestoreWarning};
use super::restore_mark::{is_restored, unmark_restored};
use super::restore_scan::Found;
use super::watch::WatchReport;
use super::{Wallet, WalletError};
use crate::operator::Vtxo;
use crate::store::{ChannelResult, ChannelState, Role};

/// The longest that looking at the channels takes, and fetching branches.
const LOOK_LIMIT: Duration = Duration::from_secs(90);

/// Branches fetched together.
const AT_ONCE: usize = 4;

impl Wallet {
    /// Fills the report; what fails is a warning, since everything that cannot be found again is stored by now.
    pub(super) async fn look_after_restore(&self, found: &Found, report: &mut RestoreReport) {
        let coin = |coin: &crate::chain::Coin| FoundCoin { outpoint: coin.outpoint, amount: coin.output.value };
        report.boarding = found.boarding.iter().map(coin).collect();
        match self.onchain_balance().await {
            Ok(balance) => report.onchain = balance,
            Err(error) => {
                let why = error.to_string();
                if !report.warnings.iter().any(|warning| matches!(warning, RestoreWarning::ChainAway { .. })) {
                    report.warnings.push(RestoreWarning::ChainAway { why });
                }
            }
        }
        self.look_at_restored(report).await;
        for vtxo in found.vtxos.iter().filter(|vtxo| !vtxo.spent) {
            let outpoint = vtxo.outpoint;
            if vtxo.unrolled {
                // Claimed by now, perhaps: the books do not say.
                let spent = self.net.chain.outspend(outpoint).await;
                if !spent.is_ok_and(|spent| spent.is_some_and(|spent| spent.status.is_confirmed())) {
                    report.exits.push(outpoint);
                }
            } else if !vtxo.has_assets {
                report.vtxos.push(FoundCoin { outpoint, amount: vtxo.amount });
            }
        }
        let until = Instant::now() + LOOK_LIMIT;
        let unspent: Vec<Vtxo> = found.vtxos.iter().filter(|vtxo| !vtxo.spent).cloned().collect();
        let kept = unspent.into_iter().map(|vtxo| async move {
            let kept = timeout_at(until, self.keep_branch(&vtxo)).await;
            (vtxo.outpoint, kept.unwrap_or(Err(WalletError::StillRunning { seconds: LOOK_LIMIT.as_secs() })))
        });
        let kept: Vec<_> = futures_util::stream::iter(kept).buffer_unordered(AT_ONCE).collect().await;
        for (outpoint, kept) in kept {
            if let Err(error) = kept {
                report.warnings.push(RestoreWarning::BranchMissing { outpoint, why: error.to_string() });
            }
        }
    }

    /// One look at all channels of the backup.
    async fn look_at_restored(&self, report: &mut RestoreReport) {
        let ids = report.channels.clone();
        let looked = async {
            let rows = self
                .store
                .read::<_, WalletError>(|db| ids.iter().map(|id| Ok(db.channel(id)?)).collect::<Result<Vec<_>>>())?;
            let tip = self.observe_tip().await?;
            let ask_operator = self.fresh_info().await.is_ok();
            let rows = rows.into_iter().flatten().collect();
            let until = Instant::now() + LOOK_LIMIT;
            // What somebody has put on chain is answered at once; the rest is for maintenance.
            self.look_and_answer(rows, &tip, ask_operator, until, |danger| danger.is_on_chain()).await
        };
        let looked = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                let not_seen = |channel_id| RestoreWarning::ChannelNotSeen { channel_id, why: error.to_string() };
                return report.warnings.extend(ids.into_iter().map(not_seen));
            }
        };
        for (channel_id, look) in looked {
            if let Err(error) = look.and_then(|look| self.note_restored(&look, report)) {
                report.warnings.push(RestoreWarning::ChannelNotSeen { channel_id, why: error.to_string() });
            }
        }
    }

    fn note_restored(&self, look: &WatchReport, report: &mut RestoreReport) -> Result<()> {
        let id = look.channel_id;
        let (row, waits) = self
            .store
            .read::<_, WalletError>(|db| Ok((db.channel(&id)?.ok_or(WalletError::NotFound)?, is_restored(db, &id)?)))?;
        if look.unrolled {
            report.exits.push(row.record.funding);
        } else if waits && look.spent_by.is_some() && row.hot.state == ChannelState::Open {
            report.warnings.push(RestoreWarning::ChannelSpent { channel_id: id });
        }
        Ok(())
    }

    /// A restored channel that the books show spent may have been ended by this very wallet before it was lost: the
    /// receiver's close pays its script in the terms, the payer's refund pays the whole capacity to an own script.
    /// Answers whether that is so.
    pub(super) async fn note_ended_before(&self, loaded: &LoadedChannel, txid: Txid) -> Result<bool> {
        let (id, terms) = (loaded.channel.id, &loaded.channel.terms);
        let outpoints = [OutPoint::new(txid, 0), OutPoint::new(txid, 1)];
        let outputs = self.net.operator().await?.vtxos_by_outpoints(&outpoints).await?;
        let is_own = |vtxo: &Vtxo| match loaded.record.role {
            Role::Receiver => Ok(vtxo.script == terms.receiver.ark_payout.script()),
            Role::Payer if vtxo.amount == terms.capacity => {
                Ok::<_, WalletError>(self.store.read(|db| db.script(&vtxo.script))?.is_some())
            }
            Role::Payer => Ok(false),
        };
        let state = match loaded.record.role {
            Role::Receiver => ChannelState::Closed,
            Role::Payer => ChannelState::Refunded,
        };
        for vtxo in &outputs {
            if is_own(vtxo)? {
                self.store.write::<_, WalletError>(|db| {
                    db.set_state(&id, &[ChannelState::Open], state)?;
                    db.set_result(&id, &ChannelResult { txid, outpoint: Some(vtxo.outpoint) })?;
                    unmark_restored(db, &id)
                })?;
                self.unload(&id);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Fetches and stores the branch of an own VTXO: with it the VTXO can be taken on chain when the operator is gone.
    async fn keep_branch(&self, vtxo: &Vtxo) -> Result<()> {
        if self.store.read(|db| db.branch(&vtxo.outpoint))?.is_some() {
            return Ok(());
        }
        let branch = self.net.operator().await?.branch_of(vtxo.outpoint).await?;
        Ok(self.store.write(|db| db.put_branch(&vtxo.outpoint, &branch))?)
    }
}

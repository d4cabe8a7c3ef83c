//! After a restore: what became of the channels meanwhile, and what an exit will need.

use std::time::Duration;

use bitcoin::hex::DisplayHex;
use bitcoin::{OutPoint, TxOut, Txid};
use futures_util::StreamExt;
use tokio::time::{Instant, timeout_at};

use super::error::Result;
use super::loaded::LoadedChannel;
use super::maintain::still_running;
use super::restore::{FoundCoin, RestoreReport, RestoreWarning};
use super::restore_mark::{is_restored, unmark_restored};
use super::restore_scan::Found;
use super::watch::WatchReport;
use super::{Wallet, WalletError};
use crate::channel::ChannelId;
use crate::channel::message::{Funding, Offer};
use crate::log::note;
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
        // A backup may have been made of a damaged file. What is missing then is told by the look.
        let kept = timeout_at(Instant::now() + LOOK_LIMIT, self.keep_channel_branches()).await;
        if let Err(error) = kept.unwrap_or_else(|_| Err(Box::new(still_running()))) {
            note!(Warn, "restored: not every channel's branch can be had: {error}");
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
            (vtxo.outpoint, kept.unwrap_or(Err(Box::new(WalletError::StillRunning { seconds: LOOK_LIMIT.as_secs() }))))
        });
        let kept: Vec<_> = futures_util::stream::iter(kept).buffer_unordered(AT_ONCE).collect().await;
        for (outpoint, kept) in kept {
            if let Err(error) = kept {
                report.warnings.push(RestoreWarning::BranchMissing { outpoint, why: error.to_string() });
            }
        }
        let noted = timeout_at(until, self.note_spent_before(&found.vtxos)).await;
        // Maintenance goes on with it.
        if let Err(error) = noted.unwrap_or_else(|_| Err(Box::new(still_running()))) {
            note!(Warn, "restored: what was spent before is not all known: {error}");
        }
    }

    /// Coins of a backup that were spent after it was made: that surprises nobody, and they are not left any more.
    async fn note_spent_before(&self, vtxos: &[Vtxo]) -> Result<()> {
        let spent: Vec<&Vtxo> = vtxos.iter().filter(|vtxo| vtxo.spent).collect();
        self.store.write::<_, Box<WalletError>>(|db| {
            spent.iter().try_for_each(|vtxo| Ok(db.coin_is_done(&vtxo.outpoint, false)?))
        })?;
        for vtxo in spent {
            if self.store.read(|db| db.sound_branch(&vtxo.outpoint))?.is_some() {
                self.learn_spend(self.net.operator().await?, vtxo).await?;
            }
        }
        Ok(())
    }

    /// Channels that were being opened when the backup was made may have come to be since: then they are in the books.
    /// One that was funded off chain is known by its VTXO, one in a batch by its script.
    /// Before that what was submitted and not finalized is brought to its end.
    pub(super) async fn look_for_openings(&self, vtxos: &[Vtxo], openings: &[Offer], report: &mut RestoreReport) {
        if report.warnings.iter().any(|warning| matches!(warning, RestoreWarning::OperatorAway { .. })) {
            return;
        }
        let finished = timeout_at(Instant::now() + LOOK_LIMIT, self.finish_submitted(vtxos, openings)).await;
        // The journal has it by then, or the next restore finds it.
        if let Err(error) = finished.unwrap_or_else(|_| Err(Box::new(still_running()))) {
            note!(Warn, "restored: what was submitted before is not finalized: {error}");
        }
        for offer in openings {
            match self.find_opening(offer).await {
                Ok(Some(id)) if !report.channels.contains(&id) => report.channels.push(id),
                Ok(_) => {}
                Err(error) => {
                    let offer_id = offer.id().to_lower_hex_string();
                    report.warnings.push(RestoreWarning::OpeningNotSeen { offer_id, why: error.to_string() });
                }
            }
        }
    }

    async fn find_opening(&self, offer: &Offer) -> Result<Option<ChannelId>> {
        let operator = self.net.operator().await?;
        let script = offer.terms.tree()?.script_pubkey();
        let (books, preconfirmed) = match offer.funding {
            Funding::Offchain { outpoint } => (operator.vtxos_by_outpoints(&[outpoint]).await?, true),
            Funding::Batch { .. } => (operator.vtxos_by_scripts(std::slice::from_ref(&script)).await?, false),
        };
        // Spent ones, and what others paid to the same script, are no channel of ours.
        let ours = |vtxo: &&Vtxo| vtxo.script == script && vtxo.amount == offer.terms.capacity;
        let Some(vtxo) = books.iter().filter(ours).find(|vtxo| !vtxo.spent && vtxo.preconfirmed == preconfirmed) else {
            return Ok(None);
        };
        let funding = Funding::Offchain { outpoint: vtxo.outpoint };
        self.recover_channel(&Offer { funding, ..offer.clone() }).await.map(Some)
    }

    /// One look at all channels of the backup.
    async fn look_at_restored(&self, report: &mut RestoreReport) {
        let ids = report.channels.clone();
        let looked = async {
            let rows = self.store.read::<_, Box<WalletError>>(|db| {
                ids.iter().map(|id| Ok(db.channel(id)?)).collect::<Result<Vec<_>>>()
            })?;
            let tip = self.observe_tip().await?;
            let ask_operator = self.fresh_info().await.is_ok();
            let rows = rows.into_iter().flatten().collect();
            let until = Instant::now() + LOOK_LIMIT;
            // What somebody has put on chain is answered at once; the rest is for maintenance.
            Ok::<_, Box<WalletError>>(
                self.look_and_answer(rows, &tip, ask_operator, until, |danger| danger.is_on_chain()).await?.0,
            )
        };
        let looked = match looked.await {
            Ok(looked) => looked,
            Err(error) => {
                let not_seen = |channel_id| RestoreWarning::ChannelNotSeen { channel_id, why: error.to_string() };
                return report.warnings.extend(ids.into_iter().map(not_seen));
            }
        };
        for (channel_id, look) in looked {
            let noted = match look {
                Ok(look) => self.note_restored(&look, report).await,
                Err(error) => Err(error),
            };
            if let Err(error) = noted {
                report.warnings.push(RestoreWarning::ChannelNotSeen { channel_id, why: error.to_string() });
            }
        }
    }

    async fn note_restored(&self, look: &WatchReport, report: &mut RestoreReport) -> Result<()> {
        let id = look.channel_id;
        let (row, waits) = self.store.read::<_, Box<WalletError>>(|db| {
            Ok((db.channel(&id)?.ok_or(WalletError::NotFound)?, is_restored(db, &id)?))
        })?;
        if look.unrolled {
            let waits = waits && row.hot.state == ChannelState::Open;
            if !(waits && self.note_left_before(&id).await?) {
                report.exits.push(row.record.funding);
            }
        } else if waits && look.spent_by.is_some() && row.hot.state == ChannelState::Open {
            report.warnings.push(RestoreWarning::ChannelSpent { channel_id: id });
        }
        Ok(())
    }

    /// A restored channel that the books show spent may have been taken back by this very payer before it was lost: nobody
    /// else signs with the refund leaf. It pays an own script, or a new channel and what is left to an own script.
    pub(super) async fn note_refunded_before(&self, loaded: &LoadedChannel, txid: Txid) -> Result<()> {
        let id = loaded.channel.id;
        let flow = super::refund::refund_flow(&id);
        if self.store.read::<_, Box<WalletError>>(|db| Ok(db.flow(&flow)?.is_some()))? {
            return Ok(()); // That is a refund of today, which ends by itself.
        }
        let operator = self.net.operator().await?;
        let outputs = operator.vtxos_by_outpoints(&[0, 1].map(|vout| OutPoint::new(txid, vout))).await?;
        if outputs.is_empty() || !self.refunded_by(operator, loaded, txid).await? {
            return Ok(());
        }
        self.store.write::<_, Box<WalletError>>(|db| {
            let mut own = None;
            for vtxo in &outputs {
                own = own.or(db.script(&vtxo.script)?.map(|_| vtxo.outpoint));
            }
            db.set_state(&id, &[ChannelState::Open], ChannelState::Refunded)?;
            db.set_result(&id, &ChannelResult { txid, outpoint: own })?;
            unmark_restored(db, &id)
        })?;
        self.unload(&id);
        Ok(())
    }

    /// A channel that is on chain may have been left by this very wallet before it was lost: its claim pays the payout in
    /// the terms. Answers whether that is so.
    async fn note_left_before(&self, id: &ChannelId) -> Result<bool> {
        let loaded = self.loaded(id)?;
        let chain = &self.net.chain;
        let Some(spend) = chain.outspend(loaded.channel.funding).await?.filter(|spend| spend.status.is_confirmed())
        else {
            return Ok(false);
        };
        let Some(tx) = chain.transaction(spend.txid).await? else { return Ok(false) };
        let script = match loaded.record.role {
            Role::Receiver => loaded.channel.terms.receiver.chain_payout.script(),
            Role::Payer => loaded.channel.terms.payer.chain_payout.script(),
        };
        let Some(vout) = tx.output.iter().position(|output| output.script_pubkey == script) else { return Ok(false) };
        let result = ChannelResult { txid: spend.txid, outpoint: Some(OutPoint::new(spend.txid, vout as u32)) };
        self.store.write::<_, Box<WalletError>>(|db| {
            db.set_state(id, &[ChannelState::Open], ChannelState::Settled)?;
            db.set_result(id, &result)?;
            unmark_restored(db, id)
        })?;
        self.unload(id);
        Ok(true)
    }

    /// The branch of an own VTXO, unless the backup had it.
    async fn keep_branch(&self, vtxo: &Vtxo) -> Result<()> {
        if self.store.read(|db| db.sound_branch(&vtxo.outpoint))?.is_some() {
            return Ok(());
        }
        let output = TxOut { value: vtxo.amount, script_pubkey: vtxo.script.clone() };
        self.learn_branch(vtxo.outpoint, &output).await
    }
}

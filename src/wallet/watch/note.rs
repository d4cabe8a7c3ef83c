//! What follows from a look.

use bitcoin::Txid;
use tokio::time::{Instant, timeout_at};

use super::Sight;
use crate::log::note;
use crate::operator::Vtxo;
use crate::store::{ChannelResult, ChannelRow, ChannelState, FlowKind, Role};
use crate::wallet::batch::{decode, encode};
use crate::wallet::error::Result;
use crate::wallet::events::EventKind;
use crate::wallet::hand_back::release_flow;
use crate::wallet::refund::refund_flow;
use crate::wallet::seen_close::{SeenClose, seen_close};
use crate::wallet::{Wallet, WalletError};

impl Wallet {
    /// Takes over what a look showed. Nothing is written where it showed nothing new.
    pub(super) async fn note(&self, row: &ChannelRow, sight: &mut Sight, until: Instant) -> Result<()> {
        let id = row.record.id;
        if row.hot.state == ChannelState::Confirming && sight.confirmations >= self.config.confirmations {
            let confirmed = timeout_at(until, self.confirm(row, sight.vtxo())).await;
            confirmed.unwrap_or_else(|_| Err(Box::new(super::out_of_time())))?;
        }
        if row.hot.state == ChannelState::Open && sight.confirmations < self.config.confirmations {
            self.unconfirm(row)?;
        }
        if let Some(vtxo) = sight.vtxo().filter(|_| row.hot.role == Role::Receiver) {
            self.mark_gone(&*self.loaded(&id)?, vtxo.spent || vtxo.swept)?;
        }
        let spent_by = sight.spent_by();
        if let Some(txid) = spent_by.filter(|_| row.hot.role == Role::Payer && row.hot.state == ChannelState::Open) {
            let loaded = self.loaded(&id)?;
            if loaded.was_restored() {
                self.note_refunded_before(&loaded, txid).await?;
            }
        }
        if let (Some(vtxo), Some(txid), true) = (sight.vtxo(), spent_by, sight.spend_is_final) {
            match self.note_spent(row, vtxo, txid).await.map_err(|error| *error) {
                // Nobody said what spent it: as if the books had not been seen, so that no exit rests on them.
                Err(WalletError::Operator(error)) if error.is_transport() => {
                    note!(Info, "channel {id}: what spent it is not known: {error}");
                    sight.books = None;
                }
                noted => noted?,
            }
        }
        if sight.settled.is_some_and(|confirmations| confirmations >= self.config.confirmations) {
            self.store.write(|db| db.set_state(&id, &[ChannelState::Closed], ChannelState::Settled))?;
        }
        Ok(())
    }

    /// The commitment transaction is deep enough: everything is verified once more from chain and books, and the
    /// channel opens.
    async fn confirm(&self, row: &ChannelRow, books: Option<&Vtxo>) -> Result<()> {
        let loaded = self.loaded(&row.record.id)?;
        let (commitments, expiry, expires_at, length) = match row.record.role {
            Role::Receiver => {
                let verified = self.verify_funding(&loaded.channel.terms, row.record.funding).await?;
                let cutoff = self.info()?.check_signer(&loaded.channel.terms.operator, self.now().unix())?;
                crate::wallet::funding::check_funding_time(&loaded.channel.terms, &verified, cutoff, &self.now())?;
                (verified.report.commitments, verified.expiry, verified.expires_at, verified.batch_expiry)
            }
            Role::Payer => {
                let length = row.record.batch_expiry;
                let expiry = self.expiry_of(&row.record.commitments, length, loaded.unit()).await?;
                let expires_at = books.map_or(0, |vtxo| vtxo.expires_at);
                (row.record.commitments.clone(), expiry, expires_at, length)
            }
        };
        let id = row.record.id;
        self.store.write(|db| {
            db.set_expiry(&id, &commitments, length, expiry, expires_at)?;
            db.set_state(&id, &[ChannelState::Confirming], ChannelState::Open)?;
            self.push_event(db, Some(&id), &EventKind::ChannelOpened)
        })?;
        self.unload(&id);
        self.events.ring();
        Ok(())
    }

    /// A reorganisation took a commitment transaction away: payments wait until it is confirmed again. Should one of its
    /// inputs be spent elsewhere, it never is, and the channel never was.
    fn unconfirm(&self, row: &ChannelRow) -> Result<()> {
        let id = row.record.id;
        self.store.write(|db| {
            db.set_state(&id, &[ChannelState::Open], ChannelState::Confirming)?;
            self.push_event(db, Some(&id), &EventKind::ChannelFunded)
        })?;
        self.unload(&id);
        self.events.ring();
        Ok(())
    }

    /// The operator's books say that the VTXO is spent, for good. For the payer that is the receiver's close.
    async fn note_spent(&self, row: &ChannelRow, vtxo: &Vtxo, txid: Txid) -> Result<()> {
        let id = row.record.id;
        if vtxo.ark_txid.is_none() {
            return Ok(());
        }
        if row.hot.role == Role::Receiver {
            self.note_closed_elsewhere(row, txid).await?;
            return self.note_refund(row, txid).await;
        }
        if !super::awaits_close(row) {
            return Ok(());
        }
        if self.own_spends(row)?.contains(&txid) {
            return Ok(()); // What this phone has begun ends by itself.
        }
        // Anything else that the books call its spender is no close, and nothing that the payer agreed to. One that is not
        // shown is asked for again at the next look.
        let Some(SeenClose { outpoint, transactions }) = self.close_seen(row, txid).await? else { return Ok(()) };
        self.store.write(|db| {
            let from = [ChannelState::Open, ChannelState::Closing, ChannelState::Refunding];
            db.set_state(&id, &from, ChannelState::Closed)?;
            db.delete_flow(&refund_flow(&id))?;
            db.delete_flow(&release_flow(&id))?;
            db.set_result(&id, &ChannelResult { txid, outpoint })?;
            db.set_submit_answer(&id, &encode(&transactions)?)?;
            self.push_event(db, Some(&id), &EventKind::ChannelClosed { txid })
        })?;
        self.events.ring();
        Ok(())
    }

    /// What a payer has under way that spends the channel: its refund, and its taking back of what the receiver gave.
    fn own_spends(&self, row: &ChannelRow) -> Result<Vec<Txid>> {
        let id = &row.record.id;
        let flows = self
            .store
            .read::<_, Box<WalletError>>(|db| Ok([db.flow(&refund_flow(id))?, db.flow(&release_flow(id))?]))?;
        let spends = flows.into_iter().flatten().map(|flow| {
            let data = decode(&flow)?;
            let job = if flow.kind == FlowKind::Refund { self.refund_job(&data)? } else { self.release_job(&data)? };
            Ok(job.tx.txid())
        });
        spends.collect()
    }

    /// The close under this id, if it is one, and what it pays this side; an error when nobody answers.
    async fn close_seen(&self, row: &ChannelRow, txid: Txid) -> Result<Option<SeenClose>> {
        let loaded = self.loaded(&row.record.id)?;
        let operator = self.net.operator().await?;
        Ok(seen_close(operator, &loaded.channel, txid, &loaded.own_side().ark_payout.script()).await?)
    }

    /// A close that carries this receiver's own signature, and that this phone did not make: another one with the same
    /// seed did. That is no theft.
    async fn note_closed_elsewhere(&self, row: &ChannelRow, txid: Txid) -> Result<()> {
        let id = row.record.id;
        let close = crate::wallet::close::close_flow(&id);
        let begun = self.store.read::<_, Box<WalletError>>(|db| Ok(db.flow(&close)?.is_some()))?;
        let loaded = self.loaded(&id)?;
        if !super::may_be_spent(row) || begun && self.own_close(row, &loaded)? == Some(txid) {
            return Ok(()); // What this phone has begun ends by itself.
        }
        let Some(SeenClose { outpoint, transactions }) = self.close_seen(row, txid).await? else { return Ok(()) };
        self.store.write(|db| {
            let from = [ChannelState::Confirming, ChannelState::Open, ChannelState::Closing];
            db.set_state(&id, &from, ChannelState::Closed)?;
            db.set_result(&id, &ChannelResult { txid, outpoint })?;
            db.set_submit_answer(&id, &encode(&transactions)?)?;
            db.delete_flow(&close)?;
            self.push_event(db, Some(&id), &EventKind::ChannelClosed { txid })
        })?;
        self.events.ring();
        Ok(())
    }
}

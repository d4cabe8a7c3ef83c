//! Watching: one look at the chain and at the operator's books for a channel.

use bitcoin::Txid;

use super::Wallet;
use super::WalletError;
use super::error::Result;
use super::events::EventKind;
use crate::chain::TxStatus;
use crate::channel::ChannelId;
use crate::operator::Vtxo;
use crate::store::{ChannelResult, ChannelRow, ChannelState, Role};

/// What a look at a channel showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchReport {
    pub channel_id: ChannelId,
    /// After this look.
    pub state: ChannelState,
    /// Confirmations of the commitment transaction with the fewest.
    pub confirmations: u32,
    /// A transaction that makes the channel VTXO, or one it was made from, is on chain or in the mempool.
    pub unrolled: bool,
    /// What spent the channel VTXO in the operator's books.
    pub spent_by: Option<Txid>,
    /// Whether the operator could be asked.
    pub operator_seen: bool,
}

impl Wallet {
    /// Looks at the chain and, when it answers, at the operator: a channel becomes open when its batch is confirmed,
    /// and closed when the other side closed it. As receiver this is what lets new money be taken for a while
    /// ([`crate::channel`]'s *blindness*).
    pub async fn watch(&self, id: &ChannelId) -> Result<WatchReport> {
        self.look_at_channel(id, true).await
    }

    /// One look; without the operator where it is known not to answer.
    pub(super) async fn look_at_channel(&self, id: &ChannelId, ask_operator: bool) -> Result<WatchReport> {
        let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
        self.observe().await?;
        let mut confirmations = u32::MAX;
        for txid in &row.record.commitments {
            confirmations = confirmations.min(self.confirmations(txid).await?);
        }
        let on_chain = self.unrolled(&row).await?;
        let unrolled = on_chain != TxStatus::Unknown;
        let books = if ask_operator { self.books_of(&row).await.ok() } else { None };
        let operator_seen = books.is_some();
        let books = books.flatten();
        let seen_at = self.watched_at();
        if row.hot.state == ChannelState::Confirming && confirmations >= self.config.confirmations {
            self.confirm(&row, books.as_ref()).await?;
        }
        if row.hot.state == ChannelState::Open && confirmations < self.config.confirmations {
            self.unconfirm(&row)?;
        }
        let spent_by = books.as_ref().filter(|vtxo| vtxo.spent).and_then(|vtxo| vtxo.ark_txid.or(vtxo.spent_by));
        if let Some(vtxo) = books.as_ref().filter(|_| row.hot.role == Role::Receiver) {
            let loaded = self.loaded(id)?;
            self.mark_gone(&loaded, vtxo.spent || vtxo.swept)?;
        }
        if let (Some(vtxo), Some(txid)) = (&books, spent_by) {
            self.note_spent(&row, vtxo, txid).await?;
        }
        if operator_seen {
            self.note_settled(&row).await?;
        }
        if on_chain.is_confirmed() && row.hot.state == ChannelState::Open {
            self.note_unrolled(&row)?;
        }
        // After all that the look has shown: whoever is killed in between has not looked.
        self.store.write(|db| db.set_last_watch(id, seen_at))?;
        let state = self.store.read(|db| db.hot(id))?.ok_or(WalletError::NotFound)?.state;
        Ok(WatchReport { channel_id: *id, state, confirmations, unrolled, spent_by, operator_seen })
    }

    /// Waits until the channel takes payments, looking every `interval`; the caller bounds it with a timeout.
    pub async fn wait_until_open(&self, id: &ChannelId, interval: std::time::Duration) -> Result<()> {
        loop {
            let report = self.watch(id).await?;
            match report.state {
                ChannelState::Open => return Ok(()),
                ChannelState::Confirming => tokio::time::sleep(interval).await,
                state => {
                    return Err(WalletError::WrongState { channel_id: *id, state, what: "opening" });
                }
            }
        }
    }

    async fn books_of(&self, row: &ChannelRow) -> Result<Option<Vtxo>> {
        let operator = self.net.operator().await?;
        // The checkpoint script and the limits that payments are judged by may have changed.
        self.fresh_info().await?;
        Ok(operator.vtxos_by_outpoints(&[row.record.funding]).await?.pop())
    }

    /// How far the channel is on its way on chain. Others' exits put the upper nodes of a shared tree there, which
    /// means nothing yet; what counts is a transaction that makes the channel VTXO or one it was made from.
    async fn unrolled(&self, row: &ChannelRow) -> Result<TxStatus> {
        let Some(branch) = self.store.read(|db| db.branch(&row.record.funding))? else {
            return Ok(TxStatus::Unknown);
        };
        let mut found = TxStatus::Unknown;
        for txid in branch.vtxo_transactions() {
            match self.net.chain.status(txid).await? {
                TxStatus::Unknown => {}
                TxStatus::Mempool if found.is_confirmed() => {}
                seen => found = seen,
            }
        }
        Ok(found)
    }

    /// The commitment transaction is deep enough: everything is verified once more from chain and books, and the
    /// channel opens.
    async fn confirm(&self, row: &ChannelRow, books: Option<&Vtxo>) -> Result<()> {
        let loaded = self.loaded(&row.record.id)?;
        let (commitments, expiry, expires_at, length) = match row.record.role {
            Role::Receiver => {
                let verified = self.verify_funding(&loaded.channel.terms, row.record.funding).await?;
                let cutoff = self.info()?.check_signer(&loaded.channel.terms.operator, self.now().unix())?;
                super::funding::check_funding_time(&loaded.channel.terms, &verified, cutoff, &self.now())?;
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

    /// The operator's books say that the VTXO is spent. For the payer that is the receiver's close.
    async fn note_spent(&self, row: &ChannelRow, vtxo: &Vtxo, txid: Txid) -> Result<()> {
        let id = row.record.id;
        if row.hot.role != Role::Payer || row.hot.state != ChannelState::Open || vtxo.ark_txid.is_none() {
            return Ok(());
        }
        let flow = super::refund::refund_flow(&id);
        if self.store.read::<_, WalletError>(|db| Ok(db.flow(&flow)?.is_some()))? {
            return Ok(()); // That is our own refund.
        }
        // Submitted, not finalized yet: nothing is decided.
        let operator = self.net.operator().await?;
        if !self.outputs_exist(operator, txid).await? {
            return Ok(());
        }
        let loaded = self.loaded(&id)?;
        // Anything else that the books call its spender is no close, and nothing that the payer agreed to.
        let Some(seen) = self.seen_close(operator, row, &loaded, txid).await? else { return Ok(()) };
        let outpoint = seen.outpoint;
        self.store.write(|db| {
            db.set_state(&id, &[ChannelState::Open], ChannelState::Closed)?;
            db.set_result(&id, &ChannelResult { txid, outpoint })?;
            if let Some(transactions) = &seen.transactions {
                db.set_submit_answer(&id, &super::batch::encode(transactions)?)?;
            }
            self.push_event(db, Some(&id), &EventKind::ChannelClosed { txid })
        })?;
        self.events.ring();
        Ok(())
    }

    /// The result of a close is settled once it went into a batch that is confirmed deep enough.
    async fn note_settled(&self, row: &ChannelRow) -> Result<()> {
        let Some(outpoint) = row.result.and_then(|result| result.outpoint) else { return Ok(()) };
        if row.hot.state != ChannelState::Closed {
            return Ok(());
        }
        let Ok(operator) = self.net.operator().await else { return Ok(()) };
        let Ok(vtxos) = operator.vtxos_by_outpoints(&[outpoint]).await else { return Ok(()) };
        let Some(commitment) = vtxos.first().and_then(|vtxo| vtxo.settled_by) else { return Ok(()) };
        if self.confirmations(&commitment).await? >= self.config.confirmations {
            self.store.write(|db| db.set_state(&row.record.id, &[ChannelState::Closed], ChannelState::Settled))?;
        }
        Ok(())
    }

    /// A channel that is on chain can only be left there: it takes no payment any more, and the app is told.
    fn note_unrolled(&self, row: &ChannelRow) -> Result<()> {
        let id = row.record.id;
        self.store.write(|db| {
            db.set_state(&id, &[ChannelState::Open], ChannelState::Exiting)?;
            self.push_event(db, Some(&id), &EventKind::ChannelUnrolled)
        })?;
        self.events.ring();
        Ok(())
    }
}

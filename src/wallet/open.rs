//! Opening in a batch, as payer: right after the Accept, since a silent receiver gets the payer's inputs banned.

use bitcoin::OutPoint;

use super::batch::{BatchData, OutcomeData, decode, encode, step};
use super::error::Result;
use super::events::{EventKind, Step};
use super::propose::PROPOSED;
use super::{Wallet, WalletError};
use crate::channel::message::{Accept, Offer};
use crate::channel::{Authorisation, Channel, ChannelId};
use crate::store::{ChannelRecord, ChannelState, Db, Flow, FlowKind, FundingKind, Role};

impl Wallet {
    /// Opens the channel of an accepted offer: joins batches until one makes it or the Accept ends. The channel takes
    /// payments once the batch's commitment transaction is confirmed ([`Wallet::watch`], or the event
    /// [`EventKind::ChannelOpened`]).
    pub async fn open_channel(&self, accept: &Accept) -> Result<ChannelId> {
        let _flow = self.flow.lock().await;
        let id = accept.offer_id;
        let flow = self.store.read(|db| db.flow(&id))?.ok_or(WalletError::NotFound)?;
        let mut data: BatchData = decode(&flow)?;
        let opening = data.opening.as_mut().ok_or(WalletError::NotFound)?;
        let offer = Offer::parse(&opening.offer)?;
        self.observe().await?;
        accept.check(&offer, self.now().unix())?;
        match (flow.kind, flow.step.as_str()) {
            (FlowKind::OpenPayer, PROPOSED) => {}
            // Interrupted: go on from where it was.
            (FlowKind::OpenPayer, step::REGISTERING | step::READY) => {
                return self.continue_opening(&flow).await?.ok_or_else(|| WalletError::NotOpened {
                    why: "the batch it was in has not been decided yet".into(),
                });
            }
            _ => return Err(WalletError::NotFound),
        }
        opening.valid_until = accept.valid_until;
        let info = self.fresh_info().await?;
        offer.terms.check(&info, self.now().unix())?;
        let coins: Vec<OutPoint> = data.inputs.iter().map(|input| input.outpoint).collect();
        self.store.write::<_, WalletError>(|db| {
            db.update_flow(&id, PROPOSED, step::REGISTERING, &encode(&data)?, self.timestamp())?;
            Ok(db.lock_coins(&id, &coins)?)
        })?;
        self.open_until_accept_ends(id).await
    }

    /// Joins batches for an opening at [`step::REGISTERING`] while the receiver listens.
    pub(super) async fn open_until_accept_ends(&self, id: [u8; 32]) -> Result<ChannelId> {
        loop {
            let error = match self.run_batch(id).await {
                Ok(outcome) => return self.complete_opening(id, &outcome, Role::Payer),
                Err(error @ WalletError::BatchUndecided { .. }) => return Err(error),
                Err(error) => error,
            };
            let flow = self.store.read(|db| db.flow(&id))?.ok_or(WalletError::NotFound)?;
            let data: BatchData = decode(&flow)?;
            let valid_until = data.opening.as_ref().map_or(0, |opening| opening.valid_until);
            let retry = matches!(&error, WalletError::Operator(error) if error.is_batch_failure());
            if retry && self.now().wall < valid_until {
                self.events.progress(&id, Step::BatchRetry);
                continue;
            }
            self.fail_opening(id, &data, &error).await?;
            return Err(error);
        }
    }

    /// Back to where nothing is held: the same offer may be accepted and opened again.
    pub(super) async fn fail_opening(&self, id: [u8; 32], data: &BatchData, error: &WalletError) -> Result<()> {
        let _ = self.delete_intents(data).await;
        use bitcoin::hex::DisplayHex;
        let event = EventKind::OpeningFailed { offer_id: id.to_lower_hex_string(), why: error.to_string() };
        self.store.write::<_, WalletError>(|db| {
            db.update_flow(&id, step::REGISTERING, PROPOSED, &encode(data)?, self.timestamp())?;
            db.unlock_coins(&id)?;
            self.push_event(db, None, &event)
        })?;
        self.events.ring();
        Ok(())
    }

    /// The batch is done: the channel is stored, and its journal entry gone, in one transaction.
    pub(super) fn complete_opening(&self, id: [u8; 32], outcome: &OutcomeData, role: Role) -> Result<ChannelId> {
        let flow = self.store.read(|db| db.flow(&id))?.ok_or(WalletError::NotFound)?;
        let data: BatchData = decode(&flow)?;
        let opening = data.opening.as_ref().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
        let funding = *outcome.leaves.first().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let channel = Channel::new(offer.terms, funding)?;
        let levels = outcome.levels.first().copied().unwrap_or(1);
        let moment = self.now().latest(offer.terms.unit());
        let record = ChannelRecord {
            id: channel.id,
            role,
            terms: offer.terms.canonical(),
            capacity: offer.terms.capacity,
            funding,
            funding_kind: FundingKind::Batch,
            key_index: opening.key_index,
            commitments: vec![outcome.commitment],
            batch_expiry: outcome.expiry,
            // Corrected when the commitment transaction confirms.
            expiry: moment.saturating_add(outcome.expiry.value()),
            expires_at: 0,
            levels,
            created_at: self.timestamp(),
        };
        self.store.write(|db| {
            self.insert_channel(db, &channel, &record, ChannelState::Confirming)?;
            db.delete_flow(&id)?;
            self.push_event(db, Some(&channel.id), &EventKind::ChannelFunded)
        })?;
        self.events.ring();
        Ok(channel.id)
    }

    /// Stores a new channel; the payer's Authorisation is signed with it, once.
    pub(super) fn insert_channel(
        &self,
        db: &Db<'_>,
        channel: &Channel,
        record: &ChannelRecord,
        state: ChannelState,
    ) -> Result<()> {
        let authorisation = match record.role {
            Role::Payer => {
                let info = self.info()?;
                info.checkpoint.check(info.network, &info.forfeit_key)?;
                let keypair = self.keys.keypair(super::keys::KeyUse::Payer, record.key_index)?;
                Some(Authorisation::sign(channel, info.checkpoint, &keypair)?.to_bytes())
            }
            Role::Receiver => None,
        };
        Ok(db.insert_channel(record, state, authorisation.as_deref())?)
    }

    /// Goes on with an opening that was interrupted. `None`: not decided yet.
    pub(super) async fn continue_opening(&self, flow: &Flow) -> Result<Option<ChannelId>> {
        let data: BatchData = decode(flow)?;
        match (flow.step.as_str(), &data.outcome) {
            (step::READY, Some(outcome)) => match self.batch_went_through(outcome, &data).await? {
                Some(true) => self.complete_opening(flow.id, outcome, Role::Payer).map(Some),
                _ if self.is_given_up(outcome) => {
                    self.abandon(flow.id, &data)?;
                    self.retry_opening(flow.id).await
                }
                _ => Ok(None),
            },
            (step::REGISTERING, _) => {
                // The session before the interruption is abandoned; its nonces are gone with the process.
                self.delete_intents(&data).await?;
                self.retry_opening(flow.id).await
            }
            _ => Ok(None),
        }
    }

    async fn retry_opening(&self, id: [u8; 32]) -> Result<Option<ChannelId>> {
        let flow = self.store.read(|db| db.flow(&id))?.ok_or(WalletError::NotFound)?;
        let data: BatchData = decode(&flow)?;
        let valid_until = data.opening.as_ref().map_or(0, |opening| opening.valid_until);
        if self.now().wall < valid_until {
            return self.open_until_accept_ends(id).await.map(Some);
        }
        let error = WalletError::NotOpened { why: "the accept has ended; ask for a new one".into() };
        self.fail_opening(id, &data, &error).await?;
        Err(error)
    }

    /// Whether a batch that nobody knows of after so long counts as failed: five sessions.
    pub(super) fn is_given_up(&self, outcome: &OutcomeData) -> bool {
        let session = self.info().map_or(60, |info| info.session_seconds).max(10);
        self.now().wall > outcome.at.saturating_add(session.saturating_mul(5))
    }
}

//! Opening in a batch, as payer: right after the Accept, since a silent receiver gets the payer's inputs banned.

use bitcoin::OutPoint;
use bitcoin::hex::DisplayHex;

use super::accept::accepted_key;
use super::attempt::Found;
use super::batch::{BatchData, OutcomeData, decode, encode, step};
use super::error::Result;
use super::events::{EventKind, Step};
use super::propose::PROPOSED;
use super::retry::{Retry, silence};
use super::{Wallet, WalletError};
use crate::channel::message::{Accept, Offer};
use crate::channel::{Authorisation, Channel, ChannelId};
use crate::log::note;
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
        // By the clocks of the two, as the receiver signed it: the chain's may be ahead of them.
        accept.check(&offer, self.now().wall)?;
        let tried = opening.valid_until > 0;
        opening.valid_until = opening.valid_until.max(accept.valid_until);
        let info = self.fresh_info().await?;
        match (flow.kind, flow.step.as_str()) {
            (FlowKind::OpenPayer, PROPOSED) if !tried => {}
            // What an earlier try came to must be known before its coins go into another batch.
            (FlowKind::OpenPayer, PROPOSED) => match self.find_opened(&flow, Role::Payer).await? {
                Found::Channel(id) => return Ok(id),
                Found::Unconfirmed(txid) => return Err(Box::new(WalletError::BatchUndecided { txid })),
                Found::Nothing => {}
            },
            // Interrupted: go on from where it was, for as long as the new Accept allows.
            (FlowKind::OpenPayer, step @ (step::REGISTERING | step::READY)) => {
                let now = self.timestamp();
                self.store
                    .write::<_, Box<WalletError>>(|db| Ok(db.update_flow(&id, step, step, &encode(&data)?, now)?))?;
                let undecided = data.latest_attempt();
                let flow = Flow { data: encode(&data)?, ..flow };
                return self.continue_opening(&flow).await?.ok_or(match undecided {
                    Some(txid) => Box::new(WalletError::BatchUndecided { txid }),
                    None => Box::new(WalletError::NotFound),
                });
            }
            _ => return Err(Box::new(WalletError::NotFound)),
        }
        offer.terms.check(&info, self.now().unix())?;
        info.checkpoint.check(info.network, &info.forfeit_key)?;
        let coins: Vec<OutPoint> = data.inputs.iter().map(|input| input.outpoint).collect();
        self.store.write::<_, Box<WalletError>>(|db| {
            db.update_flow(&id, PROPOSED, step::REGISTERING, &encode(&data)?, self.timestamp())?;
            Ok(db.lock_coins(&id, &coins)?)
        })?;
        self.open_until_accept_ends(id).await
    }

    /// Joins batches for an opening at [`step::REGISTERING`] while the receiver listens.
    /// A receiver that stays silent ends it at once.
    pub(super) async fn open_until_accept_ends(&self, id: [u8; 32]) -> Result<ChannelId> {
        let mut retry = Retry::new(self.info()?.session_seconds);
        loop {
            let mut error = match self.run_batch(id).await {
                Ok(outcome) => return self.complete_opening(id, &outcome, Role::Payer),
                Err(error) if error.is_for_later() => return Err(error),
                Err(error) => error,
            };
            let flow = self.store.read(|db| db.flow(&id))?.ok_or(WalletError::NotFound)?;
            let data: BatchData = decode(&flow)?;
            let valid_until = data.opening.as_ref().map_or(0, |opening| opening.valid_until);
            let pause = retry.after(&error).filter(|pause| self.now().wall + pause.as_secs() < valid_until);
            if let Some(pause) = pause {
                note!(Warn, "flow {}: again in {} s: {error}", id.as_hex(), pause.as_secs());
                tokio::time::sleep(pause).await;
                self.events.progress(&id, Step::BatchRetry);
                continue;
            }
            if let Some(why) = silence(&error) {
                error = Box::new(WalletError::NotOpened { why });
            }
            self.fail_opening(id, &data, &error).await?;
            return Err(error);
        }
    }

    /// Back to where nothing is held: the same offer may be accepted and opened again.
    pub(super) async fn fail_opening(&self, id: [u8; 32], data: &BatchData, error: &WalletError) -> Result<()> {
        let _ = self.delete_intents(data).await;
        let event = EventKind::OpeningFailed { offer_id: id.to_lower_hex_string(), why: error.to_string() };
        self.store.write::<_, Box<WalletError>>(|db| {
            db.update_flow(&id, step::REGISTERING, PROPOSED, &encode(data)?, self.timestamp())?;
            db.unlock_coins(&id)?;
            self.push_event(db, None, &event)
        })?;
        self.events.ring();
        Ok(())
    }

    /// The batch is done: the channel is stored, and its journal entry gone, in one transaction.
    pub(super) fn complete_opening(&self, id: [u8; 32], outcome: &OutcomeData, role: Role) -> Result<ChannelId> {
        let funding = *outcome.leaves.first().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let flow = match self.store.read::<_, Box<WalletError>>(|db| Ok((db.flow(&id)?, db.channel_at(&funding)?)))? {
            (_, Some(known)) => return Ok(known.record.id),
            (flow, None) => flow.ok_or(WalletError::NotFound)?,
        };
        let data: BatchData = decode(&flow)?;
        let opening = data.opening.as_ref().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
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
            if role == Role::Receiver {
                db.delete_meta(&accepted_key(&offer.invite_id))?;
            }
            self.mark_spent(db, &data.inputs)?;
            db.delete_flow(&id)?;
            self.push_event(db, Some(&channel.id), &EventKind::ChannelFunded)
        })?;
        self.events.ring();
        Ok(channel.id)
    }

    /// Stores a new channel; the payer's Authorisation is signed with it, once. Should the operator's checkpoint script
    /// have become unacceptable by now, the channel is stored without, and payments wait for a better one.
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
                let keypair = self.keys.keypair(super::keys::KeyUse::Payer, record.key_index)?;
                match info.checkpoint.check(info.network, &info.forfeit_key) {
                    Ok(()) => Some(Authorisation::sign(channel, info.checkpoint, &keypair)?.to_bytes()),
                    Err(_) => None,
                }
            }
            Role::Receiver => None,
        };
        Ok(db.insert_channel(record, state, authorisation.as_deref())?)
    }

    /// Goes on with an opening that was interrupted. `None`: not decided yet.
    pub(super) async fn continue_opening(&self, flow: &Flow) -> Result<Option<ChannelId>> {
        let data: BatchData = decode(flow)?;
        match (flow.step.as_str(), &data.outcome) {
            (step::READY, Some(outcome)) => match self.find_opened(flow, Role::Payer).await? {
                Found::Channel(id) => Ok(Some(id)),
                Found::Nothing if self.is_given_up(outcome) => {
                    self.abandon(flow.id, &data)?;
                    self.retry_opening(flow.id).await
                }
                _ => Ok(None),
            },
            (step::REGISTERING, _) => {
                match self.find_opened(flow, Role::Payer).await? {
                    Found::Channel(id) => return Ok(Some(id)),
                    Found::Unconfirmed(txid) => return Err(Box::new(WalletError::BatchUndecided { txid })),
                    Found::Nothing => {}
                }
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
        Err(Box::new(error))
    }

    /// Whether a batch that nobody knows of after so long counts as failed: five sessions.
    pub(super) fn is_given_up(&self, outcome: &OutcomeData) -> bool {
        let session = self.info().map_or(60, |info| info.session_seconds).max(10);
        self.now().wall > outcome.at.saturating_add(session.saturating_mul(5))
    }
}

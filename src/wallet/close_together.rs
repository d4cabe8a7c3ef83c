//! Closing with both sides online: one asks, the other grants. The receiver needs the payer's grant in a channel whose
//! payer authorises on close only, and to close at what it holds after the operator's checkpoint script has changed;
//! the payer asks the receiver to give back a channel in which nothing was paid.

use bitcoin::Txid;

use super::close::awaits_signatures;
use super::error::Result;
use super::hand_back::release_flow;
use super::loaded::LoadedChannel;
use super::refund::refund_flow;
use super::{Wallet, WalletError};
use crate::channel::message::Grant;
use crate::channel::payer::PayerState;
use crate::channel::{Authorisation, ChannelError, ChannelId, ChannelUpdate, CloseGrant, CloseRequest, UpdateMessage};
use crate::store::{ChannelState, Db, HotRow, Role};

/// How long a request is good, in seconds.
const REQUEST_LIFE: u64 = 24 * 3600;

impl Wallet {
    /// Asks the other side to end the channel now; good for a day. Changes nothing here, needs no network, and may be
    /// repeated. The other side answers with [`Wallet::grant_close`].
    pub fn request_close(&self, id: &ChannelId) -> Result<CloseRequest> {
        let loaded = self.loaded(id)?;
        let (update, exactly) = self.store.read::<_, Box<WalletError>>(|db| {
            let hot = db.hot(id)?.ok_or(WalletError::NotFound)?;
            let waits = hot.state == ChannelState::Closing && awaits_signatures(db, id)?;
            if !waits && !matches!(hot.state, ChannelState::Confirming | ChannelState::Open) {
                return Err(Box::new(WalletError::WrongState {
                    channel_id: *id,
                    state: hot.state,
                    what: "a close request",
                }));
            }
            let exactly = hot.role == Role::Receiver && (waits || !self.takes_money(db, &loaded, &hot)?);
            Ok((hot.update, exactly))
        })?;
        let expires_at = self.now().unix().saturating_add(REQUEST_LIFE);
        Ok(CloseRequest::sign(*id, update, exactly, expires_at, &loaded.keypair))
    }

    /// Whether a higher amount would be taken now.
    fn takes_money(&self, db: &Db<'_>, loaded: &LoadedChannel, hot: &HotRow) -> Result<bool> {
        let (info, now) = (self.info()?, self.now());
        let Ok(cutoff) = info.check_signer(&loaded.channel.terms.operator, now.unix()) else { return Ok(false) };
        let sees = match self.authorised(db, loaded, hot)? {
            Some(stored) => {
                let max_blind = self.max_blind(loaded, stored.authorisation.script.delay);
                now.wall.saturating_sub(hot.last_watch) <= max_blind
            }
            None => true,
        };
        let open = hot.state == ChannelState::Open && loaded.check_not_gone().is_ok();
        let closable = loaded.channel.terms.check_delay(&info).is_ok();
        Ok(open && sees && closable && loaded.check_close_by(&now, cutoff).is_ok())
    }

    /// Answers a request of the other side; goes online for the operator's checkpoint script. One-way and durable
    /// before it returns; the same request may be granted again.
    ///
    /// The payer grants the close at its latest update (or at the one the receiver shows, where it can take no other),
    /// and pays nothing more: the receiver closes when it likes, by that update. Should it never do so, the payer
    /// refunds after the locktime. The receiver gives back a channel in which nothing was paid, as
    /// [`Wallet::release_channel`]; one that was paid it closes by itself.
    pub async fn grant_close(&self, request: &CloseRequest) -> Result<CloseGrant> {
        let _flow = self.flow.lock().await;
        let loaded = self.loaded(&request.channel_id)?;
        let (terms, now) = (&loaded.channel.terms, self.now().unix());
        match loaded.record.role {
            Role::Payer => {
                request.check(&terms.receiver.key, now)?;
                self.grant(&loaded, request).await
            }
            Role::Receiver => {
                request.check(&terms.payer.key, now)?;
                if let Some(paid) = &request.update {
                    // It may still be on its way to us.
                    paid.verify_exit(&loaded.channel)?;
                    return Err(Box::new(WalletError::Paid { channel_id: request.channel_id, amount: paid.amount }));
                }
                self.release(&loaded).await
            }
        }
    }

    async fn grant(&self, loaded: &LoadedChannel, request: &CloseRequest) -> Result<CloseGrant> {
        let (channel, id) = (&loaded.channel, request.channel_id);
        let info = self.fresh_info().await?;
        info.check_signer(&channel.terms.operator, self.now().unix())?;
        info.checkpoint.check(info.network, &info.forfeit_key)?;
        let authorisation = Authorisation::grant(channel, info.checkpoint, &loaded.keypair)?;
        let close = channel.close_template(info.checkpoint)?;
        let sign =
            |base: ChannelUpdate| ChannelUpdate::sign(channel, &close, &loaded.keypair, base.previous, base.amount);
        let update = self.store.write(|db| {
            let hot = db.hot(&id)?.ok_or(WalletError::NotFound)?;
            let under_way = db.flow(&refund_flow(&id))?.is_some() || db.flow(&release_flow(&id))?.is_some();
            let grantable = matches!(hot.state, ChannelState::Confirming | ChannelState::Open | ChannelState::Closing);
            if under_way || !grantable {
                return Err(
                    WalletError::WrongState { channel_id: id, state: hot.state, what: "granting a close" }.into()
                );
            }
            let own = PayerState { update: hot.update, high: hot.high };
            // What the receiver shows counts only when this payer has signed it.
            let known = request.update.map_or(Ok(own), |shown| own.catch_up(channel, shown))?;
            let latest = known.update.ok_or(ChannelError::NothingPaid)?;
            let asked = if request.exactly { request.update.ok_or(ChannelError::NothingPaid)? } else { latest };
            let bytes = authorisation.to_bytes();
            if hot.state != ChannelState::Closing {
                db.put_update(&id, &sign(latest), known.high, None, Some(&bytes))?;
                let from = [ChannelState::Confirming, ChannelState::Open];
                db.set_state(&id, &from, ChannelState::Closing)?;
            } else if latest.amount >= hot.amount() {
                // Also what this payer has forgotten, before a signature of it leaves. Of less the higher one is known.
                db.put_update(&id, &sign(latest), known.high, None, Some(&bytes))?;
            }
            Ok::<_, Box<WalletError>>(sign(asked))
        })?;
        self.events.ring();
        Ok(CloseGrant::sign(id, Grant::Close { update, authorisation }, &loaded.keypair))
    }

    /// Ends the channel with what the other side has granted: the receiver closes as with [`Wallet::close_channel`],
    /// the payer takes everything back, before the locktime. An interrupted one is gone on with by
    /// [`Wallet::resume`], or by calling this again. [`WalletError::ReauthorisationNeeded`]: the operator's checkpoint
    /// script has changed since; ask for another grant. Any other error of a grant for more than is held says why that
    /// cannot be taken, and nothing is given up: ask again, and the payer grants what can be.
    pub async fn close_with(&self, grant: &CloseGrant) -> Result<Txid> {
        let loaded = self.loaded(&grant.channel_id)?;
        let terms = &loaded.channel.terms;
        match &grant.grant {
            Grant::Close { update, authorisation } => {
                loaded.check_role(Role::Receiver)?;
                grant.check(&terms.payer.key)?;
                self.take_grant(&loaded, update, authorisation).await?;
                self.close_channel(&grant.channel_id).await
            }
            Grant::Release(release) => {
                loaded.check_role(Role::Payer)?;
                grant.check(&terms.receiver.key)?;
                self.take_release(&loaded, grant, release).await
            }
        }
    }

    /// Stores what the payer granted, after all checks: from then on the receiver can close alone.
    async fn take_grant(
        &self,
        loaded: &LoadedChannel,
        update: &ChannelUpdate,
        authorisation: &Authorisation,
    ) -> Result<()> {
        let channel_id = loaded.channel.id;
        let info = self.fresh_info().await?;
        if authorisation.checkpoint.is_none() {
            return Err(ChannelError::GrantNeeded { channel_id }.into());
        }
        if authorisation.script != info.checkpoint {
            return Err(Box::new(WalletError::ReauthorisationNeeded { channel_id }));
        }
        authorisation.script.check(info.network, &info.forfeit_key)?;
        authorisation.verify(&loaded.channel, &loaded.channel.close_template(authorisation.script)?)?;
        // By the rules for any payment: it may bring one that was lost on the way, and never a lower amount.
        let message = UpdateMessage { update: *update, authorisation: Some(*authorisation), memo: None };
        let mut received = self.receive(&message);
        if received.as_ref().is_err_and(|error| matches!(**error, WalletError::Blind { .. })) {
            self.watch(&channel_id).await?;
            received = self.receive(&message);
        }
        self.store.write(|db| {
            let hot = db.hot(&channel_id)?.ok_or(WalletError::NotFound)?;
            let stored = db.authorisation(&channel_id)?.map(|bytes| Authorisation::from_bytes(&bytes)).transpose()?;
            match (stored, received) {
                // Closing is one-way: at less it would give up what the payer has signed. Once it has begun, no more
                // can be had.
                (_, Err(error)) if update.amount > hot.amount() && hot.state != ChannelState::Closing => Err(error),
                // Also when more is held here than was granted: the checkpoint is good for every amount.
                (Some(stored), _) if stored.script == authorisation.script => match stored.checkpoint {
                    Some(_) => Ok(()),
                    None => Ok(db.set_authorisation(&channel_id, &authorisation.to_bytes())?),
                },
                (_, Err(error)) => Err(error),
                (_, Ok(_)) => Err(Box::new(WalletError::ReauthorisationNeeded { channel_id })),
            }
        })
    }
}

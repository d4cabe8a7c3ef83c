//! Handing back a channel in which nothing was paid: the receiver signs it away, the payer takes it through the
//! operator at once.

use bitcoin::Txid;

use super::batch::{decode, encode};
use super::error::Result;
use super::events::EventKind;
use super::loaded::LoadedChannel;
use super::offchain::{Job, OffchainData, OtherSignatures, Signer, channel_id, output, step};
use super::refund::refund_flow;
use super::{Wallet, WalletError};
use crate::channel::message::Grant;
use crate::channel::terms::tagged_hash;
use crate::channel::{ChannelId, CloseGrant, Release};
use crate::operator::code;
use crate::store::{ChannelResult, ChannelState, Flow, FlowKind, Role};

const NO_RELEASE: WalletError = WalletError::CorruptFlow { what: "a release" };

impl Wallet {
    /// Gives a channel in which nothing was ever received back to its payer, as receiver: the answer is for the payer's
    /// [`Wallet::close_with`]. One-way and durable before it returns: no update is taken any more. May be repeated,
    /// which signs for the operator's present checkpoint script; goes online for that.
    pub async fn release_channel(&self, id: &ChannelId) -> Result<CloseGrant> {
        let _flow = self.flow.lock().await;
        let loaded = self.loaded(id)?;
        loaded.check_role(Role::Receiver)?;
        self.release(&loaded).await
    }

    pub(super) async fn release(&self, loaded: &LoadedChannel) -> Result<CloseGrant> {
        let (channel, id) = (&loaded.channel, loaded.channel.id);
        let info = self.fresh_info().await?;
        info.check_signer(&channel.terms.operator, self.now().unix())?;
        info.checkpoint.check(info.network, &info.forfeit_key)?;
        let txid = channel.release(&info.checkpoint)?.txid();
        self.store.write::<_, Box<WalletError>>(|db| {
            let hot = db.hot(&id)?.ok_or(WalletError::NotFound)?;
            // In the transaction that ends receiving: whatever comes later is refused.
            if let Some(update) = hot.update {
                return Err(WalletError::Paid { channel_id: id, amount: update.amount }.into());
            }
            // One that has lost its updates does not know that nothing was paid, whatever the payer says.
            loaded.check_caught_up(db)?;
            match hot.state {
                ChannelState::Confirming | ChannelState::Open => {
                    let from = [ChannelState::Confirming, ChannelState::Open];
                    db.set_state(&id, &from, ChannelState::Closed)?;
                    self.push_event(db, Some(&id), &EventKind::ChannelClosed { txid })?;
                }
                // Without an update that can only be this.
                ChannelState::Closed => {}
                state => return Err(WalletError::WrongState { channel_id: id, state, what: "a release" }.into()),
            }
            // Nothing of it is ours.
            Ok(db.set_result(&id, &ChannelResult { txid, outpoint: None })?)
        })?;
        self.events.ring();
        let release = Release::sign(channel, info.checkpoint, &loaded.keypair)?;
        Ok(CloseGrant::sign(id, Grant::Release(release), &loaded.keypair))
    }

    /// Takes the channel back with the receiver's signatures.
    pub(super) async fn take_release(
        &self,
        loaded: &LoadedChannel,
        grant: &CloseGrant,
        release: &Release,
    ) -> Result<Txid> {
        let _flow = self.flow.lock().await;
        let id = loaded.channel.id;
        release.verify(&loaded.channel)?;
        // An earlier grant may be under way, or have been refused.
        if self.store.read(|db| db.flow(&release_flow(&id)))?.is_some() {
            match self.drive_release(loaded).await {
                Err(error) if !self.release_is_refused(&id)? => return Err(error),
                Err(_) => {}
                done => return done,
            }
        }
        let info = self.fresh_info().await?;
        release.script.check(info.network, &info.forfeit_key)?;
        if release.script != info.checkpoint {
            return Err(Box::new(WalletError::ReauthorisationNeeded { channel_id: id }));
        }
        self.begin_release(loaded, grant, release)?;
        self.drive_release(loaded).await
    }

    fn begin_release(&self, loaded: &LoadedChannel, grant: &CloseGrant, release: &Release) -> Result<()> {
        let (id, terms) = (loaded.channel.id, &loaded.channel.terms);
        let data = OffchainData {
            inputs: Vec::new(),
            outputs: vec![output(terms.payer.ark_payout.script(), terms.capacity)],
            checkpoint: release.script,
            operator: terms.operator,
            channel: Some(id.to_string()),
            opening: None,
            grant: Some(grant.to_text()?),
            answer: None,
            refused_at: None,
        };
        let (data, now) = (encode(&data)?, self.timestamp());
        self.store.write(|db| {
            let state = db.hot(&id)?.ok_or(WalletError::NotFound)?.state;
            let wrong = WalletError::WrongState { channel_id: id, state, what: "taking back a channel" };
            match state {
                _ if db.flow(&refund_flow(&id))?.is_some() => return Err(wrong.into()),
                ChannelState::Confirming | ChannelState::Open => {
                    let from = [ChannelState::Confirming, ChannelState::Open];
                    db.set_state(&id, &from, ChannelState::Closing)?;
                }
                ChannelState::Closing => {}
                _ => return Err(wrong.into()),
            }
            let flow_id = release_flow(&id);
            if db.flow(&flow_id)?.is_some() {
                return Ok(db.update_flow(&flow_id, step::REFUSED, step::BUILT, &data, now)?);
            }
            let (kind, step) = (FlowKind::Release, step::BUILT.into());
            Ok(db.insert_flow(&Flow { id: flow_id, kind, step, data, created_at: now, updated_at: now })?)
        })
    }

    /// Drives a release that has begun, and says what a refusal means for the channel.
    pub(super) async fn drive_release(&self, loaded: &LoadedChannel) -> Result<Txid> {
        let channel_id = loaded.channel.id;
        let flow_id = release_flow(&channel_id);
        let now = self.timestamp();
        self.store.write::<_, Box<WalletError>>(|db| match db.flow(&flow_id)? {
            Some(flow) if flow.step == step::REFUSED => {
                Ok(db.update_flow(&flow_id, step::REFUSED, step::BUILT, &flow.data, now)?)
            }
            _ => Ok(()),
        })?;
        match self.drive_offchain(flow_id).await.map_err(|error| *error) {
            Err(WalletError::Operator(error)) if error.is_checkpoint_mismatch() => {
                Err(Box::new(WalletError::ReauthorisationNeeded { channel_id }))
            }
            Err(WalletError::Operator(error)) if error.is(code::VTXO_ALREADY_SPENT) => {
                let report = self.look_at_channel(&channel_id, true).await?;
                Err(Box::new(WalletError::AlreadySpent { channel_id, spent_by: report.spent_by }))
            }
            Err(WalletError::Operator(error)) if error.is(code::VTXO_ALREADY_UNROLLED) => {
                Err(Box::new(WalletError::Unrolled { channel_id }))
            }
            Err(WalletError::Operator(error)) if error.is(code::VTXO_RECOVERABLE) => {
                Err(Box::new(WalletError::Expired { channel_id, amount: loaded.record.capacity }))
            }
            other => Ok(other?),
        }
    }

    /// Whether the operator is known to hold nothing of a release.
    pub(super) fn release_is_refused(&self, id: &ChannelId) -> Result<bool> {
        let flow = self.store.read::<_, Box<WalletError>>(|db| Ok(db.flow(&release_flow(id))?))?;
        Ok(flow.is_some_and(|flow| flow.step == step::REFUSED))
    }

    pub(super) fn release_job(&self, data: &OffchainData) -> Result<Job> {
        let loaded = self.loaded(&channel_id(data)?.ok_or(NO_RELEASE)?)?;
        let Grant::Release(release) = CloseGrant::parse(data.grant.as_ref().ok_or(NO_RELEASE)?)?.grant else {
            return Err(Box::new(NO_RELEASE));
        };
        let tx = loaded.channel.release(&data.checkpoint)?;
        let other = OtherSignatures {
            key: loaded.channel.terms.receiver.key,
            is_payer: false,
            ark: release.ark,
            checkpoint: release.checkpoint,
        };
        let own = self.keys.keypair(super::keys::KeyUse::Payer, loaded.record.key_index)?;
        let pending = release.pending_proof(&loaded.channel, &own)?;
        Ok(Job { tx, operator: data.operator, signers: vec![Signer { own, other: Some(other) }], pending })
    }

    /// Goes on with a release after a restart.
    pub(super) async fn continue_release(&self, flow: &Flow) -> Result<()> {
        let data: OffchainData = decode(flow)?;
        let loaded = self.loaded(&channel_id(&data)?.ok_or(NO_RELEASE)?)?;
        self.drive_release(&loaded).await.map(drop)
    }
}

/// The journal entry of a channel's release: one at most.
pub(super) fn release_flow(id: &ChannelId) -> [u8; 32] {
    tagged_hash(b"virtual-channels/release", &id.0)
}

//! Closing: the receiver claims its latest update through the operator.

use bitcoin::{Amount, Txid};

use super::batch::encode;
use super::error::Result;
use super::events::EventKind;
use super::loaded::LoadedChannel;
use super::offchain::{Job, OffchainData, OtherSignatures, Signer, channel_id, output_to, step};
use super::{Wallet, WalletError};
use crate::channel::terms::tagged_hash;
use crate::channel::{Authorisation, ChannelError, ChannelId, ChannelUpdate};
use crate::log::note;
use crate::operator::{OperatorError, code};
use crate::store::{ChannelResult, ChannelState, Db, Flow, FlowKind, HotRow, Role};

/// How often a close evicts intents that lock the channel before it gives up for now.
const EVICTIONS: u32 = 3;

impl Wallet {
    /// Closes the channel at the latest update, as receiver: the result is a preconfirmed VTXO of this wallet. One-way:
    /// no update is taken any more, and a close that was interrupted goes on when it is called again.
    pub async fn close_channel(&self, id: &ChannelId) -> Result<Txid> {
        let _flow = self.flow.lock().await;
        let loaded = self.loaded(id)?;
        loaded.check_role(Role::Receiver)?;
        let flow_id = close_flow(id);
        if self.store.read(|db| db.flow(&flow_id))?.is_none() {
            self.begin_close(&loaded).await?;
        }
        self.drive_close(&loaded).await
    }

    /// Checks what can be checked without signing, then marks the channel closing.
    async fn begin_close(&self, loaded: &LoadedChannel) -> Result<()> {
        let id = loaded.channel.id;
        // What can never be closed is refused without asking anybody.
        self.store.read(|db| closable(&db.hot(&id)?.ok_or(WalletError::NotFound)?))?;
        let info = self.fresh_info().await?;
        info.check_signer(&loaded.channel.terms.operator, self.now().unix())?;
        let now = self.timestamp();
        self.store.write(|db| {
            // Read again where nothing can change it any more: an update, even one for another checkpoint script, may
            // have come in meanwhile.
            let row = db.channel(&id)?.ok_or(WalletError::NotFound)?;
            let update = closable(&row.hot)?;
            let authorisation = row.authorisation.ok_or(ChannelError::MissingAuthorisation { channel_id: id })?;
            let Authorisation { script, checkpoint, .. } = Authorisation::from_bytes(&authorisation)?;
            // A grant is for the script of its day: where the payer is asked anyway, it is asked once.
            if checkpoint.is_none() {
                return Err(ChannelError::GrantNeeded { channel_id: id }.into());
            }
            if script != info.checkpoint {
                return Err(WalletError::ReauthorisationNeeded { channel_id: id }.into());
            }
            script.check(info.network, &info.forfeit_key)?;
            super::loaded::limits(&info).check(loaded.record.capacity, update.amount)?;
            let data = OffchainData::of_close(&loaded.channel, script);
            let flow = Flow {
                id: close_flow(&id),
                kind: FlowKind::Close,
                step: step::BUILT.into(),
                data: encode(&data)?,
                created_at: now,
                updated_at: now,
            };
            if row.hot.state != ChannelState::Closing {
                db.set_state(&id, &[ChannelState::Open, ChannelState::Confirming], ChannelState::Closing)?;
            }
            Ok(db.insert_flow(&flow)?)
        })
    }

    /// Drives the close; evicts intents with which the payer locks the channel.
    pub(super) async fn drive_close(&self, loaded: &LoadedChannel) -> Result<Txid> {
        let id = loaded.channel.id;
        self.rearm_close(&id).await?;
        for _ in 0..EVICTIONS {
            match self.drive_offchain(close_flow(&id)).await.map_err(|error| *error) {
                Err(WalletError::Operator(error)) if error.is_registered() => {
                    let (_, authorisation) = self.closing_update(&id)?;
                    let proof = authorisation.delete_proof(&loaded.channel, &loaded.keypair)?;
                    if self.net.operator().await?.delete_intent(&proof).await.is_err() {
                        // Selected into a running batch, which ends without the receiver's signature: later.
                        return Err(error.into());
                    }
                }
                Err(WalletError::Operator(error)) => return Err(Box::new(self.explain_close(loaded, error).await)),
                other => return Ok(other?),
            }
        }
        self.drive_offchain(close_flow(&id)).await
    }

    /// After a refusal for another checkpoint script: submits what is stored now, where that is for the operator's present
    /// one. From here on it is fixed again; else the payer's signatures may still come.
    async fn rearm_close(&self, id: &ChannelId) -> Result<()> {
        if !self.store.read::<_, Box<WalletError>>(|db| awaits_signatures(db, id))? {
            return Ok(());
        }
        let info = self.fresh_info().await?;
        let now = self.timestamp();
        self.store.write(|db| {
            let Some(flow) = db.flow(&close_flow(id))?.filter(|flow| flow.step == step::MISMATCH) else {
                return Ok(());
            };
            let bytes = db.authorisation(id)?.ok_or(ChannelError::MissingAuthorisation { channel_id: *id })?;
            let Authorisation { script, checkpoint, .. } = Authorisation::from_bytes(&bytes)?;
            if checkpoint.is_none() {
                return Err(ChannelError::GrantNeeded { channel_id: *id }.into());
            }
            if script != info.checkpoint {
                return Err(WalletError::ReauthorisationNeeded { channel_id: *id }.into());
            }
            let data = OffchainData { checkpoint: script, ..super::batch::decode(&flow)? };
            Ok(db.update_flow(&flow.id, step::MISMATCH, step::BUILT, &encode(&data)?, now)?)
        })
    }

    /// The operator has another checkpoint script and took nothing: the payer's signatures for the new one may come.
    async fn await_reauthorisation(&self, id: &ChannelId) -> Result<()> {
        let now = self.timestamp();
        self.store.write::<_, Box<WalletError>>(|db| {
            let flow = db.flow(&close_flow(id))?.ok_or(WalletError::NotFound)?;
            Ok(db.update_flow(&flow.id, step::BUILT, step::MISMATCH, &flow.data, now)?)
        })?;
        self.fresh_info().await.map(drop)
    }

    /// Turns the operator's refusal into what it means for the channel.
    async fn explain_close(&self, loaded: &LoadedChannel, error: OperatorError) -> WalletError {
        let channel_id = loaded.channel.id;
        if error.is(code::VTXO_ALREADY_UNROLLED) {
            return WalletError::Unrolled { channel_id };
        }
        if error.is(code::VTXO_RECOVERABLE) {
            let amount = self.closing_update(&channel_id).map_or(Amount::ZERO, |(update, _)| update.amount);
            return WalletError::Expired { channel_id, amount };
        }
        if error.is_checkpoint_mismatch() {
            return match self.await_reauthorisation(&channel_id).await {
                Ok(()) => WalletError::ReauthorisationNeeded { channel_id },
                Err(error) => *error,
            };
        }
        if error.is(code::VTXO_ALREADY_SPENT) {
            let spent_by = self.spent_by(loaded).await;
            if let Some(txid) = spent_by
                && let Err(error) = self.look_for_refund(&channel_id, txid).await
            {
                note!(Warn, "channel {channel_id}: what spent it is not known: {error}");
            }
            return WalletError::AlreadySpent { channel_id, spent_by };
        }
        error.into()
    }

    async fn look_for_refund(&self, id: &ChannelId, spent_by: Txid) -> Result<()> {
        let row = self.store.read(|db| db.channel(id))?.ok_or(WalletError::NotFound)?;
        self.note_refund(&row, spent_by).await
    }

    async fn spent_by(&self, loaded: &LoadedChannel) -> Option<Txid> {
        let operator = self.net.operator().await.ok()?;
        let vtxos = operator.vtxos_by_outpoints(&[loaded.channel.funding]).await.ok()?;
        vtxos.first().and_then(|vtxo| vtxo.ark_txid.or(vtxo.spent_by))
    }

    fn closing_update(&self, id: &ChannelId) -> Result<(ChannelUpdate, Authorisation)> {
        self.store.read(|db| {
            let row = db.channel(id)?.ok_or(WalletError::NotFound)?;
            let update = row.hot.update.ok_or(ChannelError::NothingPaid)?;
            let bytes = row.authorisation.ok_or(ChannelError::MissingAuthorisation { channel_id: *id })?;
            Ok((update, Authorisation::from_bytes(&bytes)?))
        })
    }

    /// The close at the stored update, with everything to sign it.
    pub(super) fn close_job(&self, data: &OffchainData) -> Result<Job> {
        let id = channel_id(data)?.ok_or(WalletError::CorruptFlow { what: "a close" })?;
        let loaded = self.loaded(&id)?;
        let (update, authorisation) = self.closing_update(&id)?;
        // What is built is what was built before: the signatures change only between [`step::MISMATCH`] and this.
        if authorisation.script != data.checkpoint {
            return Err(Box::new(WalletError::CorruptFlow { what: "a close" }));
        }
        let tx = loaded.channel.close(&authorisation.script, update.amount)?;
        let other = OtherSignatures {
            key: loaded.channel.terms.payer.key,
            is_payer: true,
            ark: update.ark_signature,
            checkpoint: authorisation.checkpoint.ok_or(ChannelError::GrantNeeded { channel_id: id })?,
        };
        let own = self.keys.keypair(super::keys::KeyUse::Receiver, loaded.record.key_index)?;
        let pending = authorisation.pending_proof(&loaded.channel, &own)?;
        let signers = vec![Signer { own, other: Some(other) }];
        Ok(Job { tx, operator: data.operator, signers, pending })
    }

    /// The receiver's close is done, or the payer's taking back of what the receiver gave.
    pub(super) fn complete_close(&self, flow: &Flow, data: &OffchainData, job: &Job) -> Result<()> {
        let id = channel_id(data)?.ok_or(WalletError::CorruptFlow { what: flow.kind.as_str() })?;
        let txid = job.tx.txid();
        let outpoint = output_to(job, &self.loaded(&id)?.own_side().ark_payout.script());
        self.store.write(|db| {
            db.set_state(&id, &[ChannelState::Closing], ChannelState::Closed)?;
            db.set_result(&id, &ChannelResult { txid, outpoint })?;
            db.delete_flow(&flow.id)?;
            self.push_event(db, Some(&id), &EventKind::ChannelClosed { txid })
        })?;
        self.events.ring();
        Ok(())
    }
}

/// The update at which a channel can be closed. One that a reorganisation (or a server that says so) took the
/// confirmation from has its updates still, and whether it can be closed is for the operator to say.
fn closable(hot: &HotRow) -> Result<ChannelUpdate> {
    if !matches!(hot.state, ChannelState::Confirming | ChannelState::Open | ChannelState::Closing) {
        return Err(Box::new(WalletError::WrongState { channel_id: hot.id, state: hot.state, what: "closing" }));
    }
    Ok(hot.update.ok_or(ChannelError::NothingPaid)?)
}

/// Whether a close waits for the payer's signatures over a new checkpoint script, and for nothing else.
pub(super) fn awaits_signatures(db: &Db<'_>, id: &ChannelId) -> Result<bool> {
    Ok(db.flow(&close_flow(id))?.is_some_and(|flow| flow.step == step::MISMATCH))
}

/// The journal entry of a channel's close: one at most.
pub(super) fn close_flow(id: &ChannelId) -> [u8; 32] {
    tagged_hash(b"virtual-channels/close", &id.0)
}

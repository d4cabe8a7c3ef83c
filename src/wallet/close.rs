//! Closing: the receiver claims its latest update through the operator.

use bitcoin::{Amount, Txid};

use super::error::Result;
use super::events::EventKind;
use super::loaded::LoadedChannel;
use super::offchain::{Job, OffchainData, PayerSignatures, Signer, channel_id, output_to};
use super::{Wallet, WalletError};
use crate::channel::terms::tagged_hash;
use crate::channel::{Authorisation, ChannelError, ChannelId, ChannelUpdate};
use crate::operator::{OperatorError, code};
use crate::store::{ChannelResult, ChannelState, Flow, FlowKind, Role};

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
        let row = self.store.read(|db| db.channel(&id))?.ok_or(WalletError::NotFound)?;
        let update = row.hot.update;
        if row.hot.state != ChannelState::Open && row.hot.state != ChannelState::Closing {
            return Err(WalletError::WrongState { channel_id: id, state: row.hot.state, what: "closing" });
        }
        let update = update.ok_or(ChannelError::NothingPaid)?;
        let info = self.fresh_info().await?;
        info.check_signer(&loaded.channel.terms.operator, self.now().unix())?;
        let authorised = self.store.read(|db| self.authorised(db, loaded, &row.hot))?;
        let authorised = authorised.ok_or(ChannelError::MissingAuthorisation { channel_id: id })?;
        let script = authorised.authorisation.script;
        if script != info.checkpoint {
            return Err(WalletError::ReauthorisationNeeded { channel_id: id });
        }
        script.check(info.network, &info.forfeit_key)?;
        super::loaded::limits(&info).check(loaded.record.capacity, update.amount)?;
        let data = OffchainData {
            inputs: Vec::new(),
            outputs: Vec::new(),
            checkpoint: script,
            operator: loaded.channel.terms.operator,
            channel: Some(id.to_string()),
            opening: None,
            answer: None,
            refused_at: None,
        };
        let now = self.timestamp();
        let flow = Flow {
            id: close_flow(&id),
            kind: FlowKind::Close,
            step: super::offchain::step::BUILT.into(),
            data: super::batch::encode(&data)?,
            created_at: now,
            updated_at: now,
        };
        self.store.write(|db| {
            // The update may have risen since it was read; from here on it cannot.
            if row.hot.state == ChannelState::Open {
                db.set_state(&id, &[ChannelState::Open], ChannelState::Closing)?;
            }
            Ok(db.insert_flow(&flow)?)
        })
    }

    /// Drives the close; evicts intents with which the payer locks the channel.
    pub(super) async fn drive_close(&self, loaded: &LoadedChannel) -> Result<Txid> {
        let id = loaded.channel.id;
        for _ in 0..EVICTIONS {
            match self.drive_offchain(close_flow(&id)).await {
                Err(WalletError::Operator(error)) if error.is_registered() => {
                    let (_, authorisation) = self.closing_update(&id)?;
                    let proof = authorisation.delete_proof(&loaded.channel, &loaded.keypair)?;
                    self.net.operator().await?.delete_intent(&proof).await?;
                }
                Err(WalletError::Operator(error)) => return Err(self.explain_close(loaded, error).await),
                other => return other,
            }
        }
        self.drive_offchain(close_flow(&id)).await
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
            return WalletError::ReauthorisationNeeded { channel_id };
        }
        if error.is(code::VTXO_ALREADY_SPENT) {
            let spent_by = self.spent_by(loaded).await;
            return WalletError::AlreadySpent { channel_id, spent_by };
        }
        error.into()
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
        // A new checkpoint script takes the place of the old one only while nothing has been answered.
        if data.answer.is_some() && authorisation.script != data.checkpoint {
            return Err(WalletError::CorruptFlow { what: "a close" });
        }
        let tx = loaded.channel.close(&authorisation.script, update.amount)?;
        let payer = PayerSignatures {
            key: loaded.channel.terms.payer.key,
            ark: update.ark_signature,
            checkpoint: authorisation.checkpoint,
        };
        let own = self.keys.keypair(super::keys::KeyUse::Receiver, loaded.record.key_index)?;
        let pending = authorisation.pending_proof(&loaded.channel, &own)?;
        let signers = vec![Signer { own, payer: Some(payer) }];
        Ok(Job { tx, operator: data.operator, signers, pending })
    }

    pub(super) fn complete_close(&self, flow: &Flow, data: &OffchainData, job: &Job) -> Result<()> {
        let id = channel_id(data)?.ok_or(WalletError::CorruptFlow { what: "a close" })?;
        let loaded = self.loaded(&id)?;
        let txid = job.tx.txid();
        let outpoint = output_to(job, &loaded.channel.terms.receiver.ark_payout.script());
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

/// The journal entry of a channel's close: one at most.
pub(super) fn close_flow(id: &ChannelId) -> [u8; 32] {
    tagged_hash(b"virtual-channels/close", &id.0)
}

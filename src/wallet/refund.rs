//! Refunding: after the locktime the payer takes the channel back, through the operator; to an own address, or into a
//! new channel ([`super::FundingChoice::Refund`]).

use bitcoin::{OutPoint, ScriptBuf, Txid};

use super::error::Result;
use super::events::EventKind;
use super::hand_back::release_flow;
use super::keys::KeyUse;
use super::loaded::LoadedChannel;
use super::offchain::{Job, OffchainData, Signer, channel_id, output, output_to, pending_intent_of};
use super::open_offchain::offer_of;
use super::take_back::AskedBy;
use super::{Wallet, WalletError};
use crate::channel::offchain::OffchainInput;
use crate::channel::terms::{leaf, tagged_hash};
use crate::channel::{ChannelId, OperatorInfo};
use crate::operator::code;
use crate::store::{ChannelResult, ChannelState, Db, Flow, FlowKind, Role};

impl Wallet {
    /// Takes the whole capacity back to a fresh address of this wallet, as payer, once the chain (median time past, or
    /// height) has passed the locktime. If the receiver closes first, that is what the error says.
    ///
    /// A channel that has expired goes back in a batch, less its fee, whatever the operator asks; the answer is the
    /// commitment transaction then. [`Wallet::maintain`] pays no more than half of the channel for it.
    pub async fn refund(&self, id: &ChannelId) -> Result<Txid> {
        self.refund_asked_by(id, AskedBy::User).await
    }

    pub(super) async fn refund_asked_by(&self, id: &ChannelId, asked_by: AskedBy) -> Result<Txid> {
        let _flow = self.flow.lock().await;
        let loaded = self.loaded(id)?;
        loaded.check_role(Role::Payer)?;
        if self.store.read(|db| db.flow(&release_flow(id)))?.is_some() {
            // The receiver gave everything back: as good, unless the operator takes nothing of it.
            match self.drive_release(&loaded).await {
                Err(error) if !self.release_is_refused(id)? => return Err(error),
                Err(_) => {}
                done => return done,
            }
        }
        let flow_id = refund_flow(id);
        if self.store.read(|db| db.flow(&flow_id))?.is_none() {
            self.begin_refund(id).await?;
        }
        self.drive_refund(&loaded, asked_by).await
    }

    /// Drives a refund that has begun, and says what a refusal means for the channel.
    pub(super) async fn drive_refund(&self, loaded: &LoadedChannel, asked_by: AskedBy) -> Result<Txid> {
        let id = loaded.channel.id;
        match self.drive_offchain(refund_flow(&id)).await.map_err(|error| *error) {
            Err(WalletError::Operator(error)) if error.is(code::FORFEIT_CLOSURE_LOCKED) => {
                let locktime = u64::from(loaded.channel.terms.locktime.to_consensus_u32());
                let now = self.now().on_chain(loaded.unit());
                Err(Box::new(WalletError::LocktimeNotReached { channel_id: id, locktime, now }))
            }
            Err(WalletError::Operator(error)) if error.is(code::VTXO_ALREADY_SPENT) => {
                let report = self.look_at_channel(&id, true).await?;
                Err(Box::new(WalletError::AlreadySpent { channel_id: id, spent_by: report.spent_by }))
            }
            Err(WalletError::Operator(error)) if error.is(code::VTXO_ALREADY_UNROLLED) => {
                Err(Box::new(WalletError::Unrolled { channel_id: id }))
            }
            Err(WalletError::Operator(error)) if error.is(code::VTXO_RECOVERABLE) => {
                self.take_back_after_refusal(loaded, asked_by, error.into()).await
            }
            other => Ok(other?),
        }
    }

    /// Whether this wallet may take the channel back, by its role and the channel's state.
    pub(super) fn check_refund_state(&self, loaded: &LoadedChannel) -> Result<()> {
        loaded.check_role(Role::Payer)?;
        let id = &loaded.channel.id;
        let state = self.store.read(|db| db.hot(id))?.ok_or(WalletError::NotFound)?.state;
        if !REFUNDABLE.contains(&state) {
            return Err(Box::new(WalletError::WrongState { channel_id: *id, state, what: "a refund" }));
        }
        Ok(())
    }

    /// Whether a refund may begin now: by the channel's state, and by the locktime as arkd compares it.
    pub(super) async fn check_refundable(&self, loaded: &LoadedChannel) -> Result<()> {
        let id = &loaded.channel.id;
        self.check_refund_state(loaded)?;
        let now = self.observe().await?.on_chain(loaded.unit());
        let locktime = u64::from(loaded.channel.terms.locktime.to_consensus_u32());
        // As arkd compares: with the tip's height or its median time past.
        if now < locktime {
            return Err(Box::new(WalletError::LocktimeNotReached { channel_id: *id, locktime, now }));
        }
        Ok(())
    }

    async fn begin_refund(&self, id: &ChannelId) -> Result<()> {
        let loaded = self.loaded(id)?;
        self.check_refundable(&loaded).await?;
        let info = self.fresh_info().await?;
        info.checkpoint.check(info.network, &info.forfeit_key)?;
        let timestamp = self.timestamp();
        self.store.write(|db| {
            let script = self.refund_script(db, id, &info)?;
            let data = OffchainData {
                inputs: Vec::new(),
                outputs: vec![output(script, loaded.record.capacity)],
                checkpoint: info.checkpoint,
                operator: loaded.channel.terms.operator,
                channel: Some(id.to_string()),
                opening: None,
                grant: None,
                answer: None,
                refused_at: None,
            };
            let flow = Flow {
                id: refund_flow(id),
                kind: FlowKind::Refund,
                step: super::offchain::step::BUILT.into(),
                data: super::batch::encode(&data)?,
                created_at: timestamp,
                updated_at: timestamp,
            };
            self.insert_refund(db, id, &flow)
        })
    }

    /// Where the refund pays: the same address at every try, as long as it is of the operator's key and delay.
    fn refund_script(&self, db: &Db<'_>, id: &ChannelId, info: &OperatorInfo) -> Result<ScriptBuf> {
        if let Some(script) = db.meta(&script_key(id))?.map(ScriptBuf::from_bytes)
            && let Some(own) = db.script(&script)?
            && (own.operator, own.delay) == (info.signer, Some(info.unilateral_exit_delay))
        {
            return Ok(script);
        }
        let own = self.fresh_vtxo(db, info)?;
        db.set_meta(&script_key(id), own.script.as_bytes())?;
        Ok(own.script)
    }

    /// The journal entry of a refund, in place of that of a release which the operator refused.
    pub(super) fn insert_refund(&self, db: &Db<'_>, id: &ChannelId, flow: &Flow) -> Result<()> {
        let state = db.hot(id)?.ok_or(WalletError::NotFound)?.state;
        let release = db.flow(&release_flow(id))?;
        let taken = release.as_ref().is_some_and(|flow| flow.step != super::offchain::step::REFUSED);
        if taken || !REFUNDABLE.contains(&state) {
            return Err(Box::new(WalletError::WrongState { channel_id: *id, state, what: "a refund" }));
        }
        db.delete_flow(&release_flow(id))?;
        Ok(db.insert_flow(flow)?)
    }

    pub(super) fn refund_job(&self, data: &OffchainData) -> Result<Job> {
        let id = channel_id(data)?.ok_or(WalletError::CorruptFlow { what: "a refund" })?;
        let loaded = self.loaded(&id)?;
        let outputs = data.outputs.iter().map(|output| output.txout()).collect();
        let tx = loaded.channel.refund(&data.checkpoint, outputs)?;
        let own = self.keys.keypair(KeyUse::Payer, loaded.record.key_index)?;
        let coin = OffchainInput {
            outpoint: loaded.channel.funding,
            amount: loaded.record.capacity,
            tree: loaded.channel.tree().clone(),
            leaf: leaf::REFUND,
            locktime: Some(loaded.channel.terms.locktime),
        };
        let pending = pending_intent_of(&coin, &own)?;
        Ok(Job { tx, operator: data.operator, signers: vec![Signer { own, other: None }], pending })
    }

    pub(super) async fn complete_refund(&self, flow: &Flow, data: &OffchainData, job: &Job) -> Result<()> {
        let id = channel_id(data)?.ok_or(WalletError::CorruptFlow { what: "a refund" })?;
        let txid = job.tx.txid();
        // The first output of a refund into a new channel is the channel, what follows is change.
        let own = data.outputs.get(usize::from(data.opening.is_some()));
        let outpoint = own.and_then(|output| output_to(job, &output.script));
        let end = |db: &Db<'_>| {
            db.set_state(&id, &REFUNDABLE, ChannelState::Refunded)?;
            db.delete_meta(&script_key(&id))?;
            db.set_result(&id, &ChannelResult { txid, outpoint })?;
            db.delete_flow(&flow.id)?;
            self.push_event(db, Some(&id), &EventKind::ChannelRefunded { txid })
        };
        let Some(opening) = &data.opening else {
            self.store.write(end)?;
            self.events.ring();
            return Ok(());
        };
        let funding = OutPoint::new(txid, 0);
        let offer = offer_of(data, funding)?;
        self.observe().await?;
        let verified = self.verify_funding(&offer.terms, funding).await?;
        self.store_preconfirmed(&offer, funding, opening.key_index, Role::Payer, &verified, end).map(drop)
    }
}

/// The states in which a payer can take the channel back. Closing is that of one who granted a close, or was given
/// the channel back.
pub(super) const REFUNDABLE: [ChannelState; 4] =
    [ChannelState::Confirming, ChannelState::Open, ChannelState::Closing, ChannelState::Refunding];

fn script_key(id: &ChannelId) -> String {
    format!("refund-script:{id}")
}

/// The journal entry of a channel's refund: one at most.
pub(super) fn refund_flow(id: &ChannelId) -> [u8; 32] {
    tagged_hash(b"virtual-channels/refund", &id.0)
}

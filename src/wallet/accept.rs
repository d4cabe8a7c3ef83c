//! Accepting: the receiver co-signs the batch that makes the channel, or checks one that was funded off chain.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::batch::{BatchData, OpeningData, OutcomeData, OutputData, decode, encode, step, veto};
use super::error::Result;
use super::events::{EventKind, Step};
use super::keys::KeyUse;
use super::{Wallet, WalletError};
use crate::channel::message::{Accept, Funding, Invite, Offer};
use crate::channel::{ChannelId, Delay, OperatorInfo};
use crate::operator::{BatchObserver, BatchOutcome, CosignPlan, CosignStream, Veto, cosign, open_cosign_stream};
use crate::store::{Flow, FlowKind, Role};

use bitcoin::TxOut;
use secp256k1::Keypair;

/// The least time an Accept is good for, in seconds.
const MIN_ACCEPT: u64 = 120;

/// What accepting an offer came to.
#[derive(Debug, Clone)]
pub enum Acceptance {
    /// Hand this to the payer at once; co-signing goes on in the background until it ends.
    Accepted(Accept),
    /// The channel was funded off chain and has been verified: it is open.
    Open(ChannelId),
}

impl Wallet {
    /// Answers an offer to one of this wallet's invites. For a channel to be opened in a batch this returns when the
    /// event stream is open, and co-signs in the background, again for retries, until the first success or the
    /// Accept's end. The same offer again is accepted again.
    pub async fn accept(&self, offer: &Offer) -> Result<Acceptance> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        let (invite, key_index) = self.check_offer(offer, &info)?;
        match &offer.funding {
            Funding::Offchain { outpoint } => {
                self.accept_offchain(offer, *outpoint, key_index, &info).await.map(Acceptance::Open)
            }
            Funding::Batch { .. } => {
                self.accept_batch(offer, &invite, key_index, &info).await.map(Acceptance::Accepted)
            }
        }
    }

    /// The offer against our own invite, the operator, and the time.
    fn check_offer(&self, offer: &Offer, info: &OperatorInfo) -> Result<(Invite, u32)> {
        let stored = self.store.read(|db| db.invite(&offer.invite_id))?;
        let stored = stored.ok_or(crate::channel::ChannelError::OtherInvite)?;
        let text = String::from_utf8(stored.encoded).map_err(|_| WalletError::CorruptFlow { what: "an invite" })?;
        let invite = Invite::parse(&text)?;
        let now = self.now();
        offer.check_invite(&invite, now.latest(info.unit()))?;
        offer.terms.check(info, now.unix())?;
        info.checkpoint.check(info.network, &info.forfeit_key)?;
        if stored.used {
            // The same offer may come again; another one may not.
            let id = offer.id();
            let known = self.store.read::<_, WalletError>(|db| Ok(db.flow(&id)?.is_some()))?;
            let open = match offer.funding {
                Funding::Offchain { outpoint } => {
                    self.store.read::<_, WalletError>(|db| Ok(db.channel_at(&outpoint)?.is_some()))?
                }
                Funding::Batch { .. } => false,
            };
            if !known && !open {
                return Err(crate::channel::ChannelError::InviteUsed.into());
            }
        } else {
            invite.check_expiry(now.unix())?;
        }
        Ok((invite, stored.key_index))
    }

    async fn accept_batch(
        &self,
        offer: &Offer,
        invite: &Invite,
        key_index: u32,
        info: &OperatorInfo,
    ) -> Result<Accept> {
        if let Some(expiry) = self.store.read::<_, WalletError>(|db| Ok(db.batch_expiry()?))? {
            self.check_timing(&offer.terms, info, expiry, 1)?;
        }
        let id = offer.id();
        let now = self.now().wall;
        let valid_until = now.saturating_add(MIN_ACCEPT.max(info.session_seconds.saturating_mul(4)));
        let leaf = offer.terms.tree()?.script_pubkey();
        let data = BatchData {
            inputs: Vec::new(),
            outputs: vec![OutputData { script: leaf, amount: offer.terms.capacity, onchain: false }],
            cosigner_index: key_index,
            other_cosigners: vec![offer.cosigner],
            opening: Some(OpeningData { offer: offer.to_text()?, key_index, valid_until }),
            outcome: None,
            earlier: Vec::new(),
        };
        let plan = self.cosign_plan(&data, offer)?;
        let stream = open_cosign_stream(self.net.operator().await?, &plan).await?;
        self.store.write::<_, WalletError>(|db| match db.flow(&id)? {
            Some(flow) if flow.kind == FlowKind::OpenReceiver && flow.step == step::REGISTERING => {
                Ok(db.update_flow(&id, step::REGISTERING, step::REGISTERING, &encode(&data)?, now)?)
            }
            Some(_) => Err(crate::channel::ChannelError::InviteUsed.into()),
            None => {
                db.mark_invite_used(&invite.id())?;
                let step = step::REGISTERING.to_string();
                Ok(db.insert_flow(&Flow {
                    id,
                    kind: FlowKind::OpenReceiver,
                    step,
                    data: encode(&data)?,
                    created_at: now,
                    updated_at: now,
                })?)
            }
        })?;
        self.cosign_in_background(id, data, plan, stream);
        let keypair = self.keys.keypair(KeyUse::Receiver, key_index)?;
        Ok(Accept::sign(id, valid_until, &keypair))
    }

    fn cosign_plan(&self, data: &BatchData, offer: &Offer) -> Result<CosignPlan> {
        let Funding::Batch { inputs } = &offer.funding else {
            return Err(WalletError::CorruptFlow { what: "an opening" });
        };
        let cosigner: Keypair = *self.keys.keypair(KeyUse::Cosigner, data.cosigner_index)?;
        let leaf: TxOut = data.outputs.first().ok_or(WalletError::CorruptFlow { what: "an opening" })?.txout();
        Ok(CosignPlan { cosigner, payer_inputs: inputs.clone(), leaf, other_cosigners: data.other_cosigners.clone() })
    }

    fn cosign_in_background(&self, id: [u8; 32], data: BatchData, plan: CosignPlan, stream: CosignStream) {
        let wallet = self.clone();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            // What went wrong is in the journal and the events.
            let _ = wallet.cosign_until_end(id, data, plan, stream).await;
        });
    }

    async fn cosign_until_end(
        &self,
        id: [u8; 32],
        data: BatchData,
        plan: CosignPlan,
        stream: CosignStream,
    ) -> Result<()> {
        let operator = self.net.operator().await?;
        let opening = data.opening.clone().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
        let left = Duration::from_secs(opening.valid_until.saturating_sub(self.now().wall));
        let deadline = Instant::now() + left.min(Duration::from_secs(24 * 3600));
        let mut observer = CosignObserver { wallet: self.clone(), id, data, offer, info: self.info()? };
        match cosign(operator, stream, &plan, deadline, &mut observer).await {
            Ok(outcome) => {
                self.complete_opening(id, &OutcomeData::of(&outcome, self.timestamp()), Role::Receiver)?;
                Ok(())
            }
            Err(error) if error.may_be_committed() => self.look_for_channel(id).await,
            Err(error) => {
                let error = WalletError::from(error);
                self.end_cosigning(id, &error)?;
                Err(error)
            }
        }
    }

    /// The end of the batch was not seen: looks a few times whether the channel came to be. What is not found now is
    /// found by [`Wallet::resume`].
    async fn look_for_channel(&self, id: [u8; 32]) -> Result<()> {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let Some(flow) = self.store.read(|db| db.flow(&id))? else { return Ok(()) };
            if self.find_channel(&flow).await.is_ok_and(|found| found.is_some()) {
                return Ok(());
            }
        }
        Ok(())
    }

    /// The channel of an accepted opening in the operator's books, verified and stored.
    async fn find_channel(&self, flow: &Flow) -> Result<Option<ChannelId>> {
        let data: BatchData = decode(flow)?;
        let opening = data.opening.ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
        let script = offer.terms.tree()?.script_pubkey();
        let found = self.net.operator().await?.vtxos_by_scripts(std::slice::from_ref(&script)).await?;
        let cosigner = self.keys.keypair(KeyUse::Cosigner, data.cosigner_index)?.public_key();
        let mut refused = None;
        // Anybody can pay to this script; what was not co-signed here is somebody else's.
        for vtxo in found.iter().filter(|vtxo| vtxo.amount == offer.terms.capacity && !vtxo.preconfirmed) {
            match self.outcome_of(vtxo, &offer, &cosigner).await {
                Ok(outcome) => return self.complete_opening(flow.id, &outcome, Role::Receiver).map(Some),
                Err(error) => refused = Some(error),
            }
        }
        refused.map_or(Ok(None), Err)
    }

    /// The Accept ended without a channel. An attempt whose branch is stored stays, to be looked up.
    fn end_cosigning(&self, id: [u8; 32], error: &WalletError) -> Result<()> {
        use bitcoin::hex::DisplayHex;
        let event = EventKind::OpeningFailed { offer_id: id.to_lower_hex_string(), why: error.to_string() };
        self.store.write::<_, WalletError>(|db| match db.flow(&id)? {
            Some(flow) if flow.step == step::REGISTERING && !decode::<BatchData>(&flow)?.has_attempts() => {
                db.delete_flow(&id)?;
                self.push_event(db, None, &event)
            }
            _ => Ok(()),
        })?;
        self.events.ring();
        Ok(())
    }

    /// Goes on with an accepted opening after a restart: looks whether the channel came to be, else listens again.
    pub(super) async fn continue_accepting(&self, flow: &Flow) -> Result<Option<ChannelId>> {
        let data: BatchData = decode(flow)?;
        let opening = data.opening.clone().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
        if let Some(channel) = self.find_channel(flow).await? {
            return Ok(Some(channel));
        }
        let operator = self.net.operator().await?;
        let now = self.now().wall;
        if now >= opening.valid_until {
            // A batch that is not in the books long after the Accept's end does not come any more.
            if now >= opening.valid_until.saturating_add(600) || !data.has_attempts() {
                let error = WalletError::NotOpened { why: "the payer did not open before the accept ended".into() };
                use bitcoin::hex::DisplayHex;
                let offer_id = flow.id.to_lower_hex_string();
                let event = EventKind::OpeningFailed { offer_id, why: error.to_string() };
                self.store.write::<_, WalletError>(|db| {
                    db.delete_flow(&flow.id)?;
                    self.push_event(db, None, &event)
                })?;
            }
            return Ok(None);
        }
        if flow.step == step::READY {
            self.abandon(flow.id, &data)?;
        }
        let plan = self.cosign_plan(&data, &offer)?;
        let stream = open_cosign_stream(operator, &plan).await?;
        self.cosign_in_background(flow.id, data, plan, stream);
        Ok(None)
    }
}

impl BatchData {
    /// Whether a batch that was signed for may still come.
    fn has_attempts(&self) -> bool {
        self.outcome.is_some() || !self.earlier.is_empty()
    }
}

/// The receiver's checks during a session.
struct CosignObserver {
    wallet: Wallet,
    id: [u8; 32],
    data: BatchData,
    offer: Offer,
    info: std::sync::Arc<OperatorInfo>,
}

impl BatchObserver for CosignObserver {
    fn started(&mut self, _batch_id: &str, expiry: Delay) -> std::result::Result<(), Veto> {
        self.wallet.learn_batch_expiry(expiry).map_err(veto)?;
        self.wallet.check_timing(&self.offer.terms, &self.info, expiry, 1).map_err(veto)?;
        self.wallet.events.progress(&self.id, Step::BatchStarted);
        Ok(())
    }

    fn signed(&mut self) {
        self.wallet.events.progress(&self.id, Step::TreeSigned);
    }

    fn ready(&mut self, outcome: &BatchOutcome) -> std::result::Result<(), Veto> {
        let leaf = outcome.leaves.first().ok_or_else(|| Veto("the channel is not in the batch".into()))?;
        let levels = leaf.branch.nodes.len() as u64;
        self.wallet.check_timing(&self.offer.terms, &self.info, outcome.expiry, levels).map_err(veto)?;
        // An earlier attempt of this process failed if the session came here again.
        if let Some(earlier) = self.data.outcome.take() {
            self.data.earlier.push(earlier);
        }
        self.data.outcome = Some(OutcomeData::of(outcome, self.wallet.timestamp()));
        let wallet = &self.wallet;
        let stored = wallet.store.write::<_, WalletError>(|db| {
            db.put_branch(&leaf.outpoint, &leaf.branch)?;
            let flow = db.flow(&self.id)?.ok_or(WalletError::NotFound)?;
            Ok(db.update_flow(&self.id, &flow.step, step::READY, &encode(&self.data)?, wallet.timestamp())?)
        });
        stored.map_err(veto)?;
        self.wallet.events.progress(&self.id, Step::BranchStored);
        Ok(())
    }
}

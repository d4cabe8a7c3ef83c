//! Accepting: the receiver co-signs the batch that makes the channel, or checks one that was funded off chain.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::attempt::Found;
use super::batch::{BatchData, OpeningData, OutcomeData, OutputData, decode, encode, step, veto};
use super::error::Result;
use super::events::{EventKind, Step};
use super::keys::KeyUse;
use super::{Wallet, WalletError};
use crate::channel::message::{Accept, Funding, Invite, Offer};
use crate::channel::{ChannelId, Delay, OperatorInfo};
use crate::log::note;
use crate::operator::{BatchObserver, BatchOutcome, CosignPlan, CosignStream, Veto, cosign, open_cosign_stream};
use crate::store::{Db, Flow, FlowKind, Role, StoreError};
use crate::task::Work;

use bitcoin::TxOut;
use bitcoin::hex::DisplayHex;
use secp256k1::Keypair;

/// The least time an Accept is good for, in seconds.
const MIN_ACCEPT: u64 = 120;

/// So long after an Accept's end a batch that was signed for is still looked for, in seconds.
const LAST_LOOK: u64 = 600;

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
            let known = self.store.read::<_, Box<WalletError>>(|db| {
                Ok(db.flow(&id)?.is_some() || db.meta(&accepted_key(&offer.invite_id))? == Some(id.to_vec()))
            })?;
            let open = match offer.funding {
                Funding::Offchain { outpoint } => {
                    self.store.read::<_, Box<WalletError>>(|db| Ok(db.channel_at(&outpoint)?.is_some()))?
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
        if let Some(expiry) = self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?))? {
            self.check_timing(&offer.terms, info, expiry, 1)?;
        }
        let id = offer.id();
        let now = self.now().wall;
        let keypair = self.keys.keypair(KeyUse::Receiver, key_index)?;
        let former = self.store.read(|db| db.flow(&id))?;
        let mut earlier = Vec::new();
        if let Some(flow) = &former {
            let data: BatchData = decode(flow)?;
            let valid_until = data.opening.as_ref().map_or(0, |opening| opening.valid_until);
            // Co-signing goes on: to begin anew might spoil a running session.
            if self.is_cosigning(&id) && valid_until > now.saturating_add(MIN_ACCEPT / 2) {
                return Ok(Accept::sign(id, valid_until, &keypair));
            }
            if data.has_attempts() && !matches!(self.find_opened(flow, Role::Receiver).await?, Found::Nothing) {
                return Err(crate::channel::ChannelError::InviteUsed.into());
            }
            earlier = data.earlier;
            earlier.extend(data.outcome);
        }
        let valid_until = now.saturating_add(MIN_ACCEPT.max(info.session_seconds.saturating_mul(4)));
        let leaf = offer.terms.tree()?.script_pubkey();
        let data = BatchData {
            inputs: Vec::new(),
            outputs: vec![OutputData { script: leaf, amount: offer.terms.capacity, onchain: false }],
            cosigner_index: key_index,
            other_cosigners: vec![offer.cosigner],
            opening: Some(OpeningData { offer: offer.to_text()?, key_index, valid_until }),
            outcome: None,
            earlier,
        };
        let plan = self.cosign_plan(&data, offer)?;
        let stream = open_cosign_stream(self.net.operator().await?, &plan).await?;
        self.stop_cosigning(&id);
        self.store.write::<_, Box<WalletError>>(|db| match db.flow(&id)? {
            Some(flow) if flow.kind == FlowKind::OpenReceiver && former.is_some() => {
                Ok(db.update_flow(&id, &flow.step, step::REGISTERING, &encode(&data)?, now)?)
            }
            Some(_) => Err(crate::channel::ChannelError::InviteUsed.into()),
            None => {
                // The same offer may be accepted again until it has become a channel, no other one.
                if db.invite(&invite.id())?.is_some_and(|stored| !stored.used) {
                    db.mark_invite_used(&invite.id())?;
                }
                db.set_meta(&accepted_key(&invite.id()), &id)?;
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
        self.cosign_in_background(id, data, plan, stream, false);
        Ok(Accept::sign(id, valid_until, &keypair))
    }

    fn cosign_plan(&self, data: &BatchData, offer: &Offer) -> Result<CosignPlan> {
        let Funding::Batch { inputs } = &offer.funding else {
            return Err(Box::new(WalletError::CorruptFlow { what: "an opening" }));
        };
        let cosigner: Keypair = *self.keys.keypair(KeyUse::Cosigner, data.cosigner_index)?;
        let leaf: TxOut = data.outputs.first().ok_or(WalletError::CorruptFlow { what: "an opening" })?.txout();
        Ok(CosignPlan { cosigner, payer_inputs: inputs.clone(), leaf, other_cosigners: data.other_cosigners.clone() })
    }

    /// `resumed`: an earlier process may have signed for a batch without a trace of it in the journal.
    fn cosign_in_background(
        &self,
        id: [u8; 32],
        data: BatchData,
        plan: CosignPlan,
        stream: CosignStream,
        resumed: bool,
    ) {
        self.stop_cosigning(&id);
        let wallet = self.clone();
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        let work: Work = Box::pin(async move {
            // What went wrong is in the journal and the events, too.
            match wallet.cosign_until_end(id, data, plan, stream, resumed).await {
                Ok(()) => note!(Info, "flow {}: co-signing has ended", id.as_hex()),
                Err(error) => note!(Warn, "flow {}: co-signing has failed: {error}", id.as_hex()),
            }
        });
        let handle = tasks.spawn(work);
        let mut running = self.cosigning.lock().unwrap_or_else(PoisonError::into_inner);
        running.retain(|_, handle| !handle.is_finished());
        running.insert(id, handle);
    }

    /// Whether this process co-signs for the offer: nobody else may, since the operator takes one set of nonces a key.
    fn is_cosigning(&self, id: &[u8; 32]) -> bool {
        let running = self.cosigning.lock().unwrap_or_else(PoisonError::into_inner);
        running.get(id).is_some_and(|handle| !handle.is_finished())
    }

    fn stop_cosigning(&self, id: &[u8; 32]) {
        if let Some(handle) = self.cosigning.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
            handle.abort();
        }
    }

    async fn cosign_until_end(
        &self,
        id: [u8; 32],
        data: BatchData,
        plan: CosignPlan,
        stream: CosignStream,
        resumed: bool,
    ) -> Result<()> {
        let operator = self.net.operator().await?;
        let opening = data.opening.clone().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
        let left = Duration::from_secs(opening.valid_until.saturating_sub(self.now().wall));
        let deadline = Instant::now() + left.min(Duration::from_secs(24 * 3600));
        let mut observer = CosignObserver { wallet: self.clone(), id, data, offer, info: self.info()? };
        let (mut stream, mut resumed) = (Some(stream), resumed);
        let error = loop {
            let Some(open) = stream.take() else {
                // Broken with a batch under way: it may have failed, and then the payer tries again.
                tokio::time::sleep(Duration::from_millis(500)).await;
                match open_cosign_stream(operator, &plan).await {
                    Ok(opened) => stream = Some(opened),
                    Err(error) if Instant::now() >= deadline => break error,
                    Err(_) => {}
                }
                continue;
            };
            let reopened = self.store.reopened();
            let ended = tokio::select! {
                () = self.look_for_channel(id, resumed) => return Ok(()),
                ended = cosign(operator, open, &plan, deadline, &mut observer) => ended,
            };
            match ended {
                Ok(outcome) => {
                    let outcome = OutcomeData::of(&outcome, self.timestamp());
                    let complete = || self.complete_opening(id, &outcome, Role::Receiver);
                    return self.across_release(complete).await.map(drop);
                }
                Err(error) if error.may_be_committed() && Instant::now() < deadline => {}
                // The database was let go of: this batch may be made without a trace of it in the journal.
                Err(error) if self.was_released(reopened) => {
                    self.until_reopened().await?;
                    resumed = true;
                    if Instant::now() >= deadline {
                        break error;
                    }
                }
                Err(error) => break error,
            }
        };
        let error = WalletError::from(error);
        if !(resumed && self.may_have_opened(id).await) && self.end_cosigning(id, &error)? {
            return Err(Box::new(error));
        }
        // What is not found now is found by resuming.
        let _ = tokio::time::timeout(Duration::from_secs(20), self.look_for_channel(id, resumed)).await;
        Ok(())
    }

    /// The end of a batch may be missed, or the operator call it failed when it was not: ends when an attempt whose
    /// branch is stored has made the channel, or nobody waits for it any more. After an interruption any attempt counts.
    async fn look_for_channel(&self, id: [u8; 32], resumed: bool) {
        loop {
            tokio::time::sleep(Duration::from_secs(2)).await;
            match self.store.read(|db| db.flow(&id)) {
                Ok(None) | Err(StoreError::Closed) => return,
                Ok(Some(flow)) if resumed || decode::<BatchData>(&flow).is_ok_and(|data| data.has_attempts()) => {
                    if matches!(self.find_opened(&flow, Role::Receiver).await, Ok(Found::Channel(_))) {
                        return;
                    }
                }
                Ok(Some(_)) | Err(_) => {}
            }
        }
    }

    /// Whether the channel is in the operator's books, or they (or the journal) cannot be seen.
    async fn may_have_opened(&self, id: [u8; 32]) -> bool {
        match self.store.read(|db| db.flow(&id)) {
            Ok(Some(flow)) => !matches!(self.find_opened(&flow, Role::Receiver).await, Ok(Found::Nothing)),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    /// The Accept ended without a channel. An attempt whose branch is stored stays, to be looked up: then `false`.
    fn end_cosigning(&self, id: [u8; 32], error: &WalletError) -> Result<bool> {
        let ended = self.store.write::<_, Box<WalletError>>(|db| match db.flow(&id)? {
            Some(flow) if decode::<BatchData>(&flow)?.has_attempts() => Ok(false),
            Some(flow) => self.forget_accept(db, &flow, error).map(|()| true),
            None => Ok(true),
        })?;
        self.events.ring();
        Ok(ended)
    }

    /// The journal entry goes, and the app is told why.
    fn forget_accept(&self, db: &Db<'_>, flow: &Flow, error: &WalletError) -> Result<()> {
        let event = EventKind::OpeningFailed { offer_id: flow.id.to_lower_hex_string(), why: error.to_string() };
        db.delete_flow(&flow.id)?;
        self.push_event(db, None, &event)
    }

    /// Goes on with an accepted opening after a restart: looks whether the channel came to be, else listens again.
    pub(super) async fn continue_accepting(&self, flow: &Flow) -> Result<()> {
        if self.is_cosigning(&flow.id) {
            // It listens; what an earlier process signed for is found by looking.
            self.find_opened(flow, Role::Receiver).await?;
            return Ok(());
        }
        let data: BatchData = decode(flow)?;
        let opening = data.opening.clone().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = Offer::parse(&opening.offer)?;
        let found = self.find_opened(flow, Role::Receiver).await;
        let now = self.now();
        // Whatever is found then, nobody can pay in it any more.
        let past = now.latest(offer.terms.unit()) >= u64::from(offer.terms.locktime.to_consensus_u32());
        match found {
            Ok(Found::Channel(_)) => return Ok(()),
            Ok(Found::Unconfirmed(_)) if !past => return Ok(()),
            Ok(_) => {}
            Err(_) if past => {}
            Err(error) => return Err(error),
        }
        if past || now.wall >= opening.valid_until {
            // A batch that is not in the books long after the Accept's end does not come any more.
            if past || now.wall >= opening.valid_until.saturating_add(LAST_LOOK) || !data.has_attempts() {
                let error = WalletError::NotOpened { why: "the payer did not open before the accept ended".into() };
                self.store.write(|db| self.forget_accept(db, flow, &error))?;
                self.events.ring();
            }
            return Ok(());
        }
        if flow.step == step::READY {
            self.abandon(flow.id, &data)?;
        }
        let flow = self.store.read(|db| db.flow(&flow.id))?.ok_or(WalletError::NotFound)?;
        let data: BatchData = decode(&flow)?;
        let plan = self.cosign_plan(&data, &offer)?;
        let stream = open_cosign_stream(self.net.operator().await?, &plan).await?;
        self.cosign_in_background(flow.id, data, plan, stream, true);
        Ok(())
    }
}

/// Which offer has used an invite, until it has become a channel.
pub(super) fn accepted_key(invite_id: &[u8; 32]) -> String {
    format!("accepted:{}", invite_id.to_lower_hex_string())
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
        let stored = wallet.store.write::<_, Box<WalletError>>(|db| {
            db.put_branch(&leaf.outpoint, &leaf.branch)?;
            let flow = db.flow(&self.id)?.ok_or(WalletError::NotFound)?;
            Ok(db.update_flow(&self.id, &flow.step, step::READY, &encode(&self.data)?, wallet.timestamp())?)
        });
        if let Err(error) = stored {
            self.data.outcome = None;
            return Err(veto(error));
        }
        self.wallet.events.progress(&self.id, Step::BranchStored);
        Ok(())
    }
}

//! Opening off chain: an ark transaction of the payer makes the channel VTXO at once; the receiver checks it whenever
//! it comes online.

use bitcoin::OutPoint;

use super::batch::OpeningData;
use super::coins::CoinKind;
use super::error::Result;
use super::events::EventKind;
use super::funding::check_funding_time;
use super::keys::KeyUse;
use super::offchain::{Job, OffchainData};
use super::propose::{Proposal, ProposeRequest};
use super::{Wallet, WalletError};
use crate::channel::branch::{MAX_LEVELS, MAX_NODES};
use crate::channel::message::{Funding, Invite, Offer};
use crate::channel::terms::tagged_hash;
use crate::channel::{Channel, ChannelError, ChannelId, OperatorInfo};
use crate::store::{ChannelRecord, ChannelState, Db, Flow, FlowKind, FundingKind, Role};

use bitcoin::Amount;

/// The most VTXOs an off-chain opening spends, so that the branch stays small.
pub(super) const MAX_FUNDING_INPUTS: usize = 4;

impl Wallet {
    /// Funds the channel and answers with an offer that names its outpoint.
    pub(super) async fn propose_offchain(
        &self,
        invite: &Invite,
        request: &ProposeRequest,
        info: &OperatorInfo,
    ) -> Result<Proposal> {
        let data = self.offchain_opening(invite, request, info).await?;
        let id = tagged_hash(b"virtual-channels/fund", &super::batch::encode(&data)?);
        self.start_offchain(id, FlowKind::OpenOffchain, &data)?;
        let ark_txid = self.drive_offchain(id).await?;
        let outpoint = OutPoint::new(ark_txid, 0);
        let offer = offer_of(&data, outpoint)?;
        let channel_id = Channel::new(offer.terms, outpoint)?.id;
        Ok(Proposal { offer, fee: Amount::ZERO, channel_id: Some(channel_id) })
    }

    /// The plan of an off-chain opening: the transaction, with the terms inside.
    pub(super) async fn offchain_opening(
        &self,
        invite: &Invite,
        request: &ProposeRequest,
        info: &OperatorInfo,
    ) -> Result<OffchainData> {
        let mut coins = self.vtxo_coins().await?;
        coins.retain(|coin| coin.kind == CoinKind::Settled);
        if coins.is_empty() {
            return Err(Box::new(WalletError::NeedsSettledVtxos { limit: MAX_FUNDING_INPUTS }));
        }
        // Those that live longest first: the channel expires with the first of its inputs.
        let batch_expiry = self.expected_expiry(info.unit(), &coins)?;
        let now = self.now();
        let (key_index, payer) = self.store.write(|db| self.fresh_party(db, info, KeyUse::Payer))?;
        let probe = self.send_plan(&coins, payer.ark_payout.script(), request.capacity, info, MAX_FUNDING_INPUTS)?;
        let picked: Vec<_> =
            coins.iter().filter(|coin| probe.inputs.iter().any(|input| input.outpoint == coin.outpoint)).collect();
        let expires_at = picked.iter().map(|coin| coin.expires_at).min().unwrap_or(0);
        let left = expires_at.saturating_sub(now.wall);
        let moment = now.latest(info.unit());
        let expiry = match info.unit() {
            crate::channel::Unit::Seconds => expires_at,
            crate::channel::Unit::Blocks => moment.saturating_add(left.min(batch_expiry)),
        };
        self.check_branches(picked.iter().map(|coin| coin.outpoint)).await?;
        let terms = self.terms_until(invite, request, info, payer, batch_expiry, expiry, &now)?;
        let script = terms.tree()?.script_pubkey();
        let mut data = probe;
        if let Some(output) = data.outputs.first_mut() {
            output.script = script;
        }
        // The offer that is stored names no outpoint yet: the transaction that makes it is built from this.
        let cosigner = self.keys.keypair(KeyUse::Cosigner, key_index)?.public_key();
        let placeholder = OutPoint::null();
        let offer =
            Offer { invite_id: invite.id(), terms, cosigner, funding: Funding::Offchain { outpoint: placeholder } };
        offer.check_invite(invite, moment)?;
        data.opening = Some(OpeningData { offer: offer.to_text()?, key_index, valid_until: 0 });
        Ok(data)
    }

    /// Refuses, before anything is spent, inputs whose branches together would make one that nobody can unroll.
    async fn check_branches(&self, inputs: impl Iterator<Item = OutPoint>) -> Result<()> {
        let operator = self.net.operator().await?;
        let (mut levels, mut nodes) = (0, 1);
        for outpoint in inputs {
            let stored = self.store.read::<_, Box<WalletError>>(|db| Ok(db.branch(&outpoint)?))?;
            let branch = match stored {
                Some(branch) => branch,
                None => operator.branch_of(outpoint).await?,
            };
            // Beside the tree a checkpoint, and at the end the ark transaction.
            levels = levels.max(branch.nodes.len() + 2);
            nodes += branch.nodes.len() + 1;
        }
        if levels > MAX_LEVELS || nodes > MAX_NODES {
            return Err(ChannelError::BranchTooDeep { levels: levels.max(nodes), limit: MAX_LEVELS }.into());
        }
        Ok(())
    }

    /// The ark transaction is final: the channel is stored and open.
    pub(super) async fn complete_funding(&self, flow: &Flow, data: &OffchainData, job: &Job) -> Result<()> {
        let outpoint = OutPoint::new(job.tx.txid(), 0);
        let opening = data.opening.as_ref().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
        let offer = offer_of(data, outpoint)?;
        self.observe().await?;
        let verified = self.verify_funding(&offer.terms, outpoint).await?;
        self.store_preconfirmed(&offer, outpoint, opening.key_index, Role::Payer, &verified, |db| {
            self.end_sent(db, flow, data, job)
        })?;
        Ok(())
    }

    /// Takes a channel that the payer funded off chain, after all checks.
    pub(super) async fn accept_offchain(
        &self,
        offer: &Offer,
        outpoint: OutPoint,
        key_index: u32,
        info: &OperatorInfo,
    ) -> Result<ChannelId> {
        if let Some(known) = self.store.read(|db| db.channel_at(&outpoint))? {
            return Ok(known.record.id);
        }
        let (capacity, limit) = (offer.terms.capacity, self.config.max_preconfirmed);
        if capacity > limit {
            return Err(Box::new(WalletError::PreconfirmedTooLarge { capacity, limit }));
        }
        let verified = self.verify_funding(&offer.terms, outpoint).await?;
        let now = self.now();
        let cutoff = info.check_signer(&offer.terms.operator, now.unix())?;
        check_funding_time(&offer.terms, &verified, cutoff, &now)?;
        self.store_preconfirmed(offer, outpoint, key_index, Role::Receiver, &verified, |_| Ok(()))
    }

    /// The offer of a channel that this wallet funded off chain, to be handed to the receiver: also when proposing was
    /// interrupted and [`Wallet::resume`] finished it.
    pub fn offer(&self, id: &ChannelId) -> Result<Offer> {
        let text = self.store.read::<_, Box<WalletError>>(|db| Ok(db.meta(&offer_key(id))?))?;
        let text = String::from_utf8(text.ok_or(WalletError::NotFound)?);
        Ok(Offer::parse(&text.map_err(|_| WalletError::CorruptFlow { what: "an offer" })?)?)
    }

    /// The channel, with `also` what comes about in the same transaction.
    pub(super) fn store_preconfirmed(
        &self,
        offer: &Offer,
        outpoint: OutPoint,
        key_index: u32,
        role: Role,
        verified: &super::funding::VerifiedFunding,
        also: impl FnOnce(&Db<'_>) -> Result<()>,
    ) -> Result<ChannelId> {
        let channel = Channel::new(offer.terms, outpoint)?;
        let now = self.timestamp();
        let record = ChannelRecord {
            id: channel.id,
            role,
            terms: offer.terms.canonical(),
            capacity: offer.terms.capacity,
            funding: outpoint,
            funding_kind: FundingKind::Offchain,
            key_index,
            commitments: verified.report.commitments.clone(),
            batch_expiry: verified.batch_expiry,
            expiry: verified.expiry,
            expires_at: verified.expires_at,
            levels: verified.report.levels as u32,
            created_at: now,
        };
        self.store.write(|db| {
            match role {
                Role::Receiver => db.mark_invite_used(&offer.invite_id)?,
                Role::Payer => db.set_meta(&offer_key(&channel.id), offer.to_text()?.as_bytes())?,
            }
            db.put_branch(&outpoint, &verified.branch)?;
            self.insert_channel(db, &channel, &record, ChannelState::Open)?;
            db.set_last_watch(&channel.id, self.watched_at())?;
            also(db)?;
            self.push_event(db, Some(&channel.id), &EventKind::ChannelOpened)
        })?;
        self.events.ring();
        Ok(channel.id)
    }
}

fn offer_key(id: &ChannelId) -> String {
    format!("offer:{id}")
}

/// The offer of a funding flow, once the outpoint is known.
pub(super) fn offer_of(data: &OffchainData, outpoint: OutPoint) -> Result<Offer> {
    let opening = data.opening.as_ref().ok_or(WalletError::CorruptFlow { what: "an opening" })?;
    let offer = Offer::parse(&opening.offer)?;
    Ok(Offer { funding: Funding::Offchain { outpoint }, ..offer })
}

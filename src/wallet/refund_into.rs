//! Refunding straight into a new channel: the refund's transaction pays the new channel's address.

use bitcoin::OutPoint;

use super::batch::{OpeningData, encode};
use super::error::Result;
use super::keys::KeyUse;
use super::offchain::{OffchainData, output, step};
use super::open_offchain::offer_of;
use super::propose::{Proposal, ProposeRequest};
use super::refund::refund_flow;
use super::take_back::AskedBy;
use super::{Wallet, WalletError};
use crate::channel::branch::{MAX_LEVELS, MAX_NODES};
use crate::channel::deadline::Timing;
use crate::channel::message::{Funding, Invite, Offer};
use crate::channel::{Channel, ChannelError, ChannelId, OperatorInfo};
use crate::store::{Flow, FlowKind, Role};

use bitcoin::Amount;

impl Wallet {
    /// Refunds `old` into a channel of these terms, and answers with an offer that names its outpoint. The terms are in
    /// the journal before anything is submitted.
    pub(super) async fn propose_refund(
        &self,
        invite: &Invite,
        request: &ProposeRequest,
        info: &OperatorInfo,
        old: &ChannelId,
    ) -> Result<Proposal> {
        let loaded = self.loaded(old)?;
        let data = self.refund_opening(invite, request, info, old).await?;
        let (id, now) = (refund_flow(old), self.timestamp());
        let (kind, step) = (FlowKind::Refund, step::BUILT.into());
        let flow = Flow { id, kind, step, data: encode(&data)?, created_at: now, updated_at: now };
        self.store.write(|db| self.insert_refund(db, old, &flow))?;
        let ark_txid = self.drive_refund(&loaded, AskedBy::Maintenance).await?;
        let outpoint = OutPoint::new(ark_txid, 0);
        let offer = offer_of(&data, outpoint)?;
        let channel_id = Channel::new(offer.terms, outpoint)?.id;
        Ok(Proposal { offer, fee: Amount::ZERO, channel_id: Some(channel_id) })
    }

    /// The plan of it; stores nothing but fresh keys.
    pub(super) async fn refund_opening(
        &self,
        invite: &Invite,
        request: &ProposeRequest,
        info: &OperatorInfo,
        old: &ChannelId,
    ) -> Result<OffchainData> {
        let loaded = self.loaded(old)?;
        loaded.check_role(Role::Payer)?;
        self.check_refundable(&loaded).await?;
        info.checkpoint.check(info.network, &info.forfeit_key)?;
        let levels = self.levels_below(&loaded.channel.funding)?;
        let (whole, capacity) = (loaded.record.capacity, request.capacity);
        let change =
            whole.checked_sub(capacity).ok_or(WalletError::InsufficientFunds { needed: capacity, available: whole })?;
        if change > Amount::ZERO && change < info.min_amount() {
            return Err(Box::new(WalletError::AmountTooSmall { amount: change, minimum: info.min_amount() }));
        }
        let (key_index, payer) = self.store.write(|db| self.fresh_party(db, info, KeyUse::Payer))?;
        // The new VTXO expires with the old one, and its branch is longer.
        let (now, batch_expiry) = (self.now(), loaded.record.batch_expiry.value());
        let expiry = loaded.expiry(&now);
        let terms = self.terms_until(invite, request, info, payer, batch_expiry, expiry, &now)?;
        let (moment, cutoff) = (now.latest(info.unit()), info.check_signer(&terms.operator, now.unix())?);
        Timing::of(&terms, batch_expiry, expiry, levels, cutoff).check(moment)?;
        // The offer that is stored names no outpoint yet: the transaction that makes it is built from this.
        let cosigner = self.keys.keypair(KeyUse::Cosigner, key_index)?.public_key();
        let funding = Funding::Offchain { outpoint: OutPoint::null() };
        let offer = Offer { invite_id: invite.id(), terms, cosigner, funding };
        offer.check_invite(invite, moment)?;
        let mut outputs = vec![output(terms.tree()?.script_pubkey(), capacity)];
        if change > Amount::ZERO {
            outputs.push(output(self.store.write(|db| self.fresh_vtxo(db, info))?.script, change));
        }
        Ok(OffchainData {
            inputs: Vec::new(),
            outputs,
            checkpoint: info.checkpoint,
            operator: loaded.channel.terms.operator,
            channel: Some(old.to_string()),
            opening: Some(OpeningData { offer: offer.to_text()?, key_index, valid_until: 0 }),
            grant: None,
            answer: None,
            refused_at: None,
        })
    }

    /// How deep a VTXO is that is made from this one off chain: a checkpoint and an ark transaction below it. Refuses,
    /// before anything is spent, one that nobody could unroll.
    fn levels_below(&self, outpoint: &OutPoint) -> Result<u64> {
        let branch = self.store.read(|db| db.branch(outpoint))?.unwrap_or_default();
        let row = self.store.read(|db| db.channel_at(outpoint))?.ok_or(WalletError::NotFound)?;
        let (levels, nodes) = (row.record.levels as usize + 2, branch.nodes.len() + 2);
        if levels > MAX_LEVELS || nodes > MAX_NODES {
            return Err(ChannelError::BranchTooDeep { levels: levels.max(nodes), limit: MAX_LEVELS }.into());
        }
        Ok(levels as u64)
    }
}

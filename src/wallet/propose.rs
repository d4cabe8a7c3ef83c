//! Proposing: the payer fixes the terms of a channel.

use bitcoin::Amount;

use super::batch::{BatchData, OpeningData, OutputData, decode};
use super::coins::{Coin, CoinKind, Seen, select, sum};
use super::error::Result;
use super::keys::KeyUse;
use super::settle::{MAX_INPUTS, set_change};
use super::{Wallet, WalletError};
use crate::channel::deadline::{Margins, assumed_batch_expiry, default_locktime};
use crate::channel::message::{Funding, Invite, Offer};
use crate::channel::time::locktime;
use crate::channel::{AuthorisationPolicy, ChannelError, ChannelId, ChannelTerms, Delay, OperatorInfo, Unit};
use crate::store::{Flow, FlowKind};

use super::clock::Now;

/// Where the money for a channel comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FundingChoice {
    /// From VTXOs, in the next batch. Final once the batch is confirmed.
    Batch,
    /// Straight from boarding coins, in the next batch.
    BatchFromBoarding,
    /// By an ark transaction, at once: the channel is preconfirmed, and the receiver may be offline.
    Offchain,
    /// By the refund of a channel whose locktime has passed, straight into the new one: preconfirmed as with
    /// [`FundingChoice::Offchain`], and it expires with the old one. What the new channel does not take is change.
    Refund(ChannelId),
}

/// The longest d2 a payer agrees to, in exit delays of the operator.
const MAX_EXIT_DELAYS: u64 = 8;

/// What a payer wants.
#[derive(Debug, Clone)]
pub struct ProposeRequest {
    /// The most that can ever be paid in the channel.
    pub capacity: Amount,
    pub funding: FundingChoice,
    /// From now to the refund locktime, in the operator's unit; `None`: as long as the batch allows.
    pub lifetime: Option<u64>,
    /// Added to the least d1 the invite asks for, in the operator's unit.
    pub delay_margin: u64,
    /// When the receiver is given what it needs to close alone.
    pub authorisation: AuthorisationPolicy,
}

/// An offer ready to be handed to the receiver.
#[derive(Debug, Clone)]
pub struct Proposal {
    pub offer: Offer,
    /// What the operator takes for the batch.
    pub fee: Amount,
    /// For off-chain funding: the channel exists already.
    pub channel_id: Option<ChannelId>,
}

/// The step of an opening that waits for its Accept.
pub(super) const PROPOSED: &str = "proposed";

impl Wallet {
    /// Fixes the terms and stores them. In a batch nothing is spent before [`Wallet::open`]; with
    /// [`FundingChoice::Offchain`] the channel is funded at once.
    pub async fn propose(&self, invite: &Invite, request: &ProposeRequest) -> Result<Proposal> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        invite.check_expiry(self.now().unix())?;
        match request.funding {
            FundingChoice::Offchain => {
                if !invite.bounds.offchain_funding {
                    return Err(ChannelError::FundingKindRefused { kind: "off chain" }.into());
                }
                self.propose_offchain(invite, request, &info).await
            }
            FundingChoice::Refund(old) => {
                if !invite.bounds.offchain_funding {
                    return Err(ChannelError::FundingKindRefused { kind: "off chain" }.into());
                }
                self.propose_refund(invite, request, &info, &old).await
            }
            FundingChoice::Batch | FundingChoice::BatchFromBoarding => {
                if !invite.bounds.batch_funding {
                    return Err(ChannelError::FundingKindRefused { kind: "in a batch" }.into());
                }
                self.propose_batch(invite, request, &info).await
            }
        }
    }

    async fn propose_batch(&self, invite: &Invite, request: &ProposeRequest, info: &OperatorInfo) -> Result<Proposal> {
        let (data, offer, fee) = self.batch_opening(invite, request, info).await?;
        let now = self.timestamp();
        let flow = Flow {
            id: offer.id(),
            kind: FlowKind::OpenPayer,
            step: PROPOSED.into(),
            data: super::batch::encode(&data)?,
            created_at: now,
            updated_at: now,
        };
        self.store.write::<_, Box<WalletError>>(|db| Ok(db.insert_flow(&flow)?))?;
        Ok(Proposal { offer, fee, channel_id: None })
    }

    /// The whole plan of an opening in a batch; stores nothing but fresh keys.
    pub(super) async fn batch_opening(
        &self,
        invite: &Invite,
        request: &ProposeRequest,
        info: &OperatorInfo,
    ) -> Result<(BatchData, Offer, Amount)> {
        let coins = self.funding_coins(request.funding, info).await?;
        let expiry = self.expected_expiry(info.unit(), &coins)?;
        // The fee is known only for a whole intent: pick coins for the capacity, ask, pick again if that was too little.
        let mut needed = request.capacity;
        for _ in 0..3 {
            let (picked, total) = pick_with_change(&coins, needed, request.capacity, info)?;
            let (key_index, payer) = self.store.write(|db| self.fresh_party(db, info, KeyUse::Payer))?;
            let terms = self.terms(invite, request, info, payer, expiry)?;
            let script = terms.tree()?.script_pubkey();
            let mut outputs = vec![OutputData { script, amount: request.capacity, onchain: false }];
            let change = total.checked_sub(request.capacity).unwrap_or(Amount::ZERO);
            if change > Amount::ZERO {
                let own = self.store.write(|db| self.fresh_vtxo(db, info))?;
                outputs.push(OutputData { script: own.script, amount: change, onchain: false });
            }
            let mut data = self.batch_data(&picked, outputs)?;
            data.other_cosigners = vec![invite.cosigner];
            let fee = self.batch_fee(&data).await?;
            needed = sum([request.capacity, fee]);
            if !set_change(&mut data, total, &mut needed, info) {
                continue;
            }
            let cosigner = self.keys.keypair(KeyUse::Cosigner, data.cosigner_index)?.public_key();
            let inputs = data.inputs.iter().map(|input| input.outpoint).collect();
            let offer = Offer { invite_id: invite.id(), terms, cosigner, funding: Funding::Batch { inputs } };
            offer.check_invite(invite, self.now().latest(info.unit()))?;
            data.opening = Some(OpeningData { offer: offer.to_text()?, key_index, valid_until: 0 });
            return Ok((data, offer, fee));
        }
        let available = sum(coins.iter().filter(|coin| !coin.locked).map(|coin| coin.amount));
        Err(Box::new(WalletError::InsufficientFunds { needed, available }))
    }

    /// The coins a kind of funding may use.
    async fn funding_coins(&self, funding: FundingChoice, info: &OperatorInfo) -> Result<Vec<Coin>> {
        let mut coins = match funding {
            FundingChoice::BatchFromBoarding => match self.boarding_coins().await? {
                Seen { coins, missing: Some(error) } if coins.is_empty() => return Err(Box::new(error.into())),
                Seen { coins, .. } => coins,
            },
            FundingChoice::Batch => self.vtxo_coins().await?,
            FundingChoice::Offchain | FundingChoice::Refund(_) => Vec::new(),
        };
        coins.retain(|coin| match funding {
            FundingChoice::BatchFromBoarding => {
                coin.kind == CoinKind::Boarding && coin.is_taken(info, self.now().unix())
            }
            FundingChoice::Batch => {
                matches!(coin.kind, CoinKind::Settled | CoinKind::Preconfirmed | CoinKind::Recoverable)
            }
            FundingChoice::Offchain | FundingChoice::Refund(_) => false,
        });
        Ok(coins)
    }

    /// How long the operator's batches live: as learned from one, else from an own VTXO, else seven days.
    pub(super) fn expected_expiry(&self, unit: Unit, coins: &[Coin]) -> Result<u64> {
        if let Some(known) = self.store.read::<_, Box<WalletError>>(|db| Ok(db.batch_expiry()?))? {
            return Ok(known.value());
        }
        let seen = coins.iter().filter(|coin| coin.kind == CoinKind::Settled && coin.expires_at > coin.created_at);
        let longest = seen.map(|coin| coin.expires_at - coin.created_at).max();
        Ok(longest.unwrap_or(assumed_batch_expiry(unit)))
    }

    /// The terms for a VTXO in a batch that begins about now.
    pub(super) fn terms(
        &self,
        invite: &Invite,
        request: &ProposeRequest,
        info: &OperatorInfo,
        payer: crate::channel::Party,
        batch_expiry: u64,
    ) -> Result<ChannelTerms> {
        let now = self.now();
        let expiry = now.latest(info.unit()).saturating_add(batch_expiry);
        self.terms_until(invite, request, info, payer, batch_expiry, expiry, &now)
    }

    /// The terms for a VTXO that expires at `expiry`.
    #[allow(clippy::too_many_arguments)]
    pub(super) fn terms_until(
        &self,
        invite: &Invite,
        request: &ProposeRequest,
        info: &OperatorInfo,
        payer: crate::channel::Party,
        batch_expiry: u64,
        expiry: u64,
        now: &Now,
    ) -> Result<ChannelTerms> {
        let unit = info.unit();
        let moment = now.latest(unit);
        let latest = default_locktime(unit, batch_expiry, expiry);
        let wished = request.lifetime.map_or(latest, |lifetime| moment.saturating_add(lifetime));
        let bound = moment.saturating_add(invite.bounds.max_lifetime);
        let exit = info.unilateral_exit_delay.value();
        let least = exit.max(invite.bounds.min_d1.value()).saturating_add(request.delay_margin);
        let d1 = Delay::at_least(unit, least)?;
        // d2 is all a payer waits when everybody else is gone: an invite may ask for more, not for months.
        let longest = exit.saturating_mul(MAX_EXIT_DELAYS);
        let wait = d1.value().saturating_add(invite.bounds.min_gap.max(d1.value()));
        if wait > longest.max(d1.value().saturating_mul(2)) {
            return Err(ChannelError::DelayTooLong { delay: wait, maximum: longest }.into());
        }
        // The receiver's time to answer an unrolled channel is d2 − d1: as asked for, and at least d1.
        let d2 = Delay::at_least(unit, d1.value().saturating_add(invite.bounds.min_gap.max(d1.value())))?;
        let terms = ChannelTerms {
            network: info.network,
            operator: info.signer,
            payer,
            receiver: invite.receiver,
            capacity: request.capacity,
            locktime: locktime(unit, wished.min(bound))?,
            d1,
            d2,
            authorisation: request.authorisation,
        };
        terms.check(info, now.unix())?;
        invite.check_terms(&terms, moment)?;
        let cutoff = info.check_signer(&terms.operator, now.unix())?;
        crate::channel::deadline::Timing::of(&terms, batch_expiry, expiry, 1, cutoff).check(moment)?;
        Ok(terms)
    }

    /// Drops a proposal that will not be opened. One whose opening failed with everything signed stays: its batch may
    /// still be published, and the terms lead to the money in it.
    pub fn cancel_proposal(&self, offer_id: &[u8; 32]) -> Result<()> {
        self.store.write(|db| {
            let flow = db.flow(offer_id)?.ok_or(WalletError::NotFound)?;
            if flow.kind != FlowKind::OpenPayer || flow.step != PROPOSED {
                return Err(WalletError::NotFound.into());
            }
            if let Some(txid) = decode::<BatchData>(&flow)?.latest_attempt() {
                return Err(WalletError::BatchUndecided { txid }.into());
            }
            Ok(db.delete_flow(offer_id)?)
        })
    }
}

/// Margins of the batch an operator makes, for quotes.
pub(super) fn margins(info: &OperatorInfo, batch_expiry: u64) -> Margins {
    Margins::of(info.unit(), batch_expiry)
}

/// Coins for `needed`, so that what is left beyond `capacity` is nothing or can be change.
pub(super) fn pick_with_change(
    coins: &[Coin],
    needed: Amount,
    capacity: Amount,
    info: &OperatorInfo,
) -> Result<(Vec<Coin>, Amount)> {
    let (picked, total) = select(coins, needed, MAX_INPUTS)?;
    let change = total.checked_sub(capacity).unwrap_or(Amount::ZERO);
    if change == Amount::ZERO || change >= info.min_amount() {
        return Ok((picked, total));
    }
    select(coins, sum([needed, info.min_amount()]), MAX_INPUTS)
}

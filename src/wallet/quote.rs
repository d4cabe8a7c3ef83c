//! What something would cost, before it is done.

use bitcoin::Amount;

use super::coins::sum;
use super::error::Result;
use super::propose::{FundingChoice, ProposeRequest, margins};
use super::{Wallet, WalletError};
use crate::channel::amount::Limits;
use crate::channel::deadline::Timing;
use crate::channel::message::{Invite, Offer};
use crate::channel::{AuthorisationPolicy, ChannelId, ChannelTerms, Unit};

/// Figures for a decision. Moments are in `unit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    pub unit: Unit,
    /// What the operator takes.
    pub fee: Amount,
    /// What leaves the wallet, without the fee.
    pub amount: Amount,
    /// The least and the most that are possible here.
    pub minimum: Amount,
    pub maximum: Amount,
    /// For a channel: the refund locktime, and until when it takes payments.
    pub locktime: Option<u64>,
    pub close_by: Option<u64>,
    /// Who must be trusted, in plain words.
    pub trust: Vec<&'static str>,
}

const TRUST_AUTHORISATION: &str = "Payer: what you have not paid depends on the receiver and the operator not both being dishonest, since the receiver can close without you.";
const TRUST_ON_CLOSE: &str = "Receiver: closing needs the payer online; without it only the way on chain is left.";
const TRUST_BATCH: &str = "Once the batch is confirmed, nobody can take the money back before the locktime.";
const TRUST_PRECONFIRMED: &str = "The channel is preconfirmed: payer and operator together could still spend it twice.";
const TRUST_EXPIRY: &str = "Go online before the deadline: expired money is in the operator's hands.";
const TRUST_REFUNDED: &str = "Preconfirmed until it is settled: you trust the operator not to let it be spent twice.";
const TRUST_SETTLED: &str = "Final once the batch's transaction is confirmed.";

impl Wallet {
    /// What opening a channel to `invite` would cost, and how long it would take payments. Nothing is spent; an
    /// off-chain opening is not funded.
    pub async fn quote_open(&self, invite: &Invite, request: &ProposeRequest) -> Result<Quote> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        invite.check_expiry(self.now().unix())?;
        let authorisation = match request.authorisation {
            AuthorisationPolicy::AtOpen => TRUST_AUTHORISATION,
            AuthorisationPolicy::OnClose => TRUST_ON_CLOSE,
        };
        let (terms, fee, trust): (ChannelTerms, Amount, Vec<&'static str>) = match request.funding {
            FundingChoice::Offchain => {
                let data = self.offchain_opening(invite, request, &info).await?;
                let opening = data.opening.ok_or(WalletError::CorruptFlow { what: "an opening" })?;
                let trust = vec![TRUST_PRECONFIRMED, authorisation, TRUST_EXPIRY];
                (Offer::parse(&opening.offer)?.terms, Amount::ZERO, trust)
            }
            FundingChoice::Refund(old) => {
                let data = self.refund_opening(invite, request, &info, &old).await?;
                let opening = data.opening.ok_or(WalletError::CorruptFlow { what: "an opening" })?;
                let trust = vec![TRUST_PRECONFIRMED, authorisation, TRUST_EXPIRY];
                (Offer::parse(&opening.offer)?.terms, Amount::ZERO, trust)
            }
            FundingChoice::Batch | FundingChoice::BatchFromBoarding => {
                let (_, offer, fee) = self.batch_opening(invite, request, &info).await?;
                (offer.terms, fee, vec![TRUST_BATCH, authorisation, TRUST_EXPIRY])
            }
        };
        let unit = terms.unit();
        let length = self.expected_expiry(unit, &[])?;
        let locktime = u64::from(terms.locktime.to_consensus_u32());
        let expiry = locktime.saturating_add(margins(&info, length).lead);
        let deadlines = Timing::of(&terms, length, expiry, 1, None).deadlines();
        let limits = Limits::of(&info);
        Ok(Quote {
            unit,
            fee,
            amount: terms.capacity,
            minimum: limits.min,
            maximum: limits.max,
            locktime: Some(locktime),
            close_by: Some(deadlines.close_by),
            trust,
        })
    }

    /// What [`Wallet::refund`] would cost: nothing, or once the channel has expired, the fee of the batch that takes it back.
    pub async fn quote_refund(&self, id: &ChannelId) -> Result<Quote> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        let loaded = self.loaded(id)?;
        self.check_refund_state(&loaded)?;
        let now = self.observe().await?;
        let expired = loaded.has_expired(&now);
        let fee = if expired { self.fee_to_take_back(&loaded).await? } else { Amount::ZERO };
        Ok(Quote {
            unit: loaded.unit(),
            fee,
            amount: loaded.record.capacity.checked_sub(fee).unwrap_or(Amount::ZERO),
            minimum: info.min_amount(),
            maximum: loaded.record.capacity,
            locktime: Some(loaded.channel.terms.locktime.to_consensus_u32().into()),
            close_by: None,
            trust: vec![if expired { TRUST_SETTLED } else { TRUST_REFUNDED }],
        })
    }

    /// What [`Wallet::settle`] would cost.
    pub async fn quote_settle(&self, renew: bool) -> Result<Quote> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        let coins = self.coins_to_settle(renew, &info).await?;
        let (data, fee) = self.settle_plan(&coins, &info).await?;
        Ok(Quote {
            unit: info.unit(),
            fee,
            amount: sum(data.outputs.iter().map(|output| output.amount)),
            minimum: info.min_amount(),
            maximum: info.max_amount(),
            locktime: None,
            close_by: None,
            trust: vec![TRUST_SETTLED, TRUST_EXPIRY],
        })
    }

    /// What [`Wallet::withdraw`] would cost.
    pub async fn quote_withdraw(&self, address: &str, amount: Option<Amount>) -> Result<Quote> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        let (_, fee, amount) = self.withdraw_plan(address, amount, &info).await?;
        Ok(Quote {
            unit: info.unit(),
            fee,
            amount,
            minimum: info.utxo_min.max(info.dust),
            maximum: info.utxo_max.unwrap_or(Amount::MAX_MONEY),
            locktime: None,
            close_by: None,
            trust: vec![TRUST_SETTLED],
        })
    }
}

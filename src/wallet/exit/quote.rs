//! What an exit would cost, and how long it would take, before anybody decides.

use std::collections::HashSet;

use bitcoin::{Amount, FeeRate, Txid};

use super::super::channels::CHILD_VBYTES;
use super::super::coins::sum;
use super::super::error::Result;
use super::super::{Wallet, WalletError};
use super::children::fee;
use super::claim::{ClaimTx, claim_delay};
use super::data::corrupt;
use super::drive::{AIM, Exit};
use crate::channel::amount::CHAIN_DUST;
use crate::channel::exit::ExitPath;
use crate::channel::{ChannelId, Delay, Unit};
use crate::store::{Flow, FlowKind};

/// A block takes so long on average, in seconds.
const BLOCK: u64 = 600;

/// The median time past, by which delays in seconds count, is about so far behind the clock.
const LAG: u64 = 3600;

/// The figures of an exit at a fee rate. Amounts are sats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitQuote {
    pub rate: FeeRate,
    /// What would be claimed, before any fee.
    pub claimed: Amount,
    /// Transactions of the way that are not confirmed yet.
    pub transactions: u32,
    /// How many of them must confirm one after the other.
    pub levels: u32,
    /// What the on-chain wallet pays for them.
    pub fee: Amount,
    /// What the claim pays for itself; where it is too small for that, the on-chain wallet does, and `fee` includes it.
    pub claim_fee: Amount,
    /// What is won in the end: the claim less all fees.
    pub net: Amount,
    /// Confirmed coins that the on-chain wallet has.
    pub has: Amount,
    /// What it lacks.
    pub missing: Amount,
    /// How many coins it needs at once: transactions of one level go out together, each with a coin of its own.
    pub coins: u32,
    /// Where more is to be paid to.
    pub address: String,
    /// How long the VTXO must have been on chain.
    pub delay: Delay,
    /// How long it takes until the claim is confirmed, about, in seconds.
    pub seconds: u64,
    /// From this claim on an exit wins more than it costs, at this rate.
    pub worth_from: Amount,
}

impl Wallet {
    /// What leaving a channel on chain costs and brings at `rate` (`None`: what the chain server says now), or what is
    /// left of it when it is under way. Decides nothing.
    pub async fn exit_quote(&self, id: &ChannelId, rate: Option<FeeRate>) -> Result<ExitQuote> {
        let data = self.planned_exit(id)?;
        let branch = self.store.read(|db| db.branch(&data.outpoint))?.ok_or_else(corrupt)?;
        let path = ExitPath::new(&branch, data.then.iter().map(|tx| tx.0.clone()));
        let flow = Flow {
            id: [0; 32],
            kind: FlowKind::Exit,
            step: String::new(),
            data: Vec::new(),
            created_at: 0,
            updated_at: 0,
        };
        let exit = Exit { flow, data, path, loaded: Some(self.loaded(id)?) };
        let rate = match rate {
            Some(rate) => rate.max(FeeRate::BROADCAST_MIN),
            None => self.net.chain.fees().await?.within(AIM),
        };
        let confirmed = self.confirmed_of(&exit.path).await?;
        let has = self.onchain_balance().await?.confirmed;
        let left = exit.path.nodes().iter().filter(|tx| !confirmed.contains(&tx.compute_txid()));
        let sizes: Vec<u64> = left.map(|tx| tx.vsize() as u64 + CHILD_VBYTES).collect();
        let way = sum(sizes.iter().map(|vbytes| fee(rate, *vbytes)));
        let claim_fee = match self.claim_tx(&exit)? {
            ClaimTx::Signed(tx) => fee(rate, tx.vsize() as u64 + CHILD_VBYTES),
            ClaimTx::Own(own, _) => fee(rate, own.vsize()),
        };
        let claimed = exit.data.amount;
        let pays_itself = claimed >= sum([claim_fee, CHAIN_DUST]);
        let cost = if pays_itself { way } else { sum([way, claim_fee]) };
        // A child must leave something over.
        let needed = if cost == Amount::ZERO { cost } else { sum([cost, CHAIN_DUST]) };
        let delay = claim_delay(self, &exit)?;
        let levels = exit.path.levels(&confirmed);
        let minus = |from: Amount, what: Amount| from.checked_sub(what).unwrap_or(Amount::ZERO);
        let waits = match delay.unit() {
            Unit::Blocks => delay.value() * BLOCK,
            Unit::Seconds => delay.value() + LAG,
        };
        Ok(ExitQuote {
            rate,
            claimed,
            transactions: sizes.len() as u32,
            levels: levels as u32,
            fee: cost,
            claim_fee,
            net: minus(claimed, sum([way, claim_fee])),
            has,
            missing: minus(needed, has),
            coins: exit.path.width(&confirmed) as u32,
            address: self.onchain_address()?,
            delay,
            seconds: (levels as u64 + u64::from(self.config.confirmations)) * BLOCK + waits,
            worth_from: sum([way, claim_fee, CHAIN_DUST]),
        })
    }

    /// The transactions of a way that are in blocks.
    pub(super) async fn confirmed_of(&self, path: &ExitPath) -> Result<HashSet<Txid>> {
        let mut confirmed = HashSet::new();
        let inside: HashSet<Txid> = path.nodes().iter().map(|tx| tx.compute_txid()).collect();
        for tx in path.nodes() {
            let parents = tx.input.iter().map(|input| input.previous_output.txid);
            // Below one that is not on chain nothing is.
            if parents.into_iter().any(|parent| inside.contains(&parent) && !confirmed.contains(&parent)) {
                continue;
            }
            let txid = tx.compute_txid();
            if self.net.chain.status(txid).await.map_err(WalletError::from)?.is_confirmed() {
                confirmed.insert(txid);
            }
        }
        Ok(confirmed)
    }
}

//! Settling that nobody asked for: only what is due, and only for a fee that is worth it.

use std::collections::HashSet;

use bitcoin::{Amount, FeeRate, OutPoint};

use super::batch::{BatchData, decode};
use super::coins::{Coin, CoinKind, Seen, sum};
use super::error::Result;
use super::propose::PROPOSED;
use super::settle::{MAX_INPUTS, Settlement};
use super::{Wallet, WalletError};
use crate::channel::OperatorInfo;

/// The fee may be this share of what is settled. Of what expires otherwise it may be half, but no more than it would cost
/// to take that out on chain: an operator that asks more is left, not paid.
const WORTH: u64 = 100;
pub(super) const WORTH_EXPIRING: u64 = 2;

/// A level of a branch with its child, and the claim with its child, in virtual bytes.
const LEVEL_VBYTES: u64 = 310;
const CLAIM_VBYTES: u64 = 270;

/// Levels of a branch that is not stored.
const USUAL_LEVELS: u64 = 3;

/// An exit is to be confirmed within so many blocks.
const AIM: u16 = 6;

/// How long the coins of a proposal are left to it, in seconds.
const PROPOSAL: u64 = 3600;

/// What is to be settled now.
struct Due {
    coins: Vec<Coin>,
    /// The most that may be paid for it.
    worth: Amount,
}

impl Due {
    /// Leaves out boarding coins that are dust beside the rest: anybody can send them, and their fees must not make it all
    /// too dear. Answers whether there were any.
    fn leave_dust(&mut self) -> bool {
        let most = self.coins.iter().map(|coin| coin.amount).max().unwrap_or_default();
        let is_dust = |coin: &Coin| coin.kind == CoinKind::Boarding && coin.amount < most / WORTH;
        let share = sum(self.coins.iter().filter(|coin| is_dust(coin)).map(|coin| coin.amount / WORTH));
        let all = self.coins.len();
        self.coins.retain(|coin| !is_dust(coin));
        self.worth = self.worth.checked_sub(share).unwrap_or(Amount::ZERO);
        self.coins.len() < all
    }
}

/// What came of it.
pub(super) enum Settled {
    Nothing,
    Done(Settlement),
    /// The fee for what is due, which is more than it is worth.
    TooDear(Amount),
}

impl Wallet {
    /// Settles what is due, when the operator's fee for exactly that is worth it. Nobody watches here, so the fee that
    /// is paid is the one that was judged.
    pub(super) async fn settle_due(&self) -> Result<Settled> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        let mut due = self.due_coins(&info).await?;
        if due.coins.is_empty() {
            return Ok(Settled::Nothing);
        }
        // Asked first with no key used up.
        let mut fee = self.fee_to_settle(&due.coins).await?;
        if fee > due.worth && due.leave_dust() {
            fee = self.fee_to_settle(&due.coins).await?;
        }
        if fee > due.worth {
            return Ok(Settled::TooDear(fee));
        }
        let (data, fee) = match self.settle_plan(&due.coins, &info).await.map_err(|error| *error) {
            Err(WalletError::FeesLeaveTooLittle { fee, .. }) => return Ok(Settled::TooDear(fee)),
            plan => plan?,
        };
        if fee > due.worth {
            return Ok(Settled::TooDear(fee));
        }
        self.settle_by(&data, fee).await.map(Settled::Done)
    }

    async fn due_coins(&self, info: &OperatorInfo) -> Result<Due> {
        let proposed = self.proposed_coins()?;
        // What is missing is said by the last look.
        let Seen { mut coins, .. } = self.coins().await?;
        let expires = |coin: &Coin| coin.expires_at > 0 && self.expires_in(coin, info) == 0;
        coins.retain(|coin| {
            let wanted = is_unsettled(coin) || expires(coin);
            wanted && !coin.locked && !proposed.contains(&coin.outpoint) && coin.is_taken(info, self.now().unix())
        });
        // First what would be lost, then the most: small coins, which anybody can send, may wait.
        coins.sort_unstable_by_key(|coin| (!expires(coin), std::cmp::Reverse(coin.amount)));
        coins.truncate(MAX_INPUTS);
        let rate = match coins.iter().any(expires) {
            // A server without estimates holds nothing up: at the least that is relayed.
            true => self.net.chain.fees().await.unwrap_or_default().within(AIM),
            false => FeeRate::BROADCAST_MIN,
        };
        let levels = |coin: &Coin| match self.store.read(|db| db.sound_branch(&coin.outpoint)) {
            Ok(Some(branch)) => branch.nodes.len() as u64,
            _ => USUAL_LEVELS,
        };
        let worth_of = |coin: &Coin| {
            let share = coin.amount / WORTH;
            if !expires(coin) {
                return share;
            }
            let exit = rate.fee_vb(levels(coin) * LEVEL_VBYTES + CLAIM_VBYTES).unwrap_or(Amount::MAX_MONEY);
            (coin.amount / WORTH_EXPIRING).min(exit).max(share)
        };
        let (mut total, mut worth) = (Amount::ZERO, Amount::ZERO);
        coins.retain(|coin| {
            let grown = sum([total, coin.amount]);
            // One VTXO holds so much; the rest comes next time.
            let fits = grown <= info.max_amount();
            if fits {
                total = grown;
                worth = sum([worth, worth_of(coin)]);
            }
            fits
        });
        Ok(Due { coins, worth })
    }

    /// Coins that proposals name: settling them would spoil an opening.
    fn proposed_coins(&self) -> Result<HashSet<OutPoint>> {
        let now = self.now().wall;
        let flows = self.store.read::<_, Box<WalletError>>(|db| Ok(db.flows()?))?;
        let mut coins = HashSet::new();
        for flow in flows.iter().filter(|flow| flow.step == PROPOSED) {
            if now < flow.updated_at.saturating_add(PROPOSAL) {
                coins.extend(decode::<BatchData>(flow)?.inputs.iter().map(|input| input.outpoint));
            }
        }
        Ok(coins)
    }
}

/// Whether a coin is to be brought into a batch. One in a batch that is not confirmed yet only waits.
fn is_unsettled(coin: &Coin) -> bool {
    match coin.kind {
        CoinKind::Boarding | CoinKind::Recoverable => true,
        CoinKind::Preconfirmed => !coin.in_batch,
        CoinKind::Settled | CoinKind::Unconfirmed => false,
    }
}

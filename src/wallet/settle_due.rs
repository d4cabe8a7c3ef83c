//! Settling that nobody asked for: only what is due, and only for a fee that is worth it.

use std::collections::HashSet;

use bitcoin::{Amount, OutPoint};

use super::batch::{BatchData, decode};
use super::coins::{Coin, CoinKind, sum};
use super::error::Result;
use super::propose::PROPOSED;
use super::settle::{MAX_INPUTS, Settlement};
use super::{Wallet, WalletError};
use crate::channel::OperatorInfo;

/// The fee may be this share of what is settled, or half of what expires otherwise.
const WORTH: u64 = 100;
const WORTH_EXPIRING: u64 = 2;

/// How long the coins of a proposal are left to it, in seconds.
const PROPOSAL: u64 = 3600;

/// What is to be settled now.
struct Due {
    coins: Vec<Coin>,
    /// The most that may be paid for it.
    worth: Amount,
}

impl Wallet {
    /// Settles what is due, when the operator's fee for exactly that is worth it. Nobody watches here, so the fee that
    /// is paid is the one that was judged.
    pub(super) async fn settle_due(&self) -> Result<Option<Settlement>> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        let due = self.due_coins(&info).await?;
        // Asked first with no key used up.
        if due.coins.is_empty() || self.fee_to_settle(&due.coins).await? > due.worth {
            return Ok(None);
        }
        let (data, fee) = match self.settle_plan(&due.coins, &info).await {
            Err(WalletError::FeesLeaveTooLittle { .. }) => return Ok(None),
            plan => plan?,
        };
        if fee > due.worth {
            return Ok(None);
        }
        self.settle_by(&data, fee).await.map(Some)
    }

    async fn due_coins(&self, info: &OperatorInfo) -> Result<Due> {
        let proposed = self.proposed_coins()?;
        let mut coins = self.coins().await?;
        let expires = |coin: &Coin| coin.expires_at > 0 && self.expires_in(coin, info) == 0;
        coins.retain(|coin| {
            let wanted = is_unsettled(coin) || expires(coin);
            wanted && !coin.locked && !proposed.contains(&coin.outpoint)
        });
        // First what would be lost, then what cannot be used otherwise.
        coins.sort_by_key(|coin| (!expires(coin), coin.kind != CoinKind::Boarding, std::cmp::Reverse(coin.amount)));
        coins.truncate(MAX_INPUTS);
        let (mut total, mut worth) = (Amount::ZERO, Amount::ZERO);
        coins.retain(|coin| {
            let grown = sum([total, coin.amount]);
            // One VTXO holds so much; the rest comes next time.
            let fits = grown <= info.max_amount();
            if fits {
                total = grown;
                worth = sum([worth, coin.amount / if expires(coin) { WORTH_EXPIRING } else { WORTH }]);
            }
            fits
        });
        Ok(Due { coins, worth })
    }

    /// Coins that proposals name: settling them would spoil an opening.
    fn proposed_coins(&self) -> Result<HashSet<OutPoint>> {
        let now = self.now().wall;
        let flows = self.store.read::<_, WalletError>(|db| Ok(db.flows()?))?;
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

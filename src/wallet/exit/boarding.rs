//! Coins at boarding addresses that go into no batch any more: their owner takes them alone, after the delay in their script.
//! They are on chain already, so there is no way to go and nothing to pay for but the claim.

use bitcoin::{Amount, FeeRate, Transaction};

use super::super::coins::{Coin, CoinKind, sum};
use super::super::error::Result;
use super::super::events::EventKind;
use super::super::{Wallet, WalletError};
use super::children::fee;
use super::coins::{coin_exit, give_up, not_worth};
use super::data::exit_flow;
use super::worth::{AIM, CLAIM_VBYTES, paid_for, pays_its_claim};
use super::{ExitInfo, ExitReason};
use crate::chain::Tip;
use crate::channel::Unit;
use crate::channel::amount::CHAIN_DUST;
use crate::channel::branch::{Branch, BranchNode};

/// Coins that are looked at in one run of maintenance, the largest first: anybody can send small ones.
const A_RUN: usize = 16;

/// The most that are left when the user asks.
const MOST: usize = 64;

/// What became of boarding coins, and when the next can be claimed, by the wall clock.
#[derive(Default)]
pub(in crate::wallet) struct Boarded {
    pub begun: bool,
    pub next: Option<u64>,
}

impl Wallet {
    /// Begins to leave with those of these boarding coins that can be claimed by now: no operator takes them into a batch.
    pub(in crate::wallet) async fn leave_ripe_boarding(&self, coins: &[Coin], tip: &Tip) -> Result<Boarded> {
        let mut done = Boarded::default();
        let mut ripe = Vec::new();
        let free = |coin: &&Coin| coin.kind == CoinKind::Boarding && !coin.locked && pays_its_claim(coin.amount);
        for coin in coins.iter().filter(free).take(A_RUN) {
            let (Some(block), Some(delay)) = (coin.block, coin.own.delay) else { continue };
            let (until, unit) = self.ripe_at(delay, block.height, block.hash).await?;
            let now = match unit {
                Unit::Blocks => u64::from(tip.height),
                Unit::Seconds => tip.median_time_past,
            };
            if now >= until {
                ripe.push(coin);
            } else {
                let moment = self.at(unit, until);
                done.next = Some(done.next.map_or(moment, |next: u64| next.min(moment)));
            }
        }
        if !ripe.is_empty() {
            done.begun = self.begin_boarding(ripe, ExitReason::Deadline).await?.0;
        }
        Ok(done)
    }

    /// Begins to leave with all confirmed boarding coins, of which no batch is to come: each is claimed once it can be. Answers
    /// those that are not worth it.
    pub(super) async fn leave_boarding(&self) -> Result<Vec<ExitInfo>> {
        let coins = self.boarding_coins().await?.coins;
        let confirmed = coins.iter().filter(|coin| coin.kind == CoinKind::Boarding).take(MOST);
        Ok(self.begin_boarding(confirmed.collect(), ExitReason::Asked).await?.1)
    }

    /// Begins to leave with boarding coins. Answers whether any exit began, and what is not worth it.
    async fn begin_boarding(&self, coins: Vec<&Coin>, why: ExitReason) -> Result<(bool, Vec<ExitInfo>)> {
        let rate = self.net.chain.fees().await.unwrap_or_default().within(AIM);
        let (mut begun, mut refused) = (false, Vec::new());
        for coin in coins {
            let cost = cost(rate, coin, why);
            if coin.amount <= sum([cost, CHAIN_DUST]) {
                refused.push(not_worth(coin.outpoint, None, (coin.amount, cost), 0));
                continue;
            }
            let Some(tx) = self.net.chain.transaction(coin.outpoint.txid).await? else { continue };
            begun |= self.begin_boarding_exit(coin, tx, why)?;
        }
        if begun {
            self.events.ring();
        }
        Ok((begun, refused))
    }

    fn begin_boarding_exit(&self, coin: &Coin, mut tx: Transaction, reason: ExitReason) -> Result<bool> {
        let (outpoint, own) = (coin.outpoint, &coin.own);
        let pays = tx.output.get(outpoint.vout as usize);
        if !pays.is_some_and(|output| output.script_pubkey == own.script && output.value == coin.amount) {
            return Ok(false);
        }
        // It is there already: how it was signed is of no interest, and may be large.
        tx.input.iter_mut().for_each(|input| input.witness.clear());
        let branch = Branch { nodes: vec![BranchNode { tx, cosigners: [].into() }] };
        let info = self.info()?;
        // While a flow is running its coins are its own.
        let idle = self.flow.try_lock().ok();
        self.store.write::<_, Box<WalletError>>(|db| {
            if db.flow(&exit_flow(&outpoint))?.is_some() {
                return Ok(false);
            }
            if let Some(by) = db.lock_of(&outpoint)?.filter(|_| idle.is_some() && reason == ExitReason::Asked) {
                give_up(db, &by)?;
            }
            if db.lock_of(&outpoint)?.is_some() {
                return Ok(false);
            }
            db.put_branch(&outpoint, &branch)?;
            let to = self.fresh_chain_payout(db, &info)?.script();
            self.insert_exit(db, &coin_exit(outpoint, coin.amount, own.script.clone(), to, 0, reason))?;
            db.lock_coins(&exit_flow(&outpoint), &[outpoint])?;
            // What spends it from now on is no surprise.
            db.coin_is_done(&outpoint, true)?;
            self.push_event(db, None, &EventKind::ExitBegan { outpoint, reason })?;
            Ok(true)
        })
    }
}

fn cost(rate: FeeRate, coin: &Coin, why: ExitReason) -> Amount {
    match why {
        ExitReason::Asked => fee(rate, CLAIM_VBYTES),
        _ => paid_for(rate, coin.amount, CLAIM_VBYTES),
    }
}

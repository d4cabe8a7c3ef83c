//! Paying from the on-chain wallet.

use bitcoin::{Amount, FeeRate, ScriptBuf, Transaction, TxOut, Txid, Weight};

use super::super::coins::sum;
use super::super::error::Result;
use super::super::{Wallet, WalletError};
use super::draft::Draft;
use super::picture::{OnchainCoin, Picture};
use super::sign::sign;
use super::state::{Known, OwnKey};
use crate::chain::ChainError;
use crate::log::note;
use crate::store::{ChannelState, Db, FlowKind};

/// Without a wish, a payment is to be confirmed within so many blocks.
const BLOCKS: u16 = 6;

/// What a server's estimate may cost at most, in sats a vbyte: a wrong one must not eat the money.
const MAX_ESTIMATE: u64 = 1_000;

/// No rate is higher, in sats a vbyte.
const MAX_RATE: u64 = 10_000;

/// Kept for each exit under way, in vbytes: a level of its branch with a child, replaced once.
const RESERVE: u64 = 1_500;

/// What a payment would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnchainQuote {
    /// What arrives.
    pub amount: Amount,
    pub fee: Amount,
    pub rate: FeeRate,
}

/// A payment, signed.
struct Payment {
    tx: Transaction,
    quote: OnchainQuote,
}

/// What is to be paid.
pub(super) struct Order {
    pub script: ScriptBuf,
    /// `None`: everything.
    pub amount: Option<Amount>,
    pub rate: FeeRate,
}

fn per_vbyte(sats: u64) -> FeeRate {
    FeeRate::from_sat_per_vb(sats).unwrap_or(FeeRate::MAX)
}

impl Wallet {
    /// What [`Wallet::send_onchain`] would pay now, and for what fee. Nothing is sent.
    pub async fn onchain_quote(
        &self,
        address: &str,
        amount: Option<Amount>,
        rate: Option<FeeRate>,
    ) -> Result<OnchainQuote> {
        let order = self.order(address, amount, rate).await?;
        self.sync_onchain().await?;
        Ok(self.store.read(|db| self.payment(db, &mut self.picture(db)?, &order))?.quote)
    }

    /// Pays from the confirmed coins of the on-chain wallet, payouts of exits among them: `amount` sats (`None`:
    /// everything, less the fee) at `rate` (between 1 and 10 000 sat/vB; `None`: the server's estimate for 6 blocks, at
    /// most 1 000). Coins that exits under way need for their fees stay: [`WalletError::ReservedForExits`].
    pub async fn send_onchain(&self, address: &str, amount: Option<Amount>, rate: Option<FeeRate>) -> Result<Txid> {
        let order = self.order(address, amount, rate).await?;
        let _flow = self.flow.lock().await;
        self.sync_onchain().await?;
        let since = self.timestamp();
        // Its coins are spent for us before it leaves.
        let payment = self.store.write::<_, Box<WalletError>>(|db| {
            let mut picture = self.picture(db)?;
            let payment = self.payment(db, &mut picture, &order)?;
            let mut tx = payment.tx.clone();
            tx.input.iter_mut().for_each(|input| input.witness.clear());
            picture.state.known.insert(tx.compute_txid(), Known { tx, place: None, since });
            picture.state.save(db)?;
            Ok(payment)
        })?;
        let sent = self.net.chain.broadcast(&payment.tx).await;
        if let Err(ChainError::Rejected { .. }) = sent {
            self.store.write::<_, Box<WalletError>>(|db| {
                let mut picture = self.picture(db)?;
                picture.state.known.remove(&payment.tx.compute_txid());
                picture.state.save(db)
            })?;
        }
        let txid = sent?;
        note!(Info, "paid {} on chain by {txid}, fee {}", payment.quote.amount, payment.quote.fee);
        Ok(txid)
    }

    async fn order(&self, address: &str, amount: Option<Amount>, rate: Option<FeeRate>) -> Result<Order> {
        let script = self.chain_script(address)?;
        let (minimum, maximum) = (script.minimal_non_dust(), Amount::MAX_MONEY);
        match amount {
            Some(amount) if amount < minimum => return Err(Box::new(WalletError::AmountTooSmall { amount, minimum })),
            Some(amount) if amount > maximum => return Err(Box::new(WalletError::AmountTooLarge { amount, maximum })),
            _ => {}
        }
        let rate = match rate {
            Some(rate) => rate.min(per_vbyte(MAX_RATE)),
            None => self.net.chain.fees().await?.within(BLOCKS).min(per_vbyte(MAX_ESTIMATE)),
        };
        Ok(Order { script, amount, rate: rate.max(FeeRate::BROADCAST_MIN) })
    }

    /// Picks coins, and signs.
    fn payment(&self, db: &Db<'_>, picture: &mut Picture, order: &Order) -> Result<Payment> {
        let free: Vec<OnchainCoin> =
            picture.coins().into_iter().filter(|coin| coin.confirmed && coin.spent_by.is_none()).collect();
        let (channels, _) = db.channels()?;
        let exiting = channels.iter().filter(|row| row.hot.state == ChannelState::Exiting).count();
        let exits = exiting.max(db.flows_of(FlowKind::Exit)?.len());
        let (kept, free) = keep_for_exits(free, exits, order.rate);
        let change = picture.state.next_change();
        let draft = Draft { order, change: picture.script(change)?, height: picture.state.tip.map(|tip| tip.height) };
        let picked = match order.amount {
            Some(amount) => draft.of(amount, &free),
            None => draft.of_everything(&free),
        };
        let (mut tx, coins) = picked.map_err(|error| match *error {
            WalletError::InsufficientFunds { available, .. } if !kept.is_empty() => {
                let reserved = sum(kept.iter().map(|coin| coin.output.value));
                WalletError::ReservedForExits { exits, reserved, available }
            }
            other => other,
        })?;
        let inputs: Vec<(TxOut, Option<OwnKey>)> =
            coins.iter().map(|coin| (coin.output.clone(), Some(coin.key))).collect();
        sign(&self.keys, &mut tx, &inputs)?;
        let spent = sum(inputs.iter().map(|(output, _)| output.value));
        let paid = tx.output.iter().find(|output| output.script_pubkey == order.script).map(|output| output.value);
        let fee = spent.checked_sub(sum(tx.output.iter().map(|output| output.value)));
        let (Some(amount), Some(fee)) = (paid, fee) else {
            return Err(Box::new(WalletError::CorruptFlow { what: "an on-chain payment" }));
        };
        Ok(Payment { tx, quote: OnchainQuote { amount, fee, rate: order.rate } })
    }
}

/// Divides the coins into those that exits under way keep, the largest first, and the others.
fn keep_for_exits(coins: Vec<OnchainCoin>, exits: usize, rate: FeeRate) -> (Vec<OnchainCoin>, Vec<OnchainCoin>) {
    let size = Weight::from_vb(RESERVE.saturating_mul(exits as u64)).unwrap_or(Weight::MAX);
    let reserve = rate.checked_mul_by_weight(size).unwrap_or(Amount::MAX_MONEY);
    let mut kept = Amount::ZERO;
    coins.into_iter().partition(|coin| {
        let keep = kept < reserve;
        if keep {
            kept = sum([kept, coin.output.value]);
        }
        keep
    })
}

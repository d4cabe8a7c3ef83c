//! Paying from the on-chain wallet.

use bdk_wallet::coin_selection::InsufficientFunds;
use bdk_wallet::error::CreateTxError;
use bitcoin::{Amount, FeeRate, Psbt, ScriptBuf, Transaction, TxOut, Txid, Weight, psbt};

use super::super::coins::sum;
use super::super::error::Result;
use super::super::keys::KeyUse;
use super::super::{Wallet, WalletError};
use super::picture::{OnchainCoin, Picture};
use super::sign::{sign, unsigned_witness};
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
struct Order {
    script: ScriptBuf,
    /// `None`: everything.
    amount: Option<Amount>,
    rate: FeeRate,
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
        let payment = self.store.write::<_, WalletError>(|db| {
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
            self.store.write::<_, WalletError>(|db| {
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
            Some(amount) if amount < minimum => return Err(WalletError::AmountTooSmall { amount, minimum }),
            Some(amount) if amount > maximum => return Err(WalletError::AmountTooLarge { amount, maximum }),
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
        let channels = db.channels()?;
        let exiting = channels.iter().filter(|row| row.hot.state == ChannelState::Exiting).count();
        let exits = exiting.max(db.flows_of(FlowKind::Exit)?.len());
        let (kept, free) = keep_for_exits(free, exits, order.rate);
        let payouts: Vec<&OnchainCoin> = free.iter().filter(|coin| coin.key.key_use == KeyUse::Chain).collect();
        let psbt = match picture.psbt(order, &kept, &[]) {
            // Payouts of exits only where they are needed: they are coins of channels, and would be seen together.
            Ok(psbt) if order.amount.is_some() || payouts.is_empty() => Ok(psbt),
            _ => picture.psbt(order, &kept, &payouts),
        };
        let available = sum(free.iter().map(|coin| coin.output.value));
        let psbt = psbt.map_err(|error| match refusal(error, available) {
            WalletError::InsufficientFunds { available, .. } if !kept.is_empty() => WalletError::ReservedForExits {
                exits,
                reserved: sum(kept.iter().map(|coin| coin.output.value)),
                available,
            },
            other => other,
        })?;
        self.signed(psbt, order, &free)
    }

    fn signed(&self, psbt: Psbt, order: &Order, coins: &[OnchainCoin]) -> Result<Payment> {
        let refused = || WalletError::CorruptFlow { what: "an on-chain payment" };
        let mut tx = psbt.unsigned_tx;
        let inputs: Option<Vec<(TxOut, Option<OwnKey>)>> = tx
            .input
            .iter()
            .map(|input| {
                let coin = coins.iter().find(|coin| coin.outpoint == input.previous_output)?;
                Some((coin.output.clone(), Some(coin.key)))
            })
            .collect();
        let inputs = inputs.ok_or_else(refused)?;
        sign(&self.keys, &mut tx, &inputs)?;
        let paid = tx.output.iter().find(|output| output.script_pubkey == order.script).ok_or_else(refused)?.value;
        let spent = sum(inputs.iter().map(|(output, _)| output.value));
        let fee = spent.checked_sub(sum(tx.output.iter().map(|output| output.value))).ok_or_else(refused)?;
        if order.amount.is_some_and(|amount| amount != paid) {
            return Err(refused());
        }
        Ok(Payment { tx, quote: OnchainQuote { amount: paid, fee, rate: order.rate } })
    }
}

impl Picture {
    /// The payment, unsigned: from confirmed coins but `kept`, and all of `payouts`.
    fn psbt(
        &mut self,
        order: &Order,
        kept: &[OnchainCoin],
        payouts: &[&OnchainCoin],
    ) -> std::result::Result<Psbt, CreateTxError> {
        let change = self.state.next_change();
        let change = self.script(change);
        let mut builder = self.wallet.build_tx();
        builder.fee_rate(order.rate).exclude_unconfirmed();
        kept.iter().for_each(|coin| {
            builder.add_unspendable(coin.outpoint);
        });
        for coin in payouts {
            let input = psbt::Input { witness_utxo: Some(coin.output.clone()), ..psbt::Input::default() };
            let satisfaction = Weight::from_wu(unsigned_witness().size() as u64);
            // Refused only where the builder knows the coin itself.
            let _ = builder.add_foreign_utxo(coin.outpoint, input, satisfaction);
        }
        match order.amount {
            Some(amount) => builder.add_recipient(order.script.clone(), amount).drain_to(change),
            None => builder.drain_wallet().drain_to(order.script.clone()),
        };
        builder.finish()
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

/// Why there is no such payment.
fn refusal(error: CreateTxError, available: Amount) -> WalletError {
    match error {
        CreateTxError::CoinSelection(InsufficientFunds { needed, .. }) => {
            WalletError::InsufficientFunds { needed, available }
        }
        _ => WalletError::CorruptFlow { what: "an on-chain payment" },
    }
}

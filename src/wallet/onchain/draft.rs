//! A payment before it is signed: which coins, and what is left over.

use bdk_wallet::coin_selection::SingleRandomDraw;
use bdk_wallet::coin_selection::{BranchAndBoundCoinSelection, CoinSelectionAlgorithm, InsufficientFunds};
use bdk_wallet::{Utxo, WeightedUtxo};
use bitcoin::{Amount, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Weight, absolute, psbt, transaction};

use super::super::WalletError;
use super::super::coins::sum;
use super::super::error::Result;
use super::super::keys::KeyUse;
use super::picture::OnchainCoin;
use super::send::Order;
use super::sign::unsigned_witness;
use crate::channel::amount::CHAIN_DUST;

/// Coins that one payment can spend; a node's limit is some seventeen hundred.
const MAX_INPUTS: usize = 1_000;

/// What bdk's count of a transaction may lack for rounding and for many inputs.
const MARGIN: Weight = Weight::from_wu(16);

type Picked = (Transaction, Vec<OnchainCoin>);

pub(super) struct Draft<'a> {
    pub order: &'a Order,
    pub change: ScriptBuf,
    /// The end of the chain, so that nobody gains by mining an older block again.
    pub height: Option<u32>,
}

impl Draft<'_> {
    /// Pays `amount`, from payouts of exits only where the others are not enough: they are coins of channels, and would
    /// be seen together.
    pub fn of(&self, amount: Amount, coins: &[OnchainCoin]) -> Result<Picked> {
        let usual: Vec<OnchainCoin> = coins.iter().filter(|coin| coin.key.key_use != KeyUse::Chain).cloned().collect();
        self.pick(amount, &usual).or_else(|_| self.pick(amount, coins))
    }

    /// Pays all coins that are worth more than they cost.
    pub fn of_everything(&self, coins: &[OnchainCoin]) -> Result<Picked> {
        let cost = self.fee(self.transaction(1, &[]).weight() - self.transaction(0, &[]).weight());
        let worth: Vec<OnchainCoin> =
            coins.iter().filter(|coin| coin.output.value > cost).take(MAX_INPUTS).cloned().collect();
        let total = sum(worth.iter().map(|coin| coin.output.value));
        let output = |value| TxOut { value, script_pubkey: self.order.script.clone() };
        let fee = self.fee_of(&self.transaction(worth.len().max(1), &[output(total)]));
        let minimum = self.order.script.minimal_non_dust();
        match total.checked_sub(fee).filter(|paid| *paid >= minimum) {
            Some(paid) => Ok((self.spending(&worth, &[output(paid)]), worth)),
            None => Err(Box::new(WalletError::InsufficientFunds { needed: sum([fee, minimum]), available: total })),
        }
    }

    fn pick(&self, amount: Amount, coins: &[OnchainCoin]) -> Result<Picked> {
        let available = sum(coins.iter().map(|coin| coin.output.value));
        let lacking = |needed| WalletError::InsufficientFunds { needed, available };
        let paid = TxOut { value: amount, script_pubkey: self.order.script.clone() };
        let base = self.fee(self.transaction(0, std::slice::from_ref(&paid)).weight() + MARGIN);
        let target = sum([amount, base]);
        if target > available {
            return Err(Box::new(lacking(sum([
                self.fee_of(&self.transaction(1, std::slice::from_ref(&paid))),
                amount,
            ]))));
        }
        let optional = coins.iter().take(MAX_INPUTS).map(weighted).collect();
        let selection = BranchAndBoundCoinSelection::<SingleRandomDraw>::default();
        let mut random = secp256k1::rand::thread_rng();
        let selected = selection
            .coin_select(Vec::new(), optional, self.order.rate, target, &self.change, &mut random)
            .map_err(|InsufficientFunds { needed, .. }| lacking(needed))?;
        let picked: Vec<OnchainCoin> = selected
            .selected
            .iter()
            .filter_map(|utxo| coins.iter().find(|coin| coin.outpoint == utxo.outpoint()).cloned())
            .collect();
        let total = sum(picked.iter().map(|coin| coin.output.value));
        let both = [paid.clone(), TxOut { value: Amount::ZERO, script_pubkey: self.change.clone() }];
        let needed = sum([amount, self.fee_of(&self.transaction(picked.len(), &both))]);
        let mut outputs = vec![paid];
        match total.checked_sub(needed).filter(|rest| *rest >= CHAIN_DUST) {
            Some(value) => outputs.push(TxOut { value, script_pubkey: self.change.clone() }),
            // What is left is too little to be an output.
            None => {
                let needed = sum([amount, self.fee_of(&self.transaction(picked.len(), &outputs))]);
                if total < needed {
                    return Err(Box::new(lacking(needed)));
                }
            }
        }
        // Which one is change is nobody's business.
        outputs.sort_unstable_by(|a, b| a.script_pubkey.cmp(&b.script_pubkey));
        Ok((self.spending(&picked, &outputs), picked))
    }

    fn spending(&self, coins: &[OnchainCoin], outputs: &[TxOut]) -> Transaction {
        let mut tx = self.transaction(coins.len(), outputs);
        for (input, coin) in tx.input.iter_mut().zip(coins) {
            input.previous_output = coin.outpoint;
        }
        tx
    }

    /// A transaction of the size that a signed one has.
    fn transaction(&self, inputs: usize, outputs: &[TxOut]) -> Transaction {
        let sequence = Sequence::ENABLE_RBF_NO_LOCKTIME;
        let input = TxIn { sequence, witness: unsigned_witness(), ..TxIn::default() };
        let height = self.height.and_then(|height| absolute::LockTime::from_height(height).ok());
        Transaction {
            version: transaction::Version::TWO,
            lock_time: height.unwrap_or(absolute::LockTime::ZERO),
            input: vec![input; inputs],
            output: outputs.to_vec(),
        }
    }

    fn fee_of(&self, tx: &Transaction) -> Amount {
        self.fee(Weight::from_vb(tx.vsize() as u64).unwrap_or(Weight::MAX))
    }

    fn fee(&self, weight: Weight) -> Amount {
        self.order.rate.checked_mul_by_weight(weight).unwrap_or(Amount::MAX_MONEY)
    }
}

/// A coin as bdk counts it: by what its signature weighs.
fn weighted(coin: &OnchainCoin) -> WeightedUtxo {
    let psbt_input = Box::new(psbt::Input { witness_utxo: Some(coin.output.clone()), ..psbt::Input::default() });
    WeightedUtxo {
        satisfaction_weight: Weight::from_wu(unsigned_witness().size() as u64),
        utxo: Utxo::Foreign { outpoint: coin.outpoint, sequence: Sequence::ENABLE_RBF_NO_LOCKTIME, psbt_input },
    }
}

//! Children that pay the fee of a parent without one.

use std::collections::HashSet;

use bitcoin::{Amount, FeeRate, OutPoint, ScriptBuf, Sequence, Transaction, TxOut, Txid, Weight, absolute};

use super::super::coins::sum;
use super::super::error::Result;
use super::super::keys::KeyUse;
use super::super::{Wallet, WalletError};
use super::picture::OnchainCoin;
use super::sign::{sign, unsigned_witness};
use super::state::OwnKey;
use crate::channel::amount::CHAIN_DUST;
use crate::channel::offchain::{unsigned_input, version3};
use crate::channel::script::ANCHOR_SCRIPT;

/// A version 3 child of an unconfirmed parent is no larger (bitcoind's rule), in vbytes.
pub(super) const MAX_CHILD: u64 = 1_000;

/// An output of a parent that pays to an on-chain payout of this wallet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnedOutput {
    pub vout: u32,
    /// The index of its key in `m/86'/coin'/0'/0`.
    pub key_index: u32,
}

/// Something a child can spend beside the anchor.
#[derive(Clone)]
struct Input {
    outpoint: OutPoint,
    output: TxOut,
    key: OwnKey,
}

/// What a child is made of.
struct Plan<'a> {
    parent_size: u64,
    anchor: Input,
    rate: FeeRate,
    at_least: Amount,
    script: &'a ScriptBuf,
}

impl Wallet {
    /// A signed version 3 child (at most 1000 vB) that spends the anchor of `parent`, which pays no fee itself, and pays
    /// `rate` for both, at least `at_least`. It spends the outputs `own` of the parent where they are enough, else
    /// confirmed coins of the on-chain wallet, none of `avoid` (those that other children spend at this moment); coins
    /// that an earlier child of the same parent spends may be spent again, since this one replaces it. What is left goes
    /// to a script of the on-chain wallet, which is durable before this returns. Nothing is broadcast; no network.
    ///
    /// [`WalletError::InsufficientFeeCoins`] says what is needed, what is there, and where to pay more to.
    pub fn fee_child(
        &self,
        parent: &Transaction,
        rate: FeeRate,
        at_least: Amount,
        own: &[OwnedOutput],
        avoid: &[OutPoint],
    ) -> Result<Transaction> {
        Ok(self.paying_child(parent, rate, at_least, own, avoid, &HashSet::new())?.0)
    }

    /// The same, with what it pays. `gone`: transactions of this wallet that hold no coins back any more.
    pub(in crate::wallet) fn paying_child(
        &self,
        parent: &Transaction,
        rate: FeeRate,
        at_least: Amount,
        own: &[OwnedOutput],
        avoid: &[OutPoint],
        gone: &HashSet<Txid>,
    ) -> Result<(Transaction, Amount)> {
        let anchor = self.anchor_of(parent)?;
        let own = self.owned(parent, own)?;
        self.store.write(|db| {
            let mut picture = self.picture(db)?;
            let replaces = |coin: &OnchainCoin| match coin.spent_by {
                None => true,
                Some(txid) if gone.contains(&txid) => true,
                Some(txid) => picture
                    .transaction(&txid)
                    .is_some_and(|tx| tx.input.iter().any(|input| input.previous_output == anchor.outpoint)),
            };
            let coins: Vec<Input> = picture
                .coins()
                .into_iter()
                .filter(|coin| coin.confirmed && !avoid.contains(&coin.outpoint) && replaces(coin))
                .map(|coin| Input { outpoint: coin.outpoint, output: coin.output, key: coin.key })
                .collect();
            let change = picture.state.next_change();
            let script = picture.script(change)?;
            let parent_size = parent.vsize() as u64;
            let plan = Plan { parent_size, anchor: anchor.clone(), rate, at_least, script: &script };
            let picked = plan.pick(&own, &coins);
            let (mut child, inputs) = match picked {
                Ok(picked) => picked,
                Err((needed, available)) => {
                    let address = self.fee_address(&mut picture)?;
                    return Err(WalletError::InsufficientFeeCoins { needed, available, address }.into());
                }
            };
            let spent = sum(inputs.iter().map(|input| input.output.value).chain([anchor.output.value]));
            let paid = spent.checked_sub(sum(child.output.iter().map(|output| output.value))).unwrap_or(Amount::ZERO);
            let keys = std::iter::once((anchor.output.clone(), None));
            let keys: Vec<_> = keys.chain(inputs.into_iter().map(|input| (input.output, Some(input.key)))).collect();
            sign(&self.keys, &mut child, &keys)?;
            picture.state.save(db)?;
            Ok((child, paid))
        })
    }

    fn anchor_of(&self, parent: &Transaction) -> Result<Input> {
        let mut outputs = parent.output.iter().zip(0..);
        let anchor = outputs.find(|(output, _)| output.script_pubkey.as_bytes() == ANCHOR_SCRIPT);
        let (output, vout) = anchor.ok_or(WalletError::CorruptFlow { what: "a parent without an anchor" })?;
        let key = OwnKey { key_use: KeyUse::Chain, index: 0 };
        Ok(Input { outpoint: OutPoint::new(parent.compute_txid(), vout), output: output.clone(), key })
    }

    fn owned(&self, parent: &Transaction, own: &[OwnedOutput]) -> Result<Vec<Input>> {
        let txid = parent.compute_txid();
        let inputs = own.iter().map(|own| {
            let output = parent.output.get(own.vout as usize).ok_or(WalletError::NotFound)?;
            if self.keys.chain_payout(own.key_index)?.script() != output.script_pubkey {
                return Err(WalletError::NotFound.into());
            }
            let key = OwnKey { key_use: KeyUse::Chain, index: own.key_index };
            Ok(Input { outpoint: OutPoint::new(txid, own.vout), output: output.clone(), key })
        });
        inputs.collect()
    }
}

impl Plan<'_> {
    /// The own outputs alone, else the smallest coin that is enough, else the largest ones, else these with the own
    /// outputs. If nothing is enough: what the largest ones would have to be, and what they are.
    fn pick(&self, own: &[Input], coins: &[Input]) -> std::result::Result<(Transaction, Vec<Input>), (Amount, Amount)> {
        if !own.is_empty()
            && let Ok(child) = self.child(own)
        {
            return Ok((child, own.to_vec()));
        }
        let singles = coins.iter().rev().map(std::slice::from_ref);
        let several =
            (2..=coins.len()).filter_map(|count| coins.get(..count)).take_while(|coins| self.fits(coins.len()));
        let mut best = None;
        for inputs in singles.chain(several) {
            match self.child(inputs) {
                Ok(child) => return Ok((child, inputs.to_vec())),
                Err(short) => best = Some(closer(best, short)),
            }
        }
        if !own.is_empty() {
            for count in 1..=coins.len() {
                let inputs: Vec<Input> = own.iter().chain(coins.iter().take(count)).cloned().collect();
                if !self.fits(inputs.len()) {
                    break;
                }
                match self.child(&inputs) {
                    Ok(child) => return Ok((child, inputs)),
                    Err(short) => best = Some(closer(best, short)),
                }
            }
        }
        // A coin of its own is what can be asked for.
        Err(best.unwrap_or_else(|| (self.needed(1), Amount::ZERO)))
    }

    fn fits(&self, inputs: usize) -> bool {
        self.size(inputs) <= MAX_CHILD
    }

    /// vbytes of a child that spends so many inputs beside the anchor.
    fn size(&self, inputs: usize) -> u64 {
        let mut tx = self.unsigned(&vec![self.anchor.outpoint; inputs], Amount::ZERO);
        tx.input.iter_mut().skip(1).for_each(|input| input.witness = unsigned_witness());
        tx.vsize() as u64
    }

    fn unsigned(&self, outpoints: &[OutPoint], value: Amount) -> Transaction {
        let spent = std::iter::once(&self.anchor.outpoint).chain(outpoints);
        let inputs = spent.map(|outpoint| unsigned_input(*outpoint, Sequence::ENABLE_RBF_NO_LOCKTIME)).collect();
        version3(absolute::LockTime::ZERO, inputs, vec![TxOut { value, script_pubkey: self.script.clone() }])
    }

    fn fee(&self, inputs: usize) -> Amount {
        let vbytes = self.parent_size.saturating_add(self.size(inputs));
        let fee = Weight::from_vb(vbytes).and_then(|weight| self.rate.checked_mul_by_weight(weight));
        fee.unwrap_or(Amount::MAX_MONEY).max(self.at_least)
    }

    /// What so many inputs must be worth.
    fn needed(&self, inputs: usize) -> Amount {
        sum([self.fee(inputs), CHAIN_DUST])
    }

    /// The child, unsigned; or what is needed and what is there.
    fn child(&self, inputs: &[Input]) -> std::result::Result<Transaction, (Amount, Amount)> {
        let total = sum(inputs.iter().map(|input| input.output.value).chain([self.anchor.output.value]));
        let needed = self.needed(inputs.len());
        let fee = self.fee(inputs.len());
        let rest = total.checked_sub(fee).filter(|rest| *rest >= CHAIN_DUST).ok_or((needed, total))?;
        let outpoints: Vec<OutPoint> = inputs.iter().map(|input| input.outpoint).collect();
        Ok(self.unsigned(&outpoints, rest))
    }
}

/// Of two that are not enough, the one that lacks less.
fn closer(best: Option<(Amount, Amount)>, other: (Amount, Amount)) -> (Amount, Amount) {
    let lacks = |(needed, available): &(Amount, Amount)| needed.checked_sub(*available).unwrap_or(Amount::ZERO);
    best.filter(|best| lacks(best) <= lacks(&other)).unwrap_or(other)
}

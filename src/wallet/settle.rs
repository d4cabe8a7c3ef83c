//! Settling: boarding coins and VTXOs into one fresh VTXO; and withdrawing on chain.

use bitcoin::hex::DisplayHex;
use bitcoin::{Address, Amount, OutPoint, Txid};

use super::batch::{BatchData, InputData, OutcomeData, OutputData};
use super::coins::{Coin, CoinKind, Seen, sum};
use super::error::Result;
use super::propose::pick_with_change;
use super::retry::Retry;
use super::{Wallet, WalletError};
use crate::channel::OperatorInfo;
use crate::channel::terms::tagged_hash;
use crate::log::note;
use crate::store::FlowKind;

/// The most coins one intent takes.
pub(super) const MAX_INPUTS: usize = 32;

/// What a batch made of the wallet's coins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub commitment_txid: Txid,
    /// The new VTXO; none where everything was withdrawn.
    pub outpoint: Option<OutPoint>,
    /// In the new VTXO, or paid on chain.
    pub amount: Amount,
    pub fee: Amount,
}

impl Wallet {
    /// Moves all boarding coins and all VTXOs that are in no batch yet (also expired ones) into one fresh VTXO, final
    /// once the batch's commitment transaction is confirmed. With `renew` settled VTXOs too, which gives them the
    /// full lifetime again.
    pub async fn settle(&self, renew: bool) -> Result<Settlement> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        let coins = self.coins_to_settle(renew, &info).await?;
        let (data, fee) = self.settle_plan(&coins, &info).await?;
        self.settle_by(&data, fee).await
    }

    /// Runs the batch of a plan; the flow is locked.
    pub(super) async fn settle_by(&self, data: &BatchData, fee: Amount) -> Result<Settlement> {
        let id = self.flow_id("settle", data)?;
        self.start_batch(id, FlowKind::Settle, data)?;
        let outcome = self.try_batch(id, data).await?;
        let amount = sum(data.outputs.iter().map(|output| output.amount));
        Ok(Settlement { commitment_txid: outcome.commitment, outpoint: outcome.leaves.first().copied(), amount, fee })
    }

    pub(super) async fn coins_to_settle(&self, renew: bool, info: &OperatorInfo) -> Result<Vec<Coin>> {
        let Seen { mut coins, missing } = self.coins().await?;
        coins.retain(|coin| {
            let wanted = match coin.kind {
                CoinKind::Unconfirmed => false,
                CoinKind::Settled => renew,
                // One in a batch already only waits for its confirmation: a second batch would cost a second fee.
                CoinKind::Preconfirmed => renew || !coin.in_batch,
                CoinKind::Boarding | CoinKind::Recoverable => true,
            };
            wanted && !coin.locked && coin.is_taken(info, self.now().unix())
        });
        // The most first: small coins, which anybody can send, may wait.
        coins.sort_unstable_by_key(|coin| std::cmp::Reverse(coin.amount));
        coins.truncate(MAX_INPUTS);
        match missing {
            _ if !coins.is_empty() => Ok(coins),
            Some(error) => Err(Box::new(error.into())),
            None => Err(Box::new(WalletError::NothingToSettle)),
        }
    }

    pub(super) async fn settle_plan(&self, coins: &[Coin], info: &OperatorInfo) -> Result<(BatchData, Amount)> {
        let total = sum(coins.iter().map(|coin| coin.amount));
        let own = self.store.write(|db| self.fresh_vtxo(db, info))?;
        let mut data =
            self.batch_data(coins, vec![OutputData { script: own.script, amount: total, onchain: false }])?;
        let fee = self.batch_fee(&data).await?;
        let left = total.checked_sub(fee).unwrap_or(Amount::ZERO);
        if left < info.min_amount() {
            return Err(Box::new(WalletError::FeesLeaveTooLittle { fee, left, minimum: info.min_amount() }));
        }
        if left > info.max_amount() {
            return Err(Box::new(WalletError::AmountTooLarge { amount: left, maximum: info.max_amount() }));
        }
        if let Some(output) = data.outputs.first_mut() {
            output.amount = left;
        }
        Ok((data, fee))
    }

    /// The fee for settling these coins. Uses no key up, however often it is asked: the output stands for a fresh one.
    pub(super) async fn fee_to_settle(&self, coins: &[Coin]) -> Result<Amount> {
        let script = coins.first().ok_or(WalletError::NothingToSettle)?.own.script.clone();
        let amount = sum(coins.iter().map(|coin| coin.amount));
        let outputs = vec![OutputData { script, amount, onchain: false }];
        self.batch_fee(&BatchData {
            inputs: coins.iter().map(InputData::of).collect(),
            outputs,
            cosigner_index: 0,
            other_cosigners: Vec::new(),
            opening: None,
            outcome: None,
            earlier: Vec::new(),
        })
        .await
    }

    /// Pays `amount` (`None`: everything) from VTXOs to an on-chain address, in a batch. Fees come on top of an amount,
    /// out of everything.
    pub async fn withdraw(&self, address: &str, amount: Option<Amount>) -> Result<Settlement> {
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        self.observe().await?;
        let (data, fee, amount) = self.withdraw_plan(address, amount, &info).await?;
        let id = self.flow_id("withdraw", &data)?;
        self.start_batch(id, FlowKind::Withdraw, &data)?;
        let outcome = self.try_batch(id, &data).await?;
        let outpoint = outcome.leaves.first().copied();
        Ok(Settlement { commitment_txid: outcome.commitment, outpoint, amount, fee })
    }

    pub(super) async fn withdraw_plan(
        &self,
        address: &str,
        amount: Option<Amount>,
        info: &OperatorInfo,
    ) -> Result<(BatchData, Amount, Amount)> {
        let script = self.chain_script(address)?;
        let coins = self.vtxo_coins().await?;
        match amount {
            Some(amount) => self.withdraw_amount(&coins, script, amount, info).await,
            None => self.withdraw_everything(&coins, script, info).await,
        }
    }

    /// Exactly `amount` arrives; the fee and what cannot be change come out of more coins.
    async fn withdraw_amount(
        &self,
        coins: &[Coin],
        script: bitcoin::ScriptBuf,
        amount: Amount,
        info: &OperatorInfo,
    ) -> Result<(BatchData, Amount, Amount)> {
        check_utxo(amount, info)?;
        let mut needed = amount;
        // The fee is known only for a whole intent.
        for _ in 0..3 {
            let (picked, total) = pick_with_change(coins, needed, amount, info)?;
            let mut data =
                self.batch_data(&picked, vec![OutputData { script: script.clone(), amount, onchain: true }])?;
            let change = total.checked_sub(amount).unwrap_or(Amount::ZERO);
            if change > Amount::ZERO {
                let own = self.store.write(|db| self.fresh_vtxo(db, info))?;
                data.outputs.push(OutputData { script: own.script, amount: change, onchain: false });
            }
            let fee = self.batch_fee(&data).await?;
            needed = sum([amount, fee]);
            if !set_change(&mut data, total, &mut needed, info) {
                continue;
            }
            return Ok((data, fee, amount));
        }
        let available = sum(coins.iter().filter(|coin| !coin.locked).map(|coin| coin.amount));
        Err(Box::new(WalletError::InsufficientFunds { needed, available }))
    }

    /// All coins, less the fee.
    async fn withdraw_everything(
        &self,
        coins: &[Coin],
        script: bitcoin::ScriptBuf,
        info: &OperatorInfo,
    ) -> Result<(BatchData, Amount, Amount)> {
        let free: Vec<Coin> = coins.iter().filter(|coin| !coin.locked).take(MAX_INPUTS).cloned().collect();
        if free.is_empty() {
            return Err(Box::new(WalletError::InsufficientFunds { needed: info.utxo_min, available: Amount::ZERO }));
        }
        let total = sum(free.iter().map(|coin| coin.amount));
        let mut data = self.batch_data(&free, vec![OutputData { script, amount: total, onchain: true }])?;
        let fee = self.batch_fee(&data).await?;
        let (left, minimum) = (total.checked_sub(fee).unwrap_or(Amount::ZERO), info.utxo_min.max(info.dust));
        if left < minimum {
            return Err(Box::new(WalletError::FeesLeaveTooLittle { fee, left, minimum }));
        }
        check_utxo(left, info)?;
        if let Some(output) = data.outputs.first_mut() {
            output.amount = left;
        }
        Ok((data, fee, left))
    }

    pub(super) fn batch_data(&self, coins: &[Coin], outputs: Vec<OutputData>) -> Result<BatchData> {
        Ok(BatchData {
            inputs: coins.iter().map(InputData::of).collect(),
            outputs,
            cosigner_index: self.store.write(|db| db.next_key_index())?,
            other_cosigners: Vec::new(),
            opening: None,
            outcome: None,
            earlier: Vec::new(),
        })
    }

    /// A few attempts at a batch; afterwards the flow is gone, unless its outcome is not known.
    pub(super) async fn try_batch(&self, id: [u8; 32], data: &BatchData) -> Result<OutcomeData> {
        let mut retry = Retry::new(self.info()?.session_seconds);
        loop {
            match self.run_batch(id).await {
                Ok(outcome) => {
                    self.end_batch(id, data)?;
                    return Ok(outcome);
                }
                Err(error) if error.is_for_later() => return Err(error),
                Err(error) => {
                    if let Some(pause) = retry.after(&error) {
                        note!(Warn, "flow {}: again in {} s: {error}", id.as_hex(), pause.as_secs());
                        tokio::time::sleep(pause).await;
                        self.events.progress(&id, super::Step::BatchRetry);
                        continue;
                    }
                    // Best effort: an intent that stays behind only locks our own coins until it ends.
                    let _ = self.delete_intents(data).await;
                    self.store.write(|db| db.delete_flow(&id))?;
                    return Err(error);
                }
            }
        }
    }

    /// A settling or withdrawing is done.
    pub(super) fn end_batch(&self, id: [u8; 32], data: &BatchData) -> Result<()> {
        self.store.write(|db| {
            self.mark_spent(db, &data.inputs)?;
            self.note_taken_back(db, &id, data)?;
            Ok(db.delete_flow(&id)?)
        })
    }

    /// A name for a flow that starts now.
    pub(super) fn flow_id(&self, what: &str, data: &BatchData) -> Result<[u8; 32]> {
        let mut bytes = what.as_bytes().to_vec();
        bytes.extend(super::batch::encode(data)?);
        Ok(tagged_hash(b"virtual-channels/flow", &bytes))
    }

    /// The script of an on-chain address of this network.
    pub(super) fn chain_script(&self, address: &str) -> Result<bitcoin::ScriptBuf> {
        if address.len() > 120 {
            return Err(Box::new(WalletError::InvalidAddress));
        }
        let address: Address<bitcoin::address::NetworkUnchecked> =
            address.trim().parse().map_err(|_| WalletError::InvalidAddress)?;
        let address =
            address.require_network(self.config.network.to_bitcoin()).map_err(|_| WalletError::InvalidAddress)?;
        Ok(address.script_pubkey())
    }
}

/// Makes the second output what the coins hold beyond `needed`, or drops it. `false`: more coins are wanted, for the fee or
/// because change below the minimum cannot be made; then `needed` says how much.
pub(super) fn set_change(data: &mut BatchData, total: Amount, needed: &mut Amount, info: &OperatorInfo) -> bool {
    match total.checked_sub(*needed) {
        Some(Amount::ZERO) => data.outputs.truncate(1),
        Some(left) if left >= info.min_amount() => {
            if let Some(output) = data.outputs.get_mut(1) {
                output.amount = left;
            }
        }
        Some(_) => {
            *needed = sum([*needed, info.min_amount()]);
            return false;
        }
        None => return false,
    }
    true
}

fn check_utxo(amount: Amount, info: &OperatorInfo) -> Result<()> {
    let minimum = info.utxo_min.max(info.dust);
    if amount < minimum {
        return Err(Box::new(WalletError::AmountTooSmall { amount, minimum }));
    }
    match info.utxo_max {
        Some(maximum) if amount > maximum => Err(Box::new(WalletError::AmountTooLarge { amount, maximum })),
        _ => Ok(()),
    }
}

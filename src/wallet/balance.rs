//! What the wallet holds, by how final it is.

use bitcoin::{Amount, OutPoint};

use super::batch::{BatchData, InputData, OutputData, decode, step};
use super::coins::{Coin, CoinKind, Seen, sum};
use super::error::Result;
use super::offchain::{Job, OffchainData};
use super::{Wallet, WalletError};
use crate::channel::ChannelTerms;
use crate::store::{ChannelRow, ChannelState, Flow, FlowKind, Role};

/// Money by kind, in sats. Nothing is counted twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// On chain at boarding addresses, confirmed.
    pub boarding: Amount,
    /// On chain at boarding addresses, not confirmed.
    pub boarding_unconfirmed: Amount,
    /// VTXOs in a batch whose commitment transaction is confirmed.
    pub settled: Amount,
    /// VTXOs made off chain, or in a batch that is not confirmed.
    pub preconfirmed: Amount,
    /// Expired VTXOs: settling brings them back.
    pub recoverable: Amount,
    /// Held by something under way.
    pub pending: Amount,
    /// As payer: what has not been paid in channels that are not ended. Nothing for one that came out of a backup until
    /// its receiver has shown what was paid.
    pub in_channels: Amount,
    /// As receiver: what has been paid to us in channels that are not closed.
    pub receivable: Amount,
    /// There may be more at boarding addresses: the chain server does not list all of it. Anybody who sends hundreds of
    /// coins to an address can bring that about; VTXOs are counted and settled all the same.
    pub boarding_incomplete: bool,
}

impl Balance {
    /// Everything that is ours.
    pub fn total(&self) -> Amount {
        sum([
            self.boarding,
            self.boarding_unconfirmed,
            self.settled,
            self.preconfirmed,
            self.recoverable,
            self.pending,
            self.in_channels,
            self.receivable,
        ])
    }
}

impl Wallet {
    /// Asks operator and chain for the coins, and the store for the channels.
    pub async fn balance(&self) -> Result<Balance> {
        let Seen { coins, missing } = self.coins().await?;
        let mut balance = Balance { boarding_incomplete: missing.is_some(), ..Balance::default() };
        for coin in &coins {
            let place = match coin.kind {
                _ if coin.locked => &mut balance.pending,
                CoinKind::Boarding => &mut balance.boarding,
                CoinKind::Unconfirmed => &mut balance.boarding_unconfirmed,
                CoinKind::Settled => &mut balance.settled,
                CoinKind::Preconfirmed => &mut balance.preconfirmed,
                CoinKind::Recoverable => &mut balance.recoverable,
            };
            *place = sum([*place, coin.amount]);
        }
        let flows = self.store.read::<_, Box<WalletError>>(|db| Ok(db.flows()?))?;
        let channels = self.sound_channels()?;
        for flow in &flows {
            let held = self.in_transit(flow, &coins).await?;
            balance.pending = sum([balance.pending, held]);
        }
        for row in channels.iter().filter(|row| is_alive(row)) {
            let terms = ChannelTerms::from_canonical(&row.record.terms)?;
            let (place, ours, payout) = match row.hot.role {
                Role::Payer => {
                    // What was paid before a restore is not known until the receiver shows it.
                    let known = !self.loaded(&row.record.id)?.was_restored();
                    let left = row.record.capacity.checked_sub(row.hot.high).filter(|_| known).unwrap_or(Amount::ZERO);
                    (&mut balance.in_channels, left, terms.payer.ark_payout)
                }
                Role::Receiver => (&mut balance.receivable, row.hot.amount(), terms.receiver.ark_payout),
            };
            // What has come out already, by a close or refund that is not written down here yet, is among the coins.
            let mut scripts = vec![payout.script()];
            let refund = super::refund::refund_flow(&row.record.id);
            if let Some(flow) = flows.iter().find(|flow| flow.id == refund) {
                let data: OffchainData = decode(flow)?;
                scripts.extend(data.outputs.into_iter().map(|output| output.script));
            }
            let out = sum(coins.iter().filter(|coin| scripts.contains(&coin.own.script)).map(|coin| coin.amount));
            *place = sum([*place, ours.checked_sub(out).unwrap_or(Amount::ZERO)]);
        }
        // A disk that is full must not hide the balance.
        let _ = self.remember(balance);
        Ok(balance)
    }

    /// Money of a flow that no coin and no channel shows: its inputs are spent in the books, its outputs are not there
    /// yet.
    async fn in_transit(&self, flow: &Flow, coins: &[Coin]) -> Result<Amount> {
        let shown = |outpoint: &OutPoint| coins.iter().any(|coin| coin.outpoint == *outpoint);
        let missing = |inputs: &[InputData]| -> Vec<Amount> {
            inputs.iter().filter(|input| !shown(&input.outpoint)).map(|input| input.amount).collect()
        };
        // What an own output still owes us: a channel that is not stored yet, or a VTXO that is not in the books yet.
        let owed = |outputs: &[OutputData]| {
            let absent = outputs
                .iter()
                .filter(|output| !output.onchain && !coins.iter().any(|coin| coin.own.script == output.script));
            sum(absent.map(|output| output.amount))
        };
        match flow.kind {
            FlowKind::OpenPayer | FlowKind::Settle | FlowKind::Withdraw if flow.step == step::READY => {
                let data: BatchData = decode(flow)?;
                let spent = missing(&data.inputs);
                if spent.is_empty() {
                    return Ok(Amount::ZERO);
                }
                // Chain and books do not change in the same instant: what one shows already the other may show still.
                let still = sum(data.inputs.iter().map(|input| input.amount)).checked_sub(sum(spent));
                Ok(owed(&data.outputs).checked_sub(still.unwrap_or(Amount::ZERO)).unwrap_or(Amount::ZERO))
            }
            FlowKind::Send | FlowKind::OpenOffchain => {
                let data: OffchainData = decode(flow)?;
                let spent = missing(&data.inputs);
                if spent.is_empty() {
                    return Ok(Amount::ZERO);
                }
                let ark_txid = Job::of_own(self, &data)?.tx.txid();
                if !self.outputs_exist(self.net.operator().await?, ark_txid).await? {
                    return Ok(sum(spent));
                }
                // The first output of a payment is not ours any more, that of a funding is the channel.
                let ours = if flow.kind == FlowKind::Send { 1 } else { 0 };
                Ok(owed(data.outputs.get(ours..).unwrap_or_default()))
            }
            _ => Ok(Amount::ZERO),
        }
    }
}

fn is_alive(row: &ChannelRow) -> bool {
    matches!(
        row.hot.state,
        ChannelState::Confirming
            | ChannelState::Open
            | ChannelState::Closing
            | ChannelState::Refunding
            | ChannelState::Exiting
    )
}

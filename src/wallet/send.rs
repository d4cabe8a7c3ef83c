//! Sending off chain: from VTXOs to an Ark address, at once.

use bitcoin::{Amount, Txid};

use super::batch::InputData;
use super::coins::{Coin, CoinKind, select};
use super::error::Result;
use super::offchain::{OffchainData, output};
use super::settle::MAX_INPUTS;
use super::{Wallet, WalletError};
use crate::channel::terms::tagged_hash;
use crate::channel::{ArkAddress, ChannelError, Network, OperatorInfo};
use crate::store::FlowKind;

impl Wallet {
    /// Pays `amount` to an Ark address of the same operator. Preconfirmed for the other side until it settles.
    pub async fn send(&self, address: &str, amount: Amount) -> Result<Txid> {
        let address = ArkAddress::parse(address)?;
        let _flow = self.flow.lock().await;
        let info = self.fresh_info().await?;
        if address.mainnet != (info.network == Network::Bitcoin) {
            return Err(Box::new(WalletError::InvalidAddress));
        }
        info.check_signer(&address.operator, self.now().unix())?;
        let coins = self.spendable_vtxos().await?;
        let mut data = self.send_plan(&coins, address.script_pubkey(), amount, &info, MAX_INPUTS)?;
        // Change first: an opening has the channel first. That is how a restored wallet tells them apart.
        data.outputs.reverse();
        let id = send_flow(&super::batch::encode(&data)?);
        self.start_offchain(id, FlowKind::Send, &data)?;
        self.drive_offchain(id).await
    }

    /// VTXOs that can be spent off chain.
    pub(super) async fn spendable_vtxos(&self) -> Result<Vec<Coin>> {
        let mut coins = self.vtxo_coins().await?;
        coins.retain(|coin| matches!(coin.kind, CoinKind::Preconfirmed | CoinKind::Settled));
        Ok(coins)
    }

    /// An off-chain payment of own VTXOs: the amount, and the change to a fresh script of ours.
    pub(super) fn send_plan(
        &self,
        coins: &[Coin],
        script: bitcoin::ScriptBuf,
        amount: Amount,
        info: &OperatorInfo,
        limit: usize,
    ) -> Result<OffchainData> {
        let (minimum, maximum) = (info.min_amount(), info.max_amount());
        if amount < minimum {
            return Err(Box::new(WalletError::AmountTooSmall { amount, minimum }));
        }
        if amount > maximum {
            return Err(Box::new(WalletError::AmountTooLarge { amount, maximum }));
        }
        // Change must be possible, too: nothing, or at least the minimum.
        let picked = select(coins, amount, limit)?;
        let change = picked.1.checked_sub(amount).unwrap_or(Amount::ZERO);
        let (picked, total) = if change > Amount::ZERO && change < minimum {
            let needed = amount.checked_add(minimum).ok_or(WalletError::AmountTooLarge { amount, maximum })?;
            select(coins, needed, limit)?
        } else {
            picked
        };
        let operator = picked.first().map(|coin| coin.own.operator).ok_or(WalletError::NotFound)?;
        if picked.iter().any(|coin| coin.own.operator != operator) {
            return Err(ChannelError::WrongOperator { expected: info.signer.into(), got: operator.into() }.into());
        }
        info.checkpoint.check(info.network, &info.forfeit_key)?;
        let mut outputs = vec![output(script, amount)];
        let change = total.checked_sub(amount).unwrap_or(Amount::ZERO);
        if change > Amount::ZERO {
            let own = self.store.write(|db| self.fresh_vtxo(db, info))?;
            outputs.push(output(own.script, change));
        }
        Ok(OffchainData {
            inputs: picked.iter().map(InputData::of).collect(),
            outputs,
            checkpoint: info.checkpoint,
            operator,
            channel: None,
            opening: None,
            grant: None,
            answer: None,
            refused_at: None,
        })
    }
}

/// The journal entry of a payment.
pub(super) fn send_flow(data: &[u8]) -> [u8; 32] {
    tagged_hash(b"virtual-channels/send", data)
}

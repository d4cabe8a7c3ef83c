//! The small on-chain wallet: it pays the fees of exits, and holds what exits bring.

use bitcoin::{Amount, FeeRate};

use super::{Sats, Wallet, WalletError};
use crate::wallet;

/// What the on-chain wallet holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct OnchainBalance {
    /// Confirmed: pays for exits, and can be sent.
    pub confirmed: Sats,
    /// On its way in, change of own transactions included.
    pub pending: Sats,
}

/// What an on-chain payment would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, uniffi::Record)]
pub struct OnchainQuote {
    /// What arrives.
    pub amount: Sats,
    /// What the miners get.
    pub fee: Sats,
    /// The fee rate, in sats for each virtual byte.
    pub sats_per_vbyte: u64,
}

impl From<wallet::OnchainBalance> for OnchainBalance {
    fn from(balance: wallet::OnchainBalance) -> Self {
        Self { confirmed: balance.confirmed.into(), pending: balance.pending.into() }
    }
}

impl From<wallet::OnchainQuote> for OnchainQuote {
    fn from(quote: wallet::OnchainQuote) -> Self {
        let (amount, fee) = (quote.amount.into(), quote.fee.into());
        Self { amount, fee, sats_per_vbyte: quote.rate.to_sat_per_vb_ceil() }
    }
}

/// A rate an app gives; one that is too large to be a rate is the largest, which is refused with its bounds.
pub(super) fn fee_rate(sats_per_vbyte: Option<u64>) -> Option<FeeRate> {
    sats_per_vbyte.map(|sats| FeeRate::from_sat_per_vb(sats).unwrap_or(FeeRate::MAX))
}

#[uniffi::export]
impl Wallet {
    /// The on-chain address to which coins for the fees of exits are paid; the same until it was used.
    pub async fn onchain_address(&self) -> Result<String, WalletError> {
        self.local(|wallet| Ok(wallet.onchain_address()?)).await
    }

    /// What the on-chain wallet holds, after a look at the chain; what exits have brought is among it.
    pub async fn onchain_balance(&self) -> Result<OnchainBalance, WalletError> {
        self.flow("onchain_balance", |wallet| async move { Ok(wallet.onchain_balance().await?.into()) }).await
    }

    /// What [`Wallet::send_onchain`] would pay now, and for what fee. Nothing is sent.
    #[uniffi::method(default(amount = None, sats_per_vbyte = None))]
    pub async fn quote_onchain(
        &self,
        address: String,
        amount: Option<Sats>,
        sats_per_vbyte: Option<u64>,
    ) -> Result<OnchainQuote, WalletError> {
        let (amount, rate) = (amount.map(Amount::from), fee_rate(sats_per_vbyte));
        self.flow("quote_onchain", move |wallet| async move {
            Ok(wallet.onchain_quote(&address, amount, rate).await?.into())
        })
        .await
    }

    /// Pays from the on-chain wallet; without an amount everything, less the fee. The rate is between 1 and 10 000 sats
    /// for each virtual byte; without one the server's estimate for 6 blocks. Coins that exits under way need for their
    /// fees are kept. Answers the transaction's id.
    #[uniffi::method(default(amount = None, sats_per_vbyte = None))]
    pub async fn send_onchain(
        &self,
        address: String,
        amount: Option<Sats>,
        sats_per_vbyte: Option<u64>,
    ) -> Result<String, WalletError> {
        let (amount, rate) = (amount.map(Amount::from), fee_rate(sats_per_vbyte));
        self.flow("send_onchain", move |wallet| async move {
            Ok(wallet.send_onchain(&address, amount, rate).await?.to_string())
        })
        .await
    }
}

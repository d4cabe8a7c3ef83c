//! Ending a channel with both sides online: one asks, the other grants.

use super::wallet::channel_id;
use super::{Wallet, WalletError};
use crate::channel::message::{CloseGrant, CloseRequest};

fn text(grant: CloseGrant) -> Result<String, WalletError> {
    Ok(grant.to_text()?)
}

#[uniffi::export]
impl Wallet {
    /// Asks the other side to end the channel now: a text for its [`Wallet::grant_close`], good for a day. Changes nothing
    /// here, needs no network, and may be repeated.
    ///
    /// A receiver asks where it cannot close alone: the payer authorises on close only (`ChannelInfo.on_close`), or is away
    /// since the operator changed its settings. A payer asks for a channel back in which nothing was paid, before its
    /// locktime.
    pub async fn request_close(&self, channel_id: String) -> Result<String, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.local(move |wallet| Ok(wallet.request_close(&id)?.to_text()?)).await
    }

    /// Answers a request of the other side: a text for its [`Wallet::close_with`]. One-way and durable before it returns, so
    /// ask the user first; goes online. The same request may be granted again.
    ///
    /// The payer grants the close at its latest payment, and pays nothing more. The receiver gives back a channel in
    /// which nothing was paid, as [`Wallet::release_channel`]; one that was paid it closes by itself.
    pub async fn grant_close(&self, request: String) -> Result<String, WalletError> {
        let request = CloseRequest::parse(&request)?;
        self.flow("grant_close", move |wallet| async move { wallet.grant_close(&request).await }).await.and_then(text)
    }

    /// Ends the channel with what the other side has granted; answers the ark transaction's id. The receiver closes as with
    /// [`Wallet::close_channel`], the payer takes everything back. Goes on when called again after an interruption, or
    /// with [`Wallet::resume`]. `ReauthorisationNeeded`: the operator changed its settings since; ask for another grant.
    /// Where more is granted than is held, any other error says why that cannot be taken, and nothing is given up: ask
    /// again.
    pub async fn close_with(&self, grant: String) -> Result<String, WalletError> {
        let grant = CloseGrant::parse(&grant)?;
        self.flow("close_with", move |wallet| async move { Ok(wallet.close_with(&grant).await?.to_string()) }).await
    }

    /// Receiver: gives a channel in which nothing was ever paid back to its payer, unasked; a text for the payer's
    /// [`Wallet::close_with`]. One-way and durable before it returns: no payment is taken any more. May be repeated; goes
    /// online.
    pub async fn release_channel(&self, channel_id: String) -> Result<String, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.flow("release_channel", move |wallet| async move { wallet.release_channel(&id).await })
            .await
            .and_then(text)
    }
}

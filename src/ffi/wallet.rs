//! The wallet object.

use std::sync::Arc;

use bitcoin::Amount;

use super::clock::{AskedClock, Clock};
use super::runtime::{Boxed, Runtime};
use super::setup::Setup;
use super::{
    Acceptance, Balance, ChannelInfo, Event, InviteRequest, LastBalance, Parsed, Payment, Proposal, ProposeRequest,
    Quote, ReceiveResult, Received, ResumeReport, Sats, Settlement, WalletConfig, WalletError, WatchReport, told,
};
use crate::channel::ChannelId;
use crate::channel::message::{Accept, Invite, Offer, Receipt, UpdateMessage};
use crate::wallet;

/// Twelve fresh words of a BIP39 mnemonic. Whoever has them has the money: keep them in the platform's key store.
#[uniffi::export]
pub fn generate_mnemonic() -> Result<String, WalletError> {
    Ok(wallet::Keys::generate_mnemonic()?)
}

/// A wallet over one database file, with one operator: boards, sends, and pays and receives through channels.
///
/// All calls may be made from any thread and at the same time. Letting go of the object (in Kotlin `close()` or `use`)
/// lets go of the database once the last call under way has its answer; who waits for an event or a change is told
/// `Closed` at once. [`Wallet::shutdown`] waits for what is under way.
#[derive(uniffi::Object)]
pub struct Wallet {
    pub(super) inner: wallet::Wallet,
    /// Where the app brought one.
    pub(super) clock: Option<Arc<AskedClock>>,
    pub(super) runtime: Runtime,
}

impl Drop for Wallet {
    fn drop(&mut self) {
        // Perhaps on a main thread: it waits for nobody.
        if !self.inner.close_at_once() {
            let inner = self.inner.clone();
            self.runtime.detach_blocking(move || drop(inner.close()));
        }
    }
}

impl Wallet {
    /// A network flow in a task of its own.
    pub(super) fn flow<T, F>(
        &self,
        call: &'static str,
        work: impl FnOnce(wallet::Wallet) -> F + Send + 'static,
    ) -> Boxed<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Box<wallet::WalletError>>> + Send + 'static,
    {
        let inner = self.inner.clone();
        // Made there, and kept on the heap: these futures are too large for the stacks that callers have (1 MB on a
        // JVM's main thread, 512 KB on a thread of iOS).
        let work = Box::pin(async move { Ok(Box::pin(work(inner)).await?) });
        self.runtime.run_asked(call, self.clock.clone(), work)
    }

    /// SQLite and signatures, off the caller's thread.
    pub(super) fn local<T: Send + 'static>(
        &self,
        work: impl FnOnce(&wallet::Wallet) -> Result<T, WalletError> + Send + 'static,
    ) -> Boxed<T> {
        let (inner, clock) = (self.inner.clone(), self.clock.clone());
        self.runtime.run_blocking(Box::new(move || {
            if let Some(clock) = clock {
                clock.ask();
            }
            told::local(work(&inner))
        }))
    }
}

pub(super) fn channel_id(text: &str) -> Result<ChannelId, WalletError> {
    Ok(text.parse::<ChannelId>()?)
}

#[uniffi::export]
impl Wallet {
    /// Opens the database, or creates it. The first time the operator must answer; later the wallet opens, pays and
    /// receives without it. Then call [`Wallet::resume`]. Without a clock it goes by the system's.
    #[uniffi::constructor(default(clock = None))]
    pub async fn open(
        config: WalletConfig,
        mnemonic: String,
        clock: Option<Arc<dyn Clock>>,
    ) -> Result<Arc<Self>, WalletError> {
        let mnemonic = zeroize::Zeroizing::new(mnemonic);
        let Setup { config, clock, runtime } = Setup::new(config, clock).await?;
        let opening = async move { Ok(Box::pin(wallet::Wallet::open(config, &mnemonic)).await?) };
        let inner = runtime.run("open", Box::pin(opening)).await?;
        Ok(Arc::new(Self { inner, clock, runtime }))
    }

    /// Waits for what is under way (at most about two minutes), ends co-signing in the background, and lets go of the
    /// database. Later calls answer `Closed`.
    pub async fn shutdown(&self) -> Result<(), WalletError> {
        // Not as a flow: a clock of the app that never answers must not keep it from ending.
        let inner = self.inner.clone();
        self.runtime.run("shutdown", Box::pin(async move { Ok(inner.shutdown().await?) })).await
    }

    /// Lets go of the database for a while: no lock, no open file. For iOS, which ends an app that holds the lock of a
    /// shared file when it is suspended. Waits for what is being written, never for the network. Calls from then on
    /// answer `DatabaseReleased` (only [`Wallet::next_event`] goes on waiting), and so does what is under way when it
    /// comes to its next step. Also after an error nothing is held.
    pub async fn release_database(&self) -> Result<(), WalletError> {
        // The app's clock has no part in this: a phone waits for nobody when it goes to sleep.
        let inner = self.inner.clone();
        let release = move || told::local(inner.release_database().map_err(WalletError::from));
        self.runtime.run_blocking(Box::new(release)).await
    }

    /// Picks up the database again; what another process changed meanwhile is seen. Then call [`Wallet::resume`].
    /// Answers `OtherWallet` when the file is another wallet's, and stays released after any error.
    pub async fn reopen_database(&self) -> Result<(), WalletError> {
        self.local(|wallet| Ok(wallet.reopen_database()?)).await
    }

    /// The Ark address to be paid at.
    pub async fn ark_address(&self) -> Result<String, WalletError> {
        self.local(|wallet| Ok(wallet.ark_address()?)).await
    }

    /// A new Ark address, for a payment that should not be linked to others.
    pub async fn new_ark_address(&self) -> Result<String, WalletError> {
        self.local(|wallet| Ok(wallet.new_ark_address()?)).await
    }

    /// The on-chain address whose coins [`Wallet::settle`] brings into Ark.
    pub async fn boarding_address(&self) -> Result<String, WalletError> {
        self.local(|wallet| Ok(wallet.boarding_address()?)).await
    }

    /// What the wallet holds, by how final it is. Asks operator and chain.
    pub async fn balance(&self) -> Result<Balance, WalletError> {
        self.flow("balance", |wallet| async move { Ok(wallet.balance().await?.into()) }).await
    }

    /// What [`Wallet::balance`] answered last, and when; nothing where it never did. Needs no network: for a phone that is
    /// offline, or an operator that is gone. What channels hold is in [`Wallet::channels`], always current.
    pub async fn last_balance(&self) -> Result<Option<LastBalance>, WalletError> {
        self.local(|wallet| {
            let last = wallet.last_balance()?;
            Ok(last.map(|last| LastBalance { balance: last.balance.into(), at: last.at }))
        })
        .await
    }

    /// Pays off chain to an Ark address of the same operator; answers the ark transaction's id.
    pub async fn send(&self, address: String, amount: Sats) -> Result<String, WalletError> {
        let amount = Amount::from(amount);
        self.flow("send", move |wallet| async move { Ok(wallet.send(&address, amount).await?.to_string()) }).await
    }

    /// Moves boarding coins and unsettled VTXOs into one fresh VTXO in the next batch; with `renew` settled ones too,
    /// which gives them the full lifetime again.
    #[uniffi::method(default(renew = false))]
    pub async fn settle(&self, renew: bool) -> Result<Settlement, WalletError> {
        self.flow("settle", move |wallet| async move { Ok(wallet.settle(renew).await?.into()) }).await
    }

    /// Pays from VTXOs to an on-chain address, in the next batch; without an amount everything.
    #[uniffi::method(default(amount = None))]
    pub async fn withdraw(&self, address: String, amount: Option<Sats>) -> Result<Settlement, WalletError> {
        let amount = amount.map(Amount::from);
        self.flow("withdraw", move |wallet| async move { Ok(wallet.withdraw(&address, amount).await?.into()) }).await
    }

    /// What opening a channel would cost, and how long it would take payments. Spends nothing.
    pub async fn quote_open(&self, invite: String, request: ProposeRequest) -> Result<Quote, WalletError> {
        let (invite, request) = (Invite::parse(&invite)?, request.try_into()?);
        self.flow("quote_open", move |wallet| async move { Ok(wallet.quote_open(&invite, &request).await?.into()) })
            .await
    }

    /// What [`Wallet::refund`] would cost: nothing, or once the channel has expired, the fee of the batch that takes it back.
    pub async fn quote_refund(&self, channel_id: String) -> Result<Quote, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.flow("quote_refund", move |wallet| async move { Ok(wallet.quote_refund(&id).await?.into()) }).await
    }

    /// What [`Wallet::settle`] would cost.
    #[uniffi::method(default(renew = false))]
    pub async fn quote_settle(&self, renew: bool) -> Result<Quote, WalletError> {
        self.flow("quote_settle", move |wallet| async move { Ok(wallet.quote_settle(renew).await?.into()) }).await
    }

    /// What [`Wallet::withdraw`] would cost.
    #[uniffi::method(default(amount = None))]
    pub async fn quote_withdraw(&self, address: String, amount: Option<Sats>) -> Result<Quote, WalletError> {
        let amount = amount.map(Amount::from);
        self.flow(
            "quote_withdraw",
            move |wallet| async move { Ok(wallet.quote_withdraw(&address, amount).await?.into()) },
        )
        .await
    }

    /// Receiver: an invite for one channel, as text.
    pub async fn create_invite(&self, request: InviteRequest) -> Result<String, WalletError> {
        self.local(move |wallet| Ok(wallet.create_invite(&request.into())?.to_text()?)).await
    }

    /// Payer: fixes the terms. In a batch nothing is spent before [`Wallet::open_channel`]; off chain the channel is
    /// funded at once.
    pub async fn propose(&self, invite: String, request: ProposeRequest) -> Result<Proposal, WalletError> {
        let (invite, request) = (Invite::parse(&invite)?, request.try_into()?);
        let proposal =
            self.flow("propose", move |wallet| async move { wallet.propose(&invite, &request).await }).await?;
        Proposal::of(&proposal)
    }

    /// Payer: the offer of a channel funded off chain again, for a receiver that has not got it.
    pub async fn offer(&self, channel_id: String) -> Result<String, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.local(move |wallet| Ok(wallet.offer(&id)?.to_text()?)).await
    }

    /// Payer: drops a proposal that will not be opened.
    pub async fn cancel_proposal(&self, offer_id: String) -> Result<(), WalletError> {
        let id = channel_id(&offer_id)?.0;
        self.local(move |wallet| Ok(wallet.cancel_proposal(&id)?)).await
    }

    /// Receiver: answers an offer. For a channel opened in a batch hand the accept to the payer at once; co-signing
    /// goes on in the background.
    pub async fn accept(&self, offer: String) -> Result<Acceptance, WalletError> {
        let offer = Offer::parse(&offer)?;
        let acceptance = self.flow("accept", move |wallet| async move { wallet.accept(&offer).await }).await?;
        Acceptance::of(&acceptance)
    }

    /// Payer: opens the accepted channel in the next batch; answers its id. It takes payments once confirmed.
    pub async fn open_channel(&self, accept: String) -> Result<String, WalletError> {
        let accept = Accept::parse(&accept)?;
        self.flow("open_channel", move |wallet| async move { Ok(wallet.open_channel(&accept).await?.to_string()) })
            .await
    }

    /// Payer: adds to what has been paid. Durable before it returns, needs no network. The same payment id again
    /// (among the last 64 of the channel) adds nothing.
    #[uniffi::method(default(memo = None))]
    pub async fn pay(
        &self,
        channel_id: String,
        amount: Sats,
        payment_id: String,
        memo: Option<String>,
    ) -> Result<Payment, WalletError> {
        let id = self::channel_id(&channel_id)?;
        let amount = Amount::from(amount);
        self.local(move |wallet| Payment::of(&wallet.pay(&id, amount, &payment_id, memo.as_deref())?)).await
    }

    /// Receiver: verifies a payment and stores it durably; needs no network. `Stale` and `Forked` carry what the payer
    /// needs to catch up.
    pub async fn receive(&self, payment: String) -> Result<Received, WalletError> {
        self.local(move |wallet| Ok(wallet.receive(&UpdateMessage::parse(&payment)?)?.into())).await
    }

    /// Receiver: many payments in one durable commit; the answers are in the order of the payments.
    pub async fn receive_many(&self, payments: Vec<String>) -> Result<Vec<ReceiveResult>, WalletError> {
        self.local(move |wallet| {
            let parsed: Vec<Result<UpdateMessage, WalletError>> =
                payments.iter().map(|text| Ok(UpdateMessage::parse(text)?)).collect();
            let messages: Vec<UpdateMessage> = parsed.iter().flatten().cloned().collect();
            let mut answers = wallet.receive_many(&messages)?.into_iter();
            let results = parsed.into_iter().map(|parsed| {
                let answer = parsed.and_then(|_| match answers.next() {
                    Some(answer) => Ok(answer?.into()),
                    None => Err(WalletError::Internal { detail: "an answer is missing".into() }),
                });
                ReceiveResult::of(answer)
            });
            Ok(results.collect())
        })
        .await
    }

    /// Payer: the latest payment again, to be handed over once more.
    pub async fn latest_update(&self, channel_id: String) -> Result<Payment, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.local(move |wallet| Payment::of(&wallet.latest_update(&id)?)).await
    }

    /// Payer: signs the latest amount again after the operator changed its settings (`ReauthorisationNeeded`).
    pub async fn reauthorise(&self, channel_id: String) -> Result<Payment, WalletError> {
        let id = self::channel_id(&channel_id)?;
        let payment = self.flow("reauthorise", move |wallet| async move { wallet.reauthorise(&id).await }).await?;
        Payment::of(&payment)
    }

    /// Payer: takes over the payment that the receiver showed (in `Stale` or `Forked`), when it is this wallet's own by
    /// its signature. Answers the amount that is now the base. Where that is the amount of the very payment that was refused,
    /// nothing had been forgotten: it has been paid, and is not paid again.
    pub async fn catch_up(&self, payment: String) -> Result<Sats, WalletError> {
        self.local(move |wallet| Ok(wallet.catch_up(&UpdateMessage::parse(&payment)?)?.into())).await
    }

    /// Receiver: proof of what has been received, for the payer.
    #[uniffi::method(default(memo = None))]
    pub async fn receipt(&self, channel_id: String, memo: Option<String>) -> Result<String, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.local(move |wallet| Ok(wallet.receipt(&id, memo.as_deref())?.to_text()?)).await
    }

    /// Payer: verifies a receipt; from then on payments are short.
    pub async fn acknowledge(&self, receipt: String) -> Result<(), WalletError> {
        self.local(move |wallet| Ok(wallet.acknowledge(&Receipt::parse(&receipt)?)?)).await
    }

    /// Receiver: closes the channel at its latest payment; answers the ark transaction's id. One-way; goes on when
    /// called again after an interruption. Where the payer authorises on close only, [`Wallet::request_close`] comes first.
    pub async fn close_channel(&self, channel_id: String) -> Result<String, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.flow("close_channel", move |wallet| async move { Ok(wallet.close_channel(&id).await?.to_string()) }).await
    }

    /// Payer: takes the whole channel back after its locktime; answers the ark transaction's id. One that has expired goes
    /// back in a batch, less its fee; the answer is the commitment transaction's id then. [`Wallet::maintain`] pays no
    /// more than half of the channel for that and says `FeesLeaveTooLittle` where the operator asks more: this call
    /// pays it; [`Wallet::quote_refund`] says how much it is.
    pub async fn refund(&self, channel_id: String) -> Result<String, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.flow("refund", move |wallet| async move { Ok(wallet.refund(&id).await?.to_string()) }).await
    }

    /// Looks at chain and operator for one channel: a confirmed one becomes open, one that the other side closed is
    /// noticed, and as receiver new payments are taken for a while.
    pub async fn watch(&self, channel_id: String) -> Result<WatchReport, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.flow("watch", move |wallet| async move { Ok(wallet.watch(&id).await?.into()) }).await
    }

    /// Goes on with whatever was interrupted. Call it after opening, and when the network is back.
    pub async fn resume(&self) -> Result<ResumeReport, WalletError> {
        self.flow("resume", |wallet| async move {
            let (left, errors) = wallet.resume().await?;
            Ok(ResumeReport { left: left as u64, errors: errors.into_iter().map(WalletError::from).collect() })
        })
        .await
    }

    /// All channels, oldest first.
    pub async fn channels(&self) -> Result<Vec<ChannelInfo>, WalletError> {
        self.local(|wallet| Ok(wallet.channels()?.into_iter().map(ChannelInfo::from).collect())).await
    }

    /// One channel, as this wallet knows it; asks nobody.
    pub async fn channel(&self, channel_id: String) -> Result<ChannelInfo, WalletError> {
        let id = self::channel_id(&channel_id)?;
        self.local(move |wallet| Ok(wallet.channel(&id)?.into())).await
    }

    /// Tells a scanner what it has read.
    pub async fn parse(&self, text: String) -> Result<Parsed, WalletError> {
        self.local(move |wallet| Ok(wallet.parse(&text)?.into())).await
    }

    /// The next event; waits until there is one, also while the database is released, and answers `Closed` when the
    /// wallet is closed.
    pub async fn next_event(self: Arc<Self>) -> Result<Event, WalletError> {
        let (inner, runtime) = (self.inner.clone(), self.runtime.clone());
        // Who waits does not keep the wallet open.
        drop(self);
        runtime.wait(Box::pin(async move { Ok(inner.next_event().await?.into()) })).await
    }

    /// Events that are waiting now, at most `limit`.
    pub async fn pending_events(&self, limit: u32) -> Result<Vec<Event>, WalletError> {
        self.local(move |wallet| Ok(wallet.pending_events(limit as usize)?.into_iter().map(Event::from).collect()))
            .await
    }

    /// The app has dealt with an event: it does not come again.
    pub async fn acknowledge_event(&self, token: String) -> Result<(), WalletError> {
        self.local(move |wallet| Ok(wallet.acknowledge_event(&token)?)).await
    }
}

//! What the app is told: a durable queue that redelivers until acknowledged, and progress that is only shown.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bitcoin::hex::DisplayHex;
use bitcoin::{Amount, OutPoint, Txid};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::Wallet;
use super::error::Result;
use super::exit::ExitReason;
use crate::channel::ChannelId;
use crate::log::note;
use crate::store::{Db, EventToken, PAYMENT_RECEIVED, PAYMENT_SENT, StoreError, StoredEvent};

/// Progress kept for a slow reader; the oldest is dropped first.
const MAX_PROGRESS: usize = 256;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What acknowledges the event; until then it comes again. `None` for progress, which comes once.
    pub token: Option<String>,
    pub channel: Option<ChannelId>,
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// Money came in; `amount` is all so far, `increase` what came since the last acknowledged event.
    #[serde(skip)]
    PaymentReceived { amount: Amount, increase: Amount },
    /// Money went out.
    #[serde(skip)]
    PaymentSent { amount: Amount, increase: Amount },
    /// The channel exists; payments wait for its confirmation.
    ChannelFunded,
    /// The channel takes payments.
    ChannelOpened,
    /// The channel is closed; the receiver's output is a VTXO of the wallet.
    ChannelClosed { txid: Txid },
    /// The payer has its money back.
    ChannelRefunded { txid: Txid },
    /// As receiver: what was paid in the channel cannot be claimed any more, since this spent it.
    ChannelLost {
        #[serde(with = "bitcoin::amount::serde::as_sat")]
        amount: Amount,
        spent_by: Txid,
    },
    /// Somebody put the channel on chain.
    ChannelUnrolled,
    /// A channel, or a VTXO of this wallet (then the event names no channel), is being left on chain.
    ExitBegan { outpoint: OutPoint, reason: ExitReason },
    /// An exit waits for coins that pay its fees: so much more, to this address of the wallet.
    ExitNeedsFees {
        outpoint: OutPoint,
        #[serde(with = "bitcoin::amount::serde::as_sat")]
        missing: Amount,
        address: String,
    },
    /// An exit has come to its end: the transaction pays this wallet so much on chain.
    ExitClaimed {
        outpoint: OutPoint,
        txid: Txid,
        #[serde(with = "bitcoin::amount::serde::as_sat")]
        amount: Amount,
    },
    /// Nothing can be claimed any more: this transaction was first.
    ExitLost { outpoint: OutPoint, spent_by: Txid },
    /// A coin of this wallet was spent by a transaction that it did not make: another phone has the same seed, or
    /// somebody else knows the words. Once for each coin.
    SeedUsedElsewhere { outpoint: OutPoint, spent_by: Option<Txid> },
    /// An opening came to nothing.
    OpeningFailed { offer_id: String, why: String },
    /// A long flow goes on.
    #[serde(skip)]
    Progress { flow: String, step: Step },
}

/// Where a long flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The intent is registered; waiting for a batch.
    Registered,
    /// A batch has begun.
    BatchStarted,
    /// The tree is checked and signed.
    TreeSigned,
    /// The branch is stored; what the batch takes is being signed away.
    BranchStored,
    /// The batch is final; its transaction waits for confirmation.
    BatchFinalized,
    /// The batch failed and is tried again.
    BatchRetry,
    /// The off-chain transaction is submitted and the operator's answer stored.
    Submitted,
    /// The off-chain transaction is final.
    Finalized,
}

/// Progress in memory, and the bell for those who wait for events.
#[derive(Default)]
pub(super) struct Notices {
    progress: Mutex<VecDeque<Event>>,
    bell: Notify,
    closed: std::sync::atomic::AtomicBool,
}

impl Notices {
    pub fn progress(&self, flow: &[u8; 32], step: Step) {
        note!(Info, "flow {}: {step:?}", flow.as_hex());
        let kind = EventKind::Progress { flow: flow.to_lower_hex_string(), step };
        let mut queue = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= MAX_PROGRESS {
            queue.pop_front();
        }
        queue.push_back(Event { token: None, channel: None, kind });
        drop(queue);
        self.ring();
    }

    pub fn ring(&self) {
        self.bell.notify_waiters();
        self.bell.notify_one();
    }

    /// Answers whether it was open before.
    pub fn close(&self) -> bool {
        let closed = self.closed.swap(true, std::sync::atomic::Ordering::SeqCst);
        self.ring();
        !closed
    }

    fn is_closed(&self) -> bool {
        self.closed.load(std::sync::atomic::Ordering::SeqCst)
    }
}

impl Wallet {
    /// Up to `limit` events that are waiting: first progress, then what must be acknowledged.
    pub fn pending_events(&self, limit: usize) -> Result<Vec<Event>> {
        let limit = limit.min(1_000);
        let mut events: Vec<Event> = {
            let mut queue = self.events.progress.lock().unwrap_or_else(PoisonError::into_inner);
            let count = queue.len().min(limit);
            queue.drain(..count).collect()
        };
        let stored = self.store.read(|db| db.pending_events(limit - events.len()))?;
        events.extend(stored.into_iter().filter_map(event));
        Ok(events)
    }

    /// The next event; waits until there is one, also while the database is released. Answers [`StoreError::Closed`]
    /// once the wallet is closed.
    pub async fn next_event(&self) -> Result<Event> {
        loop {
            let bell = self.events.bell.notified();
            if self.events.is_closed() {
                return Err(StoreError::Closed.into());
            }
            match self.first_event() {
                Ok(Some(event)) => return Ok(event),
                Err(error) if !error.is_released() => return Err(error),
                Ok(None) | Err(_) => bell.await,
            }
        }
    }

    /// Progress first, then the oldest that can be read: one of a newer version does not hold up those behind it.
    fn first_event(&self) -> Result<Option<Event>> {
        if let Some(event) = self.events.progress.lock().unwrap_or_else(PoisonError::into_inner).pop_front() {
            return Ok(Some(event));
        }
        let stored = self.store.read(|db| db.pending_events(64))?;
        Ok(stored.into_iter().find_map(event))
    }

    /// The app has dealt with an event. Acknowledging twice does no harm.
    pub fn acknowledge_event(&self, token: &str) -> Result<()> {
        let token: EventToken = token.parse()?;
        self.store.write(|db| db.acknowledge_event(&token))?;
        Ok(())
    }

    /// Adds an event to the queue, in the transaction of what it tells.
    pub(super) fn push_event(&self, db: &Db<'_>, channel: Option<&ChannelId>, kind: &EventKind) -> Result<()> {
        let data = serde_json::to_vec(kind).map_err(|_| super::WalletError::CorruptFlow { what: "an event" })?;
        db.push_event(channel, "event", &data, self.timestamp())?;
        Ok(())
    }
}

/// The event as the app sees it; one that cannot be read (of a newer version) is left in the queue.
fn event(stored: StoredEvent) -> Option<Event> {
    let amounts = || {
        let amount = stored.amount?;
        let increase = amount.checked_sub(stored.before.unwrap_or(Amount::ZERO)).unwrap_or(Amount::ZERO);
        Some((amount, increase))
    };
    let kind = match stored.kind.as_str() {
        PAYMENT_RECEIVED => amounts().map(|(amount, increase)| EventKind::PaymentReceived { amount, increase })?,
        PAYMENT_SENT => amounts().map(|(amount, increase)| EventKind::PaymentSent { amount, increase })?,
        _ => serde_json::from_slice(&stored.data).ok()?,
    };
    Some(Event { token: Some(stored.token.to_string()), channel: stored.channel, kind })
}

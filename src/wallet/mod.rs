//! The wallet: keys, coins, and the flows that join the other rooms.
//!
//! Every flow of several steps writes down where it is before it goes on, so that [`Wallet::resume`] can finish it in
//! a new process. What is irrevocable happens only after what it rests on is durable.

mod accept;
mod address;
mod attempt;
mod backup;
mod balance;
mod batch;
mod changes;
mod channels;
mod clock;
mod close;
mod close_together;
mod coins;
mod config;
mod elsewhere;
mod ending;
mod error;
mod events;
mod exit;
mod fees;
mod funding;
mod hand_back;
mod invite;
mod keys;
mod last_balance;
mod live;
mod loaded;
mod maintain;
mod net;
mod next_run;
mod offchain;
mod onchain;
mod open;
mod open_offchain;
mod parse;
mod pay;
mod propose;
mod quote;
mod receive;
mod refund;
mod refund_into;
mod refund_stuck;
mod release;
mod restore;
mod restore_channel;
mod restore_look;
mod restore_mark;
mod restore_peer;
mod restore_pending;
mod restore_scan;
mod resume;
mod retry;
mod seen_close;
mod seen_refund;
mod send;
mod settle;
mod settle_due;
mod signed_away;
mod sound;
mod standstill;
mod take_back;
mod taken_back;
mod time;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::{AbortHandle, JoinSet};

pub use accept::Acceptance;
pub use balance::Balance;
pub use channels::ChannelInfo;
pub use clock::{Clock, SystemClock};
pub use config::WalletConfig;
pub use error::WalletError;
pub use events::{Event, EventKind, Step};
pub use exit::{ExitInfo, ExitProblem, ExitQuote, ExitReason, ExitStage};
pub use invite::InviteRequest;
pub use keys::{KeyUse, Keys, SecretKeypair};
pub use last_balance::LastBalance;
pub use live::POLL;
pub use maintain::{ChannelChange, MaintenanceError, MaintenanceReport, MaintenanceTask};
pub use onchain::{OnchainBalance, OnchainQuote, OwnedOutput};
pub use parse::Parsed;
pub use pay::Payment;
pub use propose::{FundingChoice, Proposal, ProposeRequest};
pub use quote::Quote;
pub use receive::Received;
pub use restore::{FoundCoin, RestoreReport, RestoreWarning};
pub use settle::Settlement;
pub use watch::WatchReport;

use crate::channel::{ChannelId, OperatorInfo};
use crate::log::note;
use crate::store::{Binding, Store};
use clock::Now;
use error::Result;
use loaded::LoadedChannel;
use net::Net;

/// A wallet over one database, with one operator. Cheap to clone; clones are the same wallet.
#[derive(Clone)]
pub struct Wallet(Arc<Inner>);

/// What all clones share.
pub struct Inner {
    config: WalletConfig,
    keys: Keys,
    store: Store,
    net: Net,
    cached_info: Mutex<Option<Arc<OperatorInfo>>>,
    seen: Mutex<Now>,
    /// When the wallet was opened, by [`Clock::running`], and the highest time seen until then.
    opened: (u64, u64),
    loaded: Mutex<HashMap<ChannelId, Arc<LoadedChannel>>>,
    events: events::Notices,
    /// Rings when the database is held again after [`Wallet::release_database`].
    returned: tokio::sync::Notify,
    /// Co-signing in the background; ended by [`Wallet::close`].
    tasks: Mutex<JoinSet<()>>,
    /// Which of them co-signs for which offer: one each, since two would spoil each other's session.
    cosigning: Mutex<HashMap<[u8; 32], AbortHandle>>,
    /// One network flow at a time: they pick coins, and resume must not run beside what it would resume.
    flow: tokio::sync::Mutex<()>,
    /// One maintenance at a time.
    maintaining: tokio::sync::Mutex<()>,
    /// One look at the exits at a time. Not the flows' turn: an exit must not wait for an operator that hangs.
    exiting: tokio::sync::Mutex<()>,
}

impl std::ops::Deref for Wallet {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for Wallet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wallet").field("network", &self.config.network).finish_non_exhaustive()
    }
}

impl Wallet {
    /// Opens the database, or creates it. The first time the operator must answer, since its key is in every address;
    /// later the wallet opens, pays and receives without it.
    pub async fn open(config: WalletConfig, mnemonic: &str) -> Result<Self> {
        let keys = Keys::from_mnemonic(mnemonic, config.network)?;
        let net = Net::new(&config)?;
        let fingerprint = keys.fingerprint()?;
        let first = match config.database.exists() {
            true => {
                let store = Store::open(&config.database)?;
                Some((net::stored_info(&store)?, store))
            }
            false => None,
        };
        let (info, store) = match first {
            Some((Some(info), store)) => (info, store),
            // Nothing is created before the operator has answered.
            other => {
                let info = net.operator().await?.info();
                net::check_network(config.network, &info)?;
                let store = match other {
                    Some((_, store)) => store,
                    None => Store::open(&config.database)?,
                };
                net::store_info(&store, &info)?;
                (info.as_ref().clone(), store)
            }
        };
        net::check_network(config.network, &info)?;
        let binding = Binding { fingerprint, network: config.network, operator: info.signer };
        let seen = store.write::<_, Box<WalletError>>(|db| {
            match db.binding()? {
                // The operator may have changed its key since; whose wallet it is may not change.
                Some(stored) => db.bind(&Binding { operator: stored.operator, ..binding })?,
                None => db.bind(&binding)?,
            }
            Ok(db.seen_time()?)
        })?;
        let seen = Now { wall: seen.wall, height: seen.height, median_time: seen.median };
        let running = config.clock.running();
        note!(Info, "opened a wallet on {}, operator {}", config.network.name(), binding.operator);
        Ok(Self(Arc::new(Inner {
            config,
            keys,
            store,
            net,
            cached_info: Mutex::new(Some(Arc::new(info))),
            seen: Mutex::new(seen),
            opened: (running, seen.wall),
            loaded: Mutex::new(HashMap::new()),
            events: events::Notices::default(),
            returned: tokio::sync::Notify::new(),
            tasks: Mutex::new(JoinSet::new()),
            cosigning: Mutex::new(HashMap::new()),
            flow: tokio::sync::Mutex::new(()),
            maintaining: tokio::sync::Mutex::new(()),
            exiting: tokio::sync::Mutex::new(()),
        })))
    }

    /// Ends background work and lets go of the database. Later calls answer [`crate::store::StoreError::Closed`].
    pub fn close(&self) -> Result<()> {
        self.end_background();
        let closed = self.store.close();
        self.tell_closed();
        Ok(closed?)
    }

    /// As [`Wallet::close`], but waits for no call: false where one is running, and `close` has to follow. Whatever is
    /// asked from now on is refused all the same.
    pub fn close_at_once(&self) -> bool {
        self.end_background();
        let closed = self.store.close_at_once();
        self.tell_closed();
        closed
    }

    fn end_background(&self) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn tell_closed(&self) {
        if self.events.close() {
            note!(Info, "closes a wallet");
        }
        self.returned.notify_waiters();
    }

    /// Waits for the flow that is running, at most about two minutes, then closes.
    pub async fn shutdown(&self) -> Result<()> {
        let _ = tokio::time::timeout(std::time::Duration::from_secs(120), self.flow.lock()).await;
        self.close()
    }

    /// Unix seconds, for records.
    fn timestamp(&self) -> u64 {
        self.now().wall
    }
}

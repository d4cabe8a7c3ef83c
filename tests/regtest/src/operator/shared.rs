//! What all parts of the operator share.

use std::sync::{Mutex, MutexGuard};
use std::time::{SystemTime, UNIX_EPOCH};

use bitcoin::key::Secp256k1;
use bitcoin::secp256k1::SecretKey;
use rand::RngCore;
use tokio::sync::{Notify, watch};

use super::events::Events;
use super::faults::Faults;
use super::musig::random;
use super::settings::Settings;
use super::state::Book;
use super::subscription::Subscriptions;
use super::wallet::Wallet;
use crate::node::{Node, NodeError, Tip};

/// The operator's inside. It outlives the server: a restarted operator goes on with it.
pub struct Shared {
    pub(crate) node: Node,
    settings: Mutex<Settings>,
    book: Mutex<Book>,
    pub(crate) wallet: Mutex<Wallet>,
    pub(crate) faults: Faults,
    pub(crate) events: Events,
    pub(crate) subscriptions: Subscriptions,
    tree_key: Mutex<SecretKey>,
    /// A new intent is there.
    pub(crate) wake: Notify,
    /// The running batch has got something.
    pub(crate) progress: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(node: Node, settings: Settings, wallet: Wallet) -> Shared {
        let book = Book { lag: settings.lag, ..Book::default() };
        Shared {
            node,
            settings: Mutex::new(settings),
            book: Mutex::new(book),
            wallet: Mutex::new(wallet),
            faults: Faults::default(),
            events: Events::default(),
            subscriptions: Subscriptions::default(),
            tree_key: Mutex::new(fresh_key()),
            wake: Notify::new(),
            progress: watch::Sender::new(0),
        }
    }

    /// A copy of the settings as they are now.
    pub(crate) fn settings(&self) -> Settings {
        lock(&self.settings).clone()
    }

    pub(crate) fn change_settings(&self, change: impl FnOnce(&mut Settings)) {
        let lag = {
            let mut settings = lock(&self.settings);
            change(&mut settings);
            settings.lag
        };
        self.with_book(|b| b.lag = lag);
    }

    /// Looks into or writes the books; nothing may wait in there.
    pub(crate) fn with_book<T>(&self, work: impl FnOnce(&mut Book) -> T) -> T {
        work(&mut lock(&self.book))
    }

    pub(crate) fn wallet(&self) -> MutexGuard<'_, Wallet> {
        lock(&self.wallet)
    }

    /// The operator's clock, unix seconds.
    pub(crate) fn now(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs() as i64 + lock(&self.settings).clock_shift
    }

    /// The chain's tip as far as locktimes go.
    pub(crate) async fn tip(&self) -> Result<Tip, NodeError> {
        let mut tip = self.node.tip().await?;
        if let Some((height, median_time)) = lock(&self.settings).pretend_tip {
            tip = Tip { height, median_time, ..tip };
        }
        Ok(tip)
    }

    /// The key that signs trees: random for each run, published nowhere.
    pub(crate) fn tree_key(&self) -> SecretKey {
        *lock(&self.tree_key)
    }

    /// Its public half, compressed, in hex.
    pub(crate) fn tree_public_key(&self) -> String {
        self.tree_key().public_key(&Secp256k1::signing_only()).to_string()
    }

    /// A restart forgets intents, the running batch and the tree key, as arkd does.
    pub(crate) fn forget_session(&self) {
        *lock(&self.tree_key) = fresh_key();
        let coins = self.with_book(|book| {
            book.queue.clear();
            book.locked.clear();
            book.session.take().map(|s| s.coins)
        });
        self.wallet().give_back(coins.unwrap_or_default());
    }

    /// Tells the running batch to look again.
    pub(crate) fn step(&self) {
        self.progress.send_modify(|n| *n += 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

fn fresh_key() -> SecretKey {
    loop {
        if let Ok(key) = SecretKey::from_slice(&random()) {
            return key;
        }
    }
}

/// A random id in the form of a UUID (version 4).
pub(crate) fn uuid() -> String {
    let mut b = [0u8; 16];
    rand::thread_rng().fill_bytes(&mut b);
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let hex = bitcoin::hex::DisplayHex::to_lower_hex_string(&b[..]);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

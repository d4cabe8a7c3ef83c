//! A clock of the app: right, failing, slow, or calling the wallet.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Duration;

use virtual_channels::ffi::{Clock, ListenerError, Wallet, WalletError};

use crate::opened::{invite, open, sats};
use crate::ready::{Ready, now};

const DAY: u64 = 86_400;

/// A clock that a test sets; 0 is a clock that throws.
#[derive(Default)]
struct Hand(AtomicU64);

impl Clock for Hand {
    fn unix_seconds(&self) -> Result<u64, ListenerError> {
        match self.0.load(Ordering::SeqCst) {
            0 => Err(ListenerError::Failed { reason: "stopped".into() }),
            time => Ok(time),
        }
    }
}

/// When an invite of now ends: what the wallet believes the time to be.
async fn believed(wallet: &Wallet) -> u64 {
    let text = wallet.create_invite(invite()).await.unwrap();
    virtual_channels::channel::message::Invite::parse(&text).unwrap().expires_at
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wallet_goes_by_it_and_by_the_system_where_it_fails() {
    let ready = Ready::new(100_000, 1);
    let clock = Arc::new(Hand::default());
    let wallet = open(&ready.payer, Some(clock.clone())).await.unwrap();
    let valid = believed(&wallet).await - now();
    assert!((3_600..30 * DAY).contains(&valid), "the system's where it throws: {valid}");
    clock.0.store(now() + DAY, Ordering::SeqCst);
    assert!((believed(&wallet).await - now()).abs_diff(valid + DAY) <= 1);
    let id = ready.id().to_string();
    wallet.pay(id.clone(), sats(1_000), "one".into(), None).await.unwrap();
    clock.0.store(now() + 8 * DAY, Ordering::SeqCst);
    let late = wallet.pay(id, sats(1_000), "two".into(), None).await;
    assert!(matches!(late, Err(WalletError::PastCloseBy { .. })), "{late:?}");
    clock.0.store(0, Ordering::SeqCst);
    assert!(believed(&wallet).await >= now() + 8 * DAY + valid - 1, "time does not run backwards");
}

/// Calls the wallet, and waits for the answers.
#[derive(Default)]
struct Calls {
    wallet: OnceLock<Arc<Wallet>>,
    channel: String,
    answered: AtomicUsize,
}

impl Clock for Calls {
    fn unix_seconds(&self) -> Result<u64, ListenerError> {
        if let Some(wallet) = self.wallet.get() {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                wallet.channels().await.unwrap();
                wallet.pay(self.channel.clone(), sats(330), "the clock's".into(), None).await.unwrap();
                wallet.settle(false).await.unwrap_err();
            });
            self.answered.fetch_add(1, Ordering::SeqCst);
        }
        Ok(now())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_calls_the_wallet_holds_nobody_up() {
    let ready = Ready::new(100_000, 1);
    let clock = Arc::new(Calls { channel: ready.id().to_string(), ..Calls::default() });
    let wallet = open(&ready.payer, Some(clock.clone())).await.unwrap();
    assert!(clock.wallet.set(wallet.clone()).is_ok());
    let calls = async {
        wallet.pay(ready.id().to_string(), sats(1_000), "one".into(), None).await.unwrap();
        tokio::join!(wallet.settle(false), wallet.settle(true), wallet.settle(false), wallet.channels())
    };
    let answers = tokio::time::timeout(Duration::from_secs(60), calls).await.expect("no deadlock");
    assert!(matches!(answers.0, Err(WalletError::OperatorUnreachable { .. })), "{:?}", answers.0);
    assert!(clock.answered.load(Ordering::SeqCst) >= 5);
    let paid = wallet.channel(ready.id().to_string()).await.unwrap().amount;
    assert_eq!(paid, sats(1_330), "its own payment counted once");
}

/// Answers when it is let.
struct Stuck {
    armed: AtomicU64,
    gate: Barrier,
}

impl Clock for Stuck {
    fn unix_seconds(&self) -> Result<u64, ListenerError> {
        if self.armed.swap(0, Ordering::SeqCst) == 1 {
            self.gate.wait();
        }
        Ok(now())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_stuck_in_one_call_leaves_the_others_alone() {
    let ready = Ready::new(100_000, 1);
    let clock = Arc::new(Stuck { armed: AtomicU64::new(0), gate: Barrier::new(2) });
    let wallet = open(&ready.payer, Some(clock.clone())).await.unwrap();
    clock.armed.store(1, Ordering::SeqCst);
    let held = tokio::spawn({
        let (wallet, id) = (wallet.clone(), ready.id().to_string());
        async move { wallet.pay(id, sats(1_000), "held".into(), None).await }
    });
    while clock.armed.load(Ordering::SeqCst) == 1 {
        tokio::task::yield_now().await;
    }
    wallet.pay(ready.id().to_string(), sats(1_000), "free".into(), None).await.unwrap();
    wallet.settle(false).await.unwrap_err();
    assert!(!held.is_finished());
    // A phone that goes to sleep, or an app that ends, does not ask what time it is.
    clock.armed.store(1, Ordering::SeqCst);
    wallet.release_database().await.unwrap();
    assert_eq!(clock.armed.swap(0, Ordering::SeqCst), 1, "the clock was asked");
    wallet.reopen_database().await.unwrap();
    clock.gate.wait();
    assert_eq!(held.await.unwrap().unwrap().amount, sats(2_000));
    wallet.shutdown().await.unwrap();
}

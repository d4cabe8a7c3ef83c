//! A phone's clock that is wrong: time never runs backwards, and no money is taken by a clock that cannot be right.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use virtual_channels::store::{SeenTime, Store};
use virtual_channels::wallet::{Clock, InviteRequest, Wallet, WalletError};

use crate::pair::sats;
use crate::ready::{Ready, now};

const DAY: u64 = 86_400;

/// A clock that a test sets.
#[derive(Clone)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn at(time: u64) -> Self {
        Self(Arc::new(AtomicU64::new(time)))
    }

    fn set(&self, time: u64) {
        self.0.store(time, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

/// What the wallet believes the time to be, as its invites tell.
fn believed(wallet: &Wallet) -> u64 {
    let request = InviteRequest { valid_seconds: 1_000, ..InviteRequest::default() };
    wallet.create_invite(&request).unwrap().expires_at - 1_000
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_set_back_a_day_is_overruled() {
    let ready = Ready::new(100_000, 1);
    let start = now();
    let clock = Hand::at(start);
    let receiver = ready.receiver.open_at(Arc::new(clock.clone())).await;
    assert_eq!(believed(&receiver), start);
    for back in [1, DAY, start] {
        clock.set(start - back);
        assert_eq!(believed(&receiver), start, "set back {back} s");
    }
    clock.set(start + 5);
    assert_eq!(believed(&receiver), start + 5);
    receiver.close().unwrap();
    // The highest ever seen is in the file: a restart does not go back either.
    let store = Store::open(&ready.receiver.path).unwrap();
    let seen = SeenTime { wall: start + 5, height: 100, median: start - 3_600 };
    store.write(|db| db.see_time(seen)).unwrap();
    store.close().unwrap();
    let receiver = ready.receiver.open_at(Arc::new(Hand::at(start - DAY))).await;
    assert_eq!(believed(&receiver), start + 5);
    // The chain's time counts where it is ahead of both.
    receiver.close().unwrap();
    let store = Store::open(&ready.receiver.path).unwrap();
    store.write(|db| db.see_time(SeenTime { median: start + DAY, ..seen })).unwrap();
    store.close().unwrap();
    let receiver = ready.receiver.open_at(Arc::new(Hand::at(start - DAY))).await;
    assert_eq!(believed(&receiver), start + DAY);
    // And nothing takes it back.
    let store = Store::open(&ready.receiver.path).unwrap();
    let kept = store.write(|db| db.see_time(SeenTime { wall: start - DAY, height: 1, median: 1 })).unwrap();
    assert_eq!(kept, SeenTime { median: start + DAY, ..seen });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_a_day_ahead_takes_no_money_unseen() {
    let ready = Ready::new(100_000, 1);
    let start = now();
    let clock = Hand::at(start);
    let payer = ready.payer.open().await;
    let receiver = ready.receiver.open_at(Arc::new(clock.clone())).await;
    let pay = |payment: &str| payer.pay(&ready.id(), sats(1_000), payment, None).unwrap().message;
    receiver.receive(&pay("one")).unwrap();
    clock.set(start + DAY);
    let update = pay("two");
    let refused = receiver.receive(&update);
    let refused = refused.map_err(|error| *error);
    let Err(WalletError::Blind { channel_id, blind_seconds, max_blind_seconds }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((channel_id, max_blind_seconds), (ready.id(), 43_264));
    assert!((DAY..DAY + 60).contains(&blind_seconds), "{blind_seconds}");
    assert_eq!(receiver.channel(&ready.id()).unwrap().amount, sats(1_000));
    // Nothing of the wrong hour was kept: with the right clock a new process goes on.
    receiver.close().unwrap();
    let receiver = ready.receiver.open_at(Arc::new(Hand::at(now()))).await;
    assert_eq!(receiver.receive(&update).unwrap().amount, sats(2_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_a_week_ahead_pays_nothing() {
    let ready = Ready::new(100_000, 1);
    let clock = Hand::at(now());
    let payer = ready.payer.open_at(Arc::new(clock.clone())).await;
    payer.pay(&ready.id(), sats(1_000), "one", None).unwrap();
    clock.set(now() + 7 * DAY);
    let refused = payer.pay(&ready.id(), sats(1_000), "two", None);
    assert!(matches!(refused.as_ref().map_err(|error| &**error), Err(WalletError::PastCloseBy { .. })), "{refused:?}");
    // A payer whose clock is a day behind pays as before: only late hours are dangerous, and the receiver has its own.
    let ready = Ready::new(100_000, 1);
    let payer = ready.payer.open_at(Arc::new(Hand::at(now() - DAY))).await;
    payer.pay(&ready.id(), sats(1_000), "one", None).unwrap();
}
